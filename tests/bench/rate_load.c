/*
 * Load by the clock: sends GET requests at a fixed rate over a few connections, whether or not the
 * answers are there, and prints the latency of each in microseconds, a line each. It counts from
 * the moment a request was meant to be sent: one that has to wait for a free connection, because
 * the server is slow, has waited for the server (no coordinated omission).
 *
 *     rate_load HOST:PORT PATH REQUESTS_PER_SECOND SECONDS CONNECTIONS
 *
 * One thread. The connection that is idle for the longest time is used next; one that the server
 * has closed meanwhile is opened again.
 */
#include "load_http.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define REQUESTS_MAX 1000000
#define PATIENCE_S 20 /* with the answers that are missing in the end */

static char host[128], port[16], request[512];
static size_t request_size;

static int fds[CONNECTIONS_MAX];
static int64_t meant_ns[CONNECTIONS_MAX]; /* of the request on its way there */
static int idle[CONNECTIONS_MAX];         /* a queue: first in, first out */
static size_t connections, idle_first, idle_n;
static int epoll;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "rate_load: %s\n", what);
    exit(1);
}

static void open_connection(int i) {
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t) i};

    fds[i] = load_connect(host, port);
    if (fds[i] < 0)
        fail("cannot connect");
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &e) < 0)
        fail("epoll_ctl");
}

static void make_idle(int i) {
    idle[(idle_first + idle_n++) % connections] = i;
    meant_ns[i] = 0;
}

static void send_request(int64_t meant) {
    int i = idle[idle_first];

    idle_first = (idle_first + 1) % connections;
    idle_n--;
    meant_ns[i] = meant;
    if (load_send(fds[i], request, request_size) == 0)
        return;
    close(fds[i]);
    open_connection(i);
    if (load_send(fds[i], request, request_size) < 0)
        fail("cannot send");
}

/* An answer, or the end of an idle connection. Returns whether it was an answer. */
static bool receive(int i) {
    int status;

    if (!meant_ns[i]) {
        close(fds[i]);
        open_connection(i);
        return false;
    }
    status = load_read_answer(fds[i]);
    if (status != 200)
        fail(status < 0 ? "an answer is cut off" : "an answer is not 200");
    printf("%.0f\n", (double) (clock_monotonic_ns() - meant_ns[i]) / 1e3);
    make_idle(i);
    return true;
}

static void set_timer(int timer, int64_t at_ns) {
    struct itimerspec t = {.it_value = {at_ns / 1000000000, at_ns % 1000000000}};

    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void run(double rate, size_t n) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = CONNECTIONS_MAX}, ready[32];
    double step_ns = 1e9 / rate;
    int64_t begin = clock_monotonic_ns() + 1000000;
    size_t sent = 0, answered = 0;

    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    while (answered < n) {
        int64_t now = clock_monotonic_ns(), next = begin + (int64_t) ((double) sent * step_ns);
        int got;

        for (; sent < n && next <= now && idle_n;
             next = begin + (int64_t) ((double) ++sent * step_ns))
            send_request(next);
        if (sent < n && idle_n)
            set_timer(timer, next);
        got = epoll_wait(epoll, ready, 32, PATIENCE_S * 1000);
        if (got <= 0)
            fail("no answer");
        for (int k = 0; k < got; k++) {
            uint64_t ticks;
            if (ready[k].data.u32 != CONNECTIONS_MAX)
                answered += receive((int) ready[k].data.u32);
            else if (read(timer, &ticks, sizeof(ticks)) < 0)
                continue; /* set anew meanwhile */
        }
    }
    close(timer);
}

int main(int argc, char **argv) {
    double rate, seconds;

    if (argc != 6 || !load_split_address(argv[1], host, sizeof(host), port, sizeof(port)))
        fail("usage: rate_load HOST:PORT PATH REQUESTS_PER_SECOND SECONDS CONNECTIONS");
    rate = strtod(argv[3], NULL);
    seconds = strtod(argv[4], NULL);
    connections = strtoul(argv[5], NULL, 10);
    if (!(rate > 0) || !(seconds > 0) || rate * seconds > REQUESTS_MAX || !connections ||
        connections > CONNECTIONS_MAX)
        fail("rate, seconds or connections make no sense");
    request_size = (size_t) snprintf(
            request, sizeof(request),
            "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: bench/1\r\n\r\n", argv[2], host, port);
    if (request_size >= sizeof(request))
        fail("the path is too long");
    prctl(PR_SET_TIMERSLACK, 1);
    epoll = epoll_create1(0);
    for (size_t i = 0; i < connections; i++) {
        open_connection((int) i);
        make_idle((int) i);
    }
    run(rate, (size_t) (rate * seconds));
    return 0;
}
