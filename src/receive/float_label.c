/* See float_label.h. Source of the form: OpenMetrics 1.0, "Considerations: Canonical Numbers". */
#include "receive/float_label.h"

#include "wire/prometheus_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below and from here on with an exponent, as Prometheus prints them. */
#define EXPONENT_LEAST (-4)
#define EXPONENT_FROM 6
#define DIGITS_MAX 17

struct slice float_label_canonical(struct slice value, struct arena *a) {
    char text[40];
    double v, again;
    int digits = 1;

    if (prometheus_number(value, &v) < 0)
        return value;
    if (isnan(v))
        return SLICE("NaN");
    if (isinf(v))
        return v > 0 ? SLICE("+Inf") : SLICE("-Inf");
    for (; digits <= DIGITS_MAX; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, v);
        again = strtod(text, NULL);
        if (again == v)
            break;
    }
    const char *e = strchr(text, 'e');
    int exponent = e ? (int) strtol(e + 1, NULL, 10) : 0;
    if (exponent >= EXPONENT_LEAST && exponent < EXPONENT_FROM) {
        int places = digits - 1 - exponent;
        snprintf(text, sizeof(text), "%.*f", places > 0 ? places : 1, v);
    }
    if (slice_equal(value, slice_from(text)))
        return value;
    char *copy = arena_printf(a, "%s", text);
    return copy ? slice_from(copy) : value;
}
