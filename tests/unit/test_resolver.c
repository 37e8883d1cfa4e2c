/* Longer than most files: the fake upstream and its fixture serve every test here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "network/dnsserver.h"
#include "network/hostaddrs.h"
#include "network/namerules.h"
#include "network/resolver.h"

enum { ALLOW = 1, DENY = 2, STEP = 2000 };

/* What the fake upstream does with the next queries. */
enum behaviour {
	ANSWER,   /* the records below */
	SILENT,   /* nothing */
	WRONG_ID, /* a forged answer first, then the right one */
	WRONG_NAME,
	WRONG_CASE, /* all letters small */
	CUT,        /* TC by UDP, the answer by TCP */
	FORGED,     /* wrong ids only, by UDP; the answer by TCP */
	NO_EDNS,    /* FORMERR with EDNS, the answer without */
	BROKEN,     /* SERVFAIL */
	MISSING,    /* NXDOMAIN */
	GARBAGE,
	LOOPED, /* an alias of itself */
};

struct fixture {
	int udp, tcp; /* the upstream's sockets */
	uint16_t port;
	enum behaviour behaviour;
	const char *answers[8]; /* addresses; or "=name" for an alias */
	uint32_t ttl;
	unsigned int queries; /* that reached the upstream */
	uint16_t last_id;
	struct sockaddr_in last_from;
	struct sg_dns_question last; /* as it came */
	bool last_edns;
	struct sg_namecache *cache;
	struct sg_hosts *hosts;
	struct sg_addressset *set;
	struct sg_addressranges *own;
	struct sg_address_environment environment;
	struct sg_namerules rules;
	struct sg_resolver_policy policy;
	struct sg_resolver *resolver;
	int64_t now;
	uint8_t reply[SG_DNS_MESSAGE_MAX]; /* the last reply to the world */
	size_t reply_size;
	unsigned int replies;
	enum sg_resolver_outcome outcome;
	bool fail_record;
};

static const char *const rules[] = {
	"+tcp:good.example:443", "+tcp:*.wild.example:*", "-*:evil.example:*", "-tcp:bad.wild.example:*",
	"+tcp:db.internal:5432", "+tcp:10.9.9.9:80",      "+tcp:127.0.0.9:80", "+tcp:localhost:8080",
};

static const char hosts_text[] = "127.0.0.5 db.internal\n10.0.0.7 db.internal\n10.0.0.8 secret.internal\n";

static struct sg_addressset *make_set(void)
{
	struct sg_addressset_builder *builder = sg_addressset_builder_new();
	struct sg_addressset *set = NULL;

	for (uint32_t i = 0; i < SG_ARRAY_SIZE(rules); i++) {
		SG_AUTO_ADDRESSPATTERN struct sg_addresspattern pattern = {0};
		struct sg_addresspattern_problem problem;
		bool deny = rules[i][0] == '-';

		assert_int_equal(sg_addresspattern_parse(rules[i] + 1, strlen(rules[i] + 1),
							 deny ? SG_ADDRESSPATTERN_DENY : SG_ADDRESSPATTERN_ALLOW,
							 &pattern, &problem),
				 0);
		assert_int_equal(sg_addressset_builder_add(builder, &pattern, i, deny ? DENY : ALLOW), 0);
	}
	assert_int_equal(sg_addressset_build(builder, DENY, &set), 0);
	sg_addressset_builder_free(builder);
	return set;
}

static void take_reply(void *data, uint64_t token, const uint8_t *message, size_t size)
{
	struct fixture *fixture = data;

	memcpy(fixture->reply, message, size);
	fixture->reply_size = size;
	fixture->replies++;
}

static int record(void *data, const struct sg_resolver_event *event)
{
	struct fixture *fixture = data;

	fixture->outcome = event->outcome;
	return fixture->fail_record ? -EIO : 0;
}

static void open_upstream(struct fixture *fixture)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	/* The same port by UDP and TCP: another may hold it by the one, so several are tried. */
	for (int try = 0; try < 20; try++) {
		address.sin_port = 0;
		fixture->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		fixture->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fixture->udp, (struct sockaddr *)&address, sizeof(address)), 0);
		assert_int_equal(getsockname(fixture->udp, (struct sockaddr *)&address, &length), 0);
		if (bind(fixture->tcp, (struct sockaddr *)&address, sizeof(address)) == 0) {
			break;
		}
		sg_fd_close(fixture->udp);
		sg_fd_close(fixture->tcp);
	}
	assert_int_equal(listen(fixture->tcp, 8), 0);
	fixture->port = ntohs(address.sin_port);
}

static void setup(struct fixture *fixture, const char *conf_text)
{
	static const uint8_t own[4] = {192, 0, 2, 10};
	struct sg_addressrange range = sg_addressrange_prefix(AF_INET, own, 32);
	struct sg_resolver_options options = {.timeout = 1000};
	struct sg_resolvconf conf;

	memset(fixture, 0, sizeof(*fixture));
	open_upstream(fixture);
	fixture->ttl = 120;
	fixture->now = 1000000;
	fixture->cache = sg_namecache_new(64);
	fixture->set = make_set();
	fixture->own = sg_addressranges_new(&range, 1);
	fixture->environment.own = fixture->own;
	fixture->rules =
		(struct sg_namerules){.set = fixture->set, .allow = ALLOW, .environment = &fixture->environment};
	assert_int_equal(sg_hosts_parse(hosts_text, sizeof(hosts_text) - 1, &fixture->hosts), 0);
	sg_namerules_policy(&fixture->rules, &fixture->policy);
	fixture->policy.record = record;
	fixture->policy.record_data = fixture;
	sg_resolvconf_parse(conf_text, strlen(conf_text), &conf);
	options.port = fixture->port;
	assert_int_equal(sg_resolver_new(&conf, fixture->hosts, fixture->cache, &fixture->policy, &options, take_reply,
					 fixture, &fixture->resolver, NULL),
			 0);
}

