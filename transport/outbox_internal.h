/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox_internal.h: what the files of the outbox share; its contract is outbox.h.
 *
 * outbox.c         commit, removal, reading
 * outbox_taken.c   recognition of redelivered inputs
 * outbox_schema.c  opening, the tables, setting a damaged file aside, the mark that keeps seq from repeating
 * outbox_images.c  images that wait
 * outbox_refused.c what the broker does not want
 * outbox_thin.c    eviction that keeps a part
 * outbox_space.c   budget, ballast, giving pages back to the disk
 * State of the database is held twice, in its one-row table and in `state` here; the copy here is changed after COMMIT only. */
#ifndef EDDY_TRANSPORT_OUTBOX_INTERNAL_H
#define EDDY_TRANSPORT_OUTBOX_INTERNAL_H

#include "base/recent.h"
#include "transport/outbox.h"

#include <sqlite3.h>

enum {
    OUTBOX_PATH_BYTES = 4096,
    OUTBOX_VERSION = 2,
    OUTBOX_TAKEN_BLOCK = 16, /* digests a row of `taken`: seven rows a page */
};

enum outbox_statement {
    OUTBOX_BEGIN, OUTBOX_COMMIT, OUTBOX_ROLLBACK, OUTBOX_INSERT, OUTBOX_REMOVE, OUTBOX_OLDEST, OUTBOX_FIND, OUTBOX_FIND_ORDINARY,
    OUTBOX_FIND_URGENT, OUTBOX_FIND_READINGS, OUTBOX_IMAGE_FIND, OUTBOX_REFUSED_FIND, /* these six stay open until the next call */
    OUTBOX_IMAGE_INSERT, OUTBOX_IMAGE_REMOVE, OUTBOX_IMAGE_FORGET, OUTBOX_THIN, OUTBOX_SET_STATE,
    OUTBOX_REFUSE, OUTBOX_REFUSED_BYTES, OUTBOX_REFUSED_COUNT, OUTBOX_REFUSED_CHOSEN, OUTBOX_REFUSED_FORGET, OUTBOX_REFUSED_CLEAR, OUTBOX_RESTORE,
    OUTBOX_TAKE, OUTBOX_ADD_READINGS, OUTBOX_CLEAR_READINGS, OUTBOX_PAGE_COUNT, OUTBOX_FREE_PAGES, OUTBOX_STATEMENTS
};

struct outbox_state {
    int64_t next_seq, batches, bytes, evicted_results;
    int64_t images, image_bytes, evicted_images; /* not in the table: counted at the opening */
};

/* The inputs committed last. */
struct outbox_taken {
    struct recent recent;
    size_t max;                   /* how many count */
};

struct outbox {
    char path[OUTBOX_PATH_BYTES];
    sqlite3 *database;
    sqlite3_stmt *statements[OUTBOX_STATEMENTS];
    struct outbox_state state;
    struct outbox_taken taken;
    int64_t commits, set_aside, mark, bytes_max, refused_batches;
    int64_t page_bytes, pages_max, wal_pages;
    outbox_thin_function *thin;   /* NULL: whole batches go, the oldest first */
    void *thin_context;
    int64_t thinned_from, thinned_below, thinned_results; /* since the opening */
    bool unsynced;                /* synchronous=NORMAL, for removals alone; FULL otherwise */
    bool new_file;                /* the tables were laid down by this opening */
    int64_t frozen_pages;         /* the file's limit while frozen */
    bool ballast_there, frozen;   /* frozen: the ballast was needed; until it is back, the file grows only as the disk allows */
};

/* outbox_schema.c */
MUST_CHECK int outbox_database_open(struct outbox *outbox);  /* an SQLite status; leaves the database closed on failure */
void outbox_database_close(struct outbox *outbox);
MUST_CHECK enum error_code outbox_set_aside(struct outbox *outbox, struct error *error); /* closes, renames, opens a new one */
MUST_CHECK enum error_code outbox_keep_mark(struct outbox *outbox, int64_t next_seq, struct error *error);
int64_t outbox_read_mark(const struct outbox *outbox);       /* 0: there is none */
int64_t outbox_salvage_next_seq(const struct outbox *outbox);
bool outbox_is_damage(int status);
int outbox_run(struct outbox *outbox, const char *sql);

/* outbox_taken.c */
MUST_CHECK enum error_code outbox_taken_init(struct outbox_taken *taken, size_t max, struct error *error);
int outbox_read_taken(struct outbox *outbox, bool *in_place_out);                      /* false: outbox_store_taken is due, once statements are there */
int outbox_take_inputs(struct outbox *outbox, const uint64_t *inputs, size_t count); /* inside a transaction; they count once recent_advance says so */
int outbox_store_taken(struct outbox *outbox);                                       /* all of them, in place of what the table holds */

/* outbox_space.c */
bool outbox_is_full(const struct outbox *outbox, int status);
bool outbox_is_over_budget(struct outbox *outbox);
int outbox_evict_to_budget(struct outbox *outbox, struct outbox_state *state);  /* inside a transaction */
bool outbox_make_room(struct outbox *outbox, int64_t bytes_wanted);             /* outside one; false: there is nothing left to give */
void outbox_after_commit(struct outbox *outbox);
void outbox_ballast_open(struct outbox *outbox);

/* outbox_thin.c */
int outbox_thin_oldest(struct outbox *outbox, struct outbox_state *state, int64_t *bytes_out); /* SQLITE_NOTFOUND: there is nothing to thin */

/* outbox_images.c */
int outbox_evict_image(struct outbox *outbox, struct outbox_state *state, int64_t *bytes_out); /* SQLITE_NOTFOUND: there is none */

/* outbox_refused.c */
MUST_CHECK enum error_code outbox_finish(struct outbox *outbox, const struct outbox_state *state, int status, struct error *error); /* COMMIT or ROLLBACK */

/* outbox.c */
struct outbox_batch outbox_batch_of(sqlite3_stmt *row);                         /* borrowed from the row */
void outbox_release_found(struct outbox *outbox);                               /* the statement that outbox_find left open */
int outbox_step(struct outbox *outbox, enum outbox_statement which);            /* steps and resets; SQLITE_DONE becomes SQLITE_OK */
int outbox_begin(struct outbox *outbox);                                        /* a transaction whose COMMIT is synced */
int outbox_remove_batch(struct outbox *outbox, int64_t first_seq, struct outbox_state *state, int64_t *results_out, int64_t *bytes_out);
int outbox_write_state(struct outbox *outbox, const struct outbox_state *state);
int64_t outbox_number(struct outbox *outbox, enum outbox_statement which);      /* its first column; -1 where there is no row */

#endif
