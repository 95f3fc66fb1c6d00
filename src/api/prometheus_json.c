/*
 * Results as Prometheus' JSON. Points are written straight into the buffer, as they are nearly all
 * of an answer. One worker at a time.
 */
#include "api/prometheus_call.h"

#define POINT_BYTES_MAX (2 * NUMBER_TEXT_MAX + 8)
#define POINTS_AT_ONCE 512u
#define BUCKETS_AT_ONCE 256u

static size_t time_text(int64_t ms, char *p) {
    char *begin = p;
    uint64_t size = ms < 0 ? 0 - (uint64_t) ms : (uint64_t) ms;
    unsigned rest = (unsigned) (size % 1000);

    if (ms < 0)
        *p++ = '-';
    p += uint_to_text(size / 1000, p);
    if (rest) {
        *p++ = '.';
        *p++ = (char) ('0' + rest / 100);
        *p++ = (char) ('0' + rest / 10 % 10);
        *p++ = (char) ('0' + rest % 10);
    }
    return (size_t) (p - begin);
}

void prom_put_time(struct buffer *b, int64_t ms) {
    char text[NUMBER_TEXT_MAX];

    buffer_append(b, text, time_text(ms, text));
}

void prom_put_number(struct buffer *b, double v) {
    char text[NUMBER_TEXT_MAX];

    buffer_append_u8(b, '"');
    buffer_append(b, text, double_to_prometheus(v, text));
    buffer_append_u8(b, '"');
}

void prom_put_labels(struct json_writer *w, const struct promql_labels *labels) {
    json_begin_object(w);
    for (uint32_t i = 0; i < labels->n; i++) {
        json_put_key_slice(w, labels->items[i].name);
        json_put_string(w, labels->items[i].value);
    }
    json_end_object(w);
}

/* [1435781430.781,"1"] */
static size_t point_text(int64_t ms, double v, char *p) {
    char *begin = p;

    *p++ = '[';
    p += time_text(ms, p);
    *p++ = ',';
    *p++ = '"';
    p += double_to_prometheus(v, p);
    *p++ = '"';
    *p++ = ']';
    return (size_t) (p - begin);
}

/* Which bounds are inside, as a number: 0 the upper, 1 the lower, 2 none, 3 both. */
static int boundaries(const struct promql_bucket *b) {
    if (b->upper_inclusive)
        return b->lower_inclusive ? 3 : 0;
    return b->lower_inclusive ? 1 : 2;
}

static void put_buckets(struct buffer *out, const struct promql_histogram *h) {
    struct promql_bucket room[BUCKETS_AT_ONCE], *buckets = room;
    size_t n = promql_histogram_buckets(h, room, BUCKETS_AT_ONCE);

    if (n > BUCKETS_AT_ONCE) {
        buckets = memory_alloc(n * sizeof(*buckets));
        if (!buckets) {
            out->failed = -ENOMEM;
            return;
        }
        promql_histogram_buckets(h, buckets, n);
    }
    if (n)
        buffer_append_text(out, ",\"buckets\":[");
    for (size_t i = 0; i < n; i++) {
        buffer_printf(out, "%s[%d,", i ? "," : "", boundaries(&buckets[i]));
        prom_put_number(out, buckets[i].lower);
        buffer_append_u8(out, ',');
        prom_put_number(out, buckets[i].upper);
        buffer_append_u8(out, ',');
        prom_put_number(out, buckets[i].count);
        buffer_append_u8(out, ']');
    }
    if (n)
        buffer_append_u8(out, ']');
    if (buckets != room)
        free(buckets);
}

static void put_histogram(struct buffer *out, int64_t ms, const struct promql_histogram *h) {
    buffer_append_u8(out, '[');
    prom_put_time(out, ms);
    buffer_append_text(out, ",{\"count\":");
    prom_put_number(out, h->count);
    buffer_append_text(out, ",\"sum\":");
    prom_put_number(out, h->sum);
    put_buckets(out, h);
    buffer_append_text(out, "}]");
}

static const struct promql_histogram *histogram_at(const struct promql_column *c, size_t i) {
    return c->histograms ? c->histograms[i] : NULL;
}

/* The floats of a column as a list. */
static void put_floats(struct buffer *out, const struct promql_column *c) {
    bool comma = false;

    for (size_t i = 0; i < c->n;) {
        size_t n = c->n - i < POINTS_AT_ONCE ? c->n - i : POINTS_AT_ONCE;
        uint8_t *room = buffer_reserve(out, n * POINT_BYTES_MAX);
        char *p = (char *) room;
        if (!room)
            return;
        for (size_t end = i + n; i < end; i++) {
            if (histogram_at(c, i))
                continue;
            if (comma)
                *p++ = ',';
            comma = true;
            p += point_text(c->times_ms[i], c->values[i], p);
        }
        out->size += (size_t) (p - (char *) room);
    }
}

static void put_histograms(struct buffer *out, const struct promql_column *c) {
    bool comma = false;

    for (size_t i = 0; i < c->n; i++) {
        const struct promql_histogram *h = histogram_at(c, i);
        if (!h)
            continue;
        if (comma)
            buffer_append_u8(out, ',');
        comma = true;
        put_histogram(out, c->times_ms[i], h);
    }
}

static size_t count_histograms(const struct promql_column *c) {
    size_t n = 0;

    for (size_t i = 0; c->histograms && i < c->n; i++)
        n += c->histograms[i] != NULL;
    return n;
}

static void put_column(struct json_writer *w, const struct promql_column *c, bool matrix) {
    struct buffer *out = w->out;
    size_t n = count_histograms(c);

    json_begin_object(w);
    json_put_key(w, "metric");
    prom_put_labels(w, c->labels);
    if (c->n > n) {
        buffer_append_text(out, matrix ? ",\"values\":[" : ",\"value\":");
        put_floats(out, c);
        if (matrix)
            buffer_append_u8(out, ']');
    }
    if (n) {
        buffer_append_text(out, matrix ? ",\"histograms\":[" : ",\"histogram\":");
        put_histograms(out, c);
        if (matrix)
            buffer_append_u8(out, ']');
    }
    json_end_object(w);
}

static void put_scalar(struct json_writer *w, const struct promql_column *c) {
    put_floats(w->out, c);
    w->comma = true;
}

void prom_put_result(struct json_writer *w, const struct promql_result *r, size_t n_columns,
                     int64_t at_ms) {
    static const char *const names[] = {[PROMQL_SCALAR] = "scalar",
                                        [PROMQL_VECTOR] = "vector",
                                        [PROMQL_MATRIX] = "matrix",
                                        [PROMQL_STRING] = "string"};

    json_field_text(w, "resultType", names[r->type]);
    json_put_key(w, "result");
    if (r->type == PROMQL_STRING) {
        buffer_append_u8(w->out, '[');
        prom_put_time(w->out, at_ms);
        w->comma = true;
        json_put_string(w, r->string);
        buffer_append_u8(w->out, ']');
    } else if (r->type == PROMQL_SCALAR) {
        put_scalar(w, &r->columns[0]);
    } else {
        json_begin_array(w);
        for (size_t i = 0; i < n_columns; i++)
            put_column(w, &r->columns[i], r->type == PROMQL_MATRIX);
        json_end_array(w);
    }
}
