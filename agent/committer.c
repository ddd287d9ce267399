/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/committer.h"

#include "agent/flash.h"
#include "agent/group.h"
#include "agent/image_queue.h"
#include "agent/limits.h"
#include "agent/losses.h"
#include "agent/pace.h"
#include "agent/refused.h"
#include "agent/uplink.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    REMOVALS_WAITING_MAX = 256,
    REMOVALS_PER_COMMIT_IDLE = 32,  /* so many confirmed batches are worth a commit of their own */
    REMOVAL_DELAY_US = 200000,
    IDLE_WAIT_US = 1000000,
    STORAGE_RETRY_US = 500000,
    END_WAIT_US = 1000000,
    FLASH_CHECK_US = 1000000,
};

/* What link callbacks leave for the thread. */
struct confirmation {
    int64_t first_seq;
    int reason_code;
};

struct committer {
    struct committer_options options;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;             /* guards the pipelines' order lists, job->done and all down to the blank line */
    pthread_cond_t wake;
    bool stopping, signalled, flush_wanted;
    struct confirmation confirmations[REMOVALS_WAITING_MAX];
    int confirmation_count, jobs_waiting;
    bool confirmations_awaited;       /* something can be sent once one is there; else they wait for the thread to wake for another reason */
    int unanswered;                   /* of jobs_waiting: those that workers have yet to answer */
    struct pace pace;
    int64_t rest_until_us;            /* what is answered meanwhile waits for it; 0: no rest */
    struct delivery *unwanted;        /* no pipeline asks for them (any more): to be acknowledged, and that is all */
    bool connected, connection_changed;
    struct committer_statistics statistics;

    struct flash flash;
    int64_t flash_checked_us;
    struct limits limits;
    struct refused_desk desk;
    struct uplink uplink;             /* from here on the thread's own */
    struct image_queue images;
    struct group group;
    struct link_message **messages;   /* [GROUP_INPUTS_MAX] */
    int64_t removals[2 * REMOVALS_WAITING_MAX];
    int removal_count;
    int64_t removals_since_us, end_by_us;
    uint64_t windows_left_out;        /* that an event told of */
};

static int compression_level(const struct committer *committer)
{
    return committer->limits.any_lz4hc ? batch_encoder_level(committer->group.encoder) : -1;
}

