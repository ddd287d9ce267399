/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/connack.h"

#include <MQTTAsync.h>
#include <string.h>

enum { NOTED_BYTES = 512, REASON_AT = 1, PROPERTIES_AT = 2 };

void *__real_MQTTPacket_connack(int version, unsigned char header, char *data, size_t length);
void *__wrap_MQTTPacket_connack(int version, unsigned char header, char *data, size_t length);

static _Thread_local struct {
    char text[NOTED_BYTES];
    size_t length;
} noted;

/* data: the packet after its fixed header: flags, reason, properties (MQTT 5.0, section 3.2.2). */
static void note(char *data, size_t length)
{
    MQTTProperties properties = MQTTProperties_initializer;
    char *at = data + PROPERTIES_AT;
    noted.length = 0;
    if (length <= PROPERTIES_AT || (unsigned char)data[REASON_AT] < MQTTREASONCODE_UNSPECIFIED_ERROR)
        return;
    if (MQTTProperties_read(&properties, &at, data + length) == 1) {
        const MQTTProperty *reference = MQTTProperties_getProperty(&properties, MQTTPROPERTY_CODE_SERVER_REFERENCE);
        if (reference != NULL && reference->value.data.len > 0 && reference->value.data.len <= NOTED_BYTES) {
            noted.length = (size_t)reference->value.data.len;
            memcpy(noted.text, reference->value.data.data, noted.length);
        }
    }
    MQTTProperties_free(&properties);
}

void *__wrap_MQTTPacket_connack(int version, unsigned char header, char *data, size_t length)
{
    if (version >= MQTTVERSION_5)
        note(data, length);
    return __real_MQTTPacket_connack(version, header, data, length);
}

size_t connack_server_reference(char *text, size_t capacity)
{
    size_t length = noted.length <= capacity ? noted.length : 0;
    memcpy(text, noted.text, length);
    noted.length = 0;
    return length;
}
