#include "cli/pathwhy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/asking.h"
#include "cli/layout.h"
#include "cli/written.h"
#include "policy/words.h"
#include "world/plan.h"

int sg_plan_of_caller(const struct sg_policy *policy, const struct sg_variables *variables, struct sg_plan **ret,
		      struct sg_error *error)
{
	const struct sg_plan_options how = {
		.pty = true, .owned = geteuid() == 0, .cwd = variables->cwd, .written = sg_written_of_caller(NULL)};

	return sg_plan_make(policy, &how, ret, error);
}

int sg_complain_unheld(const struct sg_error *error)
{
	sg_complain("in this folder \"run\" would refuse it: %s", error->text);
	return SG_EXIT_UNHELD;
}

int sg_load_plan(const struct sg_options *options, struct sg_policy **ret_policy, struct sg_plan **ret_plan)
{
	static const char *const fallback[] = {"developer"};
	const struct sg_variables *variables = sg_variables_of_caller();
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_error error = SG_ERROR_INIT;
	int status;

	if (variables == NULL) {
		sg_complain("the working directory is gone, or lies outside of what we see");
		return SG_EXIT_FAILED;
	}
	status = sg_load_policy(options->profile_count > 0 ? options->profiles : fallback,
				options->profile_count > 0 ? options->profile_count : 1,
				options->lines.size > 0 ? options->lines.data : NULL, variables, &policy);
	if (status != 0)
		return status;
	status = sg_plan_of_caller(policy, variables, ret_plan, &error);
	if (status < 0) {
		sg_complain("%s", error.code != 0 ? error.text : "cannot plan the world");
		return SG_EXIT_FAILED;
	}
	*ret_policy = sg_take_pointer(policy);
	return status == SG_PLAN_REFUSED ? sg_complain_unheld(&error) : 0;
}

/* The name as the world would see it: links followed, a folder's ending in '/'. */
static void canonical_name(const char *path, char name[static PATH_MAX + 2], bool *ret_exists)
{
	struct stat status;
	size_t length;

	*ret_exists = realpath(path, name) != NULL;
	if (!*ret_exists)
		(void)snprintf(name, PATH_MAX, "%s", path);
	length = strlen(name);
	if (*ret_exists && stat(name, &status) == 0 && S_ISDIR(status.st_mode) && name[length - 1] != '/')
		memcpy(name + length, "/", 2);
}

/* The innermost mount of the world that the name lies in, or NULL. */
static const struct sg_mount *find_mount(const struct sg_plan *plan, const char *name)
{
	const struct sg_mount *found = NULL;

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct sg_mount *mount = &plan->mounts[i];
		size_t length = strlen(mount->target);

		if (mount->kind == SG_MOUNT_SYMLINK || strncmp(name, mount->target, length) != 0 ||
		    (length > 1 && name[length] != '/' && name[length] != '\0'))
			continue;
		/* A folder of the skeleton holds just what other mounts put there. */
		if (mount->kind == SG_MOUNT_FOLDER && name[length] != '\0' && strcmp(name + length, "/") != 0)
			continue;
		found = mount;
	}
	return found;
}

static bool is_own(const struct sg_mount *mount)
{
	return mount->kind == SG_MOUNT_PRIVATE || mount->kind == SG_MOUNT_PROC || mount->kind == SG_MOUNT_PROC_SYSTEM ||
	       mount->kind == SG_MOUNT_PTS;
}

static void write_access(const struct sg_policy *policy, struct sg_matcher *names, const char *name,
			 unsigned int access, const char *word, bool own, struct sg_buffer *out)
{
	struct sg_decision decision;

	sg_decide(policy, names, name, strlen(name), access, own, &decision);
	sg_buffer_printf(out, "  %s\t%s", word, decision.verdict == SG_VERDICT_ALLOW ? "yes" : "no");
	if (decision.verdict != SG_VERDICT_ALLOW)
		sg_buffer_printf(out, ": %s", decision.reason);
	else if (decision.rule == NULL)
		sg_buffer_append_text(out, own ? ": it is the world's own" : ": the folder of a tree that is granted");
	else
		sg_buffer_printf(out, ": by %s", sg_rule_infos[decision.rule->kind].name);
	if (decision.rule != NULL) {
		sg_buffer_append_text(out, " \"");
		sg_buffer_append_escaped(out, decision.rule->written, strlen(decision.rule->written));
		sg_buffer_append_text(out, "\" (");
		sg_words_place(decision.rule, true, out);
		sg_buffer_append_byte(out, ')');
		if (decision.rule->flag != NULL)
			sg_buffer_printf(out, " of the flag \"%s\"", decision.rule->flag);
	}
	sg_buffer_append_byte(out, '\n');
}

static bool is_granted(const struct sg_policy *policy, struct sg_matcher *names, const char *name)
{
	static const unsigned int accesses[] = {SG_ACCESS_READ, SG_ACCESS_WRITE, SG_ACCESS_EXECUTE};

	for (size_t i = 0; i < SG_ARRAY_SIZE(accesses); i++) {
		struct sg_decision decision;

		sg_decide(policy, names, name, strlen(name), accesses[i], false, &decision);
		if (decision.verdict == SG_VERDICT_ALLOW)
			return true;
	}
	return false;
}

static void write_accesses(const struct sg_policy *policy, struct sg_matcher *names, const char *name, bool own,
			   struct sg_buffer *out)
{
	const bool folder = name[strlen(name) - 1] == '/';

