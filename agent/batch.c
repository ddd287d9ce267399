/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

enum { LEVEL_FAST = 0, LEVEL_LOW = 3, LEVEL_MIDDLE = 6, LEVEL_HIGH = 9, FRAME_MAGIC = 0x184D2204 };

struct batch_encoder {
    int level; /* of lz4hc */
    LZ4F_cctx *context;
};

enum error_code batch_encoder_new(struct batch_encoder **encoder_out, struct error *error)
{
    struct batch_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL || LZ4F_isError(LZ4F_createCompressionContext(&encoder->context, LZ4F_VERSION))) {
        free(encoder);
        return error_set(error, ERROR_LIMIT, "no memory for the LZ4 encoder");
    }
    encoder->level = LEVEL_HIGH;
    *encoder_out = encoder;
    return ERROR_NONE;
}

void batch_encoder_adapt(struct batch_encoder *encoder, double idle_share)
{
    encoder->level = idle_share >= 0.5 ? LEVEL_HIGH : idle_share >= 0.25 ? LEVEL_MIDDLE : idle_share >= 0.1 ? LEVEL_LOW : LEVEL_FAST;
}

int batch_encoder_level(const struct batch_encoder *encoder)
{
    return encoder->level;
}

void batch_encoder_free(struct batch_encoder *encoder)
{
    if (encoder != NULL)
        LZ4F_freeCompressionContext(encoder->context);
    free(encoder);
}

size_t batch_bound(size_t raw_bytes)
{
    return LZ4F_compressFrameBound(raw_bytes, NULL) + LZ4F_HEADER_SIZE_MAX + 64;
}

static size_t encode_frame(struct batch_encoder *encoder, int level, const char *raw, size_t raw_bytes, void *body, size_t capacity)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .contentSize = raw_bytes, .contentChecksumFlag = LZ4F_contentChecksumEnabled},
        .compressionLevel = level, .autoFlush = 1};
    char *at = body;
    size_t used = LZ4F_compressBegin(encoder->context, at, capacity, &preferences);
    if (LZ4F_isError(used))
        return 0;
    size_t step = LZ4F_compressUpdate(encoder->context, at + used, capacity - used, raw, raw_bytes, NULL);
    if (LZ4F_isError(step))
        return 0;
    used += step;
    step = LZ4F_compressEnd(encoder->context, at + used, capacity - used, NULL);
    return LZ4F_isError(step) ? 0 : used + step;
}

enum outbox_encoding batch_encode(struct batch_encoder *encoder, enum compression compression, int64_t compress_above, const char *raw,
                                  size_t raw_bytes, void *body, size_t *body_bytes_out)
{
    if (compression != COMPRESSION_NONE && (int64_t)raw_bytes >= compress_above) {
        int level = compression == COMPRESSION_LZ4HC ? encoder->level : LEVEL_FAST;
        size_t bytes = encode_frame(encoder, level, raw, raw_bytes, body, batch_bound(raw_bytes));
        if (bytes > 0 && bytes < raw_bytes) {
            *body_bytes_out = bytes;
            return OUTBOX_LZ4;
        }
    }
    memcpy(body, raw, raw_bytes);
    *body_bytes_out = raw_bytes;
    return OUTBOX_PLAIN;
}

struct batch_decoder {
    LZ4F_dctx *context;
    char *text;
    size_t capacity;
};

enum error_code batch_decoder_new(struct batch_decoder **decoder_out, struct error *error)
{
    struct batch_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL || LZ4F_isError(LZ4F_createDecompressionContext(&decoder->context, LZ4F_VERSION))) {
        free(decoder);
        return error_set(error, ERROR_LIMIT, "no memory for the LZ4 decoder");
    }
    *decoder_out = decoder;
    return ERROR_NONE;
}

void batch_decoder_free(struct batch_decoder *decoder)
{
    if (decoder == NULL)
        return;
    LZ4F_freeDecompressionContext(decoder->context);
    free(decoder->text);
    free(decoder);
}

static bool grow(struct batch_decoder *decoder)
{
    size_t capacity = decoder->capacity == 0 ? 256 * 1024 : 2 * decoder->capacity;
    char *text = capacity <= BATCH_TEXT_BYTES_MAX ? realloc(decoder->text, capacity) : NULL;
    if (text == NULL)
        return false;
    decoder->text = text;
    decoder->capacity = capacity;
    return true;
}

static bool is_frame(const uint8_t *body, size_t bytes)
{
    return bytes >= 4 && (body[0] | (uint32_t)body[1] << 8 | (uint32_t)body[2] << 16 | (uint32_t)body[3] << 24) == FRAME_MAGIC;
}

enum error_code batch_decode(struct batch_decoder *decoder, const void *body, size_t body_bytes, const char **text_out,
                             size_t *text_bytes_out, struct error *error)
{
    if (!is_frame(body, body_bytes)) {
        *text_out = body;
        *text_bytes_out = body_bytes;
        return ERROR_NONE;
    }
    const char *source = body;
    size_t left = body_bytes, length = 0, hint = 1;
    LZ4F_resetDecompressionContext(decoder->context);
    while (hint != 0) {
        if (length == decoder->capacity && !grow(decoder))
            return error_set(error, ERROR_LIMIT, "a frame of more than %d bytes of text", BATCH_TEXT_BYTES_MAX);
        size_t room = decoder->capacity - length, used = left;
        hint = LZ4F_decompress(decoder->context, decoder->text + length, &room, source, &used, NULL);
        if (LZ4F_isError(hint))
            return error_set(error, ERROR_INPUT, "damaged LZ4 frame: %s", LZ4F_getErrorName(hint));
        if (hint != 0 && used == 0 && room == 0 && length < decoder->capacity)
            return error_set(error, ERROR_INPUT, "LZ4 frame ends too early");
        length += room;
        source += used;
        left -= used;
    }
    *text_out = decoder->text;
    *text_bytes_out = length;
    return ERROR_NONE;
}
