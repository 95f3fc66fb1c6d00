/* Tables of services, traces and log lines for a terminal. What came from outside is printed
 * without control characters. Single-threaded. */
#include "cli/query.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS_MAX 10u
#define ROWS_MAX 1000u
#define COLUMNS_DEFAULT 100u

struct printer printer_of_stdout(void) {
    struct printer p = {.to = stdout, .columns = COLUMNS_DEFAULT};
    struct winsize w;

    p.colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
        p.columns = w.ws_col;
    return p;
}

void print_colour(const struct printer *p, enum colour c) {
    static const char *const codes[] = {[COLOUR_NONE] = "\033[0m",
                                        [COLOUR_MUTED] = "\033[2m",
                                        [COLOUR_BAD] = "\033[31m",
                                        [COLOUR_WARN] = "\033[33m",
                                        [COLOUR_ACCENT] = "\033[36m"};

    if (p->colours)
        fputs(codes[c], p->to);
}

size_t text_width(const char *text) {
    size_t n = 0;

    for (; *text; text++)
        n += ((uint8_t) *text & 0xc0) != 0x80;
    return n;
}

/* At most `width` characters; control characters become spaces, so that no text can drive the
 * terminal. Returns how many were printed. */
static size_t print_text(const struct printer *p, const char *text, size_t width) {
    size_t n = 0, total = text_width(text);
    const char *at = text;

    while (*at && (n + 1 < width || (n < width && total <= width))) {
        const char *next = at + 1;
        while (((uint8_t) *next & 0xc0) == 0x80)
            next++;
        bool control = (uint8_t) *at < 0x20 || *at == 0x7f ||
                       ((uint8_t) at[0] == 0xc2 && (uint8_t) at[1] < 0xa0);
        if (control)
            fputc(' ', p->to);
        else
            fwrite(at, 1, (size_t) (next - at), p->to);
        at = next;
        n++;
    }
    if (*at && n < width) {
        fputs("…", p->to);
        n++;
    }
    return n;
}

void print_padded(const struct printer *p, const char *text, size_t width) {
    for (size_t n = print_text(p, text, width); n < width; n++)
        fputc(' ', p->to);
}

static void format_three(double v, const char *unit, char ret[TEXT_MAX]) {
    snprintf(ret, TEXT_MAX, v >= 99.95 ? "%.0f %s" : v >= 9.995 ? "%.1f %s" : "%.2f %s", v, unit);
}

void format_duration(double ns, char ret[TEXT_MAX]) {
    if (!isfinite(ns))
        snprintf(ret, TEXT_MAX, "–");
    else if (ns < 999.5)
        snprintf(ret, TEXT_MAX, "%.0f ns", ns);
    else if (ns < 999.5e3)
        format_three(ns / 1e3, "µs", ret);
    else if (ns < 999.5e6)
        format_three(ns / 1e6, "ms", ret);
    else if (ns < 120e9)
        format_three(ns / 1e9, "s", ret);
    else if (ns < 7200e9)
        format_three(ns / 60e9, "min", ret);
    else
        format_three(ns / 3600e9, "h", ret);
}

