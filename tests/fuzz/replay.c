/* Runs a fuzz target over each file in the files and folders that are named: a plain program for every
 * compiler. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static size_t replayed;

static int replay(const char *path, const struct stat *status, int type, struct FTW *where)
{
	FILE *file;
	uint8_t *data;
	size_t size;

	(void)where;
	if (type == FTW_D)
		return 0;
	if (type != FTW_F || status->st_size > 64 << 20) {
		fprintf(stderr, "%s: cannot be replayed\n", path);
		return 1;
	}
	/* Of exactly the file's size, so that a byte read behind it is found. */
	size = (size_t)status->st_size;
	data = malloc(size > 0 ? size : 1);
	file = fopen(path, "re");
	if (data == NULL || file == NULL || fread(data, 1, size, file) != size) {
		perror(path);
		return 1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	replayed++;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) {
			fprintf(stderr, "%s: failed\n", argv[i]);
			return 1;
		}
	}
	printf("%zu inputs\n", replayed);
	return replayed > 0 ? 0 : 1;
}
