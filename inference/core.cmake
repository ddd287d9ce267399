# SPDX-License-Identifier: Apache-2.0
list(APPEND EDDY_INFERENCE_SOURCES graph.c plan.c packed.c threads.c engine.c)
