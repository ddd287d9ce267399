/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h: a table of keys, and what is made from it: structs filled from YAML, errors, the sample file, the reference.
 *
 * One row per key. A path with dots ("sink.linger") lies in the section of the row before the dot, which has a row of its own. Defaults
 * are text and go through the same readers as a user's value, so a default that is out of range cannot exist.
 * schema_read walks a YAML tree along the table and writes each value at base + row->offset; problems are collected, not fatal, so that a
 * person sees all of them at once. Texts and lists are copied into the problems' arena. Threads: none. */
#ifndef EDDY_CONFIG_SCHEMA_H
#define EDDY_CONFIG_SCHEMA_H

#include "base/arena.h"
#include "base/error.h"
#include "config/yaml_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum schema_type {
    SCHEMA_SECTION,   /* a map whose keys are rows of their own                          */
    SCHEMA_TEXT,      /* const char *                                                    */
    SCHEMA_CHARACTER, /* char: one ASCII character                                       */
    SCHEMA_BOOLEAN,   /* bool                                                            */
    SCHEMA_INTEGER,   /* int32_t or int64_t                                              */
    SCHEMA_SIZE,      /* int32_t or int64_t, bytes                                       */
    SCHEMA_DURATION,  /* int32_t or int64_t, row->unit_us each                           */
    SCHEMA_NUMBER,    /* float or double                                                 */
    SCHEMA_PERCENT,   /* double: a share from 0 to 1                                     */
    SCHEMA_CHOICE,    /* an enum; row->choices                                           */
    SCHEMA_WORD,      /* const char *: the name of one of row->choices                   */
    SCHEMA_TEXTS,     /* const char **, and int32_t at count_offset                      */
    SCHEMA_NUMBERS,   /* float *, and int32_t at count_offset                            */
    SCHEMA_TRIPLE,    /* float[3]: a list of three numbers, or one for all three         */
    SCHEMA_ENTRIES,   /* array of structs of row->entries, and int32_t at count_offset   */
};

struct schema_choice {
    const char *name;     /* NULL ends the list */
    int value;
    const char *instead;  /* not NULL: known but not available in this version; what to use */
};

struct schema {
    const char *title;               /* of its part of the reference */
    const struct schema_row *rows;   /* sections before their keys */
    size_t row_count, struct_bytes;
};

struct schema_row {
    const char *path, *help;
    enum schema_type type : 8;
    bool required, many_lines;       /* many_lines: the text may hold line breaks */
    bool in_sample;                  /* active in the sample, not commented out */
    uint16_t offset, bytes;          /* of the member; see SCHEMA_AT */
    uint16_t count_offset;           /* lists */
    uint16_t text_offset;            /* TEXTS: where a plain text in place of the list goes; 0: refused */
    int32_t unit_us;                 /* DURATION: 1 for us, 1000000 for seconds */
    double minimum, maximum;         /* of a number, a size in bytes, a time in us, a share; of a list of any length: its length */
    const char *word;                /* INTEGER, SIZE: this word stands for 0 */
    const struct schema_choice *choices;
    const struct schema *entries;
    const char *expected;            /* in errors, where the type's own words do not say enough */
    const char *(*problem)(const char *text); /* TEXT, TEXTS: NULL, or static words on what is wrong with it */
    const char *value;               /* the default as YAML; NULL: none */
    const char *otherwise;           /* no value: what happens then, in words */
    const char *example;             /* for the sample file */
};

#define SCHEMA_AT(type, member) .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)
#define SCHEMA_COUNT(type, member) .count_offset = offsetof(type, member)
#define SCHEMA_ROWS(array) .rows = (array), .row_count = sizeof(array) / sizeof((array)[0])

extern const struct schema config_schema, pipeline_schema; /* schema.c */
extern const struct schema manifest_schema;                /* manifest_schema.c */

struct schema_problems {
    int count;             /* all, kept or not */
    char *report;          /* one a line, may be NULL */
    size_t report_bytes, report_used;
    int kept_max;
    struct error *error;   /* the first; may be NULL */
    struct arena *arena;   /* of the values */
};

/* "file:line:column: message"; the node says where. */
void schema_problem(struct schema_problems *problems, const struct yaml_node *node, const char *format, ...) PRINTF_LIKE(3, 4);
void schema_problem_key(struct schema_problems *problems, const struct yaml_node *node, const char *format, ...) PRINTF_LIKE(3, 4);
void schema_problem_line(struct schema_problems *problems, const char *line); /* as it stands */
/* Names the closest key of the section ("" is the top, else "sink."), or all of them. */
void schema_unknown_key(const struct schema *schema, const char *prefix, const char *section, const struct yaml_node *node,
                        struct schema_problems *problems);
/* The last part of row->path where the row lies directly in the section, else NULL. */
const char *schema_name_in(const struct schema_row *row, const char *section);

/* prefix: before paths in messages: "" or "pipelines[0].". base: zeroed memory of schema->struct_bytes. */
void schema_read(const struct schema *schema, const struct yaml_node *map, const char *prefix, void *base,
                 struct schema_problems *problems);

/* The node of "sink.linger" in map; NULL: not given. Tells a given value from a default, and where it stands. */
const struct yaml_node *schema_find(const struct yaml_node *map, const char *path);
/* The node at path, else the nearest map around it: where a complaint about a missing value points. */
const struct yaml_node *schema_find_near(const struct yaml_node *map, const char *path);

enum { SCHEMA_EXPECTED_BYTES = 256 };
void schema_expected(const struct schema_row *row, char text[SCHEMA_EXPECTED_BYTES]); /* "a whole number from 1 to 64" */

void schema_print_sample(const struct schema *schema, FILE *file);
void schema_print_reference(const struct schema *schema, FILE *file); /* Markdown */
void schema_print_man(const struct schema *schema, FILE *file);       /* roff: the KEYS part of a page */

#endif
