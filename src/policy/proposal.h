/* The smallest change of a profile that would allow what was refused, from what the record says. */
#pragma once

#include "base/buffer.h"

/* What a record says of a refusal. Every text is set, "" where the record has none. */
struct sg_refusal {
	const char *operation, *access, *object, *named, *error, *reason, *needs;
	const char *rule_file, *rule_key, *rule_text, *rule_flag;
};

enum sg_proposal_kind {
	SG_PROPOSAL_LINE,   /* `section`.`key` gets `value` */
	SG_PROPOSAL_DENIED, /* a rule refuses it: nothing that widens is proposed */
	SG_PROPOSAL_HIDDEN, /* hidden: nothing is said that the caller could not know */
	SG_PROPOSAL_NEVER,  /* no profile can allow it */
	SG_PROPOSAL_NONE,   /* no single line that is known to be enough */
};

struct sg_proposal {
	enum sg_proposal_kind kind;
	const char *section, *key; /* LINE: static */
	struct sg_buffer value;    /* LINE: the element of the key's list, not quoted; owned */
};

#define SG_PROPOSAL_INIT ((struct sg_proposal){.kind = SG_PROPOSAL_NONE})

/* Frees the value; not the proposal itself. */
void sg_proposal_done(struct sg_proposal *proposal);

/* Works it out. `ret` is given to sg_proposal_done in every case. Pure but for the value's memory. Returns 0
 * or -ENOMEM. */
int sg_propose(const struct sg_refusal *refusal, struct sg_proposal *ret);
