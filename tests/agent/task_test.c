/* SPDX-License-Identifier: Apache-2.0
 *
 * From output tensors to results: hand-made tensors whose answers are known. */
#include "agent/task.h"
#include "tests/check.h"

#include <math.h>

enum { RESULT_BYTES = 1 << 16, NUMBERS_MAX = 1 << 15 };

static struct error error;
static struct manifest manifest;
static struct tensor tensors[16];
static const struct tensor *inputs[1], *outputs[16];
static int output_count;
static float input_data[NUMBERS_MAX], data[16][NUMBERS_MAX];
static char result[RESULT_BYTES];

static struct shape shape_of(int rank, int a, int b, int c, int d)
{
    return (struct shape){.rank = rank, .dims = {a, b, c, d}};
}

static void begin(enum task task, enum decode decode, struct shape input)
{
    static const char *labels[] = {"cat", "dog", "owl"};
    manifest = (struct manifest){.name = "m", .task = task, .labels = labels,
                                 .output = {.decode = decode, .threshold = 0.5f, .iou = 0.5f, .top = 2}};
    memset(data, 0, sizeof data);
    output_count = 0;
    tensors[15] = (struct tensor){.name = "x", .dtype = DTYPE_F32, .shape = input, .data = input_data};
    inputs[0] = &tensors[15];
}

static float *add_output(const char *name, struct shape shape)
{
    int i = output_count++;
    tensors[i] = (struct tensor){.name = name, .dtype = DTYPE_F32, .shape = shape, .data = data[i]};
    outputs[i] = &tensors[i];
    return data[i];
}

static const char *decode_with(const struct image_geometry *geometry, size_t capacity)
{
    struct task_decoder *task;
    struct json_writer writer;
    CHECK_OK(task_new(&manifest, inputs, 1, outputs, output_count, &task, &error), error);
    json_writer_init(&writer, result, capacity);
    task_write(task, inputs, outputs, geometry, &writer);
    bool whole = json_writer_finish(&writer);
    task_free(task);
    return whole ? result : "overflow";
}

static double margin(void)
{
    struct task_decoder *task;
    struct json_writer writer;
    CHECK_OK(task_new(&manifest, inputs, 1, outputs, output_count, &task, &error), error);
    json_writer_init(&writer, result, sizeof result);
    task_write(task, inputs, outputs, NULL, &writer);
    double margin = task_margin(task);
    task_free(task);
    return margin;
}

static const char *decode(void)
{
    return decode_with(NULL, sizeof result);
}

static const char *refusal(void)
{
    struct task_decoder *task = NULL;
    error = (struct error){0};
    enum error_code code = task_new(&manifest, inputs, 1, outputs, output_count, &task, &error);
    task_free(task);
    CHECK(code == ERROR_NONE || code == ERROR_MODEL);
    return code == ERROR_NONE ? "accepted" : error.message;
}

#define CHECK_REFUSED(words) CHECK(strstr(refusal(), words) != NULL)

static void classes_are_ranked_with_their_labels(void)
{
    begin(TASK_CLASSIFICATION, DECODE_CLASSES, shape_of(2, 1, 4, 0, 0));
    manifest.label_count = 3;
    float *scores = add_output("out", shape_of(2, 1, 3, 0, 0));
    scores[0] = 0.25f, scores[1] = 0.5f, scores[2] = 0.125f;
    CHECK_TEXT(decode(), "{\"label\":\"dog\",\"score\":0.5,\"top\":[{\"label\":\"dog\",\"score\":0.5},{\"label\":\"cat\",\"score\":0.25}]}");
    manifest.label_count = 0; /* then classes are numbered */
    CHECK_TEXT(decode(), "{\"label\":\"1\",\"score\":0.5,\"top\":[{\"label\":\"1\",\"score\":0.5},{\"label\":\"0\",\"score\":0.25}]}");
}

static void activations_turn_logits_into_scores(void)
{
    begin(TASK_CLASSIFICATION, DECODE_CLASSES, shape_of(2, 1, 4, 0, 0));
    manifest.output.activation = OUTPUT_ACTIVATION_SOFTMAX;
    manifest.output.top = 1;
    float *scores = add_output("out", shape_of(2, 1, 2, 0, 0));
    scores[0] = 1000, scores[1] = 1000 + logf(3);
    CHECK_TEXT(decode(), "{\"label\":\"1\",\"score\":0.75,\"top\":[{\"label\":\"1\",\"score\":0.75}]}");
    manifest.output.activation = OUTPUT_ACTIVATION_SIGMOID;
    scores[0] = 0, scores[1] = -5;
    CHECK_TEXT(decode(), "{\"label\":\"0\",\"score\":0.5,\"top\":[{\"label\":\"0\",\"score\":0.5}]}");
}

