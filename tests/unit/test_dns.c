#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/dns.h"
#include "network/hosts.h"
#include "network/namecache.h"

/* A message as text: hex bytes; spaces are ignored; "text" in quotes is bytes. Returns its size. */
static size_t bytes_of(const char *text, uint8_t *out)
{
	size_t size = 0;

	while (*text) {
		if (*text == '"') {
			for (text++; *text != '"'; text++) {
				out[size++] = (uint8_t)*text;
			}
			text++;
		} else if (*text == ' ') {
			text++;
		} else {
			char pair[3] = {text[0], text[1], 0};

			out[size++] = (uint8_t)strtoul(pair, NULL, 16);
			text += 2;
		}
	}
	return size;
}

#define HEAD(flags, q, a, n, r) "1234" flags q a n r
#define Q_EXAMPLE "07\"example\"03\"com\"00 0001 0001"

static void test_parse(void **state)
{
	static const struct {
		const char *name, *message;
		int result;
	} rows[] = {
		{"query", HEAD("0100", "0001", "0000", "0000", "0000") Q_EXAMPLE, 0},
		{"no question", HEAD("0100", "0000", "0000", "0000", "0000"), 0},
		{"empty", "", -EBADMSG},
		{"short header", "1234 0100 0001 0000 0000 00", -EBADMSG},
		{"two questions", HEAD("0100", "0002", "0000", "0000", "0000") Q_EXAMPLE Q_EXAMPLE, -EBADMSG},
		{"question missing", HEAD("0100", "0001", "0000", "0000", "0000"), -EBADMSG},
		{"question cut", HEAD("0100", "0001", "0000", "0000", "0000") "07\"example\"03\"com\"00 0001 00",
		 -EBADMSG},
		{"label cut", HEAD("0100", "0001", "0000", "0000", "0000") "07\"exam\"", -EBADMSG},
		{"name without end", HEAD("0100", "0001", "0000", "0000", "0000") "07\"example\"", -EBADMSG},
		{"left over", HEAD("0100", "0001", "0000", "0000", "0000") Q_EXAMPLE "00", -EBADMSG},
		{"pointer to itself", HEAD("0100", "0001", "0000", "0000", "0000") "c00c 0001 0001", -EBADMSG},
		{"pointer forward", HEAD("0100", "0001", "0000", "0000", "0000") "c00e 00 0001 0001", -EBADMSG},
		{"pointer into header", HEAD("0100", "0001", "0000", "0000", "0000") "c000 0001 0001", -EBADMSG},
		{"pointer cut", HEAD("0100", "0001", "0000", "0000", "0000") "c0", -EBADMSG},
		{"pointer loop by a label", HEAD("0100", "0001", "0000", "0000", "0000") "01\"a\"c00c 0001 0001",
		 -EBADMSG},
		{"label type 01", HEAD("0100", "0001", "0000", "0000", "0000") "41\"a\"00 0001 0001", -EBADMSG},
		{"label type 10", HEAD("0100", "0001", "0000", "0000", "0000") "81\"a\"00 0001 0001", -EBADMSG},
		{"answer",
		 HEAD("8180", "0001", "0001", "0000", "0000") Q_EXAMPLE "c00c 0001 0001 0000003c 0004 01020304", 0},
		{"answer cut",
		 HEAD("8180", "0001", "0001", "0000", "0000") Q_EXAMPLE "c00c 0001 0001 0000003c 0004 010203",
		 -EBADMSG},
		{"answer missing", HEAD("8180", "0001", "0001", "0000", "0000") Q_EXAMPLE, -EBADMSG},
		{"counts of 65535", HEAD("8180", "0001", "ffff", "ffff", "ffff") Q_EXAMPLE, -EBADMSG},
		{"edns", HEAD("0100", "0001", "0000", "0000", "0001") Q_EXAMPLE "00 0029 04d0 00000000 0000", 0},
		{"edns twice",
		 HEAD("0100", "0001", "0000", "0000", "0002") Q_EXAMPLE
		 "00 0029 04d0 00000000 0000 00 0029 04d0 00000000 0000",
		 -EBADMSG},
		{"edns with a name",
		 HEAD("0100", "0001", "0000", "0000", "0001") Q_EXAMPLE "01\"a\"00 0029 04d0 00000000 0000", -EBADMSG},
		{"edns as answer", HEAD("0100", "0001", "0001", "0000", "0000") Q_EXAMPLE "00 0029 04d0 00000000 0000",
		 -EBADMSG},
		{"edns option cut",
		 HEAD("0100", "0001", "0000", "0000", "0001") Q_EXAMPLE "00 0029 04d0 00000000 0004 000a 0001",
		 -EBADMSG},
		{"edns cookie",
		 HEAD("0100", "0001", "0000", "0000", "0001") Q_EXAMPLE
		 "00 0029 04d0 00000000 000c 000a 0008 0102030405060708",
		 0},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_dns_message message;
		uint8_t bytes[600];
		size_t size = bytes_of(rows[i].message, bytes);
		/* On the heap and exact, so that a sanitizer sees one byte too far. */
		uint8_t *exact = malloc(size > 0 ? size : 1);

		memcpy(exact, bytes, size);
		if (sg_dns_parse(exact, size, &message) != rows[i].result) {
			fail_msg("%s", rows[i].name);
		}
		/* No valid message stays valid when its end is cut off. */
		for (size_t cut = 0; rows[i].result == 0 && cut < size; cut++) {
			assert_int_equal(sg_dns_parse(exact, cut, &message), -EBADMSG);
		}
		free(exact);
	}
}

