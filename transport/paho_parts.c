/* SPDX-License-Identifier: Apache-2.0
 *
 * What eddy has in place of four parts of Paho 1.3.12 (Heap.c, Log.c, StackTrace.c, MQTTPersistenceDefault.c): linked before Paho's
 * archive, it leaves theirs there, 15 KB. As Debian builds Paho, each of its functions enters and leaves a list of calls under one lock
 * for all threads, and each allocation goes into two search trees under another one. Nothing reads either; nor does eddy ask for Paho's
 * trace, or for messages kept in files: its outbox keeps them. */
#include <MQTTClientPersistence.h>
#include <stdlib.h>

/* Heap.h. file and line are the tracker's. */
int Heap_initialize(void);
void Heap_terminate(void);
void *mymalloc(char *file, int line, size_t bytes);
void *myrealloc(char *file, int line, void *memory, size_t bytes);
void myfree(char *file, int line, void *memory);

/* Log.h */
int Log_initialize(void *names);
void Log_terminate(void);
void Log_setTraceCallback(void *callback);
void Log_setTraceLevel(int level);
void Log(int level, int number, const char *format, ...);

/* StackTrace.h */
void StackTrace_entry(const char *name, int line, int level);
void StackTrace_exit(const char *name, int line, void *value, int level);

/* MQTTPersistenceDefault.h */
int pstopen(void **handle, const char *client, const char *server, void *context);
int pstclose(void *handle);
int pstput(void *handle, char *key, int count, char *buffers[], int lengths[]);
int pstget(void *handle, char *key, char **buffer, int *length);
int pstremove(void *handle, char *key);
int pstkeys(void *handle, char ***keys, int *count);
int pstclear(void *handle);
int pstcontainskey(void *handle, char *key);

int Heap_initialize(void)
{
    return 0;
}

void Heap_terminate(void)
{
}

void *mymalloc(char *file, int line, size_t bytes)
{
    (void)file, (void)line;
    return malloc(bytes);
}

void *myrealloc(char *file, int line, void *memory, size_t bytes)
{
    (void)file, (void)line;
    return realloc(memory, bytes);
}

void myfree(char *file, int line, void *memory)
{
    (void)file, (void)line;
    free(memory);
}

int Log_initialize(void *names)
{
    (void)names;
    return 0;
}

void Log_terminate(void)
{
}

void Log_setTraceCallback(void *callback)
{
    (void)callback;
}

void Log_setTraceLevel(int level)
{
    (void)level;
}

void Log(int level, int number, const char *format, ...)
{
    (void)level, (void)number, (void)format;
}

void StackTrace_entry(const char *name, int line, int level)
{
    (void)name, (void)line, (void)level;
}

void StackTrace_exit(const char *name, int line, void *value, int level)
{
    (void)name, (void)line, (void)value, (void)level;
}

/* Never opened, so the others are never called. */
int pstopen(void **handle, const char *client, const char *server, void *context)
{
    (void)handle, (void)client, (void)server, (void)context;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstclose(void *handle)
{
    (void)handle;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstput(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    (void)handle, (void)key, (void)count, (void)buffers, (void)lengths;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstget(void *handle, char *key, char **buffer, int *length)
{
    (void)handle, (void)key, (void)buffer, (void)length;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstremove(void *handle, char *key)
{
    (void)handle, (void)key;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstkeys(void *handle, char ***keys, int *count)
{
    (void)handle, (void)keys, (void)count;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstclear(void *handle)
{
    (void)handle;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

int pstcontainskey(void *handle, char *key)
{
    (void)handle, (void)key;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}
