/*
 * The storage part alone: realistic spans (traces of a shop: six services, about eight spans each,
 * seven attributes) through native blocks and durable commits. Prints rows a second by the clock
 * and by this process's CPU, bytes a span of every table after merging, and how long the usual
 * questions take.
 *
 *     bench_store [--spans N] [--batch N] [--threads N] [--dir D] [--no-fsync] [--clickhouse URL]
 * [--idle]
 *                 [--questions]   only ask, of the data in D
 *
 * The engine's library comes from $VARAN_ENGINE_LIB or the usual places. Leaves its data in D
 * (default: a folder under /tmp that is removed).
 */
#include "base/clock.h"
#include "random.h"
#include "signal/columns.h"
#include "store/store.h"

#include <ftw.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define SPANS_PER_SECOND 2000 /* of simulated time */
#define SERVICES 6u

static uint64_t spans_total = 1000000, batch_spans = 5000, threads = 2;
static bool durable = true;
static const char *dir, *clickhouse;
static int64_t begin_ns;

/* Log-normal around `median_ns`. */
static uint64_t duration(struct random *r, double median_ns) {
    double sum = 0;

    for (int i = 0; i < 6; i++)
        sum += (double) random_below(r, 1000000) / 1e6;
    return (uint64_t) (median_ns * exp((sum - 3) * 0.9));
}

static const char *const services[SERVICES] = {"gateway",  "orders", "catalog",
                                               "payments", "users",  "search"};
static const char *const operations[SERVICES][5] = {
        {"GET /", "POST /checkout", "GET /products/{id}", "GET /search",
         "GET /account/{id}/orders"},
        {"GET /orders", "POST /orders", "GET /customers/{id}/history", "GET /best",
         "GET /carts/{id}"},
        {"GET /products", "GET /products/{id}", "GET /categories", "GET /prices",
         "GET /stock/{id}"},
        {"POST /charges", "POST /refunds", "GET /methods/{id}", "POST /hooks", "GET /charges/{id}"},
        {"GET /users/{id}", "POST /login", "GET /sessions", "GET /preferences", "GET /addresses"},
        {"GET /query", "GET /suggest", "POST /index", "GET /synonyms", "GET /related/{id}"},
};
static const char *const statements[] = {
        "SELECT id, name, price_cents, stock FROM products WHERE id = ?",
        "SELECT o.id, o.placed_at FROM orders o WHERE o.customer_id = ? ORDER BY o.placed_at DESC",
        "INSERT INTO order_items (order_id, product_id, quantity) VALUES (?)",
        "UPDATE products SET stock = stock - ? WHERE id = ? AND stock > ?",
        "SELECT u.id, u.email FROM users u JOIN sessions s ON s.user_id = u.id WHERE s.token = ?",
        "SELECT count(*) FROM orders WHERE placed_at > ? AND customer_id IN (?)",
};

struct maker {
    struct random r;
    struct native_block *spans;
    unsigned n_attributes;
};

static void check(int r) {
    if (r < 0) {
        fprintf(stderr, "bench_store: %s\n", error_name(r));
        exit(1);
    }
}

static void attribute(struct maker *m, const char *key, const char *value) {
    check(native_map_entry(m->spans, SPANS_ATTRIBUTES, slice_from(key), slice_from(value)));
    check(native_array_item(m->spans, SPANS_ATTRIBUTE_TYPES, 1));
}

struct ids {
    uint8_t trace[16], span[8], parent[8];
};

static void text(struct maker *m, unsigned c, const char *s) {
    check(native_put_string(m->spans, c, slice_from(s)));
}

static void number(struct maker *m, unsigned c, uint64_t v) {
    check(native_put_u64(m->spans, c, v));
}

