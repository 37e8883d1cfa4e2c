/*
 * Deny over allow, order-free, empty means nothing: hundreds of generated profiles.
 *
 * Order: however statements and values are shuffled, repeated, or split over files (given together, or one extending the other),
 * the policy's hash is the same, and so is every byte that is compiled from it: the automaton of its names, the filter's program.
 *
 * Narrowing: one more statement that denies, or one fewer that allows, never allows more, asked of names, addresses, system calls
 * and capabilities. Two things are no allow in this sense: a flag that denies too (`system`, which keeps /etc/shadow from whatever
 * is granted beside it), and the moving of a folder, which is allowed where nothing can be gained by it: with fewer rights, less can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glob_generate.h"
#include "policy/addressset.h"
#include "policy/compile.h"
#include "policy/decide.h"
#include "policy/glob_set_internal.h"
#include "tables/capabilities.h"
#include "tables/values.h"
#include "world/grants.h"

enum { STATEMENTS_MAX = 40, PROFILES = 520, NAMES = 40 };

enum effect { ALLOWS, DENIES, OTHER };

/* One kind of statement, with values that are valid together whatever is chosen. */
static const struct kind {
	const char *section, *key;
	enum effect effect;
	const char *values[12];
} kinds[] = {
	{"Filesystem", "ReadOnly", ALLOWS, {"/r/**", "/r/a/*.c", "/**/k", "/r/", "/x/{a,b}", "/r/**/s*", "${CWD}/r"}},
	{"Filesystem", "ReadWrite", ALLOWS, {"/w/**", "/w/a/*", "/w/{b,c}/**", "/v", "~/w/**"}},
	{"Filesystem", "Exec", ALLOWS, {"/r/bin/*", "/w/bin/**", "/r/a/x", "/**/run"}},
	{"Filesystem", "Map", ALLOWS, {"/r/lib/**", "/w/**.so"}},
	{"Filesystem", "Deny", DENIES, {"/r/a/**", "/**/s*", "/w/a/k", "/**", "/w/", "/{r,w}/a/*"}},
	{"Filesystem", "DenyRead", DENIES, {"/r/a/*", "/w/**", "/**/k"}},
	{"Filesystem", "DenyWrite", DENIES, {"/w/a/**", "/v", "/w/b/s?"}},
	{"Filesystem", "DenyExec", DENIES, {"/r/bin/su", "/**/x", "/w/**"}},
	{"Filesystem", "Hide", DENIES, {"/w/c/**", "/r/a/h*", "/**/.git/**"}},
	{"Filesystem", "LogOnRead", OTHER, {"/r/a/**", "/**"}},
	{"Filesystem", "LogOnWrite", OTHER, {"/w/**", "/w/a/k"}},
	{"Networking",
	 "Allow",
	 ALLOWS,
	 {"tcp:10.0.0.0/8:*", "udp:internet:53", "*:10.1.2.3:80-90", "tcp:[fd00::1]:443", "tcp:127.0.0.1:5432",
	  "icmp:host"}},
	{"Networking", "Deny", DENIES, {"*:10.1.0.0/16:*", "tcp:*:443", "*:169.254.169.254:*", "udp:internet:*"}},
	{"Networking", "Listen", ALLOWS, {"tcp:127.0.0.1:8000-8010", "udp:10.0.0.1:99"}},
	{"Networking", "Flags", ALLOWS, {"loopback", "dns", "outgoing", "incoming", "unix", "netlink", "raw", "ping"}},
	{"Networking", "DenyFlags", DENIES, {"loopback", "dns", "outgoing", "incoming", "unix", "netlink", "raw"}},
	{"Filesystem",
	 "Flags",
	 ALLOWS,
	 {"read", "write", "tmp", "tty", "devices", "attributes", "locks", "links", "mknod"}},
	{"Filesystem", "DenyFlags", DENIES, {"read", "write", "tmp", "tty", "attributes", "locks", "links", "system"}},
	{"Runtime",
	 "Flags",
	 ALLOWS,
	 {"start", "malloc", "jit", "threads", "fork", "exec", "signals", "ipc", "watch", "debug"}},
	{"Runtime",
	 "DenyFlags",
	 DENIES,
	 {"start", "malloc", "jit", "threads", "fork", "signals", "shared-memory", "watch"}},
	{"User", "Flags", ALLOWS, {"identity", "create", "switch", "pledge-id"}},
	{"User", "DenyFlags", DENIES, {"create", "switch", "pledge-getpw"}},
	{"Misc",
	 "Flags",
	 ALLOWS,
	 {"sysinfo", "keyring", "mount", "clock", "one", "two", "pledge-stdio", "pledge-inet"}},
	{"Misc", "DenyFlags", DENIES, {"sysinfo", "mount", "one", "two", "pledge-rpath", "pledge-tty"}},
	{"Misc", "Syscalls", ALLOWS, {"getpid", "sysinfo", "flock", "socket"}},
	{"Misc", "DenySyscalls", DENIES, {"getpid", "openat", "socket", "fcntl", "flock"}},
	{"Runtime", "DenySyscalls", DENIES, {"clone", "clone3", "mmap", "execve"}},
	{"Misc", "DenyCapabilities", DENIES, {"CAP_SYS_ADMIN", "CAP_SETUID", "CAP_NET_RAW"}},
	{"Runtime", "Env", OTHER, {"LANG", "TERM=dumb", "PATH=/bin"}},
	{"Misc", "AcceptMissing", OTHER, {"cgroup-memory", "landlock"}},
	{"Label.a", "Files", OTHER, {"/srv/a/**", "/srv/b/**"}},
	{"Label.b", "Files", OTHER, {"/srv/a/**", "/srv/b/**"}},
	{"Label.a", "May", OTHER, {"tcp:10.0.0.7:514", "tcp:10.0.0.8:514"}},
	{"Label.a", "Network", OTHER, {"internet", "tcp:10.0.0.7:514"}},
	/* Lists of their own: one value is one wall. */
	{"Walls", "Never", OTHER, {"[\"one\", \"two\"]", "[\"two\", \"three\", \"one\"]", "[\"three\", \"two\"]"}},
	{"Privileged", "Flags", OTHER, {"ping", "mount"}},
	{"Privileged", "ReadAny", OTHER, {"/var/log/**", "/srv/**"}},
};

