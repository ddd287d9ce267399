/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_transfer.h: results of the cache as NDJSON, out and in.
 *
 * A line {"cache":1,"pipeline":NAME,"settings":TEXT} begins a pipeline's results, each a line
 * {"key":32 hex digits,"created_us":N,"saving_us":N,"result":{...}}. Keys are digests over the pipeline's name and settings (model digest,
 * pre-processing, decoding) and the input: on a gateway with the same pipeline they mean the same. */
#ifndef EDDY_AGENT_CLI_CACHE_TRANSFER_H
#define EDDY_AGENT_CLI_CACHE_TRANSFER_H

#include "cache/disk.h"

#include <stdio.h>

/* pipeline NULL: all. */
void cache_export(struct disk_cache *disk, const char *pipeline, FILE *file);
void cache_print_row(const struct disk_row *row, FILE *file); /* the members of a result's line, without braces */
/* All lines or none. Errors: ERROR_INPUT with the line; ERROR_CONFIG where the file has the pipeline with other settings. */
MUST_CHECK enum error_code cache_import(struct disk_cache *disk, FILE *file, int64_t *count_out, struct error *error);

#endif
