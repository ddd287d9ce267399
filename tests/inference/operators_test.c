/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that the ONNX node tests do not reach, on models written as text; the expected numbers are worked out by hand from the operators'
 * definitions. */
#include "tests/inference/run_text.h"

#define IN(...) ((const struct numbers[]){__VA_ARGS__})
#define OUT(...) ((const struct numbers[]){__VA_ARGS__})

static void gather_elements_takes_one_index_for_each_result(void)
{
    run_text("(float[2,3] x, int64[2,2] i) => (float[2,2] y) { y = GatherElements<axis = 1>(x, i) }",
             IN(NUMBERS(1, 2, 3, 4, 5, 6), NUMBERS(2, 0, -1, 1)), OUT(NUMBERS(3, 1, 6, 5)));
}

static void gather_by_tuples_takes_rows_and_elements(void)
{
    run_text("(float[2,2,2] x) => (float[2,2] rows, float[2] elements) <int64[2,2] pairs = {0,1, 1,0}, int64[2,3] triples = {0,0,1, 1,1,1}>"
             "{ rows = GatherND(x, pairs) elements = GatherND(x, triples) }",
             IN(NUMBERS(0, 1, 2, 3, 4, 5, 6, 7)), OUT(NUMBERS(2, 3, 4, 5), NUMBERS(1, 7)));
    run_text("(float[2,3] x, int64[2,1] i) => (float[2] y) { y = GatherND<batch_dims = 1>(x, i) }", IN(NUMBERS(1, 2, 3, 4, 5, 6), NUMBERS(2, 0)),
             OUT(NUMBERS(3, 4)));
}

static void scatter_writes_or_combines(void)
{
    run_text("(float[3] x, int64[4] i, float[4] u) => (float[3] last, float[3] sum, float[3] most)"
             "{ last = ScatterElements(x, i, u) sum = ScatterElements<reduction = \"add\">(x, i, u) most = ScatterElements<reduction = \"max\">(x, i, u) }",
             IN(NUMBERS(10, 20, 30), NUMBERS(0, 2, 2, -3), NUMBERS(1, 2, 3, 40)),
             OUT(NUMBERS(40, 20, 3), NUMBERS(51, 20, 35), NUMBERS(40, 20, 30)));
    run_text("(int32[2,2] x, int64[1,1] i, int32[1,2] u) => (int32[2,2] y) { y = ScatterND<reduction = \"mul\">(x, i, u) }",
             IN(NUMBERS(1, 2, 3, 4), NUMBERS(1), NUMBERS(5, -6)), OUT(NUMBERS(1, 2, 15, -24)));
}

static void indices_from_a_run_never_leave_the_data(void)
{
    run_text("(float[3] x, int64[4] i) => (float[4] y) { y = Gather(x, i) }", IN(NUMBERS(1, 2, 3), NUMBERS(-9e15, 9e15, -1, 3)), OUT(NUMBERS(1, 3, 3, 3)));
    run_text("(float[3] x, int64[2] i, float[2] u) => (float[3] y) { y = ScatterElements(x, i, u) }",
             IN(NUMBERS(1, 2, 3), NUMBERS(-1000, 1000), NUMBERS(7, 8)), OUT(NUMBERS(7, 2, 8)));
}

static void cumulative_sums_go_both_ways(void)
{
    run_text("(float[2,3] x) => (float[2,3] a, float[2,3] b, float[2,3] c) <int64 one = {1}, int64 zero = {0}>"
             "{ a = CumSum(x, one) b = CumSum<reverse = 1, exclusive = 1>(x, one) c = CumSum(x, zero) }",
             IN(NUMBERS(1, 2, 3, 4, 5, 6)), OUT(NUMBERS(1, 3, 6, 4, 9, 15), NUMBERS(5, 3, 0, 11, 6, 0), NUMBERS(1, 2, 3, 5, 7, 9)));
}

static void triangles_keep_one_side_of_a_diagonal(void)
{
    run_text("(int64[3,3] x) => (int64[3,3] upper, int64[3,3] lower) <int64 k = {-1}> { upper = Trilu(x) lower = Trilu<upper = 0>(x, k) }",
             IN(NUMBERS(1, 2, 3, 4, 5, 6, 7, 8, 9)), OUT(NUMBERS(1, 2, 3, 0, 5, 6, 0, 0, 9), NUMBERS(0, 0, 0, 4, 0, 0, 7, 8, 0)));
}

