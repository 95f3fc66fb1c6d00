/*
 * `varan query promql|series|labels`: PromQL and what it can ask for, in a terminal, through the
 * server's Prometheus API. Single-threaded.
 */
#include "cli/query_promql.h"

#include "base/clock.h"
#include "cli/command.h"
#include "cli/query.h"
#include "cli/settings.h"

#include <inttypes.h>
#include <stdlib.h>

#define FORM_BYTES_MAX ((size_t) 4 << 20)
#define ANSWER_BYTES_MAX ((size_t) 256 << 20)
#define POINTS_WANTED 60
#define PROMQL_DEADLINE_NS (INT64_C(150) * NS_PER_S)

struct promql_settings {
    const char *server, *at, *from, *to, *step, *timeout;
    uint64_t limit;
    bool json;
};

#define AT(field) offsetof(struct promql_settings, field)

static const struct option_def rows[] = {
        {"server", "VARAN_SERVER", NULL, OPTION_TEXT, AT(server), "http://" PAGE_ADDRESS_DEFAULT,
         "URL", "The server to ask."},
        {"at", NULL, NULL, OPTION_TEXT, AT(at), NULL, "TIME",
         "PromQL at this time: now-2h, RFC 3339, or Unix seconds. Default: now."},
        {"from", NULL, NULL, OPTION_TEXT, AT(from), NULL, "TIME",
         "PromQL over a range that begins here."},
        {"to", NULL, NULL, OPTION_TEXT, AT(to), "now", "TIME", "End of the range."},
        {"step", NULL, NULL, OPTION_TEXT, AT(step), NULL, "DURATION",
         "Distance of the range's points, as 30s. Default: about 60 points."},
        {"timeout", NULL, NULL, OPTION_TEXT, AT(timeout), NULL, "DURATION",
         "When the server gives up."},
        {"limit", NULL, NULL, OPTION_NUMBER, AT(limit), "0", "N",
         "At most so many series; 0: all of them."},
        {"json", NULL, NULL, OPTION_FLAG, AT(json), "false", NULL, "Print the server's JSON."},
};

static const struct usage usage = {
        "varan query promql 'EXPR' | series 'SELECTOR'... | labels [NAME] [OPTION]...",
        "Evaluates PromQL: at one point in time, or over a range with --from. `series` lists label "
        "sets that selectors find, `labels` names of labels, or values of one.",
        "Examples:\n"
        "  varan query promql 'sum by (job) (rate(http_requests_total[5m]))'\n"
        "  varan query promql --from now-6h 'process_resident_memory_bytes'\n"
        "  varan query series 'up' --json\n"
        "  varan query labels job\n",
};

enum subject { PROMQL, SERIES, LABELS };

struct question {
    enum subject subject;
    struct promql_settings settings;
    struct arena arena;
    char **words;
    const char *expr;
};

/* ---- The request ---- */

static void add(struct buffer *form, const char *name, struct slice value) {
    if (form->size)
        buffer_append_u8(form, '&');
    url_encode(form, slice_from(name));
    buffer_append_u8(form, '=');
    url_encode(form, value);
}

/* now, now-2h; everything else is the server's to understand. */
static int add_time(struct buffer *form, const char *name, const char *text, double *ret_s) {
    int64_t ns = clock_now_ns(), delta;
    char number[64];

    *ret_s = 0;
    if (strncmp(text, "now", 3) != 0) {
        if (slice_to_double(slice_from(text), ret_s) < 0 &&
            time_parse_rfc3339(slice_from(text), &ns) == 0)
            *ret_s = (double) ns / 1e9;
        add(form, name, slice_from(text));
        return 0;
    }
    if (text[3]) {
        if ((text[3] != '-' && text[3] != '+') || duration_parse(slice_from(text + 4), &delta) < 0)
            return -EINVAL;
        ns = text[3] == '-' ? ns - delta : ns + delta;
    }
    *ret_s = (double) (ns / NS_PER_MS) / 1000;
    snprintf(number, sizeof(number), "%.3f", *ret_s);
    add(form, name, slice_from(number));
    return 0;
}

