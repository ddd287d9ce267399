# SPDX-License-Identifier: Apache-2.0
# Hot kernels hold their accumulators in registers: judged from the disassembly of what was just built. Other compilers and builds that are
# made for finding faults may spill. vnni_depthwise hands constants over on the stack, avx512_window_max
# broadcasts an argument.
find_program(EDDY_OBJDUMP objdump)
find_program(EDDY_PYTHON python3)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND EDDY_SANITIZE STREQUAL "" AND
   CMAKE_BUILD_TYPE MATCHES "^Rel" AND EDDY_OBJDUMP AND EDDY_PYTHON)
  set(objects ${CMAKE_BINARY_DIR}/inference/CMakeFiles/eddy_inference.dir/kernels/x86)
  add_test(NAME spills_test COMMAND ${EDDY_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/spills.py ${EDDY_OBJDUMP}
           ${objects}/gemm_8_avx512vnni.S.o:gemm_8_.*=0 ${objects}/narrow_f32_avx512.S.o:narrow_f32_.*=0
           ${objects}/depthwise_3x3_f32_avx512.S.o:depthwise_3x3_.*=0
           ${objects}/depthwise_8_avx512vnni.c.o:three_.*=0 ${objects}/depthwise_8_avx512vnni.c.o:any_.*=0
           ${objects}/depthwise_8_avx512vnni.c.o:strided_.*=0 ${objects}/depthwise_8_avx512vnni.c.o:vnni_depthwise=4
           ${objects}/depthwise_8_avx2.c.o:three_.*=0
           ${objects}/elementwise_8_avx512.c.o:add_blocks_linearly=0
           ${objects}/elementwise_8_avx512.c.o:avx512_window_sum=0 ${objects}/elementwise_8_avx512.c.o:avx512_window_max=1)
endif()
