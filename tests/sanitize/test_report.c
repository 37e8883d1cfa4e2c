/* A report arrives from a process that has closed everything and may make no system call but a few. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "report.h"

enum { SIZE = 1 << 16 };

static volatile int largest = 2147483647;

static char *volatile freed;

static void use_freed(void)
{
	char *bytes = malloc(8);

	freed = bytes;
	free(bytes);
	((volatile char *)freed)[0] = 1;
}

static void overflow_number(void)
{
	largest = largest + 1;
}

/* Runs `act` in a process without descriptors. True if it failed with `expected` reported; NULL: did not, and nothing was. */
static bool reports(const char *path, void (*act)(void), const char *expected)
{
	SG_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static char text[SIZE + 1];
	ssize_t size;
	pid_t pid;
	int status;

	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		(void)setenv("SG_SANITIZER_REPORT", path, 1);
		sg_sanitizer_report_open();
		(void)unlink(path);
		if (chdir("/proc/self/fdinfo") < 0 || sg_fd_close_from(0) < 0)
			_exit(3);
		act();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	size = pread(fd, text, SIZE - 8, (off_t)sizeof(unsigned int));
	if (size < 0)
		return false;
	text[size] = '\0';
	if (expected == NULL && status == 0 && text[0] == '\0')
		return true;
	if (expected != NULL && status != 0 && strstr(text, expected) != NULL)
		return true;
	printf("status %d, wanted \"%s\", got \"%s\"\n", status, expected == NULL ? "nothing" : expected, text);
	return false;
}

static void do_nothing(void)
{
}

int main(void)
{
	char path[] = "/tmp/sg-test-report-XXXXXX";
	int fd = mkstemp(path);
	bool good;

	if (fd < 0)
		return 1;
	sg_fd_close(fd);
	good = reports(path, use_freed, "heap-use-after-free");
	good = reports(path, overflow_number, "igned integer overflow") && good;
	good = reports(path, do_nothing, NULL) && good;
	(void)unlink(path);
	return good ? 0 : 1;
}
