/*
 * OTLP traces and logs in protobuf, walked without copying. Field numbers: opentelemetry-proto 1.x.
 * Known fields of the wrong wire type make the message malformed; unknown fields are skipped.
 *
 * Slices point into the body; the rest lives in the decoder's arenas. One thread at a time.
 */
#include "receive/otlp_metrics.h"
#include "wire/protobuf.h"
#include "wire/utf8.h"

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)
#define TRACE_ID 16
#define SPAN_ID 8

int otlp_pb_malformed(struct otlp_decoder *d, const char *what) {
    return error_set(&d->error, -EBADMSG, "malformed protobuf: %s", what);
}

static int decode_value(struct otlp_decoder *d, struct arena *a, struct slice message,
                        unsigned depth, struct value *ret);

/* How many fields of that number there are; -EBADMSG. */
static int count_fields(struct slice message, uint32_t number, size_t *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    *ret = 0;
    while ((more = pb_next(&r, &f)) > 0)
        *ret += f.number == number;
    return more;
}

static int decode_pair(struct otlp_decoder *d, struct arena *a, struct slice message,
                       unsigned depth, struct attribute *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    *ret = (struct attribute){.key = slice_new("", 0)};
    while ((more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_BYTES)) {
            ret->key = otlp_text(d, a, f.bytes);
            if (!ret->key.data)
                return -ENOMEM;
        } else if (FIELD_OF(f) == FIELD(2, PB_BYTES)) {
            int error = decode_value(d, a, f.bytes, depth, &ret->value);
            if (error < 0)
                return error;
        } else if (f.number <= 2) {
            return otlp_pb_malformed(d, "KeyValue");
        }
    }
    return more < 0 ? otlp_pb_malformed(d, "KeyValue") : 0;
}

static int decode_array(struct otlp_decoder *d, struct arena *a, struct slice message,
                        unsigned depth, struct value *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    size_t n, i = 0;
    int more;

    if (count_fields(message, 1, &n) < 0)
        return otlp_pb_malformed(d, "ArrayValue");
    struct value *items = arena_array(a, struct value, n);
    if (!items)
        return -E2BIG;
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number != 1)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "ArrayValue");
        int error = decode_value(d, a, f.bytes, depth, &items[i++]);
        if (error < 0)
            return error;
    }
    *ret = (struct value){.type = VALUE_ARRAY, .array = {items, n}};
    return 0;
}

static int decode_map(struct otlp_decoder *d, struct arena *a, struct slice message, unsigned depth,
                      struct value *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    size_t n, i = 0;
    int more;

    if (count_fields(message, 1, &n) < 0)
        return otlp_pb_malformed(d, "KeyValueList");
    struct attribute *items = arena_array(a, struct attribute, n);
    if (!items)
        return -E2BIG;
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number != 1)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "KeyValueList");
        int error = decode_pair(d, a, f.bytes, depth, &items[i++]);
        if (error < 0)
            return error;
    }
    *ret = (struct value){.type = VALUE_MAP, .map = {items, n}};
    return 0;
}

/* AnyValue. Beyond the depth limit nothing is decoded; what is there is an empty value, which
 * value_text() never sees because the depth itself makes it refuse the record. */
static int decode_value(struct otlp_decoder *d, struct arena *a, struct slice message,
                        unsigned depth, struct value *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    *ret = (struct value){0};
    if (depth > VALUE_DEPTH_MAX + 1)
        return 0;
    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(1, PB_BYTES):
            *ret = (struct value){.type = VALUE_STRING, .text = otlp_text(d, a, f.bytes)};
            error = ret->text.data ? 0 : -ENOMEM;
            break;
        case FIELD(2, PB_VARINT):
            *ret = (struct value){.type = VALUE_BOOL, .boolean = f.u64 != 0};
            break;
        case FIELD(3, PB_VARINT):
            *ret = (struct value){.type = VALUE_INT, .integer = (int64_t) f.u64};
            break;
        case FIELD(4, PB_FIXED64):
            *ret = (struct value){.type = VALUE_DOUBLE, .number = pb_double(&f)};
            break;
        case FIELD(5, PB_BYTES): error = decode_array(d, a, f.bytes, depth + 1, ret); break;
        case FIELD(6, PB_BYTES): error = decode_map(d, a, f.bytes, depth + 1, ret); break;
        case FIELD(7, PB_BYTES): *ret = (struct value){.type = VALUE_BYTES, .text = f.bytes}; break;
        default:
            if (f.number <= 7)
                error = otlp_pb_malformed(d, "AnyValue");
        }
        if (error < 0)
            return error;
    }
    return more < 0 ? otlp_pb_malformed(d, "AnyValue") : 0;
}

