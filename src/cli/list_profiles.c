/* shellguard profiles: what can be named. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "profile/profile.h"

enum { NAMES_MAX = 1024 };

struct found {
	char *name, *path, *description;
	bool readable; /* it is a profile, as far as one text can tell */
};

struct list {
	struct found *items;
	size_t count;
};

static void free_list(struct list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].path);
		free(list->items[i].description);
	}
	free(list->items);
}

static bool is_known(const struct list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	return false;
}

/* What the profile says of itself. */
static void read_description(struct found *found)
{
	SG_AUTO_FD int fd = open(found->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_PROFILE struct sg_profile *profile = NULL;
	struct sg_source *source = NULL;

	if (fd < 0 || sg_source_read(fd, found->path, SG_TOML_TEXT_MAX, NULL, &source) < 0)
		return;
	found->readable = sg_profile_read(source, &diagnostics, &profile) == 0;
	for (size_t i = 0; found->readable && i < profile->count; i++)
		if (profile->statements[i].kind == SG_RULE_DESCRIPTION &&
		    profile->statements[i].section == SG_SECTION_ROOT)
			found->description = strdup(profile->statements[i].text);
}

static int add(struct list *list, const char *folder, const char *file, size_t length)
{
	struct found found = {.name = strndup(file, length)};
	struct found *grown;

	if (found.name == NULL || asprintf(&found.path, "%s/%s", folder, file) < 0) {
		free(found.name);
		return -ENOMEM;
	}
	grown = is_known(list, found.name) ? NULL : reallocarray(list->items, list->count + 1, sizeof(*grown));
	if (grown == NULL) { /* a folder before has one of that name: that one counts */
		free(found.name);
		free(found.path);
		return 0;
	}
	list->items = grown;
	read_description(&found);
	list->items[list->count++] = found;
	return 0;
}

static int add_folder(struct list *list, const char *folder)
{
	SG_AUTO_FOLDER DIR *listing = opendir(folder);
	const struct dirent *entry;
	int status = 0;

	if (listing == NULL)
		return 0;
	while (status == 0 && list->count < NAMES_MAX && (entry = readdir(listing)) != NULL) {
		const size_t length = strlen(entry->d_name);

		if (length > 5 && strcmp(entry->d_name + length - 5, ".toml") == 0 && entry->d_name[0] != '.')
			status = add(list, folder, entry->d_name, length - 5);
	}
	return status;
}

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct found *)left)->name, ((const struct found *)right)->name);
}

static void append_escaped(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

static void write_text(const struct list *list, struct sg_buffer *out)
{
	const char *const *folders = sg_profile_folders();

	for (size_t i = 0; i < list->count; i++) {
		const struct found *found = &list->items[i];

		append_escaped(out, found->name);
		sg_buffer_append_byte(out, '\t');
		if (!found->readable)
			sg_buffer_append_text(out, "(it has errors: shellguard check says which)");
		else
			append_escaped(out, found->description != NULL ? found->description : "(no Description)");
		sg_buffer_append_text(out, " [");
		append_escaped(out, found->path);
		sg_buffer_append_text(out, "]\n");
	}
	if (list->count > 0)
		return;
	sg_buffer_append_text(out, "There is no profile. They are looked for, as NAME.toml, in:\n\n");
	for (size_t i = 0; folders[i] != NULL; i++) {
		sg_buffer_append_text(out, "  ");
		append_escaped(out, folders[i]);
		sg_buffer_append_byte(out, '\n');
	}
}

static void write_json(const struct list *list, struct sg_buffer *out)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct found *found = &list->items[i];
		const char *description = found->description != NULL ? found->description : "";

		sg_buffer_append_text(out, "{\"name\":");
		sg_buffer_append_json(out, found->name, strlen(found->name));
		sg_buffer_append_text(out, ",\"path\":");
		sg_buffer_append_json(out, found->path, strlen(found->path));
		sg_buffer_append_text(out, ",\"description\":");
		sg_buffer_append_json(out, description, strlen(description));
		sg_buffer_printf(out, ",\"readable\":%s}\n", found->readable ? "true" : "false");
	}
}

static int list_profiles(const struct sg_options *options)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_CLEANUP(free_list) struct list list = {0};
	const char *const *folders = sg_profile_folders();
	int status = 0;

	for (size_t i = 0; status == 0 && folders[i] != NULL; i++)
		status = add_folder(&list, folders[i]);
	if (list.count > 0)
		qsort(list.items, list.count, sizeof(*list.items), compare);
	(options->json ? write_json : write_text)(&list, &out);
	return status == 0 ? sg_layout_print(STDOUT_FILENO, &out, options->json) : SG_EXIT_FAILED;
}

int sg_command_profiles(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("profiles", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else if (options.command[0] != NULL)
			status = sg_command_usage("profiles");
		else
			status = list_profiles(&options);
	}
	sg_options_done(&options);
	return status;
}
