/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layers are shared, on a clock of its own: whole runs decide, not what single layers promise. */
#include "inference/sharing.h"

#include "tests/check.h"

enum { LAYERS = 3, LARGE = 0, SMALL = 1, WHOLE = 2, THREADS = 2, RUNS = 200, HAND_OVER_NS = 1000, LARGE_NS = 100000, SMALL_NS = 6000, WHOLE_NS = 5000 };

struct machine {
    struct sharing sharing;
    int64_t now_ns, pause_ns;
    int64_t run_ns[SHARING_LEVELS]; /* what a run takes at each level */
};

static void start(struct machine *machine)
{
    struct error error = {0};
    *machine = (struct machine){.now_ns = 1};
    CHECK_OK(sharing_begin(&machine->sharing, LAYERS, &error), error);
}

static void run(struct machine *machine)
{
    struct sharing *sharing = &machine->sharing;
    machine->now_ns += machine->pause_ns;
    const bool timed = sharing_start(sharing, machine->now_ns);
    CHECK(!timed || sharing->level == 0);
    const int64_t taken = machine->run_ns[sharing->level];
    if (timed) {
        machine->now_ns += HAND_OVER_NS;
        sharing_hand_over(sharing, HAND_OVER_NS, machine->now_ns);
        sharing_layer(sharing, LARGE, LARGE_NS, 16, THREADS);
        sharing_layer(sharing, SMALL, SMALL_NS, 16, THREADS);
        sharing_layer(sharing, WHOLE, WHOLE_NS, 1, THREADS);
    }
    machine->now_ns += taken;
    sharing_finish(sharing, machine->now_ns);
}

static void run_often(struct machine *machine)
{
    for (int i = 0; i < RUNS; i++)
        run(machine);
}

static void check_shared(struct machine *machine, bool large, bool small)
{
    CHECK_INTEGER(sharing_shares(&machine->sharing, LARGE), large);
    CHECK_INTEGER(sharing_shares(&machine->sharing, SMALL), small);
    CHECK(!sharing_shares(&machine->sharing, WHOLE));
}

static void layers_are_shared_as_far_as_whole_runs_win_by_it(void)
{
    static const struct { int64_t run_ns[SHARING_LEVELS]; bool large, small; } cases[] = {
        {{111000, 62000, 58000}, true, true},     {{111000, 62000, 66000}, true, false}, {{111000, 112000, 151000}, false, false},
        {{111000, 109000, 109500}, false, false}, /* too little for a second processor */
        {{111000, 120000, 80000}, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine machine;
        start(&machine);
        memcpy(machine.run_ns, cases[i].run_ns, sizeof machine.run_ns);
        run_often(&machine);
        check_shared(&machine, cases[i].large, cases[i].small);
        sharing_end(&machine.sharing);
    }
}

static void runs_after_a_pause_are_judged_by_themselves(void)
{
    struct machine machine;
    start(&machine);
    memcpy(machine.run_ns, (int64_t[]){111000, 62000, 58000}, sizeof machine.run_ns);
    run_often(&machine);
    machine.pause_ns = 50 * SHARING_PAUSE_NS;
    memcpy(machine.run_ns, (int64_t[]){150000, 145000, 148000}, sizeof machine.run_ns);
    run_often(&machine);
    check_shared(&machine, false, false);
    memcpy(machine.run_ns, (int64_t[]){150000, 97000, 96000}, sizeof machine.run_ns); /* two threads would cost 1.28 times as much */
    run_often(&machine);
    check_shared(&machine, false, false);
    memcpy(machine.run_ns, (int64_t[]){150000, 90000, 89000}, sizeof machine.run_ns);
    run_often(&machine);
    check_shared(&machine, true, false);
    machine.pause_ns = 0;
    memcpy(machine.run_ns, (int64_t[]){111000, 62000, 58000}, sizeof machine.run_ns);
    run(&machine);
    run(&machine);
    check_shared(&machine, true, true);
    sharing_end(&machine.sharing);
}

static void sharing_ends_where_other_programs_have_taken_the_processors(void)
{
    struct machine machine;
    start(&machine);
    memcpy(machine.run_ns, (int64_t[]){111000, 62000, 58000}, sizeof machine.run_ns);
    run_often(&machine);
    memcpy(machine.run_ns, (int64_t[]){111000, 180000, 190000}, sizeof machine.run_ns);
    for (int i = 0; i < 50 * RUNS; i++)
        run(&machine);
    check_shared(&machine, false, false);
    sharing_end(&machine.sharing);
}

static void only_very_large_layers_are_tried_where_no_helper_came_in_time(void)
{
    struct machine machine;
    start(&machine);
    CHECK(sharing_start(&machine.sharing, 1));
    sharing_hand_over(&machine.sharing, INT64_MAX, 2);
    sharing_layer(&machine.sharing, LARGE, LARGE_NS, 16, THREADS);
    machine.sharing.level = SHARING_LEVELS - 1;
    check_shared(&machine, false, false);
    sharing_layer(&machine.sharing, SMALL, 20 * LARGE_NS, 16, THREADS);
    check_shared(&machine, false, true);
    CHECK(!sharing_skips(&machine.sharing));
    sharing_end(&machine.sharing);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(layers_are_shared_as_far_as_whole_runs_win_by_it), CASE(runs_after_a_pause_are_judged_by_themselves),
        CASE(sharing_ends_where_other_programs_have_taken_the_processors), CASE(only_very_large_layers_are_tried_where_no_helper_came_in_time), {0}});
}
