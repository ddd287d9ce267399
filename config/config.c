/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/file.h"
#include "config/check.h"
#include "config/schema.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_ARENA_BYTES = 16 * 1024 * 1024, CONFIG_FILES_MAX = 64 };

struct owned_config {
    struct config config; /* first: config_close finds the owner from it */
    struct arena arena;
};

struct loader {
    struct arena tree;
    struct yaml_node *root; /* merged */
    struct schema_problems problems;
};

static void merge_entries(struct yaml_node *into, struct yaml_node *from)
{
    for (struct yaml_node *entry = from->first, *next; entry != NULL; entry = next) {
        next = entry->next;
        const struct yaml_node *name = yaml_map_find(entry, "name");
        struct yaml_node *same = into->first;
        for (; same != NULL && name != NULL && name->kind == YAML_SCALAR; same = same->next) {
            const struct yaml_node *other = yaml_map_find(same, "name");
            if (other != NULL && other->kind == YAML_SCALAR && strcmp(other->text, name->text) == 0)
                break;
        }
        if (same != NULL && name != NULL && name->kind == YAML_SCALAR)
            yaml_replace(into, same, entry);
        else
            yaml_append(into, entry);
    }
}

/* Recursion is as deep as the tree: YAML_DEPTH_MAX. */
static void merge_maps(struct yaml_node *into, struct yaml_node *from, bool top)
{
    for (struct yaml_node *node = from->first, *next; node != NULL; node = next) {
        next = node->next;
        struct yaml_node *earlier = yaml_map_find(into, node->key);
        if (earlier == NULL)
            yaml_append(into, node);
        else if (earlier->kind == YAML_MAP && node->kind == YAML_MAP)
            merge_maps(earlier, node, false);
        else if (earlier->kind != YAML_SCALAR && yaml_is_null(node))
            continue; /* everything under the key is commented out */
        else if (top && strcmp(node->key, "pipelines") == 0 && earlier->kind == YAML_LIST && node->kind == YAML_LIST)
            merge_entries(earlier, node);
        else
            yaml_replace(into, earlier, node);
    }
}

static void add_document(struct loader *loader, const char *name, const void *bytes, size_t length)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    const char *file = arena_copy_string(&loader->tree, name, strlen(name));
    if (file == NULL) {
        schema_problem_line(&loader->problems, "the configuration needs more memory than it may");
        return;
    }
    if (yaml_tree_parse(file, bytes, length, &loader->tree, &root, &error) != ERROR_NONE)
        schema_problem_line(&loader->problems, error.message);
    else if (root->kind != YAML_MAP)
        schema_problem(&loader->problems, root, "the file is a %s, expected a map of keys such as \"agent:\"",
                       root->kind == YAML_LIST ? "list" : "text");
    else if (loader->root == NULL)
        loader->root = root;
    else
        merge_maps(loader->root, root, true);
}

static void add_file(struct loader *loader, const char *path)
{
    struct error error = {0};
    struct file_map map;
    if (file_map_open(path, YAML_BYTES_MAX, &map, &error) != ERROR_NONE) {
        schema_problem_line(&loader->problems, error.message);
        return;
    }
    add_document(loader, path, map.data, map.bytes);
    file_map_close(&map);
}

static int is_yaml_name(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name); /* bytes, so that no locale changes the order */
}

static void add_folder(struct loader *loader, const char *main_path)
{
    char folder[PATH_MAX], line[ERROR_MESSAGE_BYTES];
    const char *slash = strrchr(main_path, '/');
    int length = snprintf(folder, sizeof folder, "%.*sconf.d", slash != NULL ? (int)(slash + 1 - main_path) : 0, main_path);
    struct dirent **entries = NULL;
    int count = length < (int)sizeof folder ? scandir(folder, &entries, is_yaml_name, by_name) : 0;
    if (count < 0 && errno != ENOENT && errno != ENOTDIR) {
        snprintf(line, sizeof line, "%.200s: cannot read the folder: %s", folder, strerror(errno));
        schema_problem_line(&loader->problems, line);
    }
    if (count > CONFIG_FILES_MAX) {
        snprintf(line, sizeof line, "%.200s: %d files, expected at most %d", folder, count, CONFIG_FILES_MAX);
        schema_problem_line(&loader->problems, line);
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX + NAME_MAX + 2];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (count <= CONFIG_FILES_MAX)
            add_file(loader, path);
        free(entries[i]);
    }
    free(entries);
}

static enum error_code give(struct loader *loader, struct config **config_out, struct error *error)
{
    struct owned_config *owned = calloc(1, sizeof *owned);
    if (owned == NULL)
        return error_set(error, ERROR_LIMIT, "out of memory while reading the configuration");
    arena_init(&owned->arena, CONFIG_ARENA_BYTES);
    loader->problems.arena = &owned->arena;
    if (loader->root != NULL) {
        schema_read(&config_schema, loader->root, "", &owned->config, &loader->problems);
        config_complete(&owned->config, loader->root, &loader->problems);
    }
    if (loader->problems.count > 0) {
        config_close(&owned->config);
        return ERROR_CONFIG;
    }
    *config_out = &owned->config;
    return ERROR_NONE;
}

static void loader_init(struct loader *loader, char *report, struct error *error)
{
    *loader = (struct loader){.problems = {.report = report,
                                           .report_bytes = report != NULL ? CONFIG_REPORT_BYTES : 0,
                                           .kept_max = CONFIG_ERRORS_MAX,
                                           .error = error}};
    if (report != NULL)
        report[0] = '\0';
    arena_init(&loader->tree, YAML_ARENA_BYTES);
}

enum error_code config_open(const char *path, struct config **config_out, char report[CONFIG_REPORT_BYTES], struct error *error)
{
    struct loader loader;
    loader_init(&loader, report, error);
    add_file(&loader, path);
    add_folder(&loader, path);
    enum error_code code = give(&loader, config_out, error);
    arena_deinit(&loader.tree);
    return code;
}

enum error_code config_parse(const char *name, const void *bytes, size_t length, struct config **config_out,
                             char report[CONFIG_REPORT_BYTES], struct error *error)
{
    struct loader loader;
    loader_init(&loader, report, error);
    add_document(&loader, name, bytes, length);
    enum error_code code = give(&loader, config_out, error);
    arena_deinit(&loader.tree);
    return code;
}

void config_close(struct config *config)
{
    struct owned_config *owned = (struct owned_config *)(void *)config;
    if (owned == NULL)
        return;
    arena_deinit(&owned->arena);
    free(owned);
}
