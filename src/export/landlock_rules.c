#include "export/landlock_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/text.h"
#include "export/places.h"
#include "policy/addresspattern.h"
#include "policy/decide.h"
#include "tables/flags.h"
#include "world/grants.h"

enum {
	COMPARED_MAX =
		4000000, /* bytes of globs that are held against places, for one policy; beyond, each is taken to meet */
	PORTS_MAX = 1024, /* that are listed one by one */
};

#define BIT(right) (1U << SG_LANDLOCK_##right)

enum {
	READS = BIT(READ_FILE) | BIT(READ_DIR),
	/* Of what may be written; links, FIFOs and sockets only with their calls. */
	WRITES = BIT(WRITE_FILE) | BIT(TRUNCATE) | BIT(REMOVE_DIR) | BIT(REMOVE_FILE) | BIT(MAKE_DIR) | BIT(MAKE_REG) |
		 BIT(MAKE_SYM) | BIT(MAKE_FIFO) | BIT(MAKE_SOCK) | BIT(REFER),
};

#define FOLDER "names in a folder are not told apart: the whole folder is given"
#define ALONE "a file by itself is not removed, renamed or made"
#define OF_THE_HOST "it is the host's own, where a session has one that is the world's and empty at its start"
#define FIRST_PROCESS "it is that of the first process only"
#define NO_FOLDER "no folder is made: what no other rule names below it is refused"
#define NO_TEXT "its name is not text (UTF-8), and is left out"
#define NO_REFUSALS "Landlock has no refusals within what is given"
#define ATTRIBUTES "modes, owners, times and extended attributes are not looked at"
#define SHOWN "the name shows, and what stat tells of it"
#define MAPPED "what may be read may be mapped as code, by a program's loader too"
#define NO_ADDRESSES "of sockets only the ports of TCP are looked at"
#define ANY_PORT "more ports than are listed: all are open"
#define FIRST_DATA "data that is sent with the connection (MSG_FASTOPEN), and MPTCP, are not looked at"
#define PORT_ALONE "of TCP the port alone counts, whatever the host, and nothing else is looked at"

static const struct sg_hold holds = {SG_HOLDS, NULL};

/* What refuses, what of a place it speaks of, how it holds where nothing is given, and what leads to it in another way. */
static const struct {
	unsigned int rights;
	struct sg_hold hold;
	unsigned int other_way;
	const char *how;
} refusals[SG_RULE_KINDS] = {
	[SG_RULE_DENY] = {~0U, {SG_HOLDS_PARTLY, ATTRIBUTES}, 0, NULL},
	[SG_RULE_HIDE] = {~0U, {SG_HOLDS_PARTLY, SHOWN}, 0, NULL},
	[SG_RULE_DENY_READ] = {READS, {SG_HOLDS_PARTLY, ATTRIBUTES}, 0, NULL},
	[SG_RULE_DENY_WRITE] = {WRITES, {SG_HOLDS_PARTLY, ATTRIBUTES}, 0, NULL},
	[SG_RULE_DENY_EXECUTE] = {BIT(EXECUTE), {SG_HOLDS, NULL}, BIT(READ_FILE), MAPPED},
};

static const struct {
	const char *path;
	unsigned int rights;
} every_world[] = {
	{"/dev/null", BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(TRUNCATE)},
	{"/dev/zero", BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(TRUNCATE)},
	{"/dev/full", BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(TRUNCATE)},
	{"/dev/tty", BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(TRUNCATE) | BIT(IOCTL_DEV)},
	{"/dev/random", BIT(READ_FILE)},
	{"/dev/urandom", BIT(READ_FILE)},
};

/* What a world has of its own; Landlock gives the host's. */
static const struct {
	const char *folder, *how;
} own_places[] = {
	{"/dev/shm/", OF_THE_HOST},
	{"/dev/pts/", OF_THE_HOST},
	{"/proc/self/", FIRST_PROCESS},
	{"/proc/thread-self/", FIRST_PROCESS},
};

struct finder {
	const struct sg_policy *policy;
	struct sg_landlock_rules *rules;
	unsigned int possible; /* rights whose calls some flag gives */
	size_t budget;
	int status; /* the first error */
};

