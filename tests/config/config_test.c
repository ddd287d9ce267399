/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/config/config_support.h"

#define PIPELINE "pipelines:\n  - name: line\n    topics: [\"camera/+/frame\"]\n    input: { kind: image }\n    model: face\n"
#define SERIES "pipelines:\n  - name: motor\n    topics: [s/+]\n    model: ae\n    input:\n      kind: series\n"

static void empty_file_gives_the_defaults(void)
{
    struct config *config = support_parse("");
    CHECK(config->agent.id != NULL && config->agent.id[0] != '\0');
    CHECK_TEXT(config->agent.state_dir, "/var/lib/eddy");
    CHECK_INTEGER(config->agent.workers, 1);
    CHECK_INTEGER(config->agent.threads, 0);
    CHECK_INTEGER(config->agent.health_interval_us, 30000000);
    CHECK_TEXT(config->agent.log_level, "info");
    CHECK_TEXT(config->local.url, "mqtt://127.0.0.1:1883");
    CHECK_TEXT(config->upstream.url, "mqtt://127.0.0.1:1883");
    CHECK(config->local.user == NULL && config->local.ca == NULL);
    CHECK_INTEGER(config->local.keep_alive_s, 30);
    CHECK_INTEGER(config->local.receive_maximum, 256);
    CHECK_INTEGER(config->local.session_expiry_s, 86400);
    CHECK_TEXT(config->models_dir, "/var/lib/eddy/models");
    CHECK_INTEGER(config->outbox.max_bytes, 256 << 20);
    CHECK_INTEGER(config->cache.memory_bytes, 8 << 20);
    CHECK_INTEGER(config->pipeline_count, 0);
    config_close(config);
}

static void image_pipeline_gets_the_defaults(void)
{
    struct config *config = support_parse(PIPELINE);
    CHECK_INTEGER(config->pipeline_count, 1);
    const struct config_pipeline *pipeline = &config->pipelines[0];
    CHECK_TEXT(pipeline->name, "line");
    CHECK_INTEGER(pipeline->topic_count, 1);
    CHECK_TEXT(pipeline->topics[0], "camera/+/frame");
    CHECK_INTEGER(pipeline->qos, 1);
    CHECK_INTEGER(pipeline->input.max_pixels, 50000000);
    CHECK_INTEGER(pipeline->max_message_bytes, 32 << 20);
    CHECK_INTEGER(pipeline->cache.mode, CACHE_OFF);
    CHECK_INTEGER(pipeline->cache.ttl_us, 600000000);
    CHECK_INTEGER(pipeline->cache.max_bytes, 64 << 20);
    CHECK_INTEGER(pipeline->egress, EGRESS_RESULTS);
    CHECK_INTEGER(pipeline->sink.batch, 64);
    CHECK_INTEGER(pipeline->sink.linger_us, 200000);
    CHECK_INTEGER(pipeline->sink.max_bytes, 128 << 10);
    CHECK_INTEGER(pipeline->sink.compression, COMPRESSION_LZ4);
    CHECK_INTEGER(pipeline->sink.compress_above, 512);
    config_close(config);
}