static void blocks_of_depth_become_space_and_back(void)
{
    run_text("(float[1,4,1,2] x) => (float[1,1,2,4] d, float[1,1,2,4] c, float[1,4,1,2] back)"
             "{ d = DepthToSpace<blocksize = 2>(x) c = DepthToSpace<blocksize = 2, mode = \"CRD\">(x) back = SpaceToDepth<blocksize = 2>(d) }",
             IN(NUMBERS(0, 1, 10, 11, 20, 21, 30, 31)),
             OUT(NUMBERS(0, 10, 1, 11, 20, 30, 21, 31), NUMBERS(0, 10, 1, 11, 20, 30, 21, 31), NUMBERS(0, 1, 10, 11, 20, 21, 30, 31)));
    run_text("(float[1,8,1,1] x) => (float[1,2,2,2] d, float[1,2,2,2] c)"
             "{ d = DepthToSpace<blocksize = 2>(x) c = DepthToSpace<blocksize = 2, mode = \"CRD\">(x) }",
             IN(NUMBERS(0, 1, 2, 3, 4, 5, 6, 7)), OUT(NUMBERS(0, 2, 4, 6, 1, 3, 5, 7), NUMBERS(0, 1, 2, 3, 4, 5, 6, 7)));
}

static void packed_weights_multiply_like_the_numbers_they_stand_for(void)
{
    /* columns 1..4 + 8 with zero 8, and 0..3 with zero 1; a second block of two numbers */
    run_text("(float[2,6] x, uint8[2,2,2] w, float[4] s, uint8[2,1] z, float[2] b) => (float[2,2] y, float[2,2] plain)"
             "{ y = MatMulNBits<K = 6, N = 2, bits = 4, block_size = 4>(x, w, s, z, _, b) plain = MatMulNBits<K = 6, N = 2, block_size = 4>(x, w, s) }",
             IN(NUMBERS(1, 2, 3, 4, 5, 6, 1, 0, 0, 0, 0, 1), NUMBERS(0xA9, 0xCB, 0x98, 0, 0x10, 0x32, 0x21, 0), NUMBERS(1, 0.5, 2, 10),
                NUMBERS(0x88, 0x11), NUMBERS(100, 0)),
             OUT(NUMBERS(133, 80, 101.5, 8), NUMBERS(33, -830, 1.5, -76)));
}

static void an_einsum_is_a_product_of_matrices(void)
{
    run_text("(float[2,3] x, float[3,2] y) => (float[2,2] p, float[2,2] t)"
             "{ p = Einsum<equation = \"ij,jk->ik\">(x, y) t = Einsum<equation = \"ij, jk -> ki\">(x, y) }",
             IN(NUMBERS(1, 2, 3, 4, 5, 6), NUMBERS(1, 0, 0, 1, 1, 1)), OUT(NUMBERS(4, 5, 10, 11), NUMBERS(4, 10, 5, 11)));
    run_text("(float[1,2,2,1] q, float[1,2,2,1] k) => (float[1,2,2,2] y) { y = Einsum<equation = \"bihd,bjhd->bhij\">(q, k) }",
             IN(NUMBERS(1, 2, 3, 4), NUMBERS(5, 6, 7, 8)), OUT(NUMBERS(5, 7, 15, 21, 12, 16, 24, 32)));
    refuse_text("(float[2,2] x, float[2,2] y) => (float[2,2] z) { z = Einsum<equation = \"ii,ij->j\">(x, y) }", ERROR_UNSUPPORTED, "an equation");
}

static void tiles_repeat_and_ranges_count(void)
{
    run_text("(float[2,1] x) => (float[2,6] y) <int64[2] times = {1, 3}>"
             "{ t = Tile(x, times) y = Concat<axis = 1>(t, t) }",
             IN(NUMBERS(1, 2)), OUT(NUMBERS(1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2)));
    run_text("(float[1] x) => (float[3] y) <float a = {5}, float b = {-2}, float c = {-3}> { r = Range(a, b, c) y = Add(x, r) }", IN(NUMBERS(1)),
             OUT(NUMBERS(6, 3, 0)));
}

