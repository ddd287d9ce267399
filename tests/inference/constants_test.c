/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of constants goes back when the last of those that share it has no reader any more, and not before. A page that went back reads as
 * zeros (sanitizer builds keep the pages). */
#include "inference/constants.h"

#include "tests/check.h"

enum { MANY = 60000, BYTES = 1 << 18 };

static uint8_t *memory;
static const uint8_t file[1];     /* a model's file is mapped, so what lies elsewhere is the graph's own */

static void start(struct graph *graph)
{
    graph_init(graph);
    graph->mapped = file;
    graph->mapped_bytes = sizeof file;
    memory = arena_allocate(&graph->arena, BYTES);
    CHECK(memory != NULL);
    memset(memory, 0xAB, BYTES);
}

/* readers: nodes that take it. */
static int32_t add(struct graph *graph, size_t offset, int32_t bytes, int readers)
{
    int32_t value = graph_add_constant(graph, "c", DTYPE_U8, &(struct shape){.rank = 1, .dims = {bytes}}, memory + offset);
    CHECK(value >= 0);
    for (int i = 0; i < readers; i++) {
        struct node *node = graph_add_node(graph, OPERATOR_RELU, "r", 1, 1);
        CHECK(node != NULL);
        node->inputs[0] = value;
    }
    return value;
}

static void count(struct graph *graph, struct graph_uses *uses, struct constants *constants)
{
    struct error error = {0};
    CHECK_OK(graph_count_uses(graph, uses, &error), error);
    CHECK_OK(constants_count(graph, uses, constants, &error), error);
}

static void check_gone(size_t offset, bool gone)
{
#ifndef EDDY_ARENA_MALLOC
    CHECK_INTEGER(memory[offset], gone ? 0 : 0xAB);
#else
    (void)offset, (void)gone;
#endif
}

static void memory_goes_with_the_last_reader_of_all_that_share_it(void)
{
    struct graph graph;
    struct graph_uses uses;
    struct constants constants;
    start(&graph);
    int32_t a = add(&graph, 0, BYTES / 2, 2), b = add(&graph, BYTES / 4, BYTES / 2, 1);
    (void)add(&graph, BYTES / 2, 100, 0);
    count(&graph, &uses, &constants);
    CHECK_INTEGER(constants.block_count, 1);
    constants_drop_unread(&graph, &constants);
    constants_release(&graph, &constants, b);
    constants_release(&graph, &constants, a);
    check_gone(BYTES / 3, false);
    constants_release(&graph, &constants, a);
    check_gone(BYTES / 3, true);
    check_gone(BYTES / 2, true);
    check_gone(BYTES - 1, false);
    graph_deinit(&graph);
}

static void neighbours_are_not_shared(void)
{
    struct graph graph;
    struct graph_uses uses;
    struct constants constants;
    start(&graph);
    int32_t first = add(&graph, 0, BYTES / 2, 1);
    (void)add(&graph, BYTES / 2, BYTES / 2, 1);
    count(&graph, &uses, &constants);
    CHECK_INTEGER(constants.block_count, 2);
    constants_release(&graph, &constants, first);
    check_gone(BYTES / 4, true);
    check_gone(BYTES / 2, false);
    graph_deinit(&graph);
}

static void what_nobody_reads_goes_at_once(void)
{
    struct graph graph;
    struct graph_uses uses;
    struct constants constants;
    start(&graph);
    (void)add(&graph, 0, BYTES / 2, 0);
    (void)add(&graph, BYTES / 2, BYTES / 2, 1);
    count(&graph, &uses, &constants);
    constants_drop_unread(&graph, &constants);
    check_gone(BYTES / 4, true);
    check_gone(BYTES / 2, false);
    graph_deinit(&graph);
}

/* A node's constant that was replaced twice: what was made after the count has no place among the counts. */
static void a_constant_made_later_has_one_reader(void)
{
    struct graph graph;
    struct graph_uses uses;
    struct constants constants;
    start(&graph);
    (void)add(&graph, 0, BYTES / 2, 1);
    count(&graph, &uses, &constants);
    int32_t later = add(&graph, BYTES / 2, BYTES / 2, 0);
    constants_release(&graph, &constants, later);
    check_gone(BYTES / 4, false);
    check_gone(BYTES / 4 * 3, true);
    graph_deinit(&graph);
}

/* Sorted once; then a release looks at one block, not at 60,000 values. */
static void many_constants_over_one_buffer_are_one_block(void)
{
    struct graph graph;
    struct graph_uses uses;
    struct constants constants;
    start(&graph);
    for (int i = 0; i < MANY; i++)
        (void)add(&graph, 2 * (size_t)i, BYTES / 2, i == MANY / 2);
    count(&graph, &uses, &constants);
    CHECK_INTEGER(constants.block_count, 1);
    CHECK_INTEGER(constants.blocks[0].values_read, 1);
    constants_drop_unread(&graph, &constants);
    check_gone(BYTES / 4, false);
    constants_release(&graph, &constants, MANY / 2);
    check_gone(BYTES / 4, true);
    graph_deinit(&graph);
}

int main(int count_of_arguments, char **arguments)
{
    return check_main(count_of_arguments, arguments, (struct check_case[]){CASE(memory_goes_with_the_last_reader_of_all_that_share_it),
                                                                           CASE(neighbours_are_not_shared), CASE(what_nobody_reads_goes_at_once),
                                                                           CASE(a_constant_made_later_has_one_reader),
                                                                           CASE(many_constants_over_one_buffer_are_one_block), {0}});
}
