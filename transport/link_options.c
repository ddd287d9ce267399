/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum error_code copy_addresses(struct link_settings *settings, const struct link_options *options, struct error *error)
{
    settings->addresses = calloc((size_t)options->fallback_count + 1, sizeof *settings->addresses);
    if (settings->addresses == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a connection's addresses");
    for (int i = 0; i <= options->fallback_count; i++) {
        TRY(link_address_init(&settings->addresses[i], i == 0 ? options->url : options->fallback_urls[i - 1], error));
        settings->address_count++;
    }
    return ERROR_NONE;
}

static bool copy_text(char **copy_out, const char *text)
{
    if (text != NULL && text[0] != '\0')
        *copy_out = strdup(text);
    return text == NULL || text[0] == '\0' || *copy_out != NULL;
}

static enum error_code check_readable(const char *path, const char *what, struct error *error)
{
    if (path == NULL || access(path, R_OK) == 0)
        return ERROR_NONE;
    return error_set(error, ERROR_CONFIG, "cannot read the %s file %.200s: %s", what, path, strerror(errno));
}

int link_read_password(const struct link_settings *settings, char password[LINK_PASSWORD_BYTES], struct error *error)
{
    FILE *file = fopen(settings->password_file, "re");
    if (file == NULL) {
        error_set(error, ERROR_CONFIG, "cannot read the password file %.200s: %s", settings->password_file, strerror(errno));
        return -1;
    }
    password[0] = '\0';
    (void)!fgets(password, LINK_PASSWORD_BYTES, file); /* an empty file is an empty password */
    fclose(file);
    password[strcspn(password, "\r\n")] = '\0';
    return (int)strlen(password);
}

enum error_code link_settings_copy(struct link *link, const struct link_options *options, struct error *error)
{
    struct link_settings *settings = &link->settings;
    settings->keep_alive_s = options->keep_alive_s;
    settings->receive_maximum = options->receive_maximum < 1 ? 1 : options->receive_maximum > 65535 ? 65535 : options->receive_maximum;
    settings->refused_wait_s = options->refused_wait_s;
    settings->session_expiry_s = options->session_expiry_s;
    settings->on_message = options->on_message;
    settings->on_connected = options->on_connected;
    settings->on_disconnected = options->on_disconnected;
    settings->on_published = options->on_published;
    settings->on_refused = options->on_refused;
    settings->context = options->context;
    TRY(copy_addresses(settings, options, error));
    if (!copy_text(&settings->client_id, options->client_id) || !copy_text(&settings->user, options->user) ||
        !copy_text(&settings->password_file, options->password_file) || !copy_text(&settings->ca, options->ca) ||
        !copy_text(&settings->cert, options->cert) || !copy_text(&settings->key, options->key) ||
        !copy_text(&settings->will_topic, options->will_topic) || !copy_text(&settings->will_payload, options->will_payload))
        return error_set(error, ERROR_LIMIT, "no memory for a connection's settings");
    if (settings->client_id == NULL)
        return error_set(error, ERROR_CONFIG, "the connection to %s has no client id", options->url);
    TRY(check_readable(settings->ca, "ca", error));
    TRY(check_readable(settings->cert, "cert", error));
    TRY(check_readable(settings->key, "key", error));
    char password[LINK_PASSWORD_BYTES];
    if (settings->password_file != NULL && link_read_password(settings, password, error) < 0)
        return ERROR_CONFIG;
    for (int i = 0; i < options->filter_count; i++)
        TRY(link_add_subscription(link, options->filters[i], options->filter_qos != NULL ? options->filter_qos[i] : 1, false, error));
    return ERROR_NONE;
}

void link_settings_free(struct link *link)
{
    struct link_settings *settings = &link->settings;
    char *texts[] = {settings->client_id, settings->user, settings->password_file, settings->ca,
                     settings->cert, settings->key, settings->will_topic, settings->will_payload};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (int i = 0; i < settings->address_count; i++)
        link_address_deinit(&settings->addresses[i]);
    free(settings->addresses);
    link_address_deinit(&link->redirect);
    for (int i = 0; i < link->subscription_count; i++)
        free(link->subscriptions[i].filter);
    free(link->subscriptions);
}

/* QoS 2 is asked for as 1: Paho would acknowledge it before anybody has it. */
enum error_code link_add_subscription(struct link *link, const char *filter, int qos, bool removed, struct error *error)
{
    struct link_subscription *found = NULL;
    for (int i = 0; i < link->subscription_count && found == NULL; i++) {
        if (strcmp(link->subscriptions[i].filter, filter) == 0)
            found = &link->subscriptions[i];
    }
    if (found == NULL) {
        struct link_subscription *grown = realloc(link->subscriptions, ((size_t)link->subscription_count + 1) * sizeof *grown);
        char *copy = strdup(filter);
        if (grown != NULL)
            link->subscriptions = grown;
        if (grown == NULL || copy == NULL) {
            free(copy);
            return error_set(error, ERROR_LIMIT, "no memory for the subscription %.200s", filter);
        }
        found = &link->subscriptions[link->subscription_count++];
        found->filter = copy;
    }
    found->qos = qos > 0 ? 1 : 0;
    found->removed = removed;
    found->sent = false;
    return ERROR_NONE;
}
