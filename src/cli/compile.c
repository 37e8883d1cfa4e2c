/* shellguard compile: profiles as artefacts for other programs that hold programs. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "export/export.h"

enum { BACK_ENDS_MAX = 16, ARTEFACT_MAX = 256 << 20 };

struct compilation {
	const struct sg_options *options;
	struct sg_policy *policy;                  /* owned */
	struct sg_export exports[BACK_ENDS_MAX];   /* owned */
	struct sg_buffer artefacts[BACK_ENDS_MAX]; /* owned */
	size_t count;
};

static void compilation_done(struct compilation *compilation)
{
	for (size_t i = 0; i < compilation->count; i++) {
		sg_export_done(&compilation->exports[i]);
		sg_buffer_done(&compilation->artefacts[i]);
	}
	sg_policy_free(compilation->policy);
}

static int complain_of_back_end(const char *name, size_t length)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	const char *names[BACK_ENDS_MAX], *nearest;
	char given[64];

	(void)snprintf(given, sizeof(given), "%.*s", (int)(length < sizeof(given) ? length : sizeof(given) - 1), name);
	for (size_t i = 0; i < sg_exporter_count; i++) {
		names[i] = sg_exporters[i]->name;
		sg_buffer_printf(&text, "%s%s", i == 0 ? "" : ", ", names[i]);
	}
	nearest = sg_text_nearest(given, names, sg_exporter_count);
	sg_complain("there is no back end \"%s\"%s%s%s there are %s", given,
		    nearest != NULL ? "; did you mean \"" : ":", nearest != NULL ? nearest : "",
		    nearest != NULL ? "\"? Else" : "", text.data != NULL ? text.data : "");
	return SG_EXIT_USAGE;
}

static bool has_back_end(const struct compilation *compilation, const struct sg_exporter *exporter)
{
	for (size_t i = 0; i < compilation->count; i++)
		if (compilation->exports[i].exporter == exporter)
			return true;
	return false;
}

/* Judges the policy for a back end that is not there yet. Returns 0 or an exit status. */
static int add_back_end(struct compilation *compilation, const struct sg_exporter *exporter)
{
	int status;

	if (compilation->count == BACK_ENDS_MAX) {
		sg_complain("more than %d back ends", BACK_ENDS_MAX);
		return SG_EXIT_USAGE;
	}
	status = sg_export_prepare(compilation->policy, exporter, &compilation->exports[compilation->count++]);
	if (status == 0)
		return 0;
	sg_complain("cannot judge the profile for %s: %s", exporter->name,
		    status == -E2BIG ? "its rules name too many files, with alternatives ({a,b}) written out"
				     : strerrordesc_np(-status));
	return SG_EXIT_FAILED;
}

/* The back ends of one --to, with commas between; nothing at all names none. Returns 0 or an exit status. */
static int add_named(struct compilation *compilation, const char *names)
{
	const char *at = names;
	int status = 0;

	do {
		const size_t length = strcspn(at, ",");
		const struct sg_exporter *exporter = sg_exporter_find(at, length);

		if (exporter == NULL)
			return complain_of_back_end(at, length);
		if (!has_back_end(compilation, exporter))
			status = add_back_end(compilation, exporter);
		at += length;
		at += strspn(at, ",");
	} while (*at != '\0' && status == 0);
	return status;
}

/* Judges the policy for each back end of the line, none twice. Returns 0 or an exit status. */
static int prepare(struct compilation *compilation)
{
	int status = 0;

	for (size_t i = 0; i < compilation->options->to_count && status == 0; i++)
		status = add_named(compilation, compilation->options->to[i]);
	return status;
}

/* True if what is not loaded would go nowhere. */
static bool loads_only(const struct sg_options *options)
{
	return options->load && options->output == NULL;
}

