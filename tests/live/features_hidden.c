/* In place of src/tables/features_shown.c, for tests: features are hidden that SG_HIDE_FEATURES names. */
#include <stdlib.h>
#include <string.h>

#include "tables/features.h"

bool sg_feature_hidden(enum sg_feature feature)
{
	const char *names = getenv("SG_HIDE_FEATURES"), *name = sg_feature_infos[feature].name;
	const size_t length = strlen(name);

	while (names != NULL && *names != '\0') {
		const size_t size = strcspn(names, ",");

		if (size == length && strncmp(names, name, length) == 0)
			return true;
		names += size + (names[size] == ',');
	}
	return false;
}
