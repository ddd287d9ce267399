/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest_file.h: a model.yaml while it is read: the manifest and what is only needed to complete it. */
#ifndef EDDY_CONFIG_MANIFEST_FILE_H
#define EDDY_CONFIG_MANIFEST_FILE_H

#include "base/arena.h"
#include "config/manifest.h"

enum { LABELS_MAX = 16384, SERIES_FIELDS_MAX = 4096 };

struct manifest_file {
    struct manifest manifest; /* first: manifest_close finds the owner from it */
    struct arena arena;
    const char *file, *labels_file, *sha256; /* as model.yaml names them */
    int32_t mean_count, std_count;
};

#endif