static void teardown(struct fixture *fixture)
{
	sg_resolver_free(fixture->resolver);
	sg_fd_close(fixture->udp);
	sg_fd_close(fixture->tcp);
	sg_namecache_free(fixture->cache);
	sg_hosts_free(fixture->hosts);
	sg_addressset_free(fixture->set);
	sg_addressranges_free(fixture->own);
}

static struct sg_dns_name wire_name(const char *text)
{
	struct sg_domain domain;
	struct sg_dns_name name;

	assert_int_equal(sg_domain_parse(text, strlen(text), &domain, NULL, NULL), 0);
	sg_dns_name_from_domain(&domain, &name);
	return name;
}

/* The upstream's answer to `query`, from the fixture's records. */
static size_t write_answer(const struct fixture *fixture, const struct sg_dns_message *query, uint8_t *out)
{
	SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
	struct sg_dns_reply reply = {.answers = &answers};

	for (size_t i = 0; fixture->answers[i] && fixture->behaviour != MISSING; i++) {
		uint8_t bytes[16];

		if (fixture->answers[i][0] == '=') {
			answers.aliases[answers.alias_count++] =
				(struct sg_dns_alias){wire_name(fixture->answers[i] + 1), fixture->ttl};
		} else if (query->question.type == SG_DNS_A && inet_pton(AF_INET, fixture->answers[i], bytes) == 1) {
			sg_dns_answers_add(&answers, fixture->ttl, bytes, 4);
		} else if (query->question.type == SG_DNS_AAAA &&
			   inet_pton(AF_INET6, fixture->answers[i], bytes) == 1) {
			sg_dns_answers_add(&answers, fixture->ttl, bytes, 16);
		} else if (query->question.type == SG_DNS_TXT) {
			sg_dns_answers_add(&answers, fixture->ttl, "\x05hello", 6);
		} else if (query->question.type == SG_DNS_SRV) {
			struct sg_dns_name target = wire_name("target.example");
			uint8_t data[6 + 255] = {0, 1, 0, 2, 0, 80};

			memcpy(data + 6, target.wire, target.size);
			sg_dns_answers_add(&answers, fixture->ttl, data, 6U + target.size);
		}
	}
	if (fixture->behaviour == LOOPED) {
		answers.aliases[0] = (struct sg_dns_alias){query->question.name, 60};
		answers.alias_count = 1;
	}
	if (fixture->behaviour == MISSING || fixture->behaviour == BROKEN) {
		reply.rcode = fixture->behaviour == MISSING ? SG_DNS_NXDOMAIN : SG_DNS_SERVFAIL;
	}
	return sg_dns_write_reply(query, &reply, out, SG_DNS_UDP_MAX);
}

static void send_back(struct fixture *fixture, const uint8_t *message, size_t size)
{
	assert_int_equal(sendto(fixture->udp, message, size, 0, (struct sockaddr *)&fixture->last_from,
				sizeof(fixture->last_from)),
			 size);
}

static void answer_udp(struct fixture *fixture, struct sg_dns_message *query)
{
	uint8_t out[SG_DNS_UDP_MAX];
	size_t size;

	if (fixture->behaviour == SILENT) {
		return;
	}
	if (fixture->behaviour == GARBAGE) {
		send_back(fixture, (const uint8_t *)"garbage that is no message", 26);
		return;
	}
	if (fixture->behaviour == NO_EDNS && query->has_edns) {
		struct sg_dns_reply reply = {.rcode = SG_DNS_FORMERR};

		send_back(fixture, out, sg_dns_write_reply(query, &reply, out, 512));
		return;
	}
	if (fixture->behaviour == WRONG_CASE) {
		for (size_t i = 0; i < query->question.name.size; i++) {
			uint8_t *byte = &query->question.name.wire[i];

			*byte = *byte >= 'A' && *byte <= 'Z' ? *byte | 0x20 : *byte;
		}
	}
	size = write_answer(fixture, query, out);
	if (fixture->behaviour == CUT) {
		out[2] |= SG_DNS_TC >> 8;
	}
	if (fixture->behaviour == WRONG_ID || fixture->behaviour == FORGED) {
		out[0] ^= 0x55;
		for (int i = 0; i < (fixture->behaviour == FORGED ? SG_RESOLVER_MISMATCHES_MAX : 2); i++) {
			send_back(fixture, out, size);
		}
		out[0] ^= 0x55;
	}
	if (fixture->behaviour == WRONG_NAME) {
		struct sg_dns_message other = *query;

		other.question.name = wire_name("other.example");
		send_back(fixture, out, write_answer(fixture, &other, out));
		size = write_answer(fixture, query, out);
	}
	if (fixture->behaviour != FORGED) {
		send_back(fixture, out, size);
	}
}

static void note_query(struct fixture *fixture, const struct sg_dns_message *query)
{
	fixture->queries++;
	fixture->last = query->question;
	fixture->last_edns = query->has_edns;
	fixture->last_id = query->id;
}

