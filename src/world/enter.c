/*
 * `shellguard enter`: a command in a world that runs already.
 *
 *     keeper        in the session's user namespace and the host's mount tree
 *       └─ entry    in the world's namespaces but for the PID namespace: leads the command's session, waits
 * for it └─ command   in the world's PID namespace too: gives up everything as the first command did, then
 * executes
 *
 * What an adversary controls here: the world is running. It sees every process of its PID namespace, has the
 * same user id as the command, may trace what it is allowed to by the kernel, and holds the capabilities over
 * its own user namespace that its profile gives. It knows the moment at which the command appears, and can
 * retry as often as the session's owner enters. Why it gains nothing:
 *
 * 1. Until it executes, the command is a copy of the keeper's memory, which is the supervisor's (the policy,
 * names and variables of the host; not the audit ring, which no child gets). It holds every capability over the world's user namespace up to that moment, and who looks into a
 * process must hold all that it does, or CAP_SYS_PTRACE there (commoncap, cap_ptrace_access_check):
 * /proc/PID/mem, exe, fd, cwd, environ and maps, ptrace, process_vm_readv and pidfd_getfd fail with EPERM or
 * EACCES. A world whose profile gives CAP_SYS_PTRACE is not entered. The capabilities go in the execve
 * itself, in the step in which the kernel replaces the memory, and descriptors close. (Not dumpable it cannot
 * be: its memory belongs to the user namespace in which this program was executed, so the supervisor could
 * not see what it calls either, and keeps to the same rule in what it opens for the world: sg_caller_may_examine.) What /proc shows without asking (cmdline) is overwritten before the command
 * exists.
 * 2. A signal cannot make it leave a core of that memory where the world could read it: RLIMIT_CORE is 1,
 * hard, before it exists (core(5): neither a file nor a pipe), and stays so, whatever the profile's limit.
 * 3. The program of the launcher is executed by no one here, and its file cannot be opened: exe is covered by
 * 1 (CVE-2019-5736 needs a /proc/PID/exe that can be opened), and after the execution it is the new program.
 * 4. Working directory and root are the world's from setns(2) on: the call that gives the mount tree sets
 * both. There is no descriptor of a folder of the host to go back by (CVE-2024-21626): all but the relay's
 * pipes, the socket of the reports and the pty are closed before the command exists, and the socket is closed
 * by the execution.
 * 5. Signals: the world may stop or kill the command as it may any of its processes. Then it does not start,
 * or ends; the supervisor waits with a deadline and without blocking. The entry is in no PID namespace of the
 * world's: nothing there can name it.
 * 6. No more authority than the world has. Inherited from the keeper, as the first process has them: ids and
 * groups, Landlock scopes, keyring, the control group (made in it by clone3, never moved, and if that fails
 * nothing is started). Entered: its namespaces, by descriptors that were taken from the first process before
 * any code of the world ran. Given up by the code of the first command (sg_init_command): limits, all
 * capabilities but the profile's, no_new_privs, and at last the filter, the very program that the first
 * command has. Between setns(2) and that it executes nothing but our code.
 * 7. Its first execve is decided like any other, and held back until the supervisor has its listener and the
 * keeper the second copy. If either dies before that, the call fails or its process is killed.
 * 8. Ends: the kernel kills it with its PID namespace, as all of the world. The entry dies with the keeper
 * (parent-death signal), and the command, until it has executed something that changes this, with the entry.
 */
#include "world/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/confine.h"
#include "world/init.h"
#include "world/keeper.h"
#include "world/sibling.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { WORDS_MAX = 16384, PLACE = 500, TURN_S = 5 };

static bool is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static size_t count_words(const char *words, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += words[i] == '\0';
	return count;
}

int sg_enter_check(const struct sg_enter_request *request, size_t size, size_t descriptors)
{
	const size_t head = offsetof(struct sg_enter_request, words);
	size_t wanted = 1;

	if (size < head || request->size > SG_ENTER_ARGUMENTS_MAX || size != head + request->size)
		return -EPROTO;
	if (request->pty > 1 || request->background > 1 || !is_text(request->term, sizeof(request->term)))
		return -EPROTO;
	for (int i = 0; i < 3; i++) {
		if (request->given[i] > 1 || request->closed[i] > 1 || (request->given[i] & request->closed[i]) != 0)
			return -EPROTO;
		wanted += request->given[i];
	}
	if (descriptors != wanted || request->count > WORDS_MAX ||
	    (request->size > 0 && request->words[request->size - 1] != '\0') ||
	    count_words(request->words, request->size) != request->count)
		return -EPROTO;
	return 0;
}

/*
 * Puts the descriptors that stay at PLACE and up and closes all others. 0-2 are filled in the world's tree
 * later, so that none of ours is there when streams are placed.
 */
