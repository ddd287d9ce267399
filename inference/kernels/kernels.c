/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/kernels.h"

#include "base/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct kernels *list[7];

static void find_kernels(void)
{
    int count = 0;
    list[count++] = &kernels_scalar;
#if defined(__x86_64__)
    unsigned features = cpu_features();
    if (features & CPU_AVX2)
        list[count++] = &kernels_avx2;
    if (features & CPU_AVX_VNNI)
        list[count++] = &kernels_avxvnni;
    if (features & CPU_AVX512)
        list[count++] = &kernels_avx512;
    if (features & CPU_AVX512_VNNI)
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
