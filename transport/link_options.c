/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct scheme {
    const char *name, *paho_name;
    int port;
    bool encrypted, websocket;
} schemes[] = {
    {"mqtt://", "tcp://", 1883, false, false},
    {"mqtts://", "ssl://", 8883, true, false},
    {"ws://", "ws://", 80, false, true},
    {"wss://", "wss://", 443, true, true},
};

static enum error_code bad_url(const char *url, const char *what, struct error *error)
{
    return error_set(error, ERROR_CONFIG, "the address \"%.200s\" %s; expected mqtt://, mqtts://, ws:// or wss://, a host, and maybe :PORT",
                     url, what);
}

/* Splits host[:port][/path]; an IPv6 address stands in brackets. */
static enum error_code put_address(const char *url, const struct scheme *scheme, char **paho_url_out, struct error *error)
{
    const char *host = url + strlen(scheme->name);
    size_t host_bytes = host[0] == '[' ? strcspn(host, "]") + (strchr(host, ']') != NULL) : strcspn(host, ":/");
    const char *rest = host + host_bytes;
    long port = scheme->port;
    if (host_bytes == 0 || strpbrk(host, " \t\r\n@") != NULL)
        return bad_url(url, "names no host", error);
    if (*rest == ':') {
        char *end;
        errno = 0;
        port = strtol(rest + 1, &end, 10);
        if (end == rest + 1 || port < 1 || port > 65535 || errno != 0 || rest[1] == '-' || rest[1] == '+')
            return bad_url(url, "has no port between 1 and 65535", error);
        rest = end;
    }
    if (*rest != '\0' && !(*rest == '/' && (scheme->websocket || rest[1] == '\0')))
        return bad_url(url, "goes on after the port", error);
    if (asprintf(paho_url_out, "%s%.*s:%ld%s", scheme->paho_name, (int)host_bytes, host, port, scheme->websocket ? rest : "") < 0) {
        *paho_url_out = NULL;
        return error_set(error, ERROR_LIMIT, "no memory for an address");
    }
    return ERROR_NONE;
}

static enum error_code copy_url(struct link_settings *settings, const char *url, struct error *error)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(url, schemes[i].name, strlen(schemes[i].name)) == 0) {
            settings->encrypted = schemes[i].encrypted;
            settings->websocket = schemes[i].websocket;
            return put_address(url, &schemes[i], &settings->url, error);
        }
    }
    return bad_url(url, "has an unknown scheme", error);
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
    settings->session_expiry_s = options->session_expiry_s;
    settings->on_message = options->on_message;
    settings->on_connected = options->on_connected;
    settings->on_disconnected = options->on_disconnected;
    settings->on_published = options->on_published;
    settings->context = options->context;
    TRY(copy_url(settings, options->url, error));
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
    char *texts[] = {settings->url, settings->client_id, settings->user, settings->password_file, settings->ca,
                     settings->cert, settings->key, settings->will_topic, settings->will_payload};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
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