static void test_names(void **state)
{
	static const uint8_t odd[] = {4, 'e', 'v', 'i', 0, 3, 'c', 'o', 'm', 0}, dotted[] = {3, 'a', '.', 'b', 0};
	struct sg_dns_name name, other;
	struct sg_domain domain, back;
	uint8_t data[600] = {0};
	size_t end;

	(void)state;
	/* The longest name has 255 bytes in wire form; one label more is too much. */
	for (size_t i = 0; i < 128; i++) {
		data[12 + 2 * i] = 1;
		data[13 + 2 * i] = 'a';
	}
	data[12 + 254] = 0;
	assert_int_equal(sg_dns_name_read(data, 300, 12, &name, &end), 0);
	assert_int_equal(name.size, 255);
	assert_int_equal(end, 12 + 255);
	assert_int_equal(sg_dns_name_to_domain(&name, &domain), 0);
	assert_int_equal(domain.length, 253);
	sg_dns_name_from_domain(&domain, &other);
	assert_true(sg_dns_name_equal(&name, &other));
	assert_int_equal(sg_dns_name_to_domain(&other, &back), 0);
	assert_string_equal(domain.text, back.text);
	data[12 + 254] = 1;
	assert_int_equal(sg_dns_name_read(data, 300, 12, &name, &end), -EBADMSG);
	/* A NUL, and a dot, within a label: no host name. */
	memcpy(data, odd, sizeof(odd));
	assert_int_equal(sg_dns_name_read(data, sizeof(odd), 0, &name, &end), 0);
	assert_int_equal(sg_dns_name_to_domain(&name, &domain), SG_DOMAIN_BYTE);
	memcpy(data, dotted, sizeof(dotted));
	assert_int_equal(sg_dns_name_read(data, sizeof(dotted), 0, &name, &end), 0);
	assert_int_equal(sg_dns_name_to_domain(&name, &domain), SG_DOMAIN_BYTE);
	/* A chain of pointers, each backward, that has no end to its name but the last. */
	memset(data, 0, sizeof(data));
	for (size_t i = 1; i < 200; i++) {
		data[12 + 2 * i] = 0xc0;
		data[13 + 2 * i] = (uint8_t)(12 + 2 * (i - 1));
		if (12 + 2 * (i - 1) > 255) {
			data[12 + 2 * i] = 0xc1;
		}
	}
	assert_int_equal(sg_dns_name_read(data, 600, 12 + 2 * 100, &name, &end), 0);
	assert_int_equal(sg_dns_name_read(data, 600, 12 + 2 * 199, &name, &end), -EBADMSG);
}

