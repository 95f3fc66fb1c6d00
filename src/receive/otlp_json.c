/*
 * OTLP traces and logs in JSON (the protobuf JSON mapping with OTLP's changes: ids in hexadecimal,
 * enums as numbers, 64-bit integers as strings or numbers, unknown members ignored). Both
 * lowerCamelCase and the original snake_case names are accepted, as the mapping demands.
 *
 * Texts point into jansson's tree, which lives until the message is decoded. One thread at a time.
 */
#include "receive/otlp_metrics.h"
#include "wire/json.h"

#include <jansson.h>
#include <math.h>

#define NAME_ROOM 64

int otlp_json_malformed(struct otlp_decoder *d, const char *what) {
    return error_set(&d->error, -EBADMSG, "malformed OTLP JSON: %s", what);
}

/* The member "traceId", or its other name "trace_id". */
static json_t *member(json_t *object, const char *key) {
    json_t *found = json_object_get(object, key);
    char snake[NAME_ROOM];
    size_t n = 0;

    if (found)
        return found;
    for (const char *p = key; *p && n + 2 < sizeof(snake); p++) {
        if (*p >= 'A' && *p <= 'Z') {
            snake[n++] = '_';
            snake[n++] = (char) (*p + 32);
        } else {
            snake[n++] = *p;
        }
    }
    snake[n] = 0;
    return strchr(snake, '_') ? json_object_get(object, snake) : NULL;
}

static struct slice text_of(json_t *v) {
    return json_is_string(v) ? slice_new(json_string_value(v), json_string_length(v))
                             : slice_new("", 0);
}

struct slice otlp_json_text(json_t *object, const char *key) {
    return text_of(member(object, key));
}

int otlp_json_list(struct otlp_decoder *d, json_t *object, const char *key, json_t **ret) {
    json_t *v = member(object, key);

    *ret = NULL;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_array(v))
        return otlp_json_malformed(d, key);
    *ret = v;
    return 0;
}

static int integer_of(struct otlp_decoder *d, json_t *v, const char *what, int64_t *ret) {
    uint64_t unsigned_value;
    struct slice text;

    *ret = 0;
    if (!v || json_is_null(v))
        return 0;
    if (json_is_integer(v)) {
        *ret = json_integer_value(v);
        return 0;
    }
    if (json_is_real(v) && json_real_value(v) == nearbyint(json_real_value(v)) &&
        fabs(json_real_value(v)) < 9.2e18) {
        *ret = (int64_t) json_real_value(v);
        return 0;
    }
    text = text_of(v);
    if (json_is_string(v) && slice_to_i64(text, ret) == 0)
        return 0;
    if (json_is_string(v) && slice_to_u64(text, &unsigned_value) == 0) {
        *ret = (int64_t) unsigned_value;
        return 0;
    }
    return otlp_json_malformed(d, what);
}

int otlp_json_u64(struct otlp_decoder *d, json_t *object, const char *key, uint64_t *ret) {
    int64_t v;
    int r = integer_of(d, member(object, key), key, &v);

    *ret = (uint64_t) v;
    return r;
}

int otlp_json_double(struct otlp_decoder *d, json_t *v, double *ret) {
    if (json_is_number(v)) {
        *ret = json_number_value(v);
        return 0;
    }
    struct slice text = text_of(v);
    if (slice_is(text, "NaN") || slice_is(text, "Infinity") || slice_is(text, "-Infinity") ||
        (json_is_string(v) && text.size))
        if (slice_to_double(text, ret) == 0)
            return 0;
    return otlp_json_malformed(d, "a number");
}

static int value_of(struct otlp_decoder *d, struct arena *a, json_t *v, unsigned depth,
                    struct value *ret);

static int pairs_of(struct otlp_decoder *d, struct arena *a, json_t *list, size_t most,
                    unsigned depth, struct attribute **ret, size_t *ret_n) {
    size_t n = json_array_size(list) < most ? json_array_size(list) : most;
    struct attribute *items = arena_array(a, struct attribute, n);

    if (!items)
        return -E2BIG;
    for (size_t i = 0; i < n; i++) {
        json_t *pair = json_array_get(list, i);
        if (!json_is_object(pair))
            return otlp_json_malformed(d, "an attribute");
        items[i].key = otlp_json_text(pair, "key");
        int r = value_of(d, a, json_object_get(pair, "value"), depth, &items[i].value);
        if (r < 0)
            return r;
    }
    *ret = items;
    *ret_n = n;
    return 0;
}

