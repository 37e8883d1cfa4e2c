#include "world/plan_words.h"

#include <string.h>

#include "policy/words.h"
#include "world/grants.h"

/*
 * Measured (docs/performance.md, docs/architecture.md): a native open and close 0.6 µs, a decided one 5.3
 * to 5.8 µs with caller and supervisor on one CPU, 65 to 90 µs across two; an exec 26 to 32 µs more on some
 * 600; a filtered call 8 ns; a connection 18 to 20 µs against 10 to 12; an open through an overlay 1.9 times
 * the plain one.
 */
static const struct {
	const char *name, *cost;
} places[] = {
	[SG_PLACED_NOWHERE] = {"nothing to hold", "nothing"},
	[SG_PLACED_MOUNT] = {"the mount tree",
			     "nothing: what is not mounted is not there, what is read-only is so for the kernel"},
	[SG_PLACED_ABSENT] = {"nothing to hold here",
			      "nothing: what it names is not on this host, or nothing grants it"},
	[SG_PLACED_COVER] = {"a cover over a read-only tree",
			     "nothing elsewhere; an opening below the covered tree costs about two native ones"},
	[SG_PLACED_WRITES] = {"decided at openings that write and at changes of names",
			      "about 10 native opens each (some 6 µs; up to 90 µs when the supervisor must "
			      "wake on another processor); "
			      "reading costs nothing"},
	[SG_PLACED_OPENS] = {"decided at every opening",
			     "about 10 native opens for each opening of any file (some 6 µs; up to 90 µs "
			     "when the supervisor must wake on "
			     "another processor)"},
	[SG_PLACED_LOOKS] = {"decided at every opening and at every look at a name (stat, access, listings, chdir)",
			     "some 6 to 10 µs for each of them (up to 90 µs when the supervisor must wake on another "
			     "processor), where a native stat takes 0.3: git status takes some four times as long. "
			     "Deny, which shows the name and refuses what is in it, costs openings only; one "
			     "name, or a whole folder (FOLDER/**), in a read-only tree costs neither"},
	[SG_PLACED_EXEC] = {"decided when a program is started",
			    "some 30 µs for each start, a twentieth of what a start costs anyway"},
	[SG_PLACED_LANDLOCK] =
		{"Landlock's part for files, behind the mount tree",
		 "0.26 µs for each opening that runs natively, a third to a half of it; nothing for stat, "
		 "reading and writing"},
	[SG_PLACED_APPARMOR] =
		{"a profile of AppArmor around the world",
		 "about a sixth of each opening and look that run natively, as far as an emulated machine "
		 "tells; the first start of a policy takes as long as apparmor_parser compiles it"},
	[SG_PLACED_OVERLAY] = {"overlays in the place of the trees that may only be read; where that cannot be "
			       "(something is mounted in "
			       "them, sockets in them are granted by wildcard, part of them may be written, this "
			       "kernel makes no overlays), "
			       "decided at every opening",
			       "an opening in such a tree costs 1.4 to 1.9 native ones, a stat 1.4; where openings are "
			       "decided, what that costs"},
	[SG_PLACED_FILTER] = {"the system call filter", "8 ns a call; 25 to 75 ns where it looks at arguments"},
	[SG_PLACED_NETWORK] = {"decided at connect, bind and the like",
			       "as much again as a connection on the same machine costs (some 8 µs); sending "
			       "and receiving cost nothing"},
	[SG_PLACED_PROCESS] = {"the state of the process", "nothing: set once, before the first program runs"},
};

const char *sg_placement_name(enum sg_placement placement)
{
	return (size_t)placement < SG_ARRAY_SIZE(places) ? places[placement].name : "";
}

const char *sg_placement_cost(enum sg_placement placement)
{
	return (size_t)placement < SG_ARRAY_SIZE(places) ? places[placement].cost : "";
}

/* --- what is held where --- */

static size_t count_mounts(const struct sg_plan *plan, unsigned int flags, unsigned int wanted)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->mount_count; i++)
		count += plan->mounts[i].kind == SG_MOUNT_TREE && (plan->mounts[i].flags & flags) == wanted;
	return count;
}

