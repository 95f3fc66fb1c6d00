/* Realistic OTLP requests: see realistic.h. */
#include "realistic.h"

#include "base/clock.h"
#include "base/vector.h"
#include "random.h"
#include "wire/protobuf.h"

#define PLACES_MAX 4000000u

static void put_text(struct buffer *b, uint32_t field, const char *key, const char *value) {
    size_t pair = pb_begin(b, field);
    pb_put_bytes(b, 1, slice_from(key));
    size_t any = pb_begin(b, 2);
    pb_put_bytes(b, 1, slice_from(value));
    pb_end(b, any);
    pb_end(b, pair);
}

static void put_int(struct buffer *b, uint32_t field, const char *key, int64_t value) {
    size_t pair = pb_begin(b, field);
    pb_put_bytes(b, 1, slice_from(key));
    size_t any = pb_begin(b, 2);
    pb_put_varint(b, 3, (uint64_t) value);
    pb_end(b, any);
    pb_end(b, pair);
}

static const char *const services[] = {"gateway",  "orders", "catalog",
                                       "payments", "users",  "search"};
static const char *const routes[][5] = {
        {"/", "/checkout", "/products/{id}", "/search", "/account/{id}/orders"},
        {"/orders", "/orders/{id}", "/customers/{id}/history", "/bestsellers", "/carts/{id}"},
        {"/products", "/products/{id}", "/categories", "/prices", "/stock/{id}"},
        {"/charges", "/refunds", "/methods/{id}", "/webhooks", "/charges/{id}"},
        {"/users/{id}", "/login", "/sessions", "/preferences/{id}", "/users/{id}/addresses"},
        {"/query", "/suggest", "/index", "/synonyms", "/related/{id}"},
};
static const char *const statements[] = {
        "SELECT id, name, price_cents, stock FROM products WHERE id = %u",
        "SELECT o.id, o.placed_at, o.total_cents FROM orders o WHERE o.customer_id = %u ORDER BY "
        "o.placed_at DESC",
        "INSERT INTO order_items (order_id, product_id, quantity) VALUES (%u, 17, 2), (5, 18, 1)",
        "UPDATE products SET stock = stock - 1 WHERE id = %u AND stock > 0",
        "SELECT u.id, u.email FROM users u JOIN sessions s ON s.user_id = u.id WHERE s.token = "
        "'tok%u'",
        "SELECT count(*) FROM orders WHERE placed_at > '2026-01-01' AND customer_id IN (%u, 3, 4, "
        "5)",
};

static void put_resource(struct buffer *b, unsigned service, unsigned instance) {
    char text[64];
    size_t resource = pb_begin(b, 1);

    put_text(b, 1, "service.name", services[service]);
    put_text(b, 1, "service.namespace", "shop");
    put_text(b, 1, "service.version", "1.4.2");
    snprintf(text, sizeof(text), "%s-%u", services[service], instance);
    put_text(b, 1, "service.instance.id", text);
    put_text(b, 1, "host.name", "node-3");
    put_text(b, 1, "telemetry.sdk.language", "python");
    put_text(b, 1, "telemetry.sdk.name", "opentelemetry");
    put_text(b, 1, "telemetry.sdk.version", "1.45.2");
    put_int(b, 1, "process.pid", 4100 + instance);
    pb_end(b, resource);
}

struct ids {
    uint8_t trace[16], span[8], parent[8];
};

static void put_span_head(struct buffer *b, const struct ids *ids, bool root, const char *name,
                          unsigned kind, int64_t start, int64_t end) {
    pb_put_bytes(b, 1, slice_new(ids->trace, 16));
    pb_put_bytes(b, 2, slice_new(ids->span, 8));
    if (!root)
        pb_put_bytes(b, 4, slice_new(ids->parent, 8));
    pb_put_bytes(b, 5, slice_from(name));
    pb_put_varint(b, 6, kind);
    pb_put_fixed64(b, 7, (uint64_t) start);
    pb_put_fixed64(b, 8, (uint64_t) end);
    pb_put_fixed32(b, 16, 0x101);
}

static void put_server_span(struct buffer *b, struct random *r, const struct ids *ids, bool root,
                            unsigned service, int64_t start, int64_t end) {
    char text[96];
    unsigned route = random_below(r, 5);
    bool failed = random_below(r, 50) == 0;
    size_t span = pb_begin(b, 2);

    snprintf(text, sizeof(text), "%s %s", route == 1 ? "POST" : "GET", routes[service][route]);
    put_span_head(b, ids, root, text, 2, start, end);
    put_text(b, 9, "http.request.method", route == 1 ? "POST" : "GET");
    put_text(b, 9, "http.route", routes[service][route]);
    snprintf(text, sizeof(text), "/%s/%u", services[service], random_below(r, 5000));
    put_text(b, 9, "url.path", text);
    put_text(b, 9, "url.scheme", "http");
    put_int(b, 9, "http.response.status_code", failed ? 500 : 200);
    snprintf(text, sizeof(text), "10.2.%u.%u", random_below(r, 4), random_below(r, 250));
    put_text(b, 9, "client.address", text);
    put_text(b, 9, "user_agent.original",
             "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0");
    if (failed) {
        size_t status = pb_begin(b, 15);
        pb_put_varint(b, 3, 2);
        pb_end(b, status);
    }
    pb_end(b, span);
}

