/* Families, metrics, labels, exemplars. See scrape_protobuf.h. */
#include "receive/scrape_protobuf_private.h"

#include "receive/label_set.h"
#include "wire/json.h"

/* ---- Errors ---- */

int proto_fail(struct proto_walk *w, const char *why) {
    if (w->metric)
        return error_set(w->e, -EBADMSG, "family %u (%.*s), metric %u: %s", w->family,
                         SLICE_ARG(slice_take(w->name, 100)), w->metric, why);
    return error_set(w->e, -EBADMSG, "family %u%s%.*s%s: %s", w->family, w->name.size ? " (" : "",
                     SLICE_ARG(slice_take(w->name, 100)), w->name.size ? ")" : "", why);
}

static int grown(struct proto_walk *w, const struct buffer *b) {
    return b->failed ? proto_fail(w, "the text of a series is longer than 1 MiB") : 0;
}

/* ---- Series as text ---- */

static void put_quoted(struct buffer *b, struct slice s) {
    size_t from = 0;

    buffer_append_u8(b, '"');
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (c != '\\' && c != '"' && c != '\n')
            continue;
        buffer_append(b, s.data + from, i - from);
        buffer_append_u8(b, '\\');
        buffer_append_u8(b, c == '\n' ? 'n' : c);
        from = i + 1;
    }
    buffer_append(b, s.data + from, s.size - from);
    buffer_append_u8(b, '"');
}

/* A LabelPair: `a="x"`. */
static int put_pair(struct proto_walk *w, struct buffer *b, struct slice message, bool first) {
    struct pb_reader r = pb_reader(message);
    struct slice name = SLICE_EMPTY, value = SLICE_EMPTY;
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(1, PB_BYTES))
            name = f.bytes;
        else if (PROTO_FIELD_OF(f) == PROTO_FIELD(2, PB_BYTES))
            value = f.bytes;
    }
    if (more < 0)
        return proto_fail(w, "a LabelPair is malformed");
    if (!name.size)
        return proto_fail(w, "a label has no name");
    if (!slice_is_utf8(name) || !slice_is_utf8(value))
        return proto_fail(w, "a label is not UTF-8");
    if (!first)
        buffer_append_u8(b, ',');
    if (label_name_is_legacy(name))
        buffer_append_slice(b, name);
    else
        put_quoted(b, name);
    buffer_append_u8(b, '=');
    put_quoted(b, value);
    return grown(w, b);
}

static void put_name(struct buffer *b, struct slice name, const char *suffix, bool bare) {
    uint8_t joined[1024];
    size_t extra = strlen(suffix);

    if (bare || name.size + extra > sizeof(joined)) {
        buffer_append_slice(b, name);
        buffer_append(b, suffix, extra);
        return;
    }
    memcpy(joined, name.data, name.size);
    memcpy(joined + name.size, suffix, extra);
    put_quoted(b, slice_new(joined, name.size + extra));
}

static int put_series(struct proto_walk *w, const struct proto_sample *s) {
    bool legacy = metric_name_is_legacy(w->name), any = w->labels.size > 0;
    struct buffer *b = &w->series;
    char number[NUMBER_TEXT_MAX];

    buffer_clear(b);
    if (!legacy)
        buffer_append_u8(b, '{');
    put_name(b, w->name, s->suffix, legacy);
    if (legacy && (any || s->label))
        buffer_append_u8(b, '{');
    else if (!legacy && (any || s->label))
        buffer_append_u8(b, ',');
    buffer_append_slice(b, buffer_slice(&w->labels));
    if (s->label) {
        buffer_printf(b, "%s%s=\"", any ? "," : "", s->label);
        buffer_append(b, number, double_to_prometheus(s->label_value, number));
        buffer_append_u8(b, '"');
    }
    if (!legacy || any || s->label)
        buffer_append_u8(b, '}');
    return grown(w, b);
}

/* ---- Exemplars ---- */

static int read_timestamp(struct slice message, int64_t *ret_ms) {
    struct pb_reader r = pb_reader(message);
    int64_t seconds = 0, nanos = 0;
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(1, PB_VARINT))
            seconds = (int64_t) f.u64;
        else if (PROTO_FIELD_OF(f) == PROTO_FIELD(2, PB_VARINT))
            nanos = (int64_t) f.u64;
    }
    if (more < 0 || nanos < 0 || nanos > 999999999 ||
        __builtin_mul_overflow(seconds, (int64_t) 1000, ret_ms) ||
        __builtin_add_overflow(*ret_ms, nanos / 1000000, ret_ms))
        return -EBADMSG;
    return 0;
}

