/* Listening addresses: parsing, binding, and the check of Host headers. Any thread. */
#ifndef VARAN_NET_LISTEN_H
#define VARAN_NET_LISTEN_H

#include "base/error.h"
#include "base/slice.h"

#define LISTEN_HOST_MAX 256

struct listener {
    int fd;
    int port;
    bool loopback; /* reachable from this machine only */
    char host[LISTEN_HOST_MAX];
};

/* Splits "host:port", "[v6]:port", ":port", "port". An empty host means loopback: what is open to
 * the network is said so ("0.0.0.0:8272"). -EINVAL with a sentence. */
int listen_parse(const char *text, char ret_host[LISTEN_HOST_MAX], int *ret_port, struct error *e);
/* Binds and listens, non-blocking and close-on-exec. Fills `e` with what to do about it. */
int listen_open(const char *text, struct listener *ret, struct error *e);
void listen_close(struct listener *l);
/* Whether a Host header (or :authority) may reach a server that listens on loopback: a page of
 * another site whose name was made to point here (DNS rebinding) sends that site's name. */
bool listen_allows_host(const struct listener *l, struct slice host);

#endif
