/* SPDX-License-Identifier: Apache-2.0
 *
 * The other rule of eviction: the owner makes the oldest batches smaller, once each, before whole ones go. */
#include "transport/outbox_internal.h"

void outbox_set_thinner(struct outbox *outbox, outbox_thin_function *thin, void *context)
{
    outbox->thin = thin;
    outbox->thin_context = context;
}

/* Borrowed until the statement is reset. */
static int find_unthinned(struct outbox *outbox, struct outbox_batch *batch)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_FIND];
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, outbox->thinned_below);
    int status = sqlite3_step(statement);
    if (status != SQLITE_ROW)
        return status == SQLITE_DONE ? SQLITE_NOTFOUND : status;
    *batch = outbox_batch_of(statement);
    return batch->pipeline != NULL && batch->last_seq >= batch->first_seq && batch->body != NULL ? SQLITE_OK : SQLITE_CORRUPT;
}

static int store_thinned(struct outbox *outbox, const struct outbox_batch *batch)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_THIN];
    sqlite3_bind_int64(statement, 1, batch->first_seq);
    sqlite3_bind_int(statement, 2, batch->count);
    sqlite3_bind_int(statement, 3, (int)batch->encoding);
    sqlite3_bind_blob64(statement, 4, batch->body, batch->body_bytes, SQLITE_STATIC);
    int status = outbox_step(outbox, OUTBOX_THIN);
    sqlite3_clear_bindings(statement);
    return status;
}

int outbox_thin_oldest(struct outbox *outbox, struct outbox_state *state, int64_t *bytes_out)
{
    struct outbox_batch batch, thinned;
    *bytes_out = 0;
    if (outbox->thin == NULL)
        return SQLITE_NOTFOUND;
    int status = find_unthinned(outbox, &batch);
    bool smaller = status == SQLITE_OK && outbox->thin(outbox->thin_context, &batch, &thinned) && thinned.count < batch.count;
    int64_t first_seq = batch.first_seq, last_seq = batch.last_seq, count = batch.count, bytes = (int64_t)batch.body_bytes, removed;
    sqlite3_reset(outbox->statements[OUTBOX_FIND]);
    if (status != SQLITE_OK)
        return status;
    outbox->thinned_below = last_seq + 1;
    if (!smaller)
        return SQLITE_OK;
    if (thinned.count == 0) {
        status = outbox_remove_batch(outbox, first_seq, state, &removed, bytes_out);
    } else {
        *bytes_out = bytes - (int64_t)thinned.body_bytes;
        state->bytes -= *bytes_out;
        status = store_thinned(outbox, &thinned);
    }
    state->evicted_results += count - thinned.count;
    outbox->thinned_results += count - thinned.count;
    if (outbox->thinned_from == 0)
        outbox->thinned_from = first_seq;
    return status;
}
