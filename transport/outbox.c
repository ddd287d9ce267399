/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/outbox.h"

#include "base/clock.h"
#include "transport/outbox_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 8 };

int outbox_step(struct outbox *outbox, enum outbox_statement which)
{
    int status = sqlite3_step(outbox->statements[which]);
    int finished = sqlite3_reset(outbox->statements[which]);
    return status == SQLITE_DONE || status == SQLITE_ROW ? SQLITE_OK : finished != SQLITE_OK ? finished : status;
}

int64_t outbox_number(struct outbox *outbox, enum outbox_statement which)
{
    sqlite3_stmt *statement = outbox->statements[which];
    int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_reset(statement);
    return number;
}

int outbox_remove_batch(struct outbox *outbox, int64_t first_seq, struct outbox_state *state, int64_t *results_out, int64_t *bytes_out)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_REMOVE];
    sqlite3_bind_int64(statement, 1, first_seq);
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW) {
        *results_out = sqlite3_column_int64(statement, 0);
        *bytes_out = sqlite3_column_int64(statement, 1);
        state->batches--;
        state->bytes -= *bytes_out;
        status = sqlite3_step(statement);
    }
    int finished = sqlite3_reset(statement);
    return status == SQLITE_DONE ? SQLITE_OK : finished;
}

int outbox_write_state(struct outbox *outbox, const struct outbox_state *state)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_SET_STATE];
    sqlite3_bind_int64(statement, 1, state->next_seq);
    sqlite3_bind_int64(statement, 2, state->batches);
    sqlite3_bind_int64(statement, 3, state->bytes);
    sqlite3_bind_int64(statement, 4, state->evicted_results);
    return outbox_step(outbox, OUTBOX_SET_STATE);
}

void outbox_release_found(struct outbox *outbox)
{
    for (int which = OUTBOX_FIND; which <= OUTBOX_REFUSED_FIND; which++) {
        if (outbox->statements[which] != NULL)
            sqlite3_reset(outbox->statements[which]);
    }
}

static int insert_batch(struct outbox *outbox, const struct outbox_batch *batch, struct outbox_state *state)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_INSERT];
    sqlite3_bind_int64(statement, 1, batch->first_seq);
    sqlite3_bind_int64(statement, 2, batch->last_seq);
    sqlite3_bind_text(statement, 3, batch->pipeline, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 4, batch->count);
    sqlite3_bind_int(statement, 5, (int)batch->encoding);
    sqlite3_bind_int(statement, 6, batch->urgent);
    sqlite3_bind_blob64(statement, 7, batch->body_bytes > 0 ? batch->body : "", batch->body_bytes, SQLITE_STATIC);
    int status = outbox_step(outbox, OUTBOX_INSERT);
    sqlite3_clear_bindings(statement);
    if (status == SQLITE_OK) {
        state->next_seq = batch->last_seq + 1;
        state->batches++;
        state->bytes += (int64_t)batch->body_bytes;
    }
    return status;
}

static int store_readings(struct outbox *outbox, const struct outbox_change *change)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_ADD_READINGS];
    int status = change->readings_replace ? outbox_step(outbox, OUTBOX_CLEAR_READINGS) : SQLITE_OK;
    if (status != SQLITE_OK || change->readings == NULL)
        return status;
    sqlite3_bind_blob64(statement, 1, change->readings, change->readings_bytes, SQLITE_STATIC);
    status = outbox_step(outbox, OUTBOX_ADD_READINGS);
    sqlite3_clear_bindings(statement);
    return status;
}

static bool removes_only(const struct outbox_change *change)
{
    return change->batch_count + change->input_count == 0 && change->readings == NULL && !change->readings_replace;
}

/* Removals alone are not waited for: undone by a power cut, they cost a batch sent once more, and the next sync of the log covers them. Outside a
 * transaction, and before every other kind: whoever begins one gets FULL. */