static void answer_tcp(struct fixture *fixture)
{
	int fd = accept4(fixture->tcp, NULL, NULL, SOCK_CLOEXEC);
	uint8_t in[2 + 512], out[2 + SG_DNS_UDP_MAX];
	struct sg_dns_message query;
	size_t size;

	assert_true(fd >= 0);
	assert_int_equal(sg_fd_read_full(fd, in, 2), 2);
	size = (size_t)(in[0] << 8 | in[1]);
	assert_true(size <= 512);
	assert_int_equal(sg_fd_read_full(fd, in + 2, size), size);
	assert_int_equal(sg_dns_parse(in + 2, size, &query), 0);
	note_query(fixture, &query);
	size = write_answer(fixture, &query, out + 2);
	out[0] = (uint8_t)(size >> 8);
	out[1] = (uint8_t)size;
	assert_int_equal(sg_fd_write_full(fd, out, size + 2), 0);
	sg_fd_close(fd);
}

/* Lets resolver and upstream work until a reply came, or nothing happens any more. */
static void drive(struct fixture *fixture, unsigned int replies)
{
	while (fixture->replies < replies) {
		struct pollfd fds[] = {{fixture->udp, POLLIN, 0},
				       {fixture->tcp, POLLIN, 0},
				       {sg_resolver_fd(fixture->resolver), POLLIN, 0}};
		int ready = poll(fds, 3, 100);

		if (ready == 0 && fixture->behaviour != SILENT && fixture->behaviour != GARBAGE &&
		    fixture->behaviour != WRONG_CASE) {
			return;
		}
		if (ready == 0) {
			/* The clock is ours: the deadline is reached at once. */
			int64_t deadline = sg_resolver_deadline(fixture->resolver);

			if (deadline == INT64_MAX) {
				return;
			}
			fixture->now = deadline;
		}
		if (fds[0].revents) {
			socklen_t length = sizeof(fixture->last_from);
			struct sg_dns_message query;
			uint8_t in[1024];
			ssize_t size = recvfrom(fixture->udp, in, sizeof(in), 0, (struct sockaddr *)&fixture->last_from,
						&length);

			assert_int_equal(sg_dns_parse(in, (size_t)size, &query), 0);
			note_query(fixture, &query);
			answer_udp(fixture, &query);
		}
		/* First the query is sent, then it can be waited for. */
		sg_resolver_run(fixture->resolver, fixture->now);
		if (fds[1].revents) {
			answer_tcp(fixture);
		}
	}
}

/* Asks, and returns the parsed reply. */
static struct sg_dns_message ask(struct fixture *fixture, const char *name, enum sg_dns_type type)
{
	struct sg_dns_question question = {.name = wire_name(name), .type = (uint16_t)type, .class = SG_DNS_CLASS_IN};
	struct sg_resolver_request request = {.token = 1};
	unsigned int before = fixture->replies;
	struct sg_dns_message reply = {0};
	uint8_t bytes[SG_DNS_UDP_MIN];
	size_t size = sg_dns_write_query(0x4242, &question, true, bytes);

	assert_int_equal(sg_resolver_query(fixture->resolver, &request, bytes, size, fixture->now), 0);
	drive(fixture, before + 1);
	assert_int_equal(fixture->replies, before + 1);
	assert_int_equal(sg_dns_parse(fixture->reply, fixture->reply_size, &reply), 0);
	assert_int_equal(reply.id, 0x4242);
	assert_true(reply.flags & SG_DNS_QR);
	assert_true(sg_dns_name_equal(&reply.question.name, &question.name));
	assert_int_equal(sg_resolver_pending(fixture->resolver), 0);
	return reply;
}

static size_t cached(const struct fixture *fixture, const char *host)
{
	uint32_t ids[SG_NAMECACHE_NAMES_MAX];
	struct sg_address address;
	uint8_t bytes[16];
	bool six = strchr(host, ':') != NULL;

	assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, host, bytes), 1);
	sg_address_from_ip(six ? AF_INET6 : AF_INET, bytes, &address);
	return sg_namecache_names(fixture->cache, &address, fixture->now, ids);
}

#define RCODE(message) ((message).flags & SG_DNS_RCODE)

static void test_decided_first(void **state)
{
	static const struct {
		const char *name;
		enum sg_dns_type type;
		unsigned int rcode;
		enum sg_resolver_outcome outcome;
	} rows[] = {
		{"unnamed.example", SG_DNS_A, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"evil.example", SG_DNS_A, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"bad.wild.example", SG_DNS_A, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"wild.example", SG_DNS_A, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"sub.good.example", SG_DNS_A, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"stolen-data.unnamed.example", SG_DNS_TXT, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"secret.internal", SG_DNS_A, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED}, /* in hosts, but not permitted */
		{"8.0.0.10.in-addr.arpa", SG_DNS_PTR, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"1.1.1.1.in-addr.arpa", SG_DNS_PTR, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
		{"good.example", SG_DNS_NS, SG_DNS_REFUSED, SG_RESOLVER_ODD},
		{"good.example", (enum sg_dns_type)255, SG_DNS_REFUSED, SG_RESOLVER_ODD},
		{"good.example", (enum sg_dns_type)252, SG_DNS_REFUSED, SG_RESOLVER_ODD},
		{"good.example", SG_DNS_HTTPS, SG_DNS_NOERROR, SG_RESOLVER_LOCAL},
		{"good.example", SG_DNS_SVCB, SG_DNS_NOERROR, SG_RESOLVER_LOCAL},
		{"unnamed.example", SG_DNS_HTTPS, SG_DNS_NXDOMAIN, SG_RESOLVER_REFUSED},
	};
	struct fixture fixture;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_dns_message reply = ask(&fixture, rows[i].name, rows[i].type);

		if (RCODE(reply) != rows[i].rcode || fixture.outcome != rows[i].outcome || reply.counts[1] != 0) {
			fail_msg("row %zu: rcode %u outcome %d", i, RCODE(reply), (int)fixture.outcome);
		}
	}
	/* Not one of them left. */
	struct pollfd udp = {fixture.udp, POLLIN, 0};

	assert_int_equal(poll(&udp, 1, 0), 0);
	assert_int_equal(fixture.queries, 0);
	assert_int_equal(sg_namecache_count(fixture.cache), 0);
	teardown(&fixture);
}

