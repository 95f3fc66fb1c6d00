/* The parser: expressions. Recursive descent with operator precedence; nesting is bounded. */
#include "query/promql/parser.h"

#include "base/vector.h"
#include "query/promql/functions.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define PRECEDENCE_UNARY 6u /* as ^: -a^b is -(a^b), -a*b is (-a)*b */
#define QUERY_ARENA_MAX (64u << 20)

const char *const binary_op_names[OP_COUNT] = {
        "+", "-",  "*", "/",  "%",  "^",  "atan2", "==", "!=",
        "<", "<=", ">", ">=", "</", ">/", "and",   "or", "unless",
};
const char *const aggregate_names[AGG_COUNT_OF] = {
        "sum",    "avg",  "count",   "min",          "max",      "group",  "stddev",
        "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio",
};

static int parser_enclose(struct parser *p, struct node *n, const struct node *child) {
    if (child && child->height >= n->height)
        n->height = child->height + 1;
    if (n->height > PROMQL_HEIGHT_MAX)
        return parser_fail(p, n->start, n->end, "the query is nested too deeply (at most %u)",
                           PROMQL_HEIGHT_MAX);
    return 0;
}

/* ---- Primaries. ---- */

static int parse_number_node(struct parser *p, struct node **ret) {
    struct node *n = parser_node(p, NODE_NUMBER, p->token.start);

    if (!n)
        return parser_memory(p);
    n->number.duration = p->token.kind == TOKEN_DURATION;
    int r = parse_signed_number(p, &n->number.value);
    n->end = p->previous_end;
    *ret = n;
    return r;
}

static int parse_string_node(struct parser *p, struct node **ret) {
    struct node *n = parser_node(p, NODE_STRING, p->token.start);

    if (!n)
        return parser_memory(p);
    if (string_unquote(p->arena, p->token.text, &n->string) < 0)
        return parser_fail(p, p->token.start, p->token.end, "invalid escape in string %.*s",
                           (int) (p->token.text.size < 100 ? p->token.text.size : 100),
                           p->token.text.data);
    n->end = p->token.end;
    *ret = n;
    return parser_advance(p);
}

static int parse_paren(struct parser *p, struct node **ret) {
    struct node *n = parser_node(p, NODE_PAREN, p->token.start);
    int r;

    if (!n)
        return parser_memory(p);
    r = parser_advance(p);
    if (r == 0)
        r = parse_expression(p, 0, &n->paren);
    if (r == 0)
        r = parser_expect(p, TOKEN_RIGHT_PAREN, "\")\"", "parenthesised expression");
    n->end = p->previous_end;
    *ret = n;
    return r < 0 ? r : parser_enclose(p, n, n->paren);
}

/* "(" expression, expression … ")"; a comma may stand at the end of nothing. */
static int parse_arguments(struct parser *p, struct node *owner, struct node ***ret,
                           size_t *ret_n) {
    VECTOR(struct node *) args = {0};
    int r = parser_expect(p, TOKEN_LEFT_PAREN, "\"(\"", "function call");

    while (r == 0 && p->token.kind != TOKEN_RIGHT_PAREN) {
        struct node *arg = NULL;

        r = parse_expression(p, 0, &arg);
        if (r == 0 && vector_push(&args, arg, LIST_MAX) < 0)
            r = parser_memory(p);
        if (r == 0)
            r = parser_enclose(p, owner, arg);
        if (r < 0 || p->token.kind == TOKEN_RIGHT_PAREN)
            break;
        r = parser_expect(p, TOKEN_COMMA, "\",\" or \")\"", "arguments");
        if (r == 0 && p->token.kind == TOKEN_RIGHT_PAREN)
            r = parser_unexpected(p, "arguments", "expression");
    }
    if (r == 0)
        r = parser_advance(p);
    if (r == 0) {
        *ret = arena_array(p->arena, struct node *, args.n);
        if (!*ret)
            r = parser_memory(p);
        else if (args.n)
            memcpy(*ret, args.items, args.n * sizeof(*args.items));
        *ret_n = args.n;
    }
    vector_done(&args);
    return r;
}

