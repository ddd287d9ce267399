/* SPDX-License-Identifier: Apache-2.0
 *
 * delivery FOLDER [URL]: what delivery costs, beside the plain way and the physical ceiling. FOLDER: on the disk in question. One line a figure.
 *   size     64 results in one LZ4 frame against the same sent one by one
 *   durable  results/s into the outbox, a commit per batch and per 16; against append + fdatasync of the same blobs, and against writing them
 *            over a file that is there already, which is what a WAL does: no sync has to write the file's length too; bytes written
 *   start    opening the outbox with 1,000,000 results in it, to the first batch in hand
 *   drain    100,000 results from the outbox to the broker at URL, each batch confirmed and removed; how long live results take meanwhile */
#include "agent/batch.h"
#include "agent/flash.h"
#include "agent/uplink.h"
#include "base/clock.h"
#include "bench/result_lines.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64, DURABLE_BATCHES = 2000 };
enum { DRAIN_RESULTS = 100000, START_RESULTS = 1000000, GROUP = 16, ANSWERS_MAX = 4096, ENCODED = 500, LIVE_MAX = 4096, LIVE_EVERY_US = 5000 };

static char folder[512];

static void must(enum error_code code, const struct error *error)
{
    if (code == ERROR_NONE)
        return;
    fprintf(stderr, "delivery: %s\n", error->message);
    exit(1);
}

static void size(struct batch_encoder *encoder)
{
    static char raw[BATCH * RESULT_LINE_BYTES_MAX], body[2 * BATCH * RESULT_LINE_BYTES_MAX];
    static const struct { const char *name; enum compression compression; double idle; } ways[] = {
        {"lz4", COMPRESSION_LZ4, 1}, {"hc 3", COMPRESSION_LZ4HC, 0.1}, {"hc 6", COMPRESSION_LZ4HC, 0.25}, {"hc 9", COMPRESSION_LZ4HC, 1}};
    size_t bytes, length = write_lines(raw, 1000, BATCH);
    for (int way = 0; way < 4; way++) {
        batch_encoder_adapt(encoder, ways[way].idle);
        size_t alone = 0;
        for (char *line = raw, *end; line < raw + length; line = end) {
            end = (char *)memchr(line, '\n', (size_t)(raw + length - line)) + 1;
            batch_encode(encoder, ways[way].compression, 0, line, (size_t)(end - line), body, &bytes);
            alone += bytes;
        }
        int64_t begin = clock_monotonic_us();
        for (int i = 0; i < ENCODED; i++)
            batch_encode(encoder, ways[way].compression, 0, raw, length, body, &bytes);
        double took_us = (double)(clock_monotonic_us() - begin) / ENCODED;
        printf("size: %-5s %4zu B a result in a frame of %d, %4zu B one by one (%.0f %%), %4zu B as text, %.0f us a frame\n",
               ways[way].name, bytes / BATCH, BATCH,
               alone / BATCH, 100.0 * (double)bytes / (double)alone, length / BATCH, took_us);
    }
}

static struct outbox *open_outbox(const char *name)
{
    char path[600];
    struct outbox *outbox;
    struct error error;
    bool set_aside;
    snprintf(path, sizeof path, "%s/%s.db", folder, name);
    must(outbox_open(path, INT64_C(4) << 30, 65535, &outbox, &set_aside, &error), &error);
    return outbox;
}

static void fill(struct outbox *outbox, struct batch_encoder *encoder, int64_t results, int group)
{
    static char raw[BATCH * RESULT_LINE_BYTES_MAX], bodies[GROUP][BATCH * RESULT_LINE_BYTES_MAX];
    static uint64_t inputs[GROUP * BATCH];
    struct outbox_batch batches[GROUP];
    struct error error;
    for (int64_t done = 0; done < results;) {
        int64_t seq = outbox_next_seq(outbox);
        for (int i = 0; i < group; i++, seq += BATCH, done += BATCH) {
            size_t length = write_lines(raw, seq, BATCH);
            batches[i] = (struct outbox_batch){.first_seq = seq, .last_seq = seq + BATCH - 1, .pipeline = "line", .count = BATCH, .body = bodies[i]};
            batches[i].encoding = batch_encode(encoder, COMPRESSION_LZ4, 0, raw, length, bodies[i], &batches[i].body_bytes);
        }
        for (int i = 0; i < group * BATCH; i++) /* each result answers an input of its own */
            inputs[i] = (uint64_t)(seq + i) * UINT64_C(0x9E3779B97F4A7C15);
        struct outbox_change change = {.batches = batches, .batch_count = (size_t)group, .inputs = inputs, .input_count = (size_t)group * BATCH};
        must(outbox_commit(outbox, &change, &error), &error);
    }
}