static void every_key_is_read(void)
{
    struct config *config = support_parse(
        "agent: { id: gw-17, state_dir: /s, workers: 2, threads: 3, health_interval: 10s, log_level: debug }\n"
        "local: { url: 'mqtts://h:1', user: u, password_file: p, ca: a, cert: c, key: k, keep_alive: 5s, receive_maximum: 7,\n"
        "         session_expiry: 2h }\n"
        "upstream: { url: 'wss://[::1]:443/mqtt' }\n"
        "models_dir: m\noutbox: { max_bytes: 2MiB }\ncache: { memory: 0 }\n"
        "pipelines:\n"
        "  - name: motor\n    topics: [a/#, b]\n    qos: 0\n    max_message: 4KiB\n    model: ae@1.2.0\n"
        "    input: { kind: series, format: csv, fields: [\"#2\", ax], window: 64, hop: 16, gap: 5s, time_field: t, delimiter: \"\\t\",\n"
        "             header: true }\n"
        "    cache: { mode: exact, ttl: 1h, max_bytes: 1MiB }\n    egress: results\n"
        "    sink: { batch: 1, linger: 0ms, max_bytes: 16KiB, compression: none, compress_above: 0 }\n");
    CHECK_TEXT(config->agent.id, "gw-17");
    CHECK_INTEGER(config->agent.threads, 3);
    CHECK_TEXT(config->agent.log_level, "debug");
    CHECK_TEXT(config->local.url, "mqtts://h:1");
    CHECK_TEXT(config->local.key, "k");
    CHECK_INTEGER(config->local.session_expiry_s, 7200);
    CHECK_TEXT(config->upstream.url, "wss://[::1]:443/mqtt");
    CHECK(config->upstream.user == NULL);
    CHECK_INTEGER(config->outbox.max_bytes, 2 << 20);
    CHECK_INTEGER(config->cache.memory_bytes, 0);
    const struct config_pipeline *pipeline = &config->pipelines[0];
    CHECK_INTEGER(pipeline->topic_count, 2);
    CHECK_INTEGER(pipeline->qos, 0);
    CHECK_INTEGER(pipeline->max_message_bytes, 4096);
    CHECK_INTEGER(pipeline->input.format, SERIES_CSV);
    CHECK_INTEGER(pipeline->input.field_count, 2);
    CHECK_TEXT(pipeline->input.fields[1], "ax");
    CHECK_INTEGER(pipeline->input.hop, 16);
    CHECK_INTEGER(pipeline->input.gap_us, 5000000);
    CHECK_TEXT(pipeline->input.time_field, "t");
    CHECK_INTEGER(pipeline->input.delimiter, '\t');
    CHECK(pipeline->input.header);
    CHECK_INTEGER(pipeline->cache.mode, CACHE_EXACT);
    CHECK_INTEGER(pipeline->sink.linger_us, 0);
    CHECK_INTEGER(pipeline->sink.compression, COMPRESSION_NONE);
    CHECK_INTEGER(pipeline->sink.compress_above, 0);
    config_close(config);
}

static void hop_without_a_value_is_the_window(void)
{
    struct config *config = support_parse(SERIES "      fields: [/x]\n      window: 48\n");
    CHECK_INTEGER(config->pipelines[0].input.hop, 48);
    CHECK_INTEGER(config->pipelines[0].max_message_bytes, 1 << 20);
    config_close(config);
}

static void images_are_set_only_where_they_may_leave(void)
{
    CHECK_TEXT(support_report(PIPELINE "    images: { every: 5 }\n"),
               "eddy.yaml:6:15: pipelines[0].images.every is given, but it is only for egress crops or snapshots, expected no such key here");
    CHECK_TEXT(support_report(SERIES "      fields: [/x]\n      window: 4\n    egress: crops\n"),
               "eddy.yaml:9:13: pipelines[0].egress is \"crops\", expected results: the input is no image");
}

static void keys_of_a_report_that_was_not_asked_for_are_refused(void)
{
    CHECK_TEXT(support_report(PIPELINE "    sink: { deadband: 0.1 }\n"),
               "eddy.yaml:6:13: pipelines[0].sink.deadband is given, but it is only for sink.on change, expected no such key here");
    CHECK_TEXT(support_report(PIPELINE "    sink: { every: 1m }\n"),
               "eddy.yaml:6:13: pipelines[0].sink.every is given, but it is only for sink.on change or interval, expected no such key here");
    CHECK_TEXT(support_report(PIPELINE "    sink: { on: interval, every: 0ms }\n"),
               "eddy.yaml:6:34: pipelines[0].sink.every is 0, expected a time: it is the interval");
}

