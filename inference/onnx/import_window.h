/* SPDX-License-Identifier: Apache-2.0
 *
 * import_window.h: the window of convolutions and poolings over one to three axes. The engine works on planes (height, width): a line becomes
 * a plane of height 1, a volume is worked plane by plane. */
#ifndef EDDY_INFERENCE_ONNX_IMPORT_WINDOW_H
#define EDDY_INFERENCE_ONNX_IMPORT_WINDOW_H

#include "inference/onnx/import.h"

enum { WINDOW_AXES_MAX = 3 };

struct window {
    int axes;
    int32_t kernel[WINDOW_AXES_MAX], stride[WINDOW_AXES_MAX], dilation[WINDOW_AXES_MAX], before[WINDOW_AXES_MAX], after[WINDOW_AXES_MAX];
    int32_t groups;
    bool same, same_lower, ceil_mode, count_include_pad;
};

/* For an input [N, C, axes...]; ERROR_UNSUPPORTED where it has no or more than three axes. kernel: 0 where the node does not say. */
MUST_CHECK enum error_code import_window(struct importer *importer, const struct shape *input, struct window *window_out);

/* The window over two of its axes; -1: an axis of one element, where nothing moves. */
struct spatial window_plane(const struct window *window, int vertical, int horizontal);

#endif
