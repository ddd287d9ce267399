/* SPDX-License-Identifier: Apache-2.0
 *
 * Places in memory: what lives at the same time never overlaps, however many values there are, and a chain takes two places. */
#include "inference/plan.h"

#include "tests/check.h"

enum { FLOATS = 64, WIDE = 16000, FEW = 300 };

static int32_t add_sum(struct graph *graph, int32_t a, int32_t b)
{
    struct node *node = graph_add_node(graph, OPERATOR_ADD, "sum", 2, 1);
    CHECK(node != NULL);
    node->inputs[0] = a;
    node->inputs[1] = b;
    int32_t result = node->outputs[0];
    graph->values[result].shape = (struct shape){.rank = 1, .dims = {FLOATS}};
    return result;
}

static void start(struct graph *graph, struct operation **operations, int nodes)
{
    graph_init(graph);
    graph->inputs = arena_allocate(&graph->arena, sizeof *graph->inputs);
    graph->outputs = arena_allocate(&graph->arena, sizeof *graph->outputs);
    *operations = arena_allocate_array(&graph->arena, (size_t)nodes, sizeof **operations);
    CHECK(graph->inputs != NULL && graph->outputs != NULL && *operations != NULL);
    graph->inputs[0] = graph_add_value(graph, "x", DTYPE_F32);
    graph->values[graph->inputs[0]].shape = (struct shape){.rank = 1, .dims = {FLOATS}};
    graph->input_count = graph->output_count = 1;
}

static int ascending(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* `count` values are made from the input before the first of them is read. */
static void check_wide(int count)
{
    struct graph graph;
    struct operation *operations;
    struct plan plan;
    struct error error;
    start(&graph, &operations, 2 * count);
    int32_t x = graph.inputs[0], sum = x, first = graph.value_count;
    for (int i = 0; i < count; i++)
        (void)add_sum(&graph, x, x);
    for (int i = 0; i < count; i++)
        sum = add_sum(&graph, first + i, sum);
    graph.outputs[0] = sum;
    CHECK_OK(plan_make(&graph, operations, &plan, &error), error);
    CHECK(plan.bytes >= plan.lower_bound && plan.lower_bound >= (size_t)count * FLOATS * sizeof(float));
    CHECK(count > FEW || plan.bytes == plan.lower_bound);
    size_t *offsets = malloc((size_t)count * sizeof *offsets);
    CHECK(offsets != NULL);
    memcpy(offsets, plan.offsets + first, (size_t)count * sizeof *offsets);
    qsort(offsets, (size_t)count, sizeof *offsets, ascending);
    for (int i = 1; i < count; i++)
        CHECK(offsets[i] - offsets[i - 1] >= FLOATS * sizeof(float));
    free(offsets);
    graph_deinit(&graph);
}

static void values_that_live_together_never_overlap(void)
{
    check_wide(FEW);
    check_wide(WIDE); /* as many as a file may have: found to take minutes once */
}

static void a_chain_takes_two_places_beside_its_input(void)
{
    struct graph graph;
    struct operation *operations;
    struct plan plan;
    struct error error;
    start(&graph, &operations, FEW);
    int32_t last = graph.inputs[0];
    for (int i = 0; i < FEW; i++)
        last = add_sum(&graph, last, last);
    graph.outputs[0] = last;
    CHECK_OK(plan_make(&graph, operations, &plan, &error), error);
    CHECK(plan.bytes == plan.lower_bound);
    CHECK(plan.offsets[last] != plan.offsets[last - 1] && plan.offsets[last] == plan.offsets[last - 2]);
    graph_deinit(&graph);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(values_that_live_together_never_overlap),
                                                              CASE(a_chain_takes_two_places_beside_its_input), {0}});
}
