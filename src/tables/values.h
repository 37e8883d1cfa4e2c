/*
 * The allow-lists by argument: which requests of ioctl, options of prctl and of sockets, commands of fcntl,
 * personalities and kinds of sockets a world may use, and which flag gives each. Rows stand in *.def; a value
 * that has no row answers as a kernel that does not know it, one that has a row and is not granted answers
 * EPERM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tables/flags.h"

enum sg_value_table {
	SG_VALUES_IOCTL,
	SG_VALUES_PRCTL,
	SG_VALUES_ARCH_PRCTL,
	SG_VALUES_FCNTL,
	SG_VALUES_PERSONALITY,
	SG_VALUE_TABLES_
};

struct sg_value {
	uint32_t value;     /* what the argument's low 32 bits are compared with, after `mask` */
	uint32_t mask;      /* all ones, but for SG_VALUE_TYPE rows, which compare the driver type */
	int16_t flag;       /* enum sg_flag that gives it; SG_FLAG_NONE_: never given, see `reason` */
	bool fd_change;     /* changes attributes through a descriptor: mediated as class FD_CHANGE is */
	const char *name;   /* as in the kernel's headers, or words for a type */
	const char *reason; /* never given: why; else NULL */
};

/* A row with this mask also asks that the request has a direction: any of SG_VALUE_DIRECTION in it. */
enum { SG_VALUE_TYPE_MASK = 0xff00 };
#define SG_VALUE_DIRECTION UINT32_C(0xc0000000)

struct sg_value_list {
	uint16_t number;  /* the system call */
	uint8_t argument; /* which argument holds the value, 0..5 */
	uint8_t error;    /* errno value (positive) for a value that has no row */
	size_t count;
	const struct sg_value
		*rows; /* rows with a full mask first have precedence; values with a full mask are unique */
};

/* The list of a table, static. `table` must be one of the enum's. */
const struct sg_value_list *sg_value_list(enum sg_value_table table);

/* The row that governs `value` in a table (a full match before a type's), static, or NULL when there is none.
 */
const struct sg_value *sg_value_find(enum sg_value_table table, uint32_t value);

enum {
	SG_SOCKET_ANY = -1,           /* in `protocol`: whatever it is */
	SG_SOCKET_TYPE_MASK = 0xf,    /* the kernel's SOCK_TYPE_MASK (include/linux/net.h) */
	SG_SOCKET_UNKNOWN_ERRNO = 97, /* EAFNOSUPPORT: a kind of socket that has no row */
	SG_OPTION_UNKNOWN_ERRNO = 92, /* ENOPROTOOPT: an option that has no row */
};

struct sg_socket_kind {
	int32_t domain;
	int32_t type;     /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
	int32_t protocol; /* or SG_SOCKET_ANY */
	int16_t flag;     /* enum sg_flag that gives it; other rows may give it by other flags */
	const char *name; /* "AF_INET SOCK_STREAM" */
};

/* All rows, static; *ret_count is their number. */
const struct sg_socket_kind *sg_socket_kinds(size_t *ret_count);

struct sg_socket_option {
	int32_t level;
	int32_t option;
	int16_t flag;       /* enum sg_flag that gives it; SG_FLAG_NONE_: never given, see `reason` */
	const char *name;   /* "SOL_SOCKET SO_KEEPALIVE" */
	const char *reason; /* never given: why; else NULL */
};

/* All rows, static; *ret_count is their number. Rows of one level stand together; (level, option) is unique.
 */
const struct sg_socket_option *sg_socket_options(size_t *ret_count);

/* A call of OpenBSD that Linux lacks or names otherwise. */
struct sg_openbsd_call {
	const char *name;
	const char *linux_name; /* its counterpart, a name of syscalls.def, or NULL for none */
	const char *note;       /* how it differs, or why there is none; may be "" where there is a counterpart */
};

/* Finds one by the `length` bytes of its name; static, or NULL when it is not listed. Allocates nothing. */
const struct sg_openbsd_call *sg_openbsd_find(const char *name, size_t length);

/* All rows, sorted by name, static; *ret_count is their number. */
const struct sg_openbsd_call *sg_openbsd_calls(size_t *ret_count);
