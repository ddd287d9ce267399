/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/demo.h"

#include "base/json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The link of the comparison: what a gateway on LTE or DSL may have upstream. */
static const double cloud_bits_per_s = 5e6, cloud_round_trip_s = 0.060;

struct line {
    int item;
    int64_t seq;
    double total_us;
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

static bool read_times(struct json_reader *reader, struct line *line)
{
    struct json_token token;
    if (!json_next(reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(reader, &token) && token.kind == JSON_KEY) {
        bool total = json_text_equals(&token, "total");
        if (!json_next(reader, &token))
            return false;
        if (total)
            line->total_us = token.number;
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
        } else if (json_text_equals(&token, "us")) {
            if (!read_times(&reader, line))
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

static void add_sample(struct demo_samples *samples, double ms)
{
    samples->ms[samples->count++ % DEMO_SAMPLES_MAX] = (float)ms;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The nearest rank of the sorted samples. */
static void percentiles(const struct demo_samples *samples, const double *fractions, int fraction_count, double *ms_out)
{
    static float sorted[DEMO_SAMPLES_MAX];
    size_t count = samples->count < DEMO_SAMPLES_MAX ? (size_t)samples->count : DEMO_SAMPLES_MAX;
    memcpy(sorted, samples->ms, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare);
    for (int i = 0; i < fraction_count; i++)
        ms_out[i] = count > 0 ? sorted[(size_t)(fractions[i] * (double)(count - 1) + 0.5)] : 0;
}

static double median(const struct demo_samples *samples)
{
    double ms;
    percentiles(samples, (double[]){0.5}, 1, &ms);
    return ms;
}

static void take_line(struct demo_report *report, const struct demo_replay *replay, const struct line *line, int64_t arrived_us)
{
    if (line->seq <= report->last_seq && report->result_lines > 0)
        report->duplicates++;
    if (report->result_lines == 0)
        report->first_seq = line->seq;
    report->result_lines++;
    report->last_seq = line->seq > report->last_seq ? line->seq : report->last_seq;
    if (line->item < 0 || line->item >= replay->item_count)
        return;
    const struct demo_item *item = &replay->items[line->item];
    struct demo_kind *kind = item->is_frame ? &report->frames : &report->readings;
    kind->results++;
    kind->hits += line->hit;
    kind->errors += line->error;
    add_sample(&kind->end_to_end, (double)(arrived_us - item->sent_us) / 1e3);
    add_sample(line->hit ? &kind->cached : &kind->inferred, line->total_us / 1e3);
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

void demo_report_print_progress(const struct demo_report *report, int64_t now_us)
{
    enum { HEADING_EVERY_S = 20 };
    const struct demo_kind *frames = &report->frames, *readings = &report->readings;
    long long second = (now_us - report->started_us) / 1000000;
    if (second % HEADING_EVERY_S == 1)
        printf("\n      | camera frames                   | motor windows           | kB of\n"
               "    s | results  right  from cache   ms | results  right       ms | inputs  results sent\n"
               "------+---------------------------------+-------------------------+---------------------\n");
    printf("%5lld | %7lld %5.1f%% %10.0f%% %5.2f | %7lld %5.1f%% %8.2f | %6.0f %13.1f\n", second, (long long)frames->results,
           percent(frames->right, frames->judged), percent(frames->hits, frames->results), median(&frames->inferred),
           (long long)readings->results, percent(readings->right, readings->judged), median(&readings->inferred),
           (double)bytes_in(report) / 1e3, (double)report->upstream_bytes / 1e3);
    fflush(stdout);
}

static void print_accuracy(const char *name, const struct demo_kind *kind)
{
    printf("  %-16s %8lld %8lld %8lld %9.1f %% %8lld %8lld %9.0f %%\n", name, (long long)kind->inputs, (long long)kind->results,
           (long long)kind->errors, percent(kind->right, kind->judged), (long long)kind->missed_defects, (long long)kind->false_alarms,
           percent(kind->hits, kind->results));
}

static void print_latency(const char *name, const struct demo_samples *samples)
{
    double ms[3];
    percentiles(samples, (double[]){0.50, 0.95, 0.99}, 3, ms);
    if (samples->count > 0)
        printf("  %-44s %8.2f %8.2f %8.2f\n", name, ms[0], ms[1], ms[2]);
}

static void print_traffic(const struct demo_report *report, double seconds)
{
    double in = (double)bytes_in(report) / 1e6, up = (double)report->upstream_bytes / 1e6;
    double frame_kb = report->frames.inputs > 0 ? (double)report->frames.input_bytes / (double)report->frames.inputs / 1e3 : 0;
    double frame_ms = (frame_kb * 8e3 / cloud_bits_per_s + cloud_round_trip_s) * 1e3;
    printf("\nupstream                                 eddy, measured   all inputs to a cloud, computed\n");
    printf("  MB in these %3.0f s                      %14.3f %33.3f\n", seconds, up, in);
    printf("  MB an hour at this pace                %14.1f %33.1f\n", up / seconds * 3600, in / seconds * 3600);
    printf("  ms until a frame's answer is known     %14.2f %33.1f\n", median(&report->frames.inferred), frame_ms);
    printf("  computed: payload and topic bytes; %.1f kB a frame over %.0f Mbit/s with %.0f ms round trip, the cloud's inference taking no time\n",
           frame_kb, cloud_bits_per_s / 1e6, cloud_round_trip_s * 1e3);
    printf("  measured: %lld results in %lld messages, %.0f times less than the inputs\n", (long long)report->result_lines,
           (long long)report->messages, up > 0 ? in / up : 0);
}

void demo_report_print_summary(const struct demo_report *report, int64_t now_us)
{
    long long expected = report->result_lines > 0 ? report->last_seq - report->first_seq + 1 : 0;
    printf("\nagainst the known truth     inputs  results   errors       right   missed    false from cache\n");
    print_accuracy("camera frames", &report->frames);
    print_accuracy("motor readings", &report->readings);
    printf("  a window is two readings of a motor: its first completes none; sequence numbers: %lld missing, %lld twice\n",
           expected - (long long)(report->result_lines - report->duplicates), (long long)report->duplicates);
    printf("\nlatency in ms                                      p50      p95      p99\n");
    print_latency("frame: arrived to answered by the model", &report->frames.inferred);
    print_latency("frame: arrived to answered from the cache", &report->frames.cached);
    print_latency("frame: camera to upstream subscriber", &report->frames.end_to_end);
    print_latency("reading: arrived to answered by the model", &report->readings.inferred);
    print_latency("reading: sensor to upstream subscriber", &report->readings.end_to_end);
    printf("  to the subscriber: results wait up to 200 ms for others, to be sent as one message (sink.linger)\n");
    print_traffic(report, (double)(now_us - report->started_us) / 1e6);
}
