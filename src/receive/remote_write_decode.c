/* Remote write 1.0, and what both versions add to ingest. See remote_write_decode.h. */
#include "receive/remote_write_decode.h"

#include <stdlib.h>

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)
#define SIZE_DIGITS_MAX 4u /* of a field that is skipped: 256 MiB */

struct remote_decoder *remote_decoder_new(struct ingest_txn *txn, struct remote_memo *memo) {
    struct remote_decoder *d = memory_alloc(sizeof(*d));

    if (!d)
        return NULL;
    memset(d, 0, sizeof(*d));
    d->txn = txn;
    d->memo = memo;
    buffer_init(&d->reasons, REMOTE_REASON_BYTES_MAX);
    return d;
}

void remote_decoder_free(struct remote_decoder *d) {
    if (!d)
        return;
    vector_done(&d->symbols);
    vector_done(&d->custom);
    native_buckets_done(&d->positive);
    native_buckets_done(&d->negative);
    buffer_done(&d->reasons);
    free(d);
}

int remote_malformed(struct remote_decoder *d, const char *what) {
    return error_set(&d->error, -EBADMSG, "the message is malformed: %s", what);
}

/* ---- Labels ---- */

static int compare_labels(const void *a, const void *b) {
    return slice_compare(((const struct label *) a)->name, ((const struct label *) b)->name);
}

void remote_settle_labels(struct remote_decoder *d) {
    bool sorted = true;
    size_t n = 0;

    d->labels_why = NULL;
    d->series_blamed = false;
    d->series_found = 1;
    d->series_error = ERROR_NONE;
    for (size_t i = 0; i < d->n_labels; i++) {
        if (d->labels[i].value.size == 0)
            continue;
        if (d->labels[i].name.size == 0)
            d->labels_why = "a label has no name";
        d->labels[n] = d->labels[i];
        if (n && sorted)
            sorted = slice_compare(d->labels[n - 1].name, d->labels[n].name) < 0;
        n++;
    }
    d->n_labels = n;
    if (sorted)
        return;
    qsort(d->labels, n, sizeof(*d->labels), compare_labels);
    for (size_t i = 1; i < n; i++)
        if (slice_equal(d->labels[i - 1].name, d->labels[i].name))
            d->labels_why = "two labels have the same name";
}

/* ---- Reasons ---- */

static void put_labels(const struct remote_decoder *d, struct buffer *out) {
    const char *comma = "";
    size_t begin = out->size;

    buffer_append_u8(out, '{');
    for (size_t i = 0; i < d->n_labels; i++) {
        struct slice name = slice_take(d->labels[i].name, 64),
                     value = slice_take(d->labels[i].value, 100);
        if (out->size - begin > REMOTE_LABELS_TEXT_MAX) {
            buffer_append_text(out, ", …");
            break;
        }
        buffer_printf(out, "%s%.*s=\"%.*s\"", comma, SLICE_ARG(name), SLICE_ARG(value));
        comma = ", ";
    }
    buffer_append_u8(out, '}');
}

/* Names the series once, the first ones of a message only. */
static void blame(struct remote_decoder *d, const char *why) {
    size_t before = d->reasons.size;

    if (d->series_blamed)
        return;
    d->series_blamed = true;
    if (d->n_reasons++ >= REMOTE_REASONS_MAX)
        return;
    buffer_append_text(&d->reasons, before ? "\nseries " : "series ");
    put_labels(d, &d->reasons);
    buffer_printf(&d->reasons, ": %s", why);
    if (d->reasons.failed) { /* full: it is left out, and counted */
        d->reasons.failed = 0;
        buffer_truncate(&d->reasons, before);
    }
}

int remote_outcome(struct remote_decoder *d, int r, const struct error *e, uint64_t *counted) {
    if (r == 0) {
        (*counted)++;
        return 0;
    }
    if (r != -EINVAL)
        return r;
    d->rejected++;
    blame(d, e->text);
    return 0;
}

/* ---- Adding ---- */

/* The series at hand in ingest's index, looked up at its first sample. */
static int find_series(struct remote_decoder *d, bool again, struct error *e) {
    if (d->labels_why)
        return error_set(e, -EINVAL, "%s", d->labels_why);
    if (d->series_found != 0 || again) {
        d->series_found =
                ingest_series_lookup(d->txn, d->labels, d->n_labels, &d->series, &d->series_error);
        if (d->series_found == -EINVAL && !d->series_error.code)
            error_set(&d->series_error, -EINVAL, "it is refused");
    }
    if (d->series_found < 0)
        *e = d->series_error;
    return d->series_found;
}

