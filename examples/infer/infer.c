/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a model once on zeros and prints what goes in and what comes out.
 * cc infer.c $(pkg-config --cflags --libs libeddy-infer) -o infer */
#include <eddy/infer.h>

#include <stdio.h>

static void print(const char *what, struct eddy_tensor tensor)
{
    printf("%s %s [", what, tensor.name);
    for (int i = 0; i < tensor.rank; i++)
        printf("%s%d", i > 0 ? "," : "", tensor.shape[i]);
    printf("] %zu bytes\n", tensor.bytes);
}

int main(int count, char **arguments)
{
    struct eddy_model *model;
    struct eddy_run *run = NULL;
    struct eddy_error error = {EDDY_INPUT, "usage: infer MODEL"};
    if (count != 2 || eddy_open(arguments[1], NULL, &model, &error) != EDDY_OK)
        return fprintf(stderr, "%s\n", error.message), 1;
    if (eddy_run_new(model, &run, &error) == EDDY_OK) {
        eddy_run(run, NULL, NULL); /* inputs are zeros until they are filled */
        for (int i = 0; i < eddy_input_count(model); i++)
            print("in ", eddy_input(model, i));
        for (int i = 0; i < eddy_output_count(model); i++)
            print("out", eddy_output(model, i));
    }
    eddy_run_free(run);
    eddy_close(model);
    return run == NULL;
}
