/* See http.h. RFC 9112: status line, header fields, bodies by length, by chunks, or until the
 * connection closes. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime.h"

#define HURRY_LOOK_MS 20
#define LOOK_MS 1000
#define STOOD_STILL_NS 500000000ull

void http_client_init(struct http_client *c) {
    c->fd = -1;
    c->tls = NULL;
}

void http_client_close(struct http_client *c) {
    tls_free(c->tls);
    c->tls = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void http_client_forget(struct http_client *c) {
    c->tls = NULL; /* left to the parent's pages */
    http_client_close(c);
}

/* -EINTR when `hurry` (NULL: none) is set meanwhile. It is looked at from time to time: a
 * descriptor that tells of it could be closed by the application, and be another file by then.
 * A process that was stopped, or a machine that stood still, finds the deadline passed while the
 * answer has long been here, or is about to come: sent again, everything would arrive twice. So
 * there is a last look, and time in which nobody looked does not count. */
static int wait_unless(int fd, short events, const _Atomic bool *hurry, uint64_t deadline_ns) {
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t now = clock_monotonic_ns(), planned_ns, passed_ns;
        bool late = now >= deadline_ns;
        int r, wait_ms = 0;

        if (!late) {
            uint64_t left_ms = (deadline_ns - now) / 1000000u + 1;
            unsigned look_ms = hurry ? HURRY_LOOK_MS : LOOK_MS;
            wait_ms = (int) (left_ms < look_ms ? left_ms : look_ms);
        }
        r = poll(&p, 1, wait_ms);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
        if (late)
            return -ETIMEDOUT;
        if (hurry && atomic_load(hurry))
            return -EINTR;
        planned_ns = (uint64_t) wait_ms * 1000000u;
        passed_ns = clock_monotonic_ns() - now;
        if (passed_ns > planned_ns + STOOD_STILL_NS)
            deadline_ns += passed_ns - planned_ns;
    }
}

static int wait_for(int fd, short events, uint64_t deadline_ns) {
    return wait_unless(fd, events, NULL, deadline_ns);
}

static int connect_address(int family, const struct sockaddr *address, socklen_t length,
                           uint64_t deadline_ns) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0, one = 1,
        error = 0;
    socklen_t size = sizeof(error);

    if (fd < 0)
        return -errno;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, address, length) < 0) {
        r = -errno;
        if (r == -EINPROGRESS || r == -EINTR) {
            r = wait_for(fd, POLLOUT, deadline_ns);
            if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
                r = -error;
        }
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

/* An address that needs no resolver (whose locks a forked child may find taken). -EINVAL: it is a
 * name. */
static int connect_numeric(const struct http_target *t, uint64_t deadline_ns) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    uint16_t port = htons((uint16_t) strtoul(t->port, NULL, 10));

    if (inet_pton(AF_INET, t->host, &v4.sin_addr) == 1) {
        v4.sin_port = port;
        return connect_address(AF_INET, (struct sockaddr *) &v4, sizeof(v4), deadline_ns);
    }
    if (inet_pton(AF_INET6, t->host, &v6.sin6_addr) == 1) {
        v6.sin6_port = port;
        return connect_address(AF_INET6, (struct sockaddr *) &v6, sizeof(v6), deadline_ns);
    }
    return -EINVAL;
}

static int connect_target(const struct http_target *t, uint64_t deadline_ns) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
    int r = -EHOSTUNREACH;

    if (t->unix_path[0]) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        memcpy(address.sun_path, t->unix_path, sizeof(address.sun_path));
        return connect_address(AF_UNIX, (struct sockaddr *) &address, sizeof(address), deadline_ns);
    }
    r = connect_numeric(t, deadline_ns);
    if (r != -EINVAL)
        return r;
    r = -EHOSTUNREACH;
    if (getaddrinfo(t->host, t->port, &hints, &list) != 0)
        return -EHOSTUNREACH;
    for (a = list; a; a = a->ai_next) {
        r = connect_address(a->ai_family, a->ai_addr, a->ai_addrlen, deadline_ns);
        if (r >= 0)
            break;
    }
    freeaddrinfo(list);
    return r;
}

static int wait_tls(struct http_client *c, ssize_t want, uint64_t deadline_ns) {
    return wait_for(c->fd, want == TLS_WANT_WRITE ? POLLOUT : POLLIN, deadline_ns);
}

static int secure(struct http_client *c, const struct http_target *t, uint64_t deadline_ns) {
    int r;

    c->tls = tls_new(c->fd, t->host, &t->files, &r);
    if (!c->tls)
        return r;
    while ((r = tls_handshake(c->tls)) == TLS_WANT_READ || r == TLS_WANT_WRITE) {
        r = wait_tls(c, r, deadline_ns);
        if (r < 0)
            return r;
    }
    return r;
}

