/*
 * The set of names of a policy on this host: the globs of the policy, and for a glob whose literal prefix is a symbolic
 * link here, the same glob behind what the link leads to. Names are decided after links are resolved.
 */
#include <string.h>

#include "world/plan_internal.h"

/* The folder part of the literal prefix as text of the glob: up to and with its last '/'. 0: nothing to rename. */
static size_t folder_in_text(const struct sg_glob *glob, size_t *ret_folder)
{
	size_t prefix_length, text_length, slashes = 0, offset = 0;
	const char *prefix = sg_glob_prefix(glob, &prefix_length), *text = sg_glob_text(glob, &text_length);

	while (prefix_length > 0 && prefix[prefix_length - 1] != '/')
		prefix_length--;
	for (size_t i = 0; i < prefix_length; i++)
		slashes += prefix[i] == '/';
	*ret_folder = prefix_length;
	/* A '/' cannot be escaped, and a run of them in the text is one in the prefix. */
	for (size_t seen = 0; offset < text_length && seen < slashes; offset++)
		if (text[offset] == '/' && (offset == 0 || text[offset - 1] != '/'))
			seen++;
	while (offset < text_length && text[offset] == '/')
		offset++;
	return offset;
}

static void add_glob(struct sg_planner *planner, const struct sg_glob *glob, size_t rule, uint64_t mask)
{
	int status = sg_globset_add(planner->plan->names, glob, (uint32_t)rule, mask);

	if (status < 0)
		planner->status = status;
}

static void add_text(struct sg_planner *planner, const char *text, size_t length, size_t rule, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	int status = sg_glob_parse(text, length, NULL, &glob);

	if (status < 0)
		planner->status = status;
	else
		add_glob(planner, glob, rule, mask);
}

/* An allow that ends in / ** lets the folder itself be looked up and listed. */
static void add_listing(struct sg_planner *planner, const struct sg_glob *glob, size_t rule)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t length;
	const char *prefix = sg_glob_prefix(glob, &length);

	if (length == 1) {
		add_text(planner, "/", 1, rule, SG_NAME_LIST);
		return;
	}
	sg_glob_quote(&text, prefix, length);
	if (sg_buffer_status(&text) < 0)
		planner->status = sg_buffer_status(&text);
	else
		add_text(planner, text.data, text.size, rule, SG_NAME_LIST);
}

/* A rule by file name shows the names in the folders that its wildcards range over. */
static void add_ranges(struct sg_planner *planner, const struct sg_glob *glob, size_t rule)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names folders = {0};
	int status = sg_glob_folders(glob, SG_GLOB_NAMES_MAX, &folders);

	if (status < 0) {
		planner->status = status;
		return;
	}
	for (size_t i = 0; i < folders.count && planner->status == 0; i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

		sg_glob_quote(&text, folders.names[i], strlen(folders.names[i]));
		if (sg_buffer_status(&text) < 0)
			planner->status = sg_buffer_status(&text);
		else
			add_text(planner, text.data, text.size, rule, SG_NAME_LIST);
	}
}

/* What an allow shows beside what it names. */
static void add_shown(struct sg_planner *planner, const struct sg_glob *glob, size_t rule)
{
	if (sg_glob_is_tree(glob))
		add_listing(planner, glob, rule);
	else if (!sg_glob_is_literal(glob))
		add_ranges(planner, glob, rule);
}

/* A refusal holds wherever links lead; a grant follows only those that may be trusted. */
static int find_target(struct sg_planner *planner, const char *name, uint64_t mask, const char **ret)
{
	return (mask & SG_NAMES_ALLOW) != 0 ? sg_plan_granted(planner, name, ret)
					    : sg_plan_canonical(planner, name, ret);
}

static void add_alias(struct sg_planner *planner, const struct sg_rule *rule, size_t index, uint64_t mask)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	size_t folder, offset = folder_in_text(rule->glob, &folder), length;
	const char *whole = sg_glob_text(rule->glob, &length), *canonical, *kept;
	int status;

	if (folder <= 1)
		return;
	kept = sg_plan_keep(planner, sg_glob_prefix(rule->glob, &(size_t){0}), folder - 1);
	if (kept == NULL || find_target(planner, kept, mask, &canonical) != 0 || strcmp(canonical, kept) == 0)
		return;
	if (strcmp(canonical, "/") != 0)
		sg_glob_quote(&text, canonical, strlen(canonical));
	sg_buffer_append_byte(&text, '/');
	sg_buffer_append(&text, whole + offset, length - offset);
	status = sg_buffer_status(&text);
	if (status == 0)
		status = sg_glob_parse(text.data, text.size, NULL, &glob);
	if (status < 0) {
		planner->status = status;
		return;
	}
	add_glob(planner, glob, index, mask);
	if ((mask & SG_NAMES_ALLOW) != 0)
		add_shown(planner, glob, index);
}