static void put_server(struct maker *m, unsigned operation, bool failed) {
    char value[96];

    text(m, SPANS_HTTP_METHOD, operation == 1 ? "POST" : "GET");
    text(m, SPANS_HTTP_ROUTE, "/products/{id}");
    number(m, SPANS_HTTP_STATUS, failed ? 500 : 200);
    text(m, SPANS_DB_SYSTEM, "");
    text(m, SPANS_DB_STATEMENT, "");
    attribute(m, "http.request.method", operation == 1 ? "POST" : "GET");
    attribute(m, "http.route", "/products/{id}");
    snprintf(value, sizeof(value), "/products/%u", random_below(&m->r, 5000));
    attribute(m, "url.path", value);
    attribute(m, "url.scheme", "http");
    attribute(m, "http.response.status_code", failed ? "500" : "200");
    snprintf(value, sizeof(value), "10.2.%u.%u", random_below(&m->r, 4), random_below(&m->r, 250));
    attribute(m, "client.address", value);
    attribute(m, "user_agent.original",
              "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0");
}

static void put_client(struct maker *m) {
    char value[96];

    text(m, SPANS_HTTP_METHOD, "GET");
    text(m, SPANS_HTTP_ROUTE, "");
    number(m, SPANS_HTTP_STATUS, 200);
    text(m, SPANS_DB_SYSTEM, "");
    text(m, SPANS_DB_STATEMENT, "");
    attribute(m, "http.request.method", "GET");
    attribute(m, "server.address", "orders");
    attribute(m, "server.port", "8080");
    snprintf(value, sizeof(value), "http://orders:8080/%u", random_below(&m->r, 5000));
    attribute(m, "url.full", value);
    attribute(m, "http.response.status_code", "200");
    attribute(m, "network.protocol.version", "1.1");
}

static void put_query(struct maker *m) {
    const char *statement = statements[random_below(&m->r, 6)];
    char value[256];

    text(m, SPANS_HTTP_METHOD, "");
    text(m, SPANS_HTTP_ROUTE, "");
    number(m, SPANS_HTTP_STATUS, 0);
    text(m, SPANS_DB_SYSTEM, "postgresql");
    text(m, SPANS_DB_STATEMENT, statement);
    attribute(m, "db.system.name", "postgresql");
    attribute(m, "db.namespace", "shop");
    attribute(m, "db.query.text", statement); /* scrubbed: the literals are gone */
    attribute(m, "db.operation.name", "SELECT");
    attribute(m, "server.address", "db-1");
    attribute(m, "code.file.path", "/srv/shop/orders/views.py");
    snprintf(value, sizeof(value), "%u", 40 + random_below(&m->r, 200));
    attribute(m, "code.line.number", value);
}

enum what { SERVER, CLIENT, QUERY };

static void put_span(struct maker *m, const struct ids *ids, bool root, unsigned service,
                     enum what what, int64_t start, uint64_t length) {
    static const uint8_t zeros[8];
    unsigned operation = random_below(&m->r, 5);
    bool failed = what == SERVER && random_below(&m->r, 50) == 0;

    number(m, SPANS_TS, (uint64_t) start);
    number(m, SPANS_DURATION_NS, length);
    check(native_put_fixed(m->spans, SPANS_TRACE_ID, ids->trace));
    check(native_put_fixed(m->spans, SPANS_SPAN_ID, ids->span));
    check(native_put_fixed(m->spans, SPANS_PARENT_SPAN_ID, root ? zeros : ids->parent));
    text(m, SPANS_SERVICE, services[service]);
    text(m, SPANS_NAME,
         what == SERVER   ? operations[service][operation]
         : what == CLIENT ? "GET"
                          : "SELECT shop");
    number(m, SPANS_KIND, what == SERVER ? 2 : 3);
    number(m, SPANS_STATUS, failed ? 2 : 0);
    text(m, SPANS_STATUS_MESSAGE, "");
    number(m, SPANS_ENTRY, what == SERVER);
    number(m, SPANS_RESOURCE_ID, 0x9e3779b97f4a7c15ull * (service + 1));
    text(m, SPANS_SCOPE,
         what == QUERY ? "opentelemetry.instrumentation.sqlalchemy"
                       : "opentelemetry.instrumentation.flask");
    text(m, SPANS_SCOPE_VERSION, "0.66b0");
    if (what == SERVER)
        put_server(m, operation, failed);
    else if (what == CLIENT)
        put_client(m);
    else
        put_query(m);
    text(m, SPANS_PEER, what == SERVER ? "" : what == CLIENT ? "orders" : "postgresql");
    text(m, SPANS_EXCEPTION_TYPE, failed ? "ValueError" : "");
    check(native_close(m->spans, SPANS_ATTRIBUTES));
    check(native_close(m->spans, SPANS_ATTRIBUTE_TYPES));
    text(m, SPANS_EVENTS,
         failed ? "[{\"time_ns\": \"1700000000000000000\", \"name\": \"exception\", "
                  "\"attributes\": {\"exception.type\": \"ValueError\"}}]"
                : "");
    text(m, SPANS_LINKS, "");
    text(m, SPANS_TRACE_STATE, "");
    number(m, SPANS_FLAGS, 0x101);
    number(m, SPANS_DROPPED, 0);
    native_block_end_row(m->spans);
}