static double seconds_since(int64_t from_us)
{
    return (double)(clock_monotonic_us() - from_us) / 1e6;
}

static void remove_all(struct outbox *outbox)
{
    struct outbox_batch batch;
    struct error error;
    int64_t removed[GROUP];
    size_t count = 0;
    for (int64_t from = 0; outbox_find(outbox, from, &batch); from = batch.last_seq + 1) {
        removed[count++] = batch.first_seq;
        if (count == GROUP) {
            must(outbox_commit(outbox, &(struct outbox_change){.removed = removed, .removed_count = count}, &error), &error);
            count = 0;
        }
    }
    must(outbox_commit(outbox, &(struct outbox_change){.removed = removed, .removed_count = count}, &error), &error);
}

static double ceiling(struct batch_encoder *encoder, bool over, int64_t *payload_out)
{
    static char raw[BATCH * RESULT_LINE_BYTES_MAX], body[2 * BATCH * RESULT_LINE_BYTES_MAX];
    char path[600];
    size_t bytes;
    snprintf(path, sizeof path, "%s/append", folder);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (int i = 0; over && i < DURABLE_BATCHES / 2; i++) {
        if (write(file, body, sizeof body / 4) != (ssize_t)sizeof body / 4)
            exit(1);
    }
    if (lseek(file, 0, SEEK_SET) != 0 || fsync(file) != 0)
        exit(1);
    int64_t begin = clock_monotonic_us();
    *payload_out = 0;
    for (int i = 0; i < DURABLE_BATCHES; i++) {
        size_t length = write_lines(raw, (int64_t)i * BATCH + 1, BATCH);
        *payload_out += (int64_t)length;
        batch_encode(encoder, COMPRESSION_LZ4, 0, raw, length, body, &bytes);
        if (write(file, body, bytes) != (ssize_t)bytes || fdatasync(file) != 0)
            exit(1);
    }
    double rate = DURABLE_BATCHES * BATCH / seconds_since(begin);
    close(file);
    unlink(path);
    return rate;
}

static void durable(struct batch_encoder *encoder)
{
    int64_t payload;
    double bare = ceiling(encoder, false, &payload), over = ceiling(encoder, true, &payload);
    printf("durable: %9.0f results/s by append + fdatasync of each blob, %.0f over a file that is there\n", bare, over);
    for (int group = 1; group <= GROUP; group *= GROUP) {
        struct outbox *outbox = open_outbox(group == 1 ? "single" : "group");
        int64_t written = flash_bytes_written(), begin = clock_monotonic_us();
        fill(outbox, encoder, DURABLE_BATCHES * BATCH, group);
        double rate = DURABLE_BATCHES * BATCH / seconds_since(begin);
        remove_all(outbox);
        outbox_close(outbox);
        double per_byte = (double)(flash_bytes_written() - written) / (double)payload;
        printf("durable: %9.0f results/s, %2d batches of %d a commit (%.0f %% and %.0f %% of these); %.2f B written a byte of text, removal and checkpoint "
               "included\n",
               rate, group, BATCH, 100 * rate / bare, 100 * rate / over, per_byte);
    }
}

static void start(struct batch_encoder *encoder)
{
    struct outbox *outbox = open_outbox("start");
    struct outbox_batch batch;
    fill(outbox, encoder, START_RESULTS, GROUP);
    outbox_close(outbox);
    int64_t begin = clock_monotonic_us();
    outbox = open_outbox("start");
    bool found = outbox_find(outbox, 0, &batch);
    printf("start: %.1f ms from opening to the first batch in hand, %d results queued%s\n", 1e3 * seconds_since(begin), START_RESULTS,
           found ? "" : ": none found");
    outbox_close(outbox);
}

struct answers {
    pthread_mutex_t lock;
    int64_t seqs[ANSWERS_MAX];
    int count;
    atomic_bool connected;
};

static bool on_message(struct link_message *message, void *context)
{
    (void)context;
    link_message_release(message);
    return true;
}

static void on_connected(bool session_present, void *context)
{
    (void)session_present;
    atomic_store(&((struct answers *)context)->connected, true);
}

static void on_published(uint64_t ticket, int reason_code, void *context)
{
    struct answers *answers = context;
    (void)reason_code;
    pthread_mutex_lock(&answers->lock);
    answers->seqs[answers->count++] = (int64_t)ticket - 1;
    pthread_mutex_unlock(&answers->lock);
}

