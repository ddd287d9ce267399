/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/demo.h"

#include "base/json_reader.h"

#include <stdlib.h>
#include <string.h>

/* The link of the comparison: what a gateway on LTE or DSL may have upstream. */
static const double cloud_bits_per_s = 5e6, cloud_round_trip_s = 0.060;

struct line {
    int item;
    int64_t seq;
    bool hit, error, anomalous;
    char label[DEMO_TRUTH_BYTES];
};

static bool read_result(struct json_reader *reader, struct line *line)
{
    struct json_token token;
    if (!json_next(reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(reader, &token) && token.kind == JSON_KEY) {
        bool label = json_text_equals(&token, "label"), anomalous = json_text_equals(&token, "anomalous");
        if (!label && !anomalous) {
            if (!json_skip_value(reader))
                return false;
            continue;
        }
        if (!json_next(reader, &token))
            return false;
        if (anomalous)
            line->anomalous = token.kind == JSON_TRUE;
        else if (token.length < sizeof line->label)
            memcpy(line->label, token.text, token.length);
    }
    return token.kind == JSON_OBJECT_END;
}

static bool read_line(const char *text, size_t length, struct line *line)
{
    struct json_reader reader;
    struct json_token token;
    *line = (struct line){.item = -1};
    json_reader_init(&reader, text, length);
    if (!json_next(&reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(&reader, &token) && token.kind == JSON_KEY) {
        bool id = json_text_equals(&token, "id"), seq = json_text_equals(&token, "seq"), cache = json_text_equals(&token, "cache");
        line->error |= json_text_equals(&token, "error");
        if (json_text_equals(&token, "result")) {
            if (!read_result(&reader, line))
                return false;
        } else if (!id && !seq && !cache) {
            if (!json_skip_value(&reader))
                return false;
        } else if (!json_next(&reader, &token)) {
            return false;
        } else if (id) {
            line->item = atoi(token.text);
        } else if (seq) {
            line->seq = (int64_t)token.number;
        } else {
            line->hit = json_text_equals(&token, "hit");
        }
    }
    return !json_failed(&reader);
}

static void judge(struct demo_kind *kind, const struct demo_item *item, const struct line *line)
{
    bool healthy = strcmp(item->truth, item->is_frame ? "good" : "healthy") == 0;
    bool alarm = item->is_frame ? strcmp(line->label, "good") != 0 : line->anomalous;
    kind->judged++;
    kind->right += item->is_frame ? strcmp(line->label, item->truth) == 0 : alarm != healthy;
    kind->missed_defects += !healthy && !alarm;
    kind->false_alarms += healthy && alarm;
}

static void take_line(struct demo_report *report, const struct demo_replay *replay, const struct line *line, int64_t arrived_us)
{
    if (line->seq <= report->last_seq && report->result_lines > 0)
        report->duplicates++;
    report->result_lines++;
    report->last_seq = line->seq > report->last_seq ? line->seq : report->last_seq;
    if (line->item < 0 || line->item >= replay->item_count)
        return;
    const struct demo_item *item = &replay->items[line->item];
    struct demo_kind *kind = item->is_frame ? &report->frames : &report->readings;
    kind->results++;
    kind->hits += line->hit;
    kind->errors += line->error;
    latency_add(&kind->latency, arrived_us - item->sent_us);
    if (!line->error)
        judge(kind, item, line);
}

void demo_report_take(struct demo_report *report, const struct demo_replay *replay, const char *text, size_t length, int64_t arrived_us)
{
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t line_length = end != NULL ? (size_t)(end - text) - at : length - at;
        struct line line;
        if (line_length > 0 && read_line(text + at, line_length, &line))
            take_line(report, replay, &line, arrived_us);
        at += line_length + 1;
    }
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static int64_t bytes_in(const struct demo_report *report)
{
    return report->frames.input_bytes + report->readings.input_bytes;
}

void demo_report_print_progress(const struct demo_report *report, int64_t now_us, bool heading)
{
    if (heading)
        printf("   s | frames  right  hits  p50 ms | windows  right  p50 ms |  in kB  up kB\n"
               "-----+----------------------------+------------------------+---------------\n");
    const struct demo_kind *frames = &report->frames, *readings = &report->readings;
    printf("%4lld | %6lld %5.1f%% %4.0f%% %7.2f | %7lld %5.1f%% %7.2f | %6.0f %6.1f\n", (long long)((now_us - report->started_us) / 1000000),
           (long long)frames->results, percent(frames->right, frames->judged), percent(frames->hits, frames->results),
           (double)latency_percentile(&frames->latency, 0.5) / 1e3, (long long)readings->results, percent(readings->right, readings->judged),
           (double)latency_percentile(&readings->latency, 0.5) / 1e3, (double)bytes_in(report) / 1e3, (double)report->upstream_bytes / 1e3);
    fflush(stdout);
}

static void print_kind(const char *name, const struct demo_kind *kind)
{
    printf("%-9s %6lld in, %lld results (%lld errors), %.1f %% right of %lld, %lld defects missed, %lld false alarms\n", name,
           (long long)kind->inputs, (long long)kind->results, (long long)kind->errors, percent(kind->right, kind->judged),
           (long long)kind->judged, (long long)kind->missed_defects, (long long)kind->false_alarms);
    printf("%-9s %.0f %% answered from the cache; sent to received: p50 %.2f, p95 %.2f, p99 %.2f ms\n", "",
           percent(kind->hits, kind->results), (double)latency_percentile(&kind->latency, 0.50) / 1e3,
           (double)latency_percentile(&kind->latency, 0.95) / 1e3, (double)latency_percentile(&kind->latency, 0.99) / 1e3);
}

void demo_report_print_summary(const struct demo_report *report, int64_t now_us)
{
    double seconds = (double)(now_us - report->started_us) / 1e6, in = (double)bytes_in(report), up = (double)report->upstream_bytes;
    double frame_bytes = report->frames.inputs > 0 ? (double)report->frames.input_bytes / (double)report->frames.inputs : 0;
    printf("\n%.0f s through a real mosquitto:\n", seconds);
    print_kind("frames", &report->frames);
    print_kind("readings", &report->readings);
    printf("upstream  %.1f kB in %lld messages for %lld results, of %.0f kB of inputs: %.0f times less; %lld duplicates\n", up / 1e3,
           (long long)report->messages, (long long)report->result_lines, in / 1e3, up > 0 ? in / up : 0, (long long)report->duplicates);
    printf("cloud     computed, not measured: all inputs sent up would be %.0f kB, %.1f MB an hour; at %.0f Mbit/s and %.0f ms round trip one\n"
           "          frame of %.1f kB would take %.1f ms before any inference there\n",
           in / 1e3, in / 1e6 / seconds * 3600, cloud_bits_per_s / 1e6, cloud_round_trip_s * 1e3, frame_bytes / 1e3,
           (frame_bytes * 8 / cloud_bits_per_s + cloud_round_trip_s) * 1e3);
}
