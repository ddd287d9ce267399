/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle.h: a model with its manifest, ready to be used by any number of predictors.
 *
 * Immutable once opened: threads may share it. Errors: those of manifest_open and model_open, with the bundle's path before them. */
#ifndef EDDY_AGENT_BUNDLE_H
#define EDDY_AGENT_BUNDLE_H

#include "base/error.h"
#include "config/manifest.h"
#include "inference/engine.h"

enum { BUNDLE_LABEL_BYTES = 160 };

struct bundle {
    struct manifest *manifest;
    struct model *model;
    char label[BUNDLE_LABEL_BYTES]; /* "name@version", as it stands in results */
};

/* path: a bundle folder or a bare model file. options may be NULL. */
MUST_CHECK enum error_code bundle_open(const char *path, const struct model_options *options, struct bundle *bundle_out, struct error *error);
/* reference: name or name@version in models_dir. */
MUST_CHECK enum error_code bundle_find(const char *models_dir, const char *reference, const struct model_options *options,
                                       struct bundle *bundle_out, struct error *error);
void bundle_close(struct bundle *bundle); /* a zeroed one is fine */

#endif
