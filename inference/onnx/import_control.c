/* SPDX-License-Identifier: Apache-2.0
 *
 * If, Loop, Scan without branches at run time: whatever runs is a straight line that was planned when the model was opened.
 *   If     a condition that is known picks its branch; else both are computed and Where picks (their results must have the same shapes).
 *   Loop   unrolled as often as it may go round, which must be known at open. A condition that a run decides keeps the variables of the last
 *          round in which it held; results stacked round by round then have no length and are refused.
 *   Scan   unrolled along the scanned axis.
 * Bounds: IMPORT_ROUNDS_MAX rounds and the nodes of a graph in all; bodies in bodies at most as deep as parse.c reads. */
#include "inference/onnx/import.h"

#include <string.h>

enum { BODY_VALUES_MAX = 64 };

static enum error_code read_body(struct importer *importer, const char *name, const struct onnx_model **body_out)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    if (attribute == NULL || attribute->graph == NULL)
        return import_fail(importer, ERROR_MODEL, "attribute %s holds no graph", name);
    if (attribute->graph->input_count > BODY_VALUES_MAX || attribute->graph->output_count > BODY_VALUES_MAX)
        return import_fail(importer, ERROR_LIMIT, "a body of more than %d inputs or outputs", BODY_VALUES_MAX);
    *body_out = attribute->graph;
    return ERROR_NONE;
}

/* A truth value as one number; *known: it is constant, and *truth is it. */
static enum error_code read_condition(struct importer *importer, int32_t *condition, bool *known, bool *truth)
{
    const struct value *value = import_value(importer, *condition);
    if (value->dtype != DTYPE_BOOL || shape_elements(&value->shape) != 1)
        return import_fail(importer, ERROR_MODEL, "a condition that is not one bool");
    *known = value->data != NULL;
    *truth = *known && *(const uint8_t *)value->data != 0;
    return *known || value->shape.rank == 0 ? ERROR_NONE : import_reshape(importer, *condition, &(struct shape){.rank = 0}, condition);
}

static enum error_code choose(struct importer *importer, int32_t condition, int32_t yes, int32_t no, int32_t *value_out)
{
    const struct value *a = import_value(importer, yes), *b = import_value(importer, no);
    if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape))
        return import_fail(importer, ERROR_UNSUPPORTED, "a condition that a run decides, between values of different shapes or types");
    if (yes == no) {
        *value_out = yes;
        return ERROR_NONE;
    }
    if (import_node(importer, OPERATOR_WHERE, (int32_t[]){condition, yes, no}, 3, 1) == NULL)
        return importer->error->code;
    return import_finish(importer, value_out);
}

static enum error_code import_if(struct importer *importer)
{
    int32_t condition, results[2][BODY_VALUES_MAX], value;
    const struct onnx_model *branches[2];
    bool known, truth;
    TRY(import_input(importer, 0, true, &condition));
    TRY(read_condition(importer, &condition, &known, &truth));
    TRY(read_body(importer, "else_branch", &branches[0]));
    TRY(read_body(importer, "then_branch", &branches[1]));
    int count = branches[1]->output_count;
    for (int i = 0; i < 2; i++) {
        if (!known || truth == (i == 1))
            TRY(import_body(importer, branches[i], NULL, 0, results[i], count));
    }
    for (int i = 0; i < count; i++) {
        value = results[truth][i];
        if (!known)
            TRY(choose(importer, condition, results[1][i], results[0][i], &value));
        TRY(import_bind(importer, i, value));
    }
    return ERROR_NONE;
}

static enum error_code add_number(struct importer *importer, enum dtype dtype, int64_t number, int32_t *value_out)
{
    void *data = arena_allocate(&importer->graph->arena, sizeof number);
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    element_write(dtype, data, 0, (double)number);
    return import_constant(importer, dtype, &(struct shape){.rank = 0}, data, value_out);
}

/* Rounds' results on top of each other along a new axis. */
struct stack {
    int32_t values[NODE_INPUTS_MAX];
    int count;
};

static enum error_code stack_add(struct importer *importer, struct stack *stack, int64_t axis, int32_t value)
{
    const struct shape from = import_value(importer, value)->shape;
    struct shape shape = {.rank = from.rank + 1};
    int32_t at;
    if (shape.rank > TENSOR_RANK_MAX || stack->count == NODE_INPUTS_MAX)
        return import_fail(importer, ERROR_LIMIT, "a stacked result of too many dimensions or rounds");
    TRY(import_axis(importer, axis, shape.rank, &at));
    for (int i = 0, k = 0; i < shape.rank; i++)
        shape.dims[i] = i == at ? 1 : from.dims[k++];
    TRY(import_reshape(importer, value, &shape, &value));
    stack->values[stack->count++] = value;
    return ERROR_NONE;
}

