# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES tflite/flatbuffer.c tflite/flexbuffer.c tflite/tflite.c tflite/tensors.c tflite/convert.c
     tflite/layers.c tflite/shapes.c tflite/recurrent.c tflite/detection.c)