static void put_client_span(struct buffer *b, struct random *r, const struct ids *ids,
                            unsigned server, int64_t start, int64_t end) {
    char text[96];
    size_t span = pb_begin(b, 2);

    put_span_head(b, ids, false, "GET", 3, start, end);
    put_text(b, 9, "http.request.method", "GET");
    put_text(b, 9, "server.address", services[server]);
    put_int(b, 9, "server.port", 8080);
    snprintf(text, sizeof(text), "http://%s:8080/%u", services[server], random_below(r, 5000));
    put_text(b, 9, "url.full", text);
    put_int(b, 9, "http.response.status_code", 200);
    put_text(b, 9, "network.protocol.version", "1.1");
    pb_end(b, span);
}

static void put_query_span(struct buffer *b, struct random *r, const struct ids *ids, int64_t start,
                           int64_t end) {
    char text[256];
    size_t span = pb_begin(b, 2);

    put_span_head(b, ids, false, "SELECT shop", 3, start, end);
    put_text(b, 9, "db.system.name", "postgresql");
    put_text(b, 9, "db.namespace", "shop");
    snprintf(text, sizeof(text), statements[random_below(r, 6)], random_below(r, 10000));
    put_text(b, 9, "db.query.text", text);
    put_text(b, 9, "db.operation.name", "SELECT");
    put_text(b, 9, "server.address", "db-1");
    put_text(b, 9, "code.file.path", "/srv/shop/orders/views.py");
    put_int(b, 9, "code.line.number", 40 + random_below(r, 200));
    pb_end(b, span);
}

static void fill(struct random *r, uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t v = random_next(r);
        memcpy(to + i, &v, 8);
    }
}

/* The spans of one service's part of a trace; returns how many. */
static size_t put_part(struct buffer *b, struct random *r, struct ids *ids, bool root,
                       unsigned service, int64_t start, int64_t length) {
    struct ids child = *ids;
    size_t n = 1, queries = 1 + random_below(r, 4);

    put_server_span(b, r, ids, root, service, start, start + length);
    memcpy(child.parent, ids->span, 8);
    for (size_t i = 0; i < queries; i++, n++) {
        int64_t at = start + length * (int64_t) (i + 1) / (int64_t) (queries + 2);
        fill(r, child.span, 8);
        put_query_span(b, r, &child, at, at + 300000 + random_below(r, 3000000));
    }
    if (root) { /* the call whose server span another service's part holds */
        fill(r, child.span, 8);
        put_client_span(b, r, &child, 1 + random_below(r, 5), start + 100000,
                        start + length - 100000);
        memcpy(ids->parent, child.span, 8);
        n++;
    }
    return n;
}

void realistic_traces(struct buffer *out, unsigned seed, size_t spans, size_t *ret) {
    struct random r = {seed}, trace_r;
    const size_t traces = spans / 8 ? spans / 8 : 1;
    int64_t now = clock_now_ns();
    size_t n = 0;
    struct ids *ids = calloc(traces, sizeof(*ids));

    if (!ids)
        abort();
    for (unsigned service = 0; service < 6; service++) {
        size_t rs = pb_begin(out, 1);
        put_resource(out, service, 1 + random_below(&r, 3));
        size_t ss = pb_begin(out, 2);
        size_t scope = pb_begin(out, 1);
        pb_put_bytes(out, 1, SLICE("opentelemetry.instrumentation.flask"));
        pb_put_bytes(out, 2, SLICE("0.66b2"));
        pb_end(out, scope);
        for (size_t i = 0; i < traces; i++) {
            trace_r.state = seed * 1000003u + i;
            bool called = 1 + random_below(&trace_r, 5) == service;
            if (service != 0 && !called)
                continue;
            int64_t start = now - 2000000000 + (int64_t) (i * 1500000);
            if (service == 0) {
                fill(&trace_r, ids[i].trace, 16);
                fill(&trace_r, ids[i].span, 8);
            } else {
                fill(&trace_r, ids[i].span, 8);
                ids[i].span[0] ^= 0x5a;
                start += 200000;
            }
            n += put_part(out, &r, &ids[i], service == 0, service, start,
                          3000000 + random_below(&r, 90000000));
        }
        pb_end(out, ss);
        pb_end(out, rs);
    }
    free(ids);
    *ret = n;
}