static void test_within(void **state)
{
	struct sg_domain a, b;
	struct sg_dns_name name, parent, root = {.size = 1};

	(void)state;
	assert_int_equal(sg_domain_parse("www.example.com", 15, &a, NULL, NULL), 0);
	assert_int_equal(sg_domain_parse("EXAMPLE.com", 11, &b, NULL, NULL), 0);
	sg_dns_name_from_domain(&a, &name);
	sg_dns_name_from_domain(&b, &parent);
	assert_true(sg_dns_name_within(&name, &parent));
	assert_true(sg_dns_name_within(&name, &root));
	assert_true(sg_dns_name_within(&name, &name));
	assert_false(sg_dns_name_within(&parent, &name));
	assert_int_equal(sg_domain_parse("notexample.com", 14, &a, NULL, NULL), 0);
	sg_dns_name_from_domain(&a, &name);
	assert_false(sg_dns_name_within(&name, &parent));
}

static void test_reverse(void **state)
{
	static const struct {
		const char *name, *address;
	} rows[] = {
		{"4.3.2.1.in-addr.arpa", "1.2.3.4"},
		{"1.0.0.127.IN-ADDR.ARPA", "127.0.0.1"},
		{"3.2.1.in-addr.arpa", NULL},
		{"5.4.3.2.1.in-addr.arpa", NULL},
		{"256.3.2.1.in-addr.arpa", NULL},
		{"04.3.2.1.in-addr.arpa", NULL},
		{"4.3.2.1.in-addr.arpa.evil.com", NULL},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"},
		{"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", NULL},
		{"example.com", NULL},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_address address;
		struct sg_domain domain;
		char text[INET6_ADDRSTRLEN];

		assert_int_equal(sg_domain_parse(rows[i].name, strlen(rows[i].name), &domain, NULL, NULL), 0);
		assert_int_equal(sg_dns_reverse_address(&domain, &address), rows[i].address != NULL);
		if (rows[i].address) {
			inet_ntop(address.family, address.bytes, text, sizeof(text));
			assert_string_equal(text, rows[i].address);
		}
	}
}

/* -------- answers -------- */

#define RESPONSE(a, n, r) HEAD("8180", "0001", a, n, r) Q_EXAMPLE
#define A_RECORD(owner, ttl, address) owner "0001 0001" ttl "0004" address

