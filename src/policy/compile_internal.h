/* What the files of the policy compiler share. */
#pragma once

#include "policy/compile.h"

/* One [Define.x]. Its statements are statements[first] .. [first + count - 1] of `profile` (they stand together). */
struct sg_definition {
	const char *name;
	const struct sg_profile *profile;
	size_t first, count;
	const char *category; /* the section that it belongs to, or NULL: any */
	bool builtin;
	bool granting, denying; /* being expanded: met again, it is a cycle */
	bool granted, denied;   /* expanded */
};

struct sg_compiler {
	struct sg_policy *policy;
	size_t capacity; /* of policy->rules */
	size_t own_count; /* the first profiles of the policy are those given and what they extend; then the built-in flags */
	const struct sg_variables *variables;
	struct sg_diagnostics *diagnostics;
	struct sg_definition *definitions; /* sorted by name */
	size_t definition_count;
	int status; /* a fault met on the way, as -ENOMEM */
};

/* Adds an error at the place of the statement's value, with a hint (may be NULL). */
void sg_compile_complain(struct sg_compiler *compiler, const struct sg_statement *statement, const char *hint,
			 const char *format, ...) SG_PRINTF(4, 5);

/*
 * Reads a text (taken over) as a further profile of the policy; what is wrong with it is complained of. A built-in flag's must be
 * right. Returns 0 or a negative errno value.
 */
int sg_compile_add_profile(struct sg_compiler *compiler, struct sg_source *source, bool builtin);

/* Reads what the profiles extend, and what those do (sg_policy_compile). Returns 0 or a negative errno value. */
int sg_compile_read_extended(struct sg_compiler *compiler, sg_profile_opener opener, void *data);

/* Appends a rule of that kind for a statement. NULL: compiler->status is set. Valid until the next one. */
struct sg_rule *sg_compile_add(struct sg_compiler *compiler, enum sg_rule_kind kind,
			       const struct sg_statement *statement, const char *flag);

/* One statement as a rule of `kind`: variables filled in, globs parsed, checked by itself. */
void sg_compile_statement(struct sg_compiler *compiler, enum sg_rule_kind kind, const struct sg_statement *statement,
			  const char *flag);

/*
 * A statement of [Label], [Walls] or [Privileged], which means something only together with others: with it those of its list or
 * table are one rule, whose text says all of them. Returns how many statements that were (`count`: up to the profile's end).
 */
size_t sg_compile_together(struct sg_compiler *compiler, const struct sg_statement *statements, size_t count);

/* Complains of labels that walls name and that no profile defines. */
void sg_compile_check_walls(struct sg_compiler *compiler);

/* Parses the pattern of an ADDRESS rule that was just added for the statement; a mistake is shown at its bytes. */
void sg_compile_address(struct sg_compiler *compiler, const struct sg_statement *statement, struct sg_rule *rule);

/* Gathers every [Define.x]; two that differ, or one that shadows a built-in flag, are errors. Returns 0 or -errno. */
int sg_compile_collect_flags(struct sg_compiler *compiler);

/* A statement of Flags or DenyFlags outside of definitions: the rules of the flag and of the flags in it. */
void sg_compile_flag(struct sg_compiler *compiler, const struct sg_statement *statement);

/*
 * After everything else: the rules of the profiles' own flags that nothing uses, so that an error in them is found too. They are
 * no part of the policy: the caller takes them off again.
 */
void sg_compile_unused(struct sg_compiler *compiler);

/*
 * Complains of each ReadOnly glob that lies wholly inside a ReadWrite one of the same file: it looks as if it forbade
 * writing, and forbids nothing.
 */
void sg_compile_check_inside(struct sg_compiler *compiler);

/* The checks that look at several rules at once. */
void sg_compile_check(struct sg_compiler *compiler);
