#include "network/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fd.h"
#include "network/resolver_internal.h"

enum { LOCAL_TTL = 60, EVENTS_MAX = 64, ROUNDS_MAX = 4 };

/* What is done with a permitted name, by type; a type that is not here is refused. */
static const struct {
	uint16_t type;
	bool upstream; /* else an empty answer */
	int family;    /* of the addresses that it asks for */
} type_rows[] = {
	{SG_DNS_A, true, AF_INET}, {SG_DNS_AAAA, true, AF_INET6}, {SG_DNS_CNAME, true, 0},
	{SG_DNS_PTR, true, 0},     {SG_DNS_MX, true, 0},          {SG_DNS_TXT, true, 0},
	{SG_DNS_SRV, true, 0},     {SG_DNS_SVCB, false, 0},       {SG_DNS_HTTPS, false, 0},
};

static int family_of(uint16_t type)
{
	return type == SG_DNS_A ? AF_INET : type == SG_DNS_AAAA ? AF_INET6 : 0;
}

int sg_resolver_new(const struct sg_resolvconf *conf, const struct sg_hosts *hosts, struct sg_namecache *cache,
		    const struct sg_resolver_policy *policy, const struct sg_resolver_options *options,
		    sg_resolver_reply reply, void *reply_data, struct sg_resolver **ret, struct sg_error *error)
{
	SG_CLEANUP(sg_auto_resolver) struct sg_resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver) {
		return sg_error_set(error, -ENOMEM, "no memory for the resolver");
	}
	resolver->policy = *policy;
	resolver->cache = cache;
	resolver->reply = reply;
	resolver->reply_data = reply_data;
	if (options) {
		resolver->options = *options;
	}
	sg_resolver_configure(resolver, conf, hosts);
	resolver->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (resolver->epoll < 0) {
		return sg_error_set_errno(error, -errno, "epoll_create1");
	}
	*ret = sg_take_pointer(resolver);
	return 0;
}

void sg_resolver_free(struct sg_resolver *resolver)
{
	if (!resolver) {
		return;
	}
	for (size_t i = 0; i < SG_RESOLVER_PENDING_MAX; i++) {
		if (resolver->pending[i].used) {
			sg_upstream_release(resolver, &resolver->pending[i]);
		}
	}
	sg_fd_close(resolver->epoll);
	free(resolver);
}

void sg_resolver_configure(struct sg_resolver *resolver, const struct sg_resolvconf *conf, const struct sg_hosts *hosts)
{
	resolver->conf = *conf;
	resolver->hosts = hosts;
}

int sg_resolver_fd(const struct sg_resolver *resolver)
{
	return resolver->epoll;
}

size_t sg_resolver_pending(const struct sg_resolver *resolver)
{
	return resolver->pending_count;
}

int64_t sg_resolver_deadline(const struct sg_resolver *resolver)
{
	int64_t earliest = INT64_MAX;

	for (size_t i = 0; resolver->pending_count > 0 && i < SG_RESOLVER_PENDING_MAX; i++) {
		const struct sg_pending *pending = &resolver->pending[i];

		if (pending->used && pending->deadline < earliest) {
			earliest = pending->deadline;
		}
	}
	return earliest;
}

/* -------- replies -------- */

struct ending {
	enum sg_resolver_outcome outcome;
	struct sg_dns_reply reply;
	const struct sg_address *addresses;
	size_t address_count;
};

/* Records, then replies: what cannot be recorded is not given. */
static void end_query(struct sg_resolver *resolver, const struct sg_resolver_client *client, struct ending ending)
{
	struct sg_resolver_event event = {.token = client->token,
					  .outcome = ending.outcome,
					  .question = client->has_domain ? &client->question : NULL,
					  .raw = client->query.counts[0] == 1 ? &client->query.question.name : NULL,
					  .rule = client->verdict.rule,
					  .addresses = ending.addresses,
					  .address_count = ending.address_count};
	size_t limit = client->stream ? SG_DNS_MESSAGE_MAX : sg_dns_udp_limit(&client->query), size;

	if (resolver->policy.record && resolver->policy.record(resolver->policy.record_data, &event) < 0) {
		ending.reply = (struct sg_dns_reply){.rcode = SG_DNS_SERVFAIL};
	}
	size = sg_dns_write_reply(&client->query, &ending.reply, resolver->buffer, limit);
	resolver->reply(resolver->reply_data, client->token, resolver->buffer, size);
}

