/*
 * Questions about the network: connect, listen, resolve.
 *
 * A session decides about addresses, and knows which names its resolver answered an address for. Here no name is looked up. So a name
 * is asked about as what its look-up would give: an address like any other outside, which no rule names by its number, answered for
 * that name. And an address that no rule allows by its number may all the same become open by being answered for a name that one
 * allows: that is SG_OUTCOME_ANSWERED. What a name is not believed to have (loopback, this host's own, metadata) never becomes open so.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/addresspattern.h"
#include "policy/ask_internal.h"
#include "policy/names.h"
#include "tables/values.h"

/* The sockets and calls that a protocol takes, and the smallest flag that gives them. */
static const struct gate {
	uint8_t protocol;
	int domain, type, number;
	enum sg_flag flag;
	const char *connects[5], *listens[4]; /* any of those connects; all of these listen */
} gates[] = {
	{SG_PROTOCOL_TCP,
	 AF_INET,
	 SOCK_STREAM,
	 IPPROTO_TCP,
	 SG_FLAG_LOOPBACK,
	 {"connect"},
	 {"socket", "bind", "listen"}},
	{SG_PROTOCOL_UDP,
	 AF_INET,
	 SOCK_DGRAM,
	 IPPROTO_UDP,
	 SG_FLAG_LOOPBACK,
	 {"connect", "sendto", "sendmsg", "sendmmsg"},
	 {"socket", "bind"}},
	{SG_PROTOCOL_ICMP,
	 AF_INET,
	 SOCK_DGRAM,
	 IPPROTO_ICMP,
	 SG_FLAG_PING,
	 {"connect", "sendto", "sendmsg", "sendmmsg"},
	 {"socket", "bind"}},
	{SG_PROTOCOL_UNIX,
	 AF_UNIX,
	 SOCK_STREAM,
	 0,
	 SG_FLAG_UNIX,
	 {"connect", "sendto", "sendmsg", "sendmmsg"},
	 {"socket", "bind", "listen"}},
};

static bool has_socket(const struct sg_policy *policy, const struct gate *gate)
{
	size_t count;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);

	for (size_t i = 0; i < count; i++)
		if (kinds[i].domain == gate->domain && kinds[i].type == gate->type && kinds[i].flag != SG_FLAG_NONE_ &&
		    (kinds[i].protocol == SG_SOCKET_ANY || kinds[i].protocol == gate->number) &&
		    sg_policy_has_flag(policy, sg_flag_name((enum sg_flag)kinds[i].flag)))
			return true;
	return false;
}

static bool has_calls(const struct sg_asker *asker, const struct gate *gate, bool listens)
{
	const char *const *calls = listens ? gate->listens : gate->connects;
	bool any = false, all = true;

	for (; calls[0] != NULL; calls++) {
		const bool has = sg_ask_has_call(asker, calls[0]);

		any |= has;
		all &= has;
	}
	return (listens ? all : any) && sg_ask_has_call(asker, "socket");
}

static const struct sg_rule *find_denied_call(const struct sg_policy *policy, const struct gate *gate, bool listens)
{
	const char *const *calls = listens ? gate->listens : gate->connects;
	const struct sg_rule *rule = sg_policy_find(policy, SG_RULE_DENY_SYSCALL, "socket");

	for (; calls[0] != NULL && rule == NULL; calls++)
		rule = sg_policy_find(policy, SG_RULE_DENY_SYSCALL, calls[0]);
	return rule;
}

/* Whatever addresses are open: without the socket or the call nothing reaches them. Returns false after saying so. */
static bool passes_gate(struct sg_question *question, uint8_t protocol, bool listens)
{
	const struct sg_policy *policy = question->asker->policy;
	const struct gate *gate = gates;
	const struct sg_rule *denied;
	const char *flag;

	while (gate->protocol != protocol)
		gate++;
	if (has_socket(policy, gate) && has_calls(question->asker, gate, listens))
		return true;
	flag = sg_flag_name(gate->flag);
	denied = sg_policy_find(policy, SG_RULE_DENY_FLAG, flag);
	if (denied == NULL)
		denied = find_denied_call(policy, gate, listens);
	sg_ask_decided(question, SG_OUTCOME_DENY, denied,
		       denied != NULL ? "a rule denies the sockets or calls that it takes"
				      : "none of the profile's flags gives the sockets that it takes");
	if (denied == NULL)
		sg_ask_propose(question, "Networking", "Flags", flag);
	else
		question->answer->proposal.kind = SG_PROPOSAL_DENIED;
	return false;
}