static void test_local(void **state)
{
	struct fixture fixture;
	struct sg_dns_message reply;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	reply = ask(&fixture, "db.internal", SG_DNS_A);
	assert_int_equal(reply.counts[1], 2);
	assert_int_equal(cached(&fixture, "10.0.0.7"), 1);
	assert_int_equal(cached(&fixture, "127.0.0.5"), 1); /* /etc/hosts is believed */
	reply = ask(&fixture, "db.internal", SG_DNS_AAAA);
	assert_int_equal(RCODE(reply), SG_DNS_NOERROR);
	assert_int_equal(reply.counts[1], 0);
	reply = ask(&fixture, "localhost", SG_DNS_A);
	assert_int_equal(reply.counts[1], 1);
	assert_int_equal(cached(&fixture, "127.0.0.1"),
			 0); /* a rule for localhost holds by the address, not by the name */
	assert_int_equal(ask(&fixture, "any.localhost", SG_DNS_AAAA).counts[1], 1);
	assert_int_equal(cached(&fixture, "::1"), 0); /* no rule names any.localhost */
	assert_int_equal(ask(&fixture, "localhost", SG_DNS_TXT).counts[1], 0);
	assert_int_equal(ask(&fixture, "1.0.0.127.in-addr.arpa", SG_DNS_PTR).counts[1], 1);
	assert_int_equal(ask(&fixture, "7.0.0.10.in-addr.arpa", SG_DNS_PTR).counts[1], 1);
	assert_int_equal(fixture.queries, 0);
	teardown(&fixture);
}

static void test_answer(void **state)
{
	struct fixture fixture;
	struct sg_dns_message reply;
	uint16_t port;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.1";
	fixture.answers[1] = "10.1.1.1"; /* private addresses pass */
	reply = ask(&fixture, "Good.EXAMPLE", SG_DNS_A);
	assert_int_equal(reply.counts[1], 2);
	assert_int_equal(reply.counts[2] + reply.counts[3], 1); /* EDNS */
	assert_int_equal(fixture.outcome, SG_RESOLVER_ANSWERED);
	assert_int_equal(cached(&fixture, "198.51.100.1"), 1);
	assert_int_equal(cached(&fixture, "10.1.1.1"), 1);
	assert_int_equal(cached(&fixture, "198.51.100.2"), 0);
	fixture.now += 120000;
	assert_int_equal(cached(&fixture, "198.51.100.1"), 0);
	/* The port is another one each time (a clash of two in a row is possible, of five hardly). */
	port = fixture.last_from.sin_port;
	for (int i = 0; i < 5 && fixture.last_from.sin_port == port; i++) {
		ask(&fixture, "good.example", SG_DNS_A);
	}
	assert_int_not_equal(fixture.last_from.sin_port, port);
	assert_int_not_equal(fixture.last_id, 0x4242);
	fixture.answers[0] = "2001:db8::1";
	fixture.answers[1] = "::ffff:198.51.100.77";
	fixture.ttl = 1;
	assert_int_equal(ask(&fixture, "a.b.wild.example", SG_DNS_AAAA).counts[1], 2);
	assert_int_equal(cached(&fixture, "2001:db8::1"), 1);
	assert_int_equal(cached(&fixture, "198.51.100.77"), 1);
	fixture.now += 59000;
	assert_int_equal(cached(&fixture, "2001:db8::1"), 1);
	/* What an answer mentions is not opened. */
	fixture.answers[0] = "x";
	fixture.answers[1] = NULL;
	assert_int_equal(ask(&fixture, "good.example", SG_DNS_SRV).counts[1], 1);
	assert_int_equal(ask(&fixture, "good.example", SG_DNS_TXT).counts[1], 1);
	assert_int_equal(RCODE(ask(&fixture, "target.example", SG_DNS_A)), SG_DNS_NXDOMAIN);
	fixture.behaviour = MISSING;
	assert_int_equal(RCODE(ask(&fixture, "good.example", SG_DNS_A)), SG_DNS_NXDOMAIN);
	teardown(&fixture);
}

static void test_case_random(void **state)
{
	unsigned int upper = 0;
	struct fixture fixture;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.1";
	for (int i = 0; i < 8; i++) {
		ask(&fixture, "good.example", SG_DNS_A);
		for (size_t j = 0; j < fixture.last.name.size; j++) {
			upper += fixture.last.name.wire[j] >= 'A' && fixture.last.name.wire[j] <= 'Z';
		}
	}
	/* 88 letters: fewer than 10 capitals or small ones has a chance of some 10^-14. */
	assert_in_range(upper, 10, 78);
	teardown(&fixture);
}

