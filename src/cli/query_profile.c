/* `varan query profile`: which functions a service spends its time in, one function's callers and
 * callees, and profiles as files, through the server's API. Single-threaded. */
#include "cli/query_profile.h"

#include "base/clock.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_file.h"
#include "cli/query_profile_process.h"
#include "cli/settings.h"

#include <stdlib.h>

#define URL_BYTES_MAX ((size_t) 64 << 10)
#define ANSWER_BYTES_MAX ((size_t) 512 << 20)
#define DIRECT_SHOWN 10u
#define NAME_WIDTH 44u

struct profile_settings {
    const char *server, *from, *to, *service, *version, *endpoint, *thread, *process, *type, *trace,
            *span, *search, *sort, *output, *format;
    uint64_t limit;
    bool json, lines, processes;
};

#define AT(field) offsetof(struct profile_settings, field)

static const struct option_def rows[] = {
        {"server", "VARAN_SERVER", NULL, OPTION_TEXT, AT(server), "http://" PAGE_ADDRESS_DEFAULT,
         "URL", "The server to ask."},
        {"service", NULL, NULL, OPTION_TEXT, AT(service), NULL, "NAME",
         "Of this service. Without it (and without --trace): which services have profiles."},
        {"from", NULL, NULL, OPTION_TEXT, AT(from), NULL, "TIME",
         "Begin of the time range: now-2h, RFC 3339, or Unix seconds. Default: now-15m; of a trace "
         "its own time."},
        {"to", NULL, NULL, OPTION_TEXT, AT(to), NULL, "TIME", "End of the time range."},
        {"type", NULL, NULL, OPTION_TEXT, AT(type), "cpu", "TYPE",
         "cpu, wall, gil_wait, or what the sender calls it."},
        {"endpoint", NULL, NULL, OPTION_TEXT, AT(endpoint), NULL, "NAME",
         "While it served this endpoint ('GET /checkout'); '' is work outside of requests."},
        {"version", NULL, NULL, OPTION_TEXT, AT(version), NULL, "NAME", "Of this version."},
        {"thread", NULL, NULL, OPTION_TEXT, AT(thread), NULL, "NAME", "Of threads of this name."},
        {"process", NULL, NULL, OPTION_TEXT, AT(process), NULL, "PID",
         "Of this process: its process id, or its instance where several have the same."},
        {"processes", NULL, NULL, OPTION_FLAG, AT(processes), "false", NULL,
         "List the service's processes by their share."},
        {"trace", NULL, NULL, OPTION_TEXT, AT(trace), NULL, "ID", "Of this trace."},
        {"span", NULL, NULL, OPTION_TEXT, AT(span), NULL, "ID",
         "Of this span of the trace, and those below it."},
        {"search", NULL, NULL, OPTION_TEXT, AT(search), NULL, "TEXT",
         "Only functions with this in their name or file."},
        {"sort", NULL, NULL, OPTION_TEXT, AT(sort), "own", "ORDER",
         "own: without what was called; sum: with it."},
        {"lines", NULL, NULL, OPTION_FLAG, AT(lines), "false", NULL, "Lines instead of functions."},
        {"limit", NULL, NULL, OPTION_NUMBER, AT(limit), "20", "N", "At most so many functions."},
        {"output", NULL, NULL, OPTION_TEXT, AT(output), NULL, "FILE",
         "Write the profile to a file (-o FILE), as a flame graph (.html, .svg) or for another "
         "tool."},
        {"format", NULL, NULL, OPTION_TEXT, AT(format), NULL, "FORMAT",
         "html, svg, pprof, speedscope, chrome, pstats or collapsed. Default: by the file's name."},
        {"json", NULL, NULL, OPTION_FLAG, AT(json), "false", NULL, "Print the server's JSON."},
};

static const struct usage usage = {
        "varan query profile [FUNCTION] [--service NAME] [OPTION]...",
        "Where a service spends its time: functions by cost, merged over all its processes. With "
        "FUNCTION its lines, its callers and what it calls.",
        "Examples:\n"
        "  varan query profile --service shop --endpoint 'GET /checkout'\n"
        "  varan query profile --service shop --type gil_wait --from now-24h\n"
        "  varan query profile --service shop --processes\n"
        "  varan query profile render_page --service shop --process 4711\n"
        "  varan query profile --service shop --from now-1h -o shop.html\n",
};

/* ---- The question ---- */

static void add(struct buffer *url, const char *name, const char *value) {
    if (!value)
        return;
    buffer_append_u8(url, url->data && memchr(url->data, '?', url->size) ? '&' : '?');
    buffer_printf(url, "%s=", name);
    url_encode(url, slice_from(value));
}

