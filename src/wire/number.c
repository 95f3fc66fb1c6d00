/* Numbers and base64 as text. Pure functions: any thread. */
#include "wire/json.h"

#include <math.h>

size_t uint_to_text(uint64_t v, char *ret) {
    static const char pairs[] =
            "00010203040506070809101112131415161718192021222324252627282930313233"
            "34353637383940414243444546474849505152535455565758596061626364656667"
            "6869707172737475767778798081828384858687888990919293949596979899";
    char text[20];
    size_t at = sizeof(text);

    while (v >= 100) {
        at -= 2;
        memcpy(text + at, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(text + at, pairs + v * 2, 2);
    } else {
        text[--at] = (char) ('0' + v);
    }
    memcpy(ret, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

size_t int_to_text(int64_t v, char *ret) {
    if (v >= 0)
        return uint_to_text((uint64_t) v, ret);
    *ret = '-';
    return 1 + uint_to_text(0 - (uint64_t) v, ret + 1);
}

/* Numbers with few decimals, which nearly all measured ones are: digits × 10^-k, exact when both
 * are below 2^53 and k ≤ 22, because division rounds correctly. 0: not such a number. */
static size_t short_decimal(double v, char *ret) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(v);

    if (!(size < 1e9) || (size < 1e-4 && v != 0))
        return 0;
    for (unsigned k = 0; k < sizeof(powers) / sizeof(*powers); k++) {
        double scaled = nearbyint(size * powers[k]);
        if (scaled / powers[k] != size)
            continue;
        char *p = ret;
        if (signbit(v))
            *p++ = '-';
        uint64_t digits = (uint64_t) scaled, unit = (uint64_t) powers[k];
        p += uint_to_text(digits / unit, p);
        if (k) {
            *p++ = '.';
            uint64_t rest = digits % unit;
            for (unsigned i = k; i-- > 0; rest /= 10)
                p[i] = (char) ('0' + rest % 10);
            p += k;
        }
        return (size_t) (p - ret);
    }
    return 0;
}

size_t double_to_text(double v, char *ret) {
    if (isnan(v)) {
        memcpy(ret, "NaN", 3);
        return 3;
    }
    if (isinf(v)) {
        const char *name = v < 0 ? "-Infinity" : "Infinity";
        size_t n = strlen(name);
        memcpy(ret, name, n);
        return n;
    }
    size_t n = short_decimal(v, ret);
    if (n)
        return n;
    /* As %.15g has it, or with as many digits as are needed. */
    struct decimal d = double_to_decimal(v);
    char digits[NUMBER_TEXT_MAX];
    int precision = (int) uint_to_text(d.digits, digits);
    n = signbit(v);
    *ret = '-';
    return n + decimal_to_text(d, -4, precision > 15 ? precision : 15, ret + n);
}

int base64_encode(struct slice bytes, struct buffer *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (bytes.size > SIZE_MAX / 4)
        return out->failed = -ENOBUFS;
    size_t size = (bytes.size + 2) / 3 * 4;
    uint8_t *p = buffer_reserve(out, size);
    if (!p)
        return out->failed;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t v = (uint32_t) bytes.data[i] << 16;
        if (left > 1)
            v |= (uint32_t) bytes.data[i + 1] << 8;
        if (left > 2)
            v |= bytes.data[i + 2];
        *p++ = (uint8_t) digits[v >> 18];
        *p++ = (uint8_t) digits[v >> 12 & 63];
        *p++ = left > 1 ? (uint8_t) digits[v >> 6 & 63] : '=';
        *p++ = left > 2 ? (uint8_t) digits[v & 63] : '=';
    }
    out->size += size;
    return 0;
}

static int base64_digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

int base64_decode(struct slice text, struct buffer *out) {
    uint32_t v = 0;
    unsigned bits = 0;
    size_t begin = out->size;

    for (unsigned padding = 0; padding < 2 && text.size && text.data[text.size - 1] == '=';
         padding++)
        text.size--;
    if (text.size % 4 == 1)
        return -EINVAL;
    uint8_t *p = buffer_reserve(out, text.size / 4 * 3 + 3);
    if (!p)
        return out->failed;
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return -EINVAL;
        v = v << 6 | (uint32_t) digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *p++ = (uint8_t) (v >> bits);
        }
    }
    out->size = begin + text.size * 3 / 4;
    return 0;
}
