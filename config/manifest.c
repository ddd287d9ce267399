/* SPDX-License-Identifier: Apache-2.0 */
#include "config/manifest.h"

#include "base/file.h"
#include "base/utf8.h"
#include "config/digest.h"
#include "config/manifest_file.h"
#include "config/rules.h"
#include "config/schema.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MANIFEST_ARENA_BYTES = 16 * 1024 * 1024, LABELS_BYTES_MAX = 1024 * 1024 };

static void complain(struct schema_problems *problems, const struct yaml_node *root, const char *path, const char *what)
{
    schema_problem(problems, schema_find_near(root, path), "%s %s", path, what);
}

static void complete_output(struct manifest *manifest, const struct yaml_node *root, struct schema_problems *problems)
{
    static const enum decode usual[] = {[TASK_CLASSIFICATION] = DECODE_CLASSES,
                                        [TASK_ANOMALY] = DECODE_RECONSTRUCTION,
                                        [TASK_RAW] = DECODE_RAW,
                                        [TASK_DETECTION] = DECODE_BOXES};
    bool given = schema_find(root, "output.decode") != NULL;
    enum decode decode = given ? manifest->output.decode : usual[manifest->task];
    bool for_boxes = decode == DECODE_BOXES || decode == DECODE_SSD || decode == DECODE_YOLOX || decode == DECODE_NANODET;
    if (manifest->task == TASK_DETECTION && !given)
        complain(problems, root, "output.decode", "is missing, expected one of boxes, ssd, yolox, nanodet for task detection");
    else if (manifest->task == TASK_DETECTION && !for_boxes)
        complain(problems, root, "output.decode", "does not fit task detection, expected one of boxes, ssd, yolox, nanodet");
    else if (manifest->task == TASK_CLASSIFICATION && decode != DECODE_CLASSES)
        complain(problems, root, "output.decode", "does not fit task classification, expected classes");
    else if (manifest->task == TASK_ANOMALY && decode != DECODE_RECONSTRUCTION)
        complain(problems, root, "output.decode", "does not fit task anomaly, expected reconstruction");
    else if (manifest->task == TASK_RAW && decode != DECODE_RAW)
        complain(problems, root, "output.decode", "does not fit task raw, expected raw");
    manifest->output.decode = decode;
    if (schema_find(root, "output.threshold") == NULL)
        manifest->output.threshold = manifest->task == TASK_CLASSIFICATION ? 0.0f : 0.5f;
}

static bool fill_normalize(struct manifest_file *file, float **numbers, int32_t count, float standard)
{
    if (count > 0)
        return true;
    *numbers = arena_allocate_array(&file->arena, (size_t)file->manifest.input.fields, sizeof **numbers);
    for (int32_t i = 0; *numbers != NULL && i < file->manifest.input.fields; i++)
        (*numbers)[i] = standard;
    return *numbers != NULL;
}

static void complete_normalize(struct manifest_file *file, const struct yaml_node *root, struct schema_problems *problems)
{
    struct manifest *manifest = &file->manifest;
    if (file->mean_count == 0 && file->std_count == 0)
        return;
    if (manifest->input.fields == 0)
        manifest->input.fields = file->mean_count > 0 ? file->mean_count : file->std_count;
    for (int32_t i = 0; i < file->std_count; i++) {
        if (!(manifest->input.normalize_std[i] > 0)) {
            complain(problems, root, "input.normalize.std", "holds a number that is not over 0, expected numbers over 0");
            return;
        }
    }
    if (file->mean_count > 0 && file->mean_count != manifest->input.fields)
        complain(problems, root, "input.normalize.mean", "has another length than fields, expected one number a field");
    else if (file->std_count > 0 && file->std_count != manifest->input.fields)
        complain(problems, root, "input.normalize.std", "has another length than fields, expected one number a field");
    else if (!fill_normalize(file, &manifest->input.normalize_mean, file->mean_count, 0.0f)
             || !fill_normalize(file, &manifest->input.normalize_std, file->std_count, 1.0f))
        complain(problems, root, "input.normalize", "needs more memory than a manifest may");
}

