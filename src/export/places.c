#include "export/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* True for `folder` and for what lies in it. */
static bool is_in(const char *path, const char *folder)
{
	const size_t length = strlen(folder);

	if (length == 1)
		return true;
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool sg_places_is_own(const char *path)
{
	return is_in(path, "/proc") || is_in(path, "/dev");
}

/* What every Linux system of the kind that the profiles' flags speak of has (FHS 3.0, and the ABI's place for its loader). */
static const char *const usual[] = {
	"/bin",       "/boot",      "/etc",       "/home",          "/lib",           "/lib64",
	"/media",     "/mnt",       "/opt",       "/root",          "/run",           "/sbin",
	"/srv",       "/sys",       "/usr",       "/usr/bin",       "/usr/lib",       "/usr/lib64",
	"/usr/local", "/usr/sbin",  "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin",
	"/var",       "/var/cache", "/var/lib",   "/var/log",       "/var/spool",
};

static bool is_usual(const char *path)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(usual); i++)
		if (strcmp(usual[i], path) == 0)
			return true;
	return false;
}

/* Where settings lie, what a distribution put there, and the state of services that only some hosts have. */
static const char *const varied[] = {"/etc", "/run", "/sys", "/usr", "/var/cache", "/var/lib", "/var/log"};

/*
 * Whether a host may well be without. What a flag names is a list for all systems; what is only read in the home, or in one of
 * those, is so for many. What else a profile names, it needs.
 */
static bool is_optional(const struct sg_rule *rule, const char *path)
{
	if (is_usual(path))
		return false;
	if (rule->flag != NULL || rule->kind == SG_RULE_ALLOW)
		return true;
	if (rule->kind == SG_RULE_WRITE)
		return false;
	for (size_t i = 0; i < SG_ARRAY_SIZE(varied); i++)
		if (is_in(path, varied[i]))
			return true;
	return strncmp(rule->written, "~/", 2) == 0 || strncmp(rule->written, "${HOME}/", 8) == 0;
}

static bool grow(struct sg_places *places)
{
	const size_t capacity = places->capacity > 0 ? 2 * places->capacity : 64;
	struct sg_place *grown;

	if (places->count < places->capacity)
		return true;
	grown = reallocarray(places->places, capacity, sizeof(*grown));
	if (grown == NULL)
		return false;
	places->places = grown;
	places->capacity = capacity;
	return true;
}

/* `name`: a folder's ends in '/'. */
static int add_place(struct sg_places *places, const struct sg_rule *rule, const char *name)
{
	const bool private = rule->kind == SG_RULE_PRIVATE;
	size_t length = strlen(name);
	const bool folder = name[length - 1] == '/';
	struct sg_place *place;
	char *path;

	if (places->count == SG_PLACES_MAX)
		return -E2BIG;
	while (length > 1 && name[length - 1] == '/')
		length--;
	path = strndup(name, length);
	if (path == NULL || !grow(places)) {
		free(path);
		return -ENOMEM;
	}
	if (sg_places_is_own(path) && !private) {
		free(path);
		return 0;
	}
	place = &places->places[places->count++];
	*place = (struct sg_place){
		.path = path,
		.rule = rule,
		.folder = folder,
		.private = private,
		.write = private || rule->kind == SG_RULE_WRITE,
		.execute = rule->kind == SG_RULE_EXECUTE || rule->kind == SG_RULE_MAP,
		.socket = rule->kind == SG_RULE_ALLOW,
		.optional = !private && is_optional(rule, path),
	};
	return 0;
}

int sg_places_names(const struct sg_glob *glob, struct sg_glob_names *ret)
{
	size_t length;
	const char *prefix = sg_glob_prefix(glob, &length);
	int status;

	if (sg_glob_is_tree(glob)) {
		ret->names = calloc(1, sizeof(*ret->names));
		if (ret->names == NULL)
			return -ENOMEM;
		ret->names[0] = strndup(prefix, length > 1 ? length - 1 : length);
		ret->count = ret->names[0] != NULL;
		return ret->count == 1 ? 0 : -ENOMEM;
	}
	if (sg_glob_may_match_directory(glob))
		return SG_GLOB_NOT_LITERAL;
	status = sg_glob_expand(glob, SG_GLOB_NAMES_MAX, ret);
	return status == SG_GLOB_TOO_MANY ? SG_GLOB_NOT_LITERAL : status;
}

