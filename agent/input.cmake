# SPDX-License-Identifier: Apache-2.0
# From a message's bytes to a model's input, and from its outputs to a result: what eddyd and eddy infer share.
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(CBOR REQUIRED IMPORTED_TARGET libcbor)

add_library(eddy_input STATIC
  input.c input_image.c preprocess.c input_series.c series_match.c series_formats.c series_csv.c series_time.c
  descriptor.c task.c task_classes.c task_anomaly.c task_raw.c candidates.c detection_heads.c agreement.c)
target_link_libraries(eddy_input PUBLIC eddy_flags eddy_base eddy_config eddy_inference PRIVATE PkgConfig::JPEG PkgConfig::CBOR m)
# What runs once or rarely.
set_source_files_properties(series_csv.c series_match.c series_time.c task.c task_raw.c task_anomaly.c agreement.c input.c PROPERTIES COMPILE_OPTIONS -Os)
set_source_files_properties(preprocess.c PROPERTIES COMPILE_OPTIONS "${EDDY_VECTORS}")
