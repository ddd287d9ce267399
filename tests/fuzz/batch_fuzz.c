/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the body of a result message; and any bytes as result lines: what batch_encode makes of them, batch_decode gives back. */
#include "agent/batch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct batch_decoder *decoder, const uint8_t *data, size_t size)
{
    struct error error = {0};
    const char *text = NULL;
    size_t length = 0, sum = 0;
    if (batch_decode(decoder, data, size, &text, &length, &error) != ERROR_NONE) {
        if (error.message[0] == '\0')
            abort();
        return;
    }
    for (size_t i = 0; i < length; i++)
        sum += (unsigned char)text[i];
    if (length > BATCH_TEXT_BYTES_MAX || (length == 0 && sum != 0))
        abort();
}

static void round_trip(struct batch_encoder *encoder, struct batch_decoder *decoder, const uint8_t *data, size_t size)
{
    struct error error = {0};
    const char *text;
    size_t body_bytes, length;
    void *body = malloc(batch_bound(size));
    if (body == NULL)
        abort();
    enum outbox_encoding encoding = batch_encode(encoder, size % 2 == 0 ? COMPRESSION_LZ4 : COMPRESSION_LZ4HC, 0, (const char *)data, size, body, &body_bytes);
    if (encoding == OUTBOX_LZ4) {
        if (batch_decode(decoder, body, body_bytes, &text, &length, &error) != ERROR_NONE || length != size || memcmp(text, data, size) != 0)
            abort();
    }
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct batch_encoder *encoder;
    static struct batch_decoder *decoder;
    struct error error;
    if (decoder == NULL && (batch_encoder_new(&encoder, &error) != ERROR_NONE || batch_decoder_new(&decoder, &error) != ERROR_NONE))
        abort();
    decode(decoder, data, size);
    round_trip(encoder, decoder, data, size);
    return 0;
}
