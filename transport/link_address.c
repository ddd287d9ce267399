/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const struct scheme *find_scheme(const char *url)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(url, schemes[i].name, strlen(schemes[i].name)) == 0)
            return &schemes[i];
    }
    return NULL;
}

enum error_code link_address_init(struct link_address *address, const char *url, struct error *error)
{
    const struct scheme *scheme = find_scheme(url);
    *address = (struct link_address){0};
    if (scheme == NULL)
        return bad_url(url, "has an unknown scheme", error);
    TRY(put_address(url, scheme, &address->paho_url, error));
    address->given = strdup(url);
    address->encrypted = scheme->encrypted;
    address->websocket = scheme->websocket;
    if (address->given == NULL) {
        link_address_deinit(address);
        return error_set(error, ERROR_LIMIT, "no memory for an address");
    }
    return ERROR_NONE;
}

void link_address_deinit(struct link_address *address)
{
    free(address->given);
    free(address->paho_url);
    *address = (struct link_address){0};
}

enum error_code link_address_redirect(struct link_address *address, const struct link_address *from, const char *reference,
                                      struct error *error)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    const char *scheme = find_scheme(from->given)->name, *path = strchr(from->given + strlen(scheme), '/');
    size_t length = strspn(reference, characters);
    char url[2 * LINK_REFERENCE_BYTES + 1024];
    if (length == 0 || length >= LINK_REFERENCE_BYTES || (reference[length] != '\0' && reference[length] != ' '))
        return error_set(error, ERROR_LINK, "the broker names another one as \"%.100s\", expected HOST or HOST:PORT", reference);
    if ((size_t)snprintf(url, sizeof url, "%s%.*s%s", scheme, (int)length, reference, path != NULL ? path : "") >= sizeof url)
        return error_set(error, ERROR_LINK, "the broker names another one whose address is too long");
    return link_address_init(address, url, error);
}
