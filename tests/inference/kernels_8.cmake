# SPDX-License-Identifier: Apache-2.0
eddy_test(kernels_8_test kernels_8_test.c LIBRARIES eddy_inference)
