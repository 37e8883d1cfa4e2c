/* The tables of system calls, flags and values: against the headers, against libseccomp, against
 * flags/<category>.toml. */
#include "flag_files.h"

#include <arpa/inet.h>
#include <asm-generic/termios.h>
#include <asm/ioctls.h>
#include <asm/prctl.h>
#include <asm/termbits.h>
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <linux/mtio.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/prctl.h>
#include <linux/random.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <seccomp.h>
#include <sound/asound.h>
#include <sys/personality.h>

#include "base/attr.h"
#include "tables/values.h"

/* What the .def files write as numbers is what the headers say. */
#ifndef UDP_CORK
#define UDP_CORK 1
#endif
#ifndef UDP_ENCAP
#define UDP_ENCAP 100
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#define SG_VALUE(name, value, flag) _Static_assert((uint32_t)(name) == (uint32_t)(value), #name);
#define SG_VALUE_LATER(name, value, flag)
#define SG_VALUE_CHANGE(name, value, flag) SG_VALUE(name, value, flag)
#define SG_VALUE_NEVER(name, value, why) SG_VALUE(name, value, why)
#define SG_VALUE_TYPE(words, type, flag)
#include "tables/arch_prctl.def"
#include "tables/fcntl.def"
#include "tables/ioctl.def"
#include "tables/personality.def"
#include "tables/prctl.def"
#define SG_OPTION(level_name, name, level, option, flag)                                                               \
	_Static_assert((level_name) == (level) && (name) == (option), #level_name " " #name);
#define SG_OPTION_LATER(level_name, name, level, option, flag)
#define SG_OPTION_NEVER(level_name, name, level, option, why) SG_OPTION(level_name, name, level, option, why)
#include "tables/sockopt.def"

static struct flag_definition definitions[SG_FLAGS_];

static int read_definitions(void **state)
{
	read_flag_files(definitions);
	return 0;
}

static void header_is_covered(void **state)
{
	static const char *const paths[] = {"/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
					    "/usr/include/asm/unistd_64.h"};
	char line[256], name[128];
	unsigned int number, count = 0;
	FILE *file = NULL;

	for (size_t i = 0; i < SG_ARRAY_SIZE(paths) && file == NULL; i++)
		file = fopen(paths[i], "re");
	if (file == NULL) {
		print_message("SKIP: no <asm/unistd_64.h> here\n");
		if (getenv("SG_MUST_WORK") != NULL)
			fail();
		skip();
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		const struct sg_syscall *row;

		if (sscanf(line, "#define __NR_%127s %u", name, &number) != 2)
			continue;
		count++;
		row = sg_syscall_by_number(number);
		if (row == NULL || strcmp(row->name, name) != 0)
			fail_msg("%u %s is not in syscalls.def under that number", number, name);
		assert_ptr_equal(sg_syscall_by_name(name, strlen(name)), row);
	}
	fclose(file);
	assert_true(count > 300);
}

static void libseccomp_is_covered(void **state)
{
	unsigned int count = 0;

	for (int number = 0; number <= 600; number++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
		const struct sg_syscall *row = sg_syscall_by_number((unsigned int)number);

		if (name == NULL)
			continue;
		count++;
		if (row == NULL || strcmp(row->name, name) != 0)
			fail_msg("%d %s is not in syscalls.def under that number", number, name);
		free(name);
	}
	assert_true(count > 300);
}

static void names_agree_with_libseccomp(void **state)
{
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *row = sg_syscall_by_number(number);
		int theirs;

		if (row == NULL)
			continue;
		theirs = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, row->name);
		if (theirs >= 0) /* else it is newer than the library */
			assert_int_equal(theirs, (int)number);
	}
}

