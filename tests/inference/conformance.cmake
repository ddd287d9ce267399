# SPDX-License-Identifier: Apache-2.0
if(NOT EDDY_ONLY_INFERENCE)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  foreach(part conformance operators_document)
    add_test(NAME ${part} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/conformance.py ${part} $<TARGET_FILE:eddy>
             ${CMAKE_SOURCE_DIR}/../shared/data/onnx-node-tests)
    set_tests_properties(${part} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
endif()
