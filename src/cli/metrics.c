/*
 * `varan metrics check [FILE|-]`: whether Prometheus' text is well-formed, and whether names and
 * types are as Prometheus' guidelines want them (prometheus.io/docs/practices/naming).
 * Single-threaded.
 */
#include "base/map.h"
#include "base/vector.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/query.h"
#include "wire/prometheus_text.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX ((size_t) 256 << 20)
#define FAMILIES_MAX 1000000u
#define FAMILY_NAME_BYTES_MAX ((size_t) 256 << 20)
#define ARENA_BYTES_MAX ((size_t) 512 << 20)
#define EXIT_ADVICE 3 /* well-formed, but not as the guidelines want it; promtool's status */

struct check_settings {
    bool openmetrics;
};

static const struct option_def rows[] = {
        {"openmetrics", NULL, NULL, OPTION_FLAG, offsetof(struct check_settings, openmetrics),
         "false", NULL, "Read OpenMetrics 1.0; also when the text ends with \"# EOF\"."},
};

static const struct usage usage = {
        "varan metrics check [FILE|-]",
        "Reads what an application exposes and says what is malformed, with line and column, and "
        "what departs from Prometheus' naming guidelines.",
        "varan metrics check-config FILE... checks a prometheus.yml.\n\n"
        "Example: curl -s http://localhost:8000/metrics | varan metrics check\n"
        "Exit status: 0 nothing to say, 1 malformed, 2 wrong usage, 3 advice.\n",
};

/* ---- What is known about a metric ---- */

struct family {
    struct slice name;
    enum prometheus_type type;
    bool has_type, has_help, has_samples, has_le, has_quantile, label_camel;
    unsigned line;
};

struct checker {
    const char *file;
    struct slice body;
    bool openmetrics;
    struct map index;
    struct arena arena;
    VECTOR(struct family) families;
    unsigned line;
    size_t line_at; /* where that line's count was taken */
    size_t said;
};

/* The line that `at` is in; called with places that ascend. */
static unsigned line_of(struct checker *c, const uint8_t *at) {
    size_t to = (size_t) (at - c->body.data);

    for (; c->line_at < to && c->line_at < c->body.size; c->line_at++)
        c->line += c->body.data[c->line_at] == '\n';
    return c->line + 1;
}

static struct family *find(struct checker *c, struct slice name) {
    const struct map_entry *e = map_get(&c->index, name);

    return e ? &c->families.items[e->number] : NULL;
}

static struct family *put(struct checker *c, struct slice name, unsigned line) {
    struct family f = {.line = line};
    bool is_new;
    struct map_entry *e = map_put(&c->index, name, &is_new);

    if (!e)
        return NULL;
    if (!is_new)
        return &c->families.items[e->number];
    f.name = e->key;
    e->number = c->families.n;
    return vector_push(&c->families, f, FAMILIES_MAX) < 0 ? NULL
                                                          : &c->families.items[c->families.n - 1];
}

/* The family that a sample of that name belongs to: its own, or one it is a part of. */
static struct family *family_of(struct checker *c, struct slice name) {
    static const char *const parts[] = {"_bucket",  "_count", "_sum",    "_total",
                                        "_created", "_info",  "_gcount", "_gsum"};
    struct family *f = find(c, name);

    for (size_t i = 0; !f && i < sizeof(parts) / sizeof(*parts); i++) {
        struct slice part = slice_from(parts[i]);
        if (name.size > part.size && slice_ends(name, part))
            f = find(c, slice_take(name, name.size - part.size));
        if (f && !f->has_type)
            f = NULL;
    }
    return f;
}

/* ---- Advice ---- */

static void say(struct checker *c, const struct family *f, const char *text) {
    printf("%s:%u: %.*s: %s\n", c->file, f->line, SLICE_ARG(slice_take(f->name, 200)), text);
    c->said++;
}