/* The rows that no header here has, from arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.18. */
static void later_numbers(void **state)
{
	static const struct {
		unsigned int number;
		const char *name;
	} later[] = {
		{335, "uretprobe"},         {336, "uprobe"},
		{451, "cachestat"},         {452, "fchmodat2"},
		{453, "map_shadow_stack"},  {454, "futex_wake"},
		{455, "futex_wait"},        {456, "futex_requeue"},
		{457, "statmount"},         {458, "listmount"},
		{459, "lsm_get_self_attr"}, {460, "lsm_set_self_attr"},
		{461, "lsm_list_modules"},  {462, "mseal"},
		{463, "setxattrat"},        {464, "getxattrat"},
		{465, "listxattrat"},       {466, "removexattrat"},
		{467, "open_tree_attr"},    {468, "file_getattr"},
		{469, "file_setattr"},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(later); i++) {
		const struct sg_syscall *row = sg_syscall_by_name(later[i].name, strlen(later[i].name));

		assert_non_null(row);
		assert_int_equal(row->number, later[i].number);
	}
}

static void lookups(void **state)
{
	assert_int_equal(sg_syscall_by_name("read", 4)->number, 0);
	assert_null(sg_syscall_by_name("readx", 5));
	assert_int_equal(sg_syscall_by_name("readx", 4)->number, 0);
	assert_null(sg_syscall_by_name("read\0x", 6));
	assert_null(sg_syscall_by_name("READ", 4));
	assert_null(sg_syscall_by_name("", 0));
	assert_null(sg_syscall_by_number(337));
	assert_null(sg_syscall_by_number(SG_SYSCALL_LIMIT));
	assert_null(sg_syscall_by_number(UINT32_MAX));
	assert_null(sg_syscall_by_number(0x40000000));
}

static void rows_are_whole(void **state)
{
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *row = sg_syscall_by_number(number);
		bool by_name = false;

		if (row == NULL)
			continue;
		assert_int_equal(row->number, number);
		assert_ptr_equal(sg_syscall_by_name(row->name, strlen(row->name)), row);
		assert_non_null(sg_syscall_class_name((enum sg_syscall_class)row->class));
		assert_true(sg_syscall_purpose(row)[strlen(sg_syscall_purpose(row)) - 1] != '.');
		assert_int_equal(row->class == SG_CLASS_NEVER, sg_syscall_reason(row) != NULL);
		for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++) {
			enum sg_arg_role role = sg_syscall_role(row, i);

			assert_non_null(sg_arg_role_name(role));
			by_name = by_name || (role & SG_ARG_NAMES_BY_POINTER) != 0;
		}
		if (row->class == SG_CLASS_FILE_OPEN || row->class == SG_CLASS_FILE_CHANGE ||
		    row->class == SG_CLASS_FILE_LOOK || row->class == SG_CLASS_FILE_DETAIL ||
		    row->class == SG_CLASS_FILE_ENTER || row->class == SG_CLASS_EXEC)
			assert_true(by_name);
		if (row->class == SG_CLASS_FD_CHANGE)
			assert_true(!by_name && sg_syscall_role(row, 0) == SG_ARG_FD);
		if (by_name)
			assert_int_not_equal(sg_syscall_answer((enum sg_syscall_class)row->class), SG_ANSWER_CONTINUE);
	}
}

static void roles_decode(void **state)
{
	const struct sg_syscall *row = sg_syscall_by_name("renameat2", 9);

	assert_int_equal(sg_syscall_role(row, 0), SG_ARG_DIRFD);
	assert_int_equal(sg_syscall_role(row, 1), SG_ARG_PATH);
	assert_int_equal(sg_syscall_role(row, 2), SG_ARG_DIRFD);
	assert_int_equal(sg_syscall_role(row, 3), SG_ARG_PATH);
	assert_int_equal(sg_syscall_role(row, 4), SG_ARG_FLAGS);
	assert_int_equal(sg_syscall_role(row, 5), SG_ARG_NONE);
	assert_int_equal(sg_syscall_role(row, 6), SG_ARG_NONE);
}