/* Flags of the profile's own; where a file names them, it must have them. */
static const char *const definitions[][2] = {
	{"[Define.one]\nFlags = [\"dns\", \"two\"]\nReadOnly = [\"/one/**\", \"/o\"]\nSyscalls = [\"sysinfo\", "
	 "\"times\"]\n"
	 "[Define.two]\nNeedsSyscalls = [\"getrusage\"]\nCapabilities = [\"CAP_CHOWN\"]\nAllow = "
	 "[\"tcp:10.9.9.9:1\"]\n[Label.one]\n[Label.two]\nSecret = true\n[Label.three]\n"
	 "[[Privileged.Action]]\nName = \"a\"\nCommand = [\"/bin/a\", \"x\", \"y\"]\n"
	 "[[Privileged.Action]]\nName = \"b\"\nCommand = [\"/bin/b\"]\nAsk = \"me\"\n",
	 "[Define.two]\nAllow = [\"tcp:10.9.9.9:1\", \"tcp:10.9.9.9:1\"]\nCapabilities = [\"CAP_CHOWN\"]\n"
	 "NeedsSyscalls = [\"getrusage\"]\n[Define.one]\nSyscalls = [\"times\", \"sysinfo\"]\n"
	 "ReadOnly = [\"/o\", \"/one/**\"]\nFlags = [\"two\", \"dns\"]\n[Label.three]\n[Label.two]\nSecret = "
	 "true\n[Label.one]\n"
	 "[[Privileged.Action]]\nAsk = \"me\"\nCommand = [\"/bin/b\"]\nName = \"b\"\n"
	 "[[Privileged.Action]]\nCommand = [\"/bin/a\", \"x\", \"y\"]\nName = \"a\"\n"},
};

