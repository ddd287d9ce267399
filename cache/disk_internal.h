/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_internal.h: shared by disk.c (the file), disk_rows.c (results) and disk_tidy.c (what goes). */
#ifndef EDDY_CACHE_DISK_INTERNAL_H
#define EDDY_CACHE_DISK_INTERNAL_H

#include "cache/disk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum disk_statement {
    DISK_BEGIN, DISK_COMMIT, DISK_PUT, DISK_SPACE_FIND, DISK_SPACE_PUT, DISK_SPACE_TOTALS, DISK_SPACES, DISK_TOTALS, DISK_LEARNED,
    DISK_RETIRE, DISK_RENUMBER, DISK_OLDEST, DISK_KEEP, DISK_DELETE, DISK_WALK, DISK_RETIRED, DISK_RETIRED_DELETE, DISK_RETIRED_DONE,
    DISK_FILTER_PUT, DISK_FILTER_GET, DISK_FILTER_DROP, DISK_VERSION, DISK_FREE_PAGES, DISK_PAGES, DISK_SHRINK, DISK_STATEMENT_COUNT
};

struct disk_cache {
    sqlite3 *database;                       /* writes; one thread at a time */
    sqlite3_stmt *prepared[DISK_STATEMENT_COUNT];
    pthread_mutex_t read_lock;               /* guards the two below */
    sqlite3 *reader;
    sqlite3_stmt *find;
    atomic_bool damaged;
    bool filter_stored;                      /* the file holds the bits: to be dropped with the first change */
    int changes_before;                      /* of the connection, at disk_cache_begin */
    int64_t version;                         /* see disk_cache_was_changed */
};

/* One step; notes damage. true: a row. */
bool disk_step(struct disk_cache *disk, sqlite3_stmt *statement);
void disk_run(struct disk_cache *disk, enum disk_statement statement); /* steps once and resets: bind before */

#endif
