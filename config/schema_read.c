/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/scalar.h"

#include <string.h>

enum { PATH_BYTES = 160 };

struct place {
    const struct schema *schema;
    const char *prefix;
    char *base;
    struct schema_problems *problems;
};

static void out_of_memory(const struct place *place, const struct yaml_node *node)
{
    schema_problem(place->problems, node, "the configuration needs more memory than it may");
}

/* "agent.workers is "two", expected ..." */
static void wrong_value(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    char expected[SCHEMA_EXPECTED_BYTES], quoted[SCALAR_QUOTE_BYTES];
    schema_expected(row, expected);
    if (node->kind != YAML_SCALAR) {
        schema_problem(place->problems, node, "%s%s is a %s, expected %s", place->prefix, row->path,
                       node->kind == YAML_MAP ? "map" : "list", expected);
    } else if (yaml_is_null(node)) {
        schema_problem(place->problems, node, "%s%s is empty, expected %s", place->prefix, row->path, expected);
    } else {
        scalar_quote(node->text, quoted);
        schema_problem(place->problems, node, "%s%s is \"%s\", expected %s", place->prefix, row->path, quoted, expected);
    }
}

static void store_integer(const struct place *place, const struct schema_row *row, int64_t value)
{
    char *at = place->base + row->offset;
    if (row->bytes == sizeof(int64_t)) {
        memcpy(at, &value, sizeof value);
    } else {
        int32_t narrow = (int32_t)value;
        memcpy(at, &narrow, sizeof narrow);
    }
}

static void store_count(const struct place *place, const struct schema_row *row, int32_t count)
{
    memcpy(place->base + row->count_offset, &count, sizeof count);
}

static bool in_range(const struct schema_row *row, double value)
{
    return value >= row->minimum && value <= row->maximum;
}

static bool read_integer(const struct place *place, const struct schema_row *row, const char *text)
{
    int64_t value;
    if (row->word != NULL && strcmp(text, row->word) == 0) {
        store_integer(place, row, 0);
        return true;
    }
    bool read = row->type == SCHEMA_SIZE       ? scalar_read_size(text, &value)
                : row->type == SCHEMA_DURATION ? scalar_read_duration(text, &value)
                                               : scalar_read_integer(text, &value);
    if (!read || !in_range(row, (double)value))
        return false;
    if (row->type == SCHEMA_DURATION) {
        if (value % row->unit_us != 0)
            return false;
        value /= row->unit_us;
    }
    store_integer(place, row, value);
    return true;
}

static bool read_number(const struct place *place, const struct schema_row *row, const char *text)
{
    double value;
    bool read = row->type == SCHEMA_PERCENT ? scalar_read_percent(text, &value) : scalar_read_number(text, &value);
    if (!read || !in_range(row, value))
        return false;
    float narrow = (float)value;
    if (row->bytes == sizeof value)
        memcpy(place->base + row->offset, &value, sizeof value);
    else
        memcpy(place->base + row->offset, &narrow, sizeof narrow);
    return true;
}

static bool has_control_characters(const char *text, bool line_breaks_allowed)
{
    for (; *text != '\0'; text++) {
        bool control = (unsigned char)*text < 0x20 || *text == 0x7F;
        if (control && !(line_breaks_allowed && (*text == '\n' || *text == '\t')))
            return true;
    }
    return false;
}

/* Complains in words of its own; gives NULL after a complaint. */
static const char *copy_text(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    char quoted[SCALAR_QUOTE_BYTES];
    scalar_quote(node->text, quoted);
    if (has_control_characters(node->text, row->many_lines)) {
        schema_problem(place->problems, node, "%s%s is \"%s\", expected text without control characters", place->prefix, row->path, quoted);
        return NULL;
    }
    const char *problem = row->problem != NULL ? row->problem(node->text) : NULL;
    if (problem != NULL) {
        schema_problem(place->problems, node, "%s%s is \"%s\", %s", place->prefix, row->path, quoted, problem);
        return NULL;
    }
    const char *copy = arena_copy_string(place->problems->arena, node->text, strlen(node->text));
    if (copy == NULL)
        out_of_memory(place, node);
    return copy;
}

static void read_text(const struct place *place, size_t offset, const struct schema_row *row, const struct yaml_node *node)
{
    const char *copy = copy_text(place, row, node);
    memcpy(place->base + offset, &copy, sizeof copy);
}

