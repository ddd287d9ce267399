/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.h: the model.yaml of a bundle: what a model file's numbers mean.
 *
 * The same table-driven layer as config.h reads it; the same errors with file:line:column. Without a model.yaml beside it a bare model
 * file gets task raw, its stem as name, version "0" and its
 * digest unchecked; a model.yaml beside it counts where its `file` names the model file.
 * manifest_open checks the sha256 of the model file against what model.yaml says; a mismatch is ERROR_MODEL. */
#ifndef EDDY_CONFIG_MANIFEST_H
#define EDDY_CONFIG_MANIFEST_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum task { TASK_CLASSIFICATION, TASK_DETECTION, TASK_ANOMALY, TASK_RAW };
enum color { COLOR_RGB, COLOR_BGR, COLOR_GRAY };
enum resize { RESIZE_STRETCH, RESIZE_LETTERBOX, RESIZE_CROP };
enum decode { DECODE_CLASSES, DECODE_BOXES, DECODE_SSD, DECODE_YOLOX, DECODE_NANODET, DECODE_RECONSTRUCTION, DECODE_RAW };
enum output_activation { OUTPUT_ACTIVATION_NONE, OUTPUT_ACTIVATION_SOFTMAX, OUTPUT_ACTIVATION_SIGMOID };

struct manifest {
    const char *name, *version, *license, *description;
    const char *model_path;    /* of the model file, joined with the bundle's folder */
    char sha256[65];           /* of the model file, lower-case hex, computed */
    enum task task;
    const char **labels;
    int32_t label_count;
    struct {
        enum color color;
        enum resize resize;
        int32_t pad;           /* letterbox fill, 0..255 */
        float mean[3], std[3]; /* (x - mean) / std, x in 0..255 */
        int32_t fields, window; /* series; 0: from the model file's shape */
        float *normalize_mean, *normalize_std; /* [fields] or NULL */
    } input;
    struct {
        enum decode decode;
        enum output_activation activation;
        float threshold, iou;
        int32_t top;
    } output;
};

/* path: a bundle folder, or a bare .onnx/.tflite file. Errors: ERROR_CONFIG (model.yaml, path), ERROR_INPUT (a file that cannot be read),
 * ERROR_MODEL (digest), ERROR_UNSUPPORTED (packed .eddy), ERROR_LIMIT (sizes). */
MUST_CHECK enum error_code manifest_open(const char *path, struct manifest **manifest_out, struct error *error);
void manifest_close(struct manifest *manifest); /* NULL is fine */

/* Finds <models_dir>/<name>/<version>: reference is name or name@version; without a version the highest one that has a model.yaml
 * (numbers compared as numbers). The manifest must be of that name and version. */
MUST_CHECK enum error_code manifest_find(const char *models_dir, const char *reference, struct manifest **manifest_out,
                                         struct error *error);

#endif
