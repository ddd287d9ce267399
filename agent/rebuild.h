/* SPDX-License-Identifier: Apache-2.0
 *
 * rebuild.h: a consumer's side of repeat.h: gives result lines that say "same-as":SEQ their result back.
 *
 * It remembers the results of the last REPEAT_SEQS_MAX seqs of each agent (REBUILD_AGENTS_MAX of them at most, each result up to
 * REBUILD_RESULT_BYTES_MAX). Lines must come in the order in which the broker delivers them; one that comes twice does no harm. */
#ifndef EDDY_AGENT_REBUILD_H
#define EDDY_AGENT_REBUILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { REBUILD_AGENTS_MAX = 64, REBUILD_RESULT_BYTES_MAX = 1 << 20 };

struct rebuild;

MUST_CHECK enum error_code rebuild_new(struct rebuild **rebuild_out, struct error *error);
void rebuild_free(struct rebuild *rebuild);
/* *line_out, borrowed until the next call: the line as it is, or with "result" in place of "same-as". false: what it refers to was not seen; the
 * line is as it was. */
bool rebuild_line(struct rebuild *rebuild, const char *line, size_t length, const char **line_out, size_t *length_out);

#endif
