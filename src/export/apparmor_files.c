#include "export/apparmor_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "export/apparmor_above.h"
#include "export/apparmor_world.h"
#include "export/places.h"
#include "policy/decide.h"
#include "tables/flags.h"
#include "tables/syscalls.h"
#include "world/grants.h"

enum { COMPARISONS_MAX = 200000 /* pairs of globs that are compared for LogOnRead and LogOnWrite */ };

#define OF_THE_HOST "it is the host's own, where a session has one that is the world's and empty at its start"
#define NO_FOLDER "no folder is made: what no other rule names below it is refused"
#define READERS "/proc/self stands for every process of the same user"
#define ATTRIBUTES "times and extended attributes are not looked at, nor a second hard link that was there before"
#define SHOWN "the name shows, and what stat tells of it"
#define INTERPRETER "as the interpreter of a script or a program it is not asked about"
#define MOVED "a folder above it that may be written can be renamed, and takes it to a name that is not refused"
#define MOVES "a folder that it names may be renamed, and takes what is in it to where other rules hold"
#define TOO_MANY "it has too many alternatives for AppArmor's language, and is left out"

/* The permissions of each kind of rule, and how it is held where nothing special is found. */
static const struct {
	unsigned int permissions;
	struct sg_hold hold;
} kinds[SG_RULE_KINDS] = {
	[SG_RULE_READ] = {SG_APPARMOR_READ | SG_APPARMOR_LOCK, {SG_HOLDS, NULL}},
	[SG_RULE_WRITE] = {SG_APPARMOR_READ | SG_APPARMOR_WRITE | SG_APPARMOR_LOCK | SG_APPARMOR_LINK,
			   {SG_HOLDS, NULL}},
	[SG_RULE_EXECUTE] = {SG_APPARMOR_MAP | SG_APPARMOR_READ | SG_APPARMOR_LOCK | SG_APPARMOR_EXECUTE,
			     {SG_HOLDS, NULL}},
	[SG_RULE_MAP] = {SG_APPARMOR_MAP | SG_APPARMOR_READ | SG_APPARMOR_LOCK, {SG_HOLDS, NULL}},
	[SG_RULE_PRIVATE] = {SG_APPARMOR_READ | SG_APPARMOR_WRITE | SG_APPARMOR_LOCK | SG_APPARMOR_LINK,
			     {SG_HOLDS_STRICTER, NO_FOLDER}},
	[SG_RULE_DENY] = {SG_APPARMOR_MAP | SG_APPARMOR_READ | SG_APPARMOR_WRITE | SG_APPARMOR_LOCK | SG_APPARMOR_LINK |
				  SG_APPARMOR_EXECUTE,
			  {SG_HOLDS_PARTLY, ATTRIBUTES}},
	[SG_RULE_HIDE] = {SG_APPARMOR_MAP | SG_APPARMOR_READ | SG_APPARMOR_WRITE | SG_APPARMOR_LOCK | SG_APPARMOR_LINK |
				  SG_APPARMOR_EXECUTE,
			  {SG_HOLDS_PARTLY, SHOWN}},
	[SG_RULE_DENY_READ] = {SG_APPARMOR_READ, {SG_HOLDS_PARTLY, ATTRIBUTES}},
	[SG_RULE_DENY_WRITE] = {SG_APPARMOR_WRITE | SG_APPARMOR_LINK, {SG_HOLDS_PARTLY, ATTRIBUTES}},
	[SG_RULE_DENY_EXECUTE] = {SG_APPARMOR_EXECUTE, {SG_HOLDS_PARTLY, INTERPRETER}},
	[SG_RULE_LOG_READ] = {SG_APPARMOR_READ | SG_APPARMOR_MAP | SG_APPARMOR_EXECUTE, {SG_HOLDS, NULL}},
	[SG_RULE_LOG_WRITE] = {SG_APPARMOR_WRITE | SG_APPARMOR_LINK, {SG_HOLDS, NULL}},
};

/*
 * What a world has of its own, and a profile of AppArmor gives of the host. /tmp and /var/tmp are its own where Private names them; the
 * files of its user in them are what comes next to that. No other folder is given for a Private one: it might be a home.
 */