static enum error_code read_yaml(struct manifest_file *file, const char *name, const void *bytes, size_t length, struct error *error)
{
    struct arena tree;
    struct yaml_node *root = NULL;
    struct schema_problems problems = {.error = error, .arena = &file->arena};
    arena_init(&tree, YAML_ARENA_BYTES);
    enum error_code code = yaml_tree_parse(name, bytes, length, &tree, &root, error);
    if (code == ERROR_NONE && root->kind != YAML_MAP) {
        schema_problem(&problems, root, "the file is no map, expected keys such as \"name:\" and \"file:\"");
    } else if (code == ERROR_NONE) {
        schema_read(&manifest_schema, root, "", file, &problems);
        if (problems.count == 0) {
            complete_output(&file->manifest, root, &problems);
            complete_normalize(file, root, &problems);
        }
    }
    if (problems.count > 0)
        code = ERROR_CONFIG;
    arena_deinit(&tree);
    return code;
}

/* One label a line; empty lines count, so that the numbers of the others hold, but not at the end. */
static enum error_code split_labels(struct manifest_file *file, const char *path, char *text, struct error *error)
{
    size_t length = strlen(text), lines = 0;
    while (length > 0 && strchr("\r\n \t", text[length - 1]) != NULL)
        text[--length] = '\0';
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += lines++ > 0;
        if (lines > LABELS_MAX)
            return error_set(error, ERROR_CONFIG, "%s: more than %d labels, expected fewer", path, LABELS_MAX);
    }
    const char **labels = arena_allocate_array(&file->arena, lines, sizeof *labels);
    if (labels == NULL)
        return error_set(error, ERROR_LIMIT, "%s: the labels need more memory than a manifest may", path);
    int32_t count = 0;
    for (char *rest = text, *line; length > 0 && (line = strsep(&rest, "\n")) != NULL;) {
        line[strcspn(line, "\r")] = '\0';
        labels[count++] = line;
    }
    file->manifest.labels = labels;
    file->manifest.label_count = count;
    return ERROR_NONE;
}

static enum error_code read_labels(struct manifest_file *file, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    struct file_map map;
    if (file->labels_file == NULL)
        return ERROR_NONE;
    const char *problem = rule_file_in_bundle(file->labels_file);
    if (problem != NULL)
        return error_set(error, ERROR_CONFIG, "%s/model.yaml: labels is \"%s\", %s", folder, file->labels_file, problem);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, file->labels_file) >= sizeof path)
        return error_set(error, ERROR_CONFIG, "%s: path too long", folder);
    TRY(file_map_open(path, LABELS_BYTES_MAX, &map, error));
    const char *bytes = (const char *)map.data;
    size_t length = map.bytes;
    bool is_text = length == 0 || (utf8_is_valid(bytes, length) && memchr(bytes, '\0', length) == NULL);
    char *text = is_text ? arena_copy_string(&file->arena, length > 0 ? bytes : "", length) : NULL;
    file_map_close(&map);
    if (!is_text)
        return error_set(error, ERROR_CONFIG, "%s: not UTF-8 text, expected one label a line", path);
    if (text == NULL)
        return error_set(error, ERROR_LIMIT, "%s: the labels need more memory than a manifest may", path);
    return split_labels(file, path, text, error);
}

static enum error_code find_model_file(struct manifest_file *file, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    struct manifest *manifest = &file->manifest;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, file->file) >= sizeof path)
        return error_set(error, ERROR_CONFIG, "%s: path too long", folder);
    manifest->model_path = arena_copy_string(&file->arena, path, strlen(path));
    if (manifest->model_path == NULL)
        return error_set(error, ERROR_LIMIT, "out of memory while reading %s/model.yaml", folder);
    TRY(digest_file(path, manifest->sha256, error));
    if (file->sha256 != NULL && strcasecmp(file->sha256, manifest->sha256) != 0)
        return error_set(error, ERROR_MODEL, "%s: its sha256 is %s, model.yaml says %s: the file is damaged or another one; copy it again",
                         path, manifest->sha256, file->sha256);
    return ERROR_NONE;
}

/* NULL: out of memory, and *error says so. */
static struct manifest_file *file_new(struct error *error)
{
    struct manifest_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        error_set(error, ERROR_LIMIT, "out of memory while reading a manifest");
    else
        arena_init(&file->arena, MANIFEST_ARENA_BYTES);
    return file;
}

