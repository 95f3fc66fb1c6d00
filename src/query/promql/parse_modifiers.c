/* The parser: bool, on, ignoring, group_left, group_right, fill… behind a binary operator. */
#include "query/promql/parser.h"

#include <errno.h>

static int parse_on(struct parser *p, struct matching *m) {
    m->on = parser_is_word(p, "on");
    m->given = true;
    int r = parser_advance(p);
    return r < 0 ? r : parse_label_list(p, &m->labels, &m->n_labels);
}

static int parse_group(struct parser *p, struct matching *m) {
    bool left = parser_is_word(p, "group_left");
    int r;

    if (!m->given)
        return parser_unexpected(p, "", "on(…) or ignoring(…) before it");
    m->card = left ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
    r = parser_advance(p);
    if (r == 0 && p->token.kind == TOKEN_LEFT_PAREN)
        r = parse_label_list(p, &m->include, &m->n_include);
    return r;
}

static int parse_fill(struct parser *p, struct matching *m) {
    bool left = !parser_is_word(p, "fill_right"), right = !parser_is_word(p, "fill_left");
    double v = 0;
    int r;

    if ((left && m->fill_left) || (right && m->fill_right))
        return parser_fail(p, p->token.start, p->token.end,
                           "a fill value may not be set multiple times");
    r = parser_advance(p);
    if (r == 0)
        r = parser_expect(p, TOKEN_LEFT_PAREN, "\"(\"", "fill modifier");
    if (r == 0)
        r = parse_signed_number(p, &v);
    if (r == 0)
        r = parser_expect(p, TOKEN_RIGHT_PAREN, "\")\"", "fill modifier");
    if (left) {
        m->fill_left = true;
        m->fill_left_value = v;
    }
    if (right) {
        m->fill_right = true;
        m->fill_right_value = v;
    }
    return r;
}

int parse_binary_modifiers(struct parser *p, struct node *n) {
    struct matching *m = &n->binary.matching;
    int r = 0;

    if (parser_is_word(p, "bool")) {
        n->binary.return_bool = true;
        r = parser_advance(p);
    }
    m->card = op_is_set(n->binary.op) ? CARD_MANY_TO_MANY : CARD_ONE_TO_ONE;
    if (r == 0 && (parser_is_word(p, "on") || parser_is_word(p, "ignoring")))
        r = parse_on(p, m);
    if (r == 0 && (parser_is_word(p, "group_left") || parser_is_word(p, "group_right")))
        r = parse_group(p, m);
    /* fill, fill_left and fill_right are also names of metrics: a bracket tells. */
    while (r == 0 && parser_peek_byte(p) == '(' &&
           (parser_is_word(p, "fill") || parser_is_word(p, "fill_left") ||
            parser_is_word(p, "fill_right")))
        r = parse_fill(p, m);
    return r;
}
