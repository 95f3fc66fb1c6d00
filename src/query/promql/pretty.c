/*
 * Syntax trees for people and for programs: indented over several lines where one would be too
 * long, and as JSON in the shape of Prometheus' parse_query.
 */
#include "query/promql/functions.h"

#include <math.h>

#define LINE_MAX_CHARACTERS 100u

static void indent(struct buffer *out, unsigned level) {
    for (unsigned i = 0; i < level; i++)
        buffer_append_text(out, "  ");
}

/* Whether the node fits a line; what it prints is taken back. */
static bool fits(const struct node *n, struct buffer *out) {
    size_t before = out->size;

    print_node(n, out);
    if (out->failed)
        return true;
    bool short_enough = out->size - before <= LINE_MAX_CHARACTERS;
    buffer_truncate(out, before);
    return short_enough;
}

static void pretty(const struct node *n, struct buffer *out, unsigned level, bool indented);

static void pretty_block(struct node *const *items, size_t n, struct buffer *out, unsigned level) {
    buffer_append_text(out, "(\n");
    for (size_t i = 0; i < n; i++) {
        pretty(items[i], out, level + 1, true);
        buffer_append_text(out, i + 1 < n ? ",\n" : "\n");
    }
    indent(out, level);
    buffer_append_u8(out, ')');
}

static void pretty_aggregate(const struct node *n, struct buffer *out, unsigned level) {
    struct node *items[2] = {n->aggregate.param ? n->aggregate.param : n->aggregate.expr,
                             n->aggregate.expr};

    print_aggregate_head(n, out);
    pretty_block(items, n->aggregate.param ? 2 : 1, out, level);
}

static void pretty(const struct node *n, struct buffer *out, unsigned level, bool indented) {
    bool whole = n->kind == NODE_SELECTOR || n->kind == NODE_MATRIX || fits(n, out);

    /* The left side of an operator begins its own line. */
    if (indented && (whole || n->kind != NODE_BINARY))
        indent(out, level);
    if (whole) {
        print_node(n, out);
        return;
    }
    switch (n->kind) {
    case NODE_AGGREGATE: pretty_aggregate(n, out, level); return;
    case NODE_CALL:
        buffer_append_text(out, n->call.function->name);
        pretty_block(n->call.args, n->call.n_args, out, level);
        return;
    case NODE_PAREN: pretty_block(&n->paren, 1, out, level); return;
    case NODE_BINARY:
        pretty(n->binary.lhs, out, level + 1, true);
        buffer_append_u8(out, '\n');
        indent(out, level);
        print_binary_operator(n, out);
        buffer_append_u8(out, '\n');
        pretty(n->binary.rhs, out, level + 1, true);
        return;
    case NODE_UNARY:
        buffer_append_u8(out, n->unary.minus ? '-' : '+');
        pretty(n->unary.expr, out, level, false);
        return;
    case NODE_SUBQUERY:
        pretty(n->subquery.expr, out, level, false);
        print_subquery_suffix(n, out);
        return;
    default: print_node(n, out); return;
    }
}

void promql_pretty(const struct promql_query *q, struct buffer *out) {
    pretty(q->root, out, 0, true);
}

/* ---- JSON. ---- */

static void json_string(struct slice s, struct buffer *out) {
    buffer_append_u8(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];

        if (c == '"' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c < 0x20)
            buffer_printf(out, "\\u%04x", c);
        else
            buffer_append_u8(out, c);
    }
    buffer_append_u8(out, '"');
}

static void json_strings(const char *key, const struct slice *s, size_t n, struct buffer *out) {
    buffer_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buffer_append_u8(out, ',');
        json_string(s[i], out);
    }
    buffer_append_u8(out, ']');
}

/* Literals only: arithmetic has a value when the query runs. */
static long long literal_ms(const struct duration *d) {
    if (!d)
        return 0;
    if (d->op == DURATION_NUMBER)
        return (long long) round(d->seconds * 1000);
    if (d->op == DURATION_MINUS || d->op == DURATION_PLUS)
        return (d->op == DURATION_MINUS ? -1 : 1) * literal_ms(d->a);
    return d->op == DURATION_PAREN ? literal_ms(d->a) : 0;
}

static void json_time(const struct at *at, const struct duration *offset, struct buffer *out) {
    buffer_printf(out, ",\"offset\":%lld", literal_ms(offset));
    if (at->kind == AT_TIME)
        buffer_printf(out, ",\"timestamp\":%lld", (long long) at->ms);
    else
        buffer_append_text(out, ",\"timestamp\":null");
    if (at->kind == AT_START || at->kind == AT_END)
        buffer_printf(out, ",\"startOrEnd\":\"%s\"", at->kind == AT_START ? "start" : "end");
    else
        buffer_append_text(out, ",\"startOrEnd\":null");
}

