/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pixels leave: the size, what is made unrecognisable, what is not in them, and that nothing leaves where that cannot be known. */
#include "agent/egress.h"
#include "agent/pipeline.h"
#include "tests/agent/gateway.h"

#include <math.h>
#include <turbojpeg.h>

enum { WIDTH = 320, HEIGHT = 240, PIXELS = WIDTH * HEIGHT * 3 };

static const char *const persons[] = {"person"};

/* Noise, so that a box that was pixelated can be told from one that was not; with an EXIF segment behind SOI. */
static uint8_t *make_jpeg(size_t *bytes_out)
{
    static const uint8_t exif[] = {0xff, 0xe1, 0, 22, 'E', 'x', 'i', 'f', 0, 0, 'G', 'P', 'S', ' ', 's', 'e', 'c', 'r', 'e', 't', '!', '!', '!', '!'};
    uint8_t *pixels = malloc(PIXELS), *jpeg = NULL;
    unsigned long bytes = 0;
    unsigned random = 1;
    CHECK(pixels != NULL);
    for (int i = 0; i < PIXELS; i += 3)
        pixels[i] = pixels[i + 1] = pixels[i + 2] = rand_r(&random) % 2 == 0 ? 20 : 230;
    tjhandle encoder = tjInitCompress();
    CHECK(tjCompress2(encoder, pixels, WIDTH, 0, HEIGHT, TJPF_RGB, &jpeg, &bytes, TJSAMP_444, 95, 0) == 0);
    uint8_t *whole = malloc(bytes + sizeof exif);
    CHECK(whole != NULL);
    memcpy(whole, jpeg, 2);
    memcpy(whole + 2, exif, sizeof exif);
    memcpy(whole + 2 + sizeof exif, jpeg + 2, bytes - 2);
    *bytes_out = bytes + sizeof exif;
    tjFree(jpeg);
    tjDestroy(encoder);
    free(pixels);
    return whole;
}

static void decode(const struct egress_image *image, uint8_t *pixels, int *width, int *height)
{
    int sampling, colours;
    tjhandle decoder = tjInitDecompress();
    CHECK(tjDecompressHeader3(decoder, image->jpeg, image->bytes, width, height, &sampling, &colours) == 0);
    CHECK(*width <= WIDTH && *height <= HEIGHT);
    CHECK(tjDecompress2(decoder, image->jpeg, image->bytes, pixels, *width, 0, *height, TJPF_RGB, 0) == 0);
    tjDestroy(decoder);
}

/* Mean difference of neighbouring pixels in a box: large in noise, small in blocks of one colour. */
static double detail(const uint8_t *pixels, int width, int x0, int y0, int x1, int y1)
{
    double sum = 0;
    for (int y = y0; y < y1; y++) {
        for (int x = x0; x < x1 - 1; x++)
            sum += fabs((double)pixels[(y * width + x) * 3] - pixels[(y * width + x + 1) * 3]);
    }
    return sum / ((double)(y1 - y0) * (x1 - 1 - x0));
}

static struct config_pipeline config_for(enum egress egress)
{
    struct config_pipeline config = {.name = "door", .egress = egress};
    config.input.kind = INPUT_IMAGE;
    config.input.max_pixels = 1000000;
    config.images.every = 1;
    config.images.anomalies = true;
    config.images.max_bytes = 200 * 1024;
    return config;
}

#define TIMES "\"model\":\"m@1\",\"cache\":\"miss\",\"us\":{\"queue\":1},"
#define OBJECTS TIMES "\"result\":{\"objects\":[{\"label\":\"person\",\"score\":0.9,\"box\":[40,40,120,160]}," \
                      "{\"label\":\"car\",\"score\":0.4,\"box\":[200.5,20,300,100]}]}}"

static struct egress_image *consider(struct pipeline *pipeline, const char *line, size_t *jpeg_bytes_out)
{
    struct egress_gate *gate;
    struct error error;
    size_t bytes;
    uint8_t *jpeg = make_jpeg(&bytes);
    CHECK_OK(egress_new(&gate, &error), error);
    struct predictor_input input = {.source = "t", .bytes = jpeg, .length = bytes};
    struct answer answer = {.text = line, .length = strlen(line), .count = 1};
    struct egress_image *images = egress_consider(gate, pipeline, &input, &answer);
    egress_free(gate);
    free(jpeg);
    if (jpeg_bytes_out != NULL)
        *jpeg_bytes_out = bytes;
    return images;
}