static void upstream_may_have_several_urls(void)
{
    struct config *config = support_parse("upstream: { url: [\"mqtt://one\", \"mqtt://two:1884\"] }\n");
    CHECK_TEXT(config->upstream.url, "mqtt://one");
    CHECK_INTEGER(config->upstream.url_count, 2);
    CHECK_TEXT(config->upstream.urls[1], "mqtt://two:1884");
    config_close(config);
}

static void upstream_without_a_url_is_the_local_broker(void)
{
    struct config *config = support_parse("local: { url: 'mqtts://h', user: u, password_file: p, ca: a }\nupstream: { user: other }\n");
    CHECK_TEXT(config->upstream.url, "mqtts://h");
    CHECK_TEXT(config->upstream.user, "other");
    CHECK(config->upstream.password_file == NULL);
    CHECK_TEXT(config->upstream.ca, "a");
    config_close(config);
}

static void contract_example_is_accepted(void)
{
    struct config *config = support_parse(
        "agent:    { id: gw-17, state_dir: /var/lib/eddy, workers: 1, threads: auto }   # inference workers\n"
        "local:    { url: \"mqtt://127.0.0.1:1883\" }                 # mqtt://\n"
        "upstream: { url: \"mqtts://broker.example:8883\", cert: \xE2\x80\xA6, "
        "key: \xE2\x80\xA6, ca: \xE2\x80\xA6 }   # later also quic://\n"
        "models_dir: /var/lib/eddy/models\npipelines:\n"
        "  - name: line\n    topics: [\"camera/+/frame\"]\n    input:  { kind: image }\n    model:  part-check\n"
        "    cache:  { mode: exact, ttl: 10m, max_bytes: 64MiB }\n    egress: results\n"
        "    sink:   { batch: 64, linger: 200ms, max_bytes: 128KiB, compression: lz4, compress_above: 512 }\n"
        "  - name: motor\n    topics: [\"sensor/+/reading\"]\n"
        "    input:  { kind: series, format: json, fields: [\"/ax\", \"/ay\", \"/az\"], window: 64, hop: 32 }   # json\n"
        "    model:  motor-anomaly\n");
    CHECK_INTEGER(config->pipeline_count, 2);
    CHECK_INTEGER(config->pipelines[1].input.field_count, 3);
    CHECK_INTEGER(config->pipelines[1].input.hop, 32);
    config_close(config);
}

static void results_may_be_sent_at_once_and_numbers_of_threads_given(void)
{
    struct config *config = support_parse(
        "agent: { id: bench, state_dir: /tmp/x/state, workers: 1, threads: 2 }\nlocal: { url: \"mqtt://127.0.0.1:18831\" }\n"
        "upstream: { url: \"mqtt://127.0.0.1:18831\" }\nmodels_dir: /tmp/x/models\npipelines:\n"
        "  - name: camera\n    topics: [\"camera/+/frame\"]\n    input: { kind: image }\n    model: face\n    cache: { mode: off }\n"
        "    sink: { batch: 64, linger: 0ms }\n"
        "  - name: sensor\n    topics: [\"sensor/+/reading\"]\n"
        "    input: { kind: series, format: json, fields: [\"/values\"], window: 64, hop: 64 }\n    model: ae\n"
        "    cache: { mode: exact }\n    sink: { batch: 64, linger: 0ms }\n");
    CHECK_INTEGER(config->agent.threads, 2);
    CHECK_INTEGER(config->pipelines[0].cache.mode, CACHE_OFF);
    CHECK_INTEGER(config->pipelines[1].cache.mode, CACHE_EXACT);
    CHECK_INTEGER(config->pipelines[1].sink.linger_us, 0);
    config_close(config);
}

