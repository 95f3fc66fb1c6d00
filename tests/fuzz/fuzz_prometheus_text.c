/* The text formats: every entry lies within the body, its labels can be asked for, errors have a
 * place, and a hint changes nothing. The first byte chooses the format. */
#include "wire/prometheus_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice body, struct slice part) {
    if (part.size && (part.data < body.data || part.data + part.size > body.data + body.size))
        abort();
}

static void check_labels(struct slice series) {
    struct prometheus_label *labels;
    struct arena a;
    const char *why = NULL;
    size_t n, at = 0;

    arena_init(&a, 16 << 20);
    int r = prometheus_text_labels(series, &a, &labels, &n, &why, &at);
    if (r < 0 && (!why || at > series.size))
        abort();
    for (size_t i = 0; r == 0 && i < n; i++)
        if (!slice_is_utf8(labels[i].value))
            abort();
    arena_done(&a);
}

/* How many entries there are; each sample is read with the hint that it is itself. */
static size_t walk(struct slice body, enum prometheus_format format, bool hint) {
    struct prometheus_text p;
    struct prometheus_entry entry;
    struct error e = ERROR_NONE;
    size_t n = 0;
    int r;

    prometheus_text_init(&p, body, format);
    while ((r = prometheus_text_next(&p, &entry)) == 0 && entry.kind != PROMETHEUS_END) {
        n++;
        if (entry.kind != PROMETHEUS_SAMPLE) {
            check_inside(body, entry.metric);
            check_inside(body, entry.text);
            continue;
        }
        check_inside(body, entry.series);
        check_labels(entry.series);
        if (entry.has_exemplar)
            check_labels(entry.exemplar);
        if (hint)
            p.expected = entry.series;
    }
    if (r < 0 && (prometheus_text_error(&p, &e) != -EBADMSG || !e.text[0]))
        abort();
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    struct slice body = slice_new(data + 1, size - 1);
    enum prometheus_format format = data[0] & 1 ? PROMETHEUS_OPENMETRICS : PROMETHEUS_TEXT;
    if (walk(body, format, false) != walk(body, format, true))
        abort();
    return 0;
}
