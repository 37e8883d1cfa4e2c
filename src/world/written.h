/*
 * Which folders of the host sessions have been given to write: where a symbolic link may be one that a world put there.
 *
 * The security argument. A profile names folders; the planner finds what the names mean on this host, and follows symbolic links
 * on the way. Whoever could put such a link chooses what the next session is given: not what its own world may reach, but
 * whatever the user may. Neither its owner nor its folder tells such a link from the user's own (a world writes with the
 * user's id), and the world that made it may have ended long ago. So every start that gives a folder for writing says so
 * first, in a list that outlives the session, before its world exists; and a grant through a link in a folder of that list is
 * not made. The list is withheld from every world (sg_plan_withhold). A link is looked at first and the list afterwards: what
 * made the link was listed before it could.
 *
 * The list is a file of its owner: one canonical name a line, characters below 33, backslash and DEL as a backslash and three
 * octal digits. A list that cannot be read holds every name; one that cannot be written starts no session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "base/error.h"

enum { SG_WRITTEN_LISTS_MAX = 3 };

/* The lists that concern a caller: its own, root's, and that of the user that the world runs as. */
struct sg_written {
	struct {
		const char *path; /* borrowed; a file that does not exist lists nothing */
		struct stat status;
		char *text; /* owned; NULL: not read */
		size_t size;
	} lists[SG_WRITTEN_LISTS_MAX];
	size_t count;
};

/* True if `name` (canonical) is or lies in a listed folder, or if that cannot be told. Reads the files anew when they have changed. */
bool sg_written_holds(struct sg_written *written, const char *name);

/*
 * Adds `folder` (canonical) to the list in the file `path`, which is made with `mode` in an existing folder, unless it is there
 * or lies in one that is. In a long list those that exist no more are dropped. Waits for others who do the same. Returns 0 or
 * a negative errno value.
 */
SG_MUST_USE int sg_written_add(const char *path, mode_t mode, const char *folder);

/* Frees what was read. */
void sg_written_done(struct sg_written *written);