struct statement {
	const struct kind *kind;
	const char *value;
	int file; /* where it is written */
};

struct profile {
	struct statement statements[STATEMENTS_MAX];
	size_t count;
};

struct meaning {
	struct sg_policy *policy;
	struct sg_globset *names;
	struct sg_matcher *matcher;
	struct sg_addressset *addresses;
	struct sg_filter_grants grants;
	struct sg_filter_program program;
};

static void swap_statements(struct statement *a, struct statement *b)
{
	const struct statement kept = *a;

	*a = *b;
	*b = kept;
}

static void shuffle(struct generator *generator, struct profile *profile)
{
	for (size_t i = profile->count; i > 1; i--)
		swap_statements(&profile->statements[i - 1],
				&profile->statements[generate_below(generator, (uint32_t)i)]);
}

static void add(struct profile *profile, const struct kind *kind, const char *value)
{
	assert_true(profile->count < STATEMENTS_MAX);
	profile->statements[profile->count++] = (struct statement){.kind = kind, .value = value};
}

static const struct kind *any_kind(struct generator *generator)
{
	return &kinds[generate_below(generator, SG_ARRAY_SIZE(kinds))];
}

static const char *any_value(struct generator *generator, const struct kind *kind)
{
	uint32_t count = 0;

	while (count < SG_ARRAY_SIZE(kind->values) && kind->values[count] != NULL)
		count++;
	return kind->values[generate_below(generator, count)];
}

static void generate_profile(struct generator *generator, struct profile *ret)
{
	ret->count = 0;
	for (uint32_t left = generate_below(generator, STATEMENTS_MAX / 2); left > 0; left--) {
		const struct kind *kind = any_kind(generator);

		add(ret, kind, any_value(generator, kind));
	}
}

/* The statements of one file as TOML has them: each table once, each key once, in the order in which they come first. */
static void write_file(const struct profile *profile, int file, const char *before, const char *after,
		       struct sg_buffer *out)
{
	const struct statement *all = profile->statements;

	sg_buffer_append_text(out, before);
	for (size_t i = 0; i < profile->count; i++) {
		bool is_first = all[i].file == file;

		for (size_t j = 0; j < i; j++)
			is_first &= all[j].file != file || strcmp(all[j].kind->section, all[i].kind->section) != 0;
		if (!is_first)
			continue;
		sg_buffer_printf(out, "[%s]\n", all[i].kind->section);
		for (size_t k = i; k < profile->count; k++) {
			bool is_key = all[k].file == file && strcmp(all[k].kind->section, all[i].kind->section) == 0;

			for (size_t j = 0; j < k; j++)
				is_key &= all[j].file != file || all[j].kind != all[k].kind;
			if (!is_key)
				continue;
			sg_buffer_printf(out, "%s = [", all[k].kind->key);
			for (size_t j = k; j < profile->count; j++)
				if (all[j].file == file && all[j].kind == all[k].kind)
					sg_buffer_printf(out, all[j].value[0] == '[' ? "%s, " : "\"%s\", ",
							 all[j].value);
			sg_buffer_append_text(out, "]\n");
		}
	}
	sg_buffer_append_text(out, after);
}

static int open_other(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	const struct sg_buffer *text = data;

	(void)from;
	(void)error;
	return sg_source_new(name, text->data, text->size, ret);
}

