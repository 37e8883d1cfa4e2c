/* Policies from texts that need no other profile, and ones made at random. */
#pragma once

#include <errno.h>

#include "base/buffer.h"
#include "glob_generate.h"
#include "policy/compile.h"

static int no_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	(void)data;
	(void)from;
	(void)ret;
	return sg_error_set(error, -ENOENT, "%s", name);
}

/* NULL: it is no profile. */
static struct sg_policy *policy_of_text(const char *text, size_t length, const char *cwd)
{
	const struct sg_variables variables = {
		.cwd = cwd, .home = "/home/somebody", .user = "somebody", .uid = "1000", .runtime = "/run/user/1000"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;
	struct sg_policy *policy = NULL;
	int status;

	assert_int_equal(sg_source_new("test.toml", text, length, &source), 0);
	status = sg_policy_compile(&source, 1, &variables, no_profile, NULL, &diagnostics, &policy, &error);
	assert_true(status >= 0);
	if (status == 0)
		return policy;
	sg_policy_free(policy);
	return NULL;
}

/* File rules of every kind; not every text is a profile. */
static void generate_policy(struct generator *generator, unsigned int number, struct sg_buffer *out)
{
	static const char *const keys[] = {"ReadOnly",  "ReadWrite", "Exec",      "Map",        "Deny", "DenyRead",
					   "DenyWrite", "DenyExec",  "LogOnRead", "LogOnWrite", "Hide"};
	char glob[128];

	sg_buffer_printf(out, "Name = \"p%06u\"\n[Filesystem]\nFlags = [%s]\n", number,
			 generate_below(generator, 2) == 0 ? "\"links\", \"locks\"" : "");
	for (size_t i = 0; i < SG_ARRAY_SIZE(keys); i++) {
		if (generate_below(generator, 2) == 0)
			continue;
		sg_buffer_printf(out, "%s = [", keys[i]);
		for (uint32_t left = 1 + generate_below(generator, 2); left > 0; left--) {
			glob[generate_glob(generator, glob)] = '\0';
			sg_buffer_printf(out, "'%s',", glob);
		}
		sg_buffer_append_text(out, "]\n");
	}
	sg_buffer_append_byte(out, '\0');
}
