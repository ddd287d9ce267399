/* SPDX-License-Identifier: Apache-2.0
 *
 * What Paho's Socket.c calls in place of recv, poll and close (CMakeLists.txt renames them in its archive). Paho asks the kernel for each packet's first
 * byte, for each byte of its length, for the rest, and before that twice whether there is something: six system calls a message. Here a socket is read as
 * far ahead as a buffer reaches, and poll answers for what lies there. TLS has its own buffer and does not come here.
 *
 * Once the kernel was read, the next two polls (Paho's one for writing and one for reading) ask it too, so that a busy socket keeps no other waiting
 * for longer than its buffer lasts. A socket with bytes in the buffer counts as writable in between: one that is not takes nothing, which Paho expects. */
#include "transport/paho_socket.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS_MAX = 4, BUFFER_BYTES = 16384, POLLED_MAX = 16, POLLS_A_ROUND = 2, ACKNOWLEDGE_FROM = 64, WOKEN = -2 };

struct readahead {
    int socket;       /* 0: not in use */
    size_t at, end;   /* bytes[at .. end) are still to be handed on */
    int64_t paused_until_us;
    uint8_t bytes[BUFFER_BYTES];
};

ssize_t paho_recv(int socket, void *to, size_t bytes, int flags);
int paho_poll(struct pollfd *sockets, nfds_t count, int timeout_ms);
int paho_close(int socket);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* Paho reads in one thread and closes in others */
static struct readahead readaheads[SOCKETS_MAX];
static int polls_due;
static int wake = -1; /* an eventfd: interrupts a poll that leaves a paused socket out */

static struct readahead *find(int socket)
{
    for (int i = 0; i < SOCKETS_MAX; i++) {
        if (readaheads[i].socket == socket)
            return &readaheads[i];
    }
    return NULL;
}

static struct readahead *find_or_begin(int socket)
{
    struct readahead *readahead = find(socket);
    if (readahead == NULL && (readahead = find(0)) != NULL)
        readahead->socket = socket;
    return readahead;
}

/* A broker without TCP_NODELAY, as mosquitto is by default, sends the second of several small packets once the first is acknowledged, and the kernel takes
 * 40 ms to do that on a connection that is written to in turn. Not for a few PUBACKs: the next batch acknowledges them without a packet of its own. */
