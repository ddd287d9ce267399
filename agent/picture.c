/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/picture.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum { CHANNELS = 3, HALVINGS_MAX = 5, BLOCK_MIN = 8, BLOCKS_A_SIDE = 6, SIDE_MIN = 8 };

struct picture {
    tjhandle decoder, encoder, cropper;
    const uint8_t *source;    /* the caller's JPEG */
    size_t source_bytes;
    int sampling;
    bool decoded, changed;    /* there are pixels; they are no longer the source's */
    uint8_t *pixels;          /* (height, width, 3) */
    size_t capacity;
    int width, height;
    uint8_t *small;           /* halved copies */
    size_t small_capacity;
    struct output {           /* libjpeg-turbo grows it; a handle takes back only the buffers that it made itself, so each has its own */
        uint8_t *bytes;
        unsigned long capacity;
    } encoded, cropped;
};

enum error_code picture_new(struct picture **picture_out, struct error *error)
{
    struct picture *picture = calloc(1, sizeof *picture);
    if (picture != NULL) {
        picture->decoder = tjInitDecompress();
        picture->encoder = tjInitCompress();
        picture->cropper = tjInitTransform();
    }
    if (picture == NULL || picture->decoder == NULL || picture->encoder == NULL || picture->cropper == NULL) {
        picture_free(picture);
        return error_set(error, ERROR_LIMIT, "no memory for images that leave");
    }
    *picture_out = picture;
    return ERROR_NONE;
}

void picture_free(struct picture *picture)
{
    if (picture == NULL)
        return;
    if (picture->decoder != NULL)
        tjDestroy(picture->decoder);
    if (picture->encoder != NULL)
        tjDestroy(picture->encoder);
    if (picture->cropper != NULL)
        tjDestroy(picture->cropper);
    free(picture->pixels);
    free(picture->small);
    tjFree(picture->encoded.bytes);
    tjFree(picture->cropped.bytes);
    free(picture);
}

static bool reserve(uint8_t **buffer, size_t *capacity, size_t needed)
{
    if (needed <= *capacity)
        return true;
    uint8_t *grown = realloc(*buffer, needed);
    if (grown == NULL)
        return false;
    *buffer = grown;
    *capacity = needed;
    return true;
}

enum error_code picture_open(struct picture *picture, const uint8_t *jpeg, size_t bytes, int64_t pixels_max, struct error *error)
{
    int width, height, sampling, colours;
    if (tjDecompressHeader3(picture->decoder, jpeg, bytes, &width, &height, &sampling, &colours) != 0 || width <= 0 || height <= 0)
        return error_set(error, ERROR_INPUT, "no JPEG to send on: %s", tjGetErrorStr2(picture->decoder));
    if ((int64_t)width * height > pixels_max)
        return error_set(error, ERROR_INPUT, "an image of %d x %d pixels is more than input.max_pixels", width, height);
    picture->source = jpeg;
    picture->source_bytes = bytes;
    picture->sampling = sampling;
    picture->width = width;
    picture->height = height;
    picture->decoded = picture->changed = false;
    return ERROR_NONE;
}

static enum error_code decode(struct picture *picture, struct error *error)
{
    if (picture->decoded)
        return ERROR_NONE;
    int width = picture->width, height = picture->height;
    if (!reserve(&picture->pixels, &picture->capacity, (size_t)width * (size_t)height * CHANNELS))
        return error_set(error, ERROR_LIMIT, "no memory for an image of %d x %d pixels", width, height);
    if (tjDecompress2(picture->decoder, picture->source, picture->source_bytes, picture->pixels, width, 0, height, TJPF_RGB, 0) != 0 &&
        tjGetErrorCode(picture->decoder) == TJERR_FATAL)
        return error_set(error, ERROR_INPUT, "damaged JPEG: %s", tjGetErrorStr2(picture->decoder));
    picture->decoded = true;
    return ERROR_NONE;
}

struct picture_box picture_whole(const struct picture *picture)
{
    return (struct picture_box){0, 0, picture->width, picture->height};
}

static int clamp(double value, int most)
{
    return value <= 0 ? 0 : value >= most ? most : (int)value;
}

struct picture_box picture_grow(const struct picture *picture, struct picture_box box, double share)
{
    double dx = (double)(box.x1 - box.x0) * share, dy = (double)(box.y1 - box.y0) * share;
    return (struct picture_box){clamp(box.x0 - dx, picture->width), clamp(box.y0 - dy, picture->height), clamp(box.x1 + dx + 0.999, picture->width),
                                clamp(box.y1 + dy + 0.999, picture->height)};
}

static void average_block(struct picture *picture, struct picture_box block)
{
    uint64_t sums[CHANNELS] = {0}, count = (uint64_t)(block.x1 - block.x0) * (uint64_t)(block.y1 - block.y0);
    for (int y = block.y0; y < block.y1; y++) {
        const uint8_t *row = picture->pixels + ((size_t)y * (size_t)picture->width) * CHANNELS;
        for (int i = block.x0 * CHANNELS; i < block.x1 * CHANNELS; i++)
            sums[i % CHANNELS] += row[i];
    }
    for (int y = block.y0; y < block.y1; y++) {
        uint8_t *row = picture->pixels + ((size_t)y * (size_t)picture->width) * CHANNELS;
        for (int i = block.x0 * CHANNELS; i < block.x1 * CHANNELS; i++)
            row[i] = (uint8_t)(sums[i % CHANNELS] / count);
    }
}

