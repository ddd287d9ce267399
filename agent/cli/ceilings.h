/* SPDX-License-Identifier: Apache-2.0
 *
 * ceilings.h: what one thread of this machine can do at most, as the engine's own inner loops reach it: the lines of a roofline
 * (Williams, Waterman, Patterson, CACM 52(4), 2009).
 *
 * Multiply-adds: the largest tile of the matrix product over weights and inputs in the first-level cache. Reading: a product of one row,
 * which does one multiply-add for each weight, over weights of so many bytes. Takes a third of a second and 64 MiB. */
#ifndef EDDY_AGENT_CEILINGS_H
#define EDDY_AGENT_CEILINGS_H

#include "base/error.h"

#include <stddef.h>

enum { CEILINGS_READ = 3 };

struct ceilings {
    double f32_gmac_s, i8_gmac_s;
    struct { size_t bytes; double gb_s; } read[CEILINGS_READ]; /* 512 KiB, 4 MiB, 64 MiB: second-level cache, third, memory on most */
};

/* cpu: as model_cpu names it. ERROR_LIMIT: no memory. */
MUST_CHECK enum error_code ceilings_measure(const char *cpu, struct ceilings *ceilings_out, struct error *error);

#endif
