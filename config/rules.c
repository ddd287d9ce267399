/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rules.h"

#include "config/bandwidth.h"
#include "config/scalar.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LEVEL_BYTES_MAX = 64, FILTER_BYTES_MAX = 1024, MODEL_NAME_BYTES_MAX = 79, URL_BYTES_MAX = 1024 };

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool consists_of(const char *text, const char *characters, size_t length_max)
{
    size_t length = strlen(text);
    return length > 0 && length <= length_max && strspn(text, characters) == length;
}

const char *rule_topic_level(const char *text)
{
    size_t length = strlen(text);
    bool fine = length > 0 && length <= LEVEL_BYTES_MAX && strpbrk(text, "/+#") == NULL;
    return fine ? NULL : "expected one topic level: 1 to 64 bytes without / + #";
}

const char *rule_topic_filter(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > FILTER_BYTES_MAX)
        return "expected an MQTT topic filter of 1 to 1024 bytes, such as camera/+/frame";
    for (const char *at = text; *at != '\0'; at++) {
        bool begins_level = at == text || at[-1] == '/', ends_level = at[1] == '\0' || at[1] == '/';
        if (*at == '+' && !(begins_level && ends_level))
            return "expected an MQTT topic filter: + stands for a whole level, as in camera/+/frame";
        if (*at == '#' && !(begins_level && at[1] == '\0'))
            return "expected an MQTT topic filter: # stands alone in the last level, as in camera/#";
    }
    if (strncmp(text, "$share/", 7) == 0) {
        const char *group = text + 7, *slash = strchr(group, '/');
        if (slash == NULL || slash == group || slash[1] == '\0' || strcspn(group, "+#") < (size_t)(slash - group))
            return "expected a shared subscription of the form $share/GROUP/FILTER";
    }
    return NULL;
}

const char *rule_pipeline_name(const char *text)
{
    return consists_of(text, LOWER DIGITS "_-", LEVEL_BYTES_MAX) ? NULL : "expected 1 to 64 of the characters a-z 0-9 _ -";
}

static size_t scheme_length(const char *url)
{
    static const char *const schemes[] = {"mqtt://", "mqtts://", "ws://", "wss://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
            return strlen(schemes[i]);
    }
    return 0;
}

/* A name or IPv4 address, or an IPv6 address in brackets; its length, 0 where there is none. */
static size_t host_length(const char *text)
{
    if (text[0] != '[')
        return strspn(text, LOWER UPPER DIGITS ".-_");
    size_t inside = strspn(text + 1, "abcdefABCDEF" DIGITS ":.");
    return inside >= 2 && text[1 + inside] == ']' ? inside + 2 : 0;
}

const char *rule_broker_url(const char *text)
{
    if (strncmp(text, "quic://", 7) == 0)
        return "which is not available in this version, use mqtts://";
    size_t scheme = scheme_length(text);
    if (scheme == 0 || strlen(text) > URL_BYTES_MAX)
        return "expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://";
    if (strchr(text, '@') != NULL)
        return "expected no user in it: set user and password_file";
    size_t host = host_length(text + scheme);
    if (host == 0)
        return "expected a host after ://, such as mqtt://127.0.0.1:1883";
    const char *rest = text + scheme + host;
    if (*rest == ':') {
        size_t digits = strspn(rest + 1, DIGITS);
        int64_t port = 0;
        for (size_t i = 1; i <= digits && i <= 6; i++)
            port = port * 10 + (rest[i] - '0');
        if (digits == 0 || digits > 5 || port < 1 || port > 65535)
            return "expected a port from 1 to 65535 after the host";
        rest += 1 + digits;
    }
    if (*rest == '/' && rest[1] != '\0' && text[0] != 'w')
        return "expected no path after the host: only ws:// and wss:// have one";
    if ((*rest != '\0' && *rest != '/') || strchr(rest, ' ') != NULL)
        return "expected nothing but :PORT after the host";
    return NULL;
}

bool rule_url_is_encrypted(const char *url)
{
    return strncmp(url, "mqtts:", 6) == 0 || strncmp(url, "wss:", 4) == 0;
}

const char *rule_path(const char *text)
{
    return text[0] != '\0' ? NULL : "expected a path";
}

const char *rule_model_name(const char *text)
{
    bool fine = consists_of(text, LOWER UPPER DIGITS "._-", MODEL_NAME_BYTES_MAX) && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
    return fine ? NULL : "expected 1 to 79 of the characters A-Z a-z 0-9 . _ -";
}

const char *rule_model_reference(const char *text)
{
    const char *expected = "expected a model's name or name@version, of the characters A-Z a-z 0-9 . _ -";
    const char *at = strchr(text, '@');
    char name[MODEL_NAME_BYTES_MAX + 1];
    size_t length = at != NULL ? (size_t)(at - text) : strlen(text);
    if (length > MODEL_NAME_BYTES_MAX)
        return expected;
    memcpy(name, text, length);
    name[length] = '\0';
    return rule_model_name(name) != NULL || (at != NULL && rule_model_name(at + 1) != NULL) ? expected : NULL;
}

const char *rule_file_in_bundle(const char *text)
{
    bool fine = text[0] != '\0' && strlen(text) <= 255 && strchr(text, '/') == NULL && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
    return fine ? NULL : "expected the name of a file in the bundle's folder, without /";
}

const char *rule_sha256(const char *text)
{
    bool fine = strlen(text) == 64 && consists_of(text, DIGITS "abcdefABCDEF", 64);
    return fine ? NULL : "expected 64 hexadecimal digits, as sha256sum prints them";
}

const char *rule_json_pointer(const char *text)
{
    bool fine = (text[0] == '\0' || text[0] == '/') && strlen(text) <= FILTER_BYTES_MAX;
    for (const char *at = text; fine && *at != '\0'; at++)
        fine = *at != '~' || at[1] == '0' || at[1] == '1';
    return fine ? NULL : "expected a JSON Pointer, such as /ax or /values";
}

const char *rule_csv_column(const char *text)
{
    if (text[0] != '#')
        return text[0] != '\0' ? NULL : "expected a column's name, or its number such as #2";
    int64_t number;
    bool fine = scalar_read_integer(text + 1, &number) && number >= 1 && number <= 4096;
    return fine ? NULL : "expected a column's number from #1 to #4096";
}

const char *rule_bandwidth_window(const char *text)
{
    struct bandwidth_window window;
    return bandwidth_read(text, &window) ? NULL
                                         : "expected days, times and a limit, such as \"mon-fri 08:00-18:00 64KiB\", \"22:00-06:00 unlimited\" or "
                                           "\"sat,sun 00:00-24:00 none\"";
}
