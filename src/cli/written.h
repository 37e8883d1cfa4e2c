/* The lists of folders that sessions have been given to write (world/written.h): where they are, and what run does with them. */
#pragma once

#include "world/identity.h"
#include "world/plan.h"

/*
 * The lists that concern the caller and `identity` (NULL: the caller alone): the caller's own beside its records, root's in
 * /var/lib/shellguard, and that of the user that the world runs as. Borrowed for good; always the same object.
 */
struct sg_written *sg_written_of_caller(const struct sg_identity *identity);

/*
 * Before a world is started: adds every folder that the plan gives for writing to the caller's list, and withholds the list from
 * the world. Returns 0 or a negative errno value with context: then nothing is started.
 */
int sg_written_note(struct sg_plan *plan, struct sg_error *error);

/* Says on standard error which rules give nothing because of a link that is not followed. */
void sg_written_warn(const struct sg_plan *plan);
