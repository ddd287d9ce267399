/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm_8_avx512vnni.S: tiles of 1 to 12 rows x 32 or 16 columns for bytes.h's gemm. In assembly because gcc 12 copies and spills the 24
 * accumulators, which halves the speed.
 *
 * One function per number of rows and of vectors of 16 columns: gemm_8_<rows>x<vectors>_avx512vnni(struct byte_tile *tile).
 *
 * Product: vpdpbusd multiplies four u8 of a row, broadcast, with four i8 of each of 16 columns. The xor that turns i8 into u8 runs on
 * ports that vpdpbusd does not use, so it costs nothing, and u8 inputs (flip 0) take the same way.
 *
 * Requantisation, exact (fixed_point.h), for sums x with |x| + half + (zero point << shift) < 2^31, a factor multiplier / 2^31 >> shift and half = 2^shift / 2:
 *     high   = (x * multiplier + 2^30) >> 31
 *     result = (high + half - (high < 0 and shift > 0)) >> shift, + zero point
 * The bias carries 2^31, so that y = x + 2^31 is not negative and the unsigned 32 x 32 -> 64 bit multiplication serves:
 *     high + half + (zero point << shift) = upper half of (y * 2 multiplier + constant),
 *     constant = 2^31 + (half + (zero point << shift)) 2^32 - 2^32 multiplier  (modulo 2^64)
 * A negative x gives high <= 0; at high = 0 taking one off half does not change the quotient, so x < 0 may stand for high < 0. Where the
 * clamp hides negative results (tile->positive) the correction is left out. Even and odd lanes are multiplied apart and merged by vmovshdup.
 *
 * One row goes on to the panels behind: with few weights a panel, calls would cost as much as the product.
 *
 * Header of a panel, for each vector of 16 columns, 256 bytes: bias + 2^31 [16 x i32], 2 multiplier [16 x u32], upper half of the constant
 * [16 x u32] (the lower is 2^31 for all), shift [16 x i32].
 *
 * Order of columns: saturating packs work within 128-bit lanes, so with two vectors column 8 L + e is element 4 L + e of the first vector
 * (e < 4), or 4 L + e - 4 of the second. With one vector the order is plain.
 *
 * Registers: rows' pointers in rax rbx rcx rdx rsi rbp r8-r13, weights r14, distance from them r15, tile rdi. zmm8-31 accumulators: row r, vector v is
 * zmm(8 + 2 r + v). zmm0-7 scratch. */

    .intel_syntax noprefix
    .cfi_sections .debug_frame /* for debuggers alone: the program has no tables for unwinding */

#define TILE_INPUTS       0
#define TILE_TAPS         8
#define TILE_DEPTH        16
#define TILE_PANEL        24
#define TILE_OUT          32
#define TILE_OUT_STRIDE   40
#define TILE_ROW_OFFSETS  48
#define TILE_SUMS         56
#define TILE_MASK         64
#define TILE_FLIPS        72
#define TILE_LOWS         76
#define TILE_HIGHS        80
#define TILE_OUT_FLIPS    84
#define TILE_POSITIVE     88
#define TILE_DISTANCES    96
#define TILE_PANELS       116

#define HEADER 256
#define AHEAD 4096
/* on the stack */
#define NEXT_DISTANCE 0
#define TAPS_LEFT     8
#define DEPTH_END     16

    .section .rodata
    .balign 64
quads_of_rows:      /* rows r and r + 1 lie in turns of 8 bytes */
    .quad 0, 2, 4, 6, 1, 3, 5, 7
dwords_of_rows:     /* rows r to r + 3 lie in turns of 4 bytes */
    .long 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15
    .balign 4
two_to_31:
    .long 0x80000000
one:
    .long 1

    .text

/* what ROW, POINTER, FIRST, SECOND, SCRATCH for each row */
.macro each_row count, what
    \what 0, rax, 8, 9, 2
  .if \count > 1
    \what 1, rbx, 10, 11, 3
  .endif
  .if \count > 2
    \what 2, rcx, 12, 13, 4
  .endif
  .if \count > 3
    \what 3, rdx, 14, 15, 5
  .endif
  .if \count > 4
    \what 4, rsi, 16, 17, 6
  .endif
  .if \count > 5
    \what 5, rbp, 18, 19, 2
  .endif
  .if \count > 6
    \what 6, r8, 20, 21, 3
  .endif
  .if \count > 7
    \what 7, r9, 22, 23, 4
  .endif
  .if \count > 8
    \what 8, r10, 24, 25, 5
  .endif
  .if \count > 9
    \what 9, r11, 26, 27, 6
  .endif
  .if \count > 10
    \what 10, r12, 28, 29, 2
  .endif
  .if \count > 11
    \what 11, r13, 30, 31, 3
  .endif
