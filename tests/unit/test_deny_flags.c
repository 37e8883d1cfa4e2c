/*
 * What denying a flag refuses: what is its own and no more. Each built-in flag is denied beside the flags of the profile
 * "developer", and the filter of both is asked about every call, request, option and kind of socket.
 */
#include "flag_files.h"

#include <errno.h>
#include <linux/audit.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "policy/compile.h"
#include "tables/values.h"
#include "world/grants.h"

static const char granted[] =
	"[Filesystem]\nFlags = [\"system\", \"tmp\", \"tty\", \"attributes\", \"links\", \"locks\", \"mknod\"]\n"
	"[Networking]\nFlags = [\"unix\", \"netlink\", \"dns\"]\n"
	"[Runtime]\nFlags = [\"start\", \"malloc\", \"jit\", \"threads\", \"fork\", \"exec\", \"signals\", \"timers\", "
	"\"ipc\", "
	"\"shared-memory\", \"scheduling\", \"watch\"]\n"
	"[User]\nFlags = [\"identity\", \"create\"]\n[Misc]\nFlags = [\"sysinfo\"]\n";

static struct flag_definition definitions[SG_FLAGS_];
static struct sg_filter_grants base, denying;
static struct sg_filter_program base_program, denying_program;

static void build(const char *before, const char *after, struct sg_filter_grants *ret,
		  struct sg_filter_program *ret_program)
{
	static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};
	const struct sg_filter_plan plan = {.opens = SG_FILTER_OPENS_WRITING, .looks = SG_FILTER_NATIVE};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, rendered = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;

	sg_buffer_printf(&text, "%s%s", before, after);
	assert_int_equal(sg_source_new("test.toml", text.data, text.size, &source), 0);
	if (sg_policy_compile(&source, 1, &variables, NULL, NULL, &diagnostics, &policy, &error) != 0) {
		sg_diagnostics_render(&diagnostics, &rendered);
		fail_msg("%s%s%.*s", text.data, error.text, (int)rendered.size, rendered.size > 0 ? rendered.data : "");
	}
	sg_grants_find(policy, ret);
	assert_int_equal(sg_filter_build(ret, &plan, ret_program, NULL), 0);
}

/* A flag's own, and that of the flags it is made of; not what it needs. */
static void own_of(enum sg_flag flag, struct sg_flag_set *flags, struct sg_syscall_set *calls)
{
	if (sg_flag_set_has(flags, flag))
		return;
	sg_flag_set_add(flags, flag);
	for (size_t i = 0; i < SG_ARRAY_SIZE(calls->words); i++)
		calls->words[i] |= definitions[flag].own_calls.words[i];
	for (int i = 0; i < SG_FLAGS_; i++)
		if (sg_flag_set_has(&definitions[flag].own_flags, (enum sg_flag)i))
			own_of((enum sg_flag)i, flags, calls);
}

struct denied {
	enum sg_flag flag;
	struct sg_flag_set flags;
	struct sg_syscall_set calls;
};

static uint32_t ask(const struct sg_filter_program *program, unsigned int number, const uint64_t arguments[6])
{
	struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};

	memcpy(data.args, arguments, sizeof(data.args));
	return sg_filter_simulate(program->code, program->count, &data);
}

/* `given`: some granted flag gives the request before, `left`: one that is not denied does. */
static void check_request(const struct denied *denied, unsigned int number, const uint64_t arguments[6], bool given,
			  bool left)
{
	const uint32_t before = ask(&base_program, number, arguments), after = ask(&denying_program, number, arguments);
	const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
	const bool whole = sg_syscall_set_has(&denied->calls, number);
	const uint32_t wanted = whole || (given && !left) ? refused : before;

	if (after != wanted)
		fail_msg("DenyFlags %s: %s(%#llx, %#llx, %#llx) is %#x, not %#x", sg_flag_name(denied->flag),
			 sg_syscall_by_number(number)->name, (unsigned long long)arguments[0],
			 (unsigned long long)arguments[1], (unsigned long long)arguments[2], after, wanted);
}

static bool is_left(const struct denied *denied, int flag)
{
	return flag != SG_FLAG_NONE_ && sg_flag_set_has(&base.flags, (enum sg_flag)flag) &&
	       !sg_flag_set_has(&denied->flags, (enum sg_flag)flag);
}

static bool is_given(int flag)
{
	return flag != SG_FLAG_NONE_ && sg_flag_set_has(&base.flags, (enum sg_flag)flag);
}

