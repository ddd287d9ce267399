/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG by libjpeg-turbo. The decoder works at the smallest DCT scale (1/8, 1/4, 1/2, 1: those with SIMD) that still covers what the model
 * needs. A warning that the data is damaged makes the image an error: a wrong picture is worse than none. EXIF orientation is not applied. */
#include "agent/input_internal.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum { PROGRESSIVE_PIXELS_MAX = 25000000, SCANS_MAX = 200 };

struct image_decoder {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    int damage;               /* message code of the first warning that is not harmless; 0: none */
    uint8_t *pixels;
    size_t pixel_capacity;
};

static struct image_decoder *decoder_of(j_common_ptr info)
{
    return info->client_data;
}

static void on_fatal(j_common_ptr info)
{
    struct image_decoder *decoder = decoder_of(info);
    info->err->format_message(info, decoder->message);
    longjmp(decoder->escape, 1);
}

static bool is_harmless(int code)
{
    return code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM || code == JWRN_TOO_MUCH_DATA || code == JWRN_BOGUS_ICC;
}

static void on_message(j_common_ptr info, int level)
{
    struct image_decoder *decoder = decoder_of(info);
    if (level < 0 && decoder->damage == 0 && !is_harmless(info->err->msg_code)) {
        decoder->damage = info->err->msg_code;
        info->err->format_message(info, decoder->message);
    }
}

/* A small file can name thousands of scans over a large image: each costs a pass. */
static void on_progress(j_common_ptr info)
{
    if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > SCANS_MAX) {
        struct image_decoder *decoder = decoder_of(info);
        snprintf(decoder->message, sizeof decoder->message, "more scans than any real image has");
        longjmp(decoder->escape, 1);
    }
}

enum error_code image_decoder_new(struct image_decoder **decoder_out, struct error *error)
{
    struct image_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a JPEG decoder");
    decoder->info.err = jpeg_std_error(&decoder->errors);
    decoder->errors.error_exit = on_fatal;
    decoder->errors.emit_message = on_message;
    decoder->info.client_data = decoder;
    if (setjmp(decoder->escape) != 0) {
        free(decoder);
        return error_set(error, ERROR_LIMIT, "the JPEG decoder does not start");
    }
    jpeg_create_decompress(&decoder->info);
    decoder->progress.progress_monitor = on_progress;
    decoder->info.progress = &decoder->progress;
    decoder->info.client_data = decoder;
    *decoder_out = decoder;
    return ERROR_NONE;
}

void image_decoder_free(struct image_decoder *decoder)
{
    if (decoder == NULL)
        return;
    jpeg_destroy_decompress(&decoder->info);
    free(decoder->pixels);
    free(decoder);
}

static enum error_code check_header(const struct image_decoder *decoder, int64_t pixels_max, struct error *error)
{
    const struct jpeg_decompress_struct *info = &decoder->info;
    int64_t pixels = (int64_t)info->image_width * info->image_height;
    if (pixels > pixels_max)
        return error_set(error, ERROR_LIMIT, "an image of %u x %u pixels, at most %lld pixels are decoded (input.max_pixels)", info->image_width,
                         info->image_height, (long long)pixels_max);
    if (info->progressive_mode && pixels > PROGRESSIVE_PIXELS_MAX)
        return error_set(error, ERROR_LIMIT, "a progressive image of %u x %u pixels: such are decoded up to %d pixels", info->image_width,
                         info->image_height, PROGRESSIVE_PIXELS_MAX);
    return ERROR_NONE;
}

/* The smallest scale at which the picture still has as many pixels as the model will look at. */
static void choose_scale(struct jpeg_decompress_struct *info, const struct preprocess *preprocess)
{
    float scale_x, scale_y, offset_x, offset_y;
    preprocess_place(preprocess, (int32_t)info->image_width, (int32_t)info->image_height, &scale_x, &scale_y, &offset_x, &offset_y);
    float needed = scale_x > scale_y ? scale_x : scale_y;
    info->scale_num = 1;
    for (info->scale_denom = 8; info->scale_denom > 1 && needed * (float)info->scale_denom > 1.0001f; info->scale_denom /= 2)
        ;
}

