/*
 * The storage of metrics alone: a day (or --hours) of samples like a node exporter's, of many
 * targets, through ingest and durable commits. Prints, a line each, "name value": samples a second
 * by the clock and of this process's CPU, memory of the index per series, bytes a sample after
 * merging, and how long selects and queries take.
 *
 *     bench_samples [--targets N] [--series N] [--hours H] [--interval S] [--dir D] [--no-fsync]
 *                   [--labels]     look series up by their labels each time, as remote write does
 *                   [--questions]  only ask, of the data in D
 *                   [--downsample] and downsample what was written, as the server would
 *
 * --series: of one target. The engine's library comes from $VARAN_ENGINE_LIB or the usual places.
 * Leaves its data in D (default: a folder under /tmp that is removed).
 */
#include "base/clock.h"
#include "derive/ingest.h"
#include "derive/series.h"
#include "query/metrics_private.h"
#include "store/store.h"

#include <ftw.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define LABELS 5
#define REQUEST_TARGETS 10 /* in one transaction */

static unsigned targets = 100, series_per = 500, interval_s = 15;
static double hours = 1;
static bool durable = true, by_labels, only_questions, downsamples;
static const char *dir;

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t mix(uint64_t x) {
    uint64_t z = x + 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

struct one {
    struct ingest_series handle;
    char texts[LABELS][40];
    struct label labels[LABELS];
    unsigned n;
    unsigned kind; /* of 40: how its values go */
    double value;
};

static void make(struct one *o, unsigned target, unsigned number) {
    static const char *const parts[] = {"cpu", "disk", "network", "filesystem", "memory"};
    unsigned metric = number / 2; /* two devices of each */

    *o = (struct one){.kind = metric % 40,
                      .value = (double) (mix(number * 7919 + target) % 100000)};
    snprintf(o->texts[0], 40, "node_%s_metric_%u%s", parts[metric % 5], metric,
             o->kind >= 20 && o->kind < 32 ? "_total" : "");
    snprintf(o->texts[1], 40, "dev%u", number % 2);
    snprintf(o->texts[2], 40, "host-%04u.example:9100", target);
    const char *const names[] = {"__name__", "device", "instance", "job", "mode"};
    const char *const values[] = {o->texts[0], o->texts[1], o->texts[2], "node",
                                  number % 3 ? "system" : "user"};
    for (unsigned i = 0; i < LABELS; i++)
        o->labels[o->n++] = (struct label){slice_from(names[i]), slice_from(values[i])};
}

/* The next value: what a node exporter's metrics do, in about the shares that they have: half never
 * change, a quarter are counters, the rest gauges. */
static double step(struct one *o, uint64_t seed) {
    uint64_t r = mix(seed);

    if (o->kind < 20)
        return o->value;
    if (o->kind < 23) /* CPU seconds, hundredths */
        return o->value = round((o->value + (double) (r % 15) / 100) * 100) / 100;
    if (o->kind < 27)
        return o->value += (double) (r % 2000);
    if (o->kind < 30)
        return o->value += (double) (r % 200000);
    if (o->kind < 32)
        return o->value += r % 10 == 0;
    if (o->kind < 35) /* bytes in pages */
        return o->value = fabs(o->value + ((double) (r % 41) - 20) * 4096);
    if (o->kind < 37) /* load */
        return o->value = fabs(round((o->value + ((double) (r % 21) - 10) / 100) * 100) / 100);
    if (o->kind < 38)
        return o->value += interval_s;
    if (o->kind < 39)
        return (double) (r % 10000000) / 1e9;
    return (double) (r % 6);
}

/* ---- Waiting for commits ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned in_flight, failures;

static void done(void *ctx, int result) {
    pthread_mutex_lock(&lock);
    in_flight--;
    failures += result < 0;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_below(unsigned n) {
    pthread_mutex_lock(&lock);
    while (in_flight >= n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- Writing ---- */

static void fail(const char *what, const struct error *e) {
    fprintf(stderr, "bench_samples: %s: %s\n", what, e->text);
    fflush(stdout);
    _exit(1);
}

static void write_one(struct ingest_txn *t, struct one *o, int64_t time_ms, uint64_t seed) {
    struct sample s = {
            .labels = o->labels, .n_labels = o->n, .time_ms = time_ms, .value = step(o, seed)};
    struct error e = ERROR_NONE;
    int r = -ESTALE;

    if (!by_labels && o->handle.id)
        r = ingest_sample_by_id(t, &o->handle, &s, &e);
    if (r == -ESTALE && !by_labels) {
        r = ingest_series_lookup(t, o->labels, o->n, &o->handle, &e);
        if (r == 0)
            r = ingest_sample_by_id(t, &o->handle, &s, &e);
    } else if (by_labels) {
        r = ingest_sample(t, &s, &e);
    }
    if (r < 0)
        fail("a sample", &e);
}

static void write_targets(struct ingest *ingest, struct one *all, unsigned from, unsigned to,
                          int64_t time_ms) {
    struct ingest_txn *t;
    unsigned retry;

    while (ingest_begin(ingest, (to - from) * series_per * 24, &t, &retry) < 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    for (unsigned i = from; i < to; i++)
        for (unsigned j = 0; j < series_per; j++)
            write_one(t, &all[(size_t) i * series_per + j], time_ms + mix(i) % 15000,
                      (uint64_t) time_ms * 31 + i * 7919 + j);
    pthread_mutex_lock(&lock);
    in_flight++;
    pthread_mutex_unlock(&lock);
    ingest_commit(t, done, NULL);
}

static uint64_t write_all(struct ingest *ingest, int64_t from_ms, int64_t to_ms) {
    struct one *all = calloc((size_t) targets * series_per, sizeof(*all));
    uint64_t n = 0;

    if (!all)
        exit(1);
    for (unsigned i = 0; i < targets; i++)
        for (unsigned j = 0; j < series_per; j++)
            make(&all[(size_t) i * series_per + j], i, j);
    for (size_t i = 0; i < (size_t) targets * series_per; i++) /* made in place: texts stay */
        for (unsigned k = 0; k < 3; k++)
            all[i].labels[k].value = slice_from(all[i].texts[k]);
    for (int64_t t = from_ms; t < to_ms; t += interval_s * 1000)
        for (unsigned i = 0; i < targets; i += REQUEST_TARGETS) {
            unsigned end = i + REQUEST_TARGETS < targets ? i + REQUEST_TARGETS : targets;
            wait_below(32);
            write_targets(ingest, all, i, end, t);
            n += (end - i) * series_per;
        }
    wait_below(1);
    free(all);
    return n;
}

/* ---- Asking ---- */

static double number(struct store *store, const char *sql) {
    struct buffer b;
    struct error e = ERROR_NONE;
    struct store_limits limits = {.timeout_ns = 600 * NS_PER_S};

    buffer_init(&b, 1 << 20);
    if (store_query(store, sql, NULL, 0, "TSV", &limits, &b, &e) < 0)
        fail(sql, &e);
    double v = 0;
    slice_to_double(slice_trim(buffer_slice(&b)), &v);
    buffer_done(&b);
    return v;
}

static void ask(struct metrics *m, const char *name, const char *text, int64_t from_ms,
                int64_t to_ms, int64_t step_ms) {
    struct promql_query *q;
    struct promql_error e = {0};
    struct metrics_source source;
    double best = 1e9;

    if (promql_parse(slice_from(text), &q, &e) < 0)
        exit(1);
    for (int i = 0; i < 5; i++) {
        struct promql_options o = {.memory_bytes_max = (size_t) 2 << 30};
        struct promql_result *r = NULL;
        int64_t begin = clock_monotonic_ns();
        metrics_source_init(&source, m);
        if (promql_eval_range(q, &source.source, from_ms, to_ms, step_ms, &o, &r, &e) < 0) {
            fprintf(stderr, "%s: %s\n", text, e.text);
            fflush(stdout);
            _exit(1); /* the engine's threads are at work */
        }
        double took = (double) (clock_monotonic_ns() - begin) / 1e6;
        best = took < best ? took : best;
        promql_result_free(r);
    }
    printf("query_ms_%s %.1f   # %s: %llu series, %llu samples\n", name, best, text,
           (unsigned long long) source.series, (unsigned long long) source.samples);
    promql_query_free(q);
}

static void questions(struct metrics *m, int64_t from_ms, int64_t to_ms) {
    int64_t hour = to_ms - 3600000 > from_ms ? to_ms - 3600000 : from_ms;
    const char *const job = "{job=\"node\",__name__=~\"node_cpu_metric_[1-4]?[05](_total)?\"}";
    char text[300];

    snprintf(text, sizeof(text), "%s", job);
    ask(m, "select_hour", text, hour, to_ms, 15000);
    snprintf(text, sizeof(text), "sum by (instance) (rate(%s[5m]))", job);
    ask(m, "sum_rate_hour", text, hour, to_ms, 15000);
    ask(m, "one_metric_hour", "node_cpu_metric_20_total", hour, to_ms, 15000);
    ask(m, "sum_by_hour", "sum by (instance) (rate(node_cpu_metric_20_total[5m]))", hour, to_ms,
        15000);
    ask(m, "one_series_day", "node_cpu_metric_20_total{instance=\"host-0001.example:9100\"}",
        from_ms, to_ms, 60000);
    ask(m, "sum_rate_long", "sum(rate(node_cpu_metric_20_total[1h]))", from_ms / 3600000 * 3600000,
        to_ms / 3600000 * 3600000, 3600000);
}

/* ---- The program ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static void read_options(int argc, char **argv) {
    static const struct option options[] = {
            {"targets", required_argument, NULL, 't'}, {"series", required_argument, NULL, 's'},
            {"hours", required_argument, NULL, 'h'},   {"interval", required_argument, NULL, 'i'},
            {"dir", required_argument, NULL, 'd'},     {"no-fsync", no_argument, NULL, 'f'},
            {"labels", no_argument, NULL, 'l'},        {"questions", no_argument, NULL, 'q'},
            {"downsample", no_argument, NULL, 'D'},    {0}};

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (c) {
        case 't': targets = (unsigned) strtoul(optarg, NULL, 10); break;
        case 's': series_per = (unsigned) strtoul(optarg, NULL, 10); break;
        case 'h': hours = strtod(optarg, NULL); break;
        case 'i': interval_s = (unsigned) strtoul(optarg, NULL, 10); break;
        case 'd': dir = optarg; break;
        case 'f': durable = false; break;
        case 'l': by_labels = true; break;
        case 'q': only_questions = true; break;
        case 'D': downsamples = true; break;
        default: exit(2);
        }
    }
}

static void measure_writing(struct store *store, struct ingest *ingest, int64_t from_ms,
                            int64_t to_ms) {
    struct series_stats index;
    struct error e = ERROR_NONE;
    int64_t begin = clock_monotonic_ns(), cpu = clock_cpu_ns();
    uint64_t n = write_all(ingest, from_ms, to_ms);
    double took = (double) (clock_monotonic_ns() - begin) / 1e9;
    double used = (double) (clock_cpu_ns() - cpu) / 1e9;

    printf("samples %llu\nfailures %u\nsamples_per_second %.0f\nsamples_per_core %.0f\n",
           (unsigned long long) n, failures, (double) n / took, (double) n / used);
    series_read_stats(ingest_series(ingest), &index);
    printf("series %zu\nindex_bytes_per_series %.1f\n", index.series,
           (double) index.bytes / (double) index.series);
    printf("bytes_per_sample_unmerged %.3f\n",
           number(store,
                  "SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND table "
                  "= 'samples'") /
                   (double) n);
    if (store_execute(store, "OPTIMIZE TABLE samples FINAL", &e) < 0)
        fail("OPTIMIZE", &e);
    printf("bytes_per_sample %.3f\n",
           number(store,
                  "SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND table "
                  "= 'samples'") /
                   (double) n);
    static const char *const columns[] = {"id", "ts", "value"};
    for (int i = 0; i < 3; i++) {
        char sql[200];
        snprintf(sql, sizeof(sql),
                 "SELECT sum(column_data_compressed_bytes) FROM system.parts_columns WHERE active "
                 "AND table = 'samples' AND column = '%s'",
                 columns[i]);
        printf("bytes_per_sample_%s %.3f\n", columns[i], number(store, sql) / (double) n);
    }
}

static double merged_bytes(struct store *store, const char *table) {
    struct error e = ERROR_NONE;
    char sql[200];

    snprintf(sql, sizeof(sql), "OPTIMIZE TABLE %s FINAL", table);
    if (store_execute(store, sql, &e) < 0)
        fail(table, &e);
    snprintf(sql, sizeof(sql),
             "SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND table = '%s'",
             table);
    return number(store, sql);
}

static void measure_downsampling(struct store *store, struct metrics *m) {
    static const char *const tables[] = {"samples_5m", "samples_1h"};
    struct error e = ERROR_NONE;
    char sql[100];
    struct timespec begin, end;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    if (metrics_downsample(m, clock_now_ns() / NS_PER_MS, false, &e) < 0)
        fail("downsampling", &e);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double seconds = (double) (end.tv_sec - begin.tv_sec) +
                     (double) (end.tv_nsec - begin.tv_nsec) / NS_PER_S;
    printf("downsampled_per_core_second %.0f\n",
           number(store, "SELECT count() FROM samples") / seconds);
    for (size_t i = 0; i < 2; i++) {
        double bytes = merged_bytes(store, tables[i]);
        snprintf(sql, sizeof(sql), "SELECT count() FROM %s", tables[i]);
        printf("%s_bytes_a_row %.2f\n", tables[i], bytes / number(store, sql));
    }
}

int main(int argc, char **argv) {
    char own[] = "/tmp/varan-bench-XXXXXX";
    struct store_options o;
    struct store *store;
    struct ingest *ingest;
    struct metrics *m;
    struct error e = ERROR_NONE;

    read_options(argc, argv);
    store_options_default(&o);
    o.data_dir = dir ? dir : mkdtemp(own);
    o.durable = durable;
    if (store_open(&o, &store, &e) < 0)
        fail("store", &e);
    struct ingest_options io = {.store = store, .load_series = only_questions};
    if (ingest_new(&io, &ingest, &e) < 0)
        fail("ingest", &e);
    struct metrics_options mo = {
            .store = store, .ingest = ingest, .make_5m = true, .make_1h = true};
    if (metrics_new(&mo, &m, &e) < 0)
        fail("metrics", &e);
    int64_t to_ms = clock_now_ns() / NS_PER_MS / 3600000 * 3600000;
    int64_t from_ms = to_ms - (int64_t) (hours * 3600000);
    if (only_questions) {
        to_ms = (int64_t) number(store, "SELECT toUnixTimestamp64Milli(max(ts)) FROM samples");
        from_ms = (int64_t) number(store, "SELECT toUnixTimestamp64Milli(min(ts)) FROM samples");
        while (series_gap(ingest_series(ingest)) == UINT32_MAX)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    } else {
        measure_writing(store, ingest, from_ms, to_ms);
    }
    questions(m, from_ms, to_ms);
    if (downsamples)
        measure_downsampling(store, m);
    metrics_free(m);
    ingest_stop(ingest);
    store_close(store);
    ingest_free(ingest);
    if (!dir)
        nftw(own, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
