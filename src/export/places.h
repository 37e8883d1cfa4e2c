/*
 * The folders and files that a policy's rules name, as those that make a file system for a program would mount them: one place
 * for each, the rights of all rules that speak of it together. The planner of a session does the same for its host
 * (world/plan_roots.c); here no host is looked at, so what is there is not known, and rules by wildcards are given whole folders.
 */
#pragma once

#include "policy/decide.h"

enum { SG_PLACES_MAX = 65536 /* names of one policy that are given, and that are refused, with {a,b} written out */ };

struct sg_place {
	char *path;                 /* owned; no '/' at its end, but for "/" itself */
	const struct sg_rule *rule; /* the first that asks for it */
	struct sg_glob *below;      /* owned; the folder and everything in it. NULL: it is none */
	bool folder;                /* else a file, or whatever bears the name */
	bool private;               /* empty, of the program's own */
	bool write, execute;        /* execute: or mapped as code */
	bool socket;                /* it may be connected to, and that is all */
	bool whole;                 /* every name in it is given by some rule */
	bool optional; /* a host that lacks it is none to wonder about: settings, and what only some systems have */
};

struct sg_places {
	struct sg_place *places; /* owned; a folder stands before what lies in it */
	size_t count, capacity;
	struct sg_globset *set;     /* owned; the allowing rules, by SG_NAME_BIT() */
	struct sg_matcher *matcher; /* owned */
};

/*
 * Finds them. *ret is to be given to sg_places_done in every case. A place within another that gives as much is not in it.
 * Returns 0 or a negative errno value (-ENOMEM, -E2BIG).
 */
SG_MUST_USE int sg_places_find(const struct sg_policy *policy, struct sg_places *ret);
void sg_places_done(struct sg_places *places);

/* True for names below /proc and /dev: there is no world without, and the host's are for none. */
bool sg_places_is_own(const char *path);

/* The innermost place that is `path`, or a folder that holds it; NULL: none. */
const struct sg_place *sg_places_around(const struct sg_places *places, const char *path);

/* Calls `note` for each place of which, or of a name in which, the glob could speak: none of those is left out. */
void sg_places_meet(const struct sg_places *places, const struct sg_glob *glob,
		    void (*note)(void *data, const struct sg_place *place), void *data);

/*
 * On most hosts /bin is a link to /usr/bin, and where both are mounted a file stands under two names. Appends the other name of
 * `path` (a glob may follow its first folders) and returns true, or false if it has none.
 */
bool sg_places_twin(const char *path, struct sg_buffer *ret);

/*
 * The same glob by the other name of the folder in which it begins. Returns 0 with *ret (owned by the caller; NULL: there is none), 1 if
 * its wildcards could name such a folder themselves, or -ENOMEM.
 */
SG_MUST_USE int sg_places_find_twin(const struct sg_glob *glob, struct sg_glob **ret);

/*
 * The names that the glob's refused files have by the other name of such a folder: calls `add`, which owns `twin` then, for globs of
 * them. Returns as sg_glob_move().
 */
SG_MUST_USE int sg_places_each_twin(const struct sg_glob *glob, int (*add)(void *data, struct sg_glob *twin),
				    void *data);

/* The classes (SG_NAME_BIT) whose globs match the place, or everything in it if it is a folder. */
uint64_t sg_places_given(const struct sg_places *places, const struct sg_place *place);

/*
 * The literal names that a refusal takes away as a whole: of a name or {a,b} of names the names, of a tree its folder, none with
 * a '/' at its end. Returns 0 with *ret (sg_glob_names_done), SG_GLOB_NOT_LITERAL if wildcards or the attributes of a folder are
 * meant, or -ENOMEM.
 */
SG_MUST_USE int sg_places_names(const struct sg_glob *glob, struct sg_glob_names *ret);
