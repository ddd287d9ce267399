/* SPDX-License-Identifier: Apache-2.0
 *
 * If, Loop and Scan on models written as text: what is known unrolls, what a run decides picks, what has no bound is refused. */
#include "tests/inference/run_text.h"

#define IN(...) ((const struct numbers[]){__VA_ARGS__})
#define OUT(...) ((const struct numbers[]){__VA_ARGS__})

static const char if_text[] = "(bool c, float[2] x) => (float[2] y) { y = If<then_branch = () => (float[2] a) { a = Add(x, x) },"
                              " else_branch = () => (float[2] b) { b = Neg(x) }>(c) }";

static void a_condition_of_the_run_picks_the_branch(void)
{
    run_text(if_text, IN(NUMBERS(1), NUMBERS(3, 4)), OUT(NUMBERS(6, 8)));
    run_text(if_text, IN(NUMBERS(0), NUMBERS(3, 4)), OUT(NUMBERS(-3, -4)));
}

static void a_known_condition_leaves_the_other_branch_out(void)
{
    run_text("(float[2] x) => (float[1] y) <bool c = {0}> { y = If<then_branch = () => (float[2] a) { a = NoSuchOperator(x) },"
             " else_branch = () => (float[1] b) <int64[1] one = {1}> { b = Gather(x, one) }>(c) }",
             IN(NUMBERS(3, 4)), OUT(NUMBERS(4)));
    refuse_text("(bool c, float[2] x) => (float[n] y) { y = If<then_branch = () => (float[2] a) { a = Neg(x) },"
                " else_branch = () => (float[1] b) <int64[1] one = {1}> { b = Gather(x, one) }>(c) }",
                ERROR_UNSUPPORTED, "different shapes");
}

static void a_loop_goes_round_as_often_as_it_says(void)
{
    run_text("(float[2] x) => (float[2] last, float[4,2] all) <int64 n = {4}, bool go = {1}>"
             "{ last, all = Loop<body = (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[2] s)"
             " { d = Identity(c) f = Cast<to = 1>(i) w = Add(v, f) s = Mul(w, f) }>(n, go, x) }",
             IN(NUMBERS(0, 10)), OUT(NUMBERS(6, 16), NUMBERS(0, 0, 1, 11, 6, 26, 18, 48)));
}

static void a_loop_ends_when_the_run_says_so(void)
{
    static const char text[] = "(float x) => (float y) <int64 n = {10}, float limit = {20}>"
                               "{ y = Loop<body = (int64 i, bool c, float v) => (bool d, float w) { w = Add(v, v) d = Less(w, limit) }>(n, _, x) }";
    run_text(text, IN(NUMBERS(3)), OUT(NUMBERS(24)));
    run_text(text, IN(NUMBERS(50)), OUT(NUMBERS(100)));
    run_text(text, IN(NUMBERS(0.001)), OUT(NUMBERS(1.024)));
}

static void a_loop_may_end_before_its_first_round(void)
{
    run_text("(float x, bool go) => (float y) <int64 n = {2}>"
             "{ y = Loop<body = (int64 i, bool c, float v) => (bool d, float w) { w = Add(v, v) d = Identity(c) }>(n, go, x) }",
             IN(NUMBERS(3), NUMBERS(0)), OUT(NUMBERS(3)));
}

static void loops_in_loops_share_one_bound(void)
{
    static const char text[] = "(float x) => (float y) <int64 n = {%d}, bool go = {1}>"
                               "{ y = Loop<body = (int64 i, bool c, float v) => (bool d, float w)"
                               " { d = Identity(c)"
                               " w = Loop<body = (int64 j, bool e, float u) => (bool f, float t) { f = Identity(e) t = Identity(u) }>(n, go, v) }>(n, go, x) }";
    char written[1024];
    snprintf(written, sizeof written, text, 10);
    run_text(written, IN(NUMBERS(3)), OUT(NUMBERS(3)));
    snprintf(written, sizeof written, text, 1000000);
    refuse_text(written, ERROR_LIMIT, "go round more than 4096 times");
    refuse_text("(float x) => (float y) { y = Loop<body = (int64 i, bool c, float v) => (bool d, float w) { w = Add(v, v) d = Identity(c) }>(_, _, x) }",
                ERROR_LIMIT, "go round more than 4096 times");
}

static void a_loop_without_a_bound_is_refused(void)
{
    refuse_text("(float x, bool go) => (float y)"
                "{ y = Loop<body = (int64 i, bool c, float v) => (bool d, float w) { w = Add(v, v) d = Identity(c) }>(_, go, x) }",
                ERROR_UNSUPPORTED, "only a run's condition ends");
    refuse_text("(float x, int64 n) => (float y) <bool go = {1}>"
                "{ y = Loop<body = (int64 i, bool c, float v) => (bool d, float w) { w = Add(v, v) d = Identity(c) }>(n, go, x) }",
                ERROR_UNSUPPORTED, "\"n\" must be known");
}

static void a_scan_carries_its_state_along_the_axis(void)
{
    static const char text[] = "(float[2] s, float[3,2] x) => (float[2] last, float[3,2] all)"
                               "{ last, all = Scan<num_scan_inputs = 1, %s body = (float[2] a, float[2] b) => (float[2] c, float[2] d)"
                               " { c = Add(a, b) d = Identity(c) }>(s, x) }";
    char written[1024];
    snprintf(written, sizeof written, text, "");
    run_text(written, IN(NUMBERS(100, 200), NUMBERS(1, 2, 3, 4, 5, 6)), OUT(NUMBERS(109, 212), NUMBERS(101, 202, 104, 206, 109, 212)));
    snprintf(written, sizeof written, text, "scan_input_directions = [1], scan_output_directions = [1],");
    run_text(written, IN(NUMBERS(100, 200), NUMBERS(1, 2, 3, 4, 5, 6)), OUT(NUMBERS(109, 212), NUMBERS(109, 212, 108, 210, 105, 206)));
}

/* A graph in the attribute of a node of a graph, ...: the reader does not follow for ever. */
static void graphs_nested_too_deep_are_refused(void)
{
    char text[4096] = "", closing[2048] = "";
    for (int i = 0; i < 12; i++) {
        strcat(text, i == 0 ? "(bool c, float x) => (float y) { y = If<then_branch = " : "() => (float y) { y = If<then_branch = ");
        strcat(closing, ", else_branch = () => (float z) { z = Neg(x) }>(c) }");
    }
    strcat(text, "() => (float y) { y = Neg(x) }");
    strcat(text, closing);
    refuse_text(text, ERROR_LIMIT, "graphs in graphs");
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(a_condition_of_the_run_picks_the_branch), CASE(a_known_condition_leaves_the_other_branch_out),
                                            CASE(a_loop_goes_round_as_often_as_it_says), CASE(a_loop_ends_when_the_run_says_so),
                                            CASE(a_loop_may_end_before_its_first_round), CASE(loops_in_loops_share_one_bound),
                                            CASE(a_loop_without_a_bound_is_refused), CASE(a_scan_carries_its_state_along_the_axis),
                                            CASE(graphs_nested_too_deep_are_refused), {0}});
}