static int add_range(const struct question *q, struct buffer *form) {
    const struct promql_settings *s = &q->settings;
    double from, to;
    char step[64];

    if (add_time(form, "start", s->from, &from) < 0)
        return fprintf(stderr, "varan query promql: --from: \"%s\" is no time\n", s->from), -EINVAL;
    if (add_time(form, "end", s->to, &to) < 0)
        return fprintf(stderr, "varan query promql: --to: \"%s\" is no time\n", s->to), -EINVAL;
    snprintf(step, sizeof(step), "%.0f",
             to - from > POINTS_WANTED ? (to - from) / POINTS_WANTED : 1.0);
    add(form, "step", slice_from(s->step ? s->step : step));
    return 0;
}

static int build(const struct question *q, struct buffer *url, struct buffer *form) {
    const struct promql_settings *s = &q->settings;
    struct slice server = slice_from(s->server);
    char limit[32];
    double at;
    int r = 0;

    while (slice_ends(server, SLICE("/")))
        server = slice_take(server, server.size - 1);
    buffer_printf(url, "%.*s/prometheus/api/v1/", SLICE_ARG(server));
    if (q->subject == PROMQL) {
        buffer_append_text(url, s->from ? "query_range" : "query");
        add(form, "query", slice_from(q->expr));
        if (s->from)
            r = add_range(q, form);
        else if (s->at && add_time(form, "time", s->at, &at) < 0)
            return fprintf(stderr, "varan query promql: --at: \"%s\" is no time\n", s->at), -EINVAL;
        if (s->timeout)
            add(form, "timeout", slice_from(s->timeout));
    } else if (q->subject == SERIES) {
        buffer_append_text(url, "series");
        for (char **word = q->words; *word; word++)
            add(form, "match[]", slice_from(*word));
    } else {
        buffer_append_text(url, *q->words ? "label/" : "labels");
        if (*q->words)
            url_encode(url, slice_from(*q->words));
        if (*q->words)
            buffer_append_text(url, "/values");
    }
    snprintf(limit, sizeof(limit), "%" PRIu64, s->limit);
    if (s->limit)
        add(form, "limit", slice_from(limit));
    return r;
}

/* ---- The answer ---- */

/* "… 1:5: parse error: …": the expression again, with a caret under that column. */
static void print_place(const char *message, const char *expr) {
    const char *at = strstr(message, ": parse error");
    unsigned line = 0, column = 0;
    const char *begin = at;

    while (begin && begin > message && begin[-1] != ' ')
        begin--;
    if (!begin || sscanf(begin, "%u:%u", &line, &column) != 2 || line == 0 || column == 0)
        return;
    for (unsigned i = 1; i < line && expr; i++) {
        expr = strchr(expr, '\n');
        expr = expr ? expr + 1 : NULL;
    }
    if (!expr)
        return;
    fprintf(stderr, "  %.*s\n  %*s^\n", (int) strcspn(expr, "\n"), expr, (int) column - 1, "");
}

static int print_error(const struct question *q, int status, struct slice body) {
    json_t *answer = json_loadb((const char *) body.data, body.size, 0, NULL);
    const char *message = json_string_value(json_object_get(answer, "error"));

    if (!message)
        message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
    if (message)
        fprintf(stderr, "varan query: %s\n", message);
    else
        fprintf(stderr, "varan query: the server answered %d\n", status);
    if (message && q->expr)
        print_place(message, q->expr);
    json_decref(answer);
    return status == 400 ? EXIT_USAGE : EXIT_FAILED;
}

static void print_notes(const json_t *answer, const char *key) {
    const json_t *list = json_object_get(answer, key);

    for (size_t i = 0; i < json_array_size(list); i++)
        fprintf(stderr, "%s\n", json_string_value(json_array_get(list, i)));
}

