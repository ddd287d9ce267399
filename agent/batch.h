/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.h: turns result lines into the body of one upstream message: NDJSON, as an LZ4 frame where that is wanted and pays.
 *
 * Standard frame format with the content size in its header (lz4 -d, python lz4.frame and EMQX read it). The encoder's memory is
 * taken once. Threads: one owner. */
#ifndef EDDY_AGENT_BATCH_H
#define EDDY_AGENT_BATCH_H

#include "base/error.h"
#include "config/config.h"
#include "transport/outbox.h"

struct batch_encoder;

MUST_CHECK enum error_code batch_encoder_new(struct batch_encoder **encoder_out, struct error *error);
void batch_encoder_free(struct batch_encoder *encoder);
/* The share of the CPU that is idle decides how much lz4hc tries: HC level 9 from a half on (and before this is called), 6 from a quarter, 3 from a tenth, as
 * lz4 below. */
void batch_encoder_adapt(struct batch_encoder *encoder, double idle_share);
int batch_encoder_level(const struct batch_encoder *encoder); /* 9, 6, 3 or 0 */
size_t batch_bound(size_t raw_bytes); /* bytes that batch_encode may write */

/* Encodes raw into body; *body_bytes_out <= batch_bound(raw_bytes). Falls back to plain text below compress_above and where LZ4 gains nothing. */
enum outbox_encoding batch_encode(struct batch_encoder *encoder, enum compression compression, int64_t compress_above, const char *raw,
                                  size_t raw_bytes, void *body, size_t *body_bytes_out);

struct batch_decoder;

MUST_CHECK enum error_code batch_decoder_new(struct batch_decoder **decoder_out, struct error *error);
void batch_decoder_free(struct batch_decoder *decoder);
/* Gives the text of a result message, compressed or not (told by the frame's magic number). Borrowed until the next call.
 * ERROR_INPUT: a damaged frame. ERROR_LIMIT: more than BATCH_TEXT_BYTES_MAX of text. */
enum { BATCH_TEXT_BYTES_MAX = 64 << 20 };
MUST_CHECK enum error_code batch_decode(struct batch_decoder *decoder, const void *body, size_t body_bytes, const char **text_out,
                                        size_t *text_bytes_out, struct error *error);

#endif
