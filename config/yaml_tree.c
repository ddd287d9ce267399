/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_tree.h"

#include "config/scalar.h"

#include <string.h>
#include <yaml.h>

struct level {
    struct yaml_node *node;  /* map or list that is open */
    const yaml_char_t *key;  /* borrowed from the arena; NULL: a key comes next */
    yaml_mark_t key_mark;
};

struct builder {
    const char *file;
    struct arena *arena;
    struct yaml_node *root;
    int nodes, depth, documents;
    struct level levels[YAML_DEPTH_MAX];
    struct error *error;
};

_Static_assert(YAML_NODES_MAX == 20000 && YAML_KEYS_MAX == 256 && YAML_DEPTH_MAX == 16, "the messages below name these bounds");

static enum error_code refuse(const struct builder *builder, const yaml_mark_t *mark, const char *what)
{
    return error_set(builder->error, ERROR_CONFIG, "%s:%zu:%zu: %s", builder->file, mark->line + 1, mark->column + 1, what);
}

struct yaml_node *yaml_map_find(const struct yaml_node *map, const char *key)
{
    if (map->kind != YAML_MAP)
        return NULL;
    struct yaml_node *child = map->first;
    while (child != NULL && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->quoted
           && (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

void yaml_append(struct yaml_node *parent, struct yaml_node *child)
{
    child->next = NULL;
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
    parent->count++;
}

void yaml_replace(struct yaml_node *parent, struct yaml_node *old_child, struct yaml_node *new_child)
{
    new_child->next = old_child->next;
    struct yaml_node **link = &parent->first;
    while (*link != old_child)
        link = &(*link)->next;
    *link = new_child;
    if (parent->last == old_child)
        parent->last = new_child;
}

static enum error_code node_add(struct builder *builder, enum yaml_kind kind, const yaml_mark_t *mark, struct yaml_node **node_out)
{
    if (builder->nodes++ == YAML_NODES_MAX)
        return refuse(builder, mark, "too many values in one file, expected at most 20000");
    struct yaml_node *node = arena_allocate(builder->arena, sizeof *node);
    if (node == NULL)
        return refuse(builder, mark, "the file needs more memory than a configuration may");
    node->kind = kind;
    node->file = builder->file;
    node->line = (int)mark->line + 1;
    node->column = (int)mark->column + 1;
    if (builder->depth == 0) {
        builder->root = node;
    } else {
        struct level *level = &builder->levels[builder->depth - 1];
        if (level->node->kind == YAML_MAP) {
            node->key = (const char *)level->key;
            node->key_line = (int)level->key_mark.line + 1;
            node->key_column = (int)level->key_mark.column + 1;
            level->key = NULL;
        }
        yaml_append(level->node, node);
    }
    *node_out = node;
    return ERROR_NONE;
}

static bool awaits_key(const struct builder *builder)
{
    return builder->depth > 0 && builder->levels[builder->depth - 1].node->kind == YAML_MAP
           && builder->levels[builder->depth - 1].key == NULL;
}

static enum error_code open_level(struct builder *builder, enum yaml_kind kind, const yaml_mark_t *mark)
{
    if (awaits_key(builder))
        return refuse(builder, mark, "a key that is a list or a map, expected plain text");
    if (builder->depth == YAML_DEPTH_MAX)
        return refuse(builder, mark, "lists and maps nested too deep, expected at most 16 levels");
    struct yaml_node *node;
    TRY(node_add(builder, kind, mark, &node));
    builder->levels[builder->depth++] = (struct level){.node = node};
    return ERROR_NONE;
}

static enum error_code add_key(struct builder *builder, const char *text, const yaml_mark_t *mark)
{
    struct level *level = &builder->levels[builder->depth - 1];
    const struct yaml_node *earlier = yaml_map_find(level->node, text);
    if (earlier != NULL) {
        char quoted[SCALAR_QUOTE_BYTES];
        scalar_quote(text, quoted);
        return error_set(builder->error, ERROR_CONFIG, "%s:%zu:%zu: \"%s\" is given twice, expected it once (first in line %d)",
                         builder->file, mark->line + 1, mark->column + 1, quoted, earlier->key_line);
    }
    if (level->node->count == YAML_KEYS_MAX)
        return refuse(builder, mark, "too many keys in one map, expected at most 256");
    level->key = (const yaml_char_t *)text;
    level->key_mark = *mark;
    return ERROR_NONE;
}

static enum error_code add_scalar(struct builder *builder, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(value, '\0', length) != NULL)
        return refuse(builder, mark, "text that holds a NUL character, expected none");
    char *text = arena_copy_string(builder->arena, value, length);
    if (text == NULL)
        return refuse(builder, mark, "the file needs more memory than a configuration may");
    if (awaits_key(builder))
        return add_key(builder, text, mark);
    struct yaml_node *node;
    TRY(node_add(builder, YAML_SCALAR, mark, &node));
    node->text = text;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return ERROR_NONE;
}

static enum error_code refuse_properties(const struct builder *builder, const yaml_event_t *event, const yaml_char_t *anchor,
                                         const yaml_char_t *tag)
{
    if (anchor != NULL)
        return refuse(builder, &event->start_mark, "an anchor (&name), expected the value itself: anchors and aliases are not read here");
    if (tag != NULL)
        return refuse(builder, &event->start_mark, "a tag (!name), expected the value itself: tags are not read here");
    return ERROR_NONE;
}

static enum error_code take_event(struct builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->documents++ > 0)
            return refuse(builder, &event->start_mark, "a second document begins here, expected one document a file");
        return ERROR_NONE;
    case YAML_ALIAS_EVENT:
        return refuse(builder, &event->start_mark, "an alias (*name), expected the value itself: anchors and aliases are not read here");
    case YAML_SCALAR_EVENT:
        TRY(refuse_properties(builder, event, event->data.scalar.anchor, event->data.scalar.tag));
        return add_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        TRY(refuse_properties(builder, event, event->data.sequence_start.anchor, event->data.sequence_start.tag));
        return open_level(builder, YAML_LIST, &event->start_mark);
    case YAML_MAPPING_START_EVENT:
        TRY(refuse_properties(builder, event, event->data.mapping_start.anchor, event->data.mapping_start.tag));
        return open_level(builder, YAML_MAP, &event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        return ERROR_NONE;
    default:
        return ERROR_NONE;
    }
}

static enum error_code parse_failed(const struct builder *builder, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return error_set(builder->error, ERROR_CONFIG, "%s: out of memory while reading it", builder->file);
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    if (parser->error == YAML_READER_ERROR)
        return error_set(builder->error, ERROR_CONFIG, "%s:%zu:%zu: not valid YAML: %s at byte %zu", builder->file, parser->mark.line + 1,
                         parser->mark.column + 1, problem, parser->problem_offset);
    return error_set(builder->error, ERROR_CONFIG, "%s:%zu:%zu: not valid YAML: %s%s%s", builder->file, parser->problem_mark.line + 1,
                     parser->problem_mark.column + 1, parser->context != NULL ? parser->context : "",
                     parser->context != NULL ? ", " : "", problem);
}

static enum error_code build(struct builder *builder, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return parse_failed(builder, parser);
        enum error_code code = take_event(builder, &event);
        bool at_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (code != ERROR_NONE || at_end)
            return code;
    }
}

static enum error_code empty_map(struct builder *builder)
{
    const yaml_mark_t start = {0};
    builder->depth = 0;
    struct yaml_node *node;
    return node_add(builder, YAML_MAP, &start, &node);
}

enum error_code yaml_tree_parse(const char *file, const void *bytes, size_t length, struct arena *arena, struct yaml_node **root_out,
                                struct error *error)
{
    struct error own = {0};
    struct builder builder = {.file = file, .arena = arena, .error = error != NULL ? error : &own};
    if (length > YAML_BYTES_MAX)
        return error_set(error, ERROR_CONFIG, "%s: %zu bytes, expected at most %d", file, length, YAML_BYTES_MAX);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set(error, ERROR_CONFIG, "%s: out of memory while reading it", file);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, length > 0 ? bytes : (const void *)"", length);
    enum error_code code = build(&builder, &parser);
    yaml_parser_delete(&parser);
    if (code == ERROR_NONE && (builder.root == NULL || yaml_is_null(builder.root)))
        code = empty_map(&builder);
    if (code == ERROR_NONE)
        *root_out = builder.root;
    return code;
}
