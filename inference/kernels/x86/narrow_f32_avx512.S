/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products with few columns for AVX-512: narrow_f32_TOGETHER_avx512(const struct narrow_f32 *), TOGETHER 1 or 2. kernels.h states what
 * they compute.
 *
 * A multiply-add needs a broadcast of its own here, and the core starts two of each a cycle: what counts is that nothing else is loaded. A tile
 * is 24 rows of one vector: 24 broadcasts, one load of weights and one prefetch a step. Its rows are up to three groups of eight that follow
 * each other at a fixed distance, so that seven registers reach all of them; the last group goes back to where the rows end. A vector of
 * weights holds 16 columns, or 8 at two depths: then inputs are broadcast two at a time and the lanes are added at the end. (4 at four: a
 * broadcast of 128 bits is more than a load.)
 *
 * Registers: zmm0..23 accumulators [group][row]; zmm24 weights; zmm25, 26 broadcasts; zmm27 zero; zmm28 slope; zmm29 low, zmm30
 * high; zmm31 order of results.
 * rax rbx rcx: a group's first row each; rdx rbp rsi r8: 1, 3, 5, 7 rows on; rdi: weights; r9: steps left; r10: the next distance;
 * r11d: groups; r12..r14: groups without a distance; r15: the argument. k1: columns; k3: even lanes. */
#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", @progbits
#endif
    .intel_syntax noprefix
    .altmacro

/* struct narrow_f32 */
    .set INPUT, 0
    .set DISTANCES, 8
    .set PANEL, 16
    .set OUT, 24
    .set TAPS, 32
    .set DEPTH, 40
    .set ROWS, 48
    .set IN_STRIDE, 56
    .set OUT_STRIDE, 64
    .set LOW, 72
    .set HIGH, 76
    .set SLOPE, 80
    .set COLUMNS, 84
    .set RESIDUAL, 88
/* stack */
    .set AT_ROW, 0
    .set AT_STEPS, 8        /* whole ones of a tap */
    .set AT_TAPS_END, 16
    .set FRAME, 24
    .set AHEAD, 2048        /* of the weights' stream: see gemm_f32_avx512.S */

    .section .rodata
    .balign 64
pairs_of_columns:           /* [column / 2][row][2] to [row][column] */
    .quad 0, 2, 4, 6, 1, 3, 5, 7
    .text

/* what accumulator, address of each row of a group */
.macro each_row what, group, base
    \what %(8 * \group), <\base>
    \what %(8 * \group + 1), <\base + rdx>
    \what %(8 * \group + 2), <\base + 2 * rdx>
    \what %(8 * \group + 3), <\base + rbp>
    \what %(8 * \group + 4), <\base + 4 * rdx>
    \what %(8 * \group + 5), <\base + rsi>
    \what %(8 * \group + 6), <\base + 2 * rbp>
    \what %(8 * \group + 7), <\base + r8>
.endm

.macro start accumulator
    vmovaps zmm\accumulator, zmm0
.endm

.macro multiply_1 accumulator, address
    vfmadd231ps zmm\accumulator, zmm24, dword ptr [\address]{1to16}
.endm
.macro multiply_2 accumulator, address
    vbroadcastsd zmm25, qword ptr [\address]
    vfmadd231ps zmm\accumulator, zmm24, zmm25
.endm
.macro multiply_last accumulator, address
    vbroadcastss zmm25{k3}{z}, dword ptr [\address]
    vfmadd231ps zmm\accumulator, zmm24, zmm25
.endm

.macro multiply what
    vmovups zmm24, [rdi]
    prefetcht0 [rdi + AHEAD]
    each_row \what, 0, rax
    cmp r11d, 2
    jb 4f
    each_row \what, 1, rbx
    je 4f
    each_row \what, 2, rcx
4:
.endm

/* The sums begin with it. */
.macro add_residual_1 accumulator, address
    vaddps zmm\accumulator{k1}, zmm\accumulator, [\address]
.endm
.macro add_residual_2 accumulator, address
    vpmovzxdq zmm25{k1}{z}, ymmword ptr [\address]
    vaddps zmm\accumulator, zmm\accumulator, zmm25
.endm

.macro lower_negative accumulator, address
    vcmpltps k2, zmm\accumulator, zmm27
    vmulps zmm\accumulator{k2}, zmm\accumulator, zmm28
.endm

/* Large results are not in the near caches: waiting for them in turn at the end of each tile costs more than this. (Not with wider results,
 * of which this is a part, nor where several taps take their time.) */
.macro fetch accumulator, address
    prefetchw [\address]
.endm

.macro clamp accumulator
    vmaxps zmm\accumulator, zmm29, zmm\accumulator
    vminps zmm\accumulator, zmm30, zmm\accumulator
.endm

.macro finish_1 accumulator, address
    clamp \accumulator
    vmovups [\address]{k1}, zmm\accumulator
.endm

/* Two rows: their lanes of even and of odd depth are added, [column / 2][row][2]. */
.macro finish_pair first, second, address, next
    vshufps zmm25, zmm\first, zmm\second, 0x88
    vshufps zmm26, zmm\first, zmm\second, 0xdd
    vaddps zmm25, zmm25, zmm26
    vpermpd zmm25, zmm31, zmm25
    lower_negative 25
    clamp 25
    vmovups [\address]{k1}, ymm25
    vextractf32x8 ymm25, zmm25, 1
    vmovups [\next]{k1}, ymm25
.endm

