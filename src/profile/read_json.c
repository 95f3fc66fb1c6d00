/* Profiles in JSON: speedscope, Chrome trace events, and the data of our own page. */
#include "profile/format.h"

#include "wire/json.h"

#include <jansson.h>
#include <math.h>

#define TICK_NS                                                                                    \
    1000000.0 /* what a time span is counted in when a file has times: a millisecond               \
               */

static int broken(struct error *e, const char *what) {
    return error_set(e, -EBADMSG, "%s", what);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static int line_of(const json_t *value) {
    json_int_t line = json_integer_value(value);

    return line > 0 && line <= INT32_MAX ? (int) line : 0;
}

static int64_t add_frame(struct profile *p, const char *name, const char *file, int line) {
    int64_t id = profile_add_function(p, name[0] ? name : "?", file, 0);

    return id < 0 ? id : profile_add_frame(p, (uint32_t) id, line);
}

/* Samples for a weight in the profile's period; times become at least one when they are not 0. */
static uint64_t samples_of(const struct profile *p, double ns) {
    double n = ns / (double) p->period_ns;

    return !(n > 0) ? 0 : n < 1 ? 1 : n > 1e15 ? (uint64_t) 1e15 : (uint64_t) llround(n);
}

/* ---- speedscope ---- */

struct speedscope {
    struct profile *p;
    uint32_t *frames; /* by number in the file */
    size_t n_frames;
    double unit_ns;
};

static int read_frames(struct speedscope *s, const json_t *frames) {
    s->n_frames = json_array_size(frames);
    s->frames = calloc(s->n_frames + 1, sizeof(*s->frames));
    if (!s->frames)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_frames; i++) {
        const json_t *f = json_array_get(frames, i);
        int64_t id = add_frame(s->p, text_of(f, "name"), text_of(f, "file"),
                               line_of(json_object_get(f, "line")));
        if (id < 0)
            return (int) id;
        s->frames[i] = (uint32_t) id;
    }
    return 0;
}

static int64_t push_frame(struct speedscope *s, int64_t node, const json_t *number) {
    json_int_t i = json_integer_value(number);

    if (!json_is_integer(number) || i < 0 || (size_t) i >= s->n_frames)
        return -EBADMSG;
    return profile_add_node(s->p, (uint32_t) node, s->frames[i]);
}

static int read_sampled(struct speedscope *s, const json_t *profile, uint32_t thread) {
    const json_t *samples = json_object_get(profile, "samples"),
                 *weights = json_object_get(profile, "weights");

    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *stack = json_array_get(samples, i);
        double weight = json_number_value(json_array_get(weights, i));
        int64_t node = 0;
        for (size_t k = 0; node >= 0 && k < json_array_size(stack); k++)
            node = push_frame(s, node, json_array_get(stack, k));
        uint64_t n = samples_of(s->p, weight * s->unit_ns);
        int r = node < 0 ? (int) node
                : n      ? profile_add_samples(s->p, (uint32_t) node, thread, n)
                         : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_evented(struct speedscope *s, const json_t *profile, uint32_t thread) {
    const json_t *events = json_object_get(profile, "events");
    double since = json_number_value(json_object_get(profile, "startValue"));
    int64_t node = 0;

    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        double at = json_number_value(json_object_get(event, "at"));
        uint64_t n = samples_of(s->p, (at - since) * s->unit_ns);
        int r = node && n ? profile_add_samples(s->p, (uint32_t) node, thread, n) : 0;
        if (r < 0)
            return r;
        since = at;
        node = text_of(event, "type")[0] == 'O'
                       ? push_frame(s, node, json_object_get(event, "frame"))
                       : (int64_t) s->p->nodes.items[node].parent;
        if (node < 0)
            return (int) node;
    }
    return 0;
}

static double unit_ns(const char *unit) {
    static const struct {
        const char *name;
        double ns;
    } units[] = {
            {"nanoseconds", 1}, {"microseconds", 1e3}, {"milliseconds", 1e6}, {"seconds", 1e9}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(units[i].name, unit) == 0)
            return units[i].ns;
    return 0; /* none, bytes: a weight is a number of samples */
}

