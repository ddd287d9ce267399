/* SPDX-License-Identifier: Apache-2.0
 *
 * scalar.h: the values that stand as text in a configuration: sizes, times, percentages, numbers.
 *
 * Each reader takes the whole text or nothing: false where it is not of the form or does not fit the type. Ranges are the schema's.
 * The writers give the shortest text that the readers take back. */
#ifndef EDDY_CONFIG_SCALAR_H
#define EDDY_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCALAR_TEXT_BYTES = 32 };

bool scalar_read_integer(const char *text, int64_t *value_out);  /* decimal digits, a sign before them */
bool scalar_read_size(const char *text, int64_t *bytes_out);     /* "4096", "128KiB", "64MiB", "1GiB" */
bool scalar_read_duration(const char *text, int64_t *us_out);    /* "250us", "200ms", "30s", "10m", "24h", "7d"; "0" alone too */
bool scalar_read_number(const char *text, double *value_out);    /* decimal, finite, with a point whatever the locale says */
bool scalar_read_percent(const char *text, double *share_out);   /* "1%" is 0.01 */

void scalar_write_size(int64_t bytes, char text[SCALAR_TEXT_BYTES]);
void scalar_write_duration(int64_t us, char text[SCALAR_TEXT_BYTES]);

/* Text from a file for a message: at most 40 bytes of whole characters, control characters as '?', "..." where it was longer. */
enum { SCALAR_QUOTE_BYTES = 48 };
void scalar_quote(const char *text, char quoted[SCALAR_QUOTE_BYTES]);

#endif
