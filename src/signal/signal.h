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

/* One number of one series, as Prometheus has it. `labels` are sorted by name and hold __name__. */
struct label {
    struct slice name, value;
};

struct sample {
    const struct label *labels;
    size_t n_labels;
    int64_t time_ms;
    double value;
};

/* The attribute of that key, or NULL. Linear: for few attributes. */
const struct attribute *attributes_get(const struct attributes *a, const char *key);
/* Its text when it is a non-empty string, else the empty slice. */
struct slice attributes_text(const struct attributes *a, const char *key);

#endif
