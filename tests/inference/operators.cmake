# SPDX-License-Identifier: Apache-2.0
eddy_test(operators_test operators_test.c onnx_text.c LIBRARIES eddy_inference)
eddy_test(half_test half_test.c LIBRARIES eddy_inference)
eddy_test(lstm_test lstm_test.c LIBRARIES eddy_inference)
eddy_test(lstm_8_test lstm_8_test.c LIBRARIES eddy_inference)
eddy_test(control_test control_test.c onnx_text.c LIBRARIES eddy_inference)
eddy_test(passes_test passes_test.c onnx_text.c LIBRARIES eddy_inference)
eddy_test(run_threads_test run_threads_test.c onnx_text.c LIBRARIES eddy_inference)
eddy_test(bands_test bands_test.c onnx_text.c LIBRARIES eddy_inference)