/* --- what is asked about --- */

static const char forms[] = "write tcp:HOST:PORT, udp:HOST:PORT, icmp:HOST, unix:/PATH or unix:@NAME";

static int parse(struct sg_question *question, enum sg_addresspattern_use use, struct sg_addresspattern *ret)
{
	struct sg_addresspattern_problem problem;
	int status = sg_addresspattern_parse(question->object, question->length, use, ret, &problem);

	if (status == -EINVAL)
		return sg_ask_refuse(question, problem.suggestion[0] != '\0' ? problem.suggestion : forms, "%s",
				     problem.message);
	if (status < 0)
		return status;
	if (ret->kind == SG_HOST_UNIX_PATH || ret->kind == SG_HOST_UNIX_ABSTRACT)
		return 0;
	if ((ret->protocols & (ret->protocols - 1)) != 0 ||
	    (ret->protocols != SG_PROTOCOL_ICMP && (ret->port_count != 1 || ret->ports[0].low != ret->ports[0].high)))
		status = sg_ask_refuse(question, forms, "\"%s\" is more than one address: ask about one",
				       question->object);
	if (status != 0)
		sg_addresspattern_done(ret);
	return status;
}

static struct sg_address make_address(const struct sg_addresspattern *pattern, int family, const void *bytes)
{
	struct sg_address address;

	sg_address_from_ip(family, bytes, &address);
	address.protocol = pattern->protocols;
	address.port = pattern->port_count > 0 ? pattern->ports[0].low : 0;
	return address;
}

static struct sg_address make_abstract(const struct sg_addresspattern *pattern)
{
	struct sg_address address = {.family = AF_UNIX, .protocol = SG_PROTOCOL_UNIX, .abstract = true};

	address.name_length =
		(uint16_t)(pattern->path_length < SG_ADDRESS_UNIX_MAX ? pattern->path_length : SG_ADDRESS_UNIX_MAX - 1);
	memcpy(address.name, pattern->path, address.name_length);
	return address;
}

/* --- sockets by path --- */

static int check_path(struct sg_question *question, const struct sg_addresspattern *pattern)
{
	if (pattern->path[pattern->path_length - 1] == '/')
		return sg_ask_refuse(question, NULL, "a folder is no socket: \"%s\"", pattern->path);
	return sg_ask_check_name(question, pattern->path, pattern->path_length);
}

static bool is_hidden(struct sg_question *question, const char *path, size_t length)
{
	const struct sg_policy *policy = question->asker->policy;
	uint32_t rule;

	if (!sg_decide_hides(question->asker->names, path, length, &rule))
		return false;
	sg_ask_decided(question, SG_OUTCOME_HIDE, rule < policy->rule_count ? &policy->rules[rule] : NULL,
		       "it is hidden");
	return true;
}

static const enum sg_outcome outcomes[] = {
	[SG_VERDICT_ALLOW] = SG_OUTCOME_ALLOW,
	[SG_VERDICT_DENY] = SG_OUTCOME_DENY,
	[SG_VERDICT_HIDE] = SG_OUTCOME_HIDE,
};

static int connect_path(struct sg_question *question, const struct sg_addresspattern *pattern)
{
	const struct sg_rule *private;
	struct sg_decision decision;
	int status = check_path(question, pattern);

	if (status != 0 || is_hidden(question, pattern->path, pattern->path_length))
		return status;
	sg_decide_socket(question->asker->policy, question->asker->names, pattern->path, pattern->path_length,
			 &decision);
	sg_ask_decided(question, outcomes[decision.verdict], decision.rule, decision.reason);
	if (decision.verdict == SG_VERDICT_DENY && decision.rule == NULL &&
	    sg_names_is_own(question->asker->policy, pattern->path, &private)) {
		sg_ask_decided(question, SG_OUTCOME_OWN, private, "it is the world's own, not this host's");
	} else if (decision.verdict == SG_VERDICT_DENY) {
		sg_ask_note(question, "A socket that the world itself has made under that name is its own.");
	}
	return 0;
}

