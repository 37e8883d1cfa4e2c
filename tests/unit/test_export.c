/*
 * The exporters: the cubes of OCI's seccomp against the filter that the kernel would run, the matrix, and what no name may do
 * to an artefact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/layout.h"
#include "export/cubes.h"
#include "export/export.h"
#include "export/places.h"
#include "export/static_filter.h"
#include "export/unit_text.h"
#include "policy/compile.h"

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

static struct sg_policy *compile(struct sg_source *source)
{
	const struct sg_variables variables = {.cwd = "/srv/work",
					       .home = "/home/somebody",
					       .user = "somebody",
					       .uid = "1000",
					       .runtime = "/run/user/1000"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_policy *policy = NULL;
	int status = sg_policy_compile(&source, 1, &variables, open_profile, NULL, &diagnostics, &policy, &error);

	sg_diagnostics_render(&diagnostics, &text);
	if (status != 0)
		fail_msg("%d: %s%.*s", status, error.text, (int)text.size, text.size > 0 ? text.data : "");
	return policy;
}

static struct sg_policy *load(const char *name)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;

	if (open_profile(NULL, name, NULL, &source, &error) != 0)
		fail_msg("%s", error.text);
	return compile(source);
}

static struct sg_policy *compile_text(const char *text)
{
	struct sg_source *source = NULL;

	assert_int_equal(sg_source_new("test.toml", text, strlen(text), &source), 0);
	return compile(source);
}

/* --- cubes --- */

static uint64_t seed;

static uint64_t pick(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % below;
}

/* An argument that rows may turn on: a value that one of them asks for, with a bit or the upper half changed, or anything. */
static uint64_t pick_argument(const struct sg_filter_spec *spec, const struct sg_filter_rule *rule,
			      unsigned int argument)
{
	uint64_t value = 0;

	if (rule->count > 0 && pick(8) > 0) {
		const struct sg_filter_row *row = &spec->rows[rule->first + pick(rule->count)];
		const struct sg_filter_condition *condition = &row->conditions[pick(row->count)];

		if (condition->argument == argument || pick(4) == 0)
			value = condition->value | (pick(3) == 0 ? condition->mask : 0);
	}
	switch (pick(5)) {
	case 0:
		return value ^ UINT64_C(1) << pick(32);
	case 1:
		return value | UINT64_C(0xdeadbeef) << 32;
	case 2:
		return pick(1U << 16);
	default:
		return value;
	}
}

static bool cubes_allow(const struct sg_cubes *cubes, const struct seccomp_data *data)
{
	for (size_t i = 0; i < cubes->count; i++) {
		bool all = true;

		for (unsigned int j = 0; j < SG_SYSCALL_ARGUMENTS && all; j++)
			all = (data->args[j] & cubes->cubes[i].mask[j]) == cubes->cubes[i].value[j];
		if (all)
			return true;
	}
	return false;
}

static const char *const shipped[] = {"developer", "offline", "build", "read-only-host", "untrusted"};

/* What the cubes allow is exactly what the program allows, call by call. */
static void test_cubes(void **state)
{
	static struct sg_filter_spec spec;
	static struct sg_filter_program program;
	size_t allowed = 0, refused = 0;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(shipped); i++) {
		SG_AUTO_POLICY struct sg_policy *policy = load(shipped[i]);

		assert_int_equal(sg_static_filter(policy, &spec), 0);
		assert_int_equal(sg_filter_generate(&spec, &program), 0);
		for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
			SG_AUTO_CUBES struct sg_cubes cubes = {0};
			struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};

			assert_int_equal(sg_cubes_of_rule(&spec, &spec.rules[number], &cubes), 0);
			seed = number + 1;
			for (int sample = 0; sample < (spec.rules[number].count > 0 ? 3000 : 3); sample++) {
				uint32_t action;

				for (unsigned int j = 0; j < SG_SYSCALL_ARGUMENTS; j++)
					data.args[j] = pick_argument(&spec, &spec.rules[number], j);
				action = sg_filter_simulate(program.code, program.count, &data);
				if ((action == SECCOMP_RET_ALLOW) != cubes_allow(&cubes, &data))
					fail_msg("%s: call %u(%llx, %llx, %llx, %llx): the program says %x", shipped[i],
						 number, (unsigned long long)data.args[0],
						 (unsigned long long)data.args[1], (unsigned long long)data.args[2],
						 (unsigned long long)data.args[3], action);
				*(action == SECCOMP_RET_ALLOW ? &allowed : &refused) += spec.rules[number].count > 0;
			}
		}
	}
	/* The samples were no mere refusals. */
	assert_true(allowed > 10000 && refused > 10000);
}

