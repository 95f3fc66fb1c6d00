/* Prints syntax trees as PromQL, in the canonical form of Prometheus. */
#include "query/promql/functions.h"
#include "query/promql/labels.h"

#include <math.h>

bool print_is_plain_name(struct slice s, bool colons) {
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i], l = c | 32;

        if (!((l >= 'a' && l <= 'z') || c == '_' || (colons && c == ':') ||
              (i && c >= '0' && c <= '9')))
            return false;
    }
    return s.size > 0;
}

void print_quoted_string(struct slice s, struct buffer *out) {
    bool text = slice_is_utf8(s);

    buffer_append_u8(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];

        if (c == '"' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c == '\n')
            buffer_append_text(out, "\\n");
        else if (c == '\t')
            buffer_append_text(out, "\\t");
        else if (c == '\r')
            buffer_append_text(out, "\\r");
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !text))
            buffer_printf(out, "\\x%02x", c);
        else
            buffer_append_u8(out, c);
    }
    buffer_append_u8(out, '"');
}

static void print_label(struct slice s, struct buffer *out) {
    if (print_is_plain_name(s, false))
        buffer_append_slice(out, s);
    else
        print_quoted_string(s, out);
}

static void print_list(const struct slice *s, size_t n, struct buffer *out) {
    for (size_t i = 0; i < n; i++) {
        if (i)
            buffer_append_text(out, ", ");
        print_label(s[i], out);
    }
}

static void print_duration(const struct duration *d, struct buffer *out) {
    static const char *const infix[] = {" + ", " - ", " * ", " / ", " % ", " ^ "};

    switch (d->op) {
    case DURATION_NUMBER:
        if (round(d->seconds * 1000) == d->seconds * 1000)
            print_duration_ms(out, (int64_t) (d->seconds * 1000));
        else
            print_float(out, d->seconds);
        return;
    case DURATION_STEP: buffer_append_text(out, "step()"); return;
    case DURATION_RANGE: buffer_append_text(out, "range()"); return;
    case DURATION_PAREN:
        buffer_append_u8(out, '(');
        print_duration(d->a, out);
        buffer_append_u8(out, ')');
        return;
    case DURATION_PLUS:
    case DURATION_MINUS:
        buffer_append_u8(out, d->op == DURATION_PLUS ? '+' : '-');
        print_duration(d->a, out);
        return;
    case DURATION_MIN:
    case DURATION_MAX:
        buffer_append_text(out, d->op == DURATION_MIN ? "min_of(" : "max_of(");
        print_duration(d->a, out);
        buffer_append_text(out, ", ");
        print_duration(d->b, out);
        buffer_append_u8(out, ')');
        return;
    default:
        print_duration(d->a, out);
        buffer_append_text(out, infix[d->op - DURATION_ADD]);
        print_duration(d->b, out);
        return;
    }
}

static void print_at(const struct at *at, struct buffer *out) {
    if (at->kind == AT_TIME)
        buffer_printf(out, " @ %.3f", (double) at->ms / 1000);
    else if (at->kind)
        buffer_printf(out, " @ %s()", at->kind == AT_START ? "start" : "end");
}

static void print_offset(const struct duration *offset, struct buffer *out) {
    if (!offset)
        return;
    buffer_append_text(out, " offset ");
    print_duration(offset, out);
}

static void print_bare_selector(const struct selector *s, struct buffer *out) {
    static const char *const ops[] = {"=", "!=", "=~", "!~"};
    bool first = true, name_out = print_is_plain_name(s->name, true);

    if (name_out)
        buffer_append_slice(out, s->name);
    if (s->n_matchers == (name_out ? 1u : 0u)) {
        if (!name_out)
            buffer_append_text(out, "{}");
        return;
    }
    buffer_append_u8(out, '{');
    for (size_t i = 0; i < s->n_matchers; i++) {
        const struct promql_matcher *m = &s->matchers[i];
        bool is_name = s->name.size && slice_equal(m->name, PROMQL_METRIC_NAME) &&
                       m->value.data == s->name.data;

        if (is_name && name_out)
            continue;
        if (!first)
            buffer_append_u8(out, ',');
        first = false;
        if (is_name) {
            print_quoted_string(m->value, out);
            continue;
        }
        print_label(m->name, out);
        buffer_append_text(out, ops[m->type]);
        print_quoted_string(m->value, out);
    }
    buffer_append_u8(out, '}');
}

static void print_selector(const struct selector *s, const struct duration *range,
                           struct buffer *out) {
    print_bare_selector(s, out);
    if (range) {
        buffer_append_u8(out, '[');
        print_duration(range, out);
        buffer_append_u8(out, ']');
    }
    if (s->anchored || s->smoothed)
        buffer_append_text(out, s->anchored ? " anchored" : " smoothed");
    print_at(&s->at, out);
    print_offset(s->offset, out);
}

