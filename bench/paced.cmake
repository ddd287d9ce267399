# SPDX-License-Identifier: Apache-2.0
eddy_bench(paced paced.c LIBRARIES eddy_inference)