static void hold(struct finder *finder, const struct sg_rule *rule, enum sg_holding holding, const char *how)
{
	struct sg_hold *at = &finder->rules->holds[rule - finder->policy->rules];

	if (holding < at->holding)
		*at = (struct sg_hold){holding, how};
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool is_folder(const char *path)
{
	return path[strlen(path) - 1] == '/';
}

/* --- what is given --- */

static void add_place(struct finder *finder, const char *path, unsigned int rights)
{
	struct sg_landlock_rules *rules = finder->rules;
	char *copy;

	if (!is_folder(path)) {
#define SG_LANDLOCK_RIGHT(id, name, file) rights &= (file) ? ~0U : ~BIT(id);
#include "export/landlock_rights.def"
#undef SG_LANDLOCK_RIGHT
	}
	if (rights == 0 || finder->status < 0)
		return;
	if (rules->count == SG_PLACES_MAX) {
		finder->status = -E2BIG;
		return;
	}
	if (rules->count == rules->capacity) {
		const size_t capacity = rules->capacity > 0 ? 2 * rules->capacity : 128;
		struct sg_landlock_place *grown = reallocarray(rules->places, capacity, sizeof(*grown));

		if (grown == NULL) {
			finder->status = -ENOMEM;
			return;
		}
		rules->places = grown;
		rules->capacity = capacity;
	}
	copy = strdup(path);
	if (copy == NULL)
		finder->status = -ENOMEM;
	else
		rules->places[rules->count++] = (struct sg_landlock_place){copy, rights};
}

static unsigned int rights_of(const struct finder *finder, const struct sg_rule *rule)
{
	unsigned int rights = READS;

	if (rule->kind == SG_RULE_EXECUTE)
		rights |= BIT(EXECUTE);
	if (rule->kind == SG_RULE_WRITE || rule->kind == SG_RULE_PRIVATE)
		rights |= WRITES & finder->possible;
	return rights;
}

/* One name that a rule gives, or a folder over which its wildcards range. */
static void give(struct finder *finder, const struct sg_rule *rule, const char *path, unsigned int rights)
{
	if (!sg_text_is_utf8(path, strlen(path))) {
		hold(finder, rule, SG_HOLDS_STRICTER, NO_TEXT);
		return;
	}
	if (starts_with(path, "/dev/"))
		rights |= BIT(IOCTL_DEV);
	for (size_t i = 0; i < SG_ARRAY_SIZE(own_places); i++)
		if (starts_with(path, own_places[i].folder) || starts_with(own_places[i].folder, path))
			hold(finder, rule, SG_HOLDS_PARTLY, own_places[i].how);
	if (rule->kind == SG_RULE_WRITE && !is_folder(path) && !starts_with(path, "/dev/"))
		hold(finder, rule, SG_HOLDS_STRICTER, ALONE);
	add_place(finder, path, rights);
}

static void give_private(struct finder *finder, const struct sg_rule *rule)
{
	const char *folder = sg_glob_prefix(rule->glob, &(size_t){0});

	if (strcmp(folder, "/tmp/") != 0 && strcmp(folder, "/var/tmp/") != 0) {
		hold(finder, rule, SG_HOLDS_STRICTER, NO_FOLDER);
		return;
	}
	hold(finder, rule, SG_HOLDS_PARTLY, OF_THE_HOST);
	add_place(finder, folder, rights_of(finder, rule));
}

static void give_rule(struct finder *finder, const struct sg_rule *rule)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	unsigned int rights = rights_of(finder, rule);
	int status;

	if (sg_glob_is_tree(rule->glob)) {
		give(finder, rule, sg_glob_prefix(rule->glob, &(size_t){0}), rights);
		return;
	}
	/* A folder's own name: its listing, and that of the folders in it. */
	if (!sg_glob_may_match_file(rule->glob))
		rights = BIT(READ_DIR);
	status = sg_glob_expand(rule->glob, SG_GLOB_NAMES_MAX, &names);
	if (status > 0) {
		status = sg_glob_folders(rule->glob, SG_GLOB_NAMES_MAX, &names);
		hold(finder, rule, SG_HOLDS_PARTLY, FOLDER);
	}
	if (status < 0)
		finder->status = status;
	for (size_t i = 0; i < names.count && finder->status == 0; i++) {
		if (is_folder(names.names[i]))
			hold(finder, rule, SG_HOLDS_PARTLY, FOLDER);
		give(finder, rule, names.names[i], rights);
	}
}

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct sg_landlock_place *)a)->path, ((const struct sg_landlock_place *)b)->path);
}