int remote_add(struct remote_decoder *d, const struct sample *s, uint64_t *counted) {
    struct error e = ERROR_NONE;
    int r = find_series(d, false, &e);

    if (r == 0)
        r = ingest_sample_by_id(d->txn, &d->series, s, &e);
    if (r == -ESTALE) {
        r = find_series(d, true, &e);
        if (r == 0)
            r = ingest_sample_by_id(d->txn, &d->series, s, &e);
    }
    return remote_outcome(d, r, &e, counted);
}

int remote_add_sample(struct remote_decoder *d, int64_t time_ms, double value, int64_t start_ms) {
    struct sample s = {.labels = d->labels,
                       .n_labels = d->n_labels,
                       .time_ms = time_ms,
                       .value = value,
                       .start_ms = start_ms};

    return remote_add(d, &s, &d->samples);
}

int remote_add_exemplar(struct remote_decoder *d, double value, int64_t time_ms) {
    struct exemplar x = {.labels = d->labels,
                         .n_labels = d->n_labels,
                         .own = d->own,
                         .n_own = d->n_own,
                         .value = value,
                         .time_ms = time_ms};
    struct error e = ERROR_NONE;
    int r = d->labels_why ? -EINVAL : ingest_exemplar(d->txn, &x, &e);

    if (r == 0)
        d->exemplars++;
    else if (r == -EINVAL)
        d->rejected_exemplars++; /* no reason to refuse the series' samples */
    return r == -EINVAL ? 0 : r;
}

int remote_add_metadata(struct remote_decoder *d, const struct metric_metadata *m) {
    struct error e = ERROR_NONE;
    int r = ingest_metadata(d->txn, m, &e);

    return r == -EINVAL ? 0 : r;
}

/* ---- 1.0 ---- */

static int decode_label(struct remote_decoder *d, struct slice message, struct label *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    *ret = (struct label){SLICE(""), SLICE("")};
    while ((more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_BYTES))
            ret->name = f.bytes;
        else if (FIELD_OF(f) == FIELD(2, PB_BYTES))
            ret->value = f.bytes;
    }
    return more < 0 ? remote_malformed(d, "Label") : 0;
}

static int read_sample(struct remote_decoder *d, struct slice message, struct sample *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_FIXED64))
            ret->value = pb_double(&f);
        else if (FIELD_OF(f) == FIELD(2, PB_VARINT))
            ret->time_ms = (int64_t) f.u64;
        else if (FIELD_OF(f) == FIELD(3, PB_VARINT) && f.u64)
            ret->start_ms = (int64_t) f.u64;
    }
    return more < 0 ? remote_malformed(d, "Sample") : 0;
}

int remote_decode_sample(struct remote_decoder *d, struct slice message, int64_t start_ms) {
    struct sample s = {.start_ms = start_ms};
    int r = read_sample(d, message, &s);

    return r < 0 ? r : remote_add_sample(d, s.time_ms, s.value, s.start_ms);
}

static int decode_exemplar(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    double value = 0;
    int64_t time_ms = 0;
    int more, error = 0;

    d->n_own = 0;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_BYTES)) {
            if (d->n_own == REMOTE_LABELS_MAX)
                return remote_malformed(d, "an exemplar has too many labels");
            error = decode_label(d, f.bytes, &d->own[d->n_own++]);
        } else if (FIELD_OF(f) == FIELD(2, PB_FIXED64)) {
            value = pb_double(&f);
        } else if (FIELD_OF(f) == FIELD(3, PB_VARINT)) {
            time_ms = (int64_t) f.u64;
        }
    }
    if (error < 0)
        return error;
    return more < 0 ? remote_malformed(d, "Exemplar") : remote_add_exemplar(d, value, time_ms);
}

static int decode_labels(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    d->n_labels = 0;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) != FIELD(1, PB_BYTES))
            continue;
        if (d->n_labels == REMOTE_LABELS_MAX)
            return remote_malformed(d, "a series has too many labels");
        error = decode_label(d, f.bytes, &d->labels[d->n_labels++]);
    }
    return error < 0 ? error : more < 0 ? remote_malformed(d, "TimeSeries") : 0;
}

/* Behind the fields of that number and of bytes that stand at `at`. */
static size_t skip_fields(struct slice message, size_t at, unsigned number) {
    while (at < message.size && message.data[at] == FIELD(number, PB_BYTES)) {
        struct slice rest = slice_skip(message, at + 1);
        size_t size = 0, digits = 0;
        while (digits < rest.size && digits < SIZE_DIGITS_MAX) {
            size |= (size_t) (rest.data[digits] & 0x7f) << 7 * digits;
            if (rest.data[digits++] < 0x80)
                break;
        }
        if (digits == 0 || rest.data[digits - 1] >= 0x80 || size > rest.size - digits)
            return at;
        at += 1 + digits + size;
    }
    return at;
}

