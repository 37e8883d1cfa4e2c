#include "supervisor/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "policy/decide.h"

enum {
	LINKS_MAX = 40,      /* as the kernel's MAXSYMLINKS */
	OVERFLOW_ID = 65534, /* user_namespaces(7); what an id without a mapping is shown as */
};

static int open_how(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	const struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

bool sg_view_is_proc(const struct sg_view *view, int fd, const struct stat *status)
{
	struct statfs system;

	if (view->proc_device != 0)
		return status->st_dev == view->proc_device;
	return fstatfs(fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

static bool is_proc(const struct sg_view *view, int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && sg_view_is_proc(view, fd, &status);
}

/* The folder that relative names start from. Returns an owned descriptor or a negative errno value. */
static int open_start(const struct sg_view *view, const struct sg_caller *caller, int dirfd, const char *path)
{
	char name[32];
	int fd;

	if (path[0] == '/')
		return fcntl(view->root, F_DUPFD_CLOEXEC, 3);
	if (dirfd == AT_FDCWD)
		return sg_caller_open(caller, "cwd");
	(void)snprintf(name, sizeof(name), "fd/%d", dirfd);
	fd = sg_caller_open(caller, name);
	return fd == -ENOENT ? -EBADF : fd;
}

/* One walk: what is left of the text, and where it has got to. */
struct walk {
	const struct sg_view *view;
	struct sg_caller *caller;
	int here; /* owned */
	int links;
	bool magic;
	char rest[2 * PATH_MAX];
};

/* Takes the first component off `rest`. Returns its length; 0 at the end. */
static size_t next_component(struct walk *walk, char *component, bool *ret_last)
{
	char *rest = walk->rest;
	size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/"), after;

	if (length == 0 || length > NAME_MAX)
		return length;
	memcpy(component, rest + skip, length);
	component[length] = '\0';
	after = skip + length;
	*ret_last = rest[after + strspn(rest + after, "/")] == '\0';
	memmove(rest, rest + after, strlen(rest + after) + 1);
	return length;
}

static int push_link(struct walk *walk, const char *text)
{
	char joined[sizeof(walk->rest)];
	int length = snprintf(joined, sizeof(joined), "%s%s", text, walk->rest);

	if (length < 0 || (size_t)length >= sizeof(joined))
		return -ENAMETOOLONG;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	memcpy(walk->rest, joined, (size_t)length + 1);
	if (text[0] == '/') {
		int root = fcntl(walk->view->root, F_DUPFD_CLOEXEC, 3);

		if (root < 0)
			return -errno;
		sg_fd_close(walk->here);
		walk->here = root;
	}
	return 0;
}

/* The kernel's name of a pinned object. Returns its length or a negative errno value. */
static ssize_t read_name(const struct sg_view *view, int fd, char *name, size_t size)
{
	char link[64];
	ssize_t length;

	(void)snprintf(link, sizeof(link), "%d/fd/%d", (int)view->self, fd);
	length = readlinkat(view->proc, link, name, size - 1);
	if (length < 0)
		return -errno;
	if ((size_t)length >= size - 1)
		return -ENAMETOOLONG;
	name[length] = '\0';
	return length;
}

/*
 * A symbolic link within /proc. "self" and "thread-self" mean the reader: put the caller's numbers there. The links below
 * a process (fd/N, cwd, root, exe) are followed by the kernel: they give the object itself. The supervisor may follow more
 * of them than the caller could (it may trace the whole world): what has more capabilities than the caller is left out.
 */
static int follow_in_proc(struct walk *walk, const char *component, int link)
{
	char text[64];
	int status = sg_caller_status(walk->caller), target;
	char target_text[PATH_MAX];
	ssize_t length;

	if (status < 0)
		return status;
	if (strcmp(component, "self") == 0) {
		(void)snprintf(text, sizeof(text), "%d", (int)walk->caller->inner_pid);
		return push_link(walk, text);
	}
	if (strcmp(component, "thread-self") == 0) {
		(void)snprintf(text, sizeof(text), "%d/task/%d", (int)walk->caller->inner_pid,
			       (int)walk->caller->inner_tid);
		return push_link(walk, text);
	}
	/* "mounts", "net" and so on are plain links; a magic one is what openat2 refuses to follow. */
	target = open_how(walk->here, component, O_PATH, RESOLVE_NO_MAGICLINKS);
	if (target < 0 && target != -ELOOP) {
		length = readlinkat(link, "", target_text, sizeof(target_text) - 1);
		if (length < 0)
			return -errno;
		target_text[length] = '\0';
		return push_link(walk, target_text);
	}
	if (target == -ELOOP) {
		char name[PATH_MAX];

		/* As little as the caller could follow it where the process has more than itself: who enters the world
		 * (world/enter.h) is such a one until it has executed something. */
		length = read_name(walk->view, walk->here, name, sizeof(name));
		if (length < 0 || !sg_caller_may_examine(walk->caller, walk->view->root, name))
			return length < 0 ? (int)length : -EACCES;
		target = open_how(walk->here, component, O_PATH, 0);
		walk->magic = true;
	}
	if (target < 0)
		return target;
	if (++walk->links > LINKS_MAX) {
		sg_fd_close(target);
		return -ELOOP;
	}
	sg_fd_close(walk->here);
	walk->here = target;
	return 0;
}

/*
 * The kernel's own rule for links in folders like /tmp (fs.protected_symlinks, may_follow_link in fs/namei.c), which this
 * walk must not be a way round: there only the caller's links are followed, and those of the folder's owner.
 */
static bool is_planted(const struct walk *walk, const struct stat *link)
{
	const mode_t shared = S_ISVTX | S_IWOTH;
	struct stat folder;

	if (fstat(walk->here, &folder) < 0)
		return true;
	if ((folder.st_mode & shared) != shared || link->st_uid == geteuid())
		return false;
	/* Owners that our user namespace has no id for all look alike. */
	return link->st_uid != folder.st_uid || link->st_uid == OVERFLOW_ID;
}

/* Whether a component on the way is there for the world. 0: it is, -ENOENT: a rule hides it, or another negative errno value. */
static int check_hidden(const struct walk *walk, const char *component, bool directory)
{
	char name[PATH_MAX + NAME_MAX + 3];
	ssize_t length;
	uint32_t rule;

	if (walk->view->hides == NULL || strcmp(component, ".") == 0 || strcmp(component, "..") == 0)
		return 0;
	length = read_name(walk->view, walk->here, name, PATH_MAX + 1);
	if (length < 0)
		return (int)length;
	length += snprintf(name + length, sizeof(name) - (size_t)length, "%s%s%s", length == 1 ? "" : "/", component,
			   directory ? "/" : "");
	return sg_decide_hides(walk->view->hides, name, (size_t)length, &rule) ? -ENOENT : 0;
}

static int follow(struct walk *walk, const char *component, int link, const struct stat *status)
{
	char text[PATH_MAX];
	ssize_t length;

	if (is_proc(walk->view, link))
		return follow_in_proc(walk, component, link);
	if (is_planted(walk, status))
		return -EACCES;
	length = readlinkat(link, "", text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	if (length == 0)
		return -ENOENT;
	text[length] = '\0';
	return push_link(walk, text);
}

/*
 * Steps through the text component by component. Stops before the last component if `parent`, and does not follow a link
 * there if `no_follow`. On success walk->here is the object (or the parent, with `last` filled in).
 */
static int step(struct walk *walk, bool parent, bool no_follow, char *last)
{
	char component[NAME_MAX + 1];
	bool is_last = false;
	size_t length;

	last[0] = '\0';
	while ((length = next_component(walk, component, &is_last)) > 0) {
		SG_AUTO_FD int next = -1;
		bool slash = walk->rest[0] == '/';
		struct stat status;

		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		if (parent && is_last && strcmp(component, "..") != 0 && strcmp(component, ".") != 0) {
			(void)snprintf(last, NAME_MAX + 1, "%s", component);
			return 0;
		}
		/* The world's root has no way up: ".." there stays, since the supervisor's root is the same folder. */
		next = openat(walk->here, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 || fstat(next, &status) < 0)
			return -errno;
		if (!is_last || slash || S_ISLNK(status.st_mode)) {
			int hidden = check_hidden(walk, component, S_ISDIR(status.st_mode));

			/* A link that is itself the object is decided about like any other (mark_hidden). */
			if (hidden < 0 && !(S_ISLNK(status.st_mode) && is_last && no_follow && !slash))
				return hidden;
		}
		if (S_ISLNK(status.st_mode) && !(is_last && no_follow && !slash)) {
			int followed = follow(walk, component, next, &status);

			if (followed < 0)
				return followed;
			continue;
		}
		if ((!is_last || slash) && !S_ISDIR(status.st_mode))
			return -ENOTDIR;
		sg_fd_close(walk->here);
		walk->here = sg_fd_take(&next);
	}
	return 0;
}

/*
 * The kernel marks the name of a removed object by " (deleted)", which may as well be how a name ends: it is one only if it
 * leads to this very object, not to another one that somebody put there.
 */
static bool is_removed(const struct sg_view *view, const struct sg_resolved *resolved, size_t length)
{
	static const char mark[] = " (deleted)";
	const size_t size = sizeof(mark) - 1;
	struct stat named;

	if (length <= size || memcmp(resolved->name + length - size, mark, size) != 0)
		return false;
	return fstatat(view->root, resolved->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	       named.st_dev != resolved->status.st_dev || named.st_ino != resolved->status.st_ino;
}

/* The name is all that counts: what is there, and whether anything is, must make no difference to what is answered. */
static void mark_hidden(const struct sg_view *view, struct sg_resolved *resolved, bool parent)
{
	if (view->hides == NULL || (resolved->unnamed && !parent))
		return;
	resolved->hidden = sg_decide_hides(view->hides, resolved->name, resolved->length, &resolved->hiding);
	if (resolved->hidden || !parent || resolved->exists || resolved->length + 1 >= sizeof(resolved->name))
		return;
	/* Nothing is there: it must not be told by what can be made whether a folder, or a file, of that name is hidden. */
	resolved->name[resolved->length] = '/';
	resolved->hidden = sg_decide_hides(view->hides, resolved->name, resolved->length + 1, &resolved->hiding);
	resolved->name[resolved->length] = '\0';
}

/* Asks the kernel for the name of a pinned object, and puts it into the form that globs are matched against. */
static int name_object(const struct sg_view *view, struct sg_resolved *resolved)
{
	ssize_t length;

	if (!resolved->stated && fstat(resolved->fd, &resolved->status) < 0)
		return -errno;
	resolved->stated = true;
	length = read_name(view, resolved->fd, resolved->name, PATH_MAX + 1);
	if (length < 0)
		return (int)length;
	resolved->unnamed = resolved->name[0] != '/' ||
			    (resolved->status.st_nlink == 0 && !S_ISDIR(resolved->status.st_mode)) ||
			    is_removed(view, resolved, (size_t)length);
	if (S_ISDIR(resolved->status.st_mode) && resolved->name[length - 1] != '/') {
		resolved->name[length++] = '/';
		resolved->name[length] = '\0';
	}
	resolved->length = (size_t)length;
	return 0;
}

/* With SG_RESOLVE_PARENT: the name of folder and last component, and whether the object exists. */
static int name_child(const struct sg_view *view, struct sg_resolved *resolved)
{
	struct stat child;
	size_t length;
	int status = name_object(view, resolved);

	if (status < 0)
		return status;
	if (!S_ISDIR(resolved->status.st_mode))
		return -ENOTDIR;
	resolved->exists = fstatat(resolved->fd, resolved->last, &child, AT_SYMLINK_NOFOLLOW) == 0;
	if (!resolved->exists && errno != ENOENT)
		return -errno;
	length = resolved->length + strlen(resolved->last);
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(resolved->name + resolved->length, resolved->last, strlen(resolved->last) + 1);
	if (resolved->exists && S_ISDIR(child.st_mode)) {
		resolved->name[length++] = '/';
		resolved->name[length] = '\0';
	}
	resolved->length = length;
	if (resolved->exists)
		resolved->status = child;
	return 0;
}

/* Absolute, and spelled as the kernel would spell it: then, without symbolic links on the way, the text is the name. */
static bool is_clean(const char *path, size_t length)
{
	if (path[0] != '/' || length < 2 || path[length - 1] == '/')
		return false;
	for (const char *at = path; *at != '\0'; at++) {
		if (*at != '/')
			continue;
		if (at[1] == '/' || (at[1] == '.' && (at[2] == '/' || at[2] == '\0' ||
						      (at[2] == '.' && (at[3] == '/' || at[3] == '\0')))))
			return false;
	}
	return true;
}

static size_t find_link(const struct sg_root_links *links, const char *name, size_t length)
{
	size_t at = 0;

	while (at < links->count &&
	       (strncmp(links->link[at].name, name, length) != 0 || links->link[at].name[length] != '\0'))
		at++;
	return at;
}

/* Below a link of the root folder that is known: writes the text with what it leads to in its place, and returns its length; else 0. */
static size_t replace_root_link(const struct sg_view *view, const char *path, size_t length, char *out)
{
	const char *rest = strchr(path + 1, '/');
	const size_t size = rest == NULL ? 0 : (size_t)(rest - path) - 1;
	const char *target;
	size_t at, used;

	if (view->links == NULL || size == 0 || size >= sizeof(view->links->link[0].name))
		return 0;
	at = find_link(view->links, path + 1, size);
	target = at < view->links->count ? view->links->link[at].target : "";
	used = strlen(target);
	if (used == 0 || length - size + used >= PATH_MAX)
		return 0;
	out[0] = '/';
	memcpy(out + 1, target, used);
	memcpy(out + 1 + used, rest, length - size); /* and the NUL */
	return length - size + used;
}

/* A clean path has a link on its way: if that is its first component, it is known from now on. */
static void learn_root_link(const struct sg_view *view, const char *path)
{
	struct sg_root_links *links = view->links;
	const char *rest = strchr(path + 1, '/');
	const size_t size = rest == NULL ? 0 : (size_t)(rest - path) - 1;
	ssize_t length;
	char *name, *target;

	if (links == NULL || size == 0 || size >= sizeof(links->link[0].name) ||
	    links->count == SG_ARRAY_SIZE(links->link) || find_link(links, path + 1, size) < links->count)
		return;
	name = links->link[links->count].name;
	target = links->link[links->count].target;
	memcpy(name, path + 1, size);
	name[size] = '\0';
	target[0] = '/';
	length = readlinkat(view->root, name, target + 1, sizeof(links->link[0].target) - 2);
	target[length < 0 ? 0 : length + 1] = '\0';
	if (length > 0 && target[1] != '/' && (size_t)length < sizeof(links->link[0].target) - 2 &&
	    is_clean(target, (size_t)length + 1))
		memmove(target, target + 1, (size_t)length + 1);
	else
		target[0] = '\0';
	links->count++;
}

/*
 * The kernel's own walk, where nothing of /proc is on the way. Returns 0 with the object, and its name where the text is
 * it; 1 if the careful walk is needed; or a negative errno value.
 */
static int walk_fast(const struct sg_view *view, int start, const char *path, size_t length, bool no_follow,
		     struct sg_resolved *ret)
{
	const uint64_t flags = O_PATH | (no_follow ? O_NOFOLLOW : 0);
	char replaced[PATH_MAX];
	int fd = -ELOOP;

	if (is_clean(path, length)) {
		const size_t other = replace_root_link(view, path, length, replaced);

		/* Then the text that has it followed is the name. */
		if (other > 0) {
			path = replaced;
			length = other;
		}
		fd = open_how(start, path, flags, RESOLVE_NO_SYMLINKS);
		ret->named = fd >= 0;
		if (fd == -ELOOP)
			learn_root_link(view, path);
	}
	if (fd == -ELOOP)
		fd = open_how(start, path, flags, RESOLVE_NO_MAGICLINKS);
	if (fd == -ENOENT || fd == -ELOOP || fd == -EACCES)
		return 1;
	if (fd < 0)
		return fd;
	ret->fd = fd;
	if (fstat(fd, &ret->status) < 0)
		return -errno;
	if (sg_view_is_proc(view, fd, &ret->status)) {
		ret->fd = sg_fd_close(ret->fd);
		ret->named = false;
		return 1;
	}
	ret->stated = true;
	if (ret->named) {
		memcpy(ret->name, path, length + 1);
		ret->length = length;
		if (S_ISDIR(ret->status.st_mode)) {
			ret->name[ret->length++] = '/';
			ret->name[ret->length] = '\0';
		}
	}
	return 0;
}

/* The careful walk, from `start` (taken over). Returns 0, or a negative errno value. */
static int walk_carefully(const struct sg_view *view, struct sg_caller *caller, int start, const char *path,
			  unsigned int flags, struct sg_resolved *ret)
{
	struct walk walk; /* not zeroed: it is two pages of text */
	const size_t length = strlen(path);
	int status;

	walk.view = view;
	walk.caller = caller;
	walk.here = start;
	walk.links = 0;
	walk.magic = false;
	if (walk.here < 0)
		return -errno;
	memcpy(walk.rest, path, length + 1);
	status = step(&walk, (flags & SG_RESOLVE_PARENT) != 0, (flags & SG_RESOLVE_NO_FOLLOW) != 0, ret->last);
	ret->fd = walk.here;
	ret->magic = walk.magic;
	ret->slash = path[length - 1] == '/';
	if (status < 0)
		return status;
	return walk.magic && (flags & SG_RESOLVE_NO_MAGIC) != 0 ? -ELOOP : 0;
}

/* Hands over what was resolved: of the texts, what there is. */
static void hand_over(struct sg_resolved *resolved, struct sg_resolved *ret)
{
	memcpy(ret, resolved, offsetof(struct sg_resolved, last));
	memcpy(ret->last, resolved->last, strlen(resolved->last) + 1);
	memcpy(ret->name, resolved->name, resolved->length + 1);
	resolved->fd = -1;
}

int sg_resolve(const struct sg_view *view, struct sg_caller *caller, int dirfd, const char *path, unsigned int flags,
	       struct sg_resolved *ret)
{
	const bool parent = (flags & SG_RESOLVE_PARENT) != 0, no_follow = (flags & SG_RESOLVE_NO_FOLLOW) != 0;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved;
	SG_AUTO_FD int opened = -1;
	size_t length = strlen(path);
	int status = 1, start = view->root;

	sg_resolved_init(&resolved);
	if (length == 0 && (flags & SG_RESOLVE_EMPTY) == 0)
		return -ENOENT;
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	if (path[0] != '/' || parent)
		start = opened = open_start(view, caller, dirfd, path);
	if (start < 0)
		return start;
	if (length == 0) {
		resolved.fd = sg_fd_take(&opened);
		status = 0;
	} else if (!parent && view->hides == NULL) {
		status = walk_fast(view, start, path, length, no_follow, &resolved);
	}
	if (status == 1)
		status = walk_carefully(view, caller,
					opened >= 0 ? sg_fd_take(&opened) : fcntl(view->root, F_DUPFD_CLOEXEC, 3), path,
					flags, &resolved);
	if (status < 0)
		return status;
	if (parent && resolved.last[0] != '\0') {
		status = name_child(view, &resolved);
	} else {
		resolved.exists = true;
		if (!resolved.named)
			status = name_object(view, &resolved);
	}
	if (status < 0)
		return status;
	mark_hidden(view, &resolved, parent && resolved.last[0] != '\0');
	hand_over(&resolved, ret);
	return 0;
}

int sg_resolve_descriptor(const struct sg_view *view, struct sg_caller *caller, int number, struct sg_resolved *ret)
{
	return sg_resolve(view, caller, number, "", SG_RESOLVE_EMPTY, ret);
}

void sg_resolved_done(struct sg_resolved *resolved)
{
	resolved->fd = sg_fd_close(resolved->fd);
}

int sg_reopen(const struct sg_view *view, int fd, int flags)
{
	char link[64];
	int opened;

	(void)snprintf(link, sizeof(link), "%d/fd/%d", (int)view->self, fd);
	opened = openat(view->proc, link, flags | O_CLOEXEC, 0); /* the mode is for O_TMPFILE only */
	return opened < 0 ? -errno : opened;
}