	write_access(policy, names, name, SG_ACCESS_READ, folder ? "list" : "read", own, out);
	write_access(policy, names, name, SG_ACCESS_WRITE, "write", own, out);
	write_access(policy, names, name, SG_ACCESS_CHANGE, "change", own, out);
	if (!folder)
		write_access(policy, names, name, SG_ACCESS_EXECUTE, "execute", own, out);
	sg_buffer_append_text(out, "\n(\"change\" is to make, remove or rename it, or to change its "
				   "attributes. Its own mode and owner hold as well.)\n");
}

/* A name as the world sees it. */
struct looked {
	char name[PATH_MAX + 2];
	bool exists;
	const struct sg_mount *mount; /* that it lies in, or NULL */
};

static void look(const struct sg_plan *plan, const char *path, struct looked *ret)
{
	/* In what is the world's own the host's files of the same names are not there. */
	ret->mount = find_mount(plan, path);
	if (ret->mount != NULL && is_own(ret->mount)) {
		(void)snprintf(ret->name, PATH_MAX, "%s", path);
		ret->exists = true;
	} else {
		canonical_name(path, ret->name, &ret->exists);
		ret->mount = find_mount(plan, ret->name);
	}
}

static bool is_absent(const struct looked *looked)
{
	return looked->mount == NULL && strcmp(looked->name, "/") != 0;
}

/* A folder on the way to what is granted. */
static bool is_passage(const struct looked *looked)
{
	return looked->mount == NULL ||
	       (looked->mount->kind == SG_MOUNT_FOLDER && strcmp(looked->mount->target, "/") != 0);
}

/* The world has no such name. A rule that would grant it names what this host does not have. */
static void write_absent(const struct sg_policy *policy, struct sg_matcher *names, const char *name, bool exists,
			 struct sg_buffer *out)
{
	if (exists || !is_granted(policy, names, name)) {
		sg_buffer_append_text(out, "It is not there: no rule grants it or a folder that holds it. Whoever "
					   "asks for it gets ENOENT (\"No such file or directory\").\n");
		return;
	}
	sg_buffer_append_text(out, "It is not there: rules name it, and this host has neither it nor its folder. A "
				   "world holds what is there when it begins: make the folder before. Then:\n\n");
	write_accesses(policy, names, name, false, out);
}

static void write_answer(const struct sg_policy *policy, struct sg_matcher *names, const struct looked *looked,
			 struct sg_buffer *out)
{
	sg_buffer_append_escaped(out, looked->name, strlen(looked->name));
	sg_buffer_append_text(out, " under ");
	sg_buffer_append_escaped(out, policy->name, strlen(policy->name));
	sg_buffer_append_text(out, ":\n\n");
	if (is_absent(looked)) {
		write_absent(policy, names, looked->name, looked->exists, out);
		return;
	}
	if (is_passage(looked)) {
		sg_buffer_append_text(out, "It is there as an empty folder on the way to what is granted: it may be "
					   "passed through, and holds nothing else.\n");
		return;
	}
	write_accesses(policy, names, looked->name, is_own(looked->mount), out);
	if (!looked->exists && !is_own(looked->mount))
		sg_buffer_append_text(out, "(It does not exist here now.)\n");
}

static void write_json(const struct sg_policy *policy, struct sg_matcher *names, const struct looked *looked,
		       struct sg_buffer *out)
{
	static const unsigned int accesses[] = {SG_ACCESS_READ, SG_ACCESS_WRITE, SG_ACCESS_CHANGE, SG_ACCESS_EXECUTE};
	const bool there = !is_absent(looked) && !is_passage(looked);

	sg_buffer_append_text(out, "{\"path\":");
	sg_buffer_append_json(out, looked->name, strlen(looked->name));
	sg_buffer_append_text(out, ",\"profile\":");
	sg_buffer_append_json(out, policy->name, strlen(policy->name));
	sg_buffer_printf(out, ",\"there\":\"%s\",\"accesses\":{",
			 is_absent(looked)       ? "no"
			 : !there                ? "passage"
			 : is_own(looked->mount) ? "own"
						 : "yes");
	for (size_t i = 0; there && i < SG_ARRAY_SIZE(accesses); i++) {
		struct sg_decision decision;

		sg_decide(policy, names, looked->name, strlen(looked->name), accesses[i], is_own(looked->mount),
			  &decision);
		sg_buffer_printf(out, "%s\"%s\":{\"may\":%s,\"reason\":", i == 0 ? "" : ",",
				 sg_words_access((enum sg_access)accesses[i]),
				 decision.verdict == SG_VERDICT_ALLOW ? "true" : "false");
		sg_buffer_append_json(out, decision.reason, strlen(decision.reason));
		sg_buffer_append_text(out, ",\"rule\":");
		sg_asking_rule_json(decision.rule, out);
		sg_buffer_append_byte(out, '}');
	}
	sg_buffer_append_text(out, "}}\n");
}

int sg_why_path(const struct sg_options *options, const char *path)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	SG_AUTO_PLAN struct sg_plan *plan = NULL;
	SG_AUTO_MATCHER struct sg_matcher *names = NULL;
	struct looked looked;
	int status = sg_load_plan(options, &policy, &plan);

	if (status != 0)
		return status == SG_EXIT_UNHELD ? SG_EXIT_FAILED : status; /* no world has that name */
	status = sg_matcher_new(plan->names, SG_MATCHER_MEMORY_MIN, &names);
	if (status < 0)
		return SG_EXIT_FAILED;
	look(plan, path, &looked);
	(options->json ? write_json : write_answer)(policy, names, &looked, &text);
	return sg_layout_print(STDOUT_FILENO, &text, options->json);
}
