/*
 * Times PromQL over samples in memory: bench_promql [SERIES [STEPS]] (default 10,000 × 240 steps of
 * 15 s, one sample each). Prints CPU milliseconds of the best of three runs per query. No storage
 * is involved.
 */
#include "base/clock.h"
#include "query/promql/labels.h"
#include "query/promql/memstore.h"

#define SCRAPE_MS 15000
#define BUCKETS 40
#define LEAD 40 /* samples before the first step, for the ranges */

static const struct {
    const char *name, *query;
} queries[] = {
        {"select", "requests_total"},
        {"rate", "rate(requests_total[5m])"},
        {"sum by (rate)", "sum by (service) (rate(requests_total[5m]))"},
        {"increase 1m", "increase(requests_total[1m])"},
        {"avg_over_time", "avg_over_time(requests_total[5m])"},
        {"max_over_time", "max_over_time(requests_total[5m])"},
        {"quantile", "quantile by (service) (0.9, requests_total)"},
        {"topk", "topk(10, rate(requests_total[5m]))"},
        {"ratio", "sum by (service) (rate(requests_total{code=\"500\"}[5m])) / sum by (service) "
                  "(rate(requests_total[5m]))"},
        {"vector match", "requests_total / on (service, pod, code) requests_total"},
        {"comparison", "requests_total > 1000"},
        {"subquery", "max_over_time(rate(requests_total{code=\"500\"}[1m])[5m:30s])"},
        {"histogram rate", "sum by (service) (rate(latency[5m]))"},
        {"histogram count", "histogram_count(sum(rate(latency[5m])))"},
        {"histogram p99", "histogram_quantile(0.99, sum by (service) (rate(latency[5m])))"},
        {"count by regex", "count by (code) (requests_total{service=~\"svc-[0-9]\"})"},
};

static int fill(struct memstore *m, size_t n_series, size_t n_samples) {
    static const char *const codes[] = {"200", "404", "500", "503"};

    for (size_t i = 0; i < n_series; i++) {
        char service[32], pod[32];
        struct promql_label items[4] = {{SLICE("__name__"), SLICE("requests_total")}};
        double v = (double) (i * 7919 % 1000);

        snprintf(service, sizeof(service), "svc-%zu", i / 4 % 50);
        snprintf(pod, sizeof(pod), "pod-%zu", i / 4);
        items[1] = (struct promql_label){SLICE("code"), slice_from(codes[i % 4])};
        items[2] = (struct promql_label){SLICE("pod"), slice_from(pod)};
        items[3] = (struct promql_label){SLICE("service"), slice_from(service)};
        struct promql_labels l = {4, promql_labels_hash(items, 4), items};
        for (size_t k = 0; k < n_samples; k++) {
            v += (double) ((i + k * 31) % 17);
            if (k % 97 == 96 && i % 10 == 0)
                v = 0; /* a restart now and then */
            if (memstore_add(m, &l, (int64_t) k * SCRAPE_MS, v, 0) < 0)
                return -1;
        }
    }
    return memstore_commit(m);
}

/* Native histograms of 40 buckets that grow. */
static int fill_histograms(struct memstore *m, size_t n_series, size_t n_samples) {
    int32_t index[BUCKETS];
    double count[BUCKETS];

    for (int b = 0; b < BUCKETS; b++)
        index[b] = b - 10;
    for (size_t i = 0; i < n_series; i++) {
        char service[32], pod[32];
        struct promql_label items[3] = {{SLICE("__name__"), SLICE("latency")}};

        snprintf(service, sizeof(service), "svc-%zu", i % 50);
        snprintf(pod, sizeof(pod), "pod-%zu", i);
        items[1] = (struct promql_label){SLICE("pod"), slice_from(pod)};
        items[2] = (struct promql_label){SLICE("service"), slice_from(service)};
        struct promql_labels l = {3, promql_labels_hash(items, 3), items};
        memset(count, 0, sizeof(count));
        struct promql_histogram h = {.schema = 3, .positive = {BUCKETS, index, count}};
        for (size_t k = 0; k < n_samples; k++) {
            for (size_t b = 0; b < BUCKETS; b++)
                count[b] += (double) ((i + k + b) % 5);
            h.count += 2 * BUCKETS;
            h.sum += 100;
            if (memstore_add_histogram(m, &l, (int64_t) k * SCRAPE_MS, &h, 0) < 0)
                return -1;
        }
    }
    return memstore_commit(m);
}

static int run(struct memstore *m, const char *name, const char *text, size_t steps) {
    struct promql_options options = {.memory_bytes_max = (size_t) 4 << 30,
                                     .samples_max = 1000000000};
    struct promql_query *q;
    struct promql_result *res;
    struct promql_error e;
    int64_t from = LEAD * SCRAPE_MS, best = INT64_MAX;
    size_t columns = 0, memory = 0;

    if (promql_parse(slice_from(text), &q, &e) < 0) {
        fprintf(stderr, "%s: %s\n", name, e.text);
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        int64_t start = clock_cpu_ns();

        if (promql_eval_range(q, memstore_source(m), from, from + (int64_t) (steps - 1) * SCRAPE_MS,
                              SCRAPE_MS, &options, &res, &e) < 0) {
            fprintf(stderr, "%s: %s\n", name, e.text);
            return 1;
        }
        int64_t took = clock_cpu_ns() - start;
        best = took < best ? took : best;
        columns = res->n_columns;
        memory = res->memory_bytes;
        promql_result_free(res);
    }
    printf("%-16s %9.1f ms  %8zu series  %7.1f MiB\n", name, (double) best / 1e6, columns,
           (double) memory / (1 << 20));
    promql_query_free(q);
    return 0;
}

int main(int argc, char **argv) {
    uint64_t n_series = 10000, steps = 240;
    struct memstore *m = memstore_new((size_t) 8 << 30);
    int status = 0;

    if ((argc > 1 && slice_to_u64(slice_from(argv[1]), &n_series) < 0) ||
        (argc > 2 && slice_to_u64(slice_from(argv[2]), &steps) < 0) || steps == 0 || !m ||
        fill(m, n_series, LEAD + steps) < 0 ||
        fill_histograms(m, n_series / 20, LEAD + steps) < 0) {
        fprintf(stderr, "usage: bench_promql [SERIES [STEPS]]\n");
        return 2;
    }
    printf("%llu series, %llu steps\n", (unsigned long long) n_series, (unsigned long long) steps);
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
        status |= run(m, queries[i].name, queries[i].query, steps);
    memstore_free(m);
    return status;
}
