/* Remote write 2.0: labels are numbers of symbols. See remote_write_decode.h. */
#include "receive/remote_write_decode.h"

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)

static int symbol(struct remote_decoder *d, uint64_t at, struct slice *ret) {
    if (at >= d->symbols.n)
        return remote_malformed(d, "a symbol that is not in the table");
    *ret = d->symbols.items[at];
    return 0;
}

/* One half of a label: names and values by turns. `n` counts halves. */
static int add_half(struct remote_decoder *d, struct label *labels, size_t *n, uint64_t ref) {
    struct slice text;

    if (*n == 2 * (size_t) REMOTE_LABELS_MAX)
        return remote_malformed(d, "a series has too many labels");
    int r = symbol(d, ref, &text);
    if (r < 0)
        return r;
    *(*n % 2 ? &labels[*n / 2].value : &labels[*n / 2].name) = text;
    (*n)++;
    return 0;
}

static int add_refs(struct remote_decoder *d, struct label *labels, size_t *n,
                    const struct pb_field *f) {
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t ref;
    int more = 0, error = 0;

    if (f->wire == PB_VARINT)
        return add_half(d, labels, n, f->u64);
    if (f->wire != PB_BYTES)
        return remote_malformed(d, "labels_refs");
    while (error == 0 && (more = pb_packed(&r, PB_VARINT, &ref)) > 0)
        error = add_half(d, labels, n, ref);
    return more < 0 ? remote_malformed(d, "labels_refs") : error;
}

static int decode_exemplar(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    double value = 0;
    int64_t time_ms = 0;
    size_t halves = 0;
    int more = 0, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1)
            error = add_refs(d, d->own, &halves, &f);
        else if (FIELD_OF(f) == FIELD(2, PB_FIXED64))
            value = pb_double(&f);
        else if (FIELD_OF(f) == FIELD(3, PB_VARINT))
            time_ms = (int64_t) f.u64;
    }
    if (error < 0)
        return error;
    if (more < 0 || halves % 2)
        return remote_malformed(d, "Exemplar");
    d->n_own = halves / 2;
    return remote_add_exemplar(d, value, time_ms);
}

/* The family of a series: without what histograms and summaries append. */
static struct slice family_of(struct slice name, enum metric_type type) {
    static const char *const suffixes[] = {"_bucket", "_sum", "_count", "_gsum", "_gcount"};

    if (type != METRIC_HISTOGRAM && type != METRIC_SUMMARY && type != METRIC_GAUGE_HISTOGRAM)
        return name;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        struct slice suffix = slice_from(suffixes[i]);
        if (name.size > suffix.size && slice_ends(name, suffix))
            return slice_take(name, name.size - suffix.size);
    }
    return name;
}

static int decode_metadata(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct metric_metadata m = {.help = SLICE(""), .unit = SLICE("")};
    struct pb_field f;
    int more = 0, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_VARINT))
            m.type = f.u64 <= METRIC_STATE_SET ? (enum metric_type) f.u64 : METRIC_UNKNOWN;
        else if (FIELD_OF(f) == FIELD(3, PB_VARINT))
            error = symbol(d, f.u64, &m.help);
        else if (FIELD_OF(f) == FIELD(4, PB_VARINT))
            error = symbol(d, f.u64, &m.unit);
    }
    if (error < 0 || more < 0)
        return error < 0 ? error : remote_malformed(d, "Metadata");
    if (m.type == METRIC_UNKNOWN && m.help.size + m.unit.size == 0)
        return 0;
    for (size_t i = 0; i < d->n_labels; i++)
        if (slice_is(d->labels[i].name, "__name__"))
            m.metric = family_of(d->labels[i].value, m.type);
    if (m.metric.size == 0 || slice_equal(m.metric, d->last_family))
        return 0;
    d->last_family = m.metric;
    return remote_add_metadata(d, &m);
}

/* Labels, and since when the series counts. */
static int decode_head(struct remote_decoder *d, struct slice message, int64_t *ret_start_ms) {
    struct pb_reader r = pb_reader(message);
    size_t halves = 0;
    struct pb_field f;
    int more = 0, error = 0;

    *ret_start_ms = 0;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1)
            error = add_refs(d, d->labels, &halves, &f);
        else if (FIELD_OF(f) == FIELD(6, PB_VARINT))
            *ret_start_ms = (int64_t) f.u64;
    }
    if (error < 0)
        return error;
    if (more < 0)
        return remote_malformed(d, "TimeSeries");
    d->n_labels = halves / 2;
    remote_settle_labels(d);
    if (halves % 2)
        d->labels_why = "labels_refs has an odd number of references";
    return 0;
}

static int decode_series(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    int64_t start_ms;
    struct pb_field f;

    int error = decode_head(d, message, &start_ms);
    while (error == 0 && pb_next(&r, &f) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(2, PB_BYTES): error = remote_decode_sample(d, f.bytes, start_ms); break;
        case FIELD(3, PB_BYTES): error = remote_add_histogram(d, f.bytes, start_ms); break;
        case FIELD(4, PB_BYTES): error = decode_exemplar(d, f.bytes); break;
        case FIELD(5, PB_BYTES): error = decode_metadata(d, f.bytes); break;
        default: break;
        }
    }
    return error;
}

static int decode_symbols(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) != FIELD(4, PB_BYTES))
            continue;
        int error = vector_push(&d->symbols, f.bytes, REMOTE_SYMBOLS_MAX);
        if (error < 0)
            return error == -ENOBUFS ? remote_malformed(d, "too many symbols") : error;
    }
    if (more < 0)
        return remote_malformed(d, "Request");
    if (d->symbols.n && d->symbols.items[0].size)
        return remote_malformed(d, "the first symbol must be empty");
    return 0;
}

int remote_decode_v2(struct remote_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;

    int error = decode_symbols(d, message);
    while (error == 0 && pb_next(&r, &f) > 0)
        if (FIELD_OF(f) == FIELD(5, PB_BYTES))
            error = decode_series(d, f.bytes);
    return error;
}
