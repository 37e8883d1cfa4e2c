/* What the files of the planner share. */
#pragma once

#include <sys/stat.h>

#include "world/plan.h"

/* A folder or file of the host that gets a mount of its own in the world. */
struct sg_plan_root {
	const char *path;           /* canonical, no '/' at the end; the same name in the world */
	const struct sg_rule *rule; /* the first that asked for it */
	bool folder;
	struct sg_match_below names; /* what the rules say about names in it */
	bool private;                /* an empty tmpfs instead of the host's */
	bool sockets;                /* sockets in it, or itself, may be connected to */
	bool overlay;                /* an overlay of it stands in its place (plan_nodes.c) */
	bool write, execute;
	bool mounted;                  /* something is mounted below it */
	bool covered;                  /* lies under a cover: a refusal holds for all of it */
	bool skip;                     /* lies in another root that does the same, or under a cover */
	struct sg_mount_cover *covers; /* owned until the mounts are made */
	size_t cover_count, cover_capacity;
};

/* A symbolic link that a grant must not follow, and why not; NULL: there is none. The first on the way. */
struct sg_plan_planted {
	const char *link; /* kept by the plan */
	const char *why;
};

enum { SG_PLAN_SEEN = 1024 };

struct sg_planner {
	/* Host names that were looked at, by hash of the name: the same ones come again with every rule. */
	struct {
		const char *name, *canonical;
		bool absent;
		struct sg_plan_planted planted;
	} seen[SG_PLAN_SEEN];
	struct sg_plan *plan;
	const struct sg_plan_options *options;
	struct sg_plan_root *roots;
	size_t root_count, root_capacity;
	struct {
		const char *target, *text;
	} * links; /* symbolic links of the skeleton */
	size_t link_count, link_capacity;
	size_t mount_capacity, string_capacity, led_capacity, alias_capacity;
	struct sg_matcher *matcher;
	struct sg_globset *writable; /* links.c: what may be written by a pattern; made when first asked */
	struct sg_matcher *writable_matcher;
	size_t expanded;    /* names and folders that alternatives gave so far */
	bool no_overlays;   /* this kernel makes none: nothing can be covered */
	bool overlay_bound; /* the profile asks for overlays of what may only be read */
	struct sg_error *error;
	int status;
};

/* Keeps a copy of `length` bytes with the plan. NULL: planner->status is set. */
const char *sg_plan_keep(struct sg_planner *planner, const char *text, size_t length);

enum {
	SG_PLAN_ROOTS_MAX = 8192,      /* folders and files of the host in one world */
	SG_PLAN_EXPANDED_MAX = 131072, /* names that the alternatives of all globs give */
};

/* Refuses the profile, if nothing else did yet: a rule of it asks for more than `what`. */
void sg_plan_refuse_rule(struct sg_planner *planner, const struct sg_rule *rule, const char *what);

/* Counts what the alternatives of a rule's glob gave; too many in all are a refusal (planner->status). */
void sg_plan_count_expanded(struct sg_planner *planner, const struct sg_rule *rule, size_t count);

/* Makes room for one more element. Returns false and sets planner->status when there is none. */
bool sg_plan_grow(struct sg_planner *planner, void *array_pointer, size_t count, size_t *capacity, size_t size);

/*
 * Finds the canonical name of a host path, noting the symbolic links on the way as links of the skeleton. Returns 0 with
 * *ret (kept by the plan), 1 if it does not exist or cannot be seen, or sets planner->status.
 */
int sg_plan_canonical(struct sg_planner *planner, const char *path, const char **ret);

/*
 * The same for a rule that grants: 1 too if a symbolic link on the way is one that a world could have put there, or that a
 * user put there who is neither root nor the session's (links.c): the rule would give what they chose. The second form says which
 * link that is; *ret is then where it leads.
 */
int sg_plan_granted(struct sg_planner *planner, const char *path, const char **ret);
int sg_plan_granted_by(struct sg_planner *planner, const char *path, const char **ret,
		       struct sg_plan_planted *ret_planted);

/* links.c: notes in *planted the link at `name` (canonical but for itself) if it is one that a grant must not follow. */
void sg_plan_judge_link(struct sg_planner *planner, const char *name, const struct stat *found,
			struct sg_plan_planted *planted);

/* links.c: notes for the record and for people that a rule's name led elsewhere, or that it was not followed. */
void sg_plan_note_led(struct sg_planner *planner, const struct sg_rule *rule, const char *name, const char *target,
		      const struct sg_plan_planted *planted);

/* roots.c: which folders and files the rules name, sorted, without those that others hold already. */
void sg_plan_find_roots(struct sg_planner *planner);
void sg_plan_settle_roots(struct sg_planner *planner);

/* What the mounts and covers do not hold by themselves, and so is decided call by call. After the covers were found. */
void sg_plan_settle_decisions(struct sg_planner *planner);

/* folding.c: refuses a profile whose refusals lie where upper and lower case are the same. After the roots are settled. */
void sg_plan_refuse_folding(struct sg_planner *planner);

/* covers.c: gives literal refusals in read-only trees to covers. After the roots are settled. */
void sg_plan_find_covers(struct sg_planner *planner);

/*
 * plan_nodes.c: refuses FIFOs that are to be mounted by themselves, and with the bound "overlay" makes the read-only trees overlays;
 * where that cannot be, reads are decided. After the covers were found.
 */
void sg_plan_settle_nodes(struct sg_planner *planner);

/* The innermost mounted root that holds the canonical name `path`, or NULL. */
struct sg_plan_root *sg_plan_root_of(const struct sg_planner *planner, const char *path);

/* names.c: the set of names, with the second names of literal prefixes that are symbolic links. */
void sg_plan_make_names(struct sg_planner *planner);

/*
 * resolver.c: the world's own resolv.conf, where the profile has names to look up: its canonical name in the world and its
 * text, both kept by the plan. Returns false if there is none, or sets planner->status.
 */
bool sg_plan_resolver_text(struct sg_planner *planner, const char **ret_target, const char **ret_text);

/* mounts.c: the operations, in order. */
void sg_plan_make_mounts(struct sg_planner *planner);

/*
 * plan_proc.c: the names right below /proc that the world sees beside its processes, as "/one/two/", kept by the plan; NULL: none (or
 * planner->status is set).
 */
const char *sg_plan_proc_names(struct sg_planner *planner);
