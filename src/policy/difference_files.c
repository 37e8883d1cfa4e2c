/*
 * Files: the globs of both policies as one automaton, walked breadth first over every state that some canonical name leads to. What a
 * policy allows at a state depends on the classes that match there and on a few bits that folders above have set (hidden, shown, the
 * host's within a folder of the world's own), so the walk is over pairs of both, and each is met once. The first name that leads to a
 * difference is the shortest one.
 */
#include <errno.h>
#include <string.h>

#include "policy/difference_internal.h"
#include "policy/glob_match.h"
#include "policy/names.h"

enum {
	STATES_MAX = 1 << 20,
	MEMORY_SMALL = 1 << 20,
	MATCHER_PAIRS = 128, /* not used here */
};

/* Classes beside those of the rules, one bit for each side: what lies within a folder of the world's own. */
#define WITHIN(side) (UINT64_C(1) << (30 + (side)))
#define WITHIN_LIST(side) (UINT64_C(1) << (32 + (side)))
#define RULE_BITS ((UINT64_C(1) << SG_NAMES_SHIFT) - 1)

/* What folders above have set. */
enum { ABOVE_HIDDEN = 1, ABOVE_SHOWN = 2, ABOVE_WITHIN = 4, ABOVE_BITS = 3 };

/* What a policy says of a name. */
enum {
	MAY_READ = 1 << 0,
	MAY_WRITE = 1 << 1,
	MAY_EXECUTE = 1 << 2,
	MAY_CONNECT = 1 << 3,
	OWN_READ = 1 << 4,
	OWN_WRITE = 1 << 5,
	OWN_EXECUTE = 1 << 6,
	MAY_SEE = 1 << 7,
	LOG_READ = 1 << 8,
	LOG_WRITE = 1 << 9,
};

/* A state met: where the automaton stands, and how it was come by. */
struct met {
	uint32_t position, parent;
	uint8_t shape, above, byte;
};

struct walk {
	struct sg_comparison *comparison;
	struct sg_globset *both, *each[SG_SIDES];
	struct sg_matcher *matcher, *names[SG_SIDES];
	struct met *met; /* the queue, too */
	size_t count, capacity;
	uint32_t *table; /* hash table of indices into met, plus one */
	size_t table_size;
	uint8_t byte_of[256]; /* of each symbol one byte, a letter if there is one */
};

static void walk_done(struct walk *walk)
{
	sg_matcher_free(walk->matcher);
	sg_globset_free(walk->both);
	for (int side = 0; side < SG_SIDES; side++) {
		sg_matcher_free(walk->names[side]);
		sg_globset_free(walk->each[side]);
	}
	free(walk->met);
	free(walk->table);
}

/* --- the automaton --- */

static int add_text(struct sg_globset *set, const char *text, size_t length, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	int status = sg_glob_parse(text, length, NULL, &glob);

	return status < 0 ? status : sg_globset_add(set, glob, 0, mask);
}

/* A folder of the world's own, with all in it. */
static int add_own(struct walk *walk, int side, const char *folder)
{
	const uint64_t mask = SG_NAME_BIT(SG_RULE_PRIVATE) << (side * SG_NAMES_SHIFT);
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	int status;

	sg_glob_quote(&text, folder, strlen(folder));
	status = sg_buffer_status(&text) < 0 ? -ENOMEM : add_text(walk->both, text.data, text.size, mask);
	sg_buffer_append_text(&text, "**");
	if (status == 0)
		status = sg_buffer_status(&text);
	return status == 0 ? add_text(walk->both, text.data, text.size, mask) : status;
}

static bool is_within(const struct sg_policy *policy, const struct sg_rule *rule)
{
	size_t count, length;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_PRIVATE, &count);
	const char *prefix = sg_glob_prefix(rule->glob, &length);

	for (size_t i = 0; i < count; i++) {
		size_t folder_length;
		const char *folder = sg_glob_prefix(rules[i].glob, &folder_length);

		if (length > folder_length && memcmp(prefix, folder, folder_length) == 0)
			return true;
	}
	return false;
}

