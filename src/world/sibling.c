/*
 * Processes that share memory (CLONE_VM without CLONE_THREAD): the keeper the supervisor's, and the command, until it executes, the first
 * process's, which is another (world/init.c).
 *
 * Why: each address space that is made and taken down costs as much as all the mounts of a world, and every page that one side
 * writes after a fork is copied.
 *
 * What an adversary in the world controls: nothing of either. Neither process is in the world's namespaces, neither can be
 * named there, and both can be looked into by nobody below their user namespace. What changes is what one of them does to the other:
 *
 * 1. They die apart. They are two thread groups, so a signal, a fault or an exit ends one of them, and the memory stays as long
 *    as one is there; a core dump ends just its own thread group (Linux 5.16 on). Only the OOM killer, which frees memory, kills all
 *    that share it: then the world's first process dies with the keeper (its parent-death signal). There is no death after which
 *    the world goes on.
 * 2. Credentials, descriptors, signal handlers, mount tree, Landlock domain and filters are each one's own: what the
 *    supervisor gives up, and where it moves, does not bind the keeper, nor the other way round. Being dumpable is the memory's.
 * 3. Who could write to the supervisor's memory could make the keeper do what it likes. That is so without sharing: the
 *    supervisor is the keeper's parent, of the same user, and has CAP_SYS_PTRACE over the namespace that both are in.
 * 4. What the keeper forks has a copy of the supervisor's memory. Of that the first process keeps a copy for its life, as it does
 *    of what is forked at a start in any case; the audit ring, the one thing that would be shared and not copied, does not
 *    exist before that fork, and is kept from later ones (sg_ring_keep_from_children).
 *
 * The C library. A process of this kind needs what the library keeps for a thread (errno, the stack protector's canary): that is
 * made by the library itself, for a thread that ends at once by a bare exit and is never joined, so that its part stays. Locks of the
 * library would be shared, and a process that is killed would not release them: so no such call is made, and
 * none by what is forked from it, whose copy may have been made while another thread held one.
 */
#include "world/sibling.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"

enum { PAGE = 4096, LENT_SIZE = 32 * 1024, STACK_SIZE = 512 * 1024 };

/* The region: the lender's stack, the sibling's, and one for a second; below each a page that faults. */
enum { REGION_SIZE = PAGE + LENT_SIZE + 2 * (PAGE + STACK_SIZE) };

/*
 * For the second, in a copy of this memory: the part of the thread that made the sibling, which is not there, and a stack. Written before the
 * sibling is started.
 */
static struct {
	void *thread_pointer;
	char *stack;
} spare;

struct lender {
	sem_t made;
	void *thread_pointer;
};

static void *own_thread_pointer(void)
{
	void *pointer;

	__asm__("mov %%fs:0, %0" : "=r"(pointer));
	return pointer;
}

/* Leaves its part to the sibling. Its own working directory: the caller would seem to share one with it until it is gone. */
static void *lend(void *data)
{
	struct lender *lender = data;

	if (syscall(SYS_unshare, CLONE_FS) == 0)
		lender->thread_pointer = own_thread_pointer();
	(void)sem_post(&lender->made);
	(void)syscall(SYS_exit, 0);
	return NULL;
}

/* Returns the thread pointer of a thread that is no more, or NULL. */
static void *borrow(void *stack, int *ret_error)
{
	struct lender lender = {.thread_pointer = NULL};
	pthread_attr_t attributes;
	pthread_t thread;

	*ret_error = pthread_attr_init(&attributes);
	if (*ret_error != 0)
		return NULL;
	(void)sem_init(&lender.made, 0, 0);
	*ret_error = pthread_attr_setstack(&attributes, stack, LENT_SIZE);
	if (*ret_error == 0)
		*ret_error = pthread_create(&thread, &attributes, lend, &lender);
	(void)pthread_attr_destroy(&attributes);
	if (*ret_error != 0)
		return NULL;
	while (sem_wait(&lender.made) < 0 && errno == EINTR)
		continue;
	if (lender.thread_pointer == NULL)
		*ret_error = EPERM;
	return lender.thread_pointer;
}

/* Where the body's argument lies, and below it the stack begins. */
static char *top_of(char *stack)
{
	return stack + STACK_SIZE - SG_SIBLING_ARGUMENT_MAX;
}

static pid_t start_shared(int (*body)(void *), const void *argument, size_t size)
{
	char *region = mmap(NULL, REGION_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	char *lent = region + PAGE, *stack = lent + LENT_SIZE + PAGE, *second = stack + STACK_SIZE + PAGE;
	void *thread_pointer;
	int error;
	pid_t pid;

	if (region == MAP_FAILED || mprotect(lent, LENT_SIZE, PROT_READ | PROT_WRITE) < 0 ||
	    mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE) < 0 ||
	    mprotect(second, STACK_SIZE, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	thread_pointer = borrow(lent, &error);
	if (thread_pointer == NULL)
		return -error;
	spare.thread_pointer = own_thread_pointer();
	spare.stack = second;
	memcpy(top_of(stack), argument, size);
	pid = clone(body, top_of(stack), CLONE_VM | CLONE_SETTLS | SIGCHLD, top_of(stack), NULL, thread_pointer, NULL);
	return pid < 0 ? -errno : pid;
}

static pid_t start_forked(int (*body)(void *), const void *argument, size_t size)
{
	_Alignas(16) char copy[SG_SIBLING_ARGUMENT_MAX];
	const pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	memcpy(copy, argument, size);
	_exit(body(copy));
}

pid_t sg_sibling_start(int (*body)(void *argument), const void *argument, size_t size)
{
	if (size > SG_SIBLING_ARGUMENT_MAX)
		return -E2BIG;
	return SG_SANITIZED ? start_forked(body, argument, size) : start_shared(body, argument, size);
}

pid_t sg_sibling_second(int (*body)(void *argument), const void *argument, size_t size, _Atomic uint32_t *ret_shared)
{
	char *stack = spare.stack;
	pid_t pid;

	if (size > SG_SIBLING_ARGUMENT_MAX)
		return -E2BIG;
	*ret_shared = stack != NULL;
	if (stack == NULL)
		return start_forked(body, argument, size);
	spare.stack = NULL;
	memcpy(top_of(stack), argument, size);
	pid = clone(body, top_of(stack), CLONE_VM | CLONE_SETTLS | CLONE_CHILD_CLEARTID | SIGCHLD, top_of(stack), NULL,
		    spare.thread_pointer, ret_shared);
	return pid < 0 ? -errno : pid;
}

pid_t sg_sibling_fork(void)
{
	const long pid = SG_SANITIZED ? fork() : syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	return pid < 0 ? -errno : (pid_t)pid;
}