static const struct {
    const char *format;
    unsigned severity;
} lines[] = {
        {"order %u placed by customer %u: total 49.90 EUR", 9},
        {"search 'velvet lamp' found %u products in %u ms", 9},
        {"GET /products/%u answered 200 in %u ms", 9},
        {"cache miss for key product:%u, loading from the database (shard %u)", 5},
        {"payment %u accepted by the provider after %u ms", 9},
        {"product %u is short: %u wanted", 13},
        {"history of customer %u: %u orders", 9},
        {"session of user %u renewed for %u minutes", 5},
        {"retrying the call of the payment provider, attempt %u of %u", 13},
        {"could not charge order %u: the provider answered %u", 17},
        {"worker %u finished job %u", 9},
        {"connection to db-1:5432 taken from the pool after %u us, %u in use", 5},
};

void realistic_logs(struct buffer *out, unsigned seed, size_t count) {
    struct random r = {seed};
    int64_t now = clock_now_ns();
    char text[256];

    for (unsigned service = 0; service < 6; service++) {
        size_t rl = pb_begin(out, 1);
        put_resource(out, service, 1 + random_below(&r, 3));
        size_t sl = pb_begin(out, 2);
        size_t scope = pb_begin(out, 1);
        snprintf(text, sizeof(text), "shop.%s", services[service]);
        pb_put_bytes(out, 1, slice_from(text));
        pb_end(out, scope);
        for (size_t i = service; i < count; i += 6) {
            unsigned line = random_below(&r, 12);
            uint8_t ids[24];
            size_t record = pb_begin(out, 2);
            pb_put_fixed64(out, 1, (uint64_t) (now - 1000000000 + (int64_t) i * 100000));
            pb_put_varint(out, 2, lines[line].severity);
            pb_put_bytes(out, 3, lines[line].severity == 9 ? SLICE("INFO") : SLICE("WARN"));
            snprintf(text, sizeof(text), lines[line].format, random_below(&r, 100000),
                     random_below(&r, 400));
            size_t body = pb_begin(out, 5);
            pb_put_bytes(out, 1, slice_from(text));
            pb_end(out, body);
            put_text(out, 6, "code.file.path", "/srv/shop/orders/views.py");
            put_int(out, 6, "code.line.number", 40 + random_below(&r, 200));
            put_text(out, 6, "thread.name", "MainThread");
            if (i % 4 != 0) {
                fill(&r, ids, 24);
                pb_put_bytes(out, 9, slice_new(ids, 16));
                pb_put_bytes(out, 10, slice_new(ids + 16, 8));
            }
            pb_put_fixed64(out, 11, (uint64_t) (now - 1000000000 + (int64_t) i * 100000 + 20000));
            pb_end(out, record);
        }
        pb_end(out, sl);
        pb_end(out, rl);
    }
}

typedef VECTOR(uint32_t) places_vector;

static int find_in_record(struct slice request, struct slice record, bool logs, places_vector *ids,
                          places_vector *times) {
    struct pb_reader reader = pb_reader(record);
    struct pb_field f;
    int r;

    while ((r = pb_next(&reader, &f)) > 0) {
        bool id = f.wire == PB_BYTES && (f.bytes.size == 8 || f.bytes.size == 16) &&
                  (logs ? f.number == 9 || f.number == 10
                        : f.number == 1 || f.number == 2 || f.number == 4);
        bool time = f.wire == PB_FIXED64;
        if (id)
            r = vector_push(ids,
                            (uint32_t) (f.bytes.data - request.data) << 1 | (f.bytes.size == 16),
                            PLACES_MAX);
        else if (time)
            r = vector_push(times, (uint32_t) (reader.at - 8 - request.data), PLACES_MAX);
        if (r < 0)
            break;
    }
    return r;
}

int realistic_find(struct slice request, bool logs, struct realistic_places *ret) {
    places_vector ids = {0}, times = {0};
    struct pb_reader outer = pb_reader(request);
    struct pb_field a, b, c;

    while (pb_next(&outer, &a) > 0) {
        struct pb_reader resource = pb_reader(a.bytes);
        while (pb_next(&resource, &b) > 0) {
            if (b.number != 2)
                continue;
            struct pb_reader scope = pb_reader(b.bytes);
            while (pb_next(&scope, &c) > 0)
                if (c.number == 2 && find_in_record(request, c.bytes, logs, &ids, &times) < 0)
                    return -EBADMSG;
        }
    }
    *ret = (struct realistic_places){ids.items, ids.n, times.items, times.n};
    return 0;
}

void realistic_places_done(struct realistic_places *p) {
    free(p->ids);
    free(p->times);
    *p = (struct realistic_places){0};
}

void realistic_renew(uint8_t *request, const struct realistic_places *p, uint64_t mask,
                     int64_t shift_ns) {
    for (size_t i = 0; i < p->n_ids; i++) {
        uint8_t *at = request + (p->ids[i] >> 1);
        for (unsigned half = 0; half <= (p->ids[i] & 1); half++) {
            uint64_t v;
            memcpy(&v, at + 8 * half, 8);
            v ^= mask;
            memcpy(at + 8 * half, &v, 8);
        }
    }
    for (size_t i = 0; i < p->n_times; i++) {
        uint8_t *at = request + p->times[i];
        uint64_t v;
        memcpy(&v, at, 8);
        v += (uint64_t) shift_ns;
        memcpy(at, &v, 8);
    }
}