static size_t count_calls(const struct sg_plan *plan)
{
	struct sg_filter_grants grants;
	size_t count = 0;

	sg_grants_find(plan->policy, &grants);
	for (unsigned int i = 0; i < SG_SYSCALL_LIMIT; i++)
		count += sg_syscall_set_has(&grants.calls, i);
	return count;
}

/*
 * What a profile lets be written or executed, and this host does not have: made later, it is not in the world either. Of files that
 * may be read profiles name many that a host need not have, and flags do of all.
 */
static void write_absent(const struct sg_plan *plan, struct sg_buffer *out)
{
	bool first = true;

	for (size_t i = 0; i < plan->policy->rule_count; i++) {
		const struct sg_rule *rule = &plan->policy->rules[i];

		if (plan->placements[i] != SG_PLACED_ABSENT || rule->flag != NULL || rule->glob == NULL ||
		    (rule->kind != SG_RULE_WRITE && rule->kind != SG_RULE_EXECUTE))
			continue;
		sg_buffer_append_text(out, first ? "  Not on this host, and so not in a world that begins now:\n" : "");
		sg_buffer_append_text(out, "    ");
		sg_words_rule(rule, out);
		sg_buffer_append_text(out, " (");
		sg_words_place(rule, false, out);
		sg_buffer_append_text(out, ")\n");
		first = false;
	}
}

static void append_escaped(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

void sg_plan_words_led(const struct sg_plan_led *led, struct sg_buffer *out)
{
	sg_words_place(led->rule, false, out);
	sg_buffer_append_text(out, ": ");
	sg_words_rule(led->rule, out);
	sg_buffer_append_text(out, led->link == NULL ? ": " : " gives nothing: ");
	append_escaped(out, led->link == NULL ? led->name : led->link);
	sg_buffer_append_text(out, led->link == NULL ? " is " : " is a symbolic link, ");
	if (led->link != NULL) {
		sg_buffer_append_text(out, led->why);
		sg_buffer_append_text(out, ". If what it leads to is meant, name that in the rule: ");
	}
	append_escaped(out, led->target);
}

/* What links on the way to names made of them. */
static void write_led(const struct sg_plan *plan, struct sg_buffer *out)
{
	for (size_t i = 0; i < plan->led_count; i++) {
		sg_buffer_append_text(out, i == 0 ? "  By symbolic links of this host:\n" : "");
		sg_buffer_append_text(out, "    ");
		sg_plan_words_led(&plan->led[i], out);
		sg_buffer_append_byte(out, '\n');
	}
}

void sg_plan_explain(const struct sg_plan *plan, struct sg_buffer *out)
{
	size_t executable;

	(void)sg_policy_rules(plan->policy, SG_RULE_EXECUTE, &executable);
	sg_buffer_append_text(out, "\nHow it is held\n  By the kernel itself, at native speed:\n");
	sg_buffer_printf(out,
			 "    files\ta tree of its own with %zu folders and files of this host, %zu of them "
			 "writable, %zu from which code "
			 "may be loaded; all else is not there\n",
			 count_mounts(plan, 0, 0), count_mounts(plan, SG_MOUNT_WRITE, SG_MOUNT_WRITE),
			 count_mounts(plan, SG_MOUNT_EXECUTE, SG_MOUNT_EXECUTE));
	sg_buffer_printf(out, "    system calls\t%zu are given, all others refused by the filter\n", count_calls(plan));
	sg_buffer_append_text(out, "    the rest\tprocesses, network, host name, users and IPC of its own; "
				   "no capability over the host; no way to "
				   "gain privileges\n");
	sg_buffer_append_text(out, "  By the supervisor, which is asked each time:\n");
	sg_buffer_append_text(
		out, plan->decide_reads ? "    openings\tevery opening of a file: a rule needs it (--cost says which)\n"
					: "    openings\tthose that can write; reading runs natively\n");
	if (!plan->decide_reads)
		sg_buffer_append_text(
			out, plan->overlays ? "    \tFIFOs (named pipes) of this host are not reached, by Bounds: "
					      "those in trees that may be read are the world's own\n"
					    : "    \tso is that of a FIFO (a named pipe) of this host that lies where "
					      "files may be read (Bounds = [\"overlay\"] keeps them out)\n");
	if (plan->decide_details)
		sg_buffer_append_text(out,
				      "    details\tlink targets and extended attributes: of what is shown and not "
				      "granted there are none\n");
	if (plan->decide_looks)
		sg_buffer_append_text(out, "    looks	every look at a name and every listing: Hide takes names out "
					   "of them (--cost says which)\n");
	if (plan->decide_changes)
		sg_buffer_append_text(out, "    changes\tmaking, removing, renaming, and changes of attributes\n");
	if (executable > 0)
		sg_buffer_append_text(out, "    programs\teach start of a program, with its interpreters\n");
	sg_buffer_append_text(out, "    addresses\teach address that is connected to, bound or sent to\n");
	if (plan->may_hang)
		sg_buffer_append_text(
			out,
			plan->decide_looks
				? "    \tof a network or FUSE file system in this world: while its server does not "
				  "answer, everybody waits who is asked about (Hide needs one order)\n"
				: "    \tby threads of their own, as a server of a network or FUSE file system "
				  "in this world may not answer\n");
	write_absent(plan, out);
	write_led(plan, out);
}

/* --- in short --- */

static size_t count_absent(const struct sg_plan *plan)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->policy->rule_count; i++) {
		const struct sg_rule *rule = &plan->policy->rules[i];

		count += plan->placements[i] == SG_PLACED_ABSENT && rule->flag == NULL && rule->glob != NULL &&
			 (rule->kind == SG_RULE_WRITE || rule->kind == SG_RULE_EXECUTE);
	}
	return count;
}

