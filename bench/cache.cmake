# SPDX-License-Identifier: Apache-2.0
if(TARGET eddy_cache)
  eddy_bench(cache_policy cache_policy.c policies.c LIBRARIES eddy_cache m)
  eddy_bench(cache_near cache_near.c LIBRARIES eddy_agent m)
  eddy_bench(cache_cost cache_cost.c LIBRARIES eddy_agent m)
  foreach(program cache_policy cache_near cache_cost)
    target_include_directories(${program} PRIVATE ${XXHASH_INCLUDE_DIRS})
  endforeach()
endif()