/* Ranges and "is not", which no row of the tables may have today. */
static void test_cubes_of_any_form(void **state)
{
	static struct sg_filter_spec spec;
	static struct sg_filter_program program;
	int done = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		SG_AUTO_CUBES struct sg_cubes cubes = {0};
		struct seccomp_data data = {.nr = 0, .arch = AUDIT_ARCH_X86_64};
		struct sg_filter_rule *rule = &spec.rules[0];

		seed = (uint64_t)round + 1;
		memset(&spec, 0, sizeof(spec));
		rule->count = (uint16_t)(1 + pick(3));
		rule->action = pick(2) == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO;
		spec.row_count = rule->count;
		for (unsigned int i = 0; i < rule->count; i++) {
			struct sg_filter_row *row = &spec.rows[i];

			row->action = pick(2) == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO;
			row->count = (uint32_t)(1 + pick(2));
			for (unsigned int j = 0; j < row->count; j++) {
				struct sg_filter_condition *condition = &row->conditions[j];

				condition->argument = (uint8_t)pick(2);
				condition->width = pick(2) == 0 ? 32 : 64;
				condition->compare = (uint8_t)pick(3);
				condition->mask = pick(2) == 0 ? 0xff : pick(256);
				condition->value =
					pick(256) & (condition->compare == SG_FILTER_IN_RANGE ? 255 : condition->mask);
				condition->last = condition->value + pick(64);
			}
		}
		assert_int_equal(sg_filter_generate(&spec, &program), 0);
		/* What would take too many is refused, not cut short. */
		if (sg_cubes_of_rule(&spec, rule, &cubes) == -E2BIG)
			continue;
		done++;
		for (int sample = 0; sample < 2000; sample++) {
			data.args[0] = pick(512) | (pick(4) == 0 ? UINT64_C(1) << 40 : 0);
			data.args[1] = pick(512) | (pick(4) == 0 ? UINT64_C(1) << 40 : 0);
			assert_int_equal(sg_filter_simulate(program.code, program.count, &data) == SECCOMP_RET_ALLOW,
					 cubes_allow(&cubes, &data));
		}
	}
	assert_true(done > 300);
}

/* --- all back ends --- */

static void write_all(const struct sg_policy *policy, struct sg_buffer *out)
{
	for (size_t i = 0; i < sg_exporter_count; i++) {
		struct sg_export with;
		struct sg_error error = SG_ERROR_INIT;

		SG_AUTO_BUFFER struct sg_buffer artefact = SG_BUFFER_INIT;
		int status;

		assert_int_equal(sg_export_prepare(policy, sg_exporters[i], &with), 0);
		status = sg_exporters[i]->write(&with, &artefact, &error);
		/* What the format cannot hold is refused: then nothing is written. */
		if (status == 0)
			sg_buffer_append(out, artefact.data, artefact.size);
		else if (status != -EILSEQ)
			fail_msg("%s: %s", sg_exporters[i]->name, error.text);
		sg_export_done(&with);
	}
}

static void test_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(shipped); i++) {
		SG_AUTO_POLICY struct sg_policy *one = load(shipped[i]), *other = load(shipped[i]);
		SG_AUTO_BUFFER struct sg_buffer first = SG_BUFFER_INIT, second = SG_BUFFER_INIT;

		write_all(one, &first);
		write_all(other, &second);
		assert_int_equal(first.size, second.size);
		assert_memory_equal(first.data, second.data, first.size);
	}
}

/* A row for every rule that says something, and for every rest; nothing is called enforced for want of a judgement. */
static void test_matrix(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy = load("developer");

	(void)state;
	for (size_t i = 0; i < sg_exporter_count; i++) {
		struct sg_export with;
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

		assert_int_equal(sg_export_prepare(policy, sg_exporters[i], &with), 0);
		sg_export_matrix(&with, 1, false, "# ", &text);
		assert_non_null(strstr(text.data, sg_exporters[i]->name));
		for (int rest = 0; rest < SG_RESTS_; rest++)
			assert_non_null(strstr(text.data, sg_export_rest_words((enum sg_export_rest)rest)));
		assert_non_null(strstr(text.data, "Allow \"tcp:internet:22,80,443,9418\" (developer.toml:11"));
		/* A back end that holds less than all says in what. */
		for (size_t j = 0; j < policy->rule_count; j++)
			if (sg_export_is_judged(&policy->rules[j]) && with.rules[j].holding != SG_HOLDS)
				assert_non_null(with.rules[j].how);
		sg_export_done(&with);
	}
}

