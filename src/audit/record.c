#include "audit/record.h"

#include <sodium.h>
#include <string.h>

#include "audit/record_table.h"

#define KIND(symbol) (1U << SG_RECORD_##symbol)
#define ALL (((1U << SG_RECORD_KINDS_) - 1U) & ~1U)
#define DECISIONS (KIND(EXEC) | KIND(GRANT) | KIND(REFUSAL))
#define PROCESSES DECISIONS
#define PRESENCE_ALWAYS true
#define PRESENCE_SET false

const struct sg_record_field_entry sg_record_fields[SG_RECORD_FIELDS_] = {
#define SG_RECORD_FIELD(member, type_, group_, name_, kinds_, presence, limit_, ocsf_, text_)                          \
	[SG_RECORD_FIELD_##member] = {.group = group_,                                                                 \
				      .name = name_,                                                                   \
				      .ocsf = ocsf_,                                                                   \
				      .text = text_,                                                                   \
				      .type = SG_RECORD_TYPE_##type_,                                                  \
				      .kinds = kinds_,                                                                 \
				      .limit = limit_,                                                                 \
				      .offset = offsetof(struct sg_record, member),                                    \
				      .always = PRESENCE_##presence},
#include "audit/records.def"
};

const struct sg_record_kind_entry sg_record_kinds[SG_RECORD_KINDS_] = {
#define SG_RECORD_KIND(symbol, name_, class_, activity, severity, text_)                                               \
	[SG_RECORD_##symbol] = {                                                                                       \
		.name = name_, .text = text_, .class_uid = class_, .activity_id = activity, .severity_id = severity},
#include "audit/records.def"
};

static const struct {
	const char *name;
	const char *text;
} verdicts[SG_RECORD_VERDICTS_] = {
#define SG_RECORD_VERDICT(symbol, name_, text_) [SG_RECORD_VERDICT_##symbol] = {.name = name_, .text = text_},
#include "audit/records.def"
};

static const struct {
	const char *name;
	unsigned int class_uid;
	unsigned int activity_id;
} operations[] = {
#define SG_RECORD_OPERATION(name_, class_, activity) {.name = name_, .class_uid = class_, .activity_id = activity},
#include "audit/records.def"
};

/* Every field at its limit, with its header and padding, must fit in the bound: sg_record_bound() never has
 * to fail. */
enum {
	LIMITS_TOTAL = sizeof(struct sg_record_header)
#define SG_RECORD_FIELD(member, type, group, name, kinds, presence, limit, ...)                                        \
	+(limit) + 16 + (int)sizeof(struct sg_record_field_header) + (int)sizeof(struct sg_record_cut)
#include "audit/records.def"
};
_Static_assert((int)LIMITS_TOTAL <= (int)SG_RECORD_BOUND, "a record with every field at its limit exceeds the bound");
_Static_assert(sizeof(struct sg_record_header) == 32, "the header's layout is documented");
_Static_assert(sizeof(struct sg_record_field_header) == 8 && sizeof(struct sg_record_cut) == 16,
	       "the field header's layout is documented");
_Static_assert(SG_RECORD_KINDS_ < 32, "kinds are bits of 32");
_Static_assert(SG_RECORD_FIELDS_ <= 64, "fields are bits of 64");

struct sg_record_text sg_record_text(const char *string)
{
	return (struct sg_record_text){.data = string, .size = string == NULL ? 0 : strlen(string)};
}

const char *sg_record_kind_name(enum sg_record_kind kind)
{
	return kind > SG_RECORD_NONE && kind < SG_RECORD_KINDS_ ? sg_record_kinds[kind].name : NULL;
}

enum sg_record_kind sg_record_kind_of(const char *name)
{
	for (unsigned int i = 1; i < SG_RECORD_KINDS_; i++)
		if (strcmp(sg_record_kinds[i].name, name) == 0)
			return (enum sg_record_kind)i;
	return SG_RECORD_NONE;
}

const char *sg_record_verdict_name(enum sg_record_verdict verdict)
{
	return verdict > SG_RECORD_VERDICT_NONE && verdict < SG_RECORD_VERDICTS_ ? verdicts[verdict].name : NULL;
}

void sg_record_operation_class(const char *operation, size_t size, unsigned int *ret_class, unsigned int *ret_activity)
{
	*ret_class = 1003;
	*ret_activity = 4;
	for (size_t i = 0; i < SG_ARRAY_SIZE(operations); i++)
		if (strlen(operations[i].name) == size && memcmp(operations[i].name, operation, size) == 0) {
			*ret_class = operations[i].class_uid;
			*ret_activity = operations[i].activity_id;
			return;
		}
}

void sg_record_hash(const void *data, size_t size, char hash[static SG_RECORD_HASH_SIZE])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, data, size);
	sodium_bin2hex(hash, SG_RECORD_HASH_SIZE, digest, sizeof(digest));
}