/* Rules that put something of the host into a folder of the world's own. */
static int add_within(struct walk *walk, int side)
{
	const struct sg_policy *policy = walk->comparison->policy[side];
	int status = 0;

	for (size_t i = 0; i < policy->rule_count && status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) == 0 || !is_within(policy, rule))
			continue;
		status = sg_globset_add(walk->both, rule->glob, 0, WITHIN(side));
		if (status == 0)
			status = sg_names_add_shown(walk->both, rule->glob, 0, WITHIN_LIST(side));
	}
	return status;
}

static int add_side(struct walk *walk, int side)
{
	static const char *const usual[] = {"/proc/", "/dev/pts/"};
	const struct sg_policy *policy = walk->comparison->policy[side];
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_PRIVATE, &count);
	int status = sg_names_add_policy(walk->both, policy, 0, (unsigned int)side * SG_NAMES_SHIFT);

	for (size_t i = 0; i < count && status == 0; i++)
		status = add_own(walk, side, sg_glob_prefix(rules[i].glob, &(size_t){0}));
	for (size_t i = 0; i < SG_ARRAY_SIZE(usual) && status == 0; i++)
		status = add_own(walk, side, usual[i]);
	if (status == 0 && sg_policy_has_flag(policy, "shared-memory"))
		status = add_own(walk, side, "/dev/shm/");
	if (status == 0)
		status = add_within(walk, side);
	if (status == 0)
		status = sg_globset_new(&walk->each[side]);
	if (status == 0)
		status = sg_names_add_policy(walk->each[side], policy, 0, 0);
	if (status == 0)
		status = sg_globset_compile(walk->each[side]);
	return status == 0 ? sg_matcher_new(walk->each[side], SG_MATCHER_MEMORY_MIN, &walk->names[side]) : status;
}

