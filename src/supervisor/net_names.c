/*
 * Names: the session's resolver on the world's own loopback.
 *
 * Its sockets were made in the world's network before any code of the world ran; its questions leave from the
 * host's. What is asked there is a name that the policy allows, and its type: no other byte of the world's.
 * Every question is on the record; one that cannot be recorded is not asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "supervisor/network.h"

static void append_name(struct sg_buffer *text, const struct sg_resolver_event *event)
{
	if (event->question != NULL)
		sg_buffer_append_text(text, event->question->name.text);
	else
		sg_buffer_append_text(text, "what is no host name");
}

enum { ANSWERS_MAX = 64 };

/* The addresses that the world is shown. */
static void list_answers(const struct sg_resolver_event *event, char texts[ANSWERS_MAX][INET6_ADDRSTRLEN],
			 struct sg_record_text items[ANSWERS_MAX], struct sg_record_list *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < event->address_count && count < ANSWERS_MAX; i++) {
		const struct sg_address *address = &event->addresses[i];

		if (address->family != AF_UNIX &&
		    inet_ntop(address->family, address->bytes, texts[count], INET6_ADDRSTRLEN) != NULL) {
			items[count] = sg_record_text(texts[count]);
			count++;
		}
	}
	*ret = (struct sg_record_list){items, count};
}

static int record(void *data, const struct sg_resolver_event *event)
{
	const struct sg_network *network = data;
	const struct sg_supervisor *supervisor = network->supervisor;
	const bool granted = event->outcome == SG_RESOLVER_ANSWERED || event->outcome == SG_RESOLVER_LOCAL;
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
	char texts[ANSWERS_MAX][INET6_ADDRSTRLEN];
	struct sg_record_text answers[ANSWERS_MAX];
	struct sg_record entry = {.kind = granted ? SG_RECORD_GRANT : SG_RECORD_REFUSAL,
				  .world = 1,
				  .audience = sg_record_text("owner"),
				  .operation = sg_record_text("look up"),
				  .verdict = granted ? SG_RECORD_VERDICT_ALLOW : SG_RECORD_VERDICT_DENY,
				  .error = granted ? 0 : ENOENT};
	const char *const reasons[] = {
		[SG_RESOLVER_ANSWERED] = "a rule allows it",
		[SG_RESOLVER_LOCAL] = "it is answered on this host",
		[SG_RESOLVER_REFUSED] = "no rule allows this name",
		[SG_RESOLVER_ODD] = "the session's resolver does not answer such a question",
		[SG_RESOLVER_WITHHELD] = "its answer leads where no rule allows",
		[SG_RESOLVER_FAILED] = "no server answered",
	};
	const char *reason = reasons[event->outcome];

	if (granted)
		list_answers(event, texts, answers, &entry.answers);
	append_name(&name, event);
	if (event->question != NULL && event->rule < supervisor->policy->rule_count) {
		const struct sg_rule *rule = &supervisor->policy->rules[event->rule];
		struct sg_position position = sg_source_locate(rule->source, rule->span.offset);

		entry.rule_file = sg_record_text(rule->source->name);
		entry.rule_line = position.line;
		entry.rule_column = position.column;
		entry.rule_key = sg_record_text(sg_rule_infos[rule->kind].name);
		entry.rule_text = sg_record_text(rule->written);
		if (event->outcome == SG_RESOLVER_REFUSED)
			reason = "a rule denies it";
	}
	if (network->cut && event->outcome == SG_RESOLVER_FAILED)
		reason = SG_NET_CUT_REASON;
	if (sg_buffer_status(&name) < 0)
		return -ENOMEM;
	entry.object = sg_record_text(name.data);
	entry.reason = sg_record_text(reason);
	if (event->outcome == SG_RESOLVER_REFUSED || event->outcome == SG_RESOLVER_WITHHELD) {
		SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;

		sg_buffer_append_text(&line, "a program may not look up ");
		sg_buffer_append_escaped(&line, name.data, name.size);
		sg_buffer_printf(&line, ": %s. More: shellguard why", reason);
		if (sg_buffer_status(&line) == 0)
			sg_notice(network->supervisor->control, line.data, line.size);
	}
	return sg_audit_append(supervisor->audit, &entry, NULL);
}

int sg_net_names_start(struct sg_network *network, struct sg_error *error)
{
	int *sockets = network->supervisor->world.sockets;
	struct sg_resolver_policy policy = {.record = record, .record_data = network};
	int status;

	if (!network->rules.resolves)
		return 0;
	sg_namerules_policy(&network->namerules, &policy);
	status = sg_dnsserver_new(sockets[SG_LOOPBACK_UDP], sockets[SG_LOOPBACK_TCP], &network->configuration,
				  network->hosts, network->names, &policy, NULL, &network->server, error);
	if (status == 0)
		sockets[SG_LOOPBACK_UDP] = sockets[SG_LOOPBACK_TCP] = -1; /* the server's now */
	return status;
}
