/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pipeline.h"

#include "agent/job.h"

#include <math.h>
#include <string.h>

/* A label that the model does not know would never be found, and its images would leave as they are. */
static enum error_code check_redaction(const struct config_pipeline *config, const struct manifest *manifest, struct error *error)
{
    for (int i = 0; i < config->images.redact_count; i++) {
        bool known = false;
        for (int k = 0; k < manifest->label_count && !known; k++)
            known = strcmp(manifest->labels[k], config->images.redact[i]) == 0;
        if (!known)
            return error_set(error, ERROR_CONFIG, "pipeline \"%s\": images.redact names \"%.64s\", which is no label of model %s", config->name,
                             config->images.redact[i], config->model);
    }
    return ERROR_NONE;
}

enum error_code pipeline_open(const struct config_pipeline *config, const char *models_dir, struct pipeline *pipeline_out, struct error *error)
{
    struct bundle bundle;
    struct model_options options = {.channels_last = config->input.kind == INPUT_IMAGE, .keep_packed = true};
    if (bundle_find(models_dir, config->model, &options, &bundle, error) != ERROR_NONE)
        return error_prefix(error, "pipeline \"%s\": ", config->name);
    *pipeline_out = (struct pipeline){.config = config, .bundle = bundle};
    enum error_code code = check_redaction(config, bundle.manifest, error);
    job_list_init(&pipeline_out->order);
    job_list_init(&pipeline_out->ready);
    if (code == ERROR_NONE)
        code = repeat_new(config, &pipeline_out->repeat, error);
    if (code != ERROR_NONE)
        pipeline_close(pipeline_out);
    return code;
}

void pipeline_close(struct pipeline *pipeline)
{
    repeat_free(pipeline->repeat);
    pipeline->repeat = NULL;
    bundle_close(&pipeline->bundle);
}

void job_list_init(struct job_list *list)
{
    *list = (struct job_list){.tail = &list->head};
}

void job_list_push(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->tail = job;
    list->tail = &job->next;
    list->count++;
}

struct job *job_list_pop(struct job_list *list)
{
    struct job *job = list->head;
    if (job == NULL)
        return NULL;
    list->head = job->next;
    if (list->head == NULL)
        list->tail = &list->head;
    list->count--;
    return job;
}

void latency_add(struct latency *latency, int64_t us)
{
    int bucket = us <= 1 ? 0 : (int)(4 * log2((double)us));
    atomic_fetch_add_explicit(&latency->buckets[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1], 1, memory_order_relaxed);
}

int64_t latency_percentile(const struct latency *latency, double fraction)
{
    uint64_t counts[LATENCY_BUCKETS], total = 0, below = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        total += counts[i] = atomic_load_explicit(&latency->buckets[i], memory_order_relaxed);
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        below += counts[i];
        if (total > 0 && (double)below >= fraction * (double)total)
            return (int64_t)exp2((i + 0.5) / 4);
    }
    return 0;
}
