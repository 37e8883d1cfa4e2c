#include "export/mounting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "policy/addresspattern.h"
#include "world/grants.h"

const char *const sg_mounting_devices[] = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
					   "/dev/urandom", "/dev/tty",  NULL};

static const struct sg_hold holds = {SG_HOLDS, NULL};

static struct sg_hold partly(const char *how)
{
	return (struct sg_hold){SG_HOLDS_PARTLY, how};
}

static struct sg_hold stricter(const char *how)
{
	return (struct sg_hold){SG_HOLDS_STRICTER, how};
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* --- what gives --- */

/* /proc and /dev of the program's own. */
static struct sg_hold judge_own(const struct sg_mounting *mounting, const struct sg_export *with, const char *name)
{
	if (starts_with(name, "/proc/self/") || starts_with(name, "/proc/thread-self/"))
		return holds;
	if (starts_with(name, "/proc/"))
		return sg_policy_has_flag(with->policy, "sysinfo")
			       ? holds
			       : stricter("its /proc shows processes and nothing of the machine");
	for (size_t i = 0; sg_mounting_devices[i] != NULL; i++)
		if (strcmp(sg_mounting_devices[i], name) == 0)
			return holds;
	if (sg_policy_has_flag(with->policy, "tty") &&
	    (starts_with(name, "/dev/pts/") || strcmp(name, "/dev/ptmx") == 0))
		return mounting->terminals == NULL ? holds : stricter(mounting->terminals);
	if (sg_policy_has_flag(with->policy, "shared-memory") && starts_with(name, "/dev/shm/"))
		return holds;
	return stricter("a device of the host is not given");
}

/* One name of a rule, or a folder over which its wildcards range. */
static struct sg_hold judge_place(const struct sg_mounting *mounting, const struct sg_export *with,
				  const struct sg_rule *rule, const char *name)
{
	const struct sg_place *place = sg_places_around(with->places, name);
	const bool named = sg_glob_is_literal(rule->glob) || sg_glob_is_tree(rule->glob);
	uint64_t given;

	if (place == NULL)
		return stricter("the listing and the attributes of one folder are not given");
	if (place->optional && mounting->optional != NULL)
		return stricter(mounting->optional);
	given = sg_places_given(with->places, place);
	if (rule->kind == SG_RULE_MAP && (given & SG_NAME_BIT(SG_RULE_EXECUTE)) == 0 && !place->private)
		return partly("what may be mapped as code may be executed, too");
	if (rule->kind == SG_RULE_WRITE && !place->folder)
		return stricter("a file that is mounted by itself is not removed, renamed or made");
	if (named || place->private || (given & SG_NAME_BIT(rule->kind)) != 0 ||
	    (rule->kind == SG_RULE_READ && place->whole))
		return holds;
	return partly("names in a folder are not told apart: the whole folder is given");
}

static int find_names(const struct sg_glob *glob, struct sg_glob_names *ret)
{
	const int status = sg_places_names(glob, ret);

	return status == SG_GLOB_NOT_LITERAL ? sg_glob_folders(glob, SG_GLOB_NAMES_MAX, ret) : status;
}

static struct sg_hold judge_giving(const struct sg_mounting *mounting, const struct sg_export *with,
				   const struct sg_rule *rule)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	const char *prefix = sg_glob_prefix(rule->glob, &(size_t){0});
	struct sg_hold worst = holds;

	if (rule->kind == SG_RULE_PRIVATE)
		return holds;
	if (sg_places_is_own(prefix))
		return judge_own(mounting, with, prefix);
	if (find_names(rule->glob, &names) < 0)
		return (struct sg_hold){SG_HOLDS_NOT, "it cannot be judged"};
	if (names.count == 0)
		return judge_place(mounting, with, rule, prefix);
	for (size_t i = 0; i < names.count; i++) {
		char *name = names.names[i];
		const size_t length = strlen(name);
		struct sg_hold one;

		if (length > 1 && name[length - 1] == '/')
			name[length - 1] = '\0';
		one = judge_place(mounting, with, rule, name);
		if (one.holding < worst.holding)
			worst = one;
	}
	return worst;
}

