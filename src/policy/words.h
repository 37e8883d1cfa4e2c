/* Policies in words: what a refusal was, where a rule stands, what a glob means. Nothing here prints. */
#pragma once

#include "base/buffer.h"
#include "policy/decide.h"
#include "policy/needs.h"

/* The reason of every refusal after the session's owner has cut its network (stop --network). */
#define SG_WORDS_NETWORK_CUT "the session's owner has cut its network"

/*
 * The verb that completes "it may not ...": "read", "write", "execute", "connect to". `operation` is a
 * record's, `access` a record's or "" (sg_words_access); a name that ends in '/' is a folder. Static, or
 * `operation` itself.
 */
const char *sg_words_verb(const char *operation, const char *access, const char *object);

/* The name of one access in a record ("read", "write", "change", "execute"), static; "" for several or none.
 */
const char *sg_words_access(enum sg_access access);

enum { SG_WORDS_ACCESSES_SIZE = 32 };

/* Writes all of them, joined by '+': "read+write". "" for none. */
void sg_words_accesses(unsigned int accesses, char text[static SG_WORDS_ACCESSES_SIZE]);

/* The last component of a path; the path itself if it has none. Points into `path`. */
const char *sg_words_base(const char *path);

/* Appends where the rule stands: "developer.toml:7:12", or with `whole` the file's whole name. Escaped. */
void sg_words_place(const struct sg_rule *rule, bool whole, struct sg_buffer *out);

/* Appends the rule as it is written: ReadOnly "/etc/ **" without the blank. Escaped. */
void sg_words_rule(const struct sg_rule *rule, struct sg_buffer *out);

/*
 * What the names are that a glob matches, in words ("everything in the folder, however deep"); "" where the
 * glob says it best itself. Static.
 */
const char *sg_words_glob(const struct sg_glob *glob);

/* Writes what a refused system call would take, as the reason of a refusal, at most `size` bytes with the
 * NUL. */
void sg_words_need(const struct sg_need *need, char *out, size_t size);
