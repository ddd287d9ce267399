# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES
  onnx/protobuf.c onnx/parse.c onnx/parse_tensor.c onnx/import.c onnx/import_known.c onnx/import_elementwise.c onnx/import_shape.c
  onnx/import_index.c onnx/import_matrix.c onnx/import_einsum.c onnx/import_recurrent.c onnx/import_spatial.c onnx/import_convolution.c
  onnx/import_conv_transpose.c onnx/import_resize.c onnx/import_normalize.c onnx/import_quantized.c onnx/import_control.c
  onnx/import_trees.c)
