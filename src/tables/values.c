#include "tables/values.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/attr.h"

#define SG_ROW(name, value, mask, flag, fd_change, reason) {value, mask, flag, fd_change, name, reason},
#define SG_VALUE(name, value, flag) SG_ROW(#name, value, UINT32_MAX, SG_FLAG_##flag, false, NULL)
#define SG_VALUE_LATER(name, value, flag) SG_ROW(#name, value, UINT32_MAX, SG_FLAG_##flag, false, NULL)
#define SG_VALUE_CHANGE(name, value, flag) SG_ROW(#name, value, UINT32_MAX, SG_FLAG_##flag, true, NULL)
#define SG_VALUE_NEVER(name, value, why) SG_ROW(#name, value, UINT32_MAX, SG_FLAG_NONE_, false, why)
#define SG_VALUE_TYPE(words, type, flag)                                                                               \
	SG_ROW(words, (uint32_t)(type) << 8, SG_VALUE_TYPE_MASK, SG_FLAG_##flag, false, NULL)

static const struct sg_value ioctls[] = {
#include "tables/ioctl.def"
};
static const struct sg_value prctls[] = {
#include "tables/prctl.def"
};
static const struct sg_value arch_prctls[] = {
#include "tables/arch_prctl.def"
};
static const struct sg_value fcntls[] = {
#include "tables/fcntl.def"
};
static const struct sg_value personalities[] = {
#include "tables/personality.def"
};

static const struct sg_value_list lists[] = {
	[SG_VALUES_IOCTL] = {SYS_ioctl, 1, ENOTTY, SG_ARRAY_SIZE(ioctls), ioctls},
	[SG_VALUES_PRCTL] = {SYS_prctl, 0, EINVAL, SG_ARRAY_SIZE(prctls), prctls},
	[SG_VALUES_ARCH_PRCTL] = {SYS_arch_prctl, 0, EINVAL, SG_ARRAY_SIZE(arch_prctls), arch_prctls},
	[SG_VALUES_FCNTL] = {SYS_fcntl, 1, EINVAL, SG_ARRAY_SIZE(fcntls), fcntls},
	[SG_VALUES_PERSONALITY] = {SYS_personality, 0, EINVAL, SG_ARRAY_SIZE(personalities), personalities},
};
_Static_assert(SG_ARRAY_SIZE(lists) == SG_VALUE_TABLES_, "one row a table");

const struct sg_value_list *sg_value_list(enum sg_value_table table)
{
	return &lists[table];
}

const struct sg_value *sg_value_find(enum sg_value_table table, uint32_t value)
{
	const struct sg_value_list *list = &lists[table];
	const struct sg_value *by_type = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct sg_value *row = &list->rows[i];

		if ((value & row->mask) != row->value)
			continue;
		if (row->mask == UINT32_MAX)
			return row;
		if ((value & SG_VALUE_DIRECTION) != 0)
			by_type = row;
	}
	return by_type;
}

static const struct sg_socket_kind kinds[] = {
#define SG_SOCKET(domain, type, protocol, flag) {domain, type, protocol, SG_FLAG_##flag, #domain " " #type},
#include "tables/socket.def"
#undef SG_SOCKET
};

const struct sg_socket_kind *sg_socket_kinds(size_t *ret_count)
{
	*ret_count = SG_ARRAY_SIZE(kinds);
	return kinds;
}

static const struct sg_socket_option options[] = {
#define SG_OPTION(level_name, name, level, option, flag) {level, option, SG_FLAG_##flag, #level_name " " #name, NULL},
#define SG_OPTION_LATER(level_name, name, level, option, flag) SG_OPTION(level_name, name, level, option, flag)
#define SG_OPTION_NEVER(level_name, name, level, option, why)                                                          \
	{level, option, SG_FLAG_NONE_, #level_name " " #name, why},
#include "tables/sockopt.def"
#undef SG_OPTION
#undef SG_OPTION_LATER
#undef SG_OPTION_NEVER
};

const struct sg_socket_option *sg_socket_options(size_t *ret_count)
{
	*ret_count = SG_ARRAY_SIZE(options);
	return options;
}

_Static_assert(SG_SOCKET_UNKNOWN_ERRNO == EAFNOSUPPORT, "the kernel's own answer");
_Static_assert(SG_OPTION_UNKNOWN_ERRNO == ENOPROTOOPT, "the kernel's own answer");
