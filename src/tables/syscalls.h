/*
 * The system calls of x86_64: what each is, how it is bound, what its arguments name.
 *
 * One table (syscalls.def) gives the filter, the decoder and the documents the same facts. Sources: the
 * kernel's arch/x86/entry/syscalls/syscall_64.tbl up to Linux 6.18, and the man pages of section 2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers in the table are below this; the sets below have room for so many. */
enum { SG_SYSCALL_LIMIT = 512 };

/* How a call is bound once it is given. A flag never changes it. */
enum sg_syscall_class {
	SG_CLASS_UNKNOWN,     /* no row: ENOSYS */
	SG_CLASS_NATIVE,      /* nothing to decide: kernel bounds (mounts, namespaces, Landlock, ids) hold it */
	SG_CLASS_CHECKED,     /* the filter looks at its arguments (checks.def, or an allow-list), then it is
			       native */
	SG_CLASS_FILE_LOOK,   /* looks at a name, or what stat tells of it */
	SG_CLASS_FILE_DETAIL, /* reads a link's target, or attributes beyond those of stat, by name */
	SG_CLASS_FD_LOOK,     /* lists an open directory, or tells the working directory's name */
	SG_CLASS_FILE_ENTER,  /* makes a folder the working directory, by name */
	SG_CLASS_FILE_OPEN,   /* gives a descriptor for a file by name */
	SG_CLASS_FILE_CHANGE, /* changes the tree of names or attributes, by name */
	SG_CLASS_FD_CHANGE,   /* changes attributes through a descriptor, even one that is open only for reading
			     */
	SG_CLASS_EXEC,        /* executes a program */
	SG_CLASS_NET_NAME,    /* gives a socket an address, or data to an address */
	SG_CLASS_NEVER,       /* no flag gives it: `reason` says why */
	SG_CLASSES_
};

/* How a call that the filter notified may be answered, by class. */
enum sg_syscall_answer {
	SG_ANSWER_NONE,      /* it is never notified, or only so that its refusal is recorded */
	SG_ANSWER_ON_BEHALF, /* refused, or carried out by the supervisor on pinned objects; never CONTINUE */
	SG_ANSWER_VERIFIED,  /* CONTINUE under a trace, then what was executed (or entered) is verified before
			       the program goes on */
	SG_ANSWER_CONTINUE,  /* allowed to go on as it is: the kernel reads every argument again */

	SG_ANSWER_OF_UNKNOWN = SG_ANSWER_NONE,
	SG_ANSWER_OF_NATIVE = SG_ANSWER_NONE,
	SG_ANSWER_OF_CHECKED = SG_ANSWER_NONE,
	SG_ANSWER_OF_FILE_LOOK = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_FILE_DETAIL = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_FD_LOOK = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_FILE_ENTER = SG_ANSWER_VERIFIED,
	SG_ANSWER_OF_FILE_OPEN = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_FILE_CHANGE = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_FD_CHANGE = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_EXEC = SG_ANSWER_VERIFIED,
	SG_ANSWER_OF_NET_NAME = SG_ANSWER_ON_BEHALF,
	SG_ANSWER_OF_NEVER = SG_ANSWER_NONE,
};

/*
 * What the kernel takes an argument for. The two high bits say that a call which is continued would name its
 * object anew: a pointer to a name in memory that a sibling thread can rewrite, or a number in a table that
 * it can change.
 */
enum {
	SG_ARG_NAMES_BY_POINTER = 0x80,
	SG_ARG_NAMES_BY_NUMBER = 0x40,
};

enum sg_arg_role {
	SG_ARG_NONE,   /* the kernel does not look at it: anything may stand there */
	SG_ARG_INT,    /* a number: offset, count, identifier, timeout */
	SG_ARG_SIZE,   /* a size or a count of elements */
	SG_ARG_FLAGS,  /* a set of bits */
	SG_ARG_MODE,   /* permission bits (and, for mknod, the type) */
	SG_ARG_CMD,    /* one of a list: an operation, option, request, domain */
	SG_ARG_SIGNAL, /* a signal's number */
	SG_ARG_ID,     /* a user or group id */
	SG_ARG_PTR,    /* memory that is read or written and names nothing */
	SG_ARG_ADDR,   /* an address that is itself the object (a mapping, a lock) */
	SG_ARG_NAME,   /* a pointer to a text that is no path: an attribute, a host name, a key, a link's
			  contents */