static const struct {
	const char *glob;
	bool owner;      /* files of the process's own user are what comes next to it */
	const char *how; /* NULL: only where Private names it */
} own_places[] = {
	{"/tmp/**", true, NULL},
	{"/var/tmp/**", true, NULL},
	{"/dev/shm/**", true, OF_THE_HOST},
	{"/dev/pts/**", false, OF_THE_HOST},
	{"/proc/[0-9]*/**", true, READERS},
};

/* What every world has. Refusals stand over it as over all else. */
static const struct {
	const char *path;
	unsigned int permissions;
} every_world[] = {
	{"/dev/null", SG_APPARMOR_READ | SG_APPARMOR_WRITE},
	{"/dev/zero", SG_APPARMOR_READ | SG_APPARMOR_WRITE},
	{"/dev/full", SG_APPARMOR_READ | SG_APPARMOR_WRITE},
	{"/dev/tty", SG_APPARMOR_READ | SG_APPARMOR_WRITE},
	{"/dev/random", SG_APPARMOR_READ},
	{"/dev/urandom", SG_APPARMOR_READ},
};

enum { TWINS_MAX = 100000 };

struct composer {
	const struct sg_policy *policy;
	const struct sg_plan *plan; /* of the session whose world is meant; NULL: a host that is not known */
	struct sg_apparmor_files *files;
	struct sg_above *above;        /* owned; which folders may be renamed */
	unsigned int possible;         /* permissions that some flag gives */
	const struct sg_rule *current; /* the one that lines are made of */
	size_t twins;                  /* lines for other names of folders */
	int status;                    /* the first error */
};

static bool is_refusal(enum sg_rule_kind kind)
{
	return (SG_NAME_BIT(kind) & SG_NAMES_REFUSE) != 0;
}

static bool is_grant(enum sg_rule_kind kind)
{
	return (SG_NAME_BIT(kind) & SG_NAMES_ALLOW) != 0 || kind == SG_RULE_PRIVATE;
}

static void hold(struct composer *composer, const struct sg_rule *rule, enum sg_holding holding, const char *how)
{
	struct sg_hold *at;

	if (rule == NULL || composer->plan != NULL) /* what every world has; a session judges nothing here */
		return;
	at = &composer->files->holds[rule - composer->policy->rules];
	if (holding <= at->holding)
		*at = (struct sg_hold){holding, how};
}

static struct sg_apparmor_line *grow(struct sg_apparmor_files *files)
{
	if (files->count == files->capacity) {
		const size_t capacity = files->capacity > 0 ? 2 * files->capacity : 256;
		struct sg_apparmor_line *grown = reallocarray(files->lines, capacity, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		files->lines = grown;
		files->capacity = capacity;
	}
	return &files->lines[files->count++];
}

/*
 * Adds a line for a glob. Takes `made`, which is the glob or NULL. Returns 0, SG_GLOB_TOO_MANY where the language cannot hold it, or
 * -ENOMEM.
 */
static int add_line(struct sg_apparmor_files *files, const struct sg_glob *glob, struct sg_glob *made,
		    const struct sg_apparmor_line *like)
{
	SG_AUTO_GLOB struct sg_glob *owned = made;
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	struct sg_apparmor_line *line;
	const int status = sg_glob_to_apparmor(glob, &path);

	if (status != 0)
		return status;
	line = grow(files);
	if (line == NULL)
		return -ENOMEM;
	*line = *like;
	line->of = glob;
	line->made = sg_take_pointer(owned);
	line->path = sg_buffer_take(&path);
	return line->path != NULL ? 0 : -ENOMEM;
}

/* The same for a rule, which is judged where the language cannot hold it. */
static void add_glob(struct composer *composer, const struct sg_rule *rule, const struct sg_glob *glob,
		     struct sg_glob *made, const struct sg_apparmor_line *like)
{
	const int status = add_line(composer->files, glob, made, like);