/* The same frozen automaton, byte for byte (but for padding). */
static void assert_same_names(const struct sg_globset *a, const struct sg_globset *b)
{
	assert_int_equal(a->node_count, b->node_count);
	assert_memory_equal(a->nodes, b->nodes, (a->node_count + 1) * sizeof(*a->nodes));
	assert_memory_equal(a->accepts, b->accepts, a->node_count * sizeof(*a->accepts));
	assert_memory_equal(a->may, b->may, a->node_count * sizeof(*a->may));
	for (uint32_t i = 0; i < a->nodes[a->node_count].literal; i++)
		assert_true(a->literals[i].byte == b->literals[i].byte && a->literals[i].to == b->literals[i].to);
	assert_memory_equal(a->wides, b->wides, a->nodes[a->node_count].wide * sizeof(*a->wides));
	assert_memory_equal(a->epsilons, b->epsilons, a->nodes[a->node_count].epsilon * sizeof(*a->epsilons));
	assert_int_equal(a->rule_count, b->rule_count);
	assert_memory_equal(a->rules, b->rules, a->rule_count * sizeof(*a->rules));
	assert_int_equal(a->class_count, b->class_count);
	assert_memory_equal(a->classes, b->classes, a->class_count * sizeof(*a->classes));
	assert_memory_equal(a->symbol_of, b->symbol_of, sizeof(a->symbol_of));
}

static void assert_same(const struct meaning *a, const struct meaning *b)
{
	assert_memory_equal(a->policy->hash, b->policy->hash, SG_POLICY_HASH_SIZE);
	assert_same_names(a->names, b->names);
	assert_int_equal(a->program.count, b->program.count);
	assert_memory_equal(a->program.code, b->program.code, a->program.count * sizeof(a->program.code[0]));
}

static void compile_names(struct meaning *meaning)
{
	const struct sg_policy *policy = meaning->policy;

	assert_int_equal(sg_globset_new(&meaning->names), 0);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].glob != NULL && policy->rules[i].address == NULL)
			assert_int_equal(sg_globset_add(meaning->names, policy->rules[i].glob, (uint32_t)i,
							SG_NAME_BIT(policy->rules[i].kind)),
					 0);
	assert_int_equal(sg_globset_compile(meaning->names), 0);
	assert_int_equal(sg_matcher_new(meaning->names, SG_MATCHER_MEMORY_MIN, &meaning->matcher), 0);
}

enum { CLASS_ALLOW = 1, CLASS_DENY = 2, CLASS_LISTEN = 4 };

static void compile_addresses(struct meaning *meaning)
{
	struct sg_addressset_builder *builder = sg_addressset_builder_new();

	assert_non_null(builder);
	for (size_t i = 0; i < meaning->policy->rule_count; i++) {
		const struct sg_rule *rule = &meaning->policy->rules[i];

		if (rule->address != NULL)
			assert_int_equal(sg_addressset_builder_add(builder, rule->address, (uint32_t)i,
								   rule->kind == SG_RULE_ALLOW          ? CLASS_ALLOW
								   : rule->kind == SG_RULE_DENY_ADDRESS ? CLASS_DENY
													: CLASS_LISTEN),
					 0);
	}
	assert_int_equal(sg_addressset_build(builder, CLASS_DENY, &meaning->addresses), 0);
	sg_addressset_builder_free(builder);
}

/* Compiles what was written in one or two files; with `extends` the first names the second, else both are given. */
static void compile(const struct sg_buffer *a, struct sg_buffer *b, bool extends, struct meaning *ret)
{
	static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};
	static const struct sg_filter_plan plan = {.opens = SG_FILTER_OPENS_WRITING, .looks = SG_FILTER_NATIVE};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *sources[2];
	size_t count = 1;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(sg_source_new("a.toml", a->size > 0 ? a->data : "", a->size, &sources[0]), 0);
	if (b != NULL && !extends)
		assert_int_equal(sg_source_new("b.toml", b->size > 0 ? b->data : "", b->size, &sources[count++]), 0);
	if (sg_policy_compile(sources, count, &variables, open_other, b, &diagnostics, &ret->policy, &error) != 0) {
		sg_diagnostics_render(&diagnostics, &out);
		fail_msg("%s\n%s\n%s%s", a->data, b != NULL ? b->data : "", error.text, out.size > 0 ? out.data : "");
	}
	compile_names(ret);
	compile_addresses(ret);
	sg_grants_find(ret->policy, &ret->grants);
	assert_int_equal(sg_filter_build(&ret->grants, &plan, &ret->program, NULL), 0);
}