/* Decodes all rows; libjpeg gives CMYK as Adobe stores it, inverted, when the marker says so. */
static void read_rows(struct image_decoder *decoder, uint8_t *target, size_t stride)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    while (info->output_scanline < info->output_height) {
        JSAMPROW rows[8];
        JDIMENSION count = info->output_height - info->output_scanline;
        count = count < 8 ? count : 8;
        for (JDIMENSION i = 0; i < count; i++)
            rows[i] = target + (size_t)(info->output_scanline + i) * stride;
        jpeg_read_scanlines(info, rows, count);
    }
}

static void cmyk_to_model(const uint8_t *cmyk, uint8_t *pixels, size_t count, bool inverted, enum color color)
{
    for (size_t i = 0; i < count; i++, cmyk += 4) {
        unsigned k = inverted ? cmyk[3] : 255u - cmyk[3], rgb[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = (inverted ? cmyk[c] : 255u - cmyk[c]) * k / 255;
        if (color == COLOR_GRAY) {
            *pixels++ = (uint8_t)((rgb[0] * 299 + rgb[1] * 587 + rgb[2] * 114) / 1000);
            continue;
        }
        for (int c = 0; c < 3; c++)
            *pixels++ = (uint8_t)rgb[color == COLOR_BGR ? 2 - c : c];
    }
}

static J_COLOR_SPACE output_space(enum color color, bool cmyk)
{
    if (cmyk)
        return JCS_CMYK;
    return color == COLOR_GRAY ? JCS_GRAYSCALE : color == COLOR_BGR ? JCS_EXT_BGR : JCS_EXT_RGB;
}

static bool reserve(struct image_decoder *decoder, size_t bytes)
{
    if (bytes <= decoder->pixel_capacity)
        return true;
    uint8_t *grown = realloc(decoder->pixels, bytes);
    if (grown == NULL)
        return false;
    decoder->pixels = grown;
    decoder->pixel_capacity = bytes;
    return true;
}

static enum error_code decode(struct image_decoder *decoder, const struct input *input, struct image_geometry *geometry, struct error *error)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    enum color color = input->manifest->input.color;
    TRY(check_header(decoder, input->pipeline->input.max_pixels, error));
    choose_scale(info, &input->preprocess);
    info->out_color_space = output_space(color, cmyk);
    info->do_fancy_upsampling = FALSE;
    info->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(info);
    size_t pixels = (size_t)info->output_width * info->output_height, channels = color == COLOR_GRAY ? 1 : 3;
    size_t cmyk_at = pixels * channels;
    if (!reserve(decoder, cmyk ? cmyk_at + pixels * 4 : cmyk_at))
        return error_set(error, ERROR_LIMIT, "no memory for %u x %u pixels", info->output_width, info->output_height);
    uint8_t *target = cmyk ? decoder->pixels + cmyk_at : decoder->pixels;
    read_rows(decoder, target, (size_t)info->output_width * (cmyk ? 4 : channels));
    jpeg_finish_decompress(info);
    if (cmyk)
        cmyk_to_model(target, decoder->pixels, pixels, info->saw_Adobe_marker, color);
    *geometry = (struct image_geometry){.width = (int32_t)info->image_width, .height = (int32_t)info->image_height,
                                        .model_width = input->preprocess.width, .model_height = input->preprocess.height};
    preprocess_place(&input->preprocess, geometry->width, geometry->height, &geometry->scale_x, &geometry->scale_y, &geometry->offset_x,
                     &geometry->offset_y);
    return ERROR_NONE;
}

static enum error_code describe_damage(const struct image_decoder *decoder, struct error *error)
{
    bool cut = decoder->damage == JWRN_JPEG_EOF || decoder->damage == JWRN_HIT_MARKER;
    return error_set(error, ERROR_INPUT, "%s JPEG: %s", cut ? "truncated" : "damaged", decoder->message);
}

static enum error_code check_start(const uint8_t *bytes, size_t length, struct error *error)
{
    if (length == 0)
        return error_set(error, ERROR_INPUT, "empty message, expected a JPEG");
    if (length < 4 || bytes[0] != 0xFF || bytes[1] != 0xD8)
        return error_set(error, ERROR_INPUT, "not a JPEG: begins with 0x%02x%02x, expected 0xffd8", bytes[0], length > 1 ? bytes[1] : 0);
    return ERROR_NONE;
}

