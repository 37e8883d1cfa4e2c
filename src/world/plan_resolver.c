/*
 * The world's own /etc/resolv.conf: the host's servers are out of reach, the session's resolver answers on
 * the world's loopback. What the client side does (search list, dots) stays as the host has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "network/hosts.h"
#include "world/loopback.h"
#include "world/plan_internal.h"

enum { CONFIGURATION_MAX = 64 * 1024 };

static const char configuration[] = "/etc/resolv.conf";

/* An unreadable or missing file is an empty one, as for the C library. */
static void read_host(struct sg_resolvconf *ret)
{
	SG_AUTO_FD int fd = open(configuration, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SG_AUTO_FREE char *text = NULL;
	size_t size = 0;

	if (fd < 0 || sg_fd_read_file(fd, CONFIGURATION_MAX, &text, &size) < 0)
		size = 0;
	sg_resolvconf_parse(text != NULL ? text : "", size, ret);
}

static const char *make_text(struct sg_planner *planner)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_resolvconf host;

	read_host(&host);
	sg_buffer_append_text(&text,
			      "# The names that the profile allows are looked up by the session's own resolver.\n"
			      "nameserver " SG_LOOPBACK_NAMESERVER "\n");
	for (size_t i = 0; i < host.search_count; i++)
		sg_buffer_printf(&text, "%s%s", i == 0 ? "search " : " ", host.search[i].text);
	if (host.search_count > 0)
		sg_buffer_append_byte(&text, '\n');
	sg_buffer_printf(&text, "options edns0 trust-ad ndots:%u timeout:%u attempts:%u\n", host.ndots, host.timeout,
			 host.attempts);
	if (sg_buffer_status(&text) < 0) {
		planner->status = sg_buffer_status(&text);
		return NULL;
	}
	return sg_plan_keep(planner, text.data, text.size);
}

bool sg_plan_resolver_text(struct sg_planner *planner, const char **ret_target, const char **ret_text)
{
	if (!sg_policy_has_flag(planner->plan->policy, "dns"))
		return false;
	/* It may be a link to what a daemon of the host writes: the text stands where the link leads. */
	if (sg_plan_canonical(planner, configuration, ret_target) != 0) {
		if (planner->status < 0 || sg_plan_root_of(planner, configuration) != NULL)
			return false; /* a host's folder without that name: nothing is made in it; the
					 resolver is the default */
		*ret_target = configuration;
	}
	*ret_text = make_text(planner);
	return *ret_text != NULL;
}
