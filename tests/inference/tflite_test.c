/* SPDX-License-Identifier: Apache-2.0
 *
 * TFLite files. The ONNX twins in ../shared/data come from the same networks, and their vectors were stored by another runtime: floats agree
 * within rtol 1e-3, integers within two steps of the output's scale. Between kernel variants integers are equal bit for bit; the scalar
 * kernels, which define the arithmetic, follow TFLite's reference_ops with double rounding. */
#include "inference/engine.h"
#include "inference/kernels/kernels.h"
#include "inference/onnx/onnx.h"

#include "base/arena.h"
#include "base/file.h"
#include "tests/check.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

static const char *data_folder;

static void read_vector(const char *set, const char *stem, struct arena *arena, struct file_map *map, struct tensor *tensor)
{
    char path[1024];
    struct error error = {0};
    snprintf(path, sizeof path, "%s/models/reference/%s/test_data_set_0/%s_0.pb", data_folder, set, stem);
    CHECK_OK(file_map_open(path, 1 << 26, map, &error), error);
    CHECK_OK(onnx_tensor_read(map->data, map->bytes, arena, tensor, &error), error);
    CHECK(tensor->dtype == DTYPE_F32);
}

static struct model *open_model(const char *name, const char *cpu)
{
    char path[1024];
    struct error error = {0};
    struct model *model;
    struct model_options options = {.cpu = cpu};
    snprintf(path, sizeof path, "%s/models/%s.tflite", data_folder, name);
    CHECK_OK(model_open(path, &options, &model, &error), error);
    return model;
}

static float real(const struct tensor *tensor, int64_t i)
{
    if (tensor->dtype == DTYPE_F32)
        return ((const float *)tensor->data)[i];
    int32_t stored = tensor->dtype == DTYPE_U8 ? ((const uint8_t *)tensor->data)[i] : ((const int8_t *)tensor->data)[i];
    return tensor->quantization.scale[0] * (float)(stored - tensor->quantization.zero_point[0]);
}

static void store(struct tensor *tensor, int64_t i, float value)
{
    if (tensor->dtype == DTYPE_F32) {
        ((float *)tensor->data)[i] = value;
        return;
    }
    float low = tensor->dtype == DTYPE_U8 ? 0 : -128, high = tensor->dtype == DTYPE_U8 ? 255 : 127;
    float stored = roundf(value / tensor->quantization.scale[0]) + (float)tensor->quantization.zero_point[0];
    ((uint8_t *)tensor->data)[i] = (uint8_t)(int32_t)(stored < low ? low : stored > high ? high : stored);
}

/* The vectors are NCHW, the file NHWC. */
static void fill_input(struct tensor *input, const struct tensor *vector)
{
    const struct shape *from = &vector->shape;
    int64_t channels = from->rank == 4 ? from->dims[1] : 1, pixels = shape_elements(from) / channels;
    CHECK_INTEGER(shape_elements(&input->shape), shape_elements(from));
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t p = 0; p < pixels; p++)
            store(input, p * channels + c, ((const float *)vector->data)[c * pixels + p]);
    }
}

static bool agrees_with_twin(const char *name, const char *set, const char *cpu)
{
    struct arena arena;
    struct file_map maps[2];
    struct tensor given, expected;
    struct error error = {0};
    arena_init(&arena, 64 << 20);
    read_vector(set, "input", &arena, &maps[0], &given);
    read_vector(set, "output", &arena, &maps[1], &expected);
    struct model *model = open_model(name, cpu);
    struct run *run;
    CHECK_OK(run_new(model, &run, &error), error);
    fill_input(run_input(run, 0), &given);
    run_execute(run);
    const struct tensor *seen = run_output(run, 0);
    CHECK_INTEGER(shape_elements(&seen->shape), shape_elements(&expected.shape));
    double worst = 0;
    for (int64_t i = 0; i < shape_elements(&seen->shape); i++) {
        double wanted = (double)((const float *)expected.data)[i], difference = fabs((double)real(seen, i) - wanted);
        double allowed = seen->dtype == DTYPE_F32 ? 1e-4 + 1e-3 * fabs(wanted) : 2.001 * (double)seen->quantization.scale[0];
        worst = !(difference / allowed <= worst) ? difference / allowed : worst;
    }
    if (!(worst <= 1))
        printf("%s on %s: %.2f times what is allowed\n", name, cpu, worst);
    run_free(run);
    model_close(model);
    file_map_close(&maps[1]);
    file_map_close(&maps[0]);
    arena_deinit(&arena);
    return worst <= 1;
}

static void files_agree_with_the_vectors_of_their_onnx_twins(void)
{
    static const char *const twins[][2] = {
        {"vww_96_float", "vww_96_float"}, {"vww_96_int8", "vww_96_qdq"}, {"cifar10_resnet8_float", "cifar10_resnet8_float"},
        {"cifar10_resnet8_int8", "cifar10_resnet8_qdq"}, {"kws_dscnn_int8", "kws_dscnn_qdq"}, {"ad01_int8", "ad01_qdq"},
        {"mobilenet_v1_0.25_224_uint8", "mobilenet_v1_0.25_224_qdq"}};
    int failed = 0;
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++) {
        for (const struct kernels *const *one = kernels_list(); *one != NULL; one++)
            failed += !agrees_with_twin(twins[i][0], twins[i][1], (*one)->name);
    }
    CHECK_INTEGER(failed, 0);
}