	SG_ARG_FD = SG_ARG_NAMES_BY_NUMBER, /* a descriptor */
	SG_ARG_DIRFD, /* a directory's descriptor that the path beside it starts from, or AT_FDCWD */
	SG_ARG_PID,   /* a process, thread or process group */

	SG_ARG_PATH = SG_ARG_NAMES_BY_POINTER, /* a pointer to a path; it may be empty or NULL where the call
						  says so */
	SG_ARG_SOCKADDR,                       /* a pointer to a socket address */
	SG_ARG_MESSAGE,  /* a pointer to struct msghdr or mmsghdr, which may point to an address */
	SG_ARG_ARGV,     /* a pointer to a program's arguments */
	SG_ARG_OPEN_HOW, /* a pointer to struct open_how: flags, mode, resolve */
	SG_ARG_HANDLE,   /* a pointer to struct file_handle */
};

enum { SG_SYSCALL_ARGUMENTS = 6 };

enum { SG_SYSCALL_NAME_MAX = 24 };

struct sg_syscall {
	uint16_t number;
	uint8_t class;            /* enum sg_syscall_class */
	uint8_t error;            /* SG_CLASS_NEVER: the errno value that answers it (positive); else 0 */
	uint16_t purpose, reason; /* for the functions below: a table of pointers would be relocated at every start */
	uint64_t roles;           /* enum sg_arg_role, a byte each, the first argument lowest */
	char name[SG_SYSCALL_NAME_MAX]; /* the kernel's name, as in <asm/unistd_64.h> without __NR_ */
};

/* What the call is for, in words, no full stop. */
const char *sg_syscall_purpose(const struct sg_syscall *call);

/* SG_CLASS_NEVER: why no flag gives it; else NULL. */
const char *sg_syscall_reason(const struct sg_syscall *call);

/* A set of numbers below SG_SYSCALL_LIMIT; {0} is empty. */
struct sg_syscall_set {
	uint64_t words[SG_SYSCALL_LIMIT / 64];
};

/* Adds a number; one out of range is ignored. */
static inline void sg_syscall_set_add(struct sg_syscall_set *set, unsigned int number)
{
	if (number < SG_SYSCALL_LIMIT)
		set->words[number / 64] |= UINT64_C(1) << (number % 64);
}

/* Removes a number; one out of range is ignored. */
static inline void sg_syscall_set_remove(struct sg_syscall_set *set, unsigned int number)
{
	if (number < SG_SYSCALL_LIMIT)
		set->words[number / 64] &= ~(UINT64_C(1) << (number % 64));
}

/* True if the number is in the set; false when it is out of range. */
static inline bool sg_syscall_set_has(const struct sg_syscall_set *set, unsigned int number)
{
	return number < SG_SYSCALL_LIMIT && (set->words[number / 64] >> (number % 64) & 1) != 0;
}

/* The row of a number, static, or NULL when there is none. Constant time. */
const struct sg_syscall *sg_syscall_by_number(unsigned int number);

/*
 * The row of a name (`length` bytes, case sensitive), static, or NULL when there is none. Allocates nothing;
 * the first call of a process fills an index once (thread-safe), every later one is a hash look-up.
 */
const struct sg_syscall *sg_syscall_by_name(const char *name, size_t length);

/* The role of argument `index` (0..5). A `syscall` row comes from the functions above. */
static inline enum sg_arg_role sg_syscall_role(const struct sg_syscall *syscall, unsigned int index)
{
	return (enum sg_arg_role)(index < SG_SYSCALL_ARGUMENTS ? syscall->roles >> (8 * index) & 0xff : 0);
}

/* How notifications of a class may be answered. */
enum sg_syscall_answer sg_syscall_answer(enum sg_syscall_class class);

/* A class in one word ("native", "file-open"), static; NULL when out of range. */
const char *sg_syscall_class_name(enum sg_syscall_class class);

/* A role in one word ("path", "fd"), static; NULL when it is none of the enum's. */
const char *sg_arg_role_name(enum sg_arg_role role);
