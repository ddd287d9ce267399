/* SPDX-License-Identifier: Apache-2.0
 *
 * Each pass does its work, can be left out, and leaves the results as they were. */
#include "inference/operators/operators.h"
#include "inference/passes/passes.h"

#include "tests/inference/run_text.h"

static const char layers[] = "(float[1,2,4,4] x) => (float[1,2,4,4] y)"
                             "<float[2,2,1,1] w = {1, 2, 3, 4}, float[2] s = {1, 2}, float[2] b = {0, -5}, float[2] m = {1, 1}, float[2] v = {3, 3},"
                             " float[2,2,1,1] same = {1, 0, 0, 1}>"
                             "{ c = Conv(x, w) n = BatchNormalization<epsilon = 1.0>(c, s, b, m, v) r = Relu(n) y = Conv(r, same) }";

/* What the trace of that model says; free() it. */
static char *trace_of(const char *text, const char *skipped)
{
    char *written = NULL;
    size_t written_bytes = 0, length;
    struct error error = {0};
    struct model *model;
    uint8_t *bytes = onnx_from_text(text, 21, &length);
    FILE *trace = open_memstream(&written, &written_bytes);
    CHECK(trace != NULL);
    struct model_options options = {.skip_passes = skipped, .trace = trace};
    CHECK_OK(model_open_bytes(bytes, length, "text", &options, &model, &error), error);
    fclose(trace);
    model_close(model);
    free(bytes);
    return written;
}

/* Nodes of that kind in the last graph of the trace. */
static int count_last(const char *trace, const char *kind)
{
    const char *last = trace;
    char wanted[64];
    int count = 0;
    for (const char *at = trace; (at = strstr(at, "after ")) != NULL; at++)
        last = at;
    snprintf(wanted, sizeof wanted, " %s", kind);
    for (const char *at = last; (at = strstr(at, wanted)) != NULL; at++)
        count += strchr(" (", at[strlen(wanted)]) != NULL;
    return count;
}

static void check_count(const char *skipped, const char *kind, int expected)
{
    char *trace = trace_of(layers, skipped);
    int seen = count_last(trace, kind);
    if (seen != expected)
        printf("%s", trace);
    free(trace);
    CHECK_INTEGER(seen, expected);
}

static void layout_lets_transposes_meet_and_vanish(void)
{
    char *trace = trace_of("(float[1,2,4,4] x) => (float[1,1,4,4] y) <float[2,2,1,1] w = {1, 2, 3, 4}, float[1,2,1,1] u = {1, 1}>"
                           "{ a = Conv(x, w) b = Sigmoid(a) y = Conv(b, u) }", NULL);
    CHECK_INTEGER(count_last(trace, "Transpose"), 1); /* of the input; that of one channel moves nothing */
    free(trace);
}

static void batch_normalisation_becomes_part_of_the_layer_before(void)
{
    check_count(NULL, "BatchNormalization", 0);
    check_count("batch-norm", "BatchNormalization", 1);
}

/* From the second on, the weights that are replaced are those that the one before has made. */
static void several_batch_normalisations_become_part_of_one_layer(void)
{
    char *trace = trace_of("(float[1,2,4,4] x) => (float[1,2,4,4] y) <float[2,2,1,1] w = {1, 2, 3, 4}, float[2] s = {1, 2}, float[2] v = {3, 3}>"
                           "{ a = Conv(x, w) b = BatchNormalization(a, s, s, s, v) c = BatchNormalization(b, s, s, s, v)"
                           " y = BatchNormalization(c, s, s, s, v) }", NULL);
    CHECK_INTEGER(count_last(trace, "BatchNormalization"), 0);
    free(trace);
}

static void an_activation_becomes_the_end_of_the_layer_before(void)
{
    check_count(NULL, "Relu", 0);
    check_count("activation", "Relu", 1);
}

