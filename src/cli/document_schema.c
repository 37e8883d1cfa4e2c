/*
 * The JSON Schema of a profile, for editors: from the same tables as the reader, so that what is red there is an error here.
 *
 * It is the form that is checked, not the meaning: which keys stand where, what type a value has, which system calls, capabilities,
 * features, limits and outcomes there are, in which section a built-in flag stands, how globs and addresses begin. A flag of one's
 * own may be defined in another profile, so that any other name of a flag is left to the program.
 */
#include <jansson.h>
#include <string.h>

#include "cli/document.h"
#include "tables/actions.h"
#include "tables/capabilities.h"
#include "tables/features.h"
#include "tables/flags.h"
#include "tables/syscalls.h"

static json_t *texts(const char *pattern)
{
	return pattern == NULL ? json_pack("{s:s, s:i}", "type", "string", "minLength", 1)
			       : json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *reference(const char *name)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/definitions/%s", name));
}

/* The built-in flags of a category, or of all others than that one and pledge's, which stand anywhere. */
static json_t *flags_of(enum sg_flag_category category, bool others)
{
	json_t *list = json_array();

	for (int flag = 0; flag < SG_FLAGS_; flag++) {
		const enum sg_flag_category own = sg_flag_category((enum sg_flag)flag);
		const bool is_anywhere = own == SG_FLAG_CATEGORY_PLEDGE;

		if (others ? own != category && !is_anywhere : own == category || is_anywhere)
			(void)json_array_append_new(list, json_string(sg_flag_name((enum sg_flag)flag)));
	}
	return list;
}

/* A flag where it is named: those of the section are offered, those of others refused; one of one's own is any other text. */
static json_t *flag_in(int section)
{
	for (int category = 0; category < SG_FLAG_CATEGORY_PLEDGE; category++)
		if (strcmp(sg_flag_category_name((enum sg_flag_category)category), sg_section_infos[section].name) == 0)
			return json_pack("{s:[{s:o}, {s:s, s:i, s:{s:o}}]}", "anyOf", "enum",
					 flags_of((enum sg_flag_category)category, false), "type", "string",
					 "minLength", 1, "not", "enum",
					 flags_of((enum sg_flag_category)category, true));
	return texts(NULL);
}

static json_t *calls(bool given)
{
	json_t *list = json_array();

	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);

		if (call != NULL && (!given || call->class != SG_CLASS_NEVER))
			(void)json_array_append_new(list, json_string(call->name));
	}
	return json_pack("{s:o}", "enum", list);
}

static json_t *capabilities(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sg_capability_count; i++)
		(void)json_array_append_new(list, json_string(sg_capability_names[i]));
	return json_pack("{s:o}", "enum", list);
}

static json_t *features(void)
{
	json_t *list = json_array();

	for (int i = 1; i < SG_FEATURES_; i++)
		if (sg_feature_infos[i].effect != SG_EFFECT_NEEDED)
			(void)json_array_append_new(list, json_string(sg_feature_infos[i].name));
	return json_pack("{s:o}", "enum", list);
}

static json_t *outcomes(void)
{
	json_t *list = json_array();

	for (int i = 0; i < SG_OUTCOMES_; i++)
		(void)json_array_append_new(list, json_string(sg_outcome_names[i]));
	return json_pack("{s:o}", "enum", list);
}

/* One value of a key. */
static json_t *value_of(const struct sg_key_info *key, int section)
{
	if (section == SG_SECTION_TEST && strcmp(key->name, "Expect") == 0)
		return outcomes();
	if (key->rule == SG_RULE_PRIVATE)
		return texts("^(/.*|~|~/.*|\\$\\{[A-Z]+\\}.*)/$");
	switch (sg_rule_infos[key->rule].what) {
	case SG_WHAT_GLOB:
		return reference("Glob");
	case SG_WHAT_ADDRESS:
		return reference("Address");
	case SG_WHAT_FLAG:
		return flag_in(section);
	case SG_WHAT_SYSCALL:
		return reference(key->rule == SG_RULE_DENY_SYSCALL ? "Call" : "GivenCall");
	case SG_WHAT_CAPABILITY:
		return reference("Capability");
	case SG_WHAT_FEATURE:
		return features();
	default:
		return texts(NULL);
	}
}

static json_t *limits(void)
{
	json_t *properties = json_object();

	for (size_t i = 0; i < sg_limit_count; i++) {
		const struct sg_limit_info *limit = &sg_limit_infos[i];
		SG_AUTO_BUFFER struct sg_buffer pattern = SG_BUFFER_INIT;

		sg_buffer_append_text(&pattern, "^[0-9]+ *(");
		for (size_t unit = 0; sg_profile_unit(limit->unit, unit) != NULL; unit++)
			sg_buffer_printf(&pattern, "%s%s", unit > 0 ? "|" : "", sg_profile_unit(limit->unit, unit));
		sg_buffer_append_text(&pattern, ")$");
		if (sg_buffer_status(&pattern) < 0)
			break;
		(void)json_object_set_new(properties, limit->name,
					  json_pack("{s:s, s:[{s:s, s:i}, {s:s, s:s}]}", "description",
						    limit->description, "anyOf", "type", "integer", "minimum",
						    (int)limit->smallest, "type", "string", "pattern", pattern.data));
	}
	return json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0, "properties", properties);
}