static void end_with(struct sg_resolver *resolver, const struct sg_resolver_client *client,
		     enum sg_resolver_outcome outcome, unsigned int rcode, unsigned int error, const char *text)
{
	end_query(resolver, client,
		  (struct ending){.outcome = outcome, .reply = {.rcode = rcode, .error = error, .error_text = text}});
}

static void end_fault(struct sg_resolver *resolver, const struct sg_resolver_client *client)
{
	end_with(resolver, client, SG_RESOLVER_FAILED, SG_DNS_SERVFAIL, SG_DNS_ERROR_NONE, NULL);
}

/* -------- answers made here -------- */

/*
 * Answers A or AAAA with addresses of this host's own knowledge: trusted, whatever their class. Records them
 * first, so that a connection right after the reply is not too early.
 */
static void end_addresses(struct sg_resolver *resolver, const struct sg_resolver_client *client,
			  const struct sg_address *addresses, size_t count, int64_t now)
{
	SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
	int result = sg_namecache_add(resolver->cache, addresses, count, client->verdict.ids, client->verdict.id_count,
				      LOCAL_TTL, now);

	for (size_t i = 0; result == 0 && i < count; i++) {
		result = sg_dns_answers_add(&answers, LOCAL_TTL, addresses[i].bytes,
					    addresses[i].family == AF_INET ? 4 : 16);
	}
	if (result != 0) {
		end_fault(resolver, client);
		return;
	}
	end_query(resolver, client, (struct ending){SG_RESOLVER_LOCAL, {.answers = &answers}, addresses, count});
}

static bool is_localhost(const struct sg_domain *name)
{
	static const struct sg_domain localhost = {9, "localhost"};

	return strcmp(name->text, localhost.text) == 0 || sg_domain_is_below(name, &localhost);
}

static void end_localhost(struct sg_resolver *resolver, const struct sg_resolver_client *client, int64_t now)
{
	struct sg_address loopback = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	int family = family_of(client->question.type);

	if (family == AF_INET6) {
		loopback = (struct sg_address){.family = AF_INET6, .bytes = {[15] = 1}};
	}
	end_addresses(resolver, client, &loopback, family != 0, now);
}

/* A permitted name of /etc/hosts? Returns true if the query is answered. */
static bool try_hosts(struct sg_resolver *resolver, const struct sg_resolver_client *client, int64_t now)
{
	struct sg_address addresses[SG_DNS_ANSWERS_MAX];
	int family = family_of(client->question.type), count;

	if (family == 0) {
		return false;
	}
	count = sg_hosts_addresses(resolver->hosts, &client->question.name, family, addresses, SG_DNS_ANSWERS_MAX);
	if (count < 0) {
		return false;
	}
	end_addresses(resolver, client, addresses, (size_t)count, now);
	return true;
}

static int add_pointer(struct sg_dns_answers *answers, const struct sg_domain *name)
{
	struct sg_dns_name wire;

	sg_dns_name_from_domain(name, &wire);
	return sg_dns_answers_add(answers, LOCAL_TTL, wire.wire, wire.size);
}

/*
 * The name of an address that this host knows: localhost, or names of /etc/hosts that may be looked up.
 * Returns 1 if the query is answered, 0 if not, below 0 a fault.
 */
static int try_reverse(struct sg_resolver *resolver, const struct sg_resolver_client *client)
{
	static const struct sg_domain localhost = {9, "localhost"};
	SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
	struct sg_domain names[8];
	struct sg_address address;
	int result = 0;

	if (client->question.type != SG_DNS_PTR || !sg_dns_reverse_address(&client->question.name, &address)) {
		return 0;
	}
	if (sg_address_classes(&address, NULL) & SG_CLASS_LOOPBACK) {
		result = add_pointer(&answers, &localhost);
	} else {
		size_t count = sg_hosts_names(resolver->hosts, &address, names, SG_ARRAY_SIZE(names));

		for (size_t i = 0; result == 0 && i < count; i++) {
			struct sg_resolver_question question = {.name = names[i], .type = SG_DNS_PTR};
			struct sg_resolver_verdict verdict = {0};

			result = resolver->policy.decide(resolver->policy.data, &question, &verdict);
			if (result == 0 && verdict.decision == SG_RESOLVER_ALLOWED) {
				result = add_pointer(&answers, &names[i]);
			}
		}
	}
	if (result < 0 || answers.data_count == 0) {
		return result;
	}
	end_query(resolver, client, (struct ending){.outcome = SG_RESOLVER_LOCAL, .reply = {.answers = &answers}});
	return 1;
}

