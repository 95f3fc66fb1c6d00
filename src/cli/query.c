/*
 * `varan query services|traces|trace|logs`: the server's answers in a terminal, as tables or as
 * JSON. Through the same API as the page. Single-threaded.
 */
#include "cli/query.h"

#include "base/clock.h"
#include "cli/command.h"
#include "cli/query_profile.h"
#include "cli/query_promql.h"
#include "cli/settings.h"

#include <inttypes.h>
#include <stdlib.h>

#define URL_BYTES_MAX ((size_t) 64 << 10)
#define FOLLOW_NS (INT64_C(365) * 86400 * NS_PER_S)
#define EVENT_BYTES_MAX ((size_t) 16 << 20)

struct query_settings {
    const char *server, *from, *to, *sort;
    uint64_t limit;
    bool json, follow;
};

#define AT(field) offsetof(struct query_settings, field)

static const struct option_def rows[] = {
        {"server", "VARAN_SERVER", NULL, OPTION_TEXT, AT(server), "http://" PAGE_ADDRESS_DEFAULT,
         "URL", "The server to ask."},
        {"from", NULL, NULL, OPTION_TEXT, AT(from), "now-15m", "TIME",
         "Begin of the time range: now-2h, RFC 3339, or Unix seconds."},
        {"to", NULL, NULL, OPTION_TEXT, AT(to), "now", "TIME", "End of the time range."},
        {"limit", NULL, NULL, OPTION_NUMBER, AT(limit), "50", "N",
         "At most so many traces or lines."},
        {"sort", NULL, NULL, OPTION_TEXT, AT(sort), "recent", "ORDER",
         "Traces: recent or slowest."},
        {"json", NULL, NULL, OPTION_FLAG, AT(json), "false", NULL, "Print the server's JSON."},
        {"follow", NULL, NULL, OPTION_FLAG, AT(follow), "false", NULL,
         "Logs: print new lines as they come, until interrupted."},
};

static const struct usage usage = {
        "varan query services|traces|trace ID|logs|promql|profile [OPTION]... [FILTER]",
        "Asks a server for services, traces, one trace, or log lines. FILTER is the filter "
        "language of the page, for example: service=shop AND duration>200ms. PromQL and profiles "
        "have options of their own: see the examples.",
        "Examples:\n"
        "  varan query services --from now-1h\n"
        "  varan query traces --sort slowest 'http.response.status_code>=500'\n"
        "  varan query logs --follow 'level>=warn'\n"
        "  varan query promql 'sum by (job) (up)'      (varan query promql --help)\n"
        "  varan query profile --service shop          (varan query profile --help)\n",
};

/* The filter again, with a caret line under the wrong place. */
static void print_place(FILE *to, const char *filter, size_t column, size_t length,
                        const char *hint) {
    if (strchr(filter, '\n') || column == 0)
        return;
    fprintf(to, "  %s\n  ", filter);
    for (size_t i = 1; i < column; i++)
        fputc(' ', to);
    for (size_t i = 0; i < length && i < 200; i++)
        fputc('^', to);
    fprintf(to, "%s%s\n", *hint ? " " : "", hint);
}

void print_api_error(FILE *to, const char *command, int status, struct slice body,
                     const char *filter) {
    json_t *answer = json_loadb((const char *) body.data, body.size, 0, NULL);
    const json_t *e = json_object_get(answer, "error");
    const char *message = json_string_value(json_object_get(e, "message"));
    const char *hint = json_string_value(json_object_get(e, "hint"));
    json_int_t column = json_integer_value(json_object_get(e, "column"));

    fprintf(to, "varan %s: ", command);
    if (message)
        fprintf(to, "%s\n", message);
    else
        fprintf(to, "the server answered %d\n", status);
    if (filter && column > 0)
        print_place(to, filter, (size_t) column,
                    (size_t) json_integer_value(json_object_get(e, "length")), hint ? hint : "");
    json_decref(answer);
}

