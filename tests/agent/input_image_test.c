/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEGs of all kinds into tensors of all kinds. What pre-processing must give is computed here the long way round: for each position of the
 * model's image every pixel of the source with its weight, in double. */
#include "agent/input.h"

#include "base/file.h"
#include "tests/check.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sys/resource.h>

#include <jpeglib.h>

enum { SOURCE_WIDTH = 40, SOURCE_HEIGHT = 30, JPEG_BYTES_MAX = 1 << 20, TENSOR_MAX = 3 * 96 * 96 };

static struct error error;

/* Encoding, for what the tests need. */
struct picture {
    int width, height, channels; /* 1 gray, 3 RGB, 4 CMYK */
    bool progressive, exif;
    uint8_t jpeg[JPEG_BYTES_MAX];
    size_t bytes;
};

static uint8_t source_pixel(int x, int y, int c)
{
    return (uint8_t)(x * 5 + y * 3 + c * 60 + (x / 8 + y / 8) % 2 * 20);
}

static void encode(struct picture *picture)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char *out = picture->jpeg;
    unsigned long size = sizeof picture->jpeg;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &out, &size);
    info.image_width = (JDIMENSION)picture->width;
    info.image_height = (JDIMENSION)picture->height;
    info.input_components = picture->channels;
    info.in_color_space = picture->channels == 1 ? JCS_GRAYSCALE : picture->channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 100, TRUE);
    for (int i = 0; i < info.num_components; i++)
        info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
    if (picture->progressive)
        jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    if (picture->exif) { /* orientation 6: turned by a quarter */
        static const unsigned char exif[] = "Exif\0\0MM\0*\0\0\0\b\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0";
        jpeg_write_marker(&info, JPEG_APP0 + 1, exif, sizeof exif);
    }
    static uint8_t line[4 * 4096];
    for (int y = 0; y < picture->height; y++) {
        for (int i = 0; i < picture->width * picture->channels; i++)
            line[i] = source_pixel(i / picture->channels, y, i % picture->channels);
        jpeg_write_scanlines(&info, (JSAMPROW[]){line}, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    CHECK(out == picture->jpeg);
    picture->bytes = size;
}

static struct picture *make_picture(int width, int height, int channels, bool progressive, bool exif)
{
    static struct picture picture;
    picture = (struct picture){.width = width, .height = height, .channels = channels, .progressive = progressive, .exif = exif};
    encode(&picture);
    return &picture;
}

/* Full size, as libjpeg gives it; [height][width][channels]. */
static void decode_plain(const struct picture *picture, bool gray, uint8_t *pixels)
{
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    info.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, picture->jpeg, picture->bytes);
    jpeg_read_header(&info, TRUE);
    info.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
    info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = pixels + (size_t)info.output_scanline * info.output_width * (gray ? 1 : 3);
        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
}

/* The model's side. */
struct setup {
    struct manifest manifest;
    struct config_pipeline pipeline;
    struct tensor tensor;
    struct input *input;
};

static float tensor_data[TENSOR_MAX];
static const float quantised_scale = 1 / 64.0f;
static const int32_t quantised_zero = 3;

static struct setup *make_setup(enum color color, enum resize resize, enum dtype dtype, bool planar, int width, int height)
{
    static struct setup setup;
    input_free(setup.input);
    int channels = color == COLOR_GRAY ? 1 : 3;
    setup = (struct setup){.manifest = {.name = "m", .input = {.color = color, .resize = resize, .pad = 114, .mean = {100, 120, 140}, .std = {50, 64, 80}}},
                           .pipeline = {.name = "p", .input = {.kind = INPUT_IMAGE, .max_pixels = 50000000}},
                           .tensor = {.name = "x", .dtype = dtype, .data = tensor_data}};
    if (planar)
        setup.tensor.shape = (struct shape){.rank = 4, .dims = {1, channels, height, width}};
    else
        setup.tensor.shape = (struct shape){.rank = 4, .dims = {1, height, width, channels}};
    if (dtype == DTYPE_I8 || dtype == DTYPE_U8)
        setup.tensor.quantization = (struct quantization){.count = 1, .scale = &quantised_scale, .zero_point = &quantised_zero};
    CHECK_OK(input_new(&setup.pipeline, &setup.manifest, &setup.tensor, &setup.input, &error), error);
    return &setup;
}

