/* /prometheus/federate: the newest sample of each series as Prometheus text. */
#include "api/prometheus_call.h"
#include "receive/label_set.h"

struct found {
    struct prom_call *call;
    const struct promql_samples **items;
    size_t n, room;
};

static bool is_stale(double v) {
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits == PROMQL_STALE_BITS;
}

/* Notes a series whose newest sample is a float that is not a stale marker. */
static int add_series(void *ctx, const struct promql_samples *s) {
    struct found *f = ctx;

    if (s->n_floats == 0 || is_stale(s->floats[s->n_floats - 1]) ||
        (s->n_histograms && s->histogram_ms[s->n_histograms - 1] > s->float_ms[s->n_floats - 1]))
        return 0;
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 1024;
        const struct promql_samples **items = arena_alloc(&f->call->arena, room * sizeof(*items));
        if (!items)
            return -ENOMEM;
        if (f->n)
            memcpy(items, f->items, f->n * sizeof(*items));
        f->items = items;
        f->room = room;
    }
    struct promql_samples *copy = arena_new(&f->call->arena, struct promql_samples);
    if (!copy)
        return -ENOMEM;
    *copy = *s;
    f->items[f->n++] = copy;
    return 0;
}

static struct slice name_of(const struct promql_samples *s) {
    return promql_labels_get(s->labels, SLICE("__name__"));
}

static int compare(const void *a, const void *b) {
    const struct promql_samples *x = *(const struct promql_samples *const *) a,
                                *y = *(const struct promql_samples *const *) b;
    int r = slice_compare(name_of(x), name_of(y));

    for (uint32_t i = 0; r == 0 && i < x->labels->n && i < y->labels->n; i++) {
        r = slice_compare(x->labels->items[i].name, y->labels->items[i].name);
        if (r == 0)
            r = slice_compare(x->labels->items[i].value, y->labels->items[i].value);
    }
    return r ? r : (x->labels->n > y->labels->n) - (x->labels->n < y->labels->n);
}

static void put_escaped(struct buffer *out, struct slice s) {
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] == '\n')
            buffer_append_text(out, "\\n");
        else if (s.data[i] == '"' || s.data[i] == '\\')
            buffer_printf(out, "\\%c", s.data[i]);
        else
            buffer_append_u8(out, s.data[i]);
}

/* A name as the one who asks can read it: in quotes when it understands them and the name needs
 * them, else with _ in place of what older parsers refuse. */
static void put_name(struct buffer *out, struct slice name, bool legacy, bool quotes) {
    if (legacy) {
        buffer_append_slice(out, name);
    } else if (quotes) {
        buffer_append_u8(out, '"');
        put_escaped(out, name);
        buffer_append_u8(out, '"');
    } else {
        for (size_t i = 0; i < name.size; i++)
            buffer_append_u8(out, metric_name_is_legacy(slice_new(name.data + i, 1)) ||
                                                  (i && name.data[i] >= '0' && name.data[i] <= '9')
                                          ? name.data[i]
                                          : '_');
    }
}

static void put_line(struct buffer *out, const struct promql_samples *s, bool quotes) {
    char number[NUMBER_TEXT_MAX];
    size_t last = s->n_floats - 1;
    bool legacy = metric_name_is_legacy(name_of(s)), within = quotes && !legacy, any = within;

    if (within)
        buffer_append_u8(out, '{');
    put_name(out, name_of(s), legacy, quotes);
    for (uint32_t i = 0; i < s->labels->n; i++) {
        const struct promql_label *l = &s->labels->items[i];
        if (slice_is(l->name, "__name__"))
            continue;
        buffer_append_u8(out, any ? ',' : '{');
        put_name(out, l->name, label_name_is_legacy(l->name), quotes);
        buffer_append_text(out, "=\"");
        put_escaped(out, l->value);
        buffer_append_u8(out, '"');
        any = true;
    }
    buffer_append_text(out, any ? "} " : " ");
    buffer_append(out, number, double_to_prometheus(s->floats[last], number));
    buffer_printf(out, " %lld\n", (long long) s->float_ms[last]);
}

static void put_all(struct prom_call *c, const struct found *f, bool quotes) {
    for (size_t i = 0; i < f->n; i++) {
        const struct promql_samples *s = f->items[i];
        struct slice name = name_of(s);
        if (i && compare(&f->items[i - 1], &f->items[i]) == 0)
            continue; /* found by two selectors */
        if (name.size == 0)
            continue;
        if (i == 0 || !slice_equal(name, name_of(f->items[i - 1]))) {
            buffer_append_text(&c->body, "# TYPE ");
            put_name(&c->body, name, metric_name_is_legacy(name), quotes);
            buffer_append_text(&c->body, " untyped\n");
        }
        put_line(&c->body, s, quotes);
    }
}

static int answer_federate(struct prom_call *c) {
    int64_t now = c->received_ns / NS_PER_MS,
            lookback = c->p->options.lookback_ns ? c->p->options.lookback_ns / NS_PER_MS
                                                 : 300 * NS_PER_S / NS_PER_MS;
    struct found found = {.call = c};
    struct prom_selectors selectors;
    struct metrics_source source;
    struct promql_hints hints = {0};
    struct promql_error e = {0};

    int r = prom_selectors(c, false, &selectors);
    if (r < 0)
        return r;
    metrics_source_init(&source, c->p->options.metrics);
    source.deadline_ns = c->deadline_ns;
    source.cancel = &c->cancel;
    for (size_t i = 0; i < selectors.n && r == 0; i++)
        r = source.source.select(&source.source, selectors.items[i].matchers, selectors.items[i].n,
                                 now - lookback, now, &hints, &c->arena, add_series, &found, &e);
    if (r < 0) {
        prom_selectors_done(&selectors);
        return prom_fail_query(c, r, "match[]", &e);
    }
    if (found.n)
        qsort(found.items, found.n, sizeof(*found.items), compare);
    bool quotes = slice_find(http_request_header(c->request, "accept"),
                             SLICE("escaping=allow-utf-8")) >= 0;
    c->content_type = quotes ? "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
                             : "text/plain; version=0.0.4; charset=utf-8";
    put_all(c, &found, quotes);
    prom_selectors_done(&selectors);
    return 0;
}

const struct prom_resource prom_federate = {answer_federate, true};
