/* The parser: selectors {…}, label lists, and what may follow an expression: [..], offset, @. */
#include "base/error.h"
#include "base/regex.h"
#include "base/vector.h"
#include "query/promql/labels.h"
#include "query/promql/parser.h"

#include <errno.h>
#include <math.h>

typedef VECTOR(struct promql_matcher) matchers_t;

static int add_matcher(struct parser *p, matchers_t *v, enum promql_match type, struct slice name,
                       struct slice value, uint32_t start) {
    struct promql_matcher m = {type, name, value, NULL};

    if (type == PROMQL_REGEX || type == PROMQL_NOT_REGEX) {
        struct regex *regex;
        struct error e = ERROR_NONE;
        int r = regex_compile(value, &regex, &e);

        if (r < 0)
            return parser_fail(p, start, p->previous_end, "%s",
                               e.code ? e.text : "no memory for a regular expression");
        m.regex = regex;
    }
    if (vector_push(v, m, LIST_MAX) < 0) {
        regex_unref((struct regex *) m.regex);
        return parser_memory(p);
    }
    return 0;
}

static int take_string(struct parser *p, struct slice *ret) {
    int r = string_unquote(p->arena, p->token.text, ret);

    if (r == -ENOMEM)
        return parser_memory(p);
    if (r < 0)
        return parser_fail(p, p->token.start, p->token.end, "invalid escape in string");
    return parser_advance(p);
}