char **options_first(int argc, char **argv, const char *const *flags) {
    char **all = calloc((size_t) argc + 2, sizeof(*all)),
         **words = calloc((size_t) argc + 1, sizeof(*words));
    int n = 0, n_words = 0;
    bool ended = false;

    for (int i = 0; all && words && i < argc; i++) {
        if (i == 0) {
            all[n++] = argv[i];
        } else if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (!ended && strncmp(argv[i], "--", 2) == 0) {
            bool flag = strchr(argv[i], '=') != NULL;
            for (size_t k = 0; flags[k]; k++)
                flag = flag || strcmp(argv[i] + 2, flags[k]) == 0;
            all[n++] = argv[i];
            if (!flag && i + 1 < argc)
                all[n++] = argv[++i];
        } else {
            words[n_words++] = argv[i];
        }
    }
    if (all && words && n_words) {
        static char end[] = "--";
        all[n++] = end;
        memcpy(all + n, words, (size_t) n_words * sizeof(*words));
    }
    free(words);
    return all;
}

int run_options_first(int argc, char **argv, const char *const *flags,
                      int (*run)(int argc, char **argv, struct arena *arena)) {
    char **ordered = options_first(argc, argv, flags);
    struct arena arena;
    int n = 0;

    if (!ordered)
        return EXIT_FAILED;
    while (ordered[n])
        n++; /* a "--" between options and words may have come or gone */
    arena_init(&arena, OPTIONS_TEXT_BYTES_MAX);
    int status = run(n, ordered, &arena);
    arena_done(&arena);
    free(ordered);
    return status;
}

/* ---- What can be asked ---- */

enum subject { SERVICES, TRACES, TRACE, LOGS };

struct question {
    enum subject subject;
    struct query_settings settings;
    struct arena arena;
    const char *filter; /* or the trace's id */
};

static int subject_of(const char *name) {
    static const char *const names[] = {"services", "traces", "trace", "logs"};

    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static void add_param(struct buffer *url, char mark, const char *name, const char *value) {
    buffer_printf(url, "%c%s=", mark, name);
    url_encode(url, slice_from(value));
}

static int build_url(const struct question *q, struct buffer *url) {
    static const char *const paths[] = {"services", "traces", "traces/", "logs"};
    const struct query_settings *s = &q->settings;
    struct slice server = slice_from(s->server);

    while (slice_ends(server, SLICE("/")))
        server = slice_take(server, server.size - 1);
    buffer_append_slice(url, server);
    buffer_printf(url, "/api/v1/%s", paths[q->subject]);
    if (q->subject == TRACE) {
        url_encode(url, slice_from(q->filter));
    } else if (q->subject == LOGS && s->follow) {
        buffer_append_text(url, "/tail");
        add_param(url, '?', "filter", q->filter);
    } else {
        add_param(url, '?', "from", s->from);
        add_param(url, '&', "to", s->to);
        if (*q->filter)
            add_param(url, '&', "filter", q->filter);
        if (q->subject != SERVICES)
            buffer_printf(url, "&limit=%" PRIu64, s->limit);
        if (q->subject == TRACES)
            add_param(url, '&', "sort", s->sort);
    }
    buffer_append_u8(url, 0);
    return url->failed;
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
    if (!answer) {
        fprintf(stderr, "varan query: the answer is not JSON; is %s a Varan server?\n",
                q->settings.server);
        return EXIT_FAILED;
    }
    switch (q->subject) {
    case SERVICES: print_services(&p, answer); break;
    case TRACES: print_traces(&p, answer); break;
    case TRACE: print_trace(&p, answer); break;
    case LOGS: print_logs(&p, answer); break;
    }
    json_decref(answer);
    return ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}

/* ---- Following the logs ---- */

struct follow {
    const struct question *q;
    struct printer printer;
    struct buffer pending; /* an unfinished line */
    struct buffer head;    /* the beginning of the answer, for an error */
};

static void follow_line(struct follow *f, struct slice line) {
    json_t *o;

    if (!slice_starts(line, SLICE("data: ")))
        return;
    line = slice_skip(line, strlen("data: "));
    o = json_loadb((const char *) line.data, line.size, 0, NULL);
    if (f->q->settings.json)
        printf("%.*s\n", SLICE_ARG(line));
    else if (json_is_string(json_object_get(o, "id")))
        print_log_line(&f->printer, o);
    else if (json_is_integer(json_object_get(o, "count")))
        printf("… %lld lines were left out: they come faster than they can be shown\n",
               (long long) json_integer_value(json_object_get(o, "count")));
    json_decref(o);
    fflush(stdout);
}

static int follow_piece(void *ctx, struct slice piece) {
    struct follow *f = ctx;

    if (f->head.size + piece.size < f->head.cap)
        buffer_append_slice(&f->head, piece);
    buffer_append_slice(&f->pending, piece);
    struct slice rest = buffer_slice(&f->pending);
    ptrdiff_t end;
    while ((end = slice_find_byte(rest, '\n')) >= 0) {
        follow_line(f, slice_take(rest, (size_t) end));
        rest = slice_skip(rest, (size_t) end + 1);
    }
    if (f->pending.data)
        memmove(f->pending.data, rest.data, rest.size);
    f->pending.size = rest.size;
    return f->pending.failed || ferror(stdout) ? -EPIPE : 0;
}

static int ask(const struct question *q, const char *url) {
    struct follow f = {.q = q, .printer = printer_of_stdout()};
    bool follows = q->subject == LOGS && q->settings.follow;
    struct http_client *client = NULL;
    struct http_client_answer a = {0};
    struct error e = ERROR_NONE;
    int status = EXIT_FAILED;

    buffer_init(&f.pending, EVENT_BYTES_MAX);
    buffer_init(&f.head, 64 << 10);
    struct http_client_request request = {.method = "GET",
                                          .url = url,
                                          .on_body = follows ? follow_piece : NULL,
                                          .ctx = &f,
                                          .timeout_ns = follows ? FOLLOW_NS : QUERY_DEADLINE_NS};
    int r = http_client_new(&client);
    if (r == 0)
        r = http_client_send(client, &request, &a, &e);
    if (r < 0) {
        fprintf(stderr, "varan query: %s\n", e.text[0] ? e.text : error_name(r));
    } else if (a.status != 200) {
        print_api_error(stderr, "query", a.status, buffer_slice(follows ? &f.head : &a.body),
                        q->filter);
        status = a.status == 400 ? EXIT_USAGE : EXIT_FAILED;
    } else {
        status = follows ? EXIT_OK : print_answer(q, buffer_slice(&a.body));
    }
    buffer_done(&a.body);
    buffer_done(&f.pending);
    buffer_done(&f.head);
    http_client_free(client);
    return status;
}

const char *join_words(struct arena *a, char **words) {
    const char *text = "";

    for (; *words && text; words++)
        text = *text ? arena_printf(a, "%s %s", text, *words) : *words;
    return text;
}

static int run(struct question *q, int argc, char **argv) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct options_result result;
    struct buffer url;

    int r = options_begin(table, &usage, argc, argv, &q->arena, &q->settings, &result);
    if (r >= 0)
        return r;
    q->filter = join_words(&q->arena, argv + result.rest);
    if (!q->filter)
        return EXIT_FAILED;
    if (q->subject == TRACE && !*q->filter) {
        fprintf(stderr, "varan query trace: the trace's id is missing\n");
        return EXIT_USAGE;
    }
    buffer_init(&url, URL_BYTES_MAX);
    r = build_url(q, &url);
    if (r < 0)
        fprintf(stderr, "varan query: the filter is too long\n");
    r = r < 0 ? EXIT_USAGE : ask(q, (const char *) url.data);
    buffer_done(&url);
    return r;
}