/* -------- queries -------- */

static void ask_upstream(struct sg_resolver *resolver, const struct sg_resolver_client *client, int64_t now)
{
	for (size_t i = 0; resolver->conf.server_count > 0 && i < SG_RESOLVER_PENDING_MAX; i++) {
		struct sg_pending *pending = &resolver->pending[i];

		if (!pending->used) {
			pending->used = true;
			pending->client = *client;
			pending->client.query.data = NULL;
			resolver->pending_count++;
			sg_upstream_start(resolver, pending, now);
			return;
		}
	}
	end_fault(resolver, client);
}

/* The form of the message: only what a stub resolver sends. Returns true if the query is answered. */
static bool refuse_form(struct sg_resolver *resolver, const struct sg_resolver_client *client, int parsed)
{
	const struct sg_dns_message *query = &client->query;
	unsigned int rcode = SG_DNS_NOERROR;

	if (query->flags & SG_DNS_OPCODE) {
		rcode = SG_DNS_NOTIMP;
	} else if (parsed != 0 || query->counts[0] != 1 || query->counts[1] != 0 || query->counts[2] != 0 ||
		   query->counts[3] != query->has_edns || query->flags & SG_DNS_TC) {
		rcode = SG_DNS_FORMERR;
	} else if (query->has_edns && query->edns_version != 0) {
		rcode = SG_DNS_BADVERS;
	} else if (query->question.class != SG_DNS_CLASS_IN) {
		rcode = SG_DNS_REFUSED;
	}
	if (rcode != SG_DNS_NOERROR) {
		end_with(resolver, client, SG_RESOLVER_ODD, rcode, SG_DNS_ERROR_NONE, NULL);
	}
	return rcode != SG_DNS_NOERROR;
}

/* A permitted name: what its type asks for. */
static void answer_permitted(struct sg_resolver *resolver, const struct sg_resolver_client *client, int64_t now)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(type_rows); i++) {
		if (type_rows[i].type != client->question.type) {
			continue;
		}
		if (!type_rows[i].upstream) {
			end_with(resolver, client, SG_RESOLVER_LOCAL, SG_DNS_NOERROR, SG_DNS_ERROR_NONE, NULL);
		} else if (!try_hosts(resolver, client, now)) {
			ask_upstream(resolver, client, now);
		}
		return;
	}
	end_with(resolver, client, SG_RESOLVER_ODD, SG_DNS_REFUSED, SG_DNS_ERROR_UNSUPPORTED, "type not looked up");
}

static void answer_name(struct sg_resolver *resolver, struct sg_resolver_client *client, int64_t now)
{
	int result = resolver->policy.decide(resolver->policy.data, &client->question, &client->verdict);

	if (result == 0 && is_localhost(&client->question.name) && client->verdict.decision != SG_RESOLVER_DENIED) {
		end_localhost(resolver, client, now);
		return;
	}
	if (result == 0 && (client->verdict.decision == SG_RESOLVER_ALLOWED || client->trusted)) {
		answer_permitted(resolver, client, now);
		return;
	}
	if (result == 0 && client->verdict.decision == SG_RESOLVER_UNNAMED) {
		result = try_reverse(resolver, client);
	}
	if (result < 0) {
		end_fault(resolver, client);
	} else if (result == 0) {
		end_with(resolver, client, SG_RESOLVER_REFUSED, SG_DNS_NXDOMAIN, SG_DNS_ERROR_BLOCKED,
			 "name refused by policy");
	}
}

