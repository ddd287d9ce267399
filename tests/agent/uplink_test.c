/* SPDX-License-Identifier: Apache-2.0
 *
 * Which batch is sent when: a real outbox and a real link, and a broker that answers as each case says. */
#include "agent/uplink.h"
#include "base/clock.h"
#include "base/queue.h"
#include "tests/transport/scripted_broker.h"

enum { BATCHES_MAX = 4096, PATIENCE_MS = 60000, BUDGET = 64 << 20 };

struct sender {
    char folder[64];
    struct scripted_broker broker;
    struct outbox *outbox;
    struct link *link;
    struct uplink uplink;
    atomic_bool connected;
    pthread_mutex_t lock;
    struct answer { int64_t first_seq; int reason; } answers[BATCHES_MAX];
    int answer_count, answers_taken;
    int64_t arrived[BATCHES_MAX];      /* the broker's thread: seqs in the order of arrival, also of those it refuses */
    int64_t arrived_us[BATCHES_MAX];
    atomic_int arrived_count;
    int (*reason_for)(const struct sender *sender, int64_t seq, int number);
    int64_t refused[BATCHES_MAX];
    int refused_count, delivered_count;
};

static int64_t seq_of(const uint8_t *packet, size_t bytes)
{
    size_t at = ((size_t)packet[0] << 8 | packet[1]) + 4, properties = 0;
    for (int shift = 0;; shift += 7) {
        properties |= (size_t)(packet[at] & 0x7f) << shift;
        if ((packet[at++] & 0x80) == 0)
            break;
    }
    char text[24] = "";
    at += properties;
    CHECK(at < bytes);
    snprintf(text, sizeof text, "%.*s", (int)(bytes - at < 20 ? bytes - at : 20), (const char *)packet + at);
    return atoll(text);
}

static int on_publish(struct scripted_broker *broker, int number, const uint8_t *packet, size_t bytes)
{
    struct sender *sender = broker->context;
    int64_t seq = seq_of(packet, bytes);
    int at = atomic_load(&sender->arrived_count);
    sender->arrived[at] = seq;
    sender->arrived_us[at] = clock_monotonic_us();
    atomic_store(&sender->arrived_count, at + 1);
    return sender->reason_for != NULL ? sender->reason_for(sender, seq, number) : 0;
}

static bool on_message(struct link_message *message, void *context)
{
    (void)context;
    link_message_release(message);
    return true;
}

static void on_connected(bool session_present, void *context)
{
    (void)session_present;
    atomic_store(&((struct sender *)context)->connected, true);
}

static void on_published(uint64_t ticket, int reason_code, void *context)
{
    struct sender *sender = context;
    pthread_mutex_lock(&sender->lock);
    sender->answers[sender->answer_count++] = (struct answer){(int64_t)ticket - 1, reason_code};
    pthread_mutex_unlock(&sender->lock);
}

static struct sender *sender_new(double live_share, int64_t bandwidth)
{
    struct sender *sender = calloc(1, sizeof *sender);
    struct error error;
    bool set_aside;
    char path[96];
    CHECK(sender != NULL);
    pthread_mutex_init(&sender->lock, NULL);
    snprintf(sender->folder, sizeof sender->folder, "/tmp/eddy-uplink-XXXXXX");
    CHECK(mkdtemp(sender->folder) != NULL);
    snprintf(path, sizeof path, "%s/outbox.db", sender->folder);
    CHECK_OK(outbox_open(path, BUDGET, 16, &sender->outbox, &set_aside, &error), error);
    uplink_init(&sender->uplink, sender->outbox, "a", live_share, bandwidth);
    sender->broker = (struct scripted_broker){.on_publish = on_publish, .context = sender};
    return sender;
}

/* Stores batches of one result each; their body begins with the seq. */
static void store(struct sender *sender, int count, bool urgent, size_t bytes, bool offer)
{
    static char body[1 << 16];
    for (int i = 0; i < count; i++) {
        struct error error;
        int64_t seq = outbox_next_seq(sender->outbox);
        memset(body, ' ', bytes);
        snprintf(body, sizeof body, "%-*lld", (int)bytes, (long long)seq);
        struct outbox_batch batch = {.first_seq = seq, .last_seq = seq, .pipeline = "p", .count = 1, .urgent = urgent, .body = body, .body_bytes = bytes};
        CHECK_OK(outbox_commit(sender->outbox, &(struct outbox_change){.batches = &batch, .batch_count = 1}, &error), error);
        if (offer)
            uplink_offer(&sender->uplink, &batch);
    }
}

static void connect_sender(struct sender *sender)
{
    struct error error;
    char url[64];
    scripted_start(&sender->broker);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", sender->broker.port);
    struct link_options options = {.url = url, .client_id = "c", .keep_alive_s = 30, .receive_maximum = 10, .on_message = on_message,
                                   .on_connected = on_connected, .on_published = on_published, .context = sender};
    CHECK_OK(link_open(&options, &sender->link, &error), error);
    while (!atomic_load(&sender->connected))
        broker_pause_ms(1);
    sender->uplink.link = sender->link;
    uplink_connected(&sender->uplink);
}