/* Of all back ends together: a narrow column each, laid out in 80 columns; one alone has words. */
static void test_matrix_of_all(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy = load("developer");
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT, comment = SG_BUFFER_INIT;
	struct sg_export *exports = calloc(sg_exporter_count, sizeof(*exports));

	(void)state;
	assert_non_null(exports);
	for (size_t i = 0; i < sg_exporter_count; i++)
		assert_int_equal(sg_export_prepare(policy, sg_exporters[i], &exports[i]), 0);
	sg_export_matrix(exports, sg_exporter_count, false, "", &text);
	sg_layout_wrap(text.data, 80, &out);
	assert_int_equal(sg_buffer_status(&out), 0);
	for (const char *line = out.data; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
	for (size_t i = 0; i < sg_exporter_count; i++)
		assert_non_null(strstr(out.data, sg_exporters[i]->name));
	assert_non_null(strstr(out.data, "+  enforced"));
	assert_non_null(strstr(out.data, " rules from \"~/."));
	assert_null(strstr(out.data, "approximated ["));
	/* Each row has a sign for each back end. */
	for (const char *line = strstr(text.data, "\trule\n") + 6; line[0] != '\n'; line += strcspn(line, "\n") + 1) {
		size_t signs = 0;

		for (const char *at = line; *at != '\t' && *at != '\n'; at++)
			signs += strchr("+<>-", *at) != NULL;
		if (memchr(line, '\t', strcspn(line, "\n")) != NULL)
			assert_int_equal(signs, sg_exporter_count);
	}
	sg_export_matrix(exports, sg_exporter_count, true, "# ", &comment);
	assert_int_equal(sg_buffer_status(&comment), 0);
	assert_null(strchr(comment.data, '\t'));
	for (const char *line = comment.data; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_memory_equal(line, "# ", 2);
	for (size_t i = 0; i < sg_exporter_count; i++)
		sg_export_done(&exports[i]);
	free(exports);
}

/* Labels and walls take a session: no back end, and no number of them, may pass for holding them. */
static void test_walls_are_not_enforced(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy =
		compile_text("[Label.customers]\nSecret = true\nFiles = [\"/srv/customers/**\"]\n"
			     "[Label.internet]\nNetwork = [\"internet\"]\n"
			     "[Walls]\nNever = [[\"customers\", \"internet\"]]\n");
	struct sg_export *exports = calloc(sg_exporter_count, sizeof(*exports));
	size_t walls = 0;

	(void)state;
	assert_non_null(exports);
	for (size_t i = 0; i < sg_exporter_count; i++)
		assert_int_equal(sg_export_prepare(policy, sg_exporters[i], &exports[i]), 0);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].kind == SG_RULE_WALL || policy->rules[i].kind == SG_RULE_LABEL) {
			assert_int_equal(sg_export_rule_together(exports, sg_exporter_count, i), SG_HOLDS_NOT);
			walls++;
		}
	assert_true(walls > 0 && sg_export_is_weaker(exports, sg_exporter_count));
	for (size_t i = 0; i < sg_exporter_count; i++)
		sg_export_done(&exports[i]);
	free(exports);
}

/* No name ends a comment, or a line of one. */
static void test_names_stay_names(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy = compile_text(
		"Name = \"x\\nsmuggled\"\n"
		"[Filesystem]\nReadOnly = [\"/srv/a\\nsmuggled\", \"/srv/\\\"\\nsmuggled\", \"/srv/b\\rsmuggled\"]\n");
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	(void)state;
	write_all(policy, &text);
	for (size_t i = 1; i + 8 < text.size; i++)
		if (memcmp(text.data + i, "smuggled", 8) == 0)
			assert_true(text.data[i - 1] != '\n' && text.data[i - 1] != '\r');
}

/* --- places --- */

