/* SPDX-License-Identifier: Apache-2.0
 *
 * importance.h: whether a result is one that somebody will want to see, told from its line.
 *
 * A line is the end of a result line as predictor.h has it, or a whole one: what counts is its last member, "result" or "error". */
#ifndef EDDY_AGENT_IMPORTANCE_H
#define EDDY_AGENT_IMPORTANCE_H

#include <stddef.h>

enum importance { IMPORTANCE_ORDINARY, IMPORTANCE_LOW_CONFIDENCE, IMPORTANCE_ANOMALY, IMPORTANCE_ERROR };

/* Where the member "result", "error" or "same-as" begins: its opening quote. length where there is none, which no line of eddy's lacks. */
size_t importance_find_value(const char *line, size_t length);
/* low_confidence: a label or a detected object below this score makes the result one of low confidence. */
enum importance importance_of(const char *line, size_t length, double low_confidence);

#endif
