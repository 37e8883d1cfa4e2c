/* The sockets that a policy lets be made, in AppArmor's words. */
#pragma once

#include "base/buffer.h"
#include "world/filter.h"

struct sg_apparmor_family {
	int domain;
	const char *name;
};
struct sg_apparmor_type {
	int type;
	const char *name;
};

/* Families other than AF_UNIX, and types; both end with a name of NULL. */
extern const struct sg_apparmor_family sg_apparmor_families[];
extern const struct sg_apparmor_type sg_apparmor_types[];

/* True if the grants let a socket of that kind be made, by socket(2) or socketpair(2). */
bool sg_apparmor_makes_sockets(const struct sg_filter_grants *grants, int domain, int type);

/* Appends a rule for each kind that is given, but for those of AF_UNIX. */
void sg_apparmor_sockets_write(const struct sg_filter_grants *grants, struct sg_buffer *out);
