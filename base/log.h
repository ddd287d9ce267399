/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h: what an operator reads, on stderr; under systemd the journal takes it from there.
 *
 * One line a call. Under journald (JOURNAL_STREAM names what stderr is) a line begins with its level as <N>, see sd-daemon(3); else with time and level.
 * Rate limit: each call site may write LOG_BURST lines in LOG_INTERVAL_US; what was held back is counted and said with the next line.
 * Threads: any. */
#ifndef EDDY_BASE_LOG_H
#define EDDY_BASE_LOG_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum { LOG_BURST = 10, LOG_INTERVAL_US = 5000000 };

struct log_site {
    atomic_llong window_start_us;
    atomic_int written, held_back;
};

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_level_parse(const char *name, enum log_level *level_out); /* error | warning | info | debug */
void log_write(struct log_site *site, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

#define LOG_AT(level, ...)                        \
    do {                                          \
        static struct log_site site_;             \
        if ((level) <= log_get_level())           \
            log_write(&site_, level, __VA_ARGS__); \
    } while (0)
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
