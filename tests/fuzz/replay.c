/*
 * Runs a fuzz target on the files that are named (or on those in named folders), for the normal suite: the
 * corpus, with every input that ever failed, stays tested without libFuzzer.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int replay_file(int folder, const char *name)
{
	SG_AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	SG_AUTO_FREE char *data = NULL;
	size_t size;

	if (fd < 0 || sg_fd_read_file(fd, INPUT_MAX, &data, &size) != 0) {
		fprintf(stderr, "cannot read %s\n", name);
		return -1;
	}
	/* An exact allocation, so that a sanitizer sees one byte too far. */
	SG_AUTO_FREE uint8_t *exact = malloc(size > 0 ? size : 1);

	for (size_t i = 0; exact && i < size; i++) {
		exact[i] = (uint8_t)data[i];
	}
	LLVMFuzzerTestOneInput(exact, size);
	return 1;
}

static int replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!folder) {
		return replay_file(AT_FDCWD, path);
	}
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.') {
			count += replay_file(dirfd(folder), entry->d_name) == 1;
		}
	}
	closedir(folder);
	return count;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		int done = replay_folder(argv[i]);

		if (done <= 0) {
			fprintf(stderr, "%s: nothing to replay\n", argv[i]);
			return 1;
		}
		count += done;
	}
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
