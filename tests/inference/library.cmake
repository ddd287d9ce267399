# SPDX-License-Identifier: Apache-2.0
# A cross build has no program to run here, and a sanitizer's run-time is no part of an installed library's size.
if(NOT CMAKE_CROSSCOMPILING)
  set(sanitize "")
  set(code_bytes_max 600000)
  if(EDDY_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined)
  elseif(EDDY_SANITIZE STREQUAL "thread")
    set(sanitize -fsanitize=thread)
  endif()
  if(EDDY_SANITIZE)
    set(code_bytes_max 0)
  endif()
  add_test(NAME library COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/library.sh ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR} ${CMAKE_C_COMPILER}
           ${code_bytes_max} ${sanitize})
endif()
