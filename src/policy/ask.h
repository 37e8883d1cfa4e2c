/*
 * Questions about a policy, answered without running anything: may a world of it ever read that file, connect to that address?
 *
 * What decides is what decides in a session: sg_decide, sg_decide_address and the tables that the filter is made from. A session
 * adds what only it knows: what a name leads to behind symbolic links of the host, the addresses that were answered for names, modes
 * and owners. So a yes means that the policy does not stand in the way, and a no that it does, whatever the host is like; but for the
 * words `internet` and `host`, which mean this host's addresses, as they do at its start. Nothing here prints.
 */
#pragma once

#include "policy/decide_address.h"
#include "policy/proposal.h"
#include "policy/variables.h"
#include "tables/actions.h"

/* True for what a world may do, now or once a name is answered. */
static inline bool sg_outcome_may(enum sg_outcome outcome)
{
	return outcome == SG_OUTCOME_ALLOW || outcome == SG_OUTCOME_OWN || outcome == SG_OUTCOME_ANSWERED;
}

enum { SG_ANSWER_NOTES_MAX = 6 };

struct sg_answer {
	enum sg_outcome outcome;
	enum sg_action action;
	const struct sg_rule *rule;             /* that allowed or refused it, or allows less; NULL: none names it */
	const char *reason;                     /* in words, without a full stop; static, the policy's, or `text` */
	bool record;                            /* LogOnRead or LogOnWrite ask for a record */
	struct sg_buffer object;                /* what was asked about, variables filled in */
	const char *notes[SG_ANSWER_NOTES_MAX]; /* sentences; static */
	size_t note_count;
	const struct sg_rule *beside; /* the rule that the last note is about, or NULL */
	struct sg_proposal proposal;  /* DENY, HIDE: what would allow it */
	char text[256];
};

/* Frees what an answer holds. Also of one that was not filled in, if it is zero. */
void sg_answer_done(struct sg_answer *answer);
#define SG_AUTO_ANSWER SG_CLEANUP(sg_answer_done)

/* A question that is none: what is wrong with it. */
struct sg_ask_problem {
	char message[320]; /* one line without a full stop; not escaped */
	char hint[384];    /* or "" */
};

/* What is not the policy's; borrowed. */
struct sg_ask_context {
	const struct sg_variables *variables;
	const struct sg_address_environment
		*environment; /* this host's addresses; NULL: not known, nothing is `internet` */
	const char *const *passed,
		*const *set; /* the variables that pass always, that every world is given; NULL-terminated */
};

struct sg_asker;

/*
 * Makes ready for any number of questions. The policy outlives it, and gets the flags that it does not name read too
 * (sg_policy_read_flags): for what would help. Returns 0 with *ret (sg_asker_free), or a negative errno value.
 */
SG_MUST_USE int sg_asker_new(struct sg_policy *policy, const struct sg_ask_context *context, struct sg_asker **ret);
void sg_asker_free(struct sg_asker *asker);
SG_DEFINE_AUTO(struct sg_asker, asker, sg_asker_free)
#define SG_AUTO_ASKER SG_CLEANUP(sg_auto_asker)

/* The question has no answer: *problem says what is wrong with it. */
enum { SG_ASK_REFUSED = 1 };

/*
 * Asks. `object` is what the action's argument names: variables are filled in, and everything else stands for itself, wildcards too.
 * Returns 0 with *ret (sg_answer_done), SG_ASK_REFUSED with *problem, or a negative errno value.
 */
SG_MUST_USE int sg_ask(struct sg_asker *asker, enum sg_action action, const char *object, struct sg_answer *ret,
		       struct sg_ask_problem *problem);
