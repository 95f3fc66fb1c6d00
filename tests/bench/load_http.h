/*
 * The client side of the load programs: one blocking HTTP/1.1 connection per thread.
 */
#ifndef VARAN_BENCH_LOAD_HTTP_H
#define VARAN_BENCH_LOAD_HTTP_H

#include "base/slice.h"

/* A connected socket, or negative. */
int load_connect(const char *host, const char *port);

/* Sends everything; negative when the other side has closed. */
int load_send(int fd, const void *data, size_t size);

/* Reads one answer; its status, or negative. Answers are small and have a Content-Length or no
 * body. */
int load_read_answer(int fd);

/* Splits HOST:PORT; false when either does not fit. */
bool load_split_address(const char *address, char *host, size_t host_size, char *port,
                        size_t port_size);

/* For qsort over int64_t. */
int load_by_value(const void *a, const void *b);

#endif
