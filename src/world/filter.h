/*
 * The seccomp filter of a world: from what is granted and a plan of mediation to rules for each call, from
 * the rules to a program for the kernel, and a simulator of such programs.
 *
 * Why not libseccomp: the filter is made at every start, and for tables of this size libseccomp 2.5 takes
 * some ten milliseconds where this takes a twentieth of one; in Debian 12 it knows neither the flag
 * WAIT_KILLABLE_RECV nor the calls after Linux 5.17; it cannot say "known and not given: EPERM, unknown:
 * ENOSYS"; and an order of rows with different actions cannot be written with it. The tests compare with it;
 * nothing else links it.
 *
 * The program's shape keeps what is native at the kernel's price for it: it looks at nothing but architecture
 * and number until the number is known, so that the kernel's bitmap of always-allowed calls holds
 * (kernel/seccomp.c, seccomp_cache_prepare, Linux 5.11). A program of another architecture (i386 by int 0x80)
 * is killed; numbers of x32, and every number without a row, answer ENOSYS.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "tables/flags.h"
#include "tables/syscalls.h"

struct sg_error;

/* What the policy gives. Flags mean their whole closure: a flag that another one includes is in the set too.
 */
struct sg_filter_grants {
	struct sg_syscall_set calls; /* numbers given; those of class NEVER are refused all the same */
	struct sg_flag_set flags;    /* decides checked values (ioctl.def ...) and lifted checks (checks.def) */
};

enum sg_filter_mode {
	SG_FILTER_NOTIFIED = 0, /* asked of the supervisor, every time */
	SG_FILTER_NATIVE = 1,   /* not asked: a kernel bound holds it */
};

enum sg_filter_opens {
	SG_FILTER_OPENS_ALL = 0, /* every open is notified */
	SG_FILTER_OPENS_WRITING, /* those that can write, create or cut, and openat2 */
	SG_FILTER_OPENS_NONE,    /* only openat2, whose mode could set 06000 bits */
};

/*
 * Which calls are asked of the supervisor. All zero is the most that can be: whoever makes a call native says
 * so. execve and execveat, connect, bind, and sendto with an address are always notified where they are
 * given.
 */
struct sg_filter_plan {
	enum sg_filter_opens opens;
	enum sg_filter_mode
		looks; /* FILE_LOOK, FD_LOOK, FILE_ENTER: names, what stat tells, listings, working directories */
	enum sg_filter_mode details;    /* FILE_DETAIL: link targets, attributes beyond stat's */
	enum sg_filter_mode changes;    /* FILE_CHANGE */
	enum sg_filter_mode fd_changes; /* FD_CHANGE, calls of FILE_CHANGE that can act by descriptor, ioctls
					   that set a file's flags */
	enum sg_filter_mode messages;   /* sendmsg, sendmmsg; NATIVE only without outside UDP and AF_UNIX datagrams */
	enum sg_filter_mode listens;    /* listen; NATIVE only where no outside socket can be held */
	enum sg_filter_mode accepts;    /* accept, accept4; NATIVE only where no outside socket can listen */
	bool notify_refusals;           /* ask the supervisor (which must refuse) instead of EPERM, to have it recorded
			       */
	bool cores_off;  /* the limit of core dumps stays at the 1 byte that stops every one of them (checks.def) */
	bool first_exec; /* execve and execveat are notified though not given, for the world's first program
			  */
};

enum sg_filter_compare {
	SG_FILTER_EQUAL,     /* (argument & mask) == value */
	SG_FILTER_NOT_EQUAL, /* (argument & mask) != value */
	SG_FILTER_IN_RANGE,  /* value <= argument <= last, unsigned; the mask is not used */
};

struct sg_filter_condition {
	uint8_t argument; /* 0..5 */
	uint8_t width;    /* 32: the low half alone, as the kernel truncates; 64 */
	uint8_t compare;  /* enum sg_filter_compare */
	uint64_t mask;
	uint64_t value; /* no bits outside `mask` */
	uint64_t last;
};

enum {
	SG_FILTER_CONDITIONS = 3,      /* in one row */
	SG_FILTER_ROWS = 1024,         /* in one specification */
	SG_FILTER_INSTRUCTIONS = 4096, /* the kernel's BPF_MAXINSNS */
};

/* All conditions hold: this action. An action is a value of SECCOMP_RET_*, with its data. */
struct sg_filter_row {
	uint32_t action;
	uint32_t count; /* of conditions, 1..SG_FILTER_CONDITIONS */
	struct sg_filter_condition conditions[SG_FILTER_CONDITIONS];
};

/* The first row that matches decides, else `action`. */
struct sg_filter_rule {
	uint32_t action;
	uint16_t first; /* index of its first row */
	uint16_t count; /* number of rows */
};

/* Some 110 KiB: keep it on the heap or static. Numbers from SG_SYSCALL_LIMIT up answer ENOSYS. */
struct sg_filter_spec {
	struct sg_filter_rule rules[SG_SYSCALL_LIMIT];
	uint32_t row_count;
	struct sg_filter_row rows[SG_FILTER_ROWS];
};

/* 32 KiB. `code` and `count` are what struct sock_fprog takes. */
struct sg_filter_program {
	uint16_t count;
	struct sock_filter code[SG_FILTER_INSTRUCTIONS];
};

/*
 * Fills *ret_spec from what is granted and the plan. Pure: no allocation, no system call; the same input
 * gives the same bytes. Returns 0, or -E2BIG if the tables have outgrown SG_FILTER_ROWS (a fault of the
 * build, met by the tests).
 */
int sg_filter_spec_fill(const struct sg_filter_grants *grants, const struct sg_filter_plan *plan,
			struct sg_filter_spec *ret_spec);

/*
 * Compiles a specification. Pure as above. Equal specifications give equal programs. Returns 0, -E2BIG if it
 * would need more than SG_FILTER_INSTRUCTIONS, or -EINVAL for a row that is not well formed;
 * ret_program->count is 0 then.
 */
int sg_filter_generate(const struct sg_filter_spec *spec, struct sg_filter_program *ret_program);

/*
 * Both of the above. Allocates the specification for the time of the call. Returns 0, -ENOMEM, -E2BIG or
 * -EINVAL, with the context in `error` (may be NULL).
 */
int sg_filter_build(const struct sg_filter_grants *grants, const struct sg_filter_plan *plan,
		    struct sg_filter_program *ret_program, struct sg_error *error);

/*
 * Runs a program of `count` instructions on `data`, as the kernel would, and returns its action
 * (SECCOMP_RET_* with data). Knows the instructions that sg_filter_generate uses (load a word, AND, the
 * jumps, RET of a constant); anything else, a jump out of the program or a load out of `data` is
 * SECCOMP_RET_KILL_PROCESS, which is what a kernel does with a filter that fails.
 */
uint32_t sg_filter_simulate(const struct sock_filter *code, size_t count, const struct seccomp_data *data);