static void check_values(const struct denied *denied)
{
	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *list = sg_value_list((enum sg_value_table)table);

		for (size_t i = 0; i < list->count; i++) {
			uint64_t arguments[6] = {0};

			arguments[list->argument] = list->rows[i].value;
			if (list->rows[i].mask != UINT32_MAX)
				arguments[list->argument] |= SG_VALUE_DIRECTION;
			check_request(denied, list->number, arguments, is_given(list->rows[i].flag),
				      is_left(denied, list->rows[i].flag));
		}
	}
}

static void check_sockets(const struct denied *denied)
{
	size_t count, option_count;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);
	const struct sg_socket_option *options = sg_socket_options(&option_count);

	for (size_t i = 0; i < count; i++) {
		const uint64_t arguments[6] = {(uint64_t)kinds[i].domain, (uint64_t)kinds[i].type,
					       kinds[i].protocol == SG_SOCKET_ANY ? 0 : (uint64_t)kinds[i].protocol};
		bool given = false, left = false;

		for (size_t j = 0; j < count; j++)
			if (kinds[j].domain == kinds[i].domain && kinds[j].type == kinds[i].type &&
			    kinds[j].protocol == kinds[i].protocol) {
				given |= is_given(kinds[j].flag);
				left |= is_left(denied, kinds[j].flag);
			}
		check_request(denied, SYS_socket, arguments, given, left);
	}
	for (size_t i = 0; i < option_count; i++)
		check_request(denied, SYS_setsockopt,
			      (const uint64_t[6]){3, (uint64_t)options[i].level, (uint64_t)options[i].option},
			      is_given(options[i].flag), is_left(denied, options[i].flag));
}

/* Every call by its number: refused whole where it is the flag's own, else as it was. clone is asked for both that it makes. */
static void check_calls(const struct denied *denied)
{
	static const uint64_t thread[6] = {0x10f00}, process[6] = {17}, zeros[6] = {0};

	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);

		if (call == NULL)
			continue;
		assert_int_equal(sg_syscall_set_has(&denying.calls, number),
				 sg_syscall_set_has(&base.calls, number) &&
					 !sg_syscall_set_has(&denied->calls, number));
		if (call->class != SG_CLASS_NEVER && number != SYS_clone)
			check_request(denied, number, zeros, is_given(SG_FLAG_START),
				      is_left(denied, SG_FLAG_START) ||
					      (number != SYS_fcntl && number != SYS_personality));
	}
	check_request(denied, SYS_clone, thread, true, is_left(denied, SG_FLAG_THREADS));
	check_request(denied, SYS_clone, process, true, is_left(denied, SG_FLAG_FORK));
}

static void deny(enum sg_flag flag, struct denied *ret)
{
	const enum sg_flag_category category = sg_flag_category(flag);
	const char *section = category == SG_FLAG_CATEGORY_PLEDGE ? "Misc" : sg_flag_category_name(category);
	char text[sizeof(granted) + 64], *place, line[64];

	*ret = (struct denied){.flag = flag};
	own_of(flag, &ret->flags, &ret->calls);
	/* Within the section that is there: TOML has each once. */
	memcpy(text, granted, sizeof(granted));
	(void)snprintf(line, sizeof(line), "[%s]\n", section);
	place = strstr(text, line);
	assert_non_null(place);
	place += strlen(line);
	(void)snprintf(line, sizeof(line), "DenyFlags = [\"%s\"]\n", sg_flag_name(flag));
	memmove(place + strlen(line), place, strlen(place) + 1);
	memcpy(place, line, strlen(line));
	build(text, "", &denying, &denying_program);
}

static int read_everything(void **state)
{
	(void)state;
	read_flag_files(definitions);
	build(granted, "", &base, &base_program);
	return 0;
}

static void every_flag_denied_is_refused_alone(void **state)
{
	(void)state;
	for (int flag = 0; flag < SG_FLAGS_; flag++) {
		struct denied denied;

		deny((enum sg_flag)flag, &denied);
		check_calls(&denied);
		check_values(&denied);
		check_sockets(&denied);
		for (int i = 0; i < SG_FLAGS_; i++)
			assert_int_equal(sg_flag_set_has(&denying.flags, (enum sg_flag)i), is_left(&denied, i));
	}
}