/* The places as text: a line for each, "path rights". */
static void describe(const struct sg_policy *policy, struct sg_buffer *out)
{
	struct sg_places places;

	assert_int_equal(sg_places_find(policy, &places), 0);
	for (size_t i = 0; i < places.count; i++) {
		const struct sg_place *place = &places.places[i];

		sg_buffer_printf(out, "%s%s %s%s%s%s%s\n", place->path, place->folder ? "/" : "",
				 place->write ? "w" : "r", place->execute ? "x" : "", place->private ? " private" : "",
				 place->optional ? " optional" : "", place->whole ? "" : " part");
	}
	sg_places_done(&places);
}

static void test_places(void **state)
{
	static const struct {
		const char *files, *places;
	} rows[] = {
		{"", ""},
		{"ReadOnly = [\"/srv/**\"]", "/srv/ r\n"},
		/* A folder by itself is no tree; and what lies in another with as many rights is no place. */
		{"ReadOnly = [\"/srv/\"]", ""},
		{"ReadOnly = [\"/srv/a/**\", \"/srv/**\", \"/srv/b\"]", "/srv/ r\n"},
		/* More rights are a place inside; fewer are none, and take nothing away. */
		{"ReadOnly = [\"/srv/**\"]\nReadWrite = [\"/srv/a/**\"]", "/srv/ r\n/srv/a/ w\n"},
		{"ReadOnly = [\"/srv/**\"]\nExec = [\"/srv/bin/*\"]", "/srv/ r\n/srv/bin/ rx\n"},
		{"ReadOnly = [\"/srv/**\"]\nExec = [\"/srv/bin/x\"]", "/srv/ r\n/srv/bin/x rx\n"},
		{"ReadWrite = [\"/srv/**\"]\nExec = [\"/srv/bin/*\"]", "/srv/ w\n/srv/bin/ wx\n"},
		/* What stands between by its bytes does not come between a folder and what is in it. */
		{"ReadOnly = [\"/srv/a/**\", \"/srv/a-b/**\", \"/srv/a/c/**\"]", "/srv/a/ r\n/srv/a-b/ r\n"},
		/* Wildcards take their folder, in part. */
		{"ReadOnly = [\"/srv/*.png\"]", "/srv/ r part\n"},
		{"ReadOnly = [\"/srv/{a,b}/**\"]", "/srv/a/ r\n/srv/b/ r\n"},
		{"ReadOnly = [\"/srv/{a,b}\"]", "/srv/a r\n/srv/b r\n"},
		/* Private folders hold nothing of the host's, so what lies in them is a place. */
		{"Private = [\"/srv/\"]\nReadOnly = [\"/srv/a/**\"]", "/srv/ w private\n/srv/a/ r\n"},
		{"Private = [\"/srv/\"]\nExec = [\"/srv/a/**\"]", "/srv/ wx private\n/srv/a/ rx\n"},
		/* What a host may lack. */
		{"ReadOnly = [\"/etc/x\", \"/usr/games/**\", \"~/.x\", \"/usr/**\"]",
		 "/etc/x r optional\n/home/somebody/.x r optional\n/usr/ r\n"},
		{"ReadWrite = [\"/var/lib/x/**\"]\nReadOnly = [\"/var/lib/y/**\"]",
		 "/var/lib/x/ w\n/var/lib/y/ r optional\n"},
		/* /proc and /dev are its own. */
		{"ReadOnly = [\"/proc/**\", \"/dev/sda\"]", ""},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, found = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;

		sg_buffer_printf(&text, "[Filesystem]\n%s\n", rows[i].files);
		policy = compile_text(text.data);
		describe(policy, &found);
		if (strcmp(found.data != NULL ? found.data : "", rows[i].places) != 0)
			fail_msg("%s\ngave\n%s", rows[i].files, found.data);
	}
}

/* How one back end holds the rule of that kind and text. */
static enum sg_holding holding_of(const struct sg_policy *policy, const char *exporter, enum sg_rule_kind kind,
				  const char *text)
{
	struct sg_export with;
	const struct sg_rule *rule = sg_policy_find(policy, kind, text);
	enum sg_holding holding;

	assert_non_null(rule);
	assert_int_equal(sg_export_prepare(policy, sg_exporter_find(exporter, strlen(exporter)), &with), 0);
	holding = with.rules[rule - policy->rules].holding;
	sg_export_done(&with);
	return holding;
}

