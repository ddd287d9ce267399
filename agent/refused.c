/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/refused.h"

#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { WAIT_S = 5 };

static void member(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_integer(writer, value);
}

static void list(struct outbox *outbox, int64_t from, struct json_writer *data)
{
    struct outbox_refused batch;
    int listed = 0;
    json_object_begin(data);
    json_key(data, "batches");
    json_array_begin(data);
    for (; listed < REFUSED_LISTED_MAX && outbox_find_refused(outbox, from, &batch); from = batch.first_seq + 1, listed++) {
        char reason[64];
        snprintf(reason, sizeof reason, "%s (0x%02x)", link_reason_name(batch.reason), (unsigned)batch.reason);
        json_object_begin(data);
        member(data, "first-seq", batch.first_seq);
        member(data, "last-seq", batch.last_seq);
        json_key(data, "pipeline");
        json_string(data, batch.pipeline);
        member(data, "count", batch.count);
        member(data, "bytes", batch.bytes);
        json_key(data, "reason");
        json_string(data, reason);
        json_object_end(data);
    }
    json_array_end(data);
    json_key(data, "more");
    json_bool(data, listed == REFUSED_LISTED_MAX && outbox_find_refused(outbox, from, &batch));
    json_object_end(data);
}

static enum error_code send_or_drop(struct outbox *outbox, struct refused_request *request, int64_t *sent_from_out)
{
    int64_t batches, first_seq = -1;
    if (request->verb == COMMITTER_REFUSED_SEND)
        TRY(outbox_restore_refused(outbox, request->seq, &first_seq, &batches, request->error));
    else
        TRY(outbox_drop_refused(outbox, request->seq, &batches, request->error));
    if (batches == 0 && request->seq != OUTBOX_ALL)
        return error_set(request->error, ERROR_INPUT, "no refused batch begins with seq %lld: refused-list names them", (long long)request->seq);
    if (first_seq >= 0)
        *sent_from_out = first_seq;
    json_object_begin(request->data);
    member(request->data, "batches", batches);
    json_object_end(request->data);
    return ERROR_NONE;
}

void refused_desk_init(struct refused_desk *desk)
{
    pthread_condattr_t monotonic;
    *desk = (struct refused_desk){0};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&desk->lock, NULL);
    pthread_cond_init(&desk->served, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void refused_desk_deinit(struct refused_desk *desk)
{
    pthread_cond_destroy(&desk->served);
    pthread_mutex_destroy(&desk->lock);
}

void refused_desk_place(struct refused_desk *desk, struct refused_request *request)
{
    pthread_mutex_lock(&desk->lock);
    desk->request = request;
    pthread_mutex_unlock(&desk->lock);
}

enum error_code refused_desk_wait(struct refused_desk *desk, struct refused_request *request)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&desk->lock);
    while (desk->request == request && pthread_cond_timedwait(&desk->served, &desk->lock, &until) == 0)
        ;
    bool taken = desk->request != request;
    desk->request = NULL;
    while (taken && !request->done)
        pthread_cond_wait(&desk->served, &desk->lock);
    pthread_mutex_unlock(&desk->lock);
    return taken ? request->code : error_set(request->error, ERROR_STORAGE, "the outbox does not answer: its storage may be failing");
}

void refused_desk_serve(struct refused_desk *desk, struct uplink *uplink)
{
    int64_t sent_from = -1;
    pthread_mutex_lock(&desk->lock);
    struct refused_request *request = desk->request;
    desk->request = NULL;
    pthread_mutex_unlock(&desk->lock);
    if (request == NULL)
        return;
    request->code = ERROR_NONE;
    if (request->verb == COMMITTER_REFUSED_LIST)
        list(uplink->outbox, request->seq, request->data);
    else
        request->code = send_or_drop(uplink->outbox, request, &sent_from);
    if (sent_from >= 0)
        uplink_restored(uplink, sent_from);
    pthread_mutex_lock(&desk->lock);
    request->done = true;
    pthread_cond_signal(&desk->served);
    pthread_mutex_unlock(&desk->lock);
}

void refused_set_aside(struct uplink *uplink, struct events *events)
{
    for (int i = 0; i < uplink->refusal_count; i++) {
        const struct uplink_refusal *refusal = &uplink->refusals[i];
        struct error error;
        const char *reason = link_reason_name(refusal->reason_code);
        if (outbox_refuse(uplink->outbox, refusal->first_seq, refusal->reason_code, &error) != ERROR_NONE)
            log_error("the batch from seq %lld cannot be set aside: %s", (long long)refusal->first_seq, error.message);
        log_error("the upstream broker refused the batch from seq %lld: %s (0x%02x): set aside", (long long)refusal->first_seq, reason,
                  (unsigned)refusal->reason_code);
        events_raise(events, "batch-refused",
                     "the upstream broker refused the batch from seq %lld for good: %s (0x%02x); it is set aside, the command refused-send sends it once more",
                     (long long)refusal->first_seq, reason, (unsigned)refusal->reason_code);
    }
    uplink->refused += (unsigned)uplink->refusal_count;
    uplink->refusal_count = 0;
}

void refused_send_all(struct uplink *uplink)
{
    struct error error;
    int64_t first_seq, batches;
    if (outbox_restore_refused(uplink->outbox, OUTBOX_ALL, &first_seq, &batches, &error) != ERROR_NONE)
        log_error("what the broker refused cannot be sent once more: %s", error.message);
    else if (batches > 0)
        uplink_restored(uplink, first_seq);
}