static int send_secure(struct http_client *c, const struct iovec *parts, int n,
                       uint64_t deadline_ns) {
    for (int i = 0; i < n; i++)
        for (size_t at = 0; at < parts[i].iov_len;) {
            ssize_t sent =
                    tls_write(c->tls, (const char *) parts[i].iov_base + at, parts[i].iov_len - at);
            int r = 0;

            if (sent > 0)
                at += (size_t) sent;
            else if (sent == TLS_WANT_READ || sent == TLS_WANT_WRITE)
                r = wait_tls(c, sent, deadline_ns);
            else
                r = (int) sent;
            if (r < 0)
                return r;
        }
    return 0;
}

static int send_all(int fd, struct iovec *parts, int n, uint64_t deadline_ns) {
    while (n > 0) {
        struct msghdr m = {.msg_iov = parts, .msg_iovlen = (size_t) n};
        ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);

        if (sent < 0) {
            int r = -errno;
            if (r == -EINTR)
                continue;
            if (r != -EAGAIN)
                return r;
            r = wait_for(fd, POLLOUT, deadline_ns);
            if (r < 0)
                return r;
            continue;
        }
        while (n > 0 && (size_t) sent >= parts->iov_len) {
            sent -= (ssize_t) parts->iov_len;
            parts++;
            n--;
        }
        if (n > 0) {
            parts->iov_base = (char *) parts->iov_base + sent;
            parts->iov_len -= (size_t) sent;
        }
    }
    return 0;
}

/* Reads more into the response buffer. Returns the bytes read, 0 at the end of the stream, or a
 * negative errno. */
static int read_more_secure(struct http_client *c, size_t used, uint64_t deadline_ns) {
    if (used >= sizeof(c->response))
        return -EMSGSIZE;
    for (;;) {
        ssize_t n = tls_read(c->tls, c->response + used, sizeof(c->response) - used);
        int r;

        if (n != TLS_WANT_READ && n != TLS_WANT_WRITE)
            return (int) n;
        r = wait_tls(c, n, deadline_ns);
        if (r < 0)
            return r;
    }
}

