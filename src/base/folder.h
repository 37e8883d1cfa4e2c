/* Folders: one that is the caller's alone, and listings that close themselves. */
#pragma once

#include <dirent.h>

#include "base/attr.h"
#include "base/error.h"

static inline void sg_folder_cleanup(DIR **folder)
{
	if (*folder != NULL)
		(void)closedir(*folder);
}

/* `SG_AUTO_FOLDER DIR *entries = ...`: closed when the scope ends; may be NULL. */
#define SG_AUTO_FOLDER SG_CLEANUP(sg_folder_cleanup)

/*
 * Opens the folder with `flags` (O_RDONLY or O_PATH; no link is followed at its end), making it and those above it where they are
 * missing: it must belong to the caller and be closed to others. Returns a descriptor of the caller's, or a negative errno value with context
 * (`error` may be NULL).
 */
int sg_folder_open_own(const char *folder, int flags, struct sg_error *error);
