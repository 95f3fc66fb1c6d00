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