static void test_rebinding(void **state)
{
	static const char *const inward[] = {"127.0.0.1",       "169.254.169.254", "192.0.2.10", "0.0.0.0",
					     "255.255.255.255", "224.0.0.1",       "127.1.2.3"};
	static const char *const inward6[] = {"::1",     "fe80::1",          "fd00:ec2::254",   "::",
					      "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"};
	struct fixture fixture;
	struct sg_dns_message reply;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(inward); i++) {
		fixture.answers[0] = inward[i];
		reply = ask(&fixture, "good.example", SG_DNS_A);
		assert_int_equal(reply.counts[1], 0);
		assert_int_equal(fixture.outcome, SG_RESOLVER_WITHHELD);
		assert_int_equal(cached(&fixture, inward[i]), 0);
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(inward6); i++) {
		fixture.answers[0] = inward6[i];
		assert_int_equal(ask(&fixture, "good.example", SG_DNS_AAAA).counts[1], 0);
		assert_int_equal(fixture.outcome, SG_RESOLVER_WITHHELD);
	}
	/* One of two. */
	fixture.answers[0] = "127.0.0.1";
	fixture.answers[1] = "198.51.100.1";
	assert_int_equal(ask(&fixture, "good.example", SG_DNS_A).counts[1], 1);
	assert_int_equal(cached(&fixture, "198.51.100.1"), 1);
	assert_int_equal(cached(&fixture, "127.0.0.1"), 0);
	/* Named by a rule: shown, but the name does not open it. */
	fixture.answers[0] = "127.0.0.9";
	fixture.answers[1] = NULL;
	assert_int_equal(ask(&fixture, "good.example", SG_DNS_A).counts[1], 1);
	assert_int_equal(fixture.outcome, SG_RESOLVER_ANSWERED);
	assert_int_equal(cached(&fixture, "127.0.0.9"), 0);
	/* Without a list of this host's addresses nothing is believed. */
	fixture.environment.own = NULL;
	fixture.answers[0] = "198.51.100.2";
	assert_int_equal(RCODE(ask(&fixture, "good.example", SG_DNS_A)), SG_DNS_SERVFAIL);
	assert_int_equal(cached(&fixture, "198.51.100.2"), 0);
	teardown(&fixture);
}

static void test_aliases(void **state)
{
	struct fixture fixture;
	struct sg_dns_message reply;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "=cdn.elsewhere.example";
	fixture.answers[1] = "198.51.100.1";
	reply = ask(&fixture, "good.example", SG_DNS_A);
	assert_int_equal(reply.counts[1], 2);
	assert_int_equal(cached(&fixture, "198.51.100.1"), 1);
	/* The alias itself may still not be asked for. */
	assert_int_equal(RCODE(ask(&fixture, "cdn.elsewhere.example", SG_DNS_A)), SG_DNS_NXDOMAIN);
	fixture.answers[0] = "=evil.example";
	fixture.answers[1] = "198.51.100.66";
	reply = ask(&fixture, "good.example", SG_DNS_A);
	assert_int_equal(RCODE(reply), SG_DNS_NXDOMAIN);
	assert_int_equal(fixture.outcome, SG_RESOLVER_WITHHELD);
	assert_int_equal(cached(&fixture, "198.51.100.66"), 0);
	fixture.behaviour = LOOPED;
	assert_int_equal(RCODE(ask(&fixture, "good.example", SG_DNS_A)), SG_DNS_SERVFAIL);
	teardown(&fixture);
}

static void test_hostile_upstream(void **state)
{
	static const struct {
		enum behaviour behaviour;
		unsigned int rcode, least_queries;
	} rows[] = {
		{WRONG_ID, SG_DNS_NOERROR, 1}, {WRONG_NAME, SG_DNS_NOERROR, 1}, {CUT, SG_DNS_NOERROR, 2},
		{FORGED, SG_DNS_NOERROR, 2},   {NO_EDNS, SG_DNS_NOERROR, 2},    {BROKEN, SG_DNS_SERVFAIL, 2},
		{SILENT, SG_DNS_SERVFAIL, 2},  {GARBAGE, SG_DNS_SERVFAIL, 2},
	};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_dns_message reply;

		setup(&fixture, "nameserver 127.0.0.1\n");
		fixture.behaviour = rows[i].behaviour;
		fixture.answers[0] = "198.51.100.1";
		reply = ask(&fixture, "good.example", SG_DNS_A);
		if (RCODE(reply) != rows[i].rcode || fixture.queries < rows[i].least_queries ||
		    reply.counts[1] != (rows[i].rcode == SG_DNS_NOERROR)) {
			fail_msg("row %zu: rcode %u after %u queries", i, RCODE(reply), fixture.queries);
		}
		assert_int_equal(cached(&fixture, "198.51.100.1"), rows[i].rcode == SG_DNS_NOERROR);
		teardown(&fixture);
	}
	/* With all letters small, the answer to a question with capitals is a forgery. */
	setup(&fixture, "nameserver 127.0.0.1\noptions attempts:1\n");
	fixture.behaviour = WRONG_CASE;
	fixture.answers[0] = "198.51.100.1";
	assert_int_equal(RCODE(ask(&fixture, "a.very.long.name.of.many.letters.wild.example", SG_DNS_A)),
			 SG_DNS_SERVFAIL);
	teardown(&fixture);
}