static void compile_one(const struct profile *profile, struct meaning *ret)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	write_file(profile, 0, "", definitions[0][0], &text);
	compile(&text, NULL, false, ret);
}

static void meaning_done(struct meaning *meaning)
{
	sg_matcher_free(meaning->matcher);
	sg_globset_free(meaning->names);
	sg_addressset_free(meaning->addresses);
	sg_policy_free(meaning->policy);
}

/* --- order --- */

/* Shuffled, with some repeated: in one file, in two that are given, in two of which one extends the other. */
static void check_order(struct generator *generator, const struct profile *profile, const struct meaning *meaning)
{
	for (int way = 0; way < 3; way++) {
		SG_AUTO_BUFFER struct sg_buffer a = SG_BUFFER_INIT, b = SG_BUFFER_INIT;
		struct profile other = *profile;
		struct meaning same;

		for (size_t i = 0; i < profile->count; i++)
			if (generate_below(generator, 4) == 0)
				add(&other, profile->statements[i].kind, profile->statements[i].value);
		shuffle(generator, &other);
		for (size_t i = 0; i < other.count; i++)
			other.statements[i].file = way == 0 ? 0 : (int)generate_below(generator, 2);
		write_file(&other, 0, way == 2 ? "Extends = [\"other\", \"other\"]\n" : "",
			   definitions[0][generate_below(generator, 2)], &a);
		write_file(&other, 1, "", definitions[0][generate_below(generator, 2)], &b);
		compile(&a, way == 0 ? NULL : &b, way == 2, &same);
		assert_same(meaning, &same);
		/* That one extends the other is a statement too, of words. */
		assert_int_equal(meaning->policy->rule_count, same.policy->rule_count - (way == 2 ? 1 : 0));
		meaning_done(&same);
	}
}

static void order_never_matters(void **state)
{
	struct generator generator = {101};

	(void)state;
	for (int i = 0; i < PROFILES; i++) {
		struct profile profile;
		struct meaning meaning;

		generate_profile(&generator, &profile);
		compile_one(&profile, &meaning);
		check_order(&generator, &profile, &meaning);
		meaning_done(&meaning);
	}
}

/* What differs is not the same by chance: the hash, and the name asked for, tell two profiles apart. */
static void what_differs_is_told_apart(void **state)
{
	struct generator generator = {103};
	size_t differing = 0;

	(void)state;
	for (int i = 0; i < PROFILES; i++) {
		struct profile profile;
		struct meaning before, after;
		const struct kind *kind = any_kind(&generator);
		const char *value = any_value(&generator, kind);
		bool there = false;

		generate_profile(&generator, &profile);
		for (size_t j = 0; j < profile.count; j++)
			there |= profile.statements[j].kind->key == kind->key && profile.statements[j].value == value;
		compile_one(&profile, &before);
		add(&profile, kind, value);
		compile_one(&profile, &after);
		if (!there && memcmp(before.policy->hash, after.policy->hash, SG_POLICY_HASH_SIZE) != 0)
			differing++;
		meaning_done(&before);
		meaning_done(&after);
	}
	assert_true(differing > PROFILES / 2);
}

/* --- narrowing --- */

