/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said once is not said again, and what was said can be had from what arrived. */
#include "agent/rebuild.h"
#include "agent/repeat.h"
#include "tests/agent/gateway.h"

#include <stdio.h>

enum { SECOND_US = 1000000, SAMPLES = 64, FIELDS = 3 };

static struct config_pipeline pipeline_with(enum report on, int64_t every_us, double deadband, bool same_as)
{
    struct config_pipeline pipeline = {.name = "p"};
    pipeline.sink.on = on;
    pipeline.sink.every_us = every_us;
    pipeline.sink.deadband = deadband;
    pipeline.sink.same_as = same_as;
    return pipeline;
}

static struct repeat *repeat_for(const struct config_pipeline *pipeline)
{
    struct repeat *repeat = NULL;
    struct error error;
    CHECK_OK(repeat_new(pipeline, &repeat, &error), error);
    return repeat;
}

/* Whether a result is sent; *insert_out says what stands before it. */
static bool offer(struct repeat *repeat, const char *topic, const char *value, int64_t second, char insert_out[REPEAT_INSERT_BYTES])
{
    static int64_t seq = 1;
    char line[256];
    struct repeat_choice choice;
    int length = snprintf(line, sizeof line, "\"model\":\"m@1\",\"cache\":\"miss\",\"us\":{\"queue\":%d,\"total\":9},%s}", rand() % 100, value);
    repeat_choose(repeat, topic, line, (size_t)length, seq, second * SECOND_US, &choice);
    if (insert_out != NULL)
        snprintf(insert_out, REPEAT_INSERT_BYTES, "%s", choice.insert);
    if (choice.leave_out)
        return false;
    repeat_sent(repeat);
    seq++;
    return true;
}

#define ONE "\"result\":{\"label\":\"a\",\"score\":0.50}"
#define NEAR_ONE "\"result\":{\"label\":\"a\",\"score\":0.52}"
#define OTHER "\"result\":{\"label\":\"b\",\"score\":0.50}"
#define FAILED "\"error\":{\"code\":\"input\",\"message\":\"m\"}"
#define ANOMALY "\"result\":{\"score\":3,\"threshold\":1,\"anomalous\":true}"

static void a_change_is_sent_and_the_same_again_only_after_a_while(void)
{
    struct config_pipeline pipeline = pipeline_with(REPORT_CHANGE, 60 * SECOND_US, 0, false);
    struct repeat *repeat = repeat_for(&pipeline);
    char insert[REPEAT_INSERT_BYTES];
    CHECK(offer(repeat, "t/1", ONE, 1, insert));
    CHECK_TEXT(insert, "");
    CHECK(!offer(repeat, "t/1", ONE, 2, NULL));
    CHECK(offer(repeat, "t/2", ONE, 2, NULL)); /* another source */
    CHECK(!offer(repeat, "t/1", ONE, 3, NULL));
    CHECK(offer(repeat, "t/1", NEAR_ONE, 4, insert));
    CHECK_TEXT(insert, "\"unchanged\":2,");
    CHECK(offer(repeat, "t/1", ONE, 5, insert));
    CHECK_TEXT(insert, "");
    CHECK(offer(repeat, "t/1", FAILED, 6, NULL));
    CHECK(!offer(repeat, "t/1", FAILED, 7, NULL));
    CHECK(!offer(repeat, "t/1", FAILED, 65, NULL));
    CHECK(offer(repeat, "t/1", FAILED, 66, insert));
    CHECK_TEXT(insert, "\"unchanged\":2,");
    repeat_free(repeat);
}

