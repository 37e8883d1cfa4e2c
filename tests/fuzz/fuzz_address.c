/*
 * Address patterns and socket addresses: a pattern that parses has a canonical text that gives the same
 * pattern, and can be compiled and matched; a socket address that is accepted comes back the same from what
 * is made of it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/address.h"
#include "policy/addresspattern.h"
#include "policy/addressset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void check_set(const struct sg_addresspattern *pattern, const struct sg_address *address)
{
	struct sg_addressset_builder *builder = sg_addressset_builder_new();
	struct sg_addressset *set = NULL;
	struct sg_address_match match;

	if (builder && sg_addressset_builder_add(builder, pattern, 7, 3) == 0 &&
	    sg_addressset_build(builder, 2, &set) == 0) {
		sg_addressset_match(set, address, NULL, 0, NULL, &match);
		require((match.classes & ~3U) == 0 && (!(match.classes & 1) || match.rules[0] == 7));
	}
	sg_addressset_free(set);
	sg_addressset_builder_free(builder);
}

static void check_pattern(const char *text, size_t size, enum sg_addresspattern_use use,
			  const struct sg_address *address)
{
	struct sg_addresspattern pattern = {0}, again = {0};
	struct sg_buffer first = SG_BUFFER_INIT, second = SG_BUFFER_INIT;
	struct sg_addresspattern_problem problem;

	if (sg_addresspattern_parse(text, size, use, &pattern, &problem) != 0) {
		require(problem.offset <= size && problem.length <= size - problem.offset &&
			problem.message[0] != '\0');
		return;
	}
	sg_addresspattern_format(&pattern, &first);
	/* A text at the limit of the length may get longer. */
	if (first.size <= SG_ADDRESSPATTERN_MAX) {
		require(sg_addresspattern_parse(first.data, first.size, use, &again, &problem) == 0);
		sg_addresspattern_format(&again, &second);
		require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
		require(again.kind == pattern.kind && again.protocols == pattern.protocols);
	}
	check_set(&pattern, address);
	sg_buffer_done(&first);
	sg_buffer_done(&second);
	sg_addresspattern_done(&pattern);
	sg_addresspattern_done(&again);
}

static void check_sockaddr(const uint8_t *data, size_t size, struct sg_address *ret)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
	static const unsigned int protocols[] = {SG_PROTOCOL_TCP, SG_PROTOCOL_UDP, SG_PROTOCOL_ICMP};

	for (int i = 0; i < 27; i++) {
		enum sg_address_use use = (enum sg_address_use)(i / 9);
		int family = families[i % 3];
		unsigned int protocol = protocols[i / 3 % 3];
		struct sockaddr_storage back;
		struct sg_address address, again;
		struct sg_buffer text = SG_BUFFER_INIT;

		if (sg_address_from_sockaddr(data, size, family, protocol, use, &address) != 0) {
			continue;
		}
		socklen_t length = sg_address_to_sockaddr(&address, &back);

		require(length <= sizeof(back) && back.ss_family == family);
		require(sg_address_from_sockaddr(&back, length, family, protocol, use, &again) == 0);
		require(memcmp(&address, &again, sizeof(address)) == 0);
		sg_address_format(&address, &text);
		sg_buffer_done(&text);
		*ret = address;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first byte splits: a socket address, then a pattern. */
	size_t split = size > 0 ? data[0] % 130 : 0;
	struct sg_address address = {
		.family = AF_INET, .protocol = SG_PROTOCOL_TCP, .port = 443, .bytes = {10, 1, 2, 3}};

	if (size == 0) {
		return 0;
	}
	data++;
	size--;
	split = split > size ? size : split;
	check_sockaddr(data, split, &address);
	for (int use = 0; use < 3; use++) {
		check_pattern((const char *)data + split, size - split, (enum sg_addresspattern_use)use, &address);
	}
	return 0;
}
