/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of layers of random shapes have the same bits in bands as layer by layer, whatever the order in which threads do the bands; values
 * that somebody else reads too are whole. */
#include "inference/bands.h"
#include "inference/onnx/onnx.h"
#include "inference/passes/passes.h"
#include "inference/threads.h"

#include "tests/check.h"
#include "tests/inference/onnx_text.h"
#include "tests/inference/threaded_run.h"

enum { TRIES = 30, LAYERS_MAX = 7, SCRATCHES = 3, RUNS = 10 };

static uint32_t seed;

static int between(int low, int high)
{
    seed = seed * 1664525u + 1013904223u;
    return low + (int)((seed >> 8) % (uint32_t)(high - low + 1));
}

/* A model while it is written; x0, x1, ... are its values. */
struct writer {
    FILE *constants, *nodes, *outputs;
    bool bytes;                 /* 8-bit layers, else floats */
    int layers, channels, height, width;
};

static void write_numbers(FILE *file, int count)
{
    for (int i = 0; i < count; i++)
        fprintf(file, "%s%d", i > 0 ? ", " : "{", between(-9, 9));
    fputs("}", file);
}

struct window {
    int kernel[2], stride[2], dilation[2], pads[4];
};

static int extent(const struct window *window, int axis, int in)
{
    int reach = (window->kernel[axis] - 1) * window->dilation[axis] + 1;
    return (in + window->pads[axis] + window->pads[axis + 2] - reach) / window->stride[axis] + 1;
}

/* kernel_max: 1, 3, 5 or 7. */
static struct window random_window(int kernel_max, int stride_max, int dilation_max)
{
    struct window window;
    for (int axis = 0; axis < 2; axis++) {
        window.kernel[axis] = between(0, kernel_max / 2) * 2 + 1;
        window.stride[axis] = between(1, stride_max);
        window.dilation[axis] = between(1, dilation_max);
        window.pads[axis] = between(0, window.kernel[axis] / 2);
        window.pads[axis + 2] = between(0, window.kernel[axis] / 2);
    }
    return window;
}

static void write_window(const struct writer *writer, const struct window *w)
{
    fprintf(writer->nodes, "kernel_shape = [%d, %d], strides = [%d, %d], dilations = [%d, %d], pads = [%d, %d, %d, %d]", w->kernel[0], w->kernel[1],
            w->stride[0], w->stride[1], w->dilation[0], w->dilation[1], w->pads[0], w->pads[1], w->pads[2], w->pads[3]);
}

static void write_convolution(struct writer *writer, const struct window *window, bool depthwise, int columns, const char *result)
{
    int n = writer->layers, depth = depthwise ? 1 : writer->channels;
    fprintf(writer->constants, ", %s[%d,%d,%d,%d] w%d = ", writer->bytes ? "int8" : "float", columns, depth, window->kernel[0], window->kernel[1], n);
    write_numbers(writer->constants, columns * depth * window->kernel[0] * window->kernel[1]);
    fprintf(writer->nodes, " %s = %s<group = %d, ", result, writer->bytes ? "QLinearConv" : "Conv", depthwise ? writer->channels : 1);
    write_window(writer, window);
    if (writer->bytes)
        fprintf(writer->nodes, ">(x%d, one, zero, w%d, small, none, one, zero)", n, n);
    else
        fprintf(writer->nodes, ">(x%d, w%d)", n, n);
}

/* Results of a sum: x is read twice. */
static void write_residual(struct writer *writer)
{
    const struct window window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
    char result[16];
    snprintf(result, sizeof result, "t%d", writer->layers);
    write_convolution(writer, &window, true, writer->channels, result);
    fprintf(writer->nodes, " x%d = Add(t%d, x%d)", writer->layers + 1, writer->layers, writer->layers);
}

static void write_layer(struct writer *writer)
{
    int kind = between(0, writer->bytes && writer->layers == 0 ? 7 : 9), columns = kind < 5 ? between(writer->bytes ? 34 : 3, 40) : writer->channels;
    bool large = writer->height > 70 && writer->width > 70;
    int side = kind < 3 ? 1 : large && !(writer->bytes && kind < 5) ? 7 : 3;
    struct window window = random_window(side, large && between(0, 2) == 0 ? 2 : 1, kind == 9 ? 1 : large ? 2 : 1);
    char result[16];
    snprintf(result, sizeof result, "x%d", writer->layers + 1);
    if (kind < 8) {
        write_convolution(writer, &window, kind >= 5, columns, result);
    } else {
        fprintf(writer->nodes, " %s = %s<", result, kind == 8 || writer->bytes ? "MaxPool" : "AveragePool");
        write_window(writer, &window);
        fprintf(writer->nodes, ">(x%d)", writer->layers);
    }
    writer->channels = columns;
    writer->height = extent(&window, 0, writer->height);
    writer->width = extent(&window, 1, writer->width);
}

