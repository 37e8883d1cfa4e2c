/*
 * The supervisor process of a session, from the fork by the front end to its exit.
 */
#pragma once

#include "policy/policy.h"
#include "tables/features.h"
#include "world/filter.h"
#include "world/plan.h"
#include "world/world.h"

/* M_MMAP_THRESHOLD of mallopt(3): while a session starts (cli/run.c says why), and as the C library has it afterwards. */
enum { SG_MMAP_THRESHOLD_START = 8192, SG_MMAP_THRESHOLD = 128 * 1024 };

/* What the front end hands over; all borrowed, all in memory that the fork copies. */
struct sg_session_spec {
	struct sg_policy *policy;
	const struct sg_plan *plan;
	const struct sg_identity *identity;
	struct sg_world_spec world; /* complete but for the mounts, which are the plan's */
	const char *session;        /* session id */
	int log;                    /* open for appending */
	const char *log_path;       /* its name, for messages */
	const char *user;           /* the caller's name, for the record; NULL: not known */
	uid_t owner;                /* the caller's id, as the host counts: who may enter */
	int control;                /* our end of the socket to the front end */
	int parent;              /* -1, or as root a socket: the parent sends the mounts once it has written the maps */
	int door;                /* the listening end of the session's door, or -1 */
	const char *description; /* what the door answers: one line of JSON */
	const struct sg_filter_program *watched; /* the session is watched (learn.h): its own filter; else NULL */
	const enum sg_feature *missing; /* what this kernel lacks of what the policy uses, and the policy accepts */
	size_t missing_count;           /* less than SG_FEATURES_ */
	const char *no_apparmor;        /* why the world is in no profile of AppArmor; NULL: it is in world.apparmor */
};

/*
 * Runs the session and exits with 0. Called in a fresh child of the front end that has been put into a new user namespace
 * (CLONE_NEWUSER); with `parent` -1 it writes its own maps. Everything that goes wrong is told to the front end as
 * SG_CONTROL_FAILED.
 */
SG_NORETURN void sg_session_run(struct sg_session_spec *spec);
