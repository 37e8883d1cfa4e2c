/*
 * What a watched run used, as its record says: the input of a proposal (propose.h).
 *
 * The record is the only source. Names are bytes that the world chose: nothing here trusts them to be anything but bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/decide.h"

enum sg_used_how {
	SG_USED_MADE = 1U << 0,     /* the run made it */
	SG_USED_MOVED = 1U << 1,    /* removed, renamed or linked: its name came or went */
	SG_USED_LISTED = 1U << 2,   /* a folder that was opened for reading */
	SG_USED_LOOKED = 1U << 3,   /* no more than looked at */
	SG_USED_RUN = 1U << 4,      /* executed */
	SG_USED_SYMLINK = 1U << 7,  /* what the run made is a symbolic link */
	SG_USED_REFUSED = 1U << 5,  /* refused by a rule that denies */
	SG_USED_MISSED = 1U << 6,   /* refused since nothing gave it */
	SG_USED_LISTENED = 1U << 9, /* refused to be listened on */
	SG_USED_ASKED = 1U << 10,   /* a host name that was refused to be looked up */
	SG_USED_REPLAY = 1U << 8,   /* a replay was refused it */
};

struct sg_used {
	char *name;          /* canonical as used: a path (a folder's ends in '/'), an address, a host's name; owned */
	char *target;        /* the name is one that a symbolic link led from, to this object; else NULL; owned */
	unsigned int access; /* enum sg_access */
	unsigned int how;    /* enum sg_used_how */
	size_t times;
};

/* Sorted by name; no two with one name. */
struct sg_used_list {
	struct sg_used *items;
	size_t count, capacity;
};

struct sg_used_call {
	unsigned int number;
	uint64_t arguments[6];
};

struct sg_used_calls {
	struct sg_used_call *items; /* sorted */
	size_t count, capacity;
};

struct sg_observed {
	struct sg_used_list files;    /* programs too */
	struct sg_used_list refused;  /* files and addresses; with REFUSED or MISSED, and the access that was refused */
	struct sg_used_list connects; /* addresses that were connected or sent to */
	struct sg_used_list listens;
	struct sg_used_list lookups; /* host names */
	struct sg_used_list answers; /* "ADDRESS", whose `target` is the host name that it was answered for */
	struct sg_used_calls calls;
	struct sg_used_list refused_calls; /* "CALL: REASON" */
	struct sg_used_list needs;         /* flags that would have given refused calls */
	bool started;                      /* a program was executed */
	bool incomplete;                   /* the run used more than could be remembered */
};

/*
 * Reads a record from `fd` (its offset goes on) and adds what it says; sg_observed_settle() afterwards. Returns 0; -EBADMSG for a line
 * that is none of a record; -ENOMEM; or another negative errno value. With context.
 */
int sg_observed_read(struct sg_observed *observed, int fd, struct sg_error *error);

struct sg_learn_bounds;

/*
 * Adds to `observed` what a replay was refused for want of a rule: what no rule denied, what the run itself was not refused, and
 * what it was given (bounds.h). Both are settled. *ret_added: how much. Returns 0 or -ENOMEM.
 */
int sg_observed_add_missed(struct sg_observed *observed, const struct sg_observed *replay,
			   struct sg_learn_bounds *bounds, size_t *ret_added);

/* Sorts, and makes one of what has one name. The same lines, in any order, give the same. */
void sg_observed_settle(struct sg_observed *observed);

/* Frees what it holds; a zeroed one is fine. */
void sg_observed_done(struct sg_observed *observed);

/* The item of that name (of a settled list), or NULL. */
const struct sg_used *sg_used_find(const struct sg_used_list *list, const char *name);
