# SPDX-License-Identifier: Apache-2.0
if(TARGET eddy_agent)
  eddy_bench(delivery delivery.c LIBRARIES eddy_agent)
endif()
