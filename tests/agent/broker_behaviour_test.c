/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole agent and an upstream broker that does not take everything: what it refuses is told, waits on disk, and can be sent again. */
#include "tests/agent/numbered_inputs.h"

static const char pipelines[] = NUMBERED_PIPELINE("batch: 64, linger: 300ms, compression: none");

static void wait_event(struct gateway *gateway, const char *text)
{
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100 && strstr(gateway->events, text) == NULL; i++)
        gateway_pump(gateway, 10);
    if (strstr(gateway->events, text) == NULL)
        printf("no event holds %s: %s\n", text, gateway->events);
    CHECK(strstr(gateway->events, text) != NULL);
}

/* mosquitto answers a publication above message_size_limit with PUBACK 0x95, and one against its acl_file with 0x87. */
static void run_refusal(const char *extra, const char *reason)
{
    enum { MANY = 50, SINGLE = 5 };
    struct gateway gateway = {.separate = true};
    struct error error;
    char line[16];
    snprintf(gateway.upstream.extra, sizeof gateway.upstream.extra, "%s", extra);
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    for (int i = 0; i < MANY; i++)
        publish_number(&gateway, i);
    wait_event(&gateway, "batch-refused");
    wait_event(&gateway, reason);
    int before = gateway.line_count;
    CHECK(before < MANY);
    CHECK_INTEGER(gateway_stop(&gateway, SIGKILL) != 0, 1);
    snprintf(gateway.upstream.extra, sizeof gateway.upstream.extra, "%s", "");
    broker_stop(&gateway.upstream);
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    gateway_start(&gateway);
    for (int i = MANY; i < MANY + SINGLE; i++)
        publish_number(&gateway, i);
    gateway_wait_lines(&gateway, before + SINGLE);
    gateway_command(&gateway, "refused-list", "{}", false);
    CHECK(strstr(gateway.reply, "{\"first-seq\":") != NULL && strstr(gateway.reply, reason) != NULL);
    CHECK(strstr(gateway.reply, "\"pipeline\":\"motor\"") != NULL && strstr(gateway.reply, "\"more\":false") != NULL);
    gateway_command(&gateway, "refused-send", "{\"seq\":99999}", false);
    CHECK(strstr(gateway.reply, "no refused batch begins with seq 99999") != NULL);
    gateway_command(&gateway, "refused-drop", "{\"seq\":\"x\"}", false);
    CHECK(strstr(gateway.reply, "expected the first-seq of a refused batch") != NULL);
    gateway_command(&gateway, "refused-send", "{}", false);
    CHECK(strstr(gateway.reply, "\"successful\"") != NULL && strstr(gateway.reply, "\"batches\":0") == NULL);
    gateway_wait_lines(&gateway, MANY + SINGLE);
    gateway_command(&gateway, "refused-drop", "{}", false);
    CHECK(strstr(gateway.reply, "\"batches\":0") != NULL);
    for (int i = 0; i < MANY + SINGLE; i++) {
        snprintf(line, sizeof line, "\"n-%d\"", i);
        gateway_find_line(&gateway, line);
    }
    gateway_end(&gateway);
}

static void a_batch_too_large_for_the_broker_is_set_aside_and_can_be_sent_later(void)
{
    run_refusal("message_size_limit 3000", "0x95");
}

static void a_batch_that_is_not_authorised_is_set_aside_and_can_be_sent_later(void)
{
    char path[] = "/tmp/eddy-acl-XXXXXX", extra[64];
    int file = mkstemp(path);
    static const char acl[] = "topic readwrite eddy/gw/status\ntopic readwrite eddy/gw/event/#\ntopic readwrite eddy/gw/cmd/#\ntopic read #\n";
    CHECK(file >= 0 && write(file, acl, sizeof acl - 1) == (ssize_t)sizeof acl - 1 && close(file) == 0);
    snprintf(extra, sizeof extra, "acl_file %s", path);
    run_refusal(extra, "0x87");
    unlink(path);
}

