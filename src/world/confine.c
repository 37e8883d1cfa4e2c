#include "world/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/features.h"
#include "world/label.h"

/* Linux 6.12; absent from older headers. */
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* struct landlock_ruleset_attr as of ABI 6. */
struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

enum { CAPABILITIES_MAX = 64 };

bool sg_confine_cores_hold(rlim_t hard, const char *pattern)
{
	/* From 1 on the soft limit can be the 1 that stops all; at 0 it cannot be raised, and stops those to files alone. */
	return hard >= 1 || (pattern != NULL && pattern[0] != '|' && pattern[0] != '@');
}

int sg_confine_check_cores(struct sg_error *error)
{
	const struct rlimit raised = {0, 1};
	SG_AUTO_FD int fd = -1;
	struct rlimit limit;
	char pattern[2] = "";

	if (getrlimit(RLIMIT_CORE, &limit) == 0 && (limit.rlim_max >= 1 || setrlimit(RLIMIT_CORE, &raised) == 0))
		return 0;
	fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	if (sg_confine_cores_hold(0, fd >= 0 && sg_fd_read_full(fd, pattern, 1) >= 0 ? pattern : NULL))
		return 0;
	return sg_error_set(
		error, -EPERM,
		"the hard limit of core dumps is 0 here, which does not keep the kernel from giving them to the "
		"program of the host's that kernel.core_pattern names; raise it to at least 1 (limits.conf: core, in "
		"units of 1 KiB), or let core_pattern name a file");
}

static int drop_bounding(uint64_t kept, struct sg_error *error)
{
	for (unsigned long i = 0; i < CAPABILITIES_MAX; i++) {
		if ((kept >> i & 1) != 0)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
			if (errno == EINVAL) /* beyond the last one that this kernel knows */
				return 0;
			return sg_error_set_errno(error, -errno, "cannot drop capability %lu", i);
		}
	}
	return 0;
}

/* Sets permitted and effective to `held`, and everything else to `kept`. */
static int confine(uint64_t kept, uint64_t held, const char *profile, struct sg_error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const uint32_t low = (uint32_t)held, high = (uint32_t)(held >> 32);
	struct __user_cap_data_struct data[2] = {{low, low, (uint32_t)kept}, {high, high, (uint32_t)(kept >> 32)}};
	/*
	 * Where capabilities are kept, a process that stops being uid 0 loses them, as daemons expect (capabilities(7)).
	 * SECBIT_KEEP_CAPS is not locked: where all sets are empty there is nothing that it could keep, and programs that
	 * set it before anything else (ping) would end at an error of the kernel's that nobody explains.
	 */
	const unsigned long none = SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | (kept == 0 ? none : 0);
	int status = drop_bounding(kept, error);

	if (status < 0)
		return status;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot lock the secure bits");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot clear the ambient capabilities");
	if (syscall(SYS_capset, &header, data) < 0)
		return sg_error_set_errno(error, -errno, "cannot drop the capabilities");
	for (unsigned long i = 0; i < CAPABILITIES_MAX; i++)
		if ((kept >> i & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return sg_error_set_errno(error, -errno, "cannot keep capability %lu", i);
	/* The last step that needs more than the world has: in the profile its capabilities are those that the world keeps. */
	if (profile != NULL && sg_label_enter(profile, error) < 0)
		return error != NULL ? error->code : -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot set no_new_privs");
	return 0;
}

int sg_confine_capabilities(uint64_t kept, const char *profile, struct sg_error *error)
{
	return confine(kept, kept, profile, error);
}

int sg_confine_capabilities_at_exec(uint64_t kept, const char *profile, struct sg_error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return sg_error_set_errno(error, -errno, "cannot look at the capabilities");
	return confine(kept, data[0].permitted | (uint64_t)data[1].permitted << 32, profile, error);
}

int sg_confine_landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 || sg_feature_hidden(SG_FEATURE_LANDLOCK) ? 0 : (int)version;
}

static uint64_t scopes_of_version(int version)
{
	const bool given = version >= SG_CONFINE_SCOPES_ABI && !sg_feature_hidden(SG_FEATURE_LANDLOCK_SCOPES);

	return given ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL : 0;
}

