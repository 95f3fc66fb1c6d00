/* Derived rows that gather until the batch is written: RED statistics, edges, traces, attribute
 * counts. One thread at a time; memory is the state's window. */
#include "base/clock.h"
#include "derive/private.h"
#include "derive/state.h"
#include "signal/columns.h"
#include "store/store.h"

#include <errno.h>

static uint32_t window_of(int64_t ns) {
    int64_t s = ns / NS_PER_S;

    return s < 0 || s > UINT32_MAX ? 0 : (uint32_t) (s - s % WINDOW_S);
}

/* The row that counts this span; a new one only when `add`. NULL: none. */
static struct red *red_of(struct state *s, const struct span_note *n, bool add) {
    struct {
        uint32_t service, name, ts_s;
        uint8_t kind, status, entry, zero;
    } k = {n->service->id, n->name->id, window_of(n->start_ns), n->kind, n->status, n->entry, 0};
    struct slice key = slice_new(&k, sizeof(k));
    bool added = false;

    struct map_entry *e = add ? map_put(&s->red, key, &added) : map_get(&s->red, key);
    if (!e)
        return NULL;
    if (added)
        e->pointer = arena_new(&s->window, struct red);
    struct red *r = e->pointer;
    if (r && added) {
        r->service = n->service;
        r->operation = n->name;
        r->ts_s = k.ts_s;
        r->kind = k.kind;
        r->status = k.status;
        r->entry = k.entry;
    }
    return r;
}

static int add_red(struct state *s, const struct span_note *n) {
    struct red *r = red_of(s, n, s->red.n < RED_ROWS_MAX - RED_ROWS_OTHER);

    if (!r) {
        struct span_note other = *n; /* too many operations to tell apart */
        other.name = s->other;
        r = red_of(s, &other, true);
    }
    if (!r)
        return 0; /* statistics are not worth refusing the span */
    r->count++;
    r->sum_ns += n->duration_ns;
    r->max_ns = n->duration_ns > r->max_ns ? n->duration_ns : r->max_ns;
    return sketch_add(&r->sketch, n->duration_ns, &s->window) < 0 ? -ENOMEM : 0;
}

static struct trace *trace_of(struct state *s, const struct span_note *n) {
    bool added;

    if (s->trace_before && memcmp(s->trace_before->trace_id, n->trace_id, 16) == 0)
        return s->trace_before;
    struct map_entry *e = map_put(&s->traces, slice_new(n->trace_id, 16), &added);
    if (!e)
        return NULL;
    if (added)
        e->pointer = arena_new(&s->window, struct trace);
    struct trace *t = e->pointer;
    if (t && added) {
        memcpy(t->trace_id, n->trace_id, 16);
        t->start_ns = INT64_MAX;
        t->end_ns = INT64_MIN;
    }
    return s->trace_before = t;
}

static int add_trace(struct state *s, const struct span_note *n) {
    struct trace *t = trace_of(s, n);
    int64_t end_ns = n->start_ns + (int64_t) n->duration_ns;

    if (!t)
        return -ENOMEM; /* the trace could not be found: refuse, it is sent again */
    t->start_ns = n->start_ns < t->start_ns ? n->start_ns : t->start_ns;
    t->end_ns = end_ns > t->end_ns ? end_ns : t->end_ns;
    t->spans++;
    t->errors += n->status == STATUS_ERROR;
    if (n->root) {
        t->root_service = n->service;
        t->root_name = n->name;
        t->root_duration_ns = n->duration_ns;
        t->root_kind = n->kind;
        t->root_status = n->status;
    }
    for (struct trace_service *x = t->services; x; x = x->next)
        if (x->service == n->service)
            return 0;
    if (t->n_services == TRACE_SERVICES_MAX)
        return 0;
    struct trace_service *x = arena_new(&s->window, struct trace_service);
    if (!x)
        return -ENOMEM;
    x->service = n->service;
    x->next = t->services;
    t->services = x;
    t->n_services++;
    return 0;
}

