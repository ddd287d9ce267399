/* SPDX-License-Identifier: Apache-2.0
 *
 * repeat.h: what need not be said again: report by exception, and references to an earlier equal result.
 *
 *   sink.on: change     a result that equals the last one sent of its source (topic) is left out, but for one every sink.every
 *   sink.on: interval   a source's results are left out until sink.every has passed since the last one sent; errors and anomalies never are
 *   sink.same_as        a result that equals an earlier one of its pipeline is sent as "same-as":SEQ in place of "result"
 * Equal: the same JSON; for change, "score" numbers may differ by sink.deadband. A line that follows left out ones of its source says how
 * many: "unchanged":N. What is left out gets no seq.
 * A reference points at most REPEAT_SEQS_MAX seqs back, to a line that has its result, sent in the same stream before it (uplink.h); rebuild.h is
 * the way back. State is in memory alone: after a start every source is sent once, and nothing is referred to.
 * Bounds: REPEAT_SOURCES_MAX sources a pipeline, the least recent one gives way, which costs a line. Threads: one owner. */
#ifndef EDDY_AGENT_REPEAT_H
#define EDDY_AGENT_REPEAT_H

#include "base/error.h"
#include "config/config.h"

enum { REPEAT_SEQS_MAX = 4096, REPEAT_SOURCES_MAX = 512, REPEAT_INSERT_BYTES = 48, REPEAT_TAIL_BYTES = 48 };

struct repeat;

struct repeat_choice {
    bool leave_out;
    char insert[REPEAT_INSERT_BYTES]; /* members before the line's own: "" or "unchanged":3, */
    size_t keep;                      /* bytes of the line that stay */
    char tail[REPEAT_TAIL_BYTES];     /* after them: "" or "same-as":1234} */
};

MUST_CHECK enum error_code repeat_new(const struct config_pipeline *pipeline, struct repeat **repeat_out, struct error *error); /* NULL: not needed */
void repeat_free(struct repeat *repeat);
/* line: from "model" to the closing brace. seq: what the result would get. arrived_us: monotonic. */
void repeat_choose(struct repeat *repeat, const char *topic, const char *line, size_t length, int64_t seq, int64_t arrived_us,
                   struct repeat_choice *choice_out);
void repeat_sent(struct repeat *repeat); /* the line of the last choice is in a batch, with the seq it was chosen for */
void repeat_forget_results(struct repeat *repeat); /* what was sent may not arrive, or later than what follows: refer to none of it */

#endif
