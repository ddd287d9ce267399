/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of eddy.yaml: each stands here and nowhere else. */
#include "config/schema.h"

#include "config/bandwidth.h"
#include "config/config.h"
#include "config/rules.h"

#define KIB 1024.0
#define MIB (1024.0 * 1024)
#define GIB (1024.0 * 1024 * 1024)
#define MS 1000.0
#define SECOND 1e6
#define HOUR 3.6e9
#define DAY 8.64e10

static const struct schema_choice log_levels[] = {{.name = "error"}, {.name = "warning"}, {.name = "info"}, {.name = "debug"}, {0}};
static const struct schema_choice kinds[] = {{"image", INPUT_IMAGE, NULL}, {"series", INPUT_SERIES, NULL}, {0}};
static const struct schema_choice formats[] = {
    {"json", SERIES_JSON, NULL}, {"csv", SERIES_CSV, NULL}, {"cbor", SERIES_CBOR, NULL}, {"f32le", SERIES_F32LE, NULL}, {0}};
static const struct schema_choice modes[] = {{"off", CACHE_OFF, NULL}, {"exact", CACHE_EXACT, NULL}, {"near", CACHE_NEAR, NULL}, {0}};
static const struct schema_choice egresses[] = {
    {"results", EGRESS_RESULTS, NULL}, {"crops", EGRESS_CROPS, NULL}, {"snapshots", EGRESS_SNAPSHOTS, NULL}, {0}};
static const struct schema_choice reports[] = {
    {"always", REPORT_ALWAYS, NULL}, {"change", REPORT_CHANGE, NULL}, {"interval", REPORT_INTERVAL, NULL}, {0}};
static const struct schema_choice keeps[] = {{"newest", KEEP_NEWEST, NULL}, {"important", KEEP_IMPORTANT, NULL}, {0}};
static const struct schema_choice priorities[] = {{"normal", PRIORITY_NORMAL, NULL}, {"high", PRIORITY_HIGH, NULL}, {0}};
static const struct schema_choice compressions[] = {
    {"none", COMPRESSION_NONE, NULL}, {"lz4", COMPRESSION_LZ4, NULL}, {"lz4hc", COMPRESSION_LZ4HC, NULL}, {0}};

/* What both brokers have. */
#define BROKER_ROWS(section, member)                                                                                                     \
    {.path = section ".user", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, member.user), .otherwise = "no user", .example = "gateway",    \
     .help = "User name for the broker."},                                                                                               \
    {.path = section ".password_file", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, member.password_file), .problem = rule_path,         \
     .otherwise = "no password", .example = "/etc/eddy/" section ".password",                                                            \
     .help = "File whose first line is the password."},                                                                                  \
    {.path = section ".ca", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, member.ca), .problem = rule_path,                               \
     .otherwise = "the system's authorities", .example = "/etc/eddy/" section "-ca.pem",                                                 \
     .help = "PEM file with the authorities that may sign the broker's certificate (mqtts, wss)."},                                      \
    {.path = section ".cert", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, member.cert), .problem = rule_path,                           \
     .otherwise = "no client certificate", .example = "/etc/eddy/" section ".pem",                                                       \
     .help = "PEM file with this gateway's certificate; together with key."},                                                            \
    {.path = section ".key", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, member.key), .problem = rule_path,                             \
     .otherwise = "no client certificate", .example = "/etc/eddy/" section ".key",                                                       \
     .help = "PEM file with the certificate's private key."},                                                                            \
    {.path = section ".keep_alive", .type = SCHEMA_DURATION, SCHEMA_AT(struct config, member.keep_alive_s), .unit_us = 1000000,           \
     .minimum = 5 * SECOND, .maximum = 18 * HOUR, .value = "30s",                                                                        \
     .help = "Silence after which the connection is probed (whole seconds)."},                                                           \
    {.path = section ".receive_maximum", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config, member.receive_maximum), .minimum = 1,          \
     .maximum = 65535, .value = "256",                                                                                                   \
     .help = "QoS 1 messages that the broker may have underway to this gateway at once."},                                               \
    {.path = section ".session_expiry", .type = SCHEMA_DURATION, SCHEMA_AT(struct config, member.session_expiry_s), .unit_us = 1000000,   \
     .minimum = 0, .maximum = 365 * DAY, .value = "1d",                                                                                  \
     .help = "How long the broker keeps subscriptions and messages while this gateway is away (whole seconds)."}

