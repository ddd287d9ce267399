/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/disk.h"

#include "base/clock.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum statement { FIND, PUT, SPACE_FIND, SPACE_PUT, SPACE_BYTES, TRIM_OLD, TRIM_BYTES, PURGE, COUNT, BEGIN, COMMIT, STATEMENT_COUNT };

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA journal_size_limit=1048576; PRAGMA cache_size=-512;"
    "CREATE TABLE IF NOT EXISTS space(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, settings TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS result(space INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, created_us INTEGER NOT NULL,"
    " PRIMARY KEY(space, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS result_age ON result(space, created_us);";

static const char *const statements[STATEMENT_COUNT] = {
    [FIND] = "SELECT value, created_us FROM result WHERE space = ?1 AND key = ?2",
    [PUT] = "INSERT OR REPLACE INTO result VALUES(?1, ?2, ?3, ?4)",
    [SPACE_FIND] = "SELECT id, settings FROM space WHERE name = ?1",
    [SPACE_PUT] = "INSERT INTO space(name, settings) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET settings = ?2",
    [SPACE_BYTES] = "SELECT coalesce(sum(length(value) + 64), 0), count(*) FROM result WHERE space = ?1",
    [TRIM_OLD] = "DELETE FROM result WHERE space = ?1 AND created_us < ?2",
    [TRIM_BYTES] = "DELETE FROM result WHERE (space, key) IN (SELECT space, key FROM result WHERE space = ?1 ORDER BY created_us LIMIT ?2)",
    [PURGE] = "DELETE FROM result WHERE space = ?1",
    [COUNT] = "SELECT count(*), coalesce(sum(length(value) + 64), 0) FROM result",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
};

struct disk_cache {
    sqlite3 *database;
    sqlite3_stmt *prepared[STATEMENT_COUNT];
};

void disk_cache_close(struct disk_cache *disk)
{
    if (disk == NULL)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(disk->prepared[i]);
    sqlite3_close(disk->database);
    free(disk);
}

static int open_database(struct disk_cache *disk, const char *path)
{
    int result = sqlite3_open_v2(path, &disk->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(disk->database, 1000);
    if (result == SQLITE_OK)
        result = sqlite3_exec(disk->database, schema, NULL, NULL, NULL);
    for (int i = 0; i < STATEMENT_COUNT && result == SQLITE_OK; i++)
        result = sqlite3_prepare_v3(disk->database, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &disk->prepared[i], NULL);
    return result;
}

static void close_database(struct disk_cache *disk)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(disk->prepared[i]);
        disk->prepared[i] = NULL;
    }
    sqlite3_close(disk->database);
    disk->database = NULL;
}

static bool set_aside(const char *path)
{
    char from[PATH_MAX], to[PATH_MAX];
    bool moved = false;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        int from_length = snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        int to_length = snprintf(to, sizeof to, "%s.damaged-%lld%s", path, (long long)(clock_wall_us() / 1000000), suffixes[i]);
        if (from_length < (int)sizeof from && to_length < (int)sizeof to && rename(from, to) == 0)
            moved = true;
    }
    return moved;
}

enum error_code disk_cache_open(const char *path, struct disk_cache **disk_out, bool *set_aside_out, struct error *error)
{
    struct disk_cache *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the cache file %s", path);
    *set_aside_out = false;
    int result = open_database(disk, path);
    if (result == SQLITE_NOTADB || result == SQLITE_CORRUPT) {
        close_database(disk);
        *set_aside_out = set_aside(path);
        result = open_database(disk, path);
    }
    if (result != SQLITE_OK) {
        error_set(error, ERROR_STORAGE, "%s: cannot open the cache: %s", path, sqlite3_errstr(result));
        close_database(disk);
        free(disk);
        return ERROR_STORAGE;
    }
    *disk_out = disk;
    return ERROR_NONE;
}

static bool step_row(sqlite3_stmt *statement)
{
    return sqlite3_step(statement) == SQLITE_ROW;
}

static void run(sqlite3_stmt *statement)
{
    sqlite3_step(statement); /* best effort: see the header */
    sqlite3_reset(statement);
}

