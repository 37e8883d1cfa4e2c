/* The token form of a glob, shared by the parser, the facts, the AppArmor writer and the automaton's builder.
 */
#pragma once

#include "policy/glob.h"

enum sg_glob_token_kind {
	SG_GLOB_BYTE,  /* `byte`, literally */
	SG_GLOB_CLASS, /* one byte of classes[`class`] */
	SG_GLOB_STAR,  /* * */
	SG_GLOB_TREE,  /* ** */
	SG_GLOB_OPEN,  /* { */
	SG_GLOB_COMMA, /* , between alternatives */
	SG_GLOB_CLOSE, /* } */
};

/* A set of byte values. '/' and NUL are never in a glob's set. */
struct sg_glob_class {
	uint64_t bits[4];
};

static inline bool sg_glob_class_has(const struct sg_glob_class *class, unsigned int byte)
{
	return (class->bits[byte / 64] >> (byte % 64)) & 1;
}

static inline void sg_glob_class_add(struct sg_glob_class *class, unsigned int byte)
{
	class->bits[byte / 64] |= UINT64_C(1) << (byte % 64);
}

static inline void sg_glob_class_drop(struct sg_glob_class *class, unsigned int byte)
{
	class->bits[byte / 64] &= ~(UINT64_C(1) << (byte % 64));
}

/* Every byte but NUL and, with `slash` false, '/'. */
static inline struct sg_glob_class sg_glob_class_all(bool slash)
{
	struct sg_glob_class class = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

	sg_glob_class_drop(&class, 0);
	if (!slash)
		sg_glob_class_drop(&class, '/');
	return class;
}

struct sg_glob_token {
	uint8_t kind;     /* enum sg_glob_token_kind */
	uint8_t byte;     /* BYTE */
	uint16_t class;   /* CLASS: index into sg_glob.classes */
	uint16_t offset;  /* of its first byte in the text */
	uint16_t length;  /* its bytes in the text */
	uint16_t next;    /* OPEN, COMMA: the token that ends the alternative which begins here (a COMMA or the
			    CLOSE) */
	uint16_t close;   /* OPEN, COMMA: the group's CLOSE; CLOSE: its OPEN */
	uint16_t forward; /* context bits (enum sg_glob_context) that can hold just before this token */
};
_Static_assert(SG_GLOB_LENGTH_MAX < UINT16_MAX, "offsets and token indices are 16 bits wide");

struct sg_glob {
	char *text;
	size_t length;
	char *prefix; /* NUL after prefix_length bytes */
	size_t prefix_length;
	struct sg_glob_token *tokens;
	size_t count;
	struct sg_glob_class *classes;
	size_t class_count;
	bool literal, tree, files, directories;
};

/*
 * Where within a component the text so far may have led. The abstract contexts are few, so the questions that
 * depend on a component's edges (an empty one, "." and "..", what a last byte can be) are answered exactly,
 * braces and all, without writing any alternative out.
 */
enum sg_glob_context {
	SG_GLOB_AT_SLASH = 1 << 0,     /* a literal '/' was the last thing */
	SG_GLOB_PENDING = 1 << 1,      /* only '*' since that '/': fills the component if it ends now */
	SG_GLOB_PENDING_TREE = 1 << 2, /* the same with a '**' among them */
	SG_GLOB_DOT = 1 << 3,          /* the component is "." so far */
	SG_GLOB_DOT_DOT = 1 << 4,      /* ".." */
	SG_GLOB_INSIDE = 1 << 5,       /* within a component, its last byte is no '/' */
	SG_GLOB_TREE_SLASH = 1 << 6,   /* the last byte is a '/' that a '**' matched */
	SG_GLOB_START = 1 << 7,        /* before the first token */
};

/* The contexts that one BYTE, CLASS, STAR or TREE token leads to from those in `from`. */
unsigned int sg_glob_context_step(const struct sg_glob_token *token, unsigned int from);

/*
 * Fills in `forward` of every token and the facts `files` and `directories`. Returns 0, or -EINVAL with
 * *error set (it must not be NULL) when some alternative, or the glob, cannot match any name.
 */
int sg_glob_context_analyse(struct sg_glob *glob, struct sg_glob_error *error);

/*
 * One way after another to choose the alternatives of a glob's braces, without recursion. Set up with
 * sg_glob_walk_init (0 or -ENOMEM), then while sg_glob_walk_next() is true the `count` token indices in
 * `path` are one expansion without its braces. With `to_wildcard` set, an expansion ends before its first
 * wildcard, and `stopped` says that there was one: braces behind it are not multiplied out.
 */
struct sg_glob_walk {
	const struct sg_glob *glob;
	uint16_t *path;
	size_t count;
	uint16_t *choices; /* the token that begins the chosen alternative, for each brace met on the way */
	size_t choice_count;
	bool started, to_wildcard, stopped;
};

/* As the comment above says. The walk is the caller's (sg_glob_walk_done); the glob is borrowed. */
int sg_glob_walk_init(struct sg_glob_walk *walk, const struct sg_glob *glob);
void sg_glob_walk_done(struct sg_glob_walk *walk);
bool sg_glob_walk_next(struct sg_glob_walk *walk);
