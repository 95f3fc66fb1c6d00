/* Listening sockets. */
#include "net/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

int listen_parse(const char *text, char ret_host[LISTEN_HOST_MAX], int *ret_port, struct error *e) {
    struct slice s = slice_from(text), host = SLICE_EMPTY;
    uint64_t port;

    if (s.size && s.data[0] == '[') {
        ptrdiff_t end = slice_find(s, SLICE("]:"));
        if (end < 0)
            return error_set(e, -EINVAL, "\"%s\" is not an address to listen on: write [::1]:8272",
                             text);
        host = slice_take(slice_skip(s, 1), (size_t) end - 1);
        s = slice_skip(s, (size_t) end + 2);
    } else if (slice_find_byte(s, ':') >= 0) {
        host = slice_cut(&s, ':');
    }
    if (slice_to_u64(s, &port) < 0 || port > 65535 || host.size >= LISTEN_HOST_MAX)
        return error_set(e, -EINVAL,
                         "\"%s\" is not an address to listen on: write HOST:PORT, such as "
                         "127.0.0.1:8272 or 0.0.0.0:8272",
                         text);
    if (!host.size)
        host = SLICE("127.0.0.1");
    memcpy(ret_host, host.data, host.size);
    ret_host[host.size] = 0;
    *ret_port = (int) port;
    return 0;
}

static bool address_is_loopback(const struct sockaddr *a) {
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *) (const void *) a)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) (const void *) a)->sin6_addr);
}

static int bound_port(int fd) {
    struct sockaddr_storage a;
    socklen_t size = sizeof(a);

    if (getsockname(fd, (struct sockaddr *) &a, &size) < 0)
        return -errno;
    return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *) &a)->sin_port
                                        : ((struct sockaddr_in6 *) &a)->sin6_port);
}

static int open_one(const struct addrinfo *a) {
    int one = 1, zero = 0;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a->ai_family == AF_INET6) /* "[::]" answers IPv4 too */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

int listen_open(const char *text, struct listener *ret, struct error *e) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    struct listener l = {.fd = -1};
    char port[16];

    int r = listen_parse(text, l.host, &l.port, e);
    if (r < 0)
        return r;
    snprintf(port, sizeof(port), "%d", l.port);
    int gai = getaddrinfo(l.host, port, &hints, &found);
    if (gai)
        return error_set(e, -EADDRNOTAVAIL, "cannot listen on %s: %s", text, gai_strerror(gai));
    l.fd = open_one(found);
    l.loopback = address_is_loopback(found->ai_addr);
    freeaddrinfo(found);
    if (l.fd == -EADDRINUSE)
        return error_set(e, l.fd,
                         "cannot listen on %s: the port is in use; stop the program that has it "
                         "(\"ss -ltnp\" names it) or choose another port",
                         text);
    if (l.fd == -EADDRNOTAVAIL)
        return error_set(e, l.fd, "cannot listen on %s: this machine has no such address", text);
    if (l.fd == -EACCES)
        return error_set(e, l.fd, "cannot listen on %s: ports below 1024 need a privilege", text);
    if (l.fd < 0)
        return error_set(e, l.fd, "cannot listen on %s: %s", text, error_name(l.fd));
    l.port = bound_port(l.fd);
    if (l.port < 0) {
        r = error_set(e, l.port, "cannot listen on %s: %s", text, error_name(l.port));
        close(l.fd);
        return r;
    }
    *ret = l;
    return 0;
}

void listen_close(struct listener *l) {
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

bool listen_allows_host(const struct listener *l, struct slice host) {
    char text[64];
    struct in_addr v4;

    if (!l->loopback)
        return true;
    if (host.size && host.data[0] == '[') {
        ptrdiff_t end = slice_find_byte(host, ']');
        host = end < 0 ? host : slice_take(slice_skip(host, 1), (size_t) end - 1);
        return slice_is(host, "::1") || slice_equal_nocase(host, slice_from(l->host));
    }
    host = slice_cut(&host, ':');
    if (slice_equal_nocase(host, SLICE("localhost")) ||
        slice_equal_nocase(host, slice_from(l->host)))
        return true;
    if (host.size >= sizeof(text))
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = 0;
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}