static void write_output(const struct writer *writer)
{
    fprintf(writer->outputs, "%s%s[1,%d,%d,%d] x%d", ftell(writer->outputs) > 0 ? ", " : "", writer->bytes ? "uint8" : "float", writer->channels,
            writer->height, writer->width, writer->layers);
}

/* A chain of random layers; free() it. */
static uint8_t *random_model(bool bytes, size_t *length)
{
    char *constants, *nodes, *outputs, *text;
    size_t constants_length, nodes_length, outputs_length, text_length;
    struct writer writer = {.constants = open_memstream(&constants, &constants_length), .nodes = open_memstream(&nodes, &nodes_length),
                            .outputs = open_memstream(&outputs, &outputs_length), .bytes = bytes, .channels = bytes ? between(36, 44) : between(3, 24)};
    writer.height = bytes ? between(160, 190) : between(80, 150);
    writer.width = bytes ? between(160, 190) : between(80, 150);
    FILE *file = open_memstream(&text, &text_length);
    fprintf(file, "(%s[1,%d,%d,%d] x0) => (", bytes ? "uint8" : "float", writer.channels, writer.height, writer.width);
    for (int count = between(2, LAYERS_MAX); writer.layers < count; writer.layers++) {
        if (writer.layers > 0 && between(0, 9) == 0)
            write_output(&writer);
        if (!bytes && between(0, 7) == 0)
            write_residual(&writer);
        else
            write_layer(&writer);
    }
    write_output(&writer);
    fclose(writer.constants);
    fclose(writer.nodes);
    fclose(writer.outputs);
    fprintf(file, "%s)<float one = {1}, float small = {0.015625}, uint8 zero = {128}, int8 none = {0}%s>{%s }", outputs, constants, nodes);
    fclose(file);
    uint8_t *model = onnx_from_text(text, 21, length);
    free(constants);
    free(nodes);
    free(outputs);
    free(text);
    return model;
}

static void fill(void *data, enum dtype dtype, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (dtype == DTYPE_U8)
            ((uint8_t *)data)[i] = (uint8_t)(i * 7919 >> 4);
        else
            ((float *)data)[i] = (float)(i * 7919 % 1001) / 500 - 1;
    }
}

struct prepared {
    struct graph graph;
    struct operation *operations;
    void **data;
    void *scratches[SCRATCHES];
};

static size_t bytes_of(const struct value *value)
{
    return (size_t)shape_elements(&value->shape) * dtype_bytes(value->dtype);
}

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(ARENA_ALIGNMENT, (bytes / ARENA_ALIGNMENT + 2) * ARENA_ALIGNMENT);
    CHECK(memory != NULL);
    memset(memory, 0xff, bytes);
    return memory;
}

static void prepare(struct prepared *prepared, const uint8_t *model, size_t length, const struct kernels *kernels, const char *skipped)
{
    struct error error = {0};
    struct graph *graph = &prepared->graph;
    graph_init(graph);
    CHECK_OK(onnx_load(model, length, NULL, graph, &error), error);
    CHECK_OK(passes_run(graph, skipped, NULL, &error), error);
    prepared->operations = calloc((size_t)graph->node_count, sizeof *prepared->operations);
    prepared->data = calloc((size_t)graph->value_count, sizeof *prepared->data);
    CHECK(prepared->operations != NULL && prepared->data != NULL);
    for (int32_t n = 0; n < graph->node_count; n++) {
        for (int32_t i = 0; i < graph->nodes[n].input_count; i++)
            CHECK_OK(operator_arrange(graph, graph->nodes[n].inputs[i], &error), error);
        CHECK_OK(operator_prepare(graph, &graph->nodes[n], kernels, &graph->arena, &prepared->operations[n], &error), error);
    }
    CHECK_OK(bands_make(graph, prepared->operations, &error), error);
    size_t scratch = 0;
    for (int32_t n = 0; n < graph->node_count; n++)
        scratch = prepared->operations[n].scratch_bytes > scratch ? prepared->operations[n].scratch_bytes : scratch;
    for (int i = 0; i < SCRATCHES; i++)
        prepared->scratches[i] = aligned(scratch);
    for (int32_t v = 0; v < graph->value_count; v++) {
        struct value *value = &graph->values[v];
        prepared->data[v] = value->data != NULL ? (void *)(uintptr_t)value->data : value->banded ? NULL : aligned(bytes_of(value));
    }
    fill(prepared->data[graph->inputs[0]], graph->values[graph->inputs[0]].dtype, shape_elements(&graph->values[graph->inputs[0]].shape));
}

