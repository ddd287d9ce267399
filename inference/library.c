/* SPDX-License-Identifier: Apache-2.0
 *
 * The installed library's interface over engine.h. Only names with eddy_ leave the library (library.cmake). */
#include "inference/include/eddy/infer.h"

#include "inference/engine.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)EDDY_U64 == (int)DTYPE_U64 && (int)EDDY_BOOL == (int)DTYPE_BOOL && (int)EDDY_U64 + 1 == (int)DTYPE_COUNT, "types differ");
_Static_assert((int)EDDY_RANK_MAX == (int)TENSOR_RANK_MAX && (int)EDDY_MESSAGE_BYTES == (int)ERROR_MESSAGE_BYTES, "limits differ");

/* Both are the engine's own objects under a name that is safe to export. */
static const struct model *engine_model(const struct eddy_model *model)
{
    return (const struct model *)(const void *)model;
}

static struct run *engine_run(const struct eddy_run *run)
{
    return (struct run *)(uintptr_t)run;
}

static enum eddy_status status_of(enum error_code code, const struct error *from, struct eddy_error *to)
{
    enum eddy_status status = code == ERROR_NONE          ? EDDY_OK
                              : code == ERROR_MODEL       ? EDDY_MODEL
                              : code == ERROR_UNSUPPORTED ? EDDY_UNSUPPORTED
                              : code == ERROR_LIMIT       ? EDDY_LIMIT
                                                          : EDDY_INPUT;
    if (status != EDDY_OK && to != NULL) {
        to->status = status;
        memcpy(to->message, from->message, sizeof to->message);
    }
    return status;
}

static struct eddy_tensor describe(const struct tensor *tensor)
{
    struct eddy_tensor result = {.name = tensor->name, .type = (enum eddy_type)tensor->dtype, .rank = tensor->shape.rank, .bytes = tensor_bytes(tensor),
                                 .scales = tensor->quantization.count, .scale_axis = tensor->quantization.axis, .scale = tensor->quantization.scale,
                                 .zero_point = tensor->quantization.zero_point};
    memcpy(result.shape, tensor->shape.dims, sizeof result.shape);
    return result;
}

/* given: [options->given_count], filled. */
static enum error_code convert_given(const struct eddy_options *options, struct input_shape *given, struct error *error)
{
    for (int i = 0; i < options->given_count; i++) {
        const struct eddy_given *from = &options->given[i];
        if (from->rank < 0 || from->rank > EDDY_RANK_MAX || (unsigned)from->type >= DTYPE_COUNT)
            return error_set(error, ERROR_INPUT, "what is given for input %d has rank %d and type %d", i, from->rank, (int)from->type);
        given[i] = (struct input_shape){.name = from->name, .shape = {.rank = from->rank}, .dtype = (enum dtype)from->type, .data = from->data};
        memcpy(given[i].shape.dims, from->shape, sizeof given[i].shape.dims);
    }
    return ERROR_NONE;
}

/* path or bytes */
static enum eddy_status open_either(const char *path, const void *bytes, size_t length, const struct eddy_options *options,
                                    struct eddy_model **model_out, struct eddy_error *error)
{
    struct error cause = {0};
    struct model *model = NULL;
    struct model_options engine_options = {.cpu = options != NULL ? options->cpu : NULL, .keep_packed = options != NULL && options->keep_packed};
    size_t count = options != NULL && options->given_count > 0 ? (size_t)options->given_count : 0;
    struct input_shape *given = calloc(count + 1, sizeof *given);
    enum error_code code = given == NULL ? error_set(&cause, ERROR_LIMIT, "%s: no memory", path) : ERROR_NONE;
    if (code == ERROR_NONE && count > 0)
        code = convert_given(options, given, &cause);
    engine_options.input_shapes = given;
    engine_options.input_shape_count = (int)count;
    if (code == ERROR_NONE)
        code = bytes != NULL ? model_open_bytes(bytes, length, path, &engine_options, &model, &cause) : model_open(path, &engine_options, &model, &cause);
    free(given);
    if (code == ERROR_NONE)
        *model_out = (struct eddy_model *)(void *)model;
    return status_of(code, &cause, error);
}

enum eddy_status eddy_open(const char *path, const struct eddy_options *options, struct eddy_model **model_out, struct eddy_error *error)
{
    return open_either(path, NULL, 0, options, model_out, error);
}

enum eddy_status eddy_open_bytes(const void *bytes, size_t length, const char *name, const struct eddy_options *options,
                                 struct eddy_model **model_out, struct eddy_error *error)
{
    return open_either(name, bytes, length, options, model_out, error);
}

void eddy_close(struct eddy_model *model)
{
    model_close((struct model *)(void *)model);
}

int eddy_input_count(const struct eddy_model *model)
{
    return model_input_count(engine_model(model));
}

int eddy_output_count(const struct eddy_model *model)
{
    return model_output_count(engine_model(model));
}

struct eddy_tensor eddy_input(const struct eddy_model *model, int index)
{
    return describe(model_input(engine_model(model), index));
}

struct eddy_tensor eddy_output(const struct eddy_model *model, int index)
{
    return describe(model_output(engine_model(model), index));
}

size_t eddy_memory(const struct eddy_model *model)
{
    return model_memory(engine_model(model));
}

const char *eddy_cpu(const struct eddy_model *model)
{
    return model_cpu(engine_model(model));
}

enum eddy_status eddy_run_new(const struct eddy_model *model, struct eddy_run **run_out, struct eddy_error *error)
{
    struct error cause = {0};
    struct run *run = NULL;
    enum error_code code = run_new(engine_model(model), &run, &cause);
    if (code == ERROR_NONE)
        *run_out = (struct eddy_run *)(void *)run;
    return status_of(code, &cause, error);
}

void eddy_run_free(struct eddy_run *run)
{
    run_free(engine_run(run));
}

void eddy_run(struct eddy_run *run, const void *const *inputs, void *const *outputs)
{
    const struct model *model = run_get_model(engine_run(run));
    for (int i = 0; inputs != NULL && i < model_input_count(model); i++) {
        const struct tensor *tensor = run_input(engine_run(run), i);
        if (inputs[i] != NULL)
            memcpy(tensor->data, inputs[i], tensor_bytes(tensor));
    }
    run_execute(engine_run(run));
    for (int i = 0; outputs != NULL && i < model_output_count(model); i++) {
        const struct tensor *tensor = run_output(engine_run(run), i);
        if (outputs[i] != NULL)
            memcpy(outputs[i], tensor->data, tensor_bytes(tensor));
    }
}

void *eddy_run_input(struct eddy_run *run, int index)
{
    return run_input(engine_run(run), index)->data;
}

const void *eddy_run_output(const struct eddy_run *run, int index, struct eddy_tensor *actual)
{
    const struct tensor *tensor = run_output(engine_run(run), index);
    if (actual != NULL)
        *actual = describe(tensor);
    return tensor->data;
}
