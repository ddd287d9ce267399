/* SPDX-License-Identifier: Apache-2.0
 *
 * The link and a real mosquitto whose session holds many messages. */
#include "tests/transport/link_owner.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* In place of libc's, to be counted. */
static atomic_int reads, writes;

ssize_t recvmsg(int socket, struct msghdr *message, int flags)
{
    atomic_fetch_add(&reads, 1);
    return syscall(SYS_recvmsg, socket, message, flags);
}

ssize_t recv(int socket, void *to, size_t bytes, int flags)
{
    atomic_fetch_add(&reads, 1);
    return syscall(SYS_recvfrom, socket, to, bytes, flags, NULL, NULL);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    atomic_fetch_add(&writes, 1);
    return syscall(SYS_writev, file, parts, count);
}

/* A session that holds as many messages. */
static void store_numbers(const struct broker *broker, int count)
{
    struct owner *subscriber = open_subscriber(url_of(broker, "mqtt"), 60, 10, "t/#");
    owner_free(subscriber);
    struct owner *publisher = open_publisher(broker);
    publish_numbers(publisher, "t/x", 0, count, 1);
    owner_free(publisher);
}

static void a_burst_is_read_in_few_calls_and_acknowledged_in_one_write(void)
{
    enum { ALL = 300 };
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    store_numbers(&broker, ALL);
    int before = atomic_load(&reads);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, ALL, "t/#");
    CHECK(wait_for(subscriber, &subscriber->kept_count, ALL));
    CHECK(atomic_load(&reads) - before < ALL / 2);
    before = atomic_load(&writes);
    acknowledge(subscriber, 0, ALL);
    CHECK(atomic_load(&writes) - before < 5); /* 256 at a time; a ping may be among them */
    owner_free(subscriber);
    struct owner *publisher = open_publisher(&broker);
    subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, 10, "t/#");
    publish_numbers(publisher, "t/x", ALL, 1, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 1));
    CHECK_INTEGER(number_of(&subscriber->kept[0]), ALL); /* all PUBACKs were right */
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

static void nothing_is_read_far_beyond_the_receive_maximum_and_all_of_it_later(void)
{
    enum { ALL = 400, MAXIMUM = 10 };
    struct broker broker = {0};
    struct error error;
    struct link_statistics statistics;
    CHECK_OK(broker_start(&broker, false, &error), error);
    store_numbers(&broker, ALL);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, MAXIMUM, "t/#");
    int expected = 0;
    for (int at = 0; expected < ALL; at++) { /* one by one: mosquitto 2.0.11 answers each with as many as the Receive Maximum */
        CHECK(wait_for(subscriber, &subscriber->kept_count, at + 1));
        int number = number_of(&subscriber->kept[at]);
        CHECK(number == expected || (number < expected && subscriber->kept[at].duplicate)); /* a machine that stands still loses the connection */
        expected += number == expected;
        if (at <= MAXIMUM)
            CHECK(read_count(subscriber, &subscriber->kept_count) <= at + 2 * MAXIMUM + 1);
        if (at == MAXIMUM) /* not for ever: what the broker answers to pings comes the same way */
            CHECK(wait_for(subscriber, &subscriber->kept_count, at + 4 * MAXIMUM));
        acknowledge(subscriber, at, 1);
    }
    link_get_statistics(subscriber->link, &statistics);
    CHECK_INTEGER((int)statistics.overruns, 0);
    owner_free(subscriber);
    broker_remove(&broker);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){
        CASE(a_burst_is_read_in_few_calls_and_acknowledged_in_one_write),
        CASE(nothing_is_read_far_beyond_the_receive_maximum_and_all_of_it_later),
        {0}});
}
