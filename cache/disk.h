/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.h: the back of the cache: results in an SQLite file.
 *
 *   space(id, name, settings, entries, bytes, learned)    entries and bytes are kept by triggers: nothing ever counts rows
 *   result(space, key, value, created_us, kept_us, saving_us)   PRIMARY KEY (space, key) without a rowid: a lookup is one indexed read
 *   retired(id)      spaces that were purged or whose settings changed: their rows go little by little, so that this costs nothing at start
 *   filter(bits)     filter.h's bits, left by a clean stop; the first change removes them
 * WAL, synchronous=OFF: a power cut may cost cached results, never a wrong one: SQLite's checksummed WAL drops torn commits.
 * Two connections: lookups read while a batch is being written.
 * Threads: disk_cache_find from any; all else from one at a time (the caller locks). Errors: only from disk_cache_open; later ones leave the
 *   entry uncached. Damage that is met later makes disk_cache_is_damaged true: close, open again, which sets the file aside. */
#ifndef EDDY_CACHE_DISK_H
#define EDDY_CACHE_DISK_H

#include "cache/cache.h"

struct disk_cache;

struct disk_row {
    struct cache_key key;
    const char *value;
    size_t length;
    int64_t created_us, saving_us;
};

struct disk_space {
    int64_t id;
    const char *name, *settings;
    int64_t entries, bytes;
    const void *learned;
    size_t learned_bytes;
};

enum disk_open {
    DISK_OPEN_AS_IT_IS, /* a damaged file, or one of another version, is an error */
    DISK_OPEN_REPAIRED, /* such a file is renamed to <path>.damaged-<seconds> and a new one begun: *set_aside_out */
    DISK_OPEN_ANEW,     /* the same, whatever the file looks like */
};
MUST_CHECK enum error_code disk_cache_open(const char *path, enum disk_open how, struct disk_cache **disk_out, bool *set_aside_out,
                                           struct error *error);
void disk_cache_close(struct disk_cache *disk); /* NULL is fine */
bool disk_cache_is_damaged(const struct disk_cache *disk);

/* The id of the space of this name; results of other settings under the name are retired. -1: the file cannot be written. */
int64_t disk_cache_space(struct disk_cache *disk, const char *name, const char *settings);
typedef void disk_space_visitor(const struct disk_space *space, void *context);
void disk_cache_each_space(struct disk_cache *disk, disk_space_visitor *visit, void *context); /* texts are borrowed for the call */
void disk_cache_get_totals(struct disk_cache *disk, int64_t *entries_out, int64_t *bytes_out); /* of all spaces */

/* Copies the value to `value`; row_out->value is not set. */
bool disk_cache_find(struct disk_cache *disk, int64_t space, struct cache_key key, char *value, size_t capacity, struct disk_row *row_out);

void disk_cache_begin(struct disk_cache *disk);
void disk_cache_put(struct disk_cache *disk, int64_t space, const struct disk_row *row);
int64_t disk_cache_purge(struct disk_cache *disk, int64_t space); /* retires it; the id under which it goes on, empty */
void disk_cache_put_learned(struct disk_cache *disk, int64_t space, const void *bytes, size_t length);
void disk_cache_commit(struct disk_cache *disk);
void disk_cache_rollback(struct disk_cache *disk);

struct disk_trim {
    int64_t now_us, oldest_us, bytes_max; /* results from before oldest_us go, then the oldest beyond bytes_max ... */
    bool (*is_wanted)(struct cache_key key, void *context); /* ... but those asked for lately go to the back of the line, once a turn */
    void *context;
};
void disk_cache_trim(struct disk_cache *disk, int64_t space, const struct disk_trim *trim);
void disk_cache_tidy(struct disk_cache *disk); /* a slice of what retired spaces left; gives free pages back to the file system */

/* Visits rows of a space, the oldest kept first, from *cursor on (zeroed: the first); false: no more. The visitor returns false to stop. */
struct disk_cursor {
    int64_t kept_us;
    struct cache_key key;
};
typedef bool disk_row_visitor(const struct disk_row *row, void *context);
bool disk_cache_walk(struct disk_cache *disk, int64_t space, struct disk_cursor *cursor, int limit, bool with_values, disk_row_visitor *visit,
                     void *context);

/* filter_put replaces what is stored; filter_take gives what a clean stop left (false: nothing of that size). */
void disk_cache_put_filter(struct disk_cache *disk, const void *bits, size_t bytes);
bool disk_cache_get_filter(struct disk_cache *disk, void *bits, size_t bytes);
bool disk_cache_was_changed(struct disk_cache *disk); /* by another program, since the last call */

#endif
