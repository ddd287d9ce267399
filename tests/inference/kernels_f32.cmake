# SPDX-License-Identifier: Apache-2.0
eddy_test(kernels_f32_test kernels_f32_test.c LIBRARIES eddy_inference)
eddy_test(layers_f32_test layers_f32_test.c LIBRARIES eddy_inference)
eddy_test(threads_test threads_test.c LIBRARIES eddy_inference)
eddy_test(sharing_test sharing_test.c LIBRARIES eddy_inference)
