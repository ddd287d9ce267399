/* SPDX-License-Identifier: Apache-2.0
 *
 * numbered_inputs.h: inputs with ids n-0, n-1, ... into a gateway's pipeline "motor", and what became of each.
 *
 * Each message is one whole window, so that each has one result. The promise is checked by check_every_id: every id has exactly one seq, in the
 * order of the ids, and there is no seq without an id. */
#ifndef EDDY_TESTS_AGENT_NUMBERED_INPUTS_H
#define EDDY_TESTS_AGENT_NUMBERED_INPUTS_H

#include "tests/agent/gateway.h"

enum { NUMBERED_SAMPLES = 64, NUMBERED_FIELDS = 3 };

#define NUMBERED_PIPELINE(sink)                                                                                \
    "pipelines:\n"                                                                                             \
    "  - name: motor\n"                                                                                        \
    "    topics: [\"sensor/+/reading\"]\n"                                                                     \
    "    input: { kind: series, format: f32le, fields: [x, y, z], window: 64, hop: 64 }\n"                     \
    "    model: motor-anomaly\n"                                                                               \
    "    sink: { " sink " }\n"

static inline void publish_number(struct gateway *gateway, int number)
{
    float samples[NUMBERED_SAMPLES * NUMBERED_FIELDS];
    char id[24];
    for (int i = 0; i < NUMBERED_SAMPLES * NUMBERED_FIELDS; i++)
        samples[i] = (float)((number * 31 + i * 7) % 100) / 50;
    int length = snprintf(id, sizeof id, "n-%d", number);
    gateway_publish(gateway, "sensor/1/reading", samples, sizeof samples, id, (size_t)length);
}

struct verdict {
    int missing, twice, out_of_order;  /* ids without a seq; ids with more than one; ids whose seq is below the one of an earlier id */
    int first_present;
    long long seq_max;
    int delivered_again;               /* lines of a seq that was seen before: allowed */
};

static inline struct verdict count_ids(const struct gateway *gateway, int inputs)
{
    struct verdict verdict = {0};
    long long *seqs = calloc((size_t)inputs, sizeof *seqs);
    CHECK(seqs != NULL);
    for (int i = 0; i < gateway->line_count; i++) {
        const char *id = strstr(gateway->lines[i], "\"id\":\"n-"), *seq = strstr(gateway->lines[i], "\"seq\":");
        CHECK(id != NULL && seq != NULL && strstr(gateway->lines[i], "\"result\":{") != NULL);
        int number = atoi(id + 8);
        long long value = atoll(seq + 6);
        CHECK(number >= 0 && number < inputs && value > 0);
        verdict.delivered_again += seqs[number] == value;
        verdict.twice += seqs[number] != 0 && seqs[number] != value;
        seqs[number] = value;
        verdict.seq_max = value > verdict.seq_max ? value : verdict.seq_max;
    }
    for (int i = 0; i < inputs; i++) {
        verdict.missing += seqs[i] == 0;
        verdict.first_present += seqs[i] == 0 && verdict.first_present == i;
        verdict.out_of_order += i > 0 && seqs[i] != 0 && seqs[i] < seqs[i - 1];
    }
    free(seqs);
    return verdict;
}

static inline bool all_arrived(const struct gateway *gateway, int inputs)
{
    if (gateway->line_count < inputs)
        return false;
    return count_ids(gateway, inputs).missing == 0;
}

static inline void check_every_id(struct gateway *gateway, int inputs)
{
    for (int i = 0; i < GATEWAY_PATIENCE_S * 2 && !all_arrived(gateway, inputs); i++)
        gateway_pump(gateway, 500);
    gateway_pump(gateway, 1000); /* what comes late may be a second seq */
    struct verdict verdict = count_ids(gateway, inputs);
    printf("%d inputs, %d lines: %d missing, %d with two seqs, %d out of order, %d delivered again\n", inputs, gateway->line_count, verdict.missing,
           verdict.twice, verdict.out_of_order, verdict.delivered_again);
    CHECK_INTEGER(verdict.missing, 0);
    CHECK_INTEGER(verdict.twice, 0);
    CHECK_INTEGER(verdict.out_of_order, 0);
    CHECK_INTEGER(verdict.seq_max, inputs); /* no seq without an input */
}

#endif
