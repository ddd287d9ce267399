/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flash.h"

#include <stdio.h>

enum { FIRST_INTERVAL_US = 50000, HOURS = 24 };

static const double day_us = 86400e6;

int64_t flash_bytes_written(void)
{
    char line[128];
    long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "write_bytes: %lld", &bytes) == 1)
            break;
    }
    fclose(file);
    return bytes;
}

void flash_init(struct flash *flash, int64_t bytes_a_day, int64_t written, int64_t now_us)
{
    *flash = (struct flash){.bytes_a_day = bytes_a_day, .updated_us = now_us, .written = written, .allowance = (double)bytes_a_day / HOURS};
}

void flash_update(struct flash *flash, int64_t written, int64_t now_us)
{
    if (flash->bytes_a_day == 0)
        return;
    double saved_up = (double)flash->bytes_a_day / HOURS;
    flash->allowance += (double)flash->bytes_a_day * (double)(now_us - flash->updated_us) / day_us - (double)(written - flash->written);
    flash->allowance = flash->allowance < saved_up ? flash->allowance : saved_up;
    flash->written = written;
    flash->updated_us = now_us;
    if (flash->allowance < 0)
        flash->interval_us = flash->interval_us == 0 ? FIRST_INTERVAL_US : 2 * flash->interval_us;
    else
        flash->interval_us = flash->interval_us > FIRST_INTERVAL_US ? flash->interval_us / 2 : 0;
    flash->interval_us = flash->interval_us < FLASH_INTERVAL_MAX_US ? flash->interval_us : FLASH_INTERVAL_MAX_US;
}
