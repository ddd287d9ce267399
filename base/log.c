/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int current_level = LOG_LEVEL_INFO;
static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *level_out)
{
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(name, level_names[level]) == 0) {
            *level_out = (enum log_level)level;
            return true;
        }
    }
    return false;
}

/* Approximate between threads on purpose: a line too many is harmless, a lock here is not. */
static bool site_may_write(struct log_site *site, int *held_back_out)
{
    int64_t now = clock_monotonic_us();
    if (now - atomic_load(&site->window_start_us) > LOG_INTERVAL_US) {
        atomic_store(&site->window_start_us, now);
        atomic_store(&site->written, 0);
        *held_back_out = atomic_exchange(&site->held_back, 0);
    } else {
        *held_back_out = 0;
    }
    if (atomic_fetch_add(&site->written, 1) < LOG_BURST)
        return true;
    atomic_fetch_add(&site->held_back, 1);
    return false;
}

/* JOURNAL_STREAM names the device and inode of the journal's socket (systemd.exec(5)): a child of a service inherits the variable, but its
 * stderr may go elsewhere. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

void log_write(struct log_site *site, enum log_level level, const char *format, ...)
{
    static const int journal_levels[] = {3, 4, 6, 7};
    int held_back;
    if (!site_may_write(site, &held_back))
        return;
    char message[1024], line[1200], time_text[CLOCK_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char held_text[48] = "";
    if (held_back > 0)
        snprintf(held_text, sizeof held_text, " (%d more like it held back)", held_back);
    int length;
    if (stderr_is_journal()) {
        length = snprintf(line, sizeof line, "<%d>%s%s\n", journal_levels[level], message, held_text);
    } else {
        clock_format(clock_wall_us(), time_text);
        length = snprintf(line, sizeof line, "%s %-7s %s%s\n", time_text, level_names[level], message, held_text);
    }
    /* one write keeps the lines of several threads whole; a stderr that is gone is no reason to stop */
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    (void)ignored;
}