static void wrong_values_name_place_and_expectation(void)
{
    CHECK_TEXT(support_report("agent:\n  workers: two\n"),
               "eddy.yaml:2:12: agent.workers is \"two\", expected a whole number from 1 to 64");
    CHECK_TEXT(support_report("agent: { workers: 65 }"),
               "eddy.yaml:1:19: agent.workers is \"65\", expected a whole number from 1 to 64");
    CHECK_TEXT(support_report("agent: { workers: 99999999999999999999 }"),
               "eddy.yaml:1:19: agent.workers is \"99999999999999999999\", expected a whole number from 1 to 64");
    CHECK_TEXT(support_report("agent: { workers: }"), "eddy.yaml:1:19: agent.workers is empty, expected a whole number from 1 to 64");
    CHECK_TEXT(support_report("agent: { workers: [1] }"), "eddy.yaml:1:19: agent.workers is a list, expected a whole number from 1 to 64");
    CHECK_TEXT(support_report("agent: { threads: -1 }"),
               "eddy.yaml:1:19: agent.threads is \"-1\", expected auto or a whole number from 1 to 64");
    CHECK_TEXT(support_report("agent: { log_level: loud }"),
               "eddy.yaml:1:21: agent.log_level is \"loud\", expected one of error, warning, info, debug");
    CHECK_TEXT(support_report("agent: { health_interval: 30 }"),
               "eddy.yaml:1:27: agent.health_interval is \"30\", expected a time from 1s to 1d, such as 200ms, 30s or 10m");
    CHECK_TEXT(support_report("local: { keep_alive: 5500ms }"),
               "eddy.yaml:1:22: local.keep_alive is \"5500ms\", expected a time from 5s to 18h, such as 200ms, 30s or 10m");
    CHECK_TEXT(support_report("outbox: { max_bytes: 64MB }"),
               "eddy.yaml:1:22: outbox.max_bytes is \"64MB\", expected a size from 1MiB to 1024GiB, such as 4096, 64KiB or 8MiB");
    CHECK_TEXT(support_report("outbox: 5"), "eddy.yaml:1:9: outbox is \"5\", expected a map of keys");
    CHECK_TEXT(support_report("- 1"), "eddy.yaml:1:1: the file is a list, expected a map of keys such as \"agent:\"");
    CHECK_TEXT(support_report("models_dir: \"a\\tb\""), "eddy.yaml:1:13: models_dir is \"a?b\", expected text without control characters");
    CHECK_TEXT(support_report("agent: { id: a/b }"),
               "eddy.yaml:1:14: agent.id is \"a/b\", expected one topic level: 1 to 64 bytes without / + #");
}

static void unknown_keys_name_the_closest(void)
{
    CHECK_TEXT(support_report("agent: { worker: 2 }"), "eddy.yaml:1:10: agent.worker is not a known key, expected agent.workers");
    CHECK_TEXT(support_report("pipeline: []"), "eddy.yaml:1:1: pipeline is not a known key, expected pipelines");
    CHECK_TEXT(support_report("outbox: { zzzzzz: 1 }"), "eddy.yaml:1:11: outbox.zzzzzz is not a known key, expected one of max_bytes, keep, low_confidence, "
               "daily_writes, live_share");
    CHECK_TEXT(support_report(PIPELINE "    sink: { lingers: 0ms }"),
               "eddy.yaml:6:13: pipelines[0].sink.lingers is not a known key, expected pipelines[0].sink.linger");
}

static void addresses_are_checked(void)
{
    CHECK_TEXT(support_report("local: { url: 127.0.0.1 }"),
               "eddy.yaml:1:15: local.url is \"127.0.0.1\", expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://");
    CHECK_TEXT(support_report("local: { url: 'quic://h' }"),
               "eddy.yaml:1:15: local.url is \"quic://h\", which is not available in this version, use mqtts://");
    CHECK_TEXT(support_report("local: { url: 'mqtt://u:p@h' }"),
               "eddy.yaml:1:15: local.url is \"mqtt://u:p@h\", expected no user in it: set user and password_file");
    CHECK_TEXT(support_report("local: { url: 'mqtt://h:70000' }"),
               "eddy.yaml:1:15: local.url is \"mqtt://h:70000\", expected a port from 1 to 65535 after the host");
    CHECK_TEXT(support_report("local: { url: 'mqtt://' }"),
               "eddy.yaml:1:15: local.url is \"mqtt://\", expected a host after ://, such as mqtt://127.0.0.1:1883");
    CHECK_TEXT(support_report("local: { url: 'mqtt://h:1/path' }"),
               "eddy.yaml:1:15: local.url is \"mqtt://h:1/path\", expected no path after the host: only ws:// and wss:// have one");
    CHECK_TEXT(support_report("local: { url: 'mqtts://h', cert: c }"),
               "eddy.yaml:1:34: local.cert is given alone, expected local.key with it");
    CHECK_TEXT(support_report("local: { ca: c }"),
               "eddy.yaml:1:14: local.ca is given, but mqtt://127.0.0.1:1883 is not encrypted, expected a url with mqtts:// or wss://");
}

