/*
 * What profiles extend, and what those do: each text is read once.
 *
 * A circle is an error. Since a text is read once, it would end by itself; but whoever writes one believes that one of the profiles
 * stands below the other. The number of profiles is bounded, and so is that of the openings that find one which is there already:
 * each is the reading of a file.
 */
#include <string.h>

#include "policy/compile_internal.h"

struct extensions {
	struct {
		const struct sg_statement *statement;
		size_t from, to; /* indices of profiles */
	} edges[SG_POLICY_OPENED_MAX];
	size_t count;
};
_Static_assert(SG_POLICY_EXTENDS_MAX <= 64, "a bit for each profile");

/* The profile of that name, or profile_count. */
static size_t find_source(const struct sg_policy *policy, const struct sg_source *source)
{
	size_t i = 0;

	while (i < policy->profile_count && strcmp(policy->profiles[i]->source->name, source->name) != 0)
		i++;
	return i;
}

static bool are_too_many(struct sg_compiler *compiler, const struct sg_statement *statement,
			 const struct extensions *extensions)
{
	if (compiler->policy->profile_count >= SG_POLICY_EXTENDS_MAX)
		sg_compile_complain(compiler, statement, NULL, "more than %d profiles extend each other",
				    SG_POLICY_EXTENDS_MAX);
	else if (extensions->count >= SG_POLICY_OPENED_MAX)
		sg_compile_complain(compiler, statement, NULL, "more than %d values of Extends", SG_POLICY_OPENED_MAX);
	else
		return false;
	return true;
}

/* Reads what one statement of profile `from` names. Returns 0, 1 when no more may be read, or a negative errno value. */
static int read_one(struct sg_compiler *compiler, size_t from, const struct sg_statement *statement,
		    struct extensions *extensions, sg_profile_opener opener, void *data)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;
	size_t to;

	if (are_too_many(compiler, statement, extensions))
		return 1;
	extensions->edges[extensions->count].statement = statement;
	extensions->edges[extensions->count].from = from;
	extensions->edges[extensions->count].to = to = SIZE_MAX;
	extensions->count++;
	if (opener(data, statement->text, statement->source, &source, &error) < 0) {
		sg_compile_complain(compiler, statement, NULL, "%s", error.text);
		return 0;
	}
	to = find_source(compiler->policy, source);
	extensions->edges[extensions->count - 1].to = to;
	if (to == compiler->policy->profile_count)
		return sg_compile_add_profile(compiler, source, false);
	sg_source_free(source);
	return 0;
}

/* Complains of the values that lead back to a profile that was read before the one that names it: one in each circle at least. */
static void complain_of_circles(struct sg_compiler *compiler, const struct extensions *extensions)
{
	uint64_t reach[SG_POLICY_EXTENDS_MAX] = {0};

	for (size_t i = 0; i < extensions->count; i++)
		if (extensions->edges[i].to != SIZE_MAX)
			reach[extensions->edges[i].from] |= UINT64_C(1) << extensions->edges[i].to;
	for (size_t by = 0; by < SG_POLICY_EXTENDS_MAX; by++)
		for (size_t i = 0; i < SG_POLICY_EXTENDS_MAX; i++)
			if ((reach[i] >> by & 1) != 0)
				reach[i] |= reach[by];
	for (size_t i = 0; i < extensions->count; i++) {
		const size_t from = extensions->edges[i].from, to = extensions->edges[i].to;

		if (to == from)
			sg_compile_complain(compiler, extensions->edges[i].statement, NULL,
					    "a profile cannot extend itself");
		else if (to < from && (reach[to] >> from & 1) != 0)
			sg_compile_complain(compiler, extensions->edges[i].statement, NULL,
					    "\"%s\" extends this profile in turn",
					    extensions->edges[i].statement->text);
	}
}

int sg_compile_read_extended(struct sg_compiler *compiler, sg_profile_opener opener, void *data)
{
	const struct sg_policy *policy = compiler->policy;
	struct extensions extensions = {.count = 0};
	int status = 0;

	/* The list of profiles grows while it is walked; a profile's own statements stay where they are. */
	for (size_t i = 0; i < policy->profile_count && status == 0; i++) {
		const struct sg_profile *profile = policy->profiles[i];

		for (size_t j = 0; j < profile->count && status == 0; j++)
			if (profile->statements[j].kind == SG_RULE_EXTENDS)
				status = read_one(compiler, i, &profile->statements[j], &extensions, opener, data);
	}
	if (status >= 0)
		complain_of_circles(compiler, &extensions);
	return status < 0 ? status : 0;
}