/* Adds the back ends that something on this host takes; says of the others why not. */
static int prepare_installed(struct compilation *compilation)
{
	SG_AUTO_BUFFER struct sg_buffer absent = SG_BUFFER_INIT;

	for (size_t i = 0; i < sg_exporter_count; i++) {
		SG_AUTO_BUFFER struct sg_buffer what = SG_BUFFER_INIT;
		int status;

		if (has_back_end(compilation, sg_exporters[i]) ||
		    (loads_only(compilation->options) && sg_exporters[i]->load == NULL))
			continue;
		if (sg_exporters[i]->probe != NULL && !sg_exporters[i]->probe(&what)) {
			sg_buffer_printf(&absent, "%s is left out: ", sg_exporters[i]->name);
			sg_buffer_append(&absent, what.data, what.size);
			sg_buffer_append_byte(&absent, '\n');
			continue;
		}
		status = add_back_end(compilation, sg_exporters[i]);
		if (status != 0)
			return status;
	}
	if (sg_buffer_status(&absent) < 0)
		return SG_EXIT_FAILED;
	if (absent.size > 0 && !compilation->options->quiet && sg_print(STDERR_FILENO, absent.data, absent.size) < 0)
		return SG_EXIT_FAILED;
	if (compilation->count > 0)
		return 0;
	sg_complain("nothing on this host %s an artefact", loads_only(compilation->options) ? "loads" : "takes");
	return SG_EXIT_NO;
}

static bool has_unheld(const struct sg_policy *policy)
{
	for (size_t i = 0; i < policy->rule_count; i++)
		if (sg_policy_means_together(policy->rules[i].kind))
			return true;
	return false;
}

/* The matrix, on standard error; and whether what is weaker than the profile is wanted. */
static int tell(const struct compilation *compilation)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	const bool weaker = sg_export_is_weaker(compilation->exports, compilation->count);
	const bool refused = weaker && !compilation->options->approximate;

	if (refused) {
		sg_buffer_append_text(&text,
				      compilation->count == 1
					      ? "This back end does not hold all that the profile says:\n\n"
					      : "These back ends together do not hold all that the profile says:\n\n");
		sg_export_matrix(compilation->exports, compilation->count, true, "", &text);
		sg_buffer_printf(
			&text, "\nNothing was written. --approximate writes what can be held; %s.\n",
			has_unheld(compilation->policy)
				? "labels, walls and privileged actions no session of this version holds either"
				: "\"shellguard run\" holds all of it");
	} else if (!compilation->options->quiet) {
		sg_export_matrix(compilation->exports, compilation->count, false, "", &text);
	}
	if (sg_layout_print(STDERR_FILENO, &text, false) != SG_EXIT_OK)
		return SG_EXIT_FAILED;
	return refused ? SG_EXIT_NO : 0;
}

/* The name of an artefact in a folder: the profile's, as far as it makes a file name. */
static void name_file(const struct sg_policy *policy, const struct sg_exporter *exporter, struct sg_buffer *out)
{
	for (const char *at = policy->name; *at != '\0'; at++) {
		const bool plain =
			isalnum((unsigned char)*at) || *at == '_' || *at == '-' || (*at == '.' && at != policy->name);

		sg_buffer_append_byte(out, plain ? *at : '-');
	}
	sg_buffer_append_text(out, exporter->suffix);
}

static int write_file(const char *name, const struct sg_buffer *artefact)
{
	const int status = sg_fd_replace_file(name, artefact->data, artefact->size, 0644);

	if (status < 0) {
		sg_complain("cannot write %s: %s", name, strerrordesc_np(-status));
		return SG_EXIT_FAILED;
	}
	return 0;
}

