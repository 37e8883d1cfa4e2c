/*
 * Extended attributes of what is pinned.
 *
 * Before Linux 6.13 these calls take no folder to start from, and none of them takes an O_PATH descriptor. So
 * the supervisor's working directory becomes its own /proc, and the pin is named from there. Nothing else in
 * the supervisor uses a relative name.
 */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervisor/change.h"

/* struct xattr_args of <linux/xattr.h> (Linux 6.13); a later one may be longer, at most a page. */
struct packed_arguments {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};
enum { PACKED_MAX = 4096 };

struct arguments {
	char name[XATTR_NAME_MAX + 1];
	uint64_t value; /* an address */
	uint64_t size;
	unsigned int flags;
};

static int read_packed(const struct sg_change *change, struct arguments *arguments)
{
	const uint64_t address = sg_change_argument(change, 1), size = sg_change_argument(change, 2);
	union {
		struct packed_arguments known;
		char bytes[PACKED_MAX];
	} packed;
	int status;

	if (size < sizeof(packed.known))
		return -EINVAL;
	if (size > sizeof(packed))
		return -E2BIG;
	status = sg_caller_read(&change->request->caller, address, packed.bytes, size);
	if (status < 0)
		return status;
	for (size_t i = sizeof(packed.known); i < size; i++)
		if (packed.bytes[i] != 0) /* of a kernel we do not know */
			return -E2BIG;
	arguments->value = packed.known.value;
	arguments->size = packed.known.size;
	arguments->flags = packed.known.flags;
	return 0;
}

/* The attribute's name, and with `value` where its value stands. Returns 0 or the error of the call. */
static int read_arguments(const struct sg_change *change, bool value, struct arguments *arguments)
{
	ssize_t length;
	int status = 0;

	*arguments = (struct arguments){0};
	if (value && change->row->packed) {
		status = read_packed(change, arguments);
	} else if (value) {
		arguments->value = sg_change_argument(change, 1);
		arguments->size = sg_change_argument(change, 2);
	}
	if (status < 0)
		return status;
	length = sg_caller_read_string(&change->request->caller, sg_change_argument(change, 0), arguments->name,
				       sizeof(arguments->name));
	if (length == 0 || length == -ENAMETOOLONG)
		return -ERANGE;
	return length < 0 ? (int)length : 0;
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/*
 * Who may set an attribute. security.* are what the host's own guards read (capabilities, labels), trusted.*
 * is the administrator's, and user.overlay.* steers an overlay that somebody outside may mount over the
 * folder.
 */
static int check_name(struct sg_change *change, const char *name)
{
	if (starts_with(name, "security.") || starts_with(name, "trusted.") || starts_with(name, "user.overlay."))
		return sg_change_refuse(change, EPERM,
					"attributes that the system itself obeys are not changed from a world");
	return starts_with(name, "user.") || starts_with(name, "system.posix_acl_") ? 0 : -EOPNOTSUPP;
}

/* From here the pin's name leads to the pinned object. Returns 0 or a negative errno value. */
static int enter_proc(const struct sg_change *change, char *pin)
{
	sg_change_pin_name(change, &change->first, pin);
	return fchdir(change->request->supervisor->view.proc) < 0 ? -errno : 0;
}

/* Before an attribute is set or removed: may it be, by its name and the object's? Returns 0 or a negative errno value. */
static int reach_for_change(struct sg_change *change, const char *name, char *pin)
{
	int status = check_name(change, name);

	if (status == 0)
		status = sg_change_object(change, SG_ACCESS_CHANGE);
	return status == 0 ? enter_proc(change, pin) : status;
}

int64_t sg_change_set_xattr(struct sg_change *change)
{
	struct arguments arguments;
	char pin[SG_CHANGE_LINK_MAX], values[XATTR_SIZE_MAX];
	int status = read_arguments(change, true, &arguments);

	if (status == 0 && !change->row->packed)
		arguments.flags = (unsigned int)sg_change_argument(change, 3);
	if (status == 0 && (arguments.flags & ~(unsigned int)(XATTR_CREATE | XATTR_REPLACE)) != 0)
		status = -EINVAL;
	if (status == 0 && arguments.size > sizeof(values))
		status = -E2BIG;
	if (status == 0)
		status = sg_caller_read(&change->request->caller, arguments.value, values, arguments.size);
	if (status == 0)
		status = reach_for_change(change, arguments.name, pin);
	if (status < 0)
		return status;
	return setxattr(pin, arguments.name, values, arguments.size, (int)arguments.flags) < 0 ? -errno : 0;
}

int64_t sg_change_remove_xattr(struct sg_change *change)
{
	struct arguments arguments;
	char pin[SG_CHANGE_LINK_MAX];
	int status = read_arguments(change, false, &arguments);

	if (status == 0)
		status = reach_for_change(change, arguments.name, pin);
	if (status < 0)
		return status;
	return removexattr(pin, arguments.name) < 0 ? -errno : 0;
}

/*
 * Of an object that is shown and may not be read: it has no attributes, as far as the world can tell. ls(1) asks for them with each
 * long listing, and is told so without a line. Returns 0, -ENODATA then, or another negative errno value.
 */
static int reach_for_reading(struct sg_change *change, char *pin)
{
	struct sg_decision *decision = &change->first.decision;
	int status = sg_change_pin_object(change);

	if (status < 0)
		return status;
	sg_change_decide_object(change, SG_ACCESS_READ);
	if (decision->verdict == SG_VERDICT_DENY) {
		decision->error = ENODATA;
		decision->silent = true;
	}
	status = sg_change_commit(change, false);
	return status == 0 ? enter_proc(change, pin) : status;
}

/* Gives the caller `length` bytes of the values. Returns `length`, or a negative errno value. */
static int64_t answer(const struct sg_change *change, uint64_t address, uint64_t size, const char *values,
		      ssize_t length)
{
	int status;

	if (length <= 0 || size == 0)
		return length < 0 ? -errno : length;
	if (!sg_caller_valid(&change->request->caller))
		return -EINTR;
	status = sg_caller_write(&change->request->caller, address, values, (size_t)length);
	return status < 0 ? status : length;
}

int64_t sg_change_get_xattr(struct sg_change *change)
{
	struct arguments arguments;
	char pin[SG_CHANGE_LINK_MAX], values[XATTR_SIZE_MAX];
	int status = read_arguments(change, true, &arguments);

	if (status == 0 && arguments.flags != 0)
		status = -EINVAL;
	if (status == 0)
		status = reach_for_reading(change, pin);
	if (status < 0)
		return status;
	if (arguments.size > sizeof(values))
		arguments.size = sizeof(values);
	return answer(change, arguments.value, arguments.size, values,
		      getxattr(pin, arguments.name, values, arguments.size));
}

int64_t sg_change_list_xattrs(struct sg_change *change)
{
	const uint64_t address = sg_change_argument(change, 0);
	uint64_t size = sg_change_argument(change, 1);
	char pin[SG_CHANGE_LINK_MAX], values[XATTR_SIZE_MAX];
	int status = reach_for_reading(change, pin);

	if (status < 0)
		return status == -ENODATA ? 0 : status;
	if (size > sizeof(values))
		size = sizeof(values);
	return answer(change, address, size, values, listxattr(pin, values, size));
}
