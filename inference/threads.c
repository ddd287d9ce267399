/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CACHE_LINE = 64, PAUSES_PER_LOOK_AT_CLOCK = 32 };

/* A participant's parts that nobody took yet; others take from the same end. */
struct range {
    _Alignas(CACHE_LINE) _Atomic int64_t next;
    int64_t end;
};

/* One threads_run; lies on the caller's stack, helpers hold it by `helpers`. */
struct work {
    threads_function *function;
    void *context;
    struct work *next_open;
    int processor;               /* the caller's */
    atomic_int helpers;          /* inside now; the caller leaves when it is 0 and the work is off the list */
    uint64_t joined;             /* participants that are taken, by bit; guarded by the pool's lock */
    int range_count;
    struct range ranges[THREADS_MAX];
};

struct helper {
    struct threads *threads;
    pthread_t thread;
    int participant;             /* which it would like to be */
};

struct threads {
    _Alignas(CACHE_LINE) pthread_mutex_t lock; /* guards all below but what is atomic; in one line with what else each work needs */
    struct work *open;           /* works that others may join */
    atomic_int posted;           /* counts works, and the wish to stop: what helpers look at while they spin */
    int sleeping;
    pthread_cond_t work_came, helper_left;
    bool stopping;
    int count, started;
    atomic_int waiting;          /* callers that sleep until their helpers have left */
    cpu_set_t processors;        /* where helpers may run */
    struct helper helpers[];     /* [works * (count - 1)] */
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks at `value` until it is (or, with `wanted` false, is no longer) `other`, for a short while; false: that did not come. */
static bool spin(atomic_int *value, int other, bool wanted)
{
    int64_t end = 0;
    for (int i = 0;; i++) {
        if ((atomic_load_explicit(value, memory_order_acquire) == other) == wanted)
            return true;
        pause_cpu();
        if (i % PAUSES_PER_LOOK_AT_CLOCK == 0) {
            int64_t now = now_ns();
            end = end == 0 ? now + THREADS_SPIN_NS : end;
            if (now >= end)
                return false;
        }
    }
}

/* Half of what a range has left at a time: neighbouring parts done at once cost less, and the last ones are small enough to end together. */
static void take_parts(struct work *work, int participant)
{
    for (int i = 0; i < work->range_count; i++) {
        struct range *range = &work->ranges[(participant + i) % work->range_count];
        int64_t part = atomic_load_explicit(&range->next, memory_order_relaxed);
        while (part < range->end) {
            int64_t last = part + (range->end - part + 1) / 2;
            if (!atomic_compare_exchange_weak_explicit(&range->next, &part, last, memory_order_relaxed, memory_order_relaxed))
                continue; /* `part` is what another one left */
            work->function(work->context, part, last, participant);
            part = atomic_load_explicit(&range->next, memory_order_relaxed);
        }
    }
}

static bool is_exhausted(const struct work *work)
{
    for (int i = 0; i < work->range_count; i++) {
        if (atomic_load_explicit(&work->ranges[i].next, memory_order_relaxed) < work->ranges[i].end)
            return false;
    }
    return true;
}

/* The open work with the fewest helpers, which the caller of this joins; NULL: none has room. Under the lock. */
static struct work *join(struct threads *threads, int *participant)
{
    struct work *best = NULL;
    for (struct work *work = threads->open; work != NULL; work = work->next_open) {
        int helpers = __builtin_popcountll(work->joined);
        if (helpers < threads->count - 1 && !is_exhausted(work) && (best == NULL || helpers < __builtin_popcountll(best->joined)))
            best = work;
    }
    if (best == NULL)
        return NULL;
    while ((best->joined >> *participant & 1) != 0) /* ends: fewer than count - 1 are taken */
        *participant = *participant % (threads->count - 1) + 1;
    best->joined |= (uint64_t)1 << *participant;
    atomic_fetch_add_explicit(&best->helpers, 1, memory_order_relaxed);
    return best;
}

/* Where all processors have other work, the system often wakes a helper on its caller's: there it would only take the caller's time, and wait
 * for it. From then on it may run anywhere else. False: there is no other processor. */
static bool leave_processor(const struct threads *threads, int processor)
{
    if (processor < 0 || sched_getcpu() != processor)
        return true;
    cpu_set_t others = threads->processors;
    CPU_CLR(processor, &others);
    return CPU_COUNT(&others) > 0 && pthread_setaffinity_np(pthread_self(), sizeof others, &others) == 0;
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    struct threads *threads = helper->threads;
    struct work *work = NULL;
    pthread_mutex_lock(&threads->lock);
    while (!threads->stopping) {
        int participant = helper->participant;
        work = join(threads, &participant);
        int seen = atomic_load_explicit(&threads->posted, memory_order_relaxed);
        pthread_mutex_unlock(&threads->lock);
        if (work != NULL && leave_processor(threads, work->processor))
            take_parts(work, participant);
        bool caller_waits = work != NULL && atomic_fetch_sub(&work->helpers, 1) == 1 && atomic_load(&threads->waiting) > 0; /* `work` may be gone now */
        bool posted = work != NULL || spin(&threads->posted, seen, false);
        pthread_mutex_lock(&threads->lock);
        if (caller_waits)
            pthread_cond_broadcast(&threads->helper_left);
        while (!posted && atomic_load_explicit(&threads->posted, memory_order_relaxed) == seen) {
            threads->sleeping++;
            pthread_cond_wait(&threads->work_came, &threads->lock);
            threads->sleeping--;
        }
    }
    pthread_mutex_unlock(&threads->lock);
    return NULL;
}

/* Under the lock. */
static void wake(struct threads *threads)
{
    atomic_fetch_add_explicit(&threads->posted, 1, memory_order_release);
    if (threads->sleeping > 0)
        pthread_cond_broadcast(&threads->work_came);
}

static void open_work(struct threads *threads, struct work *work)
{
    pthread_mutex_lock(&threads->lock);
    work->next_open = threads->open;
    threads->open = work;
    wake(threads);
    pthread_mutex_unlock(&threads->lock);
}

/* From here on nobody joins; those inside finish the parts they took. */
static void close_work(struct threads *threads, struct work *work)
{
    pthread_mutex_lock(&threads->lock);
    struct work **link = &threads->open;
    while (*link != work)
        link = &(*link)->next_open;
    *link = work->next_open;
    pthread_mutex_unlock(&threads->lock);
    if (spin(&work->helpers, 0, true))
        return;
    pthread_mutex_lock(&threads->lock);
    atomic_fetch_add(&threads->waiting, 1);
    while (atomic_load(&work->helpers) != 0)
        pthread_cond_wait(&threads->helper_left, &threads->lock);
    atomic_fetch_sub(&threads->waiting, 1);
    pthread_mutex_unlock(&threads->lock);
}

void threads_run(struct threads *threads, threads_function *function, void *context, int64_t parts)
{
    int count = threads_count(threads);
    if (count == 1 || parts < 2) {
        function(context, 0, parts, 0);
        return;
    }
    struct work work; /* its ranges are filled as far as they are used */
    work.function = function;
    work.context = context;
    work.processor = sched_getcpu();
    atomic_init(&work.helpers, 0);
    work.joined = 0;
    work.range_count = parts < count ? (int)parts : count;
    for (int i = 0; i < work.range_count; i++) {
        atomic_init(&work.ranges[i].next, parts * i / work.range_count);
        work.ranges[i].end = parts * (i + 1) / work.range_count;
    }
    open_work(threads, &work);
    take_parts(&work, 0);
    close_work(threads, &work);
}

/* Two parts that wait for each other, for a while. */
struct meeting {
    atomic_int arrived;
    atomic_bool helped;
};

static void meet(void *context, int64_t first, int64_t last, int participant)
{
    struct meeting *meeting = context;
    (void)first;
    (void)last;
    if (participant != 0)
        atomic_store_explicit(&meeting->helped, true, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&meeting->arrived, 1, memory_order_acq_rel) == 0)
        spin(&meeting->arrived, 2, true);
}