int sg_resolver_query(struct sg_resolver *resolver, const struct sg_resolver_request *request, const uint8_t *message,
		      size_t size, int64_t now)
{
	struct sg_resolver_client client = {
		.token = request->token, .stream = request->stream, .trusted = request->trusted};
	int parsed = sg_dns_parse(message, size, &client.query);

	if (size < SG_DNS_HEADER_SIZE || client.query.flags & SG_DNS_QR) {
		return 1;
	}
	if (refuse_form(resolver, &client, parsed)) {
		return 0;
	}
	client.question.type = client.query.question.type;
	if (sg_dns_name_to_domain(&client.query.question.name, &client.question.name) != 0) {
		/* No rule can name it: the same answer as for a name that no rule names. */
		end_with(resolver, &client, SG_RESOLVER_REFUSED, SG_DNS_NXDOMAIN, SG_DNS_ERROR_BLOCKED,
			 "name refused by policy");
		return 0;
	}
	client.has_domain = true;
	answer_name(resolver, &client, now);
	return 0;
}

int sg_resolver_ask(struct sg_resolver *resolver, uint64_t token, const struct sg_domain *name, enum sg_dns_type type,
		    int64_t now)
{
	struct sg_resolver_request request = {.token = token, .stream = true, .trusted = true};
	struct sg_dns_question question = {.type = (uint16_t)type, .class = SG_DNS_CLASS_IN};
	uint8_t message[SG_DNS_UDP_MIN];
	size_t size;

	sg_dns_name_from_domain(name, &question.name);
	size = sg_dns_write_query(0, &question, true, message);
	return sg_resolver_query(resolver, &request, message, size, now);
}

/* -------- answers from upstream -------- */

enum { WITHHELD = 1 };

/* No alias may lead through a denied name, nor through one that no rule could name. Returns 0, WITHHELD, or a
 * fault. */
static int check_aliases(struct sg_resolver *resolver, const struct sg_resolver_client *client,
			 const struct sg_dns_answers *answers)
{
	for (size_t i = 0; i < answers->alias_count && !client->trusted; i++) {
		struct sg_resolver_question question = {.type = client->question.type, .alias = true};
		struct sg_resolver_verdict verdict = {0};
		int result;

		if (sg_dns_name_to_domain(&answers->aliases[i].target, &question.name) != 0) {
			return WITHHELD;
		}
		result = resolver->policy.decide(resolver->policy.data, &question, &verdict);
		if (result < 0) {
			return result;
		}
		if (verdict.decision == SG_RESOLVER_DENIED) {
			return WITHHELD;
		}
	}
	return 0;
}

/* The addresses of an answer: `shown` go to the world, the first `recorded` of them into the cache. */
struct found {
	struct sg_address shown[SG_DNS_ANSWERS_MAX];
	size_t shown_count, recorded;
	bool withheld;
};

/* Sorts out the addresses that point inward. Rewrites `answers` to those shown. Returns 0 or a fault. */
static int sort_addresses(struct sg_resolver *resolver, int family, struct sg_dns_answers *answers, struct found *found)
{
	const struct sg_resolver_policy *policy = &resolver->policy;
	const struct sg_address_environment *environment =
		policy->environment ? policy->environment(policy->data) : NULL;
	struct sg_address named[SG_DNS_ANSWERS_MAX];
	size_t kept = 0, named_count = 0;

	if (!environment || !environment->own) {
		return -ENODATA;
	}
	for (size_t i = 0; i < answers->data_count; i++) {
		struct sg_address address;

		sg_address_from_ip(family, answers->pool.data + answers->data[i].offset, &address);
		address.mapped = false;
		if (!(sg_address_classes(&address, environment) & SG_RESOLVER_INWARD)) {
			found->shown[found->recorded++] = address;
		} else if (policy->names_address && policy->names_address(policy->data, &address)) {
			named[named_count++] = address;
		} else {
			found->withheld = true;
			continue;
		}
		answers->data[kept++] = answers->data[i];
	}
	answers->data_count = kept;
	memcpy(found->shown + found->recorded, named, named_count * sizeof(*named));
	found->shown_count = found->recorded + named_count;
	return 0;
}

static void cap_ttls(struct sg_dns_answers *answers)
{
	for (size_t i = 0; i < answers->alias_count; i++) {
		uint32_t *ttl = &answers->aliases[i].ttl;

		*ttl = *ttl > SG_NAMECACHE_TTL_MAX ? SG_NAMECACHE_TTL_MAX : *ttl;
	}
	for (size_t i = 0; i < answers->data_count; i++) {
		uint32_t *ttl = &answers->data[i].ttl;

		*ttl = *ttl > SG_NAMECACHE_TTL_MAX ? SG_NAMECACHE_TTL_MAX : *ttl;
	}
}

