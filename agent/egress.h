/* SPDX-License-Identifier: Apache-2.0
 *
 * egress.h: which pixels leave, and what is done to them before.
 *
 * Only where the pipeline's egress says so, and for a reason: an anomaly, a result of low confidence, every Nth input, or the command snapshot.
 *   snapshots  the whole image      crops  each detected object, the EGRESS_CROPS_MAX with the highest scores
 * images.redact pixelates the boxes of these labels (grown by a tenth) before anything is encoded. It fails closed: where the boxes cannot be
 * known (an error result, a model that detects nothing), no image leaves.
 * An image goes out after its result is committed, with its seq: image_queue.h. Threads: a gate is one worker's. */
#ifndef EDDY_AGENT_EGRESS_H
#define EDDY_AGENT_EGRESS_H

#include "agent/predictor.h"
#include "base/error.h"

struct egress_gate;
struct pipeline;

enum egress_reason { EGRESS_NOT, EGRESS_ANOMALY, EGRESS_LOW_CONFIDENCE, EGRESS_EVERY, EGRESS_COMMAND };
enum { EGRESS_CROPS_MAX = 4 };

struct egress_image {
    struct egress_image *next;
    enum egress_reason reason;
    bool redacted;
    size_t bytes;
    uint8_t jpeg[];
};

MUST_CHECK enum error_code egress_new(struct egress_gate **gate_out, struct error *error);
void egress_free(struct egress_gate *gate);
/* The images that may leave for this input, NULL where there are none: then the caller's. answer: of this pipeline to this input. */
struct egress_image *egress_consider(struct egress_gate *gate, struct pipeline *pipeline, const struct predictor_input *input, const struct answer *answer);
void egress_images_free(struct egress_image *images);

#endif