/* The places that an allowing rule names. The attributes of one folder ("/dir/") are none. */
static int add_rule(struct sg_places *places, const struct sg_rule *rule)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	const bool tree = sg_glob_is_tree(rule->glob) || rule->kind == SG_RULE_PRIVATE;
	int status = 0;

	if (tree)
		return add_place(places, rule, sg_glob_prefix(rule->glob, &(size_t){0}));
	status = sg_glob_expand(rule->glob, SG_GLOB_NAMES_MAX, &names);
	if (status == SG_GLOB_NOT_LITERAL || status == SG_GLOB_TOO_MANY) {
		status = sg_glob_folders(rule->glob, SG_GLOB_NAMES_MAX, &names);
		for (size_t i = 0; i < names.count && status >= 0; i++)
			status = add_place(places, rule, names.names[i]);
		return status < 0 ? status : 0;
	}
	for (size_t i = 0; i < names.count && status == 0; i++)
		if (names.names[i][strlen(names.names[i]) - 1] != '/')
			status = add_place(places, rule, names.names[i]);
	return status;
}

static bool is_allowing(const struct sg_rule *rule)
{
	return rule->glob != NULL && (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) != 0;
}

/* A refusal is mounted over each of its names. */
static int count_refused(const struct sg_rule *rule, size_t *refused)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	const int status = sg_places_names(rule->glob, &names);

	*refused += names.count;
	if (status < 0)
		return status;
	return *refused > SG_PLACES_MAX ? -E2BIG : 0;
}

static int add_rules(struct sg_places *places, const struct sg_policy *policy)
{
	size_t refused = 0;
	int status = 0;

	for (size_t i = 0; i < policy->rule_count && status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (is_allowing(rule)) {
			status = sg_globset_add(places->set, rule->glob, (uint32_t)i, SG_NAME_BIT(rule->kind));
			if (status == 0)
				status = add_rule(places, rule);
		} else if (rule->kind == SG_RULE_PRIVATE ||
			   (rule->kind == SG_RULE_ALLOW && rule->glob != NULL && sg_glob_is_literal(rule->glob))) {
			status = add_rule(places, rule);
		} else if (rule->glob != NULL && (SG_NAME_BIT(rule->kind) & SG_NAMES_REFUSE) != 0) {
			status = count_refused(rule, &refused);
		}
	}
	return status;
}

/* '/' before every other byte: a folder, then all that lies in it. */
static int compare_paths(const char *a, const char *b)
{
	for (; *a != '\0' && *a == *b; a++)
		b++;
	if (*a == *b)
		return 0;
	if (*a == '\0' || *b == '\0')
		return *a == '\0' ? -1 : 1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int compare_places(const void *left, const void *right)
{
	const struct sg_place *a = left, *b = right;
	const int order = compare_paths(a->path, b->path);

	if (order != 0)
		return order;
	return a->rule < b->rule ? -1 : a->rule > b->rule;
}

static void unite(struct sg_place *to, const struct sg_place *with)
{
	to->folder |= with->folder;
	to->private |= with->private;
	to->write |= with->write;
	to->execute |= with->execute;
	to->socket &= with->socket;
	to->optional &= with->optional;
}

/* True if `above` gives all that the place would. */
static bool is_within(const struct sg_place *place, const struct sg_place *above)
{
	return !place->private && !above->private && (!above->optional || place->optional) &&
	       (above->write || !place->write) && (above->execute || !place->execute);
}

/* One place for each path. */
static void merge(struct sg_places *places)
{
	size_t kept = 0;

	for (size_t i = 0; i < places->count; i++) {
		struct sg_place place = places->places[i];

		if (kept > 0 && strcmp(places->places[kept - 1].path, place.path) == 0) {
			unite(&places->places[kept - 1], &place);
			free(place.path);
		} else {
			places->places[kept++] = place;
		}
	}
	places->count = kept;
}

/* Those that lie in others with as many rights go, and none gives less than the one around it. */
static int nest(struct sg_places *places)
{
	SG_AUTO_FREE size_t *around =
		calloc(places->count + 1, sizeof(*around)); /* the folders that hold the one at hand */
	size_t depth = 0, kept = 0;

	if (around == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < places->count; i++) {
		struct sg_place place = places->places[i];
		const struct sg_place *above = NULL;

		while (depth > 0 && above == NULL) {
			above = &places->places[around[depth - 1]];
			if (!above->folder || !is_in(place.path, above->path)) {
				above = NULL;
				depth--;
			}
		}
		if (above != NULL && is_within(&place, above)) {
			free(place.path);
			continue;
		}
		if (above != NULL && !place.private && !above->private) {
			place.write |= above->write;
			place.execute |= above->execute;
		}
		places->places[kept] = place;
		around[depth++] = kept++;
	}
	places->count = kept;
	return 0;
}

/* Code in a private folder is what an Exec rule speaks of there. */
static bool may_execute(const struct sg_places *places, const char *folder)
{
	struct sg_match_below below;

	(void)sg_matcher_below(places->matcher, folder, strlen(folder), &below);
	return (below.may & (SG_NAME_BIT(SG_RULE_EXECUTE) | SG_NAME_BIT(SG_RULE_MAP))) != 0;
}

static int describe_folder(struct sg_places *places, struct sg_place *place)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, name = SG_BUFFER_INIT;
	int status;

	sg_buffer_printf(&name, "%s/", strcmp(place->path, "/") == 0 ? "" : place->path);
	if (sg_buffer_status(&name) < 0)
		return -ENOMEM;
	sg_glob_quote(&text, name.data, name.size);
	sg_buffer_append_text(&text, "{,**}");
	status = sg_buffer_status(&text);
	if (status == 0)
		status = sg_glob_parse(text.data, text.size, NULL, &place->below);
	if (status == 0 && place->private)
		place->execute = may_execute(places, name.data);
	return status;
}