static void test_extract(void **state)
{
	static const struct {
		const char *name, *message;
		int result;
		size_t aliases, data;
		uint32_t ttl;
	} rows[] = {
		{"one", RESPONSE("0001", "0000", "0000") A_RECORD("c00c", "0000012c", "01020304"), 0, 0, 1, 300},
		{"least ttl",
		 RESPONSE("0002", "0000", "0000") A_RECORD("c00c", "0000012c", "01020304")
			 A_RECORD("c00c", "00000005", "01020305"),
		 0, 0, 2, 5},
		{"twice the same",
		 RESPONSE("0002", "0000", "0000") A_RECORD("c00c", "0000012c", "01020304")
			 A_RECORD("c00c", "0000012c", "01020304"),
		 0, 0, 1, 300},
		{"negative ttl is zero", RESPONSE("0001", "0000", "0000") A_RECORD("c00c", "80000001", "01020304"), 0,
		 0, 1, 0},
		{"of another name", RESPONSE("0001", "0000", "0000") A_RECORD("04\"evil\"00", "0000012c", "01020304"),
		 0, 0, 0, 0},
		{"in the additional section", RESPONSE("0000", "0000", "0001") A_RECORD("c00c", "0000012c", "01020304"),
		 0, 0, 0, 0},
		{"in the authority section", RESPONSE("0000", "0001", "0000") A_RECORD("c00c", "0000012c", "01020304"),
		 0, 0, 0, 0},
		{"of another type",
		 RESPONSE("0001", "0000", "0000") "c00c 001c 0001 0000012c 0010"
						  "20010db8000000000000000000000001",
		 0, 0, 0, 0},
		{"of another class", RESPONSE("0001", "0000", "0000") "c00c 0001 0003 0000012c 0004 01020304", 0, 0, 0,
		 0},
		{"five bytes", RESPONSE("0001", "0000", "0000") "c00c 0001 0001 0000012c 0005 0102030405", -EBADMSG, 0,
		 0, 0},
		{"alias",
		 RESPONSE("0002", "0000",
			  "0000") "c00c 0005 0001 0000003c 0006 03\"www\"c00c" A_RECORD("c029", "0000012c", "01020304"),
		 0, 1, 1, 60},
		{"alias, wrong order",
		 RESPONSE("0002", "0000", "0000")
			 A_RECORD("03\"www\"c00c", "0000012c", "01020304") "c00c 0005 0001 0000003c 0006 03\"www\"c00c",
		 0, 1, 1, 60},
		{"alias and a record beside it",
		 RESPONSE("0002", "0000",
			  "0000") "c00c 0005 0001 0000003c 0006 03\"www\"c00c" A_RECORD("c00c", "0000012c", "01020304"),
		 0, 1, 0, 60},
		{"alias to itself", RESPONSE("0001", "0000", "0000") "c00c 0005 0001 0000003c 0002 c00c", -EBADMSG, 0,
		 0, 0},
		{"alias with bytes left", RESPONSE("0001", "0000", "0000") "c00c 0005 0001 0000003c 0003 c00c00",
		 -EBADMSG, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
		struct sg_dns_message message;
		uint8_t bytes[600];
		int result;

		if (sg_dns_parse(bytes, bytes_of(rows[i].message, bytes), &message) != 0) {
			fail_msg("%s: does not parse", rows[i].name);
		}
		result = sg_dns_extract(&message, &message.question, &answers);
		if (result != rows[i].result || answers.alias_count != rows[i].aliases ||
		    answers.data_count != rows[i].data || answers.ttl != rows[i].ttl) {
			fail_msg("%s: %d, %zu aliases, %zu data, ttl %u", rows[i].name, result, answers.alias_count,
				 answers.data_count, answers.ttl);
		}
	}
}

static void test_negative(void **state)
{
	/* example.com does not exist; SOA of com, TTL 900, MINIMUM 300. */
	static const char text[] = HEAD("8183", "0001", "0000", "0001", "0000") Q_EXAMPLE
		"c014 0006 0001 00000384 0018 01\"a\"00 00 00000001 00000002 00000003 00000004 0000012c";
	static const char foreign[] = HEAD("8183", "0001", "0000", "0001", "0000") Q_EXAMPLE
		"03\"net\"00 0006 0001 00000384 0018 01\"a\"00 00 00000001 00000002 00000003 00000004 "
		"0000012c";
	SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
	struct sg_dns_message message, again;
	uint8_t bytes[600], out[SG_DNS_UDP_MIN];

	(void)state;
	assert_int_equal(sg_dns_parse(bytes, bytes_of(text, bytes), &message), 0);
	assert_int_equal(sg_dns_extract(&message, &message.question, &answers), 0);
	assert_int_equal(answers.rcode, SG_DNS_NXDOMAIN);
	assert_true(answers.negative);
	assert_int_equal(answers.negative_ttl, 300);
	struct sg_dns_reply reply = {.rcode = answers.rcode, .answers = &answers};
	size_t size = sg_dns_write_reply(&message, &reply, out, sizeof(out));

	assert_int_equal(sg_dns_parse(out, size, &again), 0);
	assert_int_equal(again.counts[2], 1);
	assert_int_equal(again.flags & SG_DNS_RCODE, SG_DNS_NXDOMAIN);
	/* A SOA that does not speak for the name is not believed. */
	assert_int_equal(sg_dns_parse(bytes, bytes_of(foreign, bytes), &message), 0);
	assert_int_equal(sg_dns_extract(&message, &message.question, &answers), 0);
	assert_false(answers.negative);
}

static void make_query(uint16_t edns_size, struct sg_dns_message *ret, uint8_t *bytes)
{
	size_t size =
		bytes_of(edns_size ? HEAD("0100", "0001", "0000", "0000", "0001") Q_EXAMPLE "00 0029 0000 00000000 0000"
				   : HEAD("0100", "0001", "0000", "0000", "0000") Q_EXAMPLE,
			 bytes);

	if (edns_size) {
		bytes[size - 8] = (uint8_t)(edns_size >> 8);
		bytes[size - 7] = (uint8_t)edns_size;
	}
	assert_int_equal(sg_dns_parse(bytes, size, ret), 0);
}

static void test_reply(void **state)
{
	SG_AUTO_DNS_ANSWERS struct sg_dns_answers answers = {0};
	struct sg_dns_reply reply = {.answers = &answers};
	struct sg_dns_message query, message;
	uint8_t bytes[600], out[SG_DNS_UDP_MAX];

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(sg_dns_answers_add(&answers, 60, &i, 4), 0);
	}
	/* 40 addresses are 640 bytes: too many for 512, enough for 1232. */
	make_query(0, &query, bytes);
	assert_int_equal(sg_dns_udp_limit(&query), 512);
	assert_int_equal(sg_dns_parse(out, sg_dns_write_reply(&query, &reply, out, 512), &message), 0);
	assert_true(message.flags & SG_DNS_TC);
	assert_int_equal(message.counts[1], 0);
	assert_false(message.has_edns);
	make_query(100, &query, bytes);
	assert_int_equal(sg_dns_udp_limit(&query), 512);
	make_query(65535, &query, bytes);
	assert_int_equal(sg_dns_udp_limit(&query), SG_DNS_UDP_MAX);
	make_query(1232, &query, bytes);
	assert_int_equal(sg_dns_parse(out, sg_dns_write_reply(&query, &reply, out, sg_dns_udp_limit(&query)), &message),
			 0);
	assert_false(message.flags & SG_DNS_TC);
	assert_int_equal(message.counts[1], 40);
	assert_true(message.has_edns);
	assert_int_equal(message.flags & (SG_DNS_QR | SG_DNS_RD | SG_DNS_RA | SG_DNS_AA),
			 SG_DNS_QR | SG_DNS_RD | SG_DNS_RA);
	/* The size in the tail is exact: one byte less is a cut answer. */
	size_t size = sg_dns_write_reply(&query, &reply, out, 4096);

	assert_int_equal(sg_dns_write_reply(&query, &reply, out, size), size);
	assert_int_equal(sg_dns_parse(out, sg_dns_write_reply(&query, &reply, out, size - 1), &message), 0);
	assert_true(message.flags & SG_DNS_TC);
}

