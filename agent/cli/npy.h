/* SPDX-License-Identifier: Apache-2.0
 *
 * npy.h: NumPy's .npy files, versions 1.0 and 2.0, C order, little-endian (numpy.lib.format).
 * Errors: ERROR_INPUT where the file is damaged or its type or shape is not the tensor's; ERROR_STORAGE where it cannot be written. */
#ifndef EDDY_AGENT_NPY_H
#define EDDY_AGENT_NPY_H

#include "base/error.h"
#include "inference/tensor.h"

MUST_CHECK enum error_code npy_read(const char *path, struct tensor *tensor, struct error *error); /* fills tensor->data */
MUST_CHECK enum error_code npy_write(const char *path, const struct tensor *tensor, struct error *error);

#endif