int sg_confine_scopes(struct sg_error *error)
{
	struct ruleset attributes = {.scoped = scopes_of_version(sg_confine_landlock_version())};
	long ruleset, status;

	if (attributes.scoped == 0)
		return 0;
	ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	if (ruleset < 0)
		return sg_error_set_errno(error, -errno, "cannot make a Landlock ruleset");
	status = syscall(SYS_landlock_restrict_self, ruleset, 0);
	(void)close((int)ruleset);
	return status < 0 ? sg_error_set_errno(error, -errno, "cannot enter the Landlock scopes") : 0;
}

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13) /* Linux 5.19 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* Linux 6.2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) /* Linux 6.10 */
#endif

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* No devices: they are made by nobody in a world. */
#define WRITING                                                                                                        \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |              \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                    \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER |                       \
	 LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)
/* What can be allowed of a file that is no folder. */
#define OF_FILES                                                                                                       \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE |                   \
	 LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

/* What each kind of mount gives. A tree and a tmpfs are written as their flags say. */
static const uint64_t mount_access[SG_MOUNT_KINDS_] = {
	[SG_MOUNT_TREE] = READING,           [SG_MOUNT_PRIVATE] = READING,
	[SG_MOUNT_TEXT] = READING,           [SG_MOUNT_DEVICE] = READING | WRITING,
	[SG_MOUNT_PROC] = READING | WRITING, [SG_MOUNT_PROC_SYSTEM] = READING | WRITING,
	[SG_MOUNT_PTS] = READING | WRITING,  [SG_MOUNT_SYSFS] = READING,
};

static uint64_t access_of_version(int version)
{
	uint64_t access = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;

	if (version >= 3)
		access |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return version >= 5 ? access | LANDLOCK_ACCESS_FS_IOCTL_DEV : access;
}

/* Allows `access` at and below a name of the world. What is not there needs no rule. Returns 0 or a negative errno value. */
static int allow_below(int ruleset, const char *name, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	SG_AUTO_FD int fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISLNK(status.st_mode))
		return 0;
	if (!S_ISDIR(status.st_mode))
		rule.allowed_access &= OF_FILES;
	rule.parent_fd = fd;
	if (rule.allowed_access == 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int sg_confine_files(const struct sg_mount *mounts, size_t count, struct sg_error *error)
{
	const int version = sg_confine_landlock_version();
	struct ruleset attributes = {.handled_access_fs = access_of_version(version),
				     .scoped = scopes_of_version(version)};
	SG_AUTO_FD int ruleset = -1;
	int status;

	if (version < SG_CONFINE_FILES_ABI)
		return sg_error_set(error, -EOPNOTSUPP,
				    "this kernel's Landlock has no part for files that we could use");
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	if (ruleset < 0)
		return sg_error_set_errno(error, -errno, "cannot make a Landlock ruleset");
	/* The skeleton's folders are the world's own: which there are is no secret. */
	status = allow_below(ruleset, "/", LANDLOCK_ACCESS_FS_READ_DIR);
	for (size_t i = 0; i < count && status == 0; i++) {
		uint64_t access = mount_access[mounts[i].kind];

		if ((mounts[i].flags & SG_MOUNT_WRITE) != 0 && access != 0)
			access |= WRITING;
		if ((mounts[i].flags & SG_MOUNT_EXECUTE) != 0 && access != 0)
			access |= LANDLOCK_ACCESS_FS_EXECUTE;
		status = allow_below(ruleset, mounts[i].target, access & attributes.handled_access_fs);
	}
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot add a rule to the Landlock ruleset");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot enter the Landlock ruleset");
	return 0;
}

int sg_confine_filter(const struct sock_filter *filter, unsigned short length, struct sg_error *error)
{
	const struct sock_fprog program = {.len = length, .filter = (struct sock_filter *)(size_t)filter};
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	return listener < 0 ? sg_error_set_errno(error, -errno, "cannot install the system call filter")
			    : (int)listener;
}