static void topic_filters_are_checked(void)
{
    static const char *const bad[] = {"a+/b", "a/#/b", "a#", "$share/g", "$share//x", "$share/+/x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "pipelines: [{name: x, model: m, input: {kind: image}, topics: [\"%s\"]}]", bad[i]);
        CHECK(strstr(support_report(text), "expected") != NULL);
    }
    CHECK_TEXT(support_report("pipelines: [{name: x, model: m, input: {kind: image}, topics: [a, b+]}]"),
               "eddy.yaml:1:67: pipelines[0].topics is \"b+\", expected an MQTT topic filter: "
               "+ stands for a whole level, as in camera/+/frame");
    CHECK_TEXT(support_report("pipelines: [{name: x, model: m, input: {kind: image}, topics: []}]"),
               "eddy.yaml:1:63: pipelines[0].topics has 0 entries, expected a list of 1 to 64 MQTT topic filters");
    CHECK_TEXT(support_report("pipelines: [{name: x, model: m, input: {kind: image}, topics: a}]"),
               "eddy.yaml:1:63: pipelines[0].topics is \"a\", expected a list of 1 to 64 MQTT topic filters");
    CHECK_TEXT(support_report("pipelines: [{name: x, model: m, input: {kind: image}, topics: [[a]]}]"),
               "eddy.yaml:1:64: pipelines[0].topics[0] is a list, expected text");
}

static void own_results_are_not_taken_in(void)
{
    static const char *const loops[] = {"#", "eddy/#", "+/+/+/+", "eddy/g/result/x", "eddy/g/result/x/#", "$share/a/eddy/#"};
    static const char *const fine[] = {"eddy/g/image/x", "+/+/+", "eddy/h/result/x", "camera/#"};
    char text[512];
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        snprintf(text, sizeof text, "agent: {id: g}\npipelines: [{name: x, model: m, input: {kind: image}, topics: [\"%s\"]}]", loops[i]);
        CHECK_TEXT(support_report(text),
                   "eddy.yaml:2:64: pipelines[0].topics[0] covers this pipeline's own results, expected filters that do not");
    }
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        snprintf(text, sizeof text, "agent: {id: g}\npipelines: [{name: x, model: m, input: {kind: image}, topics: [\"%s\"]}]", fine[i]);
        CHECK_TEXT(support_report(text), "accepted");
    }
    snprintf(text, sizeof text, "upstream: {url: 'mqtt://other'}\n" PIPELINE);
    CHECK_TEXT(support_report(text), "accepted");
}