static int read_exemplar(struct proto_walk *w, struct slice message, struct prometheus_entry *x) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;
    size_t n = 0;

    buffer_clear(&w->exemplar);
    buffer_append_u8(&w->exemplar, '{');
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        switch (PROTO_FIELD_OF(f)) {
        case PROTO_FIELD(1, PB_BYTES):
            if (n == PROMETHEUS_LABELS_MAX)
                return proto_fail(w, "an exemplar has too many labels");
            error = put_pair(w, &w->exemplar, f.bytes, n++ == 0);
            break;
        case PROTO_FIELD(2, PB_FIXED64): x->exemplar_value = pb_double(&f); break;
        case PROTO_FIELD(3, PB_BYTES):
            x->exemplar_has_time = true;
            if (read_timestamp(f.bytes, &x->exemplar_time_ms) < 0)
                return proto_fail(w, "the timestamp of an exemplar is out of range");
            break;
        default: break;
        }
    }
    if (error < 0)
        return error;
    if (more < 0)
        return proto_fail(w, "an Exemplar is malformed");
    buffer_append_u8(&w->exemplar, '}');
    x->exemplar = buffer_slice(&w->exemplar);
    x->has_exemplar = true;
    return grown(w, &w->exemplar);
}

/* ---- Samples ---- */

int proto_emit(struct proto_walk *w, const struct proto_sample *s,
               const struct histogram *histogram) {
    struct prometheus_entry x = {.kind = PROMETHEUS_SAMPLE,
                                 .value = s->value,
                                 .has_time = w->has_time,
                                 .time_ms = w->time_ms};
    int r = put_series(w, s);

    if (r == 0 && s->exemplar.size)
        r = read_exemplar(w, s->exemplar, &x);
    x.series = buffer_slice(&w->series);
    return r < 0 ? r : w->handler->entry(w->handler->ctx, &x, histogram);
}

int proto_emit_exemplar(struct proto_walk *w, struct slice message) {
    struct prometheus_entry x = {.kind = PROMETHEUS_SAMPLE, .series = buffer_slice(&w->series)};
    int r = read_exemplar(w, message, &x);

    if (r < 0 || !x.exemplar_has_time)
        return r;
    return w->handler->exemplar(w->handler->ctx, &x);
}

/* Counter, Gauge, Untyped: {value = 1, exemplar = 2}. */
static int emit_value(struct proto_walk *w, struct slice message) {
    struct proto_sample s = {.suffix = ""};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(1, PB_FIXED64))
            s.value = pb_double(&f);
        else if (PROTO_FIELD_OF(f) == PROTO_FIELD(2, PB_BYTES) && w->type == PROTO_COUNTER)
            s.exemplar = f.bytes;
    }
    return more < 0 ? proto_fail(w, "its value is malformed") : proto_emit(w, &s, NULL);
}

static int emit_quantile(struct proto_walk *w, struct slice message) {
    struct proto_sample s = {.suffix = "", .label = "quantile"};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(1, PB_FIXED64))
            s.label_value = pb_double(&f);
        else if (PROTO_FIELD_OF(f) == PROTO_FIELD(2, PB_FIXED64))
            s.value = pb_double(&f);
    }
    return more < 0 ? proto_fail(w, "a Quantile is malformed") : proto_emit(w, &s, NULL);
}

static int emit_summary(struct proto_walk *w, struct slice message) {
    struct proto_sample count = {.suffix = "_count"}, sum = {.suffix = "_sum"};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(1, PB_VARINT))
            count.value = (double) f.u64;
        else if (PROTO_FIELD_OF(f) == PROTO_FIELD(2, PB_FIXED64))
            sum.value = pb_double(&f);
        else if (PROTO_FIELD_OF(f) == PROTO_FIELD(3, PB_BYTES))
            error = emit_quantile(w, f.bytes);
    }
    if (error < 0)
        return error;
    if (more < 0)
        return proto_fail(w, "a Summary is malformed");
    error = proto_emit(w, &sum, NULL);
    return error < 0 ? error : proto_emit(w, &count, NULL);
}

/* ---- Metrics and families ---- */

static int emit_metric(struct proto_walk *w, struct slice value) {
    switch (w->type) {
    case PROTO_SUMMARY: return emit_summary(w, value);
    case PROTO_HISTOGRAM:
    case PROTO_GAUGE_HISTOGRAM: return proto_histogram(w, value);
    default: return emit_value(w, value);
    }
}

