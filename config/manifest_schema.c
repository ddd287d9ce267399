/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of model.yaml: each stands here and nowhere else. */
#include "config/manifest_file.h"
#include "config/rules.h"
#include "config/schema.h"

#define FILE_AT(member) SCHEMA_AT(struct manifest_file, member)

static const struct schema_choice tasks[] = {{"classification", TASK_CLASSIFICATION, NULL}, {"detection", TASK_DETECTION, NULL},
                                             {"anomaly", TASK_ANOMALY, NULL},               {"raw", TASK_RAW, NULL}, {0}};
static const struct schema_choice colors[] = {{"rgb", COLOR_RGB, NULL}, {"bgr", COLOR_BGR, NULL}, {"gray", COLOR_GRAY, NULL}, {0}};
static const struct schema_choice resizes[] = {
    {"stretch", RESIZE_STRETCH, NULL}, {"letterbox", RESIZE_LETTERBOX, NULL}, {"crop", RESIZE_CROP, NULL}, {0}};
static const struct schema_choice decoders[] = {
    {"classes", DECODE_CLASSES, NULL}, {"boxes", DECODE_BOXES, NULL},     {"ssd", DECODE_SSD, NULL},
    {"yolox", DECODE_YOLOX, NULL},     {"nanodet", DECODE_NANODET, NULL}, {"reconstruction", DECODE_RECONSTRUCTION, NULL},
    {"raw", DECODE_RAW, NULL},         {0}};
static const struct schema_choice activations[] = {
    {"none", OUTPUT_ACTIVATION_NONE, NULL},
    {"softmax", OUTPUT_ACTIVATION_SOFTMAX, NULL},
    {"sigmoid", OUTPUT_ACTIVATION_SIGMOID, NULL},
    {0}};

