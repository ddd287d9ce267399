/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution of bytes, weights [KH, KW, O]. Input rows are copied one by one into a ring of padded rows, turned into u8 on the
 * way and, for a horizontal stride s, split into s phases (pixels 0, s, 2 s, ...; 1, s + 1, ...), so that every tap of a row of results is
 * dense and no tap lies outside. The kernel takes taps in groups of four (kernels/bytes.h): a kernel row is a group where it has up to
 * four taps that follow each other vertically without gaps; else the taps are grouped as they come. Threads share blocks of result rows. */
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

#include <string.h>

enum { STRIDE_MAX = 16, NINE_BITS_MAX = 254, PARTS_WANTED = 16, PART_MACS_MIN = 250000 /* about 2 us */, COPY_MACS = 4 /* of an input */ };

/* Of a padded row: every stride-th pixel. Those from `first` to `last - 1` come from the image. */
struct phase {
    int64_t start;                    /* in pixels of the row as it lies in memory */
    int32_t count, first, last;
};

struct depthwise_8 {
    const struct byte_kernels *kernels;
    struct byte_depthwise call;       /* what all calls have in common */
    struct byte_results results;
    struct spatial spatial;
    int64_t channels, taps;
    int32_t height, width, out_height, out_width, batch;
    int32_t row_pixels, ring_rows, lines;
    int64_t blocks;                   /* of an image: what threads share */
    struct phase phases[STRIDE_MAX];
    int64_t quad_distance[4];         /* by_row: of the taps of a kernel row */
    size_t row_bytes, quads_bytes;
    const uint8_t *padding;           /* a padded row of zero points */
    bool by_row;                      /* a group is a kernel row */
    uint8_t flip, zero;               /* zero: in u8 form */
};

static struct phase plan_phase(const struct depthwise_8 *depthwise, int32_t phase, int64_t start)
{
    int32_t stride = depthwise->spatial.stride[1], pad = depthwise->spatial.pad[1], count = (depthwise->row_pixels - phase + stride - 1) / stride;
    int32_t first = pad > phase ? (pad - phase + stride - 1) / stride : 0;
    int32_t end = depthwise->width + pad - phase; /* pixels of the padded row that lie left of the image's end, from this phase on */
    int32_t last = end <= 0 ? 0 : (end + stride - 1) / stride;
    first = first < count ? first : count;
    last = last < first ? first : last < count ? last : count;
    return (struct phase){start, count, first, last};
}

static void copy_row(const struct depthwise_8 *depthwise, const uint8_t *row, uint8_t *target)
{
    int64_t channels = depthwise->channels, stride = depthwise->spatial.stride[1];
    for (int p = 0; p < stride; p++) {
        const struct phase *phase = &depthwise->phases[p];
        uint8_t *pixels = target + (phase->start + phase->first) * channels;
        const uint8_t *source = row + (p + phase->first * stride - depthwise->spatial.pad[1]) * channels;
        int64_t count = phase->last - phase->first;
        if (stride == 1)
            depthwise->kernels->copy(pixels, source, 1, count * channels, 0, depthwise->flip);
        else
            depthwise->kernels->copy(pixels, source, count, channels, stride * channels, depthwise->flip);
    }
}

static void pad_ring(const struct depthwise_8 *depthwise, uint8_t *ring)
{
    int64_t channels = depthwise->channels;
    for (int32_t row = 0; row < depthwise->ring_rows; row++, ring += depthwise->row_bytes) {
        for (int p = 0; p < depthwise->spatial.stride[1]; p++) {
            const struct phase *phase = &depthwise->phases[p];
            uint8_t *pixels = ring + phase->start * channels;
            memset(pixels, depthwise->zero, (size_t)(phase->first * channels));
            memset(pixels + phase->last * channels, depthwise->zero, (size_t)((phase->count - phase->last) * channels));
        }
    }
}

