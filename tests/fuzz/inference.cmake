# SPDX-License-Identifier: Apache-2.0
eddy_fuzz(onnx_fuzz model_fuzz.c mutate_onnx.c LIBRARIES eddy_inference)
eddy_fuzz(tflite_fuzz model_fuzz.c mutate_tflite.c LIBRARIES eddy_inference)
if(EDDY_FUZZ) # a model may ask for gigabytes and get them; here that would only end the fuzzer
  target_compile_definitions(eddy_inference PRIVATE GRAPH_ARENA_BYTES_MAX=16777216u)
endif()