static int print_answer(const struct question *q, struct slice body) {
    struct printer p = printer_of_stdout();
    json_t *answer;

    if (q->settings.json) {
        fwrite(body.data, 1, body.size, stdout);
        fputc('\n', stdout);
        return EXIT_OK;
    }
    answer = json_loadb((const char *) body.data, body.size, 0, NULL);
    if (!json_object_get(answer, "data")) {
        fprintf(stderr, "varan query: the answer is not Prometheus'; is %s a Varan server?\n",
                q->settings.server);
        json_decref(answer);
        return EXIT_FAILED;
    }
    print_promql(&p, json_object_get(answer, "data"));
    print_notes(answer, "warnings");
    print_notes(answer, "infos");
    json_decref(answer);
    return ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}

static int ask(const struct question *q, struct buffer *url, struct buffer *form) {
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded"};
    bool posts = q->subject != LABELS;
    struct http_client *client = NULL;
    struct http_client_answer a = {0};
    struct error e = ERROR_NONE;
    int status = EXIT_FAILED;

    if (!posts && form->size) {
        buffer_append_u8(url, '?');
        buffer_append_slice(url, buffer_slice(form));
    }
    buffer_append_u8(url, 0);
    struct http_client_request request = {.method = posts ? "POST" : "GET",
                                          .url = (const char *) url->data,
                                          .headers = headers,
                                          .n_headers = posts,
                                          .timeout_ns = PROMQL_DEADLINE_NS,
                                          .answer_bytes_max = ANSWER_BYTES_MAX};
    if (posts)
        request.body = buffer_slice(form);
    int r = url->failed ? url->failed : form->failed ? form->failed : http_client_new(&client);
    if (r == 0)
        r = http_client_send(client, &request, &a, &e);
    if (r < 0)
        fprintf(stderr, "varan query: %s\n", e.text[0] ? e.text : error_name(r));
    else if (a.status != 200)
        status = print_error(q, a.status, buffer_slice(&a.body));
    else
        status = print_answer(q, buffer_slice(&a.body));
    buffer_done(&a.body);
    http_client_free(client);
    return status;
}

/* ---- The command ---- */

static int run(struct question *q, int argc, char **argv) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct options_result result;
    struct buffer url, form;

    int r = options_begin(table, &usage, argc, argv, &q->arena, &q->settings, &result);
    if (r >= 0)
        return r;
    q->words = argv + result.rest;
    if (q->subject != LABELS && !*q->words) {
        fprintf(stderr, "varan query: %s is missing; varan query promql --help\n",
                q->subject == PROMQL ? "the expression" : "a selector");
        return EXIT_USAGE;
    }
    q->expr = q->subject == PROMQL ? join_words(&q->arena, q->words) : NULL;
    buffer_init(&url, FORM_BYTES_MAX);
    buffer_init(&form, FORM_BYTES_MAX);
    r = build(q, &url, &form);
    r = r < 0 ? EXIT_USAGE : ask(q, &url, &form);
    buffer_done(&url);
    buffer_done(&form);
    return r;
}

bool query_is_promql(const char *subject) {
    return strcmp(subject, "promql") == 0 || strcmp(subject, "series") == 0 ||
           strcmp(subject, "labels") == 0;
}

int query_promql(int argc, char **argv) {
    static const char *const flags[] = {"json", "no-json", "help", NULL};
    struct question q = {.subject = strcmp(argv[0], "promql") == 0   ? PROMQL
                                    : strcmp(argv[0], "series") == 0 ? SERIES
                                                                     : LABELS};
    char **ordered = options_first(argc, argv, flags);
    int n = 0;

    if (!ordered)
        return EXIT_FAILED;
    while (ordered[n])
        n++;
    arena_init(&q.arena, OPTIONS_TEXT_BYTES_MAX);
    int status = run(&q, n, ordered);
    arena_done(&q.arena);
    free(ordered);
    return status;
}