static void read_choice(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    const struct schema_choice *choice = row->choices;
    while (choice->name != NULL && strcmp(choice->name, node->text) != 0)
        choice++;
    if (choice->name == NULL)
        wrong_value(place, row, node);
    else if (choice->instead != NULL)
        schema_problem(place->problems, node, "%s%s is \"%s\", which is not available in this version, use %s", place->prefix, row->path,
                       choice->name, choice->instead);
    else if (row->type == SCHEMA_WORD)
        memcpy(place->base + row->offset, &choice->name, sizeof choice->name);
    else
        store_integer(place, row, choice->value);
}

static void read_boolean(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    bool value = strcmp(node->text, "true") == 0;
    if (!value && strcmp(node->text, "false") != 0)
        wrong_value(place, row, node);
    memcpy(place->base + row->offset, &value, sizeof value);
}

static void read_character(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    unsigned char first = (unsigned char)node->text[0];
    if (strlen(node->text) != 1 || (first < 0x20 && first != '\t') || first >= 0x7F)
        wrong_value(place, row, node);
    else
        place->base[row->offset] = (char)first;
}

static void read_scalar(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR || yaml_is_null(node)) {
        wrong_value(place, row, node);
        return;
    }
    switch (row->type) {
    case SCHEMA_INTEGER:
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
        if (!read_integer(place, row, node->text))
            wrong_value(place, row, node);
        return;
    case SCHEMA_NUMBER:
    case SCHEMA_PERCENT:
        if (!read_number(place, row, node->text))
            wrong_value(place, row, node);
        return;
    case SCHEMA_CHOICE:
    case SCHEMA_WORD:
        read_choice(place, row, node);
        return;
    case SCHEMA_BOOLEAN:
        read_boolean(place, row, node);
        return;
    case SCHEMA_CHARACTER:
        read_character(place, row, node);
        return;
    default:
        read_text(place, row->offset, row, node);
    }
}

static void read_texts(const struct place *place, const struct schema_row *row, const struct yaml_node *list)
{
    const char **texts = arena_allocate_array(place->problems->arena, (size_t)list->count, sizeof *texts);
    if (texts == NULL) {
        out_of_memory(place, list);
        return;
    }
    int32_t count = 0;
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        if (node->kind != YAML_SCALAR || yaml_is_null(node)) {
            schema_problem(place->problems, node, "%s%s[%d] is %s, expected text", place->prefix, row->path, count,
                           node->kind == YAML_MAP ? "a map" : node->kind == YAML_LIST ? "a list" : "empty");
            return;
        }
        texts[count] = copy_text(place, row, node);
        if (texts[count++] == NULL)
            return;
    }
    memcpy(place->base + row->offset, &texts, sizeof texts);
    store_count(place, row, count);
}

static bool read_float(const struct yaml_node *node, float *value_out)
{
    double value;
    if (node->kind != YAML_SCALAR || !scalar_read_number(node->text, &value) || value > 1e30 || value < -1e30)
        return false;
    *value_out = (float)value;
    return true;
}

static void read_numbers(const struct place *place, const struct schema_row *row, const struct yaml_node *list)
{
    float *numbers = arena_allocate_array(place->problems->arena, (size_t)list->count, sizeof *numbers);
    if (numbers == NULL) {
        out_of_memory(place, list);
        return;
    }
    int32_t count = 0;
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        if (!read_float(node, &numbers[count++])) {
            wrong_value(place, row, node);
            return;
        }
    }
    memcpy(place->base + row->offset, &numbers, sizeof numbers);
    store_count(place, row, count);
}

static void read_triple(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    float numbers[3];
    const struct yaml_node *one = node->kind == YAML_LIST ? node->first : node;
    if (node->kind == YAML_LIST && node->count != 1 && node->count != 3) {
        wrong_value(place, row, node);
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (!read_float(one, &numbers[i]) || !in_range(row, numbers[i])) {
            wrong_value(place, row, one);
            return;
        }
        if (node->count == 3)
            one = one->next;
    }
    memcpy(place->base + row->offset, numbers, sizeof numbers);
}

static void read_entries(const struct place *place, const struct schema_row *row, const struct yaml_node *list)
{
    size_t bytes = row->entries->struct_bytes;
    char *entries = arena_allocate_array(place->problems->arena, (size_t)list->count, bytes);
    if (entries == NULL) {
        out_of_memory(place, list);
        return;
    }
    int index = 0;
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        char prefix[PATH_BYTES];
        snprintf(prefix, sizeof prefix, "%s%s[%d].", place->prefix, row->path, index);
        if (node->kind == YAML_MAP)
            schema_read(row->entries, node, prefix, entries + (size_t)index * bytes, place->problems);
        else
            schema_problem(place->problems, node, "%s%s[%d] is not a map, expected an entry that begins with \"- name: ...\"",
                           place->prefix, row->path, index);
        index++;
    }
    memcpy(place->base + row->offset, &entries, sizeof entries);
    store_count(place, row, list->count);
}