static void test_refusal(void **state)
{
	struct sg_dns_reply reply = {
		.rcode = SG_DNS_NXDOMAIN, .error = SG_DNS_ERROR_BLOCKED, .error_text = "name refused by policy"};
	struct sg_dns_message query, message;
	uint8_t bytes[600], out[512];
	size_t size;

	(void)state;
	make_query(1232, &query, bytes);
	size = sg_dns_write_reply(&query, &reply, out, sizeof(out));
	assert_int_equal(sg_dns_parse(out, size, &message), 0);
	assert_int_equal(message.id, 0x1234);
	assert_true(message.has_edns);
	assert_memory_equal(out + size - 22, "name refused by policy", 22);
	assert_memory_equal(out + size - 28, "\x00\x0f\x00\x18\x00\x0f", 6); /* option 15, 24 bytes, code 15 */
	/* Without EDNS nothing but the code can be said. */
	make_query(0, &query, bytes);
	size = sg_dns_write_reply(&query, &reply, out, sizeof(out));
	assert_int_equal(size, query.size);
	assert_int_equal(sg_dns_parse(out, size, &message), 0);
	assert_int_equal(message.flags & SG_DNS_RCODE, SG_DNS_NXDOMAIN);
}

/* -------- hosts, resolv.conf -------- */

