/* PromQL's answers for a terminal. What came from outside is printed without control characters.
 * Single-threaded. */
#include "cli/query_promql.h"

#include <math.h>
#include <stdlib.h>

#define METRIC_BYTES_MAX ((size_t) 64 << 10)
#define VALUE_WIDTH 14u
#define BARS_MAX 60u
#define BARS_MIN 10u

/* name{a="b", c="d"} */
static void metric_text(const json_t *labels, struct buffer *out) {
    const char *name = json_string_value(json_object_get(labels, "__name__"));
    const char *key, *comma = "{";
    json_t *value;

    buffer_clear(out);
    buffer_append_text(out, name ? name : "");
    json_object_foreach((json_t *) labels, key, value) {
        if (strcmp(key, "__name__") == 0)
            continue;
        buffer_printf(out, "%s%s=\"%s\"", comma, key,
                      json_string_value(value) ? json_string_value(value) : "");
        comma = ", ";
    }
    if (*comma == ',')
        buffer_append_u8(out, '}');
    else if (!name)
        buffer_append_text(out, "{}");
    buffer_append_u8(out, 0);
}

static void print_metric(const struct printer *p, const json_t *labels, struct buffer *room) {
    metric_text(labels, room);
    const char *text = room->failed ? "(the labels are too long)" : (const char *) room->data;
    print_padded(p, text, text_width(text));
    fputc('\n', p->to);
}

static void print_right(const struct printer *p, const char *text, size_t width) {
    for (size_t n = text_width(text); n < width; n++)
        fputc(' ', p->to);
    print_padded(p, text, text_width(text));
}

/* [time, "value"], or [time, {"count", "sum", …}] of a histogram. */
static void point_text(const json_t *point, char ret[128]) {
    const json_t *v = json_array_get(point, 1);
    const char *count = json_string_value(json_object_get(v, "count")),
               *sum = json_string_value(json_object_get(v, "sum"));

    if (json_is_object(v))
        snprintf(ret, 128, "count %s sum %s", count ? count : "?", sum ? sum : "?");
    else
        snprintf(ret, 128, "%s", json_string_value(v) ? json_string_value(v) : "?");
}

static double point_number(const json_t *point) {
    const char *text = json_string_value(json_array_get(point, 1));
    char *end;
    double v = text ? strtod(text, &end) : NAN;

    return text && !*end ? v : NAN;
}

static void print_vector(const struct printer *p, const json_t *result) {
    struct buffer room;
    char text[128];
    size_t width = 5;

    buffer_init(&room, METRIC_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *s = json_array_get(result, i), *v = json_object_get(s, "value");
        point_text(v ? v : json_object_get(s, "histogram"), text);
        width = text_width(text) > width ? text_width(text) : width;
    }
    print_colour(p, COLOUR_MUTED);
    print_right(p, "VALUE", width);
    fputs("  METRIC\n", p->to);
    print_colour(p, COLOUR_NONE);
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *s = json_array_get(result, i), *v = json_object_get(s, "value");
        point_text(v ? v : json_object_get(s, "histogram"), text);
        print_right(p, text, width);
        fputs("  ", p->to);
        print_metric(p, json_object_get(s, "metric"), &room);
    }
    buffer_done(&room);
}

/* ---- Ranges ---- */

struct span_of_time {
    double from, to;
};

/* The earliest and the latest point of all series. */
static struct span_of_time time_of(const json_t *result) {
    struct span_of_time t = {INFINITY, -INFINITY};

    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *values = json_object_get(json_array_get(result, i), "values");
        size_t n = json_array_size(values);
        if (n == 0)
            continue;
        double first = json_number_value(json_array_get(json_array_get(values, 0), 0)),
               last = json_number_value(json_array_get(json_array_get(values, n - 1), 0));
        t.from = first < t.from ? first : t.from;
        t.to = last > t.to ? last : t.to;
    }
    return t;
}

struct shape {
    double low, high, last;
    double sums[BARS_MAX];
    unsigned counts[BARS_MAX];
};