static enum error_code give(struct manifest_file *file, enum error_code code, struct manifest **manifest_out)
{
    if (code == ERROR_NONE)
        *manifest_out = &file->manifest;
    else
        manifest_close(&file->manifest);
    return code;
}

static enum error_code complete(struct manifest_file *file, const char *folder, struct error *error)
{
    TRY(read_labels(file, folder, error));
    return find_model_file(file, folder, error);
}

static enum error_code read_manifest(struct manifest_file *file, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    struct file_map map;
    if ((size_t)snprintf(path, sizeof path, "%s/model.yaml", folder) >= sizeof path)
        return error_set(error, ERROR_CONFIG, "%s: path too long", folder);
    TRY(file_map_open(path, YAML_BYTES_MAX, &map, error));
    enum error_code code = read_yaml(file, path, map.data, map.bytes, error);
    file_map_close(&map);
    return code;
}

static enum error_code open_folder(const char *folder, struct manifest **manifest_out, struct error *error)
{
    struct manifest_file *file = file_new(error);
    if (file == NULL)
        return ERROR_LIMIT;
    enum error_code code = read_manifest(file, folder, error);
    if (code == ERROR_NONE)
        code = complete(file, folder, error);
    return give(file, code, manifest_out);
}

static enum error_code make_bare(struct manifest_file *file, const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path, *dot = strrchr(name, '.');
    struct manifest *manifest = &file->manifest;
    size_t stem = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    manifest->name = arena_copy_string(&file->arena, name, stem);
    manifest->model_path = arena_copy_string(&file->arena, path, strlen(path));
    if (manifest->name == NULL || manifest->model_path == NULL)
        return error_set(error, ERROR_LIMIT, "out of memory while opening %s", path);
    manifest->version = "0";
    manifest->task = TASK_RAW;
    manifest->output.decode = DECODE_RAW;
    manifest->input.pad = 114;
    for (int i = 0; i < 3; i++)
        manifest->input.std[i] = 1.0f;
    manifest->output.threshold = 0.5f;
    manifest->output.iou = 0.45f;
    manifest->output.top = 5;
    return digest_file(path, manifest->sha256, error);
}

/* A model file: with the model.yaml beside it where that names it, else as it is. */
static enum error_code open_file(const char *path, struct manifest **manifest_out, struct error *error)
{
    char folder[PATH_MAX], beside[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    int length = slash == path ? 1 : (int)(slash - path);
    int written = snprintf(folder, sizeof folder, "%.*s", slash != NULL ? length : 1, slash != NULL ? path : ".");
    if (written >= (int)sizeof folder || snprintf(beside, sizeof beside, "%s/model.yaml", folder) >= (int)sizeof beside)
        return error_set(error, ERROR_CONFIG, "%.200s...: path too long", path);
    struct manifest_file *file = file_new(error);
    if (file == NULL)
        return ERROR_LIMIT;
    enum error_code code = ERROR_NONE;
    bool has_manifest = stat(beside, &status) == 0;
    if (has_manifest)
        code = read_manifest(file, folder, error);
    if (code == ERROR_NONE && has_manifest && strcmp(file->file, name) == 0) {
        code = complete(file, folder, error);
    } else if (code == ERROR_NONE) {
        file->manifest = (struct manifest){0}; /* the model.yaml is another model's */
        code = make_bare(file, path, error);
    }
    return give(file, code, manifest_out);
}

enum error_code manifest_open(const char *path, struct manifest **manifest_out, struct error *error)
{
    struct stat status;
    size_t length = strlen(path);
    if (stat(path, &status) != 0)
        return error_set(error, ERROR_CONFIG, "%s: %s, expected a bundle's folder or a model file", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return open_folder(path, manifest_out, error);
    if (length >= 5 && strcmp(path + length - 5, ".eddy") == 0)
        return error_set(error, ERROR_UNSUPPORTED, "%s: packed bundles are not available in this version: unpack it with lz4 and tar",
                         path);
    if (length >= 5 && strcmp(path + length - 5, ".yaml") == 0)
        return error_set(error, ERROR_CONFIG, "%s: a manifest, expected the folder it lies in", path);
    return open_file(path, manifest_out, error);
}

void manifest_close(struct manifest *manifest)
{
    struct manifest_file *file = (struct manifest_file *)(void *)manifest;
    if (file == NULL)
        return;
    arena_deinit(&file->arena);
    free(file);
}