static void sender_free(struct sender *sender)
{
    char command[128];
    link_close(sender->link);
    scripted_stop(&sender->broker);
    outbox_close(sender->outbox);
    pthread_mutex_destroy(&sender->lock);
    snprintf(command, sizeof command, "rm -rf '%s'", sender->folder);
    (void)!system(command);
    free(sender);
}

static bool take_answer(struct sender *sender, struct answer *answer)
{
    pthread_mutex_lock(&sender->lock);
    bool any = sender->answers_taken < sender->answer_count;
    if (any)
        *answer = sender->answers[sender->answers_taken++];
    pthread_mutex_unlock(&sender->lock);
    return any;
}

/* What the committer does: takes answers, removes, sets aside, sends. */
static void turn(struct sender *sender)
{
    struct answer answer;
    struct error error;
    while (take_answer(sender, &answer)) {
        if (uplink_answered(&sender->uplink, answer.first_seq, answer.reason) == UPLINK_DELIVERED) {
            CHECK_OK(outbox_commit(sender->outbox, &(struct outbox_change){.removed = &answer.first_seq, .removed_count = 1}, &error), error);
            sender->delivered_count++;
        }
    }
    uplink_send(&sender->uplink);
    for (int i = 0; i < sender->uplink.refusal_count; i++) {
        CHECK_OK(outbox_refuse(sender->outbox, sender->uplink.refusals[i].first_seq, sender->uplink.refusals[i].reason_code, &error), error);
        sender->refused[sender->refused_count++] = sender->uplink.refusals[i].first_seq;
    }
    sender->uplink.refusal_count = 0;
}

static void run_until(struct sender *sender, int delivered, int refused)
{
    for (int i = 0; i < PATIENCE_MS && (sender->delivered_count < delivered || sender->refused_count < refused); i++) {
        turn(sender);
        broker_pause_ms(1);
    }
    CHECK_INTEGER(sender->delivered_count, delivered);
    CHECK_INTEGER(sender->refused_count, refused);
}

static int quota_at_first(const struct sender *sender, int64_t seq, int number)
{
    (void)sender, (void)seq;
    return number <= 5 ? 0x97 : 0;
}

static void what_exceeds_the_quota_is_sent_again_later_and_in_order(void)
{
    struct sender *sender = sender_new(0, 0);
    sender->reason_for = quota_at_first;
    store(sender, 30, false, 100, false);
    connect_sender(sender);
    run_until(sender, 30, 0);
    int count = atomic_load(&sender->arrived_count);
    CHECK_INTEGER(count, 35);
    for (int seq = 1; seq <= 5; seq++)
        CHECK_INTEGER(sender->arrived[count - 5 + seq - 1], seq);
    CHECK(sender->arrived_us[count - 5] - sender->arrived_us[0] >= 1000000);
    struct outbox_batch batch;
    CHECK(!outbox_find(sender->outbox, 0, &batch));
    sender_free(sender);
}

static int no_to_seven_and_nine(const struct sender *sender, int64_t seq, int number)
{
    (void)sender, (void)number;
    return seq == 7 ? 0x87 : seq == 9 ? 0x95 : 0;
}

static void what_is_refused_for_good_is_set_aside_and_the_rest_is_delivered(void)
{
    struct sender *sender = sender_new(0, 0);
    struct error error;
    sender->reason_for = no_to_seven_and_nine;
    store(sender, 20, false, 100, false);
    connect_sender(sender);
    run_until(sender, 18, 2);
    CHECK_INTEGER(sender->refused[0] + sender->refused[1], 16);
    int64_t first, count;
    sender->reason_for = NULL;
    CHECK_OK(outbox_restore_refused(sender->outbox, OUTBOX_ALL, &first, &count, &error), error);
    CHECK_INTEGER(first, 7);
    uplink_restored(&sender->uplink, first);
    run_until(sender, 20, 2);
    sender_free(sender);
}

static int always_failing_at_three(const struct sender *sender, int64_t seq, int number)
{
    (void)sender, (void)number;
    return seq == 3 ? 0x83 : 0;
}

static void a_reason_that_may_pass_is_borne_five_times(void)
{
    struct sender *sender = sender_new(0, 0);
    sender->reason_for = always_failing_at_three;
    store(sender, 6, false, 100, false);
    connect_sender(sender);
    run_until(sender, 5, 1);
    CHECK_INTEGER(sender->refused[0], 3);
    int tries = 0;
    for (int i = 0; i < atomic_load(&sender->arrived_count); i++)
        tries += sender->arrived[i] == 3;
    CHECK_INTEGER(tries, 5);
    sender_free(sender);
}

static void what_is_larger_than_the_broker_takes_is_not_even_sent(void)
{
    struct sender *sender = sender_new(0, 0);
    static const uint8_t maximum_packet_size[] = {0x27, 0, 0, 4, 0};
    memcpy(sender->broker.connack_properties, maximum_packet_size, sizeof maximum_packet_size);
    sender->broker.connack_properties_bytes = sizeof maximum_packet_size;
    store(sender, 2, false, 100, false);
    store(sender, 1, false, 2000, false);
    store(sender, 2, false, 100, false);
    connect_sender(sender);
    run_until(sender, 4, 1);
    CHECK_INTEGER(sender->refused[0], 3);
    CHECK_INTEGER(atomic_load(&sender->arrived_count), 4);
    sender_free(sender);
}