void format_time(int64_t ns, char ret[TEXT_MAX]) {
    time_t t = (time_t) (ns / NS_PER_S), now = time(NULL);
    struct tm tm, today;
    char text[40];

    localtime_r(&t, &tm);
    localtime_r(&now, &today);
    bool same = tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday;
    strftime(text, sizeof(text), same ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(ret, TEXT_MAX, "%s.%03d", text, (int) (ns % NS_PER_S / NS_PER_MS));
}

/* ---- Tables ---- */

struct column {
    const char *head;
    bool right;
};

struct table {
    const struct column *columns;
    size_t n_columns, n_rows;
    char *cells[ROWS_MAX][COLUMNS_MAX];
    enum colour colours[ROWS_MAX];
};

static void set_cell(struct table *t, size_t column, const char *text) {
    t->cells[t->n_rows][column] = strdup(text ? text : "");
}

static void print_table(const struct printer *p, const struct table *t) {
    size_t widths[COLUMNS_MAX];

    for (size_t c = 0; c < t->n_columns; c++) {
        widths[c] = text_width(t->columns[c].head);
        for (size_t r = 0; r < t->n_rows; r++) {
            size_t w = t->cells[r][c] ? text_width(t->cells[r][c]) : 0;
            widths[c] = w > widths[c] ? w : widths[c];
        }
        if (widths[c] > p->columns)
            widths[c] = p->columns;
    }
    for (size_t row = 0; row <= t->n_rows; row++) {
        print_colour(p, row == 0 ? COLOUR_MUTED : t->colours[row - 1]);
        for (size_t c = 0; c < t->n_columns; c++) {
            const char *text = row == 0 ? t->columns[c].head : t->cells[row - 1][c];
            bool last = c + 1 == t->n_columns;
            if (!text)
                text = "";
            for (size_t n = text_width(text); t->columns[c].right && n < widths[c]; n++)
                fputc(' ', p->to);
            print_padded(p, text,
                         t->columns[c].right || last
                                 ? text_width(text) < widths[c] ? text_width(text) : widths[c]
                                 : widths[c]);
            fputs(last ? "" : "  ", p->to);
        }
        print_colour(p, COLOUR_NONE);
        fputc('\n', p->to);
    }
}

static struct table *table_new(const struct column *columns, size_t n) {
    struct table *t = calloc(1, sizeof(*t));

    if (t) {
        t->columns = columns;
        t->n_columns = n;
    }
    return t;
}

static void table_free(struct table *t) {
    for (size_t r = 0; r < t->n_rows; r++)
        for (size_t c = 0; c < t->n_columns; c++)
            free(t->cells[r][c]);
    free(t);
}

/* ---- What is in an answer ---- */

static const char *text_at(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static double number_at(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static int64_t time_at(const json_t *o, const char *key) {
    return strtoll(text_at(o, key), NULL, 10);
}

static void set_duration(struct table *t, size_t column, double ns) {
    char text[TEXT_MAX];

    format_duration(ns, text);
    set_cell(t, column, text);
}

static void set_number(struct table *t, size_t column, double v) {
    char text[TEXT_MAX];

    snprintf(text, sizeof(text), "%.0f", isfinite(v) ? v : 0);
    set_cell(t, column, text);
}

void print_services(const struct printer *p, const json_t *answer) {
    static const struct column columns[] = {{"SERVICE", false}, {"RATE", true},    {"ERRORS", true},
                                            {"P50", true},      {"P95", true},     {"P99", true},
                                            {"REQUESTS", true}, {"VERSION", false}};
    const json_t *services = json_object_get(answer, "services"), *s;
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    char text[TEXT_MAX];
    size_t i;

    if (!t)
        return;
    json_array_foreach(services, i, s) {
        if (t->n_rows == ROWS_MAX)
            break;
        double errors = number_at(json_object_get(s, "errors"), "value");
        set_cell(t, 0, text_at(s, "name"));
        format_three(number_at(json_object_get(s, "rate"), "value"), "/s", text);
        set_cell(t, 1, text);
        snprintf(text, sizeof(text), isfinite(errors) ? "%.2f %%" : "–", errors * 100);
        set_cell(t, 2, text);
        set_duration(t, 3, number_at(json_object_get(s, "p50"), "value"));
        set_duration(t, 4, number_at(json_object_get(s, "p95"), "value"));
        set_duration(t, 5, number_at(json_object_get(s, "p99"), "value"));
        set_number(t, 6, number_at(s, "requests"));
        set_cell(t, 7, text_at(s, "version"));
        t->colours[t->n_rows++] = errors >= 0.01 ? COLOUR_BAD : COLOUR_NONE;
    }
    if (t->n_rows)
        print_table(p, t);
    else
        fputs("No service was heard of in this time.\n", p->to);
    table_free(t);
}

void print_traces(const struct printer *p, const json_t *answer) {
    static const struct column columns[] = {{"START", false}, {"DURATION", true}, {"SPANS", true},
                                            {"ERRORS", true}, {"TRACE", false},   {"ROOT", false}};
    const json_t *traces = json_object_get(answer, "traces"), *s;
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    char text[1000];
    size_t i;

    if (!t)
        return;
    json_array_foreach(traces, i, s) {
        const json_t *root = json_object_get(s, "root");
        if (t->n_rows == ROWS_MAX)
            break;
        format_time(time_at(s, "start_ns"), text);
        set_cell(t, 0, text);
        set_duration(t, 1, number_at(s, "duration_ns"));
        set_number(t, 2, number_at(s, "spans"));
        set_number(t, 3, number_at(s, "errors"));
        set_cell(t, 4, text_at(s, "trace_id"));
        snprintf(text, sizeof(text), "%s  %s", text_at(root, "service"), text_at(root, "name"));
        set_cell(t, 5, json_is_object(root) ? text : "(root not seen)");
        t->colours[t->n_rows++] = number_at(s, "errors") > 0 ? COLOUR_BAD : COLOUR_NONE;
    }
    if (t->n_rows)
        print_table(p, t);
    else
        fputs("No trace matches in this time.\n", p->to);
    if (json_is_string(json_object_get(answer, "next_cursor")))
        fputs("There are more: raise --limit, or narrow the time or the filter.\n", p->to);
    table_free(t);
}

void print_log_line(const struct printer *p, const json_t *line) {
    const char *severity = text_at(line, "severity"), *trace = text_at(line, "trace_id");
    const json_t *body = json_object_get(line, "body");
    char time[TEXT_MAX];
    char *dumped = json_is_string(body) ? NULL : json_dumps(body, JSON_ENCODE_ANY | JSON_COMPACT);

    format_time(time_at(line, "time_ns"), time);
    print_colour(p, COLOUR_MUTED);
    fprintf(p->to, "%s  ", time);
    print_colour(p, COLOUR_NONE);
    print_colour(p, *severity == 'e' || *severity == 'f' ? COLOUR_BAD
                    : *severity == 'w'                   ? COLOUR_WARN
                                                         : COLOUR_NONE);
    print_padded(p, *severity ? severity : "-", 5);
    print_colour(p, COLOUR_NONE);
    fputs("  ", p->to);
    print_colour(p, COLOUR_ACCENT);
    print_padded(p, text_at(line, "service"), 16);
    print_colour(p, COLOUR_NONE);
    fputs("  ", p->to);
    print_text(p,
               dumped                    ? dumped
               : json_string_value(body) ? json_string_value(body)
                                         : "",
               SIZE_MAX);
    if (*trace) {
        print_colour(p, COLOUR_MUTED);
        fprintf(p->to, "  trace=%s", trace);
        print_colour(p, COLOUR_NONE);
    }
    fputc('\n', p->to);
    free(dumped);
}

void print_logs(const struct printer *p, const json_t *answer) {
    const json_t *logs = json_object_get(answer, "logs");

    for (size_t i = json_array_size(logs); i > 0; i--)
        print_log_line(p, json_array_get(logs, i - 1));
    if (json_array_size(logs) == 0)
        fputs("No log line matches in this time.\n", p->to);
}
