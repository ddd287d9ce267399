/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_filler FILE SETTINGS COUNT: keeps COUNT results of a pipeline "line"; cache_filler FILE SETTINGS find COUNT: exit 0 if they are found. */
#include "tests/cache/support.h"

int main(int count, char **arguments)
{
    if (count < 4)
        return 2;
    bool find = strcmp(arguments[3], "find") == 0;
    int results = atoi(arguments[count - 1]);
    struct cache *cache = open_cache(arguments[1], 1 << 20);
    struct cache_space *space = add_space(cache, "line", arguments[2], 0);
    char input[32], result[64];
    bool all = true;
    for (int i = 0; i < results; i++) {
        snprintf(input, sizeof input, "frame %d", i);
        snprintf(result, sizeof result, "{\"label\":\"good\",\"score\":%d,\"top\":[{\"a\":[]}]}", i);
        if (!find)
            put(space, input, result);
        all &= has(space, input, result);
    }
    cache_close(cache);
    return all ? 0 : 1;
}
