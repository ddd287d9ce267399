/* SPDX-License-Identifier: Apache-2.0
 *
 * roofline.h: a picture of a measured model as one SVG 1.1 file: text and shapes alone, light or dark as its reader prefers.
 *
 * Both axes are logarithmic. A circle a layer that multiplies, <circle class="layer">: x multiply-adds for each byte of its inputs, weights
 * and results (each once, in the types of the model), y the rate that was measured, area its share of the time; its <title> says all of it in
 * words. Lines: ceilings.h. A layer may lie above one where it reads from a nearer cache, or is done by minimal filtering with fewer
 * multiplications than are counted. */
#ifndef EDDY_AGENT_ROOFLINE_H
#define EDDY_AGENT_ROOFLINE_H

#include "agent/cli/ceilings.h"
#include "inference/engine.h"

struct roofline {
    const char *title;
    const struct model *model;
    const int64_t *layer_ns;   /* [model_layer_count()] */
    const struct ceilings *ceilings;
    int threads;
};

MUST_CHECK enum error_code roofline_write(const char *path, const struct roofline *roofline, struct error *error);

#endif