/* Names in answers are read by people: a letter stands for the bytes that no glob tells from it. */
static void choose_bytes(struct walk *walk)
{
	static const char preferred[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+=,:@%";

	memcpy(walk->byte_of, walk->both->byte_of, sizeof(walk->byte_of));
	for (size_t i = sizeof(preferred) - 1; i-- > 0;)
		walk->byte_of[walk->both->symbol_of[(unsigned char)preferred[i]]] = (uint8_t)preferred[i];
}

static int make_automaton(struct walk *walk, size_t memory)
{
	int status = sg_globset_new(&walk->both);

	for (int side = 0; side < SG_SIDES && status == 0; side++)
		status = add_side(walk, side);
	if (status == 0)
		status = sg_globset_compile(walk->both);
	if (status == 0)
		status = sg_matcher_new_sized(walk->both, memory, MATCHER_PAIRS, &walk->matcher);
	if (status == 0)
		choose_bytes(walk);
	return status;
}

/* --- what a policy says --- */

/* The classes of one side, as sg_decide takes them. */
static uint64_t classes_of(uint64_t accepts, int side)
{
	const unsigned int shift = (unsigned int)side * SG_NAMES_SHIFT;

	return ((accepts >> shift) & RULE_BITS) | ((accepts & SG_NAME_LIST << shift) != 0 ? SG_NAME_LIST : 0);
}

static unsigned int above_of(uint8_t above, int side)
{
	return (unsigned int)above >> (side * ABOVE_BITS) & (ABOVE_HIDDEN | ABOVE_SHOWN | ABOVE_WITHIN);
}

static unsigned int logs_of(uint64_t classes)
{
	return ((classes & SG_NAME_BIT(SG_RULE_LOG_READ)) != 0 ? LOG_READ : 0U) |
	       ((classes & SG_NAME_BIT(SG_RULE_LOG_WRITE)) != 0 ? LOG_WRITE : 0U);
}

static unsigned int accesses_of(uint64_t classes, bool own, bool folder)
{
	const unsigned int allowed = sg_decide_accesses(classes, own);
	unsigned int may = ((allowed & SG_ACCESS_READ) != 0 ? MAY_READ : 0U) |
			   ((allowed & SG_ACCESS_WRITE) != 0 ? MAY_WRITE : 0U) |
			   ((allowed & SG_ACCESS_EXECUTE) != 0 && !folder ? MAY_EXECUTE : 0U);

	return own ? may << 4 : may;
}

static unsigned int say(uint64_t accepts, uint8_t above, int side, bool folder)
{
	const uint64_t classes = classes_of(accepts, side), hide = SG_NAME_BIT(SG_RULE_HIDE);
	const unsigned int folders = above_of(above, side);
	const bool own = (classes & SG_NAME_BIT(SG_RULE_PRIVATE)) != 0 && (folders & ABOVE_WITHIN) == 0 &&
			 (accepts & (WITHIN(side) | WITHIN_LIST(side))) == 0;

	if ((classes & hide) != 0 || (folders & ABOVE_HIDDEN) != 0)
		return logs_of(classes);
	return accesses_of(classes, own, folder) | logs_of(classes) |
	       (!folder && sg_decide_socket_allows(classes) ? MAY_CONNECT : 0U) |
	       (own || (folders & ABOVE_SHOWN) != 0 || (classes & (SG_NAMES_ALLOW | SG_NAME_LIST)) != 0 ? MAY_SEE : 0U);
}

/* What a folder sets for all below it. */
static uint8_t step_above(uint64_t accepts, uint8_t above)
{
	unsigned int result = above;

	for (int side = 0; side < SG_SIDES; side++) {
		const uint64_t classes = classes_of(accepts, side);
		const unsigned int bits = ((classes & SG_NAME_BIT(SG_RULE_HIDE)) != 0 ? ABOVE_HIDDEN : 0U) |
					  ((classes & SG_NAME_LIST) != 0 ? ABOVE_SHOWN : 0U) |
					  ((accepts & WITHIN_LIST(side)) != 0 ? ABOVE_WITHIN : 0U);

		result |= bits << (side * ABOVE_BITS);
	}
	return (uint8_t)result;
}

/* --- what differs, in words --- */

static const struct {
	unsigned int bit;
	enum sg_access access; /* 0: not one of those that sg_decide takes */
	uint64_t rules;        /* classes of the rule to tell */
	const char *what, *folder;
	bool record;
} sayings[] = {
	{MAY_READ, SG_ACCESS_READ, 0, "read", "list", false},
	{MAY_WRITE, SG_ACCESS_WRITE, 0, "write", "change", false},
	{MAY_EXECUTE, SG_ACCESS_EXECUTE, 0, "execute", "execute", false},
	{MAY_CONNECT, 0, SG_NAME_BIT(SG_RULE_ALLOW) | SG_NAME_BIT(SG_RULE_DENY_ADDRESS), "connect to", "connect to",
	 false},
	{OWN_READ, SG_ACCESS_READ, 0, "read (its own)", "list (its own)", false},
	{OWN_WRITE, SG_ACCESS_WRITE, 0, "write (its own)", "change (its own)", false},
	{OWN_EXECUTE, SG_ACCESS_EXECUTE, 0, "execute (its own)", "execute (its own)", false},
	{MAY_SEE, 0, SG_NAME_BIT(SG_RULE_HIDE) | SG_NAMES_ALLOW | SG_NAME_LIST, "see", "see", false},
	{LOG_READ, 0, SG_NAME_BIT(SG_RULE_LOG_READ), "record reading", "record listing", true},
	{LOG_WRITE, 0, SG_NAME_BIT(SG_RULE_LOG_WRITE), "record writing", "record changing", true},
};

/* What is told of a name by something else that is told of it too. */
static const struct {
	unsigned int bit, by;
} implied[] = {
	{MAY_SEE, MAY_READ | MAY_WRITE | MAY_EXECUTE | OWN_READ | OWN_WRITE | OWN_EXECUTE},
	{OWN_READ, OWN_WRITE | OWN_EXECUTE},
	{OWN_WRITE, OWN_EXECUTE},
};

static const struct sg_rule *rule_by_classes(const struct walk *walk, int side, const char *name, size_t length,
					     uint64_t classes)
{
	const struct sg_policy *policy = walk->comparison->policy[side];
	struct sg_match match;
	uint32_t rule;

	if (sg_matcher_match(walk->names[side], name, length, &match) < 0 ||
	    sg_matcher_rules(walk->names[side], classes, &rule, 1) == 0 || rule >= policy->rule_count)
		return NULL;
	return &policy->rules[rule];
}

/* A name that is told of, and what each side says of it. */
struct told {
	const char *name;
	size_t length;
	unsigned int said[SG_SIDES];
};

/* The rule that decides about the name on one side. */
static const struct sg_rule *find_rule(const struct walk *walk, int side, const struct told *told, size_t saying)
{
	const struct sg_policy *policy = walk->comparison->policy[side];
	const bool own = (told->said[side] & sayings[saying].bit & (OWN_READ | OWN_WRITE | OWN_EXECUTE)) != 0;
	const struct sg_rule *private = NULL;
	struct sg_decision decision;
	uint32_t rule;

	if (!sayings[saying].record && sg_decide_hides(walk->names[side], told->name, told->length, &rule))
		return rule < policy->rule_count ? &policy->rules[rule] : NULL;
	if (own && sg_names_is_own(policy, told->name, &private))
		return private;
	if (sayings[saying].access == 0)
		return rule_by_classes(walk, side, told->name, told->length, sayings[saying].rules);
	sg_decide(policy, walk->names[side], told->name, told->length, sayings[saying].access, false, &decision);
	if (decision.verdict == SG_VERDICT_ALLOW && decision.rule == NULL)
		return rule_by_classes(walk, side, told->name, told->length, SG_NAME_LIST);
	/* Of a refusal only a rule that refuses is told. */
	return decision.verdict != SG_VERDICT_ALLOW && decision.rule != NULL &&
			       (SG_NAME_BIT(decision.rule->kind) & SG_NAMES_REFUSE) == 0
		       ? NULL
		       : decision.rule;
}

static int tell_one(struct walk *walk, enum sg_direction direction, const struct told *told, size_t saying)
{
	const bool folder = told->name[told->length - 1] == '/';
	SG_AUTO_BUFFER struct sg_buffer example = SG_BUFFER_INIT;

	sg_buffer_printf(&example, "%s%s", sayings[saying].bit == MAY_CONNECT ? "unix:" : "", told->name);
	if (sg_buffer_status(&example) < 0)
		return -ENOMEM;
	return sg_difference_add(walk->comparison, sayings[saying].record ? SG_DIRECTION_CHANGES : direction,
				 folder ? sayings[saying].folder : sayings[saying].what, example.data,
				 find_rule(walk, 0, told, saying), find_rule(walk, 1, told, saying));
}

/* What more, or less, is said of a name. */
static int tell(struct walk *walk, enum sg_direction direction, const struct told *told, unsigned int bits)
{
	unsigned int left = bits;
	int status = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(implied); i++)
		if ((bits & implied[i].by) != 0)
			left &= ~implied[i].bit;
	for (size_t i = 0; i < SG_ARRAY_SIZE(sayings) && status == 0; i++)
		if ((left & sayings[i].bit) != 0)
			status = tell_one(walk, direction, told, i);
	return status;
}

