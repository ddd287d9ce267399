/* SPDX-License-Identifier: Apache-2.0
 *
 * packed.h: weights in the order of this CPU's kernels, kept in a file so that the next start maps them instead of making them.
 *
 * The file lies beside the model: MODEL.KERNELS.packed ("m.onnx.avx512vnni.packed"). It is never needed: one that is absent, damaged, of
 * another model, engine, kernels or options is not used, and is written anew where the folder can be written to. Models whose packed
 * weights are smaller than PACKED_BYTES_MIN get none: packing them is faster than opening a file.
 * Layout: struct header (packed.c), the length of each block as u64, the blocks in the order in which layers are prepared, each at a
 *   multiple of ARENA_ALIGNMENT, one more such piece of zeros. Native byte order. Written to a temporary file, then renamed.
 * Checked at each open, before any of it is used: owner (the user who runs this, or root) and mode (nobody else may write), length, the key,
 *   and the checksum (XXH64) over all that follows the header. The key says of which model file the weights are: device, inode, size, times of
 *   modification and change (not its content: reading 100 MB takes longer than the rest of the start), the graph's layers and the choices made
 *   for them, dimensions and contents given at open, kernels' name, a digest of the sources that pack and read (core.cmake).
 *   Checksums find damage, not malice: that is what owner and mode are for.
 * Memory: blocks are used in place: pages of the file, clean and shared by all processes that run the model.
 * Threads: none; lives while one model is opened, then the map is only read. */
#ifndef EDDY_INFERENCE_PACKED_H
#define EDDY_INFERENCE_PACKED_H

#include "inference/engine.h"
#include "inference/graph.h"

enum { PACKED_BYTES_MIN = 1 << 20 };

struct packed_weights;

/* Looks for the file, unless it is to be written anew; graph: after its passes. NULL: switched off (options, environment), or no memory. */
struct packed_weights *packed_open(const struct graph *graph, const char *model_path, const char *cpu, const struct model_options *options, bool anew);
void packed_close(struct packed_weights *packed); /* NULL is fine; after the last use of a block */
/* All blocks are filled: writes the file if it is to be written. Failing to is no error. */
void packed_keep(struct packed_weights *packed);
bool packed_is_mapped(const struct packed_weights *packed); /* there is a file that fits, and all blocks so far came from it; packed may be NULL */
bool packed_is_contradicted(const struct packed_weights *packed); /* a file that fits has other blocks than were asked for; packed may be NULL */

/* Room for the next block: mapped and *filled (read-only then), or zeroed from the arena, to be filled. Contradicted: zeros that count as filled,
 * since all is opened anew. packed may be NULL. NULL: no memory. */
void *packed_place(struct packed_weights *packed, struct arena *arena, size_t bytes, bool *filled);

#endif
