/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bundle.h"

#include <stdio.h>

static enum error_code finish(struct manifest *manifest, const struct model_options *options, struct bundle *bundle_out, struct error *error)
{
    struct bundle bundle = {.manifest = manifest};
    if (model_open(manifest->model_path, options, &bundle.model, error) != ERROR_NONE) {
        manifest_close(manifest);
        return error->code;
    }
    snprintf(bundle.label, sizeof bundle.label, "%.79s@%.79s", manifest->name, manifest->version);
    *bundle_out = bundle;
    return ERROR_NONE;
}

enum error_code bundle_open(const char *path, const struct model_options *options, struct bundle *bundle_out, struct error *error)
{
    struct manifest *manifest;
    TRY(manifest_open(path, &manifest, error));
    return finish(manifest, options, bundle_out, error);
}

enum error_code bundle_find(const char *models_dir, const char *reference, const struct model_options *options, struct bundle *bundle_out,
                            struct error *error)
{
    struct manifest *manifest;
    TRY(manifest_find(models_dir, reference, &manifest, error));
    return finish(manifest, options, bundle_out, error);
}

void bundle_close(struct bundle *bundle)
{
    model_close(bundle->model);
    manifest_close(bundle->manifest);
    *bundle = (struct bundle){0};
}
