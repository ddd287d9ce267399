/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix product tiles for AVX-512: gemm_f32_ROWSxVECTORS_avx512(const struct gemm_f32 *), ROWS 1..12, VECTORS 1 or 2 of 16 columns.
 * kernels.h states what they compute. In assembly, because gcc 12 keeps the 24 accumulators of the large tile on the stack.
 *
 * A step over depth is two loads of weights, one broadcast a row and two multiply-adds a row: 24 of them in 12 cycles on a core that
 * starts two a cycle. A small tile has too few accumulators to hide the four cycles of an addition: it keeps SETS of them, for depth
 * 0, SETS, 2 SETS, ..., 1, SETS + 1, ... and adds them at the end.
 *
 * Registers: zmm0.. accumulators [set][row][vector]; zmm24, 25 weights; zmm28..31 broadcast inputs. rax rcx rdx rbx rbp rsi r8..r13:
 * a row's input each; r14: bytes into the rows; r15: the argument; rdi: weights. */
#include "inference/kernels/x86/assembly_avx512.h"

/* struct gemm_f32 */
    .set INPUTS, 0
    .set PANEL, 8
    .set OUT, 16
    .set RESIDUAL, 24
    .set TAPS, 32
    .set DEPTH, 40
    .set OUT_STRIDE, 48
    .set LOW, 56
    .set HIGH, 60
    .set SLOPE, 64
    .set COLUMNS, 68
/* stack */
    .set AT_INPUTS, 0
    .set AT_TAPS, 8
    .set AT_DEPTH, 16       /* bytes */
    .set AT_WHOLE, 24       /* bytes that whole groups of SETS take */
    .set FRAME, 40
    .set AHEAD, 2048        /* of the weights' stream: its own prefetcher stops at page ends and between panels */
    .set AHEAD_ONE_ROW, 8192 /* where nothing but that stream takes time */
    .set TABLE_STRIDE, 128  /* KERNEL_ROWS_MAX pointers */

.macro load_high_pointer register, row
    mov r\register, [r14 + 8 * \row]
.endm

.macro broadcast_from register, to, offset
    vbroadcastss zmm\to, dword ptr [\register + r14 + \offset]
.endm

.macro broadcast row, to, offset
    .if \row == 0
    broadcast_from rax, \to, \offset
    .elseif \row == 1
    broadcast_from rcx, \to, \offset
    .elseif \row == 2
    broadcast_from rdx, \to, \offset
    .elseif \row == 3
    broadcast_from rbx, \to, \offset
    .elseif \row == 4
    broadcast_from rbp, \to, \offset
    .elseif \row == 5
    broadcast_from rsi, \to, \offset
    .elseif \row == 6
    broadcast_from r8, \to, \offset
    .elseif \row == 7
    broadcast_from r9, \to, \offset
    .elseif \row == 8
    broadcast_from r10, \to, \offset
    .elseif \row == 9
    broadcast_from r11, \to, \offset
    .elseif \row == 10
    broadcast_from r12, \to, \offset
    .else
    broadcast_from r13, \to, \offset
    .endif
.endm

.macro load_pointers rows
    mov rax, [r14]
    .if \rows > 1
    mov rcx, [r14 + 8]
    .endif
    .if \rows > 2
    mov rdx, [r14 + 16]
    .endif
    .if \rows > 3
    mov rbx, [r14 + 24]
    .endif
    .if \rows > 4
    mov rbp, [r14 + 32]
    .endif
    .if \rows > 5
    mov rsi, [r14 + 40]
    .endif
    .if \rows > 6
    .set row_, 6
    .rept \rows - 6
    load_high_pointer %(row_ + 2), %row_
    .set row_, row_ + 1
    .endr
    .endif
.endm

.macro multiply_add accumulator, input, weights
    vfmadd231ps zmm\accumulator, zmm\input, zmm\weights
.endm

.macro load_weights register, offset
    vmovups zmm\register, [rdi + \offset]
.endm

