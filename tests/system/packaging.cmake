# SPDX-License-Identifier: Apache-2.0
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME tidy COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tidy.py)
add_test(NAME unit_security COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit_security.sh ${CMAKE_SOURCE_DIR}/packaging/debian/eddyd.service)
set_tests_properties(unit_security PROPERTIES SKIP_RETURN_CODE 77)