/* The name that led to `byte` after a state. */
static void write_name(const struct walk *walk, uint32_t parent, uint8_t byte, struct sg_buffer *name)
{
	sg_buffer_append_byte(name, (char)byte);
	for (uint32_t i = parent; i != 0; i = walk->met[i].parent)
		sg_buffer_append_byte(name, (char)walk->met[i].byte);
	for (size_t i = 0; sg_buffer_status(name) == 0 && i < name->size / 2; i++) {
		const char swap = name->data[i];

		name->data[i] = name->data[name->size - 1 - i];
		name->data[name->size - 1 - i] = swap;
	}
}

static int compare(struct walk *walk, uint32_t parent, uint8_t byte, uint64_t accepts, uint8_t above)
{
	struct told told = {.said = {say(accepts, above, 0, byte == '/'), say(accepts, above, 1, byte == '/')}};
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
	int status;

	if (told.said[0] == told.said[1])
		return 0;
	write_name(walk, parent, byte, &name);
	if (sg_buffer_status(&name) < 0)
		return -ENOMEM;
	told.name = name.data;
	told.length = name.size;
	status = tell(walk, SG_DIRECTION_GIVES, &told, told.said[1] & ~told.said[0]);
	return status == 0 ? tell(walk, SG_DIRECTION_TAKES, &told, told.said[0] & ~told.said[1]) : status;
}