static json_t *key_of(const struct sg_key_info *key, int section)
{
	json_t *schema = NULL;

	switch (key->type) {
	case SG_KEY_STRING:
		schema = value_of(key, section);
		break;
	case SG_KEY_STRINGS:
		schema = json_pack("{s:s, s:o}", "type", "array", "items", value_of(key, section));
		break;
	case SG_KEY_BOOLEAN:
		schema = json_pack("{s:s}", "type", "boolean");
		break;
	case SG_KEY_LIMITS:
		schema = limits();
		break;
	case SG_KEY_LISTS:
		schema = json_pack("{s:s, s:{s:s, s:i, s:o}}", "type", "array", "items", "type", "array", "minItems", 2,
				   "items", texts(NULL));
		break;
	case SG_KEY_TABLES:
		schema = json_pack("{s:s, s:o}", "type", "array", "items",
				   reference(sg_section_infos[SG_SECTION_ACTION].name));
		break;
	}
	(void)json_object_set_new(schema, "description", json_string(sg_document_describe(key)));
	return schema;
}

static json_t *properties_of(int section)
{
	json_t *properties = json_object();

	for (size_t i = 0; i < sg_key_count; i++)
		if ((sg_key_infos[i].sections >> section & 1) != 0)
			(void)json_object_set_new(properties, sg_key_infos[i].name, key_of(&sg_key_infos[i], section));
	return properties;
}

/* A test asks one thing, and says what is expected. */
static json_t *test_of_one_action(json_t *schema)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sg_key_count; i++)
		if ((sg_key_infos[i].sections >> SG_SECTION_TEST & 1) != 0 &&
		    sg_action_by_key(sg_key_infos[i].name) != SG_ACTIONS_)
			(void)json_array_append_new(list, json_pack("{s:[s]}", "required", sg_key_infos[i].name));
	(void)json_object_set_new(schema, "required", json_pack("[s]", "Expect"));
	(void)json_object_set_new(schema, "oneOf", list);
	return schema;
}

static json_t *definition_of(int section)
{
	json_t *schema =
		json_pack("{s:s, s:s, s:b, s:o}", "type", "object", "description", sg_document_section(section),
			  "additionalProperties", 0, "properties", properties_of(section));

	return section == SG_SECTION_TEST ? test_of_one_action(schema) : schema;
}

/* How a section stands in the profile. */
static json_t *place_of(int section)
{
	const char *name = sg_section_infos[section].name;

	switch (sg_section_infos[section].form) {
	case SG_SECTION_IS_NAMED:
		return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", reference(name));
	case SG_SECTION_IS_ARRAY:
		return json_pack("{s:s, s:o}", "type", "array", "items", reference(name));
	default:
		return reference(name);
	}
}

/* Globs begin with / or a variable; addresses with a protocol. */
static void add_values(json_t *definitions)
{
	(void)json_object_set_new(definitions, "Glob", texts("^(/|~(/|$)|\\$\\{[A-Z]+\\})"));
	(void)json_object_set_new(definitions, "Address", texts("^((tcp|udp|\\*):.+:.+|(icmp|unix):.+)$"));
	(void)json_object_set_new(definitions, "Call", calls(false));
	(void)json_object_set_new(definitions, "GivenCall", calls(true));
	(void)json_object_set_new(definitions, "Capability", capabilities());
}

void sg_document_schema(struct sg_buffer *out)
{
	json_t *properties = properties_of(SG_SECTION_ROOT), *definitions = json_object(), *schema;
	char *text;

	for (int section = SG_SECTION_ROOT + 1; section < SG_SECTIONS; section++) {
		(void)json_object_set_new(definitions, sg_section_infos[section].name, definition_of(section));
		if (section != SG_SECTION_ACTION)
			(void)json_object_set_new(properties, sg_section_infos[section].name, place_of(section));
	}
	add_values(definitions);
	schema = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "$schema", "http://json-schema.org/draft-07/schema#",
			   "title", "A profile of ShellGuard", "description", sg_document_section(SG_SECTION_ROOT),
			   "type", "object", "additionalProperties", 0, "properties", properties, "definitions",
			   definitions);
	text = json_dumps(schema, JSON_INDENT(1));
	json_decref(schema);
	if (text == NULL) {
		out->failed = true;
		return;
	}
	sg_buffer_append_text(out, text);
	sg_buffer_append_byte(out, '\n');
	free(text);
}
