/* SPDX-License-Identifier: Apache-2.0
 *
 * picture.h: an RGB image in memory: from a JPEG, parts of it made unrecognisable, parts of it out again as a JPEG of a given size.
 *
 * A picture that was not changed is cut out of the JPEG's coefficients, without loss, where that fits (libjpeg-turbo's tjTransform); else it is encoded
 * anew from pixels. Nothing of the original's metadata (EXIF, thumbnails, comments) is in it either way. Pixels are decoded when they are needed first.
 * Memory: buffers grow to the largest image and stay. Threads: one owner. Errors: ERROR_INPUT for what is no JPEG or too large. */
#ifndef EDDY_AGENT_PICTURE_H
#define EDDY_AGENT_PICTURE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct picture;

struct picture_box {
    int x0, y0, x1, y1;       /* pixels; x1 and y1 are the first ones outside */
};

MUST_CHECK enum error_code picture_new(struct picture **picture_out, struct error *error);
void picture_free(struct picture *picture);
/* jpeg: the caller's, until the next picture_open. */
MUST_CHECK enum error_code picture_open(struct picture *picture, const uint8_t *jpeg, size_t bytes, int64_t pixels_max, struct error *error);
struct picture_box picture_whole(const struct picture *picture);
/* Grown by a share of its size on each side and cut at the edges; an empty one where it lies outside. */
struct picture_box picture_grow(const struct picture *picture, struct picture_box box, double share);
/* Blocks of a sixth of its shorter side, 8 pixels at least. */
MUST_CHECK enum error_code picture_pixelate(struct picture *picture, struct picture_box box, struct error *error);
/* The box as a JPEG of at most bytes_max: as it is, begun up to a block (8 or 16 pixels) further left and above; else at the best quality that fits, in
 * half the size where none does, and so on. *jpeg_out: borrowed until the next call. */
MUST_CHECK enum error_code picture_encode(struct picture *picture, struct picture_box box, size_t bytes_max, const uint8_t **jpeg_out,
                                          size_t *bytes_out, struct error *error);

#endif
