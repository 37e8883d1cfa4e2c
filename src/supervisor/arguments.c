/*
 * Whether the arguments and the environment of an execution are too many for the kernel.
 *
 * Where names are hidden by looks, an execution that fails in the kernel ends its process (loader.h): so what fails for whoever
 * asks is answered before the kernel is. The sum is the kernel's own (fs/exec.c, bprm_stack_limits and copy_strings): a quarter
 * of the stack's limit and at most 6 MiB, but 128 KiB at least, for the strings with their NULs and a pointer each, and no
 * string above 128 KiB. The caller can write others there before the kernel reads them: then the kernel's error ends it. What is
 * answered here comes from its own memory and limit, and tells it nothing else.
 */
#include <errno.h>
#include <sys/resource.h>

#include "supervisor/loader.h"

enum {
	STRING_MAX = 128 << 10,
	SUM_MIN = 128 << 10,
	SUM_MAX = 6 << 20,
	SCRIPT_ROOM = 2 * (PATH_MAX + 256), /* what the kernel puts before the arguments for each interpreter */
	CHUNK = 4096,
	POINTERS = 64,
};

struct sum {
	const struct sg_caller *caller;
	uint64_t left; /* bytes that there is still room for */
};

static int take(struct sum *sum, uint64_t size)
{
	if (size > sum->left)
		return -E2BIG;
	sum->left -= size;
	return 0;
}

/* Its length with the NUL, into the sum; nothing of it is kept. */
static int take_string(struct sum *sum, uint64_t address)
{
	char text[CHUNK];
	uint64_t done = 0;

	for (;;) {
		ssize_t length = sg_caller_read_string(sum->caller, address + done, text, sizeof(text));

		if (length < 0 && length != -ENAMETOOLONG)
			return (int)length;
		done += length < 0 ? sizeof(text) : (uint64_t)length + 1;
		if (done > STRING_MAX)
			return -E2BIG;
		if (length >= 0)
			return take(sum, done);
	}
}

/* A list of pointers that ends with NULL; NULL is an empty one. */
static int take_list(struct sum *sum, uint64_t address)
{
	uint64_t pointers[POINTERS];

	if (address == 0)
		return 0;
	for (;;) {
		/* Not over the end of a page: the list may end before it. */
		const size_t to_page = (size_t)(CHUNK - address % CHUNK) / sizeof(pointers[0]);
		const size_t count = to_page == 0 ? 1 : to_page < POINTERS ? to_page : POINTERS;
		int status = sg_caller_read(sum->caller, address, pointers, count * sizeof(pointers[0]));

		for (size_t i = 0; i < count && status == 0; i++) {
			if (pointers[i] == 0)
				return 0;
			status = take(sum, sizeof(pointers[0]));
			if (status == 0)
				status = take_string(sum, pointers[i]);
		}
		if (status < 0)
			return status;
		address += count * sizeof(pointers[0]);
	}
}

/* A limit that cannot be asked for is the smallest: too few are refused rather than one too many ended. */
static uint64_t room_of(pid_t tid)
{
	struct rlimit limit;

	if (prlimit(tid, RLIMIT_STACK, NULL, &limit) < 0 || limit.rlim_cur / 4 < SUM_MIN)
		return SUM_MIN;
	return limit.rlim_cur / 4 > SUM_MAX ? SUM_MAX : limit.rlim_cur / 4;
}

int sg_loader_take_arguments(const struct sg_request *request, uint64_t argv, uint64_t envp, size_t name, bool script)
{
	struct sum sum = {.caller = &request->caller, .left = room_of(request->caller.tid)};
	int status;

	if (!sg_loader_must_not_fail(request->supervisor))
		return 0;
	status = take(&sum, name + 1 + (script ? SCRIPT_ROOM : 0));
	if (status == 0)
		status = take_list(&sum, argv);
	return status == 0 ? take_list(&sum, envp) : status;
}