static void a_score_that_is_no_number_never_ranks(void)
{
    begin(TASK_CLASSIFICATION, DECODE_CLASSES, shape_of(2, 1, 4, 0, 0));
    float *scores = add_output("out", shape_of(2, 1, 2, 0, 0));
    scores[0] = NAN, scores[1] = -1;
    CHECK_TEXT(decode(), "{\"label\":\"1\",\"score\":-1,\"top\":[{\"label\":\"1\",\"score\":-1}]}");
    scores[1] = NAN;
    CHECK_TEXT(decode(), "{\"label\":null,\"top\":[]}");
}

static void quantised_scores_are_read_as_reals(void)
{
    static const float scale = 1 / 256.0f;
    static const int32_t zero = -128;
    static int8_t stored[2] = {-64, 64};
    begin(TASK_CLASSIFICATION, DECODE_CLASSES, shape_of(2, 1, 4, 0, 0));
    manifest.output.top = 1;
    add_output("out", shape_of(2, 1, 2, 0, 0));
    tensors[0].dtype = DTYPE_I8;
    tensors[0].quantization = (struct quantization){.count = 1, .scale = &scale, .zero_point = &zero};
    tensors[0].data = stored;
    CHECK_TEXT(decode(), "{\"label\":\"1\",\"score\":0.75,\"top\":[{\"label\":\"1\",\"score\":0.75}]}");
}

static void classes_of_another_number_than_labels_are_refused(void)
{
    begin(TASK_CLASSIFICATION, DECODE_CLASSES, shape_of(2, 1, 4, 0, 0));
    manifest.label_count = 3;
    add_output("out", shape_of(2, 1, 5, 0, 0));
    CHECK_REFUSED("holds 5 scores, model.yaml gives 3 labels");
    add_output("other", shape_of(2, 1, 3, 0, 0));
    CHECK_REFUSED("needs one output of scores");
    tensors[1].name = "probabilities";
    CHECK_TEXT(refusal(), "accepted"); /* its name says so */
}

/* Two boxes of one thing, one of another class at the same place, one below the threshold. */
static void fill_boxes(float *scores, float *boxes)
{
    static const float places[4][4] = {{0.1f, 0.1f, 0.5f, 0.5f}, {0.1f, 0.1f, 0.5f, 0.45f}, {0.1f, 0.1f, 0.5f, 0.5f}, {0.6f, 0.6f, 0.9f, 0.9f}};
    static const float chances[4][3] = {{0.1f, 0.8f, 0.1f}, {0, 0.9f, 0.1f}, {0.3f, 0.1f, 0.6f}, {0.6f, 0.2f, 0.2f}};
    memcpy(boxes, places, sizeof places);
    memcpy(scores, chances, sizeof chances);
}

static void boxes_pass_over_the_background_and_suppress_what_overlaps(void)
{
    static const char expected[] = "{\"objects\":[{\"label\":\"cat\",\"score\":0.9,\"box\":[10,20,50,90]},"
                                   "{\"label\":\"dog\",\"score\":0.6,\"box\":[10,20,50,100]}]}";
    begin(TASK_DETECTION, DECODE_BOXES, shape_of(4, 1, 3, 200, 100));
    manifest.label_count = 2;
    float *scores = add_output("scores", shape_of(3, 1, 4, 3, 0)), *boxes = add_output("boxes", shape_of(3, 1, 4, 4, 0));
    fill_boxes(scores, boxes);
    CHECK_TEXT(decode(), expected);
    manifest.output.iou = 0.95f; /* now both boxes of the cat stay */
    CHECK(strstr(decode(), "\"score\":0.8") != NULL);
    begin(TASK_DETECTION, DECODE_BOXES, shape_of(4, 1, 200, 100, 3)); /* the other layout, the other order */
    manifest.label_count = 2;
    boxes = add_output("boxes", shape_of(3, 1, 4, 4, 0)), scores = add_output("scores", shape_of(3, 1, 4, 3, 0));
    fill_boxes(scores, boxes);
    CHECK_TEXT(decode(), expected);
}

