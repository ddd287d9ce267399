/* SPDX-License-Identifier: Apache-2.0
 *
 * flash.h: how much this process has written, and how long commits must wait for it to stay within a daily budget.
 *
 * A commit of few results writes almost as much as one of many (a page of the WAL for each table, and the same again at the checkpoint), so
 * fewer commits mean fewer bytes. The budget is earned evenly over the day, an hour's worth can be saved up; while it is overdrawn, the
 * least time between two commits doubles every second up to FLASH_INTERVAL_MAX_US, and halves while it is not. The price: results are
 * delivered later by as much, and inputs wait unacknowledged, at most receive_maximum of them. Pure but for flash_bytes_written. */
#ifndef EDDY_AGENT_FLASH_H
#define EDDY_AGENT_FLASH_H

#include <stdint.h>

enum { FLASH_INTERVAL_MAX_US = 10000000 };

struct flash {
    int64_t bytes_a_day;      /* 0: no limit */
    int64_t updated_us, written;
    double allowance;         /* bytes; negative: overdrawn */
    int64_t interval_us;      /* between two commits, at least */
};

int64_t flash_bytes_written(void); /* write_bytes of /proc/self/io: what this process had sent to storage; 0: not known */
void flash_init(struct flash *flash, int64_t bytes_a_day, int64_t written, int64_t now_us);
void flash_update(struct flash *flash, int64_t written, int64_t now_us);

#endif
