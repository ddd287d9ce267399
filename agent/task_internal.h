/* SPDX-License-Identifier: Apache-2.0
 *
 * task_internal.h: what the decoders share. Each decoder has a *_new that finds its outputs and sets `write`, and that function. */
#ifndef EDDY_AGENT_TASK_INTERNAL_H
#define EDDY_AGENT_TASK_INTERNAL_H

#include "agent/task.h"

enum { TASK_OUTPUTS_MAX = 64, TASK_STRIDES = 3, TASK_BINS_MAX = 32, CANDIDATES_KEPT = 1024, CANDIDATES_MAX = 2 * CANDIDATES_KEPT, NEAR_MISSES_MAX = 8 };

struct task_run { /* one call of task_write */
    const struct tensor *const *inputs, *const *outputs;
    const struct image_geometry *geometry; /* of an identity where the input is no image */
};

typedef void task_write_function(struct task_decoder *task, const struct task_run *run, struct json_writer *writer);

struct candidate {
    float box[4]; /* x0, y0, x1, y1 in pixels of the model's input */
    float score;
    int32_t label;
    int32_t order; /* of arrival: equal scores keep it */
};

struct task_decoder {
    const struct manifest *manifest;
    task_write_function *write;
    int output_count;
    float *scratch[TASK_OUTPUTS_MAX + 1];  /* of outputs that are not f32, and of the first input, dequantised */
    int32_t class_count;
    int scores, boxes;               /* outputs by their part */
    int32_t model_width, model_height;
    struct {
        int scores, distances;       /* outputs */
        int32_t columns, rows, stride;
    } strides[TASK_STRIDES];
    int32_t bins;                    /* nanodet: of a side's distribution */
    int32_t *order;                  /* classes: [top] */
    float *probabilities;            /* classes: [class_count] */
    struct candidate *candidates;    /* detection: [CANDIDATES_MAX] */
    int32_t candidate_count, candidates_seen;
    struct candidate near_misses[NEAR_MISSES_MAX]; /* detection: the best below the threshold, the best first */
    int32_t near_miss_count;
    double margin;                   /* of the last result, see task_margin */
};

typedef enum error_code task_new_function(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                                          struct error *error);
task_new_function task_classes_new, task_boxes_new, task_ssd_new, task_yolox_new, task_nanodet_new, task_reconstruction_new, task_raw_new;

/* Output i of the run as floats, dequantised. */
const float *task_floats(const struct task_decoder *task, const struct task_run *run, int i);
const float *task_input_floats(const struct task_decoder *task, const struct task_run *run);
/* The label's text; without labels its number. text: at least 12 bytes, used for numbers. */
const char *task_label(const struct task_decoder *task, int32_t label, char *text, size_t capacity);
/* Whether any of the words, separated by spaces, occurs in the tensor's name. */
bool task_name_has(const struct tensor *tensor, const char *words);
double task_round(double value, double digits); /* digits: 1e2 keeps two decimals: what a reader needs, not what a float holds */

/* candidates.c */
MUST_CHECK enum error_code candidates_prepare(struct task_decoder *task, const struct tensor *input, struct error *error);
void candidates_begin(struct task_decoder *task);
/* Whether a box with this score is of any interest: over the threshold, or among the best below it. */
bool candidates_want(const struct task_decoder *task, float score);
void candidates_add(struct task_decoder *task, const float box[4], float score, int32_t label);
void candidates_write(struct task_decoder *task, const struct task_run *run, bool suppress, struct json_writer *writer);

#endif
