/* Headers that carry a trace from process to process: W3C Trace Context, B3 in one and in several
 * headers (github.com/openzipkin/b3-propagation), Jaeger's. No Python. */
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

enum propagation_format {
    FORMAT_W3C = 1,
    FORMAT_BAGGAGE = 2,
    FORMAT_B3 = 4,
    FORMAT_B3_MULTI = 8,
    FORMAT_JAEGER = 16,
};
/* Those in use, from OTEL_PROPAGATORS. */
extern unsigned propagation_formats;

/* What came of the headers; n is 0 where one is missing. */
struct text {
    const char *p;
    size_t n;
};
struct carried {
    struct text traceparent, b3, b3_trace, b3_span, b3_sampled, b3_flags, jaeger;
};
/* By the first format in use that is there. Returns 0 or -EINVAL. */
int carried_parse(const struct carried *c, struct trace_context *ret);

#define B3_LENGTH 51     /* trace-span-sampled */
#define JAEGER_LENGTH 53 /* trace:span:0:flags */
void b3_format(const struct trace_context *c, char *ret);
void jaeger_format(const struct trace_context *c, char *ret);

/* Returns 0, or -EINVAL when the header must be ignored (W3C Trace Context, section 3.2). */
int traceparent_parse(const char *text, size_t n, struct trace_context *ret);
/* Writes exactly TRACEPARENT_LENGTH bytes. */
void traceparent_format(const struct trace_context *c, char *ret);
/* Reads n bytes from 2n lower-case digits. Returns the OR of all bytes, or -1. */
int hex_read(const char *text, uint8_t *ret, size_t n);
void hex_format(const uint8_t *bytes, size_t n, char *ret);

#endif
