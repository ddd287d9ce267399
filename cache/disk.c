/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/disk_internal.h"

#include "base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 1000, SET_ASIDE_MAX = 100 };

/* What a row costs in the file: keys in table and index, headers, pages that are never full; a value above about a quarter of a page
 * goes to overflow pages of its own (SQLite's file format, 1.6). */
#define ROW_BYTES(row) "iif(length(" row ".value) <= 180, length(" row ".value) + 200, 400 + (length(" row ".value) + 919) / 1020 * 1020)"

static const char schema[] =
    /* a random key writes a page of its own: a small one; a long log writes each page into the file once for many batches */
    "PRAGMA page_size=1024; PRAGMA wal_autocheckpoint=8192; PRAGMA secure_delete=OFF;"
    "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA journal_size_limit=1048576;"
    "PRAGMA cache_size=-2048;" /* a batch fits: what is spilled early is written twice */
    "CREATE TABLE IF NOT EXISTS space(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, settings TEXT NOT NULL,"
    " entries INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, learned BLOB);"
    "CREATE TABLE IF NOT EXISTS result(space INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, created_us INTEGER NOT NULL,"
    " kept_us INTEGER NOT NULL, saving_us INTEGER NOT NULL, PRIMARY KEY(space, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS result_kept ON result(space, kept_us, key);"
    "CREATE TRIGGER IF NOT EXISTS result_added AFTER INSERT ON result BEGIN"
    " UPDATE space SET entries = entries + 1, bytes = bytes + " ROW_BYTES("new") " WHERE id = new.space; END;"
    "CREATE TRIGGER IF NOT EXISTS result_changed AFTER UPDATE OF value ON result BEGIN"
    " UPDATE space SET bytes = bytes + " ROW_BYTES("new") " - " ROW_BYTES("old") " WHERE id = new.space; END;"
    "CREATE TRIGGER IF NOT EXISTS result_gone AFTER DELETE ON result BEGIN"
    " UPDATE space SET entries = entries - 1, bytes = bytes - " ROW_BYTES("old") " WHERE id = old.space; END;"
    "CREATE TABLE IF NOT EXISTS retired(id INTEGER PRIMARY KEY);"
    "CREATE TABLE IF NOT EXISTS filter(id INTEGER PRIMARY KEY, bits BLOB NOT NULL);"
    "PRAGMA user_version=2;";

static const char *const statements[DISK_STATEMENT_COUNT] = {
    [DISK_BEGIN] = "BEGIN IMMEDIATE",
    [DISK_COMMIT] = "COMMIT",
    [DISK_PUT] = "INSERT INTO result VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET value = ?3, created_us = ?4, kept_us = ?5,"
                 " saving_us = ?6",
    [DISK_SPACE_FIND] = "SELECT id, settings FROM space WHERE name = ?1",
    [DISK_SPACE_PUT] = "INSERT INTO space(name, settings) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET settings = ?2, learned = NULL",
    [DISK_SPACE_TOTALS] = "SELECT entries, bytes FROM space WHERE id = ?1",
    [DISK_SPACES] = "SELECT id, name, settings, entries, bytes, learned FROM space ORDER BY name",
    [DISK_TOTALS] = "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM space",
    [DISK_LEARNED] = "UPDATE space SET learned = ?2 WHERE id = ?1",
    [DISK_RETIRE] = "INSERT INTO retired VALUES(?1)",
    [DISK_RENUMBER] = "UPDATE space SET id = (SELECT seq FROM sqlite_sequence WHERE name = 'space') + 1, entries = 0, bytes = 0"
                      " WHERE id = ?1 RETURNING id",
    [DISK_OLDEST] = "SELECT key, created_us, kept_us FROM result WHERE space = ?1 ORDER BY kept_us, key LIMIT 1",
    [DISK_KEEP] = "UPDATE result SET kept_us = ?3 WHERE space = ?1 AND key = ?2",
    [DISK_DELETE] = "DELETE FROM result WHERE space = ?1 AND key = ?2",
    [DISK_WALK] = "SELECT key, kept_us, value, created_us, saving_us FROM result WHERE space = ?1 AND (kept_us, key) > (?2, ?3)"
                  " ORDER BY kept_us, key LIMIT ?4",
    [DISK_RETIRED] = "SELECT id FROM retired LIMIT 1",
    [DISK_RETIRED_DELETE] = "DELETE FROM result WHERE space = ?1 AND key IN (SELECT key FROM result WHERE space = ?1 LIMIT ?2)",
    [DISK_RETIRED_DONE] = "DELETE FROM retired WHERE id = ?1",
    [DISK_FILTER_PUT] = "INSERT OR REPLACE INTO filter VALUES(1, ?1)",
    [DISK_FILTER_GET] = "SELECT bits FROM filter",
    [DISK_FILTER_DROP] = "DELETE FROM filter",
    [DISK_VERSION] = "PRAGMA data_version",
    [DISK_FREE_PAGES] = "PRAGMA freelist_count",
    [DISK_PAGES] = "PRAGMA page_count",
    [DISK_SHRINK] = "PRAGMA incremental_vacuum(4000)",
};

