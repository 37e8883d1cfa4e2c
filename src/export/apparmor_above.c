#include "export/apparmor_above.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob_set.h"

enum { COMPARISONS_MAX = 100000 /* pairs of globs that are compared for one policy */ };

struct sg_above {
	const struct sg_policy *policy;
	struct sg_globset *writable; /* owned; names that may be written */
	struct sg_matcher *matcher;  /* owned */
	size_t budget;
};

static bool is_writable(const struct sg_rule *rule)
{
	return rule->kind == SG_RULE_WRITE || rule->kind == SG_RULE_PRIVATE;
}

/* What of a rule may be written: of a folder of one's own all that is below. */
static int writable_glob(const struct sg_rule *rule, struct sg_glob **ret)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t length;
	const char *whole = sg_glob_text(rule->glob, &length);

	sg_buffer_append(&text, whole, length);
	if (rule->kind == SG_RULE_PRIVATE)
		sg_buffer_append_text(&text, "**");
	if (sg_buffer_status(&text) < 0)
		return -ENOMEM;
	return sg_glob_parse(text.data, text.size, NULL, ret);
}

int sg_above_new(const struct sg_policy *policy, struct sg_above **ret)
{
	SG_AUTO_ABOVE struct sg_above *above = calloc(1, sizeof(*above));
	int status = above != NULL ? sg_globset_new(&above->writable) : -ENOMEM;

	for (size_t i = 0; i < policy->rule_count && status == 0; i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;

		if (!is_writable(&policy->rules[i]))
			continue;
		status = writable_glob(&policy->rules[i], &glob);
		if (status == 0)
			status = sg_globset_add(above->writable, glob, (uint32_t)i, 1);
	}
	if (status == 0)
		status = sg_globset_compile(above->writable);
	if (status == 0)
		status = sg_matcher_new(above->writable, SG_MATCHER_MEMORY_MIN, &above->matcher);
	if (status < 0)
		return status;
	above->policy = policy;
	above->budget = COMPARISONS_MAX;
	*ret = above;
	above = NULL;
	return 0;
}

void sg_above_free(struct sg_above *above)
{
	if (above == NULL)
		return;
	sg_matcher_free(above->matcher);
	sg_globset_free(above->writable);
	free(above);
}

/* Whether some name of `folder` may be written. Returns 0, 1 (also where it is not known), or -ENOMEM. */
static int may_be_written(struct sg_above *above, const struct sg_glob *folder)
{
	if (sg_glob_is_literal(folder)) {
		struct sg_match match;
		size_t length;
		const char *name = sg_glob_prefix(folder, &length);

		return sg_matcher_match(above->matcher, name, length, &match) < 0 || match.mask != 0;
	}
	for (size_t i = 0; i < above->policy->rule_count; i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		int status;

		if (!is_writable(&above->policy->rules[i]))
			continue;
		if (above->budget == 0)
			return 1;
		above->budget--;
		status = writable_glob(&above->policy->rules[i], &glob);
		if (status == 0)
			status = sg_glob_overlaps(folder, glob);
		if (status < 0)
			return status;
		if (status != SG_GLOB_NO)
			return 1;
	}
	return 0;
}

/* Reading the text of a glob from left to right. */
struct scan {
	const char *text;
	size_t length, at;
	unsigned int depth;  /* braces that are open */
	bool in_class, wild; /* `wild`: the component so far has a wildcard */
	bool hidden;         /* a '/' or ** within braces */
};

enum step { STEP_END, STEP_FOLDER, STEP_TREE };

/* Goes on to the next '/' (FOLDER) or ** (TREE) outside of braces; `at` is behind it. */
static enum step scan_next(struct scan *scan)
{
	while (scan->at < scan->length) {
		const char c = scan->text[scan->at++];
		const bool twice = c == '*' && scan->at < scan->length && scan->text[scan->at] == '*';

		if (c == '\\') {
			scan->at++;
		} else if (scan->in_class) {
			scan->in_class = c != ']';
		} else if (c == '[') {
			scan->in_class = scan->wild = true;
		} else if (c == '{' || c == '}') {
			scan->depth += c == '{' ? 1U : -1U;
			scan->wild = true;
		} else if (scan->depth > 0) {
			scan->hidden |= c == '/' || twice;
		} else if (c == '/') {
			return STEP_FOLDER;
		} else if (twice) {
			scan->at++;
			return STEP_TREE;
		} else {
			scan->wild |= c == '*' || c == '?';
		}
	}
	return STEP_END;
}

/* Takes up one folder, text[0..length) (ending in '/'), if it may be written. */
static int take_folder(struct sg_above *above, const struct sg_buffer *text, bool wild, struct sg_glob_names *folders,
		       bool *whole)
{
	SG_AUTO_GLOB struct sg_glob *folder = NULL;
	int status = sg_glob_parse(text->data, text->size, NULL, &folder);
	char **grown;

	if (status == -EINVAL) /* no name can be above: "/{.,a}/" and the like */
		return 0;
	if (status == 0)
		status = may_be_written(above, folder);
	if (status <= 0)
		return status;
	if (wild) {
		*whole = false;
		return 0;
	}
	grown = reallocarray(folders->names, folders->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	folders->names = grown;
	folders->names[folders->count] = strndup(text->data, text->size);
	return folders->names[folders->count++] != NULL ? 0 : -ENOMEM;
}

int sg_above_find(struct sg_above *above, const struct sg_glob *refused, struct sg_glob_names *ret_folders,
		  bool *ret_whole)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names folders = {0};
	struct scan scan = {0};
	bool whole = true;
	int status = 0;

	scan.text = sg_glob_text(refused, &scan.length);
	for (enum step step = scan_next(&scan); step != STEP_END && status == 0; step = scan_next(&scan)) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

		if (scan.at == scan.length && step == STEP_FOLDER) /* the refused folder itself */
			break;
		sg_buffer_append(&text, scan.text, scan.at);
		if (step == STEP_TREE && scan.at == scan.length) /* what is below is refused by the same rule */
			break;
		if (step == STEP_TREE)
			sg_buffer_append_byte(&text, '/');
		status = sg_buffer_status(&text);
		if (status == 0 && text.size > 1)
			status = take_folder(above, &text, scan.wild || step == STEP_TREE, &folders, &whole);
		scan.wild = step == STEP_TREE;
	}
	if (status < 0)
		return status;
	*ret_folders = folders;
	folders = (struct sg_glob_names){0};
	*ret_whole = whole && !scan.hidden;
	return 0;
}
