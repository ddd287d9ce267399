/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "transport/connack.h"
#include "transport/link_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SECOND_US = 1000000,
    BACK_OFF_MAX_S = 60,
    CONNECT_TIMEOUT_S = 20,
    STEADY_US = 10 * SECOND_US,      /* a connection that lasted so long ends the back-off */
    LOOK_US = SECOND_US,             /* how often an unremarkable connection is looked at */
    ACKNOWLEDGE_RETRY_US = 20000,
    ANSWER_WAIT_US = 2 * SECOND_US,
    REFUSED_WAIT_S = 60,             /* a broker that does not want us is asked again after so long, then twice as long, ... */
    REFUSED_WAIT_FACTOR = 10,        /* ... up to so many times as long */
    REDIRECTS_MAX = 3,               /* in a row; brokers that send us in a circle are met with back-off */
};

void link_wake_locked(struct link *link)
{
    link->signalled = true;
    pthread_cond_signal(&link->wake);
}

/* The first reason stands: what Paho adds while it cleans up says less. */
void link_note_event(struct link *link, enum link_event event, const char *why)
{
    pthread_mutex_lock(&link->lock);
    if (link->event != LINK_LOST) {
        link->event = event;
        snprintf(link->why, sizeof link->why, "%s", why);
    }
    if (event == LINK_LOST)
        link->usable = false;
    link_wake_locked(link);
    pthread_mutex_unlock(&link->lock);
}

static void note_problem(struct link *link, const char *text)
{
    pthread_mutex_lock(&link->lock);
    snprintf(link->last_problem, sizeof link->last_problem, "%s", text);
    pthread_mutex_unlock(&link->lock);
}

static void connection_lost(void *context, char *cause)
{
    link_note_event(context, LINK_LOST, cause != NULL ? cause : "the connection was lost");
}

/* What goes with the event that is noted next. */
static void note_reason(struct link *link, int reason, const char *reference, size_t length)
{
    pthread_mutex_lock(&link->lock);
    if (link->event != LINK_LOST) {
        link->reason = reason;
        snprintf(link->reference, sizeof link->reference, "%.*s", length < sizeof link->reference ? (int)length : 0, reference);
    }
    pthread_mutex_unlock(&link->lock);
}

static void disconnected_by_broker(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    MQTTProperty *reference = MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_SERVER_REFERENCE);
    size_t length = reference != NULL && reference->value.data.len > 0 ? (size_t)reference->value.data.len : 0;
    note_reason(context, (int)reason, length > 0 ? reference->value.data.data : "", length);
    const char *name = MQTTReasonCode_toString(reason);
    char why[LINK_PROBLEM_BYTES];
    snprintf(why, sizeof why, "the broker ended the connection: %s (0x%02x)", name != NULL ? name : "no reason known", (unsigned)reason);
    link_note_event(context, LINK_LOST, why);
}