static void id(struct random *r, uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t v = random_next(r);
        memcpy(to + i, &v, 8);
    }
}

static void put_trace_row(struct native_block *b, const uint8_t *trace, int64_t start,
                          uint64_t length, uint64_t spans, unsigned root, unsigned other,
                          unsigned operation) {
    check(native_put_u64(b, TRACES_DAY, (uint64_t) (start / NS_PER_S / 86400)));
    check(native_put_fixed(b, TRACES_TRACE_ID, trace));
    check(native_put_u64(b, TRACES_START, (uint64_t) start));
    check(native_put_u64(b, TRACES_END, (uint64_t) start + length));
    check(native_put_u64(b, TRACES_SPANS, spans));
    check(native_put_u64(b, TRACES_ERRORS, 0));
    check(native_put_string(b, TRACES_ROOT_SERVICE, slice_from(services[root])));
    check(native_put_string(b, TRACES_ROOT_NAME, slice_from(operations[root][operation])));
    check(native_put_u64(b, TRACES_ROOT_KIND, 2));
    check(native_put_u64(b, TRACES_ROOT_DURATION_NS, length));
    check(native_put_u64(b, TRACES_ROOT_STATUS, 0));
    check(native_array_text(b, TRACES_SERVICES, slice_from(services[root])));
    check(native_array_text(b, TRACES_SERVICES, slice_from(services[other])));
    check(native_close(b, TRACES_SERVICES));
    native_block_end_row(b);
}

/* One trace of about eight spans at `at`; returns how many. */
static size_t put_trace(struct maker *m, struct native_block *traces, int64_t at) {
    struct ids ids;
    size_t n = 0;
    unsigned other = 1 + random_below(&m->r, SERVICES - 1);
    uint64_t length = duration(&m->r, 40e6);

    id(&m->r, ids.trace, 16);
    id(&m->r, ids.parent, 8);
    for (unsigned part = 0; part < 2; part++) {
        unsigned service = part ? other : 0, queries = 1 + random_below(&m->r, 4);
        int64_t start = at + (part ? (int64_t) length / 4 : 0);
        uint64_t part_length = part ? length / 2 : length;
        id(&m->r, ids.span, 8);
        put_span(m, &ids, part == 0, service, SERVER, start, part_length);
        memcpy(ids.parent, ids.span, 8);
        n++;
        for (unsigned i = 0; i < queries; i++, n++) {
            id(&m->r, ids.span, 8);
            put_span(m, &ids, false, service, QUERY,
                     start + (int64_t) (part_length * (i + 1) / (queries + 2)),
                     duration(&m->r, 1.2e6));
        }
        if (part == 0) {
            id(&m->r, ids.span, 8);
            put_span(m, &ids, false, service, CLIENT, start + 1000000, length / 2);
            memcpy(ids.parent, ids.span, 8);
            n++;
        }
    }
    put_trace_row(traces, ids.trace, at, length, n, 0, other, random_below(&m->r, 5));
    return n;
}

