/* SPDX-License-Identifier: Apache-2.0
 *
 * slow_sync: to be preloaded into a program (LD_PRELOAD): every fdatasync and fsync takes SLOW_SYNC_US microseconds longer, as on the flash of a
 * gateway. The bytes still reach the disk first. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int sync_slowly(long number, int file)
{
    const char *text = getenv("SLOW_SYNC_US");
    long added_us = text != NULL ? atol(text) : 0;
    int result = (int)syscall(number, file);
    struct timespec pause = {.tv_sec = added_us / 1000000, .tv_nsec = added_us % 1000000 * 1000};
    nanosleep(&pause, NULL);
    return result;
}

int fdatasync(int file)
{
    return sync_slowly(SYS_fdatasync, file);
}

int fsync(int file)
{
    return sync_slowly(SYS_fsync, file);
}