static int bytes_of(struct otlp_decoder *d, struct arena *a, json_t *v, struct value *ret) {
    buffer_clear(&d->build);
    int r = base64_decode(text_of(v), &d->build);
    if (r == -EINVAL || !json_is_string(v))
        return otlp_json_malformed(d, "bytesValue is not base64");
    if (r < 0)
        return r;
    *ret = (struct value){.type = VALUE_BYTES, .text = arena_dup(a, buffer_slice(&d->build))};
    return ret->text.data ? 0 : -E2BIG;
}

static int list_of(struct otlp_decoder *d, struct arena *a, json_t *v, unsigned depth, bool map,
                   struct value *ret) {
    json_t *list;

    int r = otlp_json_list(d, v, "values", &list);
    if (r < 0)
        return r;
    if (map) {
        struct attribute *items;
        size_t n;
        r = pairs_of(d, a, list, SIZE_MAX, depth, &items, &n);
        *ret = (struct value){.type = VALUE_MAP};
        if (r == 0) {
            ret->map.items = items;
            ret->map.n = n;
        }
        return r;
    }
    size_t n = json_array_size(list);
    struct value *items = arena_array(a, struct value, n);
    if (!items)
        return -E2BIG;
    for (size_t i = 0; i < n && r == 0; i++)
        r = value_of(d, a, json_array_get(list, i), depth, &items[i]);
    *ret = (struct value){.type = VALUE_ARRAY, .array = {items, n}};
    return r;
}

/* AnyValue: an object with one member that tells the type. */
static int value_of(struct otlp_decoder *d, struct arena *a, json_t *v, unsigned depth,
                    struct value *ret) {
    json_t *x;

    *ret = (struct value){0};
    if (!v || json_is_null(v) || depth > VALUE_DEPTH_MAX + 1)
        return 0;
    if (!json_is_object(v))
        return otlp_json_malformed(d, "a value is not an object");
    if ((x = member(v, "stringValue"))) {
        if (!json_is_string(x))
            return otlp_json_malformed(d, "stringValue");
        *ret = (struct value){.type = VALUE_STRING, .text = text_of(x)};
        return 0;
    }
    if ((x = member(v, "boolValue"))) {
        if (!json_is_boolean(x))
            return otlp_json_malformed(d, "boolValue");
        *ret = (struct value){.type = VALUE_BOOL, .boolean = json_is_true(x)};
        return 0;
    }
    if ((x = member(v, "intValue"))) {
        ret->type = VALUE_INT;
        return integer_of(d, x, "intValue", &ret->integer);
    }
    if ((x = member(v, "doubleValue"))) {
        ret->type = VALUE_DOUBLE;
        return otlp_json_double(d, x, &ret->number);
    }
    if ((x = member(v, "arrayValue")))
        return list_of(d, a, x, depth + 1, false, ret);
    if ((x = member(v, "kvlistValue")))
        return list_of(d, a, x, depth + 1, true, ret);
    if ((x = member(v, "bytesValue")))
        return bytes_of(d, a, x, ret);
    return 0;
}

int otlp_json_attributes(struct otlp_decoder *d, struct arena *a, json_t *list,
                         struct attributes *ret) {
    struct attribute *items;
    size_t n;

    int r = pairs_of(d, a, list, OTLP_ATTRIBUTES_MAX, 0, &items, &n);
    if (r == 0)
        *ret = (struct attributes){items, n, (uint32_t) (json_array_size(list) - n)};
    return r;
}

/* The members "attributes" and "droppedAttributesCount". */
static int attributes_of(struct otlp_decoder *d, struct arena *a, json_t *object,
                         struct attributes *ret) {
    uint64_t dropped;
    json_t *list;

    int r = otlp_json_list(d, object, "attributes", &list);
    if (r == 0)
        r = otlp_json_attributes(d, a, list, ret);
    if (r == 0)
        r = otlp_json_u64(d, object, "droppedAttributesCount", &dropped);
    if (r == 0)
        ret->dropped += (uint32_t) dropped;
    return r;
}

