/* SPDX-License-Identifier: Apache-2.0
 *
 * The promise: an input taken at QoS 1 yields exactly one seq upstream, delivered at least once, in order. Every id is counted here, while
 * the agent is killed, stopped, cut off from its upstream broker, and while its disk is full. */
#include "tests/agent/numbered_inputs.h"

#include <sys/mount.h>

enum { INPUTS = 3000, KILLS = 12 };

#define PIPELINE(compression) NUMBERED_PIPELINE("batch: 16, linger: 5ms, compression: " compression)

static const char pipelines[] = PIPELINE("lz4");

static void run_with_deaths(int signal_number, int receive_maximum)
{
    struct gateway gateway = {.receive_maximum = receive_maximum};
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    unsigned random = 4711;
    int deaths = 0;
    for (int i = 0; i < INPUTS; i++) {
        publish_number(&gateway, i);
        if (i % (INPUTS / KILLS) == INPUTS / KILLS - 1) {
            broker_pause_ms(rand_r(&random) % 60); /* at another moment of its work each time */
            int status = gateway_stop(&gateway, signal_number);
            CHECK(signal_number == SIGKILL ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
            gateway_launch(&gateway);
            deaths++;
        }
    }
    CHECK_INTEGER(deaths, KILLS);
    check_every_id(&gateway, INPUTS);
    gateway_end(&gateway);
}

static void kill_nine_loses_and_doubles_nothing(void)
{
    run_with_deaths(SIGKILL, 256);
}

/* mosquitto 2.0.11 sends a whole window for each PUBACK once a session with a backlog is resumed. */
static void a_broker_that_sends_more_than_it_may_changes_nothing(void)
{
    run_with_deaths(SIGKILL, 2);
}

static void a_clean_stop_loses_and_doubles_nothing(void)
{
    run_with_deaths(SIGTERM, 256);
}

static void results_wait_for_an_upstream_broker_that_is_gone(void)
{
    enum { BEFORE = 100, ALL = 1000 };
    struct gateway gateway = {.separate = true};
    struct error error;
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    for (int i = 0; i < BEFORE; i++)
        publish_number(&gateway, i);
    gateway_wait_lines(&gateway, BEFORE);
    broker_stop(&gateway.upstream);
    for (int i = BEFORE; i < ALL; i++) {
        publish_number(&gateway, i);
        if (i == ALL / 2) { /* and while it is gone, the power fails too */
            gateway_stop(&gateway, SIGKILL);
            gateway_launch(&gateway);
        }
    }
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    check_every_id(&gateway, ALL);
    gateway_end(&gateway);
}

static void inputs_wait_for_an_agent_that_is_down(void)
{
    enum { ALL = 500 };
    struct gateway gateway = {0};
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
    for (int i = 0; i < ALL; i++)
        publish_number(&gateway, i);
    gateway_start(&gateway);
    check_every_id(&gateway, ALL);
    gateway_end(&gateway);
}

/* While the disk is full the oldest results give way; what is told to be delivered stays in order, the agent lives, and afterwards all is as before. */
static void a_full_disk_costs_the_oldest_results_and_nothing_else(void)
{
    enum { WHILE_FULL = 6000, AFTER = 200 };
    struct gateway gateway = {.separate = true};
    struct error error;
    char state[96], filler[128];
    gateway_begin(&gateway, PIPELINE("none"));
    snprintf(state, sizeof state, "%s/state", gateway.folder);
    if (mount("tmpfs", state, "tmpfs", 0, "size=3m") != 0) {
        printf("a full disk was not tried: mounting a tmpfs needs root\n");
        gateway_end(&gateway);
        return;
    }
    gateway_start(&gateway);
    broker_stop(&gateway.upstream);
    snprintf(filler, sizeof filler, "%s/filler", state);
    static char zeros[65536];
    FILE *file = fopen(filler, "w");
    CHECK(file != NULL);
    while (fwrite(zeros, 1, sizeof zeros, file) == sizeof zeros && fflush(file) == 0) {
    }
    fclose(file);
    for (int i = 0; i < WHILE_FULL; i++)
        publish_number(&gateway, i);
    CHECK(gateway_is_alive(&gateway));
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    CHECK(unlink(filler) == 0);
    for (int i = WHILE_FULL; i < WHILE_FULL + AFTER; i++)
        publish_number(&gateway, i);
    char last[32];
    snprintf(last, sizeof last, "\"id\":\"n-%d\"", WHILE_FULL + AFTER - 1);
    bool seen = false;
    for (int i = 0; i < GATEWAY_PATIENCE_S * 2 && !seen; i++) {
        gateway_pump(&gateway, 500);
        for (int k = 0; k < gateway.line_count && !seen; k++)
            seen = strstr(gateway.lines[k], last) != NULL;
    }
    CHECK(seen);
    struct verdict verdict = count_ids(&gateway, WHILE_FULL + AFTER);
    printf("full disk: %d of %d results gave way, %d with two seqs, %d out of order\n", verdict.missing, WHILE_FULL + AFTER, verdict.twice,
           verdict.out_of_order);
    CHECK(verdict.missing > 0);
    CHECK_INTEGER(verdict.first_present, verdict.missing);
    CHECK_INTEGER(verdict.twice, 0);
    CHECK_INTEGER(verdict.out_of_order, 0);
    CHECK_INTEGER(verdict.seq_max, WHILE_FULL + AFTER);
    CHECK(gateway_is_alive(&gateway));
    gateway_stop(&gateway, SIGTERM);
    CHECK(umount(state) == 0);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){CASE(kill_nine_loses_and_doubles_nothing),
                                                              CASE(a_clean_stop_loses_and_doubles_nothing),
                                                              CASE(a_broker_that_sends_more_than_it_may_changes_nothing),
                                                              CASE(results_wait_for_an_upstream_broker_that_is_gone),
                                                              CASE(inputs_wait_for_an_agent_that_is_down),
                                                              CASE(a_full_disk_costs_the_oldest_results_and_nothing_else), {0}});
}