static enum error_code stack_bind(struct importer *importer, struct stack *stack, int64_t axis, bool reverse, int output)
{
    int32_t value;
    if (stack->count == 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "a stacked result of no round");
    for (int i = 0; reverse && i < stack->count / 2; i++) {
        value = stack->values[i];
        stack->values[i] = stack->values[stack->count - 1 - i];
        stack->values[stack->count - 1 - i] = value;
    }
    int rank = import_value(importer, stack->values[0])->shape.rank;
    struct node *node = import_node(importer, OPERATOR_CONCAT, stack->values, stack->count, 1);
    if (node == NULL)
        return importer->error->code;
    TRY(import_axis(importer, axis, rank, &node->attributes.axis.axis));
    TRY(import_finish(importer, &value));
    return import_bind(importer, output, value);
}

static enum error_code make_stacks(struct importer *importer, int count, struct stack **stacks_out)
{
    *stacks_out = arena_allocate_array(&importer->graph->arena, (size_t)count + 1, sizeof **stacks_out);
    return *stacks_out != NULL ? ERROR_NONE : import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
}

struct loop {
    const struct onnx_model *body;
    int variables, stacked;
    int32_t values[BODY_VALUES_MAX]; /* of the variables */
    int32_t alive;                   /* the condition so far; GRAPH_NO_VALUE: true */
    struct stack *stacks;
    bool over;
};

static enum error_code go_round(struct importer *importer, struct loop *loop, int64_t round)
{
    int32_t arguments[BODY_VALUES_MAX], results[BODY_VALUES_MAX];
    bool known, truth;
    TRY(add_number(importer, DTYPE_I64, round, &arguments[0]));
    arguments[1] = loop->alive;
    if (loop->alive < 0)
        TRY(add_number(importer, DTYPE_BOOL, 1, &arguments[1]));
    memcpy(arguments + 2, loop->values, (size_t)loop->variables * sizeof *arguments);
    TRY(import_body(importer, loop->body, arguments, 2 + loop->variables, results, 1 + loop->variables + loop->stacked));
    for (int i = 0; i < loop->variables; i++) {
        if (loop->alive >= 0)
            TRY(choose(importer, loop->alive, results[1 + i], loop->values[i], &results[1 + i]));
        loop->values[i] = results[1 + i];
    }
    for (int i = 0; i < loop->stacked; i++) {
        if (loop->alive >= 0)
            return import_fail(importer, ERROR_UNSUPPORTED, "a result stacked for as many rounds as a run decides");
        TRY(stack_add(importer, &loop->stacks[i], 0, results[1 + loop->variables + i]));
    }
    TRY(read_condition(importer, &results[0], &known, &truth));
    loop->over = known && !truth;
    if (!known && loop->alive < 0)
        loop->alive = results[0];
    else if (!known)
        TRY(import_binary_of(importer, OPERATOR_AND, loop->alive, results[0], &loop->alive));
    return ERROR_NONE;
}

static enum error_code start_loop(struct importer *importer, struct loop *loop)
{
    int32_t condition;
    bool known, truth;
    TRY(read_body(importer, "body", &loop->body));
    loop->alive = GRAPH_NO_VALUE;
    loop->variables = importer->node->input_count - 2;
    loop->stacked = loop->body->output_count - 1 - loop->variables;
    if (loop->variables < 0 || loop->stacked < 0 || loop->variables + 2 > BODY_VALUES_MAX)
        return import_fail(importer, ERROR_MODEL, "%d inputs for a body of %d outputs", importer->node->input_count, loop->body->output_count);
    for (int i = 0; i < loop->variables; i++)
        TRY(import_input(importer, 2 + i, true, &loop->values[i]));
    TRY(make_stacks(importer, loop->stacked, &loop->stacks));
    TRY(import_input(importer, 1, false, &condition));
    if (condition < 0)
        return ERROR_NONE;
    TRY(read_condition(importer, &condition, &known, &truth));
    loop->over = known && !truth;
    loop->alive = known ? GRAPH_NO_VALUE : condition;
    return ERROR_NONE;
}

static enum error_code import_loop(struct importer *importer)
{
    struct loop loop = {0};
    int32_t count;
    double rounds = IMPORT_ROUNDS_MAX + 1;
    TRY(import_input(importer, 0, false, &count));
    if (count >= 0)
        TRY(import_scalar(importer, count, &rounds));
    TRY(start_loop(importer, &loop));
    if (count < 0 && loop.alive >= 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "a loop that only a run's condition ends");
    for (int64_t round = 0; (double)round < rounds && !loop.over; round++)
        TRY(go_round(importer, &loop, round));
    for (int i = 0; i < loop.variables; i++)
        TRY(import_bind(importer, i, loop.values[i]));
    for (int i = 0; i < loop.stacked; i++)
        TRY(stack_bind(importer, &loop.stacks[i], 0, false, loop.variables + i));
    return ERROR_NONE;
}

