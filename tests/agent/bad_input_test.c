/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad inputs among good ones, through the whole agent: each gets its one error result, each good one its result, nothing else is lost; and brokers
 * that are gone for long. What each decoder makes of bad bytes in detail is in input_image_test.c and series_test.c; model files and configurations
 * are in hostile_model_test.c, manifest_test.c and config_test.c; a full disk in delivery_test.c. EDDY_OUTAGE_S: how long the brokers are gone. */
#include "tests/agent/numbered_inputs.h"

#include <turbojpeg.h>

static const char pipelines[] = "pipelines:\n"
                                "  - { name: line, topics: [camera], input: { kind: image }, model: part-check, sink: { linger: 5ms } }\n"
                                "  - name: json\n"
                                "    topics: [json]\n"
                                "    input: { kind: series, format: json, fields: [/x, /y, /z], window: 64, hop: 64 }\n"
                                "    model: motor-anomaly\n"
                                "    sink: { linger: 5ms }\n"
                                "  - name: csv\n"
                                "    topics: [csv]\n"
                                "    input: { kind: series, format: csv, header: true, fields: [x, y, z], window: 64, hop: 64 }\n"
                                "    model: motor-anomaly\n"
                                "    sink: { linger: 5ms }\n";

struct bytes {
    uint8_t *data;
    size_t length;
};

static struct bytes copy(const void *data, size_t length)
{
    struct bytes bytes = {.data = malloc(length + 1), .length = length};
    CHECK(bytes.data != NULL);
    if (length > 0)
        memcpy(bytes.data, data, length);
    return bytes;
}

static struct bytes text(const char *characters)
{
    return copy(characters, strlen(characters));
}

static struct bytes jpeg(int width, int height, int pixel_format, int subsampling, int flags)
{
    tjhandle encoder = tjInitCompress();
    unsigned char *pixels = calloc((size_t)width * (size_t)height, 4), *out = NULL;
    unsigned long length = 0;
    CHECK(encoder != NULL && pixels != NULL);
    CHECK(tjCompress2(encoder, pixels, width, 0, height, pixel_format, &out, &length, subsampling, 90, flags) == 0);
    struct bytes bytes = copy(out, length);
    tjFree(out);
    tjDestroy(encoder);
    free(pixels);
    return bytes;
}

/* The frame header of a small image claims 20,000 x 20,000. */
static struct bytes claims_much(void)
{
    struct bytes bytes = jpeg(16, 16, TJPF_RGB, TJSAMP_444, 0);
    for (size_t i = 2; i + 9 < bytes.length; i++) {
        if (bytes.data[i] == 0xff && bytes.data[i + 1] == 0xc0) {
            memcpy(bytes.data + i + 5, "\x4e\x20\x4e\x20", 4);
            return bytes;
        }
    }
    CHECK(!"no frame header");
    return bytes;
}

static struct bytes cut_in_half(struct bytes bytes)
{
    bytes.length /= 2;
    return bytes;
}

static struct bytes brackets(void)
{
    struct bytes bytes = {.data = malloc(10 << 20), .length = 10 << 20};
    CHECK(bytes.data != NULL);
    memset(bytes.data, '[', bytes.length);
    return bytes;
}

static struct bytes samples(bool csv, int count)
{
    char line[8192] = "", *at = line;
    if (csv) {
        at += sprintf(at, "x,y,z\n");
        for (int i = 0; i < count; i++)
            at += sprintf(at, "0.1,0.2,9.8\n");
        return text(line);
    }
    at += sprintf(at, "{");
    for (int f = 0; f < 3; f++) {
        at += sprintf(at, "%s\"%c\":[0.5", f > 0 ? "," : "", "xyz"[f]);
        for (int i = 1; i < count; i++)
            at += sprintf(at, ",0.5");
        at += sprintf(at, "]");
    }
    sprintf(at, "}");
    return text(line);
}

