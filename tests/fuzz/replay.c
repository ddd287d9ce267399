/* SPDX-License-Identifier: Apache-2.0
 *
 * The main of a fuzz target where there is no fuzzer: runs it once over each file of the folders that are named. What was found once is
 * kept in corpus/ and so tried by every test run, with any compiler. Says which file it is at, so that a crash names its input. */
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES_MAX = 64 << 20 };

static int replay_file(const char *path)
{
    struct error error;
    struct file_map map;
    if (file_map_open(path, FILE_BYTES_MAX, &map, &error) != ERROR_NONE) {
        printf("%s\n", error.message);
        return -1;
    }
    printf("%s\n", path);
    fflush(stdout);
    uint8_t *copy = malloc(map.bytes); /* of exactly that size: a sanitizer sees what a mapping's last page would hide */
    if (copy == NULL && map.bytes > 0)
        return -1;
    if (map.bytes > 0)
        memcpy(copy, map.data, map.bytes);
    LLVMFuzzerTestOneInput(copy, map.bytes);
    free(copy);
    file_map_close(&map);
    return 1;
}

static int replay_folder(const char *folder)
{
    char path[4096];
    int files = 0;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return 0;
    for (const struct dirent *entry; files >= 0 && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= sizeof path)
            continue;
        int one = replay_file(path);
        files = one < 0 ? one : files + one;
    }
    closedir(directory);
    return files;
}

int main(int count, char **arguments)
{
    int files = 0;
    for (int i = 1; i < count && files >= 0; i++) {
        int some = replay_folder(arguments[i]);
        files = some < 0 ? some : files + some;
    }
    printf("%d files\n", files);
    return files > 0 ? 0 : 1;
}
