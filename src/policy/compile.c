/*
 * The compiler. Every statement of every profile becomes one rule, or several where it names a flag; then the rules are
 * sorted and equal ones merged, so that neither order nor repetition nor the split over files shows in the result.
 */
#include "policy/compile.h"

#include <errno.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "policy/builtin.h"
#include "policy/compile_internal.h"
#include "policy/variables.h"

void sg_compile_complain(struct sg_compiler *compiler, const struct sg_statement *statement, const char *hint,
			 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	sg_diagnostic_add_list(compiler->diagnostics, statement->source, statement->span, SG_SEVERITY_ERROR, hint,
			       format, arguments);
	va_end(arguments);
}

struct sg_rule *sg_compile_add(struct sg_compiler *compiler, enum sg_rule_kind kind,
			       const struct sg_statement *statement, const char *flag)
{
	struct sg_policy *policy = compiler->policy;

	if (policy->rule_count == compiler->capacity) {
		size_t capacity = compiler->capacity == 0 ? 512 : compiler->capacity * 2;
		struct sg_rule *grown;

		if (capacity > SG_POLICY_RULES_MAX && compiler->status == 0) {
			sg_compile_complain(compiler, statement,
					    "write trees (/folder/**) and flags in place of many names",
					    "more than %d rules in all", SG_POLICY_RULES_MAX);
			compiler->status = -E2BIG;
		}
		grown = compiler->status < 0 ? NULL : reallocarray(policy->rules, capacity, sizeof(*grown));
		if (grown == NULL) {
			compiler->status = compiler->status < 0 ? compiler->status : -ENOMEM;
			return NULL;
		}
		policy->rules = grown;
		compiler->capacity = capacity;
	}
	policy->rules[policy->rule_count] = (struct sg_rule){.kind = kind,
							     .text = statement->text,
							     .written = statement->text,
							     .number = statement->number,
							     .source = statement->source,
							     .span = statement->span,
							     .flag = flag};
	return &policy->rules[policy->rule_count++];
}

int sg_compile_add_profile(struct sg_compiler *compiler, struct sg_source *source, bool builtin)
{
	struct sg_policy *policy = compiler->policy;
	struct sg_profile **grown = reallocarray(policy->profiles, policy->profile_count + 1, sizeof(*grown));
	struct sg_profile *profile = NULL;
	int status;

	if (grown == NULL) {
		sg_source_free(source);
		return -ENOMEM;
	}
	policy->profiles = grown;
	status = sg_profile_read(source, compiler->diagnostics, &profile);
	if (status < 0)
		return status;
	policy->profiles[policy->profile_count++] = profile;
	if (builtin && status != 0)
		return -EINVAL; /* a built-in flag file that does not read: the diagnostics say where */
	return 0;
}

/* Fills in the variables. Returns NULL if nothing had to be (the text stands), or the new text (owned). */
static char *expand(struct sg_compiler *compiler, const struct sg_statement *statement, bool glob)
{
	char *text = NULL;
	int status = sg_variables_expand(compiler->variables, statement->text, glob, &text);

	if (status == SG_VARIABLES_UNKNOWN)
		sg_compile_complain(compiler, statement, SG_VARIABLES_HINT, "unknown variable in \"%s\"",
				    statement->text);
	else if (status < 0)
		compiler->status = status;
	return text;
}

static bool is_or_holds(const char *folder, const char *home)
{
	const size_t length = strlen(folder);

	return strncmp(home, folder, length) == 0 && (home[length] == '/' || home[length] == '\0');
}

/*
 * A writable working directory must not be everything: not /, the home, or a folder above the home, by the home's name or where that
 * leads (the working directory is one without links). The glob goes: all that the profile says of the home lies in it, and would be
 * complained of beside the one error that there is.
 */
