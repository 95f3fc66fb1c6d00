/* Parameters as Prometheus' API takes them. One worker at a time. */
#include "api/prometheus_call.h"

#include <math.h>

#define TIME_MS_MAX (INT64_C(1) << 53)
#define DURATION_S_MAX 9223372036.0

struct slice prom_param(struct prom_call *c, const char *name) {
    return http_request_param(c->request, name);
}

/* ---- Times ---- */

int prom_parse_time(struct slice text, int64_t *ret_ms) {
    double seconds;
    int64_t ns;

    if (slice_to_double(text, &seconds) == 0) {
        if (!(fabs(seconds) < (double) TIME_MS_MAX / 1000))
            return -EINVAL;
        *ret_ms = llround(seconds * 1000);
        return 0;
    }
    /* What Go clients send for "since ever" and "until ever". */
    if (slice_is(text, "-292273086-05-16T16:47:06Z")) {
        *ret_ms = -TIME_MS_MAX;
        return 0;
    }
    if (slice_is(text, "292277025-08-18T07:12:54.999999999Z")) {
        *ret_ms = TIME_MS_MAX;
        return 0;
    }
    if (time_parse_rfc3339(text, &ns) < 0)
        return -EINVAL;
    *ret_ms = ns / NS_PER_MS - (ns % NS_PER_MS < 0);
    return 0;
}

int prom_time(struct prom_call *c, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    struct slice text = prom_param(c, name);

    if (text.size == 0) {
        *ret_ms = fallback_ms;
        return 0;
    }
    if (prom_parse_time(text, ret_ms) < 0)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"%s\": Invalid time value for '%s': cannot parse "
                         "\"%.*s\" to a valid timestamp",
                         name, name, SLICE_ARG(slice_take(text, 200)));
    return 0;
}

int prom_time_needed(struct prom_call *c, const char *name, int64_t *ret_ms) {
    struct slice text = prom_param(c, name);

    if (prom_parse_time(text, ret_ms) < 0)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp",
                         name, SLICE_ARG(slice_take(text, 200)));
    return 0;
}

/* "1d12h", "90s", "100ms": units descending, each once. */
static int parse_units(struct slice text, double *ret_s) {
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"y", 365 * 86400.0}, {"w", 7 * 86400.0}, {"d", 86400},
                 {"h", 3600},          {"m", 60},          {"s", 1},
                 {"ms", 1e-3}};
    size_t next = 0;
    double sum = 0;

    if (text.size == 0)
        return -EINVAL;
    while (text.size) {
        size_t n = 0, unit = 0, i = next;
        uint64_t v;
        while (n < text.size && text.data[n] >= '0' && text.data[n] <= '9')
            n++;
        while (n + unit < text.size && (text.data[n + unit] < '0' || text.data[n + unit] > '9'))
            unit++;
        while (i < 7 && !slice_is(slice_new(text.data + n, unit), units[i].name))
            i++;
        if (i == 7 || slice_to_u64(slice_take(text, n), &v) < 0)
            return -EINVAL;
        sum += (double) v * units[i].seconds;
        next = i + 1;
        text = slice_skip(text, n + unit);
    }
    *ret_s = sum;
    return 0;
}

int prom_parse_duration(struct slice text, int64_t *ret_ms) {
    double seconds;

    if (slice_to_double(text, &seconds) < 0) {
        if (slice_is(text, "0"))
            seconds = 0;
        else if (parse_units(text, &seconds) < 0)
            return -EINVAL;
    }
    if (!(fabs(seconds) < DURATION_S_MAX))
        return -EINVAL;
    *ret_ms = llround(seconds * 1000);
    return 0;
}

int prom_duration(struct prom_call *c, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    struct slice text = prom_param(c, name);

    if (!text.data) {
        *ret_ms = fallback_ms;
        return 0;
    }
    if (prom_parse_duration(text, ret_ms) < 0)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration",
                         name, SLICE_ARG(slice_take(text, 200)));
    return 0;
}

int prom_limit(struct prom_call *c, const char *name, uint64_t *ret) {
    struct slice text = prom_param(c, name);
    int64_t v = 0;

    if (text.size && slice_to_i64(text, &v) < 0)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"%s\": cannot parse \"%.*s\" as a whole number", name,
                         SLICE_ARG(slice_take(text, 200)));
    if (v < 0)
        return prom_fail(c, PROM_BAD_DATA, "invalid parameter \"%s\": %s must be non-negative",
                         name, name);
    *ret = (uint64_t) v;
    return 0;
}

int prom_range(struct prom_call *c, struct metrics_range *ret, uint64_t *ret_limit) {
    struct metrics_range range = {.deadline_ns = c->deadline_ns, .cancel = &c->cancel};

    int r = prom_time(c, "start", -TIME_MS_MAX, &range.from_ms);
    if (r == 0)
        r = prom_time(c, "end", TIME_MS_MAX, &range.to_ms);
    if (r == 0 && range.to_ms < range.from_ms)
        r = prom_fail(c, PROM_BAD_DATA,
                      "invalid parameter \"end\": end timestamp must not be before start time");
    if (r == 0)
        r = prom_limit(c, "limit", ret_limit);
    range.limit = r == 0 && *ret_limit < SIZE_MAX ? (size_t) *ret_limit : 0;
    *ret = range;
    return r;
}

