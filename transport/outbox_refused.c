/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches that the broker refused for good: set aside in a table of their own, where they are in nobody's way, until the owner wants them
 * sent after all. They may take an eighth of the budget; past that the oldest go first and count as evicted. */
#include "transport/outbox_internal.h"

enum { SHARE_OF_BUDGET = 8 };

struct chosen {
    int64_t batches, bytes, results, first_seq;
};

static int forget_oldest(struct outbox *outbox, struct outbox_state *state)
{
    int status = SQLITE_OK;
    while (status == SQLITE_OK && outbox_number(outbox, OUTBOX_REFUSED_BYTES) > outbox->bytes_max / SHARE_OF_BUDGET) {
        sqlite3_stmt *statement = outbox->statements[OUTBOX_REFUSED_FORGET];
        status = sqlite3_step(statement);
        if (status == SQLITE_ROW) {
            state->evicted_results += sqlite3_column_int64(statement, 0);
            status = sqlite3_step(statement);
        }
        int finished = sqlite3_reset(statement);
        status = status == SQLITE_DONE ? SQLITE_OK : finished;
    }
    return status;
}

enum error_code outbox_finish(struct outbox *outbox, const struct outbox_state *state, int status, struct error *error)
{
    if (status == SQLITE_OK)
        status = outbox_write_state(outbox, state);
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_COMMIT);
    if (status != SQLITE_OK) {
        if (outbox->database != NULL && !sqlite3_get_autocommit(outbox->database))
            (void)outbox_step(outbox, OUTBOX_ROLLBACK);
        return error_set(error, ERROR_STORAGE, "%s: %s (SQLite %d)", outbox->path, sqlite3_errstr(status & 0xff), status);
    }
    outbox->state = *state;
    outbox->refused_batches = outbox_number(outbox, OUTBOX_REFUSED_COUNT);
    return ERROR_NONE;
}

enum error_code outbox_refuse(struct outbox *outbox, int64_t first_seq, int reason, struct error *error)
{
    struct outbox_state state = outbox->state;
    int64_t results, bytes;
    outbox_release_found(outbox);
    if (outbox->database == NULL)
        return error_set(error, ERROR_STORAGE, "%s is not open", outbox->path);
    int status = outbox_begin(outbox);
    if (status == SQLITE_OK) {
        sqlite3_bind_int64(outbox->statements[OUTBOX_REFUSE], 1, first_seq);
        sqlite3_bind_int(outbox->statements[OUTBOX_REFUSE], 2, reason);
        status = outbox_step(outbox, OUTBOX_REFUSE);
    }
    if (status == SQLITE_OK)
        status = outbox_remove_batch(outbox, first_seq, &state, &results, &bytes);
    if (status == SQLITE_OK)
        status = forget_oldest(outbox, &state);
    return outbox_finish(outbox, &state, status, error);
}

/* The ones meant by seq; first_seq is -1 where there is none. */
static enum error_code choose(struct outbox *outbox, int64_t seq, struct chosen *chosen_out, struct error *error)
{
    outbox_release_found(outbox);
    if (outbox->database == NULL)
        return error_set(error, ERROR_STORAGE, "%s is not open", outbox->path);
    static const enum outbox_statement all[] = {OUTBOX_REFUSED_CHOSEN, OUTBOX_REFUSED_CLEAR, OUTBOX_RESTORE};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sqlite3_bind_int64(outbox->statements[all[i]], 1, seq);
    sqlite3_stmt *row = outbox->statements[OUTBOX_REFUSED_CHOSEN];
    *chosen_out = (struct chosen){.first_seq = -1};
    if (sqlite3_step(row) == SQLITE_ROW)
        *chosen_out = (struct chosen){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3)};
    sqlite3_reset(row);
    return ERROR_NONE;
}

enum error_code outbox_restore_refused(struct outbox *outbox, int64_t seq, int64_t *first_seq_out, int64_t *batches_out, struct error *error)
{
    struct outbox_state state = outbox->state;
    struct chosen chosen;
    TRY(choose(outbox, seq, &chosen, error));
    int status = outbox_begin(outbox);
    if (status == SQLITE_OK) {
        state.batches += chosen.batches;
        state.bytes += chosen.bytes;
        status = outbox_step(outbox, OUTBOX_RESTORE);
    }
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_REFUSED_CLEAR);
    TRY(outbox_finish(outbox, &state, status, error));
    *first_seq_out = chosen.first_seq;
    *batches_out = chosen.batches;
    return ERROR_NONE;
}

enum error_code outbox_drop_refused(struct outbox *outbox, int64_t seq, int64_t *batches_out, struct error *error)
{
    struct outbox_state state = outbox->state;
    struct chosen chosen;
    TRY(choose(outbox, seq, &chosen, error));
    state.evicted_results += chosen.results;
    int status = outbox_begin(outbox);
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_REFUSED_CLEAR);
    TRY(outbox_finish(outbox, &state, status, error));
    *batches_out = chosen.batches;
    return ERROR_NONE;
}

bool outbox_find_refused(struct outbox *outbox, int64_t from, struct outbox_refused *refused_out)
{
    outbox_release_found(outbox);
    sqlite3_stmt *row = outbox->statements[OUTBOX_REFUSED_FIND];
    if (row == NULL)
        return false;
    sqlite3_bind_int64(row, 1, from);
    if (sqlite3_step(row) != SQLITE_ROW || sqlite3_column_text(row, 2) == NULL) {
        sqlite3_reset(row);
        return false;
    }
    *refused_out = (struct outbox_refused){.first_seq = sqlite3_column_int64(row, 0), .last_seq = sqlite3_column_int64(row, 1),
                                           .pipeline = (const char *)sqlite3_column_text(row, 2), .count = sqlite3_column_int(row, 3),
                                           .bytes = sqlite3_column_int64(row, 4), .reason = sqlite3_column_int(row, 5)};
    return true;
}