/* A tick, or the smallest weight when that is less: a weight may stand for several samples. */
static void find_period(struct speedscope *s, const json_t *profiles) {
    double least = INFINITY;

    for (size_t i = 0; i < json_array_size(profiles); i++) {
        const json_t *profile = json_array_get(profiles, i);
        const json_t *weights = json_object_get(profile, "weights");
        double unit = unit_ns(text_of(profile, "unit"));
        for (size_t k = 0; k < json_array_size(weights); k++) {
            double ns = json_number_value(json_array_get(weights, k)) * unit;
            if (ns > 0 && ns < least)
                least = ns;
        }
    }
    s->p->period_ns =
            least >= 1000 && least < TICK_NS ? (int64_t) llround(least) : (int64_t) TICK_NS;
}

int read_speedscope(const json_t *root, struct profile *p, struct error *e) {
    const json_t *profiles = json_object_get(root, "profiles");
    struct speedscope s = {.p = p};
    int r = read_frames(&s, json_object_get(json_object_get(root, "shared"), "frames"));

    find_period(&s, profiles);
    for (size_t i = 0; r == 0 && i < json_array_size(profiles); i++) {
        const json_t *profile = json_array_get(profiles, i);
        int64_t thread = profile_name_thread(p, 0, 0, text_of(profile, "name"));
        s.unit_ns = unit_ns(text_of(profile, "unit"));
        if (s.unit_ns == 0)
            s.unit_ns = (double) p->period_ns;
        r = thread < 0 ? (int) thread
            : strcmp(text_of(profile, "type"), "evented") == 0
                    ? read_evented(&s, profile, (uint32_t) thread)
                    : read_sampled(&s, profile, (uint32_t) thread);
    }
    free(s.frames);
    snprintf(p->title, sizeof(p->title), "%s", text_of(root, "name"));
    if (r == -EBADMSG)
        return broken(e, "a stack names a frame that the file does not have");
    return r < 0 ? error_set(e, r, "%s", error_name(r)) : 0;
}

/* ---- Chrome trace events ---- */

struct track {
    int64_t node;
    double since_us;
};

/* Adds what passed since the track's last event, then takes the event. */
static int take_event(struct profile *p, struct track *t, const json_t *event, uint32_t thread) {
    const json_t *args = json_object_get(event, "args");
    const char *phase = text_of(event, "ph");
    double at = json_number_value(json_object_get(event, "ts"));
    uint64_t n = samples_of(p, (at - t->since_us) * 1e3);
    int r = t->node && n ? profile_add_samples(p, (uint32_t) t->node, thread, n) : 0;

    if (r < 0)
        return r;
    t->since_us = at;
    if (phase[0] == 'E') {
        t->node = p->nodes.items[t->node].parent;
        return 0;
    }
    int64_t frame = add_frame(p, text_of(event, "name"), text_of(args, "file"),
                              line_of(json_object_get(args, "line")));
    int64_t node = frame < 0 ? frame : profile_add_node(p, (uint32_t) t->node, (uint32_t) frame);
    if (node < 0)
        return (int) node;
    t->node = node;
    return 0;
}

/* A complete event ("X"): its whole duration for a stack of its own; nesting is not told. */
static int take_complete(struct profile *p, const json_t *event, uint32_t thread) {
    const json_t *args = json_object_get(event, "args");
    uint64_t n = samples_of(p, json_number_value(json_object_get(event, "dur")) * 1e3);
    int64_t frame = add_frame(p, text_of(event, "name"), text_of(args, "file"),
                              line_of(json_object_get(args, "line")));
    int64_t node = frame < 0 ? frame : profile_add_node(p, 0, (uint32_t) frame);

    if (node < 0)
        return (int) node;
    return n ? profile_add_samples(p, (uint32_t) node, thread, n) : 0;
}