static int listen_path(struct sg_question *question, const struct sg_addresspattern *pattern)
{
	const struct sg_rule *private;
	struct sg_decision decision;
	int status = check_path(question, pattern);
	bool own;

	if (status != 0 || is_hidden(question, pattern->path, pattern->path_length))
		return status;
	own = sg_names_is_own(question->asker->policy, pattern->path, &private);
	sg_decide(question->asker->policy, question->asker->names, pattern->path, pattern->path_length,
		  SG_ACCESS_WRITE | SG_ACCESS_CHANGE, own, &decision);
	sg_ask_decided(question, outcomes[decision.verdict], decision.rule, decision.reason);
	if (own && decision.verdict == SG_VERDICT_ALLOW)
		sg_ask_decided(question, SG_OUTCOME_OWN, private, "it is the world's own, not this host's");
	if (decision.verdict == SG_VERDICT_DENY) {
		SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;

		sg_glob_quote(&value, pattern->path, pattern->path_length);
		question->answer->proposal.kind = SG_PROPOSAL_DENIED;
		if (decision.rule == NULL || strncmp(sg_rule_infos[decision.rule->kind].name, "Deny", 4) != 0)
			sg_ask_propose(question, "Filesystem", "ReadWrite", value.data != NULL ? value.data : "");
		return sg_buffer_status(&value);
	}
	return 0;
}

/* --- addresses --- */

static const enum sg_outcome of_where[] = {
	[SG_NET_OWN] = SG_OUTCOME_OWN,
	[SG_NET_OUTSIDE] = SG_OUTCOME_ALLOW,
	[SG_NET_REFUSED] = SG_OUTCOME_DENY,
};

/* An address outside of that family that no rule names by its number, if there is one. */
static struct sg_address find_unnamed(const struct sg_asker *asker, const struct sg_addresspattern *pattern, int family)
{
	static const uint8_t folders[][16] = {{203, 0, 113}, {198, 51, 100}, {192, 0, 2}};
	const size_t count = family == AF_INET ? SG_ARRAY_SIZE(folders) : 1;
	uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
	struct sg_address address = {0};

	for (size_t i = 0; i < count; i++) {
		if (family == AF_INET)
			memcpy(bytes, folders[i], sizeof(bytes));
		for (unsigned int last = 1; last < 255; last++) {
			bytes[family == AF_INET ? 3 : 15] = (uint8_t)last;
			address = make_address(pattern, family, bytes);
			if (!sg_addressset_names_address(asker->addresses.set, &address,
							 SG_NET_ALLOW | SG_NET_DENY | SG_NET_LISTEN))
				return address;
		}
	}
	return address;
}

/* Decides for an address like any other outside, IPv4 or IPv6, that was answered for those names: open if one is. */
static enum sg_net_where decide_unnamed(const struct sg_asker *asker, const struct sg_addresspattern *pattern,
					const uint32_t *ids, size_t count, struct sg_decision *ret)
{
	static const int families[] = {AF_INET, AF_INET6};
	enum sg_net_where where = SG_NET_REFUSED;

	for (size_t i = 0; i < SG_ARRAY_SIZE(families); i++) {
		const struct sg_address address = find_unnamed(asker, pattern, families[i]);
		struct sg_decision decision;
		const enum sg_net_where found = sg_decide_address(&asker->addresses, &address, SG_ADDRESS_CONNECT, ids,
								  count, asker->context.environment, &decision);

		if (i > 0 && found != SG_NET_OUTSIDE)
			continue;
		*ret = decision;
		where = found;
		if (found == SG_NET_OUTSIDE)
			break;
	}
	return where;
}

static bool has_port(const struct sg_addresspattern *pattern, const struct sg_addresspattern *asked)
{
	if ((pattern->protocols & asked->protocols) == 0)
		return false;
	for (size_t i = 0; i < pattern->port_count; i++)
		if (pattern->ports[i].low <= asked->ports[0].low && asked->ports[0].low <= pattern->ports[i].high)
			return true;
	return asked->port_count == 0;
}

/* An Allow of that protocol and port by names (or, without `by_name`, by numbers). */
static const struct sg_rule *find_allow(const struct sg_asker *asker, const struct sg_addresspattern *asked,
					bool by_name)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(asker->policy, SG_RULE_ALLOW, &count);

	for (size_t i = 0; i < count; i++) {
		const uint8_t kind = rules[i].address->kind;

		if ((by_name ? kind == SG_HOST_NAME || kind == SG_HOST_SUBDOMAINS : kind == SG_HOST_PREFIX) &&
		    has_port(rules[i].address, asked))
			return &rules[i];
	}
	return NULL;
}

static void note_beside(struct sg_question *question, const char *note, const struct sg_rule *rule)
{
	if (rule == NULL)
		return;
	sg_ask_note(question, note);
	question->answer->beside = rule;
}

