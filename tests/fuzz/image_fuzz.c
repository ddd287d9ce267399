/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a JPEG, into tensors of each type and layout. The first byte is settings: bits 0-1 colour, 2-3 resize, 4-5 type, 6 planar. */
#include "agent/input.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIDTH = 24, HEIGHT = 16, PIXELS_MAX = 1 << 20 };

static void describe(uint8_t settings, struct manifest *manifest, struct tensor *tensor)
{
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_U8, DTYPE_I8};
    static const float scale = 0.0078125f;
    static const int32_t zero = -1;
    bool planar = (settings & 64) != 0;
    manifest->name = "fuzz";
    manifest->input.color = (enum color)((settings & 3) % 3);
    manifest->input.resize = (enum resize)((settings >> 2 & 3) % 3);
    manifest->input.pad = 114;
    for (int c = 0; c < 3; c++) {
        manifest->input.mean[c] = 127;
        manifest->input.std[c] = 128;
    }
    int32_t channels = manifest->input.color == COLOR_GRAY ? 1 : 3;
    tensor->name = "x";
    tensor->dtype = dtypes[settings >> 4 & 3];
    tensor->quantization = (struct quantization){.count = tensor->dtype == DTYPE_I8, .scale = &scale, .zero_point = &zero};
    tensor->shape = planar ? (struct shape){.rank = 4, .dims = {1, channels, HEIGHT, WIDTH}} : (struct shape){.rank = 4, .dims = {1, HEIGHT, WIDTH, channels}};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest manifest = {0};
    struct tensor tensor = {0};
    struct image_geometry geometry;
    struct input *input;
    struct error error = {0};
    struct config_pipeline pipeline = {.name = "fuzz", .input = {.kind = INPUT_IMAGE, .max_pixels = PIXELS_MAX}};
    if (size < 1)
        return 0;
    describe(data[0], &manifest, &tensor);
    tensor.data = malloc(tensor_bytes(&tensor));
    if (tensor.data == NULL || input_new(&pipeline, &manifest, &tensor, &input, &error) != ERROR_NONE)
        abort();
    for (int i = 0; i < 2; i++) { /* twice: what an image leaves behind must not hurt the next */
        enum error_code code = input_decode_image(input, data + 1, size - 1, &tensor, &geometry, &error);
        if (code != ERROR_NONE ? error.message[0] == '\0' : geometry.width < 1 || geometry.height < 1 || (int64_t)geometry.width * geometry.height > PIXELS_MAX)
            abort();
    }
    input_free(input);
    free(tensor.data);
    return 0;
}