static int parse_call(struct parser *p, struct node **ret) {
    struct node *n = parser_node(p, NODE_CALL, p->token.start);
    int r;

    if (!n)
        return parser_memory(p);
    n->call.function = function_find(p->token.text);
    if (!n->call.function)
        return parser_fail(p, p->token.start, p->token.end, "unknown function with name \"%.*s\"",
                           SLICE_ARG(p->token.text));
    r = parser_advance(p);
    if (r == 0)
        r = parse_arguments(p, n, &n->call.args, &n->call.n_args);
    n->end = p->previous_end;
    *ret = n;
    return r;
}

static int parse_grouping(struct parser *p, struct node *n, bool *ret_found) {
    bool by = parser_is_word(p, "by");

    *ret_found = by || parser_is_word(p, "without");
    if (!*ret_found)
        return 0;
    n->aggregate.without = !by;
    int r = parser_advance(p);
    return r < 0 ? r : parse_label_list(p, &n->aggregate.grouping, &n->aggregate.n_grouping);
}

static int parse_aggregate(struct parser *p, enum aggregate_op op, struct node **ret) {
    struct node *n = parser_node(p, NODE_AGGREGATE, p->token.start), **args = NULL;
    size_t n_args = 0;
    bool grouped = false;
    int r;

    if (!n)
        return parser_memory(p);
    n->aggregate.op = op;
    r = parser_advance(p);
    if (r == 0)
        r = parse_grouping(p, n, &grouped);
    if (r == 0)
        r = parse_arguments(p, n, &args, &n_args);
    if (r == 0 && !grouped)
        r = parse_grouping(p, n, &grouped);
    if (r < 0)
        return r;
    n->end = p->previous_end;
    if (n_args == 0)
        return parser_fail(p, n->start, n->end, "no arguments for aggregate expression provided");
    size_t want = aggregate_has_param(op) ? 2 : 1;
    if (n_args != want)
        return parser_fail(p, n->start, n->end,
                           "wrong number of arguments for aggregate expression provided, expected "
                           "%zu, got %zu",
                           want, n_args);
    n->aggregate.expr = args[n_args - 1];
    n->aggregate.param = want == 2 ? args[0] : NULL;
    *ret = n;
    return 0;
}

static int find_aggregate(struct slice name) {
    for (int i = 0; i < AGG_COUNT_OF; i++)
        if (slice_equal_nocase(name, slice_from(aggregate_names[i])))
            return i;
    return -1;
}

static int parse_name(struct parser *p, struct node **ret) {
    static const char *const reserved[] = {"bool", "on", "ignoring", "group_left", "group_right"};
    int aggregate = find_aggregate(p->token.text), next = parser_peek_byte(p);

    if (parser_is_word(p, "inf") || parser_is_word(p, "nan"))
        return parse_number_node(p, ret);
    if (aggregate >= 0) {
        struct lexer l = p->lexer;
        struct token t = lexer_next(&l);

        if (next == '(' || (t.kind == TOKEN_NAME && (slice_equal_nocase(t.text, SLICE("by")) ||
                                                     slice_equal_nocase(t.text, SLICE("without")))))
            return parse_aggregate(p, (enum aggregate_op) aggregate, ret);
    }
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (parser_is_word(p, reserved[i]))
            return parser_unexpected(p, "", "expression");
    if (next == '(')
        return parse_call(p, ret);
    return parse_selector(p, ret);
}

static int parse_primary(struct parser *p, struct node **ret) {
    switch (p->token.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION: return parse_number_node(p, ret);
    case TOKEN_STRING: return parse_string_node(p, ret);
    case TOKEN_LEFT_PAREN: return parse_paren(p, ret);
    case TOKEN_LEFT_BRACE: return parse_selector(p, ret);
    case TOKEN_NAME: return parse_name(p, ret);
    case TOKEN_END:
        if (p->query->text.size == 0 || p->previous_end == 0)
            return parser_fail(p, p->token.start, p->token.end, "no expression found in input");
        return parser_unexpected(p, "", "expression");
    default: return parser_unexpected(p, "", "expression");
    }
}

