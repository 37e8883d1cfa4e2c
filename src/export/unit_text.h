/*
 * Text of systemd's unit files (systemd.syntax(7)): how a name or a value is written so that it stands for itself.
 *
 * The adversary writes names. What could end a value, or mean something else in one: the end of the line, a backslash before it (the
 * next line is joined), blanks and quotes (words), ':' (what follows a path), '%' (specifiers), and '-', '+', '~' at the start
 * (a name begins with '/'). Words are quoted as a whole. There is no way to write a control character in a path, and systemd
 * passes over a path that is no UTF-8: such a name is refused, and with it the whole artefact.
 */
#pragma once

#include "base/buffer.h"

/* How many times what is read is taken apart: once in most lists of paths, twice where options follow a path. */
enum sg_unit_words { SG_UNIT_PATH = 1, SG_UNIT_PATH_WITH_OPTIONS = 2 };

/*
 * Appends "KEY=" and the path as one word; where the path is missing on a host, the line says nothing. `options` follow the path
 * after a ':' (only with SG_UNIT_PATH_WITH_OPTIONS; NULL: none). Returns 0, -EILSEQ if no unit can name it (nothing was appended).
 */
SG_MUST_USE int sg_unit_append_path(struct sg_buffer *out, const char *key, const char *path, enum sg_unit_words words,
				    const char *options);

/* Appends "Environment=" and NAME=value as one word. Returns 0 or -EILSEQ. */
SG_MUST_USE int sg_unit_append_assignment(struct sg_buffer *out, const char *assignment);

/* Appends "KEY=" and a value that systemd takes as it stands to the end of the line. Returns 0 or -EILSEQ. */
SG_MUST_USE int sg_unit_append_plain(struct sg_buffer *out, const char *key, const char *value);