enum error_code picture_pixelate(struct picture *picture, struct picture_box box, struct error *error)
{
    TRY(decode(picture, error));
    picture->changed = true;
    int width = box.x1 - box.x0, height = box.y1 - box.y0, shorter = width < height ? width : height;
    int side = shorter / BLOCKS_A_SIDE > BLOCK_MIN ? shorter / BLOCKS_A_SIDE : BLOCK_MIN;
    for (int y = box.y0; y < box.y1; y += side) {
        for (int x = box.x0; x < box.x1; x += side)
            average_block(picture, (struct picture_box){x, y, x + side < box.x1 ? x + side : box.x1, y + side < box.y1 ? y + side : box.y1});
    }
    return ERROR_NONE;
}

/* (height, stride) -> (height / 2, width / 2), dense; safe in place, since it writes behind where it reads. */
static void halve(uint8_t *to, const uint8_t *from, size_t stride, int width, int height)
{
    for (int y = 0; y < height / 2; y++) {
        for (int x = 0; x < width / 2; x++) {
            for (int c = 0; c < CHANNELS; c++) {
                const uint8_t *at = from + (size_t)(2 * y) * stride + (size_t)(2 * x * CHANNELS + c);
                to[((size_t)y * (size_t)(width / 2) + (size_t)x) * CHANNELS + (size_t)c] = (uint8_t)((at[0] + at[CHANNELS] + at[stride] +
                                                                                                    at[stride + CHANNELS] + 2) / 4);
            }
        }
    }
}

static bool encode_at(struct picture *picture, const uint8_t *pixels, size_t stride, int width, int height, int quality, size_t *bytes_out)
{
    struct output *output = &picture->encoded;
    unsigned long bytes = output->capacity;
    int status = tjCompress2(picture->encoder, pixels, width, (int)stride, height, TJPF_RGB, &output->bytes, &bytes, TJSAMP_420, quality, 0);
    output->capacity = bytes > output->capacity ? bytes : output->capacity;
    *bytes_out = bytes;
    return status == 0;
}

/* Cut out of the coefficients, as they are: not a bit of quality is lost, and no second decoder is asked. The box begins where a block does. */
static bool crop(struct picture *picture, struct picture_box box, size_t bytes_max, size_t *bytes_out)
{
    if (picture->changed || picture->sampling < 0 || picture->sampling >= TJ_NUMSAMP)
        return false;
    int x = box.x0 - box.x0 % tjMCUWidth[picture->sampling], y = box.y0 - box.y0 % tjMCUHeight[picture->sampling];
    tjtransform transform = {.r = {x, y, box.x1 - x, box.y1 - y}, .op = TJXOP_NONE, .options = TJXOPT_CROP | TJXOPT_COPYNONE};
    struct output *output = &picture->cropped;
    unsigned long bytes = output->capacity;
    int status = tjTransform(picture->cropper, picture->source, picture->source_bytes, 1, &output->bytes, &bytes, &transform, TJFLAG_STOPONWARNING);
    output->capacity = bytes > output->capacity ? bytes : output->capacity;
    *bytes_out = bytes;
    return status == 0 && bytes <= bytes_max;
}

enum error_code picture_encode(struct picture *picture, struct picture_box box, size_t bytes_max, const uint8_t **jpeg_out, size_t *bytes_out,
                               struct error *error)
{
    static const int qualities[] = {90, 80, 70, 60, 50, 40, 30, 20};
    if (box.x1 > box.x0 && box.y1 > box.y0 && crop(picture, box, bytes_max, bytes_out)) {
        *jpeg_out = picture->cropped.bytes;
        return ERROR_NONE;
    }
    TRY(decode(picture, error));
    int width = box.x1 - box.x0, height = box.y1 - box.y0;
    size_t stride = (size_t)picture->width * CHANNELS;
    const uint8_t *pixels = picture->pixels + (size_t)box.y0 * stride + (size_t)box.x0 * CHANNELS;
    for (int halvings = 0; halvings <= HALVINGS_MAX && width > 0 && height > 0; halvings++) {
        for (size_t i = 0; i < sizeof qualities / sizeof qualities[0]; i++) {
            if (!encode_at(picture, pixels, stride, width, height, qualities[i], bytes_out))
                return error_set(error, ERROR_INTERNAL, "an image cannot be encoded: %s", tjGetErrorStr2(picture->encoder));
            *jpeg_out = picture->encoded.bytes;
            if (*bytes_out <= bytes_max)
                return ERROR_NONE;
        }
        if (width < 2 * SIDE_MIN || height < 2 * SIDE_MIN)
            break;
        if (!reserve(&picture->small, &picture->small_capacity, (size_t)(width / 2) * (size_t)(height / 2) * CHANNELS))
            return error_set(error, ERROR_LIMIT, "no memory for a smaller image");
        halve(picture->small, pixels, stride, width, height);
        width /= 2;
        height /= 2;
        stride = (size_t)width * CHANNELS;
        pixels = picture->small;
    }
    return error_set(error, ERROR_LIMIT, "an image does not fit images.max_bytes (%zu)", bytes_max);
}