static void acknowledge_now(int socket)
{
    int on = 1;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* What is missing of `bytes` straight to where it belongs, what comes behind it into the buffer. */
static ssize_t read_ahead(struct readahead *readahead, void *to, size_t bytes, int flags)
{
    struct iovec parts[] = {{to, bytes}, {readahead->bytes, BUFFER_BYTES}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got = recvmsg(readahead->socket, &message, flags);
    if (got >= ACKNOWLEDGE_FROM)
        acknowledge_now(readahead->socket);
    readahead->at = 0;
    readahead->end = got > (ssize_t)bytes ? (size_t)got - bytes : 0;
    polls_due = POLLS_A_ROUND;
    return got > (ssize_t)bytes ? (ssize_t)bytes : got;
}

static ssize_t take(struct readahead *readahead, uint8_t *to, size_t bytes, int flags)
{
    size_t there = readahead->end - readahead->at, count = there < bytes ? there : bytes;
    memcpy(to, readahead->bytes + readahead->at, count);
    readahead->at += count;
    if (count == bytes)
        return (ssize_t)count;
    ssize_t got = read_ahead(readahead, to + count, bytes - count, flags);
    return got > 0 ? (ssize_t)count + got : count > 0 ? (ssize_t)count : got;
}

ssize_t paho_recv(int socket, void *to, size_t bytes, int flags)
{
    pthread_mutex_lock(&lock);
    struct readahead *readahead = bytes > 0 ? find_or_begin(socket) : NULL;
    ssize_t got = readahead != NULL ? take(readahead, to, bytes, flags) : recv(socket, to, bytes, flags);
    pthread_mutex_unlock(&lock);
    return got;
}

static bool is_paused(const struct readahead *readahead)
{
    return readahead->paused_until_us > 0 && clock_monotonic_us() < readahead->paused_until_us;
}

static bool has_more(int socket)
{
    const struct readahead *readahead = socket > 0 ? find(socket) : NULL;
    return readahead != NULL && readahead->at < readahead->end && !is_paused(readahead);
}

/* Sets what the buffers say, beside what the kernel said; how many sockets have something then. */
static int add_buffered(struct pollfd *sockets, nfds_t count, short which)
{
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        sockets[i].revents |= has_more(sockets[i].fd) ? (short)(sockets[i].events & which) : 0;
        ready += sockets[i].revents != 0;
    }
    return ready;
}

/* The same list without the paused ones, and `wake` behind it; false: none is. */
static bool leave_paused_out(const struct pollfd *sockets, nfds_t count, struct pollfd kept[POLLED_MAX + 1])
{
    bool any = false;
    for (nfds_t i = 0; i < count && count <= POLLED_MAX; i++) {
        const struct readahead *readahead = sockets[i].fd > 0 ? find(sockets[i].fd) : NULL;
        bool paused = readahead != NULL && (sockets[i].events & POLLIN) != 0 && is_paused(readahead);
        kept[i] = (struct pollfd){.fd = paused ? -1 : sockets[i].fd, .events = sockets[i].events};
        any = any || paused;
    }
    if (any)
        kept[count] = (struct pollfd){.fd = wake, .events = POLLIN};
    return any;
}

/* WOKEN: no pause holds any more that held when this began. */
static int ask_kernel(struct pollfd *sockets, nfds_t count, int timeout_ms)
{
    struct pollfd kept[POLLED_MAX + 1];
    uint64_t times;
    pthread_mutex_lock(&lock);
    bool paused = leave_paused_out(sockets, count, kept);
    pthread_mutex_unlock(&lock);
    if (!paused)
        return poll(sockets, count, timeout_ms);
    int ready = poll(kept, count + 1, timeout_ms);
    if (ready > 0 && kept[count].revents != 0)
        return read(wake, &times, sizeof times) < 0 ? -1 : WOKEN;
    for (nfds_t i = 0; i < count; i++)
        sockets[i].revents = ready > 0 ? kept[i].revents : 0;
    return ready;
}

static int poll_once(struct pollfd *sockets, nfds_t count, int timeout_ms)
{
    bool any = false;
    pthread_mutex_lock(&lock);
    for (nfds_t i = 0; i < count; i++) {
        any = any || has_more(sockets[i].fd);
        sockets[i].revents = 0;
    }
    bool ask = !any || polls_due > 0;
    polls_due -= polls_due > 0;
    int ready = any && !ask ? add_buffered(sockets, count, POLLIN | POLLOUT) : 0;
    pthread_mutex_unlock(&lock);
    if (!ask)
        return ready;
    ready = ask_kernel(sockets, count, any ? 0 : timeout_ms);
    if (ready < 0 || !any)
        return ready;
    pthread_mutex_lock(&lock);
    ready = add_buffered(sockets, count, POLLIN);
    pthread_mutex_unlock(&lock);
    return ready;
}

/* Paho sleeps for 100 ms after a poll that found nothing, so that being woken is no answer. */
int paho_poll(struct pollfd *sockets, nfds_t count, int timeout_ms)
{
    int ready;
    while ((ready = poll_once(sockets, count, timeout_ms)) == WOKEN) {
    }
    return ready;
}

void paho_socket_pause(int socket, int64_t until_us)
{
    const uint64_t once = 1;
    pthread_mutex_lock(&lock);
    if (wake < 0)
        wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct readahead *readahead = wake < 0 ? NULL : until_us > 0 ? find_or_begin(socket) : find(socket);
    bool over = readahead != NULL && readahead->paused_until_us > 0 && until_us == 0;
    if (readahead != NULL)
        readahead->paused_until_us = until_us;
    pthread_mutex_unlock(&lock);
    if (over && write(wake, &once, sizeof once) != sizeof once)
        return; /* it is counted already */
}

int paho_close(int socket)
{
    pthread_mutex_lock(&lock);
    struct readahead *readahead = socket > 0 ? find(socket) : NULL;
    if (readahead != NULL) {
        readahead->socket = 0;
        readahead->at = readahead->end = 0;
        readahead->paused_until_us = 0;
    }
    pthread_mutex_unlock(&lock);
    return close(socket);
}
