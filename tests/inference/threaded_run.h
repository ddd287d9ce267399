/* SPDX-License-Identifier: Apache-2.0
 *
 * threaded_run.h: a run of a model by so many threads, for tests that compare what they make of it. */
#ifndef EDDY_TESTS_THREADED_RUN_H
#define EDDY_TESTS_THREADED_RUN_H

#include "inference/engine.h"
#include "inference/threads.h"
#include "tests/check.h"

struct threaded_run {
    struct threads *threads;
    struct run *run;
};

static inline struct threaded_run threaded_run_open(const struct model *model, int count)
{
    struct threaded_run opened;
    struct error error = {0};
    CHECK_OK(threads_new(count, 1, &opened.threads, &error), error);
    CHECK_OK(run_new(model, &opened.run, &error), error);
    CHECK_OK(run_set_threads(opened.run, opened.threads, &error), error);
    return opened;
}

static inline void threaded_run_close(struct threaded_run *opened)
{
    run_free(opened->run);
    threads_free(opened->threads);
}

#endif