static void settle_places(struct sg_landlock_rules *rules)
{
	size_t kept = 0;

	qsort(rules->places, rules->count, sizeof(*rules->places), compare_places);
	for (size_t i = 1; i < rules->count; i++) {
		if (strcmp(rules->places[kept].path, rules->places[i].path) == 0) {
			rules->places[kept].rights |= rules->places[i].rights;
			free(rules->places[i].path);
		} else {
			rules->places[++kept] = rules->places[i];
		}
	}
	rules->count = rules->count > 0 ? kept + 1 : 0;
}

/* --- what is refused --- */

/* Whether the glob could speak of something in the place. Returns 0, 1, or -ENOMEM. */
static int may_meet(struct finder *finder, const struct sg_glob *glob, const struct sg_landlock_place *place)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_GLOB struct sg_glob *area = NULL;
	const size_t path_length = strlen(place->path);
	size_t length, whole;
	const char *prefix = sg_glob_prefix(glob, &length);
	int status;

	if (memcmp(prefix, place->path, length < path_length ? length : path_length) != 0)
		return 0;
	if (is_folder(place->path) && length >= path_length)
		return 1;
	(void)sg_glob_text(glob, &whole);
	if (finder->budget < whole)
		return 1;
	finder->budget -= whole;
	sg_glob_quote(&text, place->path, path_length);
	if (is_folder(place->path))
		sg_buffer_append_text(&text, "{,**}");
	if (sg_buffer_status(&text) < 0)
		return -ENOMEM;
	status = sg_glob_parse(text.data, text.size, NULL, &area);
	if (status == 0)
		status = sg_glob_overlaps(glob, area);
	return status < 0 ? -ENOMEM : status != SG_GLOB_NO;
}

/* By either name of a folder that has two: which of them the host has as a link is not known. */
static bool may_refuse(struct finder *finder, const struct sg_glob *glob, const struct sg_glob *twin,
		       const struct sg_landlock_place *place)
{
	int met = may_meet(finder, glob, place);

	if (met == 0 && twin != NULL)
		met = may_meet(finder, twin, place);
	if (met < 0)
		finder->status = met;
	return met > 0;
}

static void judge_refusal(struct finder *finder, const struct sg_rule *rule)
{
	const unsigned int rights = refusals[rule->kind].rights, other_way = refusals[rule->kind].other_way;
	SG_AUTO_GLOB struct sg_glob *twin = NULL;
	const int any = sg_places_find_twin(rule->glob, &twin);

	if (any < 0)
		finder->status = any;
	finder->rules->holds[rule - finder->policy->rules] = refusals[rule->kind].hold;
	for (size_t i = 0; i < finder->rules->count && finder->status == 0; i++) {
		const struct sg_landlock_place *place = &finder->rules->places[i];

		if ((place->rights & (rights | other_way)) == 0 ||
		    (any == 0 && !may_refuse(finder, rule->glob, twin, place)))
			continue;
		if ((place->rights & rights) == 0) {
			hold(finder, rule, SG_HOLDS_PARTLY, refusals[rule->kind].how);
			continue;
		}
		hold(finder, rule, SG_HOLDS_NOT, NO_REFUSALS);
		return;
	}
}

/* --- ports --- */

static bool has_port(const struct sg_landlock_ports *ports, unsigned int port)
{
	return (ports->set[port / 64] >> port % 64 & 1) != 0;
}

static void add_ports(struct sg_landlock_ports *ports, const struct sg_addresspattern *pattern)
{
	for (size_t i = 0; (pattern->protocols & SG_PROTOCOL_TCP) != 0 && i < pattern->port_count; i++)
		for (unsigned int port = pattern->ports[i].low; port <= pattern->ports[i].high; port++) {
			ports->count += !has_port(ports, port);
			ports->set[port / 64] |= UINT64_C(1) << port % 64;
		}
}

static void find_ports(struct finder *finder, enum sg_rule_kind kind, struct sg_landlock_ports *ret)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(finder->policy, kind, &count);

	for (size_t i = 0; i < count; i++)
		add_ports(ret, rules[i].address);
	ret->handled = ret->count <= PORTS_MAX;
}