static void generate_path(struct generator *generator, char *out)
{
	static const char *const parts[] = {"/r",   "/w",    "/a",   "/b",     "/c",   "/k",       "/s1",  "/x",
					    "/bin", "/run",  "/h",   "/.git",  "/v",   "/a.c",     "/lib", "/one",
					    "/o",   "/l.so", "/etc", "/hosts", "/tmp", "/home/u/w"};

	out[0] = '\0';
	for (uint32_t left = 1 + generate_below(generator, 4); left > 0; left--)
		strncat(out, parts[generate_below(generator, SG_ARRAY_SIZE(parts))], 16);
	if (generate_below(generator, 4) == 0)
		strncat(out, "/", 2);
}

static size_t check_names(struct generator *generator, struct meaning *more, struct meaning *less)
{
	size_t allowed = 0;

	for (int n = 0; n < NAMES; n++) {
		char name[128];

		generate_path(generator, name);
		for (unsigned int access = 1; access < 16; access++) {
			for (int own = 0; own < 2; own++) {
				struct sg_decision a, b;

				sg_decide(more->policy, more->matcher, name, strlen(name), access, own != 0, &a);
				sg_decide(less->policy, less->matcher, name, strlen(name), access, own != 0, &b);
				if (b.verdict == SG_VERDICT_ALLOW && a.verdict != SG_VERDICT_ALLOW)
					fail_msg("%s, access %u, is allowed: it was not (%s)", name, access, a.reason);
				if (a.verdict == SG_VERDICT_HIDE)
					assert_int_equal(b.verdict, SG_VERDICT_HIDE);
				allowed += a.verdict == SG_VERDICT_ALLOW;
			}
		}
	}
	return allowed;
}

static bool is_open(const struct meaning *meaning, const struct sg_address *address, uint32_t class)
{
	struct sg_address_match match;

	sg_addressset_match(meaning->addresses, address, NULL, 0, NULL, &match);
	return (match.classes & class) != 0 && (match.classes & CLASS_DENY) == 0;
}

static size_t check_addresses(struct generator *generator, const struct meaning *more, const struct meaning *less)
{
	static const uint8_t bytes[][4] = {{10, 1, 2, 3}, {10, 0, 0, 1}, {10, 9, 9, 9},       {127, 0, 0, 1},
					   {8, 8, 8, 8},  {10, 1, 0, 9}, {169, 254, 169, 254}};
	static const uint16_t ports[] = {1, 53, 80, 85, 99, 443, 5432, 8005};
	size_t allowed = 0;

	for (int n = 0; n < NAMES; n++) {
		struct sg_address address;

		sg_address_from_ip(AF_INET, bytes[generate_below(generator, SG_ARRAY_SIZE(bytes))], &address);
		address.port = ports[generate_below(generator, SG_ARRAY_SIZE(ports))];
		address.protocol = generate_below(generator, 2) == 0 ? SG_PROTOCOL_TCP : SG_PROTOCOL_UDP;
		for (uint32_t class = CLASS_ALLOW; class <= CLASS_LISTEN; class *= CLASS_LISTEN / CLASS_ALLOW) {
			allowed += is_open(more, &address, class);
			assert_true(is_open(more, &address, class) || !is_open(less, &address, class));
		}
	}
	return allowed;
}

static uint32_t ask(const struct meaning *meaning, unsigned int number, unsigned int argument, uint64_t value)
{
	struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};

	data.args[argument] = value;
	return sg_filter_simulate(meaning->program.code, meaning->program.count, &data) & SECCOMP_RET_ACTION_FULL;
}

/* Native is more than asked of the supervisor, which is more than refused. */
static int rank(uint32_t action)
{
	return action == SECCOMP_RET_ALLOW ? 2 : action == SECCOMP_RET_USER_NOTIF ? 1 : 0;
}

static void check_call(const struct meaning *more, const struct meaning *less, unsigned int number,
		       unsigned int argument, uint64_t value)
{
	if (rank(ask(less, number, argument, value)) > rank(ask(more, number, argument, value)))
		fail_msg("%s with %#llx as argument %u is allowed: it was not", sg_syscall_by_number(number)->name,
			 (unsigned long long)value, argument);
}

