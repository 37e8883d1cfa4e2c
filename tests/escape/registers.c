/*
 * A tracer that changes the registers of a thread around its system calls: what was judged must be what is called. A watched session
 * lets calls go on after it has looked at their registers (supervisor/learn.h).
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { MARK = 4711 };

static char before[64];

static void read_namespace(char *out, size_t size)
{
	const ssize_t length = readlink("/proc/self/ns/user", out, size - 1);

	out[length < 0 ? 0 : length] = '\0';
}

/*
 * The traced: calls that are allowed (flock of a descriptor that there is none of), one after the other. Exits with 1 if it is in
 * another user namespace.
 */
static int call_again_and_again(int tries, int gate)
{
	char now[64];

	/* Until it is traced. */
	if (read(gate, now, 1) != 1)
		return 2;

	for (int i = 0; i < tries; i++)
		(void)syscall(SYS_flock, -1, LOCK_UN, 0, 0, 0, MARK);
	read_namespace(now, sizeof(now));
	return now[0] == '\0' || strcmp(now, before) != 0;
}

/* In a stop with the traced on its way into the call: makes it another one. Returns whether it was there. */
static bool turn(pid_t child)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, child, NULL, &registers) < 0 || registers.orig_rax != SYS_flock ||
	    registers.r9 != MARK)
		return false;
	registers.orig_rax = SYS_unshare;
	registers.rax = SYS_unshare;
	registers.rdi = CLONE_NEWUSER;
	return ptrace(PTRACE_SETREGS, child, NULL, &registers) == 0;
}

/* `entries`: stops at each entry into a call; else it is interrupted at any moment. */
static int trace(pid_t child, bool entries, int gate, int *ret_status)
{
	int turned = 0, status;

	if (ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		return -1;
	if (write(gate, "", 1) != 1)
		return -1;
	(void)ptrace(PTRACE_INTERRUPT, child, NULL, NULL);
	for (;;) {
		if (waitpid(child, &status, 0) < 0)
			return -1;
		if (!WIFSTOPPED(status))
			break;
		turned += turn(child);
		(void)ptrace(entries ? PTRACE_SYSCALL : PTRACE_CONT, child, NULL, NULL);
		if (!entries)
			(void)ptrace(PTRACE_INTERRUPT, child, NULL, NULL);
	}
	*ret_status = status;
	return turned;
}

/* TRIES */
static int registers(int argc, char **argv)
{
	const int tries = atoi(argv[0]);

	(void)argc;
	read_namespace(before, sizeof(before));
	for (int entries = 0; entries <= 1; entries++) {
		const char *name = entries ? "at-entry" : "at-any-moment";
		int status = 0, turned, gate[2];
		pid_t child;

		if (pipe(gate) < 0)
			return 1;
		child = fork();
		if (child == 0)
			_exit(call_again_and_again(tries, gate[0]));
		turned = trace(child, entries, gate[1], &status);
		if (turned < 0 || !WIFEXITED(status))
			return 1;
		saw_number(name, turned);
		if (WEXITSTATUS(status) != 0)
			escaped(name);
		else
			refused(name, EPERM);
	}
	return 0;
}

const struct probe probes[] = {{"registers", registers}, {NULL, NULL}};