int window_add_red(struct state *s, const struct red_note *n) {
    struct span_note key = {.service = n->service,
                            .name = n->operation,
                            .start_ns = n->time_ns,
                            .kind = n->kind,
                            .status = n->status,
                            .entry = n->entry};
    struct red *r = red_of(s, &key, s->red.n < RED_ROWS_MAX - RED_ROWS_OTHER);

    if (!r) {
        key.name = s->other;
        r = red_of(s, &key, true);
    }
    if (!r)
        return 0;
    r->count += n->count;
    r->sum_ns += n->sum_ns;
    r->max_ns = n->max_ns > r->max_ns ? n->max_ns : r->max_ns;
    for (size_t i = 0; i < n->n; i++)
        if (sketch_add_many(&r->sketch, n->durations_ns[i], (uint32_t) n->counts[i], &s->window) <
            0)
            return -ENOMEM;
    return 0;
}

int window_add_span(struct state *s, const struct span_note *n) {
    int r = n->counted ? 0 : add_red(s, n);

    return r < 0 ? r : add_trace(s, n);
}

int window_add_edge(struct state *s, struct slice client, struct slice server,
                    const char *server_type, struct slice system, int64_t start_ns,
                    uint64_t duration_ns, bool error) {
    uint8_t key[3 * NAME_BYTES_MAX + 16];
    uint32_t ts_s = window_of(start_ns);
    bool added;
    size_t n = 0;

    memcpy(key, &ts_s, 4);
    key[4] = (uint8_t) *server_type;
    n = 5;
    struct slice parts[] = {slice_take(client, NAME_BYTES_MAX), slice_take(server, NAME_BYTES_MAX),
                            slice_take(system, NAME_BYTES_MAX)};
    for (unsigned i = 0; i < 3; i++) {
        memcpy(key + n, parts[i].data ? parts[i].data : key, parts[i].size);
        n += parts[i].size;
        key[n++] = 0;
    }
    struct map_entry *m = map_put(&s->edges, slice_new(key, n), &added);
    if (!m)
        return 0;
    if (added) {
        struct edge *e = arena_new(&s->window, struct edge);
        if (e) {
            size_t at = 5;
            struct slice *texts[] = {&e->client, &e->server, &e->system};
            for (unsigned i = 0; i < 3; at += parts[i].size + 1, i++)
                *texts[i] = slice_new(m->key.data + at, parts[i].size);
            e->server_type = server_type;
            e->ts_s = ts_s;
        }
        m->pointer = e;
    }
    struct edge *e = m->pointer;
    if (!e)
        return 0;
    e->count++;
    e->errors += error;
    e->sum_ns += duration_ns;
    e->max_ns = duration_ns > e->max_ns ? duration_ns : e->max_ns;
    return sketch_add(&e->sketch, duration_ns, &s->window);
}

/* ---- Writing ---- */

