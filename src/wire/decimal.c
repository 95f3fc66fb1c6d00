/*
 * The shortest decimal digits of a double (Raffaello Giulietti, "The Schubfach way to render
 * doubles", 2020). Its table of powers of ten is computed once, exactly. Any thread.
 */
#include "wire/json.h"

#include <math.h>
#include <pthread.h>

#define POWER_MIN (-292)
#define POWER_MAX 324
#define WORDS 20 /* of 64 bits: room for 10^324 and for 2^1216 */
#define RECIPROCAL_BITS 1216

/* 10^k scaled to 128 bits with the highest one set, rounded up. */
static struct power { uint64_t high, low; } powers[POWER_MAX - POWER_MIN + 1];
static pthread_once_t powers_once = PTHREAD_ONCE_INIT;

/* The highest 128 bits of a number of little-endian words; *ret_rest: bits below them are set. */
static struct power top_bits(const uint64_t *words, bool *ret_rest) {
    int top = WORDS - 1;

    while (words[top] == 0)
        top--;
    int shift = __builtin_clzll(words[top]);
    uint64_t w[3];
    for (int i = 0; i < 3; i++)
        w[i] = top - i >= 0 ? words[top - i] : 0;
    struct power p = {w[0], w[1]};
    uint64_t rest = w[2];
    if (shift) {
        p.high = w[0] << shift | w[1] >> (64 - shift);
        p.low = w[1] << shift | w[2] >> (64 - shift);
        rest = w[2] << shift;
    }
    *ret_rest = rest != 0;
    for (int i = top - 3; i >= 0; i--)
        *ret_rest |= words[i] != 0;
    return p;
}

static void set_power(int k, const uint64_t *words, bool inexact) {
    struct power *p = &powers[k - POWER_MIN];
    bool rest;

    *p = top_bits(words, &rest);
    if ((rest || inexact) && ++p->low == 0)
        p->high++;
}

static void compute_powers(void) {
    uint64_t words[WORDS] = {1};

    for (int k = 0; k <= POWER_MAX; k++) {
        unsigned __int128 carry = 0;
        set_power(k, words, false);
        for (int i = 0; i < WORDS; i++) {
            carry += (unsigned __int128) words[i] * 10;
            words[i] = (uint64_t) carry;
            carry >>= 64;
        }
    }
    memset(words, 0, sizeof(words));
    words[RECIPROCAL_BITS / 64] = 1;
    for (int k = -1; k >= POWER_MIN; k--) {
        unsigned __int128 rest = 0;
        for (int i = WORDS - 1; i >= 0; i--) {
            rest = rest << 64 | words[i];
            words[i] = (uint64_t) (rest / 10);
            rest %= 10;
        }
        set_power(k, words, true);
    }
}

static uint64_t round_to_odd(const struct power *g, uint64_t cp) {
    unsigned __int128 x = (unsigned __int128) g->low * cp,
                      y = (unsigned __int128) g->high * cp + (uint64_t) (x >> 64);

    return (uint64_t) (y >> 64) | ((uint64_t) y > 1);
}

static void strip_zeros(struct decimal *d) {
    while (d->digits >= 100000000 && d->digits % 100000000 == 0) {
        d->digits /= 100000000;
        d->exponent += 8;
    }
    while (d->digits % 10 == 0) {
        d->digits /= 10;
        d->exponent++;
    }
}

struct decimal double_to_decimal(double v) {
    struct decimal ret = {0, 0};
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1), c = fraction;
    int field = (int) (bits >> 52 & 0x7ff), q = (field ? field : 1) - 1075;
    if (field)
        c |= UINT64_C(1) << 52;
    if (c == 0)
        return ret;
    pthread_once(&powers_once, compute_powers);
    bool closer = fraction == 0 && field > 1, odd = c & 1;
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
    int h = q + ((-k * 1741647) >> 19) + 1;
    const struct power *g = &powers[-k - POWER_MIN];
    uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t middle = round_to_odd(g, (4 * c) << h), s = middle / 4;
    ret = (struct decimal){s, k};
    uint64_t tens = s / 10;
    bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
    if (s >= 10 && below != above) {
        ret = (struct decimal){tens + above, k + 1};
    } else {
        below = lower <= 4 * s;
        above = 4 * s + 4 <= upper;
        if (below != above)
            ret.digits += above;
        else
            ret.digits += middle > 4 * s + 2 || (middle == 4 * s + 2 && s & 1);
    }
    strip_zeros(&ret);
    return ret;
}

/* ---- As Go prints numbers ---- */

static size_t put_zeros(char *p, int n) {
    memset(p, '0', (size_t) n);
    return (size_t) n;
}

/* d.dddde±XX */
static size_t put_scientific(const char *digits, int n, int point, char *p) {
    char *begin = p;
    int e = point - 1;

    *p++ = digits[0];
    if (n > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, (size_t) n - 1);
        p += n - 1;
    }
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    e = e < 0 ? -e : e;
    if (e < 10)
        *p++ = '0';
    p += uint_to_text((uint64_t) e, p);
    return (size_t) (p - begin);
}

size_t decimal_to_text(struct decimal d, int low, int high, char *ret) {
    char digits[NUMBER_TEXT_MAX], *p = ret;
    int n = (int) uint_to_text(d.digits, digits), point = n + d.exponent;

    if (point - 1 < low || point - 1 >= high)
        return put_scientific(digits, n, point, ret);
    if (point <= 0) {
        *p++ = '0';
        *p++ = '.';
        p += put_zeros(p, -point);
        memcpy(p, digits, (size_t) n);
        return (size_t) (p + n - ret);
    }
    int whole = point < n ? point : n;
    memcpy(p, digits, (size_t) whole);
    p += whole;
    if (point >= n)
        return (size_t) (p - ret) + put_zeros(p, point - n);
    *p++ = '.';
    memcpy(p, digits + whole, (size_t) (n - whole));
    return (size_t) (p + n - whole - ret);
}

size_t double_to_prometheus(double v, char *ret) {
    char *p = ret;

    if (isnan(v) || isinf(v)) {
        memcpy(ret, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf", 4);
        return isnan(v) ? 3 : 4;
    }
    if (signbit(v))
        *p++ = '-';
    v = fabs(v);
    if (v < 0x1p53 && v == (double) (uint64_t) v)
        return (size_t) (p - ret) + uint_to_text((uint64_t) v, p);
    return (size_t) (p - ret) + decimal_to_text(double_to_decimal(v), -6, 21, p);
}
