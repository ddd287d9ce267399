# SPDX-License-Identifier: Apache-2.0
eddy_test(packed_test packed_test.c onnx_text.c LIBRARIES eddy_inference)
eddy_test(plan_test plan_test.c LIBRARIES eddy_inference)