/* A chain of that many transpositions which cancel two by two, and of clips behind sums: what two passes take out one by one. */
static int64_t renewed_in_chain(int nodes, int *left)
{
    struct graph graph;
    struct error error = {0};
    graph_init(&graph);
    graph.inputs = arena_allocate(&graph.arena, sizeof *graph.inputs);
    graph.outputs = arena_allocate(&graph.arena, sizeof *graph.outputs);
    CHECK(graph.inputs != NULL && graph.outputs != NULL);
    int32_t value = graph.inputs[0] = graph_add_value(&graph, "x", DTYPE_F32);
    graph.values[value].shape = (struct shape){.rank = 2, .dims = {2, 3}};
    graph.values[value].shape_known = true;
    for (int i = 0; i < nodes; i++) {
        const enum operator_kind kind = i % 4 < 2 ? OPERATOR_TRANSPOSE : i % 4 == 2 ? OPERATOR_ADD : OPERATOR_RELU;
        struct node *node = graph_add_node(&graph, kind, "n", kind == OPERATOR_ADD ? 2 : 1, 1);
        CHECK(node != NULL);
        for (int k = 0; k < node->input_count; k++)
            node->inputs[k] = value;
        if (kind == OPERATOR_TRANSPOSE)
            memcpy(node->attributes.transpose.order, (int32_t[]){1, 0}, 2 * sizeof(int32_t));
        value = node->outputs[0];
        CHECK_OK(operator_infer(&graph, node, &error), error);
    }
    graph.outputs[0] = value;
    graph.input_count = graph.output_count = 1;
    CHECK_OK(passes_run(&graph, NULL, NULL, &error), error);
    int64_t renewed = graph.inputs_renewed;
    *left = graph.node_count;
    graph_deinit(&graph);
    return renewed;
}

static void a_pass_looks_at_each_input_a_few_times_however_many_nodes_it_takes_out(void)
{
    enum { MANY = 30000, FEW = 300, LOOKS = 16 };
    int left;
    CHECK(renewed_in_chain(FEW, &left) <= LOOKS * FEW);
    CHECK_INTEGER(left, FEW / 4);
    CHECK(renewed_in_chain(MANY, &left) <= LOOKS * MANY);
    CHECK_INTEGER(left, MANY / 4);
}

/* 100 sums of 32 MiB: the first are computed, then GRAPH_WORK_MAX is used up and the others stay. */
static void a_few_bytes_do_not_fold_for_minutes(void)
{
    enum { SUMS = 100 };
    char *text, *trace;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    CHECK(file != NULL);
    fputs("(float[1] x) => (float[1] y) <int64[1] n = {8388608}, int64[1] axis = {0}>{ c = ConstantOfShape(n) y0 = Identity(x)", file);
    for (int i = 0; i < SUMS; i++)
        fprintf(file, " s%d = ReduceSum(c, axis) y%d = Add(y%d, s%d)", i, i + 1, i, i);
    fprintf(file, " y = Identity(y%d) }", SUMS);
    fclose(file);
    trace = trace_of(text, NULL);
    int left = count_last(trace, "ReduceSum");
    CHECK(left > SUMS / 2 && left < SUMS);
    free(trace);
    free(text);
}

/* Windows over all channels: a square of the elements, for which folding has no bound. */
static void what_may_take_far_longer_than_its_operands_tell_is_not_folded(void)
{
    char *trace = trace_of("(float[1,2,1,1] x) => (float[1,2,1,1] y) <float[1,2,1,1] c = {1, 2}>{ n = LRN<size = 3>(c) y = Add(x, n) }", NULL);
    CHECK_INTEGER(count_last(trace, "LRN"), 1);
    free(trace);
}

static void constants_made_of_shapes_are_bounded_together(void)
{
    struct error error = {0};
    struct model *model;
    size_t length;
    uint8_t *bytes = onnx_from_text("(float[1] x) => (float[1] y) <int64[1] n = {50000000}, int64[1] axis = {0}>{ a = ConstantOfShape(n)"
                                    " b = ConstantOfShape(n) c = ConstantOfShape(n) y = Identity(x) }", 21, &length);
    CHECK(model_open_bytes(bytes, length, "text", NULL, &model, &error) == ERROR_LIMIT);
    CHECK(strstr(error.message, "50000000 elements") != NULL);
    free(bytes);
}

static void nothing_changes_where_all_are_left_out(void)
{
    char *trace = trace_of(layers, "all");
    CHECK(strstr(trace, "layout: left out") != NULL && strstr(trace, "quantize: left out") != NULL);
    CHECK_INTEGER(count_last(trace, "Transpose"), 6);
    free(trace);
}

