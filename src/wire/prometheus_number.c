/*
 * Decimal numbers of Prometheus' text formats. Most have few digits: an integer below 2^53 and a
 * power of ten up to 22 are both exact, so one multiplication or division rounds correctly (W.
 * Clinger, "How to read floating point numbers accurately"); the rest goes to strtod(). Pure.
 */
#include "wire/prometheus_text.h"

#include <math.h>

#define DIGITS_EXACT_MAX 15 /* any such number is below 2^53 */
#define POWER_EXACT_MAX 22
#define NUMBER_BYTES_MAX 400u /* longer ones are no numbers that anybody prints */

static const double powers[POWER_EXACT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static int special(struct slice text, bool negative, double *ret) {
    if (slice_equal_nocase(text, SLICE("nan")))
        *ret = NAN;
    else if (slice_equal_nocase(text, SLICE("inf")) || slice_equal_nocase(text, SLICE("infinity")))
        *ret = negative ? -INFINITY : INFINITY;
    else
        return -EINVAL;
    return 0;
}

/* Rounds correctly whatever its digits; the form is checked already. */
static int slow(struct slice text, double *ret) {
    char copy[NUMBER_BYTES_MAX + 1];

    if (text.size > NUMBER_BYTES_MAX)
        return -EINVAL;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    *ret = strtod(copy, NULL);
    return isinf(*ret) ? -EINVAL : 0; /* out of range, as Go's ParseFloat has it */
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* The exponent behind "e"; false when it is malformed. */
static bool read_exponent(const uint8_t *p, const uint8_t *end, int *ret) {
    bool negative = p < end && *p == '-';
    int v = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return false;
        if (v < 100000)
            v = v * 10 + (*p - '0');
    }
    *ret = negative ? -v : v;
    return true;
}

int prometheus_number(struct slice text, double *ret) {
    const uint8_t *p = text.data, *end = p + text.size;
    bool negative = false, point = false;
    uint64_t mantissa = 0;
    int digits = 0, seen = 0, scale = 0, exponent = 0;

    if (p < end && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    if (p < end && !is_digit(*p) && *p != '.')
        return special(slice_new(p, (size_t) (end - p)), negative, ret);
    for (; p < end; p++) {
        if (is_digit(*p)) {
            seen++;
            if (mantissa || *p != '0')
                digits++;
            if (digits <= DIGITS_EXACT_MAX)
                mantissa = mantissa * 10 + (uint64_t) (*p - '0');
            scale -= point;
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!seen)
        return -EINVAL;
    if (p < end && ((*p | 32) != 'e' || !read_exponent(p + 1, end, &exponent)))
        return -EINVAL;
    scale += exponent;
    if (digits > DIGITS_EXACT_MAX || scale > POWER_EXACT_MAX || scale < -POWER_EXACT_MAX)
        return slow(text, ret);
    double v = (double) mantissa;
    v = scale < 0 ? v / powers[-scale] : v * powers[scale];
    *ret = negative ? -v : v;
    return 0;
}
