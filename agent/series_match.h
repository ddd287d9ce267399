/* SPDX-License-Identifier: Apache-2.0
 *
 * series_match.h: follows a document value by value and tells which fields' pointers lead to the value at hand.
 *
 * For JSON and CBOR alike: the reader says when it enters and leaves a container, which key or element comes next, and what the value is.
 * Cost: linear in the document, times the number of fields; no memory. */
#ifndef EDDY_AGENT_SERIES_MATCH_H
#define EDDY_AGENT_SERIES_MATCH_H

#include "agent/series.h"

enum { SERIES_DEPTH_MAX = 64 };

struct series_match {
    struct series *series;
    int depth;                             /* containers that are open */
    int matched[CONFIG_FIELDS_MAX + 1];    /* leading segments of each pointer that the path to the value at hand agrees with */
    int collecting;                        /* a field whose array of numbers is open; -1: none */
    struct error *error;
};

void series_match_init(struct series_match *match, struct series *series, struct error *error);
/* The child that comes next in the container at `depth` (1: the outermost): by key, or by index with key NULL. */
void series_match_child(struct series_match *match, const char *key, size_t length, int64_t index);
MUST_CHECK enum error_code series_match_number(struct series_match *match, double value);
MUST_CHECK enum error_code series_match_text(struct series_match *match, const char *text, size_t length); /* strings */
MUST_CHECK enum error_code series_match_other(struct series_match *match, const char *what);               /* null, true, ... */
MUST_CHECK enum error_code series_match_enter(struct series_match *match, bool is_array);
void series_match_leave(struct series_match *match);

#endif