static void redacted_boxes_are_pixelated_and_the_rest_is_not(void)
{
    static uint8_t pixels[PIXELS];
    struct config_pipeline config = config_for(EGRESS_SNAPSHOTS);
    struct pipeline pipeline = {.config = &config};
    int width, height;
    config.images.redact = (const char **)(uintptr_t)persons;
    config.images.redact_count = 1;
    struct egress_image *image = consider(&pipeline, OBJECTS, NULL);
    CHECK(image != NULL);
    CHECK(image->next == NULL);
    CHECK(image->redacted);
    decode(image, pixels, &width, &height);
    CHECK_INTEGER(width, WIDTH);
    double person = detail(pixels, width, 36, 36, 124, 164), car = detail(pixels, width, 200, 20, 300, 100);
    printf("detail %.1f in the redacted box, %.1f elsewhere\n", person, car);
    CHECK(person < car / 4);
    CHECK(memmem(image->jpeg, image->bytes, "Exif", 4) == NULL);
    CHECK(memmem(image->jpeg, image->bytes, "secret", 6) == NULL);
    egress_images_free(image);
}

static void an_image_whose_boxes_are_not_known_does_not_leave_where_some_must_be_redacted(void)
{
    static const char *const lines[] = {
        TIMES "\"error\":{\"code\":\"input\",\"message\":\"m\"}}", TIMES "\"result\":{\"label\":\"person\",\"score\":0.9,\"top\":[]}}",
        TIMES "\"result\":{\"objects\":[{\"label\":\"person\",\"score\":0.9}]}}", TIMES "\"result\":{\"objects\":[{\"label\":"};
    struct config_pipeline config = config_for(EGRESS_SNAPSHOTS);
    struct pipeline pipeline = {.config = &config};
    config.images.redact = (const char **)(uintptr_t)persons;
    config.images.redact_count = 1;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        CHECK(consider(&pipeline, lines[i], NULL) == NULL);
    CHECK_INTEGER(atomic_load(&pipeline.images_withheld), 4);
}

static void an_image_takes_no_more_bytes_than_it_may(void)
{
    static const int64_t budgets[] = {100 * 1024, 20 * 1024, 8 * 1024, 2 * 1024};
    struct config_pipeline config = config_for(EGRESS_SNAPSHOTS);
    struct pipeline pipeline = {.config = &config};
    size_t original;
    for (int i = 0; i < 4; i++) {
        config.images.max_bytes = budgets[i];
        struct egress_image *image = consider(&pipeline, OBJECTS, &original);
        CHECK(image != NULL);
        printf("%zu of %lld bytes, the input had %zu\n", image->bytes, (long long)budgets[i], original);
        CHECK((int64_t)image->bytes <= budgets[i]);
        CHECK((int64_t)image->bytes > budgets[i] / 8);
        egress_images_free(image);
    }
}

static void crops_are_the_boxes_and_a_redacted_one_stays_so(void)
{
    static uint8_t pixels[PIXELS];
    struct config_pipeline config = config_for(EGRESS_CROPS);
    struct pipeline pipeline = {.config = &config};
    int width, height;
    config.images.redact = (const char **)(uintptr_t)persons;
    config.images.redact_count = 1;
    struct egress_image *images = consider(&pipeline, OBJECTS, NULL);
    CHECK(images != NULL && images->next != NULL && images->next->next == NULL);
    decode(images, pixels, &width, &height); /* the car: 100 x 80, grown by a tenth on each side */
    CHECK_INTEGER(width, 120);
    CHECK_INTEGER(height, 96);
    CHECK(detail(pixels, width, 0, 0, width, height) > 40);
    decode(images->next, pixels, &width, &height);
    CHECK_INTEGER(width, 96);
    CHECK_INTEGER(height, 144);
    CHECK(detail(pixels, width, 10, 10, width - 10, height - 10) < 20);
    egress_images_free(images);
    CHECK(consider(&pipeline, TIMES "\"result\":{\"objects\":[]}}", NULL) == NULL);
}

static void a_crop_that_fits_is_cut_without_loss_and_without_metadata(void)
{
    static uint8_t pixels[PIXELS], original[PIXELS];
    struct config_pipeline config = config_for(EGRESS_CROPS);
    struct pipeline pipeline = {.config = &config};
    int width, height;
    size_t bytes;
    uint8_t *jpeg = make_jpeg(&bytes);
    tjhandle decoder = tjInitDecompress();
    CHECK(tjDecompress2(decoder, jpeg, bytes, original, WIDTH, 0, HEIGHT, TJPF_RGB, 0) == 0);
    tjDestroy(decoder);
    free(jpeg);
    struct egress_image *images = consider(&pipeline, OBJECTS, NULL);
    CHECK(images != NULL && images->next != NULL && !images->redacted);
    decode(images, pixels, &width, &height); /* the car, grown: 190 to 310 and 12 to 108, begun at a block */
    CHECK_INTEGER(width, 310 - 184);
    CHECK_INTEGER(height, 108 - 8);
    for (int y = 0; y < height; y++)
        CHECK(memcmp(pixels + (size_t)(y * width) * 3, original + (size_t)((y + 8) * WIDTH + 184) * 3, (size_t)width * 3) == 0);
    CHECK(memmem(images->jpeg, images->bytes, "Exif", 4) == NULL);
    size_t lossless = images->bytes;
    egress_images_free(images);
    config.images.max_bytes = (int64_t)lossless - 1;
    images = consider(&pipeline, OBJECTS, NULL);
    CHECK(images != NULL && images->bytes < lossless);
    decode(images, pixels, &width, &height);
    CHECK_INTEGER(width, 120);
    egress_images_free(images);
}

