/*
 * Pyroscope's push.v1.PusherService/Push over Connect, as protobuf or JSON: series of labels, each
 * with pprof profiles. Source: grafana/pyroscope, api/push/v1/push.proto;
 * connectrpc.com/docs/protocol.
 */
#include "base/clock.h"
#include "receive/profiles_call.h"
#include "wire/json.h"
#include "wire/protobuf.h"

#include <jansson.h>

#define SERIES_MAX 1000u
#define PROFILES_MAX 1000u /* of a series */

static void take_label(struct profile_sink *s, struct slice key, struct slice value) {
    if (slice_is(key, "service_name"))
        key = SLICE("service.name");
    else if (slice_is(key, "service_version") || slice_is(key, "version"))
        key = SLICE("service.version");
    if (!slice_starts(key, SLICE("__")))
        profile_sink_tag(s, key, value);
}

/* Each series is a resource of its own. */
static void begin_series(struct profiles_call *c) {
    c->sink->resource = (struct resource){.attributes = {.items = c->sink->attributes}};
}

/* ---- protobuf ---- */

static int proto_label(struct profiles_call *c, struct slice message) {
    struct slice name = SLICE_EMPTY, value = SLICE_EMPTY;
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0)
        if (f.wire == PB_BYTES && f.number == 1)
            name = f.bytes;
        else if (f.wire == PB_BYTES && f.number == 2)
            value = f.bytes;
    take_label(c->sink, name, value);
    return more;
}

static int proto_sample(struct profiles_call *c, struct slice message,
                        const struct profile_about *about) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        if (f.number == 1 && f.wire == PB_BYTES)
            error = profile_sink_pprof(c->sink, f.bytes, about, &c->error);
    return error < 0 ? error : more;
}

static int proto_series(struct profiles_call *c, struct slice message,
                        const struct profile_about *about) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    unsigned n = 0;
    int more, error = 0;

    begin_series(c);
    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        if (f.number == 1 && f.wire == PB_BYTES)
            error = proto_label(c, f.bytes);
    if (error == 0)
        error = more < 0 ? more : profile_sink_begin(c->sink);
    r = pb_reader(message);
    while (error == 0 && pb_next(&r, &f) > 0)
        if (f.number == 2 && f.wire == PB_BYTES)
            error = ++n > PROFILES_MAX ? -E2BIG : proto_sample(c, f.bytes, about);
    return error;
}

static int push_proto(struct profiles_call *c, const struct profile_about *about) {
    struct pb_reader r = pb_reader(c->body);
    struct pb_field f;
    unsigned n = 0;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        if (f.number == 1 && f.wire == PB_BYTES)
            error = ++n > SERIES_MAX ? -E2BIG : proto_series(c, f.bytes, about);
    if (error == 0 && more < 0)
        error = more;
    if (error == -EBADMSG && !c->error.code)
        error_set(&c->error, error, "malformed push.v1.PushRequest");
    return error;
}

/* ---- JSON ---- */

static struct slice text_of(json_t *object, const char *key) {
    json_t *v = json_object_get(object, key);

    return json_is_string(v) ? slice_new(json_string_value(v), json_string_length(v)) : SLICE_EMPTY;
}

static int json_series(struct profiles_call *c, json_t *series, const struct profile_about *about) {
    json_t *labels = json_object_get(series, "labels"),
           *samples = json_object_get(series, "samples");
    struct buffer bytes;
    int r = 0;

    begin_series(c);
    for (size_t i = 0; i < json_array_size(labels); i++)
        take_label(c->sink, text_of(json_array_get(labels, i), "name"),
                   text_of(json_array_get(labels, i), "value"));
    r = profile_sink_begin(c->sink);
    if (json_array_size(samples) > PROFILES_MAX)
        return -E2BIG;
    buffer_init(&bytes, c->body.size);
    for (size_t i = 0; i < json_array_size(samples) && r == 0; i++) {
        buffer_clear(&bytes);
        r = base64_decode(text_of(json_array_get(samples, i), "rawProfile"), &bytes);
        if (r < 0)
            error_set(&c->error, r, "rawProfile is no base64");
        else
            r = profile_sink_pprof(c->sink, buffer_slice(&bytes), about, &c->error);
    }
    buffer_done(&bytes);
    return r;
}

static int push_json(struct profiles_call *c, const struct profile_about *about) {
    json_t *root;
    int r = json_parse(c->body, NULL, &root, NULL, &c->error);

    if (r < 0)
        return r;
    json_t *series = json_object_get(root, "series");
    if (json_array_size(series) > SERIES_MAX)
        r = -E2BIG;
    for (size_t i = 0; i < json_array_size(series) && r == 0; i++)
        r = json_series(c, json_array_get(series, i), about);
    json_decref(root);
    return r;
}

int profiles_push(struct profiles_call *c) {
    const struct profile_about about = {.time_ns = clock_now_ns(), .period = 1};
    struct slice header = c->content_type, type = slice_trim(slice_cut(&header, ';'));

    if (slice_equal_nocase(type, SLICE("application/json")))
        return push_json(c, &about);
    if (slice_equal_nocase(type, SLICE("application/proto")) ||
        slice_equal_nocase(type, SLICE("application/x-protobuf")))
        return push_proto(c, &about);
    return error_set(&c->error, -ENOTSUP,
                     "Content-Type must be application/proto or application/json");
}