void sg_plan_explain_short(const struct sg_plan *plan, struct sg_buffer *out)
{
	const size_t absent = count_absent(plan);
	size_t executable, refused = 0;

	(void)sg_policy_rules(plan->policy, SG_RULE_EXECUTE, &executable);
	for (size_t i = 0; i < plan->led_count; i++)
		refused += plan->led[i].link != NULL;
	sg_buffer_append_text(out, "\nMediated\n  asked each time\t");
	sg_buffer_append_text(out, plan->decide_reads ? "every opening of a file" : "openings that can write");
	sg_buffer_append_text(out, plan->decide_looks ? ", every look at a name" : "");
	sg_buffer_append_text(out, plan->decide_changes ? ", changes of names and attributes" : "");
	sg_buffer_append_text(out, executable > 0 ? ", starts of programs" : "");
	sg_buffer_append_text(out, ", addresses\n  native\tthe rest, at the kernel's speed, within what is granted\n");
	if (absent > 0)
		sg_buffer_printf(out,
				 "  not here\t%zu rule%s for writing or executing name what this host does not have\n",
				 absent, absent == 1 ? "" : "s");
	if (plan->led_count > 0)
		sg_buffer_printf(
			out, "  links\tsymbolic links lead %zu name%s of rules elsewhere; %zu give%s nothing for it\n",
			plan->led_count, plan->led_count == 1 ? "" : "s", refused, refused == 1 ? "s" : "");
}

/* --- cost --- */

static bool is_refusal_of_reading(const struct sg_rule *rule)
{
	return rule->kind == SG_RULE_DENY || rule->kind == SG_RULE_DENY_READ || rule->kind == SG_RULE_HIDE;
}

static bool is_allow(const struct sg_rule *rule)
{
	return rule->glob != NULL && rule->kind != SG_RULE_PRIVATE && (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) != 0;
}

/* Rules are held against each other, which is bounded: of thousands that are much alike the answer is one in part, and says so. */
enum { COMPARED_MAX = 1 << 11, ADVICE_MAX = 100 };

struct search {
	const struct sg_plan *plan;
	size_t compared;                       /* globs, with others */
	struct sg_buffer folder, whole_folder; /* the folder that was asked about last */
	bool granted;                          /* it is granted as a whole */
};

static bool is_over(const struct search *search)
{
	return search->compared >= COMPARED_MAX;
}

static bool do_overlap(struct search *search, const struct sg_rule *a, const struct sg_rule *b)
{
	size_t first, second;
	const char *one = sg_glob_prefix(a->glob, &first), *other = sg_glob_prefix(b->glob, &second);

	if (memcmp(one, other, first < second ? first : second) != 0)
		return false;
	search->compared++;
	return sg_glob_overlaps(a->glob, b->glob) != SG_GLOB_NO;
}

