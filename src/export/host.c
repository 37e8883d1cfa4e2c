#include "export/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/confine.h"

enum { SAID_MAX = 4096, SECONDS_MAX = 60 };

static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"};

const char *sg_host_program(const char *name, char *path, size_t size)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++) {
		const int length = snprintf(path, size, "%s/%s", folders[i], name);

		if (length > 0 && (size_t)length < size && access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

bool sg_host_has(const char *const *names, size_t count, struct sg_buffer *out)
{
	bool found = false;
	char path[128];

	for (size_t i = 0; i < count; i++) {
		if (sg_host_program(names[i], path, sizeof(path)) == NULL)
			continue;
		sg_buffer_printf(out, "%s%s", found ? ", " : "", names[i]);
		found = true;
	}
	return found;
}

static bool has_or_say(const char *const *names, size_t count, const char *otherwise, struct sg_buffer *out)
{
	if (sg_host_has(names, count, out))
		return true;
	sg_buffer_append_text(out, otherwise);
	return false;
}

bool sg_host_runs_containers(struct sg_buffer *out)
{
	static const char *const names[] = {"crun", "runc", "youki", "podman", "docker"};

	return has_or_say(names, SG_ARRAY_SIZE(names), "no runtime for containers is installed", out);
}

bool sg_host_filters_calls(struct sg_buffer *out)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;
	const bool there = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;

	sg_buffer_append_text(out, there ? "the kernel" : "this kernel has no filters of system calls");
	return there;
}

bool sg_host_sets_capabilities(struct sg_buffer *out)
{
	static const char *const names[] = {"setpriv", "capsh", "setcap"};

	return has_or_say(names, SG_ARRAY_SIZE(names), "neither setpriv nor capsh is installed", out);
}

bool sg_host_has_landlock(struct sg_buffer *out)
{
	const int version = sg_confine_landlock_version();

	if (version > 0)
		sg_buffer_printf(out, "the kernel (version %d of Landlock)", version);
	else
		sg_buffer_append_text(out, "this kernel has no Landlock, or it is not active");
	return version > 0;
}

bool sg_host_has_apparmor(struct sg_buffer *out)
{
	static const char *const names[] = {"apparmor_parser"};
	SG_AUTO_FD int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
	char answer = 'N';

	if (fd < 0 || read(fd, &answer, 1) != 1 || answer != 'Y') {
		sg_buffer_append_text(out, "AppArmor is not active in this kernel");
		return false;
	}
	return has_or_say(names, SG_ARRAY_SIZE(names), "apparmor_parser is not installed", out);
}

bool sg_host_runs_systemd(struct sg_buffer *out)
{
	const bool there = access("/run/systemd/system", F_OK) == 0; /* sd_booted(3) */

	sg_buffer_append_text(out, there ? "systemd" : "systemd does not run here");
	return there;
}

/* In the child: only calls that are safe there. Returns only if it fails. */
static void become(const char *path, char *const *arguments, const int streams[3])
{
	char *const environment[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, (char[]){"LC_ALL=C"}, NULL};

	if (setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS_MAX, SECONDS_MAX}) < 0 || chdir("/") < 0)
		return;
	(void)alarm(2 * SECONDS_MAX); /* stays over the execution, and ends a program that waits for something */
	if (dup2(streams[0], STDIN_FILENO) < 0 || dup2(streams[1], STDOUT_FILENO) < 0 ||
	    dup2(streams[2], STDERR_FILENO) < 0 || sg_fd_close_from(STDERR_FILENO + 1) < 0)
		return;
	(void)execve(path, arguments, environment);
}

/* The child's descriptors are copies above the standard streams: one of ours may be closed. */
static int start(const char *path, const char *const *arguments, const int streams[3], struct sg_error *error)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return sg_error_set_errno(error, -errno, "%s", path);
	if (child == 0) {
		become(path, (char *const *)(uintptr_t)arguments, streams);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return sg_error_set_errno(error, -errno, "%s", path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int make_file(const char *name, const void *data, size_t size, struct sg_error *error)
{
	int fd = memfd_create(name, MFD_CLOEXEC), status;

	if (fd >= 0 && fd <= STDERR_FILENO)
		fd = sg_fd_move_above(fd, STDERR_FILENO + 1);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, "memfd_create");
	status = size > 0 ? sg_fd_write_full(fd, data, size) : 0;
	if (status == 0 && lseek(fd, 0, SEEK_SET) < 0)
		status = -errno;
	if (status == 0)
		return fd;
	(void)sg_fd_close(fd);
	return sg_error_set_errno(error, status, "memfd");
}

/* What was written to a file, up to `limit` bytes of it. Returns 0 or a negative errno value. */
static int append_file(int fd, size_t limit, struct sg_buffer *out)
{
	SG_AUTO_FREE char *data = NULL;
	size_t size;
	int status = lseek(fd, 0, SEEK_SET) < 0 ? -errno : sg_fd_read_file(fd, limit, &data, &size);

	if (status < 0)
		return status;
	sg_buffer_append(out, data, size);
	return sg_buffer_status(out);
}

int sg_host_run_for(const char *const *arguments, const void *input, size_t size, size_t limit, struct sg_buffer *out,
		    struct sg_buffer *said, struct sg_error *error)
{
	SG_AUTO_FD int in = -1, output = -1, messages = -1;
	const char *path = arguments[0];
	char found[128], text[SAID_MAX];
	ssize_t length;
	int status, written;

	if (path[0] != '/')
		path = sg_host_program(path, found, sizeof(found));
	if (path == NULL)
		return sg_error_set(error, -ENOENT, "%s is not installed", arguments[0]);
	in = make_file("input", input, size, error);
	if (in < 0)
		return in;
	messages = make_file("messages", NULL, 0, error);
	if (messages < 0)
		return messages;
	output =
		out == NULL ? fcntl(messages, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : make_file("output", NULL, 0, error);
	if (output < 0)
		return sg_error_set_errno(error, -errno, "a file for what %s says", path);
	status = start(path, arguments, (const int[3]){in, output, messages}, error);
	if (status >= 0 && lseek(messages, 0, SEEK_SET) == 0) {
		length = sg_fd_read_full(messages, text, sizeof(text));
		if (length > 0)
			sg_buffer_append(said, text, (size_t)length);
	}
	written = status == 0 && out != NULL ? append_file(output, limit, out) : 0;
	return written < 0 ? sg_error_set_errno(error, written, "what %s made", path) : status;
}

int sg_host_run(const char *const *arguments, const void *input, size_t size, struct sg_buffer *said,
		struct sg_error *error)
{
	return sg_host_run_for(arguments, input, size, 0, NULL, said, error);
}
