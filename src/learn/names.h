/* What a name looks like: parts that are random, versions, folders that are too broad. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "learn/observed.h"
#include "policy/policy.h"

/*
 * Finds the part of one component (`length` bytes) that another run would name differently: what mkstemp(3) and its like, Python's
 * tempfile, process numbers, UUIDs and sums make. Returns true with the bytes that stay before and behind it.
 */
bool sg_learn_random_part(const char *component, size_t length, size_t *ret_before, size_t *ret_behind);

/* The same for a version: "python3.11" has its digits behind "python3." (at least two numbers with a dot). */
bool sg_learn_version_part(const char *component, size_t length, size_t *ret_before, size_t *ret_behind);

enum sg_learn_temporary {
	SG_LEARN_TEMPORARY_NOT,   /* the name lies elsewhere, or in the working directory */
	SG_LEARN_TEMPORARY_OWN,   /* below /tmp or /var/tmp, in what the run itself made there */
	SG_LEARN_TEMPORARY_OTHER, /* below one of them, in what was there before */
	SG_LEARN_TEMPORARY_ROOT,  /* one of them */
};

/* Of which kind a name is. Of a world with a /tmp of its own, what is OWN needs no rule. */
enum sg_learn_temporary sg_learn_is_temporary(const struct sg_observed *observed, const char *name,
					      const struct sg_variables *variables);

/* True if no wildcard may range over the folder (its name ends in '/'): the root, the home, and the folders of conventions.def. */
bool sg_learn_is_broad(const char *folder, size_t length, const struct sg_variables *variables);

/*
 * The folder that stands, by convention, for what lies in it: its length within `name`, with the slash. 0: there is no such
 * convention.
 */
size_t sg_learn_folder_of(const char *name);

/* Appends a part of a name as a glob's text that means it and nothing else, as far as it is UTF-8. */
void sg_learn_append_text(const char *text, size_t length, struct sg_buffer *out);

/*
 * Appends a name as a glob that means it and nothing else, with ${CWD}, ~ and ${RUNTIME} for the folders of the run where it lies
 * below them. `name` need not be whole: what is appended behind it is a glob's text.
 */
void sg_learn_append_name(const char *name, size_t length, const struct sg_variables *variables, struct sg_buffer *out);
