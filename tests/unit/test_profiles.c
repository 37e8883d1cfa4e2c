/*
 * The shipped profiles: every one compiles without a word, and none costs an opening anything, wherever the
 * folder lies; and the planner's covers, on which that rests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "policy/compile.h"
#include "world/plan.h"

static char work[] = "/tmp/sg-profiles-XXXXXX";

static int open_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
			struct sg_error *error)
{
	const char *root = getenv("SG_SOURCE_ROOT");
	char path[4096];
	SG_AUTO_FD int fd = -1;

	(void)data;
	(void)from;
	(void)snprintf(path, sizeof(path), "%s/profiles/%s.toml", root != NULL ? root : ".", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, "%s", path);
	return sg_source_read(fd, path, SG_TOML_TEXT_MAX, error, ret);
}

static struct sg_policy *compile(struct sg_source *source, const char *cwd, const char *home)
{
	const struct sg_variables variables = {
		.cwd = cwd, .home = home, .user = "somebody", .uid = "1000", .runtime = "/run/user/1000"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_policy *policy = NULL;
	int status = sg_policy_compile(&source, 1, &variables, open_profile, NULL, &diagnostics, &policy, &error);

	sg_diagnostics_render(&diagnostics, &text);
	if (status != 0 || text.size > 0)
		fail_msg("%d: %s%.*s", status, error.text, (int)text.size, text.size > 0 ? text.data : "");
	return policy;
}

static struct sg_policy *load(const char *name, const char *cwd, const char *home)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;

	if (open_profile(NULL, name, NULL, &source, &error) != 0)
		fail_msg("%s", error.text);
	return compile(source, cwd, home);
}

static struct sg_plan *plan(const struct sg_policy *policy, const char *cwd)
{
	const struct sg_plan_options options = {.pty = true, .cwd = cwd};
	struct sg_error error = SG_ERROR_INIT;
	struct sg_plan *made = NULL;

	if (sg_plan_make(policy, &options, &made, &error) != 0)
		fail_msg("%s: %s", policy->name, error.text);
	return made;
}

static const struct sg_mount *find_mount(const struct sg_plan *made, const char *target)
{
	for (size_t i = 0; i < made->mount_count; i++)
		if (strcmp(made->mounts[i].target, target) == 0)
			return &made->mounts[i];
	return NULL;
}

/* In a container, files of /etc are mounts of their own; the secrets beside them are then decided at each
 * opening. */
static bool is_mounted_below(const char *folder)
{
	char line[8192];
	bool found = false;
	FILE *mounts = fopen("/proc/self/mounts", "re");

	assert_non_null(mounts);
	while (fgets(line, sizeof(line), mounts) != NULL) {
		const char *target = strchr(line, ' ');

		found |= target != NULL && strncmp(target + 1, folder, strlen(folder)) == 0;
	}
	(void)fclose(mounts);
	return found;
}

/* What holds for every one of them. */
static void check_profile(const char *name, const char *cwd, const char *home)
{
	struct sg_policy *policy = load(name, cwd, home);
	struct sg_plan *made = plan(policy, cwd);
	size_t count;

	assert_string_equal(policy->name, name);
	if (!is_mounted_below("/etc/") && !is_mounted_below("/var/log/") &&
	    (made->decide_reads || made->decide_changes))
		fail_msg("%s: openings are decided one by one in %s", name, cwd);
	assert_true(sg_policy_has_flag(policy, "start"));
	assert_false(sg_policy_has_flag(policy, "debug"));
	(void)sg_policy_rules(policy, SG_RULE_CAPABILITY, &count);
	assert_int_equal(count, 0);
	/* Nothing but the folder, and what is the world's own, can be written. */
	for (size_t i = 0; i < made->mount_count; i++)
		if (made->mounts[i].kind == SG_MOUNT_TREE && (made->mounts[i].flags & SG_MOUNT_WRITE) != 0)
			assert_string_equal(made->mounts[i].target, cwd);
	sg_plan_free(made);
	sg_policy_free(policy);
}