int otlp_json_resource(struct otlp_decoder *d, json_t *v, const struct resource **ret) {
    struct resource *resource = arena_new(&d->message, struct resource);

    if (!resource)
        return -E2BIG;
    int r = attributes_of(d, &d->message, v, &resource->attributes);
    if (r == 0)
        r = resource_finish(resource, &d->build);
    if (r == -EINVAL)
        return error_set(&d->error, -EBADMSG, "a resource attribute is nested too deeply");
    *ret = resource;
    return r;
}

int otlp_json_scope(struct otlp_decoder *d, json_t *v, const struct scope **ret) {
    struct scope *scope = arena_new(&d->message, struct scope);

    if (!scope)
        return -E2BIG;
    scope->name = slice_take(otlp_json_text(v, "name"), 1024);
    scope->version = slice_take(otlp_json_text(v, "version"), 1024);
    *ret = scope;
    return attributes_of(d, &d->message, v, &scope->attributes);
}

/* An id that is missing or of another length stays zero; ingest refuses it where one must be. */
static void id_of(json_t *object, const char *key, uint8_t *to, size_t size) {
    uint8_t id[16];

    if (slice_from_hex(otlp_json_text(object, key), id, size) == 0)
        memcpy(to, id, size);
}

static int event_of(struct otlp_decoder *d, json_t *v) {
    struct span_event event = {.name = otlp_json_text(v, "name")};
    uint64_t time_ns;

    if (!json_is_object(v))
        return otlp_json_malformed(d, "events");
    int r = otlp_json_u64(d, v, "timeUnixNano", &time_ns);
    event.time_ns = (int64_t) time_ns;
    if (r == 0)
        r = attributes_of(d, &d->record, v, &event.attributes);
    return r < 0 ? r : vector_push(&d->events, event, OTLP_EVENTS_MAX);
}

static int link_of(struct otlp_decoder *d, json_t *v) {
    struct span_link link = {.trace_state = otlp_json_text(v, "traceState")};
    uint64_t flags;

    if (!json_is_object(v))
        return otlp_json_malformed(d, "links");
    id_of(v, "traceId", link.trace_id, 16);
    id_of(v, "spanId", link.span_id, 8);
    int r = otlp_json_u64(d, v, "flags", &flags);
    link.flags = (uint32_t) flags;
    if (r == 0)
        r = attributes_of(d, &d->record, v, &link.attributes);
    return r < 0 ? r : vector_push(&d->links, link, OTLP_LINKS_MAX);
}

static int lists_of_span(struct otlp_decoder *d, json_t *v, struct span *s) {
    json_t *events, *links;
    int r = otlp_json_list(d, v, "events", &events);

    if (r == 0)
        r = otlp_json_list(d, v, "links", &links);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(events) && r == 0; i++) {
        if (i < OTLP_EVENTS_MAX)
            r = event_of(d, json_array_get(events, i));
        else
            s->dropped_events++;
    }
    for (size_t i = 0; i < json_array_size(links) && r == 0; i++) {
        if (i < OTLP_LINKS_MAX)
            r = link_of(d, json_array_get(links, i));
        else
            s->dropped_links++;
    }
    s->events = d->events.items;
    s->n_events = d->events.n;
    s->links = d->links.items;
    s->n_links = d->links.n;
    return r;
}