static int keep_only(int *fds, size_t count, struct sg_error *error)
{
	for (size_t i = 0; i < count; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PLACE + (int)i);
		if (fds[i] != PLACE + (int)i)
			return sg_error_set_errno(error, fds[i] < 0 ? -errno : -EBUSY, "cannot keep descriptors");
	}
	if (close_range(0, PLACE - 1, 0) < 0 || close_range(PLACE + (unsigned int)count, ~0U, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot close descriptors");
	return 0;
}

/* The world's null device, which its device folder always has, in the places of the streams. */
static int fill_streams(struct sg_error *error)
{
	for (int i = 0; i < 3; i++)
		if (open("/dev/null", O_RDWR | O_CLOEXEC) != i)
			return sg_error_set_errno(error, errno == 0 ? -EIO : -errno,
						  "cannot open the world's /dev/null");
	return 0;
}

const struct sg_enter_space_info sg_enter_spaces[SG_ENTER_SPACES] = {
	[SG_ENTER_USER] = {"user", CLONE_NEWUSER}, [SG_ENTER_IPC] = {"ipc", CLONE_NEWIPC},
	[SG_ENTER_UTS] = {"uts", CLONE_NEWUTS},    [SG_ENTER_NET] = {"net", CLONE_NEWNET},
	[SG_ENTER_PID] = {"pid", CLONE_NEWPID},    [SG_ENTER_CGROUP] = {"cgroup", CLONE_NEWCGROUP},
	[SG_ENTER_TIME] = {"time", CLONE_NEWTIME}, [SG_ENTER_MOUNT] = {"mnt", CLONE_NEWNS},
};

/* The keeper's death is ours: it is signalled to who has asked before, and afterwards another process is our parent. */
static int follow(pid_t keeper)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : getppid() != keeper ? -ESRCH : 0;
}

/* From here on nothing of the host's is in reach but through the descriptors that are left. */
static int join(const int *spaces, pid_t keeper, struct sg_error *error)
{
	static const struct rlimit no_core = {1, 1};

	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return sg_error_set_errno(error, -errno, "cannot forbid core dumps");
	for (int i = 0; i < SG_ENTER_SPACES; i++)
		if ((i != SG_ENTER_TIME || spaces[i] >= 0) && setns(spaces[i], sg_enter_spaces[i].type) < 0)
			return sg_error_set_errno(error, -errno, "cannot enter the world's %s namespace",
						  sg_enter_spaces[i].name);
	/* Gaining capabilities has set the one to the system's default and cleared the other. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || follow(keeper) < 0)
		return sg_error_set_errno(error, -EPERM, "cannot be ended with the session");
	return chdir("/") < 0 ? sg_error_set_errno(error, -errno, "cannot enter the world's root") : 0;
}

static const char *find_variable(char *const *environment, const char *name, size_t *ret_index)
{
	const size_t length = strlen(name);

	for (size_t i = 0; environment[i] != NULL; i++)
		if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=') {
			if (ret_index != NULL)
				*ret_index = i;
			return environment[i] + length + 1;
		}
	return NULL;
}

/* The session's own environment; only the kind of the terminal is that of whoever enters. */
static char *const *make_environment(const struct sg_world_spec *spec, const struct sg_enter_request *request)
{
	static char term[SG_ENTER_TERM_MAX + 8];
	size_t count = 0, index;
	char **variables;

	if (!request->pty || request->term[0] == '\0')
		return spec->environment;
	while (spec->environment[count] != NULL)
		count++;
	/* After a fork: no malloc. With no memory it is the session's kind of terminal. */
	variables = mmap(NULL, (count + 2) * sizeof(*variables), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (variables == MAP_FAILED)
		return spec->environment;
	memcpy(variables, spec->environment, count * sizeof(*variables));
	(void)snprintf(term, sizeof(term), "TERM=%s", request->term);
	index = count;
	(void)find_variable(variables, "TERM", &index);
	variables[index] = term;
	return variables;
}

static char **make_words(const struct sg_world_spec *spec, const struct sg_enter_request *request)
{
	static char *words[WORDS_MAX + 1];
	static char shell[] = "/bin/sh";
	const char *named = find_variable(spec->environment, "SHELL", NULL), *at = request->words;

	if (request->count == 0)
		words[0] = named != NULL && named[0] == '/' ? (char *)(uintptr_t)named : shell;
	for (size_t i = 0; i < request->count; i++, at += strlen(at) + 1)
		words[i] = (char *)(uintptr_t)at;
	return words;
}

/* Waits until the command is gone, and for nothing else: what it leaves behind is the first process's to
 * reap. */
static SG_NORETURN void watch(pid_t command, int report, int terminal)
{
	for (;;) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)command, &info, WEXITED | WSTOPPED) < 0) {
			if (errno == EINTR)
				continue;
			_exit(125);
		}
		if (info.si_code == CLD_STOPPED) {
			/* As the first process does: the first request for the terminal makes it the
			 * foreground group. */
			if (terminal >= 0 && (info.si_status == SIGTTIN || info.si_status == SIGTTOU))
				(void)ioctl(terminal, TIOCSPGRP, &command);
			sg_init_tell(report, SG_WORLD_REPORT_STOPPED, info.si_status);
		} else if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
			sg_init_tell(report, SG_WORLD_REPORT_ENDED,
				     info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
			_exit(0);
		}
	}
}