static void check_writable_cwd(struct sg_compiler *compiler, const struct sg_statement *statement, struct sg_rule *rule)
{
	const struct sg_variables *v = compiler->variables;
	const char *place = v->home_place != NULL ? v->home_place : v->home;

	if (strstr(statement->text, "${CWD}") == NULL)
		return;
	if (strcmp(v->cwd, "/") != 0 && !is_or_holds(v->cwd, v->home) && !is_or_holds(v->cwd, place))
		return;
	sg_compile_complain(compiler, statement, "go to a folder below it first (mkdir work && cd work)",
			    "%s would be writable as a whole: it is %s", v->cwd,
			    strcmp(v->cwd, "/") == 0 ? "the root of the file system"
			    : strcmp(v->cwd, v->home) == 0 || strcmp(v->cwd, place) == 0
				    ? "the home folder"
				    : "a folder above the home folder");
	sg_glob_free(rule->glob);
	rule->glob = NULL;
}

static void parse_glob(struct sg_compiler *compiler, const struct sg_statement *statement, struct sg_rule *rule)
{
	struct sg_glob_error error;
	int status;

	if (rule->text[0] != '/') {
		sg_compile_complain(compiler, statement, "begin it with / or ~/ or ${CWD}/",
				    "\"%s\" is not an absolute name", rule->text);
		return;
	}
	status = sg_glob_parse(rule->text, strlen(rule->text), &error, &rule->glob);
	if (status == -EINVAL) {
		struct sg_statement exact = *statement;

		/* The offset is one in the text only where the value is written plainly, without escapes or variables. */
		if (rule->text == statement->text && statement->span.length == statement->size + 2) {
			exact.span.offset += 1 + (uint32_t)error.offset;
			exact.span.length = (uint32_t)error.length;
		}
		sg_compile_complain(compiler, &exact, error.suggestion[0] != '\0' ? error.suggestion : NULL, "%s",
				    error.message);
	} else if (status < 0) {
		compiler->status = status;
	}
}

/* A flag gives a folder of the world's own by the folder's name. Denied is what would be in it, from wherever that came. */
static void deny_all_of(struct sg_compiler *compiler, struct sg_rule *rule)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	char *whole;

	sg_buffer_printf(&text, "%s**", rule->text);
	whole = sg_buffer_take(&text);
	if (whole == NULL) {
		compiler->status = -ENOMEM;
		return;
	}
	free(rule->owned_text);
	rule->text = rule->owned_text = whole;
}

void sg_compile_statement(struct sg_compiler *compiler, enum sg_rule_kind kind, const struct sg_statement *statement,
			  const char *flag)
{
	enum sg_rule_what what = sg_rule_infos[kind].what;
	struct sg_rule *rule = sg_compile_add(compiler, kind, statement, flag);

	if (rule == NULL)
		return;
	if (what != SG_WHAT_GLOB && what != SG_WHAT_ADDRESS && kind != SG_RULE_DIRECTORY && kind != SG_RULE_ENVIRONMENT)
		return;
	rule->owned_text = expand(compiler, statement, what != SG_WHAT_TEXT);
	if (rule->owned_text != NULL)
		rule->text = rule->owned_text;
	else if (strstr(rule->text, "${") != NULL)
		return; /* it was complained of */
	if (kind == SG_RULE_DENY && statement->kind == SG_RULE_PRIVATE)
		deny_all_of(compiler, rule);
	if (what == SG_WHAT_GLOB)
		parse_glob(compiler, statement, rule);
	else if (what == SG_WHAT_ADDRESS && compiler->status == 0)
		sg_compile_address(compiler, statement, rule);
	if (kind == SG_RULE_WRITE)
		check_writable_cwd(compiler, statement, rule);
}

static int compare_rules(const void *left, const void *right)
{
	const struct sg_rule *a = left, *b = right;
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = strcmp(a->text, b->text);
	if (order != 0)
		return order;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	/* A rule that stands in a profile explains more than one that came with a flag. */
	if ((a->flag == NULL) != (b->flag == NULL))
		return a->flag == NULL ? -1 : 1;
	order = strcmp(a->source->name, b->source->name);
	if (order != 0)
		return order;
	return a->span.offset < b->span.offset ? -1 : a->span.offset > b->span.offset;
}