	if (status == SG_GLOB_TOO_MANY && (like->deny || composer->plan != NULL))
		composer->files->unwritable = composer->current;
	else if (status == SG_GLOB_TOO_MANY)
		hold(composer, rule, SG_HOLDS_STRICTER, TOO_MANY);
	else if (status < 0)
		composer->status = status;
}

static void add_text(struct composer *composer, const struct sg_rule *rule, const char *text, size_t length,
		     const struct sg_apparmor_line *like)
{
	struct sg_glob *glob = NULL;
	const int status = sg_glob_parse(text, length, NULL, &glob);

	if (status < 0)
		composer->status = status;
	else
		add_glob(composer, rule, glob, glob, like);
}

/* A name as it is, and what may follow it. */
static void add_name(struct composer *composer, const struct sg_rule *rule, const char *name, const char *then,
		     const struct sg_apparmor_line *like)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	sg_glob_quote(&text, name, strlen(name));
	sg_buffer_append_text(&text, then);
	if (sg_buffer_status(&text) < 0)
		composer->status = -ENOMEM;
	else
		add_text(composer, rule, text.data, text.size, like);
}

/* What an allow shows beside what it names: the folder of a tree, and those that wildcards range over. */
static void add_shown(struct composer *composer, const struct sg_rule *rule)
{
	const struct sg_apparmor_line list = {
		.permissions = composer->plan == NULL ? SG_APPARMOR_READ : SG_APPARMOR_READ | SG_APPARMOR_LOCK};
	SG_AUTO_GLOB_NAMES struct sg_glob_names folders = {0};
	const int status = sg_glob_folders(rule->glob, SG_GLOB_NAMES_MAX, &folders);

	if (status < 0)
		composer->status = status;
	for (size_t i = 0; i < folders.count && composer->status == 0; i++)
		add_name(composer, rule, folders.names[i], "", &list);
}

static void add_readers(struct composer *composer, const struct sg_rule *rule, const struct sg_apparmor_line *like)
{
	static const struct {
		const char *link, *glob;
	} links[] = {
#define SG_PROC_LINK(link, glob) {link, glob},
#include "tables/proc_links.def"
#undef SG_PROC_LINK
	};
	struct sg_apparmor_line line = *like;
	size_t length;
	const char *text = sg_glob_text(rule->glob, &length);

	line.owner = !like->deny && composer->plan == NULL;
	for (size_t i = 0; i < SG_ARRAY_SIZE(links) && composer->status == 0; i++) {
		SG_AUTO_BUFFER struct sg_buffer whole = SG_BUFFER_INIT;
		const size_t same = strlen(links[i].link);

		if (length < same || memcmp(text, links[i].link, same) != 0)
			continue;
		sg_buffer_append_text(&whole, links[i].glob);
		sg_buffer_append(&whole, text + same, length - same);
		if (sg_buffer_status(&whole) < 0)
			composer->status = -ENOMEM;
		else
			add_text(composer, rule, whole.data, whole.size, &line);
		if (is_grant(rule->kind))
			hold(composer, rule, SG_HOLDS_PARTLY, READERS);
	}
}

/* Sets *ret_owner where the rule stays within such a place; judges it where it may reach one. */
static void find_own_places(struct composer *composer, const struct sg_rule *rule, bool *ret_owner)
{
	*ret_owner = false;
	if (composer->plan != NULL) /* they are the world's */
		return;
	for (size_t i = 0; i < SG_ARRAY_SIZE(own_places) && composer->status == 0; i++) {
		SG_AUTO_GLOB struct sg_glob *place = NULL;
		size_t length, place_length;
		const char *prefix = sg_glob_prefix(rule->glob, &length), *place_prefix;
		int status = own_places[i].how == NULL
				     ? SG_GLOB_NO
				     : sg_glob_parse(own_places[i].glob, strlen(own_places[i].glob), NULL, &place);

		if (place != NULL) {
			place_prefix = sg_glob_prefix(place, &place_length);
			if (memcmp(prefix, place_prefix, length < place_length ? length : place_length) != 0)
				continue;
			status = sg_glob_overlaps(rule->glob, place);
		}
		if (status < 0)
			composer->status = status;
		if (status <= 0)
			continue;
		hold(composer, rule, SG_HOLDS_PARTLY, own_places[i].how);
		*ret_owner |= own_places[i].owner && sg_glob_covers(place, rule->glob) == SG_GLOB_YES;
	}
}