static void numbers_of_a_file_that_are_none_count_as_zero(void)
{
    run_text("(float[2,2] x) => (float[2,2] y) <float k = {nan}> { y = Trilu(x, k) }", IN(NUMBERS(1, 2, 3, 4)), OUT(NUMBERS(1, 2, 0, 4)));
    run_text("(float[1,1,4] b, float[1,1,1] s) => (int64[n,3] y) <float most = {nan}> { y = NonMaxSuppression(b, s, most) }",
             IN(NUMBERS(0, 0, 1, 1), NUMBERS(1)), OUT((struct numbers){0}));
}

static void every_integer_type_computes_and_wraps(void)
{
    run_text("(uint8[2] x, uint8[2] y) => (uint8[2] s, uint8[2] d, uint8[2] m, bool[2] l) { s = Add(x, y) d = Sub(x, y) m = Mod(x, y) l = Less(x, y) }",
             IN(NUMBERS(250, 3), NUMBERS(10, 7)), OUT(NUMBERS(4, 10), NUMBERS(240, 252), NUMBERS(0, 3), NUMBERS(0, 1)));
    run_text("(int16[3] x, int16[3] y) => (int16[3] floor, int16[3] rest, int16[3] quotient)"
             "{ floor = Mod(x, y) rest = Mod<fmod = 1>(x, y) quotient = Div(x, y) }",
             IN(NUMBERS(-7, 7, 5), NUMBERS(3, -3, 0)), OUT(NUMBERS(2, -2, 0), NUMBERS(-1, 1, 0), NUMBERS(-2, -2, 0)));
    run_text("(uint32[2] x, uint32[2] k) => (uint32[2] a, uint32[2] b, uint32[2] c)"
             "{ a = BitShift<direction = \"LEFT\">(x, k) b = BitwiseXor(x, k) c = BitwiseNot(x) }",
             IN(NUMBERS(1, 4294967295.0), NUMBERS(31, 1)), OUT(NUMBERS(2147483648.0, 4294967294.0), NUMBERS(30, 4294967294.0), NUMBERS(4294967294.0, 0)));
}

static void reductions_are_exact_for_integers(void)
{
    run_text("(int64[2,2] x) => (int64[2,1] p, int64[1,2] l, int64 s) <int64[1] one = {1}, int64[1] zero = {0}>"
             "{ p = ReduceProd(x, one) l = ReduceL1(x, zero) s = ReduceSum<keepdims = 0>(x) }",
             IN(NUMBERS(3, -4, 5, 9007199254740991.0)), OUT(NUMBERS(-12, 45035996273704955.0), NUMBERS(8, 9007199254740995.0), NUMBERS(9007199254740995.0)));
    run_text("(float[2,2] x) => (float[2,1] a, float[2,1] b, float[2] c) <int64[1] one = {1}>"
             "{ a = ReduceL2(x, one) b = ReduceLogSumExp(x, one) c = ArgMin<axis = 1, keepdims = 0>(x) }",
             IN(NUMBERS(3, 4, 1000, 1000)), OUT(NUMBERS(5, 1414.213562), NUMBERS(4.313262, 1000.693147), NUMBERS(0, 0)));
}

static void normalisations_center_and_scale_their_lines(void)
{
    run_text("(float[1,2,2] x, float[2] s, float[2] b) => (float[1,2,2] y) { y = InstanceNormalization<epsilon = 0.0>(x, s, b) }",
             IN(NUMBERS(1, 3, 10, 30), NUMBERS(1, 2), NUMBERS(0, 5)), OUT(NUMBERS(-1, 1, 3, 7)));
    run_text("(float[1,4,1] x, float[4] s, float[4] b) => (float[1,4,1] y) { y = GroupNormalization<num_groups = 2, epsilon = 0.0>(x, s, b) }",
             IN(NUMBERS(1, 3, 10, 30), NUMBERS(1, 1, 2, 2), NUMBERS(0, 0, 0, 5)), OUT(NUMBERS(-1, 1, -2, 7)));
    run_text("(float[1,2] x, float[2] s) => (float[1,2] y) { y = RMSNormalization<epsilon = 0.0>(x, s) }", IN(NUMBERS(1, 7), NUMBERS(5, 10)),
             OUT(NUMBERS(1, 14)));
}

