/* SPDX-License-Identifier: Apache-2.0
 *
 * threads.h: a small pool that shares the parts of one piece of work among threads.
 *
 * The thread that asks works too and always gets on by itself; helpers join where they are free. Each participant begins with a range of
 * its own, the same one every time (its core's cache then holds the weights it needs), and takes from others' ranges when its own is done.
 * Several callers may use one pool at the same time: a helper joins the work that has the fewest.
 * Waiting: a helper that finds nothing looks again for at most THREADS_SPIN_NS, then sleeps until there is work. An idle pool uses no CPU.
 * Memory: all of it at threads_new. Errors: ERROR_LIMIT where threads or memory cannot be had. */
#ifndef EDDY_INFERENCE_THREADS_H
#define EDDY_INFERENCE_THREADS_H

#include "base/error.h"

#include <stdint.h>

enum { THREADS_MAX = 64, THREADS_SPIN_NS = 20000 };

struct threads;

/* Does parts [first, last). participant: 0 is the caller, helpers are 1 .. threads_count() - 1; no two in one work have the same. */
typedef void threads_function(void *context, int64_t first, int64_t last, int participant);

/* count: threads of one piece of work, the caller's included; 1: nobody helps. works: so many pieces may be under way at the same time with
 * helpers of their own (count - 1 threads are made for each); more are served too, they share. */
MUST_CHECK enum error_code threads_new(int count, int works, struct threads **threads_out, struct error *error);
void threads_free(struct threads *threads); /* NULL is fine; nobody may be inside threads_run */
int threads_count(const struct threads *threads); /* NULL: 1 */

/* Returns when all parts are done. Any thread may call, not from within a part. */
void threads_run(struct threads *threads, threads_function *function, void *context, int64_t parts);

/* What it costs to share work: the lowest time of a few works that end when a helper has joined. INT64_MAX: no helper came in time, as all
 * have other work, or no processor. Takes at most THREADS_TRIES * 2 * THREADS_SPIN_NS, if the system lets the caller run. */
enum { THREADS_TRIES = 4 };
int64_t threads_hand_over_ns(struct threads *threads);

#endif
