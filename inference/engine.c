/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/engine.h"

#include "base/file.h"
#include "inference/bands.h"
#include "inference/constants.h"
#include "inference/kernels/kernels.h"
#include "inference/onnx/onnx.h"
#include "inference/operators/operators.h"
#include "inference/packed.h"
#include "inference/passes/passes.h"
#include "inference/plan.h"
#include "inference/sharing.h"
#include "inference/tflite/tflite.h"
#include "inference/threads.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MODEL_BYTES_MAX ((size_t)1 << 30)

struct model {
    struct file_map map;
    struct packed_weights *packed;
    struct graph graph;
    const struct kernels *kernels;
    struct operation *operations;  /* [graph.node_count] */
    struct plan plan;
    size_t scratch_bytes;          /* of one thread */
    struct tensor *inputs, *outputs;
    uint64_t macs;
};

struct run {
    const struct model *model;
    void **data;                   /* by value */
    struct tensor *inputs, *outputs;
    void *block;
    struct threads *threads;       /* NULL: the caller's alone */
    void *helper_scratch;          /* scratch_bytes for each thread but the caller's */
    struct sharing sharing;        /* while threads != NULL */
};

struct parts {
    const struct operation *operation;
    struct run *run;
};

static enum error_code load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph, struct error *error)
{
    if (length >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0)
        return tflite_load(bytes, length, options, graph, error);
    return onnx_load(bytes, length, options, graph, error);
}

/* What the layer reads must be as its shape says; weights that are found packed are not read. */
static enum error_code arrange_inputs(struct graph *graph, int32_t n, struct error *error)
{
    const struct node *node = &graph->nodes[n];
    bool packs = node->kind == OPERATOR_CONV && packed_is_mapped(graph->packed) && convolution_packs(graph, node);
    for (int32_t i = 0; i < node->input_count; i++) {
        if (!packs || i != 1)
            TRY(operator_arrange(graph, node->inputs[i], error));
    }
    return ERROR_NONE;
}

