/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the three files that are made from the table of keys, after a change to it: run in the checkout's top folder. */
#include "config/config.h"

#include <stdio.h>

static int write_file(const char *path, void (*print)(FILE *file))
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    print(file);
    return fclose(file) != 0;
}

int main(void)
{
    return write_file("config/eddy.yaml", config_print_sample) + write_file("docs/configuration.md", config_print_reference)
           + write_file("docs/man/eddy.yaml.5", config_print_man);
}
