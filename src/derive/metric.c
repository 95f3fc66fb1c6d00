/*
 * Metrics on their way in: samples, native histograms, exemplars and metadata. A transaction
 * belongs to one thread; the index of series is shared.
 */
#include "base/clock.h"
#include "derive/private.h"
#include "signal/columns.h"
#include "signal/histogram.h"
#include "store/store.h"
#include "wire/utf8.h"

#include <errno.h>

#define EXEMPLAR_LABELS_MAX 32u
#define EXEMPLAR_BYTES_MAX 4096u
#define HELP_BYTES_MAX 16384u
#define UNIT_BYTES_MAX 256u
#define LATE_LOOK_BACK 48u
#define LATE_NOTES_MAX (2 * 24 * (DAYS_PER_BATCH + 1))

static uint32_t now_s(const struct ingest_txn *t) {
    return (uint32_t) (t->now_ns / NS_PER_S);
}

/* ---- Series ---- */

static int series_row(void *ctx, const struct series_view *v) {
    struct ingest_txn *t = ctx;
    struct native_block *b = store_batch_block(t->batch, TABLE_SERIES);
    int r = native_put_u64(b, SERIES_ID, v->ref.id);

    r |= native_put_string(b, SERIES_METRIC, series_label_value(v, SLICE("__name__")));
    for (uint32_t i = 0; i < v->n; i++) {
        struct label l = series_label(v, i);
        if (!slice_is(l.name, "__name__"))
            r |= native_map_entry(b, SERIES_LABELS, l.name, l.value);
    }
    r |= native_close(b, SERIES_LABELS);
    r |= native_put_u64(b, SERIES_FIRST_SEEN, v->first_s);
    r |= native_put_u64(b, SERIES_LAST_SEEN, v->last_s);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

/* Notes that the series was seen at that time, and that its row is due. */
static int seen(struct ingest_txn *t, struct series_ref s, int64_t time_ms) {
    int r = series_touch(t->ingest->series, s, time_ms, now_s(t), t->token);

    return r == 1 ? vector_push(&t->series, s, TXN_SERIES_MAX) : r;
}

/* At the end, so that a row says when the last of the transaction's samples is. */
int metric_apply(struct ingest_txn *t) {
    int r = 0;

    for (size_t i = 0; i < t->series.n && r == 0; i++) {
        r = series_view(t->ingest->series, t->series.items[i], series_row, t);
        if (r == -ESTALE) /* it left the memory: its row is there */
            r = 0;
    }
    return r;
}

static int find(struct ingest_txn *t, const struct label *labels, size_t n, struct series_ref *ret,
                struct error *e) {
    int r = series_put(t->ingest->series, labels, n, ret, e);

    return r == -ENOSPC ? -EINVAL : r; /* a limit: this one is rejected, the others go on */
}

/* ---- Samples ---- */

static int histogram_row(struct ingest_txn *t, struct series_ref series, const struct sample *s,
                         struct error *e) {
    const struct histogram *h = s->histogram;
    struct native_block *b = store_batch_block(t->batch, TABLE_HISTOGRAMS);
    struct buffer *build = &t->state->build;
    int r = histogram_check(h, e);

    if (r < 0)
        return r;
    buffer_clear(build);
    r = histogram_encode(h, build);
    r |= native_put_u64(b, HISTOGRAMS_ID, series.id);
    r |= native_put_u64(b, HISTOGRAMS_TS, (uint64_t) s->time_ms);
    r |= native_put_u64(b, HISTOGRAMS_START, (uint64_t) s->start_ms);
    r |= native_put_u64(b, HISTOGRAMS_SCHEMA, (uint64_t) (int64_t) h->schema);
    r |= native_put_u64(b, HISTOGRAMS_HINT, h->hint);
    r |= native_put_f64(b, HISTOGRAMS_COUNT, h->count);
    r |= native_put_f64(b, HISTOGRAMS_SUM, h->sum);
    r |= native_put_f64(b, HISTOGRAMS_ZERO_COUNT, h->zero_count);
    r |= native_put_f64(b, HISTOGRAMS_ZERO_THRESHOLD, h->zero_threshold);
    r |= native_put_string(b, HISTOGRAMS_BUCKETS, buffer_slice(build));
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

static int start_row(struct ingest_txn *t, struct series_ref series, const struct sample *s) {
    struct native_block *b = store_batch_block(t->batch, TABLE_SAMPLE_STARTS);
    int r = native_put_u64(b, SAMPLE_STARTS_ID, series.id);

    r |= native_put_u64(b, SAMPLE_STARTS_TS, (uint64_t) s->time_ms);
    r |= native_put_u64(b, SAMPLE_STARTS_START, (uint64_t) s->start_ms);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return vector_push(&t->starts, series, TXN_SERIES_MAX);
}

static int order_hours(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return x < y ? -1 : x > y;
}

/* Hours mostly repeat, or follow one another. */
static int note_late(struct state *s, uint32_t hour) {
    size_t n = s->late_hours.n, kept = 0;

    for (size_t i = n; i-- > 0 && i + LATE_LOOK_BACK >= n;)
        if (s->late_hours.items[i] == hour)
            return 0;
    if (n == LATE_NOTES_MAX) { /* each once: no more than a batch's days have */
        qsort(s->late_hours.items, n, sizeof(*s->late_hours.items), order_hours);
        for (size_t i = 0; i < n; i++)
            if (kept == 0 || s->late_hours.items[kept - 1] != s->late_hours.items[i])
                s->late_hours.items[kept++] = s->late_hours.items[i];
        s->late_hours.n = kept;
    }
    return vector_push(&s->late_hours, hour, LATE_NOTES_MAX);
}

static int sample_row(struct ingest_txn *t, struct series_ref series, const struct sample *s) {
    struct native_block *b = t->samples_block;
    int r = native_put_u64(b, SAMPLES_ID, series.id);

    r |= native_put_u64(b, SAMPLES_TS, (uint64_t) s->time_ms);
    r |= native_put_f64(b, SAMPLES_VALUE, s->value);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    if (s->time_ms < t->late_ms && note_late(t->state, hour_of_ms(s->time_ms)) < 0)
        return -ENOBUFS;
    if (s->start_ms && series_start_changed(t->ingest->series, series, s->start_ms))
        return start_row(t, series, s);
    return 0;
}

/* That the metric is a histogram is known, also when its sender says nothing of its type. What
 * senders say is shown before this, which has no help. */
static int histogram_metadata(struct ingest_txn *t, const struct sample *s) {
    struct metric_metadata m = {.type = s->histogram->hint == HISTOGRAM_GAUGE
                                                ? METRIC_GAUGE_HISTOGRAM
                                                : METRIC_HISTOGRAM};
    struct error e;

    for (size_t i = 0; i < s->n_labels && !m.metric.size; i++)
        if (slice_equal(s->labels[i].name, SLICE("__name__")))
            m.metric = s->labels[i].value;
    int r = m.metric.size ? ingest_metadata(t, &m, &e) : 0;
    return r == -EINVAL ? 0 : r;
}

static int check_time(struct ingest_txn *t, int64_t time_ms, struct error *e) {
    if (time_ms > INT64_MAX / NS_PER_MS || time_ms < 0)
        return error_set(e, -EINVAL, "the time is out of range");
    return txn_time(t, time_ms * NS_PER_MS, e);
}

static int add(struct ingest_txn *t, struct series_ref series, const struct sample *s,
               struct error *e) {
    int r = check_time(t, s->time_ms, e);

    if (r == 0 && (s->start_ms < 0 || s->start_ms > s->time_ms + 1000))
        r = error_set(e, -EINVAL, "the start time is negative or after the sample's");
    if (r == 0)
        r = seen(t, series, s->time_ms);
    if (r == 0 && !s->histogram)
        return sample_row(t, series, s);
    if (r == 0)
        r = histogram_row(t, series, s, e);
    return r < 0 ? r : histogram_metadata(t, s);
}

static int counted(struct ingest_txn *t, int r) {
    if (r == 0)
        t->samples++;
    else if (r == -EINVAL)
        t->rejected_samples++;
    return r;
}

int ingest_series_lookup(struct ingest_txn *t, const struct label *labels, size_t n,
                         struct ingest_series *ret, struct error *e) {
    struct series_ref s;
    int r = find(t, labels, n, &s, e);

    if (r == 0)
        *ret = (struct ingest_series){s.id, s.at};
    else if (r == -EINVAL)
        t->rejected_samples++;
    return r;
}

int ingest_sample_by_id(struct ingest_txn *t, const struct ingest_series *series,
                        const struct sample *s, struct error *e) {
    return counted(t, add(t, (struct series_ref){series->id, series->at}, s, e));
}

int ingest_sample(struct ingest_txn *t, const struct sample *s, struct error *e) {
    struct series_ref series;
    int r = find(t, s->labels, s->n_labels, &series, e);

    if (r == 0)
        r = add(t, series, s, e);
    if (r == -ESTALE) /* evicted between the two */
        r = find(t, s->labels, s->n_labels, &series, e) < 0 ? -ENOMEM : add(t, series, s, e);
    return counted(t, r);
}

/* ---- Exemplars and metadata ---- */

static int check_exemplar(const struct exemplar *x, struct error *e) {
    size_t bytes = 0;

    for (size_t i = 0; i < x->n_own && i <= EXEMPLAR_LABELS_MAX; i++) {
        bytes += slice_take(x->own[i].name, EXEMPLAR_BYTES_MAX + 1).size +
                 slice_take(x->own[i].value, EXEMPLAR_BYTES_MAX + 1).size;
        if (!x->own[i].name.size || !slice_is_utf8(x->own[i].name) ||
            !slice_is_utf8(x->own[i].value))
            return error_set(e, -EINVAL, "an exemplar's label has no name, or is not UTF-8");
    }
    if (x->n_own > EXEMPLAR_LABELS_MAX || bytes > EXEMPLAR_BYTES_MAX)
        return error_set(e, -EINVAL, "an exemplar has more than %u labels or %u bytes of them",
                         EXEMPLAR_LABELS_MAX, EXEMPLAR_BYTES_MAX);
    return 0;
}

int ingest_exemplar(struct ingest_txn *t, const struct exemplar *x, struct error *e) {
    struct native_block *b = store_batch_block(t->batch, TABLE_EXEMPLARS);
    struct series_ref s;
    int r = check_exemplar(x, e);

    if (r == 0)
        r = check_time(t, x->time_ms, e);
    if (r == 0)
        r = find(t, x->labels, x->n_labels, &s, e);
    if (r == 0)
        r = seen(t, s, x->time_ms);
    if (r < 0)
        return r == -ESTALE ? -ENOMEM : r;
    r = native_put_u64(b, EXEMPLARS_ID, s.id);
    r |= native_put_u64(b, EXEMPLARS_TS, (uint64_t) x->time_ms);
    r |= native_put_f64(b, EXEMPLARS_VALUE, x->value);
    for (size_t i = 0; i < x->n_own; i++)
        r |= native_map_entry(b, EXEMPLARS_LABELS, x->own[i].name, x->own[i].value);
    r |= native_close(b, EXEMPLARS_LABELS);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    t->exemplars++;
    return 0;
}

static uint64_t metadata_hash(const struct metric_metadata *m) {
    return slice_hash(m->metric) * 31 + slice_hash(m->help) * 7 + slice_hash(m->unit) +
           (uint64_t) m->type * UINT64_C(0x9e3779b97f4a7c15);
}

static bool metadata_due(struct ingest_txn *t, uint64_t hash) {
    struct metadata_memo *memo = &t->ingest->metadata;

    for (size_t i = t->metadata.n > 64 ? t->metadata.n - 64 : 0; i < t->metadata.n; i++)
        if (t->metadata.items[i] == hash)
            return false;
    pthread_mutex_lock(&memo->lock);
    struct map_entry *m = map_get(&memo->written, slice_new(&hash, sizeof(hash)));
    int64_t age = m ? (int64_t) now_s(t) - (int64_t) m->number : INT64_MAX;
    pthread_mutex_unlock(&memo->lock);
    return age >= METADATA_EMIT_S || age < -METADATA_EMIT_S;
}

int ingest_metadata(struct ingest_txn *t, const struct metric_metadata *m, struct error *e) {
    struct native_block *b = store_batch_block(t->batch, TABLE_METRIC_METADATA);
    uint64_t hash = metadata_hash(m);

    if (m->metric.size == 0 || m->metric.size > SERIES_VALUE_BYTES_MAX || !slice_is_utf8(m->metric))
        return error_set(e, -EINVAL, "metadata of a metric without a name, or not in UTF-8");
    if (!slice_is_utf8(m->help) || !slice_is_utf8(m->unit))
        return error_set(e, -EINVAL, "%.*s: the help text or the unit is not UTF-8",
                         SLICE_ARG(slice_take(m->metric, 200)));
    if (!metadata_due(t, hash))
        return 0;
    int r = native_put_string(b, METRIC_METADATA_METRIC, m->metric);
    r |= native_put_u64(b, METRIC_METADATA_TYPE, m->type);
    r |= native_put_string(b, METRIC_METADATA_UNIT, utf8_cut(m->unit, UNIT_BYTES_MAX));
    r |= native_put_string(b, METRIC_METADATA_HELP, utf8_cut(m->help, HELP_BYTES_MAX));
    r |= native_put_u64(b, METRIC_METADATA_LAST_SEEN, now_s(t));
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return vector_push(&t->metadata, hash, METADATA_MEMO_MAX);
}

/* ---- The end ---- */

static void metadata_written(struct ingest_txn *t) {
    struct metadata_memo *memo = &t->ingest->metadata;

    if (!t->metadata.n)
        return;
    pthread_mutex_lock(&memo->lock);
    if (memo->written.n + t->metadata.n > METADATA_MEMO_MAX)
        map_clear(&memo->written);
    vector_each(&t->metadata, hash) {
        struct map_entry *m = map_put(&memo->written, slice_new(hash, sizeof(*hash)), NULL);
        if (m)
            m->number = now_s(t);
    }
    pthread_mutex_unlock(&memo->lock);
}

void metric_committed(struct ingest_txn *t, int result) {
    struct series_index *x = t->ingest->series;

    if (result == 0) {
        vector_each(&t->series, s) {
            series_written(x, *s, now_s(t));
        }
        metadata_written(t);
    } else {
        vector_each(&t->series, s) {
            series_unwritten(x, *s);
        }
        vector_each(&t->starts, s) {
            series_start_forget(x, *s);
        }
    }
}

struct late_hours *ingest_late_hours(struct ingest *g) {
    return g->late;
}

struct series_index *ingest_series(struct ingest *g) {
    return g->series;
}
