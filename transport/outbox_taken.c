/* SPDX-License-Identifier: Apache-2.0
 *
 * Which inputs were committed last, so that one that the broker sends again gets no second seq. A ring of digests in memory (base/recent.h). In the
 * database a ring of rows of BLOCK digests: the rows that a commit touches are written over in their places, so that no page is taken or freed for them
 * and a commit of few inputs writes one page. A row's ends_at is the number, counted from the first input ever, behind its last digest that counts. */
#include "transport/outbox_internal.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = OUTBOX_TAKEN_BLOCK, AHEAD = OUTBOX_INPUTS_PER_COMMIT /* written before COMMIT, beside what is remembered */ };
_Static_assert(AHEAD % BLOCK == 0, "each block lies in one piece");

static int64_t slots_of(const struct outbox_taken *taken)
{
    return (int64_t)((taken->max + BLOCK - 1) / BLOCK + 1);
}

enum error_code outbox_taken_init(struct outbox_taken *taken, size_t max, struct error *error)
{
    taken->max = max;
    return recent_init(&taken->recent, (size_t)slots_of(taken) * BLOCK + AHEAD, error);
}

static int store(struct outbox *outbox, int64_t first, int64_t end)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_TAKE];
    int status = SQLITE_OK;
    for (int64_t block = first / BLOCK; status == SQLITE_OK && block * BLOCK < end; block++) {
        sqlite3_bind_int64(statement, 1, block % slots_of(&outbox->taken));
        sqlite3_bind_int64(statement, 2, end - block * BLOCK < BLOCK ? end : (block + 1) * BLOCK);
        sqlite3_bind_blob(statement, 3, recent_place(&outbox->taken.recent, block * BLOCK), BLOCK * sizeof(uint64_t), SQLITE_STATIC);
        status = outbox_step(outbox, OUTBOX_TAKE);
    }
    return status;
}

int outbox_take_inputs(struct outbox *outbox, const uint64_t *inputs, size_t count)
{
    struct recent *recent = &outbox->taken.recent;
    for (size_t i = 0; i < count; i++)
        *recent_place(recent, recent->total + (int64_t)i) = inputs[i];
    return store(outbox, recent->total, recent->total + (int64_t)count);
}

int outbox_store_taken(struct outbox *outbox)
{
    const struct outbox_taken *taken = &outbox->taken;
    int64_t first = taken->recent.total - (int64_t)taken->max;
    int status = outbox_begin(outbox);
    if (status == SQLITE_OK)
        status = outbox_run(outbox, "DELETE FROM taken");
    if (status == SQLITE_OK)
        status = store(outbox, first > 0 ? first : 0, taken->recent.total);
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_COMMIT);
    if (status != SQLITE_OK && !sqlite3_get_autocommit(outbox->database))
        (void)outbox_step(outbox, OUTBOX_ROLLBACK);
    return status;
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

static int read_row(struct recent *recent, sqlite3_stmt *row)
{
    int64_t ends_at = sqlite3_column_int64(row, 1);
    if (ends_at <= 0 || ends_at > INT64_MAX / 2)
        return SQLITE_CORRUPT;
    int64_t begins_at = (ends_at - 1) / BLOCK * BLOCK;
    size_t count = (size_t)(ends_at - begins_at), bytes = (size_t)sqlite3_column_bytes(row, 2);
    const void *inputs = sqlite3_column_blob(row, 2);
    if (inputs == NULL || bytes < count * sizeof(uint64_t) || (recent->total > 0 && recent->total != begins_at))
        return SQLITE_CORRUPT;
    memcpy(recent_place(recent, begins_at), inputs, count * sizeof(uint64_t));
    recent->total = begins_at;
    recent_advance(recent, count);
    return SQLITE_OK;
}

int outbox_read_taken(struct outbox *outbox, bool *in_place_out)
{
    struct recent *recent = &outbox->taken.recent;
    sqlite3_stmt *row = NULL;
    recent->total = 0;
    *in_place_out = true;
    int status = sqlite3_prepare_v2(outbox->database, "SELECT slot, ends_at, inputs FROM taken ORDER BY ends_at", -1, &row, NULL);
    while (status == SQLITE_OK && (status = sqlite3_step(row)) == SQLITE_ROW) {
        status = read_row(recent, row);
        *in_place_out &= sqlite3_column_int64(row, 0) == (recent->total - 1) / BLOCK % slots_of(&outbox->taken);
    }
    sqlite3_finalize(row);
    return status == SQLITE_DONE ? SQLITE_OK : status;
}
