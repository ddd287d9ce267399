# SPDX-License-Identifier: Apache-2.0
eddy_fuzz(onnx_fuzz model_fuzz.c mutate_onnx.c LIBRARIES eddy_inference)
eddy_fuzz(tflite_fuzz model_fuzz.c mutate_tflite.c LIBRARIES eddy_inference)
if(EDDY_FUZZ) # a model may ask for gigabytes and get them; here that would only end the fuzzer
  target_compile_definitions(eddy_inference PRIVATE GRAPH_ARENA_BYTES_MAX=524288u)
  # Comparisons of numbers lead the fuzzer into the loaders; in loops over nodes and numbers they only take half of its time.
  get_target_property(sources eddy_inference SOURCES)
  list(FILTER sources INCLUDE REGEX "^(kernels|operators|passes)/.*[.]c$|^(bands|graph|plan)[.]c$")
  list(TRANSFORM sources PREPEND ${CMAKE_SOURCE_DIR}/inference/)
  set_property(SOURCE ${sources} TARGET_DIRECTORY eddy_inference APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize-coverage=trace-cmp)
endif()