/* A rule that allows what `rule` speaks of too, or with `writing` lets it be written; NULL if none was found. */
static const struct sg_rule *find_met(struct search *search, const struct sg_rule *rule, bool writing)
{
	const struct sg_plan *plan = search->plan;

	for (size_t i = 0; i < plan->policy->rule_count && !is_over(search); i++) {
		const struct sg_rule *other = &plan->policy->rules[i];

		if (is_allow(other) && (!writing || other->kind == SG_RULE_WRITE) &&
		    plan->placements[i] != SG_PLACED_ABSENT && do_overlap(search, other, rule))
			return other;
	}
	return NULL;
}

static bool does_grant(struct search *search, const struct sg_rule *rule, const struct sg_glob *whole, size_t length)
{
	size_t prefix;

	/* What begins with more than the folder's name leaves some of it out. */
	(void)sg_glob_prefix(rule->glob, &prefix);
	if (prefix > length)
		return false;
	search->compared++;
	return sg_glob_covers(rule->glob, whole) == SG_GLOB_YES;
}

/* True if some rule grants all that lies in the folder. Rules of one folder stand together: its answer is kept. */
static bool is_folder_granted(struct search *search, const char *folder)
{
	const struct sg_policy *policy = search->plan->policy;
	const size_t length = strlen(folder);
	SG_AUTO_GLOB struct sg_glob *whole = NULL;

	if (search->folder.size == length && length > 0 && memcmp(search->folder.data, folder, length) == 0)
		return search->granted;
	sg_buffer_clear(&search->folder);
	sg_buffer_append_text(&search->folder, folder);
	sg_buffer_clear(&search->whole_folder);
	sg_glob_quote(&search->whole_folder, folder, length);
	sg_buffer_append_text(&search->whole_folder, "**");
	search->granted = false;
	if (sg_buffer_status(&search->folder) < 0 || sg_buffer_status(&search->whole_folder) < 0 ||
	    sg_glob_parse(search->whole_folder.data, search->whole_folder.size, NULL, &whole) < 0)
		return false;
	for (size_t i = 0; i < policy->rule_count && !search->granted && !is_over(search); i++)
		search->granted = is_allow(&policy->rules[i]) && does_grant(search, &policy->rules[i], whole, length);
	return search->granted;
}

static bool picks_by_name(struct search *search, const struct sg_rule *rule)
{
	SG_CLEANUP(sg_glob_names_done) struct sg_glob_names folders = {0};

	if (!is_allow(rule) || sg_glob_is_tree(rule->glob) ||
	    sg_glob_folders(rule->glob, SG_GLOB_NAMES_MAX, &folders) < 0)
		return false;
	for (size_t i = 0; i < folders.count; i++)
		if (!is_folder_granted(search, folders.names[i]))
			return !is_over(search);
	return false;
}

/* True if the rule is one for which every opening is decided (the plan decides them all). */
static bool forces_reads(struct search *search, const struct sg_rule *rule)
{
	const enum sg_placement placement = search->plan->placements[rule - search->plan->policy->rules];

	if (placement == SG_PLACED_ABSENT)
		return false;
	if (is_allow(rule))
		return picks_by_name(search, rule);
	return (placement == SG_PLACED_OPENS || placement == SG_PLACED_LOOKS) && rule->glob != NULL &&
	       find_met(search, rule, false) != NULL;
}

static void append_rule(const struct sg_rule *rule, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "    ");
	sg_words_rule(rule, out);
	sg_buffer_append_byte(out, '\t');
	sg_words_place(rule, false, out);
	sg_buffer_append_byte(out, '\n');
}

