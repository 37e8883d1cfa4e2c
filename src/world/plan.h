/*
 * From a policy to what this host must do for it: the cheapest sound place for every rule.
 *
 *   mount tree       whole folders and single files that exist; a literal Deny or Hide in a read-only tree (a cover)
 *   flags of a call  openings that write are decided where only writes need it
 *   every opening    file-name globs on reads, denies within writable trees, LogOnRead
 *
 * A plan is immutable once made. It belongs to one host, one caller and one moment; the policy does not.
 */
#pragma once

#include "policy/decide.h"
#include "world/mount.h"
#include "world/written.h"

enum sg_placement {
	SG_PLACED_NOWHERE,  /* not a rule that needs a place */
	SG_PLACED_MOUNT,    /* held by the mount tree */
	SG_PLACED_ABSENT,   /* what it names does not exist on this host (or the caller may not see it) */
	SG_PLACED_COVER,    /* held by a cover over a read-only tree */
	SG_PLACED_WRITES,   /* decided at openings that write, and at changes of names */
	SG_PLACED_OPENS,    /* decided at every opening */
	SG_PLACED_LOOKS,    /* decided at every look at a name, too */
	SG_PLACED_EXEC,     /* decided at execve */
	SG_PLACED_LANDLOCK, /* held by Landlock's part for files, behind the mount tree */
	SG_PLACED_APPARMOR, /* held by a profile of AppArmor around the world (label.h) */
	SG_PLACED_OVERLAY,  /* held by overlays in the place of the trees that may only be read */
	SG_PLACED_FILTER,   /* held by the system call filter */
	SG_PLACED_NETWORK,  /* decided at connect, bind and their like */
	SG_PLACED_PROCESS,  /* held by the state of the process: limits, ids, environment */
};

/* A name of a rule that symbolic links led elsewhere. */
struct sg_plan_led {
	const struct sg_rule *rule;
	const char *name, *target; /* as the rule has it; what it stands for on this host, canonical */
	const char *link, *why;    /* the link for which the rule gives nothing here, and why; NULL: it was followed */
};

/* A glob of a rule as symbolic links of this host make it: the names behind them, which the policy decides on too. */
struct sg_plan_alias {
	struct sg_glob *glob; /* owned */
	size_t rule;          /* index into policy->rules */
};

struct sg_plan {
	const struct sg_policy *policy; /* borrowed */
	struct sg_mount *mounts;
	size_t mount_count;
	struct sg_globset *names; /* rule numbers are indices into policy->rules */
	bool decide_reads;        /* every opening is notified */
	bool decide_details; /* link targets and attributes beyond stat's are notified: a mount shows names that no rule grants */
	bool decide_looks; /* looks at names, listings and working directories are notified: Hide rules need it */
	const struct sg_rule *hiding; /* with decide_looks: the first of those rules */
	const struct sg_rule
		*writing;    /* a rule for which writing is decided by name in a folder that is the host's, or NULL */
	bool decide_changes; /* openings that write, changes of the tree and of attributes are notified */
	bool overlays;       /* what may only be read is behind overlays (plan_nodes.c), or decide_reads is set */
	bool mixed_code;     /* some files on mounts that allow code may not be executed by their names */
	enum sg_placement *placements; /* one for each rule of the policy */
	struct sg_plan_led *led;       /* owned; of rules that did not come with flags */
	size_t led_count;
	struct sg_plan_alias *aliases; /* owned; with the policy's own globs they are all that `names` was made of */
	size_t alias_count;
	char **strings; /* owned: names that the mounts point to */
	size_t string_count;
	bool may_hang; /* some tree is of a kind that waits for a server: calls on names are handled apart (pool.h) */
};

/* The policy cannot be held on this host: the error says which rule, and what is missing. */
enum { SG_PLAN_REFUSED = 1 };

struct sg_plan_options {
	bool pty;   /* the world needs a devpts */
	bool owned; /* as root: writable trees are idmapped (SG_MOUNT_OWNED) */
	uid_t user; /* of the world's processes: its symbolic links are followed, as root's and the caller's own are */
	struct sg_written
		*written; /* what sessions may have written: links there are not followed; NULL: none is known */
	const char *cwd;  /* the command's working directory, canonical: it must lie in the world */
};

/*
 * Makes the plan. Reads the host's file system (symbolic links, kinds of files) and nothing else. Returns 0 with *ret
 * (sg_plan_free); SG_PLAN_REFUSED with context; or a negative errno value with context.
 */
SG_MUST_USE int sg_plan_make(const struct sg_policy *policy, const struct sg_plan_options *options,
			     struct sg_plan **ret, struct sg_error *error);

/*
 * Stands an empty, read-only folder over the host's folder `folder` (canonical, existing) if that lies in what the world
 * gets: for what no profile can give, such as the records. It goes with the folder when one above is renamed, inside or
 * outside. Before the plan is carried out. Returns 0 or -ENOMEM.
 */
int sg_plan_withhold(struct sg_plan *plan, const char *folder);

/* Returns 1 if the world may write or remove the host's file `path` (canonical), 0 if not, or a negative errno value. */
int sg_plan_gives_writing(const struct sg_plan *plan, const char *path);

/* Frees a plan and closes what it holds; NULL is fine. */
void sg_plan_free(struct sg_plan *plan);
SG_DEFINE_AUTO(struct sg_plan, plan, sg_plan_free)
#define SG_AUTO_PLAN SG_CLEANUP(sg_auto_plan)
