/*
 * Pyroscope's /ingest: name, from, until, format, sampleRate, units as parameters, stacks as the
 * body. Source: grafana.com/docs/pyroscope, "Server HTTP API", and pkg/og/ingestion in its
 * repository.
 */
#include "base/clock.h"
#include "receive/multipart.h"
#include "receive/profiles_call.h"

#define SAMPLE_RATE_DEFAULT 100u
#define SAMPLE_RATE_MAX 1000000u
#define SECONDS_MAX UINT64_C(20000000000) /* above: milliseconds, or finer */

/* ---- The name ---- */

static const struct {
    const char *label, *attribute;
} known_tags[] = {
        {"service_name", "service.name"},
        {"version", "service.version"},
        {"service_version", "service.version"},
        {"instance", "service.instance.id"},
        {"hostname", "host.name"},
        {"env", "deployment.environment.name"},
        {"environment", "deployment.environment.name"},
};

static void take_tag(struct profile_sink *s, struct slice key, struct slice value) {
    if (slice_starts(key, SLICE("__")))
        return;
    for (size_t i = 0; i < sizeof(known_tags) / sizeof(*known_tags); i++)
        if (slice_is(key, known_tags[i].label))
            key = slice_from(known_tags[i].attribute);
    profile_sink_tag(s, key, value);
}

static struct slice unquoted(struct slice s) {
    if (s.size >= 2 && s.data[0] == '"' && s.data[s.size - 1] == '"')
        return slice_take(slice_skip(s, 1), s.size - 2);
    return s;
}

int pyroscope_parse_name(struct profile_sink *s, struct slice text, struct slice *ret_name,
                         struct error *e) {
    struct slice rest = text, name = slice_trim(slice_cut(&rest, '{'));

    if (name.size == 0)
        return error_set(e, -EINVAL, "the parameter name must be like app.cpu{env=prod}");
    if (name.size < text.size && rest.size) {
        rest = slice_trim(rest);
        if (!slice_ends(rest, SLICE("}")))
            return error_set(e, -EINVAL, "the parameter name lacks its closing brace");
        rest = slice_take(rest, rest.size - 1);
        while (rest.size) {
            struct slice value = slice_trim(slice_cut(&rest, ','));
            struct slice key = slice_trim(slice_cut(&value, '='));
            take_tag(s, key, unquoted(slice_trim(value)));
        }
    }
    *ret_name = name;
    return 0;
}

/* ---- Types ---- */

static const struct {
    const char *suffix, *type, *unit;
} types[] = {
        {"cpu", "cpu", "nanoseconds"},
        {"itimer", "cpu", "nanoseconds"},
        {"wall", "wall", "nanoseconds"},
        {"lock", "lock", "nanoseconds"},
        {"lock_nanoseconds", "lock", "nanoseconds"},
        {"lock_count", "lock_count", "count"},
        {"mutex_duration", "mutex_duration", "nanoseconds"},
        {"mutex_count", "mutex_count", "count"},
        {"block_duration", "block_duration", "nanoseconds"},
        {"block_count", "block_count", "count"},
        {"alloc_objects", "alloc_objects", "count"},
        {"alloc_space", "alloc_space", "bytes"},
        {"alloc_in_new_tlab_objects", "alloc_objects", "count"},
        {"alloc_in_new_tlab_bytes", "alloc_space", "bytes"},
        {"inuse_objects", "inuse_objects", "count"},
        {"inuse_space", "inuse_space", "bytes"},
        {"goroutines", "goroutines", "count"},
        {"exceptions", "exceptions", "count"},
        {"samples", "cpu", "nanoseconds"},
};

/* Cuts the type off the name: "shop.wall" → "shop", wall. Without one it is CPU time. */
static struct slice split_type(struct slice name, struct profile_about *about) {
    size_t dot = name.size;

    about->type = SLICE("cpu");
    about->unit = SLICE("nanoseconds");
    while (dot > 0 && name.data[dot - 1] != '.')
        dot--;
    if (dot < 2)
        return name;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (slice_is(slice_skip(name, dot), types[i].suffix)) {
            about->type = slice_from(types[i].type);
            about->unit = slice_from(types[i].unit);
            return slice_take(name, dot - 1);
        }
    return name;
}

