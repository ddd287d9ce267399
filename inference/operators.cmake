# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES operators/operators.c operators/wide.c operators/binary.c operators/binary_rare.c operators/unary.c operators/softmax.c
  operators/convert.c operators/add_8.c operators/transpose_8.c operators/movement.c operators/selection.c operators/reduce.c operators/matmul.c
  operators/matmul_nbits.c operators/resize.c operators/resize_axis.c operators/pad.c operators/where.c operators/indexing.c operators/top_k.c
  operators/along.c operators/bounded.c
  operators/non_max_suppression.c operators/normalize.c operators/recurrent.c operators/integer_layers.c operators/conv_transpose.c
  operators/lstm.c operators/lstm_8.c operators/tree_ensemble.c operators/detection_postprocess.c)