static void every_shipped_profile(void **state)
{
	const char *root = getenv("SG_SOURCE_ROOT");
	char folder[4096], home[64], cwd[80];
	const struct dirent *entry;
	size_t found = 0;
	DIR *listing;

	(void)state;
	(void)snprintf(folder, sizeof(folder), "%s/profiles", root != NULL ? root : ".");
	(void)snprintf(home, sizeof(home), "%s/home", work);
	(void)snprintf(cwd, sizeof(cwd), "%s/project", home);
	listing = opendir(folder);
	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL) {
		size_t length = strlen(entry->d_name);
		char name[256];

		if (length < 6 || strcmp(entry->d_name + length - 5, ".toml") != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(length - 5), entry->d_name);
		check_profile(name, cwd, home);
		check_profile(name, cwd, "/nonexistent");
		check_profile(name, cwd, "/root");
		found++;
	}
	(void)closedir(listing);
	assert_true(found >= 5);
}

static void home_is_private_and_the_folder_in_it_is_not(void **state)
{
	char home[64], cwd[80];
	struct sg_policy *policy;
	struct sg_plan *made;
	const struct sg_mount *mount;

	(void)state;
	(void)snprintf(home, sizeof(home), "%s/home", work);
	(void)snprintf(cwd, sizeof(cwd), "%s/project", home);
	policy = load("developer", cwd, home);
	made = plan(policy, cwd);
	mount = find_mount(made, home);
	assert_non_null(mount);
	assert_int_equal(mount->kind, SG_MOUNT_PRIVATE);
	mount = find_mount(made, cwd);
	assert_non_null(mount);
	assert_int_equal(mount->kind, SG_MOUNT_TREE);
	assert_true((mount->flags & SG_MOUNT_WRITE) != 0);
	sg_plan_free(made);
	sg_policy_free(policy);
}

/* A cover holds for a name that is not there, and for one whose folders are not there either. */
static void names_that_do_not_exist_are_covered(void **state)
{
	static const struct {
		const char *deny, *cover;
		bool hide, folder;
	} rows[] = {
		{"kept/secret", "kept/secret", false, false}, {"kept/keys/**", "kept/keys", false, true},
		{"kept/later", "kept/later", true, false},    {"none/deep/secret", "none", true, false},
		{"none2/deep/keys/**", "none2", true, false}, {"kept/none/keys/**", "kept/none", true, false},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		char text[1024], tree[64];
		struct sg_source *source = NULL;
		const struct sg_mount *mount;
		struct sg_policy *policy;
		struct sg_plan *made;

		(void)snprintf(tree, sizeof(tree), "%s/tree", work);
		(void)snprintf(text, sizeof(text), "[Filesystem]\nReadOnly = [\"%s/**\"]\nDeny = [\"%s/%s\"]\n", tree,
			       tree, rows[i].deny);
		assert_int_equal(sg_source_new("p", text, strlen(text), &source), 0);
		policy = compile(source, work, "/nonexistent");
		made = plan(policy, work);
		mount = find_mount(made, tree);
		assert_non_null(mount);
		assert_false(made->decide_reads);
		assert_int_equal(mount->cover_count, 1);
		assert_string_equal(mount->covers[0].name, rows[i].cover);
		assert_int_equal(mount->covers[0].hide, rows[i].hide);
		assert_int_equal(mount->covers[0].folder, rows[i].folder);
		sg_plan_free(made);
		sg_policy_free(policy);
	}
}

static int make_work(void **state)
{
	static const char *const folders[] = {"home", "home/project", "tree", "tree/kept", "tree/kept/keys"};
	char path[4096];
	SG_AUTO_FD int fd = -1;

	(void)state;
	if (mkdtemp(work) == NULL)
		return -1;
	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", work, folders[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/tree/kept/secret", work);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : 0;
}

static int remove_work(void **state)
{
	static const char *const names[] = {"tree/kept/secret", "tree/kept/keys", "tree/kept", "tree",
					    "home/project",     "home",           ""};
	char path[4096];
	int status = 0;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", work, names[i]);
		status |= remove(path);
	}
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shipped_profile),
		cmocka_unit_test(home_is_private_and_the_folder_in_it_is_not),
		cmocka_unit_test(names_that_do_not_exist_are_covered),
	};

	return cmocka_run_group_tests(tests, make_work, remove_work);
}
