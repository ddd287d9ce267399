/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/scalar.h"

#include <string.h>

enum { COMMENT_COLUMNS = 110, INDENT = 2, PREFIX_BYTES = 64 };

static void write_choices(const struct schema_choice *choices, char *text, size_t bytes)
{
    int available = 0;
    size_t used = 0;
    for (const struct schema_choice *choice = choices; choice->name != NULL; choice++)
        available += choice->instead == NULL;
    const char *separator = available > 1 ? "one of " : "";
    for (; choices->name != NULL && used < bytes; choices++) {
        if (choices->instead != NULL)
            continue;
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", separator, choices->name);
        separator = ", ";
    }
}

static void write_range(const struct schema_row *row, char *text, size_t bytes)
{
    char least[SCALAR_TEXT_BYTES], most[SCALAR_TEXT_BYTES];
    switch (row->type) {
    case SCHEMA_SIZE:
        scalar_write_size((int64_t)row->minimum, least);
        scalar_write_size((int64_t)row->maximum, most);
        snprintf(text, bytes, "a size from %s to %s", least, most);
        return;
    case SCHEMA_DURATION:
        scalar_write_duration((int64_t)row->minimum, least);
        scalar_write_duration((int64_t)row->maximum, most);
        snprintf(text, bytes, "a time from %s to %s", least, most);
        return;
    case SCHEMA_PERCENT:
        snprintf(text, bytes, "a percentage from %g%% to %g%%", row->minimum * 100, row->maximum * 100);
        return;
    case SCHEMA_NUMBER:
        snprintf(text, bytes, "a number from %g to %g", row->minimum, row->maximum);
        return;
    default:
        snprintf(text, bytes, "a whole number from %.0f to %.0f", row->minimum, row->maximum);
    }
}

/* What a value must be, without the example that a message adds. */
static void write_kind(const struct schema_row *row, char text[SCHEMA_EXPECTED_BYTES])
{
    static const char *const words[] = {
        [SCHEMA_SECTION] = "a map of keys",         [SCHEMA_TEXT] = "text",
        [SCHEMA_CHARACTER] = "one ASCII character", [SCHEMA_BOOLEAN] = "true or false",
        [SCHEMA_TEXTS] = "a list of texts",         [SCHEMA_NUMBERS] = "a list of numbers",
        [SCHEMA_ENTRIES] = "a list of entries",     [SCHEMA_TRIPLE] = "a number, or a list of one or three numbers",
    };
    if (row->expected != NULL) {
        snprintf(text, SCHEMA_EXPECTED_BYTES, "%s", row->expected);
    } else if (row->choices != NULL) {
        write_choices(row->choices, text, SCHEMA_EXPECTED_BYTES);
    } else if ((size_t)row->type < sizeof words / sizeof words[0] && words[row->type] != NULL) {
        snprintf(text, SCHEMA_EXPECTED_BYTES, "%s", words[row->type]);
    } else {
        size_t used = row->word == NULL ? 0 : (size_t)snprintf(text, SCHEMA_EXPECTED_BYTES, "%s or ", row->word);
        write_range(row, text + used, SCHEMA_EXPECTED_BYTES - used);
    }
}

void schema_expected(const struct schema_row *row, char text[SCHEMA_EXPECTED_BYTES])
{
    write_kind(row, text);
    size_t used = strlen(text);
    const char *example = row->type == SCHEMA_SIZE ? "4096, 64KiB or 8MiB" : row->type == SCHEMA_DURATION ? "200ms, 30s or 10m" : NULL;
    if (row->expected == NULL && example != NULL)
        snprintf(text + used, SCHEMA_EXPECTED_BYTES - used, ", such as %s", example);
}

/* Words of text, broken into lines that each begin with prefix. */
static void print_wrapped(FILE *file, const char *prefix, const char *text)
{
    size_t column = strlen(prefix);
    fputs(prefix, file);
    for (const char *word = text; *word != '\0';) {
        size_t length = strcspn(word, " ");
        if (word != text && column + 1 + length > COMMENT_COLUMNS) {
            fprintf(file, "\n%s", prefix);
            column = strlen(prefix);
        } else if (word != text) {
            fputc(' ', file);
            column++;
        }
        fwrite(word, 1, length, file);
        column += length;
        word += length + (word[length] == ' ');
    }
    fputc('\n', file);
}

static const char *last_name(const struct schema_row *row)
{
    const char *dot = strrchr(row->path, '.');
    return dot != NULL ? dot + 1 : row->path;
}

static int depth_of(const struct schema_row *row)
{
    int depth = 0;
    for (const char *at = row->path; *at != '\0'; at++)
        depth += *at == '.';
    return depth;
}