static void add_private(struct composer *composer, const struct sg_rule *rule, struct sg_apparmor_line *line)
{
	const struct sg_apparmor_line list = {.permissions = SG_APPARMOR_READ};
	size_t length;
	const char *folder = sg_glob_prefix(rule->glob, &length);

	for (size_t i = 0; i < SG_ARRAY_SIZE(own_places); i++) {
		if (!own_places[i].owner || strncmp(own_places[i].glob, folder, length) != 0 ||
		    strcmp(own_places[i].glob + length, "**") != 0)
			continue;
		line->owner = true;
		add_name(composer, rule, folder, "**", line);
		add_name(composer, rule, folder, "", &list);
		hold(composer, rule, SG_HOLDS_PARTLY, OF_THE_HOST);
	}
}

static bool ends_in_tree(const struct sg_glob *glob)
{
	size_t length;
	const char *text = sg_glob_text(glob, &length);

	return length >= 3 && memcmp(text + length - 3, "/**", 3) == 0;
}

static void add_grant(struct composer *composer, const struct sg_rule *rule)
{
	struct sg_apparmor_line line = {.permissions = kinds[rule->kind].permissions & composer->possible};

	if (rule->kind == SG_RULE_PRIVATE) {
		if (composer->plan == NULL) /* else they are mounts of the plan */
			add_private(composer, rule, &line);
		return;
	}
	find_own_places(composer, rule, &line.owner);
	add_glob(composer, rule, rule->glob, NULL, &line);
	if (!sg_glob_is_literal(rule->glob))
		add_shown(composer, rule);
	add_readers(composer, rule, &line);
	if (rule->kind == SG_RULE_WRITE && sg_glob_may_match_directory(rule->glob) && !ends_in_tree(rule->glob))
		hold(composer, rule, SG_HOLDS_PARTLY, MOVES);
}

/* A folder above what is refused: if it may be written, it may not. */
static void add_above(struct composer *composer, const struct sg_rule *rule)
{
	const struct sg_apparmor_line line = {.permissions = SG_APPARMOR_WRITE | SG_APPARMOR_LINK, .deny = true};
	SG_AUTO_GLOB_NAMES struct sg_glob_names folders = {0};
	bool whole = true;
	const int status = sg_above_find(composer->above, rule->glob, &folders, &whole);

	if (status < 0)
		composer->status = status;
	for (size_t i = 0; i < folders.count && composer->status == 0; i++)
		add_text(composer, rule, folders.names[i], strlen(folders.names[i]), &line);
	if (!whole)
		hold(composer, rule, SG_HOLDS_PARTLY, MOVED);
}

/* A refusal, by another name: see sg_places_each_twin(). */
static int add_twin(void *data, struct sg_glob *twin)
{
	struct composer *composer = data;
	const struct sg_apparmor_line line = {.permissions = kinds[composer->current->kind].permissions, .deny = true};

	add_glob(composer, composer->current, twin, twin, &line);
	return composer->status != 0 ? composer->status : ++composer->twins > TWINS_MAX ? SG_GLOB_TOO_MANY : 0;
}

static void add_refusal(struct composer *composer, const struct sg_rule *rule)
{
	const struct sg_apparmor_line line = {.permissions = kinds[rule->kind].permissions, .deny = true};
	size_t length;
	const char *text = sg_glob_text(rule->glob, &length);
	int status;

	add_glob(composer, rule, rule->glob, NULL, &line);
	/* The kernel arrives at one of the two names that such a folder has on most hosts; of this one the plan knows. */
	status = composer->plan == NULL ? sg_places_each_twin(rule->glob, add_twin, composer) : 0;
	if (status == SG_GLOB_TOO_MANY)
		composer->files->unwritable = rule;
	else if (status < 0)
		composer->status = status;
	add_readers(composer, rule, &line);
	if (rule->kind == SG_RULE_HIDE && ends_in_tree(rule->glob) && length > 4)
		add_text(composer, rule, text, length - 2, &line);
	/* Where changes run natively, nothing is refused in what may be written (world/plan_roots.c). */
	if (composer->plan == NULL || composer->plan->decide_changes)
		add_above(composer, rule);
}

static void add_rule(struct composer *composer, const struct sg_rule *rule)
{
	if (is_grant(rule->kind))
		add_grant(composer, rule);
	else if (is_refusal(rule->kind))
		add_refusal(composer, rule);
}