uint64_t sg_places_given(const struct sg_places *places, const struct sg_place *place)
{
	size_t length;
	const char *prefix;
	struct sg_match_below below;
	struct sg_match match;

	if (!place->folder) {
		(void)sg_matcher_match(places->matcher, place->path, strlen(place->path), &match);
		return match.mask;
	}
	prefix = sg_glob_prefix(place->below, &length);
	(void)sg_matcher_below(places->matcher, prefix, length, &below);
	return below.all;
}

int sg_places_find(const struct sg_policy *policy, struct sg_places *ret)
{
	int status;

	*ret = (struct sg_places){0};
	status = sg_globset_new(&ret->set);
	if (status == 0)
		status = add_rules(ret, policy);
	if (status == 0)
		status = sg_globset_compile(ret->set);
	if (status == 0)
		status = sg_matcher_new(ret->set, SG_MATCHER_MEMORY, &ret->matcher);
	if (status < 0)
		return status;
	if (ret->count > 0)
		qsort(ret->places, ret->count, sizeof(*ret->places), compare_places);
	merge(ret);
	status = nest(ret);
	for (size_t i = 0; i < ret->count && status == 0; i++) {
		struct sg_place *place = &ret->places[i];

		if (place->folder)
			status = describe_folder(ret, place);
		if (status == 0)
			place->whole = place->private || (sg_places_given(ret, place) & SG_NAMES_ALLOW) != 0;
	}
	return status;
}

void sg_places_done(struct sg_places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		free(places->places[i].path);
		sg_glob_free(places->places[i].below);
	}
	free(places->places);
	sg_matcher_free(places->matcher);
	sg_globset_free(places->set);
	*places = (struct sg_places){0};
}