/* --- the walk --- */

static size_t slot_of(const struct walk *walk, const struct met *met)
{
	uint64_t key =
		((uint64_t)met->position << 16 | (uint64_t)met->above << 8 | met->shape) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (size_t)(key >> 29 ^ key) & (walk->table_size - 1);

	for (; walk->table[slot] != 0; slot = (slot + 1) & (walk->table_size - 1)) {
		const struct met *other = &walk->met[walk->table[slot] - 1];

		if (other->position == met->position && other->above == met->above && other->shape == met->shape)
			break;
	}
	return slot;
}

/* Twice the room: at most half of the table is used. */
static int grow(struct walk *walk)
{
	const size_t capacity = walk->capacity == 0 ? 1024 : walk->capacity * 2;
	struct met *grown = reallocarray(walk->met, capacity, sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	walk->met = grown;
	free(walk->table);
	walk->table = calloc(capacity * 2, sizeof(*walk->table));
	if (walk->table == NULL)
		return -ENOMEM;
	walk->capacity = capacity;
	walk->table_size = capacity * 2;
	for (size_t i = 0; i < walk->count; i++)
		walk->table[slot_of(walk, &walk->met[i])] = (uint32_t)i + 1;
	return 0;
}

static int push(struct walk *walk, const struct met *met)
{
	size_t slot;
	int status = walk->count == walk->capacity ? grow(walk) : 0;

	if (status < 0)
		return status;
	slot = slot_of(walk, met);
	if (walk->table[slot] != 0)
		return 0;
	if (walk->count == STATES_MAX)
		return SG_DIFFERENCE_TOO_LARGE;
	walk->met[walk->count] = *met;
	walk->table[slot] = (uint32_t)++walk->count;
	return 0;
}

/* Compares and queues what one symbol leads to. */
static int follow(struct walk *walk, uint32_t index, size_t symbol)
{
	const struct met from = walk->met[index];
	struct met next = {.byte = walk->byte_of[symbol], .parent = index, .above = from.above};
	uint64_t accepts;
	int status = 0;

	next.shape = (uint8_t)sg_name_step(from.shape, next.byte);
	if (next.shape == SG_SHAPE_NONE)
		return 0;
	next.position = sg_matcher_step(walk->matcher, from.position, next.byte);
	if (next.position == SG_POSITION_UNKNOWN)
		return SG_DIFFERENCE_TOO_LARGE;
	accepts = sg_matcher_accepts(walk->matcher, next.position);
	if (next.shape == SG_SHAPE_SLASH || next.shape == SG_SHAPE_INSIDE)
		status = compare(walk, index, next.byte, accepts, from.above);
	if (next.byte == '/')
		next.above = step_above(accepts, from.above);
	if (status == 0 && sg_matcher_may(walk->matcher, next.position) != 0)
		status = push(walk, &next);
	return status;
}

static int explore(struct walk *walk)
{
	const struct met start = {.position = sg_matcher_run(walk->matcher, "", 0), .shape = SG_SHAPE_START};
	int status = start.position == SG_POSITION_PLAIN ? SG_DIFFERENCE_TOO_LARGE : push(walk, &start);

	walk->matcher->exploring = true;
	for (size_t i = 0; i < walk->count && status == 0; i++)
		for (size_t symbol = 0; symbol < walk->both->symbol_count && status == 0; symbol++)
			status = follow(walk, (uint32_t)i, symbol);
	walk->matcher->exploring = false;
	return status;
}

static int walk_with(struct sg_comparison *comparison, size_t memory)
{
	SG_CLEANUP(walk_done) struct walk walk = {.comparison = comparison};
	int status = make_automaton(&walk, memory);

	return status == 0 ? explore(&walk) : status;
}

int sg_difference_files(struct sg_comparison *comparison)
{
	int status = walk_with(comparison, MEMORY_SMALL);

	/* What was told by then is known the second time. */
	return status == SG_DIFFERENCE_TOO_LARGE ? walk_with(comparison, SG_MATCHER_MEMORY_MAX) : status;
}