static void connect_succeeded(void *context, MQTTAsync_successData5 *answer)
{
    struct link *link = context;
    int receive_maximum = MQTTProperties_getNumericValue(&answer->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
    MQTTProperty *packet = MQTTProperties_getProperty(&answer->properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE);
    pthread_mutex_lock(&link->lock);
    link->window = receive_maximum > 0 && receive_maximum < LINK_WINDOW_MAX ? receive_maximum : LINK_WINDOW_MAX;
    link->packet_bytes_max = packet != NULL && packet->value.integer4 > 0 ? packet->value.integer4 : SIZE_MAX;
    link->session_present = answer->alt.connect.sessionPresent != 0;
    int keep_alive = MQTTProperties_getNumericValue(&answer->properties, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE);
    link->server_keep_alive_s = keep_alive > 0 && keep_alive <= UINT16_MAX ? keep_alive : 0;
    pthread_mutex_unlock(&link->lock);
    link_note_event(link, LINK_CONNECTED, "");
}

static void connect_failed(void *context, MQTTAsync_failureData5 *answer)
{
    char why[LINK_PROBLEM_BYTES];
    /* Paho 1.3.12 puts the reason of a CONNACK into `code`. */
    int reason = answer->code >= MQTTREASONCODE_UNSPECIFIED_ERROR ? answer->code : (int)answer->reasonCode;
    const char *name = reason >= MQTTREASONCODE_UNSPECIFIED_ERROR ? MQTTReasonCode_toString((enum MQTTReasonCodes)reason) : NULL;
    char reference[LINK_REFERENCE_BYTES];
    size_t length = name != NULL ? connack_server_reference(reference, sizeof reference) : 0;
    note_reason(context, name != NULL ? reason : 0, reference, length);
    if (name != NULL)
        snprintf(why, sizeof why, "the broker refused the connection: %s (0x%02x)", name, (unsigned)reason);
    else
        snprintf(why, sizeof why, "cannot connect: %s", answer->message != NULL ? answer->message : "no answer from the broker's address");
    link_note_event(context, LINK_LOST, why);
}

static int note_tls_error(const char *text, size_t length, void *context)
{
    struct link *link = context;
    char why[LINK_PROBLEM_BYTES];
    snprintf(why, sizeof why, "TLS: %.*s", (int)(length < 100 ? length : 100), text);
    why[strcspn(why, "\n")] = '\0';
    pthread_mutex_lock(&link->lock);
    if (link->event == LINK_NOTHING) { /* goes before the plain "cannot connect" that follows */
        link->event = LINK_LOST;
        memcpy(link->why, why, sizeof why);
        link_wake_locked(link);
    }
    pthread_mutex_unlock(&link->lock);
    return 1;
}

static void subscribe_failed(void *context, MQTTAsync_failureData5 *answer)
{
    char why[LINK_PROBLEM_BYTES];
    snprintf(why, sizeof why, "the broker refused a subscription (0x%02x)", (unsigned)answer->reasonCode);
    note_problem(context, why);
}

static void subscribe_answered(void *context, MQTTAsync_successData5 *answer)
{
    if (answer->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        note_problem(context, "the broker refused a subscription");
}

static int add_number(MQTTProperties *properties, enum MQTTPropertyCodes which, uint32_t value, bool wide)
{
    MQTTProperty property = {.identifier = which};
    if (wide)
        property.value.integer4 = value;
    else
        property.value.integer2 = (unsigned short)value;
    return MQTTProperties_add(properties, &property);
}

static const struct link_address *address_now(const struct link *link)
{
    return link->redirect.given != NULL ? &link->redirect : &link->settings.addresses[link->address];
}

static int request_connection(struct link *link, struct error *error)
{
    const struct link_settings *settings = &link->settings;
    MQTTAsync_connectOptions plain = MQTTAsync_connectOptions_initializer5, over_http = MQTTAsync_connectOptions_initializer5_ws;
    const struct link_address *address = address_now(link);
    MQTTAsync_connectOptions options = address->websocket ? over_http : plain;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTProperties properties = MQTTProperties_initializer;
    char password[LINK_PASSWORD_BYTES] = "";
    int password_bytes = settings->password_file != NULL ? link_read_password(settings, password, error) : 0;
    if (password_bytes < 0)
        return MQTTASYNC_FAILURE;
    options.keepAliveInterval = link->keep_alive_s;
    options.cleanstart = settings->session_expiry_s == 0;
    options.maxInflight = LINK_SLOTS;
    options.connectTimeout = CONNECT_TIMEOUT_S;
    options.automaticReconnect = 0;
    options.username = settings->user;
    if (settings->password_file != NULL) {
        options.binarypwd.data = password;
        options.binarypwd.len = password_bytes;
    }
    if (settings->will_topic != NULL) {
        will.topicName = settings->will_topic;
        will.message = settings->will_payload != NULL ? settings->will_payload : "";
        will.retained = 1;
        will.qos = 1;
        options.will = &will;
    }
    if (address->encrypted) {
        tls.trustStore = settings->ca;
        tls.keyStore = settings->cert;
        tls.privateKey = settings->key;
        tls.enableServerCertAuth = 1;
        tls.verify = 1;
        tls.ssl_error_cb = note_tls_error;
        tls.ssl_error_context = link;
        options.ssl = &tls;
    }
    (void)add_number(&properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, settings->session_expiry_s, true);
    (void)add_number(&properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, (uint32_t)settings->receive_maximum, false);
    (void)add_number(&properties, MQTTPROPERTY_CODE_TOPIC_ALIAS_MAXIMUM, 0, false);
    options.connectProperties = &properties;
    options.context = link;
    options.onSuccess5 = connect_succeeded;
    options.onFailure5 = connect_failed;
    int status = MQTTAsync_connect(link->handle, &options); /* copies all of it */
    MQTTProperties_free(&properties);
    if (status != MQTTASYNC_SUCCESS)
        error_set(error, ERROR_LINK, "cannot connect: Paho says %d", status);
    return status;
}

static enum error_code make_handle(struct link *link, struct error *error)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    int status = MQTTAsync_createWithOptions(&link->handle, address_now(link)->paho_url, link->settings.client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                             &options);
    if (status != MQTTASYNC_SUCCESS) {
        link->handle = NULL;
        return error_set(error, ERROR_LINK, "Paho cannot make a client (%d)", status);
    }
    if (!puback_attach(&link->route, link->handle, link->settings.client_id))
        return error_set(error, ERROR_INTERNAL, "this is not the Paho release that eddy was built for");
    MQTTAsync_setCallbacks(link->handle, link, connection_lost, link_message_arrived, NULL);
    MQTTAsync_setDisconnected(link->handle, link, disconnected_by_broker);
    return ERROR_NONE;
}

static void drop_handle(struct link *link)
{
    pthread_mutex_lock(&link->handle_lock);
    puback_detach(&link->route);
    if (link->handle != NULL)
        MQTTAsync_destroy(&link->handle);
    link->handle = NULL;
    pthread_mutex_unlock(&link->handle_lock);
}

static bool is_unwanted(int reason)
{
    switch (reason) {
    case MQTTREASONCODE_BAD_USER_NAME_OR_PASSWORD:
    case MQTTREASONCODE_NOT_AUTHORIZED:
    case MQTTREASONCODE_CLIENT_IDENTIFIER_NOT_VALID:
    case MQTTREASONCODE_BANNED:
    case MQTTREASONCODE_BAD_AUTHENTICATION_METHOD: return true;
    default: return false;
    }
}

/* Longer after each failure, and not in step with others that lost the same broker. */
static int64_t back_off_us(struct link *link, bool unwanted)
{
    int64_t refused_wait = link->settings.refused_wait_s > 0 ? link->settings.refused_wait_s : REFUSED_WAIT_S;
    int64_t first = unwanted ? refused_wait : 1, longest = unwanted ? REFUSED_WAIT_FACTOR * refused_wait : BACK_OFF_MAX_S;
    int64_t seconds = first << (link->failures < 6 ? link->failures : 6);
    seconds = seconds < longest ? seconds : longest;
    int64_t jitter = rand_r(&link->random) % (seconds * SECOND_US / 2);
    int64_t wait = seconds * SECOND_US + jitter;
    link->failures += link->failures < 16;
    return wait < longest * SECOND_US ? wait : longest * SECOND_US - jitter;
}

/* true: the broker named another one, and that is where we go next, at once. */
static bool follow_redirect(struct link *link, int reason, const char *reference)
{
    struct link_address address;
    struct error error;
    bool asked = (reason == MQTTREASONCODE_USE_ANOTHER_SERVER || reason == MQTTREASONCODE_SERVER_MOVED) && reference[0] != '\0';
    if (!asked || link->redirects >= REDIRECTS_MAX || link_address_redirect(&address, address_now(link), reference, &error) != ERROR_NONE)
        return false;
    link_address_deinit(&link->redirect);
    link->redirect = address;
    link->redirects++;
    return true;
}

/* Where and when to try next. The lock is held: the address is read by link_get_statistics. */
static void plan_next(struct link *link, int reason, const char *reference)
{
    int64_t now = clock_monotonic_us();
    bool was_up = link->phase == LINK_UP, redirected = link->redirect.given != NULL;
    if (was_up && now - link->up_since_us > STEADY_US)
        link->failures = 0;
    link->due_us = now;
    if (follow_redirect(link, reason, reference))
        return;
    if (redirected && !was_up) /* the other one does not answer */
        link_address_deinit(&link->redirect);
    else
        link->address = was_up ? 0 : (link->address + 1) % link->settings.address_count;
    if (was_up || link->address == 0) {
        link->due_us += back_off_us(link, is_unwanted(reason));
        link->redirects = 0;
    }
}

/* All that belonged to the connection goes; the owner has what it needs to send again. */
static void fall_back(struct link *link, const char *why)
{
    pthread_mutex_lock(&link->lock);
    bool was_up = link->phase == LINK_UP;
    link->usable = false;
    link->generation++;
    link->acknowledgement_count = link->unacknowledged = 0;
    link->overrun = link->paused = false;
    pthread_mutex_unlock(&link->lock);
    drop_handle(link);
    pthread_mutex_lock(&link->lock);
    for (int i = 0; i < LINK_SLOTS; i++)
        link->slots[i].busy = false;
    link->in_flight[0] = link->in_flight[1] = 0;
    link->event = LINK_NOTHING;
    int reason = link->reason;
    link->reason = 0;
    snprintf(link->last_problem, sizeof link->last_problem, "%s", why);
    plan_next(link, reason, link->reference);
    link->reference[0] = '\0';
    link->phase = LINK_WAITING;
    pthread_mutex_unlock(&link->lock);
    if (!was_up && is_unwanted(reason) && link->settings.on_refused != NULL)
        link->settings.on_refused(reason, why, link->settings.context);
    if (was_up && link->settings.on_disconnected != NULL)
        link->settings.on_disconnected(why, link->settings.context);
}

static void begin_connect(struct link *link)
{
    struct error error;
    pthread_mutex_lock(&link->lock);
    link->phase = LINK_CONNECTING;
    link->event = LINK_NOTHING;
    link->reason = 0;
    link->reference[0] = '\0';
    link->generation++;
    link->give_up_us = clock_monotonic_us() + 2 * CONNECT_TIMEOUT_S * (int64_t)SECOND_US;
    pthread_mutex_unlock(&link->lock);
    pthread_mutex_lock(&link->handle_lock);
    bool begun = make_handle(link, &error) == ERROR_NONE && request_connection(link, &error) == MQTTASYNC_SUCCESS;
    pthread_mutex_unlock(&link->handle_lock);
    if (!begun)
        fall_back(link, error.message);
}

static void become_up(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->phase = LINK_UP;
    link->usable = link->event != LINK_LOST;
    if (link->event == LINK_CONNECTED)
        link->event = LINK_NOTHING;
    link->connects++;
    link->last_problem[0] = '\0';
    for (int i = 0; i < link->subscription_count; i++)
        link->subscriptions[i].sent = false;
    link->subscriptions_changed = true;
    bool session_present = link->session_present;
    link->up_since_us = clock_monotonic_us();
    pthread_mutex_unlock(&link->lock);
    if (link->settings.on_connected != NULL)
        link->settings.on_connected(session_present, link->settings.context);
}

/* Takes the next subscription that the broker has not been told; false: there is none. */
static bool take_unsent(struct link *link, char **filter_out, int *qos_out, bool *removed_out)
{
    bool found = false;
    pthread_mutex_lock(&link->lock);
    for (int i = 0; i < link->subscription_count && !found; i++) {
        struct link_subscription *subscription = &link->subscriptions[i];
        if (subscription->sent || (*filter_out = strdup(subscription->filter)) == NULL)
            continue;
        *qos_out = subscription->qos;
        *removed_out = subscription->removed;
        subscription->sent = found = true;
    }
    if (!found)
        link->subscriptions_changed = false;
    pthread_mutex_unlock(&link->lock);
    return found;
}

static void send_subscriptions(struct link *link)
{
    char *filter;
    int qos;
    bool removed;
    while (take_unsent(link, &filter, &qos, &removed)) {
        MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
        answer.context = link;
        answer.onSuccess5 = subscribe_answered;
        answer.onFailure5 = subscribe_failed;
        int status = removed ? MQTTAsync_unsubscribe(link->handle, filter, &answer) : MQTTAsync_subscribe(link->handle, filter, qos, &answer);
        if (status != MQTTASYNC_SUCCESS && MQTTAsync_isConnected(link->handle)) {
            char why[LINK_PROBLEM_BYTES];
            snprintf(why, sizeof why, "cannot subscribe to %.80s: Paho says %d", filter, status);
            note_problem(link, why);
        }
        free(filter);
    }
}

void link_flush_acknowledgements(struct link *link)
{
    uint16_t ids[256];
    bool more = true;
    pthread_mutex_lock(&link->handle_lock);
    while (more && link->handle != NULL) {
        pthread_mutex_lock(&link->lock);
        size_t count = link->acknowledgement_count < 256 ? link->acknowledgement_count : 256;
        memcpy(ids, link->acknowledgements, count * sizeof ids[0]);
        uint32_t generation = link->generation;
        pthread_mutex_unlock(&link->lock);
        size_t sent = puback_send(&link->route, ids, count);
        pthread_mutex_lock(&link->lock);
        if (generation == link->generation) { /* else a loss was noted in between, and all of them are void */
            link->acknowledgement_count -= sent;
            memmove(link->acknowledgements, link->acknowledgements + sent, link->acknowledgement_count * sizeof ids[0]);
        }
        more = sent > 0 && sent == count && link->acknowledgement_count > 0;
        if ((link->acknowledgement_count > 0 && !more) || link->overrun)
            link_wake_locked(link); /* the thread tries again, or starts over */
        pthread_mutex_unlock(&link->lock);
    }
    pthread_mutex_unlock(&link->handle_lock);
}

static void note_answered(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->answered = true;
    link_wake_locked(link);
    pthread_mutex_unlock(&link->lock);
}

static void order_succeeded(void *context, MQTTAsync_successData5 *answer)
{
    (void)answer;
    note_answered(context);
}

static void order_failed(void *context, MQTTAsync_failureData5 *answer)
{
    (void)answer;
    note_answered(context);
}

static void expect_answer(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->answered = false;
    pthread_mutex_unlock(&link->lock);
}

/* Until the connection that is being made is there, or will not be. */
static void wait_for_connection(struct link *link)
{
    int64_t give_up = clock_monotonic_us() + ANSWER_WAIT_US;
    struct timespec until = {.tv_sec = give_up / SECOND_US, .tv_nsec = give_up % SECOND_US * 1000};
    pthread_mutex_lock(&link->lock);
    while (link->phase == LINK_CONNECTING && link->event == LINK_NOTHING && clock_monotonic_us() < give_up)
        pthread_cond_timedwait(&link->wake, &link->lock, &until);
    pthread_mutex_unlock(&link->lock);
}

static void wait_for_answer(struct link *link)
{
    int64_t give_up = clock_monotonic_us() + ANSWER_WAIT_US;
    struct timespec until = {.tv_sec = give_up / SECOND_US, .tv_nsec = give_up % SECOND_US * 1000};
    pthread_mutex_lock(&link->lock);
    while (!link->answered && link->event != LINK_LOST && clock_monotonic_us() < give_up)
        pthread_cond_timedwait(&link->wake, &link->lock, &until);
    pthread_mutex_unlock(&link->lock);
}

/* A broker that still writes when the socket closes, or that sees the next connection of this client first, drops PUBACKs it has not read. It answers in
 * order, so an answer to anything sent after them shows that it has read them: the end of a subscription that never was asks for nothing else. */
static void wait_until_acknowledgements_are_read(struct link *link)
{
    MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
    answer.context = link;
    answer.onSuccess5 = order_succeeded;
    answer.onFailure5 = order_failed;
    expect_answer(link);
    if (MQTTAsync_unsubscribe(link->handle, "eddy/none", &answer) == MQTTASYNC_SUCCESS)
        wait_for_answer(link);
}

/* With a DISCONNECT, so that the broker does not send the Last Will. */
static void disconnect_in_order(struct link *link)
{
    if (link->handle == NULL || !MQTTAsync_isConnected(link->handle))
        return;
    pthread_mutex_lock(&link->lock);
    link->usable = false;
    bool receives = link->subscription_count > 0;
    pthread_mutex_unlock(&link->lock);
    if (receives)
        wait_until_acknowledgements_are_read(link);
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    options.context = link;
    options.onSuccess5 = order_succeeded;
    options.onFailure5 = order_failed;
    expect_answer(link);
    if (MQTTAsync_disconnect(link->handle, &options) == MQTTASYNC_SUCCESS)
        wait_for_answer(link);
}

/* Paho has no way to change the interval of a connection, so a new one is made with it. */
static bool obey_keep_alive(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    bool shorter = link->server_keep_alive_s > 0 && link->server_keep_alive_s < link->keep_alive_s;
    if (shorter)
        link->keep_alive_s = link->server_keep_alive_s;
    pthread_mutex_unlock(&link->lock);
    if (shorter) {
        disconnect_in_order(link);
        fall_back(link, "the broker asks for a shorter keep alive: connecting anew with it");
        link->due_us = clock_monotonic_us();
        link->failures = 0;
    }
    return shorter;
}

/* The broker sent more than the owner could take, which has acknowledged what it took: the rest comes again over a new connection. */
static void start_over(struct link *link)
{
    disconnect_in_order(link);
    fall_back(link, "the broker sent more than the Receive Maximum: connecting anew for the rest");
    link->due_us = clock_monotonic_us();
    link->failures = 0;
    pthread_mutex_lock(&link->lock);
    link->overruns++;
    pthread_mutex_unlock(&link->lock);
}

static void step(struct link *link)
{
    char why[LINK_PROBLEM_BYTES];
    pthread_mutex_lock(&link->lock);
    enum link_phase phase = link->phase;
    enum link_event event = link->event;
    memcpy(why, link->why, sizeof why);
    bool subscribe = link->subscriptions_changed, acknowledge = link->acknowledgement_count > 0;
    bool overrun = link->overrun && link->unacknowledged == 0 && !acknowledge;
    pthread_mutex_unlock(&link->lock);
    int64_t now = clock_monotonic_us();
    if (phase == LINK_WAITING) {
        if (now >= link->due_us)
            begin_connect(link);
    } else if (event == LINK_LOST) {
        fall_back(link, why);
    } else if (phase == LINK_CONNECTING) {
        if (event == LINK_CONNECTED && !obey_keep_alive(link))
            become_up(link);
        else if (event == LINK_CONNECTED)
            return;
        else if (now >= link->give_up_us)
            fall_back(link, "cannot connect: no answer from the broker");
    } else if (!MQTTAsync_isConnected(link->handle)) {
        fall_back(link, "the connection was lost");
    } else if (overrun) {
        start_over(link);
    } else {
        if (subscribe)
            send_subscriptions(link);
        if (acknowledge)
            link_flush_acknowledgements(link);
    }
}

static int64_t next_look(const struct link *link)
{
    int64_t now = clock_monotonic_us();
    if (link->phase == LINK_WAITING)
        return link->due_us;
    if (link->phase == LINK_CONNECTING)
        return link->event != LINK_NOTHING ? now : link->give_up_us;
    if (link->event != LINK_NOTHING || link->subscriptions_changed)
        return now;
    return now + (link->acknowledgement_count > 0 ? ACKNOWLEDGE_RETRY_US : LOOK_US);
}

static void wait_locked(struct link *link, int64_t until_us)
{
    struct timespec until = {.tv_sec = until_us / SECOND_US, .tv_nsec = until_us % SECOND_US * 1000};
    while (!link->signalled && !link->closing && clock_monotonic_us() < until_us)
        pthread_cond_timedwait(&link->wake, &link->lock, &until);
    link->signalled = false;
}

void *link_thread(void *argument)
{
    struct link *link = argument;
    pthread_mutex_lock(&link->lock);
    while (!link->closing) {
        wait_locked(link, next_look(link));
        if (link->closing)
            break;
        pthread_mutex_unlock(&link->lock);
        step(link);
        pthread_mutex_lock(&link->lock);
    }
    pthread_mutex_unlock(&link->lock);
    wait_for_connection(link);
    disconnect_in_order(link);
    drop_handle(link);
    return NULL;
}
