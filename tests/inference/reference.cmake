# SPDX-License-Identifier: Apache-2.0
eddy_test(reference_test reference_test.c LIBRARIES eddy_inference)