static bool is_folder(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The words of an artefact's header that say what it was made from, as they stand in it. NULL: it has no header. */
static const char *origin_of(const struct sg_buffer *artefact, size_t *ret_length)
{
	const char *begin = memmem(artefact->data, artefact->size, SG_EXPORT_ORIGIN, strlen(SG_EXPORT_ORIGIN));
	const char *end = begin == NULL ? NULL
					: memmem(begin, artefact->size - (size_t)(begin - artefact->data),
						 SG_EXPORT_ORIGIN_END, strlen(SG_EXPORT_ORIGIN_END));

	*ret_length = end == NULL ? 0 : (size_t)(end - begin);
	return end == NULL ? NULL : begin;
}

/*
 * A name in a folder is made of what the profile calls itself, so the file of that name may be another profile's artefact, or nobody's:
 * nobody named it, and it stays. What was made from the same files under the same name is replaced; of an artefact without a header,
 * which does not tell, that is said. The folder is the caller's: what somebody puts there meanwhile is not defended against.
 */
static int check_place(const char *name, const struct sg_buffer *artefact, bool quiet)
{
	SG_AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	SG_AUTO_FREE char *there = NULL;
	size_t size, length;
	const char *origin = origin_of(artefact, &length);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		sg_complain("cannot read what is at %s: %s", name, strerrordesc_np(errno));
		return SG_EXIT_FAILED;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0; /* a device: what is written there replaces nothing */
	if (sg_fd_read_file(fd, ARTEFACT_MAX, &there, &size) < 0 ||
	    (origin != NULL && memmem(there, size, origin, length) == NULL)) {
		sg_complain("%s is there, and not made from this profile: take it away, or give the profile a Name of "
			    "its own",
			    name);
		return SG_EXIT_FAILED;
	}
	if (origin == NULL && !quiet && (size != artefact->size || memcmp(there, artefact->data, size) != 0))
		(void)dprintf(STDERR_FILENO, "%s is replaced\n", name);
	return 0;
}

/* With `write` false only looks whether each may be written: none is if one may not. */
static int go_through_folder(const struct compilation *compilation, const char *folder, bool write)
{
	for (size_t i = 0; i < compilation->count; i++) {
		SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
		const struct sg_buffer *artefact = &compilation->artefacts[i];
		int status = SG_EXIT_FAILED;

		sg_buffer_printf(&name, "%s/", folder);
		name_file(compilation->policy, compilation->exports[i].exporter, &name);
		if (sg_buffer_status(&name) == 0)
			status = write ? write_file(name.data, artefact)
				       : check_place(name.data, artefact, compilation->options->quiet);
		if (status != 0)
			return status;
	}
	return SG_EXIT_OK;
}

static int write_to_folder(const struct compilation *compilation, const char *folder)
{
	const int status = go_through_folder(compilation, folder, false);

	return status == 0 ? go_through_folder(compilation, folder, true) : status;
}

static int deliver(const struct compilation *compilation)
{
	const char *output = compilation->options->output;
	const struct sg_buffer *first = &compilation->artefacts[0];

	if (output != NULL && strcmp(output, "-") != 0)
		return is_folder(output) ? write_to_folder(compilation, output) : write_file(output, first);
	if (memchr(first->data, '\0', first->size) != NULL && isatty(STDOUT_FILENO)) {
		sg_complain("this artefact is not text: name a file with -o, or send it to a pipe");
		return SG_EXIT_USAGE;
	}
	return sg_print(STDOUT_FILENO, first->data, first->size) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
}

/* The matrix as the answer itself, where nothing is written. */
static int show(const struct compilation *compilation)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	sg_export_matrix(compilation->exports, compilation->count, false, "", &text);
	return sg_layout_print(STDOUT_FILENO, &text, false);
}

/* All are made before the first is written or loaded. */
static int make_artefacts(struct compilation *compilation)
{
	struct sg_error error = SG_ERROR_INIT;

	for (size_t i = 0; i < compilation->count; i++)
		if (compilation->exports[i].exporter->write(&compilation->exports[i], &compilation->artefacts[i],
							    &error) < 0) {
			sg_complain("%s", error.text);
			return SG_EXIT_FAILED;
		}
	return 0;
}

static int load(const struct compilation *compilation)
{
	struct sg_error error = SG_ERROR_INIT;

	for (size_t i = 0; i < compilation->count; i++) {
		const struct sg_export *with = &compilation->exports[i];

		if (with->exporter->load == NULL)
			continue;
		if (with->exporter->load(with, &compilation->artefacts[i], &error) < 0) {
			sg_complain("%s was not loaded: %s", with->exporter->name, error.text);
			return SG_EXIT_FAILED;
		}
		if (!compilation->options->quiet)
			(void)dprintf(STDERR_FILENO, "%s is loaded\n", with->exporter->name);
	}
	return SG_EXIT_OK;
}