static bool is_camel(struct slice s) {
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

static void check_units(struct checker *c, const struct family *f) {
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
        if (has_word(f->name, slice_from(short_units[i]))) {
            say(c, f, "metric names should not contain abbreviated units");
            break;
        }
}

static void check_suffixes(struct checker *c, const struct family *f) {
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

static void check_family(struct checker *c, const struct family *f) {
    static const char *const types[] = {[PROMETHEUS_COUNTER] = "counter",
                                        [PROMETHEUS_GAUGE] = "gauge",
                                        [PROMETHEUS_HISTOGRAM] = "histogram",
                                        [PROMETHEUS_SUMMARY] = "summary"};
    char text[100];

    if (!f->has_help)
        say(c, f, "no help text");
    if (f->has_samples && !f->has_type)
        say(c, f, "no type");
    if (is_camel(f->name))
        say(c, f, "metric names should be written in \"snake_case\" not \"camelCase\"");
    if (slice_find_byte(f->name, ':') >= 0)
        say(c, f, "metric names should not contain ':'");
    if (f->label_camel)
        say(c, f, "label names should be written in \"snake_case\" not \"camelCase\"");
    if (f->has_type && f->type <= PROMETHEUS_SUMMARY && types[f->type] &&
        has_word(f->name, slice_from(types[f->type]))) {
        snprintf(text, sizeof(text), "metric name should not include type '%s'", types[f->type]);
        say(c, f, text);
    }
    check_units(c, f);
    check_suffixes(c, f);
}

/* ---- Reading ---- */

static int read_sample(struct checker *c, struct prometheus_text *p,
                       const struct prometheus_entry *entry) {
    struct prometheus_label *labels;
    const char *why;
    struct slice name = SLICE_EMPTY;
    size_t n, at;

    arena_clear(&c->arena);
    int r = prometheus_text_labels(entry->series, &c->arena, &labels, &n, &why, &at);
    if (r == -EBADMSG)
        return prometheus_text_fail(p, slice_skip(entry->series, at), why);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (slice_is(labels[i].name, "__name__"))
            name = labels[i].value;
    if (r < 0)
        return r;
    struct family *f = family_of(c, name);
    if (!f)
        f = put(c, name, line_of(c, entry->series.data));
    if (!f)
        return -ENOMEM;
    f->has_samples = true;
    for (size_t i = 0; i < n; i++) {
        f->has_le = f->has_le || slice_is(labels[i].name, "le");
        f->has_quantile = f->has_quantile || slice_is(labels[i].name, "quantile");
        f->label_camel = f->label_camel || is_camel(labels[i].name);
    }
    return 0;
}

static int read_about(struct checker *c, const struct prometheus_entry *entry) {
    struct family *f = put(c, entry->metric, line_of(c, entry->metric.data));

    if (!f)
        return -ENOMEM;
    if (entry->kind == PROMETHEUS_TYPE) {
        f->type = entry->type;
        f->has_type = true;
    } else if (entry->kind == PROMETHEUS_HELP) {
        f->has_help = f->has_help || slice_trim(entry->text).size > 0;
    }
    return 0;
}

static int check(struct checker *c) {
    struct prometheus_entry entry;
    struct prometheus_text p;
    struct error e = ERROR_NONE;
    int r;

    prometheus_text_init(&p, c->body, c->openmetrics ? PROMETHEUS_OPENMETRICS : PROMETHEUS_TEXT);
    while ((r = prometheus_text_next(&p, &entry)) == 0 && entry.kind != PROMETHEUS_END) {
        r = entry.kind == PROMETHEUS_SAMPLE ? read_sample(c, &p, &entry) : read_about(c, &entry);
        if (r < 0)
            break;
    }
    if (r == -EBADMSG) {
        prometheus_text_error(&p, &e);
        fprintf(stderr, "%s: %s\n", c->file, e.text);
        return EXIT_FAILED;
    }
    if (r < 0) {
        fprintf(stderr, "varan metrics check: %s\n", error_name(r));
        return EXIT_FAILED;
    }
    vector_each(&c->families, f) check_family(c, f);
    return c->said ? EXIT_ADVICE : EXIT_OK;
}

static int read_all(FILE *f, struct buffer *to) {
    char piece[65536];
    size_t n;

    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buffer_append(to, piece, n);
    return ferror(f) ? -EIO : to->failed;
}

static int check_file(const char *file, bool openmetrics) {
    bool standard = strcmp(file, "-") == 0;
    struct checker c = {.file = standard ? "standard input" : file};
    FILE *f = standard ? stdin : fopen(file, "rb");
    struct buffer body;

    if (!f) {
        fprintf(stderr, "varan metrics check: %s: %s\n", file, error_name(-errno));
        return EXIT_FAILED;
    }
    buffer_init(&body, FILE_BYTES_MAX);
    int r = read_all(f, &body);
    if (!standard)
        fclose(f);
    if (r < 0) {
        fprintf(stderr, "varan metrics check: %s: %s\n", c.file,
                r == -ENOBUFS ? "larger than 256 MiB" : error_name(r));
        buffer_done(&body);
        return EXIT_FAILED;
    }
    c.body = buffer_slice(&body);
    c.openmetrics = openmetrics || slice_ends(slice_trim(c.body), SLICE("# EOF"));
    map_init(&c.index, FAMILIES_MAX, FAMILY_NAME_BYTES_MAX);
    arena_init(&c.arena, ARENA_BYTES_MAX);
    int status = check(&c);
    vector_done(&c.families);
    arena_done(&c.arena);
    map_done(&c.index);
    buffer_done(&body);
    return status;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct check_settings s = {0};
    struct options_result result;

    int r = options_begin(table, &usage, argc, argv, arena, &s, &result);
    if (r >= 0)
        return r;
    char **words = argv + result.rest;
    if (words[0] && words[1]) {
        fprintf(stderr, "varan metrics check: one file at a time\n");
        return EXIT_USAGE;
    }
    return check_file(words[0] ? words[0] : "-", s.openmetrics);
}

int cmd_metrics(int argc, char **argv) {
    static const char *const flags[] = {"openmetrics", "no-openmetrics", "help", NULL};
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};

    if (argc > 1 && strcmp(argv[1], "check-config") == 0)
        return metrics_check_config(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return run_options_first(argc - 1, argv + 1, flags, run);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        options_print_help(table, &usage);
        return EXIT_OK;
    }
    fprintf(stderr, "varan metrics: say what to do: varan metrics check [FILE|-], varan metrics "
                    "check-config FILE...\n");
    return EXIT_USAGE;
}