/* ---- Operators. ---- */

static int parse_unary(struct parser *p, struct node **ret) {
    bool minus = p->token.kind == TOKEN_SUB;
    uint32_t start = p->token.start;
    struct node *inner = NULL;
    int r;

    if (!minus && p->token.kind != TOKEN_ADD) {
        r = parse_primary(p, ret);
        return r < 0 ? r : parse_postfix(p, ret);
    }
    r = parser_advance(p);
    if (r == 0)
        r = parse_expression(p, PRECEDENCE_UNARY, &inner);
    if (r < 0)
        return r;
    if (inner->kind == NODE_NUMBER) {
        if (minus)
            inner->number.value = -inner->number.value;
        inner->start = start;
        *ret = inner;
        return 0;
    }
    struct node *n = parser_node(p, NODE_UNARY, start);
    if (!n)
        return parser_memory(p);
    n->unary.minus = minus;
    n->unary.expr = inner;
    n->end = inner->end;
    *ret = n;
    return parser_enclose(p, n, inner);
}

/* The operator at the present token and its precedence (1 binds weakest), or 0. */
static unsigned operator_at(const struct parser *p, enum binary_op *ret) {
    static const struct {
        enum token_kind token;
        enum binary_op op;
        unsigned precedence;
    } symbols[] = {
            {TOKEN_EQ, OP_EQ, 3},
            {TOKEN_NE, OP_NE, 3},
            {TOKEN_LT, OP_LT, 3},
            {TOKEN_LE, OP_LE, 3},
            {TOKEN_GT, OP_GT, 3},
            {TOKEN_GE, OP_GE, 3},
            {TOKEN_ADD, OP_ADD, 4},
            {TOKEN_SUB, OP_SUB, 4},
            {TOKEN_MUL, OP_MUL, 5},
            {TOKEN_DIV, OP_DIV, 5},
            {TOKEN_MOD, OP_MOD, 5},
            {TOKEN_POW, OP_POW, 6},
            {TOKEN_TRIM_UPPER, OP_TRIM_UPPER, 3},
            {TOKEN_TRIM_LOWER, OP_TRIM_LOWER, 3},
    };
    static const struct {
        const char *word;
        enum binary_op op;
        unsigned precedence;
    } words[] = {
            {"or", OP_OR, 1}, {"and", OP_AND, 2}, {"unless", OP_UNLESS, 2}, {"atan2", OP_ATAN2, 5}};

    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
        if (p->token.kind == symbols[i].token) {
            *ret = symbols[i].op;
            return symbols[i].precedence;
        }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (parser_is_word(p, words[i].word)) {
            *ret = words[i].op;
            return words[i].precedence;
        }
    return 0;
}

static int parse_binary(struct parser *p, enum binary_op op, unsigned precedence,
                        struct node **lhs) {
    struct node *n = parser_node(p, NODE_BINARY, (*lhs)->start);
    int r;

    if (!n)
        return parser_memory(p);
    n->binary.op = op;
    n->binary.lhs = *lhs;
    r = parser_advance(p);
    if (r == 0)
        r = parse_binary_modifiers(p, n);
    /* ^ binds to the right, all others to the left. */
    if (r == 0)
        r = parse_expression(p, op == OP_POW ? precedence : precedence + 1, &n->binary.rhs);
    if (r < 0)
        return r;
    n->end = n->binary.rhs->end;
    *lhs = n;
    r = parser_enclose(p, n, n->binary.lhs);
    return r < 0 ? r : parser_enclose(p, n, n->binary.rhs);
}

