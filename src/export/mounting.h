/*
 * What back ends hold of rules about files that make a file system of a program's own by mounts: containers, units.
 *
 * A mount is whole: it is there or not, read-only or not, with code or without, and who asks for a name in it is not looked at. So
 * a rule by wildcards gets its folder. A refusal is something empty mounted over the name, which is there for as long as the
 * mount is: a file that the host makes later, or puts in the place of the old one, is not covered.
 */
#pragma once

#include "export/export.h"
#include "export/places.h"

/* How a back end differs, in words for the matrix; static, no full stop. */
struct sg_mounting {
	const char *optional; /* places that may be missing are left out; NULL: they are mounted where they are there */
	const char *covered;  /* Deny of a name */
	const char *hidden;   /* Hide of a name */
	const char *no_write; /* DenyWrite of a name in a folder that is writable */
	const char *no_code;  /* DenyExec of a name in a folder with code; NULL: it is not held */
	const char *terminals; /* why there are no terminals of its own; NULL: there are */
};

/* Judges a rule about files. `with` has places. */
struct sg_hold sg_mounting_judge(const struct sg_mounting *mounting, const struct sg_export *with,
				 const struct sg_rule *rule);

/* SG_REST_FILES and SG_REST_PROGRAMS. */
struct sg_hold sg_mounting_judge_rest(const struct sg_export *with, enum sg_export_rest rest);

/*
 * Calls `add` with each literal name that refusals of those kinds (SG_NAME_BIT) take away where something is mounted, in the order
 * of the rules, in places of the program's own too where they are below /proc and /dev. Returns the first value other than 0, or 0.
 */
int sg_mounting_covers(const struct sg_export *with, uint64_t kinds, int (*add)(void *data, const char *name),
		       void *data);

/* A device that every program gets: the name; NULL at the end. */
extern const char *const sg_mounting_devices[];

/* True if a place gives sockets or files of the host: all but private ones. */
bool sg_mounting_has_host_folders(const struct sg_places *places);

/* True for unix: addresses, paths and abstract names. */
bool sg_mounting_is_unix(const struct sg_rule *rule);

/* True if an Allow, a Listen or the flag `incoming` gives something outside of the program's own network. */
bool sg_mounting_names_outside(const struct sg_policy *policy);

/* Judges a rule about unix: addresses. */
struct sg_hold sg_mounting_judge_unix(const struct sg_mounting *mounting, const struct sg_export *with,
				      const struct sg_rule *rule);
