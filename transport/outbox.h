/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.h: what must still go upstream, on disk.
 *
 * An SQLite database in WAL mode, synchronous=FULL: what outbox_commit has returned for survives kill -9 and power cuts; but a commit of removals alone
 * is not synced (NORMAL): a power cut may undo it until anything else is committed, and what was confirmed is sent once more. One row a batch:
 * its body is the message payload as it will be published. seq numbers come from here and never repeat.
 *   batch(first_seq PRIMARY KEY, last_seq, pipeline, count, encoding, urgent, body)   state(next_seq, batches, bytes, evicted_results, ...)
 *   image: images that wait, see outbox_store_image.
 *   refused: batches that the broker refused for good, with its reason.
 *   taken: digests of the inputs committed last: a redelivered one (DUP) gets no second seq.
 *   reading: what inputs without a result left behind, opaque to the outbox: see agent/window_log.h.
 * Budget: past bytes_max the oldest batches go first, counted; a full disk is answered by deleting the ballast file and evicting, so that
 *   the outbox always empties again. Start-up time does not depend on the backlog.
 * Threads: one at a time (the committer owns it). Errors: ERROR_STORAGE; after one, what was not committed is still the caller's. */
#ifndef EDDY_TRANSPORT_OUTBOX_H
#define EDDY_TRANSPORT_OUTBOX_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox;

enum outbox_encoding { OUTBOX_PLAIN, OUTBOX_LZ4 };

struct outbox_batch {
    int64_t first_seq, last_seq;
    const char *pipeline;
    int32_t count;
    bool urgent;      /* of a rank of its own: see outbox_find_ranked */
    enum outbox_encoding encoding;
    const void *body;
    size_t body_bytes;
};

struct outbox_image {
    int64_t number;    /* its place among all images; given by the outbox */
    int64_t seq;       /* of its result */
    const char *pipeline, *id, *reason;
    bool redacted, crop;
    const void *jpeg;
    size_t jpeg_bytes;
};

struct outbox_refused {
    int64_t first_seq, last_seq, bytes;
    const char *pipeline;
    int count, reason; /* results; MQTT 5 reason code */
};

struct outbox_statistics {
    int64_t images, image_bytes, evicted_images; /* that wait; evicted since the opening */
    int64_t next_seq, batches, bytes, evicted_results, commits, bytes_max;
    int64_t refused_batches; /* that wait in `refused` */
    int64_t thinned_results;            /* part of evicted_results, since the opening */
    int64_t thinned_from, thinned_below; /* the seqs among which they were */
    int64_t set_aside; /* damaged files set aside by this outbox, while opening or later */
};

/* taken_max: how many inputs back a redelivery is recognised; fewer where that would take more than an eighth of bytes_max. A damaged file is set aside as
 * <path>.damaged-<time>, said in *set_aside_out, and a new one begun with seq numbers beyond any it held, where those can be read. */
MUST_CHECK enum error_code outbox_open(const char *path, int64_t bytes_max, int taken_max, struct outbox **outbox_out,
                                       bool *set_aside_out, struct error *error);
void outbox_close(struct outbox *outbox); /* NULL is fine */

int64_t outbox_next_seq(const struct outbox *outbox); /* the first seq of the next batch; the caller numbers onward, without holes */

enum { OUTBOX_INPUTS_PER_COMMIT = 4096 };

struct outbox_change {
    const struct outbox_batch *batches; /* stored */
    size_t batch_count;
    const uint64_t *inputs;             /* taken with it: digests of packet id, pipeline and content; at most OUTBOX_INPUTS_PER_COMMIT */
    size_t input_count;
    const int64_t *removed;             /* first_seq of the batches that go */
    size_t removed_count;
    const void *readings;               /* a new row of `reading`; NULL: none */
    size_t readings_bytes;
    bool readings_replace;              /* the rows before it go */
};

/* All of it in one transaction. */
MUST_CHECK enum error_code outbox_commit(struct outbox *outbox, const struct outbox_change *change, struct error *error);
bool outbox_was_taken(struct outbox *outbox, uint64_t input);
/* The inputs taken last, the oldest first, at most `max`; how many there are. */
size_t outbox_list_taken(const struct outbox *outbox, uint64_t *inputs, size_t max);

/* The first row of `reading` with a number >= from, in the order of their commits; false: none, or it cannot be read. Borrowed until the next call. */
bool outbox_find_readings(struct outbox *outbox, int64_t from, int64_t *number_out, const void **bytes_out, size_t *length_out);

/* The first stored batch with first_seq >= from; false: none. Borrowed until the next call. */
bool outbox_find(struct outbox *outbox, int64_t from, struct outbox_batch *batch_out);
bool outbox_find_ranked(struct outbox *outbox, int64_t from, bool urgent, struct outbox_batch *batch_out); /* the same among those of a rank */

/* Past the budget the oldest batches are first made smaller by `thin`, then go whole. thin: thinned_out is the batch with another count (0: it
 * goes), encoding and body, borrowed until the next call; false: it stays as it is. */
typedef bool outbox_thin_function(void *context, const struct outbox_batch *batch, struct outbox_batch *thinned_out);
void outbox_set_thinner(struct outbox *outbox, outbox_thin_function *thin, void *context);

/* Moves a batch to `refused`, or back all of them or the one that begins with `seq` (OUTBOX_ALL: all), where they take their places by seq:
 * *first_seq_out is the lowest, -1 where there is none. `refused` may take an eighth of bytes_max; its oldest go first, counted as evicted. Dropped
 * ones are counted as evicted too. outbox_find_refused: the first with first_seq >= from, borrowed until the next call. */
enum { OUTBOX_ALL = 0 };
MUST_CHECK enum error_code outbox_refuse(struct outbox *outbox, int64_t first_seq, int reason, struct error *error);
MUST_CHECK enum error_code outbox_restore_refused(struct outbox *outbox, int64_t seq, int64_t *first_seq_out, int64_t *batches_out, struct error *error);
MUST_CHECK enum error_code outbox_drop_refused(struct outbox *outbox, int64_t seq, int64_t *batches_out, struct error *error);
bool outbox_find_refused(struct outbox *outbox, int64_t from, struct outbox_refused *refused_out);

/* Images may take a quarter of bytes_max and are the first to go where results need room; the oldest of them first, counted as evicted_images.
 * outbox_find_image: the first with number >= from, borrowed until the next call. */
MUST_CHECK enum error_code outbox_store_image(struct outbox *outbox, const struct outbox_image *image, struct error *error);
bool outbox_find_image(struct outbox *outbox, int64_t from, struct outbox_image *image_out);
MUST_CHECK enum error_code outbox_remove_images(struct outbox *outbox, const int64_t *numbers, size_t count, struct error *error);

void outbox_get_statistics(const struct outbox *outbox, struct outbox_statistics *statistics_out);

#endif
