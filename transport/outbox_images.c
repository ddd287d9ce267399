/* SPDX-License-Identifier: Apache-2.0
 *
 * Images that wait for the upstream broker, in a table of their own: a quarter of the budget at most, and the first to go where room is needed. */
#include "transport/outbox_internal.h"

#include <string.h>

enum { SHARE_OF_BUDGET = 4 };

int outbox_evict_image(struct outbox *outbox, struct outbox_state *state, int64_t *bytes_out)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_IMAGE_FORGET];
    *bytes_out = 0;
    if (state->images == 0)
        return SQLITE_NOTFOUND;
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW) {
        *bytes_out = sqlite3_column_int64(statement, 0);
        state->images--;
        state->image_bytes -= *bytes_out;
        state->evicted_images++;
        status = sqlite3_step(statement);
    }
    int finished = sqlite3_reset(statement);
    return status == SQLITE_DONE ? SQLITE_OK : finished;
}

static int insert(struct outbox *outbox, const struct outbox_image *image, struct outbox_state *state)
{
    sqlite3_stmt *statement = outbox->statements[OUTBOX_IMAGE_INSERT];
    sqlite3_bind_int64(statement, 1, image->seq);
    sqlite3_bind_text(statement, 2, image->pipeline, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, image->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, image->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 5, image->redacted);
    sqlite3_bind_int(statement, 6, image->crop);
    sqlite3_bind_blob64(statement, 7, image->jpeg, image->jpeg_bytes, SQLITE_STATIC);
    int status = outbox_step(outbox, OUTBOX_IMAGE_INSERT);
    sqlite3_clear_bindings(statement);
    if (status == SQLITE_OK) {
        state->images++;
        state->image_bytes += (int64_t)image->jpeg_bytes;
    }
    return status;
}

/* Within their share; where the budget is used up, images go again once this one is in: they never push out results. */
static int make_room(struct outbox *outbox, int64_t needed, struct outbox_state *state)
{
    int64_t share = outbox->bytes_max / SHARE_OF_BUDGET, unused;
    int status = needed <= share ? SQLITE_OK : SQLITE_FULL;
    while (status == SQLITE_OK && state->image_bytes + needed > share)
        status = outbox_evict_image(outbox, state, &unused);
    return status;
}

enum error_code outbox_store_image(struct outbox *outbox, const struct outbox_image *image, struct error *error)
{
    struct outbox_state state = outbox->state;
    outbox_release_found(outbox);
    if (outbox->database == NULL)
        return error_set(error, ERROR_STORAGE, "%s is not open", outbox->path);
    int status = outbox_begin(outbox);
    if (status == SQLITE_OK)
        status = make_room(outbox, (int64_t)image->jpeg_bytes, &state);
    if (status == SQLITE_OK)
        status = insert(outbox, image, &state);
    while (status == SQLITE_OK && state.images > 0 && outbox_is_over_budget(outbox)) {
        int64_t unused;
        status = outbox_evict_image(outbox, &state, &unused);
    }
    return outbox_finish(outbox, &state, status, error);
}

bool outbox_find_image(struct outbox *outbox, int64_t from, struct outbox_image *image_out)
{
    outbox_release_found(outbox);
    sqlite3_stmt *row = outbox->statements[OUTBOX_IMAGE_FIND];
    if (row == NULL || outbox->state.images == 0)
        return false;
    sqlite3_bind_int64(row, 1, from);
    if (sqlite3_step(row) != SQLITE_ROW) {
        sqlite3_reset(row);
        return false;
    }
    *image_out = (struct outbox_image){
        .number = sqlite3_column_int64(row, 0), .seq = sqlite3_column_int64(row, 1), .pipeline = (const char *)sqlite3_column_text(row, 2),
        .id = (const char *)sqlite3_column_text(row, 3), .reason = (const char *)sqlite3_column_text(row, 4), .redacted = sqlite3_column_int(row, 5) != 0,
        .crop = sqlite3_column_int(row, 6) != 0, .jpeg = sqlite3_column_blob(row, 7), .jpeg_bytes = (size_t)sqlite3_column_bytes(row, 7)};
    bool sane = image_out->pipeline != NULL && image_out->id != NULL && image_out->reason != NULL && image_out->jpeg != NULL;
    if (!sane)
        sqlite3_reset(row);
    return sane;
}

enum error_code outbox_remove_images(struct outbox *outbox, const int64_t *numbers, size_t count, struct error *error)
{
    struct outbox_state state = outbox->state;
    outbox_release_found(outbox);
    if (outbox->database == NULL)
        return error_set(error, ERROR_STORAGE, "%s is not open", outbox->path);
    int status = outbox_begin(outbox);
    for (size_t i = 0; status == SQLITE_OK && i < count; i++) {
        sqlite3_stmt *statement = outbox->statements[OUTBOX_IMAGE_REMOVE];
        sqlite3_bind_int64(statement, 1, numbers[i]);
        status = sqlite3_step(statement);
        if (status == SQLITE_ROW) {
            state.images--;
            state.image_bytes -= sqlite3_column_int64(statement, 0);
            status = sqlite3_step(statement);
        }
        int finished = sqlite3_reset(statement);
        status = status == SQLITE_DONE ? SQLITE_OK : finished;
    }
    return outbox_finish(outbox, &state, status, error);
}
