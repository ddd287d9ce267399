/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution for AVX-512: depthwise_f32_PIXELSxCOLUMNSxSTRIDE_avx512(job, x * step, out of pixel x): PIXELS results of all
 * channels, from a kernel of any number of rows and COLUMNS columns; the next pixel's inputs begin STRIDE taps further on.
 * kernels.h states what is computed. In assembly, because gcc 12 keeps the many strides, and then the sums, on the stack.
 *
 * A kernel row is COLUMNS loads of weights, (PIXELS - 1) * STRIDE + COLUMNS of inputs, and PIXELS * COLUMNS multiply-adds.
 *
 * Registers: zmm0..4 sums, zmm6..10 weights, zmm11..19 inputs, zmm28..31 limits, zero, slope. rax, rdi: a row's inputs and weights;
 * rsi: out; rdx: position in inputs[], rcx: in weights and bias; r8, r9, r10, r11: 1, 3, 5, 7 taps; rbx, r15: steps of weights and out;
 * rbp, r12: the tables of rows; r13, r14: rows, row; all in bytes. */
#include "inference/kernels/x86/assembly_avx512.h"

/* struct depthwise_f32 */
    .set INPUTS, 0
    .set WEIGHTS, 8
    .set BIAS, 16
    .set ROWS, 32
    .set CHANNELS, 56
    .set TAP_STEP, 72
    .set WEIGHT_STEP, 80
    .set OUT_STEP, 88
    .set LOW, 96
    .set HIGH, 100
    .set SLOPE, 104
/* stack */
    .set AT_BIAS, 0
    .set AT_CHANNELS, 8     /* left to do */
    .set AT_SLOPE, 16
    .set FRAME, 24

.macro load_input to, address
    .if part_
    vmovups zmm\to{k1}{z}, zmmword ptr [\address]
    .else
    vmovups zmm\to, zmmword ptr [\address]
    .endif
.endm

/* Input i lies i taps behind rax. */
.macro input i, to
    .if \i == 0
    load_input \to, rax
    .elseif \i == 1
    load_input \to, <rax + r8>
    .elseif \i == 2
    load_input \to, <rax + r8 * 2>
    .elseif \i == 3
    load_input \to, <rax + r9>
    .elseif \i == 4
    load_input \to, <rax + r8 * 4>
    .elseif \i == 5
    load_input \to, <rax + r10>
    .elseif \i == 6
    load_input \to, <rax + r9 * 2>
    .elseif \i == 7
    load_input \to, <rax + r11>
    .elseif \i == 8
    load_input \to, <rax + r8 * 8>
    .else
    .error "no register for this input"
    .endif
.endm

.macro weights k
    .if \k == 0
    load_input 6, rdi
    .elseif \k == 1
    load_input 7, <rdi + rbx>
    .elseif \k == 2
    load_input 8, <rdi + rbx * 2>
    .elseif \k == 3
    add rdi, rbx
    load_input 9, <rdi + rbx * 2>
    .elseif \k == 4
    add rdi, rbx
    load_input 10, <rdi + rbx * 2>
    .endif
.endm

.macro multiply_add sum, input, tap
    vfmadd231ps zmm\sum, zmm\input, zmm\tap
.endm

.macro copy to, from
    vmovaps zmm\to, zmm\from
.endm

.macro lower_negative register
    vcmpltps k2, zmm\register, zmm30
    vmulps zmm\register{k2}, zmm\register, zmm31
.endm

.macro finish register
    vmaxps zmm\register, zmm28, zmm\register
    vminps zmm\register, zmm29, zmm\register
    .if part_
    vmovups [rax]{k1}, zmm\register
    .else
    vmovups [rax], zmm\register
    .endif
    add rax, r15
.endm

/* One vector of channels, up to its stores. */
.macro vector pixels, columns, stride
    mov rax, [rsp + AT_BIAS]
    load_input 0, <rax + rcx>
    .set p_, 1
    .rept \pixels - 1
    copy %p_, 0
    .set p_, p_ + 1
    .endr
    xor r14d, r14d
    .p2align 4