static const char find_statement[] = "SELECT value, created_us, saving_us FROM result WHERE space = ?1 AND key = ?2";

bool disk_step(struct disk_cache *disk, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    if (result == SQLITE_CORRUPT || result == SQLITE_NOTADB)
        atomic_store(&disk->damaged, true);
    return result == SQLITE_ROW;
}

void disk_run(struct disk_cache *disk, enum disk_statement statement)
{
    while (disk_step(disk, disk->prepared[statement])) /* best effort: see the header */
        ;
    sqlite3_reset(disk->prepared[statement]);
}

static int open_reader(struct disk_cache *disk, const char *path)
{
    int result = sqlite3_open_v2(path, &disk->reader, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(disk->reader, BUSY_MS);
    if (result == SQLITE_OK)
        result = sqlite3_exec(disk->reader, "PRAGMA query_only=1; PRAGMA cache_size=-512;", NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_prepare_v3(disk->reader, find_statement, -1, SQLITE_PREPARE_PERSISTENT, &disk->find, NULL);
    return result;
}

static int open_database(struct disk_cache *disk, const char *path)
{
    int result = sqlite3_open_v2(path, &disk->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(disk->database, BUSY_MS);
    if (result == SQLITE_OK)
        result = sqlite3_exec(disk->database, schema, NULL, NULL, NULL);
    for (int i = 0; i < DISK_STATEMENT_COUNT && result == SQLITE_OK; i++)
        result = sqlite3_prepare_v3(disk->database, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &disk->prepared[i], NULL);
    return result == SQLITE_OK ? open_reader(disk, path) : result;
}

static void close_database(struct disk_cache *disk)
{
    for (int i = 0; i < DISK_STATEMENT_COUNT; i++) {
        sqlite3_finalize(disk->prepared[i]);
        disk->prepared[i] = NULL;
    }
    sqlite3_finalize(disk->find);
    disk->find = NULL;
    sqlite3_close(disk->reader);
    sqlite3_close(disk->database);
    disk->reader = disk->database = NULL;
}

void disk_cache_close(struct disk_cache *disk)
{
    if (disk == NULL)
        return;
    close_database(disk);
    pthread_mutex_destroy(&disk->read_lock);
    free(disk);
}

bool disk_cache_is_damaged(const struct disk_cache *disk)
{
    return atomic_load(&disk->damaged);
}

/* To <path>.damaged-<seconds>, or -<seconds>.1 and so on where that is taken: an older find is not overwritten. */
static bool set_file_aside(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char from[PATH_MAX], to[PATH_MAX], number[16] = "";
    long long seconds = clock_wall_us() / 1000000;
    for (int i = 1; i <= SET_ASIDE_MAX; i++) {
        if (snprintf(to, sizeof to, "%s.damaged-%lld%s", path, seconds, number) >= (int)sizeof to)
            return false;
        if (access(to, F_OK) != 0)
            break;
        snprintf(number, sizeof number, ".%d", i);
    }
    bool moved = false;
    for (int i = 0; i < 3; i++) {
        int from_length = snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        int to_length = snprintf(to, sizeof to, "%s.damaged-%lld%s%s", path, seconds, number, suffixes[i]);
        if (from_length < (int)sizeof from && to_length < (int)sizeof to && rename(from, to) == 0)
            moved = true;
    }
    return moved;
}

/* An older layout is no damage, but of no use either: cached results can be made again. */
static bool has_other_layout(struct disk_cache *disk, const char *path)
{
    sqlite3_stmt *statement = NULL;
    bool other = false;
    if (sqlite3_open_v2(path, &disk->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(disk->database, "SELECT (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_schema", -1, &statement,
                           NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        other = sqlite3_column_int(statement, 0) != 2 && sqlite3_column_int(statement, 1) > 0;
    sqlite3_finalize(statement);
    close_database(disk);
    return other;
}

enum error_code disk_cache_open(const char *path, enum disk_open how, struct disk_cache **disk_out, bool *set_aside_out, struct error *error)
{
    struct disk_cache *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the cache file %s", path);
    pthread_mutex_init(&disk->read_lock, NULL);
    bool other_layout = how != DISK_OPEN_ANEW && has_other_layout(disk, path);
    if (other_layout && how == DISK_OPEN_AS_IT_IS) {
        disk_cache_close(disk);
        return error_set(error, ERROR_STORAGE, "%s: not a cache of this version", path);
    }
    *set_aside_out = (other_layout || how == DISK_OPEN_ANEW) && set_file_aside(path);
    int result = open_database(disk, path);
    if ((result == SQLITE_NOTADB || result == SQLITE_CORRUPT) && how == DISK_OPEN_REPAIRED && !*set_aside_out) {
        close_database(disk);
        *set_aside_out = set_file_aside(path);
        result = open_database(disk, path);
    }
    if (result != SQLITE_OK) {
        error_set(error, ERROR_STORAGE, "%s: cannot open the cache: %s", path, sqlite3_errstr(result));
        disk_cache_close(disk);
        return ERROR_STORAGE;
    }
    disk_cache_was_changed(disk);
    disk->filter_stored = disk_step(disk, disk->prepared[DISK_FILTER_GET]);
    sqlite3_reset(disk->prepared[DISK_FILTER_GET]);
    *disk_out = disk;
    return ERROR_NONE;
}

bool disk_cache_was_changed(struct disk_cache *disk)
{
    sqlite3_stmt *version = disk->prepared[DISK_VERSION];
    int64_t before = disk->version;
    if (disk_step(disk, version))
        disk->version = sqlite3_column_int64(version, 0);
    sqlite3_reset(version);
    return disk->version != before;
}

void disk_cache_put_filter(struct disk_cache *disk, const void *bits, size_t bytes)
{
    if (disk->filter_stored)
        return; /* nothing changed since */
    sqlite3_bind_blob64(disk->prepared[DISK_FILTER_PUT], 1, bits, bytes, SQLITE_STATIC);
    disk_run(disk, DISK_FILTER_PUT);
    sqlite3_clear_bindings(disk->prepared[DISK_FILTER_PUT]);
}

bool disk_cache_get_filter(struct disk_cache *disk, void *bits, size_t bytes)
{
    sqlite3_stmt *get = disk->prepared[DISK_FILTER_GET];
    bool found = disk_step(disk, get) && (size_t)sqlite3_column_bytes(get, 0) == bytes;
    if (found)
        memcpy(bits, sqlite3_column_blob(get, 0), bytes);
    sqlite3_reset(get);
    return found;
}