static void note_allowed_name(struct sg_question *question, const struct sg_rule *rule)
{
	if (rule->address->kind == SG_HOST_NAME || rule->address->kind == SG_HOST_SUBDOMAINS)
		sg_ask_note(question,
			    "What is open are the addresses that the session's resolver answers for the name, "
			    "with whatever else lives at them.");
	else if (!question->asker->addresses.resolves)
		sg_ask_note(question,
			    "Without the flag \"dns\" the name is not looked up; its addresses are open all the "
			    "same.");
	else
		sg_ask_note(question, "As every address outside is.");
}

static int connect_name(struct sg_question *question, const struct sg_addresspattern *asked)
{
	const struct sg_asker *asker = question->asker;
	uint32_t ids[SG_ADDRESSSET_NAMES_MAX];
	const size_t count = asked->name.length > 0 ? sg_addressset_names(asker->addresses.set, &asked->name, ids) : 0;
	struct sg_decision decision, by_number;
	const bool open =
		decide_unnamed(asker, asked, ids, asker->addresses.resolves ? count : 0, &decision) == SG_NET_OUTSIDE;

	sg_ask_decided(question, open ? SG_OUTCOME_ALLOW : SG_OUTCOME_DENY, decision.rule, decision.reason);
	if (open) {
		note_allowed_name(question, decision.rule);
		return 0;
	}
	if (!asker->addresses.resolves && decide_unnamed(asker, asked, ids, count, &decision) == SG_NET_OUTSIDE) {
		sg_ask_decided(question, SG_OUTCOME_DENY, decision.rule,
			       "a rule names it, and without the flag \"dns\" no name is looked up");
		sg_ask_propose(question, "Networking", "Flags", "dns");
	}
	if (decide_unnamed(asker, asked, ids, 0, &by_number) == SG_NET_OUTSIDE)
		note_beside(question, "Not by its name. An address of it that was not looked up is open by its number.",
			    by_number.rule);
	else
		note_beside(question,
			    "Not by its name. If one of its addresses lies in what a rule allows by number, that "
			    "address is open.",
			    find_allow(asker, asked, false));
	return 0;
}

static int connect_number(struct sg_question *question, const struct sg_addresspattern *asked,
			  const struct sg_address *address)
{
	const struct sg_asker *asker = question->asker;
	const struct sg_address_environment *environment = asker->context.environment;
	struct sg_decision decision;
	const enum sg_net_where where =
		sg_decide_address(&asker->addresses, address, SG_ADDRESS_CONNECT, NULL, 0, environment, &decision);
	const struct sg_rule *rule = NULL;

	if (where == SG_NET_REFUSED && decision.rule == NULL && asker->addresses.resolves && environment != NULL &&
	    (sg_address_classes(address, environment) & SG_CLASSES_INWARD) == 0)
		rule = find_allow(asker, asked, true);
	if (rule != NULL)
		sg_ask_decided(question, SG_OUTCOME_ANSWERED, rule,
			       "only once the session's resolver has answered it for a name that the rule allows");
	else
		sg_ask_decided(question, of_where[where], decision.rule, decision.reason);
	return 0;
}

static int connect_host(struct sg_question *question, const struct sg_addresspattern *asked)
{
	static const uint8_t loopback[] = {127, 0, 0, 1};
	struct sg_address address;

	switch ((enum sg_host_kind)asked->kind) {
	case SG_HOST_NAME:
	case SG_HOST_INTERNET: /* some address outside */
		return connect_name(question, asked);
	case SG_HOST_PREFIX:
		if (asked->prefix != (asked->family == AF_INET ? 32 : 128))
			break;
		address = make_address(asked, asked->family, asked->bytes);
		return connect_number(question, asked, &address);
	case SG_HOST_LOOPBACK:
		address = make_address(asked, AF_INET, loopback);
		return connect_number(question, asked, &address);
	case SG_HOST_UNIX_ABSTRACT:
		address = make_abstract(asked);
		return connect_number(question, asked, &address);
	default:
		break;
	}
	return sg_ask_refuse(question, forms, "\"%s\" is more than one address: ask about one", question->object);
}

