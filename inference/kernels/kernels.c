/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
/* Leaf 7, sub-leaf 1, EAX bit 4; gcc 12 has no name for it. */
static bool has_avx_vnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}
#endif

/* From the reference to the best; what the CPU lacks is left out. */
const struct kernels *const *kernels_list(void)
{
    static const struct kernels *list[7];
    int count = 0;
    const struct kernels *found[7] = {&kernels_scalar};
    count = 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
    static struct kernels avxvnni;
    if (avx2)
        found[count++] = &kernels_avx2;
    if (avx2 && has_avx_vnni()) { /* AVX2 but for the bytes */
        avxvnni = kernels_avx2;
        avxvnni.name = "avxvnni";
        avxvnni.bytes = &byte_kernels_avxvnni;
        found[count++] = &avxvnni;
    }
    if (avx512)
        found[count++] = &kernels_avx512;
    if (avx512 && __builtin_cpu_supports("avx512vnni"))
        found[count++] = &kernels_avx512vnni;
#elif defined(__aarch64__)
    found[count++] = &kernels_neon;
#endif
    if (list[0] == NULL) /* every thread would write the same */
        memcpy(list, found, sizeof list);
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