/* The layout that nearly every attribute has: key and value of less than 128 bytes, the value a
 * string. False: not so, use decode_pair(). */
static inline bool decode_short_pair(struct slice message, struct attribute *ret) {
    const uint8_t *p = message.data;

    if (message.size < 6 || message.size > 127 + 127 + 4 || p[0] != 0x0a || p[1] >= 0x80)
        return false;
    size_t key = p[1];
    if (key + 6 > message.size)
        return false;
    const uint8_t *v = p + 2 + key; /* tag, size, tag, size, text */
    size_t rest = message.size - key - 2;
    if (v[0] != 0x12 || v[1] >= 0x80 || v[1] != rest - 2 || v[2] != 0x0a || v[3] >= 0x80 ||
        v[3] != rest - 4)
        return false;
    struct slice text = slice_new(v + 4, v[3]);
    ret->key = slice_new(p + 2, key);
    ret->value = (struct value){.type = VALUE_STRING, .text = text};
    return utf8_is_ascii(ret->key) && utf8_is_ascii(text);
}

int otlp_pb_attribute(struct otlp_decoder *d, struct arena *a, struct slice message,
                      struct attribute *ret) {
    return decode_pair(d, a, message, 0, ret);
}

int otlp_pb_attributes(struct otlp_decoder *d, struct arena *a, struct slice message,
                       uint32_t number, struct attributes *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    size_t n, i = 0;
    int more;

    if (count_fields(message, number, &n) < 0)
        return otlp_pb_malformed(d, "attributes");
    size_t kept = n < OTLP_ATTRIBUTES_MAX ? n : OTLP_ATTRIBUTES_MAX;
    struct attribute *items = arena_array(a, struct attribute, kept);
    if (!items)
        return -E2BIG;
    while (i < kept && (more = pb_next(&r, &f)) > 0) {
        if (f.number != number)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "attributes");
        int error = decode_pair(d, a, f.bytes, 0, &items[i++]);
        if (error < 0)
            return error;
    }
    *ret = (struct attributes){items, kept, (uint32_t) (n - kept)};
    return 0;
}

int otlp_pb_resource(struct otlp_decoder *d, struct slice message, const struct resource **ret) {
    struct resource *resource = arena_new(&d->message, struct resource);

    if (!resource)
        return -E2BIG;
    int r = otlp_pb_attributes(d, &d->message, message, 1, &resource->attributes);
    if (r == 0)
        r = resource_finish(resource, &d->build);
    if (r == -EINVAL)
        return error_set(&d->error, -EBADMSG, "a resource attribute is nested too deeply");
    *ret = resource;
    return r;
}

int otlp_pb_scope(struct otlp_decoder *d, struct slice message, const struct scope **ret) {
    struct scope *scope = arena_new(&d->message, struct scope);
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    if (!scope)
        return -E2BIG;
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number > 2)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "InstrumentationScope");
        struct slice text = slice_take(otlp_text(d, &d->message, f.bytes), 1024);
        *(f.number == 1 ? &scope->name : &scope->version) = text;
    }
    if (more < 0)
        return otlp_pb_malformed(d, "InstrumentationScope");
    *ret = scope;
    return otlp_pb_attributes(d, &d->message, message, 3, &scope->attributes);
}

/* An id of `size` bytes; another length leaves zeros, which ingest refuses where an id must be. */
static void copy_id(uint8_t *to, size_t size, struct slice from) {
    if (from.size == size)
        memcpy(to, from.data, size);
}

static int decode_event(struct otlp_decoder *d, struct slice message) {
    struct span_event event = {.name = slice_new("", 0)};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    uint64_t dropped = 0;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(1, PB_FIXED64): event.time_ns = (int64_t) f.u64; break;
        case FIELD(2, PB_BYTES): event.name = otlp_text(d, &d->record, f.bytes); break;
        case FIELD(3, PB_BYTES): break;
        case FIELD(4, PB_VARINT): dropped = f.u64; break;
        default:
            if (f.number <= 4)
                return otlp_pb_malformed(d, "Span.Event");
        }
    }
    if (more < 0)
        return otlp_pb_malformed(d, "Span.Event");
    int error = otlp_pb_attributes(d, &d->record, message, 3, &event.attributes);
    event.attributes.dropped += (uint32_t) dropped;
    return error < 0 ? error : vector_push(&d->events, event, OTLP_EVENTS_MAX);
}