static void drop(struct prepared *prepared)
{
    for (int32_t v = 0; v < prepared->graph.value_count; v++) {
        if (prepared->graph.values[v].data == NULL)
            free(prepared->data[v]);
    }
    for (int i = 0; i < SCRATCHES; i++)
        free(prepared->scratches[i]);
    free(prepared->data);
    free(prepared->operations);
    graph_deinit(&prepared->graph);
}

/* As threads may: each piece by any of them, in any order. */
static void execute_in_pieces(const struct operation *operation, void *const *data, void *const *scratches)
{
    int64_t ends[SCRATCHES + 1] = {0};
    for (int i = 0; i < SCRATCHES; i++) {
        bands_begin(scratches[i], between(0, 1) == 1);
        ends[i + 1] = i + 1 < SCRATCHES ? between((int)ends[i], (int)operation->parts) : operation->parts;
    }
    for (int i = between(0, SCRATCHES - 1), done = 0; done < SCRATCHES; done++, i = (i + 1) % SCRATCHES) {
        for (int64_t first = ends[i], last; first < ends[i + 1]; first = last) {
            last = between((int)first + 1, (int)ends[i + 1]);
            operation->execute_parts(operation, data, scratches[between(0, 3) == 0 ? between(0, SCRATCHES - 1) : i], first, last);
        }
    }
}

static int execute(struct prepared *prepared)
{
    int chained = 0;
    for (int32_t n = 0; n < prepared->graph.node_count; n++) {
        const struct operation *operation = &prepared->operations[n];
        if (operation->chained > 0)
            execute_in_pieces(operation, prepared->data, prepared->scratches);
        else
            operation_execute(operation, prepared->data, prepared->scratches[0]);
        chained += operation->chained > 0 ? operation->chained : 0;
    }
    return chained;
}

static void compare(const struct prepared *whole, const struct prepared *banded)
{
    for (int32_t i = 0; i < whole->graph.output_count; i++) {
        int32_t a = whole->graph.outputs[i], b = banded->graph.outputs[i];
        CHECK_INTEGER(bytes_of(&whole->graph.values[a]), bytes_of(&banded->graph.values[b]));
        CHECK_INTEGER(memcmp(whole->data[a], banded->data[b], bytes_of(&whole->graph.values[a])), 0);
    }
}

/* Nobody but the next node reads what is banded, and no caller. */
static void check_readers(const struct graph *graph)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        int32_t value = graph->nodes[n].outputs[0];
        if (!graph->values[value].banded)
            continue;
        for (int32_t i = 0; i < graph->output_count; i++)
            CHECK(graph->outputs[i] != value);
        for (int32_t m = 0; m < graph->node_count; m++) {
            for (int32_t i = 0; i < graph->nodes[m].input_count; i++)
                CHECK(graph->nodes[m].inputs[i] != value || (m == n + 1 && i == 0));
        }
    }
}

static void try_chains(bool bytes)
{
    static const char *const cpus[] = {NULL, "scalar", "avx2"};
    int chained = 0;
    for (uint32_t try = 1; try <= TRIES; try++) {
        struct error error = {0};
        const struct kernels *kernels;
        struct prepared whole, banded;
        size_t length;
        seed = try * 2654435761u;
        uint8_t *model = random_model(bytes, &length);
        if (kernels_select(cpus[try % 8 < 3 ? try % 8 : 0], &kernels, &error) != ERROR_NONE)
            CHECK_OK(kernels_select(NULL, &kernels, &error), error);
        prepare(&whole, model, length, kernels, try % 2 == 0 ? "bands" : "bands,winograd");
        prepare(&banded, model, length, kernels, try % 2 == 0 ? NULL : "winograd");
        CHECK_INTEGER(execute(&whole), 0);
        for (int round = 0; round < 2; round++) {
            int layers = execute(&banded);
            chained += round == 0 ? layers : 0;
            compare(&whole, &banded);
        }
        check_readers(&banded.graph);
        drop(&whole);
        drop(&banded);
        free(model);
    }
    CHECK(chained > TRIES / 2);
}

static void floats_are_the_same_in_bands(void)
{
    try_chains(false);
}

static void bytes_are_the_same_in_bands(void)
{
    try_chains(true);
}

