/* SPDX-License-Identifier: Apache-2.0
 *
 * The promise under kill -9, round after round: torture_test [ROUNDS [SEED]], 50 rounds without an argument. Every few rounds the upstream
 * broker is restarted too. */
#include "tests/agent/numbered_inputs.h"

enum { ROUNDS = 50, INPUTS_A_ROUND = 60, BROKER_EVERY = 7, PAUSE_MS = 120 };

static int rounds = ROUNDS;
static unsigned seed = 4711;

static void restart_upstream(struct gateway *gateway, unsigned *random)
{
    struct error error;
    broker_stop(&gateway->upstream);
    broker_pause_ms(rand_r(random) % PAUSE_MS);
    CHECK_OK(broker_start(&gateway->upstream, true, &error), error);
}

static void killed_at_any_moment_it_loses_and_doubles_nothing(void)
{
    struct gateway gateway = {.separate = true};
    int inputs = 0;
    printf("repeat: torture_test %d %u\n", rounds, seed);
    gateway_begin(&gateway, NUMBERED_PIPELINE("batch: 16, linger: 5ms"));
    gateway_start(&gateway);
    for (int round = 0; round < rounds; round++) {
        for (int count = 1 + rand_r(&seed) % INPUTS_A_ROUND; count > 0; count--)
            publish_number(&gateway, inputs++);
        broker_pause_ms(rand_r(&seed) % PAUSE_MS);
        CHECK(WIFSIGNALED(gateway_stop(&gateway, SIGKILL)));
        if (round % BROKER_EVERY == BROKER_EVERY - 1)
            restart_upstream(&gateway, &seed);
        gateway_launch(&gateway);
        gateway_pump(&gateway, 0);
    }
    printf("%d rounds: ", rounds);
    check_every_id(&gateway, inputs);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    if (count > 1 && atoi(arguments[1]) > 0) {
        rounds = atoi(arguments[1]);
        seed = count > 2 ? (unsigned)atoi(arguments[2]) : seed;
        count = 1;
    }
    return check_main(count, arguments, (struct check_case[]){CASE(killed_at_any_moment_it_loses_and_doubles_nothing), {0}});
}