/* Help, what is expected where the help cannot say it, and the default where the line below does not show it. */
static void print_comment(const struct schema_row *row, const char *prefix, FILE *file)
{
    char text[1024], kind[SCHEMA_EXPECTED_BYTES];
    bool holds_rows = row->type == SCHEMA_SECTION || row->type == SCHEMA_ENTRIES;
    bool plain = holds_rows || row->type == SCHEMA_BOOLEAN || (row->type == SCHEMA_TEXT && row->expected == NULL);
    bool shown = row->value != NULL && !row->in_sample;
    const char *otherwise = row->value != NULL ? row->value : row->otherwise;
    write_kind(row, kind);
    size_t used = (size_t)snprintf(text, sizeof text, "%s", row->help);
    if (!plain && used < sizeof text)
        used += (size_t)snprintf(text + used, sizeof text - used, " Expects %s.", kind);
    if (row->required && used < sizeof text)
        snprintf(text + used, sizeof text - used, " Must be given.");
    else if (!shown && !holds_rows && used < sizeof text)
        snprintf(text + used, sizeof text - used, " Default: %s.", otherwise);
    print_wrapped(file, prefix, text);
}

static const char *sample_value(const struct schema_row *row)
{
    const char *value = row->in_sample || row->value == NULL ? row->example : row->value;
    return strcmp(value, ",") == 0 ? "\",\"" : value;
}

/* lead: "" at the top, "#" where the whole is an example that is commented out. */
static void print_rows(const struct schema *schema, const char *lead, int indent, FILE *file)
{
    for (size_t i = 0; i < schema->row_count; i++) {
        const struct schema_row *row = &schema->rows[i];
        bool entry_begins = i == 0 && lead[0] != '\0';
        int spaces = indent + depth_of(row) * INDENT;
        char prefix[PREFIX_BYTES];
        if (depth_of(row) == 0 && i > 0 && lead[0] == '\0')
            fputc('\n', file);
        snprintf(prefix, sizeof prefix, "%s%*s# ", lead, entry_begins ? spaces - INDENT : spaces, "");
        print_comment(row, prefix, file);
        if (entry_begins)
            fprintf(file, "%s%*s- %s: %s\n", lead, spaces - INDENT, "", row->path, sample_value(row));
        else if (row->type == SCHEMA_SECTION || row->type == SCHEMA_ENTRIES)
            fprintf(file, "%s%*s%s:\n", lead, spaces, "", last_name(row));
        else
            fprintf(file, "%s%*s%s%s: %s\n", lead, spaces, "", row->in_sample ? "" : "#", last_name(row), sample_value(row));
        if (row->type == SCHEMA_ENTRIES)
            print_rows(row->entries, "#", 2 * INDENT, file);
    }
}

void schema_print_sample(const struct schema *schema, FILE *file)
{
    print_rows(schema, "", 0, file);
}

static void print_cell(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', file);
        fputc(*text, file);
    }
}

void schema_print_reference(const struct schema *schema, FILE *file)
{
    fprintf(file, "## %s\n\n| Key | Expects | Default | What it does |\n|---|---|---|---|\n", schema->title);
    for (size_t i = 0; i < schema->row_count; i++) {
        const struct schema_row *row = &schema->rows[i];
        char expected[SCHEMA_EXPECTED_BYTES];
        write_kind(row, expected);
        fprintf(file, "| `%s` | ", row->path);
        print_cell(file, expected);
        if (row->value != NULL)
            fprintf(file, " | `%s` | ", row->value);
        else if (row->type == SCHEMA_SECTION)
            fputs(" | | ", file);
        else
            fprintf(file, " | %s | ", row->required ? "must be given" : row->otherwise);
        print_cell(file, row->help);
        fputs(" |\n", file);
    }
    for (size_t i = 0; i < schema->row_count; i++) {
        if (schema->rows[i].type == SCHEMA_ENTRIES) {
            fputc('\n', file);
            schema_print_reference(schema->rows[i].entries, file);
        }
    }
}

/* A backslash or a leading dot would be roff's. */
static void print_roff(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", file);
        else if (*text == '-')
            fputs("\\-", file);
        else
            fputc(*text, file);
    }
}

void schema_print_man(const struct schema *schema, FILE *file)
{
    fprintf(file, ".SH %s\n", schema->title);
    for (size_t i = 0; i < schema->row_count; i++) {
        const struct schema_row *row = &schema->rows[i];
        char expected[SCHEMA_EXPECTED_BYTES];
        write_kind(row, expected);
        fputs(row->type == SCHEMA_SECTION ? ".SS " : ".TP\n.B ", file);
        print_roff(file, row->path);
        fputc('\n', file);
        print_roff(file, row->help);
        fputc('\n', file);
        if (row->type == SCHEMA_SECTION)
            continue;
        fputs("Expects ", file);
        print_roff(file, expected);
        fputs(". Default: ", file);
        print_roff(file, row->value != NULL ? row->value : row->required ? "must be given" : row->otherwise);
        fputs(".\n", file);
    }
    for (size_t i = 0; i < schema->row_count; i++) {
        if (schema->rows[i].type == SCHEMA_ENTRIES)
            schema_print_man(schema->rows[i].entries, file);
    }
}