static void pipelines_need_names_of_their_own(void)
{
    CHECK_TEXT(support_report(PIPELINE "  - name: line\n    topics: [b]\n    input: { kind: image }\n    model: m\n"),
               "eddy.yaml:6:11: pipelines[1].name is \"line\", expected a name that no other pipeline has (see line 2)");
    CHECK_TEXT(support_report("pipelines:\n  - name: Line\n    topics: [b]\n    input: { kind: image }\n    model: a/b\n"),
               "eddy.yaml:2:11: pipelines[0].name is \"Line\", expected 1 to 64 of the characters a-z 0-9 _ -\n"
               "eddy.yaml:5:12: pipelines[0].model is \"a/b\", expected a model's name or name@version, "
               "of the characters A-Z a-z 0-9 . _ -");
    CHECK_TEXT(support_report("pipelines: [{}]"),
               "eddy.yaml:1:13: pipelines[0].name is missing, expected 1 to 64 of the characters a-z 0-9 _ -\n"
               "eddy.yaml:1:13: pipelines[0].topics is missing, expected a list of 1 to 64 MQTT topic filters\n"
               "eddy.yaml:1:13: pipelines[0].input.kind is missing, expected one of image, series\n"
               "eddy.yaml:1:13: pipelines[0].model is missing, expected a model's name or name@version");
    CHECK_TEXT(support_report("pipelines: [line]"),
               "eddy.yaml:1:13: pipelines[0] is not a map, expected an entry that begins with \"- name: ...\"");
}

static void series_keys_fit_together(void)
{
    CHECK_TEXT(support_report(SERIES), "eddy.yaml:6:7: pipelines[0].input.fields is missing, expected a list such as [\"/ax\", \"/ay\"]\n"
                                       "eddy.yaml:6:7: pipelines[0].input.window is missing, expected the model's number of samples");
    CHECK_TEXT(support_report(SERIES "      fields: [/x]\n      window: 8\n      hop: 9\n"),
               "eddy.yaml:9:12: pipelines[0].input.hop is 9, expected a whole number from 1 to the window, 8");
    CHECK_TEXT(support_report(SERIES "      fields: [/x, y]\n      window: 8\n"),
               "eddy.yaml:7:20: pipelines[0].input.fields is \"y\", expected a JSON Pointer, such as /ax or /values");
    CHECK_TEXT(support_report(SERIES "      format: csv\n      fields: [y, \"#0\"]\n      window: 8\n"),
               "eddy.yaml:8:16: pipelines[0].input.fields is \"y\", expected a number such as \"#1\": "
               "columns have names only with header: true\n"
               "eddy.yaml:8:19: pipelines[0].input.fields is \"#0\", expected a column's number from #1 to #4096");
    CHECK_TEXT(support_report(SERIES "      fields: [/x]\n      window: 8\n      header: true\n      max_pixels: 5\n"),
               "eddy.yaml:10:7: pipelines[0].input.max_pixels is given, but it is only for kind image, expected no such key here\n"
               "eddy.yaml:9:7: pipelines[0].input.header is given, but it is only for format csv, expected no such key here");
    CHECK_TEXT(support_report(SERIES "      fields: [/a,/b,/c,/d,/e,/f,/g,/h,/i,/j,/k,/l,/m,/n,/o,/p,/q]\n      window: 65536\n"),
               "eddy.yaml:8:15: pipelines[0].input.window is 65536 with 17 fields, expected at most 1048576 numbers in a window");
    CHECK_TEXT(support_report("pipelines: [{name: x, model: m, topics: [a], input: {kind: image, window: 5}}]"),
               "eddy.yaml:1:67: pipelines[0].input.window is given, but it is only for kind series, expected no such key here");
}

static void later_features_are_refused_in_words(void)
{
    CHECK_TEXT(support_report("upstream: { url: \"quic://h\" }"),
               "eddy.yaml:1:18: upstream.url is \"quic://h\", which is not available in this version, use mqtts://");
}

static void near_promises_one_percent_unless_told_otherwise(void)
{
    struct config *config = support_parse(PIPELINE "    cache: { mode: near }\n");
    CHECK_INTEGER(config->pipelines[0].cache.mode, CACHE_NEAR);
    CHECK_INTEGER(config->pipelines[0].cache.max_disagreement * 1e6, 10000);
    config_close(config);
    config = support_parse(PIPELINE "    cache: { mode: near, max_disagreement: 2%, start_distance: 8 }\n");
    CHECK_INTEGER(config->pipelines[0].cache.max_disagreement * 1e6, 20000);
    CHECK_INTEGER(config->pipelines[0].cache.start_distance, 8);
    config_close(config);
    CHECK_TEXT(support_report(PIPELINE "    cache: { mode: exact, max_disagreement: 1% }\n"),
               "eddy.yaml:6:27: pipelines[0].cache.max_disagreement is given, but it is only for cache mode near, "
               "expected no such key here");
}

