/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.h: which vector instructions this CPU has and the kernel keeps registers for.
 *
 * In place of __builtin_cpu_supports, whose part of libgcc names every CPU there is, in 5.5 KB, and not AVX-VNNI (gcc 12). */
#ifndef EDDY_BASE_CPU_H
#define EDDY_BASE_CPU_H

enum cpu_feature {
    CPU_AVX = 1,
    CPU_AVX2 = 2,         /* with FMA                  */
    CPU_AVX_VNNI = 4,     /* besides AVX2              */
    CPU_AVX512 = 8,       /* F, BW, DQ, VL, with BMI2  */
    CPU_AVX512_VNNI = 16, /* besides AVX-512           */
};

unsigned cpu_features(void); /* a set of them; none on another CPU than x86. Asked once. Threads: any. */

#endif
