/*
 * What authority one policy gives that another does not: by meaning, not by text. Order, repetition, the split over files, and other
 * globs or patterns for the same names and addresses are no difference.
 *
 * Files are compared as sets of names: both policies' globs are one automaton, and every state of it that some name leads to is asked
 * what each policy allows there, by the tables that decide in a session. Addresses are compared at one address of every part of the
 * address space that no rule of either policy divides, at every port that begins such a part, and for every name that a rule names.
 * So what is not found does not exist, but for two corners: abstract unix sockets are compared by their patterns, so that one may be told
 * where there is none; and within 64:ff9b:1::/48, where an IPv4 address may lie in four places, each is looked at by itself. Where it would
 * take too long, the answer is an error. Each difference comes with an example.
 */
#pragma once

#include "policy/ask.h"

enum sg_direction {
	SG_DIRECTION_GIVES,
	SG_DIRECTION_TAKES,
	SG_DIRECTION_CHANGES, /* neither more nor less: who it runs as, what is recorded */
	SG_DIRECTIONS_
};

/* "gives", "takes", "changes". */
extern const char *const sg_direction_names[SG_DIRECTIONS_];

struct sg_difference {
	enum sg_direction direction;
	const char *what;                    /* "read", "connect to", "flag", "limit": in words, static */
	char *example;                       /* a name, address or value; the shortest that was found; owned */
	char *before, *after;                /* of what has a value: a limit, a variable; else NULL; owned */
	const struct sg_rule *was, *becomes; /* of the old and the new policy: what decides there, or NULL: no rule */
};

struct sg_differences {
	struct sg_difference *items;
	size_t count, capacity;
	size_t found[SG_DIRECTIONS_];
};

/* Frees the list. It is empty afterwards. */
void sg_differences_done(struct sg_differences *list);
#define SG_AUTO_DIFFERENCES SG_CLEANUP(sg_differences_done)

/* The policies are too large to be compared in bounded time and memory. */
enum { SG_DIFFERENCE_TOO_LARGE = 1 };

/*
 * Compares. Rules of the answer belong to the policies, which outlive it. One difference stands for all names (or addresses) of the
 * same kind that the same two rules decide: *ret is empty only if the policies mean the same. Returns 0 with *ret
 * (sg_differences_done), SG_DIFFERENCE_TOO_LARGE, or a negative errno value.
 */
SG_MUST_USE int sg_policy_compare(const struct sg_policy *before, const struct sg_policy *after,
				  struct sg_differences *ret);