static void each_bad_input_is_one_error_result_and_nothing_else_is_lost(void)
{
    const struct {
        const char *topic, *says;   /* says: of the error; NULL: it is good */
        struct bytes bytes;
    } inputs[] = {
        {"camera", NULL, jpeg(64, 64, TJPF_RGB, TJSAMP_420, 0)},
        {"camera", "", text("")},
        {"camera", "", cut_in_half(jpeg(64, 64, TJPF_RGB, TJSAMP_420, 0))},
        {"camera", "", text("GIF89a, not a JPEG")},
        {"camera", NULL, jpeg(64, 48, TJPF_CMYK, TJSAMP_444, 0)},
        {"camera", NULL, jpeg(64, 48, TJPF_RGB, TJSAMP_420, TJFLAG_PROGRESSIVE)},
        {"camera", NULL, jpeg(1, 1, TJPF_RGB, TJSAMP_444, 0)},
        {"camera", "20000 x 20000 pixels", claims_much()},
        {"camera", NULL, jpeg(64, 64, TJPF_RGB, TJSAMP_420, 0)},
        {"json", NULL, samples(false, 64)},
        {"json", "not JSON", text("{\"x\":NaN,\"y\":1,\"z\":1}")},
        {"json", "field /z is missing", text("{\"x\":1,\"y\":1}")},
        {"json", "", brackets()},
        {"json", "not JSON", text("")},
        {"json", NULL, samples(false, 64)},
        {"csv", NULL, samples(true, 64)},
        {"csv", "no column named z", text("x,y,w\n1,2,3\n")},
        {"csv", "columns, too few", text("x,y,z\n1,2\n")},
        {"csv", NULL, samples(true, 64)},
    };
    enum { COUNT = sizeof inputs / sizeof inputs[0] };
    struct gateway gateway = {.upstream_settings = NULL};
    char id[16], wanted[32];
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    for (int i = 0; i < COUNT; i++) {
        int length = snprintf(id, sizeof id, "in-%d", i);
        gateway_publish(&gateway, inputs[i].topic, inputs[i].bytes.data, inputs[i].bytes.length, id, (size_t)length);
        free(inputs[i].bytes.data);
    }
    gateway_wait_lines(&gateway, COUNT);
    gateway_pump(&gateway, 1000);
    CHECK_INTEGER(gateway.line_count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(wanted, sizeof wanted, "\"id\":\"in-%d\"", i);
        const char *line = gateway_find_line(&gateway, wanted);
        bool good = inputs[i].says == NULL ? strstr(line, "\"result\":{") != NULL
                                           : strstr(line, "\"error\":{\"code\":") != NULL && strstr(line, inputs[i].says) != NULL;
        if (!good)
            printf("input %d: %s\n", i, line);
        CHECK(good);
    }
    CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
    gateway_end(&gateway);
}

/* Longer than the first tries to connect again are apart. */
static void what_was_taken_outlasts_brokers_that_are_gone_for_long(void)
{
    enum { BEFORE = 300, AFTER = 600 };
    const char *outage = getenv("EDDY_OUTAGE_S");
    int outage_ms = 1000 * (outage != NULL ? atoi(outage) : 15);
    struct gateway gateway = {.separate = true};
    struct error error;
    gateway_begin(&gateway, NUMBERED_PIPELINE("batch: 16, linger: 5ms"));
    gateway_start(&gateway);
    broker_stop(&gateway.upstream);
    for (int i = 0; i < BEFORE; i++)
        publish_number(&gateway, i);
    gateway_pump(&gateway, 500);
    broker_stop(&gateway.local);
    broker_pause_ms(outage_ms);
    CHECK(gateway_is_alive(&gateway));
    CHECK_OK(broker_start(&gateway.local, true, &error), error);
    CHECK_OK(broker_start(&gateway.upstream, true, &error), error);
    for (int i = BEFORE; i < AFTER; i++)
        publish_number(&gateway, i);
    check_every_id(&gateway, AFTER);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){CASE(each_bad_input_is_one_error_result_and_nothing_else_is_lost),
                                                              CASE(what_was_taken_outlasts_brokers_that_are_gone_for_long), {0}});
}
