#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/exporters.h"
#include "export/places.h"

const struct sg_exporter *const sg_exporters[] = {
#define SG_EXPORTER(variable) &variable,
#include "export/exporters.def"
#undef SG_EXPORTER
};
const size_t sg_exporter_count = SG_ARRAY_SIZE(sg_exporters);

const struct sg_exporter *sg_exporter_find(const char *name, size_t length)
{
	for (size_t i = 0; i < sg_exporter_count; i++)
		if (strlen(sg_exporters[i]->name) == length && strncmp(sg_exporters[i]->name, name, length) == 0)
			return sg_exporters[i];
	return NULL;
}

/* Kinds that state nothing which could be held or not: names, words, and what other rules were made of. */
static const bool says_nothing[SG_RULE_KINDS] = {
	[SG_RULE_NEED_FLAG] = true, [SG_RULE_NEED_SYSCALL] = true, [SG_RULE_ACCEPT] = true,
	[SG_RULE_BOUND] = true,     [SG_RULE_EXTENDS] = true,      [SG_RULE_PROFILE_NAME] = true,
	[SG_RULE_TEST] = true,      [SG_RULE_DESCRIPTION] = true,  [SG_RULE_CATEGORY] = true,
};

/* What a flag stands for where it came with one. */
static const bool is_of_flag[SG_RULE_KINDS] = {
	[SG_RULE_FLAG] = true,
	[SG_RULE_SYSCALL] = true,
	[SG_RULE_CAPABILITY] = true,
};

bool sg_export_is_judged(const struct sg_rule *rule)
{
	return !says_nothing[rule->kind] && !(rule->flag != NULL && is_of_flag[rule->kind]);
}

int sg_export_prepare(const struct sg_policy *policy, const struct sg_exporter *exporter, struct sg_export *ret)
{
	int status = 0;

	*ret = (struct sg_export){.policy = policy, .exporter = exporter};
	ret->rules = calloc(policy->rule_count + 1, sizeof(*ret->rules));
	if (ret->rules == NULL)
		return -ENOMEM;
	if (exporter->open != NULL)
		status = exporter->open(ret);
	if (status == 0 && exporter->mounts) {
		ret->places = calloc(1, sizeof(*ret->places));
		status = ret->places == NULL ? -ENOMEM : sg_places_find(policy, ret->places);
	}
	if (status < 0)
		return status;
	for (size_t i = 0; i < policy->rule_count; i++)
		/* No back end knows what a world has seen, and none has somebody to ask. */
		if (sg_policy_means_together(policy->rules[i].kind))
			ret->rules[i] =
				(struct sg_hold){SG_HOLDS_NOT, "it takes a session, which knows what it has seen"};
		else if (sg_export_is_judged(&policy->rules[i]))
			ret->rules[i] = exporter->judge(ret, &policy->rules[i]);
	for (int rest = 0; rest < SG_RESTS_; rest++)
		ret->rests[rest] = exporter->judge_rest(ret, (enum sg_export_rest)rest);
	return 0;
}

void sg_export_done(struct sg_export *with)
{
	if (with->places != NULL)
		sg_places_done(with->places);
	free(with->places);
	if (with->exporter != NULL && with->exporter->close != NULL)
		with->exporter->close(with);
	free(with->rules);
	with->places = NULL;
	with->rules = NULL;
}

enum sg_holding sg_export_rule_together(const struct sg_export *exports, size_t count, size_t rule)
{
	enum sg_holding best = SG_HOLDS_NOT;

	for (size_t i = 0; i < count; i++)
		if (exports[i].rules[rule].holding > best)
			best = exports[i].rules[rule].holding;
	return best;
}

enum sg_holding sg_export_rest_together(const struct sg_export *exports, size_t count, enum sg_export_rest rest)
{
	enum sg_holding best = SG_HOLDS_NOT;

	for (size_t i = 0; i < count; i++)
		if (exports[i].rests[rest].holding > best)
			best = exports[i].rests[rest].holding;
	return best;
}

bool sg_export_is_weaker(const struct sg_export *exports, size_t count)
{
	const struct sg_policy *policy = exports[0].policy;

	for (size_t i = 0; i < policy->rule_count; i++)
		if (sg_export_is_judged(&policy->rules[i]) &&
		    sg_export_rule_together(exports, count, i) < SG_HOLDS_STRICTER)
			return true;
	for (int rest = 0; rest < SG_RESTS_; rest++)
		if (sg_export_rest_together(exports, count, (enum sg_export_rest)rest) < SG_HOLDS_STRICTER)
			return true;
	return false;
}