static void every_call_is_given_or_never(void **state)
{
	unsigned int count = 0;

	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *row = sg_syscall_by_number(number);
		bool given = false;

		if (row == NULL)
			continue;
		count++;
		for (int flag = 0; flag < SG_FLAGS_; flag++)
			given = given || sg_syscall_set_has(&definitions[flag].calls, number);
		if (given == (row->class == SG_CLASS_NEVER))
			fail_msg("%s is %s", row->name, given ? "never given, and given" : "given by no flag");
	}
	assert_int_equal(count, 383);
}

static void flags_and_files_agree(void **state)
{
	for (int flag = 0; flag < SG_FLAGS_; flag++) {
		const char *name = sg_flag_name((enum sg_flag)flag);

		if (!definitions[flag].defined || !definitions[flag].described)
			fail_msg("flag %s has no definition, or no Description", name);
		assert_int_equal(definitions[flag].category, sg_flag_category((enum sg_flag)flag));
		assert_int_equal(sg_flag_find(name, strlen(name)), flag);
		assert_int_equal(strncmp(name, "pledge-", 7) == 0,
				 sg_flag_category((enum sg_flag)flag) == SG_FLAG_CATEGORY_PLEDGE);
	}
	assert_null(sg_flag_name(SG_FLAG_NONE_));
	assert_null(sg_flag_name(SG_FLAGS_));
	assert_int_equal(sg_flag_find("dsn", 3), SG_FLAG_NONE_);
}

/* A flag that includes itself over others would be an error of the files. */
static void flags_include_no_circle(void **state)
{
	for (int flag = 0; flag < SG_FLAGS_; flag++) {
		struct sg_filter_grants below = {0};

		for (int i = 0; i < SG_FLAGS_; i++)
			if (sg_flag_set_has(&definitions[flag].flags, (enum sg_flag)i))
				grant_flag(definitions, (enum sg_flag)i, &below);
		assert_false(sg_flag_set_has(&below.flags, (enum sg_flag)flag));
	}
}

/* What the proposal says in its example's comments. */
static void proposal_flags(void **state)
{
	static const struct {
		const char *flag, *call;
	} said[] = {
		{"dns", "sendto"},      {"dns", "recvfrom"},  {"dns", "socket"},        {"dns", "connect"},
		{"tmp", "lstat"},       {"tmp", "chmod"},     {"tmp", "chflags"},       {"tmp", "chown"},
		{"tmp", "unlink"},      {"tmp", "fstat"},     {"malloc", "getentropy"}, {"malloc", "madvise"},
		{"malloc", "minherit"}, {"malloc", "mmap"},   {"malloc", "mprotect"},   {"malloc", "mquery"},
		{"malloc", "munmap"},   {"create", "getuid"}, {"create", "getgid"},     {"create", "setuid"},
		{"create", "setugid"},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(said); i++) {
		const struct sg_openbsd_call *theirs = sg_openbsd_find(said[i].call, strlen(said[i].call));
		const char *name = theirs == NULL ? said[i].call : theirs->linux_name;
		struct sg_filter_grants grants = {0};

		if (name == NULL) {
			assert_true(theirs->note[0] != 0);
			continue;
		}
		grant_flags(definitions, said[i].flag, &grants);
		if (!sg_syscall_set_has(&grants.calls, sg_syscall_by_name(name, strlen(name))->number))
			fail_msg("%s does not give %s", said[i].flag, name);
	}
}

static void openbsd_names(void **state)
{
	size_t count;
	const struct sg_openbsd_call *calls = sg_openbsd_calls(&count);

	assert_true(count > 50);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			assert_true(strcmp(calls[i - 1].name, calls[i].name) < 0);
		assert_ptr_equal(sg_openbsd_find(calls[i].name, strlen(calls[i].name)), &calls[i]);
		/* A name that Linux has means itself, or the table would hide it. */
		if (sg_syscall_by_name(calls[i].name, strlen(calls[i].name)) != NULL)
			fail_msg("%s is a call of Linux", calls[i].name);
		if (calls[i].linux_name == NULL)
			assert_true(calls[i].note[0] != 0);
		else
			assert_non_null(sg_syscall_by_name(calls[i].linux_name, strlen(calls[i].linux_name)));
	}
	assert_null(sg_openbsd_find("openat", 6));
}

