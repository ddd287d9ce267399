/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cache_transfer.h"

#include "base/clock.h"
#include "base/json_reader.h"
#include "base/json_writer.h"

#include <stdlib.h>
#include <string.h>

enum { WALK_ROWS = 1000, NAME_BYTES = 65, SETTINGS_BYTES = 16 * 1024, LINE_BYTES_MAX = CACHE_VALUE_BYTES_MAX + 4096 };

void cache_print_row(const struct disk_row *row, FILE *file)
{
    fprintf(file, "\"key\":\"%016llx%016llx\",\"created_us\":%lld,\"saving_us\":%lld,\"result\":%.*s", (unsigned long long)row->key.high,
            (unsigned long long)row->key.low, (long long)row->created_us, (long long)row->saving_us, (int)row->length, row->value);
}

static bool print_line(const struct disk_row *row, void *context)
{
    fputc('{', context);
    cache_print_row(row, context);
    fputs("}\n", context);
    return true;
}

struct exported { /* the walk over spaces must end before their rows are walked */
    int64_t ids[256];
    int count;
    const char *pipeline;
    FILE *file;
    char *heads[256];
};

static void note_space(const struct disk_space *space, void *context)
{
    struct exported *exported = context;
    if (exported->count == 256 || (exported->pipeline != NULL && strcmp(exported->pipeline, space->name) != 0))
        return;
    size_t capacity = 6 * (strlen(space->name) + strlen(space->settings)) + 64;
    char *head = malloc(capacity);
    if (head == NULL)
        return;
    struct json_writer writer;
    json_writer_init(&writer, head, capacity);
    json_object_begin(&writer);
    json_key(&writer, "cache");
    json_integer(&writer, 1);
    json_key(&writer, "pipeline");
    json_string(&writer, space->name);
    json_key(&writer, "settings");
    json_string(&writer, space->settings);
    json_object_end(&writer);
    json_writer_finish(&writer);
    exported->heads[exported->count] = head;
    exported->ids[exported->count++] = space->id;
}

void cache_export(struct disk_cache *disk, const char *pipeline, FILE *file)
{
    struct exported exported = {.pipeline = pipeline, .file = file};
    disk_cache_each_space(disk, note_space, &exported);
    for (int i = 0; i < exported.count; i++) {
        struct disk_cursor cursor = {.kept_us = INT64_MIN};
        fprintf(file, "%s\n", exported.heads[i]);
        free(exported.heads[i]);
        while (disk_cache_walk(disk, exported.ids[i], &cursor, WALK_ROWS, true, print_line, file))
            ;
    }
}

struct line {
    char pipeline[NAME_BYTES], settings[SETTINGS_BYTES];
    bool is_head, has_key;
    struct disk_row row;
};

static bool read_key(const struct json_token *token, struct cache_key *key_out)
{
    char digits[33] = "";
    if (token->kind != JSON_STRING || token->length != 32 || strspn(token->text, "0123456789abcdef") < 32)
        return false;
    memcpy(digits, token->text + 16, 16);
    key_out->low = strtoull(digits, NULL, 16);
    memcpy(digits, token->text, 16);
    digits[16] = '\0';
    key_out->high = strtoull(digits, NULL, 16);
    return true;
}

static bool read_text(const struct json_token *token, char *text, size_t capacity)
{
    size_t length = token->kind == JSON_STRING ? json_unescape(token, text, capacity - 1) : SIZE_MAX;
    if (length == SIZE_MAX)
        return false;
    text[length] = '\0';
    return strlen(text) == length && length > 0;
}

static bool read_number(const struct json_token *token, double maximum, int64_t *number_out)
{
    if (token->kind != JSON_NUMBER || !(token->number >= 0 && token->number <= maximum))
        return false;
    *number_out = (int64_t)token->number;
    return true;
}

/* The object that begins with this token, as it stands in the line. */
static bool read_result(struct json_reader *reader, const struct json_token *token, struct disk_row *row)
{
    if (token->kind != JSON_OBJECT_BEGIN)
        return false;
    const char *begin = reader->bytes + reader->at - 1;
    struct json_token inner;
    for (int depth = 1; depth > 0;) {
        if (!json_next(reader, &inner) || inner.kind == JSON_END)
            return false;
        depth += (inner.kind == JSON_OBJECT_BEGIN || inner.kind == JSON_ARRAY_BEGIN) - (inner.kind == JSON_OBJECT_END || inner.kind == JSON_ARRAY_END);
    }
    row->value = begin;
    row->length = (size_t)(reader->bytes + reader->at - begin);
    return *begin == '{' && row->length <= CACHE_VALUE_BYTES_MAX;
}