/* The padded form of input row y: in the ring, or padding. */
static const uint8_t *padded_row(const struct depthwise_8 *depthwise, const uint8_t *ring, int32_t y)
{
    return y < 0 || y >= depthwise->height ? depthwise->padding : ring + (size_t)(y % depthwise->ring_rows) * depthwise->row_bytes;
}

/* From the start of a padded row. */
static int64_t tap_distance(const struct depthwise_8 *depthwise, int32_t kx)
{
    int32_t at = kx * depthwise->spatial.dilation[1], stride = depthwise->spatial.stride[1];
    return (depthwise->phases[at % stride].start + at / stride) * depthwise->channels;
}

static void point_quads(const struct depthwise_8 *depthwise, const uint8_t *ring, int32_t out_y, int lines, const uint8_t **quads)
{
    const struct spatial *s = &depthwise->spatial;
    int32_t top = out_y * s->stride[0] - s->pad[0];
    if (depthwise->by_row) {
        int32_t rows = (lines - 1) * s->stride[0] + s->kernel[0];
        const uint8_t *next = padded_row(depthwise, ring, top > 0 ? top : 0), *end = ring + (size_t)depthwise->ring_rows * depthwise->row_bytes;
        for (int32_t y = top; y < top + rows; y++) {
            bool inside = y >= 0 && y < depthwise->height;
            const uint8_t *row = inside ? next : depthwise->padding;
            for (int32_t j = 0; j < 4; j++)
                *quads++ = row + depthwise->quad_distance[j];
            next += inside ? depthwise->row_bytes : 0;
            next = next == end ? ring : next;
        }
        return;
    }
    for (int line = 0; line < lines; line++) {
        for (int32_t t = 0; t < 4 * depthwise->call.groups; t++) {
            int32_t tap = t < depthwise->taps ? t : (int32_t)depthwise->taps - 1;
            const uint8_t *row = padded_row(depthwise, ring, top + line * s->stride[0] + tap / s->kernel[1] * s->dilation[0]);
            *quads++ = row + tap_distance(depthwise, tap % s->kernel[1]);
        }
    }
}

/* Result rows first .. last - 1 of one image. */
static void run_lines(const struct depthwise_8 *depthwise, const uint8_t *image, uint8_t *output, int32_t first, int32_t last, void *scratch)
{
    const struct spatial *s = &depthwise->spatial;
    const uint8_t **quads = scratch;
    uint8_t *ring = (uint8_t *)scratch + depthwise->quads_bytes;
    int64_t in_row = depthwise->width * depthwise->channels, out_row = depthwise->out_width * depthwise->channels;
    struct byte_depthwise call = depthwise->call;
    int32_t next = first * s->stride[0] - s->pad[0];
    call.quads = quads;
    call.results = &depthwise->results;
    next = next < 0 ? 0 : next;
    pad_ring(depthwise, ring);
    for (; first < last; first += call.lines) {
        call.lines = last - first >= depthwise->lines ? depthwise->lines : last - first >= 2 ? 2 : 1;
        int32_t end = (first + call.lines - 1) * s->stride[0] - s->pad[0] + (s->kernel[0] - 1) * s->dilation[0] + 1;
        for (; next < end && next < depthwise->height; next++)
            copy_row(depthwise, image + next * in_row, ring + (size_t)(next % depthwise->ring_rows) * depthwise->row_bytes);
        point_quads(depthwise, ring, first, call.lines, quads);
        call.out = output + first * out_row;
        depthwise->kernels->depthwise(&call);
    }
}

/* Parts lie in the order image, block of rows. */
static void depthwise_8_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct depthwise_8 *depthwise = operation->prepared;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *output = operation_output_data(operation, data, 0);
    int64_t blocks = depthwise->blocks, rows = depthwise->out_height;
    for (int64_t n = first / blocks; n * blocks < last; n++) {
        int64_t begin = first > n * blocks ? first - n * blocks : 0, end = last - n * blocks < blocks ? last - n * blocks : blocks;
        run_lines(depthwise, input + n * depthwise->height * depthwise->width * depthwise->channels,
                  output + n * rows * depthwise->out_width * depthwise->channels, (int32_t)(rows * begin / blocks), (int32_t)(rows * end / blocks), scratch);
    }
}

