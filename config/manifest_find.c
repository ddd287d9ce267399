/* SPDX-License-Identifier: Apache-2.0 */
#include "config/manifest.h"

#include "config/rules.h"
#include "config/version.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VERSION_BYTES = 80 };

static bool holds_manifest(const char *folder, const char *version)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s/model.yaml", folder, version);
    return length < (int)sizeof path && access(path, F_OK) == 0;
}

/* Names that begin with a dot are passed over: a bundle that is still being unpacked is one. */
static enum error_code find_highest(const char *folder, char version[VERSION_BYTES], struct error *error)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return error_set(error, ERROR_CONFIG, "%s: %s, expected a folder with a folder for each version of the model", folder,
                         strerror(errno));
    version[0] = '\0';
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *name = entry->d_name;
        if (name[0] == '.' || rule_model_name(name) != NULL || !holds_manifest(folder, name))
            continue;
        if (version[0] == '\0' || version_compare(name, version) > 0)
            snprintf(version, VERSION_BYTES, "%.*s", VERSION_BYTES - 1, name);
    }
    closedir(directory);
    if (version[0] == '\0')
        return error_set(error, ERROR_CONFIG, "%s: no version of the model, expected a folder such as %s/1.0.0 with a model.yaml", folder,
                         folder);
    return ERROR_NONE;
}

static enum error_code check_place(const struct manifest *manifest, const char *path, const char *name, const char *version,
                                   struct error *error)
{
    if (strcmp(manifest->name, name) == 0 && strcmp(manifest->version, version) == 0)
        return ERROR_NONE;
    return error_set(error, ERROR_CONFIG, "%s/model.yaml: it is of %s version %s, expected %s version %s as its folder says", path,
                     manifest->name, manifest->version, name, version);
}

enum error_code manifest_find(const char *models_dir, const char *reference, struct manifest **manifest_out, struct error *error)
{
    char folder[PATH_MAX], path[PATH_MAX], version[VERSION_BYTES];
    const char *problem = rule_model_reference(reference), *at = strchr(reference, '@');
    if (problem != NULL)
        return error_set(error, ERROR_CONFIG, "model \"%.80s\": %s", reference, problem);
    int name_length = at != NULL ? (int)(at - reference) : (int)strlen(reference);
    if (snprintf(folder, sizeof folder, "%s/%.*s", models_dir, name_length, reference) >= (int)sizeof folder)
        return error_set(error, ERROR_CONFIG, "%.200s...: path too long", models_dir);
    if (at != NULL)
        snprintf(version, sizeof version, "%s", at + 1);
    else
        TRY(find_highest(folder, version, error));
    if (snprintf(path, sizeof path, "%s/%s", folder, version) >= (int)sizeof path)
        return error_set(error, ERROR_CONFIG, "%.200s...: path too long", models_dir);
    struct manifest *manifest;
    TRY(manifest_open(path, &manifest, error));
    enum error_code code = check_place(manifest, path, strrchr(folder, '/') + 1, version, error);
    if (code == ERROR_NONE)
        *manifest_out = manifest;
    else
        manifest_close(manifest);
    return code;
}