static void read_list(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR && row->type == SCHEMA_ENTRIES && yaml_is_null(node))
        return; /* every entry under the key is commented out */
    if (node->kind == YAML_SCALAR && row->text_offset != 0 && !yaml_is_null(node)) {
        read_text(place, row->text_offset, row, node);
        return;
    }
    if (node->kind != YAML_LIST) {
        wrong_value(place, row, node);
        return;
    }
    if (!in_range(row, node->count)) {
        char expected[SCHEMA_EXPECTED_BYTES];
        schema_expected(row, expected);
        schema_problem(place->problems, node, "%s%s has %d entries, expected %s", place->prefix, row->path, node->count, expected);
        return;
    }
    if (row->type == SCHEMA_TEXTS)
        read_texts(place, row, node);
    else if (row->type == SCHEMA_ENTRIES)
        read_entries(place, row, node);
    else
        read_numbers(place, row, node);
}

static void read_value(const struct place *place, const struct schema_row *row, const struct yaml_node *node)
{
    if (row->type == SCHEMA_TRIPLE)
        read_triple(place, row, node);
    else if (row->type >= SCHEMA_TEXTS)
        read_list(place, row, node);
    else
        read_scalar(place, row, node);
}

/* section: "" or "sink." */
static void read_map(const struct place *place, const char *section, const struct yaml_node *map)
{
    for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
        const struct schema_row *row = NULL;
        for (size_t i = 0; i < place->schema->row_count && row == NULL; i++) {
            const char *name = schema_name_in(&place->schema->rows[i], section);
            if (name != NULL && strcmp(name, node->key) == 0)
                row = &place->schema->rows[i];
        }
        if (row == NULL) {
            schema_unknown_key(place->schema, place->prefix, section, node, place->problems);
        } else if (row->type != SCHEMA_SECTION) {
            read_value(place, row, node);
        } else if (node->kind == YAML_MAP) {
            char inner[PATH_BYTES];
            snprintf(inner, sizeof inner, "%s.", row->path);
            read_map(place, inner, node);
        } else if (!yaml_is_null(node)) { /* empty: every key in it is commented out */
            wrong_value(place, row, node);
        }
    }
}

const struct yaml_node *schema_find(const struct yaml_node *map, const char *path)
{
    char name[PATH_BYTES];
    const char *dot = strchr(path, '.');
    snprintf(name, sizeof name, "%.*s", dot != NULL ? (int)(dot - path) : (int)strlen(path), path);
    const struct yaml_node *node = yaml_map_find(map, name);
    return node == NULL || dot == NULL ? node : schema_find(node, dot + 1);
}

const struct yaml_node *schema_find_near(const struct yaml_node *map, const char *path)
{
    char shorter[PATH_BYTES];
    snprintf(shorter, sizeof shorter, "%s", path);
    for (;;) {
        const struct yaml_node *node = schema_find(map, shorter);
        char *dot = strrchr(shorter, '.');
        if (node != NULL)
            return node;
        if (dot == NULL)
            return map;
        *dot = '\0';
    }
}

static void require(const struct place *place, const struct schema_row *row, const struct yaml_node *map)
{
    char expected[SCHEMA_EXPECTED_BYTES];
    schema_expected(row, expected);
    schema_problem(place->problems, schema_find_near(map, row->path), "%s%s is missing, expected %s", place->prefix, row->path, expected);
}

void schema_read(const struct schema *schema, const struct yaml_node *map, const char *prefix, void *base, struct schema_problems *problems)
{
    struct place place = {.schema = schema, .prefix = prefix, .base = base, .problems = problems};
    for (size_t i = 0; i < schema->row_count; i++) {
        const struct schema_row *row = &schema->rows[i];
        struct yaml_node standard = {.kind = YAML_SCALAR, .file = "default", .text = row->value};
        if (row->value != NULL)
            read_value(&place, row, &standard);
        else if (row->required && schema_find(map, row->path) == NULL)
            require(&place, row, map);
    }
    read_map(&place, "", map);
}
