/* What a worker does with one scrape: unpack, parse, store, report. See scrape_private.h. */
#include "base/clock.h"
#include "receive/scrape_private.h"
#include "wire/compress.h"

#include <stdio.h>

/* ---- Commits ---- */

/* On a writer's thread. */
static void committed(void *ctx, int result) {
    struct scrape_target *t = ctx;
    struct scrape *s = t->scrape;

    if (result < 0) {
        atomic_fetch_add(&s->commit_failures, 1);
        scrape_target_set_error(t, result == -EAGAIN
                                           ? "the samples were not stored: storage is overloaded"
                                           : "the samples were not stored: storage failed");
    }
    scrape_target_unref(t);
    atomic_fetch_sub(&s->commits, 1);
}

static void commit(struct scrape_target *t, struct ingest_txn *txn) {
    atomic_fetch_add(&t->scrape->commits, 1);
    ingest_commit_patiently(txn, committed, scrape_target_ref(t));
}

/* ---- The body ---- */

static int unpack(struct scrape_target *t, struct buffer *out, char *error) {
    enum compression c;

    if (compression_parse(slice_from(t->encoding), &c) < 0) {
        snprintf(error, SCRAPE_ERROR_BYTES, "the answer has the unknown Content-Encoding \"%s\"",
                 t->encoding);
        return -EINVAL;
    }
    if (c == COMPRESSION_NONE)
        return 0;
    int r = decompress(c, buffer_slice(&t->body), out);
    if (r == -ENOBUFS) {
        t->body_too_large = true;
        snprintf(error, SCRAPE_ERROR_BYTES, "body size limit exceeded");
    } else if (r < 0) {
        snprintf(error, SCRAPE_ERROR_BYTES, "the answer is not well-formed %s", t->encoding);
    }
    return r;
}

static int format_of(const struct scrape_target *t, enum prometheus_format *ret, char *error) {
    static const enum prometheus_format fallbacks[SCRAPE_PROTOCOLS] = {
            [SCRAPE_PROTOBUF] = PROMETHEUS_PROTOBUF,
            [SCRAPE_OPENMETRICS_0_0_1] = PROMETHEUS_OPENMETRICS,
            [SCRAPE_OPENMETRICS_1_0_0] = PROMETHEUS_OPENMETRICS,
            [SCRAPE_TEXT_0_0_4] = PROMETHEUS_TEXT,
            [SCRAPE_TEXT_1_0_0] = PROMETHEUS_TEXT};
    struct slice rest = slice_from(t->content_type);
    struct slice type = slice_trim(slice_cut(&rest, ';'));

    if (slice_equal_nocase(type, SLICE("application/openmetrics-text"))) {
        *ret = PROMETHEUS_OPENMETRICS;
    } else if (slice_equal_nocase(type, SLICE("text/plain"))) {
        *ret = PROMETHEUS_TEXT;
    } else if (slice_equal_nocase(type, SLICE("application/vnd.google.protobuf"))) {
        *ret = PROMETHEUS_PROTOBUF;
    } else if (t->job->fallback >= 0) {
        *ret = fallbacks[t->job->fallback];
    } else if (type.size) {
        snprintf(error, SCRAPE_ERROR_BYTES,
                 "received unsupported Content-Type \"%s\" and no fallback_scrape_protocol "
                 "specified for target",
                 t->content_type);
        return -EINVAL;
    } else {
        snprintf(error, SCRAPE_ERROR_BYTES,
                 "non-compliant scrape target sending blank Content-Type and no "
                 "fallback_scrape_protocol specified for target");
        return -EINVAL;
    }
    return 0;
}

/* ---- up and the others ---- */

static int report(struct scrape_target *t, struct ingest_txn *txn, int64_t time_ms,
                  const double values[REPORTS]) {
    size_t n = t->job->extra_metrics ? REPORTS : REPORTS_ALWAYS;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        struct sample s = {.labels = t->report[i].items,
                           .n_labels = t->report[i].n,
                           .time_ms = time_ms,
                           .value = values[i]};
        struct error e;
        r = ingest_sample(txn, &s, &e);
    }
    t->reported = true;
    return r;
}

/* Their series exist before the target's own, which may be more than a limit allows: that it failed
 * must be seen then. */
static void reserve_report(struct scrape_target *t, struct ingest_txn *txn) {
    size_t n = t->job->extra_metrics ? REPORTS : REPORTS_ALWAYS;
    struct ingest_series handle;
    struct error e;

    for (size_t i = 0; i < n && !t->reported; i++)
        ingest_series_lookup(txn, t->report[i].items, t->report[i].n, &handle, &e);
}

static int report_scrape(struct scrape_target *t, struct ingest_txn *txn,
                         const struct scrape_result *result, size_t body_size, bool ok) {
    double values[REPORTS] = {
            [REPORT_UP] = ok,
            [REPORT_DURATION] = (double) t->duration_ns / NS_PER_S,
            [REPORT_SAMPLES] = (double) result->samples,
            [REPORT_KEPT] = (double) result->kept,
            [REPORT_ADDED] = (double) result->added,
            [REPORT_TIMEOUT] = (double) t->timeout_ns / NS_PER_S,
            [REPORT_SAMPLE_LIMIT] = (double) t->job->sample_limit,
            [REPORT_BODY_SIZE] = t->body_too_large ? -1 : (double) body_size,
    };

    return report(t, txn, t->time_ms, values);
}

