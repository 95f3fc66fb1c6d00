/* See load_http.h. */
#include "load_http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int load_connect(const char *host, const char *port) {
    struct addrinfo *a = NULL, hints = {.ai_socktype = SOCK_STREAM};

    if (getaddrinfo(host, port, &hints, &a) != 0)
        return -EHOSTUNREACH;
    int fd = socket(a->ai_family, SOCK_STREAM, 0), one = 1;
    if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        close(fd);
        fd = -errno;
    }
    freeaddrinfo(a);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

int load_send(int fd, const void *data, size_t size) {
    for (const char *p = data; size;) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return -EIO;
        p += n;
        size -= (size_t) n;
    }
    return 0;
}

int load_read_answer(int fd) {
    char text[4096];
    size_t n = 0;

    for (;;) {
        ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
        if (got <= 0)
            return -EIO;
        n += (size_t) got;
        text[n] = 0;
        char *end = strstr(text, "\r\n\r\n");
        if (!end)
            continue;
        char *length = strcasestr(text, "content-length:");
        size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
        if (n >= (size_t) (end + 4 - text) + body)
            return (int) strtol(text + 9, NULL, 10);
        if (n == sizeof(text) - 1)
            return -ENOBUFS;
    }
}

bool load_split_address(const char *address, char *host, size_t host_size, char *port,
                        size_t port_size) {
    struct slice rest = slice_from(address);
    struct slice name = slice_cut(&rest, ':');

    if (name.size >= host_size || rest.size >= port_size)
        return false;
    memcpy(host, name.data, name.size);
    memcpy(port, rest.data, rest.size);
    host[name.size] = 0;
    port[rest.size] = 0;
    return true;
}

int load_by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return x < y ? -1 : x > y;
}