/* Derived rows of one request: RED per service and operation, edges. */
static void put_derived(struct random *r, struct store_batch *b, int64_t at) {
    struct native_block *red = store_batch_block(b, TABLE_RED),
                        *edges = store_batch_block(b, TABLE_EDGES);
    uint64_t ts = (uint64_t) (at / NS_PER_S / 10 * 10);

    for (unsigned i = 0; i < SERVICES * 7; i++) {
        check(native_put_u64(red, RED_TS, ts));
        check(native_put_string(red, RED_SERVICE, slice_from(services[i / 7])));
        check(native_put_string(red, RED_OPERATION,
                                slice_from(i % 7 < 5 ? operations[i / 7][i % 7] : "SELECT shop")));
        check(native_put_u64(red, RED_KIND, i % 7 < 5 ? 2 : 3));
        check(native_put_u64(red, RED_STATUS, i % 7 == 6 ? 2 : 0));
        check(native_put_u64(red, RED_ENTRY, i % 7 < 5));
        check(native_put_u64(red, RED_COUNT, 20));
        check(native_put_u64(red, RED_SUM_NS, 20 * 1000000));
        check(native_put_u64(red, RED_MAX_NS, 5000000));
        for (int16_t k = 0; k < 20; k++)
            check(native_sketch_entry(red, RED_SKETCH, (int16_t) (600 + k * 7 + random_below(r, 7)),
                                      1));
        check(native_close(red, RED_SKETCH));
        native_block_end_row(red);
    }
    for (unsigned i = 1; i < SERVICES; i++) {
        check(native_put_u64(edges, EDGES_TS, ts));
        check(native_put_string(edges, EDGES_CLIENT, slice_from(services[0])));
        check(native_put_string(edges, EDGES_SERVER, slice_from(services[i])));
        check(native_put_string(edges, EDGES_SERVER_TYPE, SLICE("service")));
        check(native_put_string(edges, EDGES_SYSTEM, SLICE("")));
        check(native_put_u64(edges, EDGES_COUNT, 20));
        check(native_put_u64(edges, EDGES_ERRORS, 0));
        check(native_put_u64(edges, EDGES_SUM_NS, 20 * 1000000));
        check(native_put_u64(edges, EDGES_MAX_NS, 5000000));
        for (int16_t k = 0; k < 20; k++)
            check(native_sketch_entry(edges, EDGES_SKETCH,
                                      (int16_t) (600 + k * 7 + random_below(r, 7)), 1));
        check(native_close(edges, EDGES_SKETCH));
        native_block_end_row(edges);
    }
}

/* ---- Senders: each waits for its answer before the next request, several in flight ---- */

#define IN_FLIGHT 24u

static struct store *store;
static atomic_uint_fast64_t sent, made_ns, failed;

struct sender {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    unsigned in_flight;
};

static void on_done(void *ctx, int result) {
    struct sender *s = ctx;

    if (result < 0)
        atomic_fetch_add(&failed, 1);
    pthread_mutex_lock(&s->lock);
    s->in_flight--;
    pthread_cond_signal(&s->answered);
    pthread_mutex_unlock(&s->lock);
}

static int64_t thread_cpu_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void *sender_main(void *arg) {
    struct sender s = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct maker m = {.r = {(uint64_t) (uintptr_t) arg}};

    while (atomic_load(&sent) < spans_total) {
        struct store_batch *b;
        pthread_mutex_lock(&s.lock);
        while (s.in_flight >= IN_FLIGHT / threads)
            pthread_cond_wait(&s.answered, &s.lock);
        s.in_flight++;
        pthread_mutex_unlock(&s.lock);
        while (store_batch_acquire(store, batch_spans * 400, &b) == -EAGAIN)
            usleep(1000);
        int64_t cpu = thread_cpu_ns();
        m.spans = store_batch_block(b, TABLE_SPANS);
        size_t n = 0, first = atomic_fetch_add(&sent, batch_spans);
        while (n < batch_spans) {
            int64_t at = begin_ns + (int64_t) (first + n) * (NS_PER_S / SPANS_PER_SECOND);
            n += put_trace(&m, store_batch_block(b, TABLE_TRACES), at);
        }
        put_derived(&m.r, b, begin_ns + (int64_t) first * (NS_PER_S / SPANS_PER_SECOND));
        atomic_fetch_add(&made_ns, (uint64_t) (thread_cpu_ns() - cpu));
        store_batch_commit(b, on_done, &s);
    }
    pthread_mutex_lock(&s.lock);
    while (s.in_flight)
        pthread_cond_wait(&s.answered, &s.lock);
    pthread_mutex_unlock(&s.lock);
    return NULL;
}

/* ---- Questions ---- */

