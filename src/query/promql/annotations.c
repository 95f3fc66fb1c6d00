/* Annotations: warnings and infos in Prometheus' wording, each once. They live in the evaluation's
 * arena. */
#include "query/promql/engine.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 600u

static bool seen_lately(struct eval *e, const char *format, const struct node *at, uint64_t name) {
    for (size_t i = 0; i < 8; i++)
        if (e->seen[i].format == format && e->seen[i].node == at && e->seen[i].name == name)
            return true;
    e->seen[e->seen_at++ % 8] = (struct annotation_key){format, at, name};
    return false;
}

void annotate(struct eval *e, bool info, const struct node *at, struct slice name,
              const char *format, ...) {
    char text[TEXT_MAX], full[TEXT_MAX + 60];
    uint32_t line, column;
    va_list args;

    if (seen_lately(e, format, at, slice_hash(name)) || e->n_annotations == ANNOTATIONS_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    text_position(e->query->text, at->start, &line, &column);
    snprintf(full, sizeof(full), "PromQL %s: %s (%u:%u)", info ? "info" : "warning", text, line,
             column);
    for (size_t i = 0; i < e->n_annotations; i++)
        if (strcmp(e->annotations[i].text, full) == 0)
            return;
    struct slice copy = arena_dup(&e->notes, slice_from(full));
    if (copy.data)
        e->annotations[e->n_annotations++] = (struct annotation){info, (const char *) copy.data};
}

void annotate_mixed(struct eval *e, const struct node *at, struct slice name) {
    annotate(e, false, at, name,
             "encountered a mix of histograms and floats for metric name \"%.*s\"",
             SLICE_ARG(name));
}

void annotate_mixed_schemas(struct eval *e, const struct node *at, struct slice name) {
    annotate(e, false, at, name,
             "vector contains a mix of histograms with exponential and custom buckets schemas for "
             "metric name \"%.*s\"",
             SLICE_ARG(name));
}

void annotate_ignored_range(struct eval *e, const struct node *at, struct slice name) {
    annotate(e, true, at, name,
             "ignored histograms in a range containing both floats and histograms for metric name "
             "\"%.*s\"",
             SLICE_ARG(name));
}

void annotate_ignored_aggregation(struct eval *e, const struct node *at, const char *aggregation) {
    annotate(e, true, at, slice_from(aggregation), "ignored histogram in %s aggregation",
             aggregation);
}

void annotate_not_counter(struct eval *e, const struct node *at, struct slice name) {
    annotate(e, false, at, name, "this native histogram metric is not a counter: \"%.*s\"",
             SLICE_ARG(name));
}

void annotate_not_gauge(struct eval *e, const struct node *at, struct slice name) {
    annotate(e, false, at, name, "this native histogram metric is not a gauge: \"%.*s\"",
             SLICE_ARG(name));
}

void annotate_quantile(struct eval *e, const struct node *at, double q) {
    struct buffer b;

    buffer_init(&b, 64);
    print_float_g(&b, q);
    annotate(e, false, at, SLICE_EMPTY, "quantile value should be between 0 and 1, got %.*s",
             (int) b.size, b.data ? (const char *) b.data : "");
    buffer_done(&b);
}

void annotate_flags(struct eval *e, const struct node *at, unsigned flags, const char *operation) {
    if (flags & HISTOGRAM_COLLISION)
        annotate(e, false, at, slice_from(operation),
                 "conflicting counter resets during histogram %s", operation);
    if (flags & HISTOGRAM_RECONCILED)
        annotate(e, true, at, slice_from(operation),
                 "mismatched custom buckets were reconciled during %s", operation);
}
