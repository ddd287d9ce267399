/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution of 3 x 3 taps for AVX-512: depthwise_3x3_STRIDE_avx512(const struct depthwise_3x3_f32 *), one line of results.
 * kernels.h states what is computed.
 *
 * The weights of a vector of channels stay in registers while the window slides along the line: each column of inputs is loaded once and
 * multiplied for all results that see it, up to three: 3 loads for 9 multiply-adds, or 6 with stride 2. In assembly, because gcc 12 keeps
 * part of the weights on the stack.
 *
 * Registers: zmm0..8 weights [column][row]; zmm9 bias; zmm10..12 sums of a result and the next two; zmm13..15 a column's inputs; zmm28..31 low,
 * high, zero, slope; k1: channels. r8..r10: lines of inputs; r11: results; rdx, rcx: positions there; rbx: bytes of a pixel; esi: results left;
 * r12: channels left; r13: first channel, in bytes; rdi: the argument; rax: for whatever. */
#include "inference/kernels/x86/assembly_avx512.h"

/* struct depthwise_3x3_f32 */
    .set INPUTS, 0
    .set OUT, 24
    .set WEIGHTS, 32
    .set BIAS, 40
    .set PIXELS, 48
    .set CHANNELS, 56
    .set LEFT, 64
    .set RIGHT, 68
    .set LOW, 72
    .set HIGH, 76
    .set SLOPE, 80

.macro load to, address
    vmovups zmm\to{k1}{z}, zmmword ptr [\address]
.endm

.macro inputs
    load 13, <r8 + rdx>
    load 14, <r9 + rdx>
    load 15, <r10 + rdx>
    add rdx, rbx
.endm

.macro multiply_add sum, input, weight
    vfmadd231ps zmm\sum, zmm\input, zmm\weight
.endm

/* One column's share of the sums that see it under kernel column 2, 1 and 0; -1: none does. */
.macro column last, middle, first
    .irp row, 0, 1, 2
    .if \last >= 0
    multiply_add \last, %(13 + \row), %(6 + \row)
    .endif
    .if \middle >= 0
    multiply_add \middle, %(13 + \row), %(3 + \row)
    .endif
    .if \first >= 0
    multiply_add \first, %(13 + \row), \row
    .endif
    .endr
.endm

.macro finish
    cmp dword ptr [rdi + SLOPE], 0x3f800000
    je .Lclamp\@
    vcmpltps k2, zmm10, zmm30
    vmulps zmm10{k2}, zmm10, zmm31
.Lclamp\@:
    vmaxps zmm10, zmm28, zmm10
    vminps zmm10, zmm29, zmm10
    vmovups [r11 + rcx]{k1}, zmm10
    add rcx, rbx
    vmovaps zmm10, zmm11
.endm

.macro function stride
    .globl depthwise_3x3_\stride\()_avx512
    .hidden depthwise_3x3_\stride\()_avx512
    .type depthwise_3x3_\stride\()_avx512, @function
    .p2align 6
depthwise_3x3_\stride\()_avx512:
    .cfi_startproc
    .irp register, rbx, r12, r13
    push \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
    .endr
    mov r8, [rdi + INPUTS]
    mov r9, [rdi + INPUTS + 8]
    mov r10, [rdi + INPUTS + 16]
    mov r11, [rdi + OUT]
    mov r12, [rdi + CHANNELS]
    lea rbx, [r12 * 4]
    xor r13d, r13d
    vbroadcastss zmm28, dword ptr [rdi + LOW]
    vbroadcastss zmm29, dword ptr [rdi + HIGH]
    vpxord xmm30, xmm30, xmm30
    vbroadcastss zmm31, dword ptr [rdi + SLOPE]
1:  /* a vector of channels */
    mov eax, -1
    cmp r12, 16
    jae 2f
    bzhi eax, eax, r12d
2:  kmovw k1, eax
    mov rax, [rdi + BIAS]
    load 9, <rax + r13>
    mov rax, [rdi + WEIGHTS]
    add rax, r13
    .irp weight, 0, 3, 6, 1, 4, 7, 2, 5, 8
    load \weight, rax
    add rax, rbx
    .endr
    mov rdx, r13
    mov rcx, r13
    mov esi, [rdi + PIXELS]
    vmovaps zmm10, zmm9
    cmp dword ptr [rdi + LEFT], 0
    jne 3f
    inputs
    column -1, -1, 10
3:  .if \stride == 1
    inputs
    vmovaps zmm11, zmm9
    column -1, 10, 11
    .endif
    sub esi, [rdi + RIGHT]
    jz 5f
    .p2align 5
4:  .if \stride == 1
    inputs
    vmovaps zmm12, zmm9
    column 10, 11, 12
    finish
    vmovaps zmm11, zmm12
    .else
    inputs
    column -1, 10, -1
    inputs
    vmovaps zmm11, zmm9
    column 10, -1, 11
    finish
    .endif
    dec esi
    jnz 4b
5:  cmp dword ptr [rdi + RIGHT], 0
    je 6f
    .if \stride == 2
    inputs
    column -1, 10, -1
    .endif
    finish
6:  add r13, 64
    sub r12, 16
    ja 1b

    vzeroupper
    .irp register, r13, r12, rbx
    pop \register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
    .endr
    ret
    .cfi_endproc
    .size depthwise_3x3_\stride\()_avx512, . - depthwise_3x3_\stride\()_avx512
.endm

    function 1
    function 2
