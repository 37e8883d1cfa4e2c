/*
 * Flags: a name for a purpose, defined by [Define.x] in the built-in files or in a profile.
 *
 * Granting a flag states what its definition states and grants the flags in it. Denying one refuses all of that, whatever
 * else gives it, but not what the definition merely needs (NeedsFlags, NeedsSyscalls): those are means that other purposes
 * share, as fcntl is that of locks and of every program. Of a call that is only needed, the requests that no other granted
 * flag gives are refused: a denied flag is none of the set that the filter asks (world/grants.c). Since a denial states
 * rules that refuse and takes no rule away, one more of them never allows more, whatever the order.
 *
 * Definitions may name each other; a circle is an error, and each is expanded once for each direction.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "policy/builtin.h"
#include "policy/compile_internal.h"

static int compare_definitions(const void *left, const void *right)
{
	return strcmp(((const struct sg_definition *)left)->name, ((const struct sg_definition *)right)->name);
}

static struct sg_definition *find_definition(const struct sg_compiler *compiler, const char *name)
{
	const struct sg_definition key = {.name = name};

	return compiler->definition_count == 0 ? NULL
					       : bsearch(&key, compiler->definitions, compiler->definition_count,
							 sizeof(key), compare_definitions);
}

static int compare_statements(const void *left, const void *right)
{
	const struct sg_statement *a = *(const struct sg_statement *const *)left;
	const struct sg_statement *b = *(const struct sg_statement *const *)right;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->text, b->text);
}

/* What a definition states, in an order of its own, each once. NULL without memory; *ret_count of them. */
static const struct sg_statement **sort_statements(const struct sg_definition *definition, size_t *ret_count)
{
	const struct sg_statement **sorted = calloc(definition->count + 1, sizeof(const struct sg_statement *));
	size_t kept = 0;

	if (sorted == NULL)
		return NULL;
	for (size_t i = 0; i < definition->count; i++)
		sorted[i] = &definition->profile->statements[definition->first + i];
	qsort(sorted, definition->count, sizeof(*sorted), compare_statements);
	for (size_t i = 0; i < definition->count; i++)
		if (kept == 0 || compare_statements(&sorted[kept - 1], &sorted[i]) != 0)
			sorted[kept++] = sorted[i];
	*ret_count = kept;
	return sorted;
}

/* Whether two definitions say the same, in whatever order. False, and compiler->status set, without memory. */
static bool same_definition(struct sg_compiler *compiler, const struct sg_definition *a, const struct sg_definition *b)
{
	size_t count, other;
	SG_AUTO_FREE const struct sg_statement **first = sort_statements(a, &count);
	SG_AUTO_FREE const struct sg_statement **second = sort_statements(b, &other);

	if (first == NULL || second == NULL) {
		compiler->status = -ENOMEM;
		return false;
	}
	if (count != other)
		return false;
	for (size_t i = 0; i < count; i++)
		if (compare_statements(&first[i], &second[i]) != 0)
			return false;
	return true;
}

static struct sg_statement name_statement(const struct sg_definition *definition)
{
	struct sg_statement statement = definition->profile->statements[definition->first];

	statement.span = statement.group_span;
	return statement;
}

/* Sorted by name; of several with one name all must say the same, and none may bear a built-in's. */
static void merge_definitions(struct sg_compiler *compiler)
{
	size_t kept = 0;

	for (size_t i = 0; i < compiler->definition_count; i++) {
		struct sg_definition *definition = &compiler->definitions[i];
		struct sg_definition *last = kept > 0 ? &compiler->definitions[kept - 1] : NULL;
		struct sg_statement place;

		if (last == NULL || strcmp(last->name, definition->name) != 0) {
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): below the count there are definitions */
			compiler->definitions[kept++] = *definition;
			continue;
		}
		if (definition->builtin) { /* qsort does not keep the order: let the built-in one be the first */
			struct sg_definition swap = *last;

			*last = *definition;
			*definition = swap;
		}
		place = name_statement(definition);
		if (last->builtin)
			sg_compile_complain(compiler, &place, "give it another name",
					    "\"%s\" is a built-in flag and cannot be defined again", place.group);
		else if (!same_definition(compiler, last, definition))
			sg_compile_complain(compiler, &place, "give one of them another name",
					    "two different definitions of the flag \"%s\"", place.group);
	}
	compiler->definition_count = kept;
}

