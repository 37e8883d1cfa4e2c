#include "tables/syscalls.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/attr.h"

#define SG_ROLE(position, role) ((uint64_t)SG_ARG_##role << (8 * (position)))
#define SG_R0 UINT64_C(0)
#define SG_R1(a) SG_ROLE(0, a)
#define SG_R2(a, b) (SG_R1(a) | SG_ROLE(1, b))
#define SG_R3(a, b, c) (SG_R2(a, b) | SG_ROLE(2, c))
#define SG_R4(a, b, c, d) (SG_R3(a, b, c) | SG_ROLE(3, d))
#define SG_R5(a, b, c, d, e) (SG_R4(a, b, c, d) | SG_ROLE(4, e))
#define SG_R6(a, b, c, d, e, f) (SG_R5(a, b, c, d, e) | SG_ROLE(5, f))

/* All words in one: a row says where its own begin. */
struct texts {
	char none;
#define SG_SYSCALL(number, name, class, roles, purpose) char purpose_##name[sizeof(purpose)];
#define SG_NEVER(number, name, error, roles, purpose, reason)                                                          \
	char purpose_##name[sizeof(purpose)], reason_##name[sizeof(reason)];
#include "tables/syscalls.def"
#undef SG_SYSCALL
#undef SG_NEVER
};
_Static_assert(sizeof(struct texts) <= UINT16_MAX, "a place in it has 16 bits");

static const struct texts texts = {
#define SG_SYSCALL(number, name, class, roles, purpose) .purpose_##name = purpose,
#define SG_NEVER(number, name, error, roles, purpose, reason) .purpose_##name = purpose, .reason_##name = reason,
#include "tables/syscalls.def"
#undef SG_SYSCALL
#undef SG_NEVER
};

