#include "world/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tables/features.h"

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

int sg_confine_capabilities(uint64_t kept, struct sg_error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	uint32_t low = (uint32_t)kept, high = (uint32_t)(kept >> 32);
	struct __user_cap_data_struct data[2] = {{low, low, low}, {high, high, high}};
	/* Where capabilities are kept, a process that stops being uid 0 loses them, as daemons expect (capabilities(7)). */
	const unsigned long none = SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
				   SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED | (kept == 0 ? none : 0);
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
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot set no_new_privs");
	return 0;
}

int sg_confine_landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 || sg_feature_hidden(SG_FEATURE_LANDLOCK) ? 0 : (int)version;
}

int sg_confine_scopes(struct sg_error *error)
{
	struct ruleset attributes = {.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL};
	long ruleset, status;

	if (sg_confine_landlock_version() < SG_CONFINE_SCOPES_ABI || sg_feature_hidden(SG_FEATURE_LANDLOCK_SCOPES))
		return 0;
	ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	if (ruleset < 0)
		return sg_error_set_errno(error, -errno, "cannot make a Landlock ruleset");
	status = syscall(SYS_landlock_restrict_self, ruleset, 0);
	(void)close((int)ruleset);
	return status < 0 ? sg_error_set_errno(error, -errno, "cannot enter the Landlock scopes") : 0;
}

int sg_confine_filter(const struct sock_filter *filter, unsigned short length, struct sg_error *error)
{
	const struct sock_fprog program = {.len = length, .filter = (struct sock_filter *)(size_t)filter};
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	return listener < 0 ? sg_error_set_errno(error, -errno, "cannot install the system call filter") : (int)listener;
}