.macro fetch offset
    prefetcht0 [rdi + \offset]
.endm

/* One step over depth into accumulator set `set`; weights and inputs lie `set` steps further on. */
.macro step rows, vectors, set
    load_weights 24, %(64 * \vectors * \set)
    .if \rows == 1
    .set ahead_, AHEAD_ONE_ROW
    .else
    .set ahead_, AHEAD
    .endif
    fetch %(64 * \vectors * \set + ahead_)
    .if \vectors == 2
    load_weights 25, %(128 * \set + 64)
    fetch %(128 * \set + 64 + ahead_)
    .endif
    .set row_, 0
    .rept \rows
    broadcast %row_, %(28 + row_ % 4), %(4 * \set)
    multiply_add %((\set * \rows + row_) * \vectors), %(28 + row_ % 4), 24
    .if \vectors == 2
    multiply_add %((\set * \rows + row_) * \vectors + 1), %(28 + row_ % 4), 25
    .endif
    .set row_, row_ + 1
    .endr
.endm

.macro steps rows, vectors, sets
    .set set_, 0
    .rept \sets
    step \rows, \vectors, %set_
    .set set_, set_ + 1
    .endr
.endm

.macro copy to, from
    vmovaps zmm\to, zmm\from
.endm
.macro clear register
    vpxord xmm\register, xmm\register, xmm\register
.endm
.macro add_sets to, from
    vaddps zmm\to, zmm\to, zmm\from
.endm

.macro add_residual register, offset, last
    .if \last
    vmovups zmm28{k1}{z}, [rax + \offset]
    vaddps zmm\register, zmm\register, zmm28
    .else
    vaddps zmm\register, zmm\register, [rax + \offset]
    .endif
.endm

.macro lower_negative register
    vcmpltps k2, zmm\register, zmm30
    vmulps zmm\register{k2}, zmm\register, zmm31
.endm

/* maxps and minps give their second operand where one is no number: it stays none. */
.macro clamp register
    vmaxps zmm\register, zmm28, zmm\register
    vminps zmm\register, zmm29, zmm\register
.endm

.macro store register, offset, last
    .if \last
    vmovups [rdi + \offset]{k1}, zmm\register
    .else
    vmovups [rdi + \offset], zmm\register
    .endif
.endm

/* what_COUNT: of the first COUNT accumulators; all tiles share them. */
.macro entry what, count, register
\what\()_\count:
    \what \register
.endm
.macro call_for what, count
    call \what\()_\count
.endm
.macro share what
    .type \what, @function
    .p2align 4
\what\():
    .cfi_startproc
    .set count_, 24
    .rept 24
    entry \what, %count_, %(count_ - 1)
    .set count_, count_ - 1
    .endr
    ret
    .cfi_endproc
    .size \what, . - \what
.endm

    share lower_negative
    share clamp

.macro tile rows, vectors, sets
    .globl gemm_f32_\rows\()x\vectors\()_avx512
    .hidden gemm_f32_\rows\()x\vectors\()_avx512
    .type gemm_f32_\rows\()x\vectors\()_avx512, @function
    .p2align 6
gemm_f32_\rows\()x\vectors\()_avx512:
    .cfi_startproc
    push rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    push rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    push r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    push r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    push r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    push r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    sub rsp, FRAME
    .cfi_adjust_cfa_offset FRAME
    mov r15, rdi
    mov rax, [r15 + INPUTS]
    mov rcx, [r15 + TAPS]
    mov rdx, [r15 + DEPTH]
    mov [rsp + AT_INPUTS], rax
    mov [rsp + AT_TAPS], rcx
    lea rbx, [rdx * 4]
    mov [rsp + AT_DEPTH], rbx
    and rbx, -4 * \sets
    mov [rsp + AT_WHOLE], rbx
    mov rdi, [r15 + PANEL]
    load_weights 0, 0
    .if \vectors == 2
    load_weights 1, 64
    .endif
    .set row_, 1
    .rept \rows - 1
    copy %(row_ * \vectors), 0
    .if \vectors == 2
    copy %(row_ * \vectors + 1), 1
    .endif
    .set row_, row_ + 1
    .endr
    .set row_, \rows * \vectors
    .rept \rows * \vectors * (\sets - 1)
    clear %row_
    .set row_, row_ + 1
    .endr
    add rdi, 64 * \vectors