.endm

.macro start row, pointer, first, second, scratch
  .if \row > 0
    vmovdqa64 zmm\first, zmm8
    .if vectors == 2
    vmovdqa64 zmm\second, zmm9
    .endif
  .endif
.endm

.macro offset row, pointer, first, second, scratch
    vpaddd zmm\first, zmm\first, dword ptr [r15 + 4 * \row]{1to16}
  .if vectors == 2
    vpaddd zmm\second, zmm\second, dword ptr [r15 + 4 * \row]{1to16}
  .endif
.endm

.macro load_pointer row, pointer, first, second, scratch
    mov \pointer, qword ptr [r15 + 8 * \row]
.endm

.macro step row, pointer, first, second, scratch
    vpxord zmm\scratch, zmm7, dword ptr [\pointer + r15]{1to16}
    vpdpbusd zmm\first, zmm\scratch, zmm0
  .if vectors == 2
    vpdpbusd zmm\second, zmm\scratch, zmm1
  .endif
.endm

.macro store_sums row, pointer, first, second, scratch
    vmovdqu32 zmmword ptr [rax + 128 * \row], zmm\first
  .if vectors == 2
    vmovdqu32 zmmword ptr [rax + 128 * \row + 64], zmm\second
  .endif
.endm

/* zmm0, zmm1: factors of even, odd columns; zmm2, zmm3: their constants; zmm4: shift; k1: even lanes; of vector 0, 1 */
.macro requantize_one accumulator
    vmovshdup zmm5, zmm\accumulator
    vpmuludq zmm\accumulator, zmm\accumulator, zmm0
    vpmuludq zmm5, zmm5, zmm1
    vpaddq zmm\accumulator, zmm\accumulator, zmm2
    vpaddq zmm5, zmm5, zmm3
    vmovshdup zmm5{k1}, zmm\accumulator
    vpsravd zmm\accumulator, zmm5, zmm4
.endm

/* besides: zmm6: one where shift > 0; zmm7: 2^31 */
.macro requantize_one_signed accumulator
    vpcmpud k2, zmm\accumulator, zmm7, 1
    vmovshdup zmm5, zmm\accumulator
    vpmuludq zmm\accumulator, zmm\accumulator, zmm0
    vpmuludq zmm5, zmm5, zmm1
    vpaddq zmm\accumulator, zmm\accumulator, zmm2
    vpaddq zmm5, zmm5, zmm3
    vmovshdup zmm5{k1}, zmm\accumulator
    vpsubd zmm5{k2}, zmm5, zmm6
    vpsravd zmm\accumulator, zmm5, zmm4
.endm

.macro requantize_first row, pointer, first, second, scratch
    requantize_one \first
.endm
.macro requantize_second row, pointer, first, second, scratch
    requantize_one \second
.endm
.macro requantize_first_signed row, pointer, first, second, scratch
    requantize_one_signed \first
.endm
.macro requantize_second_signed row, pointer, first, second, scratch
    requantize_one_signed \second
.endm

.macro load_factors vector
    vmovdqu64 zmm0, zmmword ptr [r14 + HEADER * \vector + 64]
    vmovdqu64 zmm3, zmmword ptr [r14 + HEADER * \vector + 128]
    vmovdqu64 zmm4, zmmword ptr [r14 + HEADER * \vector + 192]
    vmovshdup zmm1, zmm0
    vpsllq zmm2, zmm3, 32
    vpbroadcastd zmm2{k1}, dword ptr two_to_31[rip]
    vpbroadcastd zmm3{k1}, dword ptr two_to_31[rip]
.endm

/* zmm1: low, zmm2: high, zmm3: flip, zmm4: order */
.macro finish_bytes accumulator
    vpmaxub zmm\accumulator, zmm\accumulator, zmm1
    vpminub zmm\accumulator, zmm\accumulator, zmm2
    vpxord zmm\accumulator, zmm\accumulator, zmm3
.endm

/* Two rows of 32 columns; `other` is their second row, or `row` again at the end of an odd tile. */
.macro store_pair last, first, second, other_first, other_second
    vpackssdw zmm\first, zmm\first, zmm\second
  .if \last == 0
    vpackssdw zmm\other_first, zmm\other_first, zmm\other_second
  .endif
    vpackuswb zmm\first, zmm\first, zmm\other_first
    finish_bytes \first
    vpermq zmm\first, zmm4, zmm\first
    vmovdqu8 ymmword ptr [rax]{k3}, ymm\first
  .if \last == 0
    vextracti64x4 ymm\first, zmm\first, 1
    vmovdqu8 ymmword ptr [rax + rbx]{k3}, ymm\first
    lea rax, [rax + 2 * rbx]
  .endif
