/* What the files of policy/ask.h share. */
#pragma once

#include "policy/ask.h"

struct sg_asker {
	struct sg_policy *policy;
	struct sg_ask_context context;
	struct sg_globset *set;
	struct sg_matcher *names;
	struct sg_address_rules addresses;
};

/* One question under way. */
struct sg_question {
	struct sg_asker *asker;
	const char *object; /* variables filled in */
	size_t length;
	struct sg_answer *answer;
	struct sg_ask_problem *problem;
};

typedef int (*sg_ask_function)(struct sg_question *question);

/* Each answers one action; returned as by sg_ask. */
int sg_ask_file(struct sg_question *question);
int sg_ask_see(struct sg_question *question);
int sg_ask_connect(struct sg_question *question);
int sg_ask_listen(struct sg_question *question);
int sg_ask_resolve(struct sg_question *question);
int sg_ask_syscall(struct sg_question *question);
int sg_ask_capability(struct sg_question *question);
int sg_ask_variable(struct sg_question *question);
int sg_ask_flag(struct sg_question *question);

/* Sets the problem; returns SG_ASK_REFUSED. */
int sg_ask_refuse(struct sg_question *question, const char *hint, const char *format, ...) SG_PRINTF(3, 4);

/* Sets outcome, rule and reason. */
void sg_ask_decided(struct sg_question *question, enum sg_outcome outcome, const struct sg_rule *rule,
		    const char *reason);
void sg_ask_note(struct sg_question *question, const char *note);

/* The one line of a profile that would allow it. */
void sg_ask_propose(struct sg_question *question, const char *section, const char *key, const char *value);

/* True if the policy gives the system call. */
bool sg_ask_has_call(const struct sg_asker *asker, const char *name);

/* A file name: absolute, without "." and "..". Returns 0 or SG_ASK_REFUSED. */
int sg_ask_check_name(struct sg_question *question, const char *name, size_t length);