/* Sorts; merges what says the same. Of limits the smallest wins: it is the first. */
static void sort_rules(struct sg_policy *policy)
{
	size_t kept = 0;

	if (policy->rule_count > 0)
		qsort(policy->rules, policy->rule_count, sizeof(*policy->rules), compare_rules);
	for (size_t i = 0; i < policy->rule_count; i++) {
		struct sg_rule *rule = &policy->rules[i];

		if (kept > 0 && policy->rules[kept - 1].kind == rule->kind &&
		    strcmp(policy->rules[kept - 1].text, rule->text) == 0) {
			sg_rule_done(rule);
			continue;
		}
		policy->rules[kept++] = *rule;
	}
	policy->rule_count = kept;
	for (size_t kind = 0, i = 0; kind <= SG_RULE_KINDS; kind++) {
		while (i < kept && policy->rules[i].kind < kind)
			i++;
		policy->first[kind] = i;
	}
}

/* What a policy means, in bytes: kind, text, number of each rule but those that are only words. */
static void hash_policy(struct sg_policy *policy)
{
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, (const unsigned char *)"shellguard-policy-1", 20);
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		uint64_t header[3] = {rule->kind, rule->number, strlen(rule->text)};

		if (rule->kind == SG_RULE_DESCRIPTION || rule->kind == SG_RULE_PROFILE_NAME ||
		    rule->kind == SG_RULE_EXTENDS || rule->kind == SG_RULE_TEST || rule->kind == SG_RULE_CATEGORY)
			continue;
		(void)crypto_hash_sha256_update(&state, (const unsigned char *)header, sizeof(header));
		(void)crypto_hash_sha256_update(&state, (const unsigned char *)rule->text, header[2]);
	}
	(void)crypto_hash_sha256_final(&state, policy->hash);
}

static const char *base_of(const struct sg_profile *profile)
{
	const char *slash = strrchr(profile->source->name, '/');

	return slash != NULL ? slash + 1 : profile->source->name;
}

/* What the profile calls itself, or its file. */
static const char *name_of(const struct sg_profile *profile)
{
	const char *name = base_of(profile);

	for (size_t i = 0; i < profile->count; i++)
		if (profile->statements[i].kind == SG_RULE_PROFILE_NAME)
			name = profile->statements[i].text;
	return name;
}

/* What stands on the command line comes last. */
static int compare_given(const void *a, const void *b)
{
	const char *const *first = a, *const *second = b;
	const bool first_typed = strcmp(*first, SG_POLICY_COMMAND_LINE) == 0;
	const bool second_typed = strcmp(*second, SG_POLICY_COMMAND_LINE) == 0;

	return first_typed != second_typed ? first_typed - second_typed : strcmp(*first, *second);
}

/* What `get` says of the first `count` profiles, each text once and sorted: given in another order, or twice, it is the same policy. */
static char *join_given(const struct sg_policy *policy, size_t count, const char *(*get)(const struct sg_profile *),
			const char *separator)
{
	SG_AUTO_FREE const char **texts = calloc(count + 1, sizeof(*texts));
	SG_AUTO_BUFFER struct sg_buffer joined = SG_BUFFER_INIT;

	if (texts == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		texts[i] = get(policy->profiles[i]);
	qsort(texts, count, sizeof(*texts), compare_given);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(texts[i - 1], texts[i]) != 0)
			sg_buffer_printf(&joined, "%s%s", i > 0 ? separator : "", texts[i]);
	return sg_buffer_take(&joined);
}

static int name_policy(struct sg_policy *policy, size_t count)
{
	const size_t given = count < policy->profile_count ? count : policy->profile_count;

	policy->name = join_given(policy, given, name_of, "+");
	policy->files = join_given(policy, given, base_of, ", ");
	return policy->name == NULL || policy->files == NULL ? -ENOMEM : 0;
}