static bool is_about_one(const struct profile_settings *s) {
    return s->service || s->trace;
}

static void begin_url(const struct profile_settings *s, const char *path, struct buffer *url) {
    struct slice server = slice_from(s->server);

    while (slice_ends(server, SLICE("/")))
        server = slice_take(server, server.size - 1);
    buffer_append_slice(url, server);
    buffer_printf(url, "/api/v1/profiles/%s", path);
    add(url, "service", s->service);
    add(url, "from", s->from);
    add(url, "to", s->to);
}

/* What there is, its processes among it. */
static void build_summary_url(const struct profile_settings *s, struct buffer *url) {
    begin_url(s, "summary", url);
    add(url, "type", s->type);
    buffer_append_u8(url, 0);
}

static void build_url(const struct profile_settings *s, const char *function, const char *process,
                      struct buffer *url) {
    char limit[32];

    begin_url(s,
              !is_about_one(s) ? "summary"
              : s->output      ? "flame"
              : function       ? "function"
                               : "table",
              url);
    if (is_about_one(s)) {
        add(url, "type", s->type);
        add(url, "endpoint", s->endpoint);
        add(url, "version", s->version);
        add(url, "thread", s->thread);
        add(url, "process", process);
        add(url, "trace_id", s->trace);
        add(url, "span_id", s->span);
        add(url, "subtree", s->span ? "1" : NULL);
        add(url, "lines", s->lines && !s->output ? "1" : NULL);
        add(url, "format", s->output ? "pprof" : NULL);
        add(url, "function", s->output ? NULL : function);
        if (!function && !s->output) {
            snprintf(limit, sizeof(limit), "%llu", (unsigned long long) s->limit);
            add(url, "limit", limit);
            add(url, "search", s->search);
            add(url, "sort", s->sort);
        }
    }
    buffer_append_u8(url, 0);
}

/* ---- Printing ---- */

/* A value in its unit: "1.31 s" for nanoseconds, "12.0 MB" for bytes, else the number. */
static void format_value(double v, const char *unit, char ret[TEXT_MAX]) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;

    if (strcmp(unit, "nanoseconds") == 0) {
        format_duration(v, ret);
        return;
    }
    for (; v >= 1000 && i + 1 < sizeof(prefixes) / sizeof(*prefixes); i++)
        v /= 1000;
    snprintf(ret, TEXT_MAX, i ? "%.1f %s%s" : "%.0f %s%s", v, prefixes[i],
             strcmp(unit, "bytes") == 0 ? "B" : "");
}

