/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the model.yaml of a bundle on disk, and as its labels.txt: opened with all that it names, or refused with a message. */
#include "config/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void remove_folder(void)
{
    static const char *const names[] = {"model.yaml", "labels.txt", "part-check.onnx", "motor-anomaly.onnx"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/eddy-manifest-fuzz-XXXXXX");
    if (mkdtemp(folder) == NULL)
        abort();
    write_file("part-check.onnx", "abc", 3);
    write_file("motor-anomaly.onnx", "abc", 3);
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest *manifest = NULL;
    struct error error = {0};
    if (folder[0] == '\0')
        make_folder();
    write_file("model.yaml", data, size);
    write_file("labels.txt", data, size);
    enum error_code code = manifest_open(folder, &manifest, &error);
    if ((code == ERROR_NONE) != (manifest != NULL) || (code != ERROR_NONE && error.message[0] == '\0'))
        abort();
    if (manifest != NULL) {
        size_t length = strlen(manifest->name) + strlen(manifest->version) + strlen(manifest->model_path);
        for (int32_t i = 0; i < manifest->label_count; i++)
            length += strlen(manifest->labels[i]);
        if (length == 0 || !(manifest->input.std[0] > 0))
            abort();
    }
    manifest_close(manifest);
    return 0;
}
