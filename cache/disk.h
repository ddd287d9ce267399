/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.h: the back of the cache: results in an SQLite file.
 *
 *   space(id, name, settings)     result(space, key, value, created_us)   PRIMARY KEY (space, key)
 * WAL, synchronous=OFF: a power cut may cost cached results, never a wrong one: SQLite's checksummed WAL drops torn commits.
 * Threads: the caller locks. Errors: only from disk_cache_open; later ones leave the entry uncached. */
#ifndef EDDY_CACHE_DISK_H
#define EDDY_CACHE_DISK_H

#include "cache/cache.h"

struct disk_cache;

MUST_CHECK enum error_code disk_cache_open(const char *path, struct disk_cache **disk_out, bool *set_aside_out, struct error *error);
void disk_cache_close(struct disk_cache *disk);

/* The id of the space of this name; results of other settings under the name are deleted. -1: the file cannot be written. */
int64_t disk_cache_space(struct disk_cache *disk, const char *name, const char *settings);
bool disk_cache_find(struct disk_cache *disk, int64_t space, struct cache_key key, char *value, size_t capacity, size_t *length_out,
                     int64_t *created_us_out);
void disk_cache_begin(struct disk_cache *disk);
void disk_cache_put(struct disk_cache *disk, int64_t space, struct cache_key key, const char *value, size_t length, int64_t created_us);
void disk_cache_trim(struct disk_cache *disk, int64_t space, int64_t oldest_us, int64_t bytes_max); /* too old, then the oldest beyond the budget */
void disk_cache_purge(struct disk_cache *disk, int64_t space);
void disk_cache_commit(struct disk_cache *disk);
void disk_cache_count(struct disk_cache *disk, uint64_t *entries_out, uint64_t *bytes_out);

#endif
