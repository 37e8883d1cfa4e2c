/*
 * A session that is watched (shellguard learn): what a command uses is put on the record, so that a profile can be proposed.
 *
 * The world is an ordinary one, of an ordinary policy that allows much: the profile language, the planner, the mounts, the
 * decisions and the record are those of every session, and what a profile denies is refused by the same code. Openings,
 * changes, executions, connections and name look-ups are decided and recorded as under LogOnRead and LogOnWrite of everything.
 * Two things no record has, and are seen here: which system calls are made, and which names are merely looked at.
 *
 * For them the world's filter is another one (sg_filter_build_watching): it lets run what every profile that starts a program
 * gives ("start"), and notifies all else. What such a call is answered with stands on the session's own filter, `truth`, the one
 * that the world would have had: it is run, by the simulator that the tests hold against the kernel, on the number and the
 * register arguments in the notification.
 *
 *   truth says errno     that errno
 *   truth says notify    handled as in every session
 *   truth says allow     recorded, then CONTINUE
 *   anything else        EPERM
 *
 * Why CONTINUE is safe here, where no decision may stand on what was seen: the kernel goes on with the registers that the
 * notification holds. They are saved at the entry into the kernel, and whoever could change them (a tracer in the world) needs the
 * caller stopped, which it is not while it waits (WAIT_KILLABLE_RECV: nothing but a fatal signal ends the wait; a call that a signal
 * ended before it was received comes again as a notification of its own). So the filter that was run on them says of the call that
 * goes on what the kernel would have said, had it run that filter. Memory is read too, for the name in a look, and for
 * nothing but the record: a thread that changes it after us spoils a line of a proposal and gets nothing. The table's rule, that
 * calls with names are answered on behalf (tables/syscalls.h), is about calls that a filter notifies so that somebody decides; these
 * are calls that no filter of this policy would have notified.
 *
 * That more calls run natively than the truth allows cannot be: what the filter lets run is what "start" gives, less what the
 * profile denies, and more grants never allow less (tests/unit/test_learn.c compares the two filters).
 *
 * What an adversary can do is mislead: make calls and open files so that a profile is proposed that gives them. A proposal is
 * what a run used, for a person to read; it grants nothing by itself. What was refused in the run is never in it.
 *
 * What is remembered is bounded (SG_LEARN_MAX); beyond that a note says that not all was seen.
 */
#pragma once

#include "supervisor/supervisor.h"
#include "world/filter.h"

enum { SG_LEARN_MAX = 1 << 16 }; /* different calls and looks of a session */

struct sg_learning;

/* `truth` is borrowed and outlives it. Returns 0 with *ret (sg_learning_free), or -ENOMEM. */
int sg_learning_new(const struct sg_filter_program *truth, struct sg_learning **ret);
void sg_learning_free(struct sg_learning *learning);

/*
 * A notification of a watched session, before anything else looks at it. Returns true if it is answered, false if it is one that the
 * session's own filter notifies too: then it is to be handled. Not for the first execution of a command, which no grant is about.
 */
bool sg_learn_handle(struct sg_request *request);

/*
 * Puts a program that may be executed on the record, by the name that it was found by: operation "run". For the command's own
 * execution, and the interpreters of scripts, no other record has that name. Nothing stands on it: without room it is not noted.
 */
void sg_learn_note_program(struct sg_request *request, const char *named, const struct sg_resolved *program);