.macro finish group, base, together
    .if \together == 1
    each_row finish_1, \group, \base
    .else
    finish_pair %(8 * \group), %(8 * \group + 1), <\base>, <\base + rdx>
    finish_pair %(8 * \group + 2), %(8 * \group + 3), <\base + 2 * rdx>, <\base + rbp>
    finish_pair %(8 * \group + 4), %(8 * \group + 5), <\base + 4 * rdx>, <\base + rsi>
    finish_pair %(8 * \group + 6), %(8 * \group + 7), <\base + 2 * rbp>, <\base + r8>
    .endif
.endm

.macro save register
    push \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
.endm

.macro restore register
    pop \register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
.endm

/* r10: the first of all rows, rdx: floats to the next. rax rbx rcx: where the tile's groups begin; r11d: how many there are; rdx rbp rsi r8. */
    .type point_groups, @function
point_groups:
    .cfi_startproc
    shl rdx, 2
    mov r9, [r15 + ROWS]
    mov rdi, [rsp + 8 + AT_ROW]
    lea r11, [r9 + 7]
    sub r11, rdi
    shr r11, 3
    sub r9, 8
    .irp group, rax, rbx, rcx
    cmp rdi, r9
    cmovg rdi, r9
    mov \group, rdi
    imul \group, rdx
    add \group, r10
    add rdi, 8
    .endr
    lea rbp, [rdx + 2 * rdx]
    lea rsi, [rdx + 4 * rdx]
    lea r8, [rsi + 2 * rdx]
    ret
    .cfi_endproc
    .size point_groups, . - point_groups

.macro define together
    .globl narrow_f32_\together\()_avx512
    .hidden narrow_f32_\together\()_avx512
    .type narrow_f32_\together\()_avx512, @function
    .p2align 6
narrow_f32_\together\()_avx512:
    .cfi_startproc
    save rbx
    save rbp
    save r12
    save r13
    save r14
    save r15
    sub rsp, FRAME
    .cfi_adjust_cfa_offset FRAME
    mov r15, rdi
    mov ecx, [r15 + COLUMNS]
    mov eax, -1
    bzhi eax, eax, ecx
    kmovw k1, eax
    mov rax, [r15 + TAPS]
    shl rax, 3
    add rax, [r15 + DISTANCES]
    mov [rsp + AT_TAPS_END], rax
    mov rax, [r15 + DEPTH]
    .if \together == 2
    shr rax
    vmovups zmm31, pairs_of_columns[rip]
    mov ecx, 0x5555
    kmovw k3, ecx
    .endif
    mov [rsp + AT_STEPS], rax
    vpxord xmm27, xmm27, xmm27
    vbroadcastss zmm28, dword ptr [r15 + SLOPE]
    vbroadcastss zmm29, dword ptr [r15 + LOW]
    vbroadcastss zmm30, dword ptr [r15 + HIGH]
    mov qword ptr [rsp + AT_ROW], 0

1:  /* a tile */
    mov rdi, [r15 + PANEL]
    vmovups zmm0, [rdi]
    .irp accumulator, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
    start \accumulator
    .endr
    mov r10, [r15 + RESIDUAL]
    test r10, r10
    jz 8f
    mov rdx, [r15 + OUT_STRIDE]
    call point_groups
    each_row add_residual_\together, 0, rax
    each_row add_residual_\together, 1, rbx
    each_row add_residual_\together, 2, rcx
8:
    .if \together == 1
    mov r10, [r15 + OUT]
    mov rdx, [r15 + OUT_STRIDE]
    cmp rdx, 16
    ja 9f
    cmp qword ptr [r15 + TAPS], 1
    jne 9f
    call point_groups
    each_row fetch, 0, rax
    each_row fetch, 1, rbx
    each_row fetch, 2, rcx
9:
    .endif
    mov r10, [r15 + INPUT]
    mov rdx, [r15 + IN_STRIDE]
    call point_groups
    mov r12, rax
    mov r13, rbx
    mov r14, rcx
    mov r10, [r15 + DISTANCES]
    mov rdi, [r15 + PANEL]
    add rdi, 64
2:  /* a tap */
    mov rax, [r10]
    add r10, 8
    lea rbx, [r13 + rax]
    lea rcx, [r14 + rax]
    add rax, r12
    mov r9, [rsp + AT_STEPS]
    .if \together == 2
    test r9, r9
    jz 5f
    .endif
    .p2align 5
3:  multiply multiply_\together
    add rdi, 64
    add rax, 4 * \together
    add rbx, 4 * \together
    add rcx, 4 * \together
    dec r9
    jnz 3b
5:
    .if \together == 2
    test byte ptr [r15 + DEPTH], 1
    jz 6f
    multiply multiply_last
    add rdi, 64
    .endif
6:  cmp r10, [rsp + AT_TAPS_END]
    jb 2b

    .if \together == 1
    cmp dword ptr [r15 + SLOPE], 0x3f800000
    je 9f
    each_row lower_negative, 0
    each_row lower_negative, 1
    each_row lower_negative, 2
9:
    .endif
    mov r10, [r15 + OUT]
    mov rdx, [r15 + OUT_STRIDE]
    call point_groups
    finish 0, rax, \together
    cmp r11d, 2
    jb 7f
    finish 1, rbx, \together
    je 7f
    finish 2, rcx, \together
7:  mov rax, [rsp + AT_ROW]
    add rax, 24
    mov [rsp + AT_ROW], rax
    cmp rax, [r15 + ROWS]
    jb 1b

    vzeroupper
    add rsp, FRAME
    .cfi_adjust_cfa_offset -FRAME
    restore r15
    restore r14
    restore r13
    restore r12
    restore rbp
    restore rbx
    ret
    .cfi_endproc
    .size narrow_f32_\together\()_avx512, . - narrow_f32_\together\()_avx512
.endm

    define 1
    define 2
