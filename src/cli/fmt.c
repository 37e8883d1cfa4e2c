/*
 * shellguard fmt: profiles in one layout.
 *
 * A file is replaced as a whole: the new text is written to a file beside it, with the same mode and owner, and takes its name when it
 * is on the disk. A reader finds the one or the other. What cannot be kept so is refused: another owner that we may not give, further
 * names (hard links), which would keep the old text, and a file that became another one meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/help.h"
#include "cli/options.h"
#include "profile/format.h"
#include "profile/profile.h"

static void print_diagnostics(struct sg_diagnostics *diagnostics)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	sg_diagnostics_render(diagnostics, &out);
	if (sg_buffer_status(&out) == 0 && out.size > 0)
		(void)sg_print(STDERR_FILENO, out.data, out.size);
}

/* The text in its layout, of a profile without errors of its own: flags and globs are not looked at. Returns 0 or an exit status. */
static int format(const struct sg_source *source, struct sg_buffer *out)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_PROFILE struct sg_profile *profile = NULL;
	struct sg_source *copy = NULL;
	int status = sg_source_new(source->name, source->text, source->size, &copy);

	if (status == 0)
		status = sg_profile_read(copy, &diagnostics, &profile);
	if (status == SG_PROFILE_REFUSED) {
		print_diagnostics(&diagnostics);
		return SG_EXIT_USAGE;
	}
	if (status == 0)
		status = sg_format(source, &diagnostics, out);
	if (status == 0)
		return 0;
	sg_complain("cannot format %s: %s", source->name,
		    status == -EBADMSG ? "its meaning would not stay the same, which is a fault of this program"
				       : strerror(-status));
	return SG_EXIT_FAILED;
}

/* --- in place --- */

static int complain_write(const char *path, int error)
{
	sg_complain("cannot write %s: %s", path, strerror(error));
	return SG_EXIT_FAILED;
}

static int write_beside(int fd, const struct stat *status, const struct sg_buffer *text)
{
	if (fchown(fd, status->st_uid, status->st_gid) < 0 || fchmod(fd, status->st_mode & 07777) < 0)
		return -errno;
	for (size_t done = 0; done < text->size;) {
		const ssize_t written = write(fd, text->data + done, text->size - done);

		if (written < 0 && errno != EINTR)
			return -errno;
		done += written > 0 ? (size_t)written : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* The file is still the one that was read. */
static bool is_same(const char *path, const struct stat *before)
{
	struct stat now;

	return stat(path, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino &&
	       now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* `path`: without a symbolic link at its end, which stays as it is. */
static int replace(const char *path, const struct stat *before, const struct sg_buffer *text)
{
	SG_AUTO_BUFFER struct sg_buffer beside = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;
	int status;

	sg_buffer_printf(&beside, "%s.XXXXXX", path);
	if (sg_buffer_status(&beside) < 0)
		return complain_write(path, ENOMEM);
	fd = mkostemp(beside.data, O_CLOEXEC);
	if (fd < 0)
		return complain_write(path, errno);
	status = write_beside(fd, before, text);
	if (status == 0 && !is_same(path, before)) {
		(void)unlink(beside.data);
		sg_complain("%s was changed by somebody else meanwhile, and is left as it is", path);
		return SG_EXIT_FAILED;
	}
	if (status == 0 && rename(beside.data, path) < 0)
		status = -errno;
	if (status == 0)
		return 0;
	(void)unlink(beside.data);
	return complain_write(path, -status);
}

/* A file, read with what is known of it when it was. Returns 0 or an exit status. */
static int read_file(const char *path, struct sg_source **ret, struct stat *ret_status)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct sg_error error = SG_ERROR_INIT;

	if (fd < 0 || fstat(fd, ret_status) < 0) {
		sg_complain("cannot open %s: %s", path, strerror(errno));
		return SG_EXIT_USAGE;
	}
	if (!S_ISREG(ret_status->st_mode)) {
		sg_complain("%s is not a regular file", path);
		return SG_EXIT_USAGE;
	}
	if (sg_source_read(fd, path, SG_TOML_TEXT_MAX, &error, ret) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_USAGE;
	}
	return 0;
}

/* Whoever names a profile is told where it lies: what is rewritten is a file that was named as one. */
static int complain_missing(const char *name, int why)
{
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	struct sg_error error = SG_ERROR_INIT;
	const size_t length = strlen(name);

	if (why != ENOENT || strchr(name, '/') != NULL || (length > 5 && strcmp(name + length - 5, ".toml") == 0))
		sg_complain("cannot open %s: %s", name, strerror(why));
	else if (sg_profile_open(NULL, name, NULL, &source, &error) == 0)
		sg_complain("fmt takes the path of a file; the profile \"%s\" is %s", name, source->name);
	else
		sg_complain("fmt takes the path of a file, and here is no %s; %s", name, error.text);
	return SG_EXIT_USAGE;
}

static int format_file(const char *name, bool check)
{
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	char path[PATH_MAX];
	struct stat before;
	int status;

	if (realpath(name, path) == NULL)
		return complain_missing(name, errno);
	status = read_file(path, &source, &before);
	if (status == 0)
		status = format(source, &text);
	if (status != 0 ||
	    (text.size == source->size && (text.size == 0 || memcmp(text.data, source->text, text.size) == 0)))
		return status;
	if (check) {
		SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;

		sg_buffer_append_escaped(&line, name, strlen(name));
		sg_buffer_append_text(&line, ": is laid out in another way\n");
		return sg_buffer_status(&line) == 0 && sg_print(STDOUT_FILENO, line.data, line.size) == 0
			       ? SG_EXIT_NO
			       : SG_EXIT_FAILED;
	}
	if (before.st_nlink > 1) {
		sg_complain("%s has other names (hard links), which would keep the old text; it is left as it is",
			    name);
		return SG_EXIT_FAILED;
	}
	return replace(path, &before, &text);
}

/* Standard input to standard output; with `check` nothing is written. */
static int format_input(bool check)
{
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	int status;

	if (sg_source_read(STDIN_FILENO, "standard input", SG_TOML_TEXT_MAX, &error, &source) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_USAGE;
	}
	status = format(source, &text);
	if (status != 0)
		return status;
	if (check)
		return text.size == source->size && (text.size == 0 || memcmp(text.data, source->text, text.size) == 0)
			       ? SG_EXIT_OK
			       : SG_EXIT_NO;
	return text.size == 0 || sg_print(STDOUT_FILENO, text.data, text.size) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
}

/* Every file is seen to, whatever became of those before; the gravest status is the command's. */
static int format_all(const struct sg_options *options)
{
	int result = SG_EXIT_OK;

	if (options->command[0] == NULL)
		return sg_command_usage("fmt");
	for (size_t i = 0; options->command[i] != NULL; i++) {
		const int status = strcmp(options->command[i], "-") == 0
					   ? format_input(options->check)
					   : format_file(options->command[i], options->check);

		result = status > result ? status : result;
	}
	return result;
}

int sg_command_fmt(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("fmt", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = format_all(&options);
	}
	sg_options_done(&options);
	return status;
}
