/* See shop.h. */
#include "shop.h"

#include "../ingest_txn.h"
#include "base/clock.h"
#include "signal/resource.h"

#define TEXT(k, v)                                                                                 \
    {                                                                                              \
        .key = SLICE(k), .value = {.type = VALUE_STRING, .text = SLICE(v) }                        \
    }
#define NUMBER(k, v)                                                                               \
    {                                                                                              \
        .key = SLICE(k), .value = {.type = VALUE_INT, .integer = (v) }                             \
    }

static const struct attribute gateway_attributes[] = {
        TEXT("service.name", "shop-gateway"),
        TEXT("service.version", "1.4.2"),
        TEXT("telemetry.sdk.language", "python"),
        TEXT("host.name", "web-1"),
        TEXT("service.instance.id", "gw-1"),
        TEXT("deployment.environment.name", "production")};
static const struct attribute orders_attributes[] = {
        TEXT("service.name", "orders"), TEXT("service.version", "2.0"),
        TEXT("telemetry.sdk.language", "python"), TEXT("host.name", "web-2")};
static const struct scope scope = {.name = SLICE("shop"), .version = SLICE("1")};

static struct resource gateway = {.attributes = {gateway_attributes, 6, 0}};
static struct resource orders = {.attributes = {orders_attributes, 4, 0}};

static void finish_resources(void) {
    struct buffer scratch;

    buffer_init(&scratch, 1 << 20);
    assert_int_equal(resource_finish(&gateway, &scratch), 0);
    assert_int_equal(resource_finish(&orders, &scratch), 0);
    buffer_done(&scratch);
}

static void put_trace_id(uint8_t *id, unsigned i) {
    for (unsigned k = 0; k < 15; k++)
        id[k] = (uint8_t) k;
    id[15] = (uint8_t) i;
}

static struct span make(unsigned checkout, uint8_t number, uint8_t parent, enum span_kind kind,
                        int64_t start_ns, int64_t duration_ns) {
    struct span s = {.kind = kind, .start_ns = start_ns, .end_ns = start_ns + duration_ns};

    put_trace_id(s.trace_id, checkout);
    s.span_id[0] = (uint8_t) (checkout + 1);
    s.span_id[7] = number;
    if (parent) {
        s.parent_span_id[0] = (uint8_t) (checkout + 1);
        s.parent_span_id[7] = parent;
    }
    s.scope = &scope;
    return s;
}

static void add(struct ingest_txn *t, struct span *s, const char *name, const struct resource *r,
                const struct attribute *attributes, size_t n) {
    struct error e = ERROR_NONE;

    s->name = slice_from(name);
    s->resource = r;
    s->attributes = (struct attributes){attributes, n, 0};
    if (ingest_span(t, s, &e) < 0)
        fail_msg("span: %s", e.text);
}

static void add_queries(struct ingest_txn *t, unsigned checkout, int64_t start) {
    static const struct attribute sql[] = {
            TEXT("db.system", "sqlite"), TEXT("db.name", "shop.db"),
            TEXT("db.statement", "SELECT name, price FROM items WHERE id = 17")};

    for (unsigned i = 0; i < SHOP_QUERIES; i++) {
        struct span s = make(checkout, (uint8_t) (10 + i), 3, SPAN_CLIENT,
                             start + (12 + 6 * (int64_t) i) * NS_PER_MS, 5 * NS_PER_MS);
        add(t, &s, "SELECT items", &orders, sql, 3);
    }
}

static void add_checkout(struct ingest_txn *t, unsigned i, int64_t start) {
    bool fails = i % 5 == 0;
    const struct attribute entry[] = {TEXT("http.request.method", "POST"),
                                      TEXT("http.route", "/checkout"),
                                      NUMBER("http.response.status_code", fails ? 500 : 200),
                                      NUMBER("cart.items", (int64_t) i)};
    const struct attribute call[] = {TEXT("http.request.method", "POST"),
                                     TEXT("server.address", "orders")};
    const struct attribute thrown[] = {TEXT("exception.type", "ValueError"),
                                       TEXT("exception.message", "out of stock"),
                                       TEXT("exception.stacktrace", "File \"a.py\", line 3")};
    struct span_event event = {start + 90 * NS_PER_MS, SLICE("exception"), {thrown, 3, 0}};

    struct span root = make(i, 1, 0, SPAN_SERVER, start, (100 + (int64_t) i) * NS_PER_MS);
    root.status = fails ? STATUS_ERROR : STATUS_UNSET;
    add(t, &root, "POST /checkout", &gateway, entry, 4);
    struct span client = make(i, 2, 1, SPAN_CLIENT, start + 5 * NS_PER_MS, 90 * NS_PER_MS);
    add(t, &client, "POST", &gateway, call, 2);
    struct span server = make(i, 3, 2, SPAN_SERVER, start + 8 * NS_PER_MS, 84 * NS_PER_MS);
    server.status = fails ? STATUS_ERROR : STATUS_UNSET;
    server.status_message = fails ? SLICE("boom") : SLICE_EMPTY;
    server.events = &event;
    server.n_events = fails;
    add(t, &server, "POST /orders", &orders, entry, 3);
    struct span inner = make(i, 4, 3, SPAN_INTERNAL, start + 85 * NS_PER_MS, 2 * NS_PER_MS);
    add(t, &inner, "render", &orders, NULL, 0);
    add_queries(t, i, start);
}

static void add_line(struct ingest_txn *t, unsigned checkout, int64_t time_ns, unsigned severity,
                     const char *text, const char *body) {
    static const struct attribute where[] = {TEXT("code.function.name", "place_order"),
                                             NUMBER("code.line.number", 42),
                                             TEXT("exception.stacktrace", "File \"a.py\", line 3")};
    struct log_record l = {
            .time_ns = time_ns, .observed_ns = time_ns, .severity = (uint8_t) severity};
    struct error e = ERROR_NONE;

    put_trace_id(l.trace_id, checkout);
    l.span_id[0] = (uint8_t) (checkout + 1);
    l.span_id[7] = 3;
    l.severity_text = slice_from(text);
    l.body = (struct value){.type = VALUE_STRING, .text = slice_from(body)};
    l.attributes = (struct attributes){where, severity >= 17 ? 3 : 2, 0};
    l.resource = &orders;
    l.scope = &scope;
    if (ingest_log(t, &l, &e) < 0)
        fail_msg("log: %s", e.text);
}

void shop_fill(struct ingest *g, int64_t end_ns) {
    finish_resources();
    struct ingest_txn *t = txn_begin(g, 1 << 20);
    for (unsigned i = 0; i < SHOP_CHECKOUTS; i++) {
        int64_t start = end_ns - (SHOP_CHECKOUTS - i) * NS_PER_S;
        add_checkout(t, i, start);
        add_line(t, i, start + 20 * NS_PER_MS, 9, "INFO", "order placed for customer 4711");
        if (i % 5 == 0)
            add_line(t, i, start + 91 * NS_PER_MS, 17, "ERROR", "Payment timed out: out of stock");
    }
    txn_commit(t);
}

void shop_log(struct ingest *g, int64_t time_ns, const char *body) {
    struct ingest_txn *t = txn_begin(g, 1000);

    add_line(t, 0, time_ns, 13, "WARN", body);
    txn_commit(t);
}
