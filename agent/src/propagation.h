/* W3C Trace Context: reading and writing the `traceparent` header. No Python. */
#ifndef VARAN_AGENT_PROPAGATION_H
#define VARAN_AGENT_PROPAGATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACEPARENT_LENGTH 55
#define TRACESTATE_MAX 512
#define BAGGAGE_MAX 8192
#define FLAG_SAMPLED 0x01

struct trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
};

/* Returns 0, or -EINVAL when the header must be ignored (W3C Trace Context, section 3.2). */
int traceparent_parse(const char *text, size_t n, struct trace_context *ret);
/* Writes exactly TRACEPARENT_LENGTH bytes. */
void traceparent_format(const struct trace_context *c, char *ret);
/* Reads n bytes from 2n lower-case digits. Returns the OR of all bytes, or -1. */
int hex_read(const char *text, uint8_t *ret, size_t n);
void hex_format(const uint8_t *bytes, size_t n, char *ret);

#endif