static void test_servers(void **state)
{
	struct fixture fixture;

	(void)state;
	/* Nothing listens on 127.0.0.2 at that port: the refusal of the first is noticed, the second answers.
	 */
	setup(&fixture, "nameserver 127.0.0.2\nnameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.1";
	assert_int_equal(ask(&fixture, "good.example", SG_DNS_A).counts[1], 1);
	assert_int_equal(fixture.now, 1000000);
	teardown(&fixture);
	setup(&fixture, "nameserver 127.0.0.2\n");
	assert_int_equal(RCODE(ask(&fixture, "good.example", SG_DNS_A)), SG_DNS_SERVFAIL);
	teardown(&fixture);
}

static void test_limits(void **state)
{
	struct sg_dns_question question = {
		.name = wire_name("good.example"), .type = SG_DNS_A, .class = SG_DNS_CLASS_IN};
	struct sg_resolver_request request = {.token = 1};
	uint8_t bytes[SG_DNS_UDP_MIN];
	size_t size = sg_dns_write_query(1, &question, false, bytes);
	struct sg_dns_message reply;
	struct fixture fixture;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\noptions attempts:1\n");
	for (unsigned int i = 0; i < SG_RESOLVER_PENDING_MAX; i++) {
		request.token = i % 2;
		assert_int_equal(sg_resolver_query(fixture.resolver, &request, bytes, size, fixture.now), 0);
	}
	assert_int_equal(fixture.replies, 0);
	assert_int_equal(sg_resolver_pending(fixture.resolver), SG_RESOLVER_PENDING_MAX);
	assert_int_equal(sg_resolver_query(fixture.resolver, &request, bytes, size, fixture.now), 0);
	assert_int_equal(fixture.replies, 1);
	assert_int_equal(sg_dns_parse(fixture.reply, fixture.reply_size, &reply), 0);
	assert_int_equal(RCODE(reply), SG_DNS_SERVFAIL);
	sg_resolver_cancel(fixture.resolver, 1);
	assert_int_equal(sg_resolver_pending(fixture.resolver), SG_RESOLVER_PENDING_MAX / 2);
	assert_int_equal(fixture.replies, 1);
	assert_int_equal(sg_resolver_deadline(fixture.resolver), fixture.now + 1000);
	sg_resolver_run(fixture.resolver, fixture.now + 1000);
	assert_int_equal(fixture.replies, 1 + SG_RESOLVER_PENDING_MAX / 2);
	assert_int_equal(sg_resolver_deadline(fixture.resolver), INT64_MAX);
	teardown(&fixture);
}

static void test_no_room_in_cache(void **state)
{
	struct fixture fixture;
	static char hosts[80][20];

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	/* The cache has 64 entries. */
	for (unsigned int i = 0; i < 65; i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "198.51.100.%u", i);
		fixture.answers[0] = hosts[i];
		assert_int_equal(RCODE(ask(&fixture, "good.example", SG_DNS_A)),
				 i < 64 ? SG_DNS_NOERROR : SG_DNS_SERVFAIL);
	}
	assert_int_equal(cached(&fixture, "198.51.100.0"), 1);
	assert_int_equal(cached(&fixture, "198.51.100.64"), 0);
	teardown(&fixture);
}

static void test_record_fault(void **state)
{
	struct fixture fixture;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.1";
	fixture.fail_record = true;
	struct sg_dns_message reply = ask(&fixture, "good.example", SG_DNS_A);

	assert_int_equal(RCODE(reply), SG_DNS_SERVFAIL);
	assert_int_equal(reply.counts[1], 0);
	teardown(&fixture);
}

static void test_forms(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
		size_t cut;
		int result; /* of sg_resolver_query */
		unsigned int rcode;
	} rows[] = {
		{2, 0x81, 0, 1, 0},              /* a response */
		{0, 0x42, 20, 1, 0},             /* too short for a header */
		{2, 0x29, 0, 0, SG_DNS_NOTIMP},  /* opcode UPDATE */
		{2, 0x21, 0, 0, SG_DNS_NOTIMP},  /* opcode NOTIFY */
		{2, 0x03, 0, 0, SG_DNS_FORMERR}, /* TC */
		{5, 0, 0, 0, SG_DNS_FORMERR},    /* no question, bytes left over */
		{5, 2, 0, 0, SG_DNS_FORMERR},
		{7, 1, 0, 0, SG_DNS_FORMERR},  /* an answer that is not there */
		{29, 3, 0, 0, SG_DNS_REFUSED}, /* class CHAOS */
		{12, 0xc0, 0, 0, SG_DNS_FORMERR},
		{12, 64, 0, 0, SG_DNS_FORMERR},
		{14, 0, 0, 0, SG_DNS_NXDOMAIN}, /* a NUL in the name */
		{14, '.', 0, 0, SG_DNS_NXDOMAIN},
		{0, 0x42, 1, 0, SG_DNS_FORMERR},
	};
	struct sg_dns_question question = {
		.name = wire_name("good.example"), .type = SG_DNS_A, .class = SG_DNS_CLASS_IN};
	struct sg_resolver_request request = {.token = 1};
	struct fixture fixture;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		uint8_t bytes[SG_DNS_UDP_MIN];
		size_t size = sg_dns_write_query(0x4242, &question, false, bytes) - rows[i].cut;
		unsigned int before = fixture.replies;
		struct sg_dns_message reply;

		bytes[rows[i].offset] = rows[i].value;
		assert_int_equal(sg_resolver_query(fixture.resolver, &request, bytes, size, fixture.now),
				 rows[i].result);
		assert_int_equal(fixture.replies, before + (rows[i].result == 0));
		if (rows[i].result == 0) {
			assert_int_equal(sg_dns_parse(fixture.reply, fixture.reply_size, &reply), 0);
			if (RCODE(reply) != rows[i].rcode) {
				fail_msg("row %zu: %u", i, RCODE(reply));
			}
			assert_int_equal(reply.counts[1], 0);
		}
	}
	assert_int_equal(sg_resolver_pending(fixture.resolver), 0);
	teardown(&fixture);
}

