/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes: too old, beyond the budget, purged. In slices, so that a batch stays short. */
#include "cache/disk_internal.h"

#include <string.h>

enum { TRIM_ROWS_MAX = 2000, RETIRED_ROWS_MAX = 5000, FREE_PAGES_MIN = 256 };

int64_t disk_cache_purge(struct disk_cache *disk, int64_t space)
{
    sqlite3_bind_int64(disk->prepared[DISK_RETIRE], 1, space);
    disk_run(disk, DISK_RETIRE);
    sqlite3_stmt *renumber = disk->prepared[DISK_RENUMBER];
    sqlite3_bind_int64(renumber, 1, space);
    int64_t id = disk_step(disk, renumber) ? sqlite3_column_int64(renumber, 0) : -1;
    while (disk_step(disk, renumber))
        ;
    sqlite3_reset(renumber);
    /* AUTOINCREMENT does not see an UPDATE: the next new space must not get this number */
    if (id >= 0) {
        char statement[96];
        sqlite3_snprintf(sizeof statement, statement, "UPDATE sqlite_sequence SET seq = %lld WHERE name = 'space'", (long long)id);
        sqlite3_exec(disk->database, statement, NULL, NULL, NULL);
    }
    return id;
}

static int64_t space_bytes(struct disk_cache *disk, int64_t space)
{
    sqlite3_stmt *totals = disk->prepared[DISK_SPACE_TOTALS];
    sqlite3_bind_int64(totals, 1, space);
    int64_t bytes = disk_step(disk, totals) ? sqlite3_column_int64(totals, 1) : 0;
    sqlite3_reset(totals);
    return bytes;
}

struct oldest {
    struct cache_key key;
    int64_t created_us, kept_us;
};

static bool find_oldest(struct disk_cache *disk, int64_t space, struct oldest *oldest_out)
{
    sqlite3_stmt *find = disk->prepared[DISK_OLDEST];
    sqlite3_bind_int64(find, 1, space);
    bool found = disk_step(disk, find) && sqlite3_column_bytes(find, 0) == (int)sizeof oldest_out->key;
    if (found) {
        memcpy(&oldest_out->key, sqlite3_column_blob(find, 0), sizeof oldest_out->key);
        oldest_out->created_us = sqlite3_column_int64(find, 1);
        oldest_out->kept_us = sqlite3_column_int64(find, 2);
    }
    sqlite3_reset(find);
    return found;
}

static void with_key(struct disk_cache *disk, enum disk_statement statement, int64_t space, const struct cache_key *key)
{
    sqlite3_bind_int64(disk->prepared[statement], 1, space);
    sqlite3_bind_blob(disk->prepared[statement], 2, key, sizeof *key, SQLITE_STATIC);
    disk_run(disk, statement);
}

void disk_cache_trim(struct disk_cache *disk, int64_t space, const struct disk_trim *trim)
{
    struct oldest oldest;
    for (int i = 0; i < TRIM_ROWS_MAX && find_oldest(disk, space, &oldest); i++) {
        bool too_old = oldest.created_us < trim->oldest_us;
        if (!too_old && space_bytes(disk, space) <= trim->bytes_max)
            return;
        bool had_its_turn = oldest.kept_us == trim->now_us; /* all that is left was kept in this call */
        if (!too_old && !had_its_turn && trim->is_wanted(oldest.key, trim->context)) {
            sqlite3_bind_int64(disk->prepared[DISK_KEEP], 3, trim->now_us);
            with_key(disk, DISK_KEEP, space, &oldest.key);
        } else {
            with_key(disk, DISK_DELETE, space, &oldest.key);
        }
    }
}

static int64_t one_number(struct disk_cache *disk, enum disk_statement statement)
{
    sqlite3_stmt *query = disk->prepared[statement];
    int64_t number = disk_step(disk, query) ? sqlite3_column_int64(query, 0) : 0;
    sqlite3_reset(query);
    return number;
}

void disk_cache_tidy(struct disk_cache *disk)
{
    int64_t retired = one_number(disk, DISK_RETIRED);
    if (retired > 0) {
        sqlite3_bind_int64(disk->prepared[DISK_RETIRED_DELETE], 1, retired);
        sqlite3_bind_int(disk->prepared[DISK_RETIRED_DELETE], 2, RETIRED_ROWS_MAX);
        disk_run(disk, DISK_RETIRED_DELETE);
        if (sqlite3_changes(disk->database) < RETIRED_ROWS_MAX) {
            sqlite3_bind_int64(disk->prepared[DISK_RETIRED_DONE], 1, retired);
            disk_run(disk, DISK_RETIRED_DONE);
        }
    }
    int64_t free_pages = one_number(disk, DISK_FREE_PAGES);
    if (free_pages > FREE_PAGES_MIN && free_pages > one_number(disk, DISK_PAGES) / 4)
        disk_run(disk, DISK_SHRINK);
}
