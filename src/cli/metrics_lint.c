/* Advice on metrics: names, help, types, units. See metrics_check.h. */
#include "cli/metrics_check.h"

#include <stdio.h>

static void say(struct checker *c, const struct check_family *f, const char *text) {
    printf("%s:%u: %.*s: %s\n", c->file, f->line, SLICE_ARG(slice_take(f->name, 200)), text);
    c->advice++;
}

bool check_is_camel(struct slice s) {
    for (size_t i = 1; i < s.size; i++)
        if (s.data[i] >= 'A' && s.data[i] <= 'Z' && s.data[i - 1] >= 'a' && s.data[i - 1] <= 'z')
            return true;
    return false;
}

static bool has_word(struct slice name, struct slice word) {
    while (name.size)
        if (slice_equal(slice_cut(&name, '_'), word))
            return true;
    return false;
}

static struct slice behind_first(struct slice name) {
    slice_cut(&name, '_');
    return name;
}

static void check_units(struct checker *c, const struct check_family *f) {
    static const struct {
        const char *unit, *base;
    } units[] = {
            {"milliseconds", "seconds"}, {"microseconds", "seconds"}, {"nanoseconds", "seconds"},
            {"minutes", "seconds"},      {"hours", "seconds"},        {"days", "seconds"},
            {"kilobytes", "bytes"},      {"megabytes", "bytes"},      {"gigabytes", "bytes"},
            {"kibibytes", "bytes"},      {"mebibytes", "bytes"},      {"percent", "ratio"},
            {"fahrenheit", "celsius"}};
    static const char *const short_units[] = {"s",  "ms", "us", "ns", "sec", "b",
                                              "kb", "mb", "gb", "tb", "pb",  "m"};
    char text[100];

    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (has_word(f->name, slice_from(units[i].unit))) {
            snprintf(text, sizeof(text), "use base unit \"%s\" instead of \"%s\"", units[i].base,
                     units[i].unit);
            say(c, f, text);
        }
    for (size_t i = 0; i < sizeof(short_units) / sizeof(*short_units); i++)
        if (has_word(behind_first(f->name), slice_from(short_units[i]))) {
            say(c, f, "metric names should not contain abbreviated units");
            break;
        }
}

static void check_suffixes(struct checker *c, const struct check_family *f) {
    bool histogram = f->type == PROMETHEUS_HISTOGRAM || f->type == PROMETHEUS_GAUGE_HISTOGRAM,
         summary = f->type == PROMETHEUS_SUMMARY, counter = f->type == PROMETHEUS_COUNTER;
    bool total = slice_ends(f->name, SLICE("_total"));

    if (!f->has_type || f->type == PROMETHEUS_UNKNOWN)
        return;
    if (counter && !total && !c->openmetrics)
        say(c, f, "counter metrics should have \"_total\" suffix");
    if (!counter && total)
        say(c, f, "non-counter metrics should not have \"_total\" suffix");
    if (!histogram && slice_ends(f->name, SLICE("_bucket")))
        say(c, f, "non-histogram metrics should not have \"_bucket\" suffix");
    if (!histogram && !summary && slice_ends(f->name, SLICE("_count")))
        say(c, f, "non-histogram and non-summary metrics should not have \"_count\" suffix");
    if (!histogram && !summary && slice_ends(f->name, SLICE("_sum")))
        say(c, f, "non-histogram and non-summary metrics should not have \"_sum\" suffix");
    if (!histogram && f->has_le)
        say(c, f, "non-histogram metrics should not have \"le\" label");
    if (!summary && f->has_quantile)
        say(c, f, "non-summary metrics should not have \"quantile\" label");
}

/* A type's name behind the first word. */
static void check_type_words(struct checker *c, const struct check_family *f) {
    static const char *const types[] = {"counter", "gauge", "histogram", "summary"};
    struct slice rest = behind_first(f->name);
    char text[100];

    for (size_t i = 0; f->has_type && i < sizeof(types) / sizeof(*types); i++)
        if (has_word(rest, slice_from(types[i]))) {
            snprintf(text, sizeof(text), "metric name should not include type '%s'", types[i]);
            say(c, f, text);
        }
}

static void advise(struct checker *c, const struct check_family *f) {
    if (!f->has_help)
        say(c, f, "no help text");
    if (f->has_samples && !f->has_type)
        say(c, f, "no type");
    if (check_is_camel(f->name))
        say(c, f, "metric names should be written in 'snake_case' not 'camelCase'");
    if (slice_find_byte(f->name, ':') >= 0)
        say(c, f, "metric names should not contain ':'");
    if (f->label_camel)
        say(c, f, "label names should be written in 'snake_case' not 'camelCase'");
    check_type_words(c, f);
    if (f->scattered)
        say(c, f, "its samples should stand together");
    check_units(c, f);
    check_suffixes(c, f);
}

void check_advise(struct checker *c) {
    vector_each(&c->families, f) advise(c, f);
}