static bool meets_ports(const struct sg_addresspattern *pattern, const struct sg_landlock_ports *ports)
{
	for (size_t i = 0; i < pattern->port_count; i++)
		for (unsigned int port = pattern->ports[i].low; port <= pattern->ports[i].high; port++)
			if (has_port(ports, port))
				return true;
	return false;
}

static struct sg_hold judge_address(const struct finder *finder, const struct sg_rule *rule)
{
	const struct sg_landlock_ports *connect = &finder->rules->connect, *bind = &finder->rules->bind;
	const struct sg_landlock_ports *ports = rule->kind == SG_RULE_LISTEN ? bind : connect;
	const struct sg_addresspattern *pattern = rule->address;

	if ((pattern->protocols & SG_PROTOCOL_TCP) == 0)
		return (struct sg_hold){SG_HOLDS_NOT, NO_ADDRESSES};
	if (rule->kind == SG_RULE_DENY_ADDRESS) {
		if (pattern->protocols != SG_PROTOCOL_TCP)
			return (struct sg_hold){SG_HOLDS_NOT, NO_ADDRESSES};
		if (!connect->handled || !bind->handled || meets_ports(pattern, connect) || meets_ports(pattern, bind))
			return (struct sg_hold){SG_HOLDS_NOT, NO_REFUSALS};
		return (struct sg_hold){SG_HOLDS_PARTLY, FIRST_DATA};
	}
	if (!ports->handled)
		return (struct sg_hold){SG_HOLDS_NOT, ANY_PORT};
	if (pattern->protocols == SG_PROTOCOL_TCP && pattern->kind == SG_HOST_ANY)
		return holds;
	return (struct sg_hold){SG_HOLDS_PARTLY, PORT_ALONE};
}

/* --- all together --- */

static unsigned int find_possible(const struct sg_policy *policy)
{
	struct sg_filter_grants grants;
	unsigned int possible = ~0U;

	sg_grants_find(policy, &grants);
	if (!sg_syscall_set_has(&grants.calls, SYS_symlink) && !sg_syscall_set_has(&grants.calls, SYS_symlinkat))
		possible &= ~BIT(MAKE_SYM);
	if (!sg_syscall_set_has(&grants.calls, SYS_mknod) && !sg_syscall_set_has(&grants.calls, SYS_mknodat)) {
		possible &= ~BIT(MAKE_FIFO);
		if (!sg_flag_set_has(&grants.flags, SG_FLAG_UNIX))
			possible &= ~BIT(MAKE_SOCK);
	}
	return possible;
}

static void find_files(struct finder *finder)
{
	const struct sg_policy *policy = finder->policy;

	for (size_t i = 0; i < SG_ARRAY_SIZE(every_world); i++)
		add_place(finder, every_world[i].path, every_world[i].rights);
	for (size_t i = 0; i < policy->rule_count && finder->status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (rule->glob == NULL)
			continue;
		finder->rules->holds[i] = holds;
		if (rule->kind == SG_RULE_PRIVATE)
			give_private(finder, rule);
		else if ((SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) != 0)
			give_rule(finder, rule);
	}
	settle_places(finder->rules);
	for (size_t i = 0; i < policy->rule_count && finder->status == 0; i++)
		if (refusals[policy->rules[i].kind].rights != 0)
			judge_refusal(finder, &policy->rules[i]);
}

int sg_landlock_rules_find(const struct sg_policy *policy, struct sg_landlock_rules *ret)
{
	struct finder finder = {.policy = policy, .rules = ret, .budget = COMPARED_MAX};

	*ret = (struct sg_landlock_rules){.holds = calloc(policy->rule_count + 1, sizeof(*ret->holds))};
	if (ret->holds == NULL)
		return -ENOMEM;
	finder.possible = find_possible(policy);
	find_files(&finder);
	find_ports(&finder, SG_RULE_ALLOW, &ret->connect);
	find_ports(&finder, SG_RULE_LISTEN, &ret->bind);
	/* A free port of the host's, whichever it is. */
	ret->bind.handled = ret->bind.handled && !sg_policy_has_flag(policy, "incoming");
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].address != NULL)
			ret->holds[i] = judge_address(&finder, &policy->rules[i]);
	return finder.status;
}

void sg_landlock_rules_done(struct sg_landlock_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		free(rules->places[i].path);
	free(rules->places);
	free(rules->holds);
	*rules = (struct sg_landlock_rules){0};
}