/* What a mount holds of rules about files. */
static void test_mounting(void **state)
{
	static const struct {
		const char *files;
		enum sg_rule_kind kind;
		const char *text;
		enum sg_holding holding;
	} rows[] = {
		{"ReadOnly = [\"/srv/**\"]", SG_RULE_READ, "/srv/**", SG_HOLDS},
		{"ReadOnly = [\"/srv/*.png\"]", SG_RULE_READ, "/srv/*.png", SG_HOLDS_PARTLY},
		{"ReadOnly = [\"/srv/**\", \"/srv/*.png\"]", SG_RULE_READ, "/srv/*.png", SG_HOLDS},
		{"ReadWrite = [\"/srv/x\"]", SG_RULE_WRITE, "/srv/x", SG_HOLDS_STRICTER},
		{"Map = [\"/srv/**\"]", SG_RULE_MAP, "/srv/**", SG_HOLDS_PARTLY},
		{"Map = [\"/srv/a/**\"]\nExec = [\"/srv/**\"]", SG_RULE_MAP, "/srv/a/**", SG_HOLDS},
		/* A refusal where nothing is given holds; where something is, no cover holds it for good. */
		{"ReadOnly = [\"/srv/**\"]\nDeny = [\"/opt/x\"]", SG_RULE_DENY, "/opt/x", SG_HOLDS},
		{"ReadOnly = [\"/srv/**\"]\nDeny = [\"/srv/x\"]", SG_RULE_DENY, "/srv/x", SG_HOLDS_PARTLY},
		{"ReadOnly = [\"/srv/**\"]\nDeny = [\"/srv/x/**\"]", SG_RULE_DENY, "/srv/x/**", SG_HOLDS_PARTLY},
		{"ReadOnly = [\"/srv/**\"]\nDeny = [\"/srv/*.key\"]", SG_RULE_DENY, "/srv/*.key", SG_HOLDS_NOT},
		{"ReadOnly = [\"/srv/a/**\"]\nDeny = [\"/srv/*/x\"]", SG_RULE_DENY, "/srv/*/x", SG_HOLDS_NOT},
		{"ReadOnly = [\"/srv/a/**\"]\nDeny = [\"/srv/b*/x\"]", SG_RULE_DENY, "/srv/b*/x", SG_HOLDS},
		{"ReadOnly = [\"/srv/**\"]\nHide = [\"/srv/x\"]", SG_RULE_HIDE, "/srv/x", SG_HOLDS_PARTLY},
		{"ReadOnly = [\"/srv/**\"]\nDenyWrite = [\"/srv/**\"]", SG_RULE_DENY_WRITE, "/srv/**", SG_HOLDS},
		{"ReadWrite = [\"/srv/**\"]\nDenyWrite = [\"/srv/x\"]", SG_RULE_DENY_WRITE, "/srv/x", SG_HOLDS_PARTLY},
		{"ReadWrite = [\"/srv/**\"]\nDenyWrite = [\"/srv/x*\"]", SG_RULE_DENY_WRITE, "/srv/x*", SG_HOLDS_NOT},
		{"ReadOnly = [\"/srv/**\"]\nDenyExec = [\"/srv/**\"]", SG_RULE_DENY_EXECUTE, "/srv/**", SG_HOLDS},
		{"Private = [\"/srv/\"]\nDeny = [\"/srv/x\"]", SG_RULE_DENY, "/srv/x", SG_HOLDS_PARTLY},
		/* One folder, two names: what is refused by one is not free by the other. */
		{"ReadOnly = [\"/usr/**\"]\nDeny = [\"/lib/x*\"]", SG_RULE_DENY, "/lib/x*", SG_HOLDS_NOT},
		{"ReadOnly = [\"/lib/**\"]\nDeny = [\"/usr/lib/x*\"]", SG_RULE_DENY, "/usr/lib/x*", SG_HOLDS_NOT},
		{"ReadOnly = [\"/lib/**\"]\nDeny = [\"/u*/lib/x\"]", SG_RULE_DENY, "/u*/lib/x", SG_HOLDS_NOT},
		{"ReadOnly = [\"/srv/**\"]\nLogOnRead = [\"/srv/**\"]", SG_RULE_LOG_READ, "/srv/**", SG_HOLDS_NOT},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		enum sg_holding holding;

		sg_buffer_printf(&text, "[Filesystem]\n%s\n", rows[i].files);
		policy = compile_text(text.data);
		holding = holding_of(policy, "oci", rows[i].kind, rows[i].text);
		if (holding != rows[i].holding)
			fail_msg("%s: %d", rows[i].files, (int)holding);
	}
}