void print_aggregate_head(const struct node *n, struct buffer *out) {
    buffer_append_text(out, aggregate_names[n->aggregate.op]);
    if (!n->aggregate.without && !n->aggregate.n_grouping)
        return;
    buffer_append_text(out, n->aggregate.without ? " without (" : " by (");
    print_list(n->aggregate.grouping, n->aggregate.n_grouping, out);
    buffer_append_text(out, ") ");
}

static void print_aggregate(const struct node *n, struct buffer *out) {
    print_aggregate_head(n, out);
    buffer_append_u8(out, '(');
    if (n->aggregate.param) {
        print_node(n->aggregate.param, out);
        buffer_append_text(out, ", ");
    }
    print_node(n->aggregate.expr, out);
    buffer_append_u8(out, ')');
}

static void print_fill(const char *name, double v, struct buffer *out) {
    buffer_printf(out, " %s (", name);
    print_float(out, v);
    buffer_append_u8(out, ')');
}

static void print_matching(const struct matching *m, struct buffer *out) {
    if (m->given &&
        (m->n_labels || m->on || m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY)) {
        buffer_append_text(out, m->on ? " on (" : " ignoring (");
        print_list(m->labels, m->n_labels, out);
        buffer_append_u8(out, ')');
    }
    if (m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY) {
        buffer_append_text(out, m->card == CARD_MANY_TO_ONE ? " group_left (" : " group_right (");
        print_list(m->include, m->n_include, out);
        buffer_append_u8(out, ')');
    }
    if (m->fill_left && m->fill_right && m->fill_left_value == m->fill_right_value) {
        print_fill("fill", m->fill_left_value, out);
        return;
    }
    if (m->fill_left)
        print_fill("fill_left", m->fill_left_value, out);
    if (m->fill_right)
        print_fill("fill_right", m->fill_right_value, out);
}

void print_binary_operator(const struct node *n, struct buffer *out) {
    buffer_append_text(out, binary_op_names[n->binary.op]);
    if (n->binary.return_bool)
        buffer_append_text(out, " bool");
    print_matching(&n->binary.matching, out);
}

static void print_binary(const struct node *n, struct buffer *out) {
    const struct node *l = n->binary.lhs;

    /* The sign of +Inf would belong to the whole power. */
    if (n->binary.op == OP_POW && l->kind == NODE_NUMBER && isinf(l->number.value))
        buffer_append_text(out, "Inf");
    else
        print_node(l, out);
    buffer_append_u8(out, ' ');
    print_binary_operator(n, out);
    buffer_append_u8(out, ' ');
    print_node(n->binary.rhs, out);
}

void print_subquery_suffix(const struct node *n, struct buffer *out) {
    buffer_append_u8(out, '[');
    print_duration(n->subquery.range, out);
    buffer_append_u8(out, ':');
    if (n->subquery.step)
        print_duration(n->subquery.step, out);
    buffer_append_u8(out, ']');
    print_at(&n->subquery.at, out);
    print_offset(n->subquery.offset, out);
}

static void print_subquery(const struct node *n, struct buffer *out) {
    print_node(n->subquery.expr, out);
    print_subquery_suffix(n, out);
}

void print_node(const struct node *n, struct buffer *out) {
    switch (n->kind) {
    case NODE_NUMBER:
        if (n->number.duration)
            print_duration_ms(out, (int64_t) round(n->number.value * 1000));
        else
            print_float(out, n->number.value);
        return;
    case NODE_STRING: print_quoted_string(n->string, out); return;
    case NODE_SELECTOR: print_selector(&n->selector, NULL, out); return;
    case NODE_MATRIX: print_selector(&n->matrix.selector->selector, n->matrix.range, out); return;
    case NODE_SUBQUERY: print_subquery(n, out); return;
    case NODE_CALL:
        buffer_printf(out, "%s(", n->call.function->name);
        for (size_t i = 0; i < n->call.n_args; i++) {
            if (i)
                buffer_append_text(out, ", ");
            print_node(n->call.args[i], out);
        }
        buffer_append_u8(out, ')');
        return;
    case NODE_AGGREGATE: print_aggregate(n, out); return;
    case NODE_BINARY: print_binary(n, out); return;
    case NODE_UNARY:
        buffer_append_u8(out, n->unary.minus ? '-' : '+');
        print_node(n->unary.expr, out);
        return;
    case NODE_PAREN:
        buffer_append_u8(out, '(');
        print_node(n->paren, out);
        buffer_append_u8(out, ')');
        return;
    }
}

void promql_format(const struct promql_query *q, struct buffer *out) {
    print_node(q->root, out);
}