/* The literal target of a file glob that is itself a symbolic link: decided by where it leads. */
static void add_literal_target(struct sg_planner *planner, const struct sg_rule *rule, size_t index, uint64_t mask)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t length;
	const char *name = sg_glob_prefix(rule->glob, &length), *canonical;

	if (!sg_glob_is_literal(rule->glob) || name[length - 1] == '/' ||
	    find_target(planner, name, mask, &canonical) != 0 || strcmp(canonical, name) == 0)
		return;
	sg_glob_quote(&text, canonical, strlen(canonical));
	if (sg_buffer_status(&text) < 0)
		planner->status = sg_buffer_status(&text);
	else
		add_text(planner, text.data, text.size, index, mask);
}

/* What is hidden as a whole, FOLDER/ **, is as if it did not exist: the folder too, as a cover makes it (covers.c). */
static void add_hidden_folder(struct sg_planner *planner, const struct sg_glob *glob, size_t rule)
{
	size_t length;
	const char *text = sg_glob_text(glob, &length);

	if (length > 4 && memcmp(text + length - 3, "/**", 3) == 0)
		add_text(planner, text, length - 2, rule, SG_NAME_BIT(SG_RULE_HIDE));
}

/*
 * Links of /proc that mean their reader. A name is decided after they are resolved, so what refuses one by such a link refuses it of
 * every process: each of them is the reader of its own. (What is granted by them is the world's own in any case.)
 */
static void add_readers(struct sg_planner *planner, const struct sg_rule *rule, size_t index, uint64_t mask)
{
	static const struct {
		const char *link, *target;
	} links[] = {
		{"/proc/self/", "/proc/[0-9]*/"},
		{"/proc/self/", "/proc/[0-9]*/task/[0-9]*/"},
		{"/proc/thread-self/", "/proc/[0-9]*/task/[0-9]*/"},
		{"/proc/mounts", "/proc/[0-9]*/mounts"},
		{"/proc/net/", "/proc/[0-9]*/net/"},
		{"/proc/net/", "/proc/[0-9]*/task/[0-9]*/net/"},
	};
	size_t length;
	const char *text = sg_glob_text(rule->glob, &length);

	for (size_t i = 0; i < SG_ARRAY_SIZE(links) && (mask & SG_NAMES_ALLOW) == 0; i++) {
		SG_AUTO_BUFFER struct sg_buffer whole = SG_BUFFER_INIT;
		const size_t same = strlen(links[i].link);

		if (length < same || memcmp(text, links[i].link, same) != 0)
			continue;
		sg_buffer_append_text(&whole, links[i].target);
		sg_buffer_append(&whole, text + same, length - same);
		if (sg_buffer_status(&whole) < 0)
			planner->status = sg_buffer_status(&whole);
		else
			add_text(planner, whole.data, whole.size, index, mask);
	}
}

void sg_plan_make_names(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;

	planner->status = sg_globset_new(&planner->plan->names);
	for (size_t i = 0; i < policy->rule_count && planner->status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		uint64_t mask = SG_NAME_BIT(rule->kind);

		if (rule->glob == NULL || rule->kind == SG_RULE_PRIVATE)
			continue;
		add_glob(planner, rule->glob, i, mask);
		if ((mask & SG_NAMES_ALLOW) != 0)
			add_shown(planner, rule->glob, i);
		add_alias(planner, rule, i, mask);
		add_literal_target(planner, rule, i, mask);
		add_readers(planner, rule, i, mask);
		if (rule->kind == SG_RULE_HIDE)
			add_hidden_folder(planner, rule->glob, i);
	}
	if (planner->status == 0)
		planner->status = sg_globset_compile(planner->plan->names);
	if (planner->status == 0)
		planner->status = sg_matcher_new(planner->plan->names, SG_MATCHER_MEMORY_MIN, &planner->matcher);
}
