/* SPDX-License-Identifier: Apache-2.0
 *
 * assembly_avx512.h: how each file of assembly begins. */
#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", @progbits
#endif
    .intel_syntax noprefix
    .cfi_sections .debug_frame /* for debuggers alone: the program has no tables for unwinding */
    .altmacro
    .text
