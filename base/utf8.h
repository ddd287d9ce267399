/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8.h: whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
#ifndef EDDY_BASE_UTF8_H
#define EDDY_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

size_t utf8_sequence_length(const char *text, size_t length); /* 1..4 of the sequence at text; 0: not valid */
bool utf8_is_valid(const char *text, size_t length);

#endif