static void the_number_of_found_elements_is_known_by_the_run(void)
{
    run_text("(float[2,2] x) => (int64[2,n] where, int64[n,2] rows, float[n] found)"
             "{ where = NonZero(x) rows = Transpose(where) found = GatherND(x, rows) }",
             IN(NUMBERS(0, 5, 6, 0)), OUT(NUMBERS(0, 1, 1, 0), NUMBERS(0, 1, 1, 0), NUMBERS(5, 6)));
    run_text("(float[3] x) => (int64[1,n] where) { where = NonZero(x) }", IN(NUMBERS(0, 0, 0)), OUT((struct numbers){0}));
    refuse_text("(float[4] x) => (float y) { where = NonZero(x) z = Cast<to = 1>(where) y = ReduceSum<keepdims = 0>(z) }", ERROR_UNSUPPORTED,
                "an operand whose extent is known by a run only");
}

static void what_must_be_known_is_refused_when_a_run_computes_it(void)
{
    refuse_text("(float[4] x, int64[2] s) => (float[2,2] y) { y = Reshape(x, s) }", ERROR_UNSUPPORTED, "\"s\" must be known when the model is opened");
}

/* The same model with its shape given at open. */
static void a_given_input_becomes_a_constant(void)
{
    size_t length;
    struct error error = {0};
    struct model *model;
    const int64_t target[2] = {3, 2};
    uint8_t *bytes = onnx_from_text("(int64[2] s, float[6] x) => (float[a,b] y) { t = Identity(s) u = Add(t, t) v = Sub(u, t) y = Reshape(x, v) }", 21,
                                    &length);
    struct input_shape given = {.name = "s", .shape = {.rank = 1, .dims = {2}}, .dtype = DTYPE_I64, .data = target};
    struct model_options options = {.input_shapes = &given, .input_shape_count = 1};
    CHECK_OK(model_open_bytes(bytes, length, "text", &options, &model, &error), error);
    CHECK_INTEGER(model_input_count(model), 1);
    CHECK_TEXT(model_input(model, 0)->name, "x");
    CHECK_INTEGER(model_input_position(model, 0), 1);
    CHECK_INTEGER(model_output(model, 0)->shape.dims[0], 3);
    run_opened(model, IN(NUMBERS(1, 2, 3, 4, 5, 6)), OUT(NUMBERS(1, 2, 3, 4, 5, 6)));
    model_close(model);
    given.dtype = DTYPE_I32;
    CHECK(model_open_bytes(bytes, length, "text", &options, &model, &error) == ERROR_INPUT);
    free(bytes);
}

static void small_files_do_not_buy_much_memory_or_time(void)
{
    refuse_text("(float[1] x) => (float[1] y) <int64[3] s = {1024, 1024, 1023}> { c = ConstantOfShape(s) y = ReduceSum(c) }", ERROR_LIMIT,
                "ConstantOfShape");
    refuse_text("(float[1] x) => (float[1] y) <int64[1] s = {1099511627776}> { y = Expand(x, s) }", ERROR_MODEL, "Expand");
    refuse_text("(float[1] x) => (float[1] y) <int64[4] s = {65536, 65536, 65536, 0}> { y = Expand(x, s) }", ERROR_LIMIT, "Expand");
    refuse_text("(float[1,1,8,8] x) => (float[1] y) <float[4] s = {1, 1, 1e9, 1}> { y = Resize<mode = \"cubic\">(x, _, s) }", ERROR_MODEL, "Resize");
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(gather_elements_takes_one_index_for_each_result), CASE(gather_by_tuples_takes_rows_and_elements),
                                            CASE(scatter_writes_or_combines), CASE(indices_from_a_run_never_leave_the_data),
                                            CASE(cumulative_sums_go_both_ways), CASE(triangles_keep_one_side_of_a_diagonal),
                                            CASE(every_integer_type_computes_and_wraps), CASE(numbers_of_a_file_that_are_none_count_as_zero),
                                            CASE(blocks_of_depth_become_space_and_back),
                                            CASE(tiles_repeat_and_ranges_count), CASE(an_einsum_is_a_product_of_matrices),
                                            CASE(packed_weights_multiply_like_the_numbers_they_stand_for), CASE(reductions_are_exact_for_integers),
                                            CASE(normalisations_center_and_scale_their_lines), CASE(the_number_of_found_elements_is_known_by_the_run),
                                            CASE(what_must_be_known_is_refused_when_a_run_computes_it), CASE(a_given_input_becomes_a_constant),
                                            CASE(small_files_do_not_buy_much_memory_or_time), {0}});
}
