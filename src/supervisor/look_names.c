/*
 * Looks at names where a Hide rule has to be held by them: stat and its like, access, statfs, listings,
 * watches, the working directory's name. In other profiles none of these is notified.
 *
 * A hidden name must be told from a missing one by nothing. So every call that could is carried out here: the
 * name is resolved component by component, each asked about (resolve.c); what a rule hides by its name is
 * ENOENT whether or not there is something; else the act is done on the pinned object and its answer written
 * to the caller. A caller can make two looks at once, or move what its text points to: each look is of one
 * pinned object, and names are asked of the kernel. A listing is taken from a copy of the caller's own
 * descriptor (its position is shared, as it is with a duplicate) and the hidden entries are left out of what
 * the caller gets, by the folder's name at that moment.
 *
 * What stays: a folder's own attributes (links, size, time) and that one with nothing but hidden names is not
 * empty to rmdir(2).
 *
 * Looks that are allowed leave no record: nothing is given that the mounts do not give to everybody inside.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/change.h"
#include "supervisor/network.h"

enum { LISTING_MAX = 64 * 1024 };

/*
 * Pins the object of the call, if it is there for the world. An object that the caller holds already (an
 * empty path) is. Returns 0 or a negative errno value.
 */
static int pin_visible(struct sg_change *change)
{
	int status = sg_change_pin_object(change);

	if (status < 0)
		return status;
	if (change->first.named[0] != '\0' && sg_change_is_hidden(change, &change->first, false))
		return sg_change_commit(change, false);
	return sg_caller_valid(&change->request->caller) ? 0 : -EINTR;
}

static int64_t give(const struct sg_change *change, unsigned int index, const void *data, size_t size)
{
	return sg_caller_write(&change->request->caller, sg_change_argument(change, index), data, size);
}

int64_t sg_change_stat(struct sg_change *change)
{
	struct stat result; /* the kernel's own layout */
	int status = pin_visible(change);

	if (status < 0)
		return status;
	if (syscall(SYS_newfstatat, change->first.at.fd, "", &result,
		    AT_EMPTY_PATH | (change->flags & AT_STATX_SYNC_TYPE)) < 0)
		return -errno;
	return give(change, 0, &result, sizeof(result));
}

int64_t sg_change_statx(struct sg_change *change)
{
	const unsigned int mask = (unsigned int)sg_change_argument(change, 0);
	struct statx result;
	int status = pin_visible(change);

	if (status < 0)
		return status;
	if (syscall(SYS_statx, change->first.at.fd, "", AT_EMPTY_PATH | (change->flags & AT_STATX_SYNC_TYPE), mask,
		    &result) < 0)
		return -errno;
	return give(change, 1, &result, sizeof(result));
}

int64_t sg_change_stat_system(struct sg_change *change)
{
	struct statfs result;
	int status = pin_visible(change);

	if (status < 0)
		return status;
	if (syscall(SYS_fstatfs, change->first.at.fd, &result) < 0)
		return -errno;
	return give(change, 0, &result, sizeof(result));
}

/* All ids of the caller are ours (sg_request_identify): the kernel's answer to us is the one to it. */
int64_t sg_change_may_access(struct sg_change *change)
{
	const int mode = (int)sg_change_argument(change, 0);
	int status;

	if ((mode & ~(R_OK | W_OK | X_OK)) != 0)
		return -EINVAL;
	status = pin_visible(change);
	if (status < 0)
		return status;
	if (syscall(SYS_faccessat2, change->first.at.fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) < 0)
		return -errno;
	return 0;
}

int64_t sg_change_tell_folder(struct sg_change *change)
{
	const uint64_t size = sg_change_argument(change, 1);
	struct sg_request *request = change->request;
	struct sg_change_name *folder = &change->first;
	int status =
		sg_resolve(&request->supervisor->view, &request->caller, AT_FDCWD, "", SG_RESOLVE_EMPTY, &folder->at);
	int64_t written;

	if (status < 0)
		return status;
	if (!sg_caller_valid(&request->caller))
		return -EINTR;
	if (folder->at.unnamed || folder->at.hidden)
		return -ENOENT;
	sg_change_form(folder, false);
	if (size <= folder->at.length)
		return -ERANGE;
	written = give(change, 0, folder->at.name, folder->at.length + 1);
	return written < 0 ? written : (int64_t)folder->at.length + 1;
}

static int descriptor_of(const struct sg_change *change)
{
	return (int)change->request->notification.data.args[change->row->on - 1];
}

static bool may_hold_hidden(const struct sg_supervisor *supervisor, const struct sg_resolved *folder)
{
	struct sg_match_below below;

	return S_ISDIR(folder->status.st_mode) &&
	       (sg_matcher_below(supervisor->names, folder->name, folder->length, &below) < 0 ||
		(below.may & SG_NAME_BIT(SG_RULE_HIDE)) != 0);
}

/* Events name what is made, changed and looked at in a folder. */
static const char watch_reason[] = "a rule hides names in this folder, and its events would tell them";

/* A watch is put on the pinned object by a copy of the caller's descriptor: as ever, it counts against the
 * caller's user. */
