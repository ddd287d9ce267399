/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV (RFC 4180): one record a sample. Lines may end with LF alone, empty lines are passed over. */
#include "agent/series.h"

#include <stdlib.h>
#include <string.h>

enum { CELL_BYTES_MAX = 256, COLUMNS_MAX = 4096 };

struct csv {
    struct series *series;
    const char *at, *end;
    int line;
    int columns[CONFIG_FIELDS_MAX + 1]; /* of each field, from 0; the last: of the time; -1: not known */
    char cell[CELL_BYTES_MAX];
    size_t cell_length;
    struct error *error;
};

/* Reads one cell without its quotes and steps over what ends it; *last: the record ends with it. */
static enum error_code take_cell(struct csv *csv, bool *last)
{
    bool quoted = csv->at < csv->end && *csv->at == '"', open = quoted;
    char delimiter = csv->series->pipeline->input.delimiter;
    csv->cell_length = 0;
    csv->at += quoted;
    for (; csv->at < csv->end; csv->at++) {
        if (quoted && *csv->at == '"') {
            csv->at++;
            open = csv->at < csv->end && *csv->at == '"'; /* a doubled quote is one of the text */
            if (!open)
                break;
        } else if (!quoted && (*csv->at == delimiter || *csv->at == '\n' || *csv->at == '\r')) {
            break;
        }
        if (csv->cell_length + 1 == CELL_BYTES_MAX)
            return error_set(csv->error, ERROR_LIMIT, "line %d: a cell of more than %d bytes", csv->line, CELL_BYTES_MAX - 1);
        csv->cell[csv->cell_length++] = *csv->at;
    }
    csv->cell[csv->cell_length] = '\0';
    if (open)
        return error_set(csv->error, ERROR_INPUT, "line %d: a quote that is not closed", csv->line);
    if (csv->at < csv->end && *csv->at == delimiter) {
        csv->at++;
        *last = false;
        return ERROR_NONE;
    }
    csv->at += csv->at < csv->end && *csv->at == '\r';
    if (csv->at < csv->end && *csv->at != '\n')
        return error_set(csv->error, ERROR_INPUT, "line %d: text after a closing quote or a carriage return alone", csv->line);
    csv->at += csv->at < csv->end;
    *last = true;
    return ERROR_NONE;
}

static const char *field_name(const struct csv *csv, int f)
{
    return f < csv->series->fields ? csv->series->pipeline->input.fields[f] : csv->series->pipeline->input.time_field;
}

static int field_count(const struct csv *csv)
{
    return csv->series->fields + (csv->series->pipeline->input.time_field != NULL);
}

static enum error_code read_header(struct csv *csv)
{
    bool last = false;
    for (int column = 0; !last; column++) {
        if (column == COLUMNS_MAX)
            return error_set(csv->error, ERROR_LIMIT, "more than %d columns", COLUMNS_MAX);
        TRY(take_cell(csv, &last));
        for (int f = 0; f < field_count(csv); f++) {
            if (csv->columns[f] < 0 && strcmp(field_name(csv, f), csv->cell) == 0)
                csv->columns[f] = column;
        }
    }
    csv->line++;
    return ERROR_NONE;
}

static enum error_code take_number(struct csv *csv, int f)
{
    const char *begin = csv->cell + strspn(csv->cell, " \t");
    size_t digits = strspn(begin, "+-0123456789.eE"), blanks = strspn(begin + digits, " \t");
    char *end;
    double value = strtod(begin, &end);
    bool number = digits > 0 && end == begin + digits && begin + digits + blanks == csv->cell + csv->cell_length;
    if (f == csv->series->fields)
        return series_note_time(&csv->series->columns, value, number ? NULL : csv->cell, csv->cell_length, csv->error);
    if (!number)
        return error_set(csv->error, ERROR_INPUT, "line %d: column %s holds \"%.40s\", expected a number", csv->line, field_name(csv, f), csv->cell);
    return series_add(&csv->series->columns, f, value, field_name(csv, f), csv->error);
}

static enum error_code read_record(struct csv *csv)
{
    bool last = false;
    int found = 0, column = 0;
    for (; !last; column++) {
        if (column == COLUMNS_MAX)
            return error_set(csv->error, ERROR_LIMIT, "more than %d columns", COLUMNS_MAX);
        TRY(take_cell(csv, &last));
        for (int f = 0; f < field_count(csv); f++) {
            if (csv->columns[f] == column) {
                TRY(take_number(csv, f));
                found++;
            }
        }
    }
    if (found < field_count(csv))
        return error_set(csv->error, ERROR_INPUT, "line %d: %d columns, too few for the fields", csv->line, column);
    csv->line++;
    return ERROR_NONE;
}

enum error_code series_parse_csv(struct series *series, const uint8_t *bytes, size_t length, struct error *error)
{
    struct csv csv = {.series = series, .at = (const char *)bytes, .end = (const char *)bytes + length, .line = 1, .error = error};
    if (memchr(bytes, '\0', length) != NULL)
        return error_set(error, ERROR_INPUT, "not CSV: it holds a byte 0");
    for (int f = 0; f < field_count(&csv); f++)
        csv.columns[f] = field_name(&csv, f)[0] == '#' ? (int)strtol(field_name(&csv, f) + 1, NULL, 10) - 1 : -1;
    if (series->pipeline->input.header)
        TRY(read_header(&csv));
    for (int f = 0; f < field_count(&csv); f++) {
        if (csv.columns[f] < 0)
            return error_set(error, ERROR_INPUT, "no column named %s in the first line", field_name(&csv, f));
    }
    while (csv.at < csv.end) {
        bool empty = *csv.at == '\n' || (*csv.at == '\r' && csv.end - csv.at > 1 && csv.at[1] == '\n');
        if (!empty) {
            TRY(read_record(&csv));
        } else {
            csv.at += *csv.at == '\r' ? 2 : 1;
            csv.line++;
        }
    }
    return ERROR_NONE;
}