/* Whoever loads a filter executes the program under it: where the profile gives no execution, the matrix says that it is there. */
static void test_execution_is_left_open(void **state)
{
	static const char *const filters[] = {"seccomp", "seccomp-bpf", "oci", "systemd"};
	static const struct {
		const char *text;
		enum sg_rule_kind kind;
		const char *refused; /* NULL: none */
		bool told, rule_told;
	} rows[] = {
		{"Flags = [\"start\"]", SG_RULE_DENY_SYSCALL, NULL, true, false},
		{"Flags = [\"start\", \"exec\"]", SG_RULE_DENY_SYSCALL, NULL, false, false},
		{"Flags = [\"start\", \"exec\"]\nDenySyscalls = [\"execve\"]", SG_RULE_DENY_SYSCALL, "execve", true,
		 true},
		{"Flags = [\"start\"]\nDenySyscalls = [\"mlock\"]", SG_RULE_DENY_SYSCALL, "mlock", true, false},
		{"Flags = [\"start\"]\nDenyFlags = [\"exec\"]", SG_RULE_DENY_FLAG, "exec", true, true},
		{"Flags = [\"start\", \"exec\"]\nDenyFlags = [\"timers\"]", SG_RULE_DENY_FLAG, "timers", false, false},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows) * SG_ARRAY_SIZE(filters); i++) {
		const char *name = filters[i % SG_ARRAY_SIZE(filters)];
		const size_t row = i / SG_ARRAY_SIZE(filters);
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_export with;

		sg_buffer_printf(&text, "[Runtime]\n%s\n", rows[row].text);
		policy = compile_text(text.data);
		assert_int_equal(sg_export_prepare(policy, sg_exporter_find(name, strlen(name)), &with), 0);
		if ((with.rests[SG_REST_CALLS].how != NULL &&
		     strstr(with.rests[SG_REST_CALLS].how, "execve") != NULL) != rows[row].told)
			fail_msg("%s, %s: %s", name, rows[row].text, with.rests[SG_REST_CALLS].how);
		sg_export_done(&with);
		if (rows[row].refused != NULL && strcmp(name, "systemd") != 0)
			assert_int_equal(holding_of(policy, name, rows[row].kind, rows[row].refused),
					 rows[row].rule_told ? SG_HOLDS_PARTLY : SG_HOLDS);
	}
}

/* A runtime mounts nothing on the root, and what it did mount there would lie over the container's own /proc. */
static void test_the_root_of_a_container(void **state)
{
	static const char *const rows[] = {"ReadOnly = [\"/**\"]", "ReadOnly = [\"/*\"]",
					   "ReadWrite = [\"/a\", \"/{,b/}**\"]"};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_error error = SG_ERROR_INIT;
		struct sg_export with;

		sg_buffer_printf(&text, "[Filesystem]\n%s\n", rows[i]);
		policy = compile_text(text.data);
		assert_int_equal(sg_export_prepare(policy, sg_exporter_find("oci", 3), &with), 0);
		assert_int_equal(with.exporter->write(&with, &out, &error), -EOPNOTSUPP);
		assert_non_null(strstr(error.text, "the root itself"));
		sg_export_done(&with);
	}
}

/* A few bytes of alternatives are many names: what would write them all out is refused, and what keeps the glob is not. */
static void test_too_many_names(void **state)
{
	static const struct {
		const char *key, *exporter;
		int status;
	} rows[] = {
		{"ReadOnly", "oci", -E2BIG}, {"ReadOnly", "systemd", -E2BIG}, {"ReadOnly", "landlock", -E2BIG},
		{"ReadOnly", "apparmor", 0}, {"Deny", "oci", -E2BIG},         {"Deny", "systemd", -E2BIG},
		{"Deny", "landlock", 0},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_export with;

		sg_buffer_printf(&text, "[Filesystem]\n%s = [", rows[i].key);
		for (int j = 0; j < SG_PLACES_MAX / 512 + 1; j++)
			sg_buffer_printf(&text, "'/srv/%d%s', ", j, "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}");
		sg_buffer_append_text(&text, "]\n");
		policy = compile_text(text.data);
		assert_int_equal(
			sg_export_prepare(policy, sg_exporter_find(rows[i].exporter, strlen(rows[i].exporter)), &with),
			rows[i].status);
		sg_export_done(&with);
	}
}

