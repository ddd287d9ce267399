/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as eddy.yaml and as model.yaml: read or refused with a message, nothing else. */
#include "config/config.h"
#include "config/manifest_file.h"
#include "config/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(const uint8_t *data, size_t size)
{
    static char report[CONFIG_REPORT_BYTES];
    struct error error = {0};
    struct config *config = NULL;
    enum error_code code = config_parse("fuzz.yaml", data, size, &config, report, &error);
    if ((code == ERROR_NONE) != (config != NULL) || (code != ERROR_NONE && (error.message[0] == '\0' || report[0] == '\0')))
        abort();
    config_close(config);
}

static void read_manifest(const uint8_t *data, size_t size)
{
    static struct manifest_file file;
    struct error error = {0};
    struct arena tree, values;
    struct yaml_node *root = NULL;
    arena_init(&tree, YAML_ARENA_BYTES);
    arena_init(&values, YAML_ARENA_BYTES);
    file = (struct manifest_file){0};
    struct schema_problems problems = {.error = &error, .arena = &values};
    if (yaml_tree_parse("fuzz.yaml", data, size, &tree, &root, &error) == ERROR_NONE && root->kind == YAML_MAP)
        schema_read(&manifest_schema, root, "", &file, &problems);
    arena_deinit(&values);
    arena_deinit(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_config(data, size);
    read_manifest(data, size);
    return 0;
}
