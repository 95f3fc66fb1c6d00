/* Numbers and durations as PromQL writes them. Pure functions: any thread. */
#include "query/promql/ast.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

static bool print_special(struct buffer *out, double v) {
    if (isnan(v))
        buffer_append_text(out, "NaN");
    else if (isinf(v))
        buffer_append_text(out, v > 0 ? "+Inf" : "-Inf");
    else
        return false;
    return true;
}

/* The shortest digits that read back as v (> 0, finite): digits without point, and the power of ten
 * of the first digit. */
static int shortest(double v, char digits[20], int *ret_exponent) {
    char text[40];

    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    int n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9' && n < 19)
            digits[n++] = *p;
    *ret_exponent = (int) strtol(p + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
    return n;
}

void print_float(struct buffer *out, double v) {
    char digits[20];
    int exponent, n;

    if (print_special(out, v))
        return;
    if (signbit(v))
        buffer_append_u8(out, '-');
    if (v == 0) {
        buffer_append_u8(out, '0');
        return;
    }
    n = shortest(fabs(v), digits, &exponent);
    if (exponent < 0) {
        buffer_append_text(out, "0.");
        for (int i = -1; i > exponent; i--)
            buffer_append_u8(out, '0');
        buffer_append_text(out, digits);
        return;
    }
    for (int i = 0; i <= exponent || i < n; i++) {
        if (i == exponent + 1)
            buffer_append_u8(out, '.');
        buffer_append_u8(out, i < n ? (uint8_t) digits[i] : '0');
    }
}

void print_float_g(struct buffer *out, double v) {
    char digits[20];
    int exponent, n;

    if (print_special(out, v))
        return;
    n = v == 0 ? 0 : shortest(fabs(v), digits, &exponent);
    if (v == 0 || (exponent >= -4 && exponent < 6)) {
        print_float(out, v);
        return;
    }
    buffer_printf(out, "%s%c", v < 0 ? "-" : "", digits[0]);
    if (n > 1)
        buffer_printf(out, ".%s", digits + 1);
    buffer_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

void print_float_openmetrics(struct buffer *out, double v) {
    size_t before = out->size;

    print_float_g(out, v);
    if (out->failed || !isfinite(v))
        return;
    for (size_t i = before; i < out->size; i++)
        if (out->data[i] == '.' || out->data[i] == 'e')
            return;
    buffer_append_text(out, ".0");
}

static const struct {
    char name[3];
    int64_t ms;
    bool exact; /* printed only when nothing is left over: 90d reads better than 12w6d */
} units[] = {
        {"y", INT64_C(31536000000), true},
        {"w", 604800000, true},
        {"d", 86400000, false},
        {"h", 3600000, false},
        {"m", 60000, false},
        {"s", 1000, false},
        {"ms", 1, false},
};
#define N_UNITS (sizeof(units) / sizeof(units[0]))

void print_duration_ms(struct buffer *out, int64_t ms) {
    uint64_t left = ms < 0 ? 0 - (uint64_t) ms : (uint64_t) ms;

    if (ms == 0) {
        buffer_append_text(out, "0s");
        return;
    }
    if (ms < 0)
        buffer_append_u8(out, '-');
    for (size_t i = 0; i < N_UNITS; i++) {
        uint64_t unit = (uint64_t) units[i].ms;

        if (left < unit || (units[i].exact && left % unit))
            continue;
        buffer_printf(out, "%llu%s", (unsigned long long) (left / unit), units[i].name);
        left %= unit;
    }
}

int parse_duration_seconds(struct slice s, double *ret) {
    size_t i = 0, next_unit = 0;
    double ms = 0;

    if (!s.size)
        return -EINVAL;
    while (i < s.size) {
        double v = 0;
        size_t from = i, unit = next_unit;

        for (; i < s.size && s.data[i] >= '0' && s.data[i] <= '9'; i++)
            v = v * 10 + (s.data[i] - '0');
        if (i == from)
            return -EINVAL;
        struct slice rest = slice_skip(s, i);
        size_t letters = rest.size > 1 && rest.data[0] == 'm' && rest.data[1] == 's' ? 2 : 1;
        /* Each unit at most once, the larger before the smaller. */
        while (unit < N_UNITS && !slice_is(slice_take(rest, letters), units[unit].name))
            unit++;
        if (unit == N_UNITS)
            return -EINVAL;
        ms += v * (double) units[unit].ms;
        next_unit = unit + 1;
        i += letters;
    }
    if (ms > 9.2e15)
        return -ERANGE;
    *ret = ms / 1000;
    return 0;
}

int parse_number(struct slice s, double *ret) {
    char text[400];
    char *end;

    if (s.size >= 2 && s.data[0] == '0' && (s.data[1] | 32) == 'x') {
        double v = 0;

        for (size_t i = 2; i < s.size; i++) {
            int c = s.data[i] | 32;
            v = v * 16 + (c >= 'a' ? c - 'a' + 10 : c - '0');
        }
        if (s.size > 18)
            return -EINVAL; /* beyond 64 bits */
        *ret = v;
        return 0;
    }
    if (slice_equal_nocase(s, SLICE("inf")) || slice_equal_nocase(s, SLICE("nan"))) {
        *ret = (s.data[0] | 32) == 'i' ? (double) INFINITY : (double) NAN;
        return 0;
    }
    if (s.size == 0 || s.size >= sizeof(text))
        return -EINVAL;
    memcpy(text, s.data, s.size);
    text[s.size] = 0;
    *ret = strtod(text, &end);
    return *end ? -EINVAL : 0;
}