static void evicted_results_are_told(void)
{
    struct gateway gateway = {.separate = true, .settings = "outbox: { max_bytes: 1MiB }"};
    struct error error;
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    broker_stop(&gateway.upstream);
    for (int i = 0; i < 4000; i++)
        publish_number(&gateway, i);
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    wait_event(&gateway, "results-evicted");
    gateway_end(&gateway);
}

static void important_results_outlast_ordinary_ones_and_the_gaps_are_told(void)
{
    enum { COUNT = 6000, EVERY = 100 };
    struct gateway gateway = {.separate = true, .settings = "outbox: { max_bytes: 1MiB, keep: important }", .models_dir = "/tmp/eddy-models-XXXXXX"};
    struct error error;
    char command[1024]; /* the demo's model, but nothing is an anomaly to it */
    CHECK(mkdtemp(gateway.models_dir) != NULL);
    snprintf(command, sizeof command, "cp -r %s/examples/factory/models/motor-anomaly %s && sed -i 's/threshold:.*/threshold: 1000000/' %s/*/*/model.yaml",
             EDDY_SOURCE_DIR, gateway.models_dir, gateway.models_dir);
    CHECK(system(command) == 0);
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    broker_stop(&gateway.upstream);
    for (int i = 0; i < COUNT; i++) {
        if (i % EVERY == 0) /* no samples: an error result */
            gateway_publish(&gateway, "sensor/1/reading", "x", 1, "odd", 3);
        else
            publish_number(&gateway, i);
    }
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    wait_event(&gateway, "results-thinned");
    int errors = 0, seen = 0;
    for (int i = 0; i < GATEWAY_PATIENCE_S * 10 && (errors < COUNT / EVERY || seen == 0); i++) {
        gateway_pump(&gateway, 100);
        for (errors = 0, seen = 0; seen + errors < gateway.line_count;) {
            const char *line = gateway.lines[seen + errors];
            errors += strstr(line, "\"error\":") != NULL;
            seen += strstr(line, "\"error\":") == NULL;
        }
    }
    printf("%d of %d errors and %d of %d ordinary results arrived\n", errors, COUNT / EVERY, seen, COUNT - COUNT / EVERY);
    CHECK_INTEGER(errors, COUNT / EVERY);
    CHECK(seen < COUNT - COUNT / EVERY);
    snprintf(command, sizeof command, "rm -rf '%s'", gateway.models_dir);
    gateway_end(&gateway);
    CHECK(system(command) == 0);
}

/* The agent's zone is chosen so that it is 07:59:48 there: the clock is brought to the window instead of waiting for it. */
static void nothing_is_sent_in_a_window_of_bandwidth_none_and_all_of_it_after(void)
{
    enum { MANY = 5, BEFORE_S = 12, DAY_S = 86400 };
    struct gateway gateway = {.separate = true, .upstream_settings = ", bandwidth_windows: [\"00:00-08:00 none\"]"};
    char zone[32];
    gateway_begin(&gateway, pipelines);
    time_t now = time(NULL), ends = now + BEFORE_S;
    int ahead = (int)((8 * 3600 - BEFORE_S - now % DAY_S + 2 * DAY_S) % DAY_S); /* of UTC */
    snprintf(zone, sizeof zone, "GWT-%02d:%02d:%02d", ahead / 3600, ahead / 60 % 60, ahead % 60);
    setenv("TZ", zone, 1);
    gateway_start(&gateway);
    unsetenv("TZ");
    for (int i = 0; i < MANY; i++)
        publish_number(&gateway, i);
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100 && gateway.line_count == 0; i++)
        gateway_pump(&gateway, 10);
    printf("in a zone %s the first results came %d s after the window's end\n", zone, (int)(time(NULL) - ends));
    CHECK(time(NULL) >= ends);
    gateway_wait_lines(&gateway, MANY);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){CASE(a_batch_too_large_for_the_broker_is_set_aside_and_can_be_sent_later),
                                                              CASE(a_batch_that_is_not_authorised_is_set_aside_and_can_be_sent_later),
                                                              CASE(evicted_results_are_told),
                                                              CASE(important_results_outlast_ordinary_ones_and_the_gaps_are_told),
                                                              CASE(nothing_is_sent_in_a_window_of_bandwidth_none_and_all_of_it_after), {0}});
}
