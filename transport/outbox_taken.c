/* SPDX-License-Identifier: Apache-2.0
 *
 * Which inputs were committed last, so that one that the broker sends again gets no second seq. A ring of digests in memory (base/recent.h); in the
 * database the same in blocks of BLOCK digests, the last one written anew with each commit. Three of them fit a page: a commit of few inputs writes
 * one page for them, and one of many no more than they fill. */
#include "transport/outbox_internal.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = OUTBOX_TAKEN_BLOCK, AHEAD = OUTBOX_INPUTS_PER_COMMIT /* written before COMMIT, beside what is remembered */ };

static int64_t oldest_block(const struct outbox_taken *taken, int64_t total)
{
    int64_t oldest = total - (int64_t)taken->max;
    return oldest > 0 ? oldest / BLOCK : 0;
}

enum error_code outbox_taken_init(struct outbox_taken *taken, size_t max, struct error *error)
{
    size_t blocks = (max + BLOCK - 1) / BLOCK + 1;
    taken->max = max;
    return recent_init(&taken->recent, blocks * BLOCK + AHEAD, error); /* whole blocks: each of them lies in one piece */
}

static int store(struct outbox *outbox, int64_t first_block, int64_t end)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_TAKE];
    int status = SQLITE_OK;
    for (int64_t block = first_block; status == SQLITE_OK && block * BLOCK < end; block++) {
        int64_t count = end - block * BLOCK < BLOCK ? end - block * BLOCK : BLOCK;
        sqlite3_bind_int64(statement, 1, block);
        sqlite3_bind_blob(statement, 2, recent_place(&outbox->taken.recent, block * BLOCK), (int)((size_t)count * sizeof(uint64_t)), SQLITE_STATIC);
        status = outbox_step(outbox, OUTBOX_TAKE);
    }
    return status;
}

int outbox_take_inputs(struct outbox *outbox, const uint64_t *inputs, size_t count)
{
    struct outbox_taken *taken = &outbox->taken;
    int64_t end = taken->recent.total + (int64_t)count;
    for (size_t i = 0; i < count; i++)
        *recent_place(&taken->recent, taken->recent.total + (int64_t)i) = inputs[i];
    int status = store(outbox, taken->recent.total / BLOCK, end);
    if (status == SQLITE_OK && oldest_block(taken, end) > oldest_block(taken, taken->recent.total)) {
        sqlite3_bind_int64(outbox->statements[OUTBOX_FORGET], 1, oldest_block(taken, end));
        status = outbox_step(outbox, OUTBOX_FORGET);
    }
    return status;
}

int outbox_store_taken(struct outbox *outbox)
{
    return store(outbox, oldest_block(&outbox->taken, outbox->taken.recent.total), outbox->taken.recent.total);
}

bool outbox_was_taken(struct outbox *outbox, uint64_t input)
{
    return recent_has(&outbox->taken.recent, input, outbox->taken.max);
}

size_t outbox_list_taken(const struct outbox *outbox, uint64_t *inputs, size_t max)
{
    const struct outbox_taken *taken = &outbox->taken;
    int64_t remembered = taken->recent.total > (int64_t)taken->max ? (int64_t)taken->max : taken->recent.total;
    size_t count = (size_t)remembered < max ? (size_t)remembered : max;
    for (size_t i = 0; i < count; i++)
        inputs[i] = *recent_place(&taken->recent, taken->recent.total - (int64_t)(count - i));
    return count;
}

int outbox_read_taken(struct outbox *outbox)
{
    struct outbox_taken *taken = &outbox->taken;
    sqlite3_stmt *statement = NULL;
    taken->recent.total = 0;
    int status = sqlite3_prepare_v2(outbox->database, "SELECT number, inputs FROM taken ORDER BY number", -1, &statement, NULL);
    while (status == SQLITE_OK && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t block = sqlite3_column_int64(statement, 0);
        size_t bytes = (size_t)sqlite3_column_bytes(statement, 1);
        const void *inputs = sqlite3_column_blob(statement, 1);
        if (block < 0 || block > INT64_MAX / BLOCK - 1 || (taken->recent.total > 0 && block * BLOCK != taken->recent.total) || inputs == NULL ||
            bytes > BLOCK * sizeof(uint64_t) || bytes % sizeof(uint64_t) != 0) {
            status = SQLITE_CORRUPT;
            break;
        }
        memcpy(recent_place(&taken->recent, block * BLOCK), inputs, bytes);
        taken->recent.total = block * BLOCK;
        recent_advance(&taken->recent, bytes / sizeof(uint64_t));
        status = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return status == SQLITE_DONE ? SQLITE_OK : status;
}
