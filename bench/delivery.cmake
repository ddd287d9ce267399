# SPDX-License-Identifier: Apache-2.0
if(TARGET eddy_agent)
  eddy_bench(delivery delivery.c LIBRARIES eddy_agent)
  eddy_bench(rates rates.c LIBRARIES eddy_agent)
  eddy_bench(delay_proxy delay_proxy.c)
  add_library(slow_sync MODULE slow_sync.c)
  set_target_properties(slow_sync PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench PREFIX "")
endif()