static void the_margin_says_how_far_a_result_is_from_another_one(void)
{
    begin(TASK_CLASSIFICATION, DECODE_CLASSES, shape_of(2, 1, 4, 0, 0));
    manifest.output.top = 1;
    float *scores = add_output("out", shape_of(2, 1, 3, 0, 0));
    scores[0] = 0.25f, scores[1] = 0.625f, scores[2] = 0.125f;
    CHECK(margin() == 0.375);
    scores[1] = 0.25f;
    CHECK(margin() == 0);
    begin(TASK_DETECTION, DECODE_BOXES, shape_of(4, 1, 3, 200, 100)); /* certain from 2/3 on */
    manifest.label_count = 2;
    scores = add_output("scores", shape_of(3, 1, 4, 3, 0));
    fill_boxes(scores, add_output("boxes", shape_of(3, 1, 4, 4, 0)));
    CHECK(fabs(margin() - 0.4) < 1e-6); /* the cat's 0.9 may fall to 0.5 */
    scores[3 * 3 + 1] = 0.45f;           /* alone in its place, it would have to rise by 0.22 */
    CHECK(fabs(margin() - (2.0 / 3 - 0.45)) < 1e-6);
    scores[3 * 3 + 1] = 0;
    scores[2 * 3 + 2] = 0.45f;           /* no dog any more, but nearly */
    CHECK(fabs(margin() - (2.0 / 3 - 0.45)) < 1e-6);
}

static void boxes_are_mapped_to_the_original_and_clipped_to_it(void)
{
    begin(TASK_DETECTION, DECODE_BOXES, shape_of(4, 1, 3, 100, 100));
    manifest.label_count = 1;
    float *scores = add_output("scores", shape_of(3, 1, 1, 1, 0)), *boxes = add_output("boxes", shape_of(3, 1, 1, 4, 0));
    scores[0] = 1;
    boxes[0] = -0.5f, boxes[1] = 0.3f, boxes[2] = 0.5f, boxes[3] = 2;
    /* a letterbox: 400 x 200 into 100 x 100, 25 rows of padding above */
    struct image_geometry geometry = {.width = 400, .height = 200, .scale_x = 0.25f, .scale_y = 0.25f, .offset_y = 25, .model_width = 100, .model_height = 100};
    CHECK_TEXT(decode_with(&geometry, sizeof result), "{\"objects\":[{\"label\":\"cat\",\"score\":1,\"box\":[0,20,200,200]}]}");
    boxes[0] = NAN;
    CHECK_TEXT(decode_with(&geometry, sizeof result), "{\"objects\":[]}");
    boxes[0] = 0, scores[0] = NAN;
    CHECK_TEXT(decode_with(&geometry, sizeof result), "{\"objects\":[]}");
}

static void of_many_candidates_the_best_come_through(void)
{
    enum { MANY = 5000 };
    begin(TASK_DETECTION, DECODE_BOXES, shape_of(4, 1, 3, 100, 100));
    manifest.label_count = 1;
    manifest.output.iou = 1;
    float *scores = add_output("scores", shape_of(3, 1, MANY, 1, 0)), *boxes = add_output("boxes", shape_of(3, 1, MANY, 4, 0));
    for (int i = 0; i < MANY; i++) {
        scores[i] = 0.5f + (float)i / (2 * MANY + 2);
        boxes[4 * i + 2] = boxes[4 * i + 3] = 0.5f;
    }
    const char *best = "{\"objects\":[{\"label\":\"cat\",\"score\":0.9998";
    static char large[1 << 20];
    struct task_decoder *task;
    struct json_writer writer;
    CHECK_OK(task_new(&manifest, inputs, 1, outputs, output_count, &task, &error), error);
    json_writer_init(&writer, large, sizeof large);
    task_write(task, inputs, outputs, NULL, &writer);
    CHECK(json_writer_finish(&writer));
    task_free(task);
    CHECK(strncmp(large, best, strlen(best)) == 0);
    int objects = 0;
    for (const char *at = large; (at = strstr(at, "\"label\"")) != NULL; at++)
        objects++;
    CHECK_INTEGER(objects, 1024);
    CHECK_TEXT(decode_with(NULL, 1000), "overflow");
}