/* JSON holds no bytes that are no UTF-8: the artefact is refused, not written with another name. */
static void test_names_that_are_no_text(void **state)
{
	static const char text[] = "[Filesystem]\nReadWrite = [\"${CWD}/**\"]\n";
	const struct sg_variables variables = {
		.cwd = "/srv/\xff", .home = "/home/u", .user = "u", .uid = "1", .runtime = "/run/user/1"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;
	struct sg_export with;

	(void)state;
	assert_int_equal(sg_source_new("test.toml", text, strlen(text), &source), 0);
	assert_int_equal(sg_policy_compile(&source, 1, &variables, open_profile, NULL, &diagnostics, &policy, &error),
			 0);
	assert_int_equal(sg_export_prepare(policy, sg_exporter_find("oci", 3), &with), 0);
	assert_int_equal(with.exporter->write(&with, &out, &error), -EILSEQ);
	assert_int_equal(out.size, 0);
	sg_export_done(&with);
}

/* Words of systemd's unit files. "": no unit can hold it. */
static void test_unit_text(void **state)
{
	static const struct {
		const char *given, *path, *path_with_options, *assignment, *plain;
	} rows[] = {
		{"/srv/a", "K=\"-/srv/a\"\n", "K=\"/srv/a:o\"\n", "Environment=\"/srv/a\"\n", "K=/srv/a\n"},
		{"/a b", "K=\"-/a b\"\n", "K=\"/a b:o\"\n", "Environment=\"/a b\"\n", "K=/a b\n"},
		{"/%n", "K=\"-/%%n\"\n", "K=\"/%%n:o\"\n", "Environment=\"/%%n\"\n", "K=/%%n\n"},
		{"/\"x", "K=\"-/\\\"x\"\n", "K=\"/\\\"x:o\"\n", "Environment=\"/\\\"x\"\n", "K=/\"x\n"},
		{"/a\\", "K=\"-/a\\\\\"\n", "K=\"/a\\\\\\\\:o\"\n", "Environment=\"/a\\\\\"\n", ""},
		{"/a:b", "K=\"-/a:b\"\n", "K=\"/a\\\\:b:o\"\n", "Environment=\"/a:b\"\n", "K=/a:b\n"},
		{"/a\nb", "", "", "Environment=\"/a\\nb\"\n", ""},
		{"/a\x1b", "", "", "", ""},
		{"/a\x7f", "", "", "", ""},
		{"/a\xc2\x85", "", "", "", ""},
		{"/a\xff", "", "", "", ""},
		{"/a ", "K=\"-/a \"\n", "K=\"/a :o\"\n", "Environment=\"/a \"\n", ""},
		{"-a", "", "", "Environment=\"-a\"\n", ""},
		{"", "", "", "Environment=\"\"\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_buffer out[4] = {SG_BUFFER_INIT, SG_BUFFER_INIT, SG_BUFFER_INIT, SG_BUFFER_INIT};
		const char *wanted[] = {rows[i].path, rows[i].path_with_options, rows[i].assignment, rows[i].plain};
		const int status[] = {
			sg_unit_append_path(&out[0], "K", rows[i].given, SG_UNIT_PATH, NULL),
			sg_unit_append_path(&out[1], "K", rows[i].given, SG_UNIT_PATH_WITH_OPTIONS, "o"),
			sg_unit_append_assignment(&out[2], rows[i].given),
			sg_unit_append_plain(&out[3], "K", rows[i].given),
		};

		for (size_t j = 0; j < SG_ARRAY_SIZE(status); j++) {
			assert_int_equal(status[j], wanted[j][0] == '\0' ? -EILSEQ : 0);
			assert_string_equal(out[j].data != NULL ? out[j].data : "", wanted[j]);
		}
		for (size_t j = 0; j < SG_ARRAY_SIZE(out); j++)
			sg_buffer_done(&out[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cubes),
		cmocka_unit_test(test_cubes_of_any_form),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_matrix_of_all),
		cmocka_unit_test(test_walls_are_not_enforced),
		cmocka_unit_test(test_names_stay_names),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_mounting),
		cmocka_unit_test(test_execution_is_left_open),
		cmocka_unit_test(test_the_root_of_a_container),
		cmocka_unit_test(test_too_many_names),
		cmocka_unit_test(test_names_that_are_no_text),
		cmocka_unit_test(test_unit_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
