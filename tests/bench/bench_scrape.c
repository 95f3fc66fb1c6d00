/*
 * How fast scraped text becomes samples: the reader alone, and the whole way of a steady scrape
 * into blocks in memory. Usage: bench_scrape [SERIES] [ROUNDS]
 */
#include "base/clock.h"
#include "memory_store.h"
#include "receive/scrape_private.h"

#include <stdio.h>

static void write_body(struct buffer *to, unsigned series, unsigned round) {
    for (unsigned i = 0; i < series; i++) {
        if (i % 20 == 0)
            buffer_printf(to,
                          "# HELP http_requests_%u_total Requests that were answered.\n# TYPE "
                          "http_requests_%u_total counter\n",
                          i / 20, i / 20);
        buffer_printf(
                to,
                "http_requests_%u_total{method=\"GET\",handler=\"/api/v1/items\",code=\"%u\"} "
                "%u.%u\n",
                i / 20, 200 + i % 20, i * 7 + round, round % 10);
    }
}

static double read_all(struct slice body, unsigned rounds) {
    int64_t start = clock_cpu_ns();

    for (unsigned i = 0; i < rounds; i++) {
        struct prometheus_text p;
        struct prometheus_entry entry;
        prometheus_text_init(&p, body, PROMETHEUS_TEXT);
        while (prometheus_text_next(&p, &entry) == 0 && entry.kind != PROMETHEUS_END)
            ;
    }
    return (double) (clock_cpu_ns() - start) / NS_PER_S;
}

static void ignore(void *ctx, int result) {
}

static double scrape_all(struct ingest *ingest, struct store *store, unsigned series,
                         unsigned rounds) {
    const struct label address = {SLICE("__address__"), SLICE("localhost:9100")};
    const struct scrape_discovered discovered = {&address, 1};
    struct scrape s = {.options = {.ingest = ingest}};
    struct scrape_config *c;
    struct scrape_target *t;
    struct scrape_result result;
    struct ingest_txn *txn;
    struct buffer body;
    struct error e = ERROR_NONE;
    unsigned retry;
    int64_t spent = 0;

    scrape_config_new(&c);
    c->global.name = "bench";
    if (scrape_target_new(&s, c, &c->global, &discovered, &t, &e) != 1)
        exit(1);
    buffer_init(&body, (size_t) 1 << 30);
    for (unsigned i = 0; i <= rounds; i++) {
        buffer_clear(&body);
        write_body(&body, series, i);
        t->time_ms = clock_now_ns() / NS_PER_MS + i * 15000;
        int64_t start = clock_cpu_ns();
        if (ingest_begin(ingest, body.size, &txn, &retry) < 0 ||
            scrape_append(t, buffer_slice(&body), PROMETHEUS_TEXT, txn, &result) < 0) {
            fprintf(stderr, "%s\n", result.error);
            exit(1);
        }
        ingest_commit(txn, ignore, NULL);
        if (i) /* the first one makes the series */
            spent += clock_cpu_ns() - start;
    }
    buffer_done(&body);
    scrape_target_unref(t);
    scrape_config_unref(c);
    return (double) spent / NS_PER_S;
}

int main(int argc, char **argv) {
    uint64_t series = 10000, rounds = 50;
    struct ingest_options o = {.scrub = true};
    struct ingest *ingest;
    struct buffer body;
    struct error e;

    if (argc > 1)
        slice_to_u64(slice_from(argv[1]), &series);
    if (argc > 2)
        slice_to_u64(slice_from(argv[2]), &rounds);
    buffer_init(&body, (size_t) 1 << 30);
    write_body(&body, (unsigned) series, 1);
    double read_s = read_all(buffer_slice(&body), (unsigned) rounds);
    printf("text reader  %8.0f MB/s  %8.2f million samples/s\n",
           (double) body.size * (double) rounds / read_s / 1e6,
           (double) (series * rounds) / read_s / 1e6);
    buffer_done(&body);
    o.store = memory_store_new();
    if (ingest_new(&o, &ingest, &e) < 0)
        return 1;
    double scrape_s = scrape_all(ingest, o.store, (unsigned) series, (unsigned) rounds);
    printf("whole scrape %8s       %8.2f million samples/s of one core\n", "",
           (double) (series * rounds) / scrape_s / 1e6);
    ingest_stop(ingest);
    ingest_free(ingest);
    memory_store_free(o.store);
    return 0;
}