int sg_ask_connect(struct sg_question *question)
{
	SG_AUTO_ADDRESSPATTERN struct sg_addresspattern asked = {0};
	int status = parse(question, SG_ADDRESSPATTERN_ALLOW, &asked);

	if (status != 0)
		return status;
	status = asked.kind == SG_HOST_UNIX_PATH ? connect_path(question, &asked) : connect_host(question, &asked);
	if (status == 0 && sg_outcome_may(question->answer->outcome)) {
		const bool passes = passes_gate(question, asked.protocols, false);

		question->answer->note_count = passes ? question->answer->note_count : 0;
	}
	return status;
}

/* --- listen --- */

static int listen_host(struct sg_question *question, const struct sg_addresspattern *asked)
{
	static const uint8_t any[16] = {0}, loopback[] = {127, 0, 0, 1};
	const struct sg_asker *asker = question->asker;
	struct sg_address address;
	struct sg_decision decision;
	enum sg_net_where where;

	if (asked->kind == SG_HOST_UNIX_ABSTRACT)
		address = make_abstract(asked);
	else if (asked->kind == SG_HOST_ANY)
		address = make_address(asked, AF_INET, any);
	else if (asked->kind == SG_HOST_LOOPBACK)
		address = make_address(asked, AF_INET, loopback);
	else if (asked->kind == SG_HOST_PREFIX && asked->prefix == (asked->family == AF_INET ? 32 : 128))
		address = make_address(asked, asked->family, asked->bytes);
	else
		return sg_ask_refuse(question, "write tcp:127.0.0.1:8080, or tcp:*:8080 for every address of the host",
				     "\"%s\" is not one address to listen on", question->object);
	address.wildcard = address.family != AF_UNIX && memcmp(address.bytes, any, sizeof(any)) == 0;
	where = sg_decide_address(&asker->addresses, &address, SG_ADDRESS_BIND, NULL, 0, asker->context.environment,
				  &decision);
	sg_ask_decided(question, of_where[where], decision.rule, decision.reason);
	if (where == SG_NET_OWN)
		sg_ask_note(question, "In the world's own network: nothing outside of the world can connect to it.");
	return 0;
}

int sg_ask_listen(struct sg_question *question)
{
	SG_AUTO_ADDRESSPATTERN struct sg_addresspattern asked = {0};
	const bool path = strncmp(question->object, "unix:", 5) == 0;
	int status = parse(question, path ? SG_ADDRESSPATTERN_ALLOW : SG_ADDRESSPATTERN_LISTEN, &asked);

	if (status != 0)
		return status;
	status = asked.kind == SG_HOST_UNIX_PATH ? listen_path(question, &asked) : listen_host(question, &asked);
	if (status == 0 && sg_outcome_may(question->answer->outcome)) {
		const bool passes = passes_gate(question, asked.protocols, true);

		question->answer->note_count = passes ? question->answer->note_count : 0;
	}
	return status;
}

/* --- names --- */

int sg_ask_resolve(struct sg_question *question)
{
	const struct sg_address_rules *rules = &question->asker->addresses;
	const struct sg_policy *policy = question->asker->policy;
	uint32_t ids[SG_ADDRESSSET_NAMES_MAX], index;
	const struct sg_rule *rule;
	struct sg_domain name;
	size_t offset, size, count;
	enum sg_lookup_verdict verdict;
	int problem = sg_domain_parse(question->object, question->length, &name, &offset, &size);

	if (problem != 0)
		return sg_ask_refuse(question, NULL, "%s: \"%s\"", sg_domain_problem_text(problem), question->object);
	count = sg_addressset_names(rules->set, &name, ids);
	verdict = sg_decide_lookup(rules->set, SG_NET_ALLOW, rules->any, ids, count, &index);
	rule = index < policy->rule_count ? &policy->rules[index] : NULL;
	if (verdict == SG_LOOKUP_ALLOWED && !rules->resolves) {
		sg_ask_decided(question, SG_OUTCOME_DENY, sg_policy_find(policy, SG_RULE_DENY_FLAG, "dns"),
			       "without the flag \"dns\" no name is looked up");
		if (question->answer->rule == NULL)
			sg_ask_propose(question, "Networking", "Flags", "dns");
	} else if (verdict == SG_LOOKUP_ALLOWED) {
		sg_ask_decided(question, SG_OUTCOME_ALLOW, rule,
			       rule != NULL ? "a rule names it" : "a rule opens every address outside");
	} else {
		sg_ask_decided(question, SG_OUTCOME_DENY, rule,
			       verdict == SG_LOOKUP_DENIED ? "a rule denies it" : "no rule names it");
	}
	return 0;
}