/* --- the built-in flags --- */

static int compare_names(const void *key, const void *definition)
{
	return strcmp(key, ((const struct sg_builtin_definition *)definition)->name);
}

/* The index of a built-in flag's definition, or sg_builtin_definition_count. */
static size_t find_builtin(const char *name)
{
	const struct sg_builtin_definition *found =
		bsearch(name, sg_builtin_definitions, sg_builtin_definition_count, sizeof(*found), compare_names);

	return found == NULL ? sg_builtin_definition_count : (size_t)(found - sg_builtin_definitions);
}

static int read_definition(struct sg_compiler *compiler, const struct sg_builtin_definition *definition)
{
	const struct sg_builtin_text *file = &sg_builtin_flags[definition->file];
	struct sg_source *source;
	int status =
		sg_source_part(file->name, file->text, definition->begin, definition->end, definition->line, &source);

	return status < 0 ? status : sg_compile_add_profile(compiler, source, true);
}

/*
 * The built-in flags come behind the profiles: those that something in them names, and those that these name in turn. There is no
 * harm in one too many, so any text that is a flag's name counts, whatever it stands for; so does a definition of that name, which is
 * an error. The list grows while it is walked.
 */
static int read_named(struct sg_compiler *compiler, bool *known)
{
	const struct sg_policy *policy = compiler->policy;
	int status = 0;

	for (size_t i = 0; i < policy->profile_count && status == 0; i++)
		for (size_t j = 0; j < policy->profiles[i]->count && status == 0; j++) {
			const struct sg_statement *statement = &policy->profiles[i]->statements[j];
			const char *const names[] = {statement->text, statement->group};

			for (size_t k = 0; k < SG_ARRAY_SIZE(names) && status == 0; k++) {
				const size_t found =
					names[k] == NULL ? sg_builtin_definition_count : find_builtin(names[k]);

				if (found == sg_builtin_definition_count || known[found])
					continue;
				known[found] = true;
				status = read_definition(compiler, &sg_builtin_definitions[found]);
			}
		}
	return status;
}

static size_t file_of(const struct sg_source *source)
{
	size_t i = 0;

	while (i < sg_builtin_flag_count && strcmp(sg_builtin_flags[i].name, source->name) != 0)
		i++;
	return i;
}

static int compare_places(const void *left, const void *right)
{
	const struct sg_source *a = (*(struct sg_profile *const *)left)->source;
	const struct sg_source *b = (*(struct sg_profile *const *)right)->source;
	const size_t first = file_of(a), second = file_of(b);

	if (first != second)
		return first < second ? -1 : 1;
	return (a->begin > b->begin) - (a->begin < b->begin);
}

/* In the order of their files, whatever named them first. */
static void sort_builtin(struct sg_compiler *compiler)
{
	const struct sg_policy *policy = compiler->policy;

	if (policy->profile_count > compiler->own_count)
		qsort(policy->profiles + compiler->own_count, policy->profile_count - compiler->own_count,
		      sizeof(struct sg_profile *), compare_places);
}

static int read_builtin(struct sg_compiler *compiler)
{
	SG_AUTO_FREE bool *known = calloc(sg_builtin_definition_count, sizeof(*known));
	const int status = known == NULL ? -ENOMEM : read_named(compiler, known);

	sort_builtin(compiler);
	return status;
}

int sg_policy_read_flags(struct sg_policy *policy)
{
	SG_AUTO_FREE bool *known = calloc(sg_builtin_definition_count, sizeof(*known));
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_compiler compiler = {.policy = policy, .diagnostics = &diagnostics};
	int status = known == NULL ? -ENOMEM : 0;

	while (status == 0 && compiler.own_count < policy->profile_count &&
	       !sg_policy_is_builtin(policy->profiles[compiler.own_count]))
		compiler.own_count++;
	if (status == 0 && policy->profile_count - compiler.own_count == sg_builtin_definition_count)
		return 0;
	for (size_t i = compiler.own_count; i < policy->profile_count && status == 0; i++)
		if (policy->profiles[i]->count > 0)
			known[find_builtin(policy->profiles[i]->statements[0].group)] = true;
	for (size_t i = 0; i < sg_builtin_definition_count && status == 0; i++)
		if (!known[i])
			status = read_definition(&compiler, &sg_builtin_definitions[i]);
	sort_builtin(&compiler);
	return status;
}