static const struct schema_row rows[] = {
    {.path = "name", .type = SCHEMA_TEXT, .required = true, FILE_AT(manifest.name), .problem = rule_model_name,
     .expected = "the model's name", .example = "face", .help = "Name of the model, as in the path of its bundle."},
    {.path = "version", .type = SCHEMA_TEXT, .required = true, FILE_AT(manifest.version), .problem = rule_model_name,
     .expected = "a version such as 1.0.0", .example = "1.0.0",
     .help = "Version; numbers in it are compared as numbers, and 1.0.0-rc1 is older than 1.0.0."},
    {.path = "task", .type = SCHEMA_CHOICE, .required = true, FILE_AT(manifest.task), .choices = tasks, .example = "detection",
     .help = "What the model answers, and so the form of its results."},
    {.path = "file", .type = SCHEMA_TEXT, .required = true, FILE_AT(file), .problem = rule_file_in_bundle,
     .expected = "the model file's name", .example = "face.onnx", .help = "The model file, .onnx or .tflite, in the bundle's folder."},
    {.path = "labels", .type = SCHEMA_TEXTS, FILE_AT(manifest.labels), SCHEMA_COUNT(struct manifest_file, manifest.label_count),
     .text_offset = offsetof(struct manifest_file, labels_file), .minimum = 0, .maximum = LABELS_MAX,
     .expected = "the name of a file with one label a line, or a list of labels", .otherwise = "no labels: classes are numbered",
     .example = "labels.txt", .help = "Names of the classes, in the order of the model's scores."},
    {.path = "license", .type = SCHEMA_TEXT, FILE_AT(manifest.license), .many_lines = true, .otherwise = "not said", .example = "MIT",
     .help = "License of the model's weights, for people."},
    {.path = "description", .type = SCHEMA_TEXT, FILE_AT(manifest.description), .many_lines = true, .otherwise = "none",
     .example = "finds faces", .help = "What the model is for, for people."},
    {.path = "sha256", .type = SCHEMA_TEXT, FILE_AT(sha256), .problem = rule_sha256, .otherwise = "not compared",
     .example = "9f2c...", .help = "SHA-256 of the model file in hexadecimal; a file that differs is refused."},

    {.path = "input", .type = SCHEMA_SECTION, .help = "What the model's input expects; sizes and types come from the model file."},
    {.path = "input.color", .type = SCHEMA_CHOICE, FILE_AT(manifest.input.color), .choices = colors, .value = "rgb",
     .help = "Image: order of the channels."},
    {.path = "input.resize", .type = SCHEMA_CHOICE, FILE_AT(manifest.input.resize), .choices = resizes, .value = "stretch",
     .help = "Image: how another aspect ratio is made to fit."},
    {.path = "input.pad", .type = SCHEMA_INTEGER, FILE_AT(manifest.input.pad), .minimum = 0, .maximum = 255, .value = "114",
     .help = "Image: what letterbox fills the rest with."},
    {.path = "input.mean", .type = SCHEMA_TRIPLE, FILE_AT(manifest.input.mean), .minimum = -1e6, .maximum = 1e6, .value = "0",
     .help = "Image: subtracted from each channel, which runs from 0 to 255."},
    {.path = "input.std", .type = SCHEMA_TRIPLE, FILE_AT(manifest.input.std), .minimum = 1e-6, .maximum = 1e6, .value = "1",
     .expected = "a number over 0, or a list of one or three of them", .help = "Image: what each channel is then divided by."},
    {.path = "input.fields", .type = SCHEMA_INTEGER, FILE_AT(manifest.input.fields), .minimum = 1, .maximum = SERIES_FIELDS_MAX,
     .otherwise = "from the model file's shape", .example = "3", .help = "Series: numbers in a sample."},
    {.path = "input.window", .type = SCHEMA_INTEGER, FILE_AT(manifest.input.window), .minimum = 1, .maximum = 65536,
     .otherwise = "from the model file's shape", .example = "64", .help = "Series: samples that the model looks at together."},
    {.path = "input.normalize", .type = SCHEMA_SECTION, .help = "Series: (x - mean) / std, for each field."},
    {.path = "input.normalize.mean", .type = SCHEMA_NUMBERS, FILE_AT(manifest.input.normalize_mean),
     SCHEMA_COUNT(struct manifest_file, mean_count), .minimum = 1, .maximum = SERIES_FIELDS_MAX, .otherwise = "0 for each field",
     .example = "[0, 0, 9.81]", .help = "One number a field."},
    {.path = "input.normalize.std", .type = SCHEMA_NUMBERS, FILE_AT(manifest.input.normalize_std),
     SCHEMA_COUNT(struct manifest_file, std_count), .minimum = 1, .maximum = SERIES_FIELDS_MAX, .otherwise = "1 for each field",
     .example = "[1, 1, 1]", .help = "One number over 0 a field."},

    {.path = "output", .type = SCHEMA_SECTION, .help = "How the model's outputs become a result."},
    {.path = "output.decode", .type = SCHEMA_CHOICE, FILE_AT(manifest.output.decode), .choices = decoders,
     .otherwise = "follows from the task", .example = "boxes", .help = "Layout of the outputs."},
    {.path = "output.activation", .type = SCHEMA_CHOICE, FILE_AT(manifest.output.activation), .choices = activations, .value = "none",
     .help = "Applied to the scores of classes."},
    {.path = "output.threshold", .type = SCHEMA_NUMBER, FILE_AT(manifest.output.threshold), .minimum = 0, .maximum = 1e9,
     .otherwise = "0 for classification, else 0.5", .example = "0.7",
     .help = "Score below which nothing is reported; anomaly: score above which an input is one."},
    {.path = "output.iou", .type = SCHEMA_NUMBER, FILE_AT(manifest.output.iou), .minimum = 0, .maximum = 1, .value = "0.45",
     .help = "Detection: overlap from which the weaker of two boxes of a class is dropped."},
    {.path = "output.top", .type = SCHEMA_INTEGER, FILE_AT(manifest.output.top), .minimum = 1, .maximum = 1000, .value = "5",
     .help = "Classification: how many of the best classes a result names."},
};

const struct schema manifest_schema = {.title = "model.yaml", SCHEMA_ROWS(rows), .struct_bytes = sizeof(struct manifest_file)};