/* ---- The whole ---- */

static int begin(struct scrape_target *t, size_t bytes, struct ingest_txn **ret, char *error) {
    unsigned retry_s;
    int r = ingest_begin(t->scrape->options.ingest, bytes + 1000, ret, &retry_s);

    if (r < 0)
        snprintf(error, SCRAPE_ERROR_BYTES, "the samples were not stored: %s",
                 r == -EAGAIN ? "storage is overloaded" : error_name(r));
    return r;
}

static void settle_status(struct scrape_target *t, const struct scrape_result *result,
                          const char *error) {
    struct scrape *s = t->scrape;
    bool ok = !*error;

    atomic_fetch_add(&s->scrapes, 1);
    atomic_fetch_add(&s->scrapes_failed, !ok);
    atomic_fetch_add(&s->samples, ok ? result->kept : 0);
    atomic_fetch_add(&s->series_added, result->added);
    atomic_fetch_add(&s->scrape_ns_sum, (uint64_t) t->duration_ns);
    atomic_fetch_add(&s->exceeded_body_size_limit, t->body_too_large);
    pthread_mutex_lock(&t->lock);
    t->health = ok ? SCRAPE_UP : SCRAPE_DOWN;
    snprintf(t->last_error, sizeof(t->last_error), "%s", error);
    t->last_scrape_ns = t->start_ns;
    t->last_duration_ns = t->duration_ns;
    t->last_samples = result->samples;
    t->last_kept = result->kept;
    t->series = ok ? t->cache.series.n : 0;
    pthread_mutex_unlock(&t->lock);
}

/* A scrape that failed: all that was is stale now. The cache is kept when the target was not
 * reached, for its return. */
static void store_failure(struct scrape_target *t, const struct scrape_result *result,
                          size_t body_size, bool keep_cache) {
    struct ingest_txn *txn;
    char why[SCRAPE_ERROR_BYTES];

    if (begin(t, t->cache.series.n * 16, &txn, why) == 0) {
        int r = scrape_append_stale(t, txn, t->time_ms);
        if (r == 0)
            r = report_scrape(t, txn, result, body_size, false);
        if (r == 0)
            commit(t, txn);
        else
            ingest_abort(txn);
    }
    if (!keep_cache)
        scrape_cache_done(&t->cache);
}

void scrape_work(struct scrape_target *t) {
    struct scrape_result result = {0};
    enum prometheus_format format = PROMETHEUS_TEXT;
    struct ingest_txn *txn;
    struct buffer plain;
    char error[SCRAPE_ERROR_BYTES] = "";
    bool fetched = !t->error[0];
    uint64_t limit = t->job->body_size_limit;

    buffer_init(&plain,
                limit && limit < SCRAPE_BODY_BYTES_MAX ? (size_t) limit : SCRAPE_BODY_BYTES_MAX);
    memcpy(error, t->error, sizeof(error));
    int r = fetched ? 0 : -EIO;
    if (r == 0)
        r = unpack(t, &plain, error);
    if (r == 0)
        r = format_of(t, &format, error);
    struct slice body = plain.data ? buffer_slice(&plain) : buffer_slice(&t->body);
    bool reached = r == 0;
    if (r == 0)
        r = begin(t, body.size, &txn, error);
    if (r == 0) {
        reserve_report(t, txn);
        r = scrape_append(t, body, format, txn, &result);
        if (r == 0)
            r = report_scrape(t, txn, &result, body.size, true);
        if (r == 0) {
            commit(t, txn);
        } else {
            ingest_abort(txn);
            snprintf(error, sizeof(error), "%s",
                     result.error[0] ? result.error : "the samples could not be stored");
        }
    }
    if (r < 0)
        store_failure(t, &result, body.size, !reached);
    settle_status(t, &result, error);
    buffer_done(&plain);
}

void scrape_work_end(struct scrape_target *t) {
    double values[REPORTS];
    const uint64_t stale = STALE_BITS;
    struct ingest_txn *txn;
    char error[SCRAPE_ERROR_BYTES];

    if (!t->reported || atomic_load(&t->quiet) || begin(t, 0, &txn, error) < 0)
        return;
    for (size_t i = 0; i < REPORTS; i++)
        memcpy(&values[i], &stale, sizeof(stale));
    int64_t now_ms = clock_now_ns() / NS_PER_MS;
    int64_t time_ms = now_ms > t->time_ms ? now_ms : t->time_ms + 1;
    int r = scrape_append_stale(t, txn, time_ms);
    if (r == 0)
        r = report(t, txn, time_ms, values);
    if (r == 0)
        commit(t, txn);
    else
        ingest_abort(txn);
}
