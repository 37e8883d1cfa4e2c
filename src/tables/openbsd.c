#include <string.h>

#include "base/attr.h"
#include "tables/values.h"

static const struct sg_openbsd_call calls[] = {
#define SG_OPENBSD(name, linux_name, note) {#name, linux_name, note},
#define SG_OPENBSD_NONE(name, why) {#name, NULL, why},
#include "tables/openbsd.def"
#undef SG_OPENBSD
#undef SG_OPENBSD_NONE
};

const struct sg_openbsd_call *sg_openbsd_find(const char *name, size_t length)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(calls); i++)
		if (strlen(calls[i].name) == length && memcmp(calls[i].name, name, length) == 0)
			return &calls[i];
	return NULL;
}

const struct sg_openbsd_call *sg_openbsd_calls(size_t *ret_count)
{
	*ret_count = SG_ARRAY_SIZE(calls);
	return calls;
}