static const char *const type_names[SG_RECORD_TYPES_] = {
	[SG_RECORD_TYPE_U64] = "number",
	[SG_RECORD_TYPE_I64] = "number",
	[SG_RECORD_TYPE_TIME] = "string, RFC 3339",
	[SG_RECORD_TYPE_FLAG] = "true",
	[SG_RECORD_TYPE_ERRNO] = "string",
	[SG_RECORD_TYPE_VERDICT] = "string",
	[SG_RECORD_TYPE_TEXT] = "string",
	[SG_RECORD_TYPE_LIST] = "array of strings",
	[SG_RECORD_TYPE_ANCESTORS] = "array of {pid, program}",
};

struct sg_record_field_row sg_record_field_row(enum sg_record_field field)
{
	const struct sg_record_field_entry *entry = &sg_record_fields[field];

	return (struct sg_record_field_row){.group = entry->group,
					    .name = entry->name,
					    .type = type_names[entry->type],
					    .kinds = entry->kinds,
					    .always = entry->always,
					    .ocsf = entry->ocsf,
					    .text = entry->text};
}

static void describe_kinds_of(uint32_t kinds, struct sg_buffer *out)
{
	const char *between = "";

	if (kinds == ALL) {
		sg_buffer_append_text(out, "all");
		return;
	}
	for (unsigned int i = 1; i < SG_RECORD_KINDS_; i++)
		if ((kinds & (1U << i)) != 0) {
			sg_buffer_printf(out, "%s%s", between, sg_record_kinds[i].name);
			between = ", ";
		}
}

void sg_record_describe(struct sg_buffer *out)
{
	sg_buffer_append_text(out, "| kind | class_uid | activity_id | severity_id | meaning |\n| --- | --- "
				   "| --- | --- | --- |\n");
	for (unsigned int i = 1; i < SG_RECORD_KINDS_; i++) {
		const struct sg_record_kind_entry *kind = &sg_record_kinds[i];

		sg_buffer_printf(out, "| `%s` | ", kind->name);
		if (kind->class_uid == 0 && kind->activity_id == 0)
			sg_buffer_append_text(out, "by operation | by operation");
		else
			sg_buffer_printf(out, "%u | %u", kind->class_uid, kind->activity_id);
		sg_buffer_printf(out, " | %u | %s |\n", kind->severity_id, kind->text);
	}
	sg_buffer_append_text(out, "\n| verdict | meaning |\n| --- | --- |\n");
	for (unsigned int i = 1; i < SG_RECORD_VERDICTS_; i++)
		sg_buffer_printf(out, "| `%s` | %s |\n", verdicts[i].name, verdicts[i].text);
	sg_buffer_append_text(out, "\n| field | type | kinds | written | at most, bytes | OCSF | meaning |\n"
				   "| --- | --- | --- | --- | --- | --- | --- |\n");
	for (unsigned int i = 0; i < SG_RECORD_FIELDS_; i++) {
		const struct sg_record_field_entry *field = &sg_record_fields[i];

		sg_buffer_printf(out, "| `%s%s%s` | %s | ", field->group, field->group[0] == '\0' ? "" : ".",
				 field->name, type_names[field->type]);
		describe_kinds_of(field->kinds, out);
		sg_buffer_printf(out, " | %s | ", field->always ? "always" : "when set");
		if (field->limit > 8)
			sg_buffer_printf(out, "%u", field->limit);
		sg_buffer_printf(out, " | %s | %s |\n", field->ocsf, field->text);
	}
	sg_buffer_append_text(out, "\n| operation | class_uid | activity_id |\n| --- | --- | --- |\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(operations); i++)
		sg_buffer_printf(out, "| `%s` | %u | %u |\n", operations[i].name, operations[i].class_uid,
				 operations[i].activity_id);
	sg_buffer_append_text(out, "| any other | 1003 | 4 |\n");
}