static void boxes_of_other_shapes_are_refused(void)
{
    begin(TASK_DETECTION, DECODE_BOXES, shape_of(4, 1, 3, 100, 100));
    add_output("scores", shape_of(3, 1, 4, 3, 0));
    CHECK_REFUSED("decode: boxes expects two outputs");
    add_output("boxes", shape_of(3, 1, 5, 4, 0));
    CHECK_REFUSED("decode: boxes expects two outputs");
    tensors[0].shape = shape_of(3, 0, 4, 3, 0), tensors[1].shape = shape_of(3, 0, 4, 4, 0); /* no image in the batch: no numbers to read */
    CHECK_REFUSED("decode: boxes expects two outputs");
    tensors[0].shape = shape_of(3, 1, 4, 3, 0), tensors[1].shape = shape_of(3, 1, 4, 4, 0);
    manifest.label_count = 1;
    CHECK_REFUSED("the model knows 3 classes, model.yaml gives 1 labels");
    inputs[0] = &tensors[0];
    CHECK_REFUSED("is no image");
}

static void ssd_reads_the_four_outputs(void)
{
    begin(TASK_DETECTION, DECODE_SSD, shape_of(4, 1, 100, 200, 3));
    manifest.label_count = 3;
    float *boxes = add_output("a", shape_of(3, 1, 3, 4, 0)), *classes = add_output("b", shape_of(2, 1, 3, 0, 0));
    float *scores = add_output("c", shape_of(2, 1, 3, 0, 0)), *count = add_output("d", shape_of(1, 1, 0, 0, 0));
    const float places[] = {0.1f, 0.2f, 0.5f, 0.6f, 0, 0, 1, 1, 0, 0, 1, 1};
    memcpy(boxes, places, sizeof places);
    classes[0] = 2, classes[1] = 0, classes[2] = 1;
    scores[0] = 0.7f, scores[1] = 0.9f, scores[2] = 0.95f;
    *count = 2; /* the third does not count */
    CHECK_TEXT(decode(), "{\"objects\":[{\"label\":\"cat\",\"score\":0.9,\"box\":[0,0,200,100]},{\"label\":\"owl\",\"score\":0.7,\"box\":[40,10,120,50]}]}");
    *count = NAN;
    CHECK_TEXT(decode(), "{\"objects\":[]}");
    *count = 1e30f;
    classes[0] = -1, classes[1] = NAN, classes[2] = 7; /* a class without a label is a number */
    CHECK_TEXT(decode(), "{\"objects\":[{\"label\":\"7\",\"score\":0.95,\"box\":[0,0,200,100]}]}");
    tensors[3].shape = shape_of(1, 2, 0, 0, 0);
    CHECK_REFUSED("decode: ssd expects four outputs");
}

static void yolox_decodes_centres_and_sizes_in_strides(void)
{
    begin(TASK_DETECTION, DECODE_YOLOX, shape_of(4, 1, 3, 32, 64)); /* 8 x 4 + 4 x 2 + 2 x 1 cells */
    manifest.label_count = 2;
    float *rows = add_output("out", shape_of(3, 1, 42, 7, 0));
    float *small = rows + (1 * 8 + 2) * 7, *large = rows + (32 + 8 + 1) * 7;
    small[0] = 0.5f, small[1] = 0.5f, small[2] = logf(2), small[3] = 0, small[4] = 0.9f, small[5] = 1; /* column 2, row 1 of stride 8 */
    large[0] = 0, large[1] = 0, large[2] = logf(0.5f), large[3] = logf(0.25f), large[4] = 1, large[6] = 0.75f; /* column 1 of stride 32 */
    CHECK_TEXT(decode(), "{\"objects\":[{\"label\":\"cat\",\"score\":0.9,\"box\":[12,8,28,16]},{\"label\":\"dog\",\"score\":0.75,\"box\":[24,0,40,4]}]}");
    small[2] = 1000; /* exp overflows: no box */
    CHECK_TEXT(decode(), "{\"objects\":[{\"label\":\"dog\",\"score\":0.75,\"box\":[24,0,40,4]}]}");
    tensors[0].shape = shape_of(3, 1, 41, 7, 0);
    CHECK_REFUSED("decode: yolox expects one output [1,42,5+classes] for an image of 64 x 32");
}