static int read_more(struct http_client *c, size_t used, uint64_t deadline_ns) {
    if (c->tls)
        return read_more_secure(c, used, deadline_ns);
    for (;;) {
        ssize_t n;
        int r = wait_for(c->fd, POLLIN, deadline_ns);

        if (r < 0)
            return r;
        if (used >= sizeof(c->response))
            return -EMSGSIZE;
        n = recv(c->fd, c->response + used, sizeof(c->response) - used, 0);
        if (n >= 0)
            return (int) n;
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

struct head {
    int status;
    int retry_after_s;
    long length; /* -1: not given */
    bool chunked, close;
    size_t size;
};

static bool field_is(const char *line, size_t n, const char *name, const char **value) {
    size_t k = strlen(name);
    if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
        return false;
    for (*value = line + k + 1; **value == ' ' || **value == '\t'; (*value)++)
        ;
    return true;
}

/* `text` is NUL-terminated and holds the head up to and with the empty line. */
static int parse_head(const char *text, size_t size, struct head *ret) {
    struct head h = {.retry_after_s = -1, .length = -1, .size = size};
    int minor;

    if (sscanf(text, "HTTP/1.%1d %3d", &minor, &h.status) != 2 || h.status < 100)
        return -EPROTO;
    h.close = minor == 0;
    for (const char *line = strstr(text, "\r\n") + 2, *end; line < text + size - 2;
         line = end + 2) {
        const char *value;
        end = strstr(line, "\r\n");
        if (!end)
            break;
        if (field_is(line, (size_t) (end - line), "content-length", &value))
            h.length = strtol(value, NULL, 10);
        else if (field_is(line, (size_t) (end - line), "transfer-encoding", &value))
            h.chunked = strncasecmp(value, "chunked", 7) == 0;
        else if (field_is(line, (size_t) (end - line), "connection", &value))
            h.close = strncasecmp(value, "close", 5) == 0 ||
                      (h.close && strncasecmp(value, "keep-alive", 10) != 0);
        else if (field_is(line, (size_t) (end - line), "retry-after", &value) && *value >= '0' &&
                 *value <= '9')
            h.retry_after_s = (int) strtol(value, NULL, 10);
    }
    if (h.length < -1)
        return -EPROTO;
    *ret = h;
    return 0;
}

/* Is the last chunk in `data`? Chunk contents are not joined: nobody reads bodies sent that way. */
static bool chunks_complete(const char *data, size_t n) {
    size_t at = 0;

    while (at < n) {
        const char *end = memchr(data + at, '\n', n - at);
        unsigned long size;

        if (!end)
            return false;
        size = strtoul(data + at, NULL, 16);
        at = (size_t) (end - data) + 1;
        if (size == 0)
            return n - at >= 2 && memmem(data + at - 2, n - at + 2, "\r\n\r\n", 4);
        if (size > HTTP_RESPONSE_MAX)
            return false;
        at += size + 2;
    }
    return false;
}

static int read_response(struct http_client *c, uint64_t deadline_ns, struct http_response *ret) {
    struct head h = {0};
    size_t used = 0;

    for (;;) {
        int r;
        if (!h.size) {
            char *end = used ? memmem(c->response, used, "\r\n\r\n", 4) : NULL;
            if (end) {
                size_t size = (size_t) (end - c->response) + 4;
                char kept = c->response[size];
                c->response[size] = '\0';
                r = parse_head(c->response, size, &h);
                c->response[size] = kept;
                if (r < 0)
                    return r;
                if (h.status < 200) { /* an interim response: the real one follows */
                    memmove(c->response, c->response + size, used - size);
                    used -= size;
                    h.size = 0;
                    continue;
                }
            }
        }
        if (h.size) {
            if (h.chunked ? chunks_complete(c->response + h.size, used - h.size)
                          : h.length >= 0 && used - h.size >= (size_t) h.length)
                break;
            if (h.status == 204 || h.status == 304)
                break;
        }
        if (used >= sizeof(c->response) - 1)
            return -EMSGSIZE;
        r = read_more(c, used, deadline_ns);
        if (r < 0)
            return r;
        if (r == 0) {
            if (h.size && !h.chunked && h.length < 0) {
                h.close = true;
                break;
            }
            return used ? -EPROTO : -ECONNRESET;
        }
        used += (size_t) r;
    }
    if (h.close)
        http_client_close(c);
    *ret = (struct http_response){.status = h.status,
                                  .retry_after_s = h.retry_after_s,
                                  .body = c->response + h.size,
                                  .body_length =
                                          h.length >= 0 && !h.chunked ? (size_t) h.length : 0};
    return 0;
}

/* Has the server closed the idle connection, or sent what nobody asked for? */
static bool is_stale(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

static int send_request(struct http_client *c, const struct http_target *t, struct iovec body,
                        bool gzip, uint64_t deadline_ns) {
    char head[HTTP_HEADERS_MAX + HTTP_PATH_MAX + HTTP_HOST_MAX + 256];
    bool v6 = strchr(t->host, ':') != NULL;
    struct iovec parts[2];
    int n;

    n = snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: varan-python/" VARAN_VERSION
                 "\r\n"
                 "Content-Type: application/x-protobuf\r\n%s%sContent-Length: %zu\r\n\r\n",
                 t->path, v6 ? "[" : "", t->host, v6 ? "]" : "", t->port,
                 gzip ? "Content-Encoding: gzip\r\n" : "", t->headers, body.iov_len);
    if (n < 0 || (size_t) n >= sizeof(head))
        return -EINVAL;
    parts[0] = (struct iovec){.iov_base = head, .iov_len = (size_t) n};
    parts[1] = body;
    return c->tls ? send_secure(c, parts, 2, deadline_ns) : send_all(c->fd, parts, 2, deadline_ns);
}

int http_post(struct http_client *c, const struct http_target *t, const void *body, size_t length,
              bool gzip, uint64_t deadline_ns) {
    struct iovec part = {.iov_base = (void *) (uintptr_t) body, .iov_len = length};
    int r;

    if (c->fd >= 0 && (c->tls ? !tls_is_idle(c->tls) : is_stale(c->fd)))
        http_client_close(c);
    if (c->fd < 0) {
        r = connect_target(t, deadline_ns);
        if (r < 0)
            return r;
        c->fd = r;
        r = t->secure ? secure(c, t, deadline_ns) : 0;
        if (r < 0) {
            http_client_close(c);
            return r;
        }
    }
    r = send_request(c, t, part, gzip, deadline_ns);
    if (r < 0)
        http_client_close(c);
    return r;
}

int http_answer(struct http_client *c, const _Atomic bool *hurry, uint64_t deadline_ns,
                struct http_response *ret) {
    int r = wait_unless(c->fd, POLLIN, hurry, deadline_ns);

    if (r == -EINTR)
        return r;
    if (r == 0)
        r = read_response(c, deadline_ns, ret);
    if (r < 0)
        http_client_close(c);
    return r;
}
