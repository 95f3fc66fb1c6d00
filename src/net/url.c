/* Percent-encoding, -decoding and parameter lists. Memory: the caller's arena, or views into the
 * input. */
#include "net/url.h"

#include <errno.h>

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool needs_decoding(struct slice s, bool plus) {
    return slice_find_byte(s, '%') >= 0 || (plus && slice_find_byte(s, '+') >= 0);
}

int url_decode(struct arena *a, struct slice s, bool plus, struct slice *ret) {
    if (!needs_decoding(s, plus)) {
        *ret = s;
        return 0;
    }
    uint8_t *to = arena_alloc(a, s.size + 1);
    if (!to)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (c == '%') {
            int high = i + 2 < s.size ? hex_digit(s.data[i + 1]) : -1;
            int low = i + 2 < s.size ? hex_digit(s.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (uint8_t) (high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        to[n++] = c;
    }
    to[n] = 0;
    *ret = slice_new(to, n);
    return 0;
}

void url_encode(struct buffer *to, struct slice s) {
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_' || c == '.' || c == '~') {
            buffer_append_u8(to, c);
        } else {
            buffer_append_u8(to, '%');
            buffer_append_u8(to, (uint8_t) digits[c >> 4]);
            buffer_append_u8(to, (uint8_t) digits[c & 15]);
        }
    }
}

static int push(struct arena *a, struct url_params *params, struct url_param p) {
    if (params->n == params->allocated) {
        size_t more = params->allocated ? params->allocated * 2 : 16;
        struct url_param *items = arena_array(a, struct url_param, more);
        if (!items)
            return -ENOMEM;
        if (params->n)
            memcpy(items, params->items, params->n * sizeof(*items));
        params->items = items;
        params->allocated = more;
    }
    params->items[params->n++] = p;
    return 0;
}

int url_params_parse(struct arena *a, struct slice text, struct url_params *params) {
    while (text.size && params->n < URL_PARAMS_MAX) {
        struct slice value = slice_cut(&text, '&');
        if (!value.size)
            continue;
        struct slice name = slice_cut(&value, '=');
        struct url_param p;
        int r = url_decode(a, name, true, &p.name);
        if (r == -EINVAL)
            p.name = name;
        else if (r < 0)
            return r;
        if (!value.data)
            value = slice_new("", 0);
        r = url_decode(a, value, true, &p.value);
        if (r == -EINVAL)
            p.value = value;
        else if (r < 0)
            return r;
        r = push(a, params, p);
        if (r < 0)
            return r;
    }
    return 0;
}