/* What symbolic links of the host make of the rules. */
static void add_aliases(struct composer *composer)
{
	for (size_t i = 0; i < composer->plan->alias_count && composer->status == 0; i++) {
		const struct sg_plan_alias *alias = &composer->plan->aliases[i];
		struct sg_rule rule = composer->policy->rules[alias->rule];
		size_t length;

		/* What /proc/self leads to here is us; what it means in the world add_readers says. */
		if (strncmp(sg_glob_prefix(alias->glob, &length), "/proc/", strlen("/proc/")) == 0)
			continue;
		composer->current = &composer->policy->rules[alias->rule];
		rule.glob = alias->glob;
		add_rule(composer, &rule);
	}
}

/*
 * LogOnRead and LogOnWrite grant nothing, and a rule with "audit" does: it says what is granted already. That is the glob of the log
 * where it lies within what is granted, else the granted one: then more is recorded than was asked. Refusals are all recorded.
 */
static void add_log(struct composer *composer, const struct sg_rule *rule, size_t granted, size_t *budget)
{
	struct sg_apparmor_line logs[2] = {{.owner = false}, {.owner = true}};

	for (size_t i = 0; i < granted && composer->status == 0; i++) {
		struct sg_apparmor_line *line = &composer->files->lines[i];
		const unsigned int permissions = line->permissions & kinds[rule->kind].permissions;
		int common = SG_GLOB_UNKNOWN, within = SG_GLOB_NO;

		if (permissions == 0 || line->deny)
			continue;
		if (*budget > 0) {
			--*budget;
			common = sg_glob_overlaps(line->of, rule->glob);
			within = common == SG_GLOB_NO ? SG_GLOB_NO : sg_glob_covers(line->of, rule->glob);
		}
		if (common < 0 || within < 0)
			composer->status = -ENOMEM;
		else if (within == SG_GLOB_YES)
			logs[line->owner].permissions |= permissions;
		else if (common != SG_GLOB_NO) {
			line->audited |= permissions;
			hold(composer, rule, SG_HOLDS_STRICTER, "more is recorded than is asked for");
		}
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(logs) && composer->status == 0; i++) {
		logs[i].audited = logs[i].permissions;
		if (logs[i].permissions != 0)
			add_glob(composer, rule, rule->glob, NULL, &logs[i]);
	}
}

static int compare_lines(const void *a, const void *b)
{
	const struct sg_apparmor_line *x = a, *y = b;

	if (x->deny != y->deny)
		return x->deny ? -1 : 1;
	if (x->owner != y->owner)
		return x->owner ? 1 : -1;
	return strcmp(x->path, y->path);
}

static void line_done(struct sg_apparmor_line *line)
{
	free(line->path);
	sg_glob_free(line->made);
}

/* Sorts, and makes one line of those for the same names. */
static void settle(struct sg_apparmor_files *files)
{
	size_t kept = 0;

	if (files->count == 0)
		return;
	qsort(files->lines, files->count, sizeof(*files->lines), compare_lines);
	for (size_t i = 1; i < files->count; i++) {
		struct sg_apparmor_line *line = &files->lines[i], *last = &files->lines[kept];

		if (compare_lines(last, line) == 0) {
			last->permissions |= line->permissions;
			last->audited |= line->audited;
			line_done(line);
		} else {
			files->lines[++kept] = *line;
		}
	}
	files->count = kept + 1;
}

static void compose_rules(struct composer *composer)
{
	const struct sg_policy *policy = composer->policy;
	size_t granted, budget = COMPARISONS_MAX;

	for (size_t i = 0; i < SG_ARRAY_SIZE(every_world) && composer->status == 0 && composer->plan == NULL; i++)
		add_name(composer, NULL, every_world[i].path, "",
			 &(struct sg_apparmor_line){.permissions = every_world[i].permissions});
	for (size_t i = 0; i < policy->rule_count && composer->status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (rule->glob == NULL || kinds[rule->kind].permissions == 0)
			continue;
		composer->files->holds[i] = kinds[rule->kind].hold;
		composer->current = rule;
		add_rule(composer, rule);
	}
	if (composer->plan != NULL) { /* what is recorded is the supervisor's to say */
		add_aliases(composer);
		return;
	}
	granted = composer->files->count;
	for (size_t i = 0; i < policy->rule_count && composer->status == 0; i++)
		if (policy->rules[i].kind == SG_RULE_LOG_READ || policy->rules[i].kind == SG_RULE_LOG_WRITE)
			add_log(composer, &policy->rules[i], granted, &budget);
}

