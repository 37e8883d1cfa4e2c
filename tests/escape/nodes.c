/* Nodes of the host that lie where this world may read. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

/* Every way to a FIFO for reading. */
static void attempt(const char *folder, const char *name)
{
	char path[PATH_MAX], label[64], by_proc[64], by_folder[PATH_MAX];
	int place, dir = open(folder, O_PATH | O_DIRECTORY);

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	place = open(path, O_PATH);
	(void)snprintf(by_proc, sizeof(by_proc), "/proc/self/fd/%d", place);
	(void)snprintf(by_folder, sizeof(by_folder), "/proc/self/fd/%d/%s", dir, name);
	(void)snprintf(label, sizeof(label), "%s-by-name", name);
	must_fail_to_read(label, AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
	(void)snprintf(label, sizeof(label), "%s-by-folder", name);
	must_fail_to_read(label, dir, name, O_RDONLY | O_NONBLOCK);
	(void)snprintf(label, sizeof(label), "%s-reopened", name);
	must_fail_to_read(label, AT_FDCWD, by_proc, O_RDONLY | O_NONBLOCK);
	(void)snprintf(label, sizeof(label), "%s-behind-the-folder", name);
	must_fail_to_read(label, AT_FDCWD, by_folder, O_RDONLY | O_NONBLOCK);
	(void)snprintf(label, sizeof(label), "%s-to-write", name);
	(void)must_fail(label, open(path, O_WRONLY | O_NONBLOCK));
	(void)snprintf(label, sizeof(label), "%s-both", name);
	(void)must_fail(label, open(by_proc, O_RDWR | O_NONBLOCK));
}

/*
 * FOLDER with the FIFOs early and later, which say a secret, and silent and silent-later, whose readers somebody outside
 * counts. Says "ready", waits for a line before it begins, then says "opened", and waits for the end of its input.
 */
static int fifos(int argc, char **argv)
{
	static const char *const silent[] = {"silent", "silent-later"};
	char path[PATH_MAX], line[16];

	(void)argc;
	(void)puts("ready");
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 1;
	attempt(argv[0], "early");
	attempt(argv[0], "later");
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", argv[0], silent[i]);
		(void)open(path, O_RDONLY | O_NONBLOCK); /* held to the end */
	}
	(void)snprintf(path, sizeof(path), "%s/open.txt", argv[0]);
	must_read("file", path, "OPEN");
	(void)puts("opened");
	return fgets(line, sizeof(line), stdin) == NULL ? 0 : 1;
}

const struct probe probes[] = {
	{"fifos", fifos},
	{NULL, NULL},
};
