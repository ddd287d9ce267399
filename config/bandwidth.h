/* SPDX-License-Identifier: Apache-2.0
 *
 * bandwidth.h: when how much may leave: "[DAYS] HH:MM-HH:MM LIMIT", such as "mon-fri 08:00-18:00 64KiB".
 *
 * DAYS: mon tue wed thu fri sat sun, ranges (fri-mon passes over the week's end) and commas; none: every day. A window that ends at or before its
 * beginning ends on the day after, and belongs to the day on which it began. LIMIT: a size a second, "unlimited", or "none": nothing leaves.
 * Times are local ones (the system's zone, summer time included). Threads: any. */
#ifndef EDDY_CONFIG_BANDWIDTH_H
#define EDDY_CONFIG_BANDWIDTH_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { BANDWIDTH_WINDOWS_MAX = 16 };
#define BANDWIDTH_UNLIMITED INT64_C(0)
#define BANDWIDTH_NONE INT64_C(-1)

struct bandwidth_window {
    int begin, end;        /* minutes of the day; end > 1440: on the day after */
    unsigned days;         /* bit 0: Sunday, as tm_wday counts */
    int64_t limit;         /* bytes a second, or one of the two above */
};

bool bandwidth_read(const char *text, struct bandwidth_window *window_out); /* false: it is no such text */
/* The limit of the first window that holds at this time; otherwise: where none does. */
int64_t bandwidth_at(const struct bandwidth_window *windows, int count, int64_t otherwise, time_t when);

#endif