static int64_t depthwise_8_pixels(const struct operation *operation, int64_t part)
{
    const struct depthwise_8 *depthwise = operation->prepared;
    return depthwise->out_height * part / depthwise->blocks * depthwise->out_width;
}

/* By shape alone: parts of a little less than two calls of the kernel, so that its rows serve as many lines as without parts. */
static void choose_parts(struct operation *operation, struct depthwise_8 *depthwise)
{
    int64_t inputs = (int64_t)depthwise->height * depthwise->width * depthwise->channels;
    int64_t parts = depthwise->batch > 0 ? ((int64_t)operation->macs / depthwise->batch + inputs * COPY_MACS) / PART_MACS_MIN : 0;
    int64_t most = depthwise->lines > 1 ? depthwise->out_height / (2 * depthwise->lines - 1) : depthwise->out_height / 2;
    parts = parts_for_bands(parts < PARTS_WANTED ? parts : PARTS_WANTED, (int64_t)depthwise->out_height * depthwise->out_width * depthwise->channels);
    parts = parts < most ? parts : most;
    depthwise->blocks = parts < 1 ? 1 : parts > 2 ? parts - parts % 2 : parts;
    operation->parts = depthwise->batch * depthwise->blocks;
    if (depthwise->batch == 1)
        operation->pixels_before = depthwise_8_pixels;
}

