/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/peer.h"

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_ERRORS = 3, ARENA_ALLOCATOR = 1, MEMORY_DEFAULT = 0, TITLE_BYTES = 48 };

/* The first functions of OrtApi, version 1 (onnxruntime_c_api.h): later versions add behind them. A status that is not NULL is an error. */
struct ort_api {
    void *unused_0[2];
    const char *(*error_message)(const void *status);
    void *(*create_environment)(int log_level, const char *name, void **environment_out);
    void *unused_4[3];
    void *(*create_session)(const void *environment, const char *path, const void *options, void **session_out);
    void *unused_8;
    void *(*run)(void *session, const void *options, const char *const *input_names, const void *const *inputs, size_t input_count,
                 const char *const *output_names, size_t output_count, void **outputs);
    void *(*create_options)(void **options_out);
    void *unused_11[13];
    void *(*set_threads)(void *options, int threads); /* of one operator */
    void *unused_25[24];
    void *(*create_tensor)(const void *memory, void *data, size_t bytes, const int64_t *shape, size_t rank, int type, void **value_out);
    void *unused_50;
    void *(*tensor_data)(void *value, void **data_out);
    void *unused_52[12];
    void *(*element_count)(const void *shape, size_t *count_out);
    void *(*tensor_shape)(const void *value, void **shape_out);
    void *unused_66[3];
    void *(*create_memory)(int allocator, int kind, void **memory_out);
    void *unused_70[22];
    void (*release_environment)(void *environment);
    void (*release_status)(void *status);
    void (*release_memory)(void *memory);
    void (*release_session)(void *session);
    void (*release_value)(void *value);
    void *unused_97[2];
    void (*release_shape)(void *shape);
    void (*release_options)(void *options);
};

struct ort_base {
    const struct ort_api *(*api)(uint32_t version);
    const char *(*version)(void);
};

struct peer {
    void *library;
    const struct ort_api *api;
    void *environment, *options, *session, *memory;
    int input_count, output_count;
    const char **names;     /* of inputs, then outputs */
    void **values;          /* the same */
    char title[TITLE_BYTES];
};

static enum error_code check(const struct ort_api *api, void *status, struct error *error)
{
    if (status == NULL)
        return ERROR_NONE;
    (void)error_set(error, ERROR_INPUT, "onnxruntime: %.300s", api->error_message(status));
    api->release_status(status);
    return ERROR_INPUT;
}

/* ONNX's number of an element type; 0: none of those that eddy has. */
static int onnx_type(enum dtype dtype)
{
    static const int types[DTYPE_COUNT] = {[DTYPE_F32] = 1, [DTYPE_U8] = 2, [DTYPE_I8] = 3, [DTYPE_U16] = 4, [DTYPE_I16] = 5, [DTYPE_I32] = 6,
                                           [DTYPE_I64] = 7, [DTYPE_BOOL] = 9, [DTYPE_F16] = 10, [DTYPE_U32] = 12, [DTYPE_U64] = 13};
    return types[dtype];
}

static enum error_code load_library(struct peer *peer, const char *path, struct error *error)
{
    peer->library = dlopen(path != NULL ? path : "libonnxruntime.so.1", RTLD_NOW | RTLD_LOCAL);
    if (peer->library == NULL && path == NULL)
        peer->library = dlopen("libonnxruntime.so", RTLD_NOW | RTLD_LOCAL);
    if (peer->library == NULL)
        return error_set(error, ERROR_INPUT, "onnxruntime: no library: %.200s; install it, or give its path: --compare onnxruntime=PATH", dlerror());
    const struct ort_base *(*base)(void);
    *(void **)&base = dlsym(peer->library, "OrtGetApiBase");
    peer->api = base != NULL ? base()->api(1) : NULL;
    if (peer->api == NULL)
        return error_set(error, ERROR_INPUT, "onnxruntime: the library has not the C API of version 1");
    snprintf(peer->title, sizeof peer->title, "onnxruntime %s", base()->version());
    return ERROR_NONE;
}

static enum error_code open_session(struct peer *peer, const char *model_path, int threads, struct error *error)
{
    const struct ort_api *api = peer->api;
    TRY(check(api, api->create_environment(LOG_ERRORS, "eddy", &peer->environment), error));
    TRY(check(api, api->create_options(&peer->options), error));
    TRY(check(api, api->set_threads(peer->options, threads), error));
    TRY(check(api, api->create_session(peer->environment, model_path, peer->options, &peer->session), error));
    return check(api, api->create_memory(ARENA_ALLOCATOR, MEMORY_DEFAULT, &peer->memory), error);
}

