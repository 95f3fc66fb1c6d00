/* Puts records into OTLP export requests, grouped by signal and scope. Export thread only. */
#ifndef VARAN_AGENT_BATCH_H
#define VARAN_AGENT_BATCH_H

#include "buf.h"
#include "ring.h"

#define BATCH_BYTES_MAX (1u << 20)

struct request {
    struct request *next;
    enum signal_kind signal;
    bool gzip;
    uint32_t records;
    uint64_t made_ns; /* monotonic */
    size_t length;
    char *body;
};

struct batch; /* records taken, not yet in a request */

struct batch *batch_get(void);
/* Adds a record (tag and length of the repeated field included). Returns -EAGAIN when the signal's
 * batch is full. */
int batch_add(struct batch *b, const struct record *record, const char *bytes);
/* Makes a request of what was added for a signal; NULL when there is nothing or no memory (then it
 * is lost and counted). */
struct request *batch_seal(struct batch *b, enum signal_kind signal, bool gzip);
void request_free(struct request *r);

#endif