static int read_metric(struct proto_walk *w, struct slice message) {
    static const uint32_t value_fields[] = {
            [PROTO_COUNTER] = 3, [PROTO_GAUGE] = 2,     [PROTO_SUMMARY] = 4,
            [PROTO_UNTYPED] = 5, [PROTO_HISTOGRAM] = 7, [PROTO_GAUGE_HISTOGRAM] = 7};
    struct pb_reader r = pb_reader(message);
    struct slice value = SLICE_EMPTY;
    bool found = false;
    struct pb_field f;
    size_t labels = 0;
    int more, error = 0;

    buffer_clear(&w->labels);
    w->has_time = false;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(1, PB_BYTES)) {
            if (labels == PROMETHEUS_LABELS_MAX)
                return proto_fail(w, "it has too many labels");
            error = put_pair(w, &w->labels, f.bytes, labels++ == 0);
        } else if (PROTO_FIELD_OF(f) == PROTO_FIELD(6, PB_VARINT)) {
            w->time_ms = (int64_t) f.u64;
            w->has_time = w->time_ms != 0;
        } else if (PROTO_FIELD_OF(f) == PROTO_FIELD(value_fields[w->type], PB_BYTES)) {
            value = f.bytes;
            found = true;
        }
    }
    if (error < 0)
        return error;
    if (more < 0)
        return proto_fail(w, "a Metric is malformed");
    return found ? emit_metric(w, value) : proto_fail(w, "it has no value of its family's type");
}

static int emit_metadata(struct proto_walk *w, struct slice help, struct slice unit) {
    static const enum prometheus_type types[] = {
            [PROTO_COUNTER] = PROMETHEUS_COUNTER,
            [PROTO_GAUGE] = PROMETHEUS_GAUGE,
            [PROTO_SUMMARY] = PROMETHEUS_SUMMARY,
            [PROTO_UNTYPED] = PROMETHEUS_UNKNOWN,
            [PROTO_HISTOGRAM] = PROMETHEUS_HISTOGRAM,
            [PROTO_GAUGE_HISTOGRAM] = PROMETHEUS_GAUGE_HISTOGRAM};
    const struct scrape_protobuf_handler *h = w->handler;
    struct prometheus_entry x = {
            .kind = PROMETHEUS_TYPE, .metric = w->name, .type = types[w->type]};

    int r = h->entry(h->ctx, &x, NULL);
    x.kind = PROMETHEUS_HELP;
    x.text = help;
    if (r == 0 && slice_is_utf8(help))
        r = h->entry(h->ctx, &x, NULL);
    x.kind = PROMETHEUS_UNIT;
    x.text = unit;
    if (r == 0 && unit.size && slice_is_utf8(unit))
        r = h->entry(h->ctx, &x, NULL);
    return r;
}

static int read_family(struct proto_walk *w, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct slice help = SLICE_EMPTY, unit = SLICE_EMPTY;
    uint64_t type = PROTO_COUNTER;
    struct pb_field f;
    int more, error;

    w->name = SLICE_EMPTY;
    w->metric = 0;
    while ((more = pb_next(&r, &f)) > 0) {
        switch (PROTO_FIELD_OF(f)) {
        case PROTO_FIELD(1, PB_BYTES): w->name = f.bytes; break;
        case PROTO_FIELD(2, PB_BYTES): help = f.bytes; break;
        case PROTO_FIELD(3, PB_VARINT): type = f.u64; break;
        case PROTO_FIELD(5, PB_BYTES): unit = f.bytes; break;
        default: break;
        }
    }
    if (more < 0)
        return proto_fail(w, "the message is malformed");
    if (!w->name.size || !slice_is_utf8(w->name))
        return proto_fail(w, w->name.size ? "its name is not UTF-8" : "it has no name");
    if (type > PROTO_GAUGE_HISTOGRAM)
        return proto_fail(w, "its type is none that is known");
    w->type = (enum proto_type) type;
    error = emit_metadata(w, help, unit);
    r = pb_reader(message);
    while (error == 0 && pb_next(&r, &f) > 0)
        if (PROTO_FIELD_OF(f) == PROTO_FIELD(4, PB_BYTES)) {
            w->metric++;
            error = read_metric(w, f.bytes);
        }
    return error;
}

int scrape_protobuf_walk(struct slice body, const struct scrape_protobuf_options *o,
                         const struct scrape_protobuf_handler *h, struct error *e) {
    struct proto_walk w = {.options = o, .handler = h, .e = e};
    struct pb_reader r = pb_reader(body);
    uint64_t size;
    int error = 0;

    buffer_init(&w.labels, SCRAPE_SERIES_TEXT_MAX);
    buffer_init(&w.series, SCRAPE_SERIES_TEXT_MAX);
    buffer_init(&w.exemplar, SCRAPE_SERIES_TEXT_MAX);
    while (error == 0 && r.at < r.end) {
        w.family++;
        w.metric = 0;
        w.name = SLICE_EMPTY;
        if (pb_varint(&r, &size) < 0)
            error = proto_fail(&w, "its length is malformed");
        else if (size > (uint64_t) (r.end - r.at))
            error = proto_fail(&w, "the answer ends within it");
        else
            error = read_family(&w, slice_new(r.at, (size_t) size));
        if (error == 0)
            r.at += size;
    }
    buffer_done(&w.labels);
    buffer_done(&w.series);
    buffer_done(&w.exemplar);
    native_buckets_done(&w.positive);
    native_buckets_done(&w.negative);
    return error;
}