1:  /* taps */
    mov r14, [rsp + AT_INPUTS]
    load_pointers \rows
    add r14, TABLE_STRIDE
    mov [rsp + AT_INPUTS], r14
    xor r14d, r14d
    cmp qword ptr [rsp + AT_WHOLE], 0
    je 3f
    .p2align 5
2:  steps \rows, \vectors, \sets
    add rdi, 64 * \vectors * \sets
    add r14, 4 * \sets
    cmp r14, [rsp + AT_WHOLE]
    jb 2b
3:
    .if \sets > 1
    cmp r14, [rsp + AT_DEPTH]
    jae 5f
4:  step \rows, \vectors, 0
    add rdi, 64 * \vectors
    add r14, 4
    cmp r14, [rsp + AT_DEPTH]
    jb 4b
5:
    .endif
    dec qword ptr [rsp + AT_TAPS]
    jnz 1b

    .set row_, 0
    .rept \rows * \vectors * (\sets / 2)      /* 4 sets: 0 + 2, 1 + 3; 2 sets: 0 + 1 */
    add_sets %row_, %(row_ + \rows * \vectors * (\sets / 2))
    .set row_, row_ + 1
    .endr
    .if \sets == 4
    .set row_, 0
    .rept \rows * \vectors
    add_sets %row_, %(row_ + \rows * \vectors)
    .set row_, row_ + 1
    .endr
    .endif

    mov ecx, [r15 + COLUMNS]
    sub ecx, 16 * (\vectors - 1)
    mov eax, -1
    bzhi eax, eax, ecx
    kmovw k1, eax
    mov rdx, [r15 + OUT_STRIDE]
    shl rdx, 2

    mov rax, [r15 + RESIDUAL]
    test rax, rax
    jz 6f
    .set row_, 0
    .rept \rows
    .if \vectors == 2
    add_residual %(row_ * 2), 0, 0
    .endif
    add_residual %(row_ * \vectors + \vectors - 1), %(64 * (\vectors - 1)), 1
    add rax, rdx
    .set row_, row_ + 1
    .endr
6:
    mov eax, [r15 + SLOPE]
    cmp eax, 0x3f800000
    je 7f
    vpxord xmm30, xmm30, xmm30
    vpbroadcastd zmm31, eax
    call_for lower_negative, %(\rows * \vectors)
7:
    vbroadcastss zmm28, dword ptr [r15 + LOW]
    vbroadcastss zmm29, dword ptr [r15 + HIGH]
    call_for clamp, %(\rows * \vectors)
    mov rdi, [r15 + OUT]
    .set row_, 0
    .rept \rows
    .if \vectors == 2
    store %(row_ * 2), 0, 0
    .endif
    store %(row_ * \vectors + \vectors - 1), %(64 * (\vectors - 1)), 1
    add rdi, rdx
    .set row_, row_ + 1
    .endr

    vzeroupper
    add rsp, FRAME
    .cfi_adjust_cfa_offset -FRAME
    pop r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    pop r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    pop r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    pop r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    pop rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    pop rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
    .cfi_endproc
    .size gemm_f32_\rows\()x\vectors\()_avx512, . - gemm_f32_\rows\()x\vectors\()_avx512
.endm

/* SETS depends on rows alone: all columns of a layer are summed in the same order, so that equal weights give equal results. */
    .irp vectors, 1, 2
    tile 1, \vectors, 4
    tile 2, \vectors, 4
    tile 3, \vectors, 4
    tile 4, \vectors, 2
    tile 5, \vectors, 2
    .irp rows, 6, 7, 8, 9, 10, 11, 12
    tile \rows, \vectors, 1
    .endr
    .endr
