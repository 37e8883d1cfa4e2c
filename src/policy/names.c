#include "policy/names.h"

#include <errno.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/glob_match.h"

/* A second policy's bits lie beside the first one's: kinds below the shift, and the listing as the last bit of all. */
_Static_assert((int)SG_RULE_LISTEN < (int)SG_NAMES_SHIFT, "the kinds that have globs come first");
_Static_assert(SG_NAME_LIST << SG_NAMES_SHIFT == UINT64_C(1) << 63, "the listing of a second policy has a bit");

static int add_text(struct sg_globset *set, const char *text, size_t length, uint32_t rule, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	int status = sg_glob_parse(text, length, NULL, &glob);

	return status < 0 ? status : sg_globset_add(set, glob, rule, mask);
}

static int add_literal(struct sg_globset *set, const char *name, size_t length, uint32_t rule, uint64_t mask)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	/* An alternative of a glob may be none that a name could have ("/{/,a}.{,/}b*" with a folder "/./"): nothing is there to be shown. */
	if (!sg_name_is_canonical(name, length))
		return 0;
	sg_glob_quote(&text, name, length);
	return sg_buffer_status(&text) < 0 ? -ENOMEM : add_text(set, text.data, text.size, rule, mask);
}

/* A rule by file name shows the names in the folders that its wildcards range over. */
static int add_ranges(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names folders = {0};
	int status = sg_glob_folders(glob, SG_GLOB_NAMES_MAX, &folders);

	status = status > 0 ? 0 : status; /* too many: the one above them all */
	for (size_t i = 0; i < folders.count && status == 0; i++)
		status = add_literal(set, folders.names[i], strlen(folders.names[i]), rule, mask);
	return status;
}

/* What an allow shows beside what it names: the folder of a tree may be looked up and listed. */
int sg_names_add_shown(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask)
{
	size_t length;
	const char *prefix = sg_glob_prefix(glob, &length);

	if (sg_glob_is_tree(glob))
		return add_literal(set, prefix, length, rule, mask);
	return sg_glob_is_literal(glob) ? 0 : add_ranges(set, glob, rule, mask);
}

static bool allows(uint64_t mask, unsigned int shift)
{
	return (mask & SG_NAMES_ALLOW << shift) != 0;
}

static int add_glob(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask,
		    unsigned int shift)
{
	int status = sg_globset_add(set, glob, rule, mask);

	return status == 0 && allows(mask, shift) ? sg_names_add_shown(set, glob, rule, SG_NAME_LIST << shift) : status;
}

int sg_names_add_glob(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask)
{
	return add_glob(set, glob, rule, mask, 0);
}

/* What is hidden as a whole, FOLDER/ **, is as if it did not exist: the folder too, as a cover makes it (world/plan_covers.c). */
static int add_hidden_folder(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask)
{
	size_t length;
	const char *text = sg_glob_text(glob, &length);

	return length > 4 && memcmp(text + length - 3, "/**", 3) == 0 ? add_text(set, text, length - 2, rule, mask) : 0;
}

/*
 * Links of /proc that mean their reader. A name is decided after they are resolved, so what refuses one by such a link refuses it of
 * every process: each of them is the reader of its own. (What is granted by them is the world's own in any case.)
 */
static int add_readers(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask)
{
	static const struct {
		const char *link, *target;
	} links[] = {
#define SG_PROC_LINK(link, glob) {link, glob},
#include "tables/proc_links.def"
#undef SG_PROC_LINK
	};
	size_t length;
	const char *text = sg_glob_text(glob, &length);
	int status = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(links) && status == 0; i++) {
		SG_AUTO_BUFFER struct sg_buffer whole = SG_BUFFER_INIT;
		const size_t same = strlen(links[i].link);

		if (length < same || memcmp(text, links[i].link, same) != 0)
			continue;
		sg_buffer_append_text(&whole, links[i].target);
		sg_buffer_append(&whole, text + same, length - same);
		status = sg_buffer_status(&whole);
		if (status == 0)
			status = add_text(set, whole.data, whole.size, rule, mask);
	}
	return status;
}

int sg_names_add_rule(struct sg_globset *set, const struct sg_rule *rule, uint32_t index, unsigned int shift)
{
	const uint64_t mask = SG_NAME_BIT(rule->kind) << shift;
	int status = add_glob(set, rule->glob, index, mask, shift);

	if (status == 0 && !allows(mask, shift))
		status = add_readers(set, rule->glob, index, mask);
	if (status == 0 && rule->kind == SG_RULE_HIDE)
		status = add_hidden_folder(set, rule->glob, index, mask);
	return status;
}

int sg_names_add_policy(struct sg_globset *set, const struct sg_policy *policy, uint32_t base, unsigned int shift)
{
	int status = 0;

	for (size_t i = 0; i < policy->rule_count && status == 0; i++)
		if (policy->rules[i].glob != NULL && policy->rules[i].kind != SG_RULE_PRIVATE)
			status = sg_names_add_rule(set, &policy->rules[i], base + (uint32_t)i, shift);
	return status;
}

bool sg_names_is_own(const struct sg_policy *policy, const char *name, const struct sg_rule **ret_rule)
{
	static const struct {
		const char *folder, *flag;
	} usual[] = {{"/proc/", NULL}, {"/dev/pts/", NULL}, {"/dev/shm/", "shared-memory"}};
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_PRIVATE, &count);

	*ret_rule = NULL;
	for (size_t i = 0; i < count; i++) {
		size_t length;
		const char *folder = sg_glob_prefix(rules[i].glob, &length);

		if (strncmp(name, folder, length) == 0) {
			*ret_rule = &rules[i];
			return true;
		}
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(usual); i++)
		if (strncmp(name, usual[i].folder, strlen(usual[i].folder)) == 0 &&
		    (usual[i].flag == NULL || sg_policy_has_flag(policy, usual[i].flag)))
			return true;
	return false;
}

size_t sg_names_folder(const struct sg_glob *glob, size_t *ret_folder)
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
