/* SPDX-License-Identifier: Apache-2.0
 *
 * paced MODEL...: what an inference costs on one and on two threads, one after the other and at the pace of a camera (20 a second), where
 * helpers sleep in between. Two runs of a model take turns, a few thousandths of a second or twenty inferences each, so that what else the machine
 * does happens to both. Prints a Markdown row a model: lowest and median time back to back, then median time and CPU time of the process for
 * each inference at that pace. */
#include "inference/engine.h"
#include "inference/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAYS = 2, ROUNDS = 400, ROUND_US = 4000, PACED_ROUNDS = 6, PACED = 20, PACE_US = 50000, WARM_UP = 40, TIMES_MAX = 1 << 20 };

struct way {
    struct threads *threads;
    struct run *run;
    double *times;         /* us, back to back */
    int count;
    double paced[PACED_ROUNDS * PACED];
    int paced_count;
    double cpu_us[PACED_ROUNDS];
};

static double clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void check(enum error_code code, const struct error *error)
{
    if (code == ERROR_NONE)
        return;
    fprintf(stderr, "paced: %s\n", error->message);
    exit(1);
}

static double execute(struct way *way)
{
    double start = clock_us(CLOCK_MONOTONIC);
    run_execute(way->run);
    return clock_us(CLOCK_MONOTONIC) - start;
}

static void back_to_back(struct way *way)
{
    for (double spent = 0; spent < ROUND_US && way->count < TIMES_MAX; spent += way->times[way->count - 1])
        way->times[way->count++] = execute(way);
}

static void at_pace(struct way *way, int round)
{
    double cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < PACED; i++) {
        nanosleep(&(struct timespec){.tv_nsec = PACE_US * 1000}, NULL);
        way->paced[way->paced_count++] = execute(way);
    }
    way->cpu_us[round] = (clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / PACED;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *path)
{
    struct error error;
    struct model *model;
    struct way ways[WAYS] = {0};
    const char *name = strrchr(path, '/');
    check(model_open(path, NULL, &model, &error), &error);
    for (int w = 0; w < WAYS; w++) {
        check(threads_new(w + 1, 1, &ways[w].threads, &error), &error);
        check(run_new(model, &ways[w].run, &error), &error);
        check(run_set_threads(ways[w].run, ways[w].threads, &error), &error);
        ways[w].times = malloc(TIMES_MAX * sizeof *ways[w].times);
        if (ways[w].times == NULL)
            exit(1);
        for (int i = 0; i < WARM_UP; i++)
            execute(&ways[w]);
    }
    for (int round = 0; round < ROUNDS * WAYS; round++)
        back_to_back(&ways[round % WAYS]);
    for (int round = 0; round < PACED_ROUNDS * WAYS; round++)
        at_pace(&ways[round % WAYS], round / WAYS);
    printf("| %s |", name != NULL ? name + 1 : path);
    double low[WAYS], median[WAYS], paced[WAYS], cpu[WAYS];
    for (int w = 0; w < WAYS; w++) {
        qsort(ways[w].times, (size_t)ways[w].count, sizeof(double), ascending);
        qsort(ways[w].paced, (size_t)ways[w].paced_count, sizeof(double), ascending);
        qsort(ways[w].cpu_us, PACED_ROUNDS, sizeof(double), ascending);
        low[w] = ways[w].times[0];
        median[w] = ways[w].times[ways[w].count / 2];
        paced[w] = ways[w].paced[ways[w].paced_count / 2];
        cpu[w] = ways[w].cpu_us[0];
        run_free(ways[w].run);
        threads_free(ways[w].threads);
        free(ways[w].times);
    }
    printf(" %.1f | %.1f | %.3f | %.1f | %.1f | %.3f | %.0f | %.0f | %.0f | %.0f | %.2f |\n", low[0], low[1], low[1] / low[0], median[0], median[1],
           median[1] / median[0], paced[0], paced[1], cpu[0], cpu[1], cpu[1] / cpu[0]);
    model_close(model);
}

int main(int count, char **arguments)
{
    if (count < 2) {
        fprintf(stderr, "usage: paced MODEL...\n");
        return 2;
    }
    printf("| net | lowest us, 1 thread | 2 threads | ratio | median us, 1 thread | 2 threads | ratio | 20/s: us, 1 thread | 2 threads |"
           " CPU us, 1 thread | 2 threads | ratio |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 1; i < count; i++) {
        measure(arguments[i]);
        fflush(stdout);
    }
    return 0;
}