enum error_code committer_new(const struct committer_options *options, struct committer **committer_out, struct error *error)
{
    struct committer *committer = calloc(1, sizeof *committer);
    if (committer == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the committer");
    committer->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&committer->lock, NULL);
    pthread_cond_init(&committer->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    refused_desk_init(&committer->desk);
    struct group_options group = {.pipelines = options->pipelines, .pipeline_count = options->pipeline_count, .outbox = options->outbox,
                                  .windows = options->windows, .inputs_held_max = options->inputs_held_max, .bytes_held_max = options->bytes_held_max};
    enum error_code code = group_init(&committer->group, &group, error);
    committer->messages = calloc(GROUP_INPUTS_MAX, sizeof *committer->messages);
    if (code == ERROR_NONE && committer->messages == NULL)
        code = error_set(error, ERROR_LIMIT, "no memory for the committer");
    if (code != ERROR_NONE) {
        committer_free(committer);
        return code;
    }
    flash_init(&committer->flash, options->daily_writes, flash_bytes_written(), clock_monotonic_us());
    uplink_init(&committer->uplink, options->outbox, options->agent_id, options->live_share, options->limits->bandwidth);
    image_queue_init(&committer->images, &committer->uplink, options->pipelines, options->pipeline_count);
    limits_init(&committer->limits, options->limits, options->pipelines, options->pipeline_count);
    outbox_get_statistics(options->outbox, &committer->statistics.outbox);
    committer->statistics.compression_level = compression_level(committer);
    *committer_out = committer;
    return ERROR_NONE;
}

void committer_free(struct committer *committer)
{
    if (committer == NULL)
        return;
    group_deinit(&committer->group);
    free(committer->messages);
    pthread_cond_destroy(&committer->wake);
    refused_desk_deinit(&committer->desk);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}

void committer_set_links(struct committer *committer, struct link *local, struct link *upstream)
{
    committer->options.local = local;
    committer->options.upstream = upstream;
    committer->uplink.link = upstream;
}

static void wake_locked(struct committer *committer)
{
    committer->signalled = true;
    pthread_cond_signal(&committer->wake);
}

void committer_admit(struct committer *committer, struct job *const *jobs, int count)
{
    pthread_mutex_lock(&committer->lock);
    for (int i = 0; i < count; i++) {
        job_list_push(&jobs[i]->pipeline->order, jobs[i]);
        jobs[i]->delivery->jobs_open++;
        committer->jobs_waiting++;
        committer->unanswered++;
    }
    pthread_mutex_unlock(&committer->lock);
}

void committer_dismiss(struct committer *committer, struct delivery *delivery)
{
    pthread_mutex_lock(&committer->lock);
    delivery->next = committer->unwanted;
    committer->unwanted = delivery;
    if (delivery->next == NULL)
        wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
}

void committer_take(struct committer *committer, struct job *job)
{
    pthread_mutex_lock(&committer->lock);
    job->done = true;
    committer->unanswered--;
    bool first = job->pipeline->order.head == job; /* others wait for one before them, which will wake the thread */
    if (pace_answered(&committer->pace) || committer->unanswered == 0 || (first && committer->rest_until_us == 0))
        wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
}

void committer_published(struct committer *committer, uint64_t ticket, int reason_code)
{
    if (ticket == 0)
        return;
    pthread_mutex_lock(&committer->lock);
    /* never more than are in flight; one that does not fit would only be sent again */
    if (committer->confirmation_count < REMOVALS_WAITING_MAX)
        committer->confirmations[committer->confirmation_count++] =
            (struct confirmation){.first_seq = (int64_t)ticket - 1, .reason_code = reason_code};
    if (committer->confirmations_awaited || reason_code != 0 || committer->confirmation_count >= REMOVALS_PER_COMMIT_IDLE)
        wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
}

void committer_flush(struct committer *committer)
{
    pthread_mutex_lock(&committer->lock);
    committer->flush_wanted = true;
    wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
}

static void set_connected(struct committer *committer, bool connected)
{
    pthread_mutex_lock(&committer->lock);
    committer->connected = connected;
    committer->connection_changed = true;
    wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
}

void committer_connected(struct committer *committer)
{
    set_connected(committer, true);
}

void committer_disconnected(struct committer *committer)
{
    set_connected(committer, false);
}

void committer_get_statistics(struct committer *committer, struct committer_statistics *statistics_out)
{
    pthread_mutex_lock(&committer->lock);
    *statistics_out = committer->statistics;
    statistics_out->jobs_waiting = committer->jobs_waiting;
    pthread_mutex_unlock(&committer->lock);
}

static void apply_confirmations_locked(struct committer *committer)
{
    for (int i = 0; i < committer->confirmation_count; i++) {
        const struct confirmation *confirmation = &committer->confirmations[i];
        if (image_queue_answered(&committer->images, (uint64_t)confirmation->first_seq + 1, confirmation->reason_code) ||
            uplink_answered(&committer->uplink, confirmation->first_seq, confirmation->reason_code) != UPLINK_DELIVERED)
            continue;
        if (committer->removal_count == 0)
            committer->removals_since_us = clock_monotonic_us();
        committer->removals[committer->removal_count++] = confirmation->first_seq;
    }
    committer->confirmation_count = 0;
}

/* Waits out a storage that fails: results stay here, their inputs unacknowledged, so the broker holds the rest back. */
static bool commit(struct committer *committer, size_t input_count)
{
    struct outbox_change change = {.batches = committer->group.batches, .batch_count = (size_t)committer->group.batch_count, .inputs = committer->group.inputs,
                                   .input_count = input_count, .removed = committer->removals, .removed_count = (size_t)committer->removal_count};
    struct error error;
    window_log_write(committer->options.windows, &change);
    for (;;) {
        enum error_code code = outbox_commit(committer->options.outbox, &change, &error);
        if (code == ERROR_NONE) {
            window_log_committed(committer->options.windows);
            return true;
        }
        log_error("%s", error.message);
        events_raise(committer->options.events, "storage-failing", "results cannot be stored, inputs wait: %s", error.message);
        pthread_mutex_lock(&committer->lock);
        committer->statistics.storage_errors++;
        bool stopping = committer->stopping;
        pthread_mutex_unlock(&committer->lock);
        if (stopping)
            return false;
        struct timespec pause = {.tv_nsec = STORAGE_RETRY_US * 1000};
        nanosleep(&pause, NULL);
    }
}

/* A result that is not sent (known from before, or left out) takes its images with it. Not under the lock: the link waits for callbacks. */
static void send_images(struct committer *committer, bool committed)
{
    for (struct job *job = committer->group.consumed.head; job != NULL; job = job->next) {
        if (job->images == NULL)
            continue;
        if (committed && job->seq > 0)
            image_queue_give(&committer->images, job->images, job->pipeline, job->text, job->head_length, job->seq);
        else
            egress_images_free(job->images);
        job->images = NULL;
    }
}

/* Gives the consumed jobs back; acknowledges the deliveries whose last job this was. */
static void acknowledge(struct committer *committer, bool committed)
{
    int64_t now = clock_monotonic_us();
    size_t count = 0;
    struct delivery *finished = NULL;
    struct job *job;
    pthread_mutex_lock(&committer->lock);
    while (committer->unwanted != NULL && committer->group.consumed.count + count < GROUP_INPUTS_MAX) {
        struct delivery *delivery = committer->unwanted;
        committer->unwanted = delivery->next;
        committer->messages[count++] = &delivery->message;
        delivery->next = finished;
        finished = delivery;
    }
    while ((job = job_list_pop(&committer->group.consumed)) != NULL) {
        struct delivery *delivery = job->delivery;
        committer->jobs_waiting--;
        if (committed) {
            atomic_fetch_add_explicit(&job->pipeline->results_out, (unsigned)(job->line_count - job->left_out), memory_order_relaxed);
            latency_add(&job->pipeline->latency, now - delivery->message.arrived_us);
        }
        if (--delivery->jobs_open == 0) {
            committer->messages[count++] = &delivery->message;
            delivery->next = finished;
            finished = delivery;
        }
        job_pool_give(committer->options.pool, job);
    }
    pthread_mutex_unlock(&committer->lock);
    if (committed && count > 0)
        link_acknowledge(committer->options.local, committer->messages, count);
    while (finished != NULL) {
        struct delivery *next = finished->next;
        job_pool_give_delivery(committer->options.pool, finished);
        finished = next;
    }
}

enum error_code committer_refused(struct committer *committer, enum committer_refused_verb verb, int64_t seq, struct json_writer *data,
                                  struct error *error)
{
    struct refused_request request = {.verb = verb, .seq = seq, .data = data, .error = error};
    refused_desk_place(&committer->desk, &request);
    pthread_mutex_lock(&committer->lock);
    wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
    return refused_desk_wait(&committer->desk, &request);
}

static void send_batches(struct committer *committer)
{
    for (int i = 0; i < committer->group.batch_count; i++) {
        atomic_fetch_add_explicit(&committer->group.batch_pipelines[i]->bytes_out, committer->group.batches[i].body_bytes, memory_order_relaxed);
        uplink_offer(&committer->uplink, &committer->group.batches[i]);
    }
    committer->group.batch_count = 0;
    uplink_send(&committer->uplink);
    refused_set_aside(&committer->uplink, committer->options.events);
    image_queue_send(&committer->images);
}

static struct group_moment moment_at(struct committer *committer, int64_t now_us, bool stopping)
{
    int64_t rested_us = committer->pace.committed_us + committer->flash.interval_us;
    return (struct group_moment){.now_us = now_us, .not_before_us = rested_us > committer->rest_until_us ? rested_us : committer->rest_until_us,
                                 .eager = uplink_is_eager(&committer->uplink), .stopping = stopping};
}

static int64_t next_deadline(struct committer *committer, int64_t now_us)
{
    struct group_moment moment = moment_at(committer, now_us, false);
    int64_t deadline = now_us + IDLE_WAIT_US;
    for (int i = 0; i < committer->options.pipeline_count; i++) {
        int64_t due = group_due_at(&committer->group, &committer->options.pipelines[i], &moment);
        deadline = due < deadline ? due : deadline;
    }
    if (committer->removal_count > 0 && committer->removals_since_us + REMOVAL_DELAY_US < deadline)
        deadline = committer->removals_since_us + REMOVAL_DELAY_US;
    if (committer->uplink.in_flight_count > 0 && now_us + REMOVAL_DELAY_US < deadline)
        deadline = now_us + REMOVAL_DELAY_US;
    if (committer->rest_until_us > 0 && committer->rest_until_us < deadline)
        deadline = committer->rest_until_us;
    int64_t wake = uplink_wake_us(&committer->uplink, now_us);
    deadline = wake < deadline ? wake : deadline;
    return deadline;
}

static void forget_results(struct committer *committer)
{
    for (int i = 0; i < committer->options.pipeline_count; i++)
        repeat_forget_results(committer->options.pipelines[i].repeat);
}

/* Waits for something to do and collects it. Returns true once it is time to end; *flush_out: all batches are to be closed. */
static bool wait_and_collect(struct committer *committer, bool *flush_out)
{
    int64_t deadline_us = next_deadline(committer, clock_monotonic_us());
    struct timespec deadline = {.tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000};
    pthread_mutex_lock(&committer->lock);
    committer->confirmations_awaited = uplink_is_behind(&committer->uplink) || image_queue_awaits_answers(&committer->images);
    committer->signalled |= committer->confirmations_awaited && committer->confirmation_count > 0;
    while (!committer->signalled && !committer->stopping) {
        if (pthread_cond_timedwait(&committer->wake, &committer->lock, &deadline) != 0)
            break;
    }
    committer->signalled = false;
    bool stopping = committer->stopping, changed = committer->connection_changed, connected = committer->connected;
    committer->connection_changed = false;
    *flush_out = committer->flush_wanted;
    committer->flush_wanted = false;
    apply_confirmations_locked(committer);
    int64_t now = clock_monotonic_us();
    for (int i = 0; i < committer->options.pipeline_count; i++)
        group_collect(&committer->group, &committer->options.pipelines[i], now);
    int64_t rest_until_us = pace_rest_until(&committer->pace, committer->unanswered);
    committer->rest_until_us = now < rest_until_us ? rest_until_us : 0;
    pthread_mutex_unlock(&committer->lock);
    if (changed) {
        image_queue_reconnected(&committer->images);
        uplink_disconnected(&committer->uplink); /* what an earlier connection had in flight is sent again */
        if (connected)
            uplink_connected(&committer->uplink);
        forget_results(committer); /* the live ones may overtake the backlog */
    }
    if (*flush_out)
        refused_send_all(&committer->uplink);
    refused_desk_serve(&committer->desk, &committer->uplink);
    return stopping;
}

static void publish_statistics(struct committer *committer, bool committed)
{
    struct outbox_statistics outbox;
    outbox_get_statistics(committer->options.outbox, &outbox);
    const struct outbox_statistics *before = &committer->statistics.outbox; /* changed by this thread alone */
    if (outbox.evicted_results > before->evicted_results || outbox.refused_batches > before->refused_batches)
        forget_results(committer); /* what is gone, or waits aside, is nothing to refer to */
    if (outbox.set_aside > before->set_aside)
        window_log_renew(committer->options.windows);
    losses_tell(committer->options.events, before, &outbox);
    if (window_log_left_out(committer->options.windows) > committer->windows_left_out) {
        committer->windows_left_out = window_log_left_out(committer->options.windows);
        events_raise(committer->options.events, "windows-not-kept", "unfinished windows hold more than can be kept: those of %llu sources that were silent "
                     "longest would begin anew after a kill", (unsigned long long)committer->windows_left_out);
    }
    if (committer->uplink.postponed > committer->statistics.postponed_batches)
        events_raise(committer->options.events, "quota-exceeded", "the upstream broker takes no results for now; they are sent again later");
    pthread_mutex_lock(&committer->lock);
    committer->statistics.outbox = outbox;
    committer->statistics.in_flight = committer->uplink.in_flight_count;
    committer->statistics.compression_level = compression_level(committer);
    committer->statistics.refused_batches = committer->uplink.refused;
    committer->statistics.replayed_batches = committer->uplink.replayed;
    committer->statistics.commit_interval_us = committer->flash.interval_us;
    committer->statistics.postponed_batches = committer->uplink.postponed;
    committer->statistics.commits += committed;
    pthread_mutex_unlock(&committer->lock);
}

static bool nothing_ready(const struct committer *committer)
{
    for (int i = 0; i < committer->options.pipeline_count; i++) {
        if (committer->options.pipelines[i].ready.count > 0)
            return false;
    }
    return true;
}

static bool removals_due(const struct committer *committer, bool stopping)
{
    return committer->removal_count > 0 &&
           (stopping || committer->removal_count >= REMOVALS_PER_COMMIT_IDLE ||
            clock_monotonic_us() - committer->removals_since_us >= REMOVAL_DELAY_US);
}

/* A clean end waits a moment for what is in flight: confirmed now, it is not sent twice after the next start. */
static bool may_end(struct committer *committer)
{
    int64_t now = clock_monotonic_us();
    if (committer->end_by_us == 0)
        committer->end_by_us = now + END_WAIT_US;
    bool idle = committer->uplink.in_flight_count == 0 && committer->removal_count == 0;
    if (idle || now >= committer->end_by_us)
        return true;
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
    return false;
}

static void watch_flash(struct committer *committer)
{
    int64_t now = clock_monotonic_us();
    if (committer->options.daily_writes == 0 || now - committer->flash_checked_us < FLASH_CHECK_US)
        return;
    committer->flash_checked_us = now;
    flash_update(&committer->flash, flash_bytes_written(), now);
}

static void note_commit(struct committer *committer, int64_t began_us, int64_t cpu_us)
{
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&committer->lock);
    pace_committed(&committer->pace,
                   &(struct pace_commit){.ended_us = now, .took_us = now - began_us, .cpu_us = cpu_us, .unanswered = committer->unanswered});
    pthread_mutex_unlock(&committer->lock);
}