static enum error_code bind_tensors(struct peer *peer, struct run *run, struct error *error)
{
    const struct model *model = run_get_model(run);
    size_t count;
    peer->input_count = model_input_count(model);
    peer->output_count = model_output_count(model);
    count = (size_t)(peer->input_count + peer->output_count);
    peer->names = calloc(count + 1, sizeof *peer->names);
    peer->values = calloc(count + 1, sizeof *peer->values);
    if (peer->names == NULL || peer->values == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %zu tensors", count);
    for (int i = 0; i < peer->input_count; i++) {
        struct tensor *tensor = run_input(run, i);
        int64_t shape[TENSOR_RANK_MAX];
        for (int d = 0; d < tensor->shape.rank; d++)
            shape[d] = tensor->shape.dims[d];
        peer->names[i] = tensor->name;
        TRY(check(peer->api, peer->api->create_tensor(peer->memory, tensor->data, tensor_bytes(tensor), shape, (size_t)tensor->shape.rank,
                                                      onnx_type(tensor->dtype), &peer->values[i]), error));
    }
    for (int i = 0; i < peer->output_count; i++)
        peer->names[peer->input_count + i] = model_output(model, i)->name;
    return ERROR_NONE;
}

static bool is_called(const char *name, const char *runtime)
{
    size_t length = strlen(runtime);
    return strncmp(name, runtime, length) == 0 && (name[length] == '\0' || name[length] == '=');
}

enum error_code peer_open(const char *name, const char *model_path, struct run *run, int threads, struct peer **peer_out, struct error *error)
{
    const char *path = strchr(name, '='), *dot = strrchr(model_path, '.');
    if (is_called(name, "ncnn") || is_called(name, "xnnpack"))
        return error_set(error, ERROR_UNSUPPORTED, "%s reads neither .onnx nor .tflite files: convert the model and use bench/inference.py", name);
    if (!is_called(name, "onnxruntime"))
        return error_set(error, ERROR_INPUT, "\"%.40s\" is no runtime to compare with: onnxruntime, ncnn or xnnpack", name);
    if (dot == NULL || strcmp(dot, ".onnx") != 0)
        return error_set(error, ERROR_UNSUPPORTED, "onnxruntime reads .onnx files alone");
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for another runtime");
    enum error_code code = load_library(peer, path != NULL && path[1] != '\0' ? path + 1 : NULL, error);
    if (code == ERROR_NONE)
        code = open_session(peer, model_path, threads, error);
    if (code == ERROR_NONE)
        code = bind_tensors(peer, run, error);
    if (code != ERROR_NONE)
        peer_close(peer);
    else
        *peer_out = peer;
    return code;
}

/* The library stays loaded: threads that it left behind may still be in it. */
void peer_close(struct peer *peer)
{
    if (peer == NULL)
        return;
    for (int i = 0; peer->values != NULL && i < peer->input_count + peer->output_count; i++) {
        if (peer->values[i] != NULL)
            peer->api->release_value(peer->values[i]);
    }
    if (peer->memory != NULL)
        peer->api->release_memory(peer->memory);
    if (peer->session != NULL)
        peer->api->release_session(peer->session);
    if (peer->options != NULL)
        peer->api->release_options(peer->options);
    if (peer->environment != NULL)
        peer->api->release_environment(peer->environment);
    free(peer->values);
    free(peer->names);
    free(peer);
}

const char *peer_title(const struct peer *peer)
{
    return peer->title;
}

enum error_code peer_execute(struct peer *peer, struct error *error)
{
    void **outputs = peer->values + peer->input_count;
    for (int i = 0; i < peer->output_count; i++) {
        if (outputs[i] != NULL)
            peer->api->release_value(outputs[i]);
        outputs[i] = NULL;
    }
    return check(peer->api, peer->api->run(peer->session, NULL, peer->names, (const void *const *)peer->values, (size_t)peer->input_count,
                                           peer->names + peer->input_count, (size_t)peer->output_count, outputs), error);
}

static enum error_code tensor_difference(const struct peer *peer, int index, const struct tensor *expected, double *largest, struct error *error)
{
    void *value = peer->values[peer->input_count + index], *shape, *data;
    size_t count;
    TRY(check(peer->api, peer->api->tensor_shape(value, &shape), error));
    enum error_code code = check(peer->api, peer->api->element_count(shape, &count), error);
    peer->api->release_shape(shape);
    TRY(code);
    if (count != (size_t)shape_elements(&expected->shape))
        return error_set(error, ERROR_MODEL, "output \"%.80s\" has %zu elements in %s", expected->name, count, peer->title);
    TRY(check(peer->api, peer->api->tensor_data(value, &data), error));
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(element_read(expected->dtype, data, (int64_t)i) - element_read(expected->dtype, expected->data, (int64_t)i));
        *largest = difference > *largest ? difference : *largest;
    }
    return ERROR_NONE;
}

enum error_code peer_difference(const struct peer *peer, const struct run *run, double *difference_out, struct error *error)
{
    *difference_out = 0;
    for (int i = 0; i < peer->output_count; i++)
        TRY(tensor_difference(peer, i, run_output(run, i), difference_out, error));
    return ERROR_NONE;
}
