/* See propagation.h. */
#include "propagation.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only, as the specification demands. */
int hex_read(const char *text, uint8_t *ret, size_t n) {
    int any = 0;

    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        ret[i] = (uint8_t) (high << 4 | low);
        any |= ret[i];
    }
    return any;
}

int traceparent_parse(const char *text, size_t n, struct trace_context *ret) {
    struct trace_context c;
    uint8_t version;

    while (n && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        n--;
    }
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (n < TRACEPARENT_LENGTH || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return -EINVAL;
    if (hex_read(text, &version, 1) < 0 || version == 0xff)
        return -EINVAL;
    if (version == 0 ? n != TRACEPARENT_LENGTH : n > TRACEPARENT_LENGTH && text[55] != '-')
        return -EINVAL;
    if (hex_read(text + 3, c.trace_id, 16) <= 0 || hex_read(text + 36, c.span_id, 8) <= 0 ||
        hex_read(text + 53, &c.flags, 1) < 0)
        return -EINVAL;
    c.flags &= FLAG_SAMPLED;
    *ret = c;
    return 0;
}

void hex_format(const uint8_t *bytes, size_t n, char *ret) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void traceparent_format(const struct trace_context *c, char *ret) {
    memcpy(ret, "00-", 3);
    hex_format(c->trace_id, 16, ret + 3);
    ret[35] = '-';
    hex_format(c->span_id, 8, ret + 36);
    ret[52] = '-';
    hex_format(&c->flags, 1, ret + 53);
}

unsigned propagation_formats = FORMAT_W3C | FORMAT_BAGGAGE;

/* An id of at most n bytes, right-aligned. */
static int id_read(struct text t, uint8_t *ret, size_t n) {
    size_t missing = n - t.n / 2;

    if (t.n == 0 || t.n % 2 || t.n > 2 * n)
        return -EINVAL;
    memset(ret, 0, missing);
    return hex_read(t.p, ret + missing, t.n / 2) > 0 ? 0 : -EINVAL;
}

static struct text next_part(struct text *rest, char separator) {
    const char *end = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    struct text part = {rest->p, end ? (size_t) (end - rest->p) : rest->n};

    rest->p += part.n + (end ? 1 : 0);
    rest->n -= part.n + (end ? 1 : 0);
    return part;
}

static bool is_yes(struct text t) {
    return (t.n == 1 && (*t.p == '1' || *t.p == 'd')) || (t.n == 4 && memcmp(t.p, "true", 4) == 0);
}

static int parse_ids(struct text trace, struct text span, bool sampled, struct trace_context *ret) {
    struct trace_context c;

    if ((trace.n != 32 && trace.n != 16) || span.n != 16 || id_read(trace, c.trace_id, 16) < 0 ||
        id_read(span, c.span_id, 8) < 0)
        return -EINVAL;
    c.flags = sampled ? FLAG_SAMPLED : 0;
    *ret = c;
    return 0;
}

static int parse_b3(struct text t, struct trace_context *ret) {
    struct text trace = next_part(&t, '-'), span = next_part(&t, '-');

    return parse_ids(trace, span, is_yes(next_part(&t, '-')), ret);
}

/* trace:span:parent:flags, in hexadecimal digits without leading zeros; ":" may be escaped. */
static int parse_jaeger(struct text t, struct trace_context *ret) {
    char digits[48];
    struct text parts[4];
    struct trace_context c;

    for (int i = 0; i < 4; i++) {
        size_t width = i == 0 ? 32 : 16;
        struct text part = next_part(&t, ':');
        if (part.n == 0 || part.n > width)
            return -EINVAL;
        parts[i] = part;
    }
    memset(digits, '0', sizeof(digits));
    memcpy(digits + 32 - parts[0].n, parts[0].p, parts[0].n);
    memcpy(digits + 48 - parts[1].n, parts[1].p, parts[1].n);
    if (hex_read(digits, c.trace_id, 16) <= 0 || hex_read(digits + 32, c.span_id, 8) <= 0)
        return -EINVAL;
    c.flags = (parts[3].p[parts[3].n - 1] & 1) ? FLAG_SAMPLED : 0;
    *ret = c;
    return 0;
}

int carried_parse(const struct carried *c, struct trace_context *ret) {
    unsigned f = propagation_formats;

    if ((f & FORMAT_W3C) && c->traceparent.n &&
        traceparent_parse(c->traceparent.p, c->traceparent.n, ret) == 0)
        return 0;
    if ((f & FORMAT_B3) && c->b3.n && parse_b3(c->b3, ret) == 0)
        return 0;
    if ((f & (FORMAT_B3 | FORMAT_B3_MULTI)) && c->b3_trace.n &&
        parse_ids(c->b3_trace, c->b3_span, is_yes(c->b3_sampled) || is_yes(c->b3_flags), ret) == 0)
        return 0;
    return (f & FORMAT_JAEGER) && c->jaeger.n ? parse_jaeger(c->jaeger, ret) : -EINVAL;
}

void b3_format(const struct trace_context *c, char *ret) {
    hex_format(c->trace_id, 16, ret);
    ret[32] = '-';
    hex_format(c->span_id, 8, ret + 33);
    ret[49] = '-';
    ret[50] = c->flags & FLAG_SAMPLED ? '1' : '0';
}

void jaeger_format(const struct trace_context *c, char *ret) {
    hex_format(c->trace_id, 16, ret);
    ret[32] = ':';
    hex_format(c->span_id, 8, ret + 33);
    memcpy(ret + 49, ":0:0", 4);
    ret[52] = c->flags & FLAG_SAMPLED ? '1' : '0';
}
