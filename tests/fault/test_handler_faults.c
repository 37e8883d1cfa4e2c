/*
 * No memory while a call is decided: whichever allocation fails, what a rule refuses is not done.
 */
#include "../unit/change_world.h"
#include "failing_memory.h"

/* "bare" is a second link of a file that a rule refuses by its other name; "secret" and what is in "hidden" are not to be seen. */
static const char profile[] = "[Filesystem]\n"
			      "Flags = [\"attributes\", \"links\", \"mknod\"]\n"
			      "ReadWrite = [\"@/**\"]\n"
			      "Deny = [\"@/denied\", \"@/*.key\"]\n"
			      "Hide = [\"@/secret\"]\n";

#define TEXT(literal) ((uint64_t)(uintptr_t)(literal))
#define HERE ((uint64_t)AT_FDCWD)

static const char *const files[] = {"denied", "a.key", "secret", "plain"};
static const char bare[] = "bare", alias[] = "alias", elsewhere[] = "elsewhere";
enum { DENIED, KEY, SECRET, PLAIN };
#define FILE_(which) TEXT(files[which])

struct row {
	const char *what;
	struct call call;
};

static void fill(struct test_world *world)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(files); i++) {
		int fd = openat(world->at, files[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		must(fd >= 0 && sg_fd_write_full(fd, "text", 4) == 0, "a file");
		sg_fd_close(fd);
	}
	must(linkat(world->at, files[DENIED], world->at, bare, 0) == 0, "a link");
	must(symlinkat(files[KEY], world->at, alias) == 0, "a symbolic link");
}

/* All as fill() left it. */
static void assert_untouched(const struct test_world *world, const char *what, unsigned long number)
{
	struct stat status;

	for (size_t i = 0; i < SG_ARRAY_SIZE(files); i++)
		if (fstatat(world->at, files[i], &status, AT_SYMLINK_NOFOLLOW) < 0 || status.st_size != 4 ||
		    status.st_mode != (S_IFREG | 0600) || status.st_nlink != (i == DENIED ? 2U : 1U))
			fail_msg("%s, allocation %lu: %s was changed", what, number, files[i]);
	if (fstatat(world->at, elsewhere, &status, AT_SYMLINK_NOFOLLOW) == 0)
		fail_msg("%s, allocation %lu: there is another file", what, number);
}

/* Carries the call out in a world of its own, in which that allocation fails. Returns whether one had that number. */
static bool is_refused(const struct row *row, unsigned long number)
{
	struct test_world world;
	struct outcome outcome;
	bool failed;

	world_init(&world);
	fill(&world);
	world_compile(&world, profile);
	world_start(&world, true, NULL, NULL);
	fail_allocation(number);
	outcome = world_call(&world, &row->call);
	failed = has_failed();
	if (outcome.error == 0)
		fail_msg("%s, allocation %lu: it was done", row->what, number);
	assert_untouched(&world, row->what, number);
	world_stop(&world);
	world_done(&world);
	return failed;
}

static void what_is_refused_stays_refused(void **state)
{
	const struct row rows[] = {
		{"open", {SYS_openat, {HERE, FILE_(DENIED), O_RDONLY}}},
		{"open by a wildcard", {SYS_openat, {HERE, FILE_(KEY), O_RDONLY}}},
		{"open a second link", {SYS_openat, {HERE, TEXT(bare), O_RDONLY}}},
		{"open and empty a second link", {SYS_openat, {HERE, TEXT(bare), O_WRONLY | O_TRUNC}}},
		{"open through a link", {SYS_openat, {HERE, TEXT(alias), O_RDWR}}},
		{"open what is hidden", {SYS_openat, {HERE, FILE_(SECRET), O_RDONLY}}},
		{"rename", {SYS_renameat2, {HERE, FILE_(DENIED), HERE, TEXT(elsewhere), 0}}},
		{"replace", {SYS_renameat2, {HERE, FILE_(PLAIN), HERE, FILE_(KEY), 0}}},
		{"link a second link", {SYS_linkat, {HERE, TEXT(bare), HERE, TEXT(elsewhere), 0}}},
		{"unlink", {SYS_unlinkat, {HERE, FILE_(KEY), 0}}},
		{"chmod a second link", {SYS_fchmodat, {HERE, TEXT(bare), 0666}}},
		{"truncate", {SYS_truncate, {FILE_(KEY), 0}}},
	};
	unsigned long most = 0;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		unsigned long number = 1;

		while (is_refused(&rows[i], number))
			number++;
		most = number > most ? number : most;
	}
	assert_true(most > 1); /* the list of refused files, at the least */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_refused_stays_refused)};

	drop_capabilities();
	return cmocka_run_group_tests_name("handler faults", tests, NULL, NULL);
}