static void *committer_main(void *argument)
{
    struct committer *committer = argument;
    for (;;) {
        bool flush, stopping = wait_and_collect(committer, &flush);
        struct group_moment moment = moment_at(committer, clock_monotonic_us(), stopping || flush);
        group_close_due(&committer->group, &moment);
        size_t input_count = group_list_inputs(&committer->group);
        bool committed = true, worth = committer->group.batch_count > 0 || input_count > 0 || removals_due(committer, stopping);
        int64_t cpu_us = clock_thread_cpu_us();
        if (worth) {
            committed = commit(committer, input_count);
            if (committed)
                committer->removal_count = 0;
        }
        send_images(committer, committed);
        watch_flash(committer);
        limits_watch(&committer->limits, &committer->uplink, committer->group.encoder);
        acknowledge(committer, committed);
        if (committed)
            send_batches(committer);
        publish_statistics(committer, worth && committed);
        if (worth)
            note_commit(committer, moment.now_us, clock_thread_cpu_us() - cpu_us);
        if (stopping && (!committed || (nothing_ready(committer) && may_end(committer))))
            return NULL;
    }
}

enum error_code committer_start(struct committer *committer, struct error *error)
{
    if (pthread_create(&committer->thread, NULL, committer_main, committer) != 0)
        return error_set(error, ERROR_LIMIT, "cannot start the committer thread");
    committer->running = true;
    pthread_setname_np(committer->thread, "eddy:commit");
    return ERROR_NONE;
}

void committer_stop(struct committer *committer)
{
    if (committer == NULL || !committer->running)
        return;
    pthread_mutex_lock(&committer->lock);
    committer->stopping = true;
    wake_locked(committer);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    image_queue_deinit(&committer->images);
    committer->running = false;
}
