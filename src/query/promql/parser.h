/* What the files of the parser share. One owner at a time. */
#ifndef VARAN_PROMQL_PARSER_H
#define VARAN_PROMQL_PARSER_H

#include "query/promql/ast.h"
#include "query/promql/lexer.h"

#define LIST_MAX 10000u /* matchers, labels, arguments of one list */

struct parser {
    struct promql_query *query;
    struct arena *arena;
    struct lexer lexer;
    struct token token;    /* looked at, not taken */
    uint32_t previous_end; /* of the last token taken */
    unsigned depth;
    struct promql_error *e;
};

/* All return 0 or negative with the error filled. */
int parser_start(struct parser *p, struct promql_query *q, struct promql_error *e);
int parse_expression(struct parser *p, unsigned precedence_min, struct node **ret);
int parse_selector(struct parser *p, struct node **ret);
/* `name` taken already. */
int parse_selector_braces(struct parser *p, struct node *n);
/* parse_duration.c: the inside of […], and what follows `offset`. */
int parse_duration(struct parser *p, const struct duration **ret);
int parse_offset_duration(struct parser *p, const struct duration **ret);
/* (a, b, "c"): label names; the left bracket is the next token. */
int parse_label_list(struct parser *p, struct slice **ret, size_t *ret_n);
/* parse_modifiers.c: bool, on(…), group_left(…), fill(…) after a binary operator. */
int parse_binary_modifiers(struct parser *p, struct node *n);
/* [..], offset, @, anchored, smoothed behind `*n`. */
int parse_postfix(struct parser *p, struct node **n);

int parser_advance(struct parser *p);
int parser_expect(struct parser *p, enum token_kind kind, const char *what, const char *context);
int parser_fail(struct parser *p, uint32_t start, uint32_t end, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
int parser_unexpected(struct parser *p, const char *context, const char *expected);
bool parser_is_word(const struct parser *p,
                    const char *word); /* the token is this name, any case */
/* The byte behind the present token, blanks skipped: for one more token of look-ahead. */
int parser_peek_byte(const struct parser *p);
struct node *parser_node(struct parser *p, enum node_kind kind, uint32_t start);
/* A number with an optional sign. */
int parse_signed_number(struct parser *p, double *ret);
int parser_memory(struct parser *p);

#endif
