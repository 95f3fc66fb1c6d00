/* Inside the filter language: the parser's state, its scanner and its checks. Private to src/query.
 */
#ifndef VARAN_QUERY_FILTER_PARSER_H
#define VARAN_QUERY_FILTER_PARSER_H

#include "query/filter.h"

struct parser {
    struct arena *arena;
    enum filter_signal signal;
    struct slice text;
    size_t at;
    unsigned depth, terms, regexes;
    struct filter_error *error;
};

/* Fills the error (position in bytes of the text) and returns -EINVAL. `hint` may be NULL. */
int filter_fail(struct parser *p, const char *code, size_t offset, size_t size, const char *hint,
                const char *format, ...) __attribute__((format(printf, 6, 7)));

/* ---- Scanner: all of it works at p->at ---- */

void scan_space(struct parser *p);
/* The rest, from p->at. */
struct slice scan_rest(const struct parser *p);
/* Whether the keyword stands here, as a word of its own; *ret_size is what it takes. */
bool scan_keyword_at(const struct parser *p, const char *word);
bool scan_keyword(struct parser *p, const char *word);
/* Bytes of a bare word (a key or a text): up to space, parenthesis, comma, quote or operator. */
size_t scan_word_size(const struct parser *p);
/* Bytes of a bare value: up to space, parenthesis, comma or quote. */
size_t scan_value_size(const struct parser *p);
/* A comparison operator: true, and p->at behind it. */
bool scan_operator(struct parser *p, enum filter_op *ret);
/* A quoted string at p->at, decoded into the arena. */
int scan_quoted(struct parser *p, struct slice *ret);
/* Whether all bytes may stand in a key without quotes. */
bool scan_is_plain_key(struct slice key);
bool scan_is_keyword(struct slice word);

/* ---- Keys and checks ---- */

/* A key at p->at. */
int parse_key(struct parser *p, struct filter_key *ret);
/* What a bare name means on the signal. */
struct filter_key key_of_name(enum filter_signal signal, struct slice name);
/* Whether the condition's operator and values suit its key. */
int check_condition(struct parser *p, struct filter *f);

/* ---- Values, for the checker and the compiler ---- */

/* An unquoted value with a star in it. */
bool value_is_pattern(const struct filter_value *v);
/* A number, with a unit of bytes perhaps ("10MB", "4KiB"). */
bool value_number(struct slice text, double *ret);
bool value_flag(struct slice text, bool *ret);

#endif