/* ---- Parameters ---- */

static int64_t unix_time_ns(uint64_t v) {
    while (v > SECONDS_MAX)
        v /= 1000;
    return (int64_t) v * NS_PER_S;
}

static int read_about(struct profiles_call *c, struct profile_about *about) {
    struct slice from = http_request_param(c->request, "from"),
                 rate_text = http_request_param(c->request, "sampleRate"),
                 units = http_request_param(c->request, "units");
    uint64_t rate = SAMPLE_RATE_DEFAULT, v = 0;

    about->time_ns = clock_now_ns();
    if (from.size && slice_to_u64(from, &v) < 0)
        return error_set(&c->error, -EINVAL, "from must be a Unix time: %.*s",
                         SLICE_ARG(slice_take(from, 40)));
    if (v)
        about->time_ns = unix_time_ns(v);
    if (rate_text.size &&
        (slice_to_u64(rate_text, &rate) < 0 || rate == 0 || rate > SAMPLE_RATE_MAX))
        return error_set(&c->error, -EINVAL, "sampleRate must be 1 … %u", SAMPLE_RATE_MAX);
    about->period = 1;
    if (slice_is(about->unit, "nanoseconds") && (units.size == 0 || slice_is(units, "samples")))
        about->period = (uint64_t) NS_PER_S / rate;
    if (slice_is(units, "bytes") && !slice_is(about->unit, "bytes"))
        about->unit = SLICE("bytes");
    if (slice_is(units, "objects"))
        about->unit = SLICE("count");
    return 0;
}

/* ---- Formats ---- */

static const struct {
    const char *name;
    enum folded_format format;
} formats[] = {
        {"", FOLDED_GROUPS},     {"folded", FOLDED_GROUPS}, {"groups", FOLDED_GROUPS},
        {"lines", FOLDED_LINES}, {"trie", FOLDED_TRIE},     {"tree", FOLDED_TREE},
};

static int take_multipart(struct profiles_call *c, struct multipart *m,
                          const struct profile_about *about) {
    struct slice name, content;
    bool found = false;
    int more = 0, r = 0;

    while (r == 0 && (more = multipart_next(m, &name, &content)) > 0)
        if (slice_is(name, "profile") && content.size) {
            found = true;
            r = profile_sink_pprof(c->sink, content, about, &c->error);
        } else if (slice_is(name, "jfr")) {
            return error_set(&c->error, -ENOTSUP, "JFR profiles (of Java) are not taken");
        }
    if (r == 0 && (more < 0 || !found))
        r = error_set(&c->error, -EBADMSG, "the multipart body has no part \"profile\"");
    return r;
}

int profiles_pyroscope(struct profiles_call *c) {
    struct slice name, format = http_request_param(c->request, "format");
    struct profile_about about = {0};
    struct multipart m;

    int r = pyroscope_parse_name(c->sink, http_request_param(c->request, "name"), &name, &c->error);
    if (r < 0)
        return r;
    profile_sink_tag(c->sink, SLICE("service.name"), split_type(name, &about));
    r = read_about(c, &about);
    if (r == 0)
        r = profile_sink_begin(c->sink);
    if (r < 0)
        return r;
    if (multipart_begin(&m, c->content_type, c->body))
        return take_multipart(c, &m, &about);
    if (slice_equal_nocase(c->content_type, SLICE("binary/octet-stream+trie")))
        format = SLICE("trie");
    else if (slice_equal_nocase(c->content_type, SLICE("binary/octet-stream+tree")))
        format = SLICE("tree");
    if (slice_is(format, "pprof"))
        return profile_sink_pprof(c->sink, c->body, &about, &c->error);
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (slice_is(format, formats[i].name))
            return profile_sink_folded(c->sink, formats[i].format, c->body, &about, &c->error);
    return error_set(
            &c->error, -ENOTSUP,
            "the format %.*s is not taken; folded, groups, lines, trie, tree and pprof are",
            SLICE_ARG(slice_take(format, 40)));
}
