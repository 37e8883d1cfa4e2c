/* Address rules: the pattern parsed once, where a mistake can still be shown at its place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/addresspattern.h"
#include "policy/compile_internal.h"

static enum sg_addresspattern_use use_of(enum sg_rule_kind kind)
{
	return kind == SG_RULE_LISTEN         ? SG_ADDRESSPATTERN_LISTEN
	       : kind == SG_RULE_DENY_ADDRESS ? SG_ADDRESSPATTERN_DENY
					      : SG_ADDRESSPATTERN_ALLOW;
}

/* Shows `length` bytes at `offset` of the pattern, where the value is written plainly: without escapes or
 * variables. */
static void complain(struct sg_compiler *compiler, const struct sg_statement *statement, const struct sg_rule *rule,
		     size_t offset, size_t length, const char *message, const char *hint)
{
	struct sg_statement exact = *statement;

	if (rule->text == statement->text && statement->span.length == statement->size + 2) {
		exact.span.offset += 1 + (uint32_t)offset;
		exact.span.length = (uint32_t)length;
	}
	sg_compile_complain(compiler, &exact, hint[0] != '\0' ? hint : NULL, "%s", message);
}

static void complain_pattern(struct sg_compiler *compiler, const struct sg_statement *statement,
			     const struct sg_rule *rule, const struct sg_addresspattern_problem *problem)
{
	char hint[sizeof(problem->suggestion) + 32] = "";

	if (problem->suggestion[0] != '\0')
		(void)snprintf(hint, sizeof(hint), "write \"%s\" there", problem->suggestion);
	complain(compiler, statement, rule, problem->offset, problem->length, problem->message, hint);
}

void sg_compile_address(struct sg_compiler *compiler, const struct sg_statement *statement, struct sg_rule *rule)
{
	struct sg_addresspattern_problem problem;
	struct sg_addresspattern *pattern = malloc(sizeof(*pattern));
	struct sg_glob_error error;
	int status = pattern == NULL ? -ENOMEM
				     : sg_addresspattern_parse(rule->text, strlen(rule->text), use_of(rule->kind),
							       pattern, &problem);

	if (status < 0) {
		free(pattern);
		if (status == -EINVAL)
			complain_pattern(compiler, statement, rule, &problem);
		else
			compiler->status = status;
		return;
	}
	rule->address = pattern;
	if (pattern->kind != SG_HOST_UNIX_PATH)
		return;
	/* A path is a glob of files: it is matched as those are. */
	status = sg_glob_parse(pattern->path, pattern->path_length, &error, &rule->glob);
	if (status == -EINVAL)
		complain(compiler, statement, rule, strlen(rule->text) - pattern->path_length + error.offset,
			 error.length, error.message, error.suggestion);
	else if (status < 0)
		compiler->status = status;
}