static void test_hosts(void **state)
{
	static const char text[] =
		"127.0.0.1 localhost\n# 1.1.1.1 comment.example\n::1\tlocalhost ip6-localhost # x\n"
		"10.0.0.1 DB.internal db alias # c.example\r\n10.0.0.2 db.internal\n"
		"999.0.0.1 wrong\nnonsense\n10.0.0.3\n10.0.0.4 bad_host! good\n2001:db8::7 db.internal";
	struct sg_address addresses[8];
	struct sg_domain name, names[4];
	struct sg_hosts *hosts = NULL;

	(void)state;
	assert_int_equal(sg_hosts_parse(text, sizeof(text) - 1, &hosts), 0);
	assert_int_equal(sg_domain_parse("db.internal", 11, &name, NULL, NULL), 0);
	assert_int_equal(sg_hosts_addresses(hosts, &name, AF_INET, addresses, 8), 2);
	assert_memory_equal(addresses[0].bytes, "\x0a\0\0\x01", 4);
	assert_memory_equal(addresses[1].bytes, "\x0a\0\0\x02", 4);
	assert_int_equal(sg_hosts_addresses(hosts, &name, AF_INET6, addresses, 8), 1);
	assert_int_equal(sg_hosts_addresses(hosts, &name, 0, addresses, 8), 3);
	assert_int_equal(sg_hosts_names(hosts, &addresses[0], names, 4), 1);
	assert_string_equal(names[0].text, "db.internal");
	assert_int_equal(sg_domain_parse("db", 2, &name, NULL, NULL), 0);
	assert_int_equal(sg_hosts_addresses(hosts, &name, AF_INET6, addresses, 8), 0); /* known, in the other family */
	for (const char *const *absent = (const char *const[]){"comment.example", "c.example", "wrong", NULL}; *absent;
	     absent++) {
		assert_int_equal(sg_domain_parse(*absent, strlen(*absent), &name, NULL, NULL), 0);
		assert_int_equal(sg_hosts_addresses(hosts, &name, 0, addresses, 8), -ENOENT);
	}
	assert_int_equal(sg_hosts_addresses(NULL, &name, 0, addresses, 8), -ENOENT);
	sg_hosts_free(hosts);
	assert_int_equal(sg_hosts_parse("", 0, &hosts), 0);
	assert_int_equal(sg_hosts_addresses(hosts, &name, 0, addresses, 8), -ENOENT);
	sg_hosts_free(hosts);
}