static void nanodet_takes_the_mean_of_each_sides_distribution(void)
{
    static const char *const names[] = {"cls_8", "dis_8", "cls_16", "dis_16", "cls_32", "dis_32"};
    static const int cells[] = {8 * 4, 4 * 2, 2 * 1};
    begin(TASK_DETECTION, DECODE_NANODET, shape_of(4, 1, 3, 32, 64));
    manifest.label_count = 2;
    float *heads[6];
    for (int i = 0; i < 6; i++)
        heads[i] = add_output(names[i], shape_of(3, 1, cells[i / 2], i % 2 == 0 ? 2 : 4 * 3, 0)); /* bins 0, 1, 2 */
    float *score = heads[0] + (1 * 8 + 3) * 2, *sides = heads[1] + (1 * 8 + 3) * 12;
    score[1] = 0.75f;
    for (int side = 0; side < 4; side++)
        sides[side * 3 + (side < 2 ? 1 : 0)] = 100; /* left and top one stride, right and bottom none */
    /* the cell's middle: 3 * 8 + 3.5, 8 + 3.5 */
    CHECK_TEXT(decode(), "{\"objects\":[{\"label\":\"dog\",\"score\":0.75,\"box\":[19.5,3.5,27.5,11.5]}]}");
    tensors[5].shape.dims[2] = 4 * 4;
    CHECK_REFUSED("do not belong together");
    tensors[5].shape.dims[2] = 4 * 3;
    for (int i = 0; i < 6; i++)
        tensors[i].shape.dims[0] = 0;
    CHECK_REFUSED("decode: nanodet expects outputs named");
}

static void reconstruction_is_the_mean_squared_error(void)
{
    begin(TASK_ANOMALY, DECODE_RECONSTRUCTION, shape_of(2, 1, 4, 0, 0));
    float *made = add_output("out", shape_of(3, 1, 2, 2, 0));
    for (int i = 0; i < 4; i++)
        input_data[i] = (float)i, made[i] = (float)i + (i == 2 ? 1 : 0);
    CHECK_TEXT(decode(), "{\"score\":0.25,\"threshold\":0.5,\"anomalous\":false}");
    made[0] = -2;
    CHECK_TEXT(decode(), "{\"score\":1.25,\"threshold\":0.5,\"anomalous\":true}");
    made[0] = NAN; /* no good sign */
    CHECK_TEXT(decode(), "{\"score\":null,\"threshold\":0.5,\"anomalous\":true}");
    tensors[0].shape = shape_of(2, 1, 3, 0, 0);
    CHECK_REFUSED("compares output with input");
}

static void raw_gives_each_output_as_it_is_stored(void)
{
    static const float scale = 0.5f;
    static const int32_t zero = 3;
    static uint8_t bytes[2] = {0, 255};
    static int64_t numbers[1] = {-9007199254740993};
    begin(TASK_RAW, DECODE_RAW, shape_of(2, 1, 4, 0, 0));
    float *real = add_output("a\"b", shape_of(2, 1, 3, 0, 0));
    real[0] = 0.1f, real[1] = NAN, real[2] = -INFINITY;
    add_output("bytes", shape_of(1, 2, 0, 0, 0));
    tensors[1].dtype = DTYPE_U8, tensors[1].data = bytes;
    tensors[1].quantization = (struct quantization){.count = 1, .scale = &scale, .zero_point = &zero};
    add_output("number", shape_of(0, 0, 0, 0, 0));
    tensors[2].dtype = DTYPE_I64, tensors[2].data = numbers;
    CHECK_TEXT(decode(), "{\"outputs\":{\"a\\\"b\":{\"shape\":[1,3],\"data\":[0.1,null,null]},"
                         "\"bytes\":{\"shape\":[2],\"scale\":0.5,\"zero_point\":3,\"data\":[0,255]},"
                         "\"number\":{\"shape\":[],\"data\":[-9007199254740993]}}}");
    CHECK_TEXT(decode_with(NULL, 40), "overflow");
}

static void a_model_without_outputs_is_refused(void)
{
    begin(TASK_RAW, DECODE_RAW, shape_of(2, 1, 4, 0, 0));
    CHECK_REFUSED("1 inputs and 0 outputs");
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(classes_are_ranked_with_their_labels), CASE(activations_turn_logits_into_scores), CASE(a_score_that_is_no_number_never_ranks),
        CASE(quantised_scores_are_read_as_reals), CASE(classes_of_another_number_than_labels_are_refused),
        CASE(boxes_pass_over_the_background_and_suppress_what_overlaps), CASE(boxes_are_mapped_to_the_original_and_clipped_to_it),
        CASE(of_many_candidates_the_best_come_through), CASE(the_margin_says_how_far_a_result_is_from_another_one),
        CASE(boxes_of_other_shapes_are_refused), CASE(ssd_reads_the_four_outputs),
        CASE(yolox_decodes_centres_and_sizes_in_strides), CASE(nanodet_takes_the_mean_of_each_sides_distribution),
        CASE(reconstruction_is_the_mean_squared_error), CASE(raw_gives_each_output_as_it_is_stored), CASE(a_model_without_outputs_is_refused), {0}});
}