/* "a.metric" alone in the braces: the name. */
static int add_quoted_name(struct parser *p, struct node *n, matchers_t *v, struct slice name,
                           uint32_t start) {
    if (n->selector.name.size)
        return parser_fail(p, start, p->previous_end,
                           "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                           SLICE_ARG(n->selector.name), SLICE_ARG(name));
    n->selector.name = name;
    return add_matcher(p, v, PROMQL_EQUAL, PROMQL_METRIC_NAME, name, start);
}

static int parse_one_matcher(struct parser *p, struct node *n, matchers_t *v) {
    static const enum token_kind tokens[] = {TOKEN_ASSIGN, TOKEN_NE, TOKEN_REGEX, TOKEN_NOT_REGEX};
    uint32_t start = p->token.start;
    bool quoted = p->token.kind == TOKEN_STRING;
    struct slice name = p->token.text, value;
    int r, type = -1;

    if (!quoted && p->token.kind != TOKEN_NAME)
        return parser_unexpected(p, "label matching", "identifier or \"}\"");
    if (!quoted && slice_find_byte(name, ':') >= 0)
        return parser_unexpected(p, "label matching", "label name");
    r = quoted ? take_string(p, &name) : parser_advance(p);
    if (r < 0)
        return r;
    if (quoted && (p->token.kind == TOKEN_COMMA || p->token.kind == TOKEN_RIGHT_BRACE))
        return add_quoted_name(p, n, v, name, start);
    for (int i = 0; i < 4; i++)
        if (p->token.kind == tokens[i])
            type = i;
    if (type < 0)
        return parser_unexpected(p, "label matching", "label matching operator");
    r = parser_advance(p);
    if (r < 0)
        return r;
    if (p->token.kind != TOKEN_STRING)
        return parser_unexpected(p, "label matching", "string");
    r = take_string(p, &value);
    return r < 0 ? r : add_matcher(p, v, (enum promql_match) type, name, value, start);
}

static int parse_matchers(struct parser *p, struct node *n, matchers_t *v) {
    int r = parser_advance(p);

    while (r == 0 && p->token.kind != TOKEN_RIGHT_BRACE) {
        r = parse_one_matcher(p, n, v);
        if (r < 0 || p->token.kind == TOKEN_RIGHT_BRACE)
            break;
        r = parser_expect(p, TOKEN_COMMA, "\",\" or \"}\"", "label matching");
    }
    return r < 0 ? r : parser_advance(p);
}

int parse_selector(struct parser *p, struct node **ret) {
    struct node *n = parser_node(p, NODE_SELECTOR, p->token.start);
    matchers_t v = {0};
    int r = 0;

    if (!n)
        return parser_memory(p);
    if (p->token.kind == TOKEN_NAME) {
        n->selector.name = p->token.text;
        r = add_matcher(p, &v, PROMQL_EQUAL, PROMQL_METRIC_NAME, p->token.text, p->token.start);
        if (r == 0)
            r = parser_advance(p);
    }
    if (r == 0 && p->token.kind == TOKEN_LEFT_BRACE)
        r = parse_matchers(p, n, &v);
    n->end = p->previous_end;
    if (r == 0) {
        n->selector.matchers = arena_array(p->arena, struct promql_matcher, v.n);
        if (!n->selector.matchers)
            r = parser_memory(p);
    }
    if (r == 0) {
        if (v.n)
            memcpy(n->selector.matchers, v.items, v.n * sizeof(*v.items));
        n->selector.n_matchers = v.n;
        /* The query frees the expressions with itself: promql_query_free() walks this list. */
        r = query_own_regexes(p->query, n->selector.matchers, v.n) < 0 ? parser_memory(p) : 0;
    }
    if (r < 0)
        vector_each(&v, m) regex_unref((struct regex *) m->regex);
    vector_done(&v);
    *ret = n;
    return r;
}

int parse_label_list(struct parser *p, struct slice **ret, size_t *ret_n) {
    VECTOR(struct slice) v = {0};
    int r = parser_expect(p, TOKEN_LEFT_PAREN, "\"(\"", "grouping opts");

    while (r == 0 && p->token.kind != TOKEN_RIGHT_PAREN) {
        struct slice name = p->token.text;

        if (p->token.kind == TOKEN_STRING)
            r = take_string(p, &name);
        else if (p->token.kind == TOKEN_NAME && slice_find_byte(name, ':') < 0)
            r = parser_advance(p);
        else
            r = parser_unexpected(p, "grouping opts", "label");
        if (r == 0 && vector_push(&v, name, LIST_MAX) < 0)
            r = parser_memory(p);
        if (r < 0 || p->token.kind == TOKEN_RIGHT_PAREN)
            break;
        r = parser_expect(p, TOKEN_COMMA, "\",\" or \")\"", "grouping opts");
    }
    if (r == 0)
        r = parser_advance(p);
    if (r == 0) {
        *ret = arena_array(p->arena, struct slice, v.n);
        if (!*ret)
            r = parser_memory(p);
        else if (v.n)
            memcpy(*ret, v.items, v.n * sizeof(*v.items));
        *ret_n = v.n;
    }
    vector_done(&v);
    return r;
}

/* ---- Behind an expression. ---- */

static int parse_brackets(struct parser *p, struct node **n) {
    const struct duration *range = NULL, *step = NULL;
    struct node *inner = *n, *outer;
    bool subquery = false;
    int r;

    p->lexer.brackets = true;
    r = parser_advance(p);
    if (r == 0)
        r = parse_duration(p, &range);
    if (r == 0 && p->token.kind == TOKEN_COLON) {
        subquery = true;
        r = parser_advance(p);
        if (r == 0 && p->token.kind != TOKEN_RIGHT_BRACKET)
            r = parse_duration(p, &step);
    }
    p->lexer.brackets = false;
    if (r == 0)
        r = parser_expect(p, TOKEN_RIGHT_BRACKET, "\"]\"",
                          subquery ? "subquery selector" : "range");
    if (r < 0)
        return r;
    outer = parser_node(p, subquery ? NODE_SUBQUERY : NODE_MATRIX, inner->start);
    if (!outer)
        return parser_memory(p);
    outer->end = p->previous_end;
    outer->height = inner->height + 1;
    *n = outer;
    if (subquery) {
        outer->subquery.expr = inner;
        outer->subquery.range = range;
        outer->subquery.step = step;
        return 0;
    }
    if (inner->kind != NODE_SELECTOR)
        return parser_fail(p, inner->start, outer->end, "ranges only allowed for vector selectors");
    if (inner->selector.offset || inner->selector.at.kind)
        return parser_fail(p, inner->start, outer->end, "no %s modifiers allowed before range",
                           inner->selector.offset ? "offset" : "@");
    outer->matrix.selector = inner;
    outer->matrix.range = range;
    return 0;
}

/* Where the offset and the @ of `n` are kept; NULL when it can have none. */
static struct at *modifiers_of(struct node *n, const struct duration ***ret_offset) {
    if (n->kind == NODE_MATRIX)
        n = n->matrix.selector;
    if (n->kind == NODE_SELECTOR) {
        *ret_offset = &n->selector.offset;
        return &n->selector.at;
    }
    if (n->kind == NODE_SUBQUERY) {
        *ret_offset = &n->subquery.offset;
        return &n->subquery.at;
    }
    return NULL;
}

static int parse_offset(struct parser *p, struct node *n) {
    const struct duration **offset = NULL;
    uint32_t start = p->token.start;
    int r;

    if (!modifiers_of(n, &offset))
        return parser_fail(p, n->start, p->token.end,
                           "offset modifier must be preceded by an instant vector selector or "
                           "range vector selector or a subquery");
    if (*offset)
        return parser_fail(p, start, p->token.end, "offset may not be set multiple times");
    r = parser_advance(p);
    if (r == 0)
        r = parse_offset_duration(p, offset);
    n->end = p->previous_end;
    return r;
}

static int parse_at(struct parser *p, struct node *n) {
    const struct duration **offset = NULL;
    struct at *at = modifiers_of(n, &offset);
    double seconds;
    int r;

    if (!at)
        return parser_fail(p, n->start, p->token.end,
                           "@ modifier must be preceded by an instant vector selector or range "
                           "vector selector or a subquery");
    if (at->kind)
        return parser_fail(p, p->token.start, p->token.end,
                           "@ <timestamp> may not be set multiple times");
    r = parser_advance(p);
    if (r < 0)
        return r;
    if (parser_is_word(p, "start") || parser_is_word(p, "end")) {
        at->kind = parser_is_word(p, "start") ? AT_START : AT_END;
        r = parser_advance(p);
        if (r == 0)
            r = parser_expect(p, TOKEN_LEFT_PAREN, "\"(\"", "@");
        if (r == 0)
            r = parser_expect(p, TOKEN_RIGHT_PAREN, "\")\"", "@");
    } else {
        r = parse_signed_number(p, &seconds);
        if (r == 0 && !(fabs(seconds) < 9e15))
            r = parser_fail(p, n->start, p->previous_end,
                            "timestamp out of bounds for @ modifier: %f", seconds);
        if (r == 0)
            *at = (struct at){AT_TIME, (int64_t) round(seconds * 1000)};
    }
    n->end = p->previous_end;
    return r;
}

static int parse_extension(struct parser *p, struct node *n) {
    struct node *s = n->kind == NODE_MATRIX ? n->matrix.selector : n;
    bool anchored = parser_is_word(p, "anchored");

    if (s->kind != NODE_SELECTOR)
        return parser_fail(p, n->start, p->token.end,
                           "%s modifier must be preceded by an instant vector selector or range "
                           "vector selector",
                           anchored ? "anchored" : "smoothed");
    if (anchored && n->kind != NODE_MATRIX)
        return parser_fail(p, n->start, p->token.end,
                           "anchored modifier can only be used with range vector selectors");
    if (s->selector.anchored || s->selector.smoothed)
        return parser_fail(p, n->start, p->token.end, "anchored and smoothed may be set only once");
    s->selector.anchored = anchored;
    s->selector.smoothed = !anchored;
    int r = parser_advance(p);
    n->end = p->previous_end;
    return r;
}

int parse_postfix(struct parser *p, struct node **n) {
    int r = 0;

    while (r == 0) {
        if (p->token.kind == TOKEN_LEFT_BRACKET)
            r = parse_brackets(p, n);
        else if (p->token.kind == TOKEN_AT)
            r = parse_at(p, *n);
        else if (parser_is_word(p, "offset"))
            r = parse_offset(p, *n);
        else if (parser_is_word(p, "anchored") || parser_is_word(p, "smoothed"))
            r = parse_extension(p, *n);
        else
            break;
        if (r == 0 && (*n)->height > PROMQL_HEIGHT_MAX)
            r = parser_fail(p, (*n)->start, (*n)->end, "the query is nested too deeply");
    }
    return r;
}