int64_t disk_cache_space(struct disk_cache *disk, const char *name, const char *settings)
{
    sqlite3_stmt *find = disk->prepared[SPACE_FIND];
    int64_t id = -1;
    for (int attempt = 0; attempt < 2 && id < 0; attempt++) {
        sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
        bool same = false;
        if (step_row(find)) {
            id = sqlite3_column_int64(find, 0);
            same = strcmp((const char *)sqlite3_column_text(find, 1), settings) == 0;
        }
        sqlite3_reset(find);
        if (same)
            return id;
        if (id >= 0)
            disk_cache_purge(disk, id);
        sqlite3_bind_text(disk->prepared[SPACE_PUT], 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_text(disk->prepared[SPACE_PUT], 2, settings, -1, SQLITE_STATIC);
        run(disk->prepared[SPACE_PUT]);
    }
    return id;
}

bool disk_cache_find(struct disk_cache *disk, int64_t space, struct cache_key key, char *value, size_t capacity, size_t *length_out,
                     int64_t *created_us_out)
{
    sqlite3_stmt *find = disk->prepared[FIND];
    sqlite3_bind_int64(find, 1, space);
    sqlite3_bind_blob(find, 2, &key, sizeof key, SQLITE_STATIC);
    bool found = step_row(find);
    if (found) {
        size_t length = (size_t)sqlite3_column_bytes(find, 0);
        found = length <= capacity && length > 0;
        if (found) {
            memcpy(value, sqlite3_column_blob(find, 0), length);
            *length_out = length;
            *created_us_out = sqlite3_column_int64(find, 1);
        }
    }
    sqlite3_reset(find);
    return found;
}

void disk_cache_begin(struct disk_cache *disk)
{
    run(disk->prepared[BEGIN]);
}

void disk_cache_commit(struct disk_cache *disk)
{
    run(disk->prepared[COMMIT]);
    if (!sqlite3_get_autocommit(disk->database)) /* a full disk: give up this batch, not the cache */
        sqlite3_exec(disk->database, "ROLLBACK", NULL, NULL, NULL);
}

void disk_cache_put(struct disk_cache *disk, int64_t space, struct cache_key key, const char *value, size_t length, int64_t created_us)
{
    sqlite3_stmt *put = disk->prepared[PUT];
    sqlite3_bind_int64(put, 1, space);
    sqlite3_bind_blob(put, 2, &key, sizeof key, SQLITE_STATIC);
    sqlite3_bind_blob(put, 3, value, (int)length, SQLITE_STATIC);
    sqlite3_bind_int64(put, 4, created_us);
    run(put);
    sqlite3_clear_bindings(put);
}

void disk_cache_trim(struct disk_cache *disk, int64_t space, int64_t oldest_us, int64_t bytes_max)
{
    sqlite3_bind_int64(disk->prepared[TRIM_OLD], 1, space);
    sqlite3_bind_int64(disk->prepared[TRIM_OLD], 2, oldest_us);
    run(disk->prepared[TRIM_OLD]);
    sqlite3_stmt *count = disk->prepared[SPACE_BYTES];
    sqlite3_bind_int64(count, 1, space);
    int64_t bytes = 0, entries = 0;
    if (step_row(count)) {
        bytes = sqlite3_column_int64(count, 0);
        entries = sqlite3_column_int64(count, 1);
    }
    sqlite3_reset(count);
    if (bytes <= bytes_max || entries == 0)
        return;
    int64_t average = bytes / entries;
    sqlite3_bind_int64(disk->prepared[TRIM_BYTES], 1, space);
    sqlite3_bind_int64(disk->prepared[TRIM_BYTES], 2, (bytes - bytes_max) / average + 1);
    run(disk->prepared[TRIM_BYTES]);
}

void disk_cache_purge(struct disk_cache *disk, int64_t space)
{
    sqlite3_bind_int64(disk->prepared[PURGE], 1, space);
    run(disk->prepared[PURGE]);
}

void disk_cache_count(struct disk_cache *disk, uint64_t *entries_out, uint64_t *bytes_out)
{
    sqlite3_stmt *count = disk->prepared[COUNT];
    *entries_out = *bytes_out = 0;
    if (step_row(count)) {
        *entries_out = (uint64_t)sqlite3_column_int64(count, 0);
        *bytes_out = (uint64_t)sqlite3_column_int64(count, 1);
    }
    sqlite3_reset(count);
}
