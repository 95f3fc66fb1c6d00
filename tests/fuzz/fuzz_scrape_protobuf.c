/* The protobuf exposition format: every series handed out can be taken apart, histograms are ones
 * that PromQL can calculate with, errors have a reason. The first byte chooses the options. */
#include "receive/scrape_protobuf.h"
#include "signal/histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_labels(struct slice series) {
    struct prometheus_label *labels;
    struct arena a;
    const char *why = NULL;
    size_t n, at = 0;

    arena_init(&a, 16 << 20);
    if (prometheus_text_labels(series, &a, &labels, &n, &why, &at) == -EBADMSG && !why)
        abort();
    arena_done(&a);
}

static int on_entry(void *ctx, const struct prometheus_entry *x,
                    const struct histogram *histogram) {
    struct error e;

    if (x->kind != PROMETHEUS_SAMPLE) {
        if (!x->metric.size || !slice_is_utf8(x->metric) || !slice_is_utf8(x->text))
            abort();
        return 0;
    }
    check_labels(x->series);
    if (x->has_exemplar)
        check_labels(x->exemplar);
    if (histogram && histogram_check(histogram, &e) < 0)
        abort();
    return 0;
}

static int on_exemplar(void *ctx, const struct prometheus_entry *x) {
    if (!x->exemplar_has_time)
        abort();
    check_labels(x->series);
    check_labels(x->exemplar);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct scrape_protobuf_handler handler = {on_entry, on_exemplar, NULL};
    struct error e = ERROR_NONE;

    if (!size)
        return 0;
    const struct scrape_protobuf_options options = {.native = data[0] & 1,
                                                    .classic_too = data[0] & 2,
                                                    .bucket_limit = data[0] >> 4,
                                                    .schema_max = data[0] & 4 ? 1 : 8};
    int r = scrape_protobuf_walk(slice_new(data + 1, size - 1), &options, &handler, &e);
    if (r < 0 && !e.text[0])
        abort();
    return 0;
}