/* Locks and links are permissions of their own, which some flags give. In a session its filter holds them. */
static unsigned int find_possible(const struct sg_policy *policy)
{
	unsigned int possible = ~0U;
	struct sg_filter_grants grants;

	sg_grants_find(policy, &grants);
	if (!sg_flag_set_has(&grants.flags, SG_FLAG_LOCKS))
		possible &= ~(unsigned int)SG_APPARMOR_LOCK;
	if (!sg_syscall_set_has(&grants.calls, SYS_link) && !sg_syscall_set_has(&grants.calls, SYS_linkat))
		possible &= ~(unsigned int)SG_APPARMOR_LINK;
	return possible;
}

int sg_apparmor_files_compose(const struct sg_policy *policy, const struct sg_plan *plan, struct sg_apparmor_files *ret)
{
	SG_AUTO_ABOVE struct sg_above *above = NULL;
	struct composer composer = {.policy = policy, .plan = plan, .files = ret, .possible = ~0U};
	int status;

	*ret = (struct sg_apparmor_files){.holds = calloc(policy->rule_count + 1, sizeof(*ret->holds)),
					  .links_freely = plan != NULL && !plan->decide_changes};
	status = ret->holds != NULL ? sg_above_new(policy, &above) : -ENOMEM;
	if (status < 0)
		return status;
	composer.above = above;
	if (plan == NULL)
		composer.possible = find_possible(policy);
	compose_rules(&composer);
	if (composer.status == 0 && plan != NULL)
		composer.status = sg_apparmor_world_add(plan, ret);
	if (composer.status == 0)
		settle(ret);
	return composer.status;
}

int sg_apparmor_files_add(struct sg_apparmor_files *files, const char *name, size_t length, const char *then,
			  unsigned int permissions)
{
	const struct sg_apparmor_line line = {.permissions = permissions};
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_glob *glob = NULL;
	int status;

	sg_glob_quote(&text, name, length);
	sg_buffer_append_text(&text, then);
	status = sg_buffer_status(&text);
	if (status == 0)
		status = sg_glob_parse(text.data, text.size, NULL, &glob);
	if (status == 0)
		status = add_line(files, glob, glob, &line);
	return status <= 0 ? status : -E2BIG;
}

void sg_apparmor_files_done(struct sg_apparmor_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		line_done(&files->lines[i]);
	free(files->lines);
	free(files->holds);
	*files = (struct sg_apparmor_files){0};
}

static void write_line(const struct sg_apparmor_line *line, bool audit, unsigned int permissions, struct sg_buffer *out)
{
	static const char letters[] = "mrwklx";

	sg_buffer_printf(out, "  %s%s%s%s ", audit ? "audit " : "", line->deny ? "deny " : "",
			 line->owner ? "owner " : "", line->path);
	for (size_t i = 0; i + 1 < sizeof(letters); i++)
		if ((permissions & 1U << i) != 0) {
			if (letters[i] == 'x' && !line->deny)
				sg_buffer_append_byte(out, 'i'); /* it stays in this profile */
			sg_buffer_append_byte(out, letters[i]);
		}
	sg_buffer_append_text(out, ",\n");
}

/*
 * A link may have permissions only that its file has too ("link subset", what the letter l means), and where a name that may be executed
 * is within a folder that may be written, a session lets it be linked all the same.
 */
static void write_links(const struct sg_apparmor_line *line, struct sg_buffer *out)
{
	sg_buffer_printf(out, "  link %s -> /**,\n", line->path);
}

void sg_apparmor_files_write(const struct sg_apparmor_files *files, struct sg_buffer *out)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct sg_apparmor_line *line = &files->lines[i];

		const bool free = files->links_freely && (line->permissions & SG_APPARMOR_LINK) != 0;
		unsigned int plain = line->permissions & ~line->audited;

		if (line->deny) {
			write_line(line, true, line->permissions, out);
			continue;
		}
		if (free) {
			plain &= ~(unsigned int)SG_APPARMOR_LINK;
			write_links(line, out);
		}
		if (plain != 0)
			write_line(line, false, plain, out);
		if (line->audited != 0)
			write_line(line, true, line->audited, out);
	}
}