static const char *text_of(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static double number_of(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

/* " 1.31 s  42.0 %": a value and its share. */
static void print_share(const struct printer *p, double value, double total, const char *unit) {
    char text[TEXT_MAX];

    format_value(value, unit, text);
    fprintf(p->to, "%*s%s", (int) (text_width(text) < 9 ? 9 - text_width(text) : 0), "", text);
    fprintf(p->to, " %5.1f %%  ", total > 0 ? 100 * value / total : 0.0);
}

static void print_function(const struct printer *p, const char *name, const char *file,
                           const char *kind, json_int_t line) {
    print_colour(p, strcmp(kind, "app") == 0 ? COLOUR_ACCENT : COLOUR_NONE);
    print_padded(p, name, NAME_WIDTH);
    print_colour(p, COLOUR_MUTED);
    fprintf(p->to, "  %s", file);
    if (line)
        fprintf(p->to, ":%lld", (long long) line);
    print_colour(p, COLOUR_NONE);
    fputc('\n', p->to);
}

static void print_total(const struct printer *p, const json_t *a) {
    char total[TEXT_MAX];

    format_value(number_of(a, "total"), text_of(a, "unit"), total);
    fprintf(p->to, "%s of %s\n", total, text_of(a, "type"));
    if (number_of(a, "left_out") > 0)
        fprintf(p->to,
                "%.1f %% of it is left out: too many stacks; a narrower selection has them\n",
                100 * number_of(a, "left_out") / number_of(a, "total"));
}

static void print_rows(const struct printer *p, const json_t *a) {
    double total = number_of(a, "total");
    const char *unit = text_of(a, "unit");
    const json_t *row;
    size_t i;

    if (!json_array_size(json_object_get(a, "rows"))) {
        fprintf(p->to, "no samples of %s there; --from now-24h looks further back\n",
                text_of(a, "type"));
        return;
    }
    print_total(p, a);
    fprintf(p->to, "      own                 sum          function\n");
    json_array_foreach(json_object_get(a, "rows"), i, row) {
        print_share(p, number_of(row, "own"), total, unit);
        print_share(p, number_of(row, "sum"), total, unit);
        print_function(p, text_of(row, "function"), text_of(row, "file"), text_of(row, "kind"),
                       json_integer_value(json_object_get(row, "line")));
    }
    json_int_t more = json_integer_value(json_object_get(a, "rows_left_out"));
    if (more)
        fprintf(p->to, "… %lld more (--limit)\n", (long long) more);
}

/* The root's children in one of the trees of an answer. */
static void print_direct(const struct printer *p, const json_t *a, const char *key,
                         const char *title) {
    const json_t *tree = json_object_get(a, key), *parents = json_object_get(tree, "parent"),
                 *functions = json_object_get(tree, "functions"), *parent;
    unsigned shown = 0;
    size_t i;

    fprintf(p->to, "%s\n", title);
    json_array_foreach(parents, i, parent) {
        if (json_integer_value(parent) != 0 || shown++ >= DIRECT_SHOWN)
            continue;
        const json_t *f = json_array_get(functions, (size_t) json_integer_value(json_array_get(
                                                            json_object_get(tree, "function"), i)));
        const char *name = json_string_value(json_array_get(f, 0)),
                   *file = json_string_value(json_array_get(f, 1)),
                   *kind = json_string_value(json_array_get(f, 2));
        fprintf(p->to, "  ");
        print_share(p, json_number_value(json_array_get(json_object_get(tree, "sum"), i)),
                    number_of(a, "sum"), text_of(a, "unit"));
        print_function(p, name ? name : "", file ? file : "", kind ? kind : "",
                       json_integer_value(json_array_get(json_object_get(tree, "line"), i)));
    }
    if (!shown)
        fprintf(p->to, "  none\n");
    else if (shown > DIRECT_SHOWN)
        fprintf(p->to, "  … %u more\n", shown - DIRECT_SHOWN);
}

static void print_sandwich(const struct printer *p, const json_t *a) {
    double total = number_of(a, "total");
    const char *unit = text_of(a, "unit");
    const json_t *line;
    size_t i;

    print_function(p, text_of(a, "function"), text_of(a, "file"), text_of(a, "kind"), 0);
    fprintf(p->to, "own ");
    print_share(p, number_of(a, "own"), total, unit);
    fprintf(p->to, "sum ");
    print_share(p, number_of(a, "sum"), total, unit);
    print_total(p, a);
    fprintf(p->to, "by line (own, sum)\n");
    json_array_foreach(json_object_get(a, "by_line"), i, line) {
        fprintf(p->to, "  ");
        print_share(p, number_of(line, "own"), total, unit);
        print_share(p, number_of(line, "sum"), total, unit);
        fprintf(p->to, "line %lld\n",
                (long long) json_integer_value(json_object_get(line, "line")));
    }
    print_direct(p, a, "callers", "called by");
    print_direct(p, a, "callees", "calls");
}

static void print_summary(const struct printer *p, const json_t *a) {
    const json_t *service, *type;
    size_t i, k;

    json_array_foreach(json_object_get(a, "services"), i, service) {
        print_colour(p, COLOUR_ACCENT);
        print_padded(p, text_of(service, "service"), 30);
        print_colour(p, COLOUR_NONE);
        json_array_foreach(json_object_get(service, "types"), k, type) {
            char sum[TEXT_MAX];
            format_value(number_of(type, "sum"), text_of(type, "unit"), sum);
            fprintf(p->to, "  %s %s", text_of(type, "type"), sum);
        }
        fputc('\n', p->to);
    }
    if (i == 0)
        fprintf(p->to, "no profiles in this time range; --from now-24h looks further back\n");
}

/* ---- The answer ---- */

static int save(const struct profile_settings *s, const struct format *format, struct slice body) {
    struct error e = ERROR_NONE;
    struct profile p;
    size_t size;

    int r = profile_read(body, s->service ? s->service : s->trace, &p, &e);
    if (r < 0)
        fprintf(stderr, "varan query: %s\n", e.text);
    else if (p.counts.n == 0)
        fprintf(stderr, "varan query: there is no profile of that; nothing is written\n");
    else if ((r = profile_save("query", &p, format, s->output, &size)) == 0 &&
             strcmp(s->output, "-") != 0)
        fprintf(stderr, "wrote %s (%s, %zu bytes)\n", s->output, format->name, size);
    bool any = p.counts.n > 0;
    profile_done(&p);
    return r == 0 && any ? EXIT_OK : EXIT_FAILED;
}

/* NULL: it is none, which it has said. */
static json_t *read_answer(const struct profile_settings *s, struct slice body) {
    json_t *answer = json_loadb((const char *) body.data, body.size, 0, NULL);

    if (!answer)
        fprintf(stderr, "varan query: the answer is not JSON; is %s a Varan server?\n", s->server);
    return answer;
}

static int print_answer(const struct profile_settings *s, const char *function, struct slice body) {
    struct printer p = printer_of_stdout();

    if (s->json) {
        fwrite(body.data, 1, body.size, stdout);
        fputc('\n', stdout);
        return EXIT_OK;
    }
    json_t *answer = read_answer(s, body);
    if (!answer)
        return EXIT_FAILED;
    if (s->processes)
        print_profile_processes(&p, answer);
    else if (!is_about_one(s))
        print_summary(&p, answer);
    else
        (function ? print_sandwich : print_rows)(&p, answer);
    json_decref(answer);
    return ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}

/* The server's answer to a question (ending with NUL), or what is wrong, which it has said. */
static int ask(const struct buffer *url, struct buffer *ret) {
    const struct http_client_request request = {.method = "GET",
                                                .url = (const char *) url->data,
                                                .timeout_ns = QUERY_DEADLINE_NS,
                                                .answer_bytes_max = ANSWER_BYTES_MAX};
    struct http_client_answer a = {0};
    struct http_client *client = NULL;
    struct error e = ERROR_NONE;
    int status = EXIT_OK;

    int r = url->failed ? url->failed : http_client_new(&client);
    if (r == 0)
        r = http_client_send(client, &request, &a, &e);
    if (r < 0) {
        fprintf(stderr, "varan query: %s\n", e.text[0] ? e.text : error_name(r));
        status = EXIT_FAILED;
    } else if (a.status != 200) {
        print_api_error(stderr, "query", a.status, buffer_slice(&a.body), NULL);
        status = a.status == 400 ? EXIT_USAGE : EXIT_FAILED;
    }
    http_client_free(client);
    *ret = a.body;
    return status;
}

static int find_process(const struct profile_settings *s, char ret[PROCESS_ID_MAX]) {
    struct buffer url, body;

    buffer_init(&url, URL_BYTES_MAX);
    build_summary_url(s, &url);
    int status = ask(&url, &body);
    json_t *summary = status == EXIT_OK ? read_answer(s, buffer_slice(&body)) : NULL;
    if (status == EXIT_OK && !(summary && find_profile_process(summary, s->process, ret)))
        status = EXIT_FAILED;
    json_decref(summary);
    buffer_done(&body);
    buffer_done(&url);
    return status;
}

static int answer(const struct profile_settings *s, const char *function,
                  const struct format *format) {
    char process[PROCESS_ID_MAX];
    struct buffer url, body;
    int status = s->process ? find_process(s, process) : EXIT_OK;

    if (status != EXIT_OK)
        return status;
    buffer_init(&url, URL_BYTES_MAX);
    if (s->processes)
        build_summary_url(s, &url);
    else
        build_url(s, function, s->process ? process : NULL, &url);
    status = ask(&url, &body);
    if (status == EXIT_OK)
        status = s->output ? save(s, format, buffer_slice(&body))
                           : print_answer(s, function, buffer_slice(&body));
    buffer_done(&body);
    buffer_done(&url);
    return status;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    const struct format *format = NULL;
    struct profile_settings s = {0};
    struct options_result result;

    int status = options_begin(table, &usage, argc, argv, arena, &s, &result);
    if (status >= 0)
        return status;
    const char *function = argv[result.rest], *wrong = NULL;
    if (function && argv[result.rest + 1])
        wrong = "name one function; --search finds several";
    else if ((function || s.output) && !is_about_one(&s))
        wrong = "say of which service: --service NAME";
    else if ((s.process || s.processes) && !s.service)
        wrong = "say of which service: --service NAME";
    else if (s.processes && (function || s.output || s.process))
        wrong = "--processes lists them; choose one of them afterwards, with --process";
    else if (s.span && !s.trace)
        wrong = "--span goes with --trace";
    else if (function && s.output)
        wrong = "a file holds the whole profile; leave the function away";
    if (wrong)
        fprintf(stderr, "varan query profile: %s\n", wrong);
    if (wrong || (s.output && !(format = profile_choose_format("query", s.format, s.output))))
        return EXIT_USAGE;
    return answer(&s, function, format);
}

int query_profile(int argc, char **argv) {
    static const char *const flags[] = {"json",      "no-json",      "lines", "no-lines",
                                        "processes", "no-processes", "help",  NULL};

    profile_long_output(argc, argv);
    return run_options_first(argc, argv, flags, run);
}