static enum error_code decode(struct setup *setup, const void *bytes, size_t length, struct image_geometry *geometry)
{
    error = (struct error){0};
    return input_decode_image(setup->input, bytes, length, &setup->tensor, geometry, &error);
}

static const char *refusal(const void *bytes, size_t length)
{
    struct image_geometry geometry;
    struct setup *setup = make_setup(COLOR_RGB, RESIZE_STRETCH, DTYPE_F32, false, 16, 16);
    enum error_code code = decode(setup, bytes, length, &geometry);
    CHECK_INTEGER(code, error.code);
    return code == ERROR_NONE ? "decoded" : error.message;
}

/* One axis: weights of every source position for one of the model's; false: padding. */
static bool weigh(double scale, double offset, int position, int source, double *weights)
{
    double centre = (position + 0.5 - offset) / scale, reach = scale < 1 ? 1 / scale : 1, sum = 0;
    if (centre < 0 || centre > source)
        return false;
    for (int i = 0; i < source; i++) {
        double weight = 1 - fabs(i + 0.5 - centre) / reach;
        weights[i] = weight > 0 ? weight : 0;
        sum += weights[i];
    }
    for (int i = 0; i < source; i++)
        weights[i] /= sum;
    return true;
}

static double reference_pixel(const struct setup *setup, const uint8_t *pixels, int channels, int width, int height, int x, int y, int c)
{
    static double columns[4096], rows[4096];
    bool planar = setup->tensor.shape.dims[1] == channels && setup->tensor.shape.dims[3] != channels;
    double model_width = setup->tensor.shape.dims[planar ? 3 : 2], model_height = setup->tensor.shape.dims[planar ? 2 : 1];
    double scale_x = model_width / width, scale_y = model_height / height;
    if (setup->manifest.input.resize == RESIZE_LETTERBOX)
        scale_x = scale_y = fmin(scale_x, scale_y);
    else if (setup->manifest.input.resize == RESIZE_CROP)
        scale_x = scale_y = fmax(scale_x, scale_y);
    if (!weigh(scale_x, (model_width - width * scale_x) / 2, x, width, columns) || !weigh(scale_y, (model_height - height * scale_y) / 2, y, height, rows))
        return setup->manifest.input.pad;
    double sum = 0;
    for (int sy = 0; sy < height; sy++) {
        for (int sx = 0; sx < width && rows[sy] > 0; sx++)
            sum += rows[sy] * columns[sx] * pixels[(sy * width + sx) * channels + c];
    }
    return sum;
}

static double seen_value(const struct tensor *tensor, int64_t i)
{
    switch (tensor->dtype) {
    case DTYPE_F32: return (double)((const float *)tensor->data)[i];
    case DTYPE_F16: return (double)((const _Float16 *)tensor->data)[i];
    case DTYPE_U8: return ((const uint8_t *)tensor->data)[i];
    default: return ((const int8_t *)tensor->data)[i];
    }
}

/* What the tensor should hold for a pixel value, and how far from that rounding may lead. */
static double expected_value(const struct setup *setup, double pixel, int c, double *tolerance)
{
    double real = (pixel - (double)setup->manifest.input.mean[c]) / (double)setup->manifest.input.std[c];
    *tolerance = setup->tensor.dtype == DTYPE_F32 ? 1e-4 : 4e-3;
    if (setup->tensor.dtype == DTYPE_F32 || setup->tensor.dtype == DTYPE_F16)
        return real;
    double low = setup->tensor.dtype == DTYPE_U8 ? 0 : -128, high = setup->tensor.dtype == DTYPE_U8 ? 255 : 127;
    /* bytes are looked up by the pixel rounded: half a pixel value in steps of the scale, and rounding */
    *tolerance = 0.5 / (double)setup->manifest.input.std[c] / (double)quantised_scale + 0.5001;
    return fmin(high, fmax(low, real / (double)quantised_scale + quantised_zero));
}

