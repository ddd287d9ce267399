# SPDX-License-Identifier: Apache-2.0
eddy_test(tflite_test tflite_test.c LIBRARIES eddy_inference)