static void fill_random(struct run *run, int inputs, unsigned seed)
{
    for (int i = 0; i < inputs; i++) {
        struct tensor *tensor = run_input(run, i);
        for (int64_t k = 0; k < shape_elements(&tensor->shape); k++) {
            if (tensor->dtype == DTYPE_F32)
                ((float *)tensor->data)[k] = (float)(rand_r(&seed) % 2000) / 1000 - 1;
            else
                ((uint8_t *)tensor->data)[k] = (uint8_t)(rand_r(&seed) >> 3);
        }
    }
}

/* All outputs of one run, one after the other; returns the bytes. */
static size_t run_once(const char *name, const char *cpu, unsigned seed, uint8_t *out, size_t capacity)
{
    struct error error = {0};
    struct model *model = open_model(name, cpu);
    struct run *run;
    size_t used = 0;
    CHECK_OK(run_new(model, &run, &error), error);
    fill_random(run, model_input_count(model), seed);
    run_execute(run);
    for (int i = 0; i < model_output_count(model); i++) {
        const struct tensor *tensor = run_output(run, i);
        CHECK(used + tensor_bytes(tensor) <= capacity);
        memcpy(out + used, tensor->data, tensor_bytes(tensor));
        used += tensor_bytes(tensor);
    }
    run_free(run);
    model_close(model);
    return used;
}

static void integers_are_equal_on_every_kernel_variant(void)
{
    static const char *const names[] = {"vww_96_int8", "cifar10_resnet8_int8", "kws_dscnn_int8", "ad01_int8", "mobilenet_v1_0.25_224_uint8"};
    static uint8_t expected[1 << 16], seen[1 << 16];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (unsigned seed = 1; seed <= 3; seed++) {
            size_t bytes = run_once(names[i], "scalar", seed, expected, sizeof expected);
            for (const struct kernels *const *one = kernels_list(); *one != NULL; one++) {
                CHECK_INTEGER(run_once(names[i], (*one)->name, seed, seen, sizeof seen), bytes);
                if (memcmp(seen, expected, bytes) != 0)
                    printf("%s: %s differs from scalar\n", names[i], (*one)->name);
                CHECK(memcmp(seen, expected, bytes) == 0);
            }
        }
    }
}

static void every_file_loads_and_gives_numbers(void)
{
    char path[700];
    snprintf(path, sizeof path, "%s/models", data_folder);
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    int ran = 0;
    static uint8_t out[1 << 20];
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length < 8 || strcmp(entry->d_name + length - 7, ".tflite") != 0)
            continue;
        snprintf(path, sizeof path, "%.*s", (int)length - 7, entry->d_name);
        CHECK(run_once(path, NULL, 7, out, sizeof out) > 0);
        ran++;
    }
    closedir(directory);
    CHECK(ran >= 14);
}

/* Strokes of a digit as a pen of two pixels draws them in an image of 28 x 28, in a grid of -1 .. 1. */
static const struct { float from[2], to[2]; } strokes[] = {{{-0.5f, -0.9f}, {0.5f, -0.9f}}, {{0.5f, -0.9f}, {0.5f, 0}}, {{0.5f, 0}, {0.5f, 0.9f}},
                                                           {{0.5f, 0.9f}, {-0.5f, 0.9f}}, {{-0.5f, 0.9f}, {-0.5f, 0}}, {{-0.5f, 0}, {-0.5f, -0.9f}},
                                                           {{-0.5f, 0}, {0.5f, 0}}};
static const uint8_t digits[10] = {0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f}; /* bit i: stroke i */

static void draw_digit(int digit, float size, float slant, float right, float image[28][28])
{
    memset(image, 0, 28 * 28 * sizeof image[0][0]);
    for (int stroke = 0; stroke < 7; stroke++) {
        for (int step = 0; step <= 60 && (digits[digit] >> stroke & 1); step++) {
            float along = (float)step / 60, x = strokes[stroke].from[0] + along * (strokes[stroke].to[0] - strokes[stroke].from[0]);
            float y = strokes[stroke].from[1] + along * (strokes[stroke].to[1] - strokes[stroke].from[1]);
            float column = 13.5f + right + size * (x - slant * y), row = 13.5f + size * y;
            for (int r = 0; r < 28; r++) {
                for (int c = 0; c < 28; c++) {
                    float ink = 1.8f - hypotf((float)r - row, (float)c - column);
                    image[r][c] = fmaxf(image[r][c], fminf(fmaxf(ink, 0), 1));
                }
            }
        }
    }
}

