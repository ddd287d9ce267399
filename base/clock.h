/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h: the two clocks of eddy, in microseconds.
 *
 * Durations, deadlines and time-outs use the monotonic clock, so that a jump of the wall clock hurts nothing; only the `ts` of a result
 * and what people read use the wall clock. */
#ifndef EDDY_BASE_CLOCK_H
#define EDDY_BASE_CLOCK_H

#include <stdint.h>

enum { CLOCK_TEXT_BYTES = 28 }; /* "2026-11-23T14:05:31.123456Z" and the NUL */

int64_t clock_monotonic_us(void);
int64_t clock_thread_cpu_us(void); /* what the calling thread has used */
int64_t clock_wall_us(void); /* since 1970-01-01 UTC */
void clock_format(int64_t wall_us, char text[CLOCK_TEXT_BYTES]); /* RFC 3339, UTC, microseconds */

#endif