1:
    mov rax, [rbp + r14 * 8]
    mov rdi, [r12 + r14 * 8]
    add rax, rdx
    add rdi, rcx
    .set k_, 0
    .rept \columns
    weights %k_
    .set k_, k_ + 1
    .endr
    .set i_, 0
    .rept (\pixels - 1) * \stride + \columns
    input %i_, %(11 + i_)
    .set i_, i_ + 1
    .endr
    .set k_, 0
    .rept \columns
    .set p_, 0
    .rept \pixels
    multiply_add %p_, %(11 + p_ * \stride + k_), %(6 + k_)
    .set p_, p_ + 1
    .endr
    .set k_, k_ + 1
    .endr
    inc r14
    cmp r14, r13
    jb 1b
    cmp dword ptr [rsp + AT_SLOPE], 0x3f800000
    je 2f
    .set p_, 0
    .rept \pixels
    lower_negative %p_
    .set p_, p_ + 1
    .endr
2:
    mov rax, rsi
    .set p_, 0
    .rept \pixels
    finish %p_
    .set p_, p_ + 1
    .endr
.endm

.macro function pixels, columns, stride
    .globl depthwise_f32_\pixels\()x\columns\()x\stride\()_avx512
    .hidden depthwise_f32_\pixels\()x\columns\()x\stride\()_avx512
    .type depthwise_f32_\pixels\()x\columns\()x\stride\()_avx512, @function
    .p2align 6
depthwise_f32_\pixels\()x\columns\()x\stride\()_avx512:
    .cfi_startproc
    .irp register, rbx, rbp, r12, r13, r14, r15
    push \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
    .endr
    sub rsp, FRAME
    .cfi_adjust_cfa_offset FRAME
    mov rax, rsi            /* x * step, in floats */
    mov rsi, rdx
    lea rdx, [rax * 4]
    xor ecx, ecx
    mov rax, [rdi + BIAS]
    mov [rsp + AT_BIAS], rax
    mov rax, [rdi + CHANNELS]
    mov [rsp + AT_CHANNELS], rax
    mov eax, [rdi + SLOPE]
    mov [rsp + AT_SLOPE], eax
    vpbroadcastd zmm31, eax
    vpxord xmm30, xmm30, xmm30
    vbroadcastss zmm28, dword ptr [rdi + LOW]
    vbroadcastss zmm29, dword ptr [rdi + HIGH]
    mov r8, [rdi + TAP_STEP]
    shl r8, 2
    lea r9, [r8 + r8 * 2]
    lea r10, [r8 + r8 * 4]
    lea r11, [r9 + r8 * 4]
    mov rbx, [rdi + WEIGHT_STEP]
    shl rbx, 2
    mov r15, [rdi + OUT_STEP]
    shl r15, 2
    mov rbp, [rdi + INPUTS]
    mov r12, [rdi + WEIGHTS]
    mov r13, [rdi + ROWS]
    sub qword ptr [rsp + AT_CHANNELS], 16
    jb 4f
    .set part_, 0
3:
    vector \pixels, \columns, \stride
    add rsi, 64
    add rdx, 64
    add rcx, 64
    sub qword ptr [rsp + AT_CHANNELS], 16
    jae 3b
4:
    mov rdi, [rsp + AT_CHANNELS]
    add edi, 16
    jz 5f
    mov eax, -1
    bzhi eax, eax, edi
    kmovw k1, eax
    .set part_, 1
    vector \pixels, \columns, \stride
5:
    vzeroupper
    add rsp, FRAME
    .cfi_adjust_cfa_offset -FRAME
    .irp register, r15, r14, r13, r12, rbp, rbx
    pop \register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
    .endr
    ret
    .cfi_endproc
    .size depthwise_f32_\pixels\()x\columns\()x\stride\()_avx512, . - depthwise_f32_\pixels\()x\columns\()x\stride\()_avx512
.endm

    function 1, 3, 1
    .irp pixels, 1, 2, 3, 4, 5
    function \pixels, 5, 1
    .endr
    .irp pixels, 2, 3
    function \pixels, 5, 2
    .endr
    function 1, 2, 1
    function 1, 4, 1
