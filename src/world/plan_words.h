/* A plan in words: where each rule is held, what a call costs there, and what would make it cheaper. Nothing
 * here prints. */
#pragma once

#include "base/buffer.h"
#include "world/plan.h"

/* Where rules of a placement are held ("the mount tree"), and what a call costs for it, in words. Static. */
const char *sg_placement_name(enum sg_placement placement);
const char *sg_placement_cost(enum sg_placement placement);

/* Appends what the kernel holds by itself and what the supervisor decides, as policy/explain.h does. */
void sg_plan_explain(const struct sg_plan *plan, struct sg_buffer *out);

/* The same in a few lines: what is asked each time, and how many names are not here or led elsewhere by links. */
void sg_plan_explain_short(const struct sg_plan *plan, struct sg_buffer *out);

/* Appends every rule under its placement with the cost, and which rules make it dear and what to change. */
void sg_plan_explain_cost(const struct sg_plan *plan, struct sg_buffer *out);

/* Appends, in one line without its end, what a name of a rule stands for here, or why it gives nothing and what to do. */
void sg_plan_words_led(const struct sg_plan_led *led, struct sg_buffer *out);
