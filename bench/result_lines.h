/* SPDX-License-Identifier: Apache-2.0
 *
 * result_lines.h: result lines as an agent writes them, 367 bytes each on average: what is compressed and stored in measurements. */
#ifndef EDDY_BENCH_RESULT_LINES_H
#define EDDY_BENCH_RESULT_LINES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESULT_LINE_BYTES_MAX = 1024 };

static inline size_t write_line(char *text, int64_t seq)
{
    static unsigned random = 5;
    unsigned one = (unsigned)rand_r(&random), other = (unsigned)rand_r(&random);
    return (size_t)snprintf(text, RESULT_LINE_BYTES_MAX,
                            "{\"v\":1,\"id\":\"%08x%08x%08x%08x\",\"seq\":%lld,\"agent\":\"gw-17\",\"pipeline\":\"line\",\"topic\":\"camera/%u/frame\","
                            "\"ts\":\"2026-11-23T14:%02u:%02u.%06uZ\",\"model\":\"part-check@1.2.0\",\"cache\":\"miss\",\"us\":{\"queue\":%u,\"decode\":%u,"
                            "\"infer\":%u,\"total\":%u},\"result\":{\"label\":\"%s\",\"score\":0.%04u,\"top\":[{\"label\":\"good\",\"score\":0.%04u},"
                            "{\"label\":\"scratch\",\"score\":0.%04u}]}}\n",
                            one, other, one ^ 0x5bd1e995u, other ^ 0x9e3779b9u, (long long)seq, one % 8, (unsigned)(seq / 6000 % 60),
                            (unsigned)(seq / 100 % 60), other % 1000000, one % 90, 200 + other % 200, 700 + one % 200, 1000 + other % 400,
                            other % 5 == 0 ? "scratch" : "good", one % 10000, other % 10000, one % 7777);
}

static inline size_t write_lines(char *text, int64_t seq, int count)
{
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += write_line(text + length, seq + i);
    return length;
}

#endif
