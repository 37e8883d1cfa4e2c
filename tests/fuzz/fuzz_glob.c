/*
 * Any bytes as globs and a name: the parser must answer, and the automaton must say what the naive reading
 * says.
 *
 * Input: globs, one a line (at most 8), and the name behind the last newline. Built as a libFuzzer target,
 * and with SG_FUZZ_REPLAY as a program that runs once over the files of the folders it is given.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/glob_reference.h"
#include "policy/glob.h"
#include "policy/glob_set.h"

enum { GLOBS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz_glob: %s\n", what);
		abort();
	}
}

/* What must hold for every glob by itself. */
static void check_glob(const struct sg_glob *glob)
{
	SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;
	struct sg_glob_names names = {0};
	size_t length;

	(void)sg_glob_prefix(glob, &length);
	check(length > 0, "an empty prefix");
	check(sg_glob_may_match_directory(glob) || sg_glob_may_match_file(glob), "matches neither");
	check(sg_glob_folders(glob, 64, &names) >= 0, "folders");
	sg_glob_names_done(&names);
	if (sg_glob_expand(glob, 64, &names) == 0)
		sg_glob_names_done(&names);
	check(sg_glob_to_apparmor(glob, &buffer) >= 0, "AppArmor");
	for (size_t i = 0; i < buffer.size; i++)
		check((unsigned char)buffer.data[i] >= ' ' && buffer.data[i] != 0x7f, "a control character is written");
}

/* Adds the globs of `texts` that are ones; returns their mask. */
static uint64_t add_globs(struct sg_globset *set, const char *const *texts, const size_t *lengths, uint32_t count)
{
	uint64_t valid = 0;

	for (uint32_t i = 0; i < count; i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		struct sg_glob_error error = {0};
		int r = sg_glob_parse(texts[i], lengths[i], &error, &glob);

		if (r < 0) {
			check(r == -EINVAL && error.message[0] != '\0', "an error without a message");
			check(error.offset + error.length <= lengths[i], "an error outside of the text");
			continue;
		}
		check_glob(glob);
		check(sg_globset_add(set, glob, i, UINT64_C(1) << i) == 0, "add");
		valid |= UINT64_C(1) << i;
	}
	return valid;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size, *line, *texts[GLOBS];
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	size_t lengths[GLOBS];
	uint32_t count = 0;
	uint64_t valid;
	struct sg_match result;

	for (; count < GLOBS && text < end && (line = memchr(text, '\n', (size_t)(end - text))) != NULL;
	     text = line + 1) {
		texts[count] = text;
		lengths[count++] = (size_t)(line - text);
	}
	check(sg_globset_new(&set) == 0, "new");
	valid = add_globs(set, texts, lengths, count);
	check(sg_globset_compile(set) == 0, "compile");
	check(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher) == 0, "matcher");
	(void)sg_matcher_match(matcher, text, (size_t)(end - text), &result);
	check((result.mask & ~valid) == 0, "a class that is no glob's");
	if (end - text > REFERENCE_NAME)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		if ((valid >> i) & 1) {
			int expected = reference_match(texts[i], lengths[i], text, (size_t)(end - text));

			check(expected < 0 || (uint64_t)expected == ((result.mask >> i) & 1),
			      "the two readings differ");
		}
	return 0;
}

#ifdef SG_FUZZ_REPLAY
#include <dirent.h>
#include <fcntl.h>

#include "base/fd.h"

int main(int argc, char **argv)
{
	size_t files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		struct dirent *entry;

		check(folder != NULL, "the corpus cannot be opened");
		while ((entry = readdir(folder)) != NULL) {
			SG_AUTO_FD int fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC);
			SG_AUTO_FREE char *data = NULL;
			size_t size;

			if (entry->d_name[0] == '.')
				continue;
			check(fd >= 0 && sg_fd_read_file(fd, 1024 * 1024, &data, &size) == 0, "a file cannot be read");
			(void)LLVMFuzzerTestOneInput((uint8_t *)data, size);
			files++;
		}
		closedir(folder);
	}
	check(files > 0, "an empty corpus");
	printf("%zu files\n", files);
	return 0;
}
#endif