/* The labels at hand are looked up and named from here on. */
static int settle_series(struct remote_decoder *d, struct slice message) {
    int error = decode_labels(d, message);

    if (error == 0)
        remote_settle_labels(d);
    return error;
}

/* A series whose handle is known, its samples behind `at`. When ingest does not take one, its
 * labels are needed after all. */
static int decode_known(struct remote_decoder *d, struct slice message, size_t at) {
    struct pb_reader r = pb_reader(slice_skip(message, at));
    struct pb_field f;
    bool known = true;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        struct sample s = {0};
        struct error e = ERROR_NONE;
        if (!known) {
            error = remote_decode_sample(d, f.bytes, 0);
            continue;
        }
        error = read_sample(d, f.bytes, &s);
        int taken = error == 0 ? ingest_sample_by_id(d->txn, &d->series, &s, &e) : 0;
        if (error == 0 && taken == 0) {
            d->samples++;
            continue;
        }
        if (error == 0)
            error = taken == -ESTALE || taken == -EINVAL ? settle_series(d, message) : taken;
        known = false;
        if (error == 0)
            error = taken == -ESTALE ? remote_add_sample(d, s.time_ms, s.value, s.start_ms)
                                     : remote_outcome(d, taken, &e, &d->samples);
    }
    return error < 0 ? error : more < 0 ? remote_malformed(d, "TimeSeries") : 0;
}

struct series_message {
    struct slice message;
    size_t labels; /* bytes of them, when they are followed by samples alone; 0: they are not */
    struct remote_memo_key key;
};

/* What is known of the series is on its way into the processor's cache while the one before is
 * decoded. */
static struct series_message look_ahead(const struct remote_decoder *d, struct slice message) {
    struct series_message ret = {.message = message};
    size_t labels = d->memo ? skip_fields(message, 0, 1) : 0;

    if (labels == 0 || labels == message.size || skip_fields(message, labels, 2) != message.size)
        return ret;
    ret.labels = labels;
    ret.key = remote_memo_key(d->memo, slice_take(message, labels));
    remote_memo_prefetch(d->memo, ret.key);
    return ret;
}

static int decode_all(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int error = settle_series(d, message);

    while (error == 0 && pb_next(&r, &f) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(2, PB_BYTES): error = remote_decode_sample(d, f.bytes, 0); break;
        case FIELD(3, PB_BYTES): error = decode_exemplar(d, f.bytes); break;
        case FIELD(4, PB_BYTES): error = remote_add_histogram(d, f.bytes, 0); break;
        default: break;
        }
    }
    return error;
}

static int decode_series(struct remote_decoder *d, const struct series_message *m) {
    int error;

    d->series_found = 1;
    if (m->labels && remote_memo_get(d->memo, m->key, &d->series))
        error = decode_known(d, m->message, m->labels);
    else
        error = decode_all(d, m->message);
    if (m->labels && error == 0 && d->series_found == 0) /* it was looked up */
        remote_memo_put(d->memo, m->key, &d->series);
    return error;
}

static int decode_metadata(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct metric_metadata m = {.help = SLICE(""), .unit = SLICE("")};
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(1, PB_VARINT):
            m.type = f.u64 <= METRIC_STATE_SET ? (enum metric_type) f.u64 : METRIC_UNKNOWN;
            break;
        case FIELD(2, PB_BYTES): m.metric = f.bytes; break;
        case FIELD(4, PB_BYTES): m.help = f.bytes; break;
        case FIELD(5, PB_BYTES): m.unit = f.bytes; break;
        default: break;
        }
    }
    if (more < 0)
        return remote_malformed(d, "MetricMetadata");
    return m.metric.size ? remote_add_metadata(d, &m) : 0;
}

static int decode_v1(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct series_message next, now = {.message = SLICE_EMPTY};
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_BYTES)) {
            next = look_ahead(d, f.bytes);
            if (now.message.data)
                error = decode_series(d, &now);
            now = next;
        } else if (FIELD_OF(f) == FIELD(3, PB_BYTES)) {
            error = decode_metadata(d, f.bytes);
        }
    }
    if (error == 0 && now.message.data)
        error = decode_series(d, &now);
    return error < 0 ? error : more < 0 ? remote_malformed(d, "WriteRequest") : 0;
}

int remote_decode(struct remote_decoder *d, enum remote_version version, struct slice message) {
    int r = version == REMOTE_V1 ? decode_v1(d, message) : remote_decode_v2(d, message);

    if (r == 0 && d->n_reasons > REMOTE_REASONS_MAX)
        buffer_printf(&d->reasons, "\nand %u more series", d->n_reasons - REMOTE_REASONS_MAX);
    return r;
}
