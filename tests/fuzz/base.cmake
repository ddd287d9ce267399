# SPDX-License-Identifier: Apache-2.0
eddy_fuzz(json_fuzz json_fuzz.c LIBRARIES eddy_base)