static void scores_within_the_deadband_are_no_change_and_do_not_creep(void)
{
    struct config_pipeline pipeline = pipeline_with(REPORT_CHANGE, 0, 0.05, false);
    struct repeat *repeat = repeat_for(&pipeline);
    CHECK(offer(repeat, "t", ONE, 1, NULL));
    CHECK(!offer(repeat, "t", NEAR_ONE, 2, NULL));
    CHECK(!offer(repeat, "t", "\"result\":{\"label\":\"a\",\"score\":0.549}", 3, NULL));
    CHECK(offer(repeat, "t", "\"result\":{\"label\":\"a\",\"score\":0.56}", 4, NULL)); /* from the one sent, not from the last one */
    CHECK(offer(repeat, "t", OTHER, 5, NULL));
    CHECK(offer(repeat, "t", "\"result\":{\"objects\":[{\"label\":\"x\",\"score\":0.5,\"box\":[1,2,3,4]}]}", 6, NULL));
    CHECK(!offer(repeat, "t", "\"result\":{\"objects\":[{\"label\":\"x\",\"score\":5.1e-1,\"box\":[1,2,3,4]}]}", 7, NULL));
    CHECK(offer(repeat, "t", "\"result\":{\"objects\":[{\"label\":\"x\",\"score\":0.5,\"box\":[1,2,3,4.01]}]}", 8, NULL)); /* a box is no score */
    CHECK(!offer(repeat, "t", "\"result\":{\"objects\":[{\"label\":\"x\",\"score\":0.5,\"box\":[1,2,3,4.01]}]}", 1000000, NULL));
    repeat_free(repeat);
}

static void an_interval_passes_one_result_and_every_anomaly(void)
{
    struct config_pipeline pipeline = pipeline_with(REPORT_INTERVAL, 10 * SECOND_US, 0, false);
    struct repeat *repeat = repeat_for(&pipeline);
    char insert[REPEAT_INSERT_BYTES];
    CHECK(offer(repeat, "t", ONE, 1, NULL));
    CHECK(!offer(repeat, "t", OTHER, 5, NULL));
    CHECK(offer(repeat, "t", ANOMALY, 6, insert));
    CHECK_TEXT(insert, "\"unchanged\":1,");
    CHECK(offer(repeat, "t", FAILED, 7, NULL));
    CHECK(!offer(repeat, "t", ONE, 16, NULL));
    CHECK(offer(repeat, "t", ONE, 17, NULL));
    repeat_free(repeat);
}

static void sources_beyond_the_bound_are_sent_again_not_lost(void)
{
    struct config_pipeline pipeline = pipeline_with(REPORT_CHANGE, 0, 0, false);
    struct repeat *repeat = repeat_for(&pipeline);
    for (int i = 0; i < 4 * REPEAT_SOURCES_MAX; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t/%d", i);
        CHECK(offer(repeat, topic, ONE, 1 + i, NULL));
    }
    CHECK(offer(repeat, "t/0", ONE, 10000, NULL));
    CHECK(!offer(repeat, "t/0", ONE, 10001, NULL));
    repeat_free(repeat);
}

/* A stream of lines with references, from results of which many are equal, and the same lines without. */
static void every_result_is_rebuilt_from_references(void)
{
    enum { LINES = 30000, DISTINCT = 3000 };
    struct config_pipeline pipeline = pipeline_with(REPORT_ALWAYS, 0, 0, true);
    struct repeat *repeat = repeat_for(&pipeline);
    struct rebuild *rebuild;
    struct error error;
    CHECK_OK(rebuild_new(&rebuild, &error), error);
    unsigned random = 99;
    int references = 0;
    for (int64_t seq = 5; seq < LINES; seq += 1 + rand_r(&random) % 3) {
        char head[96], line[256], wire[512], expected[512];
        int number = rand_r(&random) % (1 + rand_r(&random) % DISTINCT), agent = rand_r(&random) % 50 == 0;
        struct repeat_choice choice;
        const char *rebuilt;
        size_t rebuilt_length;
        int length = snprintf(line, sizeof line,
                              "\"model\":\"m@1\",\"cache\":\"hit\",\"us\":{\"queue\":1,\"total\":9},"
                              "\"result\":{\"label\":\"c-%d \\\"result\\\":\",\"score\":0.%d}}", number, number);
        repeat_choose(repeat, "t", line, (size_t)length, seq, seq, &choice);
        CHECK(!choice.leave_out);
        snprintf(head, sizeof head, "{\"v\":1,\"id\":\"\\\"result\\\":{}\",\"seq\":%lld,\"agent\":\"%s\",", (long long)seq, agent ? "b" : "a");
        snprintf(expected, sizeof expected, "%s%s", head, line);
        snprintf(wire, sizeof wire, "%s%.*s%s", head, (int)choice.keep, line, choice.tail);
        if (agent) /* another agent's lines have numbers of their own and disturb nothing */
            snprintf(wire, sizeof wire, "%s", expected);
        else
            repeat_sent(repeat);
        references += !agent && choice.tail[0] != '\0';
        CHECK(rebuild_line(rebuild, wire, strlen(wire), &rebuilt, &rebuilt_length));
        CHECK_INTEGER(rebuilt_length, strlen(expected));
        CHECK(memcmp(rebuilt, expected, rebuilt_length) == 0);
        if (rand_r(&random) % 2000 == 0)
            repeat_forget_results(repeat);
    }
    printf("%d references rebuilt\n", references);
    CHECK(references > 1000);
    const char *rebuilt;
    size_t length;
    static const char stray[] = "{\"seq\":9,\"agent\":\"c\",\"us\":{},\"same-as\":3}", rubbish[] = "{\"seq\":";
    CHECK(!rebuild_line(rebuild, stray, sizeof stray - 1, &rebuilt, &length));
    CHECK(rebuilt == stray);
    CHECK(rebuild_line(rebuild, rubbish, sizeof rubbish - 1, &rebuilt, &length));
    rebuild_free(rebuild);
    repeat_free(repeat);
}