.endm

/* Up to four rows of 16 columns. */
.macro store_four count, first, second, third, fourth
    vpackssdw zmm\first, zmm\first, zmm\second
    vpackssdw zmm\third, zmm\third, zmm\fourth
    vpackuswb zmm\first, zmm\first, zmm\third
    finish_bytes \first
    vpermd zmm\first, zmm4, zmm\first
    vmovdqu8 xmmword ptr [rax]{k3}, xmm\first
  .if \count > 1
    vextracti32x4 xmm\second, zmm\first, 1
    vmovdqu8 xmmword ptr [rax + rbx]{k3}, xmm\second
    lea rax, [rax + 2 * rbx]
  .endif
  .if \count > 2
    vextracti32x4 xmm\second, zmm\first, 2
    vmovdqu8 xmmword ptr [rax]{k3}, xmm\second
  .endif
  .if \count > 3
    vextracti32x4 xmm\second, zmm\first, 3
    vmovdqu8 xmmword ptr [rax + rbx]{k3}, xmm\second
    lea rax, [rax + 2 * rbx]
  .endif
.endm

.macro store_wide count
  .if \count > 1
    store_pair 0, 8, 9, 10, 11
  .else
    store_pair 1, 8, 9, 8, 9
  .endif
  .if \count > 3
    store_pair 0, 12, 13, 14, 15
  .elseif \count > 2
    store_pair 1, 12, 13, 12, 13
  .endif
  .if \count > 5
    store_pair 0, 16, 17, 18, 19
  .elseif \count > 4
    store_pair 1, 16, 17, 16, 17
  .endif
  .if \count > 7
    store_pair 0, 20, 21, 22, 23
  .elseif \count > 6
    store_pair 1, 20, 21, 20, 21
  .endif
  .if \count > 9
    store_pair 0, 24, 25, 26, 27
  .elseif \count > 8
    store_pair 1, 24, 25, 24, 25
  .endif
  .if \count > 11
    store_pair 0, 28, 29, 30, 31
  .elseif \count > 10
    store_pair 1, 28, 29, 28, 29
  .endif
.endm

.macro store_narrow count
    store_four \count, 8, 10, 12, 14
  .if \count > 4
    store_four (\count - 4), 16, 18, 20, 22
  .endif
  .if \count > 8
    store_four (\count - 8), 24, 26, 28, 30
  .endif
.endm

/* With few rows one chain of vpdpbusd would wait for itself: four steps of depth go to accumulators of their own. */
.macro step_apart bytes, first, second
    vpxord zmm2, zmm7, dword ptr [rax + r15 + \bytes]{1to16}
    vpdpbusd zmm\first, zmm2, zmmword ptr [r14 + 16 * \bytes * vectors]
  .if vectors == 2
    vpdpbusd zmm\second, zmm2, zmmword ptr [r14 + 16 * \bytes * vectors + 64]
  .endif
.endm

.macro one_row_by_four
    lea rbx, [r15 + 16]
    cmp rbx, qword ptr [rsp + DEPTH_END]
    jg 3f
2:
    step_apart 0, 8, 9
    step_apart 4, 10, 11
    step_apart 8, 12, 13
    step_apart 12, 14, 15
    add r14, 256 * vectors
    mov r15, rbx
    add rbx, 16
    cmp rbx, qword ptr [rsp + DEPTH_END]
    jle 2b
3:
    cmp r15, qword ptr [rsp + DEPTH_END]
    jge 5f
.endm


.macro define name, count
    .globl \name
    .hidden \name
    .type \name, @function
    .balign 64
\name:
    .cfi_startproc
    endbr64
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
    sub rsp, 24
    .cfi_adjust_cfa_offset 24

    .balign 32
10: /* a panel */
    mov r14, qword ptr [rdi + TILE_PANEL]
    mov r15, qword ptr [rdi + TILE_ROW_OFFSETS]
    vmovdqu64 zmm8, zmmword ptr [r14]
  .if vectors == 2
    vmovdqu64 zmm9, zmmword ptr [r14 + HEADER]
  .endif
  .if \count == 1
    vpxor xmm10, xmm10, xmm10
    vpxor xmm11, xmm11, xmm11
    vpxor xmm12, xmm12, xmm12
    vpxor xmm13, xmm13, xmm13
    vpxor xmm14, xmm14, xmm14
    vpxor xmm15, xmm15, xmm15
  .endif
    each_row \count, start
    test r15, r15
    jz 1f
    each_row \count, offset
