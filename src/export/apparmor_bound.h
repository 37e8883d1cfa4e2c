/*
 * The profiles of running sessions: in the kernel for as long as a session can have a process in them, and no longer.
 *
 * A profile is named by its contents (apparmor_world.h), so sessions share it, and nobody ever replaces one: what is loaded under the
 * name is what was meant. Taken out of the kernel, a profile lets go of the processes in it. So for each there is a file in a
 * folder of root's, and whoever needs the profile holds a shared lock on it (flock(2)): the front end that starts the session, the
 * supervisor, and the keeper, which sees the end of the world's last process. The lock is the open file's, and lasts until the
 * last of them has closed it or is gone: the kernel keeps the count, also of what was killed.
 *
 *   to take one     lock the file, shared; if it is not in the folder any more, begin again; load the profile if it is not loaded
 *   to let one go   close it; then, as anybody may: lock the file exclusively, without waiting; if it is still in the folder, take the
 *                   profile out of the kernel, and then the file out of the folder. Who waited for the lock meanwhile begins again
 *
 * So a profile is taken away only while nobody holds its lock, and nobody starts a session in it before it is loaded anew. What an
 * end in between leaves (a profile without a file, a file without a profile, a compiled one half written) the next session takes away.
 * One case the lock does not cover: that front end, supervisor and keeper are all killed in the same instant, and the world, which the
 * kernel then kills too, is not gone yet. So the threads of the host are looked through first, and a profile that any is in stays.
 *
 * Compiling takes the parser longer than all else of a start, so what it made is kept in a second folder of root's, by a hash of
 * the text, of the kernel's version and of the parser's file; with a hash of its own, so that one which was cut short is no profile.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* Folders; those of this host but for tests. No world reaches them: who starts it withholds them (sg_missing_withhold_apparmor). */
struct sg_apparmor_folders {
	const char *kernel; /* securityfs */
	const char *run;    /* the locks; gone when the host starts anew, as the profiles are */
	const char *cache;  /* what was compiled */
};
extern const struct sg_apparmor_folders sg_apparmor_folders;

/*
 * Sees to it that the profile of that name and text is loaded, and stays so while *ret_lock is open somewhere. Sweeps before. Waits
 * for others of its kind at most some seconds. Returns 0; or a negative errno value with context: nothing is held then.
 */
SG_MUST_USE int sg_apparmor_bound_take(const struct sg_apparmor_folders *folders, const char *name,
				       const struct sg_buffer *text, int *ret_lock, struct sg_error *error);

/* Closes a lock, and takes the profile away if no other session has it. */
void sg_apparmor_bound_release(const struct sg_apparmor_folders *folders, const char *name, int lock);

/* Takes away the profiles and files of sessions that are over. */
void sg_apparmor_bound_sweep(const struct sg_apparmor_folders *folders);

/* Calls `note` for each profile of a session that is loaded, with whether a session holds it. */
void sg_apparmor_bound_list(const struct sg_apparmor_folders *folders,
			    void (*note)(void *data, const char *name, bool held), void *data);

/* Makes the folders, if it can, so that they can be withheld from worlds. */
void sg_apparmor_bound_prepare(const struct sg_apparmor_folders *folders);

/* The steps, for tests: the shared lock, whose file is in the folder. Returns a descriptor, or a negative errno value with context. */
int sg_apparmor_bound_lock(const struct sg_apparmor_folders *folders, const char *name, struct sg_error *error);
