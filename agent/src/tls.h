/* TLS for the export thread, by the system's libssl (1.1 or 3), which is loaded when the first
 * https endpoint is used: the extension itself does not depend on it. Certificates are always
 * verified. Export thread only, but for tls_available() and the handlers of fork(). At the end of
 * the process (exit()) every call fails with -ECANCELED. */
#ifndef VARAN_AGENT_TLS_H
#define VARAN_AGENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_PATH_MAX 512
#define TLS_WANT_READ (-0x10001)
#define TLS_WANT_WRITE (-0x10002)

struct tls_files {
    char authorities[TLS_PATH_MAX]; /* PEM; empty: the system's */
    char certificate[TLS_PATH_MAX]; /* of the client; empty: none */
    char key[TLS_PATH_MAX];
};

struct tls;

/* Prepares a connection over a connected socket. NULL with *ret an errno: -ENOSYS when there is no
 * libssl, -EINVAL when a file is not usable; tls_error() says more. */
struct tls *tls_new(int fd, const char *host, const struct tls_files *files, int *ret);
void tls_free(struct tls *t);
/* One step: 0 done, TLS_WANT_…, or -EPROTO. */
int tls_handshake(struct tls *t);
/* Bytes, 0 at the end of the stream, TLS_WANT_…, or -EPROTO. */
ssize_t tls_read(struct tls *t, void *data, size_t n);
ssize_t tls_write(struct tls *t, const void *data, size_t n);
/* Is nothing waiting to be read, and the connection open? */
bool tls_is_idle(struct tls *t);
/* Loads libssl; is it there? */
bool tls_available(void);
/* What went wrong last; empty: nothing. */
const char *tls_error(void);

void tls_fork_prepare(void);
void tls_fork_parent(void);
void tls_fork_child(void);

#endif