static void ask(const char *name, const char *sql, const struct store_param *params, size_t n,
                struct buffer *ret) {
    struct store_limits limits = {.timeout_ns = 60 * NS_PER_S,
                                  .memory_bytes_max = (size_t) 4 << 30};
    struct error e = ERROR_NONE;
    int64_t best = INT64_MAX, first = 0;

    for (int i = 0; i < 5; i++) {
        int64_t start = clock_monotonic_ns();
        buffer_clear(ret);
        if (store_query(store, sql, params, n, "TSV", &limits, ret, &e) < 0) {
            fprintf(stderr, "%s: %s\n", name, e.text);
            exit(1);
        }
        int64_t took = clock_monotonic_ns() - start;
        if (i == 0)
            first = took;
        if (took < best)
            best = took;
    }
    if (name)
        printf("%-34s %8.2f ms (first %.2f)\n", name, (double) best / 1e6, (double) first / 1e6);
}

static void questions(void) {
    struct buffer answer;

    buffer_init(&answer, 64 << 20);
    ask(NULL, "SELECT hex(trace_id) FROM traces LIMIT 1 OFFSET 1000", NULL, 0, &answer);
    char hex[33] = {0};
    memcpy(hex, answer.data, answer.size < 32 ? answer.size : 32);
    struct store_param id_param = {"id", slice_from(hex)};
    ask("trace by id, traces then spans",
        "WITH (SELECT (min(start), max(end)) FROM traces WHERE trace_id = unhex({id:String})) AS w "
        "SELECT * FROM spans WHERE ts >= w.1 AND ts <= w.2 AND trace_id = unhex({id:String})",
        &id_param, 1, &answer);
    ask("trace by id, spans alone", "SELECT * FROM spans WHERE trace_id = unhex({id:String})",
        &id_param, 1, &answer);
    ask("recent 50 entry spans",
        "SELECT ts, service, name, duration_ns, hex(trace_id) FROM spans WHERE ts > (SELECT "
        "max(ts) FROM "
        "spans) - INTERVAL 15 MINUTE AND entry ORDER BY ts DESC LIMIT 50",
        NULL, 0, &answer);
    ask("slowest 50 of a service",
        "SELECT ts, name, duration_ns FROM spans WHERE service = 'orders' ORDER BY duration_ns "
        "DESC LIMIT 50",
        NULL, 0, &answer);
    ask("RED from spans, all",
        "SELECT service, name, count(), countIf(status = 2), quantilesDD(0.01, 0.5, "
        "0.99)(duration_ns) "
        "FROM spans GROUP BY service, name",
        NULL, 0, &answer);
    ask("RED from red, all",
        "SELECT service, operation, sum(count), sumMap(sketch) FROM red GROUP BY service, "
        "operation",
        NULL, 0, &answer);
    ask("attribute facet",
        "SELECT attributes['http.response.status_code'] AS v, count() FROM spans GROUP BY v", NULL,
        0, &answer);
    buffer_done(&answer);
}

static void sizes(void) {
    struct error e = ERROR_NONE;
    struct buffer answer;
    static const char *const names[] = {"spans", "traces", "red", "edges"};

    for (size_t i = 0; i < 4; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "OPTIMIZE TABLE %s FINAL", names[i]);
        if (store_execute(store, sql, &e) < 0)
            fprintf(stderr, "%s\n", e.text);
    }
    buffer_init(&answer, 1 << 20);
    store_query(
            store,
            "WITH (SELECT count() FROM spans) AS n SELECT table, sum(rows), "
            "round(sum(bytes_on_disk) "
            "/ n, 2) FROM system.parts WHERE active AND database = currentDatabase() AND rows > 0 "
            "GROUP BY table ORDER BY 3 DESC",
            NULL, 0, "TSV", NULL, &answer, NULL);
    printf("table, rows, bytes per span:\n%.*s", SLICE_ARG(buffer_slice(&answer)));
    buffer_clear(&answer);
    store_query(
            store,
            "WITH (SELECT count() FROM spans) AS n SELECT name, round(data_compressed_bytes / n, "
            "3) "
            "AS b FROM system.columns WHERE database = currentDatabase() AND table = 'spans' UNION "
            "ALL SELECT 'index ' || name, round(data_compressed_bytes / n, 3) FROM "
            "system.data_skipping_indices WHERE database = currentDatabase() AND table = 'spans' "
            "ORDER BY b DESC",
            NULL, 0, "TSV", NULL, &answer, NULL);
    printf("column of spans, bytes per span:\n%.*s", SLICE_ARG(buffer_slice(&answer)));
    buffer_done(&answer);
}