/* --- what refuses --- */

/* Where a refusal could speak of something. */
struct met {
	bool host, writable, code; /* files of the host; in folders that may be written; with code */
	bool private, private_code;
};

static void note(void *data, const struct sg_place *place)
{
	struct met *met = data;

	if (place->private) {
		met->private = true;
		met->private_code |= place->execute;
		return;
	}
	met->host = true;
	met->writable |= place->write;
	met->code |= place->execute;
}

static struct met meet(const struct sg_export *with, const struct sg_rule *rule)
{
	SG_AUTO_GLOB struct sg_glob *twin = NULL;
	const char *prefix = sg_glob_prefix(rule->glob, &(size_t){0});
	const bool wide = sg_places_find_twin(rule->glob, &twin) != 0;
	struct met met = {0};

	for (size_t i = 0; i < with->places->count && wide; i++)
		note(&met, &with->places->places[i]);
	if (!wide)
		sg_places_meet(with->places, rule->glob, note, &met);
	if (!wide && twin != NULL)
		sg_places_meet(with->places, twin, note, &met);
	if (sg_places_is_own(prefix))
		met.host = met.writable = true;
	return met;
}

static struct sg_hold judge_refusing(const struct sg_mounting *mounting, const struct sg_export *with,
				     const struct sg_rule *rule)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	const struct met met = meet(with, rule);
	const bool of_code = rule->kind == SG_RULE_DENY_EXECUTE, of_writing = rule->kind == SG_RULE_DENY_WRITE;
	const bool host = of_code ? met.code : of_writing ? met.writable : met.host;
	const bool private = of_code ? met.private_code : met.private;

	if (!host && !private)
		return holds;
	if (sg_places_names(rule->glob, &names) != 0)
		return (struct sg_hold){SG_HOLDS_NOT, "a mount stands over one name, not over what wildcards match"};
	if (!host)
		return partly("the name may be made, and used, in a private folder");
	if (of_code && mounting->no_code == NULL)
		return (struct sg_hold){SG_HOLDS_NOT, "a mount has code or has none, whatever the name"};
	return partly(of_code                      ? mounting->no_code
		      : of_writing                 ? mounting->no_write
		      : rule->kind == SG_RULE_HIDE ? mounting->hidden
						   : mounting->covered);
}

struct sg_hold sg_mounting_judge(const struct sg_mounting *mounting, const struct sg_export *with,
				 const struct sg_rule *rule)
{
	const uint64_t bit = SG_NAME_BIT(rule->kind);

	if (rule->kind == SG_RULE_LOG_READ || rule->kind == SG_RULE_LOG_WRITE)
		return (struct sg_hold){SG_HOLDS_NOT, "nothing is recorded"};
	if (rule->glob == NULL)
		return (struct sg_hold){SG_HOLDS_NOT, "it is no rule about files"};
	if ((bit & SG_NAMES_REFUSE) != 0)
		return judge_refusing(mounting, with, rule);
	if ((bit & SG_NAMES_ALLOW) != 0 || rule->kind == SG_RULE_PRIVATE)
		return judge_giving(mounting, with, rule);
	return (struct sg_hold){SG_HOLDS_NOT, "it is no rule about files"};
}

bool sg_mounting_has_host_folders(const struct sg_places *places)
{
	for (size_t i = 0; i < places->count; i++)
		if (!places->places[i].private && places->places[i].folder)
			return true;
	return false;
}

static struct sg_hold judge_files(const struct sg_export *with)
{
	if (!sg_mounting_has_host_folders(with->places))
		return holds;
	for (size_t i = 0; i < with->places->count; i++)
		if (with->places->places[i].folder && !with->places->places[i].whole)
			return partly("a folder in which rules name files by wildcards is given as a whole");
	return partly("FIFOs of the host lie in folders that are given, and what only root may read is open "
		      "to a program that runs as root");
}

static struct sg_hold judge_programs(const struct sg_export *with)
{
	struct sg_filter_grants grants;

