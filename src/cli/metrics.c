/*
 * `varan metrics check [FILE|URL|-]`: whether Prometheus' text is well-formed and holds together,
 * and whether names and types are as Prometheus' guidelines want them. Single-threaded.
 */
#include "cli/command.h"
#include "cli/metrics_check.h"
#include "cli/options.h"
#include "cli/query.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX ((size_t) 256 << 20)
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
        "varan metrics check [FILE|URL|-]",
        "Reads what an application exposes and says what is wrong, with its line (syntax, series "
        "that stand twice, histograms that contradict themselves), and what departs from "
        "Prometheus' naming guidelines.",
        "varan metrics check-config FILE... checks a prometheus.yml.\n\n"
        "Examples:\n"
        "  varan metrics check http://localhost:8000/metrics\n"
        "  python -c 'import app, prometheus_client as p; print(p.generate_latest().decode())' |\n"
        "      varan metrics check\n"
        "Exit status: 0 nothing to say, 1 mistakes, 2 wrong usage, 3 advice only.\n",
};

/* ---- Where the text comes from ---- */

static int read_stream(FILE *f, struct buffer *to) {
    char piece[65536];
    size_t n;

    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buffer_append(to, piece, n);
    return ferror(f) ? -EIO : to->failed;
}

static int read_file(const char *name, struct buffer *to, struct error *e) {
    bool standard = strcmp(name, "-") == 0;
    FILE *f = standard ? stdin : fopen(name, "rb");

    if (!f)
        return error_set(e, -errno, "%s: %s", name, error_name(-errno));
    int r = read_stream(f, to);
    if (!standard)
        fclose(f);
    return r < 0 ? error_set(e, r, "%s: %s", name,
                             r == -ENOBUFS ? "larger than 256 MiB" : error_name(r))
                 : 0;
}

static int read_answer(const char *url, const struct http_client_answer *a, struct buffer *to,
                       bool *ret_openmetrics, struct error *e) {
    struct slice type = slice_from(a->content_type);

    if (a->status != 200)
        return error_set(e, -EINVAL, "%s answers with status %d", url, a->status);
    *ret_openmetrics = slice_starts(type, SLICE("application/openmetrics-text"));
    if (!*ret_openmetrics && !slice_starts(type, SLICE("text/plain")))
        return error_set(e, -EINVAL,
                         "%s answers with Content-Type \"%s\": a scraper takes text/plain and "
                         "application/openmetrics-text",
                         url, a->content_type);
    return buffer_append_slice(to, buffer_slice(&a->body));
}

/* As a scraper asks. */
static int read_url(const char *url, struct buffer *to, bool *ret_openmetrics, struct error *e) {
    static const char *const headers[] = {
            "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"};
    struct http_client_request request = {.method = "GET",
                                          .url = url,
                                          .headers = headers,
                                          .n_headers = 1,
                                          .answer_bytes_max = FILE_BYTES_MAX};
    struct http_client_answer a = {0};
    struct http_client *client;

    int r = http_client_new(&client);
    if (r < 0)
        return error_set(e, r, "%s", error_name(r));
    r = http_client_send(client, &request, &a, e);
    if (r == 0)
        r = read_answer(url, &a, to, ret_openmetrics, e);
    buffer_done(&a.body);
    http_client_free(client);
    return r;
}

/* ---- The command ---- */

static int check_text(struct checker *c) {
    map_init(&c->index, CHECK_FAMILIES_MAX, CHECK_KEYS_BYTES_MAX);
    map_init(&c->series, CHECK_SERIES_MAX, CHECK_KEYS_BYTES_MAX);
    map_init(&c->groups, CHECK_SERIES_MAX, CHECK_KEYS_BYTES_MAX);
    arena_init(&c->arena, ARENA_BYTES_MAX);
    int r = check_read(c);
    if (r == 0)
        check_advise(c);
    else if (r != -EBADMSG)
        fprintf(stderr, "varan metrics check: %s\n", error_name(r));
    vector_done(&c->families);
    vector_done(&c->histograms);
    arena_done(&c->arena);
    map_done(&c->groups);
    map_done(&c->series);
    map_done(&c->index);
    return r < 0 || c->mistakes ? EXIT_FAILED : c->advice ? EXIT_ADVICE : EXIT_OK;
}

static int check_source(const char *source, bool openmetrics) {
    struct slice name = slice_from(source);
    bool url = slice_starts(name, SLICE("http://")) || slice_starts(name, SLICE("https://"));
    struct checker c = {.file = strcmp(source, "-") == 0 ? "standard input" : source};
    struct error e = ERROR_NONE;
    struct buffer body;

    buffer_init(&body, FILE_BYTES_MAX);
    int r = url ? read_url(source, &body, &c.openmetrics, &e) : read_file(source, &body, &e);
    c.body = buffer_slice(&body);
    if (!url)
        c.openmetrics = openmetrics || slice_ends(slice_trim(c.body), SLICE("# EOF"));
    if (r < 0)
        fprintf(stderr, "varan metrics check: %s\n", e.text[0] ? e.text : error_name(r));
    int status = r < 0 ? EXIT_FAILED : check_text(&c);
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
    return check_source(words[0] ? words[0] : "-", s.openmetrics);
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
    fprintf(stderr,
            "varan metrics: say what to do: varan metrics check [FILE|URL|-], varan metrics "
            "check-config FILE...\n");
    return EXIT_USAGE;
}
