/* The rows of records.def as data, for the encoder, the emitter and the describer. Private to src/audit. */
#pragma once

#include "audit/record.h"

enum sg_record_type {
	SG_RECORD_TYPE_U64,
	SG_RECORD_TYPE_I64,
	SG_RECORD_TYPE_TIME,
	SG_RECORD_TYPE_FLAG,
	SG_RECORD_TYPE_ERRNO,
	SG_RECORD_TYPE_VERDICT,
	SG_RECORD_TYPE_TEXT,
	SG_RECORD_TYPE_LIST,
	SG_RECORD_TYPE_ANCESTORS,
	SG_RECORD_TYPES_
};

struct sg_record_field_entry {
	const char *group;
	const char *name;
	const char *ocsf;
	const char *text;
	enum sg_record_type type;
	uint32_t kinds;
	uint32_t limit;
	uint32_t offset; /* in struct sg_record */
	bool always;
};

struct sg_record_kind_entry {
	const char *name;
	const char *text;
	unsigned int class_uid;
	unsigned int activity_id;
	unsigned int severity_id;
};

extern const struct sg_record_field_entry sg_record_fields[SG_RECORD_FIELDS_];
extern const struct sg_record_kind_entry sg_record_kinds[SG_RECORD_KINDS_]; /* [SG_RECORD_NONE] is empty */

/* Sets class and activity of a decision about `operation`; Kernel Activity: Invoke for one that is not in the
 * table. */
void sg_record_operation_class(const char *operation, size_t size, unsigned int *ret_class, unsigned int *ret_activity);