static int decode_link(struct otlp_decoder *d, struct slice message) {
    struct span_link link = {.trace_state = slice_new("", 0)};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    uint64_t dropped = 0;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(1, PB_BYTES): copy_id(link.trace_id, TRACE_ID, f.bytes); break;
        case FIELD(2, PB_BYTES): copy_id(link.span_id, SPAN_ID, f.bytes); break;
        case FIELD(3, PB_BYTES): link.trace_state = otlp_text(d, &d->record, f.bytes); break;
        case FIELD(4, PB_BYTES): break;
        case FIELD(5, PB_VARINT): dropped = f.u64; break;
        case FIELD(6, PB_FIXED32): link.flags = (uint32_t) f.u64; break;
        default:
            if (f.number <= 6)
                return otlp_pb_malformed(d, "Span.Link");
        }
    }
    if (more < 0)
        return otlp_pb_malformed(d, "Span.Link");
    int error = otlp_pb_attributes(d, &d->record, message, 4, &link.attributes);
    link.attributes.dropped += (uint32_t) dropped;
    return error < 0 ? error : vector_push(&d->links, link, OTLP_LINKS_MAX);
}

static int decode_status(struct otlp_decoder *d, struct slice message, struct span *s) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(2, PB_BYTES): s->status_message = otlp_text(d, &d->record, f.bytes); break;
        case FIELD(3, PB_VARINT):
            s->status = f.u64 <= STATUS_ERROR ? (enum span_status) f.u64 : 0;
            break;
        default:
            if (f.number == 2 || f.number == 3)
                return otlp_pb_malformed(d, "Status");
        }
    }
    return more < 0 ? otlp_pb_malformed(d, "Status") : 0;
}

static int push_attribute(struct otlp_decoder *d, struct slice message, uint32_t *dropped) {
    struct attribute a;
    int r = 0;

    if (d->attributes.n == OTLP_ATTRIBUTES_MAX) {
        ++*dropped;
        return 0;
    }
    if (!decode_short_pair(message, &a))
        r = decode_pair(d, &d->record, message, 0, &a);
    return r < 0 ? r : vector_push(&d->attributes, a, OTLP_ATTRIBUTES_MAX);
}

static int span_field(struct otlp_decoder *d, const struct pb_field *f, struct span *s) {
    switch (FIELD_OF(*f)) {
    case FIELD(1, PB_BYTES): copy_id(s->trace_id, TRACE_ID, f->bytes); return 0;
    case FIELD(2, PB_BYTES): copy_id(s->span_id, SPAN_ID, f->bytes); return 0;
    case FIELD(3, PB_BYTES): s->trace_state = otlp_text(d, &d->record, f->bytes); return 0;
    case FIELD(4, PB_BYTES): copy_id(s->parent_span_id, SPAN_ID, f->bytes); return 0;
    case FIELD(5, PB_BYTES): s->name = otlp_text(d, &d->record, f->bytes); return 0;
    case FIELD(6, PB_VARINT):
        s->kind = f->u64 <= SPAN_CONSUMER ? (enum span_kind) f->u64 : 0;
        return 0;
    case FIELD(7, PB_FIXED64): s->start_ns = (int64_t) f->u64; return 0;
    case FIELD(8, PB_FIXED64): s->end_ns = (int64_t) f->u64; return 0;
    case FIELD(9, PB_BYTES): return push_attribute(d, f->bytes, &s->attributes.dropped);
    case FIELD(10, PB_VARINT): s->attributes.dropped += (uint32_t) f->u64; return 0;
    case FIELD(11, PB_BYTES):
        if (d->events.n < OTLP_EVENTS_MAX)
            return decode_event(d, f->bytes);
        s->dropped_events++;
        return 0;
    case FIELD(12, PB_VARINT): s->dropped_events += (uint32_t) f->u64; return 0;
    case FIELD(13, PB_BYTES):
        if (d->links.n < OTLP_LINKS_MAX)
            return decode_link(d, f->bytes);
        s->dropped_links++;
        return 0;
    case FIELD(14, PB_VARINT): s->dropped_links += (uint32_t) f->u64; return 0;
    case FIELD(15, PB_BYTES): return decode_status(d, f->bytes, s);
    case FIELD(16, PB_FIXED32): s->flags = (uint32_t) f->u64; return 0;
    default: return f->number <= 16 ? otlp_pb_malformed(d, "Span") : 0;
    }
}

static void begin_record(struct otlp_decoder *d) {
    arena_clear(&d->record);
    d->attributes.n = d->events.n = d->links.n = 0;
}

static int decode_span(struct otlp_decoder *d, struct slice message,
                       const struct resource *resource, const struct scope *scope) {
    struct span s = {.resource = resource, .scope = scope};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    begin_record(d);
    while ((more = pb_next(&r, &f)) > 0) {
        int error = span_field(d, &f, &s);
        if (error < 0)
            return error;
    }
    if (more < 0)
        return otlp_pb_malformed(d, "Span");
    s.attributes.items = d->attributes.items;
    s.attributes.n = d->attributes.n;
    s.events = d->events.items;
    s.n_events = d->events.n;
    s.links = d->links.items;
    s.n_links = d->links.n;
    return otlp_add_span(d, &s);
}

