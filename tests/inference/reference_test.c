/* SPDX-License-Identifier: Apache-2.0
 *
 * Every model with stored vectors, on every variant of the kernels: float within rtol 1e-3 and atol 1e-4, quantised within two steps of the
 * output's scale and with the same largest element. Needs ../shared/data; skips, in words, without it. */
#include "inference/engine.h"
#include "inference/kernels/kernels.h"
#include "inference/onnx/onnx.h"

#include "base/arena.h"
#include "base/file.h"
#include "tests/check.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

enum { VECTORS_MAX = 16 };

struct vectors {
    struct arena arena;
    struct file_map maps[VECTORS_MAX];
    struct tensor tensors[VECTORS_MAX];
    int count;
};

static const char *data_folder;

static void open_vectors(struct vectors *vectors, const char *folder, const char *stem)
{
    char path[1024];
    struct error error = {0};
    memset(vectors, 0, sizeof *vectors);
    arena_init(&vectors->arena, 64 << 20);
    for (; vectors->count < VECTORS_MAX; vectors->count++) {
        snprintf(path, sizeof path, "%s/%s_%d.pb", folder, stem, vectors->count);
        if (access(path, F_OK) != 0)
            return;
        struct file_map *map = &vectors->maps[vectors->count];
        CHECK_OK(file_map_open(path, 1 << 26, map, &error), error);
        CHECK_OK(onnx_tensor_read(map->data, map->bytes, &vectors->arena, &vectors->tensors[vectors->count], &error), error);
    }
}

static void close_vectors(struct vectors *vectors)
{
    for (int i = 0; i < vectors->count; i++)
        file_map_close(&vectors->maps[i]);
    arena_deinit(&vectors->arena);
}

static double element(const struct tensor *tensor, int64_t i)
{
    switch (tensor->dtype) {
    case DTYPE_F32: return (double)((const float *)tensor->data)[i];
    case DTYPE_F16: return (double)((const _Float16 *)tensor->data)[i];
    case DTYPE_I64: return (double)((const int64_t *)tensor->data)[i];
    default: return NAN;
    }
}

/* The smallest difference between two expected values is the output's step: its scale, since many neighbours occur. */
static double step_of(const struct tensor *expected)
{
    double step = INFINITY;
    int64_t count = shape_elements(&expected->shape);
    for (int64_t i = 0; i < count && i < 2000; i++) {
        for (int64_t k = i + 1; k < count && k < i + 64; k++) {
            double difference = fabs(element(expected, i) - element(expected, k));
            step = difference > 1e-9 && difference < step ? difference : step;
        }
    }
    return isfinite(step) ? step : 1;
}

static bool agrees(const struct tensor *seen, const struct tensor *expected, bool quantized, double *worst)
{
    if (!shape_equal(&seen->shape, &expected->shape) || seen->dtype != expected->dtype)
        return false;
    double step = quantized ? step_of(expected) : 0;
    int64_t count = shape_elements(&expected->shape), best_seen = 0, best_expected = 0;
    bool good = true;
    for (int64_t i = 0; i < count; i++) {
        double a = element(seen, i), b = element(expected, i), difference = fabs(a - b);
        double allowed = quantized ? 2.001 * step + 1e-6 : 1e-4 + 1e-3 * fabs(b);
        *worst = difference / allowed > *worst || isnan(difference) ? difference / allowed : *worst;
        good = good && difference <= allowed;
        best_seen = a > element(seen, best_seen) ? i : best_seen;
        best_expected = b > element(expected, best_expected) ? i : best_expected;
    }
    return good && (!quantized || element(expected, best_seen) >= element(expected, best_expected) - 1e-9);
}

static bool run_set(const char *model_path, const char *folder, const char *cpu, bool quantized)
{
    static struct vectors inputs, outputs;
    struct error error = {0};
    open_vectors(&inputs, folder, "input");
    open_vectors(&outputs, folder, "output");
    CHECK(outputs.count > 0);
    struct input_shape shapes[VECTORS_MAX];
    for (int i = 0; i < inputs.count; i++)
        shapes[i] = (struct input_shape){.shape = inputs.tensors[i].shape};
    struct model_options options = {.cpu = cpu, .input_shapes = shapes, .input_shape_count = inputs.count};
    struct model *model;
    struct run *run;
    if (model_open(model_path, &options, &model, &error) != ERROR_NONE) {
        printf("%s: %s\n", model_path, error.message);
        return false;
    }
    CHECK_OK(run_new(model, &run, &error), error);
    CHECK_INTEGER(model_input_count(model), inputs.count);
    CHECK_INTEGER(model_output_count(model), outputs.count);
    bool good = true;
    double worst = 0;
    for (int repeat = 0; repeat < 2; repeat++) { /* the second run must not see what the first left */
        for (int i = 0; i < inputs.count; i++) {
            CHECK(shape_equal(&run_input(run, i)->shape, &inputs.tensors[i].shape));
            memcpy(run_input(run, i)->data, inputs.tensors[i].data, tensor_bytes(&inputs.tensors[i]));
        }
        run_execute(run);
        for (int i = 0; i < outputs.count; i++)
            good = agrees(run_output(run, i), &outputs.tensors[i], quantized, &worst) && good;
    }
    if (!good)
        printf("%s on %s: differs, %.2f times what is allowed\n", folder, cpu, worst);
    run_free(run);
    model_close(model);
    close_vectors(&outputs);
    close_vectors(&inputs);
    return good;
}

static void every_model_agrees_with_its_vectors(void)
{
    char path[700], set[1024], model[1024];
    int sets = 0, failed = 0;
    snprintf(path, sizeof path, "%s/models/reference", data_folder);
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(model, sizeof model, "%s/models/%s.onnx", data_folder, entry->d_name);
        if (access(model, F_OK) != 0)
            snprintf(model, sizeof model, "%s/models/derived/%s.onnx", data_folder, entry->d_name);
        bool quantized = strstr(entry->d_name, "_q") != NULL;
        bool large = strstr(entry->d_name, "light_") != NULL; /* slow on the reference: one variant is enough */
        for (int i = 0; i < 10; i++) {
            snprintf(set, sizeof set, "%s/%s/test_data_set_%d", path, entry->d_name, i);
            if (access(set, F_OK) != 0)
                break;
            for (const struct kernels *const *one = kernels_list(); *one != NULL; one++) {
                if (large && one[1] != NULL)
                    continue;
                sets++;
                failed += !run_set(model, set, (*one)->name, quantized);
            }
        }
    }
    closedir(directory);
    printf("%d of %d sets agree\n", sets - failed, sets);
    CHECK(sets > 0);
    CHECK_INTEGER(failed, 0);
}

int main(int count, char **arguments)
{
    data_folder = check_shared_data();
    if (data_folder == NULL)
        check_skip("no ../shared/data here: the stored vectors are not part of the project");
    return check_main(count, arguments, (struct check_case[]){CASE(every_model_agrees_with_its_vectors), {0}});
}