static void append_place(const struct sg_plan *plan, enum sg_placement placement, struct sg_buffer *out)
{
	size_t own = 0, flags = 0;

	for (size_t i = 0; i < plan->policy->rule_count; i++)
		if (plan->placements[i] == placement) {
			own += plan->policy->rules[i].flag == NULL;
			flags += plan->policy->rules[i].flag != NULL;
		}
	if (own + flags == 0)
		return;
	sg_buffer_printf(out, "  Held by: %s\n  Cost: %s\n", places[placement].name, places[placement].cost);
	for (size_t i = 0; i < plan->policy->rule_count; i++)
		if (plan->placements[i] == placement && plan->policy->rules[i].flag == NULL)
			append_rule(&plan->policy->rules[i], out);
	if (flags > 0)
		sg_buffer_printf(out, "    %s%zu rule%s that came with flags\n", own > 0 ? "and " : "", flags,
				 flags == 1 ? "" : "s");
	sg_buffer_append_byte(out, '\n');
}

/* What makes the rule dear, and what to write instead. */
static void append_advice(struct search *search, const struct sg_rule *rule, struct sg_buffer *out)
{
	const struct sg_rule *writable;

	sg_buffer_append_text(out, "    ");
	sg_words_rule(rule, out);
	sg_buffer_append_byte(out, '\t');
	sg_words_place(rule, false, out);
	if (is_allow(rule)) {
		sg_buffer_append_text(out, ": it picks files of a folder by name. If the others there may be "
					   "read too, grant the whole folder "
					   "(FOLDER/**).\n");
		return;
	}
	if (rule->kind == SG_RULE_LOG_READ) {
		sg_buffer_append_text(out, ": an opening is recorded only if it is asked for. LogOnWrite "
					   "costs reading nothing.\n");
		return;
	}
	writable = find_met(search, rule, true);
	if (is_over(search)) {
		sg_buffer_append_byte(out, '\n');
	} else if (writable != NULL) {
		sg_buffer_append_text(out, ": it lies where ");
		sg_words_rule(writable, out);
		sg_buffer_append_text(out, " lets files be written, and what can be renamed is held by no "
					   "mount. Make what is writable smaller, "
					   "so that this lies outside of it.\n");
	} else if (!sg_glob_is_literal(rule->glob) && !sg_glob_is_tree(rule->glob) && is_refusal_of_reading(rule)) {
		sg_buffer_append_text(out, ": it has wildcards. One file, or a whole folder (FOLDER/**), in "
					   "a read-only tree is held by a cover "
					   "instead.\n");
	} else {
		sg_buffer_append_text(out,
				      ": it is what a rule grants by itself. Grant less instead of refusing it.\n");
	}
}

/* Returns how many rules were told. */
static size_t append_forcing(const struct sg_plan *plan, struct sg_buffer *out)
{
	struct search search = {.plan = plan, .folder = SG_BUFFER_INIT, .whole_folder = SG_BUFFER_INIT};
	size_t told = 0;

	for (size_t i = 0; i < plan->policy->rule_count && told < ADVICE_MAX && !is_over(&search); i++)
		if (forces_reads(&search, &plan->policy->rules[i])) {
			append_advice(&search, &plan->policy->rules[i], out);
			told++;
		}
	if (told == ADVICE_MAX || is_over(&search))
		sg_buffer_append_text(
			out, "    ... and perhaps others: so many rules are not all held against each other\n");
	told += is_over(&search);
	sg_buffer_done(&search.folder);
	sg_buffer_done(&search.whole_folder);
	return told;
}

void sg_plan_explain_cost(const struct sg_plan *plan, struct sg_buffer *out)
{
	size_t told;

	sg_buffer_append_text(out, "\nWhere each rule is held, and what it costs\n");
	for (size_t i = SG_PLACED_MOUNT; i < SG_ARRAY_SIZE(places); i++)
		append_place(plan, (enum sg_placement)i, out);
	if (!plan->decide_reads) {
		sg_buffer_append_text(out, "  No rule makes reading dearer: only openings that write are decided.\n");
		return;
	}
	sg_buffer_append_text(out, "  Every opening is decided because of\n");
	told = append_forcing(plan, out);
	if (told == 0 && plan->overlays)
		sg_buffer_append_text(out,
				      "    Bounds = [\"overlay\"]: a tree that may be read cannot be an overlay\n");
	else if (told == 0)
		sg_buffer_append_text(out, "    (rules that together do not grant all of a folder that is mounted)\n");
	sg_buffer_printf(out, "  It costs %s.\n", places[SG_PLACED_OPENS].cost);
}