static int add_definition(struct sg_compiler *compiler, size_t *capacity, const struct sg_definition *definition)
{
	if (compiler->definition_count == *capacity) {
		size_t wanted = *capacity == 0 ? 128 : *capacity * 2;
		struct sg_definition *grown = reallocarray(compiler->definitions, wanted, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		compiler->definitions = grown;
		*capacity = wanted;
	}
	compiler->definitions[compiler->definition_count++] = *definition;
	return 0;
}

int sg_compile_collect_flags(struct sg_compiler *compiler)
{
	size_t capacity = 0;

	for (size_t i = 0; i < compiler->policy->profile_count; i++) {
		const struct sg_profile *profile = compiler->policy->profiles[i];

		for (size_t j = 0; j < profile->count;) {
			const struct sg_statement *first = &profile->statements[j];
			struct sg_definition definition = {.name = first->group,
							   .profile = profile,
							   .first = j,
							   .builtin = i >= compiler->own_count};

			if (first->section != SG_SECTION_DEFINE) {
				j++;
				continue;
			}
			for (; j < profile->count && profile->statements[j].group == first->group; j++)
				if (profile->statements[j].kind == SG_RULE_CATEGORY)
					definition.category = profile->statements[j].text;
			definition.count = j - definition.first;
			if (add_definition(compiler, &capacity, &definition) < 0)
				return -ENOMEM;
		}
	}
	if (compiler->definition_count > 0)
		qsort(compiler->definitions, compiler->definition_count, sizeof(*compiler->definitions),
		      compare_definitions);
	merge_definitions(compiler);
	return 0;
}

static void complain_unknown(struct sg_compiler *compiler, const struct sg_statement *statement)
{
	const size_t all = compiler->definition_count + sg_builtin_definition_count;
	SG_AUTO_FREE const char **names = NULL;
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;

	if (sg_diagnostics_are_full(compiler->diagnostics)) { /* counted, and not told */
		sg_compile_complain(compiler, statement, NULL, "unknown flag");
		return;
	}
	names = calloc(all, sizeof(*names));
	if (names == NULL) {
		compiler->status = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < compiler->definition_count; i++)
		names[i] = compiler->definitions[i].name;
	for (size_t i = 0; i < sg_builtin_definition_count; i++)
		names[compiler->definition_count + i] = sg_builtin_definitions[i].name;
	sg_compile_complain(compiler, statement,
			    sg_text_suggest(&hint, statement->text, names, all, "shellguard-profile(5) lists them"),
			    "unknown flag \"%s\"", statement->text);
}

/* A built-in flag stands in the section of its purpose; those of OpenBSD's pledge, and a profile's own, anywhere. */
static void check_section(struct sg_compiler *compiler, const struct sg_statement *statement,
			  const struct sg_definition *definition)
{
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;

	if (definition->category == NULL || statement->section == SG_SECTION_DEFINE ||
	    strcmp(definition->category, "Pledge") == 0 ||
	    strcmp(definition->category, sg_section_infos[statement->section].name) == 0)
		return;
	sg_buffer_printf(&hint, "write it under [%s]", definition->category);
	sg_compile_complain(compiler, statement, hint.data, "the flag \"%s\" belongs in [%s], not in [%s]",
			    statement->text, definition->category, sg_section_infos[statement->section].name);
}

/* What denying a statement of a definition means. SG_RULE_KINDS: nothing. */
static enum sg_rule_kind denial_of(enum sg_rule_kind kind)
{
	switch (kind) {
	case SG_RULE_READ:
	case SG_RULE_WRITE:
	case SG_RULE_EXECUTE:
	case SG_RULE_MAP:
	case SG_RULE_PRIVATE:
		return SG_RULE_DENY;
	case SG_RULE_ALLOW:
	case SG_RULE_LISTEN:
		return SG_RULE_DENY_ADDRESS;
	case SG_RULE_SYSCALL:
		return SG_RULE_DENY_SYSCALL;
	case SG_RULE_CAPABILITY:
		return SG_RULE_DENY_CAPABILITY;
	default:
		return SG_RULE_KINDS;
	}
}

/* Definitions under way, each named by the one before it. */
struct chain {
	struct {
		struct sg_definition *definition;
		size_t next; /* statement of it */
	} * items;
	size_t count, capacity;
};

static void free_chain(struct chain *chain)
{
	free(chain->items);
}

static bool push(struct sg_compiler *compiler, struct chain *chain, struct sg_definition *definition)
{
	if (chain->count == chain->capacity) {
		const size_t wanted = chain->capacity == 0 ? 16 : chain->capacity * 2;
		void *grown = reallocarray(chain->items, wanted, sizeof(*chain->items));

		if (grown == NULL) {
			compiler->status = -ENOMEM;
			return false;
		}
		chain->items = grown;
		chain->capacity = wanted;
	}
	chain->items[chain->count].definition = definition;
	chain->items[chain->count++].next = 0;
	return true;
}

/* States that the flag is granted or denied, and puts its definition at the end of the chain, if that is not done. */
static void enter(struct sg_compiler *compiler, struct chain *chain, const struct sg_statement *use, bool deny)
{
	struct sg_definition *definition = find_definition(compiler, use->text);

	if (definition == NULL) {
		complain_unknown(compiler, use);
		return;
	}
	if (deny ? definition->denying : definition->granting) {
		sg_compile_complain(compiler, use, NULL, "the definition of \"%s\" leads back to itself here",
				    use->text);
		return;
	}
	(void)sg_compile_add(compiler, deny ? SG_RULE_DENY_FLAG : SG_RULE_FLAG, use,
			     use->section == SG_SECTION_DEFINE ? use->group : NULL);
	if ((deny ? definition->denied : definition->granted) || !push(compiler, chain, definition))
		return;
	if (deny)
		definition->denying = true;
	else
		definition->granting = true;
}

static void leave(struct chain *chain, bool deny)
{
	struct sg_definition *definition = chain->items[--chain->count].definition;

	if (deny) {
		definition->denying = false;
		definition->denied = true;
	} else {
		definition->granting = false;
		definition->granted = true;
	}
}

static void state(struct sg_compiler *compiler, struct chain *chain, const struct sg_definition *definition,
		  const struct sg_statement *statement, bool deny)
{
	if (deny && (statement->kind == SG_RULE_NEED_FLAG || statement->kind == SG_RULE_NEED_SYSCALL))
		return;
	if (sg_rule_gives_flag(statement->kind))
		enter(compiler, chain, statement, deny);
	else if (statement->kind == SG_RULE_NEED_SYSCALL)
		sg_compile_statement(compiler, SG_RULE_SYSCALL, statement, definition->name);
	else if (statement->kind == SG_RULE_DESCRIPTION || statement->kind == SG_RULE_CATEGORY)
		return;
	else if (!deny)
		sg_compile_statement(compiler, statement->kind, statement, definition->name);
	else if (denial_of(statement->kind) != SG_RULE_KINDS)
		sg_compile_statement(compiler, denial_of(statement->kind), statement, definition->name);
}

/*
 * Each definition is expanded once for each direction, whatever names it, so the work is that of all definitions together. The chain
 * is as long as the definitions that name each other in a row: not a matter of the stack, so that no length of it is an error, and
 * the order of statements, on which it depends, none either.
 */
static void expand_flag(struct sg_compiler *compiler, const struct sg_statement *use, bool deny)
{
	SG_CLEANUP(free_chain) struct chain chain = {.count = 0};

	enter(compiler, &chain, use, deny);
	while (chain.count > 0 && compiler->status == 0) {
		const struct sg_definition *definition = chain.items[chain.count - 1].definition;
		const size_t next = chain.items[chain.count - 1].next++;

		if (next == definition->count)
			leave(&chain, deny);
		else
			state(compiler, &chain, definition, &definition->profile->statements[definition->first + next],
			      deny);
	}
}

void sg_compile_flag(struct sg_compiler *compiler, const struct sg_statement *statement)
{
	const struct sg_definition *definition = find_definition(compiler, statement->text);

	if (definition != NULL)
		check_section(compiler, statement, definition);
	expand_flag(compiler, statement, statement->kind == SG_RULE_DENY_FLAG);
}

void sg_compile_unused(struct sg_compiler *compiler)
{
	for (size_t i = 0; i < compiler->definition_count && compiler->status == 0; i++) {
		const struct sg_definition *definition = &compiler->definitions[i];
		struct sg_statement use;

		if (definition->builtin || definition->granted)
			continue;
		use = name_statement(definition);
		use.text = definition->name;
		expand_flag(compiler, &use, false);
	}
}