static void test_trusted(void **state)
{
	struct sg_domain name;
	struct fixture fixture;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.66";
	assert_int_equal(sg_domain_parse("evil.example", 12, &name, NULL, NULL), 0);
	assert_int_equal(sg_resolver_ask(fixture.resolver, 9, &name, SG_DNS_A, fixture.now), 0);
	drive(&fixture, 1);
	/* The supervisor learns which addresses a Deny means. */
	assert_int_equal(cached(&fixture, "198.51.100.66"), 1);
	teardown(&fixture);
}

/* -------- this host's addresses -------- */

static void test_hostaddrs(void **state)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_hostaddrs *addresses = NULL;
	struct sg_address loopback = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	struct sg_address outside = {.family = AF_INET, .bytes = {198, 51, 100, 1}};

	(void)state;
	if (sg_hostaddrs_new(&addresses, &error) != 0) {
		fail_msg("%s", error.text);
	}
	const struct sg_address_environment *environment = sg_hostaddrs_environment(addresses);

	assert_non_null(environment->own);
	assert_int_equal(sg_address_classes(&outside, environment), SG_CLASS_INTERNET);
	assert_int_equal(sg_address_classes(&loopback, environment), SG_CLASS_LOOPBACK);
	assert_true(sg_hostaddrs_refresh(addresses, &error) >= 0);
	sg_hostaddrs_free(addresses);
}

/* -------- the world's side, with the C library's own resolver -------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int make_socket(int type, uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type == SOCK_STREAM) {
		assert_int_equal(listen(fd, 8), 0);
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

/* Serves until the child ends. Returns its exit status. */
static int serve(struct fixture *fixture, struct sg_dnsserver *server, pid_t child)
{
	int64_t end = now_ms() + 20000;

	while (now_ms() < end) {
		struct pollfd fds[] = {
			{fixture->udp, POLLIN, 0}, {fixture->tcp, POLLIN, 0}, {sg_dnsserver_fd(server), POLLIN, 0}};
		int status;

		poll(fds, 3, 20);
		if (fds[0].revents) {
			socklen_t length = sizeof(fixture->last_from);
			struct sg_dns_message query;
			uint8_t in[1024];
			ssize_t size = recvfrom(fixture->udp, in, sizeof(in), 0, (struct sockaddr *)&fixture->last_from,
						&length);

			assert_int_equal(sg_dns_parse(in, (size_t)size, &query), 0);
			note_query(fixture, &query);
			answer_udp(fixture, &query);
		}
		sg_dnsserver_run(server, now_ms());
		if (fds[1].revents) {
			answer_tcp(fixture);
		}
		if (waitpid(child, &status, WNOHANG) == child) {
			return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
		}
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 254;
}

static struct sg_dnsserver *make_server(struct fixture *fixture, int udp, int tcp)
{
	struct sg_resolver_options options = {.port = fixture->port, .timeout = 1000};
	struct sg_dnsserver *server = NULL;
	struct sg_resolvconf conf;

	sg_resolvconf_parse("nameserver 127.0.0.1\n", 21, &conf);
	assert_int_equal(sg_dnsserver_new(udp, tcp, &conf, fixture->hosts, fixture->cache, &fixture->policy, &options,
					  &server, NULL),
			 0);
	return server;
}

/* Two queries in one segment, and one that is cut in the middle: both framings, both transports of the world.
 */
static int stream_client(uint16_t port)
{
	struct sg_dns_question question = {
		.name = wire_name("good.example"), .type = SG_DNS_A, .class = SG_DNS_CLASS_IN};
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t out[3 * (2 + SG_DNS_UDP_MIN)];
	size_t used = 0;

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		return 1;
	}
	for (uint16_t id = 1; id <= 3; id++) {
		size_t size = sg_dns_write_query(id, &question, id % 2, out + used + 2);

		out[used] = (uint8_t)(size >> 8);
		out[used + 1] = (uint8_t)size;
		used += size + 2;
	}
	if (sg_fd_write_full(fd, out, used - 7) != 0 || sg_fd_write_full(fd, out + used - 7, 7) != 0) {
		return 2;
	}
	for (int i = 0; i < 3; i++) {
		struct sg_dns_message reply;
		uint8_t in[4096];
		size_t size;

		if (sg_fd_read_full(fd, in, 2) != 2) {
			return 3;
		}
		size = (size_t)(in[0] << 8 | in[1]);
		if (size > sizeof(in) || sg_fd_read_full(fd, in, size) != (ssize_t)size ||
		    sg_dns_parse(in, size, &reply) != 0 || reply.counts[1] != 1) {
			return 4;
		}
	}
	/* A length that no query has ends the connection. */
	if (sg_fd_write_full(fd, "\xff\xff", 2) != 0 || sg_fd_read_full(fd, out, 1) != 0) {
		return 5;
	}
	return 0;
}

static void test_stream_server(void **state)
{
	struct fixture fixture;
	struct sg_dnsserver *server;
	int tcp = make_socket(SOCK_STREAM, 0);
	uint16_t port = port_of(tcp);
	pid_t child;

	(void)state;
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.1";
	server = make_server(&fixture, -1, tcp);
	child = fork();
	if (child == 0) {
		_exit(stream_client(port));
	}
	assert_int_equal(serve(&fixture, server, child), 0);
	assert_int_equal(fixture.queries, 3);
	sg_dnsserver_free(server);
	teardown(&fixture);
}

/* getaddrinfo(3) of `name`: 0 if it gives `expected`, or fails where that is NULL. */
static int look_up(const char *name, const char *expected)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
	int result = getaddrinfo(name, "443", &hints, &list);
	char text[INET6_ADDRSTRLEN] = "";

	if (result != 0) {
		return expected ? 1 : result == EAI_NONAME || result == EAI_NODATA ? 0 : 2;
	}
	for (const struct addrinfo *at = list; at; at = at->ai_next) {
		getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
		if (expected && strcmp(text, expected) == 0) {
			freeaddrinfo(list);
			return 0;
		}
	}
	freeaddrinfo(list);
	return 3;
}