1:
    add r14, HEADER * vectors
    vpbroadcastd zmm7, dword ptr [rdi + TILE_FLIPS]
    mov r15, qword ptr [rdi + TILE_DISTANCES]
    mov rax, qword ptr [rdi + TILE_TAPS]
    mov qword ptr [rsp + NEXT_DISTANCE], r15
    mov qword ptr [rsp + TAPS_LEFT], rax
    mov r15, qword ptr [rdi + TILE_INPUTS]
    each_row \count, load_pointer
6:  /* a tap */
    mov r15, qword ptr [rsp + NEXT_DISTANCE]
    add qword ptr [rsp + NEXT_DISTANCE], 8
    mov r15, qword ptr [r15]
    add r15, qword ptr [rdi + TILE_DEPTH]
    mov qword ptr [rsp + DEPTH_END], r15
    sub r15, qword ptr [rdi + TILE_DEPTH]
  .if \count == 1
    one_row_by_four
  .endif
    .balign 32
4:
    vmovdqu64 zmm0, zmmword ptr [r14]
  .if vectors == 2
    vmovdqu64 zmm1, zmmword ptr [r14 + 64]
    .if \count > 7
    prefetcht0 [r14 + AHEAD]
    prefetcht0 [r14 + AHEAD + 64]
    .endif
  .endif
    each_row \count, step
    add r14, 64 * vectors
    add r15, 4
    cmp r15, qword ptr [rsp + DEPTH_END]
    jl 4b
5:
    sub qword ptr [rsp + TAPS_LEFT], 1
    jnz 6b

  .if \count == 1
    vpaddd zmm8, zmm8, zmm10
    vpaddd zmm12, zmm12, zmm14
    vpaddd zmm8, zmm8, zmm12
    .if vectors == 2
    vpaddd zmm9, zmm9, zmm11
    vpaddd zmm13, zmm13, zmm15
    vpaddd zmm9, zmm9, zmm13
    .endif
  .endif

    mov rax, qword ptr [rdi + TILE_SUMS]
    test rax, rax
    jz 7f
    each_row \count, store_sums
    jmp 9f
7:
  .if \count == 1
    mov r13, r14 /* the next panel */
  .endif
    mov r14, qword ptr [rdi + TILE_PANEL]
    mov eax, 0x5555
    kmovw k1, eax
    kmovq k3, qword ptr [rdi + TILE_MASK]
    mov rax, qword ptr [rdi + TILE_OUT]
    mov rbx, qword ptr [rdi + TILE_OUT_STRIDE]
    cmp dword ptr [rdi + TILE_POSITIVE], 0
    je 8f
    load_factors 0
    each_row \count, requantize_first
  .if vectors == 2
    load_factors 1
    each_row \count, requantize_second
  .endif
    jmp 2f
8:
    vpbroadcastd zmm7, dword ptr two_to_31[rip]
    load_factors 0
    vpminud zmm6, zmm4, dword ptr one[rip]{1to16}
    each_row \count, requantize_first_signed
  .if vectors == 2
    load_factors 1
    vpminud zmm6, zmm4, dword ptr one[rip]{1to16}
    each_row \count, requantize_second_signed
  .endif
2:
    vpbroadcastd zmm1, dword ptr [rdi + TILE_LOWS]
    vpbroadcastd zmm2, dword ptr [rdi + TILE_HIGHS]
    vpbroadcastd zmm3, dword ptr [rdi + TILE_OUT_FLIPS]
  .if vectors == 2
    vmovdqa64 zmm4, zmmword ptr quads_of_rows[rip]
    store_wide \count
  .else
    vmovdqa64 zmm4, zmmword ptr dwords_of_rows[rip]
    store_narrow \count
  .endif
  .if \count == 1
    add qword ptr [rdi + TILE_OUT], 16 * vectors
    mov qword ptr [rdi + TILE_PANEL], r13
    sub dword ptr [rdi + TILE_PANELS], 1
    jnz 10b
  .endif
9:
    vzeroupper
    add rsp, 24
    .cfi_adjust_cfa_offset -24
    pop r15
    .cfi_adjust_cfa_offset -8
    pop r14
    .cfi_adjust_cfa_offset -8
    pop r13
    .cfi_adjust_cfa_offset -8
    pop r12
    .cfi_adjust_cfa_offset -8
    pop rbp
    .cfi_adjust_cfa_offset -8
    pop rbx
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size \name, . - \name
.endm

    .set vectors, 2
    .irp count, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
    define gemm_8_\count\()x32_avx512vnni, \count
    .endr
    .set vectors, 1
    .irp count, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
    define gemm_8_\count\()x16_avx512vnni, \count
    .endr

    .section .note.GNU-stack, "", @progbits
