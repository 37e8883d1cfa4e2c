/*
 * The decision about an address in this session: that of the policy (policy/decide_address.h), with the two lists that it takes, of
 * this host's addresses and of the names that the session's resolver answered; and a port of the host that the world itself was
 * given to listen on leads outside.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/network.h"

enum { HOSTS_MAX = 16 << 20, CONFIGURATION_MAX = 64 * 1024 };

/* A missing file is an empty one. */
static char *read_text(const char *path, size_t limit, size_t *ret_size)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;

	*ret_size = 0;
	if (fd < 0 || sg_fd_read_file(fd, limit, &text, ret_size) < 0)
		return NULL;
	return text;
}

static void read_host_names(struct sg_network *network)
{
	SG_AUTO_FREE char *configuration = NULL;
	SG_AUTO_FREE char *hosts = NULL;
	size_t size;

	configuration = read_text("/etc/resolv.conf", CONFIGURATION_MAX, &size);
	sg_resolvconf_parse(configuration != NULL ? configuration : "", size, &network->configuration);
	hosts = read_text("/etc/hosts", HOSTS_MAX, &size);
	if (hosts != NULL)
		(void)sg_hosts_parse(hosts, size, &network->hosts);
}

int sg_net_policy_prepare(struct sg_network *network, struct sg_error *error)
{
	const struct sg_policy *policy = network->supervisor->policy;
	struct sg_error listing = SG_ERROR_INIT;
	int status = sg_address_rules_init(policy, &network->rules);

	if (status < 0)
		return sg_error_set_errno(error, status, "cannot compile the address rules");
	network->names = sg_namecache_new(SG_NET_NAMES);
	if (network->names == NULL)
		return sg_error_set_errno(error, -ENOMEM, "cannot make the cache of names");
	/* Without the list no rule with `internet` or `host` grants anything; what denies by them holds for
	 * all. */
	if (sg_hostaddrs_new(&network->host, &listing) < 0)
		network->host = NULL;
	network->namerules.set = network->rules.set;
	network->namerules.any = network->rules.any;
	network->namerules.allow = SG_NET_ALLOW;
	network->namerules.environment = network->host != NULL ? sg_hostaddrs_environment(network->host) : NULL;
	if (network->rules.resolves)
		read_host_names(network);
	return 0;
}

/* The session's resolver is the world's own, whatever rule names that address. */
static bool is_resolver(const struct sg_network *network, const struct sg_address *address)
{
	struct in_addr name;

	return network->rules.resolves && address->family == AF_INET && address->port == SG_LOOPBACK_NAMESERVER_PORT &&
	       inet_pton(AF_INET, SG_LOOPBACK_NAMESERVER, &name) == 1 &&
	       memcmp(address->bytes, &name, sizeof(name)) == 0;
}

/* A port of the host that the world itself holds. */
static const struct sg_net_port *find_port(const struct sg_network *network, const struct sg_address *address)
{
	for (size_t i = 0; i < SG_NET_PORTS_MAX; i++) {
		const struct sg_net_port *port = &network->ports[i];

		if (port->serial != 0 && port->port == address->port && port->protocol == address->protocol &&
		    sg_net_is_alive(network, port->serial))
			return port;
	}
	return NULL;
}

static enum sg_net_where allow(struct sg_decision *decision, enum sg_net_where where, const struct sg_rule *rule,
			       const char *reason)
{
	*decision = (struct sg_decision){.verdict = SG_VERDICT_ALLOW, .rule = rule, .reason = reason};
	return where;
}

static enum sg_net_where refuse(struct sg_decision *decision, int error, const struct sg_rule *rule, const char *reason)
{
	*decision = (struct sg_decision){.verdict = SG_VERDICT_DENY, .error = error, .rule = rule, .reason = reason};
	return SG_NET_REFUSED;
}

/*
 * True for an address of this host that no name opens. When the session's resolver was asked, an address of this host was not believed
 * (network/resolver.c); this host may have got it since, and whoever answers for an allowed name could have foreseen that, for as long
 * as the answer lives. What this host's own list of names says holds.
 */
static bool is_beyond_names(const struct sg_network *network, const struct sg_address *address, unsigned int classes)
{
	struct sg_domain known;

	return (classes & (SG_CLASS_OWN | SG_CLASS_BROADCAST)) != 0 &&
	       sg_hosts_names(network->hosts, address, &known, 1) == 0;
}

