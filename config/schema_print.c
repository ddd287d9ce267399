/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/scalar.h"

#include <string.h>

enum { COMMENT_COLUMNS = 110, INDENT = 2, PREFIX_BYTES = 64 };

static void write_list(const struct schema_choice *choices, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "one of");
    const char *separator = " ";
    for (; choices->name != NULL; choices++) {
        if (choices->instead != NULL || used >= bytes)
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
        snprintf(text, bytes, "a size from %s to %s, such as 4096, 64KiB or 8MiB", least, most);
        return;
    case SCHEMA_DURATION:
        scalar_write_duration((int64_t)row->minimum, least);
        scalar_write_duration((int64_t)row->maximum, most);
        snprintf(text, bytes, "a time from %s to %s, such as 200ms, 30s or 10m", least, most);
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

void schema_expected(const struct schema_row *row, char text[SCHEMA_EXPECTED_BYTES])
{
    static const char *const words[] = {
        [SCHEMA_SECTION] = "a map of keys",       [SCHEMA_TEXT] = "text",
        [SCHEMA_CHARACTER] = "one ASCII character", [SCHEMA_BOOLEAN] = "true or false",
        [SCHEMA_TEXTS] = "a list of texts",       [SCHEMA_NUMBERS] = "a list of numbers",
        [SCHEMA_ENTRIES] = "a list of entries",   [SCHEMA_TRIPLE] = "a number, or a list of one or three numbers",
    };
    if (row->expected != NULL) {
        snprintf(text, SCHEMA_EXPECTED_BYTES, "%s", row->expected);
    } else if (row->choices != NULL) {
        write_list(row->choices, text, SCHEMA_EXPECTED_BYTES);
    } else if ((size_t)row->type < sizeof words / sizeof words[0] && words[row->type] != NULL) {
        snprintf(text, SCHEMA_EXPECTED_BYTES, "%s", words[row->type]);
    } else {
        size_t used = row->word == NULL ? 0 : (size_t)snprintf(text, SCHEMA_EXPECTED_BYTES, "%s or ", row->word);
        write_range(row, text + used, SCHEMA_EXPECTED_BYTES - used);
    }
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

/* "[what] Default: ..." as one text. */
static void print_comment(const struct schema_row *row, const char *prefix, FILE *file)
{
    char text[1024], expected[SCHEMA_EXPECTED_BYTES];
    if (row->type == SCHEMA_SECTION || row->type == SCHEMA_ENTRIES) {
        print_wrapped(file, prefix, row->help);
        return;
    }
    schema_expected(row, expected);
    const char *without = row->otherwise != NULL ? row->otherwise : "must be given";
    snprintf(text, sizeof text, "%s Expects %s. Default: %s.", row->help, expected, row->value != NULL ? row->value : without);
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
        schema_expected(row, expected);
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
        schema_expected(row, expected);
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