static int set_waiting(struct outbox *outbox, bool waits)
{
    if (waits == !outbox->unsynced)
        return SQLITE_OK;
    int status = outbox_run(outbox, waits ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    outbox->unsynced = status == SQLITE_OK ? !waits : outbox->unsynced;
    return status;
}

int outbox_begin(struct outbox *outbox)
{
    int status = set_waiting(outbox, true);
    return status == SQLITE_OK ? outbox_step(outbox, OUTBOX_BEGIN) : status;
}

static int commit_once(struct outbox *outbox, const struct outbox_change *change)
{
    struct outbox_state state = outbox->state;
    int64_t results, bytes;
    int status = set_waiting(outbox, !removes_only(change));
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_BEGIN);
    for (size_t i = 0; status == SQLITE_OK && i < change->removed_count; i++) /* first: their pages serve the new batches */
        status = outbox_remove_batch(outbox, change->removed[i], &state, &results, &bytes);
    for (size_t i = 0; status == SQLITE_OK && i < change->batch_count; i++)
        status = insert_batch(outbox, &change->batches[i], &state);
    if (status == SQLITE_OK && change->input_count > 0)
        status = outbox_take_inputs(outbox, change->inputs, change->input_count);
    if (status == SQLITE_OK)
        status = store_readings(outbox, change);
    if (status == SQLITE_OK && change->batch_count > 0)
        status = outbox_evict_to_budget(outbox, &state);
    if (status == SQLITE_OK)
        status = outbox_write_state(outbox, &state);
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_COMMIT);
    if (status != SQLITE_OK) {
        if (!sqlite3_get_autocommit(outbox->database))
            (void)outbox_step(outbox, OUTBOX_ROLLBACK);
        return status;
    }
    outbox->state = state;
    outbox->commits++;
    recent_advance(&outbox->taken.recent, change->input_count);
    return SQLITE_OK;
}

/* A new file in place of one that turned out to be damaged while in use: numbering and what is remembered go on from memory. */
static enum error_code renew(struct outbox *outbox, struct error *error)
{
    struct outbox_state state = {.next_seq = outbox->state.next_seq, .evicted_results = outbox->state.evicted_results};
    int64_t taken_total = outbox->taken.recent.total;
    TRY(outbox_set_aside(outbox, error)); /* the new file holds no inputs, so what is remembered stays where it is */
    outbox->taken.recent.total = taken_total;
    outbox_ballast_open(outbox);
    int status = outbox_write_state(outbox, &state);
    if (status == SQLITE_OK)
        status = outbox_store_taken(outbox);
    if (status != SQLITE_OK)
        return error_set(error, ERROR_STORAGE, "cannot begin a new %s: %s", outbox->path, sqlite3_errmsg(outbox->database));
    outbox->state = state;
    return ERROR_NONE;
}

static enum error_code check_numbers(const struct outbox *outbox, const struct outbox_change *change, struct error *error)
{
    int64_t next_seq = outbox->state.next_seq;
    for (size_t i = 0; i < change->batch_count; i++) {
        const struct outbox_batch *batch = &change->batches[i];
        if (batch->first_seq != next_seq || batch->last_seq < batch->first_seq || batch->count <= 0)
            return error_set(error, ERROR_INTERNAL, "a batch has seq %lld to %lld where %lld was next", (long long)batch->first_seq,
                             (long long)batch->last_seq, (long long)next_seq);
        next_seq = batch->last_seq + 1;
    }
    return ERROR_NONE;
}

static int64_t bytes_wanted(const struct outbox_change *change)
{
    int64_t bytes = (int64_t)change->readings_bytes;
    for (size_t i = 0; i < change->batch_count; i++)
        bytes += (int64_t)change->batches[i].body_bytes + 512;
    return bytes;
}

