/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h: SHA-256 of a file, as 64 lower-case hexadecimal digits. */
#ifndef EDDY_CONFIG_DIGEST_H
#define EDDY_CONFIG_DIGEST_H

#include "base/error.h"

enum { DIGEST_TEXT_BYTES = 65 };

/* Errors: ERROR_INPUT where the file cannot be read, ERROR_LIMIT where it is larger than 2 GiB. */
MUST_CHECK enum error_code digest_file(const char *path, char text_out[DIGEST_TEXT_BYTES], struct error *error);

#endif
