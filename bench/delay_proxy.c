/* SPDX-License-Identifier: Apache-2.0
 *
 * delay_proxy PORT TARGET_PORT RTT_US: a link with a round trip of RTT_US between programs of this machine, without a limit of bandwidth.
 *
 * Listens on 127.0.0.1:PORT and connects each client to 127.0.0.1:TARGET_PORT. Every byte waits for half of RTT_US, then goes on; a direction holds
 * RING_BYTES at most, as a long link's buffers would. Ends with its parent. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS_MAX = 8, RING_BYTES = 8 << 20, MARKS_MAX = 1 << 16, NS = 1000000000 };

struct mark { /* bytes up to `end` arrived together */
    uint64_t end;
    int64_t due_ns;
};

struct direction {
    int from, to;
    uint8_t *ring;           /* [RING_BYTES]; byte number n, counted from the first, lies at ring[n % RING_BYTES] */
    struct mark *marks;      /* [MARKS_MAX]; likewise */
    uint64_t in, out, first_mark, end_mark;
    bool blocked;            /* the receiver's window is full */
};

struct pair {
    bool used;
    struct direction ways[2];
};

static struct pair pairs[PAIRS_MAX];
static int64_t delay_ns;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void must(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    exit(1);
}

static void direction_init(struct direction *way, int from, int to)
{
    int on = 1;
    setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *way = (struct direction){.from = from, .to = to, .ring = malloc(RING_BYTES), .marks = calloc(MARKS_MAX, sizeof *way->marks)};
    must(way->ring != NULL && way->marks != NULL, "memory");
}

static void take_client(int listener, int target_port)
{
    struct sockaddr_in address = loopback(target_port);
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK), at = 0;
    while (at < PAIRS_MAX && pairs[at].used)
        at++;
    int target = socket(AF_INET, SOCK_STREAM, 0);
    bool connected = client >= 0 && at < PAIRS_MAX && connect(target, (struct sockaddr *)&address, sizeof address) == 0;
    if (!connected) {
        close(client);
        close(target);
        return;
    }
    pairs[at].used = true;
    direction_init(&pairs[at].ways[0], client, target);
    direction_init(&pairs[at].ways[1], target, client);
}

static void end_pair(struct pair *pair)
{
    close(pair->ways[0].from);
    close(pair->ways[1].from);
    for (int i = 0; i < 2; i++) {
        free(pair->ways[i].ring);
        free(pair->ways[i].marks);
    }
    *pair = (struct pair){0};
}

static bool has_room(const struct direction *way)
{
    return way->in - way->out < RING_BYTES && way->end_mark - way->first_mark < MARKS_MAX;
}

/* false: the connection is over. */
static bool take_in(struct direction *way)
{
    size_t at = way->in % RING_BYTES, room = RING_BYTES - (size_t)(way->in - way->out);
    size_t most = room < RING_BYTES - at ? room : RING_BYTES - at;
    ssize_t count = recv(way->from, way->ring + at, most, MSG_DONTWAIT);
    if (count <= 0)
        return count < 0 && (errno == EAGAIN || errno == EINTR);
    way->in += (uint64_t)count;
    way->marks[way->end_mark++ % MARKS_MAX] = (struct mark){way->in, now_ns() + delay_ns};
    return true;
}

static bool pass_on(struct direction *way, int64_t now)
{
    uint64_t due = way->out;
    for (uint64_t i = way->first_mark; i < way->end_mark && way->marks[i % MARKS_MAX].due_ns <= now; i++)
        due = way->marks[i % MARKS_MAX].end;
    way->blocked = false;
    while (way->out < due && !way->blocked) {
        size_t at = way->out % RING_BYTES, count = (size_t)(due - way->out);
        ssize_t sent = send(way->to, way->ring + at, count < RING_BYTES - at ? count : RING_BYTES - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        way->blocked = sent < 0;
        way->out += sent > 0 ? (uint64_t)sent : 0;
    }
    while (way->first_mark < way->end_mark && way->marks[way->first_mark % MARKS_MAX].end <= way->out)
        way->first_mark++;
    return true;
}

static void serve(struct pair *pair, const struct pollfd *states, int64_t now)
{
    bool alive = true;
    for (int i = 0; i < 2 && alive; i++) {
        struct direction *way = &pair->ways[i];
        if ((states[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && has_room(way))
            alive = take_in(way);
        alive = alive && pass_on(way, now);
    }
    if (!alive)
        end_pair(pair);
}

/* states[2 p + i]: the socket that way i of pair p reads from, which is the one that the other way writes to. */
static int64_t prepare(struct pollfd *states)
{
    int64_t wake = INT64_MAX;
    for (int p = 0; p < PAIRS_MAX; p++) {
        for (int i = 0; i < 2; i++) {
            struct direction *way = &pairs[p].ways[i], *other = &pairs[p].ways[1 - i];
            states[2 * p + i] = (struct pollfd){.fd = pairs[p].used ? way->from : -1};
            if (!pairs[p].used)
                continue;
            states[2 * p + i].events = (short)((has_room(way) ? POLLIN : 0) | (other->blocked ? POLLOUT : 0));
            if (way->first_mark < way->end_mark && !way->blocked && way->marks[way->first_mark % MARKS_MAX].due_ns < wake)
                wake = way->marks[way->first_mark % MARKS_MAX].due_ns;
        }
    }
    return wake;
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: delay_proxy PORT TARGET_PORT RTT_US\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1L);
    delay_ns = atoll(arguments[3]) * 1000 / 2;
    struct sockaddr_in address = loopback(atoi(arguments[1]));
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, PAIRS_MAX) == 0, "delay_proxy: listen");
    for (;;) {
        struct pollfd states[2 * PAIRS_MAX + 1];
        int64_t wake = prepare(states), now = now_ns(), left = wake > now ? wake - now : 0;
        struct timespec until = {.tv_sec = left / NS, .tv_nsec = left % NS};
        states[2 * PAIRS_MAX] = (struct pollfd){.fd = listener, .events = POLLIN};
        if (ppoll(states, 2 * PAIRS_MAX + 1, wake == INT64_MAX ? NULL : &until, NULL) < 0 && errno != EINTR)
            must(false, "delay_proxy: poll");
        now = now_ns();
        for (int p = 0; p < PAIRS_MAX; p++) {
            if (pairs[p].used)
                serve(&pairs[p], &states[2 * p], now);
        }
        if (states[2 * PAIRS_MAX].revents != 0)
            take_client(listener, atoi(arguments[2]));
    }
}