/* ---- Main ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static long anonymous_kb(void) {
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "RssAnon: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static void run(void) {
    pthread_t ids[64];
    int64_t start = clock_monotonic_ns(), cpu = clock_cpu_ns();

    for (uint64_t i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, sender_main, (void *) (uintptr_t) (i + 1));
    for (uint64_t i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double wall = (double) (clock_monotonic_ns() - start) / NS_PER_S;
    double used = (double) (clock_cpu_ns() - cpu) / NS_PER_S;
    struct store_stats st;
    store_read_stats(store, &st);
    printf("spans %llu, requests of %llu, %llu threads, fsync %s, engine %s (%s)\n",
           (unsigned long long) st.rows[TABLE_SPANS], (unsigned long long) batch_spans,
           (unsigned long long) threads, durable ? "on" : "off", st.engine_version, st.transport);
    printf("wall %.2f s: %.0f spans/s; process CPU %.2f s: %.0f spans/s per core (making rows %.2f "
           "s)\n",
           wall, (double) st.rows[TABLE_SPANS] / wall, used, (double) st.rows[TABLE_SPANS] / used,
           (double) atomic_load(&made_ns) / 1e9);
    printf("commits %llu (%llu failed), %.1f ms each, anonymous memory %ld MB\n",
           (unsigned long long) st.commits, (unsigned long long) st.commit_failures,
           st.commits ? st.commit_seconds_sum * 1e3 / (double) st.commits : 0,
           anonymous_kb() >> 10);
    if (*st.last_error)
        printf("last error: %s\n", st.last_error);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
            {"spans", required_argument, NULL, 'n'},
            {"batch", required_argument, NULL, 'b'},
            {"threads", required_argument, NULL, 't'},
            {"dir", required_argument, NULL, 'd'},
            {"no-fsync", no_argument, NULL, 'f'},
            {"clickhouse", required_argument, NULL, 'c'},
            {"questions", no_argument, NULL, 'q'},
            {"idle", no_argument, NULL, 'i'},
            {0},
    };
    char temporary[] = "/tmp/varan-bench-XXXXXX";
    struct error e = ERROR_NONE;
    struct store_options o;
    bool only_questions = false, idle = false;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': check(slice_to_u64(slice_from(optarg), &spans_total)); break;
        case 'b': check(slice_to_u64(slice_from(optarg), &batch_spans)); break;
        case 't': check(slice_to_u64(slice_from(optarg), &threads)); break;
        case 'd': dir = optarg; break;
        case 'f': durable = false; break;
        case 'c': clickhouse = optarg; break;
        case 'i': idle = true; break;
        case 'q': only_questions = true; break;
        default: return 2;
        }
    }
    threads = threads > 64 ? 64 : threads ? threads : 1;
    store_options_default(&o);
    o.durable = durable;
    o.data_dir = dir ? dir : mkdtemp(temporary);
    o.clickhouse_url = clickhouse;
    begin_ns = clock_now_ns() / NS_PER_S * NS_PER_S -
               (int64_t) (spans_total / SPANS_PER_SECOND) * NS_PER_S;
    int64_t start = clock_monotonic_ns();
    if (store_open(&o, &store, &e) < 0) {
        fprintf(stderr, "bench_store: %s\n", e.text);
        return 1;
    }
    printf("opened in %.0f ms, anonymous memory %ld MB\n",
           (double) (clock_monotonic_ns() - start) / 1e6, anonymous_kb() >> 10);
    if (!only_questions) {
        run();
        sizes();
    }
    questions();
    if (idle) {
        sleep(8); /* longer than the writer waits before it gives memory back */
        printf("after 8 s idle: anonymous memory %ld MB\n", anonymous_kb() >> 10);
    }
    store_close(store);
    if (!dir)
        nftw(temporary, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return atomic_load(&failed) != 0;
}
