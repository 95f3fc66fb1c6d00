/*
 * PromQL: parses the input; what parses must print to a text that parses to itself, and evaluates
 * against a small store, as an instant and as a range query, within tight limits.
 */
#include "query/promql/labels.h"
#include "query/promql/memstore.h"

static struct memstore *store;

static void add_series(const char *name, const char *le, double step) {
    struct promql_label items[3] = {{SLICE("__name__"), slice_from(name)},
                                    {SLICE("job"), SLICE("x")},
                                    {SLICE("le"), slice_from(le)}};
    struct promql_labels l = {*le ? 3 : 2, 0, items};

    l.hash = promql_labels_hash(items, l.n);
    for (int i = 0; i < 20; i++)
        if (memstore_add(store, &l, i * 10000, i * step, i % 3 ? i * 10000 - 5000 : 0) < 0)
            abort();
}

static void add_histograms(const char *name, int32_t schema, enum promql_reset_hint hint) {
    static const double bounds[] = {1, 2};
    struct promql_label items[2] = {{SLICE("__name__"), slice_from(name)},
                                    {SLICE("job"), SLICE("x")}};
    struct promql_labels l = {2, promql_labels_hash(items, 2), items};
    int32_t index[] = {0, 1, 2};

    for (int i = 0; i < 20; i++) {
        double count[] = {i, 2 * i, i % 7};
        struct promql_histogram h = {.count = 3 * i + i % 7,
                                     .sum = i % 5 ? 5 * i : __builtin_nan(""),
                                     .schema = schema,
                                     .hint = hint,
                                     .positive = {3, index, count}};

        if (schema == PROMQL_SCHEMA_CUSTOM) {
            h.custom = bounds;
            h.n_custom = 2;
        } else {
            h.negative = (struct promql_buckets){2, index, count};
        }
        if (memstore_add_histogram(store, &l, i * 10000, &h, 0) < 0)
            abort();
    }
}

static void prepare(void) {
    if (store)
        return;
    store = memstore_new(10u << 20);
    if (!store)
        abort();
    add_series("a", "", 1);
    add_series("b", "", -2);
    add_series("c_bucket", "1", 1);
    add_series("c_bucket", "+Inf", 2);
    add_series("target_info", "", 0);
    add_histograms("h", 0, PROMQL_RESET_UNKNOWN);
    add_histograms("g", 3, PROMQL_GAUGE);
    add_histograms("n", PROMQL_SCHEMA_CUSTOM, PROMQL_RESET_UNKNOWN);
    add_histograms("a", 1, PROMQL_RESET_UNKNOWN); /* floats and histograms at the same times */
    if (memstore_commit(store) < 0)
        abort();
}

static void evaluate(const struct promql_query *q) {
    struct promql_options o = {.timeout_ms = 500,
                               .memory_bytes_max = 16u << 20,
                               .samples_max = 200000,
                               .steps_max = 100};
    struct promql_result *res = NULL;
    struct promql_error e;

    if (promql_eval_instant(q, memstore_source(store), 120000, &o, &res, &e) == 0)
        promql_result_free(res);
    else if (!e.text[0])
        abort();
    res = NULL;
    if (promql_eval_range(q, memstore_source(store), 0, 200000, 20000, &o, &res, &e) == 0)
        promql_result_free(res);
    else if (!e.text[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct promql_query *q, *again;
    struct promql_error e;
    struct buffer once, twice;

    prepare();
    if (size > 4096)
        return 0;
    if (promql_parse(slice_new(data, size), &q, &e) < 0) {
        if (!e.text[0])
            abort();
        return 0;
    }
    buffer_init(&once, 1u << 20);
    buffer_init(&twice, 1u << 20);
    promql_format(q, &once);
    if (!once.failed) {
        if (promql_parse(buffer_slice(&once), &again, &e) < 0)
            abort();
        promql_format(again, &twice);
        if (!slice_equal(buffer_slice(&once), buffer_slice(&twice)))
            abort();
        promql_query_free(again);
    }
    buffer_clear(&once);
    promql_pretty(q, &once);
    promql_tree_json(q, &twice);
    buffer_done(&once);
    buffer_done(&twice);
    evaluate(q);
    promql_query_free(q);
    return 0;
}