static const struct schema_row config_rows[] = {
    {.path = "agent", .type = SCHEMA_SECTION, .help = "This gateway."},
    {.path = "agent.id", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, agent.id), .problem = rule_topic_level, .otherwise = "the host name",
     .example = "gw-17", .help = "Name of this gateway: a level of its topics, eddy/ID/..."},
    {.path = "agent.state_dir", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, agent.state_dir), .problem = rule_path,
     .value = "/var/lib/eddy", .help = "Folder of the outbox and the cache; must be on storage that survives a restart."},
    {.path = "agent.workers", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config, agent.workers), .minimum = 1, .maximum = 64, .value = "1",
     .help = "Inference workers: inputs that are worked on at once."},
    {.path = "agent.threads", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config, agent.threads), .minimum = 1, .maximum = 64, .word = "auto",
     .value = "auto", .help = "Threads that each worker may use; auto: the cores divided by the workers."},
    {.path = "agent.input_memory", .type = SCHEMA_SIZE, SCHEMA_AT(struct config, agent.input_bytes_max), .minimum = MIB, .maximum = 16 * GIB,
     .value = "64MiB", .help = "Inputs held at once, in bytes; what is beyond stays at the local broker."},
    {.path = "agent.health_interval", .type = SCHEMA_DURATION, SCHEMA_AT(struct config, agent.health_interval_us), .unit_us = 1,
     .minimum = SECOND, .maximum = DAY, .value = "30s", .help = "Time between two health messages."},
    {.path = "agent.log_level", .type = SCHEMA_WORD, SCHEMA_AT(struct config, agent.log_level), .choices = log_levels, .value = "info",
     .help = "What is logged: this level and the more urgent ones."},

    {.path = "local", .type = SCHEMA_SECTION, .help = "The broker that inputs come from."},
    {.path = "local.url", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, local.url), .problem = rule_broker_url,
     .value = "mqtt://127.0.0.1:1883", .help = "Address: mqtt:// mqtts:// ws:// or wss://, host, port."},
    BROKER_ROWS("local", local),

    {.path = "upstream", .type = SCHEMA_SECTION, .help = "The broker that results go to."},
    {.path = "upstream.url", .type = SCHEMA_TEXTS, SCHEMA_AT(struct config, upstream.urls), SCHEMA_COUNT(struct config, upstream.url_count),
     .text_offset = offsetof(struct config, upstream.url), .minimum = 1, .maximum = 8, .problem = rule_broker_url,
     .expected = "an address, or a list of 1 to 8 addresses",
     .otherwise = "the local broker: its address, and its user, password and files where none are set here",
     .example = "mqtts://broker.example:8883",
     .help = "Address: mqtt:// mqtts:// ws:// or wss://, host, port. Of a list the first one that answers is used, and tried first again after "
             "each loss."},
    BROKER_ROWS("upstream", upstream),
    {.path = "upstream.bandwidth", .type = SCHEMA_SIZE, SCHEMA_AT(struct config, upstream.bandwidth), .minimum = KIB, .maximum = 64 * GIB,
     .word = "unlimited", .value = "unlimited", .help = "Bytes of results that may leave in a second, on average."},
    {.path = "upstream.bandwidth_windows", .type = SCHEMA_TEXTS, SCHEMA_AT(struct config, upstream.bandwidth_windows),
     SCHEMA_COUNT(struct config, upstream.bandwidth_window_count), .minimum = 0, .maximum = BANDWIDTH_WINDOWS_MAX, .problem = rule_bandwidth_window,
     .expected = "a list of at most 16 windows", .otherwise = "bandwidth holds all day",
     .example = "[\"mon-fri 08:00-18:00 64KiB\", \"22:00-06:00 unlimited\"]",
     .help = "Times at which another bandwidth holds: days (none: every day), from-to, and a size, unlimited or none. Local time; the first that holds "
             "counts; one that ends before it begins ends on the next day."},

    {.path = "models_dir", .type = SCHEMA_TEXT, SCHEMA_AT(struct config, models_dir), .problem = rule_path,
     .value = "/var/lib/eddy/models", .help = "Folder of the model bundles: NAME/VERSION/model.yaml."},

    {.path = "outbox", .type = SCHEMA_SECTION, .help = "Results that wait on disk until the upstream broker has them."},
    {.path = "outbox.max_bytes", .type = SCHEMA_SIZE, SCHEMA_AT(struct config, outbox.max_bytes), .minimum = MIB, .maximum = 1024 * GIB,
     .value = "256MiB", .help = "Disk budget; past it the oldest results go first, counted and reported."},
    {.path = "outbox.keep", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config, outbox.keep), .choices = keeps, .value = "newest",
     .help = "What stays when the budget is used up: the newest results, or first of all the important ones: errors, anomalies and those of low "
             "confidence."},
    {.path = "outbox.low_confidence", .type = SCHEMA_PERCENT, SCHEMA_AT(struct config, outbox.low_confidence), .minimum = 0, .maximum = 1,
     .value = "50%", .help = "keep important: a label or a detected object with a score below this is important."},
    {.path = "outbox.daily_writes", .type = SCHEMA_SIZE, SCHEMA_AT(struct config, outbox.daily_writes), .minimum = MIB, .maximum = 1024 * GIB,
     .word = "unlimited", .value = "unlimited",
     .help = "Bytes that may be written in a day, to spare the flash: beyond it commits come more rarely, down to one in 10 s, and results later."},
    {.path = "outbox.live_share", .type = SCHEMA_PERCENT, SCHEMA_AT(struct config, outbox.live_share), .minimum = 0, .maximum = 1, .value = "50%",
     .help = "Share of the connection that new results get while old ones are caught up on, once they have waited for 100ms; 0%: they wait, and all leave in "
             "the order of seq."},

    {.path = "cache", .type = SCHEMA_SECTION, .help = "Results that are given again for the same input."},
    {.path = "cache.memory", .type = SCHEMA_SIZE, SCHEMA_AT(struct config, cache.memory_bytes), .minimum = 0, .maximum = 16 * GIB,
     .value = "8MiB", .help = "Memory in front of the cache's disk, all pipelines together."},
    {.path = "cache.core_watts", .type = SCHEMA_NUMBER, SCHEMA_AT(struct config, cache.core_watts), .minimum = 0, .maximum = 1000,
     .value = "2", .help = "Power that one busy core of this gateway draws: turns the time that the cache saved into joules."},

    {.path = "pipelines", .type = SCHEMA_ENTRIES, SCHEMA_AT(struct config, pipelines), SCHEMA_COUNT(struct config, pipeline_count),
     .minimum = 0, .maximum = 256, .expected = "a list of at most 256 pipelines", .entries = &pipeline_schema,
     .otherwise = "no pipeline: nothing is taken in",
     .help = "What to do with which messages: topics, decoding, cache, model, sink."},
};

