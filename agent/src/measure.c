/* See measure.h. The points' attributes are those of the span, as they are encoded there. */
#include "measure.h"

#include "encode.h"
#include "metrics.h"
#include "module.h"

#define PICKED_MAX 8
#define ENCODED_MAX 1024 /* of all attributes of a point; what goes beyond is left out */

/* The tags of a point's attributes: NumberDataPoint's, and HistogramDataPoint's. */
enum { NUMBER_ATTRIBUTE = 0x3a, HISTOGRAM_ATTRIBUTE = 0x4a };

struct key {
    const char *text;
    uint8_t n;
};
#define KEY(text)                                                                                  \
    { text, sizeof(text) - 1 }

/* What a point says, in its order; `lengths` has a bit for the length of each name: most of a
 * span's attributes are told apart by it. */
struct keys {
    struct key keys[PICKED_MAX];
    uint32_t lengths;
};
#define LENGTH(text) (1u << (sizeof(text) - 1))
static const struct keys server_keys = {
        {KEY("http.request.method"), KEY("url.scheme"), KEY("http.route"),
         KEY("http.response.status_code"), KEY("error.type")},
        LENGTH("http.request.method") | LENGTH("url.scheme") | LENGTH("http.route") |
                LENGTH("http.response.status_code") | LENGTH("error.type"),
};
static const struct keys client_keys = {
        {KEY("http.request.method"), KEY("server.address"), KEY("server.port"),
         KEY("http.response.status_code"), KEY("error.type")},
        LENGTH("http.request.method") | LENGTH("server.address") | LENGTH("server.port") |
                LENGTH("http.response.status_code") | LENGTH("error.type"),
};
static const struct keys database_keys = {
        {KEY("db.system.name"), KEY("db.namespace"), KEY("server.address"), KEY("server.port"),
         KEY("error.type"), KEY("db.operation.name"), KEY("db.collection.name")},
        LENGTH("db.system.name") | LENGTH("db.namespace") | LENGTH("server.address") |
                LENGTH("server.port") | LENGTH("error.type") | LENGTH("db.operation.name") |
                LENGTH("db.collection.name"),
};
static const struct keys active_keys = {
        {KEY("http.request.method"), KEY("url.scheme")},
        LENGTH("http.request.method") | LENGTH("url.scheme"),
};

static const double http_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                     0.5,   0.75, 1,     2.5,  5,     7.5, 10};
static const double database_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};

static const struct kind {
    const char *name, *description;
    const double *bounds;
    unsigned bounds_n;
    const struct keys *keys;
} kinds[] = {
        [MEASURED_HTTP_SERVER] = {"http.server.request.duration",
                                  "Duration of HTTP server requests.", http_bounds,
                                  sizeof(http_bounds) / sizeof(double), &server_keys},
        [MEASURED_HTTP_CLIENT] = {"http.client.request.duration",
                                  "Duration of HTTP client requests.", http_bounds,
                                  sizeof(http_bounds) / sizeof(double), &client_keys},
        [MEASURED_DATABASE] = {"db.client.operation.duration",
                               "Duration of database client operations.", database_bounds,
                               sizeof(database_bounds) / sizeof(double), &database_keys},
};

static struct instrument *durations[sizeof(kinds) / sizeof(kinds[0])], *active;

struct field {
    const char *p;
    size_t n;
};

/* The wanted attributes among a span's. Returns which are there, as bits. */
static unsigned pick(const Span *s, const struct keys *wanted, struct field *ret) {
    const struct key *keys = wanted->keys;
    const char *p = s->data.data, *end = p + s->data.used;
    unsigned found = 0;

    while (p < end) {
        const char *field = p;
        unsigned tag = (uint8_t) *p++;
        size_t n = pb_read_varint(&p);

        if (tag == SPAN_ATTRIBUTE) {
            const char *q = p + 1; /* past the key's tag */
            size_t k = pb_read_varint(&q);
            bool possible = k < 32 && wanted->lengths >> k & 1;
            for (unsigned i = 0; possible && i < PICKED_MAX && keys[i].n; i++)
                if (keys[i].n == k && memcmp(q, keys[i].text, k) == 0) {
                    ret[i] = (struct field){field, (size_t) (p + n - field)};
                    found |= 1u << i;
                    break;
                }
        }
        p += n;
    }
    return found;
}

/* With the tag of the point's attributes in place of the span's. */
static void put_fields(struct buf *b, unsigned tag, const struct field *fields, unsigned found) {
    for (unsigned i = 0; i < PICKED_MAX; i++)
        if (found & 1u << i) {
            uint32_t at = b->used;
            if (buf_append(b, fields[i].p, fields[i].n) == 0)
                b->data[at] = (char) tag;
        }
}

static struct cell *active_cell(const Span *s) {
    struct field fields[PICKED_MAX];
    char storage[ENCODED_MAX];
    struct buf b;

    if (!active)
        active = instrument_get(METRIC_UP_DOWN, 0, "http.server.active_requests", "{request}",
                                "Number of active HTTP server requests.", NULL, 0);
    if (!active)
        return NULL;
    buf_init(&b, storage, sizeof(storage), sizeof(storage));
    put_fields(&b, NUMBER_ATTRIBUTE, fields, pick(s, &active_keys, fields));
    return cell_of_encoded(active, b.data, b.used);
}

void measure_span(Span *s, enum measured what) {
    if (metrics_config.enabled && span_enabled)
        s->measured = (uint8_t) what;
}

void measure_active(Span *s) {
    struct cell *c;

    if (s->measured != MEASURED_HTTP_SERVER)
        return;
    metrics_touch();
    c = active_cell(s);
    if (!c)
        return;
    cell_add_integer(active, c, 1);
    s->active = c;
}

void measure_forget(Span *s) {
    if (s->active)
        cell_add_integer(active, s->active, -1);
    s->active = NULL;
}

static void record(const Span *s, const struct kind *k, struct instrument *m) {
    struct field fields[PICKED_MAX];
    char storage[ENCODED_MAX];
    struct buf b;
    struct cell *c;
    unsigned found = pick(s, k->keys, fields), error = 0;

    while (k->keys->keys[error].n != 10 || memcmp(k->keys->keys[error].text, "error.type", 10) != 0)
        error++;
    buf_init(&b, storage, sizeof(storage), sizeof(storage));
    put_fields(&b, HISTOGRAM_ATTRIBUTE, fields, found);
    if (s->status == STATUS_ERROR && !(found & 1u << error))
        PUT_STRING(&b, HISTOGRAM_ATTRIBUTE, "error.type", "_OTHER", 6);
    c = cell_of_encoded(m, b.data, b.used);
    if (c)
        cell_record_of(m, c, (double) (s->end_ns - s->start_ns) / 1e9, &s->id);
}

void measure_end(Span *s) {
    const struct kind *k = &kinds[s->measured];
    struct instrument **m = &durations[s->measured];

    metrics_touch();
    if (s->active)
        measure_forget(s);
    if (!*m)
        *m = instrument_get(METRIC_HISTOGRAM, 0, k->name, "s", k->description, k->bounds,
                            k->bounds_n);
    if (*m)
        record(s, k, *m);
    s->measured = MEASURED_NOT;
}