static void check_against_reference(const struct setup *setup, const struct picture *picture)
{
    static uint8_t pixels[3 * 256 * 256];
    bool gray = setup->manifest.input.color == COLOR_GRAY;
    const int32_t *dims = setup->tensor.shape.dims;
    int channels = gray ? 1 : 3;
    bool planar = dims[1] == channels && dims[3] != channels;
    int width = dims[planar ? 3 : 2], height = dims[planar ? 2 : 1];
    decode_plain(picture, gray, pixels);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            for (int c = 0; c < channels; c++) {
                int from = setup->manifest.input.color == COLOR_BGR ? 2 - c : c;
                double tolerance, pixel = reference_pixel(setup, pixels, channels, picture->width, picture->height, x, y, from);
                double wanted = expected_value(setup, pixel, c, &tolerance);
                int64_t at = planar ? ((int64_t)c * height + y) * width + x : ((int64_t)y * width + x) * channels + c;
                double seen = seen_value(&setup->tensor, at);
                if (!(fabs(seen - wanted) <= tolerance))
                    printf("x %d y %d channel %d: %g, expected %g within %g\n", x, y, c, seen, wanted, tolerance);
                CHECK(fabs(seen - wanted) <= tolerance);
            }
        }
    }
}

static void try_combination(enum color color, enum resize resize, enum dtype dtype, bool planar, int width, int height)
{
    struct image_geometry geometry;
    const struct picture *picture = make_picture(SOURCE_WIDTH, SOURCE_HEIGHT, 3, false, false);
    struct setup *setup = make_setup(color, resize, dtype, planar, width, height);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
    CHECK_INTEGER(geometry.width, SOURCE_WIDTH);
    CHECK_INTEGER(geometry.height, SOURCE_HEIGHT);
    check_against_reference(setup, picture);
}

/* Sizes at which the picture is decoded in full: smaller, larger, the same, narrow, high. */
static const int sizes[][2] = {{32, 24}, {48, 48}, {SOURCE_WIDTH, SOURCE_HEIGHT}, {21, 29}, {64, 16}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void every_colour_and_resize_gives_what_the_long_way_gives(void)
{
    for (int color = COLOR_RGB; color <= COLOR_GRAY; color++) {
        for (int resize = RESIZE_STRETCH; resize <= RESIZE_CROP; resize++) {
            for (int s = 0; s < SIZES; s++)
                try_combination((enum color)color, (enum resize)resize, DTYPE_F32, false, sizes[s][0], sizes[s][1]);
        }
    }
}

static void every_type_and_layout_gives_what_the_long_way_gives(void)
{
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_U8, DTYPE_I8};
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
        for (int planar = 0; planar < 2; planar++) {
            for (int s = 0; s < SIZES; s++)
                try_combination(s % 2 == 0 ? COLOR_RGB : COLOR_BGR, s % 3 == 0 ? RESIZE_LETTERBOX : RESIZE_STRETCH, dtypes[d], planar != 0, sizes[s][0],
                                sizes[s][1]);
        }
    }
}

static void a_model_that_takes_bytes_gets_the_pixels_as_they_are(void)
{
    static const float one = 1;
    static const int32_t zeros[] = {0, -128};
    static uint8_t pixels[3 * SOURCE_WIDTH * SOURCE_HEIGHT];
    const struct picture *picture = make_picture(SOURCE_WIDTH, SOURCE_HEIGHT, 3, false, false);
    decode_plain(picture, false, pixels);
    for (int i = 0; i < 2; i++) {
        struct image_geometry geometry;
        struct setup *setup = make_setup(COLOR_RGB, RESIZE_STRETCH, i == 0 ? DTYPE_U8 : DTYPE_I8, false, SOURCE_WIDTH, SOURCE_HEIGHT);
        input_free(setup->input);
        memset(setup->manifest.input.mean, 0, sizeof setup->manifest.input.mean);
        setup->manifest.input.std[0] = setup->manifest.input.std[1] = setup->manifest.input.std[2] = 1;
        setup->tensor.quantization = (struct quantization){.count = 1, .scale = &one, .zero_point = &zeros[i]};
        CHECK_OK(input_new(&setup->pipeline, &setup->manifest, &setup->tensor, &setup->input, &error), error);
        CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
        for (int p = 0; p < 3 * SOURCE_WIDTH * SOURCE_HEIGHT; p++)
            CHECK(seen_value(&setup->tensor, p) == pixels[p] + zeros[i]);
    }
}

