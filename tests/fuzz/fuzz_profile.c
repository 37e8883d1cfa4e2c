/*
 * Any bytes as a profile: it is refused with something to show for it, or there is a policy, the same one every time, with
 * rules in the promised order that point into texts that are there.
 */
#include <string.h>

#include "base/text.h"
#include "profile.h"

static void check_rules(const struct sg_policy *policy)
{
	check(policy->first[0] == 0 && policy->first[SG_RULE_KINDS] == policy->rule_count, "the index of kinds");
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i], *next = rule + 1;

		check((unsigned int)rule->kind < SG_RULE_KINDS && i >= policy->first[rule->kind] &&
			      i < policy->first[rule->kind + 1],
		      "a rule that is not among its kind");
		check(rule->text != NULL && rule->written != NULL && rule->source != NULL, "a rule without a text");
		check(rule->span.offset <= rule->source->size &&
			      rule->span.length <= rule->source->size - rule->span.offset,
		      "a place outside of the text");
		check(i + 1 == policy->rule_count || rule->kind < next->kind ||
			      (rule->kind == next->kind && strcmp(rule->text, next->text) <= 0),
		      "rules that are not sorted");
		check(sg_policy_find(policy, rule->kind, rule->text) != NULL, "a rule that is not found");
	}
}

static void check_rendered(struct sg_diagnostics *diagnostics)
{
	SG_AUTO_BUFFER struct sg_buffer rendered = SG_BUFFER_INIT;

	sg_diagnostics_render(diagnostics, &rendered);
	check(sg_buffer_status(&rendered) == 0 && rendered.size > 0, "nothing to show");
	check(sg_text_is_utf8(rendered.data, rendered.size), "not UTF-8");
	for (size_t i = 0; i < rendered.size; i++)
		check((unsigned char)rendered.data[i] >= 0x20 || rendered.data[i] == '\n',
		      "a control character is shown");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics first = SG_DIAGNOSTICS_INIT, second = SG_DIAGNOSTICS_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL, *again = NULL;

	if (compile((const char *)data, size, NULL, 0, &first, &policy) != 0) {
		check_rendered(&first);
		return 0;
	}
	check_rules(policy);
	/* Said twice, it means the same. */
	if (compile((const char *)data, size, (const char *)data, size, &second, &again) == 0)
		check(policy->rule_count == again->rule_count &&
			      memcmp(policy->hash, again->hash, sizeof(policy->hash)) == 0,
		      "the same text twice is another policy");
	else
		check_rendered(&second);
	return 0;
}