static size_t align(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static enum error_code plan_rows(struct operation *operation, struct depthwise_8 *depthwise, struct arena *arena, struct error *error)
{
    const struct spatial *s = &depthwise->spatial;
    depthwise->row_pixels = (depthwise->out_width - 1) * s->stride[1] + (s->kernel[1] - 1) * s->dilation[1] + 1;
    int64_t pixel = 0;
    for (int phase = 0; phase < s->stride[1]; phase++) {
        depthwise->phases[phase] = plan_phase(depthwise, phase, pixel);
        pixel += depthwise->phases[phase].count;
    }
    depthwise->row_bytes = align((size_t)(pixel * depthwise->channels) + KERNEL_OVERREAD_BYTES);
    for (int32_t j = 0; j < 4; j++)
        depthwise->quad_distance[j] = tap_distance(depthwise, j < s->kernel[1] ? j : s->kernel[1] - 1);
    depthwise->by_row = s->kernel[1] <= 4 && s->dilation[0] == 1;
    depthwise->call.groups = depthwise->by_row ? s->kernel[0] : (int)(depthwise->taps + 3) / 4;
    depthwise->call.quad_taps = depthwise->by_row ? s->kernel[1] : 4;
    depthwise->call.quad_step = depthwise->by_row ? s->stride[0] : depthwise->call.groups;
    depthwise->lines = depthwise->by_row && s->stride[0] <= 2 ? BYTE_LINES_MAX : 1;
    depthwise->ring_rows = (depthwise->lines - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1;
    int64_t quads = depthwise->by_row ? (depthwise->lines - 1) * s->stride[0] + s->kernel[0] : depthwise->call.groups;
    depthwise->quads_bytes = align((size_t)quads * 4 * sizeof(void *));
    uint8_t *padding = arena_allocate(arena, depthwise->row_bytes);
    if (padding == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    memset(padding, depthwise->zero, depthwise->row_bytes);
    depthwise->padding = padding;
    operation->scratch_bytes = depthwise->quads_bytes + (size_t)depthwise->ring_rows * depthwise->row_bytes;
    return ERROR_NONE;
}

/* Place of a tap among the groups' weights. */
static int64_t tap_place(const struct depthwise_8 *depthwise, int64_t tap)
{
    int32_t width = depthwise->spatial.kernel[1];
    return depthwise->by_row ? tap / width * 4 + tap % width : tap;
}

static enum error_code pack_weights(const struct operation *operation, struct depthwise_8 *depthwise, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias_value = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    int64_t channels = depthwise->channels, slots = 4 * (int64_t)depthwise->call.groups;
    int16_t *wide = arena_allocate_array(arena, (size_t)(slots * channels), sizeof *wide);
    int32_t *bias = arena_allocate_array(arena, (size_t)channels, sizeof *bias);
    TRY(pack_8_results(&depthwise->results, arena, node, input, weights, output, 0, channels, error));
    if (wide == NULL || bias == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    int32_t largest = 0;
    for (int64_t c = 0; c < channels; c++) {
        int32_t zero = weights->quantization.zero_point[weights->quantization.count == 1 ? 0 : c];
        int64_t sum = 0, low = 0, high = 0;
        for (int64_t t = 0; t < depthwise->taps; t++) {
            int64_t i = t * channels + c;
            int32_t w = (weights->dtype == DTYPE_U8 ? ((const uint8_t *)weights->data)[i] : ((const int8_t *)weights->data)[i]) - zero;
            wide[tap_place(depthwise, t) * channels + c] = (int16_t)w;
            sum += w;
            low += w < 0 ? 255 * w : 0;
            high += w > 0 ? 255 * w : 0;
            largest = w > largest ? w : w < -128 && -w > largest ? -w : largest;
        }
        int64_t start = (bias_value != NULL ? ((const int32_t *)bias_value->data)[c] : 0) - depthwise->zero * sum;
        bias[c] = (int32_t)(uint32_t)start;
        if (!pack_8_bound(&depthwise->results, c, start + low, start + high, true, &bias[c]))
            continue;
        for (int64_t t = 0; t < slots; t++)
            wide[t * channels + c] = 0;
    }
    struct byte_depthwise_weights all = {.channels = channels, .groups = depthwise->call.groups, .weights = wide, .bias = bias,
                                         .zero_point = depthwise->results.zero_point,
                                         .sets = largest <= 127 ? 1 : largest <= NINE_BITS_MAX ? 2 : 3,
                                         .multiplier = depthwise->results.multiplier, .shift = depthwise->results.shift};
    void *packed = arena_allocate(arena, depthwise->kernels->depthwise_bytes(channels, all.groups, all.sets));
    if (packed == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    depthwise->kernels->pack_depthwise(packed, &all);
    depthwise->call.packed = packed;
    depthwise->call.sets = all.sets;
    return ERROR_NONE;
}

enum error_code depthwise_8_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    TRY(pack_8_check(node, input, weights, bias, output, weights->shape.dims[2], error));
    if (node->attributes.spatial.stride[1] > STRIDE_MAX)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a horizontal stride above 16");
    struct depthwise_8 *depthwise = arena_allocate(arena, sizeof *depthwise);
    if (depthwise == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    const int32_t *in = input->shape.dims, *out = output->shape.dims, *kernel = weights->shape.dims;
    *depthwise = (struct depthwise_8){
        .kernels = operation->kernels->bytes, .spatial = node->attributes.spatial, .channels = in[3], .taps = (int64_t)kernel[0] * kernel[1],
        .batch = in[0], .height = in[1], .width = in[2], .out_height = out[1], .out_width = out[2], .flip = input->dtype == DTYPE_I8 ? 0x80 : 0};
    depthwise->zero = (uint8_t)input->quantization.zero_point[0] ^ depthwise->flip;
    TRY(plan_rows(operation, depthwise, arena, error));
    TRY(pack_weights(operation, depthwise, arena, error));
    depthwise->call.length = depthwise->out_width * depthwise->channels;
    depthwise->call.channels = depthwise->channels;
    depthwise->call.out_stride = depthwise->call.length;
    operation->macs = (uint64_t)shape_elements(&output->shape) * (uint64_t)depthwise->taps;
    choose_parts(operation, depthwise);
    operation->prepared = depthwise;
    operation->execute_parts = depthwise_8_parts;
    return ERROR_NONE;
}
