/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t clock_thread_cpu_us(void)
{
    return now_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_wall_us(void)
{
    return now_us(CLOCK_REALTIME);
}

void clock_format(int64_t wall_us, char text[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    /* the modulo bounds keep the text in its buffer for every wall clock, a broken one included */
    snprintf(text, CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)(utc.tm_year + 1900) % 10000u,
             (unsigned)(utc.tm_mon + 1) % 100u, (unsigned)utc.tm_mday % 100u, (unsigned)utc.tm_hour % 100u, (unsigned)utc.tm_min % 100u,
             (unsigned)utc.tm_sec % 100u, (unsigned)(wall_us % 1000000) % 1000000u);
}