static enum error_code prepare(struct model *model, const char *name, const struct model_options *options, bool anew, struct error *error)
{
    struct graph *graph = &model->graph;
    model->operations = arena_allocate_array(&graph->arena, (size_t)graph->node_count + 1, sizeof *model->operations);
    if (model->operations == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    struct graph_uses uses;
    struct constants constants;
    TRY(graph_count_uses(graph, &uses, error));
    TRY(constants_count(graph, &uses, &constants, error));
    constants_drop_unread(graph, &constants);
    if (graph->mapped != NULL)
        graph->packed = model->packed = packed_open(graph, name, model->kernels->name, options, anew);
    for (int32_t n = 0; n < graph->node_count; n++) {
        TRY(arrange_inputs(graph, n, error));
        TRY(operator_prepare(graph, &graph->nodes[n], model->kernels, &graph->arena, &model->operations[n], error));
        model->macs += model->operations[n].macs;
        for (int i = 1; i <= model->operations[n].weights_packed; i++)
            constants_release(graph, &constants, graph->nodes[n].inputs[i]);
    }
    if (packed_is_contradicted(model->packed))
        return ERROR_NONE; /* to be opened anew */
    packed_keep(model->packed);
    TRY(bands_make(graph, model->operations, error));
    TRY(plan_make(graph, model->operations, &model->plan, error));
    model->scratch_bytes = model->plan.bytes - model->plan.scratch_offset;
    return ERROR_NONE;
}

static void describe(const struct graph *graph, int32_t value, struct tensor *tensor)
{
    const struct value *source = &graph->values[value];
    *tensor = (struct tensor){.name = source->name, .dtype = source->dtype, .shape = source->shape, .quantization = source->quantization};
}

static enum error_code describe_ends(struct model *model, struct error *error)
{
    struct graph *graph = &model->graph;
    model->inputs = arena_allocate_array(&graph->arena, (size_t)(graph->input_count + graph->output_count) + 1, sizeof *model->inputs);
    if (model->inputs == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    model->outputs = model->inputs + graph->input_count;
    for (int32_t i = 0; i < graph->input_count; i++)
        describe(graph, graph->inputs[i], &model->inputs[i]);
    for (int32_t i = 0; i < graph->output_count; i++)
        describe(graph, graph->outputs[i], &model->outputs[i]);
    return ERROR_NONE;
}

static const char *from_environment(const char *given, const char *variable)
{
    const char *value = given != NULL ? given : getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum error_code build(struct model *model, const uint8_t *bytes, size_t length, const char *name, const struct model_options *options, bool anew,
                             struct error *error)
{
    TRY(kernels_select(from_environment(options != NULL ? options->cpu : NULL, "EDDY_CPU"), &model->kernels, error));
    TRY(load(bytes, length, options, &model->graph, error));
    TRY(passes_run(&model->graph, from_environment(options != NULL ? options->skip_passes : NULL, "EDDY_PASSES"),
                   options != NULL ? options->trace : NULL, error));
    if (options != NULL && options->channels_last)
        TRY(inputs_channels_last(&model->graph, error));
    TRY(prepare(model, name, options, anew, error));
    return describe_ends(model, error);
}

/* anew: what is packed in a file is not used, but replaced. */
static enum error_code open_bytes(const uint8_t *bytes, size_t length, bool mapped, const char *name, const struct model_options *options, bool anew,
                                  struct model **model_out, struct error *error)
{
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return error_set(error, ERROR_LIMIT, "%s: no memory for a model", name);
    graph_init(&model->graph);
    model->graph.mapped = mapped ? bytes : NULL;
    model->graph.mapped_bytes = length;
    enum error_code code = build(model, bytes, length, name, options, anew, error);
    if (code != ERROR_NONE) {
        error_prefix(error, "%s: ", name);
        model_close(model);
        return code;
    }
    if (packed_is_contradicted(model->packed)) {
        model_close(model);
        return open_bytes(bytes, length, mapped, name, options, true, model_out, error);
    }
    *model_out = model;
    return ERROR_NONE;
}

enum error_code model_open_bytes(const void *bytes, size_t length, const char *name, const struct model_options *options,
                                 struct model **model_out, struct error *error)
{
    return open_bytes(bytes, length, false, name, options, false, model_out, error);
}

enum error_code model_open(const char *path, const struct model_options *options, struct model **model_out, struct error *error)
{
    struct file_map map;
    TRY(file_map_open(path, MODEL_BYTES_MAX, &map, error));
    enum error_code code = open_bytes(map.data, map.bytes, true, path, options, false, model_out, error);
    if (code == ERROR_NONE)
        (*model_out)->map = map;
    else
        file_map_close(&map);
    return code;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    packed_close(model->packed);
    graph_deinit(&model->graph);
    file_map_close(&model->map);
    free(model);
}

int model_input_count(const struct model *model)
{
    return model->graph.input_count;
}

int model_output_count(const struct model *model)
{
    return model->graph.output_count;
}

const struct tensor *model_input(const struct model *model, int index)
{
    return &model->inputs[index];
}

const struct tensor *model_output(const struct model *model, int index)
{
    return &model->outputs[index];
}

int model_input_position(const struct model *model, int index)
{
    return model->graph.input_positions != NULL ? model->graph.input_positions[index] : index;
}

bool model_is_packed_mapped(const struct model *model)
{
    return packed_is_mapped(model->packed);
}

size_t model_memory(const struct model *model)
{
    return model->plan.bytes;
}

uint64_t model_macs(const struct model *model)
{
    return model->macs;
}

int model_winograd_layers(const struct model *model)
{
    int count = 0;
    for (int32_t n = 0; n < model->graph.node_count; n++)
        count += model->graph.nodes[n].kind == OPERATOR_CONV && model->graph.nodes[n].attributes.spatial.winograd != 0;
    return count;
}

const char *model_cpu(const struct model *model)
{
    return model->kernels->name;
}

void model_print(const struct model *model, FILE *file)
{
    fprintf(file, "memory: %zu bytes a run, of which %zu scratch; no plan needs less than %zu\n", model->plan.bytes,
            model->plan.bytes - model->plan.scratch_offset, model->plan.lower_bound);
    graph_print(&model->graph, file);
    for (int32_t i = 0; i < model->graph.output_count; i++)
        fprintf(file, "output \"%s\": v%" PRId32 "\n", model->outputs[i].name, model->graph.outputs[i]);
}

int model_layer_count(const struct model *model)
{
    return model->graph.node_count;
}

static uint64_t value_bytes(const struct graph *graph, int32_t value)
{
    return value >= 0 ? (uint64_t)shape_elements(&graph->values[value].shape) * dtype_bytes(graph->values[value].dtype) : 0;
}

static uint64_t layer_bytes(const struct graph *graph, const struct node *node)
{
    uint64_t bytes = 0;
    for (int32_t i = 0; i < node->input_count; i++) {
        int32_t first = 0;
        while (node->inputs[first] != node->inputs[i])
            first++;
        bytes += first == i ? value_bytes(graph, node->inputs[i]) : 0;
    }
    for (int32_t i = 0; i < node->output_count; i++)
        bytes += value_bytes(graph, node->outputs[i]);
    return bytes;
}

struct layer model_layer(const struct model *model, int index)
{
    const struct node *node = &model->graph.nodes[index];
    const struct shape none = {0};
    return (struct layer){.name = node->name, .kind = operator_name(node->kind), .macs = model->operations[index].macs,
                          .bytes = layer_bytes(&model->graph, node),
                          .shape = node->output_count > 0 ? model->graph.values[node->outputs[0]].shape : none};
}

/* A run's tensors and the table of all values' places, in one piece with the block they point into. */
static void lay_out(struct run *run)
{
    const struct model *model = run->model;
    const struct graph *graph = &model->graph;
    for (int32_t v = 0; v < graph->value_count; v++) {
        if (graph->values[v].data != NULL)
            run->data[v] = (void *)(uintptr_t)graph->values[v].data;
        else if (model->plan.offsets[v] != SIZE_MAX)
            run->data[v] = (char *)run->block + model->plan.offsets[v];
    }
    for (int32_t i = 0; i < graph->input_count; i++) {
        run->inputs[i] = model->inputs[i];
        run->inputs[i].data = run->data[graph->inputs[i]];
    }
    for (int32_t i = 0; i < graph->output_count; i++) {
        run->outputs[i] = model->outputs[i];
        run->outputs[i].data = run->data[graph->outputs[i]];
    }
}

enum error_code run_new(const struct model *model, struct run **run_out, struct error *error)
{
    const struct graph *graph = &model->graph;
    struct run *run = calloc(1, sizeof *run);
    if (run != NULL) {
        run->model = model;
        run->data = calloc((size_t)graph->value_count + 1, sizeof *run->data);
        run->inputs = calloc((size_t)(graph->input_count + graph->output_count) + 1, sizeof *run->inputs);
        run->block = aligned_alloc(ARENA_ALIGNMENT, model->plan.bytes + ARENA_ALIGNMENT);
    }
    if (run == NULL || run->data == NULL || run->inputs == NULL || run->block == NULL) {
        run_free(run);
        return error_set(error, ERROR_LIMIT, "no memory for a run of %zu bytes", model->plan.bytes);
    }
    run->outputs = run->inputs + graph->input_count;
    lay_out(run);
    for (int i = 0; i < graph->input_count; i++)
        memset(run->inputs[i].data, 0, tensor_bytes(&run->inputs[i]));
    *run_out = run;
    return ERROR_NONE;
}

void run_free(struct run *run)
{
    if (run == NULL)
        return;
    sharing_end(&run->sharing);
    free(run->helper_scratch);
    free(run->block);
    free(run->inputs);
    free(run->data);
    free(run);
}

const struct model *run_get_model(const struct run *run)
{
    return run->model;
}

struct tensor *run_input(struct run *run, int index)
{
    return &run->inputs[index];
}

const struct tensor *run_output(const struct run *run, int index)
{
    return &run->outputs[index];
}

static void *scratch_of(const struct run *run, int participant)
{
    return participant == 0 ? (char *)run->block + run->model->plan.scratch_offset
                            : (char *)run->helper_scratch + (size_t)(participant - 1) * run->model->scratch_bytes;
}

static void do_parts(void *context, int64_t first, int64_t last, int participant)
{
    const struct parts *parts = context;
    parts->operation->execute_parts(parts->operation, parts->run->data, scratch_of(parts->run, participant), first, last);
}

static void execute_shared(struct run *run, const struct operation *operation, bool timed)
{
    for (int i = 0; i < threads_count(run->threads); i++) {
        operation_begin(operation, scratch_of(run, i));
        if (operation->chained > 0)
            bands_begin(scratch_of(run, i), timed);
    }
    threads_run(run->threads, do_parts, &(struct parts){operation, run}, operation->parts);
}

static void execute_alone(struct run *run, const struct operation *operation, bool timed)
{
    if (operation->chained > 0)
        bands_begin(scratch_of(run, 0), timed);
    operation_execute(operation, run->data, scratch_of(run, 0));
}

static bool is_divisible(const struct operation *operation)
{
    return operation->execute_parts != NULL && operation->parts > 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One run alone, every layer timed. */
static void execute_timed(struct run *run)
{
    const struct model *model = run->model;
    const int64_t hand_over = threads_hand_over_ns(run->threads);
    int64_t start = now_ns();
    sharing_hand_over(&run->sharing, hand_over, start);
    for (int32_t n = 0; n < model->graph.node_count; n++) {
        const struct operation *operation = &model->operations[n];
        execute_alone(run, operation, false);
        const int64_t end = now_ns();
        sharing_layer(&run->sharing, n, end - start, is_divisible(operation) ? operation->parts : 1, threads_count(run->threads));
        start = end;
    }
}

/* timed: of a chain (bands.h) each layer, by each thread. */
static void execute_node(struct run *run, int32_t n, bool timed)
{
    if (run->threads != NULL && sharing_shares(&run->sharing, n))
        execute_shared(run, &run->model->operations[n], timed);
    else
        execute_alone(run, &run->model->operations[n], timed);
}

/* Outputs whose extent this run found. */
static void shrink_bounded(struct run *run)
{
    const struct graph *graph = &run->model->graph;
    for (int32_t i = 0; i < graph->output_count; i++) {
        const struct value *value = &graph->values[graph->outputs[i]];
        if (!value->bounded)
            continue;
        int32_t first = 0; /* one value under two names is moved together once */
        while (graph->outputs[first] != graph->outputs[i])
            first++;
        if (first < i)
            run->outputs[i].shape = run->outputs[first].shape;
        else
            run->outputs[i].shape.dims[value->bound_axis] = bounded_shrink(value, run->data[value->bound_count], run->outputs[i].data);
    }
}

static void execute_nodes(struct run *run)
{
    for (int32_t n = 0; n < run->model->graph.node_count; n++)
        execute_node(run, n, false);
}

void run_execute(struct run *run)
{
    if (run->threads == NULL || sharing_skips(&run->sharing)) {
        execute_nodes(run);
    } else {
        if (sharing_start(&run->sharing, now_ns()))
            execute_timed(run);
        else
            execute_nodes(run);
        sharing_finish(&run->sharing, now_ns());
    }
    shrink_bounded(run);
}

/* The time of a chain (bands.h) belongs to its layers as the caller's thread divided its own among them. */
static void measure_chain(const struct run *run, int32_t count, int64_t taken, int64_t *layer_ns)
{
    const int64_t *spent = bands_spent_ns(scratch_of(run, 0));
    double sum = 1, lowest = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += (double)spent[i];
        lowest += (double)layer_ns[i];
    }
    for (int32_t i = 0; i < count && (double)taken < lowest; i++)
        layer_ns[i] = (int64_t)((double)taken * (double)spent[i] / sum);
}

void run_measure(struct run *run, int64_t *layer_ns)
{
    const struct model *model = run->model;
    int64_t start = now_ns();
    for (int32_t n = 0; n < model->graph.node_count; n++) {
        int32_t chained = model->operations[n].chained;
        if (chained < 0)
            continue;
        execute_node(run, n, true);
        int64_t now = now_ns(), taken = now - start;
        if (chained > 0)
            measure_chain(run, chained, taken, layer_ns + n + 1 - chained);
        else
            layer_ns[n] = taken < layer_ns[n] ? taken : layer_ns[n];
        start = now;
    }
    shrink_bounded(run);
}

enum error_code run_set_threads(struct run *run, struct threads *threads, struct error *error)
{
    const struct model *model = run->model;
    const size_t helpers = (size_t)threads_count(threads) - 1;
    if (helpers == 0) {
        run->threads = NULL;
        return ERROR_NONE;
    }
    struct sharing sharing;
    TRY(sharing_begin(&sharing, model->graph.node_count, error));
    void *scratch = aligned_alloc(ARENA_ALIGNMENT, helpers * model->scratch_bytes + ARENA_ALIGNMENT);
    if (scratch == NULL) {
        sharing_end(&sharing);
        return error_set(error, ERROR_LIMIT, "no memory for %zu threads of %zu bytes of scratch", helpers, model->scratch_bytes);
    }
    sharing_end(&run->sharing);
    free(run->helper_scratch);
    run->sharing = sharing;
    run->helper_scratch = scratch;
    run->threads = threads;
    return ERROR_NONE;
}