static void letterbox_fills_with_the_pad_and_geometry_leads_back(void)
{
    struct image_geometry geometry;
    const struct picture *picture = make_picture(40, 20, 3, false, false);
    struct setup *setup = make_setup(COLOR_RGB, RESIZE_LETTERBOX, DTYPE_F32, false, 40, 40);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
    CHECK(fabsf(tensor_data[0] - (114 - 100) / 50.0f) < 1e-6f);
    CHECK(geometry.scale_x == 1 && geometry.scale_y == 1 && geometry.offset_x == 0 && geometry.offset_y == 10);
    CHECK_INTEGER(geometry.model_width, 40);
}

/* A large picture is decoded at a fraction of its size: each pixel stays near the reference. */
static void scaled_decoding_stays_near_the_long_way(void)
{
    static uint8_t pixels[3 * 256 * 192];
    struct image_geometry geometry;
    const struct picture *picture = make_picture(256, 192, 3, false, false);
    struct setup *setup = make_setup(COLOR_RGB, RESIZE_STRETCH, DTYPE_F32, false, 32, 24);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
    decode_plain(picture, false, pixels);
    double sum = 0;
    for (int i = 0; i < 32 * 24; i++) {
        double wanted = reference_pixel(setup, pixels, 3, 256, 192, i % 32, i / 32, 0), seen = (double)tensor_data[3 * i] * 50 + 100;
        sum += fabs(seen - wanted);
    }
    CHECK(sum / (32 * 24) < 12);
    CHECK_INTEGER(geometry.width, 256);
}

static void other_kinds_of_jpeg_are_decoded(void)
{
    struct image_geometry geometry;
    static const struct { int width, height, channels; bool progressive, exif; } kinds[] = {
        {40, 30, 1, false, false}, {40, 30, 3, true, false}, {40, 30, 1, true, false}, {1, 1, 3, false, false}, {1, 1, 1, true, false},
        {40, 30, 3, false, true}, {4000, 1, 3, false, false}, {1, 2000, 3, false, false}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct picture *picture = make_picture(kinds[k].width, kinds[k].height, kinds[k].channels, kinds[k].progressive, kinds[k].exif);
        struct setup *setup = make_setup(COLOR_RGB, RESIZE_STRETCH, DTYPE_F32, false, 32, 24);
        CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
        CHECK_INTEGER(geometry.width, kinds[k].width);
        CHECK_INTEGER(geometry.height, kinds[k].height);
        if (kinds[k].width == 40)
            check_against_reference(setup, picture);
    }
}

/* Without an Adobe marker CMYK is ink: 255 is full. RGB = (255 - C)(255 - K)/255. */
static void cmyk_becomes_rgb(void)
{
    struct image_geometry geometry;
    const struct picture *picture = make_picture(16, 16, 4, false, false);
    struct setup *setup = make_setup(COLOR_RGB, RESIZE_STRETCH, DTYPE_F32, false, 16, 16);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
    bool adobe = memmem(picture->jpeg, picture->bytes, "Adobe", 5) != NULL;
    for (int y = 0; y < 16; y++) {
        for (int x = 0; x < 16; x++) {
            int k = source_pixel(x, y, 3), c = source_pixel(x, y, 0);
            double wanted = adobe ? c * k / 255.0 : (255 - c) * (255 - k) / 255.0, seen = (double)tensor_data[(y * 16 + x) * 3] * 50 + 100;
            CHECK(fabs(seen - wanted) < 4);
        }
    }
    setup = make_setup(COLOR_GRAY, RESIZE_STRETCH, DTYPE_U8, false, 16, 16);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
}