/* What is named with --load and cannot be loaded is written, and wants a place. That nothing can be loaded is said before all else. */
static int check_loading(const struct compilation *compilation)
{
	bool loaded = false;

	for (size_t i = 0; i < compilation->count && compilation->options->load; i++) {
		const struct sg_exporter *exporter = compilation->exports[i].exporter;
		struct sg_error error = SG_ERROR_INIT;

		loaded |= exporter->load != NULL;
		if (exporter->load == NULL && loads_only(compilation->options)) {
			sg_complain("an artefact for %s is not loaded but handed over: name a file for it with -o",
				    exporter->name);
			return SG_EXIT_USAGE;
		}
		if (exporter->load != NULL && exporter->may_load(&error) < 0) {
			sg_complain("%s cannot be loaded: %s", exporter->name, error.text);
			return SG_EXIT_FAILED;
		}
	}
	if (loaded || !compilation->options->load)
		return 0;
	sg_complain("none of these back ends is loaded by this host: leave --load out to write the artefacts");
	return SG_EXIT_NO;
}

/* Says what is wrong with the line. Returns 0 or an exit status. */
static int check_line(const struct sg_options *options)
{
	if (options->command[0] == NULL)
		return sg_command_usage("compile");
	if (options->to_count == 0 && !options->installed) {
		sg_complain("name a back end with --to (shellguard compile --help lists them), or --installed");
		return SG_EXIT_USAGE;
	}
	return 0;
}

static int write_or_load(struct compilation *compilation)
{
	const struct sg_options *options = compilation->options;
	int status;

	if (compilation->count > 1 && !options->load && (options->output == NULL || !is_folder(options->output))) {
		sg_complain("several back ends make several files: name a folder for them with -o");
		return SG_EXIT_USAGE;
	}
	status = check_loading(compilation);
	if (status == 0)
		status = tell(compilation);
	if (status == 0)
		status = make_artefacts(compilation);
	if (status == 0 && (options->output != NULL || !options->load))
		status = deliver(compilation);
	return status == 0 && options->load ? load(compilation) : status;
}

static int compile(struct compilation *compilation)
{
	const struct sg_options *options = compilation->options;
	const struct sg_variables *variables = sg_variables_of_caller();
	size_t profiles = 0;
	int status = check_line(options);

	if (status != 0)
		return status;
	while (options->command[profiles] != NULL)
		profiles++;
	if (variables == NULL) {
		sg_complain("the working directory is gone");
		return SG_EXIT_FAILED;
	}
	status = sg_load_policy((const char *const *)options->command, profiles, NULL, variables, &compilation->policy);
	if (status == 0)
		status = prepare(compilation);
	if (status == 0 && options->installed)
		status = prepare_installed(compilation);
	if (status == 0 && options->installed && !options->load && options->output == NULL)
		return show(compilation);
	return status == 0 ? write_or_load(compilation) : status;
}

int sg_command_compile(int argc, char **argv)
{
	struct sg_options options = {0};
	struct compilation compilation = {.options = &options};
	int status = SG_EXIT_USAGE;

	(void)signal(SIGXFSZ,
		     SIG_IGN); /* a file that grows too large is a fault that is told, with nothing left behind */
	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("compile", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = compile(&compilation);
	}
	compilation_done(&compilation);
	sg_options_done(&options);
	return status;
}

/* What every back end has of the profile of that name. */
static int unload(const char *name)
{
	bool taken = false, possible = false;

	for (size_t i = 0; i < sg_exporter_count; i++) {
		struct sg_error error = SG_ERROR_INIT;
		int status;

		if (sg_exporters[i]->unload == NULL)
			continue;
		status = sg_exporters[i]->unload(name, &error);
		possible |= status != -ENOSYS;
		if (status == -ENOSYS) /* nothing can be loaded of it either */
			continue;
		if (status < 0) {
			sg_complain("%s: %s", sg_exporters[i]->name, error.text);
			return SG_EXIT_FAILED;
		}
		taken |= status == 0;
	}
	if (!possible)
		sg_complain("nothing on this host loads an artefact");
	else if (!taken)
		sg_complain("nothing is loaded of a profile \"%s\"", name);
	return taken ? SG_EXIT_OK : SG_EXIT_NO;
}

int sg_command_unload(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("unload", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else if (options.command[0] == NULL)
			status = sg_command_usage("unload");
		else
			status = SG_EXIT_OK;
		for (char **name = options.command; status == SG_EXIT_OK && !options.help && *name != NULL; name++)
			status = unload(*name);
	}
	sg_options_done(&options);
	return status;
}
