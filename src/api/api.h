/*
 * The HTTP resources of docs/internals/api.md: for the page and for others. Handlers do no work on
 * the listener's threads: a few workers with a bounded queue ask the store; beyond it the answer is
 * 503.
 */
#ifndef VARAN_API_API_H
#define VARAN_API_API_H

#include "net/http.h"

struct store;
struct ingest;
struct api;

struct api_options {
    struct store *store;
    struct ingest *ingest; /* NULL: figures of ingest are zeros, the live tail polls */
    const char *version;
    /* Where things listen, for /status; NULL: not known. */
    const char *page_url, *otlp_http_url, *otlp_grpc_url;
    unsigned retention_days;
};

/* Starts the workers. Options' strings are copied. 0, -ENOMEM or what starting a thread says. */
int api_new(const struct api_options *o, struct api **ret);
/* To be called after the listeners have stopped: ends the live tails and the workers. */
void api_free(struct api *a);
/* The route table, valid as long as `a`. */
struct http_routes api_routes(struct api *a);

#endif
