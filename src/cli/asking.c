#include "cli/asking.h"

#include <string.h>

#include "network/hostaddrs.h"
#include "policy/words.h"
#include "world/environment.h"

void sg_asking_done(struct sg_asking *asking)
{
	sg_asker_free(asking->asker);
	sg_policy_free(asking->policy);
	sg_hostaddrs_free(asking->host);
}

int sg_asking_load(const char *const *names, size_t count, struct sg_asking *ret)
{
	SG_AUTO_ASKING struct sg_asking asking = {0};
	struct sg_ask_context context = {
		.variables = sg_variables_of_caller(), .passed = sg_environment_passed, .set = sg_environment_set};
	struct sg_error error = SG_ERROR_INIT;
	int status;

	if (context.variables == NULL) {
		sg_complain("the working directory is gone, or lies outside of what we see");
		return SG_EXIT_FAILED;
	}
	status = sg_load_policy(names, count, NULL, context.variables, &asking.policy);
	if (status != 0)
		return status == SG_EXIT_NO ? SG_EXIT_USAGE : status;
	/* As in a session: without the list no rule with `internet` or `host` grants anything. */
	if (sg_hostaddrs_new(&asking.host, &error) == 0)
		context.environment = sg_hostaddrs_environment(asking.host);
	else
		asking.host = NULL;
	if (sg_asker_new(asking.policy, &context, &asking.asker) < 0) {
		sg_complain("out of memory");
		return SG_EXIT_FAILED;
	}
	*ret = asking;
	asking = (struct sg_asking){0};
	return 0;
}

void sg_asking_rule(const struct sg_rule *rule, struct sg_buffer *out)
{
	sg_words_rule(rule, out);
	sg_buffer_append_text(out, " (");
	sg_words_place(rule, true, out);
	sg_buffer_append_byte(out, ')');
	if (rule->flag != NULL) {
		sg_buffer_append_text(out, " of the flag \"");
		sg_buffer_append_escaped(out, rule->flag, strlen(rule->flag));
		sg_buffer_append_byte(out, '"');
	}
}

void sg_asking_rule_json(const struct sg_rule *rule, struct sg_buffer *out)
{
	struct sg_position position;

	if (rule == NULL) {
		sg_buffer_append_text(out, "null");
		return;
	}
	position = sg_source_locate(rule->source, rule->span.offset);
	sg_buffer_append_text(out, "{\"file\":");
	sg_buffer_append_json(out, rule->source->name, strlen(rule->source->name));
	sg_buffer_printf(out, ",\"line\":%zu,\"column\":%zu,\"key\":\"%s\",\"text\":", position.line, position.column,
			 sg_rule_infos[rule->kind].name);
	sg_buffer_append_json(out, rule->written, strlen(rule->written));
	if (rule->flag != NULL) {
		sg_buffer_append_text(out, ",\"flag\":");
		sg_buffer_append_json(out, rule->flag, strlen(rule->flag));
	}
	sg_buffer_append_byte(out, '}');
}
