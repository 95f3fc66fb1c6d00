/* `varan sql [--format F] 'SELECT …'`: read-only SQL over the server's tables. Single-threaded. */
#include "cli/query.h"

#include "cli/command.h"
#include "cli/settings.h"
#include "wire/json.h"

#include <stdlib.h>
#include <unistd.h>

#define SQL_BYTES_MAX ((size_t) 64 << 10)

struct sql_settings {
    const char *server, *format;
    bool json;
};

#define AT(field) offsetof(struct sql_settings, field)

static const struct option_def rows[] = {
        {"server", "VARAN_SERVER", NULL, OPTION_TEXT, AT(server), "http://" PAGE_ADDRESS_DEFAULT,
         "URL", "The server to ask."},
        {"format", NULL, NULL, OPTION_TEXT, AT(format), NULL, "FORMAT",
         "PrettyCompact, JSON, JSONEachRow, CSVWithNames, TSV, Vertical, Markdown, … Default: "
         "PrettyCompact "
         "on a terminal, else TSVWithNames."},
        {"json", NULL, NULL, OPTION_FLAG, AT(json), "false", NULL, "Short for --format JSON."},
};

static const struct usage usage = {
        "varan sql [OPTION]... 'SELECT ...'",
        "Runs one statement that reads. The tables are described in docs/internals/storage.md; "
        "without a "
        "statement it is read from standard input.",
        "Example: varan sql 'SELECT service, count() FROM spans GROUP BY service'\n",
};

static int read_stdin(struct buffer *to) {
    char piece[4096];
    size_t n;

    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
        buffer_append(to, piece, n);
    return to->failed;
}

static const char *format_of(const struct sql_settings *s) {
    return s->json                 ? "JSON"
           : s->format             ? s->format
           : isatty(STDOUT_FILENO) ? "PrettyCompact"
                                   : "TSVWithNames";
}

static int ask(const struct sql_settings *s, struct slice statement) {
    static const char *const headers[] = {"Content-Type: application/json"};
    struct http_client *client = NULL;
    struct http_client_answer a = {0};
    struct error e = ERROR_NONE;
    struct buffer url, body;
    int status = EXIT_FAILED;

    buffer_init(&url, 4096);
    buffer_init(&body, 8 * SQL_BYTES_MAX);
    buffer_printf(&url, "%s/api/v1/sql", s->server);
    buffer_append_u8(&url, 0);
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_field_string(&w, "query", statement);
    json_field_text(&w, "format", format_of(s));
    json_end_object(&w);
    int r = url.failed ? url.failed : body.failed ? body.failed : http_client_new(&client);
    struct http_client_request q = {.method = "POST",
                                    .url = (const char *) url.data,
                                    .headers = headers,
                                    .n_headers = 1,
                                    .body = buffer_slice(&body),
                                    .timeout_ns = QUERY_DEADLINE_NS};
    if (r == 0)
        r = http_client_send(client, &q, &a, &e);
    if (r < 0) {
        fprintf(stderr, "varan sql: %s\n", e.text[0] ? e.text : error_name(r));
    } else if (a.status != 200) {
        print_api_error(stderr, "sql", a.status, buffer_slice(&a.body), NULL);
        status = a.status == 400 ? EXIT_USAGE : EXIT_FAILED;
    } else {
        fwrite(a.body.data, 1, a.body.size, stdout);
        status = ferror(stdout) ? EXIT_FAILED : EXIT_OK;
    }
    buffer_done(&a.body);
    buffer_done(&url);
    buffer_done(&body);
    http_client_free(client);
    return status;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct sql_settings s = {0};
    struct options_result result;
    struct buffer statement;

    int r = options_begin(table, &usage, argc, argv, arena, &s, &result);
    if (r >= 0)
        return r;
    buffer_init(&statement, SQL_BYTES_MAX);
    for (char **word = argv + result.rest; *word; word++) {
        buffer_append_text(&statement, statement.size ? " " : "");
        buffer_append_text(&statement, *word);
    }
    if (statement.size == 0 && !isatty(STDIN_FILENO))
        read_stdin(&statement);
    if (statement.failed || statement.size == 0) {
        fprintf(stderr, "varan sql: %s\n",
                statement.failed ? "the statement is too long" : "a statement is missing");
        r = EXIT_USAGE;
    } else {
        r = ask(&s, buffer_slice(&statement));
    }
    buffer_done(&statement);
    return r;
}

int cmd_sql(int argc, char **argv) {
    static const char *const flags[] = {"json", "no-json", "help", NULL};

    return run_options_first(argc, argv, flags, run);
}
