#include "world/label.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/features.h"

/* By thread: a process may set its own only, and each thread has one. In a folder of its own since Linux 5.8, whatever other module there is. */
#define CURRENT "/proc/thread-self/attr/apparmor/current"

/* Without it the compiler takes no profile that says what it was written for. */
#define FEATURES "/etc/apparmor.d/abi/3.0"

enum { LABEL_MAX = 256 };

static bool read_text(const char *path, char *text, size_t size)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t length = fd < 0 ? -1 : sg_fd_read_full(fd, text, size - 1);

	text[length > 0 ? length : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return length > 0;
}

static bool is_space(const char *path, ino_t number)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_ino == number;
}

bool sg_label_sees_all(void)
{
	/* The numbers of the first ones (include/linux/proc_ns.h), the same on every kernel since 3.8. */
	return is_space("/proc/self/ns/pid", 0xEFFFFFFC) && is_space("/proc/self/ns/user", 0xEFFFFFFD);
}

static bool is_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	return geteuid() == 0 && syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_MAC_ADMIN / 32].effective >> CAP_MAC_ADMIN % 32 & 1) != 0 && sg_label_sees_all();
}

static bool is_root_s_alone(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_uid == 0 && (status.st_mode & 022) == 0;
}

bool sg_label_find_parser(char *path, size_t size, struct sg_buffer *reason)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++) {
		const int length = snprintf(path, size, "%s/" SG_LABEL_PARSER, folders[i]);

		if (length < 0 || (size_t)length >= size || access(path, X_OK) < 0)
			continue;
		if (!is_root_s_alone("/") || !is_root_s_alone("/usr") || !is_root_s_alone(folders[i]) ||
		    !is_root_s_alone(path)) {
			sg_buffer_printf(reason, "%s, or a folder above it, is not root's alone to change", path);
			return false;
		}
		if (is_root_s_alone(FEATURES))
			return true;
		sg_buffer_append_text(reason, FEATURES ", a part of apparmor 3, is not there or not root's alone");
		return false;
	}
	sg_buffer_append_text(reason, SG_LABEL_PARSER " is not installed");
	return false;
}

/*
 * Kernels that ask about unix sockets by the names of their peers (Ubuntu's, and Linux since 6.17) want rules for files that a profile of
 * ours does not give, as it leaves those names to the supervisor: there it would be the first to refuse.
 */
static bool asks_for_peers(void)
{
	return access(SG_LABEL_KERNEL "/features/network/af_unix", F_OK) == 0 ||
	       access(SG_LABEL_KERNEL "/features/network_v9", F_OK) == 0;
}

bool sg_label_find(struct sg_buffer *reason)
{
	char text[LABEL_MAX], path[64];

	if (sg_feature_hidden(SG_FEATURE_APPARMOR) ||
	    !read_text("/sys/module/apparmor/parameters/enabled", text, sizeof(text)) || text[0] != 'Y')
		sg_buffer_append_text(reason, "AppArmor is not active in this kernel");
	else if (!is_admin())
		sg_buffer_append_text(reason, "its profiles are the host's root's to load (CAP_MAC_ADMIN)");
	else if (!read_text("/sys/module/apparmor/parameters/mode", text, sizeof(text)) || strcmp(text, "enforce") != 0)
		sg_buffer_append_text(reason, "AppArmor's mode (apparmor.mode) is not enforce");
	else if (access(SG_LABEL_KERNEL "/.load", W_OK) < 0 || access(SG_LABEL_KERNEL "/.remove", W_OK) < 0)
		sg_buffer_append_text(reason, SG_LABEL_KERNEL " is not there: securityfs is not mounted");
	else if (asks_for_peers())
		sg_buffer_append_text(reason, "AppArmor asks about the peers of unix sockets here, which a session's "
					      "profile has no rules for");
	else if (!read_text(CURRENT, text, sizeof(text)) || strcmp(text, "unconfined") != 0)
		sg_buffer_append_text(reason, "shellguard itself runs in a profile of AppArmor");
	else if (read_text("/proc/sys/kernel/apparmor_restrict_unprivileged_unconfined", text, sizeof(text)) &&
		 strcmp(text, "0") != 0)
		/* Then who enters a profile without privileges keeps a label of both: not tried anywhere yet. */
		sg_buffer_append_text(reason, "kernel.apparmor_restrict_unprivileged_unconfined is not 0");
	else
		return sg_label_find_parser(path, sizeof(path), reason);
	return false;
}

/* The label of the calling thread, read by its file, is that profile, enforced. */
static bool is_in(int fd, const char *profile)
{
	const size_t length = strlen(profile);
	char label[LABEL_MAX];
	const ssize_t got = pread(fd, label, sizeof(label) - 1, 0);

	if (got <= 0)
		return false;
	label[got] = '\0';
	label[strcspn(label, "\n")] = '\0';
	return strncmp(label, profile, length) == 0 && strcmp(label + length, " (enforce)") == 0;
}

int sg_label_enter(const char *profile, struct sg_error *error)
{
	/* Opened once, before: the profile may refuse that name, as it may any other. */
	SG_AUTO_FD int fd = open(CURRENT, O_RDWR | O_CLOEXEC);
	char words[LABEL_MAX];
	const int length = snprintf(words, sizeof(words), "changeprofile %s", profile);

	if (length < 0 || (size_t)length >= sizeof(words))
		return sg_error_set(error, -ENAMETOOLONG, "the name of the world's AppArmor profile is too long");
	if (fd < 0)
		return sg_error_set_errno(error, -errno, "cannot open " CURRENT " in the world");
	/* One write: it is one request. */
	if (write(fd, words, (size_t)length) != length)
		return sg_error_set_errno(error, errno == 0 ? -EIO : -errno, "cannot enter the AppArmor profile %s",
					  profile);
	if (!is_in(fd, profile))
		return sg_error_set(error, -EPERM, "this process is not in the AppArmor profile %s", profile);
	return 0;
}