static bool read_line(const char *text, size_t length, struct line *line)
{
    struct json_reader reader;
    struct json_token token;
    bool fine = true;
    line->is_head = line->has_key = false;
    line->row = (struct disk_row){0};
    json_reader_init(&reader, text, length);
    if (!json_next(&reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return false;
    while (fine && json_next(&reader, &token) && token.kind == JSON_KEY) {
        struct json_token key = token, value;
        if (!json_next(&reader, &value))
            return false;
        if (json_text_equals(&key, "cache"))
            line->is_head = fine = value.kind == JSON_NUMBER && value.number == 1;
        else if (json_text_equals(&key, "pipeline"))
            fine = read_text(&value, line->pipeline, sizeof line->pipeline);
        else if (json_text_equals(&key, "settings"))
            fine = read_text(&value, line->settings, sizeof line->settings);
        else if (json_text_equals(&key, "key"))
            line->has_key = fine = read_key(&value, &line->row.key);
        else if (json_text_equals(&key, "created_us"))
            fine = read_number(&value, (double)clock_wall_us(), &line->row.created_us);
        else if (json_text_equals(&key, "saving_us"))
            fine = read_number(&value, 4e9, &line->row.saving_us);
        else
            fine = json_text_equals(&key, "result") && read_result(&reader, &value, &line->row);
    }
    bool complete = line->is_head ? line->settings[0] != '\0' && line->pipeline[0] != '\0' : line->has_key && line->row.length > 0;
    return fine && complete && token.kind == JSON_OBJECT_END && json_next(&reader, &token) && token.kind == JSON_END;
}

struct stored {
    const struct line *line;
    bool other;
};

static void compare_settings(const struct disk_space *space, void *context)
{
    struct stored *stored = context;
    stored->other |= strcmp(space->name, stored->line->pipeline) == 0 && strcmp(space->settings, stored->line->settings) != 0;
}

static enum error_code enter_space(struct disk_cache *disk, const struct line *line, int64_t *space_out, struct error *error)
{
    struct stored stored = {.line = line};
    disk_cache_each_space(disk, compare_settings, &stored);
    if (stored.other)
        return error_set(error, ERROR_CONFIG, "pipeline \"%s\" has another model or other settings here: its results would mean something else",
                         line->pipeline);
    *space_out = disk_cache_space(disk, line->pipeline, line->settings);
    return *space_out >= 0 ? ERROR_NONE : error_set(error, ERROR_STORAGE, "the cache cannot be written");
}

static enum error_code import_lines(struct disk_cache *disk, FILE *file, char **text, size_t *capacity, struct line *line, int64_t *count_out,
                                    struct error *error)
{
    int64_t space = -1;
    long number = 0;
    for (ssize_t length; (length = getline(text, capacity, file)) > 0;) {
        number++;
        if (length > LINE_BYTES_MAX || !read_line(*text, (size_t)length, line))
            return error_set(error, ERROR_INPUT, "line %ld: not a line of eddy cache export", number);
        if (line->is_head) {
            if (enter_space(disk, line, &space, error) != ERROR_NONE)
                return error_prefix(error, "line %ld: ", number);
        } else if (space < 0) {
            return error_set(error, ERROR_INPUT, "line %ld: a result before the line that names its pipeline", number);
        } else {
            disk_cache_put(disk, space, &line->row);
            ++*count_out;
        }
    }
    return ERROR_NONE;
}

enum error_code cache_import(struct disk_cache *disk, FILE *file, int64_t *count_out, struct error *error)
{
    char *text = NULL;
    size_t capacity = 0;
    struct line *line = calloc(1, sizeof *line);
    *count_out = 0;
    if (line == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a line");
    disk_cache_begin(disk);
    enum error_code code = import_lines(disk, file, &text, &capacity, line, count_out, error);
    if (code == ERROR_NONE)
        disk_cache_commit(disk);
    else
        disk_cache_rollback(disk);
    free(text);
    free(line);
    return code;
}
