/* The field table of the filter language. Constant data and pure functions: any thread. */
#include "query/filter_fields.h"

#define ZERO_SPAN "toFixedString('', 8)"

const struct filter_field filter_fields[] = {
        {"service", NULL, FIELD_TEXT, "service", "service", "service", false,
         "Service that sent it (service.name)", "service=shop"},
        {"name", "operation", FIELD_TEXT, "name", NULL, "operation", false,
         "Name of the span; an entry span's is the endpoint", "name=\"GET /checkout\""},
        {"kind", NULL, FIELD_KIND, "kind", NULL, "kind", false,
         "internal, server, client, producer or consumer", "kind=server"},
        {"status", NULL, FIELD_STATUS, "status", NULL, "status", false, "unset, ok or error",
         "status=error"},
        {"status_message", NULL, FIELD_TEXT, "status_message", NULL, NULL, false,
         "What the sender said about the status", "status_message~timeout"},
        {"duration", NULL, FIELD_DURATION, "duration_ns", NULL, NULL, false,
         "How long the span took; needs a unit: ns us ms s m h", "duration>200ms"},
        {"entry", NULL, FIELD_FLAG, "entry = 1", NULL, "entry = 1", false,
         "Whether a request enters its service here (server, consumer, root)", "entry=true"},
        {"root", NULL, FIELD_FLAG, "parent_span_id = " ZERO_SPAN, NULL, NULL, false,
         "Whether the span has no parent", "root=true"},
        {"level", "severity", FIELD_LEVEL, NULL, "severity", NULL, false,
         "trace, debug, info, warn, error or fatal, in this order", "level>=warn"},
        {"body", "message", FIELD_TEXT, NULL, "body", NULL, false, "Text of the log line",
         "body~\"took [0-9]+ ms\""},
        {"event.name", NULL, FIELD_TEXT, NULL, "event_name", NULL, false,
         "Name of a structured log event", "event.name=order.placed"},
        {"trace_id", "trace", FIELD_TRACE_ID, "trace_id", "trace_id", NULL, false,
         "Trace, 32 hexadecimal digits", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736"},
        {"span_id", "span", FIELD_SPAN_ID, "span_id", "span_id", NULL, false,
         "Span, 16 hexadecimal digits", "span_id=00f067aa0ba902b7"},
        {"parent", "parent_span_id", FIELD_SPAN_ID, "parent_span_id", NULL, NULL, false,
         "The span's parent, 16 hexadecimal digits", "parent=00f067aa0ba902b7"},
        {"scope", NULL, FIELD_TEXT, "scope", "scope", NULL, false,
         "Instrumentation scope; for logs the logger", "scope=sqlalchemy*"},
        {"peer", NULL, FIELD_TEXT, "peer", NULL, NULL, false,
         "Who is called: a service, a database, an address", "peer=orders"},
        {"statement", NULL, FIELD_TEXT, "db_statement", NULL, NULL, false,
         "SQL statement without its literals", "statement~\"FROM items\""},
        {"version", NULL, FIELD_RESOURCE, "version", "version", NULL, false,
         "Version of the service (service.version)", "version=1.4.2"},
        {"environment", "env", FIELD_RESOURCE, "environment", "environment", NULL, false,
         "Where it is deployed (deployment.environment.name)", "environment=production"},
        {"namespace", NULL, FIELD_RESOURCE, "namespace", "namespace", NULL, false,
         "Namespace of the service (service.namespace)", "namespace=shop"},
        {"instance", NULL, FIELD_RESOURCE, "instance", "instance", NULL, false,
         "Process that sent it (service.instance.id)", "instance=web-1"},
        {"host", NULL, FIELD_RESOURCE_ATTR, "host.name", "host.name", NULL, false,
         "Machine it ran on (host.name)", "host=web-01*"},
        /* Attributes with a column of their own. */
        {"http.request.method", "http.method", FIELD_TEXT, "http_method", NULL, NULL, true,
         "HTTP method", "http.request.method=POST"},
        {"http.route", NULL, FIELD_TEXT, "http_route", NULL, NULL, true, "Route of the request",
         "http.route=/items/{id}"},
        {"http.response.status_code", "http.status_code", FIELD_NUMBER, "http_status", NULL, NULL,
         true, "HTTP status", "http.response.status_code>=500"},
        {"db.system.name", "db.system", FIELD_TEXT, "db_system", NULL, NULL, true,
         "Kind of database", "db.system=postgresql"},
        {"exception.type", NULL, FIELD_TEXT, "exception_type", NULL, NULL, true,
         "Type of the span's last exception", "exception.type=ValueError"},
};
const size_t filter_n_fields = sizeof(filter_fields) / sizeof(filter_fields[0]);

const struct filter_name filter_kinds[] = {
        {"unspecified", 0, 0}, {"internal", 1, 1}, {"server", 2, 2}, {"client", 3, 3},
        {"producer", 4, 4},    {"consumer", 5, 5}, {NULL, 0, 0}};
const struct filter_name filter_states[] = {
        {"unset", 0, 0}, {"ok", 1, 1}, {"error", 2, 2}, {NULL, 0, 0}};
const struct filter_name filter_levels[] = {
        {"unknown", 0, 0},    {"trace", 1, 4},        {"debug", 5, 8},   {"info", 9, 12},
        {"warn", 13, 16},     {"error", 17, 20},      {"fatal", 21, 24}, {"warning", 13, 16},
        {"critical", 21, 24}, {"information", 9, 12}, {NULL, 0, 0}};

const char *filter_field_sql(const struct filter_field *f, enum filter_target target) {
    return target == TARGET_SPANS ? f->span : target == TARGET_LOGS ? f->log : f->red;
}

bool filter_field_on(const struct filter_field *f, enum filter_signal signal) {
    return signal == FILTER_SPANS ? f->span != NULL : f->log != NULL;
}

static bool has_name(const struct filter_field *f, struct slice name) {
    struct slice rest = slice_from(f->aliases);

    if (slice_equal_nocase(slice_from(f->name), name))
        return true;
    while (rest.size)
        if (slice_equal_nocase(slice_cut(&rest, ' '), name))
            return true;
    return false;
}

const struct filter_field *filter_field_find(enum filter_signal signal, struct slice name) {
    for (size_t i = 0; i < filter_n_fields; i++)
        if (filter_field_on(&filter_fields[i], signal) && has_name(&filter_fields[i], name))
            return &filter_fields[i];
    return NULL;
}

const struct filter_field *filter_field_find_any(struct slice name) {
    for (size_t i = 0; i < filter_n_fields; i++)
        if (has_name(&filter_fields[i], name))
            return &filter_fields[i];
    return NULL;
}

/* Whether `b` is `a` with one letter wrong, missing, too many, or two neighbours exchanged. */
static bool one_slip(struct slice a, struct slice b) {
    size_t i = 0;

    if (a.size > b.size + 1 || b.size > a.size + 1)
        return false;
    while (i < a.size && i < b.size && a.data[i] == b.data[i])
        i++;
    if (a.size == b.size) {
        if (slice_equal(slice_skip(a, i + 1), slice_skip(b, i + 1)))
            return true;
        return i + 1 < a.size && a.data[i] == b.data[i + 1] && a.data[i + 1] == b.data[i] &&
               slice_equal(slice_skip(a, i + 2), slice_skip(b, i + 2));
    }
    return a.size > b.size ? slice_equal(slice_skip(a, i + 1), slice_skip(b, i))
                           : slice_equal(slice_skip(a, i), slice_skip(b, i + 1));
}

const struct filter_field *filter_field_near(enum filter_signal signal, struct slice name) {
    for (size_t i = 0; i < filter_n_fields; i++) {
        const struct filter_field *f = &filter_fields[i];
        struct slice own = slice_from(f->name);
        /* Short words and plurals are likelier to be somebody's attribute than a slip. */
        bool plural = name.size == own.size + 1 && name.data[own.size] == 's';
        if (filter_field_on(f, signal) && own.size >= 6 && !plural && one_slip(own, name))
            return f;
    }
    return NULL;
}

const struct filter_name *filter_name_find(const struct filter_name *names, struct slice text) {
    for (const struct filter_name *n = names; n->name; n++)
        if (slice_equal_nocase(slice_from(n->name), text))
            return n;
    return NULL;
}

const struct filter_name *filter_field_names(const struct filter_field *f) {
    return f->type == FIELD_KIND     ? filter_kinds
           : f->type == FIELD_STATUS ? filter_states
           : f->type == FIELD_LEVEL  ? filter_levels
                                     : NULL;
}