static void what_is_no_jpeg_is_refused_in_words(void)
{
    CHECK(strstr(refusal("", 0), "empty message") != NULL);
    CHECK(strstr(refusal("\x89PNG\r\n\x1a\n", 8), "not a JPEG") != NULL);
    CHECK(strstr(refusal("{\"ax\":1}", 8), "not a JPEG") != NULL);
    CHECK(strstr(refusal("\xff", 1), "not a JPEG") != NULL);
    CHECK(strstr(refusal("\xff\xd8\xff\xd9", 4), "cannot decode") != NULL);
}

static void a_jpeg_cut_anywhere_is_refused(void)
{
    const struct picture *picture = make_picture(40, 30, 3, false, false);
    for (size_t length = 0; length + 2 < picture->bytes; length++) { /* the last two bytes are the end marker, which may be missing */
        const char *said = refusal(picture->jpeg, length);
        CHECK(strcmp(said, "decoded") != 0);
        if (length > picture->bytes / 2)
            CHECK(strstr(said, "truncated") != NULL || strstr(said, "damaged") != NULL);
    }
}

static void set_size(struct picture *picture, int width, int height)
{
    for (size_t i = 0; i + 9 < picture->bytes; i++) {
        if (picture->jpeg[i] == 0xFF && (picture->jpeg[i + 1] == 0xC0 || picture->jpeg[i + 1] == 0xC2)) {
            picture->jpeg[i + 5] = (uint8_t)(height >> 8), picture->jpeg[i + 6] = (uint8_t)height;
            picture->jpeg[i + 7] = (uint8_t)(width >> 8), picture->jpeg[i + 8] = (uint8_t)width;
            return;
        }
    }
    CHECK(!"no frame header");
}

static long peak_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void a_header_that_claims_a_huge_image_buys_no_memory(void)
{
    long before = peak_kb();
    struct picture *picture = make_picture(16, 16, 3, false, false);
    set_size(picture, 20000, 20000);
    CHECK(strstr(refusal(picture->jpeg, picture->bytes), "20000 x 20000 pixels, at most 50000000") != NULL);
    CHECK_INTEGER(error.code, ERROR_LIMIT);
    set_size(picture, 65500, 65500);
    CHECK(strcmp(refusal(picture->jpeg, picture->bytes), "decoded") != 0);
    picture = make_picture(16, 16, 3, true, false);
    set_size(picture, 7000, 7000);
    CHECK(strstr(refusal(picture->jpeg, picture->bytes), "progressive image") != NULL);
    CHECK(peak_kb() - before < 32 * 1024);
}

static void a_large_claim_within_the_limit_takes_what_its_decoding_scale_needs(void)
{
    long before = peak_kb();
    struct picture *picture = make_picture(16, 16, 3, false, false);
    set_size(picture, 7000, 7000); /* at an eighth: 875 x 875 x 3 */
    CHECK(strstr(refusal(picture->jpeg, picture->bytes), "truncated") != NULL);
    CHECK(peak_kb() - before < 64 * 1024);
}

static void the_size_is_read_from_the_header_alone(void)
{
    int32_t width, height;
    struct picture *picture = make_picture(33, 17, 3, false, false);
    CHECK_OK(input_image_size(picture->jpeg, picture->bytes, &width, &height, &error), error);
    CHECK_INTEGER(width, 33);
    CHECK_INTEGER(height, 17);
    CHECK(input_image_size(picture->jpeg, 20, &width, &height, &error) == ERROR_INPUT);
}

static void an_image_after_a_broken_one_is_as_it_would_be_alone(void)
{
    static float alone[32 * 24 * 3];
    struct image_geometry geometry;
    const struct picture *picture = make_picture(40, 30, 3, false, false);
    struct setup *setup = make_setup(COLOR_RGB, RESIZE_STRETCH, DTYPE_F32, false, 32, 24);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
    memcpy(alone, tensor_data, sizeof alone);
    CHECK(decode(setup, picture->jpeg, picture->bytes / 2, &geometry) != ERROR_NONE);
    CHECK(decode(setup, picture->jpeg, 100, &geometry) != ERROR_NONE);
    CHECK_OK(decode(setup, picture->jpeg, picture->bytes, &geometry), error);
    CHECK(memcmp(alone, tensor_data, sizeof alone) == 0);
}

