/* SPDX-License-Identifier: Apache-2.0
 *
 * task.h: from a model's output tensors to the `result` of a result line.
 *
 * Decoders: classes, boxes, ssd, yolox, nanodet, reconstruction, raw (config/manifest.h). Which outputs play which part is found from
 * names and shapes at task_new and refused with a reason where they do not fit (ERROR_MODEL). Detection keeps boxes over the threshold,
 * sorts by score, does non-maximum suppression per class, maps them to pixels of the original image and clips them to it.
 * Memory: all at task_new. Threads: one owner. task_write cannot fail but for a buffer that is too small (writer->overflow). */
#ifndef EDDY_AGENT_TASK_H
#define EDDY_AGENT_TASK_H

#include "agent/input.h"
#include "base/json_writer.h"
#include "config/manifest.h"
#include "inference/tensor.h"

struct task_decoder;

MUST_CHECK enum error_code task_new(const struct manifest *manifest, const struct tensor *const *inputs, int input_count,
                                    const struct tensor *const *outputs, int output_count, struct task_decoder **task_out, struct error *error);
void task_free(struct task_decoder *task);

/* Writes the object of `result`: {"label",...} | {"objects":[...]} | {"score","threshold","anomalous"} | {"outputs":{...}}.
 * inputs and outputs: those of the run, with data. geometry: images; may be NULL for others. */
void task_write(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                const struct image_geometry *geometry, struct json_writer *writer);

/* How firmly the result of the last task_write stands: how far its scores are from saying something else by the rule of agreement.h, 0 to 1.
 * classes: the best score's lead. Detection: what the nearest certain object would have to lose to vanish, or the best box below the threshold that no
 * object covers to gain to be certain. reconstruction: distance from the threshold, as a share of it. raw: 1. */
double task_margin(const struct task_decoder *task);

#endif
