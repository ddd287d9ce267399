/* SPDX-License-Identifier: Apache-2.0
 *
 * The words for what is wrong, and where. */
#include "config/schema.h"

#include "config/scalar.h"

#include <stdarg.h>
#include <string.h>

enum { NAME_BYTES_COMPARED = 63 };

void schema_problem_line(struct schema_problems *problems, const char *line)
{
    if (problems->count++ == 0)
        error_set(problems->error, ERROR_CONFIG, "%s", line);
    size_t left = problems->report_bytes - problems->report_used, length = strlen(line);
    if (problems->report == NULL || problems->count > problems->kept_max || length + 2 > left)
        return;
    char *at = problems->report + problems->report_used;
    memcpy(at, line, length);
    memcpy(at + length, "\n", 2);
    problems->report_used += length + 1;
}

static PRINTF_LIKE(5, 0) void write_problem(struct schema_problems *problems, const char *file, int line, int column, const char *format,
                                            va_list arguments)
{
    char text[ERROR_MESSAGE_BYTES];
    int length = snprintf(text, sizeof text, "%s:%d:%d: ", file, line, column);
    if (length > 0 && (size_t)length < sizeof text)
        vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    schema_problem_line(problems, text);
}

void schema_problem(struct schema_problems *problems, const struct yaml_node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_problem(problems, node->file, node->line, node->column, format, arguments);
    va_end(arguments);
}

void schema_problem_key(struct schema_problems *problems, const struct yaml_node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_problem(problems, node->file, node->key_line, node->key_column, format, arguments);
    va_end(arguments);
}

const char *schema_name_in(const struct schema_row *row, const char *section)
{
    size_t length = strlen(section);
    if (strncmp(row->path, section, length) != 0)
        return NULL;
    return strchr(row->path + length, '.') == NULL ? row->path + length : NULL;
}

/* Levenshtein's distance of two short names. */
static size_t distance(const char *left, const char *right)
{
    size_t row[NAME_BYTES_COMPARED + 1], right_length = strlen(right);
    if (strlen(left) > NAME_BYTES_COMPARED || right_length > NAME_BYTES_COMPARED)
        return NAME_BYTES_COMPARED;
    for (size_t i = 0; i <= right_length; i++)
        row[i] = i;
    for (size_t i = 0; left[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < right_length; j++) {
            size_t replaced = diagonal + (left[i] != right[j]);
            size_t shorter = row[j] < row[j + 1] ? row[j] : row[j + 1];
            diagonal = row[j + 1];
            row[j + 1] = shorter + 1 < replaced ? shorter + 1 : replaced;
        }
    }
    return row[right_length];
}

void schema_unknown_key(const struct schema *schema, const char *prefix, const char *section, const struct yaml_node *node,
                        struct schema_problems *problems)
{
    const char *closest = "";
    size_t best = NAME_BYTES_COMPARED + 1;
    char known[SCHEMA_EXPECTED_BYTES] = "", quoted[SCALAR_QUOTE_BYTES];
    for (size_t i = 0; i < schema->row_count; i++) {
        const char *name = schema_name_in(&schema->rows[i], section);
        if (name == NULL)
            continue;
        bool begins = node->key[0] != '\0' && strncmp(node->key, name, strlen(node->key)) == 0;
        size_t away = begins ? 1 : distance(node->key, name), used = strlen(known);
        if (away < best) {
            best = away;
            closest = name;
        }
        snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "", name);
    }
    scalar_quote(node->key, quoted);
    if (best <= strlen(closest) / 2)
        schema_problem_key(problems, node, "%s%s%s is not a known key, expected %s%s%s", prefix, section, quoted, prefix, section, closest);
    else
        schema_problem_key(problems, node, "%s%s%s is not a known key, expected one of %s", prefix, section, quoted, known);
}
