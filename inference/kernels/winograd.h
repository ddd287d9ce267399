/* SPDX-License-Identifier: Apache-2.0
 *
 * winograd.h: the matrices of minimal filtering F(m x m, 3 x 3), m = 2 or 4, n = m + 2 (Lavin and Gray, arXiv 1509.09308):
 * out = At [(G g Gt) * (Bt d B)] A for a window d of n x n inputs and a kernel g of 3 x 3: n * n multiplications in place of 9 m * m. */
#ifndef EDDY_INFERENCE_WINOGRAD_H
#define EDDY_INFERENCE_WINOGRAD_H

enum { WINOGRAD_WINDOW_MAX = 6, WINOGRAD_TILE_MAX = 4 };

struct winograd_matrices {
    float input[WINOGRAD_WINDOW_MAX][WINOGRAD_WINDOW_MAX];  /* Bt: n x n */
    double kernel[WINOGRAD_WINDOW_MAX][3];                  /* G: n x 3 */
    float output[WINOGRAD_TILE_MAX][WINOGRAD_WINDOW_MAX];   /* At: m x n */
};

static inline const struct winograd_matrices *winograd_matrices(int tile)
{
    static const struct winograd_matrices two = {
        .input = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
        .kernel = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
        .output = {{1, 1, 1, 0}, {0, 1, -1, -1}},
    };
    static const struct winograd_matrices four = {
        .input = {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
        .kernel = {{1.0 / 4, 0, 0}, {-1.0 / 6, -1.0 / 6, -1.0 / 6}, {-1.0 / 6, 1.0 / 6, -1.0 / 6}, {1.0 / 24, 1.0 / 12, 1.0 / 6},
                   {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1}},
        .output = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}},
    };
    return tile == 2 ? &two : &four;
}

#endif