static void quantised_layers_are_found_between_their_scales(void)
{
    static const char text[] = "(float[1,4] x) => (float[1,2] y)"
                               "<int8[2,4] w = {1, 2, 3, 4, -1, -2, -3, -4}, float s = {0.5}, uint8 z = {128}, int8 n = {0}, float t = {2}>"
                               "{ q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) f = DequantizeLinear(w, s, n)"
                               " g = Gemm<transB = 1>(d, f) p = QuantizeLinear(g, t, z) y = DequantizeLinear(p, t, z) }";
    char *trace = trace_of(text, NULL);
    CHECK_INTEGER(count_last(trace, "Dequantize"), 1);
    free(trace);
    trace = trace_of(text, "quantize");
    CHECK(count_last(trace, "Dequantize") >= 2);
    free(trace);
    run_text(text, (const struct numbers[]){NUMBERS(1, 2, 3, 4)}, (const struct numbers[]){NUMBERS(16, -16)});
}

static void results_are_the_same_with_and_without(void)
{
    struct numbers x = {.count = 32}, y = {.count = 32};
    for (int i = 0; i < 32; i++)
        x.values[i] = i % 5 - 2;
    for (int i = 0; i < 16; i++) {
        double first = x.values[i] + 2 * x.values[16 + i], second = 3 * x.values[i] + 4 * x.values[16 + i];
        y.values[i] = fmax(0, (first - 1) / 2);
        y.values[16 + i] = fmax(0, (second - 1) / 2 * 2 - 5);
    }
    run_text(layers, &x, &y);
}

static void images_may_be_given_channels_last(void)
{
    struct error error = {0};
    struct model *model;
    size_t length;
    uint8_t *bytes = onnx_from_text(layers, 21, &length);
    struct model_options options = {.channels_last = true};
    struct numbers x = {.count = 32}, y = {.count = 32};
    for (int i = 0; i < 16; i++) {
        double a = i % 5 - 2, b = i % 3 - 1;
        x.values[2 * i] = a;
        x.values[2 * i + 1] = b;
        y.values[i] = fmax(0, (a + 2 * b - 1) / 2);
        y.values[16 + i] = fmax(0, 3 * a + 4 * b - 1 - 5);
    }
    CHECK_OK(model_open_bytes(bytes, length, "text", &options, &model, &error), error);
    const struct shape last = {.rank = 4, .dims = {1, 4, 4, 2}}, first = {.rank = 4, .dims = {1, 2, 4, 4}};
    CHECK(shape_equal(&model_input(model, 0)->shape, &last));
    CHECK(shape_equal(&model_output(model, 0)->shape, &first));
    run_opened(model, &x, &y);
    model_close(model);
    free(bytes);
}

static void inputs_that_are_read_as_they_are_stay_so(void)
{
    struct error error = {0};
    struct model *model;
    size_t length;
    uint8_t *bytes = onnx_from_text("(float[1,2,4,4] x) => (float[1,2,4,4] y, float[2,16] z)"
                                    "<float[2,2,1,1] w = {1, 2, 3, 4}, int64[2] s = {2, 16}> { y = Conv(x, w) z = Reshape(x, s) }", 21, &length);
    struct model_options options = {.channels_last = true};
    CHECK_OK(model_open_bytes(bytes, length, "text", &options, &model, &error), error);
    CHECK_INTEGER(model_input(model, 0)->shape.dims[1], 2);
    model_close(model);
    free(bytes);
}

/* One input of the concat comes from elsewhere; two images, so that distances between pixels and between images count. */
static void convolutions_write_to_where_a_concat_would_copy_their_results(void)
{
    static const char floats[] = "(float[2,2,2,2] x) => (float[2,7,2,2] y)"
                                 "<float[3,2,1,1] w = {1, 0, 0, 1, 1, 1}, float[2,2,1,1] u = {2, -1, 2, -1}>"
                                 "{ a = Conv(x, w) b = Conv(x, u) p = MaxPool<kernel_shape = [1, 1]>(x) c = Concat<axis = 1>(a, p, b) y = Relu(c) }";
    static const char bytes[] = "(uint8[2,2,2,2] x) => (uint8[2,5,2,2] y)"
                                "<float s = {1}, uint8 z = {0}, int8 n = {0}, int8[3,2,1,1] w = {1, 0, 0, 1, 1, 1}, int8[2,2,1,1] u = {2, -1, 2, -1}>"
                                "{ a = QLinearConv(x, s, z, w, s, n, s, z) b = QLinearConv(x, s, z, u, s, n, s, z) y = Concat<axis = 1>(a, b) }";
    struct numbers x = {.count = 16}, y = {.count = 56}, z = {.count = 40};
    for (int i = 0; i < 16; i++)
        x.values[i] = i % 7 + (i % 3 == 0 ? 1 : 0);
    for (int i = 0; i < 8; i++) { /* image i / 4, pixel i % 4 */
        double first = x.values[i / 4 * 8 + i % 4], second = x.values[i / 4 * 8 + 4 + i % 4], last = fmax(0, 2 * first - second);
        double all[] = {first, second, first + second, first, second, last, last};
        for (int c = 0; c < 7; c++)
            y.values[i / 4 * 28 + c * 4 + i % 4] = all[c];
        for (int c = 0; c < 5; c++)
            z.values[i / 4 * 20 + c * 4 + i % 4] = c >= 3 ? last : all[c];
    }
    run_text(floats, &x, &y);
    run_text(bytes, &x, &z);
    for (int i = 0; i < 2; i++) {
        char *with = trace_of(i == 0 ? floats : bytes, NULL), *without = trace_of(i == 0 ? floats : bytes, "concat");
        CHECK(strstr(with, "+0\n") != NULL && strstr(with, i == 0 ? "+5\n" : "+3\n") != NULL && strstr(without, "@v") == NULL);
        free(with);
        free(without);
    }
}