static int log_field(struct otlp_decoder *d, const struct pb_field *f, struct log_record *l) {
    switch (FIELD_OF(*f)) {
    case FIELD(1, PB_FIXED64): l->time_ns = (int64_t) f->u64; return 0;
    case FIELD(2, PB_VARINT): l->severity = f->u64 <= 24 ? (uint8_t) f->u64 : 0; return 0;
    case FIELD(3, PB_BYTES): l->severity_text = otlp_text(d, &d->record, f->bytes); return 0;
    case FIELD(5, PB_BYTES): return decode_value(d, &d->record, f->bytes, 0, &l->body);
    case FIELD(6, PB_BYTES): return push_attribute(d, f->bytes, &l->attributes.dropped);
    case FIELD(7, PB_VARINT): l->attributes.dropped += (uint32_t) f->u64; return 0;
    case FIELD(8, PB_FIXED32): l->flags = (uint32_t) f->u64; return 0;
    case FIELD(9, PB_BYTES): copy_id(l->trace_id, TRACE_ID, f->bytes); return 0;
    case FIELD(10, PB_BYTES): copy_id(l->span_id, SPAN_ID, f->bytes); return 0;
    case FIELD(11, PB_FIXED64): l->observed_ns = (int64_t) f->u64; return 0;
    case FIELD(12, PB_BYTES): l->event_name = otlp_text(d, &d->record, f->bytes); return 0;
    default: return f->number <= 12 && f->number != 4 ? otlp_pb_malformed(d, "LogRecord") : 0;
    }
}

static int decode_log(struct otlp_decoder *d, struct slice message, const struct resource *resource,
                      const struct scope *scope) {
    struct log_record l = {.resource = resource, .scope = scope};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    begin_record(d);
    while ((more = pb_next(&r, &f)) > 0) {
        int error = log_field(d, &f, &l);
        if (error < 0)
            return error;
    }
    if (more < 0)
        return otlp_pb_malformed(d, "LogRecord");
    l.attributes.items = d->attributes.items;
    l.attributes.n = d->attributes.n;
    return otlp_add_log(d, &l);
}

int otlp_pb_find(struct otlp_decoder *d, struct slice message, uint32_t number, struct slice *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    *ret = slice_new("", 0);
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number != number)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "Resource");
        *ret = f.bytes;
        return 0; /* it comes first and once; what stands behind is walked anyway */
    }
    return more < 0 ? otlp_pb_malformed(d, "ResourceSpans or ResourceLogs") : 0;
}

static int decode_scope_records(struct otlp_decoder *d, enum otlp_signal signal,
                                struct slice message, const struct resource *resource) {
    struct pb_reader r = pb_reader(message);
    const struct scope *scope = NULL;
    struct slice found;
    struct pb_field f;
    int more;

    int error = otlp_pb_find(d, message, 1, &found);
    if (error == 0)
        error = otlp_pb_scope(d, found, &scope);
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number != 2)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "ScopeSpans or ScopeLogs");
        error = signal == OTLP_TRACES ? decode_span(d, f.bytes, resource, scope)
                                      : decode_log(d, f.bytes, resource, scope);
    }
    return error;
}

static int decode_resource_records(struct otlp_decoder *d, enum otlp_signal signal,
                                   struct slice message) {
    struct pb_reader r = pb_reader(message);
    const struct resource *resource = NULL;
    struct slice found;
    struct pb_field f;
    int more;

    int error = otlp_pb_find(d, message, 1, &found);
    if (error == 0)
        error = otlp_pb_resource(d, found, &resource);
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number != 2)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "ResourceSpans or ResourceLogs");
        error = decode_scope_records(d, signal, f.bytes, resource);
    }
    return error;
}

int otlp_decode_protobuf(struct otlp_decoder *d, enum otlp_signal signal, struct slice body) {
    struct pb_reader r = pb_reader(body);
    struct pb_field f;
    int more;

    if (signal == OTLP_PROFILES)
        return otlp_pb_profiles(d, body);
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number != 1)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "the request");
        int error = signal == OTLP_METRICS ? otlp_pb_resource_metrics(d, f.bytes)
                                           : decode_resource_records(d, signal, f.bytes);
        if (error < 0)
            return error;
    }
    if (more < 0)
        return otlp_pb_malformed(d, "the request");
    return signal == OTLP_METRICS ? otlp_deltas_apply(d) : 0;
}
