/* Plain sockets for tests of servers: a client that can be rude. Each call has a deadline. */
#ifndef VARAN_TESTS_NET_SOCKETS_H
#define VARAN_TESTS_NET_SOCKETS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define WAIT_MS 60000

static inline int dial(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof(to)), 0);
    return fd;
}

/* Sends all, or says -1 when the server has hung up. */
static inline int say_bytes(int fd, const void *data, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const char *) data + at, size - at, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        at += (size_t) n;
    }
    return 0;
}

static inline int say(int fd, const char *text) {
    return say_bytes(fd, text, strlen(text));
}

/* Reads until `until` stands in what came (NULL: until the server hangs up), at most room - 1
 * bytes; returns the number of bytes. Fails the test after WAIT_MS. */
static inline size_t hear(int fd, const char *until, char *to, size_t room) {
    int64_t end = clock_monotonic_ns() + WAIT_MS * NS_PER_MS;
    size_t n = 0;

    for (to[0] = 0; n + 1 < room;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (until && memmem(to, n, until, strlen(until)))
            break;
        int64_t left = end - clock_monotonic_ns();
        if (left <= 0 || poll(&p, 1, (int) (left / NS_PER_MS) + 1) <= 0)
            fail_msg("nothing more came; so far: %s", to);
        ssize_t got = recv(fd, to + n, room - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t) got;
        to[n] = 0;
    }
    return n;
}

static inline unsigned count_of(const char *text, const char *what) {
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

static inline void assert_has(const char *text, const char *what) {
    if (!strstr(text, what))
        fail_msg("\"%s\" is not in: %s", what, text);
}

#endif