static void a_model_whose_input_is_no_image_is_refused(void)
{
    static const struct { struct shape shape; enum color color; enum dtype dtype; const char *said; } wrong[] = {
        {{.rank = 2, .dims = {1, 10}}, COLOR_RGB, DTYPE_F32, "is no image"},
        {{.rank = 4, .dims = {1, 8, 8, 5}}, COLOR_RGB, DTYPE_F32, "is no image"},
        {{.rank = 4, .dims = {2, 8, 8, 3}}, COLOR_RGB, DTYPE_F32, "is no image"},
        {{.rank = 4, .dims = {1, 0, 8, 3}}, COLOR_RGB, DTYPE_F32, "is no image"},
        {{.rank = 4, .dims = {1, 8, 8, 1}}, COLOR_RGB, DTYPE_F32, "color: rgb or bgr"},
        {{.rank = 4, .dims = {1, 3, 8, 8}}, COLOR_GRAY, DTYPE_F32, "color: gray"},
        {{.rank = 4, .dims = {1, 8, 8, 3}}, COLOR_RGB, DTYPE_I64, "is of type i64"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct manifest manifest = {.name = "m", .input = {.color = wrong[i].color, .std = {1, 1, 1}}};
        struct config_pipeline pipeline = {.input = {.kind = INPUT_IMAGE, .max_pixels = 1000}};
        struct tensor tensor = {.name = "x", .dtype = wrong[i].dtype, .shape = wrong[i].shape};
        struct input *input = NULL;
        CHECK_INTEGER(input_new(&pipeline, &manifest, &tensor, &input, &error), ERROR_CONFIG);
        CHECK(strstr(error.message, wrong[i].said) != NULL);
    }
}

static void odd_files_give_pixels_or_an_error(void)
{
    const char *data = check_shared_data();
    char folder[PATH_MAX], path[PATH_MAX + 512];
    if (data == NULL) {
        printf("no ../shared/data here: its odd JPEGs are not tried\n");
        return;
    }
    snprintf(folder, sizeof folder, "%s/images/odd", data);
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    struct setup *setup = make_setup(COLOR_RGB, RESIZE_LETTERBOX, DTYPE_U8, false, 96, 96);
    int decoded = 0, refused = 0;
    long before = peak_kb();
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct file_map map;
        struct image_geometry geometry;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".jp") == NULL)
            continue;
        CHECK_OK(file_map_open(path, 64 << 20, &map, &error), error);
        if (decode(setup, map.data, map.bytes, &geometry) == ERROR_NONE)
            decoded++;
        else
            refused += error.message[0] != '\0';
        file_map_close(&map);
    }
    closedir(directory);
    printf("odd JPEGs: %d decoded, %d refused, %ld KB more at the peak\n", decoded, refused, peak_kb() - before);
    CHECK(decoded > 0 && refused > 0);
    CHECK(peak_kb() - before < 256 * 1024);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(a_header_that_claims_a_huge_image_buys_no_memory), CASE(a_large_claim_within_the_limit_takes_what_its_decoding_scale_needs),
        CASE(every_colour_and_resize_gives_what_the_long_way_gives), CASE(every_type_and_layout_gives_what_the_long_way_gives),
        CASE(a_model_that_takes_bytes_gets_the_pixels_as_they_are),
        CASE(letterbox_fills_with_the_pad_and_geometry_leads_back), CASE(scaled_decoding_stays_near_the_long_way),
        CASE(other_kinds_of_jpeg_are_decoded), CASE(cmyk_becomes_rgb), CASE(what_is_no_jpeg_is_refused_in_words), CASE(a_jpeg_cut_anywhere_is_refused),
        CASE(the_size_is_read_from_the_header_alone), CASE(an_image_after_a_broken_one_is_as_it_would_be_alone),
        CASE(a_model_whose_input_is_no_image_is_refused), CASE(odd_files_give_pixels_or_an_error), {0}});
}
