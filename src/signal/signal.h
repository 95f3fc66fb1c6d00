/*
 * The model: what every protocol is turned into. All slices point into memory of the request (its
 * body or its arena); nothing here owns anything.
 *
 * Sources: OpenTelemetry protocol and data model 1.x (trace, logs, metrics), names as there.
 */
#ifndef VARAN_SIGNAL_SIGNAL_H
#define VARAN_SIGNAL_SIGNAL_H

#include "base/slice.h"

/* Numbers are stored (column attribute_types): never renumber. */
enum value_type {
    VALUE_EMPTY = 0,
    VALUE_STRING = 1,
    VALUE_BOOL = 2,
    VALUE_INT = 3,
    VALUE_DOUBLE = 4,
    VALUE_BYTES = 5,
    VALUE_ARRAY = 6,
    VALUE_MAP = 7,
};

struct attribute;

struct value {
    enum value_type type;
    union {
        struct slice text; /* STRING (UTF-8) and BYTES */
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const struct value *items;
            size_t n;
        } array;
        struct {
            const struct attribute *items;
            size_t n;
        } map;
    };
};

struct attribute {
    struct slice key;
    struct value value;
};

struct attributes {
    const struct attribute *items;
    size_t n;
    uint32_t dropped; /* as counted by the sender */
};

struct resource {
    struct attributes attributes;
    uint64_t id; /* hash over the sorted attributes; filled by resource_finish() in resource.c */
    struct slice service, service_namespace, version, instance, environment; /* service: never
        empty, "unknown_service" as OpenTelemetry has it */
};

struct scope {
    struct slice name, version;
    struct attributes attributes;
};

/* OTLP's numbers. */
enum span_kind {
    SPAN_UNSPECIFIED,
    SPAN_INTERNAL,
    SPAN_SERVER,
    SPAN_CLIENT,
    SPAN_PRODUCER,
    SPAN_CONSUMER
};
enum span_status { STATUS_UNSET, STATUS_OK, STATUS_ERROR };

struct span_event {
    int64_t time_ns;
    struct slice name;
    struct attributes attributes;
};

struct span_link {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    struct slice trace_state;
    struct attributes attributes;
    uint32_t flags;
};

struct span {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_span_id[8]; /* zeros: root */
    struct slice trace_state;
    uint32_t flags;
    struct slice name;
    enum span_kind kind;
    int64_t start_ns, end_ns; /* since 1970 */
    struct attributes attributes;
    const struct span_event *events;
    size_t n_events;
    const struct span_link *links;
    size_t n_links;
    uint32_t dropped_events, dropped_links;
    enum span_status status;
    struct slice status_message;
    const struct resource *resource;
    const struct scope *scope;
};

struct log_record {
    int64_t time_ns, observed_ns;     /* time 0: unknown, observed is used */
    uint8_t trace_id[16], span_id[8]; /* zeros: none */
    uint32_t flags;
    uint8_t severity; /* 0 … 24, OpenTelemetry's severity numbers */
    struct slice severity_text;
    struct slice event_name;
    struct value body;
    struct attributes attributes;
    const struct resource *resource;
    const struct scope *scope;
    uint64_t seq; /* given by ingest; what live tails see */
};

/* Labels of a series: sorted by name, names unique, with __name__, without empty values. */
struct label {
    struct slice name, value;
};

/* The buckets of one sign of a native histogram: ascending indices, absolute counts. */
struct histogram_buckets {
    size_t n;
    const int32_t *index;
    const double *count;
};

/* Prometheus' native histogram. Bucket i holds (base^(i-1), base^i], base = 2^(2^-schema), for
 * schemas -4 … 8; schema -53 has the bounds of `custom`: (custom[i-1], custom[i]], the last to
 * +Inf. Stale: `sum` has the stale marker's bits. Numbers of the hint are stored: never renumber.
 */
enum histogram_reset_hint {
    HISTOGRAM_RESET_UNKNOWN,
    HISTOGRAM_RESET,
    HISTOGRAM_NOT_RESET,
    HISTOGRAM_GAUGE
};

struct histogram {
    double count, sum, zero_count, zero_threshold;
    int32_t schema;
    enum histogram_reset_hint hint;
    struct histogram_buckets positive, negative;
    size_t n_custom;
    const double *custom; /* upper bounds, ascending, without +Inf */
};

#define STALE_BITS UINT64_C(0x7ff0000000000002) /* of a float sample: the series ends here */

/* One point of one series. */
struct sample {
    const struct label *labels;
    size_t n_labels;
    int64_t time_ms;
    double value;                      /* when `histogram` is NULL */
    const struct histogram *histogram; /* or NULL */
    int64_t start_ms;                  /* since when a cumulative value counts; 0: not known */
};

/* An example of what was counted: of the series `labels`. */
struct exemplar {
    const struct label *labels;
    size_t n_labels;
    const struct label *own; /* trace_id, span_id, … */
    size_t n_own;
    double value;
    int64_t time_ms;
};

/* Numbers are stored: never renumber. */
enum metric_type {
    METRIC_UNKNOWN,
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_GAUGE_HISTOGRAM,
    METRIC_SUMMARY,
    METRIC_INFO,
    METRIC_STATE_SET
};

struct metric_metadata {
    struct slice metric; /* the family's name */
    enum metric_type type;
    struct slice help, unit;
};

/* The attribute of that key, or NULL. Linear: for few attributes. */
const struct attribute *attributes_get(const struct attributes *a, const char *key);
/* Its text when it is a non-empty string, else the empty slice. */
struct slice attributes_text(const struct attributes *a, const char *key);

#endif