int64_t sg_change_watch(struct sg_change *change)
{
	const uint32_t mask = (uint32_t)sg_change_argument(change, 0);
	const struct sg_supervisor *supervisor = change->request->supervisor;
	SG_CLEANUP(sg_net_close_foreign) int fd = sg_caller_descriptor(&change->request->caller, descriptor_of(change));
	char pin[SG_CHANGE_LINK_MAX];
	int status, watch;

	if (fd < 0)
		return fd;
	change->flags |= (mask & IN_DONT_FOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0U;
	status = pin_visible(change);
	if (status < 0)
		return status;
	if (may_hold_hidden(supervisor, &change->first.at))
		return sg_change_refuse(change, EACCES, watch_reason);
	sg_change_pin_name(change, &change->first, pin);
	if (fchdir(supervisor->view.proc) < 0)
		return -errno;
	watch = inotify_add_watch(fd, pin, mask & ~(uint32_t)IN_DONT_FOLLOW);
	return watch < 0 ? -errno : watch;
}

/* Its marks reach further than one object (mounts, file systems): not carried out where names are hidden. */
int64_t sg_change_mark(struct sg_change *change)
{
	return sg_change_refuse(change, EPERM, "a rule hides names, and the events of fanotify would tell them");
}

/* Where the parts of an entry stand, in the two forms of getdents(2). */
struct layout {
	long number;
	size_t name;
	bool type_last; /* the type is the entry's last byte, else the one before the name */
};

static const struct layout layout_old = {SYS_getdents, 18, true}, layout_new = {SYS_getdents64, 19, false};

struct listing {
	struct sg_matcher *names;
	int fd;
	char folder[PATH_MAX + NAME_MAX + 3];
	size_t length;
	bool some_hidden; /* a name in it may be */
	_Alignas(8) char entries[LISTING_MAX];
};

static bool is_folder(const struct listing *listing, const char *name, unsigned char type)
{
	struct stat status;

	if (type != DT_UNKNOWN)
		return type == DT_DIR;
	return fstatat(listing->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

static bool is_entry_hidden(struct listing *listing, const char *name, unsigned char type)
{
	size_t length = strlen(name);
	uint32_t rule;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if (length > NAME_MAX) /* no name of it could be decided about */
		return true;
	memcpy(listing->folder + listing->length, name, length + 1);
	length += listing->length;
	if (is_folder(listing, name, type))
		listing->folder[length++] = '/';
	return sg_decide_hides(listing->names, listing->folder, length, &rule);
}

/* Leaves the hidden entries out of the first `size` bytes. Returns how many are left, or -EIO. */
static ssize_t leave_out(struct listing *listing, const struct layout *layout, size_t size)
{
	size_t kept = 0;

	for (size_t at = 0; at < size;) {
		char *entry = listing->entries + at;
		unsigned short step;
		size_t type;

		memcpy(&step, entry + 16, sizeof(step));
		if (step <= layout->name || step > size - at ||
		    memchr(entry + layout->name, '\0', step - layout->name) == NULL)
			return -EIO;
		type = layout->type_last ? (size_t)step - 1 : layout->name - 1;
		if (!is_entry_hidden(listing, entry + layout->name, (unsigned char)entry[type])) {
			memmove(listing->entries + kept, entry, step);
			kept += step;
		}
		at += step;
	}
	return (ssize_t)kept;
}

/* The folder's canonical name, and whether a name in it may be hidden. Returns 0 or a negative errno value.
 */
static int name_folder(struct sg_change *change, struct listing *listing)
{
	struct sg_supervisor *supervisor = change->request->supervisor;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved folder = SG_RESOLVED_INIT;
	int status = sg_resolve_descriptor(&supervisor->view, &change->request->caller, descriptor_of(change), &folder);

	if (status < 0)
		return status;
	if (folder.unnamed || folder.length > PATH_MAX) /* removed: there is nothing in it */
		return 0;
	if (folder.hidden)
		return -ENOENT;
	listing->names = supervisor->names;
	memcpy(listing->folder, folder.name, folder.length + 1);
	listing->length = folder.length;
	listing->some_hidden = may_hold_hidden(supervisor, &folder);
	return 0;
}

static int64_t list(struct sg_change *change, const struct layout *layout)
{
	static struct listing listing; /* of the main thread, which handles one call at a time */
	const unsigned int wanted = (unsigned int)sg_change_argument(change, 1);
	SG_CLEANUP(sg_net_close_foreign) int fd = sg_caller_descriptor(&change->request->caller, descriptor_of(change));
	ssize_t size = 0;
	int status;

	if (fd < 0)
		return fd;
	listing.fd = fd;
	listing.some_hidden = false;
	status = name_folder(change, &listing);
	if (status < 0)
		return status == -EBADF ? -EBADF : status;
	if (!sg_caller_valid(&change->request->caller))
		return -EINTR;
	/* A piece of which nothing is left is no end of the listing. */
	do {
		size = syscall(layout->number, fd, listing.entries, wanted < LISTING_MAX ? wanted : LISTING_MAX);
		if (size <= 0)
			return size < 0 ? -errno : 0;
		if (listing.some_hidden)
			size = leave_out(&listing, layout, (size_t)size);
	} while (size == 0);
	if (size < 0)
		return size;
	status =
		sg_caller_write(&change->request->caller, sg_change_argument(change, 0), listing.entries, (size_t)size);
	return status < 0 ? status : size;
}

int64_t sg_change_list(struct sg_change *change)
{
	return list(change, &layout_new);
}

int64_t sg_change_list_old(struct sg_change *change)
{
	return list(change, &layout_old);
}