static void wake(int number)
{
	(void)number;
}

/*
 * The place of terminals is looked for and made by one entry at a time: two at once would each make one, and the first one's
 * terminal would lie beneath the second's. They take turns by a lock on a file of the keeper's, which the world cannot reach, and
 * which the kernel gives back when its holder ends. Entries are in no PID namespace of the world, which could stop one that holds
 * it: the wait has an end all the same.
 */
static int mount_terminals(int turns, struct sg_error *error)
{
	const struct itimerval patience = {.it_value = {TURN_S, 0}, .it_interval = {0, 100000}}, none = {{0}};
	const struct sigaction interrupt = {.sa_handler = wake};
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	sigset_t alarm, before;
	int status;

	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	if (sigaction(SIGALRM, &interrupt, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &alarm, &before) < 0 ||
	    setitimer(ITIMER_REAL, &patience, NULL) < 0)
		return sg_error_set_errno(error, -errno, "cannot wait for a turn");
	status = fcntl(turns, F_SETLKW, &whole) < 0 ? -errno : 0;
	(void)setitimer(ITIMER_REAL, &none, NULL);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)signal(SIGALRM, SIG_DFL);
	if (status < 0)
		return sg_error_set_errno(error, status,
					  "another command that enters holds up the terminals of this world");
	status = sg_mount_terminals(error);
	sg_fd_close(turns);
	return status;
}

/* Everything but the fork: the entry is in the world, leads a session, and has the terminal. */
static int prepare(const struct sg_enter_request *request, struct sg_world_spec *world, pid_t keeper, const int *spaces,
		   int *fds, size_t count, int *ret_slave, struct sg_error *error)
{
	size_t next = 1;
	int status;

	sg_init_forget_arguments();
	if ((world->capabilities >> CAP_SYS_PTRACE & 1) != 0)
		return sg_error_set(error, -EPERM,
				    "the session's profile gives CAP_SYS_PTRACE, with which its programs "
				    "could take over whoever enters");
	status = join(spaces, keeper, error);
	if (status == 0)
		status = keep_only(fds, count + (world->pty ? 1 : 0), error);
	if (status == 0)
		status = fill_streams(error);
	for (int i = 0; status == 0 && i < 3; i++) {
		world->stdio[i] = request->given[i] ? fds[next++] : -1;
		world->closed[i] = request->closed[i];
	}
	if (status == 0 && world->pty)
		status = mount_terminals(fds[count], error);
	if (status == 0 && world->pty)
		status = sg_init_pty(world, fds[0], ret_slave, error);
	if (status == 0 && *ret_slave >= 0) {
		*ret_slave = sg_fd_move_above(*ret_slave, PLACE);
		status = *ret_slave < 0 ? sg_error_set_errno(error, *ret_slave, "cannot keep the terminal") : 0;
	}
	if (status == 0)
		status = sg_init_session(*ret_slave, error);
	return status == 0 && world->landlock ? sg_confine_files(world->mounts, world->mount_count, error) : status;
}

void sg_enter_run(const struct sg_world_spec *spec, pid_t keeper, const int spaces[SG_ENTER_SPACES],
		  const struct sg_enter_request *request, const int *descriptors, size_t count, int terminals)
{
	struct sg_world_spec world = *spec;
	struct sg_error error = SG_ERROR_INIT;
	int fds[SG_ENTER_DESCRIPTORS + 1], slave = -1;
	pid_t command;

	if (follow(keeper) < 0)
		_exit(125);
	(void)prctl(PR_SET_NAME, "sg-entry", 0, 0, 0);
	memcpy(fds, descriptors, count * sizeof(*fds));
	fds[count] = terminals; /* while the terminals are made; with a pty only */
	world.entering = true;
	world.pty = request->pty;
	world.background = request->background;
	world.termios = &request->termios;
	world.window = &request->window;
	world.argv = make_words(spec, request);
	world.environment = make_environment(spec, request);
	(void)umask(0);
	if (prepare(request, &world, keeper, spaces, fds, count, &slave, &error) < 0)
		sg_init_fail(fds[0], &error);
	command = sg_sibling_fork();
	if (command < 0) {
		(void)sg_error_set_errno(&error, command, "the world takes no more processes");
		sg_init_fail(fds[0], &error);
	}
	if (command == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			_exit(125);
		sg_init_command(&world, slave, fds[0]);
	}
	for (size_t i = 1; i < count; i++)
		sg_fd_close(fds[i]);
	if (!world.background)
		slave = sg_fd_close(slave);
	/* In no profile of AppArmor: nothing of the world runs here, and the world's /proc does not show us, by which we would enter. */
	if (sg_confine_capabilities(0, NULL, &error) < 0) {
		(void)kill(command, SIGKILL);
		sg_init_fail(fds[0], &error);
	}
	watch(command, fds[0], slave);
}