/* Whatever is denied but `start` and what that is made of, a program can still start, run and end. */
static void no_flag_takes_what_programs_start_by(void **state)
{
	struct sg_filter_grants start = {0};
	unsigned int checked = 0;

	(void)state;
	grant_flag(definitions, SG_FLAG_START, &start);
	for (int flag = 0; flag < SG_FLAGS_; flag++) {
		struct denied denied = {.flag = (enum sg_flag)flag};
		bool part = false;

		own_of((enum sg_flag)flag, &denied.flags, &denied.calls);
		for (int i = 0; i < SG_FLAGS_; i++)
			part |= sg_flag_set_has(&denied.flags, (enum sg_flag)i) &&
				sg_flag_set_has(&start.flags, (enum sg_flag)i);
		for (unsigned int number = 0; !part && number < SG_SYSCALL_LIMIT; number++)
			if (sg_syscall_set_has(&denied.calls, number) && sg_syscall_set_has(&start.calls, number))
				fail_msg("DenyFlags %s takes %s, which every program needs",
					 sg_flag_name((enum sg_flag)flag), sg_syscall_by_number(number)->name);
		checked += !part;
	}
	assert_true(checked > 50);
}

/* The requests of fcntl that were the occasion: taken alone, and said by the flag that was denied. */
static void denied_requests_of_fcntl(void **state)
{
	static const struct {
		enum sg_flag flag;
		uint64_t request;
	} rows[] = {{SG_FLAG_WATCH, 1026}, {SG_FLAG_LOCKS, 6}, {SG_FLAG_SHARED_MEMORY, 1033}};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct denied denied;

		deny(rows[i].flag, &denied);
		for (size_t j = 0; j < SG_ARRAY_SIZE(rows); j++)
			assert_int_equal(ask(&denying_program, SYS_fcntl, (const uint64_t[6]){3, rows[j].request}),
					 i == j ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW);
		assert_int_equal(ask(&denying_program, SYS_fcntl, (const uint64_t[6]){3, 1030}), SECCOMP_RET_ALLOW);
	}
}

/* A check that a flag lifts comes back when it is denied, and the memory that every program needs stays. */
static void denied_code_in_memory(void **state)
{
	struct denied denied;

	(void)state;
	deny(SG_FLAG_JIT, &denied);
	assert_int_equal(ask(&base_program, SYS_mmap, (const uint64_t[6]){0, 4096, PROT_WRITE | PROT_EXEC}),
			 SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&denying_program, SYS_mmap, (const uint64_t[6]){0, 4096, PROT_WRITE | PROT_EXEC}),
			 SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(ask(&denying_program, SYS_mmap, (const uint64_t[6]){0, 4096, PROT_WRITE}), SECCOMP_RET_ALLOW);
}

/* A flag of one's own that states a call takes the whole call when it is denied; one that needs it does not. */
static void flags_of_one_s_own(void **state)
{
	(void)state;
	build(granted,
	      "DenyFlags = [\"x\"]\n[Define.x]\nSyscalls = [\"fcntl\"]\nNeedsSyscalls = [\"dup\"]\n"
	      "Flags = [\"locks\"]\nNeedsFlags = [\"watch\"]\n",
	      &denying, &denying_program);
	assert_false(sg_syscall_set_has(&denying.calls, SYS_fcntl));
	assert_true(sg_syscall_set_has(&denying.calls, SYS_dup));
	assert_false(sg_syscall_set_has(&denying.calls, SYS_flock));
	assert_true(sg_syscall_set_has(&denying.calls, SYS_inotify_init1));
	assert_true(sg_flag_set_has(&denying.flags, SG_FLAG_WATCH));
	assert_false(sg_flag_set_has(&denying.flags, SG_FLAG_LOCKS));
	build("[Misc]\nFlags = [\"x\"]\n", "[Define.x]\nNeedsSyscalls = [\"dup\"]\nNeedsFlags = [\"watch\"]\n",
	      &denying, &denying_program);
	assert_true(sg_syscall_set_has(&denying.calls, SYS_dup));
	assert_true(sg_syscall_set_has(&denying.calls, SYS_inotify_init1));
	assert_true(sg_flag_set_has(&denying.flags, SG_FLAG_WATCH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flag_denied_is_refused_alone),
		cmocka_unit_test(no_flag_takes_what_programs_start_by),
		cmocka_unit_test(denied_requests_of_fcntl),
		cmocka_unit_test(denied_code_in_memory),
		cmocka_unit_test(flags_of_one_s_own),
	};

	return cmocka_run_group_tests(tests, read_everything, NULL);
}
