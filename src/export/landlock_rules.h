/*
 * The rules of a policy as those of Landlock (landlock(7)): rights over whole file hierarchies, and TCP ports.
 *
 * A rule of Landlock gives rights over a folder with all in it, or over one file; it has no refusals and no names. So what wildcards
 * name becomes the folder that they range over, and a refusal holds only where nothing is given. What a kernel does not know of
 * it is left out by whoever loads it.
 */
#pragma once

#include "export/export.h"

enum sg_landlock_right {
#define SG_LANDLOCK_RIGHT(id, name, file) SG_LANDLOCK_##id,
#include "export/landlock_rights.def"
#undef SG_LANDLOCK_RIGHT
	SG_LANDLOCK_RIGHTS_
};

struct sg_landlock_place {
	char *path;          /* owned; a folder's ends in '/' */
	unsigned int rights; /* bits, 1 << enum sg_landlock_right */
};

/* Ports that one of the two rights of TCP is given for. */
struct sg_landlock_ports {
	bool handled; /* else there are too many to list, and all are left open */
	size_t count;
	uint64_t set[65536 / 64];
};

struct sg_landlock_rules {
	struct sg_landlock_place *places; /* owned; sorted by path, none twice */
	size_t count, capacity;
	struct sg_landlock_ports connect, bind;
	struct sg_hold *holds; /* owned; by index of the policy's rules; of file and address rules only */
};

/* Fills *ret, which is to be given to sg_landlock_rules_done in every case. Pure. Returns 0, -ENOMEM or -E2BIG (SG_PLACES_MAX). */
SG_MUST_USE int sg_landlock_rules_find(const struct sg_policy *policy, struct sg_landlock_rules *ret);
void sg_landlock_rules_done(struct sg_landlock_rules *rules);