static void publish_number(struct gateway *gateway, int number, const char *id)
{
    float samples[SAMPLES * FIELDS];
    for (int i = 0; i < SAMPLES * FIELDS; i++)
        samples[i] = (float)((number * 31 + i * 7) % 100) / 50;
    gateway_publish(gateway, "sensor/1/reading", samples, sizeof samples, id, strlen(id));
}

static void eddy_tail_prints_every_result_of_an_agent_that_refers_to_earlier_ones(void)
{
    enum { DISTINCT = 5, COUNT = 60 };
    struct gateway gateway = {0};
    char command[128], line[2048], results[DISTINCT][256] = {""};
    gateway_begin(&gateway, "pipelines:\n"
                            "  - name: motor\n"
                            "    topics: [\"sensor/+/reading\"]\n"
                            "    input: { kind: series, format: f32le, fields: [x, y, z], window: 64, hop: 64 }\n"
                            "    model: motor-anomaly\n"
                            "    sink: { batch: 4, linger: 5ms, same_as: true }\n");
    gateway_start(&gateway);
    snprintf(command, sizeof command, EDDY_PROGRAM " tail -b mqtt://127.0.0.1:%d --count %d", gateway.local.port, COUNT);
    FILE *tail = popen(command, "r");
    CHECK(tail != NULL);
    broker_pause_ms(1000);
    for (int i = 0; i < COUNT; i++) {
        char id[16];
        snprintf(id, sizeof id, "n-%d", i % DISTINCT);
        publish_number(&gateway, i % DISTINCT, id);
    }
    int lines = 0, references = 0;
    while (fgets(line, sizeof line, tail) != NULL) {
        const char *id = strstr(line, "\"id\":\"n-"), *result = strstr(line, "\"result\":");
        CHECK(id != NULL && result != NULL);
        char *known = results[atoi(id + 8)];
        if (known[0] == '\0')
            snprintf(known, sizeof results[0], "%s", result);
        CHECK_TEXT(result, known);
        lines++;
    }
    CHECK_INTEGER(pclose(tail), 0);
    CHECK_INTEGER(lines, COUNT);
    gateway_wait_lines(&gateway, COUNT);
    for (int i = 0; i < gateway.line_count; i++)
        references += strstr(gateway.lines[i], "\"same-as\":") != NULL;
    CHECK(references >= COUNT - 2 * DISTINCT);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){
        CASE(a_change_is_sent_and_the_same_again_only_after_a_while),
        CASE(scores_within_the_deadband_are_no_change_and_do_not_creep),
        CASE(an_interval_passes_one_result_and_every_anomaly),
        CASE(sources_beyond_the_bound_are_sent_again_not_lost),
        CASE(every_result_is_rebuilt_from_references),
        CASE(eddy_tail_prints_every_result_of_an_agent_that_refers_to_earlier_ones),
        {0}});
}