struct scan {
    const struct onnx_model *body;
    int states, scanned, stacked;
    int32_t values[BODY_VALUES_MAX], inputs[BODY_VALUES_MAX], axes[BODY_VALUES_MAX], length;
    struct integers input_directions, output_axes, output_directions;
    struct stack *stacks;
};

/* Plane `at` of a scanned input, without its axis. */
static enum error_code take_plane(struct importer *importer, int32_t input, int32_t axis, int32_t at, int32_t *value_out)
{
    struct shape shape = import_value(importer, input)->shape, result = {0};
    int32_t begin[TENSOR_RANK_MAX] = {0}, step[TENSOR_RANK_MAX];
    for (int i = 0; i < shape.rank; i++) {
        step[i] = 1;
        if (i != axis)
            result.dims[result.rank++] = shape.dims[i];
    }
    begin[axis] = at;
    shape.dims[axis] = 1;
    TRY(import_slice_of(importer, input, begin, step, shape.dims, value_out));
    return import_reshape(importer, *value_out, &result, value_out);
}

static enum error_code start_scan(struct importer *importer, struct scan *scan)
{
    struct integers axes;
    int64_t scanned = import_int(importer, "num_scan_inputs", 0);
    TRY(read_body(importer, "body", &scan->body));
    TRY(import_integers_either(importer, "scan_input_axes", -1, &axes));
    TRY(import_integers_either(importer, "scan_input_directions", -1, &scan->input_directions));
    TRY(import_integers_either(importer, "scan_output_axes", -1, &scan->output_axes));
    TRY(import_integers_either(importer, "scan_output_directions", -1, &scan->output_directions));
    int inputs = importer->node->input_count;
    if (importer->model->opset < 9 || scanned < 1 || scanned > inputs || inputs > BODY_VALUES_MAX)
        return import_fail(importer, ERROR_UNSUPPORTED, "%lld scanned of %d inputs, or opset 8", (long long)scanned, inputs);
    scan->scanned = (int)scanned;
    scan->states = inputs - scan->scanned;
    scan->stacked = scan->body->output_count - scan->states;
    if (scan->stacked < 0)
        return import_fail(importer, ERROR_MODEL, "a body of %d outputs for %d states", scan->body->output_count, scan->states);
    for (int i = 0; i < inputs; i++)
        TRY(import_input(importer, i, true, i < scan->states ? &scan->values[i] : &scan->inputs[i - scan->states]));
    for (int i = 0; i < scan->scanned; i++) {
        const struct shape *shape = &import_value(importer, scan->inputs[i])->shape;
        TRY(import_axis(importer, i < axes.count ? axes.values[i] : 0, shape->rank, &scan->axes[i]));
        if (i > 0 && shape->dims[scan->axes[i]] != scan->length)
            return import_fail(importer, ERROR_MODEL, "scanned inputs of different lengths");
        scan->length = shape->dims[scan->axes[i]];
    }
    return make_stacks(importer, scan->stacked, &scan->stacks);
}

static bool is_reverse(const struct integers *directions, int i)
{
    return i < directions->count && directions->values[i] != 0;
}

static int64_t output_axis(const struct scan *scan, int i)
{
    return i < scan->output_axes.count ? scan->output_axes.values[i] : 0;
}

static enum error_code import_scan(struct importer *importer)
{
    struct scan scan = {0};
    TRY(start_scan(importer, &scan));
    for (int32_t t = 0; t < scan.length; t++) {
        int32_t arguments[BODY_VALUES_MAX], results[BODY_VALUES_MAX];
        memcpy(arguments, scan.values, (size_t)scan.states * sizeof *arguments);
        for (int i = 0; i < scan.scanned; i++)
            TRY(take_plane(importer, scan.inputs[i], scan.axes[i], is_reverse(&scan.input_directions, i) ? scan.length - 1 - t : t,
                           &arguments[scan.states + i]));
        TRY(import_body(importer, scan.body, arguments, scan.states + scan.scanned, results, scan.states + scan.stacked));
        memcpy(scan.values, results, (size_t)scan.states * sizeof *results);
        for (int i = 0; i < scan.stacked; i++)
            TRY(stack_add(importer, &scan.stacks[i], output_axis(&scan, i), results[scan.states + i]));
    }
    for (int i = 0; i < scan.states; i++)
        TRY(import_bind(importer, i, scan.values[i]));
    for (int i = 0; i < scan.stacked; i++)
        TRY(stack_bind(importer, &scan.stacks[i], output_axis(&scan, i), is_reverse(&scan.output_directions, i), scan.states + i));
    return ERROR_NONE;
}

const struct import_row import_control_rows[] = {
    {"If", import_if, OPERATOR_WHERE, "all", "a condition known by a run only: both branches are computed, results of the same shapes"},
    {"Loop", import_loop, OPERATOR_WHERE, "all", "unrolled: rounds known at open, 4096 in all; a condition known by a run only: no stacked results"},
    {"Scan", import_scan, OPERATOR_CONCAT, "all", "unrolled: 4096 rounds in all"},
    {0},
};
