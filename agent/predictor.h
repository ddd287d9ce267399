/* SPDX-License-Identifier: Apache-2.0
 *
 * predictor.h: one thread's way from the bytes of a message to the JSON of its results: cache, decode, infer, read the outputs.
 *
 * The cheapest answer comes first: the same bytes are answered before decoding, a likeness (cache mode near) before full decoding, the same
 * input tensor before inference. A series has no level of bytes: its windows span messages, which must be parsed to move them on.
 * A message gives one result (image) or as many as windows it completes (series; often none). What cannot be used gives an error result:
 * predictor_answer itself cannot fail.
 * An answer's text holds its results one after the other, each the end of a result line from "model" to the closing brace:
 *   "model":"m@1","cache":"miss","us":{"queue":40,"decode":310,"infer":820,"total":1290},"result":{...}}
 * Memory: at predictor_new, but for the text, which grows once to the largest answer. Threads: one owner; series of one source must always
 * come to the same predictor. */
#ifndef EDDY_AGENT_PREDICTOR_H
#define EDDY_AGENT_PREDICTOR_H

#include "agent/bundle.h"
#include "agent/input.h"
#include "base/error.h"
#include "cache/cache.h"
#include "config/config.h"

struct predictor;

struct answer {
    const char *text;          /* borrowed until the next answer; results separated by '\n' */
    size_t length;
    int count;                 /* results in it */
    int hits, errors;
    int64_t decode_us, infer_us;
    double margin;             /* of the last result that was inferred: see task_margin */
    struct series_leftover left; /* series: how the source's window was left; borrowed as the text is */
};

struct predictor_input {
    const char *source;        /* topic or file name: keys the windows of a series */
    const uint8_t *bytes;
    size_t length;
    int64_t arrived_us;        /* monotonic; queue and total count from here */
};

enum { PREDICTOR_TEXT_BYTES_MAX = 64 << 20 };

/* space NULL: no cache. result_bytes_max: a larger result becomes an error result. */
MUST_CHECK enum error_code predictor_new(const struct config_pipeline *pipeline, const struct bundle *bundle, struct cache_space *space,
                                         size_t result_bytes_max, struct predictor **predictor_out, struct error *error);
/* Inference may use the pool, which is borrowed until predictor_free. */
MUST_CHECK enum error_code predictor_set_threads(struct predictor *predictor, struct threads *threads, struct error *error);
void predictor_free(struct predictor *predictor);
void predictor_answer(struct predictor *predictor, const struct predictor_input *input, struct answer *answer_out);
/* series: puts back a source's window that an earlier run left (input.h). Before the first answer. */
void predictor_restore(struct predictor *predictor, const char *source, int64_t arrived_us, const struct series_leftover *left);
/* The digest of all that a result depends on besides its input: for cache_add_space. */
void predictor_settings(const struct config_pipeline *pipeline, const struct bundle *bundle, char *text, size_t capacity);

#endif
