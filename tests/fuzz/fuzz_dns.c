/*
 * Hostile DNS messages: whatever parses must be walked, reduced and written again without a fault, and what
 * is written must parse. hosts(5) and resolv.conf(5) get the same bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "network/dns.h"
#include "network/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void check_reply(const struct sg_dns_message *message, const struct sg_dns_answers *answers, size_t limit)
{
	static uint8_t out[SG_DNS_MESSAGE_MAX];
	struct sg_dns_reply reply = {.rcode = answers ? answers->rcode & 0xfff : SG_DNS_NXDOMAIN,
				     .answers = answers,
				     .error = SG_DNS_ERROR_BLOCKED,
				     .error_text = "text"};
	size_t size = sg_dns_write_reply(message, &reply, out, limit);
	struct sg_dns_message again;

	require(size >= SG_DNS_HEADER_SIZE && size <= limit);
	require(sg_dns_parse(out, size, &again) == 0);
	require(again.id == message->id && again.flags & SG_DNS_QR);
	require(again.has_edns == message->has_edns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sg_dns_answers answers = {0};
	struct sg_hosts *hosts = NULL;
	struct sg_dns_message message;
	struct sg_resolvconf conf;
	struct sg_domain domain, back;
	struct sg_dns_name wire;

	if (sg_dns_parse(data, size, &message) == 0 && message.counts[0] == 1) {
		struct sg_dns_cursor cursor = sg_dns_first(&message);
		unsigned int walked = 0;
		struct sg_dns_record entry;

		while (sg_dns_next(&message, &cursor, &entry)) {
			require(entry.data + entry.size <= size);
			walked++;
		}
		require(walked == (unsigned int)message.counts[1] + message.counts[2] + message.counts[3]);
		if (sg_dns_name_to_domain(&message.question.name, &domain) == 0) {
			sg_dns_name_from_domain(&domain, &wire);
			require(sg_dns_name_equal(&wire, &message.question.name));
			require(sg_dns_name_to_domain(&wire, &back) == 0 && back.length == domain.length);
		}
		if (sg_dns_extract(&message, &message.question, &answers) == 0) {
			check_reply(&message, &answers, SG_DNS_MESSAGE_MAX);
			check_reply(&message, &answers, sg_dns_udp_limit(&message));
		}
	}
	if (size >= SG_DNS_HEADER_SIZE) {
		check_reply(&message, NULL, SG_DNS_UDP_MIN);
	}
	sg_dns_answers_done(&answers);
	if (sg_hosts_parse((const char *)data, size, &hosts) == 0) {
		sg_hosts_free(hosts);
	}
	sg_resolvconf_parse((const char *)data, size, &conf);
	require(conf.server_count >= 1 && conf.server_count <= SG_RESOLVCONF_SERVERS_MAX);
	return 0;
}