static int end_row(struct native_block *b, int r) {
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

static int write_red(struct state *s, struct native_block *b) {
    int r = 0;

    map_each(&s->red, e) {
        const struct red *x = e->pointer;
        if (!x || r < 0)
            continue;
        r |= native_put_u64(b, RED_TS, x->ts_s);
        r |= native_put_string(b, RED_SERVICE, x->service->text);
        r |= native_put_string(b, RED_OPERATION, x->operation->text);
        r |= native_put_u64(b, RED_KIND, x->kind);
        r |= native_put_u64(b, RED_STATUS, x->status);
        r |= native_put_u64(b, RED_ENTRY, x->entry);
        r |= native_put_u64(b, RED_COUNT, x->count);
        r |= native_put_u64(b, RED_SUM_NS, x->sum_ns);
        r |= native_put_u64(b, RED_MAX_NS, x->max_ns);
        r |= sketch_write(&x->sketch, b, RED_SKETCH);
        r = end_row(b, r);
    }
    return r;
}

static int write_edges(struct state *s, struct native_block *b) {
    int r = 0;

    map_each(&s->edges, m) {
        const struct edge *x = m->pointer;
        if (!x || r < 0)
            continue;
        r |= native_put_u64(b, EDGES_TS, x->ts_s);
        r |= native_put_string(b, EDGES_CLIENT, x->client);
        r |= native_put_string(b, EDGES_SERVER, x->server);
        r |= native_put_string(b, EDGES_SERVER_TYPE, slice_from(x->server_type));
        r |= native_put_string(b, EDGES_SYSTEM, x->system);
        r |= native_put_u64(b, EDGES_COUNT, x->count);
        r |= native_put_u64(b, EDGES_ERRORS, x->errors);
        r |= native_put_u64(b, EDGES_SUM_NS, x->sum_ns);
        r |= native_put_u64(b, EDGES_MAX_NS, x->max_ns);
        r |= sketch_write(&x->sketch, b, EDGES_SKETCH);
        r = end_row(b, r);
    }
    return r;
}

static int write_trace(const struct trace *t, struct native_block *b) {
    struct slice none = SLICE_EMPTY;
    int r = native_put_u64(b, TRACES_DAY, (uint64_t) (t->start_ns / NS_PER_S / 86400));

    r |= native_put_fixed(b, TRACES_TRACE_ID, t->trace_id);
    r |= native_put_u64(b, TRACES_START, (uint64_t) t->start_ns);
    r |= native_put_u64(b, TRACES_END, (uint64_t) t->end_ns);
    r |= native_put_u64(b, TRACES_SPANS, t->spans);
    r |= native_put_u64(b, TRACES_ERRORS, t->errors);
    r |= native_put_string(b, TRACES_ROOT_SERVICE, t->root_service ? t->root_service->text : none);
    r |= native_put_string(b, TRACES_ROOT_NAME, t->root_name ? t->root_name->text : none);
    r |= native_put_u64(b, TRACES_ROOT_KIND, t->root_kind);
    r |= native_put_u64(b, TRACES_ROOT_DURATION_NS, t->root_duration_ns);
    r |= native_put_u64(b, TRACES_ROOT_STATUS, t->root_status);
    for (const struct trace_service *x = t->services; x; x = x->next)
        r |= native_array_text(b, TRACES_SERVICES, x->service->text);
    r |= native_close(b, TRACES_SERVICES);
    return end_row(b, r);
}

static int write_attributes(struct state *s, struct native_block *b) {
    static const char *const signals[] = {"span", "log", "resource"};
    uint64_t day = (uint64_t) (clock_now_ns() / NS_PER_S / 86400);
    int r = 0;

    for (struct counted *v = s->dirty; v; v = v->dirty) {
        v->is_dirty = false;
        if (v->count == 0 || r < 0)
            continue;
        r |= native_put_u64(b, ATTRIBUTES_DAY, day);
        r |= native_put_string(b, ATTRIBUTES_SIGNAL, slice_from(signals[v->signal]));
        r |= native_put_string(b, ATTRIBUTES_KEY, v->key->key);
        r |= native_put_u64(b, ATTRIBUTES_TYPE, v->type);
        r |= native_put_string(b, ATTRIBUTES_VALUE, v->text);
        r |= native_put_u64(b, ATTRIBUTES_COUNT, v->count);
        r = end_row(b, r);
        v->count = 0;
    }
    s->dirty = NULL;
    return r;
}

void window_clear(struct state *s) {
    map_clear(&s->red);
    map_clear(&s->edges);
    map_clear(&s->traces);
    arena_clear(&s->window);
    s->trace_before = NULL;
}

int window_write(struct state *s, struct store_batch *batch) {
    struct native_block *traces = store_batch_block(batch, TABLE_TRACES);
    int r = 0;

    map_each(&s->traces, e) {
        if (r == 0 && e->pointer)
            r = write_trace(e->pointer, traces);
    }
    if (r == 0)
        r = write_red(s, store_batch_block(batch, TABLE_RED));
    if (r == 0)
        r = write_edges(s, store_batch_block(batch, TABLE_EDGES));
    int attributes = write_attributes(s, store_batch_block(batch, TABLE_ATTRIBUTES));
    window_clear(s);
    return r < 0 ? r : attributes;
}