static void check_calls(const struct meaning *more, const struct meaning *less)
{
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++)
		for (unsigned int argument = 0; sg_syscall_by_number(number) != NULL && argument < 3; argument++)
			for (uint64_t bit = 0; bit < 33; bit += argument == 0 ? 33 : 1)
				check_call(more, less, number, argument, bit == 0 ? 0 : UINT64_C(1) << (bit - 1));
	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *list = sg_value_list((enum sg_value_table)table);

		for (size_t i = 0; i < list->count; i++)
			check_call(more, less, list->number, list->argument, list->rows[i].value);
	}
	assert_int_equal(sg_grants_capabilities(less->policy) & ~sg_grants_capabilities(more->policy), 0);
	for (int flag = 0; flag < SG_FLAGS_; flag++)
		if (sg_policy_has_flag(less->policy, sg_flag_name((enum sg_flag)flag)))
			assert_true(sg_policy_has_flag(more->policy, sg_flag_name((enum sg_flag)flag)));
}

static void one_more_denial_never_allows_more(void **state)
{
	struct generator generator = {105};
	size_t names = 0, addresses = 0;

	(void)state;
	for (int i = 0; i < PROFILES; i++) {
		struct profile profile;
		struct meaning before, after;
		const struct kind *kind;

		generate_profile(&generator, &profile);
		compile_one(&profile, &before);
		do
			kind = any_kind(&generator);
		while (kind->effect != DENIES);
		add(&profile, kind, any_value(&generator, kind));
		shuffle(&generator, &profile);
		compile_one(&profile, &after);
		names += check_names(&generator, &before, &after);
		addresses += check_addresses(&generator, &before, &after);
		check_calls(&before, &after);
		meaning_done(&before);
		meaning_done(&after);
	}
	assert_true(names > 10000 && addresses > 200); /* there was something to take away */
}

static void one_fewer_allowance_never_allows_more(void **state)
{
	struct generator generator = {107};
	size_t removed = 0;

	(void)state;
	for (int i = 0; i < PROFILES; i++) {
		struct profile profile;
		struct meaning before, after;
		size_t at;

		generate_profile(&generator, &profile);
		for (at = 0; at < profile.count && profile.statements[at].kind->effect != ALLOWS; at++)
			;
		if (at == profile.count)
			continue;
		compile_one(&profile, &before);
		profile.statements[at] = profile.statements[--profile.count];
		compile_one(&profile, &after);
		(void)check_names(&generator, &before, &after);
		(void)check_addresses(&generator, &before, &after);
		check_calls(&before, &after);
		meaning_done(&before);
		meaning_done(&after);
		removed++;
	}
	assert_true(removed > PROFILES / 2);
}

/* --- deny over allow --- */

static void check_denied_name(const struct meaning *meaning, const struct sg_rule *rule, const char *name,
			      size_t length)
{
	static const struct {
		enum sg_rule_kind kind;
		unsigned int refused;
	} denials[] = {
		{SG_RULE_DENY, 15},
		{SG_RULE_HIDE, 15},
		{SG_RULE_DENY_READ, SG_ACCESS_READ},
		{SG_RULE_DENY_WRITE, SG_ACCESS_WRITE | SG_ACCESS_CHANGE},
		{SG_RULE_DENY_EXECUTE, SG_ACCESS_EXECUTE},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(denials); i++)
		for (unsigned int access = 1; access < 16 && denials[i].kind == rule->kind; access++) {
			struct sg_decision decision;

			if ((access & denials[i].refused) == 0)
				continue;
			for (int own = 0; own < 2; own++) {
				sg_decide(meaning->policy, meaning->matcher, name, length, access, own != 0, &decision);
				if (decision.verdict == SG_VERDICT_ALLOW)
					fail_msg("%s: access %u is allowed, against %s", name, access, rule->text);
			}
		}
}

