# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES passes/passes.c passes/layout.c passes/fuse.c passes/quantize.c passes/shuffle.c passes/residual.c
     passes/reuse.c passes/winograd.c passes/concat.c passes/bands.c passes/inputs.c)