int64_t threads_hand_over_ns(struct threads *threads)
{
    int64_t lowest = INT64_MAX;
    for (int i = 0; i < THREADS_TRIES && threads_count(threads) > 1; i++) {
        struct meeting meeting;
        atomic_init(&meeting.arrived, 0);
        atomic_init(&meeting.helped, false);
        int64_t start = now_ns();
        threads_run(threads, meet, &meeting, 2);
        int64_t taken = now_ns() - start;
        lowest = atomic_load_explicit(&meeting.helped, memory_order_relaxed) && taken < lowest ? taken : lowest;
    }
    return lowest;
}

int threads_count(const struct threads *threads)
{
    return threads != NULL ? threads->count : 1;
}

enum error_code threads_new(int count, int works, struct threads **threads_out, struct error *error)
{
    if (count < 1 || count > THREADS_MAX || works < 1 || works > THREADS_MAX)
        return error_set(error, ERROR_LIMIT, "%d threads for each of %d: expected 1 to %d", count, works, THREADS_MAX);
    int helpers = works * (count - 1);
    size_t bytes = (sizeof(struct threads) + (size_t)helpers * sizeof(struct helper) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct threads *threads = aligned_alloc(CACHE_LINE, bytes);
    if (threads == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %d threads", count);
    memset(threads, 0, bytes);
    threads->count = count;
    if (sched_getaffinity(0, sizeof threads->processors, &threads->processors) != 0)
        CPU_ZERO(&threads->processors); /* more than the set has room for: a helper on its caller's processor then does nothing */
    pthread_mutexattr_t spinning; /* held for a few instructions: others look a few times before they sleep */
    pthread_mutexattr_init(&spinning);
    pthread_mutexattr_settype(&spinning, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&threads->lock, &spinning);
    pthread_mutexattr_destroy(&spinning);
    pthread_cond_init(&threads->work_came, NULL);
    pthread_cond_init(&threads->helper_left, NULL);
    for (int i = 0; i < helpers; i++) {
        struct helper *helper = &threads->helpers[i];
        *helper = (struct helper){.threads = threads, .participant = i % (count - 1) + 1};
        if (pthread_create(&helper->thread, NULL, helper_main, helper) != 0) {
            threads_free(threads);
            return error_set(error, ERROR_LIMIT, "helper %d of %d could not be started", i + 1, helpers);
        }
        threads->started++;
        char name[16];
        snprintf(name, sizeof name, "eddy:infer%d", (i + 1) % 1000);
        pthread_setname_np(helper->thread, name);
    }
    *threads_out = threads;
    return ERROR_NONE;
}

void threads_free(struct threads *threads)
{
    if (threads == NULL)
        return;
    pthread_mutex_lock(&threads->lock);
    threads->stopping = true;
    wake(threads);
    pthread_mutex_unlock(&threads->lock);
    for (int i = 0; i < threads->started; i++)
        pthread_join(threads->helpers[i].thread, NULL);
    pthread_cond_destroy(&threads->helper_left);
    pthread_cond_destroy(&threads->work_came);
    pthread_mutex_destroy(&threads->lock);
    free(threads);
}
