# SPDX-License-Identifier: Apache-2.0
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME photos COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/photos.py $<TARGET_FILE:eddy> ${CMAKE_SOURCE_DIR}/../shared/data)
set_tests_properties(photos PROPERTIES SKIP_RETURN_CODE 77)
