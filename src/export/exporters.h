/* The back ends, one of each row of exporters.def. */
#pragma once

#include "export/export.h"

#define SG_EXPORTER(variable) extern const struct sg_exporter variable;
#include "export/exporters.def"
#undef SG_EXPORTER
