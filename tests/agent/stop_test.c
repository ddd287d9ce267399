/* SPDX-License-Identifier: Apache-2.0
 *
 * A stop at any moment: while inputs come in no job is lost or left over, and while a connection is made the status is "stopped", not "lost". */
#include "agent/internal.h"
#include "tests/agent/gateway.h"

#include <pthread.h>

enum { ROUNDS = 40, STOPS = 40 };

static const char pipelines[] = "pipelines:\n"
                                "  - name: motor\n"
                                "    topics: [\"sensor/+/reading\"]\n"
                                "    input: { kind: series, format: f32le, fields: [x, y, z], window: 64, hop: 64 }\n"
                                "    model: motor-anomaly\n";

struct intake {
    struct agent *agent;
    atomic_bool ending;
};

/* What Paho's thread does, as fast as it can. The messages are of a connection that is no more, so nobody acknowledges them. */
static void *give_inputs(void *argument)
{
    struct intake *intake = argument;
    static const float sample[3] = {1, 2, 3};
    while (!atomic_load(&intake->ending)) {
        struct link_message message = {.topic = "sensor/1/reading", .payload = (const uint8_t *)sample, .payload_bytes = sizeof sample, .qos = 1,
                                       .packet_id = 1, .generation = UINT32_MAX};
        (void)subscriber_on_message(&message, &intake->agent->links[LINK_LOCAL]);
    }
    return NULL;
}

static void a_stop_while_inputs_come_in_leaves_no_job_over(void)
{
    char folder[] = "/tmp/eddy-stop-XXXXXX", path[64], command[96];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/eddy.yaml", folder);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fprintf(file, "agent: { id: gw, state_dir: %s/state, workers: 2 }\nlocal: { url: \"mqtt://127.0.0.1:1\" }\nmodels_dir: %s/examples/factory/models\n%s",
            folder, EDDY_SOURCE_DIR, pipelines);
    CHECK(fclose(file) == 0);
    unsigned long long most = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct intake intake = {0};
        struct config *config;
        struct error error;
        pthread_t thread;
        CHECK_OK(config_open(path, &config, NULL, &error), error);
        CHECK_OK(agent_new(config, &intake.agent, &error), error);
        CHECK_OK(agent_start(intake.agent, &error), error);
        CHECK(pthread_create(&thread, NULL, give_inputs, &intake) == 0);
        broker_pause_ms(round % 5);
        agent_stop(intake.agent);
        atomic_store(&intake.ending, true);
        pthread_join(thread, NULL);
        unsigned long long given = atomic_load(&intake.agent->pipelines[0].messages_in);
        most = given > most ? given : most;
        const struct job_pool_limits *out = &intake.agent->pool.out;
        CHECK_INTEGER(out->deliveries[1], 0);
        CHECK_INTEGER(out->bytes, 0);
        agent_free(intake.agent);
    }
    printf("as many as %llu inputs in a round\n", most);
    CHECK(most > 100);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

static void a_stop_while_a_connection_is_made_says_stopped(void)
{
    struct gateway gateway = {.separate = true};
    unsigned random = 17;
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
    gateway_wait_status(&gateway, "\"stopped\"");
    for (int i = 0; i < STOPS; i++) {
        gateway_launch(&gateway);
        struct timespec pause = {.tv_nsec = rand_r(&random) % 12000000};
        nanosleep(&pause, NULL);
        CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
        gateway_pump(&gateway, 100);
        if (strstr(gateway.status, "\"stopped\"") == NULL)
            printf("stop %d: the status is %s\n", i, gateway.status);
        CHECK(strstr(gateway.status, "\"stopped\"") != NULL);
    }
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){CASE(a_stop_while_inputs_come_in_leaves_no_job_over),
                                                              CASE(a_stop_while_a_connection_is_made_says_stopped), {0}});
}