static const struct sg_syscall syscalls[SG_SYSCALL_LIMIT] = {
#define SG_SYSCALL(number, name, class, roles, purpose)                                                                \
	[number] = {number, SG_CLASS_##class, 0, offsetof(struct texts, purpose_##name), 0, roles, #name},
#define SG_NEVER(number, name, error, roles, purpose, reason)                                                          \
	[number] = {number,                                                                                            \
		    SG_CLASS_NEVER,                                                                                    \
		    error,                                                                                             \
		    offsetof(struct texts, purpose_##name),                                                            \
		    offsetof(struct texts, reason_##name),                                                             \
		    roles,                                                                                             \
		    #name},
#include "tables/syscalls.def"
#undef SG_SYSCALL
#undef SG_NEVER
};

/*
 * What names authority must not be read twice: a call that takes a pointer to a name, or a number that a
 * sibling thread can point elsewhere, is never answered with CONTINUE (seccomp_unotify(2), "Caveats").
 */
#define NAMES_AUTHORITY(roles)                                                                                         \
	(((roles)&UINT64_C(0x010101010101) * (SG_ARG_NAMES_BY_POINTER | SG_ARG_NAMES_BY_NUMBER)) != 0)
#define SG_SYSCALL(number, name, class, roles, purpose)                                                                \
	_Static_assert((number) < SG_SYSCALL_LIMIT, #name ": beyond the limit");                                       \
	_Static_assert(sizeof(#name) <= SG_SYSCALL_NAME_MAX, #name ": a long name");                                   \
	_Static_assert(!(NAMES_AUTHORITY(roles) && SG_ANSWER_OF_##class == SG_ANSWER_CONTINUE),                        \
		       #name ": names authority, so it cannot be continued");                                          \
	_Static_assert(sizeof(purpose) > 1, #name ": no purpose");
#define SG_NEVER(number, name, error, roles, purpose, reason)                                                          \
	_Static_assert((number) < SG_SYSCALL_LIMIT, #name ": beyond the limit");                                       \
	_Static_assert(sizeof(#name) <= SG_SYSCALL_NAME_MAX, #name ": a long name");                                   \
	_Static_assert((error) == EPERM || (error) == ENOSYS, #name ": never given is EPERM or ENOSYS");               \
	_Static_assert(sizeof(purpose) > 1 && sizeof(reason) > 1, #name ": no purpose, or no reason");
#include "tables/syscalls.def"
#undef SG_SYSCALL
#undef SG_NEVER

const char *sg_syscall_purpose(const struct sg_syscall *call)
{
	return (const char *)&texts + call->purpose;
}

const char *sg_syscall_reason(const struct sg_syscall *call)
{
	return call->reason == 0 ? NULL : (const char *)&texts + call->reason;
}

const struct sg_syscall *sg_syscall_by_number(unsigned int number)
{
	return number < SG_SYSCALL_LIMIT && syscalls[number].name[0] != '\0' ? &syscalls[number] : NULL;
}

/*
 * The index by name: open addressing, four slots a call, so that a search ends after a step or two. An entry
 * is a number plus one. Written once under `index_once`, read-only afterwards.
 */
enum { INDEX_SLOTS = 2048 };
static uint16_t name_index[INDEX_SLOTS];
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

/* FNV-1a. The names are ours, so a crafted name can only miss, and a miss ends at the first empty slot. */
static unsigned int hash_name(const char *name, size_t length)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	return hash % INDEX_SLOTS;
}

static void fill_index(void)
{
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		unsigned int slot;

		if (syscalls[number].name[0] == '\0')
			continue;
		slot = hash_name(syscalls[number].name, strlen(syscalls[number].name));
		while (name_index[slot] != 0)
			slot = (slot + 1) % INDEX_SLOTS;
		name_index[slot] = (uint16_t)(number + 1);
	}
}

const struct sg_syscall *sg_syscall_by_name(const char *name, size_t length)
{
	pthread_once(&index_once, fill_index);
	for (unsigned int slot = hash_name(name, length); name_index[slot] != 0; slot = (slot + 1) % INDEX_SLOTS) {
		const struct sg_syscall *row = &syscalls[name_index[slot] - 1];

		if (strlen(row->name) == length && memcmp(row->name, name, length) == 0)
			return row;
	}
	return NULL;
}

static const struct {
	const char *name;
	enum sg_syscall_answer answer;
} classes[] = {
	[SG_CLASS_UNKNOWN] = {"unknown", SG_ANSWER_OF_UNKNOWN},
	[SG_CLASS_NATIVE] = {"native", SG_ANSWER_OF_NATIVE},
	[SG_CLASS_CHECKED] = {"checked", SG_ANSWER_OF_CHECKED},
	[SG_CLASS_FILE_LOOK] = {"file-look", SG_ANSWER_OF_FILE_LOOK},
	[SG_CLASS_FILE_DETAIL] = {"file-detail", SG_ANSWER_OF_FILE_DETAIL},
	[SG_CLASS_FD_LOOK] = {"fd-look", SG_ANSWER_OF_FD_LOOK},
	[SG_CLASS_FILE_ENTER] = {"file-enter", SG_ANSWER_OF_FILE_ENTER},
	[SG_CLASS_FILE_OPEN] = {"file-open", SG_ANSWER_OF_FILE_OPEN},
	[SG_CLASS_FILE_CHANGE] = {"file-change", SG_ANSWER_OF_FILE_CHANGE},
	[SG_CLASS_FD_CHANGE] = {"fd-change", SG_ANSWER_OF_FD_CHANGE},
	[SG_CLASS_EXEC] = {"exec", SG_ANSWER_OF_EXEC},
	[SG_CLASS_NET_NAME] = {"net-name", SG_ANSWER_OF_NET_NAME},
	[SG_CLASS_NEVER] = {"never", SG_ANSWER_OF_NEVER},
};
_Static_assert(SG_ARRAY_SIZE(classes) == SG_CLASSES_, "one row a class");

enum sg_syscall_answer sg_syscall_answer(enum sg_syscall_class class)
{
	return class < SG_CLASSES_ ? classes[class].answer : SG_ANSWER_NONE;
}

const char *sg_syscall_class_name(enum sg_syscall_class class)
{
	return class < SG_CLASSES_ ? classes[class].name : NULL;
}

const char *sg_arg_role_name(enum sg_arg_role role)
{
	static const char *const plain[] = {
		[SG_ARG_NONE] = "none",     [SG_ARG_INT] = "int",   [SG_ARG_SIZE] = "size",
		[SG_ARG_FLAGS] = "flags",   [SG_ARG_MODE] = "mode", [SG_ARG_CMD] = "cmd",
		[SG_ARG_SIGNAL] = "signal", [SG_ARG_ID] = "id",     [SG_ARG_PTR] = "pointer",
		[SG_ARG_ADDR] = "address",  [SG_ARG_NAME] = "name",
	};
	static const char *const by_number[] = {"fd", "dirfd", "pid"};
	static const char *const by_pointer[] = {"path", "sockaddr", "message", "argv", "open-how", "handle"};
	unsigned int value = (unsigned int)role;

	if (value < SG_ARRAY_SIZE(plain))
		return plain[value];
	if (value - SG_ARG_FD < SG_ARRAY_SIZE(by_number))
		return by_number[value - SG_ARG_FD];
	if (value - SG_ARG_PATH < SG_ARRAY_SIZE(by_pointer))
		return by_pointer[value - SG_ARG_PATH];
	return NULL;
}
