/* /prometheus/federate: the newest sample of each series, as Prometheus text or protobuf. */
#include "api/prometheus_call.h"
#include "receive/label_set.h"

struct found {
    struct prom_call *call;
    bool histograms; /* the one who asks can read native ones */
    const struct promql_samples **items;
    size_t n, room;
};

static bool is_stale(double v) {
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits == PROMQL_STALE_BITS;
}

bool prom_federate_is_histogram(const struct promql_samples *s) {
    return s->n_histograms &&
           (!s->n_floats || s->histogram_ms[s->n_histograms - 1] > s->float_ms[s->n_floats - 1]);
}

/* Whether its newest sample can be told to the one who asks: it is no stale marker, and no
 * histogram that has no place in the text. */
static bool wanted(const struct found *f, const struct promql_samples *s) {
    if (!prom_federate_is_histogram(s))
        return s->n_floats && !is_stale(s->floats[s->n_floats - 1]);
    const struct promql_histogram *h = s->histograms[s->n_histograms - 1];
    return f->histograms && !is_stale(h->sum) && !h->n_custom;
}

static int add_series(void *ctx, const struct promql_samples *s) {
    struct found *f = ctx;

    if (!wanted(f, s))
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

struct slice prom_federate_name(const struct promql_samples *s) {
    return promql_labels_get(s->labels, SLICE("__name__"));
}

static int compare(const void *a, const void *b) {
    const struct promql_samples *x = *(const struct promql_samples *const *) a,
                                *y = *(const struct promql_samples *const *) b;
    int r = slice_compare(prom_federate_name(x), prom_federate_name(y));

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

void prom_federate_put_escaped_name(struct buffer *out, struct slice name) {
    for (size_t i = 0; i < name.size; i++)
        buffer_append_u8(out, metric_name_is_legacy(slice_new(name.data + i, 1)) ||
                                              (i && name.data[i] >= '0' && name.data[i] <= '9')
                                      ? name.data[i]
                                      : '_');
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
        prom_federate_put_escaped_name(out, name);
    }
}

static void put_line(struct buffer *out, const struct promql_samples *s, bool quotes) {
    char number[NUMBER_TEXT_MAX];
    size_t last = s->n_floats - 1;
    bool legacy = metric_name_is_legacy(prom_federate_name(s)), within = quotes && !legacy,
         any = within;

    if (within)
        buffer_append_u8(out, '{');
    put_name(out, prom_federate_name(s), legacy, quotes);
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

static void put_text(struct prom_call *c, const struct found *f, bool quotes) {
    for (size_t i = 0; i < f->n; i++) {
        struct slice name = prom_federate_name(f->items[i]);
        if (i == 0 || !slice_equal(name, prom_federate_name(f->items[i - 1]))) {
            buffer_append_text(&c->body, "# TYPE ");
            put_name(&c->body, name, metric_name_is_legacy(name), quotes);
            buffer_append_text(&c->body, " untyped\n");
        }
        put_line(&c->body, f->items[i], quotes);
    }
}

/* Sorted, each once (two selectors may find the same), and only what has a name. */
static void settle(struct found *f) {
    size_t n = 0;

    if (f->n)
        qsort(f->items, f->n, sizeof(*f->items), compare);
    for (size_t i = 0; i < f->n; i++)
        if (prom_federate_name(f->items[i]).size &&
            (n == 0 || compare(&f->items[n - 1], &f->items[i]) != 0))
            f->items[n++] = f->items[i];
    f->n = n;
}

static int answer_federate(struct prom_call *c) {
    int64_t now = c->received_ns / NS_PER_MS,
            lookback = c->p->options.lookback_ns ? c->p->options.lookback_ns / NS_PER_MS
                                                 : 300 * NS_PER_S / NS_PER_MS;
    struct slice accept = http_request_header(c->request, "accept");
    struct found found = {.call = c, .histograms = slice_starts(accept, SLICE(PROM_PROTOBUF_TYPE))};
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
    settle(&found);
    bool quotes = slice_find(accept, SLICE("escaping=allow-utf-8")) >= 0;
    if (found.histograms) {
        c->content_type =
                PROM_PROTOBUF_TYPE "; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        r = prom_federate_put_protobuf(c, found.items, found.n, quotes);
    } else {
        c->content_type = quotes ? "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
                                 : "text/plain; version=0.0.4; charset=utf-8";
        put_text(c, &found, quotes);
    }
    prom_selectors_done(&selectors);
    return r;
}

const struct prom_resource prom_federate = {answer_federate, true};