int parse_expression(struct parser *p, unsigned precedence_min, struct node **ret) {
    enum binary_op op;
    int r;

    if (++p->depth > PROMQL_NESTING_MAX)
        return parser_fail(p, p->token.start, p->token.end,
                           "the query is nested too deeply (at most %u)", PROMQL_NESTING_MAX);
    r = parse_unary(p, ret);
    while (r == 0) {
        unsigned precedence = operator_at(p, &op);

        if (precedence == 0 || precedence < precedence_min)
            break;
        r = parse_binary(p, op, precedence, ret);
    }
    p->depth--;
    return r;
}

/* ---- Entry points. ---- */

void text_position(struct slice text, uint32_t at, uint32_t *ret_line, uint32_t *ret_column) {
    uint32_t line = 1, from = 0;

    for (uint32_t i = 0; i < at && i < text.size; i++)
        if (text.data[i] == '\n') {
            line++;
            from = i + 1;
        }
    *ret_line = line;
    *ret_column = at - from + 1;
}

int parser_start(struct parser *p, struct promql_query *q, struct promql_error *e) {
    *p = (struct parser){.query = q, .arena = &q->arena, .e = e};
    lexer_init(&p->lexer, q->text);
    return parser_advance(p);
}

static int query_new(struct slice text, struct promql_query **ret, struct promql_error *e) {
    *e = (struct promql_error){0};
    if (text.size > PROMQL_QUERY_BYTES_MAX) {
        e->kind = PROMQL_BAD_QUERY;
        snprintf(e->text, sizeof(e->text), "the query has %zu bytes, at most %u are allowed",
                 text.size, PROMQL_QUERY_BYTES_MAX);
        return -EINVAL;
    }
    struct promql_query *q = memory_alloc(sizeof(*q));
    if (q) {
        *q = (struct promql_query){0};
        arena_init(&q->arena, QUERY_ARENA_MAX);
        q->text = arena_dup(&q->arena, text);
    }
    if (!q || !q->text.data) {
        promql_query_free(q);
        e->kind = PROMQL_LIMIT;
        snprintf(e->text, sizeof(e->text), "no memory for the query");
        return -ENOMEM;
    }
    if (!slice_is_utf8(text)) {
        promql_query_free(q);
        e->kind = PROMQL_BAD_QUERY;
        snprintf(e->text, sizeof(e->text), "the query is not valid UTF-8");
        return -EINVAL;
    }
    *ret = q;
    return 0;
}

int promql_parse(struct slice text, struct promql_query **ret, struct promql_error *e) {
    struct promql_query *q;
    struct parser p;
    int r = query_new(text, &q, e);

    if (r < 0)
        return r;
    r = parser_start(&p, q, e);
    if (r == 0)
        r = parse_expression(&p, 0, &q->root);
    if (r == 0 && p.token.kind != TOKEN_END)
        r = parser_unexpected(&p, "", NULL);
    if (r == 0)
        r = check_types(q->root, e);
    if (r < 0) {
        text_position(q->text, e->start, &e->line, &e->column);
        promql_query_free(q);
        return r;
    }
    *ret = q;
    return 0;
}

int promql_parse_selector(struct slice text, struct promql_query **ret,
                          const struct promql_matcher **ret_matchers, size_t *ret_n,
                          struct promql_error *e) {
    struct promql_query *q;
    int r = promql_parse(text, &q, e);

    if (r < 0)
        return r;
    if (q->root->kind != NODE_SELECTOR || q->root->selector.offset || q->root->selector.at.kind ||
        q->root->selector.anchored || q->root->selector.smoothed) {
        promql_query_free(q);
        e->kind = PROMQL_BAD_QUERY;
        snprintf(e->text, sizeof(e->text), "a series selector is wanted, not an expression");
        return -EINVAL;
    }
    *ret = q;
    *ret_matchers = q->root->selector.matchers;
    *ret_n = q->root->selector.n_matchers;
    return 0;
}

enum promql_type promql_query_type(const struct promql_query *q) {
    return q->root->type;
}