/* The first place that is not before `path`, in the order of compare_paths(). */
static size_t lower_bound(const struct sg_places *places, const char *path)
{
	size_t low = 0, high = places->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (compare_paths(places->places[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct sg_place *find_exactly(const struct sg_places *places, const char *path)
{
	const size_t index = lower_bound(places, path);

	return index < places->count && strcmp(places->places[index].path, path) == 0 ? &places->places[index] : NULL;
}

/* Cuts the last component off. Returns false at the root. */
static bool cut(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || path[1] == '\0')
		return false;
	slash[slash == path ? 1 : 0] = '\0';
	return true;
}

const struct sg_place *sg_places_around(const struct sg_places *places, const char *path)
{
	char name[SG_GLOB_LENGTH_MAX + 1];
	const struct sg_place *found;

	if (strlen(path) >= sizeof(name))
		return NULL;
	memcpy(name, path, strlen(path) + 1);
	found = find_exactly(places, name);
	while ((found == NULL || (!found->folder && strcmp(found->path, path) != 0)) && cut(name))
		found = find_exactly(places, name);
	return found != NULL && (found->folder || strcmp(found->path, path) == 0) ? found : NULL;
}

/* True if the glob could speak of the place, or of a name in it: never false where it does. */
static bool meets(const struct sg_place *place, const struct sg_glob *glob)
{
	const char *prefix = sg_glob_prefix(glob, &(size_t){0});

	if (sg_glob_is_literal(glob))
		return place->folder ? is_in(prefix, place->path) : strcmp(prefix, place->path) == 0;
	return !place->folder || sg_glob_overlaps(glob, place->below) != SG_GLOB_NO;
}

/* Above the glob's prefix a place is one of the folders on the way to it; the others begin with it, and stand together. */
void sg_places_meet(const struct sg_places *places, const struct sg_glob *glob,
		    void (*note)(void *data, const struct sg_place *place), void *data)
{
	char name[SG_GLOB_LENGTH_MAX + 1];
	size_t length;
	const char *prefix = sg_glob_prefix(glob, &length);

	while (length > 1 && prefix[length - 1] == '/')
		length--;
	if (length >= sizeof(name))
		return;
	memcpy(name, prefix, length);
	name[length] = '\0';
	for (size_t i = lower_bound(places, name);
	     i < places->count && strncmp(places->places[i].path, name, length) == 0; i++)
		if (meets(&places->places[i], glob))
			note(data, &places->places[i]);
	while (cut(name)) {
		const struct sg_place *place = find_exactly(places, name);

		if (place != NULL && place->folder && meets(place, glob))
			note(data, place);
	}
}

/* Folders that most systems have twice, one as a link to the other. */
static const char *const twins[][2] = {
	{"/bin", "/usr/bin"},     {"/sbin", "/usr/sbin"},     {"/lib", "/usr/lib"}, {"/lib32", "/usr/lib32"},
	{"/lib64", "/usr/lib64"}, {"/libx32", "/usr/libx32"}, {"/var/run", "/run"}, {"/var/lock", "/run/lock"},
};

bool sg_places_twin(const char *path, struct sg_buffer *ret)
{
	for (size_t i = 0; i < 2 * SG_ARRAY_SIZE(twins); i++) {
		const char *from = twins[i / 2][i % 2];

		if (!is_in(path, from))
			continue;
		sg_buffer_append_text(ret, twins[i / 2][1 - i % 2]);
		sg_buffer_append_text(ret, path + strlen(from));
		return true;
	}
	return false;
}

/* True if wildcards after `prefix` could name such a folder. */
static bool is_above_twins(const char *prefix)
{
	for (size_t i = 0; i < 2 * SG_ARRAY_SIZE(twins); i++)
		if (strncmp(twins[i / 2][i % 2], prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

int sg_places_find_twin(const struct sg_glob *glob, struct sg_glob **ret)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, copy = SG_BUFFER_INIT;
	size_t length;
	const char *given = sg_glob_text(glob, &length);

	*ret = NULL;
	if (!sg_glob_is_literal(glob) && is_above_twins(sg_glob_prefix(glob, &(size_t){0})))
		return 1;
	sg_buffer_append(&copy, given, length);
	if (sg_buffer_status(&copy) < 0)
		return -ENOMEM;
	if (!sg_places_twin(copy.data, &text))
		return 0;
	return sg_buffer_status(&text) < 0 ? -ENOMEM : sg_glob_parse(text.data, text.size, NULL, ret);
}

int sg_places_each_twin(const struct sg_glob *glob, int (*add)(void *data, struct sg_glob *twin), void *data)
{
	struct sg_glob *twin = NULL;
	int status = sg_places_find_twin(glob, &twin);

	if (status <= 0)
		return status < 0 || twin == NULL ? status : add(data, twin);
	status = 0;
	for (size_t i = 0; i < 2 * SG_ARRAY_SIZE(twins) && status == 0; i++)
		status = sg_glob_move(glob, twins[i / 2][i % 2], twins[i / 2][1 - i % 2], add, data);
	return status;
}