static int read_all(struct sg_compiler *compiler, struct sg_source **sources, size_t count, sg_profile_opener opener,
		    void *data)
{
	int status = 0;
	size_t i = 0;

	for (; status == 0 && i < count; i++)
		status = sg_compile_add_profile(compiler, sources[i], false);
	for (; i < count; i++)
		sg_source_free(sources[i]);
	if (status == 0)
		status = sg_compile_read_extended(compiler, opener, data);
	compiler->own_count = compiler->policy->profile_count;
	if (status == 0)
		status = name_policy(compiler->policy, count);
	return status == 0 ? read_builtin(compiler) : status;
}

static void compile_all(struct sg_compiler *compiler)
{
	const struct sg_policy *policy = compiler->policy;

	for (size_t i = 0; i < compiler->own_count; i++) {
		const struct sg_profile *profile = policy->profiles[i];
		size_t used = 1;

		for (size_t j = 0; j < profile->count && compiler->status == 0; j += used) {
			const struct sg_statement *statement = &profile->statements[j];

			used = 1;
			if (statement->section == SG_SECTION_DEFINE)
				continue; /* stated where the flag is used */
			if (statement->kind == SG_RULE_FLAG || statement->kind == SG_RULE_DENY_FLAG)
				sg_compile_flag(compiler, statement);
			else if (sg_policy_means_together(statement->kind))
				used = sg_compile_together(compiler, statement, profile->count - j);
			else
				sg_compile_statement(compiler, statement->kind, statement, NULL);
		}
	}
}

/* Every error in one go: the checks are made whatever was found before them. */
static int compile_and_check(struct sg_compiler *compiler)
{
	struct sg_policy *policy = compiler->policy;
	size_t used;

	compile_all(compiler);
	used = policy->rule_count;
	if (compiler->status == 0)
		sg_compile_unused(compiler);
	if (compiler->status == 0)
		sg_compile_check(compiler);
	while (policy->rule_count > used)
		sg_rule_done(&policy->rules[--policy->rule_count]);
	return compiler->status;
}

int sg_policy_compile(struct sg_source **sources, size_t count, const struct sg_variables *variables,
		      sg_profile_opener opener, void *opener_data, struct sg_diagnostics *diagnostics,
		      struct sg_policy **ret, struct sg_error *error)
{
	SG_AUTO_POLICY struct sg_policy *policy = calloc(1, sizeof(*policy));
	struct sg_compiler compiler = {.policy = policy, .variables = variables, .diagnostics = diagnostics};
	size_t errors = diagnostics->found[SG_SEVERITY_ERROR];
	int status;

	if (policy == NULL) {
		for (size_t i = 0; i < count; i++)
			sg_source_free(sources[i]);
		return sg_error_set_errno(error, -ENOMEM, "cannot compile the profiles");
	}
	status = read_all(&compiler, sources, count, opener, opener_data);
	if (status == 0)
		status = sg_compile_collect_flags(&compiler);
	if (status == 0)
		status = compile_and_check(&compiler);
	free(compiler.definitions);
	if (status < 0 && diagnostics->found[SG_SEVERITY_ERROR] == errors)
		return sg_error_set_errno(error, status, "cannot compile the profiles");
	if (diagnostics->found[SG_SEVERITY_ERROR] > errors) {
		*ret = sg_take_pointer(policy);
		return SG_POLICY_REFUSED;
	}
	sort_rules(policy);
	hash_policy(policy);
	*ret = sg_take_pointer(policy);
	return 0;
}