struct live { /* results that come while the backlog drains */
    int64_t first_seq, stored_us[LIVE_MAX], took_us[LIVE_MAX];
    int stored, arrived;
};

static int by_time(const void *one, const void *other)
{
    int64_t left = *(const int64_t *)one, right = *(const int64_t *)other;
    return left < right ? -1 : left > right;
}

static bool is_live_due(struct live *live, const struct outbox *outbox, struct outbox_batch *batch)
{
    static char text[RESULT_LINE_BYTES_MAX];
    int64_t now = clock_monotonic_us(), seq = outbox_next_seq(outbox);
    if (live->stored == LIVE_MAX || (live->stored > 0 && now - live->stored_us[live->stored - 1] < LIVE_EVERY_US))
        return false;
    *batch = (struct outbox_batch){.first_seq = seq, .last_seq = seq, .pipeline = "line", .count = 1, .body = text, .body_bytes = write_line(text, seq)};
    live->stored_us[live->stored++] = now;
    return true;
}

static void drain(struct batch_encoder *encoder, const char *url)
{
    struct outbox *outbox = open_outbox("drain");
    struct answers answers = {.count = 0};
    struct uplink uplink;
    struct link *link;
    struct error error;
    pthread_mutex_init(&answers.lock, NULL);
    fill(outbox, encoder, DRAIN_RESULTS, 1);
    struct link_options options = {.url = url, .client_id = "delivery", .keep_alive_s = 30, .receive_maximum = 10, .on_message = on_message,
                                   .on_connected = on_connected, .on_published = on_published, .context = &answers};
    must(link_open(&options, &link, &error), &error);
    while (!atomic_load(&answers.connected))
        usleep(1000);
    uplink_init(&uplink, outbox, "bench", 0.5, 0);
    uplink.link = link;
    int64_t begin = clock_monotonic_us(), delivered = 0, batches = (DRAIN_RESULTS + BATCH - 1) / BATCH;
    static struct live live;
    live.first_seq = outbox_next_seq(outbox);
    uplink_connected(&uplink);
    while (delivered < batches) {
        int64_t removed[ANSWERS_MAX];
        size_t count = 0;
        pthread_mutex_lock(&answers.lock);
        for (int i = 0; i < answers.count; i++) {
            if (uplink_answered(&uplink, answers.seqs[i], 0) != UPLINK_DELIVERED)
                continue;
            removed[count++] = answers.seqs[i];
            if (answers.seqs[i] >= live.first_seq)
                live.took_us[live.arrived++] = clock_monotonic_us() - live.stored_us[answers.seqs[i] - live.first_seq];
            else
                delivered++;
        }
        answers.count = 0;
        pthread_mutex_unlock(&answers.lock);
        uplink_send(&uplink);
        struct outbox_change change = {.removed = removed, .removed_count = count};
        struct outbox_batch batch;
        if (is_live_due(&live, outbox, &batch)) {
            change.batches = &batch;
            change.batch_count = 1;
        }
        if (count + change.batch_count > 0)
            must(outbox_commit(outbox, &change, &error), &error);
        else
            usleep(100);
        if (change.batch_count > 0)
            uplink_offer(&uplink, &batch);
    }
    double took = seconds_since(begin);
    printf("drain: %d results in %.2f s: %.0f results/s, %.0f batches/s, each confirmed and removed\n", DRAIN_RESULTS, took, DRAIN_RESULTS / took,
           (double)batches / took);
    qsort(live.took_us, (size_t)live.arrived, sizeof live.took_us[0], by_time);
    if (live.arrived > 0)
        printf("drain: %d live results meanwhile, one each %d ms at most: p50 %.1f ms, p99 %.1f ms from stored to confirmed\n", live.arrived,
               LIVE_EVERY_US / 1000,
               (double)live.took_us[live.arrived / 2] / 1e3, (double)live.took_us[live.arrived * 99 / 100] / 1e3);
    link_close(link);
    outbox_close(outbox);
    pthread_mutex_destroy(&answers.lock);
}

int main(int count, char **arguments)
{
    struct batch_encoder *encoder;
    struct error error;
    if (count < 2 || count > 3) {
        fprintf(stderr, "usage: delivery FOLDER [URL]\n");
        return 2;
    }
    snprintf(folder, sizeof folder, "%s", arguments[1]);
    must(batch_encoder_new(&encoder, &error), &error);
    size(encoder);
    durable(encoder);
    start(encoder);
    if (count == 3)
        drain(encoder, arguments[2]);
    batch_encoder_free(encoder);
    return 0;
}