static void test_resolvconf(void **state)
{
	static const char text[] =
		"; comment\nnameserver 192.0.2.1 # first\nnameserver 224.0.0.251\nnameserver nonsense\n"
		"nameserver fe80::1%1\nnameserver 0.0.0.0\nnameserver 192.0.2.9\n"
		"search a.example b.example\noptions timeout:99 attempts:0 ndots:3 rotate timeout:x\n";
	struct sg_resolvconf conf;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	(void)state;
	sg_resolvconf_parse(text, sizeof(text) - 1, &conf);
	assert_int_equal(conf.server_count, 3);
	memcpy(&in, &conf.servers[0].address, sizeof(in));
	assert_int_equal(ntohl(in.sin_addr.s_addr), 0xc0000201);
	assert_int_equal(ntohs(in.sin_port), 53);
	memcpy(&in6, &conf.servers[1].address, sizeof(in6));
	assert_int_equal(in6.sin6_scope_id, 1);
	memcpy(&in, &conf.servers[2].address, sizeof(in));
	assert_int_equal(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(conf.timeout, 30);
	assert_int_equal(conf.attempts, 1);
	assert_int_equal(conf.ndots, 3);
	assert_int_equal(conf.search_count, 2);
	sg_resolvconf_parse("", 0, &conf);
	assert_int_equal(conf.server_count, 1);
	memcpy(&in, &conf.servers[0].address, sizeof(in));
	assert_int_equal(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
}

/* -------- the name cache -------- */

static struct sg_address number_address(uint32_t number)
{
	struct sg_address address;

	number = htonl(number);
	sg_address_from_ip(AF_INET, &number, &address);
	return address;
}

static void test_namecache(void **state)
{
	struct sg_namecache *cache = sg_namecache_new(8);
	struct sg_address a[3] = {number_address(1), number_address(2), number_address(3)};
	uint32_t ids[SG_NAMECACHE_NAMES_MAX], two[] = {5, 9}, one[] = {7};

	(void)state;
	assert_null(sg_namecache_new(0));
	assert_int_equal(sg_namecache_add(cache, a, 2, two, 2, 1, 1000), 0);
	assert_int_equal(sg_namecache_names(cache, &a[0], 1000, ids), 2);
	assert_int_equal(sg_namecache_names(cache, &a[2], 1000, ids), 0);
	/* A TTL of 1 second is held for 60. */
	assert_int_equal(sg_namecache_names(cache, &a[0], 60999, ids), 2);
	assert_int_equal(sg_namecache_names(cache, &a[0], 61000, ids), 0);
	/* A longer life stays, a shorter one does not cut it. */
	assert_int_equal(sg_namecache_add(cache, a, 1, two, 1, 600, 1000), 0);
	assert_int_equal(sg_namecache_add(cache, a, 1, two, 1, 60, 2000), 0);
	assert_int_equal(sg_namecache_names(cache, &a[0], 600999, ids), 1);
	assert_int_equal(ids[0], 5);
	/* Longest: a day. */
	assert_int_equal(sg_namecache_add(cache, a + 2, 1, one, 1, UINT32_MAX, 0), 0);
	assert_int_equal(sg_namecache_names(cache, &a[2], 86399999, ids), 1);
	assert_int_equal(sg_namecache_names(cache, &a[2], 86400000, ids), 0);
	sg_namecache_free(cache);
}

static void test_namecache_full(void **state)
{
	struct sg_namecache *cache = sg_namecache_new(8);
	uint32_t ids[SG_NAMECACHE_NAMES_MAX], one[] = {7}, many[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
	struct sg_address address = number_address(100);

	(void)state;
	assert_int_equal(sg_namecache_add(cache, &address, 1, many, 9, 60, 0), -ENOSPC);
	assert_int_equal(sg_namecache_count(cache), 0);
	for (uint32_t i = 0; i < 8; i++) {
		address = number_address(i);
		assert_int_equal(sg_namecache_add(cache, &address, 1, one, 1, 60, 0), 0);
	}
	address = number_address(100);
	assert_int_equal(sg_namecache_add(cache, &address, 1, one, 1, 60, 59999), -ENOSPC);
	/* What is there stays: a flood does not push out what a Deny may hang on. */
	address = number_address(0);
	assert_int_equal(sg_namecache_names(cache, &address, 59999, ids), 1);
	/* A known entry needs no room. */
	assert_int_equal(sg_namecache_add(cache, &address, 1, one, 1, 60, 59999), 0);
	address = number_address(100);
	assert_int_equal(sg_namecache_add(cache, &address, 1, one, 1, 60, 60000), 0);
	assert_int_equal(sg_namecache_count(cache), 2);
	sg_namecache_clear(cache);
	assert_int_equal(sg_namecache_names(cache, &address, 60000, ids), 0);
	sg_namecache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),     cmocka_unit_test(test_names),
		cmocka_unit_test(test_within),    cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_extract),   cmocka_unit_test(test_negative),
		cmocka_unit_test(test_reply),     cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_hosts),     cmocka_unit_test(test_resolvconf),
		cmocka_unit_test(test_namecache), cmocka_unit_test(test_namecache_full),
	};
	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
