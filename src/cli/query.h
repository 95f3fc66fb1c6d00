/* `varan query` and `varan sql`, shared by their files: asking the server, and printing.
 * Single-threaded. */
#ifndef VARAN_CLI_QUERY_H
#define VARAN_CLI_QUERY_H

#include "net/client.h"
#include "net/url.h"

#include <jansson.h>
#include <stdio.h>

/* Commands: rows of main.c's table. */
int cmd_query(int argc, char **argv);
int cmd_sql(int argc, char **argv);

/* ---- query.c ---- */

#define QUERY_DEADLINE_NS (INT64_C(30) * 1000000000)

/* Prints the error that an answer holds: its message, and for a filter the place and the hint. */
void print_api_error(FILE *to, const char *command, int status, struct slice body,
                     const char *filter);
/* Puts options (with their values) before all words, so that both may be mixed; `flags` are the
 * options without a value. The result ends with NULL; free() it. */
char **options_first(int argc, char **argv, const char *const *flags);
/* Runs a command with its words in that order and an arena for its options; its exit status. */
int run_options_first(int argc, char **argv, const char *const *flags,
                      int (*run)(int argc, char **argv, struct arena *arena));

/* The words after the options, one space between: a filter or an expression need not be quoted as
 * one. NULL without memory. */
const char *join_words(struct arena *a, char **words);

/* ---- query_print.c ---- */

struct printer {
    FILE *to;
    bool colours;
    unsigned columns; /* of the terminal */
};

/* Standard output; colours on a terminal unless NO_COLOR is set. */
struct printer printer_of_stdout(void);
void print_services(const struct printer *p, const json_t *answer);
void print_traces(const struct printer *p, const json_t *answer);
/* Oldest first. */
void print_logs(const struct printer *p, const json_t *answer);
void print_log_line(const struct printer *p, const json_t *line);

#define TEXT_MAX 64
/* "12.4 ms", "1.31 s"; three digits. */
void format_duration(double ns, char ret[TEXT_MAX]);
/* Local time of day with milliseconds, and the date when it is not today's. */
void format_time(int64_t ns, char ret[TEXT_MAX]);

/* Characters a text takes on the screen (code points). */
size_t text_width(const char *text);
/* The text, cut to `width` characters or filled up with spaces. */
void print_padded(const struct printer *p, const char *text, size_t width);
enum colour { COLOUR_NONE, COLOUR_MUTED, COLOUR_BAD, COLOUR_WARN, COLOUR_ACCENT };
void print_colour(const struct printer *p, enum colour c);

/* ---- query_trace.c ---- */
void print_trace(const struct printer *p, const json_t *answer);

#endif