static void an_image_leaves_only_for_a_reason(void)
{
    struct config_pipeline config = config_for(EGRESS_SNAPSHOTS);
    struct pipeline pipeline = {.config = &config};
    struct egress_image *image;
    config.images.every = 0;
    CHECK(consider(&pipeline, OBJECTS, NULL) == NULL);
    config.images.below = 0.5;
    CHECK((image = consider(&pipeline, OBJECTS, NULL)) != NULL);
    CHECK_INTEGER(image->reason, EGRESS_LOW_CONFIDENCE);
    egress_images_free(image);
    CHECK((image = consider(&pipeline, TIMES "\"result\":{\"score\":9,\"threshold\":1,\"anomalous\":true}}", NULL)) != NULL);
    CHECK_INTEGER(image->reason, EGRESS_ANOMALY);
    egress_images_free(image);
    config.images.below = 0;
    config.images.every = 3;
    for (int i = 0; i < 7; i++) {
        image = consider(&pipeline, OBJECTS, NULL);
        CHECK((image != NULL) == (i % 3 == 0));
        egress_images_free(image);
    }
    atomic_store(&pipeline.snapshots_wanted, 1);
    image = consider(&pipeline, OBJECTS, NULL);
    CHECK(image != NULL && image->reason == EGRESS_COMMAND);
    egress_images_free(image);
    config.egress = EGRESS_RESULTS;
    atomic_store(&pipeline.snapshots_wanted, 1);
    CHECK(consider(&pipeline, OBJECTS, NULL) == NULL);
}

static void publish_frame(struct gateway *gateway)
{
    size_t bytes;
    uint8_t *frame = gateway_read_file(EDDY_SOURCE_DIR "/examples/factory/frames/part-00.jpg", &bytes);
    gateway_publish(gateway, "camera/1/frame", frame, bytes, "frame \"1\"", 9);
    free(frame);
}

#define LINE(egress)                                                                                                         \
    "pipelines:\n  - { name: line, topics: [\"camera/+/frame\"], input: { kind: image }, model: part-check, " egress              \
    "sink: { linger: 5ms } }\n"

static void a_snapshot_leaves_on_command_with_its_result_and_never_where_egress_is_results(void)
{
    struct gateway gateway = {0};
    char command[256], line[512];
    gateway_begin(&gateway, LINE("egress: snapshots, images: { max_bytes: 8KiB }, "));
    gateway_start(&gateway);
    snprintf(command, sizeof command, "mosquitto_sub -V mqttv5 -p %d -t 'eddy/gw/image/line' -q 1 -C 1 -W 60 -F '%%l %%P'", gateway.local.port);
    FILE *listener = popen(command, "r");
    CHECK(listener != NULL);
    broker_pause_ms(1000);
    publish_frame(&gateway);
    gateway_wait_lines(&gateway, 1);
    gateway_command(&gateway, "snapshot", "{\"pipeline\":\"line\"}", false);
    CHECK(strstr(gateway.reply, "\"successful\"") != NULL);
    publish_frame(&gateway);
    gateway_wait_lines(&gateway, 2);
    CHECK(fgets(line, sizeof line, listener) != NULL);
    printf("%s", line);
    CHECK(atoi(line) > 100 && atoi(line) <= 8192);
    CHECK(strstr(line, "seq:2") != NULL && strstr(line, "reason:command") != NULL && strstr(line, "redacted:0") != NULL);
    CHECK(strstr(line, "id:frame \"1\"") != NULL);
    CHECK_INTEGER(pclose(listener), 0);
    CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
    gateway_write_config(&gateway, LINE(""));
    gateway_start(&gateway);
    gateway_command(&gateway, "snapshot", "{}", false);
    CHECK(strstr(gateway.reply, "no image leaves") != NULL);
    gateway_end(&gateway);
}

