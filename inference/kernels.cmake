# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES kernels/kernels.c kernels/panels_f32.c kernels/pack_8.c kernels/bytes.c kernels/scalar/reference.c kernels/scalar/bytes.c
  operators/spatial.c operators/convolution.c operators/convolution_f32.c operators/narrow_convolution_f32.c operators/winograd.c
  operators/convolution_8.c operators/wide_convolution.c
  operators/depthwise.c operators/depthwise_f32.c operators/depthwise_8.c operators/fully_connected.c operators/fully_connected_8.c
  operators/pool.c operators/pool_f32.c operators/pool_8.c operators/shuffle.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND EDDY_INFERENCE_SOURCES kernels/x86/avx2.c kernels/x86/avx512.c
    kernels/x86/bytes_avx2.c kernels/x86/depthwise_8_avx2.c kernels/x86/elementwise_8_avx2.c kernels/x86/bytes_avxvnni.c
    kernels/x86/bytes_avx512vnni.c
    kernels/x86/elementwise_8_avx512.c kernels/x86/depthwise_8_avx512vnni.c
    kernels/x86/gemm_8_avx512vnni.S kernels/x86/gemm_f32_avx512.S kernels/x86/narrow_f32_avx512.S kernels/x86/depthwise_f32_avx512.S
    kernels/x86/depthwise_3x3_f32_avx512.S)
  enable_language(ASM)
  set(avx512_flags "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;-mbmi2;-mprefer-vector-width=512;-ffp-contract=fast")
  set_source_files_properties(kernels/x86/avx2.c kernels/x86/bytes_avx2.c kernels/x86/depthwise_8_avx2.c kernels/x86/elementwise_8_avx2.c
    PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-ffp-contract=fast")
  set_source_files_properties(kernels/x86/bytes_avxvnni.c PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mavxvnni")
  set_source_files_properties(kernels/x86/avx512.c PROPERTIES COMPILE_OPTIONS "${avx512_flags}")
  set_source_files_properties(kernels/x86/bytes_avx512vnni.c kernels/x86/depthwise_8_avx512vnni.c
    kernels/x86/elementwise_8_avx512.c PROPERTIES COMPILE_OPTIONS "${avx512_flags};-mavx512vnni")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(APPEND EDDY_INFERENCE_SOURCES kernels/arm/neon.c kernels/arm/bytes_neon.c)
  set_source_files_properties(kernels/arm/neon.c PROPERTIES COMPILE_OPTIONS "-ffp-contract=fast")
endif()
