/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml_tree.h: one YAML document as a small tree in which every node knows its line and column.
 *
 * A strict part of YAML 1.1: mappings, sequences and scalars, block or flow. Refused with a reason: anchors, aliases, tags, a second
 * document, keys that are no plain text, keys given twice, NUL characters, and whatever goes beyond the bounds below (so that no input
 * costs more than a few MiB). Scalars stay text: what they mean is the schema's business.
 * Ownership: nodes and texts live in the caller's arena; `file` is borrowed and must outlive the tree.
 * Errors: ERROR_CONFIG, "file:line:column: what". Threads: none. */
#ifndef EDDY_CONFIG_YAML_TREE_H
#define EDDY_CONFIG_YAML_TREE_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { YAML_BYTES_MAX = 1024 * 1024, YAML_NODES_MAX = 20000, YAML_KEYS_MAX = 256 /* of one map */, YAML_DEPTH_MAX = 16 };
enum { YAML_ARENA_BYTES = 24 * 1024 * 1024 };

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node {
    enum yaml_kind kind;
    const char *file;
    int line, column;            /* of the value, from 1 */
    const char *key;             /* in a map: its key; else NULL */
    int key_line, key_column;
    const char *text;            /* scalar: UTF-8 without NUL */
    bool quoted;                 /* scalar: 'x', "x" or a block: text even where it looks like null */
    struct yaml_node *first, *last, *next; /* children of a map or list in the order of the file */
    int count;                   /* of children */
};

/* An empty document gives an empty map. */
MUST_CHECK enum error_code yaml_tree_parse(const char *file, const void *bytes, size_t length, struct arena *arena,
                                           struct yaml_node **root_out, struct error *error);

struct yaml_node *yaml_map_find(const struct yaml_node *map, const char *key); /* NULL: not there, or not a map */
bool yaml_is_null(const struct yaml_node *node); /* nothing, ~ or null, unquoted */
void yaml_append(struct yaml_node *parent, struct yaml_node *child);
void yaml_replace(struct yaml_node *parent, struct yaml_node *old_child, struct yaml_node *new_child);

#endif