/* ---- match[] ---- */

struct collecting {
    struct prom_call *call;
    struct slice texts[PROMETHEUS_SELECTORS_MAX];
    size_t n;
    bool too_many;
};

static bool collect(void *ctx, struct slice name, struct slice value) {
    struct collecting *m = ctx;

    if (!slice_is(name, "match[]"))
        return true;
    if (m->n == PROMETHEUS_SELECTORS_MAX) {
        m->too_many = true;
        return false;
    }
    m->texts[m->n++] = value;
    return true;
}

/* One matcher that the empty text does not match, or the selector is for everything. */
static bool is_selective(const struct metrics_selector *s) {
    for (size_t i = 0; i < s->n; i++)
        if (promql_matcher_test(&s->matchers[i], SLICE("")) == 0)
            return true;
    return false;
}

static int add_selector(struct prom_call *c, struct slice text, struct prom_selectors *to) {
    struct metrics_selector *s = &to->items[to->n];
    struct promql_error e;

    int r = promql_parse_selector(text, &to->queries[to->n], &s->matchers, &s->n, &e);
    if (r < 0)
        return prom_fail_query(c, r, "match[]", &e);
    to->n++;
    if (!is_selective(s))
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"match[]\": match[] must contain at least one "
                         "non-empty matcher");
    return 0;
}

int prom_selectors(struct prom_call *c, bool needed, struct prom_selectors *ret) {
    struct collecting found = {.call = c};
    int r = 0;

    *ret = (struct prom_selectors){0};
    http_request_params(c->request, collect, &found);
    if (found.too_many)
        return prom_fail(c, PROM_BAD_DATA, "more than %u match[] at once",
                         PROMETHEUS_SELECTORS_MAX);
    if (needed && found.n == 0)
        return prom_fail(c, PROM_BAD_DATA, "no match[] parameter provided");
    ret->items = arena_array(&c->arena, struct metrics_selector, found.n);
    ret->queries = arena_array(&c->arena, struct promql_query *, found.n);
    if (!ret->items || !ret->queries)
        return -ENOMEM;
    for (size_t i = 0; i < found.n && r == 0; i++)
        r = add_selector(c, found.texts[i], ret);
    if (r < 0)
        prom_selectors_done(ret);
    return r;
}

void prom_selectors_done(struct prom_selectors *s) {
    for (size_t i = 0; i < s->n; i++)
        promql_query_free(s->queries[i]);
    s->n = 0;
}

/* ---- Names ---- */

static size_t put_utf8(uint8_t *p, uint32_t v) {
    if (v < 0x80) {
        p[0] = (uint8_t) v;
        return 1;
    }
    if (v < 0x800) {
        p[0] = (uint8_t) (0xc0 | v >> 6);
        p[1] = (uint8_t) (0x80 | (v & 0x3f));
        return 2;
    }
    if (v < 0x10000) {
        p[0] = (uint8_t) (0xe0 | v >> 12);
        p[1] = (uint8_t) (0x80 | (v >> 6 & 0x3f));
        p[2] = (uint8_t) (0x80 | (v & 0x3f));
        return 3;
    }
    p[0] = (uint8_t) (0xf0 | v >> 18);
    p[1] = (uint8_t) (0x80 | (v >> 12 & 0x3f));
    p[2] = (uint8_t) (0x80 | (v >> 6 & 0x3f));
    p[3] = (uint8_t) (0x80 | (v & 0x3f));
    return 4;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "__" is "_", "_2e_" the character U+002E; anything else makes the name one that was not escaped.
 */
struct slice prom_unescape_name(struct arena *a, struct slice name) {
    struct slice rest = slice_skip(name, 3);
    uint8_t *p = slice_starts(name, SLICE("U__")) ? arena_alloc(a, rest.size + 4) : NULL;
    size_t n = 0;

    if (!slice_starts(name, SLICE("U__")))
        return name;
    if (!p)
        return SLICE_EMPTY;
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.data[i] != '_') {
            p[n++] = rest.data[i];
            continue;
        }
        if (++i < rest.size && rest.data[i] == '_') {
            p[n++] = '_';
            continue;
        }
        uint32_t v = 0;
        size_t digits = 0;
        for (; i < rest.size && rest.data[i] != '_'; i++, digits++) {
            int digit = hex_digit(rest.data[i]);
            if (digit < 0 || digits == 6)
                return name;
            v = v << 4 | (uint32_t) digit;
        }
        if (i == rest.size || digits == 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
            return name;
        uint8_t bytes[4];
        size_t size = put_utf8(bytes, v);
        memcpy(p + n, bytes, size);
        n += size;
    }
    return slice_new(p, n);
}