/* Several numbers at once: {"key", where to}. */
static int numbers_of(struct otlp_decoder *d, json_t *v, const char *const *keys, uint64_t *ret,
                      size_t n) {
    for (size_t i = 0; i < n; i++) {
        int r = otlp_json_u64(d, v, keys[i], &ret[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int span_of(struct otlp_decoder *d, json_t *v, const struct resource *resource,
                   const struct scope *scope) {
    static const char *const keys[] = {"kind",  "startTimeUnixNano",  "endTimeUnixNano",
                                       "flags", "droppedEventsCount", "droppedLinksCount"};
    struct span s = {.resource = resource, .scope = scope};
    json_t *status = member(v, "status");
    uint64_t n[6], code = 0;

    if (!json_is_object(v))
        return otlp_json_malformed(d, "a span is not an object");
    arena_clear(&d->record);
    d->events.n = d->links.n = 0;
    id_of(v, "traceId", s.trace_id, 16);
    id_of(v, "spanId", s.span_id, 8);
    id_of(v, "parentSpanId", s.parent_span_id, 8);
    s.trace_state = otlp_json_text(v, "traceState");
    s.name = otlp_json_text(v, "name");
    int r = numbers_of(d, v, keys, n, 6);
    if (r == 0 && status)
        r = otlp_json_u64(d, status, "code", &code);
    if (r == 0)
        r = attributes_of(d, &d->record, v, &s.attributes);
    if (r == 0)
        r = lists_of_span(d, v, &s);
    if (r < 0)
        return r;
    s.kind = n[0] <= SPAN_CONSUMER ? (enum span_kind) n[0] : SPAN_UNSPECIFIED;
    s.start_ns = (int64_t) n[1];
    s.end_ns = (int64_t) n[2];
    s.flags = (uint32_t) n[3];
    s.dropped_events += (uint32_t) n[4];
    s.dropped_links += (uint32_t) n[5];
    s.status = code <= STATUS_ERROR ? (enum span_status) code : STATUS_UNSET;
    s.status_message = otlp_json_text(status, "message");
    return otlp_add_span(d, &s);
}

static int log_of(struct otlp_decoder *d, json_t *v, const struct resource *resource,
                  const struct scope *scope) {
    static const char *const keys[] = {"timeUnixNano", "observedTimeUnixNano", "severityNumber",
                                       "flags"};
    struct log_record l = {.resource = resource, .scope = scope};
    uint64_t n[4];

    if (!json_is_object(v))
        return otlp_json_malformed(d, "a log record is not an object");
    arena_clear(&d->record);
    id_of(v, "traceId", l.trace_id, 16);
    id_of(v, "spanId", l.span_id, 8);
    int r = numbers_of(d, v, keys, n, 4);
    if (r == 0)
        r = value_of(d, &d->record, member(v, "body"), 0, &l.body);
    if (r == 0)
        r = attributes_of(d, &d->record, v, &l.attributes);
    if (r < 0)
        return r;
    l.time_ns = (int64_t) n[0];
    l.observed_ns = (int64_t) n[1];
    l.severity = n[2] <= 24 ? (uint8_t) n[2] : 0;
    l.flags = (uint32_t) n[3];
    l.severity_text = otlp_json_text(v, "severityText");
    l.event_name = otlp_json_text(v, "eventName");
    return otlp_add_log(d, &l);
}

static int scope_records(struct otlp_decoder *d, enum otlp_signal signal, json_t *v,
                         const struct resource *resource) {
    const struct scope *scope = NULL;
    json_t *list;

    int r = otlp_json_scope(d, member(v, "scope"), &scope);
    if (r == 0)
        r = otlp_json_list(d, v, signal == OTLP_TRACES ? "spans" : "logRecords", &list);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(list) && r == 0; i++)
        r = signal == OTLP_TRACES ? span_of(d, json_array_get(list, i), resource, scope)
                                  : log_of(d, json_array_get(list, i), resource, scope);
    return r;
}

static int resource_records(struct otlp_decoder *d, enum otlp_signal signal, json_t *v) {
    const struct resource *resource = NULL;
    json_t *list;

    if (!json_is_object(v))
        return otlp_json_malformed(d, "resourceSpans, resourceLogs or resourceMetrics");
    if (signal == OTLP_METRICS)
        return otlp_json_resource_metrics(d, v);
    int r = otlp_json_resource(d, member(v, "resource"), &resource);
    if (r == 0)
        r = otlp_json_list(d, v, signal == OTLP_TRACES ? "scopeSpans" : "scopeLogs", &list);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(list) && r == 0; i++)
        r = scope_records(d, signal, json_array_get(list, i), resource);
    return r;
}

int otlp_decode_json(struct otlp_decoder *d, enum otlp_signal signal, struct slice body) {
    static const char *const names[] = {"resourceSpans", "resourceLogs", "resourceMetrics"};
    const struct json_limits limits = {.depth_max = 256};
    json_t *root, *list;
    bool repaired;

    int r = json_parse(body, &limits, &root, &repaired, &d->error);
    if (r < 0)
        return r == -ENOBUFS ? -EBADMSG
                             : r; /* too many values or levels: no use in sending it again */
    d->repaired += repaired;
    r = json_is_object(root) ? otlp_json_list(d, root, names[signal], &list)
                             : otlp_json_malformed(d, "the request is not an object");
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
        r = resource_records(d, signal, json_array_get(list, i));
    if (r == 0 && signal == OTLP_METRICS)
        r = otlp_deltas_apply(d);
    json_decref(root);
    return r;
}