static void json_selector(const struct selector *s, struct buffer *out) {
    static const char *const ops[] = {"=", "!=", "=~", "!~"};

    buffer_append_text(out, ",\"name\":");
    json_string(s->name, out);
    json_time(&s->at, s->offset, out);
    buffer_append_text(out, ",\"matchers\":[");
    for (size_t i = 0; i < s->n_matchers; i++) {
        buffer_append_text(out, i ? ",{\"name\":" : "{\"name\":");
        json_string(s->matchers[i].name, out);
        buffer_printf(out, ",\"type\":\"%s\",\"value\":", ops[s->matchers[i].type]);
        json_string(s->matchers[i].value, out);
        buffer_append_u8(out, '}');
    }
    buffer_append_u8(out, ']');
}

static void json_node(const struct node *n, struct buffer *out);

static void json_child(const char *key, const struct node *n, struct buffer *out) {
    buffer_printf(out, ",\"%s\":", key);
    if (n)
        json_node(n, out);
    else
        buffer_append_text(out, "null");
}

static void json_call(const struct node *n, struct buffer *out) {
    static const char *const types[] = {"none", "scalar", "vector", "matrix", "string"};
    const struct function *f = n->call.function;

    buffer_printf(out, ",\"func\":{\"name\":\"%s\",\"argTypes\":[", f->name);
    for (size_t i = 0; i < FUNCTION_ARGS_MAX && f->args[i]; i++)
        buffer_printf(out, "%s\"%s\"", i ? "," : "", types[f->args[i]]);
    buffer_printf(out, "],\"variadic\":%d,\"returnType\":\"%s\"},\"args\":[", f->variadic,
                  types[f->result]);
    for (size_t i = 0; i < n->call.n_args; i++) {
        if (i)
            buffer_append_u8(out, ',');
        json_node(n->call.args[i], out);
    }
    buffer_append_u8(out, ']');
}

static void json_binary(const struct node *n, struct buffer *out) {
    static const char *const cards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};
    const struct matching *m = &n->binary.matching;

    buffer_printf(out, ",\"op\":\"%s\"", binary_op_names[n->binary.op]);
    json_child("lhs", n->binary.lhs, out);
    json_child("rhs", n->binary.rhs, out);
    if (n->binary.lhs->type == PROMQL_VECTOR && n->binary.rhs->type == PROMQL_VECTOR) {
        buffer_printf(out, ",\"matching\":{\"card\":\"%s\"", cards[m->card]);
        json_strings("labels", m->labels, m->n_labels, out);
        buffer_printf(out, ",\"on\":%s", m->on ? "true" : "false");
        json_strings("include", m->include, m->n_include, out);
        buffer_append_u8(out, '}');
    } else {
        buffer_append_text(out, ",\"matching\":null");
    }
    buffer_printf(out, ",\"bool\":%s", n->binary.return_bool ? "true" : "false");
}

static void json_node(const struct node *n, struct buffer *out) {
    static const char *const types[] = {
            "numberLiteral", "stringLiteral", "vectorSelector", "matrixSelector", "subquery",
            "call",          "aggregation",   "binaryExpr",     "unaryExpr",      "parenExpr"};

    buffer_printf(out, "{\"type\":\"%s\",\"start\":%u,\"end\":%u", types[n->kind], n->start,
                  n->end);
    switch (n->kind) {
    case NODE_NUMBER:
        buffer_append_text(out, ",\"val\":\"");
        print_float(out, n->number.value);
        buffer_append_u8(out, '"');
        break;
    case NODE_STRING:
        buffer_append_text(out, ",\"val\":");
        json_string(n->string, out);
        break;
    case NODE_SELECTOR: json_selector(&n->selector, out); break;
    case NODE_MATRIX:
        buffer_printf(out, ",\"range\":%lld", literal_ms(n->matrix.range));
        json_selector(&n->matrix.selector->selector, out);
        break;
    case NODE_SUBQUERY:
        json_child("expr", n->subquery.expr, out);
        buffer_printf(out, ",\"range\":%lld,\"step\":%lld", literal_ms(n->subquery.range),
                      literal_ms(n->subquery.step));
        json_time(&n->subquery.at, n->subquery.offset, out);
        break;
    case NODE_CALL: json_call(n, out); break;
    case NODE_AGGREGATE:
        buffer_printf(out, ",\"op\":\"%s\"", aggregate_names[n->aggregate.op]);
        json_child("expr", n->aggregate.expr, out);
        json_child("param", n->aggregate.param, out);
        json_strings("grouping", n->aggregate.grouping, n->aggregate.n_grouping, out);
        buffer_printf(out, ",\"without\":%s", n->aggregate.without ? "true" : "false");
        break;
    case NODE_BINARY: json_binary(n, out); break;
    case NODE_UNARY:
        buffer_printf(out, ",\"op\":\"%c\"", n->unary.minus ? '-' : '+');
        json_child("expr", n->unary.expr, out);
        break;
    case NODE_PAREN: json_child("expr", n->paren, out); break;
    }
    buffer_append_u8(out, '}');
}

void promql_tree_json(const struct promql_query *q, struct buffer *out) {
    json_node(q->root, out);
}
