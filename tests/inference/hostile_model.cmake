# SPDX-License-Identifier: Apache-2.0
eddy_test(hostile_model_test hostile_model_test.c LIBRARIES eddy_inference)
target_compile_definitions(hostile_model_test PRIVATE EDDY_SEEDS="${CMAKE_BINARY_DIR}/fuzz-seeds")
set_tests_properties(hostile_model_test PROPERTIES FIXTURES_REQUIRED fuzz_seeds)