static int top_class(const char *name, float image[28][28], float scores[10])
{
    struct error error = {0};
    struct model *model = open_model(name, NULL);
    struct run *run;
    int best = 0;
    CHECK_OK(run_new(model, &run, &error), error);
    for (int i = 0; i < 28 * 28; i++)
        store(run_input(run, 0), i, image[i / 28][i % 28]);
    run_execute(run);
    for (int i = 0; i < 10; i++) {
        scores[i] = real(run_output(run, 0), i);
        best = scores[i] > scores[best] ? i : best;
    }
    run_free(run);
    model_close(model);
    return best;
}

static void the_integer_lstm_sees_the_digits_that_the_float_one_sees(void)
{
    int same = 0, all = 0;
    double apart = 0;
    for (int i = 0; i < 200; i++, all++) {
        float image[28][28], floats[10], integers[10];
        draw_digit(i % 10, 8 + (float)(i / 10 % 3), (float)(i / 30 % 4) * 0.1f, (float)(i / 10 % 5 - 2), image);
        same += top_class("mnist_lstm_float", image, floats) == top_class("mnist_lstm_int8", image, integers);
        for (int k = 0; k < 10; k++)
            apart += (double)fabsf(floats[k] - integers[k]) / 2;
    }
    printf("the same class for %d of %d digits, %.4f of the probability elsewhere\n", same, all, apart / all);
    CHECK(same >= all * 95 / 100);
    CHECK(apart / all < 0.05);
}

/* The last place where these numbers stand. */
static uint8_t *find_numbers(uint8_t *in, size_t length, const void *numbers, size_t bytes)
{
    size_t at = (length - bytes) / 4 * 4;
    while (at > 0 && memcmp(in + at, numbers, bytes) != 0)
        at -= 4;
    CHECK(at > 0);
    return in + at;
}

static void refuse_patched(const void *before, const void *after, size_t count, const char *expected)
{
    struct file_map map;
    struct error error = {0};
    struct model *model;
    char path[1024];
    snprintf(path, sizeof path, "%s/models/mnist_lstm_int8.tflite", data_folder);
    CHECK_OK(file_map_open(path, 1 << 20, &map, &error), error);
    uint8_t *bytes = malloc(map.bytes);
    CHECK(bytes != NULL);
    memcpy(bytes, map.data, map.bytes);
    memcpy(find_numbers(bytes, map.bytes, before, count), after, count);
    enum error_code code = model_open_bytes(bytes, map.bytes, "patched", NULL, &model, &error);
    if (code != ERROR_UNSUPPORTED || strstr(error.message, expected) == NULL)
        printf("expected \"%s\", said: %s\n", expected, error.message);
    CHECK_INTEGER(code, ERROR_UNSUPPORTED);
    CHECK(strstr(error.message, expected) != NULL);
    free(bytes);
    file_map_close(&map);
}

static void an_integer_lstm_of_another_form_is_refused_in_words(void)
{
    const float cell = 0x1p-12f, odd = 0x1.8p-12f, coarse = 0x1p-3f;
    const float hidden = 0.007816792465746403f, other = 0.008f;
    refuse_patched(&cell, &odd, sizeof cell, "no power of two");
    refuse_patched(&cell, &coarse, sizeof cell, "scale of the cell state");
    refuse_patched(&hidden, &other, sizeof hidden, "a hidden state and an output of different scales");
    /* its inputs begin: x, gates' weights 15, 14, 13, 12; the first goes missing */
    refuse_patched((const int32_t[]){0, 15, 14}, (const int32_t[]){0, -1, 14}, 12, "coupled input and forget gates");
    refuse_patched((const int32_t[]){8, -1, -1, -1}, (const int32_t[]){8, 7, -1, -1}, 16, "peephole connections");
}

/* The dynamic-range file and the ONNX one are the same network; its weights have 8 bits, so the mask differs a little. */
static void dynamic_range_weights_run_as_floats(void)
{
    struct error error = {0};
    struct model *model = open_model("dtln_1_dynamic_int8", NULL);
    struct run *run;
    CHECK_OK(run_new(model, &run, &error), error);
    memset(run_input(run, 1)->data, 0, tensor_bytes(run_input(run, 1)));
    for (int i = 0; i < 257; i++)
        ((float *)run_input(run, 0)->data)[i] = fabsf(sinf((float)i));
    run_execute(run);
    for (int i = 0; i < 257; i++) {
        float mask = ((const float *)run_output(run, 0)->data)[i];
        CHECK(mask >= 0 && mask <= 1);
    }
    run_free(run);
    model_close(model);
}

int main(int count, char **arguments)
{
    data_folder = check_shared_data();
    if (data_folder == NULL)
        check_skip("no ../shared/data here: the models are not part of the project");
    return check_main(count, arguments, (struct check_case[]){CASE(files_agree_with_the_vectors_of_their_onnx_twins),
                                                              CASE(integers_are_equal_on_every_kernel_variant),
                                                              CASE(every_file_loads_and_gives_numbers),
                                                              CASE(the_integer_lstm_sees_the_digits_that_the_float_one_sees),
                                                              CASE(an_integer_lstm_of_another_form_is_refused_in_words),
                                                              CASE(dynamic_range_weights_run_as_floats), {0}});
}