static void values_are_whole(void **state)
{
	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *list = sg_value_list((enum sg_value_table)table);

		assert_int_equal(sg_syscall_by_number(list->number)->class, SG_CLASS_CHECKED);
		for (size_t i = 0; i < list->count; i++) {
			const struct sg_value *row = &list->rows[i];

			assert_int_equal(row->value & ~row->mask, 0);
			assert_int_equal(row->flag == SG_FLAG_NONE_, row->reason != NULL);
			if (row->mask == UINT32_MAX) /* finds itself: no value twice */
				assert_ptr_equal(sg_value_find((enum sg_value_table)table, row->value), row);
			/* A flag that gives a value without the call gives nothing. */
			if (row->flag != SG_FLAG_NONE_) {
				struct sg_filter_grants grants = {0};

				grant_flag(definitions, (enum sg_flag)row->flag, &grants);
				if (!sg_syscall_set_has(&grants.calls, list->number))
					fail_msg("%s is of a flag that does not give the call", row->name);
			}
		}
	}
	assert_null(sg_value_find(SG_VALUES_PRCTL, 9999));
	assert_string_equal(sg_value_find(SG_VALUES_IOCTL, 0x5412)->name, "TIOCSTI");
	assert_string_equal(sg_value_find(SG_VALUES_IOCTL, 0xc0106400)->name, "graphics devices");
	assert_null(sg_value_find(SG_VALUES_IOCTL, 0x641e));
}

static void socket_tables_are_whole(void **state)
{
	size_t count;
	const struct sg_socket_option *options = sg_socket_options(&count);
	const struct sg_socket_kind *kinds;

	for (size_t i = 0; i < count; i++) {
		bool left = false;

		assert_int_equal(options[i].flag == SG_FLAG_NONE_, options[i].reason != NULL);
		for (size_t j = i + 1; j < count; j++) {
			assert_false(options[i].level == options[j].level && options[i].option == options[j].option);
			left = left || options[j].level != options[i].level;
			assert_false(left && options[j].level == options[i].level); /* levels stand together */
		}
	}
	kinds = sg_socket_kinds(&count);
	for (size_t i = 0; i < count; i++) {
		struct sg_filter_grants grants = {0};

		assert_int_equal(kinds[i].type & ~SG_SOCKET_TYPE_MASK, 0);
		grant_flag(definitions, (enum sg_flag)kinds[i].flag, &grants);
		assert_true(sg_syscall_set_has(&grants.calls, sg_syscall_by_name("socket", 6)->number));
		for (size_t j = i + 1; j < count; j++)
			assert_false(kinds[i].domain == kinds[j].domain && kinds[i].type == kinds[j].type &&
				     kinds[i].protocol == kinds[j].protocol && kinds[i].flag == kinds[j].flag);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_covered),
		cmocka_unit_test(libseccomp_is_covered),
		cmocka_unit_test(names_agree_with_libseccomp),
		cmocka_unit_test(later_numbers),
		cmocka_unit_test(lookups),
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(roles_decode),
		cmocka_unit_test(every_call_is_given_or_never),
		cmocka_unit_test(flags_and_files_agree),
		cmocka_unit_test(flags_include_no_circle),
		cmocka_unit_test(proposal_flags),
		cmocka_unit_test(openbsd_names),
		cmocka_unit_test(values_are_whole),
		cmocka_unit_test(socket_tables_are_whole),
	};

	return cmocka_run_group_tests(tests, read_definitions, NULL);
}