static enum sg_net_where decide(struct sg_network *network, const struct sg_address *address, enum sg_address_use use,
				struct sg_decision *decision)
{
	const struct sg_address_environment *environment = network->namerules.environment;
	const unsigned int classes = sg_address_classes(address, environment);
	const bool loopback =
		address->family != AF_UNIX && use != SG_ADDRESS_BIND && (classes & SG_CLASS_LOOPBACK) != 0;
	uint32_t ids[SG_NAMECACHE_NAMES_MAX];
	enum sg_net_where where;
	size_t count = 0;

	if (loopback && is_resolver(network, address))
		return allow(decision, SG_NET_OWN, NULL, "it is the session's resolver");
	if (address->family != AF_UNIX)
		count = sg_namecache_names(network->names, address, sg_net_now(), ids);
	where = sg_decide_address(&network->rules, address, use, ids, count, environment, decision);
	if (where == SG_NET_OUTSIDE && count > 0 && is_beyond_names(network, address, classes))
		where = sg_decide_address(&network->rules, address, use, NULL, 0, environment, decision);
	if (where == SG_NET_OWN && loopback && find_port(network, address) != NULL)
		return allow(decision, SG_NET_OUTSIDE, NULL, "the world listens there itself");
	return where;
}

enum sg_net_where sg_net_decide(struct sg_network *network, const struct sg_address *address, enum sg_address_use use,
				struct sg_decision *decision)
{
	enum sg_net_where where = decide(network, address, use, decision);

	if (where == SG_NET_OUTSIDE && !sg_net_is_kept(network, address))
		return refuse(decision, ENETUNREACH, NULL, SG_NET_CUT_REASON);
	return where;
}

/* Some port, or a name that the session's resolver answered. */
static bool is_peer(const struct sg_network *network, const struct sg_address *address)
{
	uint32_t ids[SG_NAMECACHE_NAMES_MAX];
	const unsigned int classes = sg_address_classes(address, network->namerules.environment);

	return sg_namecache_names(network->names, address, sg_net_now(), ids) > 0 ||
	       sg_addressset_names_address(network->rules.set, address, SG_NET_ALLOW) ||
	       (network->namerules.any && (classes & SG_CLASS_INTERNET) != 0);
}

bool sg_net_may_ask_route(struct sg_network *network, const struct sg_address *address, struct sg_decision *decision)
{
	static const uint8_t others[] = {SG_PROTOCOL_TCP, SG_PROTOCOL_ICMP};
	struct sg_address other = *address;
	struct sg_decision found;

	if (address->protocol != SG_PROTOCOL_UDP || decision->rule != NULL || network->cut)
		return false;
	/* Port 0 carries nothing, with any socket. */
	if (address->port == 0)
		return is_peer(network, address);
	for (size_t i = 0; i < SG_ARRAY_SIZE(others); i++) {
		other.protocol = others[i];
		other.port = others[i] == SG_PROTOCOL_ICMP ? 0 : address->port;
		if (decide(network, &other, SG_ADDRESS_CONNECT, &found) == SG_NET_OUTSIDE)
			return true;
		/* What it was going to use is denied: that is what it should be told. */
		if (found.verdict == SG_VERDICT_DENY && found.rule != NULL)
			*decision = found;
	}
	return false;
}

int sg_net_report(struct sg_request *request, const struct sg_decision *decision, const struct sg_address *address)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	sg_address_format(address, &text);
	if (sg_buffer_status(&text) < 0)
		return -ENOMEM;
	return sg_report(request, decision, text.data, NULL);
}

void sg_net_refuse(struct sg_request *request, const struct sg_decision *decision, const struct sg_address *address)
{
	(void)sg_net_report(request, decision, address);
	sg_answer_error(request, decision->error);
}

void sg_net_explain(struct sg_request *request, const struct sg_net_socket *socket, int error,
		    const struct sg_address *address)
{
	static const struct sg_decision decision = {
		.verdict = SG_VERDICT_DENY,
		.error = EACCES,
		.reason = "the host does not let this user ping: net.ipv4.ping_group_range has not its group"};

	if (error == -EACCES && socket->kind == SG_PROTOCOL_ICMP)
		(void)sg_net_report(request, &decision, address);
}