static void run_with_threads(const struct model *model, int count, uint8_t *expected, bool first)
{
    struct threaded_run opened = threaded_run_open(model, count);
    struct run *run = opened.run;
    int64_t *layers = malloc(((size_t)model_layer_count(model) + 1) * sizeof *layers);
    CHECK(layers != NULL);
    for (int round = 0; round < RUNS; round++) {
        const struct tensor *input = run_input(run, 0), *output = run_output(run, 0);
        fill(input->data, input->dtype, shape_elements(&input->shape));
        memset(output->data, 0xff, tensor_bytes(output));
        if (round % 4 == 3)
            run_measure(run, layers);
        else
            run_execute(run);
        if (first && round == 0)
            memcpy(expected, output->data, tensor_bytes(output));
        CHECK_INTEGER(memcmp(output->data, expected, tensor_bytes(output)), 0);
    }
    free(layers);
    threaded_run_close(&opened);
}

static const char *const text =
    "(float[1,3,240,320] x) => (float[1,8,60,80] y)<float[16,3,3,3] a = {%s}, float[16,1,5,5] b = {%s}, float[32,16,1,1] c = {%s},"
    " float[32,1,3,3] d = {%s}, float[8,32,1,1] e = {%s}>"
    "{ p = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, a) q = Conv<group = 16, pads = [2, 2, 2, 2]>(p, b) r = Conv(q, c)"
    " s = Conv<group = 32, strides = [2, 2], pads = [1, 1, 1, 1]>(r, d) y = Conv(s, e) }";

static char *numbers(int count)
{
    char *written;
    size_t length;
    FILE *file = open_memstream(&written, &length);
    CHECK(file != NULL);
    for (int i = 0; i < count; i++)
        fprintf(file, "%s%d", i > 0 ? ", " : "", i * 37 % 23 - 11);
    fclose(file);
    return written;
}

static uint8_t *model_of_text(size_t *length)
{
    static const int counts[] = {16 * 3 * 9, 16 * 25, 32 * 16, 32 * 9, 8 * 32};
    char *parts[5], *written = NULL;
    for (int i = 0; i < 5; i++)
        parts[i] = numbers(counts[i]);
    size_t bytes = strlen(text) + 1;
    for (int i = 0; i < 5; i++)
        bytes += strlen(parts[i]);
    written = malloc(bytes);
    CHECK(written != NULL);
    snprintf(written, bytes, text, parts[0], parts[1], parts[2], parts[3], parts[4]);
    uint8_t *model = onnx_from_text(written, 21, length);
    for (int i = 0; i < 5; i++)
        free(parts[i]);
    free(written);
    return model;
}

static void a_model_has_the_same_bits_with_and_without_and_for_any_number_of_threads(void)
{
    static const char *const skipped[] = {"bands", NULL};
    struct error error = {0};
    size_t length, memory[2];
    uint8_t *bytes = model_of_text(&length), *expected = malloc((size_t)8 * 60 * 80 * sizeof(float));
    CHECK(expected != NULL);
    for (int i = 0; i < 2; i++) {
        struct model *model;
        struct model_options options = {.skip_passes = skipped[i]};
        CHECK_OK(model_open_bytes(bytes, length, "text", &options, &model, &error), error);
        memory[i] = model_memory(model);
        for (int count = 1; count <= 3; count++)
            run_with_threads(model, count, expected, i == 0 && count == 1);
        model_close(model);
    }
    CHECK(memory[1] < memory[0]);
    free(expected);
    free(bytes);
}

static void a_profile_has_a_time_for_each_layer_of_a_chain(void)
{
    struct error error = {0};
    struct model *model;
    struct run *run;
    size_t length;
    uint8_t *bytes = model_of_text(&length);
    CHECK_OK(model_open_bytes(bytes, length, "text", NULL, &model, &error), error);
    CHECK_OK(run_new(model, &run, &error), error);
    int64_t *times = malloc(((size_t)model_layer_count(model) + 1) * sizeof *times);
    CHECK(times != NULL);
    for (int i = 0; i < model_layer_count(model); i++)
        times[i] = INT64_MAX;
    for (int round = 0; round < 3; round++)
        run_measure(run, times);
    for (int i = 0; i < model_layer_count(model); i++)
        CHECK(model_layer(model, i).macs == 0 || (times[i] > 0 && times[i] < INT64_MAX));
    free(times);
    run_free(run);
    model_close(model);
    free(bytes);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(floats_are_the_same_in_bands), CASE(bytes_are_the_same_in_bands),
                                            CASE(a_model_has_the_same_bits_with_and_without_and_for_any_number_of_threads),
                                            CASE(a_profile_has_a_time_for_each_layer_of_a_chain), {0}});
}
