/* The parser: durations and arithmetic on them, inside [..] and behind `offset`. */
#include "query/promql/parser.h"

#include <errno.h>
#include <math.h>

#define RANGE_SECONDS_MAX 9.2e12

static int parse_sum(struct parser *p, const struct duration **ret);

static struct duration *new_duration(struct parser *p, enum duration_op op, uint32_t start) {
    struct duration *d = arena_new(p->arena, struct duration);

    if (d) {
        d->op = op;
        d->start = start;
    }
    return d;
}

/* step() and range(), min_of(a, b) and max_of(a, b). */
static int parse_duration_call(struct parser *p, const struct duration **ret) {
    static const struct {
        const char *name;
        enum duration_op op;
        int args;
    } calls[] = {{"step", DURATION_STEP, 0},
                 {"range", DURATION_RANGE, 0},
                 {"min_of", DURATION_MIN, 2},
                 {"max_of", DURATION_MAX, 2}};
    struct duration *d;
    size_t i = 0;
    int r;

    while (i < 4 && !parser_is_word(p, calls[i].name))
        i++;
    if (i == 4)
        return parser_unexpected(p, "duration", "number, duration, step(), range()");
    d = new_duration(p, calls[i].op, p->token.start);
    if (!d)
        return parser_memory(p);
    r = parser_advance(p);
    if (r == 0)
        r = parser_expect(p, TOKEN_LEFT_PAREN, "\"(\"", "duration");
    if (r == 0 && calls[i].args == 2) {
        r = parse_sum(p, &d->a);
        if (r == 0)
            r = parser_expect(p, TOKEN_COMMA, "\",\"", "duration");
        if (r == 0)
            r = parse_sum(p, &d->b);
    }
    if (r == 0)
        r = parser_expect(p, TOKEN_RIGHT_PAREN, "\")\"", "duration");
    d->end = p->previous_end;
    *ret = d;
    return r;
}

static int parse_atom(struct parser *p, const struct duration **ret) {
    bool paren = p->token.kind == TOKEN_LEFT_PAREN;
    struct duration *d;
    int r;

    if (p->token.kind == TOKEN_NAME)
        return parse_duration_call(p, ret);
    d = new_duration(p, paren ? DURATION_PAREN : DURATION_NUMBER, p->token.start);
    if (!d)
        return parser_memory(p);
    if (paren) {
        r = parser_advance(p);
        if (r == 0)
            r = parse_sum(p, &d->a);
        if (r == 0)
            r = parser_expect(p, TOKEN_RIGHT_PAREN, "\")\"", "duration");
    } else if (p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_DURATION) {
        r = parse_signed_number(p, &d->seconds);
        if (r == 0 && !(fabs(d->seconds) < RANGE_SECONDS_MAX))
            r = parser_fail(p, d->start, p->previous_end, "duration out of range");
    } else {
        return parser_unexpected(p, "duration", "number or duration");
    }
    d->end = p->previous_end;
    *ret = d;
    return r;
}

static int parse_signed(struct parser *p, const struct duration **ret);

/* ^ binds tighter than a sign before it, and to the right. */
static int parse_power(struct parser *p, const struct duration **ret) {
    int r = parse_atom(p, ret);

    if (r < 0 || p->token.kind != TOKEN_POW)
        return r;
    struct duration *d = new_duration(p, DURATION_POW, (*ret)->start);
    if (!d)
        return parser_memory(p);
    d->a = *ret;
    r = parser_advance(p);
    if (r == 0)
        r = parse_signed(p, &d->b);
    d->end = p->previous_end;
    *ret = d;
    return r;
}

static int parse_signed(struct parser *p, const struct duration **ret) {
    bool minus = p->token.kind == TOKEN_SUB;
    int r;

    if (!minus && p->token.kind != TOKEN_ADD)
        return parse_power(p, ret);
    if (++p->depth > PROMQL_NESTING_MAX)
        return parser_fail(p, p->token.start, p->token.end, "the duration is nested too deeply");
    struct duration *d = new_duration(p, minus ? DURATION_MINUS : DURATION_PLUS, p->token.start);
    if (!d)
        return parser_memory(p);
    r = parser_advance(p);
    if (r == 0)
        r = parse_signed(p, &d->a);
    d->end = p->previous_end;
    *ret = d;
    p->depth--;
    return r;
}

static int parse_chain(struct parser *p, bool products, const struct duration **ret) {
    int r = products ? parse_signed(p, ret) : parse_chain(p, true, ret);
    unsigned links = 0;

    while (r == 0) {
        enum token_kind k = p->token.kind;
        enum duration_op op = k == TOKEN_MUL   ? DURATION_MUL
                              : k == TOKEN_DIV ? DURATION_DIV
                              : k == TOKEN_MOD ? DURATION_MOD
                              : k == TOKEN_ADD ? DURATION_ADD
                                               : DURATION_SUB;
        bool mine = products ? k == TOKEN_MUL || k == TOKEN_DIV || k == TOKEN_MOD
                             : k == TOKEN_ADD || k == TOKEN_SUB;
        if (!mine)
            break;
        if (++links > PROMQL_HEIGHT_MAX)
            return parser_fail(p, p->token.start, p->token.end, "the duration is too long");
        struct duration *d = new_duration(p, op, (*ret)->start);
        if (!d)
            return parser_memory(p);
        d->a = *ret;
        r = parser_advance(p);
        if (r == 0)
            r = products ? parse_signed(p, &d->b) : parse_chain(p, true, &d->b);
        d->end = p->previous_end;
        *ret = d;
    }
    return r;
}

static int parse_sum(struct parser *p, const struct duration **ret) {
    int r;

    if (++p->depth > PROMQL_NESTING_MAX)
        return parser_fail(p, p->token.start, p->token.end, "the duration is nested too deeply");
    r = parse_chain(p, false, ret);
    p->depth--;
    return r;
}

int parse_duration(struct parser *p, const struct duration **ret) {
    int r = parse_sum(p, ret);

    /* A literal is judged here; arithmetic when its values are known. */
    if (r == 0 && (*ret)->op == DURATION_NUMBER && (*ret)->seconds <= 0)
        return parser_fail(p, (*ret)->start, (*ret)->end, "duration must be greater than 0");
    return r;
}

/* One atom with an optional sign: in `offset 5m + 2` the sum is the query's. */
int parse_offset_duration(struct parser *p, const struct duration **ret) {
    bool minus = p->token.kind == TOKEN_SUB;
    int r;

    if (!minus && p->token.kind != TOKEN_ADD)
        return parse_atom(p, ret);
    struct duration *d = new_duration(p, minus ? DURATION_MINUS : DURATION_PLUS, p->token.start);
    if (!d)
        return parser_memory(p);
    r = parser_advance(p);
    if (r == 0)
        r = parse_atom(p, &d->a);
    d->end = p->previous_end;
    *ret = d;
    return r;
}