int read_chrome(const json_t *root, struct profile *p, struct error *e) {
    const json_t *events = json_is_array(root) ? root : json_object_get(root, "traceEvents");
    VECTOR(struct track) tracks = {0};
    char name[64];
    int r = 0;

    p->period_ns = (int64_t) TICK_NS;
    for (size_t i = 0; r == 0 && i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        const char *phase = text_of(event, "ph");
        if (phase[0] != 'B' && phase[0] != 'E' && phase[0] != 'X')
            continue;
        json_int_t tid = json_integer_value(json_object_get(event, "tid")),
                   pid = json_integer_value(json_object_get(event, "pid"));
        snprintf(name, sizeof(name), "thread %lld", (long long) tid);
        int64_t thread = profile_name_thread(p, (pid_t) pid, (pid_t) tid, name);
        while (r == 0 && thread >= 0 && tracks.n <= (size_t) thread)
            r = vector_push(&tracks, ((struct track){0}), PROFILE_THREADS_MAX);
        if (thread < 0)
            r = (int) thread;
        else if (r == 0)
            r = phase[0] == 'X' ? take_complete(p, event, (uint32_t) thread)
                                : take_event(p, &tracks.items[thread], event, (uint32_t) thread);
    }
    vector_done(&tracks);
    return r < 0 ? error_set(e, r, "%s", error_name(r)) : 0;
}

/* ---- Our own page ---- */

static json_int_t number_at(const json_t *array, size_t i) {
    return json_integer_value(json_array_get(array, i));
}

static int read_own_frames(const json_t *root, struct profile *p) {
    const json_t *functions = json_object_get(root, "functions"),
                 *frames = json_object_get(root, "frames"),
                 *parents = json_object_get(root, "parents"),
                 *nodes = json_object_get(root, "nodes");

    for (size_t i = 0; i < json_array_size(functions); i++) {
        const json_t *f = json_array_get(functions, i);
        const char *name = json_string_value(json_array_get(f, 0)),
                   *file = json_string_value(json_array_get(f, 1));
        if (!name || !file ||
            profile_add_function(p, name, file, line_of(json_array_get(f, 2))) != (int64_t) i)
            return -EBADMSG;
    }
    for (size_t i = 0; i < json_array_size(frames); i++) {
        const json_t *f = json_array_get(frames, i);
        json_int_t function = number_at(f, 0);
        if (function < 0 || (size_t) function >= p->functions.n ||
            profile_add_frame(p, (uint32_t) function, line_of(json_array_get(f, 1))) != (int64_t) i)
            return -EBADMSG;
    }
    for (size_t i = 1; i < json_array_size(nodes); i++) {
        json_int_t parent = number_at(parents, i), frame = number_at(nodes, i);
        if (parent < 0 || (size_t) parent >= p->nodes.n || frame < 0 ||
            (size_t) frame >= p->frames.n ||
            profile_add_node(p, (uint32_t) parent, (uint32_t) frame) != (int64_t) i)
            return -EBADMSG;
    }
    return 0;
}

int read_html_data(const json_t *root, struct profile *p, struct error *e) {
    const json_t *threads = json_object_get(root, "threads"),
                 *counts = json_object_get(root, "counts");
    int r = read_own_frames(root, p);

    for (size_t i = 0; r == 0 && i < json_array_size(threads); i++) {
        const char *name = json_string_value(json_array_get(threads, i));
        if (!name || profile_name_thread(p, 0, 0, name) != (int64_t) i)
            r = -EBADMSG;
    }
    for (size_t i = 0; r == 0 && i < json_array_size(counts); i++) {
        const json_t *c = json_array_get(counts, i);
        json_int_t node = number_at(c, 0), thread = number_at(c, 1), samples = number_at(c, 2);
        if (node < 0 || (size_t) node >= p->nodes.n || thread < 0 ||
            (size_t) thread >= p->threads.n || samples < 0 || samples > UINT32_MAX)
            r = -EBADMSG;
        else if (samples)
            r = profile_add_samples(p, (uint32_t) node, (uint32_t) thread, (uint64_t) samples);
    }
    json_int_t period = json_integer_value(json_object_get(root, "period_ns"));
    p->period_ns = period > 0 ? period : 0;
    json_int_t duration = json_integer_value(json_object_get(root, "duration_ns"));
    p->duration_ns = duration > 0 ? duration : 0;
    snprintf(p->title, sizeof(p->title), "%s", text_of(root, "title"));
    if (r == -EBADMSG)
        return broken(e, "the page's profile does not fit together");
    return r < 0 ? error_set(e, r, "%s", error_name(r)) : 0;
}
