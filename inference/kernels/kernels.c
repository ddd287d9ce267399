/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct kernels *list[7];

#if defined(__x86_64__)
/* Leaf 7, sub-leaf 1, EAX bit 4; gcc 12 has no name for it. */
static bool has_avx_vnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}
#endif

static void find_kernels(void)
{
    int count = 0;
    list[count++] = &kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
    if (avx2)
        list[count++] = &kernels_avx2;
    if (avx2 && has_avx_vnni())
        list[count++] = &kernels_avxvnni;
    if (avx512)
        list[count++] = &kernels_avx512;
    if (avx512 && __builtin_cpu_supports("avx512vnni"))
        list[count++] = &kernels_avx512vnni;
#elif defined(__aarch64__)
    list[count++] = &kernels_neon;
#endif
}

/* From the reference to the best; what the CPU lacks is left out. */
const struct kernels *const *kernels_list(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_kernels);
    return list;
}

enum error_code kernels_select(const char *cpu, const struct kernels **kernels_out, struct error *error)
{
    char names[128] = "";
    const struct kernels *best = NULL;
    for (const struct kernels *const *one = kernels_list(); *one != NULL; one++) {
        if (cpu == NULL || strcmp(cpu, (*one)->name) == 0)
            best = *one;
        size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? ", " : "", (*one)->name);
    }
    if (best == NULL)
        return error_set(error, ERROR_UNSUPPORTED, "kernels \"%.40s\" do not exist or do not run on this CPU, which has: %s", cpu, names);
    *kernels_out = best;
    return ERROR_NONE;
}