/* As exporters write boxes: corners from centres and sizes that were just put together. Slices beside an input's edge stay. */
static void what_a_concat_has_put_together_is_not_taken_apart_again(void)
{
    static const char text[] =
        "(float[1,2,2] c, float[1,2,2] s) => (float[1,2,4] y, float[1,2,1] z)"
        "<float two = {2}, float again = {2}, int64[1] none = {0}, int64[1] half = {2}, int64[1] all = {4}, int64[1] last = {2}, int64[1] one = {1}>"
        "{ b = Concat<axis = 2>(c, s)"
        "  c1 = Slice(b, none, half, last) s1 = Slice(b, half, all, last) h1 = Div(s1, two) low = Sub(c1, h1)"
        "  c2 = Slice(b, none, half, last) s2 = Slice(b, half, all, last) h2 = Div(s2, again) high = Add(c2, h2)"
        "  y = Concat<axis = 2>(low, high) z = Slice(b, one, half, last) }";
    static const char *const kinds[] = {"Slice", "Div", "Concat"};
    static const int with[] = {1, 1, 2}, without[] = {5, 2, 2};
    char *trace = trace_of(text, NULL), *left_out = trace_of(text, "reuse");
    for (int i = 0; i < 3; i++) {
        CHECK_INTEGER(count_last(trace, kinds[i]), with[i]);
        CHECK_INTEGER(count_last(left_out, kinds[i]), without[i]);
    }
    free(trace);
    free(left_out);
    struct numbers y = NUMBERS(-0.5, 0, 2.5, 4, 1, 1, 7, 9), z = NUMBERS(2, 5);
    run_text(text, (const struct numbers[]){NUMBERS(1, 2, 4, 5), NUMBERS(3, 4, 6, 8)}, (const struct numbers[]){y, z});
}

static void a_name_that_is_no_pass_is_refused(void)
{
    struct error error = {0};
    struct model *model;
    size_t length;
    uint8_t *bytes = onnx_from_text(layers, 21, &length);
    struct model_options options = {.skip_passes = "layout,layot"};
    CHECK(model_open_bytes(bytes, length, "text", &options, &model, &error) == ERROR_INPUT);
    CHECK(strstr(error.message, "\"layot\"") != NULL);
    free(bytes);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(layout_lets_transposes_meet_and_vanish), CASE(batch_normalisation_becomes_part_of_the_layer_before),
                                            CASE(several_batch_normalisations_become_part_of_one_layer),
                                            CASE(an_activation_becomes_the_end_of_the_layer_before), CASE(nothing_changes_where_all_are_left_out),
                                            CASE(a_pass_looks_at_each_input_a_few_times_however_many_nodes_it_takes_out),
                                            CASE(a_few_bytes_do_not_fold_for_minutes),
                                            CASE(what_may_take_far_longer_than_its_operands_tell_is_not_folded),
                                            CASE(constants_made_of_shapes_are_bounded_together),
                                            CASE(quantised_layers_are_found_between_their_scales), CASE(results_are_the_same_with_and_without),
                                            CASE(images_may_be_given_channels_last), CASE(inputs_that_are_read_as_they_are_stay_so),
                                            CASE(convolutions_write_to_where_a_concat_would_copy_their_results),
                                            CASE(what_a_concat_has_put_together_is_not_taken_apart_again),
                                            CASE(a_name_that_is_no_pass_is_refused), {0}});
}
