/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Intel's manual, volume 2, CPUID: leaf 1 ECX; leaf 7 EBX and ECX; leaf 7, sub-leaf 1, EAX. Volume 1, 13.3: XCR0. */
enum leaf_1 { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28 };
enum leaf_7 { AVX2 = 1 << 5, BMI2 = 1 << 8, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
enum leaf_7_ecx { AVX512_VNNI = 1 << 11 };
enum leaf_7_1 { AVX_VNNI = 1 << 4 };
enum state { STATE_AVX = 0x06, STATE_AVX512 = 0xE6 };
static const unsigned avx512vl = 1u << 31;

static unsigned ask(void)
{
    unsigned a, b, c, d, state, upper;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & OSXSAVE) == 0 || (c & AVX) == 0)
        return 0;
    const bool fma = (c & FMA) != 0;
    __asm__ volatile("xgetbv" : "=a"(state), "=d"(upper) : "c"(0));
    if ((state & STATE_AVX) != STATE_AVX)
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & AVX2) == 0 || !fma)
        return CPU_AVX;
    unsigned features = CPU_AVX | CPU_AVX2;
    const unsigned avx512 = BMI2 | AVX512F | AVX512DQ | AVX512BW | avx512vl;
    if ((b & avx512) == avx512 && (state & STATE_AVX512) == STATE_AVX512)
        features |= CPU_AVX512 | ((c & AVX512_VNNI) != 0 ? CPU_AVX512_VNNI : 0);
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & AVX_VNNI) != 0)
        features |= CPU_AVX_VNNI;
    return features;
}
#else
static unsigned ask(void)
{
    return 0;
}
#endif

unsigned cpu_features(void)
{
    enum { ASKED = 1 << 30 };
    static _Atomic unsigned known;
    unsigned features = atomic_load_explicit(&known, memory_order_relaxed);
    if (features == 0) {
        features = ask() | ASKED;
        atomic_store_explicit(&known, features, memory_order_relaxed);
    }
    return features & ~(unsigned)ASKED;
}
