/*
 * OpenTelemetry's names as Prometheus' (opentelemetry.io/docs/specs/otel/compatibility/
 * prometheus_and_openmetrics; prometheus.io/docs/guides/opentelemetry). Any thread; memory: the
 * arena.
 */
#include "receive/otlp_metrics.h"

#define TOKENS_MAX 64
#define NAME_BYTES_MAX 1024

static bool is_name(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

struct unit {
    const char *unit, *name;
};

static const struct unit units[] = {
        {"d", "days"},
        {"h", "hours"},
        {"min", "minutes"},
        {"s", "seconds"},
        {"ms", "milliseconds"},
        {"us", "microseconds"},
        {"ns", "nanoseconds"},
        {"By", "bytes"},
        {"KiBy", "kibibytes"},
        {"MiBy", "mebibytes"},
        {"GiBy", "gibibytes"},
        {"TiBy", "tibibytes"},
        {"KBy", "kilobytes"},
        {"MBy", "megabytes"},
        {"GBy", "gigabytes"},
        {"TBy", "terabytes"},
        {"m", "meters"},
        {"V", "volts"},
        {"A", "amperes"},
        {"J", "joules"},
        {"W", "watts"},
        {"g", "grams"},
        {"Cel", "celsius"},
        {"Hz", "hertz"},
        {"1", ""},
        {"%", "percent"},
};

static const struct unit per_units[] = {
        {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
        {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

static struct slice unit_name(const struct unit *table, size_t n, struct slice unit) {
    for (size_t i = 0; i < n; i++)
        if (slice_is(unit, table[i].unit))
            return slice_from(table[i].name);
    return unit;
}

struct tokens {
    struct slice items[TOKENS_MAX];
    size_t n;
};

static void add_token(struct tokens *t, struct slice s) {
    if (s.size && t->n < TOKENS_MAX)
        t->items[t->n++] = s;
}

static bool has_token(const struct tokens *t, struct slice s) {
    for (size_t i = 0; i < t->n; i++)
        if (slice_equal(t->items[i], s))
            return true;
    return false;
}

/* The words of `s`: what stands between characters that names may not hold. */
static void split(struct tokens *t, struct slice s) {
    size_t begin = 0;

    for (size_t i = 0; i <= s.size; i++) {
        if (i < s.size && (is_name(s.data[i]) || s.data[i] == ':'))
            continue;
        add_token(t, slice_take(slice_skip(s, begin), i - begin));
        begin = i + 1;
    }
}

static void move_to_end(struct tokens *t, struct slice word) {
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        if (!slice_equal(t->items[i], word))
            t->items[n++] = t->items[i];
    t->n = n;
    add_token(t, word);
}

static void add_unit(struct tokens *t, struct slice unit) {
    struct slice rest = unit, main = slice_trim(slice_cut(&rest, '/')), per = slice_trim(rest);

    if (main.size && slice_find_byte(main, '{') < 0) {
        struct tokens words = {.n = 0};
        split(&words, unit_name(units, sizeof(units) / sizeof(*units), main));
        for (size_t i = 0; i < words.n; i++)
            if (!has_token(t, words.items[i]))
                add_token(t, words.items[i]);
    }
    if (per.size && slice_find_byte(per, '{') < 0) {
        struct tokens words = {.n = 0};
        split(&words, unit_name(per_units, sizeof(per_units) / sizeof(*per_units), per));
        if (words.n && !has_token(t, words.items[0])) {
            add_token(t, SLICE("per"));
            for (size_t i = 0; i < words.n; i++)
                add_token(t, words.items[i]);
        }
    }
}

/* A name that Prometheus' own libraries could have given: it stays as it is, so that what an
 * application exports by Prometheus' names is found by them. */
static bool is_prometheus_name(struct slice name, bool counter) {
    static const struct slice total = SLICE("_total");

    if (name.size == 0 || is_digit(name.data[0]) ||
        (counter && (name.size < total.size ||
                     memcmp(name.data + name.size - total.size, total.data, total.size) != 0)))
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!is_name(name.data[i]) && name.data[i] != '_' && name.data[i] != ':')
            return false;
    return true;
}

struct slice prometheus_metric_name(struct arena *a, struct slice name, struct slice unit,
                                    bool counter, bool gauge) {
    struct tokens t = {.n = 0};
    size_t size = 1, n = 0;

    name = slice_take(name, NAME_BYTES_MAX);
    if (unit.size == 0 && is_prometheus_name(name, counter))
        return arena_dup(a, name);
    split(&t, slice_take(name, NAME_BYTES_MAX));
    add_unit(&t, slice_take(unit, 64));
    if (counter)
        move_to_end(&t, SLICE("total"));
    if (gauge && slice_is(unit, "1"))
        move_to_end(&t, SLICE("ratio"));
    for (size_t i = 0; i < t.n; i++)
        size += t.items[i].size + 1;
    uint8_t *p = arena_alloc(a, size);
    if (!p)
        return SLICE_EMPTY;
    if (t.n && is_digit(t.items[0].data[0]))
        p[n++] = '_';
    for (size_t i = 0; i < t.n; i++) {
        if (i)
            p[n++] = '_';
        memcpy(p + n, t.items[i].data, t.items[i].size);
        n += t.items[i].size;
    }
    return slice_new(p, n);
}

struct slice prometheus_label_name(struct arena *a, struct slice key) {
    key = slice_take(key, NAME_BYTES_MAX);
    uint8_t *p = arena_alloc(a, key.size + 5);
    size_t n = 0;

    if (!p)
        return SLICE_EMPTY;
    if (key.size && is_digit(key.data[0])) {
        memcpy(p, "key_", 4);
        n = 4;
    } else if (key.size && !is_name(key.data[0]) && !(key.size > 1 && key.data[1] == '_')) {
        memcpy(p, "key", 3); /* single leading underscores are kept for Prometheus itself */
        n = 3;
    }
    for (size_t i = 0; i < key.size; i++)
        p[n++] = is_name(key.data[i]) ? key.data[i] : '_';
    return slice_new(p, n);
}
