/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/thin.h"

#include "agent/batch.h"
#include "agent/importance.h"

#include <stdlib.h>
#include <string.h>

struct thinner {
    struct batch_decoder *decoder;
    struct batch_encoder *encoder;
    double low_confidence;
    char *raw, *body;
    size_t raw_capacity, body_capacity;
};

enum error_code thinner_new(double low_confidence, struct thinner **thinner_out, struct error *error)
{
    struct thinner *thinner = calloc(1, sizeof *thinner);
    if (thinner == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for thinning the outbox");
    thinner->low_confidence = low_confidence;
    enum error_code code = batch_decoder_new(&thinner->decoder, error);
    if (code == ERROR_NONE)
        code = batch_encoder_new(&thinner->encoder, error);
    if (code != ERROR_NONE) {
        thinner_free(thinner);
        return code;
    }
    *thinner_out = thinner;
    return ERROR_NONE;
}

void thinner_free(struct thinner *thinner)
{
    if (thinner == NULL)
        return;
    batch_decoder_free(thinner->decoder);
    batch_encoder_free(thinner->encoder);
    free(thinner->raw);
    free(thinner->body);
    free(thinner);
}

static bool reserve(char **buffer, size_t *capacity, size_t needed)
{
    if (needed <= *capacity)
        return true;
    char *grown = realloc(*buffer, needed);
    if (grown == NULL)
        return false;
    *buffer = grown;
    *capacity = needed;
    return true;
}

static int keep_important(struct thinner *thinner, const char *text, size_t length, size_t *kept_out)
{
    int count = 0;
    *kept_out = 0;
    for (size_t at = 0, next; at < length; at = next) {
        const char *end = memchr(text + at, '\n', length - at);
        next = end != NULL ? (size_t)(end - text) + 1 : length;
        if (importance_of(text + at, next - at, thinner->low_confidence) == IMPORTANCE_ORDINARY)
            continue;
        memcpy(thinner->raw + *kept_out, text + at, next - at);
        *kept_out += next - at;
        count++;
    }
    return count;
}

bool thinner_thin(void *context, const struct outbox_batch *batch, struct outbox_batch *thinned_out)
{
    struct thinner *thinner = context;
    const char *text;
    size_t length, kept;
    struct error error;
    if (batch_decode(thinner->decoder, batch->body, batch->body_bytes, &text, &length, &error) != ERROR_NONE ||
        !reserve(&thinner->raw, &thinner->raw_capacity, length) || !reserve(&thinner->body, &thinner->body_capacity, batch_bound(length)))
        return false;
    *thinned_out = *batch;
    thinned_out->count = keep_important(thinner, text, length, &kept);
    thinned_out->encoding = batch_encode(thinner->encoder, batch->encoding == OUTBOX_LZ4 ? COMPRESSION_LZ4 : COMPRESSION_NONE, 0, thinner->raw, kept,
                                         thinner->body, &thinned_out->body_bytes);
    thinned_out->body = thinner->body;
    return true;
}