static int libc_client(void)
{
	static const struct {
		const char *name, *expected;
	} rows[] = {
		{"good.example", "198.51.100.1"},  {"unnamed.example", NULL},   {"evil.example", NULL},
		{"x.wild.example", "2001:db8::1"}, {"db.internal", "10.0.0.7"},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		int64_t start = now_ms();
		int result = look_up(rows[i].name, rows[i].expected);

		if (result != 0 || now_ms() - start > STEP) {
			fprintf(stderr, "%s: %d after %d ms\n", rows[i].name, result, (int)(now_ms() - start));
			return 1;
		}
	}
	return 0;
}

static int put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int result = fd < 0 ? -1 : sg_fd_write_full(fd, text, strlen(text));

	sg_fd_close(fd);
	return result;
}

/* Network and mount namespaces of our own, where port 53 is free and /etc/resolv.conf is what we say. */
static int enter_namespaces(void)
{
	char template[] = "/tmp/test_resolver.XXXXXX", path[80];
	static const char *const names[] = {"resolv.conf", "nsswitch.conf", "hosts"};
	static const char *const texts[] = {"nameserver 127.0.0.1\noptions edns0 timeout:1\n", "hosts: dns\n", "\n"};

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    system("ip link set lo up 2>/dev/null || ifconfig lo up") != 0 || !mkdtemp(template)) {
		return -1;
	}
	if (mount("tmpfs", template, "tmpfs", 0, NULL) != 0) {
		return -1;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		char target[80];

		snprintf(path, sizeof(path), "%s/%s", template, names[i]);
		snprintf(target, sizeof(target), "/etc/%s", names[i]);
		if (put_file(path, texts[i]) != 0 || mount(path, target, NULL, MS_BIND, NULL) != 0) {
			return -1;
		}
	}
	umount2(template, MNT_DETACH);
	rmdir(template);
	return 0;
}

/* In namespaces of our own: an address and a local prefix appear, and are noticed. Returns 0 or what went
 * wrong. */
static int watch_addresses(void)
{
	static const struct {
		uint8_t bytes[4];
		unsigned int before, after;
	} rows[] = {
		{{198, 18, 0, 1}, SG_CLASS_INTERNET, SG_CLASS_OWN},
		{{198, 18, 0, 255}, SG_CLASS_INTERNET, SG_CLASS_BROADCAST},
		{{198, 18, 0, 2}, SG_CLASS_INTERNET, SG_CLASS_INTERNET},
		{{198, 19, 7, 7}, SG_CLASS_INTERNET, SG_CLASS_OWN},
	};
	struct sg_hostaddrs *addresses = NULL;
	struct sg_address address;

	if (sg_hostaddrs_new(&addresses, NULL) != 0) {
		return 101;
	}
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
			sg_address_from_ip(AF_INET, rows[i].bytes, &address);
			if (sg_address_classes(&address, sg_hostaddrs_environment(addresses)) !=
			    (round == 0 ? rows[i].before : rows[i].after)) {
				return 102 + (int)i + 10 * round;
			}
		}
		if (round == 1) {
			break;
		}
		if (system("ip link add d0 type veth peer name d1 && ip link set d0 up && "
			   "ip addr add 198.18.0.1/24 brd + dev d0 && ip route add local 198.19.0.0/16 dev "
			   "lo") != 0) {
			return 120;
		}
		struct pollfd ready = {sg_hostaddrs_fd(addresses), POLLIN, 0};

		if (poll(&ready, 1, 1000) != 1 || sg_hostaddrs_refresh(addresses, NULL) != 1 ||
		    sg_hostaddrs_refresh(addresses, NULL) != 0) {
			return 121;
		}
	}
	sg_hostaddrs_free(addresses);
	return 0;
}

static int libc_world(void)
{
	struct fixture fixture;
	struct sg_dnsserver *server;
	pid_t child;
	int result;

	if (enter_namespaces() != 0) {
		return 77;
	}
	result = watch_addresses();
	if (result != 0) {
		return result;
	}
	setup(&fixture, "nameserver 127.0.0.1\n");
	fixture.answers[0] = "198.51.100.1";
	fixture.answers[1] = "2001:db8::1";
	server = make_server(&fixture, make_socket(SOCK_DGRAM, 53), make_socket(SOCK_STREAM, 53));
	child = fork();
	if (child == 0) {
		_exit(libc_client());
	}
	result = serve(&fixture, server, child);
	sg_dnsserver_free(server);
	teardown(&fixture);
	return result;
}

static void test_libc(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		_exit(libc_world());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		const char *must = getenv("SG_MUST_WORK");

		print_message("SKIP: no namespaces of our own (needs root, mount and ip)\n");
		assert_false(must && strcmp(must, "1") == 0);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decided_first),    cmocka_unit_test(test_local),
		cmocka_unit_test(test_answer),           cmocka_unit_test(test_case_random),
		cmocka_unit_test(test_rebinding),        cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_hostile_upstream), cmocka_unit_test(test_servers),
		cmocka_unit_test(test_limits),           cmocka_unit_test(test_no_room_in_cache),
		cmocka_unit_test(test_record_fault),     cmocka_unit_test(test_forms),
		cmocka_unit_test(test_trusted),          cmocka_unit_test(test_hostaddrs),
		cmocka_unit_test(test_stream_server),    cmocka_unit_test(test_libc),
	};
	return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
