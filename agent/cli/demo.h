/* SPDX-License-Identifier: Apache-2.0
 *
 * demo.h: the factory demo: what is replayed (demo_replay.c), what came out of it (demo_report.c), who runs it (demo.c).
 *
 * Single-threaded: one loop sends what is due and takes what arrives. Item i is sent with correlation data "<i>-<round>", so that every
 * result can be held against the known truth of its input. */
#ifndef EDDY_AGENT_DEMO_H
#define EDDY_AGENT_DEMO_H

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

enum { DEMO_TRUTH_BYTES = 32, DEMO_TOPIC_BYTES = 64, DEMO_ITEMS_MAX = 4096, DEMO_SAMPLES_MAX = 16384 };

struct demo_item {
    int64_t at_us;                 /* since the beginning of a round */
    int64_t sent_us;               /* monotonic, of the latest round */
    char topic[DEMO_TOPIC_BYTES];
    char truth[DEMO_TRUTH_BYTES];  /* part class, or healthy | unbalance | bearing */
    const uint8_t *payload;
    size_t payload_bytes;
    bool is_frame;
};

struct demo_replay {
    struct arena arena;
    struct file_map maps[DEMO_ITEMS_MAX];
    int map_count;
    struct demo_item *items;       /* in order of time */
    int item_count;
    int motor_count;               /* topics of readings: the first reading of each completes no window */
    int64_t round_us;              /* then it begins anew */
};

MUST_CHECK enum error_code demo_replay_open(const char *folder, struct demo_replay *replay, struct error *error);
void demo_replay_close(struct demo_replay *replay);

struct demo_samples {              /* the last DEMO_SAMPLES_MAX of them, as measured */
    float ms[DEMO_SAMPLES_MAX];
    int64_t count;
};

struct demo_kind {                 /* frames or readings */
    int64_t inputs, input_bytes, results, hits, errors, judged, right, missed_defects, false_alarms;
    struct demo_samples inferred;  /* arrived in the agent to answered, as its result line says ("us": "total") */
    struct demo_samples cached;    /* the same of results from the cache */
    struct demo_samples end_to_end; /* sent by the camera to received upstream, by this program's clock */
};

struct demo_report {
    struct demo_kind frames, readings;
    int64_t messages, upstream_bytes, result_lines, first_seq, last_seq, duplicates;
    int64_t started_us;
};

/* Takes the lines of one result message. */
void demo_report_take(struct demo_report *report, const struct demo_replay *replay, const char *text, size_t length, int64_t arrived_us);
void demo_report_print_progress(const struct demo_report *report, int64_t now_us);
void demo_report_print_summary(const struct demo_report *report, int64_t now_us);

#endif
