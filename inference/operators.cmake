# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES operators/operators.c operators/binary.c operators/unary.c operators/softmax.c operators/convert.c
  operators/add_8.c operators/transpose_8.c operators/movement.c operators/selection.c operators/reduce.c operators/matmul.c
  operators/resize.c operators/tree_ensemble.c operators/detection_postprocess.c)
