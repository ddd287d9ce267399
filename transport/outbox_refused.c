/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches that the broker refused for good: set aside in a table of their own, where they are in nobody's way, until the owner wants them
 * sent after all. They may take an eighth of the budget; past that the oldest go first and count as evicted. */
#include "transport/outbox_internal.h"

enum { SHARE_OF_BUDGET = 8 };

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

static enum error_code finish(struct outbox *outbox, const struct outbox_state *state, int status, struct error *error)
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
    int status = outbox_step(outbox, OUTBOX_BEGIN);
    if (status == SQLITE_OK) {
        sqlite3_bind_int64(outbox->statements[OUTBOX_REFUSE], 1, first_seq);
        sqlite3_bind_int(outbox->statements[OUTBOX_REFUSE], 2, reason);
        status = outbox_step(outbox, OUTBOX_REFUSE);
    }
    if (status == SQLITE_OK)
        status = outbox_remove_batch(outbox, first_seq, &state, &results, &bytes);
    if (status == SQLITE_OK)
        status = forget_oldest(outbox, &state);
    return finish(outbox, &state, status, error);
}

enum error_code outbox_restore_refused(struct outbox *outbox, int64_t *first_seq_out, int64_t *batches_out, struct error *error)
{
    struct outbox_state state = outbox->state;
    outbox_release_found(outbox);
    if (outbox->database == NULL)
        return error_set(error, ERROR_STORAGE, "%s is not open", outbox->path);
    int64_t first = outbox_number(outbox, OUTBOX_REFUSED_FIRST), count = outbox_number(outbox, OUTBOX_REFUSED_COUNT);
    int status = outbox_step(outbox, OUTBOX_BEGIN);
    if (status == SQLITE_OK) {
        state.batches += count;
        state.bytes += outbox_number(outbox, OUTBOX_REFUSED_BYTES);
        status = outbox_step(outbox, OUTBOX_RESTORE);
    }
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_REFUSED_CLEAR);
    TRY(finish(outbox, &state, status, error));
    *first_seq_out = first;
    *batches_out = count;
    return ERROR_NONE;
}