	for (size_t i = 0; i < with->places->count; i++) {
		const struct sg_place *place = &with->places->places[i];

		if (place->execute && (sg_places_given(with->places, place) & SG_NAME_BIT(SG_RULE_EXECUTE)) == 0)
			return partly("a mount with code is whole: all of it may be executed, libraries too");
	}
	sg_grants_find(with->policy, &grants);
	if (sg_syscall_set_has(&grants.calls, SYS_memfd_create))
		return partly("a program made in memory (memfd_create) lies under no mount");
	return holds;
}

struct sg_hold sg_mounting_judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	return rest == SG_REST_FILES ? judge_files(with) : judge_programs(with);
}

static int add_covers(const struct sg_export *with, const struct sg_rule *rule,
		      int (*add)(void *data, const char *name), void *data)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	const struct met met = meet(with, rule);
	int status;

	if (!met.host || (rule->kind == SG_RULE_DENY_WRITE && !met.writable) ||
	    (rule->kind == SG_RULE_DENY_EXECUTE && !met.code))
		return 0;
	status = sg_places_names(rule->glob, &names);
	if (status != 0)
		return status == SG_GLOB_NOT_LITERAL ? 0 : status;
	for (size_t i = 0; i < names.count && status == 0; i++) {
		SG_AUTO_BUFFER struct sg_buffer twin = SG_BUFFER_INIT;

		status = add(data, names.names[i]);
		if (status == 0 && sg_places_twin(names.names[i], &twin))
			status = sg_buffer_status(&twin) < 0 ? -ENOMEM : add(data, twin.data);
	}
	return status;
}

int sg_mounting_covers(const struct sg_export *with, uint64_t kinds, int (*add)(void *data, const char *name),
		       void *data)
{
	const struct sg_policy *policy = with->policy;
	int status = 0;

	for (size_t i = 0; i < policy->rule_count && status == 0; i++)
		if (policy->rules[i].glob != NULL && (SG_NAME_BIT(policy->rules[i].kind) & kinds) != 0)
			status = add_covers(with, &policy->rules[i], add, data);
	return status;
}

/* --- addresses --- */

bool sg_mounting_is_unix(const struct sg_rule *rule)
{
	return rule->address->kind == SG_HOST_UNIX_PATH || rule->address->kind == SG_HOST_UNIX_ABSTRACT;
}

bool sg_mounting_names_outside(const struct sg_policy *policy)
{
	static const enum sg_rule_kind kinds[] = {SG_RULE_ALLOW, SG_RULE_LISTEN};

	/* Ports of the host, without a rule that names them. */
	if (sg_policy_has_flag(policy, "incoming"))
		return true;
	for (size_t i = 0; i < SG_ARRAY_SIZE(kinds); i++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(policy, kinds[i], &count);

		for (size_t j = 0; j < count; j++)
			if (!sg_mounting_is_unix(&rules[j]))
				return true;
	}
	return false;
}

/* The place in which the sockets lie that the rule names. */
static const struct sg_place *place_of_sockets(const struct sg_export *with, const struct sg_rule *rule)
{
	SG_AUTO_FREE char *name = NULL;
	char *slash;

	if (rule->glob == NULL)
		return NULL;
	name = strdup(sg_glob_prefix(rule->glob, &(size_t){0}));
	slash = name == NULL || sg_glob_is_literal(rule->glob) ? NULL : strrchr(name, '/');
	if (slash != NULL)
		*(slash == name ? slash + 1 : slash) = '\0';
	return name == NULL ? NULL : sg_places_around(with->places, name);
}

struct sg_hold sg_mounting_judge_unix(const struct sg_mounting *mounting, const struct sg_export *with,
				      const struct sg_rule *rule)
{
	const struct sg_place *place = place_of_sockets(with, rule);

	if (rule->kind == SG_RULE_DENY_ADDRESS) {
		const struct met met = rule->glob != NULL ? meet(with, rule) : (struct met){0};

		return met.host || met.private
			       ? (struct sg_hold){SG_HOLDS_NOT, "a socket that is there may be connected to"}
			       : holds;
	}
	if (place == NULL || (place->optional && mounting->optional != NULL))
		return stricter("the socket is left out, to be mounted by hand");
	return holds;
}