int cmd_query(int argc, char **argv) {
    static const char *const flags[] = {"json", "follow", "help", "no-json", "no-follow", NULL};
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    int subject = argc > 1 ? subject_of(argv[1]) : -1;
    struct question q = {.subject = (enum subject) subject};

    if (argc > 1 && query_is_promql(argv[1]))
        return query_promql(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "profile") == 0)
        return query_profile(argc - 1, argv + 1);
    if (subject < 0) {
        if (argc > 1 && argv[1][0] == '-' && strcmp(argv[1], "--help") != 0)
            fprintf(stderr,
                    "varan query: first say what is asked for, then options, as in: "
                    "varan query services %s\n",
                    argv[1]);
        else if (argc > 1 && strcmp(argv[1], "--help") != 0)
            fprintf(stderr,
                    "varan query: \"%s\" cannot be asked for; services, traces, trace, logs, "
                    "profile, promql, series and labels can\n",
                    argv[1]);
        else
            options_print_help(table, &usage);
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? EXIT_OK : EXIT_USAGE;
    }
    char **ordered = options_first(argc - 1, argv + 1, flags);
    if (!ordered)
        return EXIT_FAILED;
    int n = 0;
    while (ordered[n])
        n++;
    ordered[0] = argv[0];
    arena_init(&q.arena, (size_t) 1 << 20);
    int status = run(&q, n, ordered);
    arena_done(&q.arena);
    free(ordered);
    return status;
}