/* Where the last of the seqs from first on arrived, counted in arrivals. */
static int last_place(const struct sender *sender, int64_t first, int64_t last)
{
    int place = -1;
    for (int i = 0; i < atomic_load(&sender->arrived_count); i++) {
        if (sender->arrived[i] >= first && sender->arrived[i] <= last)
            place = i;
    }
    return place;
}

static void check_order(const struct sender *sender, int64_t first, int64_t last)
{
    int64_t before = 0;
    for (int i = 0; i < atomic_load(&sender->arrived_count); i++) {
        if (sender->arrived[i] < first || sender->arrived[i] > last)
            continue;
        CHECK(sender->arrived[i] > before);
        before = sender->arrived[i];
    }
    CHECK_INTEGER(before, last);
}

static struct sender *run_backlog_and_live(double share)
{
    struct sender *sender = sender_new(share, 0);
    sender->uplink.patience_us = 0;
    store(sender, 400, false, 500, false);
    connect_sender(sender);
    store(sender, 40, false, 500, true);
    run_until(sender, 440, 0);
    CHECK_INTEGER(atomic_load(&sender->arrived_count), 440);
    check_order(sender, 1, 400);
    check_order(sender, 401, 440);
    return sender;
}

static void live_results_get_their_share_while_a_backlog_drains(void)
{
    struct sender *sender = run_backlog_and_live(0.5);
    CHECK(last_place(sender, 401, 440) < 200); /* half of what was sent until then, and what was in flight before */
    CHECK(last_place(sender, 401, 440) >= 70);
    sender_free(sender);
    sender = run_backlog_and_live(0.2);
    CHECK(last_place(sender, 401, 440) >= 180);
    CHECK(last_place(sender, 401, 440) < 330);
    sender_free(sender);
}

static void with_a_share_of_zero_all_leaves_in_order(void)
{
    struct sender *sender = run_backlog_and_live(0);
    check_order(sender, 1, 440);
    sender_free(sender);
}

static void live_results_wait_in_order_until_their_patience_ends(void)
{
    struct sender *sender = sender_new(0.5, 0);
    sender->uplink.patience_us = (int64_t)PATIENCE_MS * 1000;
    store(sender, 400, false, 500, false);
    connect_sender(sender);
    store(sender, 40, false, 500, true);
    run_until(sender, 440, 0);
    check_order(sender, 1, 440);
    sender_free(sender);
}

static void urgent_batches_overtake_all_others(void)
{
    struct sender *sender = sender_new(0.5, 0);
    store(sender, 300, false, 200, false);
    store(sender, 20, true, 200, false);
    store(sender, 300, false, 200, false);
    connect_sender(sender);
    run_until(sender, 620, 0);
    CHECK_INTEGER(last_place(sender, 301, 320), 19);
    check_order(sender, 301, 320);
    sender_free(sender);
}

static void no_more_bytes_leave_in_a_second_than_the_bandwidth_allows(void)
{
    enum { BANDWIDTH = 40000, BYTES = 1000, COUNT = 120 };
    struct sender *sender = sender_new(0.5, BANDWIDTH);
    store(sender, COUNT, false, BYTES, false);
    connect_sender(sender);
    run_until(sender, COUNT, 0);
    int64_t took_us = sender->arrived_us[COUNT - 1] - sender->arrived_us[0];
    CHECK(took_us >= 1900000); /* one second's worth may go at once */
    sender_free(sender);
}

static void nothing_leaves_while_the_bandwidth_is_none(void)
{
    struct sender *sender = sender_new(0.5, 0);
    store(sender, 20, false, 100, false);
    uplink_set_bandwidth(&sender->uplink, BANDWIDTH_NONE);
    connect_sender(sender);
    for (int i = 0; i < 200; i++) {
        turn(sender);
        broker_pause_ms(1);
    }
    CHECK_INTEGER(atomic_load(&sender->arrived_count), 0);
    CHECK_INTEGER(uplink_wake_us(&sender->uplink, clock_monotonic_us()), INT64_MAX);
    uplink_set_bandwidth(&sender->uplink, 1 << 20);
    run_until(sender, 20, 0);
    sender_free(sender);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(what_exceeds_the_quota_is_sent_again_later_and_in_order),
        CASE(what_is_refused_for_good_is_set_aside_and_the_rest_is_delivered),
        CASE(a_reason_that_may_pass_is_borne_five_times),
        CASE(what_is_larger_than_the_broker_takes_is_not_even_sent),
        CASE(live_results_get_their_share_while_a_backlog_drains),
        CASE(with_a_share_of_zero_all_leaves_in_order),
        CASE(live_results_wait_in_order_until_their_patience_ends),
        CASE(urgent_batches_overtake_all_others),
        CASE(no_more_bytes_leave_in_a_second_than_the_bandwidth_allows),
        CASE(nothing_leaves_while_the_bandwidth_is_none),
        {0}});
}