static enum error_code commit_until_done(struct outbox *outbox, const struct outbox_change *change, struct error *error)
{
    for (int attempt = 1;; attempt++) {
        if (outbox->database == NULL) /* a former renewal failed half way */
            TRY(renew(outbox, error));
        int status = commit_once(outbox, change);
        if (status == SQLITE_OK)
            return ERROR_NONE;
        enum error_code code = error_set(error, ERROR_STORAGE, "%s: %s (SQLite %d): free disk space or check the disk", outbox->path,
                                         sqlite3_errstr(status & 0xff), status);
        if (attempt == ATTEMPTS_MAX)
            return code;
        if (outbox_is_damage(status))
            TRY(renew(outbox, error));
        else if (!outbox_is_full(outbox, status) || !outbox_make_room(outbox, bytes_wanted(change) << (attempt / 2)))
            return code;
    }
}

enum error_code outbox_commit(struct outbox *outbox, const struct outbox_change *change, struct error *error)
{
    outbox_release_found(outbox);
    if (removes_only(change) && change->removed_count == 0)
        return ERROR_NONE;
    if (change->input_count > OUTBOX_INPUTS_PER_COMMIT)
        return error_set(error, ERROR_INTERNAL, "a commit of %zu inputs, at most %d may be", change->input_count, OUTBOX_INPUTS_PER_COMMIT);
    TRY(check_numbers(outbox, change, error));
    if (change->batch_count > 0)
        TRY(outbox_keep_mark(outbox, change->batches[change->batch_count - 1].last_seq + 1, error));
    TRY(commit_until_done(outbox, change, error));
    outbox_after_commit(outbox);
    return ERROR_NONE;
}

struct outbox_batch outbox_batch_of(sqlite3_stmt *row)
{
    return (struct outbox_batch){
        .first_seq = sqlite3_column_int64(row, 0), .last_seq = sqlite3_column_int64(row, 1),
        .pipeline = (const char *)sqlite3_column_text(row, 2), .count = sqlite3_column_int(row, 3),
        .encoding = sqlite3_column_int(row, 4) == OUTBOX_LZ4 ? OUTBOX_LZ4 : OUTBOX_PLAIN, .urgent = sqlite3_column_int(row, 5) != 0,
        .body = sqlite3_column_blob(row, 6), .body_bytes = (size_t)sqlite3_column_bytes(row, 6)};
}

static bool find(struct outbox *outbox, enum outbox_statement which, int64_t from, struct outbox_batch *batch_out)
{
    outbox_release_found(outbox);
    sqlite3_stmt *statement = outbox->statements[which];
    if (statement == NULL)
        return false;
    sqlite3_bind_int64(statement, 1, from);
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW) {
        *batch_out = outbox_batch_of(statement);
        bool sane = batch_out->pipeline != NULL && batch_out->last_seq >= batch_out->first_seq && batch_out->count > 0 &&
                    (batch_out->body != NULL || batch_out->body_bytes == 0);
        if (sane)
            return true;
        status = SQLITE_CORRUPT;
    }
    outbox_release_found(outbox);
    struct error error;
    if (outbox_is_damage(status) && renew(outbox, &error) != ERROR_NONE)
        outbox_database_close(outbox); /* the next commit tries again and says why it cannot */
    return false;
}

bool outbox_find(struct outbox *outbox, int64_t from, struct outbox_batch *batch_out)
{
    return find(outbox, OUTBOX_FIND, from, batch_out);
}

bool outbox_find_ranked(struct outbox *outbox, int64_t from, bool urgent, struct outbox_batch *batch_out)
{
    return find(outbox, urgent ? OUTBOX_FIND_URGENT : OUTBOX_FIND_ORDINARY, from, batch_out);
}

bool outbox_find_readings(struct outbox *outbox, int64_t from, int64_t *number_out, const void **bytes_out, size_t *length_out)
{
    outbox_release_found(outbox);
    sqlite3_stmt *statement = outbox->statements[OUTBOX_FIND_READINGS];
    if (statement == NULL)
        return false;
    sqlite3_bind_int64(statement, 1, from);
    if (sqlite3_step(statement) != SQLITE_ROW) {
        outbox_release_found(outbox);
        return false;
    }
    *number_out = sqlite3_column_int64(statement, 0);
    *bytes_out = sqlite3_column_blob(statement, 1);
    *length_out = *bytes_out != NULL ? (size_t)sqlite3_column_bytes(statement, 1) : 0;
    return true;
}