static void end_answers(struct sg_resolver *resolver, const struct sg_resolver_client *client,
			struct sg_dns_answers *answers, int64_t now)
{
	int family = family_of(client->question.type);
	struct found found;
	int result = check_aliases(resolver, client, answers);

	found.shown_count = found.recorded = 0;
	found.withheld = false;
	if (result == WITHHELD) {
		end_with(resolver, client, SG_RESOLVER_WITHHELD, SG_DNS_NXDOMAIN, SG_DNS_ERROR_BLOCKED,
			 "an alias of the name is refused by policy");
		return;
	}
	if (result == 0 && family != 0 && answers->data_count > 0) {
		result = sort_addresses(resolver, family, answers, &found);
	}
	if (result == 0 && found.recorded > 0) {
		result = sg_namecache_add(resolver->cache, found.shown, found.recorded, client->verdict.ids,
					  client->verdict.id_count, answers->ttl, now);
	}
	if (result < 0) {
		end_fault(resolver, client);
		return;
	}
	cap_ttls(answers);
	struct sg_dns_reply reply = {.rcode = answers->rcode, .answers = answers};

	if (found.withheld) {
		reply.error = SG_DNS_ERROR_BLOCKED;
		reply.error_text = "an inward address was withheld";
	}
	end_query(resolver, client,
		  (struct ending){found.withheld ? SG_RESOLVER_WITHHELD : SG_RESOLVER_ANSWERED, reply, found.shown,
				  found.shown_count});
}

void sg_resolver_finish(struct sg_resolver *resolver, struct sg_pending *pending, const struct sg_dns_message *message,
			int64_t now)
{
	SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
	struct sg_resolver_client client = pending->client;
	int result = sg_dns_extract(message, &pending->asked, &answers);

	sg_upstream_release(resolver, pending);
	if (result != 0) {
		end_fault(resolver, &client);
		return;
	}
	end_answers(resolver, &client, &answers, now);
}

void sg_resolver_fail(struct sg_resolver *resolver, struct sg_pending *pending)
{
	struct sg_resolver_client client = pending->client;

	sg_upstream_release(resolver, pending);
	end_with(resolver, &client, SG_RESOLVER_FAILED, SG_DNS_SERVFAIL, SG_DNS_ERROR_UNREACHABLE, NULL);
}

/* -------- the loop's side -------- */

void sg_resolver_run(struct sg_resolver *resolver, int64_t now)
{
	struct epoll_event events[EVENTS_MAX];

	/* A server that never stops sending gets a bounded share of each call. */
	for (int round = 0; round < ROUNDS_MAX; round++) {
		int count = epoll_wait(resolver->epoll, events, EVENTS_MAX, 0);

		for (int i = 0; i < count; i++) {
			struct sg_pending *pending = &resolver->pending[events[i].data.u64];

			if (pending->used && pending->fd >= 0) {
				sg_upstream_ready(resolver, pending, now);
			}
		}
		if (count < EVENTS_MAX) {
			break;
		}
	}
	for (size_t i = 0; resolver->pending_count > 0 && i < SG_RESOLVER_PENDING_MAX; i++) {
		struct sg_pending *pending = &resolver->pending[i];

		if (pending->used && pending->deadline <= now) {
			sg_upstream_expired(resolver, pending, now);
		}
	}
}

void sg_resolver_cancel(struct sg_resolver *resolver, uint64_t token)
{
	for (size_t i = 0; i < SG_RESOLVER_PENDING_MAX; i++) {
		struct sg_pending *pending = &resolver->pending[i];

		if (pending->used && pending->client.token == token) {
			sg_upstream_release(resolver, pending);
		}
	}
}

void sg_resolver_cut(struct sg_resolver *resolver)
{
	resolver->conf.server_count = 0;
	for (size_t i = 0; i < SG_RESOLVER_PENDING_MAX; i++)
		if (resolver->pending[i].used)
			sg_resolver_fail(resolver, &resolver->pending[i]);
}