static void yaml_beyond_plain_data_is_refused(void)
{
    CHECK_TEXT(support_report("agent: &a { id: x }"),
               "eddy.yaml:1:8: an anchor (&name), expected the value itself: anchors and aliases are not read here");
    CHECK_TEXT(support_report("agent: *a"),
               "eddy.yaml:1:8: an alias (*name), expected the value itself: anchors and aliases are not read here");
    CHECK_TEXT(support_report("agent: !!map { id: x }"), "eddy.yaml:1:8: a tag (!name), expected the value itself: tags are not read here");
    CHECK_TEXT(support_report("agent: { id: x }\nlocal: {}\nagent: { id: y }"),
               "eddy.yaml:3:1: \"agent\" is given twice, expected it once (first in line 1)");
    CHECK_TEXT(support_report("agent: { id: x }\n---\nlocal: {}"),
               "eddy.yaml:2:1: a second document begins here, expected one document a file");
    CHECK_TEXT(support_report("agent: { id: \"a\\0b\" }"), "eddy.yaml:1:14: text that holds a NUL character, expected none");
    CHECK_TEXT(support_report("? [a]\n: b"), "eddy.yaml:1:3: a key that is a list or a map, expected plain text");
    CHECK(strstr(support_report("agent: { id: x"), "not valid YAML") != NULL);
    CHECK(strstr(support_report("agent: \xFF"), "not valid YAML") != NULL);
    CHECK_TEXT(support_report("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"),
               "eddy.yaml:1:19: lists and maps nested too deep, expected at most 16 levels");
}

static void at_most_twenty_problems_are_kept(void)
{
    char text[4096] = "", line[32];
    for (int i = 0; i < 50; i++) {
        snprintf(line, sizeof line, "qqqq%d: 1\n", i);
        strcat(text, line);
    }
    const char *report = support_report(text);
    int lines = 1;
    for (; *report != '\0'; report++)
        lines += *report == '\n';
    CHECK_INTEGER(lines, CONFIG_ERRORS_MAX);
}

static void file_that_is_too_large_is_refused(void)
{
    size_t length = 2 << 20;
    char *text = malloc(length);
    struct error error = {0};
    struct config *config;
    memset(text, '#', length);
    CHECK_INTEGER(config_parse("eddy.yaml", text, length, &config, NULL, &error), ERROR_CONFIG);
    CHECK_TEXT(error.message, "eddy.yaml: 2097152 bytes, expected at most 1048576");
    free(text);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(empty_file_gives_the_defaults), CASE(image_pipeline_gets_the_defaults),
                                            CASE(every_key_is_read), CASE(hop_without_a_value_is_the_window),
                                            CASE(upstream_without_a_url_is_the_local_broker), CASE(upstream_may_have_several_urls),
                                            CASE(keys_of_a_report_that_was_not_asked_for_are_refused), CASE(images_are_set_only_where_they_may_leave),
                                            CASE(contract_example_is_accepted),
                                            CASE(results_may_be_sent_at_once_and_numbers_of_threads_given),
                                            CASE(wrong_values_name_place_and_expectation), CASE(unknown_keys_name_the_closest),
                                            CASE(addresses_are_checked), CASE(topic_filters_are_checked),
                                            CASE(own_results_are_not_taken_in), CASE(pipelines_need_names_of_their_own),
                                            CASE(series_keys_fit_together), CASE(later_features_are_refused_in_words),
                                            CASE(near_promises_one_percent_unless_told_otherwise),
                                            CASE(yaml_beyond_plain_data_is_refused), CASE(at_most_twenty_problems_are_kept),
                                            CASE(file_that_is_too_large_is_refused), {0}});
}
