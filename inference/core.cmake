# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES graph.c constants.c plan.c packed.c bands.c threads.c sharing.c engine.c)
# Kept packed weights (packed.h) are good for the very code that packs and reads them: a digest of it is part of their key.
file(GLOB_RECURSE packing ${CMAKE_CURRENT_SOURCE_DIR}/kernels/*.[chS])
file(GLOB packing_operators ${CMAKE_CURRENT_SOURCE_DIR}/operators/*convolution*.[ch] ${CMAKE_CURRENT_SOURCE_DIR}/operators/winograd.c
     ${CMAKE_CURRENT_SOURCE_DIR}/operators/fully_connected*.c ${CMAKE_CURRENT_SOURCE_DIR}/operators/lstm.c)
set(digests "")
foreach(source ${packing} ${packing_operators})
  file(SHA256 ${source} digest)
  string(APPEND digests ${digest})
endforeach()
string(SHA256 packing_digest "${digests}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${packing} ${packing_operators})
set_source_files_properties(packed.c PROPERTIES COMPILE_DEFINITIONS PACKING_DIGEST="${packing_digest}")