static const struct schema_row pipeline_rows[] = {
    {.path = "name", .type = SCHEMA_TEXT, .required = true, SCHEMA_AT(struct config_pipeline, name), .problem = rule_pipeline_name,
     .expected = "1 to 64 of the characters a-z 0-9 _ -", .example = "line", .in_sample = true,
     .help = "Name of the pipeline: a level of the topic of its results. No two have the same."},
    {.path = "topics", .type = SCHEMA_TEXTS, .required = true, SCHEMA_AT(struct config_pipeline, topics),
     SCHEMA_COUNT(struct config_pipeline, topic_count), .minimum = 1, .maximum = 64, .problem = rule_topic_filter,
     .expected = "a list of 1 to 64 MQTT topic filters", .example = "[\"camera/+/frame\"]", .in_sample = true,
     .help = "MQTT topic filters of the inputs."},
    {.path = "qos", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config_pipeline, qos), .minimum = 0, .maximum = 1, .value = "1",
     .help = "QoS of the subscription; with 0 the broker may lose inputs while this gateway is away or busy."},
    {.path = "max_message", .type = SCHEMA_SIZE, SCHEMA_AT(struct config_pipeline, max_message_bytes), .minimum = 1, .maximum = 256 * MIB,
     .word = "auto", .value = "auto", .help = "Larger inputs give an error result; auto: 32MiB for images, 1MiB for series."},

    {.path = "input", .type = SCHEMA_SECTION, .help = "How a message becomes the model's input.", .in_sample = true},
    {.path = "input.kind", .type = SCHEMA_CHOICE, .required = true, SCHEMA_AT(struct config_pipeline, input.kind), .choices = kinds,
     .example = "image", .in_sample = true, .help = "image: the payload is a JPEG; series: it holds samples of sensors."},
    {.path = "input.max_pixels", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config_pipeline, input.max_pixels), .minimum = 1,
     .maximum = 200000000, .value = "50000000", .help = "image: width times height of the largest image that is decoded."},
    {.path = "input.format", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config_pipeline, input.format), .choices = formats, .value = "json",
     .help = "series: the payload's format; f32le is 32-bit little-endian floats, one after the other."},
    {.path = "input.fields", .type = SCHEMA_TEXTS, SCHEMA_AT(struct config_pipeline, input.fields),
     SCHEMA_COUNT(struct config_pipeline, input.field_count), .minimum = 1, .maximum = CONFIG_FIELDS_MAX,
     .expected = "a list of 1 to 64 texts", .otherwise = "must be given for series", .example = "[\"/ax\", \"/ay\", \"/az\"]",
     .help = "series: where a sample's numbers stand: JSON Pointers (json, cbor), column names or numbers such as \"#2\" (csv), names in "
             "their order (f32le). A pointer to an array adds its elements as consecutive samples."},
    {.path = "input.window", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config_pipeline, input.window), .minimum = 1, .maximum = 65536,
     .otherwise = "must be given for series", .example = "64", .help = "series: samples that the model looks at together."},
    {.path = "input.hop", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config_pipeline, input.hop), .minimum = 1, .maximum = 65536,
     .otherwise = "the window", .example = "32", .help = "series: new samples between two windows, at most the window."},
    {.path = "input.gap", .type = SCHEMA_DURATION, SCHEMA_AT(struct config_pipeline, input.gap_us), .unit_us = 1, .minimum = 0,
     .maximum = 365 * DAY, .value = "0ms", .help = "series: silence of a source after which its window starts anew; 0ms: never."},
    {.path = "input.time_field", .type = SCHEMA_TEXT, SCHEMA_AT(struct config_pipeline, input.time_field),
     .otherwise = "the time of arrival", .example = "/t",
     .help = "series: JSON Pointer or column of a sample's time: seconds, milliseconds, microseconds or RFC 3339."},
    {.path = "input.delimiter", .type = SCHEMA_CHARACTER, SCHEMA_AT(struct config_pipeline, input.delimiter), .value = ",",
     .help = "series, csv: the character between two columns (a tab is \"\\t\")."},
    {.path = "input.header", .type = SCHEMA_BOOLEAN, SCHEMA_AT(struct config_pipeline, input.header), .value = "false",
     .help = "series, csv: each message begins with a line of column names."},

    {.path = "model", .type = SCHEMA_TEXT, .required = true, SCHEMA_AT(struct config_pipeline, model), .problem = rule_model_reference,
     .expected = "a model's name or name@version", .example = "part-check", .in_sample = true,
     .help = "Name of the model, or NAME@VERSION; without a version the highest one."},

    {.path = "cache", .type = SCHEMA_SECTION, .in_sample = true,
     .help = "Whether an input that was seen before is answered without inference."},
    {.path = "cache.mode", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config_pipeline, cache.mode), .choices = modes, .value = "off",
     .example = "exact", .in_sample = true,
     .help = "exact: same bytes, or same tensor for the model; near: also inputs that look alike, within max_disagreement."},
    {.path = "cache.ttl", .type = SCHEMA_DURATION, SCHEMA_AT(struct config_pipeline, cache.ttl_us), .unit_us = 1, .minimum = MS,
     .maximum = 365 * DAY, .value = "10m", .help = "Age at which a remembered result is no longer used."},
    {.path = "cache.max_bytes", .type = SCHEMA_SIZE, SCHEMA_AT(struct config_pipeline, cache.max_bytes), .minimum = 64 * KIB,
     .maximum = 64 * GIB, .value = "64MiB", .help = "Disk budget of this pipeline's cache."},
    {.path = "cache.max_disagreement", .type = SCHEMA_PERCENT, SCHEMA_AT(struct config_pipeline, cache.max_disagreement), .minimum = 0.0001,
     .maximum = 0.5, .otherwise = "1% for mode near", .example = "1%",
     .help = "near: share of its answers that may differ from the model's; until comparisons prove it, everything is inferred."},
    {.path = "cache.start_distance", .type = SCHEMA_NUMBER, SCHEMA_AT(struct config_pipeline, cache.start_distance), .minimum = 0,
     .maximum = 181, .otherwise = "0: learn it first", .example = "8",
     .help = "near: distance to trust from the start, as another gateway has learned it (docs/cache.md)."},

    {.path = "egress", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config_pipeline, egress), .choices = egresses, .value = "results",
     .help = "What may leave this gateway: results, and no pixel; or also, where images says when, crops of what was detected or whole snapshots."},
    {.path = "images", .type = SCHEMA_SECTION, .help = "egress crops and snapshots: which images leave; besides, the command snapshot asks for one."},
    {.path = "images.anomalies", .type = SCHEMA_BOOLEAN, SCHEMA_AT(struct config_pipeline, images.anomalies), .value = "true",
     .help = "Those whose result is an anomaly."},
    {.path = "images.below", .type = SCHEMA_PERCENT, SCHEMA_AT(struct config_pipeline, images.below), .minimum = 0, .maximum = 1, .value = "0%",
     .help = "Those with a label or an object whose score is below this; 0%: none."},
    {.path = "images.every", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config_pipeline, images.every), .minimum = 0, .maximum = 1000000000,
     .value = "0", .help = "The first one and every Nth after it; 0: none."},
    {.path = "images.max_bytes", .type = SCHEMA_SIZE, SCHEMA_AT(struct config_pipeline, images.max_bytes), .minimum = 2 * KIB, .maximum = 16 * MIB,
     .value = "64KiB", .help = "Size of one JPEG, at most: encoded at the best quality that fits, in half the size where none does."},
    {.path = "images.redact", .type = SCHEMA_TEXTS, SCHEMA_AT(struct config_pipeline, images.redact),
     SCHEMA_COUNT(struct config_pipeline, images.redact_count), .minimum = 0, .maximum = 64, .expected = "a list of at most 64 labels",
     .otherwise = "nothing is made unrecognisable", .example = "[\"person\"]",
     .help = "Labels of the model whose boxes are pixelated before anything leaves; an image whose boxes are not known does not leave."},

    {.path = "sink", .type = SCHEMA_SECTION, .help = "How results are gathered into messages."},
    {.path = "sink.batch", .type = SCHEMA_INTEGER, SCHEMA_AT(struct config_pipeline, sink.batch), .minimum = 1, .maximum = 4096,
     .value = "64", .help = "Results in one message, at most."},
    {.path = "sink.linger", .type = SCHEMA_DURATION, SCHEMA_AT(struct config_pipeline, sink.linger_us), .unit_us = 1, .minimum = 0,
     .maximum = HOUR, .value = "200ms",
     .help = "Time for which a result waits for others; 0ms sends what waits as soon as the connection takes it."},
    {.path = "sink.max_bytes", .type = SCHEMA_SIZE, SCHEMA_AT(struct config_pipeline, sink.max_bytes), .minimum = KIB, .maximum = 16 * MIB,
     .value = "128KiB", .help = "Size of one message, at most; clouds take 16KiB to 256KiB."},
    {.path = "sink.compression", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config_pipeline, sink.compression), .choices = compressions,
     .value = "lz4", .help = "LZ4 frames; lz4hc is smaller and costs up to six times the CPU: it tries less while the CPU is busy."},
    {.path = "sink.compress_above", .type = SCHEMA_SIZE, SCHEMA_AT(struct config_pipeline, sink.compress_above), .minimum = 0,
     .maximum = 16 * MIB, .value = "512", .help = "Smaller messages stay uncompressed."},
    {.path = "sink.on", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config_pipeline, sink.on), .choices = reports, .value = "always",
     .help = "Which results are sent. change: those that differ from the last one sent of their topic; interval: one of a topic each sink.every, "
             "and all errors and anomalies. The line after left out ones says \"unchanged\":N."},
    {.path = "sink.every", .type = SCHEMA_DURATION, SCHEMA_AT(struct config_pipeline, sink.every_us), .unit_us = 1, .minimum = 0,
     .maximum = 365 * DAY, .value = "10m",
     .help = "change: after so long a result is sent although it is the same, 0ms: never; interval: the time between two."},
    {.path = "sink.deadband", .type = SCHEMA_NUMBER, SCHEMA_AT(struct config_pipeline, sink.deadband), .minimum = 0, .maximum = 1e9, .value = "0",
     .help = "change: scores that differ by no more than this are the same."},
    {.path = "sink.same_as", .type = SCHEMA_BOOLEAN, SCHEMA_AT(struct config_pipeline, sink.same_as), .value = "false",
     .help = "A result that equals an earlier one of this pipeline is sent as \"same-as\":SEQ, at most 4096 seqs back; eddy tail puts it back."},
    {.path = "sink.priority", .type = SCHEMA_CHOICE, SCHEMA_AT(struct config_pipeline, sink.priority), .choices = priorities, .value = "normal",
     .help = "high: these results leave before those of all pipelines that are normal, old ones included."},
};

const struct schema config_schema = {.title = "eddy.yaml", SCHEMA_ROWS(config_rows), .struct_bytes = sizeof(struct config)};
const struct schema pipeline_schema = {.title = "A pipeline", SCHEMA_ROWS(pipeline_rows), .struct_bytes = sizeof(struct config_pipeline)};
