/* What all files of the parser use: tokens, errors, nodes, numbers. One owner at a time. */
#include "query/promql/parser.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int parser_fail(struct parser *p, uint32_t start, uint32_t end, const char *format, ...) {
    va_list args;

    p->e->kind = PROMQL_BAD_QUERY;
    p->e->start = start;
    p->e->end = end;
    va_start(args, format);
    vsnprintf(p->e->text, sizeof(p->e->text), format, args);
    va_end(args);
    return -EINVAL;
}

int parser_memory(struct parser *p) {
    p->e->kind = PROMQL_LIMIT;
    snprintf(p->e->text, sizeof(p->e->text), "the query is too large to parse");
    return -ENOMEM;
}

int parser_unexpected(struct parser *p, const char *context, const char *expected) {
    char scratch[100];
    const char *what = token_describe(&p->token, scratch, sizeof(scratch));

    return parser_fail(p, p->token.start, p->token.end, "unexpected %s%s%s%s%s", what,
                       *context ? " in " : "", context, expected ? ", expected " : "",
                       expected ? expected : "");
}

int parser_advance(struct parser *p) {
    p->previous_end = p->token.end;
    p->token = lexer_next(&p->lexer);
    if (p->token.kind == TOKEN_ERROR)
        return parser_fail(p, p->token.start, p->token.end, "%s: \"%.*s\"", p->lexer.error,
                           (int) (p->token.text.size < 60 ? p->token.text.size : 60),
                           p->token.text.data);
    return 0;
}

int parser_expect(struct parser *p, enum token_kind kind, const char *what, const char *context) {
    return p->token.kind == kind ? parser_advance(p) : parser_unexpected(p, context, what);
}

bool parser_is_word(const struct parser *p, const char *word) {
    return p->token.kind == TOKEN_NAME && slice_equal_nocase(p->token.text, slice_from(word));
}

int parser_peek_byte(const struct parser *p) {
    struct lexer l = p->lexer;
    struct token t = lexer_next(&l);

    return t.kind == TOKEN_END ? -1 : t.text.data[0];
}

struct node *parser_node(struct parser *p, enum node_kind kind, uint32_t start) {
    struct node *n = arena_new(p->arena, struct node);

    if (n) {
        n->kind = kind;
        n->start = start;
        n->height = 1;
    }
    return n;
}

int parse_signed_number(struct parser *p, double *ret) {
    bool minus = p->token.kind == TOKEN_SUB;
    int r = minus || p->token.kind == TOKEN_ADD ? parser_advance(p) : 0;
    double v;

    if (r < 0)
        return r;
    if (p->token.kind == TOKEN_DURATION)
        r = parse_duration_seconds(p->token.text, &v);
    else if (p->token.kind == TOKEN_NUMBER || parser_is_word(p, "inf") || parser_is_word(p, "nan"))
        r = parse_number(p->token.text, &v);
    else
        return parser_unexpected(p, "", "number");
    if (r < 0)
        return parser_fail(p, p->token.start, p->token.end, "bad number or duration: \"%.*s\"",
                           SLICE_ARG(p->token.text));
    *ret = minus ? -v : v;
    return parser_advance(p);
}
