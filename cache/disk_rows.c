/* SPDX-License-Identifier: Apache-2.0
 *
 * Spaces and results: what is read and written. */
#include "cache/disk_internal.h"

#include "base/clock.h"

#include <string.h>

static int64_t read_space(struct disk_cache *disk, const char *name, const char *settings, bool *same_out)
{
    sqlite3_stmt *find = disk->prepared[DISK_SPACE_FIND];
    int64_t id = -1;
    sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
    if (disk_step(disk, find)) {
        const char *stored = (const char *)sqlite3_column_text(find, 1);
        id = sqlite3_column_int64(find, 0);
        *same_out = stored != NULL && strcmp(stored, settings) == 0;
    }
    sqlite3_reset(find);
    return id;
}

int64_t disk_cache_space(struct disk_cache *disk, const char *name, const char *settings)
{
    bool same = false;
    int64_t id = read_space(disk, name, settings, &same);
    if (id >= 0 && same)
        return id;
    bool own_transaction = sqlite3_get_autocommit(disk->database) != 0;
    if (own_transaction)
        disk_cache_begin(disk);
    if (id >= 0)
        disk_cache_purge(disk, id);
    sqlite3_bind_text(disk->prepared[DISK_SPACE_PUT], 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(disk->prepared[DISK_SPACE_PUT], 2, settings, -1, SQLITE_STATIC);
    disk_run(disk, DISK_SPACE_PUT);
    if (own_transaction)
        disk_cache_commit(disk);
    id = read_space(disk, name, settings, &same);
    return same ? id : -1;
}

void disk_cache_each_space(struct disk_cache *disk, disk_space_visitor *visit, void *context)
{
    sqlite3_stmt *list = disk->prepared[DISK_SPACES];
    while (disk_step(disk, list)) {
        struct disk_space space = {.id = sqlite3_column_int64(list, 0), .name = (const char *)sqlite3_column_text(list, 1),
                                   .settings = (const char *)sqlite3_column_text(list, 2), .entries = sqlite3_column_int64(list, 3),
                                   .bytes = sqlite3_column_int64(list, 4), .learned = sqlite3_column_blob(list, 5),
                                   .learned_bytes = (size_t)sqlite3_column_bytes(list, 5)};
        if (space.name != NULL && space.settings != NULL)
            visit(&space, context);
    }
    sqlite3_reset(list);
}

void disk_cache_get_totals(struct disk_cache *disk, int64_t *entries_out, int64_t *bytes_out)
{
    sqlite3_stmt *totals = disk->prepared[DISK_TOTALS];
    *entries_out = *bytes_out = 0;
    if (disk_step(disk, totals)) {
        *entries_out = sqlite3_column_int64(totals, 0);
        *bytes_out = sqlite3_column_int64(totals, 1);
    }
    sqlite3_reset(totals);
}

static bool copy_value(sqlite3_stmt *row, char *value, size_t capacity, struct disk_row *row_out)
{
    size_t length = (size_t)sqlite3_column_bytes(row, 0);
    const void *stored = sqlite3_column_blob(row, 0);
    if (length == 0 || length > capacity || stored == NULL)
        return false;
    memcpy(value, stored, length);
    *row_out = (struct disk_row){.length = length, .created_us = sqlite3_column_int64(row, 1), .saving_us = sqlite3_column_int64(row, 2)};
    return true;
}

bool disk_cache_find(struct disk_cache *disk, int64_t space, struct cache_key key, char *value, size_t capacity, struct disk_row *row_out)
{
    if (disk_cache_is_damaged(disk))
        return false;
    pthread_mutex_lock(&disk->read_lock);
    sqlite3_bind_int64(disk->find, 1, space);
    sqlite3_bind_blob(disk->find, 2, &key, sizeof key, SQLITE_STATIC);
    bool found = disk_step(disk, disk->find) && copy_value(disk->find, value, capacity, row_out);
    sqlite3_reset(disk->find);
    pthread_mutex_unlock(&disk->read_lock);
    if (found)
        row_out->key = key;
    return found;
}

void disk_cache_begin(struct disk_cache *disk)
{
    disk_run(disk, DISK_BEGIN);
    disk->changes_before = sqlite3_total_changes(disk->database);
}

void disk_cache_commit(struct disk_cache *disk)
{
    if (disk->filter_stored && sqlite3_total_changes(disk->database) != disk->changes_before) {
        disk_run(disk, DISK_FILTER_DROP); /* it no longer tells all that the file holds */
        disk->filter_stored = false;
    }
    disk_run(disk, DISK_COMMIT);
    disk_cache_rollback(disk); /* a full disk: give up this batch, not the cache */
}

void disk_cache_rollback(struct disk_cache *disk)
{
    if (!sqlite3_get_autocommit(disk->database))
        sqlite3_exec(disk->database, "ROLLBACK", NULL, NULL, NULL);
}

void disk_cache_put(struct disk_cache *disk, int64_t space, const struct disk_row *row)
{
    sqlite3_stmt *put = disk->prepared[DISK_PUT];
    sqlite3_bind_int64(put, 1, space);
    sqlite3_bind_blob(put, 2, &row->key, sizeof row->key, SQLITE_STATIC);
    sqlite3_bind_blob64(put, 3, row->value, row->length, SQLITE_STATIC);
    sqlite3_bind_int64(put, 4, row->created_us);
    sqlite3_bind_int64(put, 5, clock_wall_us());
    sqlite3_bind_int64(put, 6, row->saving_us);
    disk_run(disk, DISK_PUT);
    sqlite3_clear_bindings(put);
}

void disk_cache_put_learned(struct disk_cache *disk, int64_t space, const void *bytes, size_t length)
{
    sqlite3_bind_int64(disk->prepared[DISK_LEARNED], 1, space);
    sqlite3_bind_blob64(disk->prepared[DISK_LEARNED], 2, bytes, length, SQLITE_STATIC);
    disk_run(disk, DISK_LEARNED);
    sqlite3_clear_bindings(disk->prepared[DISK_LEARNED]);
}

bool disk_cache_walk(struct disk_cache *disk, int64_t space, struct disk_cursor *cursor, int limit, bool with_values, disk_row_visitor *visit,
                     void *context)
{
    sqlite3_stmt *walk = disk->prepared[DISK_WALK];
    struct disk_cursor from = *cursor;
    sqlite3_bind_int64(walk, 1, space);
    sqlite3_bind_int64(walk, 2, from.kept_us);
    sqlite3_bind_blob(walk, 3, &from.key, sizeof from.key, SQLITE_STATIC);
    sqlite3_bind_int(walk, 4, limit);
    bool wanted = true, more = false;
    for (int i = 0; wanted && disk_step(disk, walk); i++) {
        more = i + 1 == limit;
        if (sqlite3_column_bytes(walk, 0) != (int)sizeof cursor->key)
            continue;
        memcpy(&cursor->key, sqlite3_column_blob(walk, 0), sizeof cursor->key);
        cursor->kept_us = sqlite3_column_int64(walk, 1);
        struct disk_row row = {.key = cursor->key};
        if (with_values) {
            row.value = sqlite3_column_blob(walk, 2);
            row.length = (size_t)sqlite3_column_bytes(walk, 2);
            row.created_us = sqlite3_column_int64(walk, 3);
            row.saving_us = sqlite3_column_int64(walk, 4);
        }
        wanted = visit(&row, context);
    }
    sqlite3_reset(walk);
    return more && wanted;
}
