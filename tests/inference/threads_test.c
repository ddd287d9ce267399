/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool: every part is done once, whoever does it; several callers share it; what is idle sleeps. */
#include "inference/threads.h"

#include "tests/check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { PARTS_MAX = 1000, CALLERS = 3, ROUNDS = 200 };

struct tally {
    atomic_int done[PARTS_MAX];
    atomic_int inside[THREADS_MAX]; /* by participant */
    atomic_int wrong;
    int count;
};

static void count_parts(void *context, int64_t first, int64_t last, int participant)
{
    struct tally *tally = context;
    if (participant < 0 || participant >= tally->count || atomic_fetch_add(&tally->inside[participant], 1) != 0)
        atomic_fetch_add(&tally->wrong, 1);
    for (int64_t i = first; i < last; i++)
        atomic_fetch_add(&tally->done[i], 1);
    if (participant >= 0 && participant < tally->count)
        atomic_fetch_sub(&tally->inside[participant], 1);
}

static void run_and_check(struct threads *threads, struct tally *tally, int parts)
{
    memset(tally, 0, sizeof *tally);
    tally->count = threads_count(threads);
    threads_run(threads, count_parts, tally, parts);
    CHECK_INTEGER(tally->wrong, 0);
    for (int i = 0; i < PARTS_MAX; i++)
        CHECK_INTEGER(tally->done[i], i < parts);
}

static void every_part_is_done_once_for_any_number_of_threads(void)
{
    static struct tally tally;
    struct error error;
    for (int count = 1; count <= 5; count++) {
        struct threads *threads;
        CHECK_OK(threads_new(count, 1, &threads, &error), error);
        CHECK_INTEGER(threads_count(threads), count);
        for (int parts = 0; parts < PARTS_MAX; parts = parts < 12 ? parts + 1 : parts * 2 + 1)
            run_and_check(threads, &tally, parts);
        threads_free(threads);
    }
    CHECK_INTEGER(threads_count(NULL), 1);
}

struct caller {
    pthread_t thread;
    struct threads *threads;
    struct tally tally;
    int wrong;
};

static void *call(void *argument)
{
    struct caller *caller = argument;
    for (int round = 0; round < ROUNDS; round++) {
        memset(&caller->tally, 0, sizeof caller->tally);
        caller->tally.count = threads_count(caller->threads);
        threads_run(caller->threads, count_parts, &caller->tally, 50);
        caller->wrong += caller->tally.wrong;
        for (int i = 0; i < 50; i++)
            caller->wrong += caller->tally.done[i] != 1;
    }
    return NULL;
}

static void several_callers_share_one_pool(void)
{
    static struct caller callers[CALLERS];
    struct error error;
    for (int works = 1; works <= CALLERS; works++) {
        struct threads *threads;
        CHECK_OK(threads_new(3, works, &threads, &error), error);
        for (int i = 0; i < CALLERS; i++) {
            callers[i].threads = threads;
            CHECK_INTEGER(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
        }
        for (int i = 0; i < CALLERS; i++) {
            pthread_join(callers[i].thread, NULL);
            CHECK_INTEGER(callers[i].wrong, 0);
        }
        threads_free(threads);
    }
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Processor time of the whole program while its only work is to wait: what helpers may spin, and a wide margin. */
static void an_idle_pool_uses_no_processor_time(void)
{
    static struct tally tally;
    struct error error;
    struct threads *threads;
    CHECK_OK(threads_new(4, 1, &threads, &error), error);
    run_and_check(threads, &tally, 100);
    int64_t before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
    CHECK(used < 100000000);
    threads_free(threads);
}

/* A helper that can only run where its caller does leaves all parts to it: each would only wait for the other. */
static void on_a_single_processor_the_caller_works_alone(void)
{
    static struct tally tally;
    struct error error;
    struct threads *threads;
    cpu_set_t before, one;
    CHECK_INTEGER(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_INTEGER(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_OK(threads_new(2, 1, &threads, &error), error);
    for (int i = 0; i < 20; i++) {
        run_and_check(threads, &tally, 50);
        CHECK(threads_hand_over_ns(threads) == INT64_MAX);
    }
    threads_free(threads);
    CHECK_INTEGER(sched_setaffinity(0, sizeof before, &before), 0);
}

static void handing_over_costs_time_where_there_is_a_helper(void)
{
    struct error error;
    struct threads *threads;
    CHECK(threads_hand_over_ns(NULL) == INT64_MAX);
    CHECK_OK(threads_new(2, 1, &threads, &error), error);
    CHECK(threads_hand_over_ns(threads) > 0); /* INT64_MAX where the machine had no processor for the helper */
    threads_free(threads);
}

static void a_count_out_of_range_is_refused(void)
{
    struct error error;
    struct threads *threads;
    CHECK_INTEGER(threads_new(0, 1, &threads, &error), ERROR_LIMIT);
    CHECK_INTEGER(threads_new(THREADS_MAX + 1, 1, &threads, &error), ERROR_LIMIT);
    CHECK_INTEGER(threads_new(2, 0, &threads, &error), ERROR_LIMIT);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(every_part_is_done_once_for_any_number_of_threads), CASE(several_callers_share_one_pool),
                                            CASE(an_idle_pool_uses_no_processor_time), CASE(on_a_single_processor_the_caller_works_alone),
                                            CASE(handing_over_costs_time_where_there_is_a_helper), CASE(a_count_out_of_range_is_refused), {0}});
}