static void read_shape(const json_t *values, struct span_of_time t, unsigned bars,
                       struct shape *ret) {
    *ret = (struct shape){.low = INFINITY, .high = -INFINITY, .last = NAN};
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *point = json_array_get(values, i);
        double v = point_number(point), at = json_number_value(json_array_get(point, 0));
        if (!isfinite(v))
            continue;
        double place = t.to > t.from ? (at - t.from) / (t.to - t.from) * bars : 0;
        unsigned bar = place < 0 ? 0 : place >= bars ? bars - 1 : (unsigned) place;
        ret->sums[bar] += v;
        ret->counts[bar]++;
        ret->low = v < ret->low ? v : ret->low;
        ret->high = v > ret->high ? v : ret->high;
        ret->last = v;
    }
}

static void print_bars(const struct printer *p, const struct shape *s, unsigned bars) {
    static const char *const levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

    print_colour(p, COLOUR_ACCENT);
    for (unsigned i = 0; i < bars; i++) {
        double share = s->counts[i] && s->high > s->low
                               ? (s->sums[i] / s->counts[i] - s->low) / (s->high - s->low)
                               : 0;
        int level = (int) (share * 8);
        fputs(!s->counts[i] ? " " : levels[level > 7 ? 7 : level < 0 ? 0 : level], p->to);
    }
    print_colour(p, COLOUR_NONE);
}

static void print_number(const struct printer *p, double v) {
    char text[64];

    snprintf(text, sizeof(text), isfinite(v) ? "%.6g" : "–", v);
    print_right(p, text, VALUE_WIDTH);
}

/* One line per series: its lowest, highest and last value, its shape between the lowest and the
 * highest one, and its name. */
static void print_matrix(const struct printer *p, const json_t *result) {
    struct span_of_time t = time_of(result);
    unsigned room = p->columns / 3, bars = room > BARS_MAX ? BARS_MAX : room;
    struct buffer text;
    struct shape s;

    if (bars < BARS_MIN)
        bars = BARS_MIN;
    buffer_init(&text, METRIC_BYTES_MAX);
    print_colour(p, COLOUR_MUTED);
    print_right(p, "MIN", VALUE_WIDTH);
    print_right(p, "MAX", VALUE_WIDTH);
    print_right(p, "LAST", VALUE_WIDTH);
    fputs("  ", p->to);
    print_padded(p, "SHAPE", bars);
    fputs("  METRIC\n", p->to);
    print_colour(p, COLOUR_NONE);
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *series = json_array_get(result, i);
        const json_t *values = json_object_get(series, "values");
        read_shape(values, t, bars, &s);
        print_number(p, s.low);
        print_number(p, s.high);
        print_number(p, s.last);
        fputs("  ", p->to);
        print_bars(p, &s, bars);
        fputs("  ", p->to);
        print_metric(p, json_object_get(series, "metric"), &text);
    }
    buffer_done(&text);
}

static void print_list(const struct printer *p, const json_t *list) {
    struct buffer room;

    buffer_init(&room, METRIC_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        if (json_is_object(v)) {
            print_metric(p, v, &room);
        } else {
            const char *text = json_string_value(v) ? json_string_value(v) : "";
            print_padded(p, text, text_width(text));
            fputc('\n', p->to);
        }
    }
    buffer_done(&room);
    if (json_array_size(list) == 0)
        fputs("Nothing was found.\n", p->to);
}

void print_promql(const struct printer *p, const json_t *data) {
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    bool matrix = type && strcmp(type, "matrix") == 0, vector = type && strcmp(type, "vector") == 0;
    char text[128];

    if (!type) {
        print_list(p, data);
    } else if ((matrix || vector) && json_array_size(result) == 0) {
        fputs("No series matches at this time.\n", p->to);
    } else if (vector) {
        print_vector(p, result);
    } else if (matrix) {
        print_matrix(p, result);
    } else {
        point_text(result, text);
        print_padded(p, text, text_width(text));
        fputc('\n', p->to);
    }
}