/* Names that a rule's glob matches: its example, and what is asked of each profile. */
static size_t check_denied_names(struct generator *generator, const struct meaning *meaning, const struct sg_rule *rule)
{
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	SG_AUTO_BUFFER struct sg_buffer example = SG_BUFFER_INIT;
	size_t met = 0;

	assert_int_equal(sg_globset_new(&set), 0);
	assert_int_equal(sg_globset_add(set, rule->glob, 0, 1), 0);
	assert_int_equal(sg_globset_compile(set), 0);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher), 0);
	if (sg_glob_example(rule->glob, &example))
		check_denied_name(meaning, rule, example.data, example.size);
	for (int n = 0; n < NAMES; n++) {
		struct sg_match match;
		char name[128];

		generate_path(generator, name);
		if (sg_matcher_match(matcher, name, strlen(name), &match) < 0 || match.mask == 0)
			continue;
		check_denied_name(meaning, rule, name, strlen(name));
		met++;
	}
	return met;
}

/* Each denial of each profile against what it speaks of. */
static void what_is_denied_is_refused(void **state)
{
	struct generator generator = {111};
	size_t met = 0;

	(void)state;
	for (int i = 0; i < PROFILES; i++) {
		struct profile profile;
		struct meaning meaning;

		generate_profile(&generator, &profile);
		compile_one(&profile, &meaning);
		for (size_t j = 0; j < meaning.policy->rule_count; j++) {
			const struct sg_rule *rule = &meaning.policy->rules[j];

			if (rule->glob != NULL && (SG_NAME_BIT(rule->kind) & SG_NAMES_REFUSE) != 0)
				met += check_denied_names(&generator, &meaning, rule);
			else if (rule->kind == SG_RULE_DENY_SYSCALL)
				assert_int_equal(
					rank(ask(&meaning, sg_syscall_by_name(rule->text, strlen(rule->text))->number,
						 0, 0)),
					0);
			else if (rule->kind == SG_RULE_DENY_CAPABILITY)
				assert_int_equal(
					sg_grants_capabilities(meaning.policy) >> sg_capability_find(rule->text) & 1,
					0);
			else if (rule->kind == SG_RULE_DENY_FLAG)
				assert_false(sg_policy_has_flag(meaning.policy, rule->text));
		}
		meaning_done(&meaning);
	}
	assert_true(met > 1000);
}

/* --- empty --- */

/* Nothing, and what only denies or only records, allows nothing: no name, no address, no call, no capability. */
static void what_allows_nothing_allows_nothing(void **state)
{
	struct generator generator = {109};

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct profile profile, all;
		struct meaning meaning;

		generate_profile(&generator, &all);
		profile.count = 0;
		for (size_t j = 0; i > 0 && j < all.count; j++)
			if (all.statements[j].kind->effect != ALLOWS)
				add(&profile, all.statements[j].kind, all.statements[j].value);
		compile_one(&profile, &meaning);
		for (int n = 0; n < NAMES; n++) {
			struct sg_decision decision;
			char name[128];

			generate_path(&generator, name);
			for (unsigned int access = 1; access < 16; access++) {
				sg_decide(meaning.policy, meaning.matcher, name, strlen(name), access, false,
					  &decision);
				assert_int_not_equal(decision.verdict, SG_VERDICT_ALLOW);
			}
		}
		assert_int_equal(check_addresses(&generator, &meaning, &meaning), 0);
		for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++)
			assert_int_equal(rank(ask(&meaning, number, 0, 0)), 0);
		assert_int_equal(sg_grants_capabilities(meaning.policy), 0);
		meaning_done(&meaning);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_never_matters),
		cmocka_unit_test(what_differs_is_told_apart),
		cmocka_unit_test(one_more_denial_never_allows_more),
		cmocka_unit_test(one_fewer_allowance_never_allows_more),
		cmocka_unit_test(what_is_denied_is_refused),
		cmocka_unit_test(what_allows_nothing_allows_nothing),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
