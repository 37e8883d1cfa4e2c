/*
 * What leads outside: a network of the unit's own where the profile names nothing outside; else filters by address, in the kernel, for
 * the sockets of the unit's control group. They know no ports, no protocols and no names, an allowed address goes before a denied
 * one, and where the kernel lacks them systemd goes without.
 */
#include "export/systemd_network.h"

#include <arpa/inet.h>
#include <string.h>

#include "export/mounting.h"
#include "policy/addresspattern.h"

static bool is_internet(const struct sg_addresspattern *pattern)
{
	return pattern->kind == SG_HOST_INTERNET || pattern->kind == SG_HOST_ANY;
}

static bool allows_internet(const struct sg_policy *policy)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_ALLOW, &count);

	for (size_t i = 0; i < count; i++)
		if (is_internet(rules[i].address))
			return true;
	return false;
}

struct sg_hold sg_systemd_judge_address(const struct sg_export *with, const struct sg_rule *rule)
{
	if (!sg_mounting_names_outside(with->policy))
		return (struct sg_hold){SG_HOLDS, NULL};
	if (rule->kind == SG_RULE_LISTEN)
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"by port, whatever the address, and only where systemd has BPF's framework"};
	if (rule->kind == SG_RULE_DENY_ADDRESS)
		return rule->address->kind == SG_HOST_PREFIX && allows_internet(with->policy)
			       ? (struct sg_hold){SG_HOLDS_PARTLY,
						  "by address, whatever the port, where the kernel can; "
						  "an allowed address goes before a denied one"}
			       : (struct sg_hold){SG_HOLDS_NOT, "an allowed address goes before a denied one"};
	switch (rule->address->kind) {
	case SG_HOST_PREFIX:
	case SG_HOST_LOOPBACK:
	case SG_HOST_INTERNET:
	case SG_HOST_ANY:
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"by address, whatever the port and protocol, where the kernel can"};
	default:
		return (struct sg_hold){SG_HOLDS_STRICTER, "a filter knows addresses and no names: left out"};
	}
}

static void append_prefix(const char *key, const struct sg_addresspattern *pattern, struct sg_buffer *out)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(pattern->family, pattern->bytes, text, sizeof(text)) != NULL)
		sg_buffer_printf(out, "%s=%s/%u\n", key, text, (unsigned int)pattern->prefix);
}

static void append_allowed(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_ALLOW, &count);
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		any |= rules[i].address->kind == SG_HOST_ANY;
		if (rules[i].address->kind == SG_HOST_PREFIX)
			append_prefix("IPAddressAllow", rules[i].address, out);
		else if (rules[i].address->kind == SG_HOST_LOOPBACK)
			sg_buffer_append_text(out, "IPAddressAllow=localhost\n");
	}
	/* Where systemd-resolved listens, to which resolv.conf of most hosts points. */
	if (sg_policy_has_flag(policy, "dns"))
		sg_buffer_append_text(out, "IPAddressAllow=127.0.0.53 127.0.0.54\n");
	/* Not of the internet, and so named or refused (PROFILE: `outgoing`): the host itself, the link, metadata services. */
	if (any)
		return;
	sg_buffer_append_text(
		out, allows_internet(policy)
			     ? "IPAddressDeny=localhost link-local multicast\nIPAddressDeny=fd00:ec2::254/128\n"
			     : "IPAddressDeny=any\n");
}

static void append_denied(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_DENY_ADDRESS, &count);

	for (size_t i = 0; i < count && allows_internet(policy); i++)
		if (rules[i].address->kind == SG_HOST_PREFIX)
			append_prefix("IPAddressDeny", rules[i].address, out);
}

static void append_ports(const struct sg_addresspattern *pattern, const char *protocol, struct sg_buffer *out)
{
	for (size_t i = 0; i < pattern->port_count; i++)
		sg_buffer_printf(out, "SocketBindAllow=%s:%u-%u\n", protocol,
				 pattern->ports[i].low > 0 ? pattern->ports[i].low : 1U, pattern->ports[i].high);
}

static void append_listening(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_LISTEN, &count);

	for (size_t i = 0; i < count; i++) {
		if ((rules[i].address->protocols & SG_PROTOCOL_TCP) != 0)
			append_ports(rules[i].address, "tcp", out);
		if ((rules[i].address->protocols & SG_PROTOCOL_UDP) != 0)
			append_ports(rules[i].address, "udp", out);
	}
	if (sg_policy_has_flag(policy, "incoming"))
		sg_buffer_append_text(out, "SocketBindAllow=1024-65535\n");
	sg_buffer_append_text(out, "SocketBindDeny=any\n");
}

void sg_systemd_append_network(const struct sg_policy *policy, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "IPAddressAllow=\nIPAddressDeny=\nSocketBindAllow=\nSocketBindDeny=\n");
	if (!sg_mounting_names_outside(policy)) {
		sg_buffer_append_text(out, "PrivateNetwork=yes\nIPAddressDeny=any\nIPAddressAllow=localhost\n");
		return;
	}
	sg_buffer_append_text(out, "PrivateNetwork=no\n");
	append_allowed(policy, out);
	append_denied(policy, out);
	append_listening(policy, out);
}
