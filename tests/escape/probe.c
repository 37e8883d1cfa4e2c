#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_SECONDS = 50, READ_MAX = 65536 };

bool must_fail(const char *name, long result)
{
	if (result < 0)
		refused(name, errno);
	else
		escaped(name);
	return result < 0;
}

bool must_work(const char *name, long result)
{
	if (result < 0)
		(void)printf("broken %s %s\n", name, strerrorname_np(errno));
	else
		(void)printf("works %s\n", name);
	return result >= 0;
}

void escaped(const char *name)
{
	(void)printf("escaped %s\n", name);
}

void refused(const char *name, int error)
{
	(void)printf("refused %s %s\n", name, error == 0 ? "0" : strerrorname_np(error));
}

void saw(const char *name, const char *value)
{
	(void)printf("saw %s %s\n", name, value);
}

void saw_number(const char *name, long value)
{
	(void)printf("saw %s %ld\n", name, value);
}

bool holds_secret(int fd)
{
	static char text[READ_MAX];
	ssize_t size;

	(void)lseek(fd, 0, SEEK_SET);
	size = read(fd, text, sizeof(text));
	(void)close(fd);
	return size > 0 && memmem(text, (size_t)size, "TOPSECRET", 9) != NULL;
}

void must_fail_to_read(const char *name, int dirfd, const char *path, int flags)
{
	int fd = openat(dirfd, path, flags | O_RDONLY | O_CLOEXEC), error = errno;

	if (fd >= 0 && holds_secret(fd))
		escaped(name);
	else
		refused(name, fd >= 0 ? 0 : error);
}

void must_read(const char *name, const char *path, const char *text)
{
	char found[READ_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, found, sizeof(found));

	if (size >= 0 && memmem(found, (size_t)size, text, strlen(text)) == NULL) {
		errno = ENODATA;
		size = -1;
	}
	(void)must_work(name, size);
	if (fd >= 0)
		(void)close(fd);
}

void end_within(unsigned int seconds)
{
	enum { EMULATED = 5 }; /* an emulated machine is as much slower; here nothing comes near it */

	(void)alarm(seconds * EMULATED);
}

int in_child(int (*run)(void *data), void *data)
{
	int status = -1;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int result = run(data);

		(void)fflush(stdout);
		_exit(result);
	}
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	return status;
}

static void too_late(int number)
{
	static const char text[] = "broken deadline ETIMEDOUT\n";

	(void)number;
	(void)!write(1, text, sizeof(text) - 1);
	_exit(3);
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGALRM, too_late);
	end_within(DEADLINE_SECONDS);
	for (const struct probe *probe = probes; argc > 1 && probe->name != NULL; probe++)
		if (strcmp(probe->name, argv[1]) == 0)
			return probe->run(argc - 2, argv + 2);
	(void)fprintf(stderr, "no such attempt\n");
	return 2;
}
