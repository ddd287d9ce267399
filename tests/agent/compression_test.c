/* SPDX-License-Identifier: Apache-2.0
 *
 * How much lz4hc tries, by what the CPU has to spare. */
#include "agent/batch.h"
#include "agent/idle.h"
#include "tests/agent/gateway.h"
#include "tests/check.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES = 64, LINE_BYTES = 512 };

static size_t encode(struct batch_encoder *encoder, enum compression compression, const char *raw, size_t length)
{
    static char body[4 * LINES * LINE_BYTES];
    size_t bytes;
    CHECK_INTEGER(batch_encode(encoder, compression, 0, raw, length, body, &bytes), OUTBOX_LZ4);
    return bytes;
}

static void lz4hc_tries_less_the_busier_the_machine_is(void)
{
    static char raw[LINES * LINE_BYTES];
    static const double shares[] = {0.9, 0.3, 0.15, 0.05};
    struct batch_encoder *encoder;
    struct error error;
    size_t length = 0, sizes[4];
    unsigned random = 3;
    for (int i = 0; i < LINES; i++)
        length += (size_t)snprintf(raw + length, LINE_BYTES,
                                   "{\"id\":\"%08x%08x\",\"seq\":%d,\"us\":{\"queue\":%d,\"infer\":%d},\"result\":{\"label\":\"good\",\"score\":0.%d}}\n",
                                   (unsigned)rand_r(&random), (unsigned)rand_r(&random), i, rand_r(&random) % 90, 700 + rand_r(&random) % 90,
                                   rand_r(&random) % 10000);
    CHECK_OK(batch_encoder_new(&encoder, &error), error);
    size_t fast = encode(encoder, COMPRESSION_LZ4, raw, length);
    for (int i = 0; i < 4; i++) {
        batch_encoder_adapt(encoder, shares[i]);
        sizes[i] = encode(encoder, COMPRESSION_LZ4HC, raw, length);
        CHECK_INTEGER(encode(encoder, COMPRESSION_LZ4, raw, length), fast);
    }
    printf("%zu bytes: %zu fast, %zu %zu %zu %zu as the machine gets busier\n", length, fast, sizes[0], sizes[1], sizes[2], sizes[3]);
    CHECK(sizes[0] <= sizes[1] && sizes[1] <= sizes[2] && sizes[0] < sizes[2] && sizes[2] < sizes[3]);
    CHECK_INTEGER(sizes[3], fast);
    batch_encoder_free(encoder);
}

static void idle_is_what_nobody_used_between_two_looks(void)
{
    struct idle idle = {0};
    double share = -1;
    CHECK(!idle_share_of(&idle, "cpu  100 0 100 700 100 0 0 0 0 0", &share));
    CHECK(idle_share_of(&idle, "cpu  170 0 100 725 105 0 0 0 0 0", &share));
    CHECK(share > 0.299 && share < 0.301);
    CHECK(!idle_share_of(&idle, "cpu  170 0 100 725 105 0 0 0 0 0", &share));
    CHECK(!idle_share_of(&idle, "intr 5", &share));
    CHECK(!idle_share(&(struct idle){0}, &share));
}

static pid_t begin_to_spin(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile unsigned turns = 0;; turns++) {
        }
    }
    return pid;
}

/* Where the cores that /proc/stat counts are not all ours, they cannot be made busy. */
static bool is_busy(void)
{
    struct idle idle = {0};
    double share = 1;
    idle_share(&idle, &share);
    sleep(1);
    return idle_share(&idle, &share) && share < 0.1;
}

static void wait_for_level(struct gateway *gateway, const char *level)
{
    for (int i = 0; i < GATEWAY_PATIENCE_S * 10 && strstr(gateway->health, level) == NULL; i++)
        gateway_pump(gateway, 100);
    CHECK(strstr(gateway->health, level) != NULL);
}

/* The other way, back to 9, depends on what else the machine does. */
static void an_agent_on_a_busy_machine_compresses_fast(void)
{
    enum { SPINNERS_MAX = 256 };
    static const char pipelines[] = "pipelines:\n"
                                    "  - name: motor\n    topics: [\"sensor/+/reading\"]\n    model: motor-anomaly\n"
                                    "    input: { kind: series, format: f32le, fields: [x, y, z], window: 64, hop: 64 }\n"
                                    "    sink: { compression: lz4hc }\n";
    struct gateway gateway = {0};
    pid_t spinners[SPINNERS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN), count = 2 * cores < SPINNERS_MAX ? 2 * cores : SPINNERS_MAX;
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    wait_for_level(&gateway, "\"compression_level\":");
    for (long i = 0; i < count; i++)
        spinners[i] = begin_to_spin();
    if (is_busy())
        wait_for_level(&gateway, "\"compression_level\":0,");
    else
        printf("skipped: the machine's cores cannot be kept busy from here\n");
    for (long i = 0; i < count; i++) {
        kill(spinners[i], SIGKILL);
        waitpid(spinners[i], NULL, 0);
    }
    gateway_stop(&gateway, SIGTERM);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(lz4hc_tries_less_the_busier_the_machine_is),
                                                              CASE(idle_is_what_nobody_used_between_two_looks),
                                                              CASE(an_agent_on_a_busy_machine_compresses_fast), {0}});
}