enum error_code input_decode_image(struct input *input, const uint8_t *bytes, size_t length, struct tensor *tensor,
                                   struct image_geometry *geometry_out, struct error *error)
{
    struct image_decoder *decoder = input->decoder;
    TRY(check_start(bytes, length, error));
    decoder->damage = 0;
    if (setjmp(decoder->escape) != 0) {
        jpeg_abort_decompress(&decoder->info);
        return error_set(error, ERROR_INPUT, "cannot decode the JPEG: %s", decoder->message);
    }
    jpeg_mem_src(&decoder->info, bytes, length);
    jpeg_read_header(&decoder->info, TRUE);
    enum error_code code = decode(decoder, input, geometry_out, error);
    int32_t width = (int32_t)decoder->info.output_width, height = (int32_t)decoder->info.output_height;
    jpeg_abort_decompress(&decoder->info);
    TRY(code);
    if (decoder->damage != 0)
        return describe_damage(decoder, error);
    if (!preprocess_run(&input->preprocess, decoder->pixels, width, height, tensor->data))
        return error_set(error, ERROR_LIMIT, "no memory for a row of %d pixels", width);
    return ERROR_NONE;
}

/* At 1/8 a sample is a block's DC coefficient: no inverse DCT, no resizing. */
static void describe(struct image_decoder *decoder, struct near_descriptor *descriptor)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    struct descriptor_cells cells;
    info->scale_num = 1;
    info->scale_denom = 8;
    info->out_color_space = info->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_YCbCr;
    info->do_fancy_upsampling = FALSE;
    jpeg_start_decompress(info);
    descriptor_begin(&cells, (int32_t)info->output_width, (int32_t)info->output_height, info->output_components);
    if (!reserve(decoder, (size_t)info->output_width * (size_t)info->output_components))
        longjmp(decoder->escape, 1);
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = decoder->pixels;
        jpeg_read_scanlines(info, &row, 1);
        descriptor_add_row(&cells, row);
    }
    descriptor_finish(&cells, descriptor);
    descriptor->width = (int32_t)info->image_width;
    descriptor->height = (int32_t)info->image_height;
    jpeg_finish_decompress(info);
}

bool input_describe_image(struct input *input, const uint8_t *bytes, size_t length, struct near_descriptor *descriptor_out)
{
    struct image_decoder *decoder = input->decoder;
    struct error ignored;
    if (check_start(bytes, length, &ignored) != ERROR_NONE)
        return false;
    decoder->damage = 0;
    if (setjmp(decoder->escape) != 0) {
        jpeg_abort_decompress(&decoder->info);
        return false;
    }
    jpeg_mem_src(&decoder->info, bytes, length);
    jpeg_read_header(&decoder->info, TRUE);
    bool usable = check_header(decoder, input->pipeline->input.max_pixels, &ignored) == ERROR_NONE &&
                  (decoder->info.jpeg_color_space == JCS_YCbCr || decoder->info.jpeg_color_space == JCS_GRAYSCALE);
    if (usable)
        describe(decoder, descriptor_out);
    jpeg_abort_decompress(&decoder->info);
    return usable && decoder->damage == 0;
}

enum error_code input_image_size(const uint8_t *bytes, size_t length, int32_t *width_out, int32_t *height_out, struct error *error)
{
    struct image_decoder *decoder;
    TRY(check_start(bytes, length, error));
    TRY(image_decoder_new(&decoder, error));
    enum error_code code = ERROR_NONE;
    if (setjmp(decoder->escape) != 0) {
        error_set(error, ERROR_INPUT, "cannot read the JPEG's header: %s", decoder->message);
        image_decoder_free(decoder);
        return ERROR_INPUT;
    }
    jpeg_mem_src(&decoder->info, bytes, length);
    jpeg_read_header(&decoder->info, TRUE);
    *width_out = (int32_t)decoder->info.image_width;
    *height_out = (int32_t)decoder->info.image_height;
    image_decoder_free(decoder);
    return code;
}