static void an_image_waits_on_disk_while_the_upstream_broker_is_away(void)
{
    struct gateway gateway = {.separate = true};
    struct error error;
    char command[256], line[512];
    gateway_begin(&gateway, LINE("egress: snapshots, images: { max_bytes: 8KiB, every: 1 }, "));
    gateway_start(&gateway);
    snprintf(command, sizeof command, "mosquitto_sub -V mqttv5 -i images -c -x 3600 -p %d -t 'eddy/gw/image/line' -q 1 -C 1 -W 1 -F x", gateway.upstream.port);
    CHECK(system(command) != -1); /* leaves a session that waits for the image */
    broker_stop(&gateway.upstream);
    publish_frame(&gateway);
    gateway_pump(&gateway, 1000);
    CHECK(gateway_stop(&gateway, SIGKILL) != 0);
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    snprintf(command, sizeof command, "mosquitto_sub -V mqttv5 -i images -c -x 3600 -p %d -t 'eddy/gw/image/line' -q 1 -C 1 -W 60 -F '%%l %%P'",
             gateway.upstream.port);
    FILE *listener = popen(command, "r");
    CHECK(listener != NULL);
    gateway_start(&gateway);
    CHECK(fgets(line, sizeof line, listener) != NULL);
    printf("%s", line);
    CHECK(strstr(line, "seq:1") != NULL && strstr(line, "reason:every") != NULL && strstr(line, "id:frame \"1\"") != NULL);
    CHECK_INTEGER(pclose(listener), 0);
    gateway_wait_lines(&gateway, 1);
    gateway_end(&gateway);
}

static void keep_session(const struct gateway *gateway, const char *count, const char *seconds, FILE **listener_out)
{
    char command[256];
    snprintf(command, sizeof command, "mosquitto_sub -V mqttv5 -i images -c -x 3600 -p %d -t 'eddy/gw/image/line' -q 1 -C %s -W %s -F '%%l %%P'",
             gateway->upstream.port, count, seconds);
    *listener_out = popen(command, "r");
    CHECK(*listener_out != NULL);
}

/* The broker stops answering, takes the image off the wire and is gone. */
static void an_image_that_was_sent_and_not_confirmed_is_sent_again(void)
{
    struct gateway gateway = {.separate = true};
    struct error error;
    char line[512];
    FILE *listener;
    gateway_begin(&gateway, LINE("egress: snapshots, images: { max_bytes: 8KiB, every: 1 }, "));
    keep_session(&gateway, "1", "1", &listener);
    (void)pclose(listener);
    broker_stop(&gateway.upstream); /* which saves the session */
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    gateway_start(&gateway);
    CHECK(kill(gateway.upstream.pid, SIGSTOP) == 0);
    publish_frame(&gateway);
    broker_pause_ms(1000);
    CHECK(kill(gateway.upstream.pid, SIGKILL) == 0);
    waitpid(gateway.upstream.pid, NULL, 0);
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    keep_session(&gateway, "1", "60", &listener);
    CHECK(fgets(line, sizeof line, listener) != NULL);
    printf("%s", line);
    CHECK(strstr(line, "seq:1") != NULL && strstr(line, "id:frame \"1\"") != NULL);
    CHECK_INTEGER(pclose(listener), 0);
    gateway_wait_lines(&gateway, 1);
    gateway_end(&gateway);
}

static void a_label_that_the_model_does_not_know_cannot_be_redacted(void)
{
    struct gateway gateway = {0};
    gateway_begin(&gateway, LINE("egress: snapshots, images: { redact: [persn] }, "));
    gateway_launch(&gateway);
    int status;
    CHECK(waitpid(gateway.agent, &status, 0) == gateway.agent);
    gateway.agent = 0;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    CHECK(gateway_log_says(&gateway, "images.redact names \"persn\", which is no label of model part-check"));
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){
        CASE(redacted_boxes_are_pixelated_and_the_rest_is_not),
        CASE(an_image_whose_boxes_are_not_known_does_not_leave_where_some_must_be_redacted),
        CASE(an_image_takes_no_more_bytes_than_it_may),
        CASE(crops_are_the_boxes_and_a_redacted_one_stays_so),
        CASE(a_crop_that_fits_is_cut_without_loss_and_without_metadata),
        CASE(an_image_leaves_only_for_a_reason),
        CASE(a_snapshot_leaves_on_command_with_its_result_and_never_where_egress_is_results),
        CASE(an_image_waits_on_disk_while_the_upstream_broker_is_away),
        CASE(an_image_that_was_sent_and_not_confirmed_is_sent_again),
        CASE(a_label_that_the_model_does_not_know_cannot_be_redacted),
        {0}});
}
