/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h: a whole file as read-only memory.
 *
 * Mapped, not copied: bytes that are never looked at cost nothing. An empty file is valid (bytes 0). Files are replaced by rename on a
 * gateway, never rewritten in place: a mapped file that shrinks would raise SIGBUS.
 * Errors: ERROR_INPUT with the path and the reason; ERROR_LIMIT where the file is larger than bytes_max. */
#ifndef EDDY_BASE_FILE_H
#define EDDY_BASE_FILE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct file_map {
    const uint8_t *data;
    size_t bytes;
};

MUST_CHECK enum error_code file_map_open(const char *path, size_t bytes_max, struct file_map *map_out, struct error *error);
/* The same for a file that nobody else can have written: owned by the user of this process or root, writable by its owner alone. Its pages are
 * read at once. */
MUST_CHECK enum error_code file_map_open_own(const char *path, size_t bytes_max, struct file_map *map_out, struct error *error);
/* Gives the pages wholly inside a part of a map back; they are read again from the file when somebody looks. */
void file_map_forget(const void *data, size_t bytes);
void file_map_close(struct file_map *map); /* a zeroed map is fine */

/* Writes path.tmp, syncs it and renames it over path: the old file or the new one, never half of one. */
MUST_CHECK enum error_code file_replace(const char *path, const void *data, size_t bytes, struct error *error);

struct file_piece {
    const void *data;
    size_t bytes;
};
/* The same from pieces, through a temporary file of this process's own, so that several may do so at once, and without syncing: after a power
 * cut the file may be damaged, which its reader has to notice. */
MUST_CHECK enum error_code file_replace_pieces(const char *path, const struct file_piece *pieces, size_t count, struct error *error);

#endif