int64_t outbox_next_seq(const struct outbox *outbox)
{
    return outbox->state.next_seq;
}

void outbox_get_statistics(const struct outbox *outbox, struct outbox_statistics *statistics_out)
{
    *statistics_out = (struct outbox_statistics){.next_seq = outbox->state.next_seq, .batches = outbox->state.batches,
        .bytes = outbox->state.bytes, .evicted_results = outbox->state.evicted_results, .images = outbox->state.images,
        .image_bytes = outbox->state.image_bytes, .evicted_images = outbox->state.evicted_images, .commits = outbox->commits,
        .bytes_max = outbox->bytes_max, .set_aside = outbox->set_aside, .refused_batches = outbox->refused_batches, .thinned_results = outbox->thinned_results,
        .thinned_from = outbox->thinned_from, .thinned_below = outbox->thinned_below};
}

/* Numbering of a new file: after what the damaged one held, where that can be read; else after the mark; else by the clock, which is
 * ahead of any count of results and still exact in JSON. */
static enum error_code begin_after_damage(struct outbox *outbox, struct error *error)
{
    int64_t salvaged = outbox_salvage_next_seq(outbox), mark = outbox_read_mark(outbox);
    TRY(outbox_set_aside(outbox, error));
    outbox->state.next_seq = salvaged > mark ? salvaged : mark;
    if (outbox->state.next_seq == 0)
        outbox->state.next_seq = clock_wall_us();
    return ERROR_NONE;
}

static enum error_code open_or_begin(struct outbox *outbox, struct error *error)
{
    int status = outbox_database_open(outbox);
    if (outbox_is_damage(status))
        TRY(begin_after_damage(outbox, error));
    else if (status != SQLITE_OK)
        return error_set(error, ERROR_STORAGE, "cannot open %s: %s (SQLite %d)", outbox->path, sqlite3_errstr(status & 0xff), status);
    else if (outbox->new_file) /* numbering may have begun in one that was removed */
        outbox->state.next_seq = outbox_read_mark(outbox) > 0 ? outbox_read_mark(outbox) : 1;
    outbox_ballast_open(outbox);
    if (outbox_write_state(outbox, &outbox->state) != SQLITE_OK)
        return error_set(error, ERROR_STORAGE, "cannot write %s: %s", outbox->path, sqlite3_errmsg(outbox->database));
    return outbox_keep_mark(outbox, outbox->state.next_seq, error);
}

enum error_code outbox_open(const char *path, int64_t bytes_max, int taken_max, struct outbox **outbox_out, bool *set_aside_out,
                            struct error *error)
{
    if (strlen(path) >= OUTBOX_PATH_BYTES || bytes_max <= 0)
        return error_set(error, ERROR_STORAGE, "the outbox %.100s needs a path below %d bytes and a budget above 0", path, OUTBOX_PATH_BYTES);
    size_t max = taken_max > 0 ? (size_t)taken_max : 1, most = (size_t)(bytes_max / 8) / sizeof(uint64_t);
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the outbox");
    memcpy(outbox->path, path, strlen(path) + 1);
    outbox->bytes_max = bytes_max;
    enum error_code code = outbox_taken_init(&outbox->taken, max < most ? max : most, error);
    if (code == ERROR_NONE)
        code = open_or_begin(outbox, error);
    if (code != ERROR_NONE) {
        outbox_close(outbox);
        return code;
    }
    *set_aside_out = outbox->set_aside > 0;
    *outbox_out = outbox;
    return ERROR_NONE;
}

void outbox_close(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    outbox_release_found(outbox);
    outbox_database_close(outbox);
    recent_deinit(&outbox->taken.recent);
    free(outbox);
}
