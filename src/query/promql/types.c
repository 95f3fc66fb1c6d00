/* The checker: gives each node its type and refuses what does not fit together. */
#include "query/promql/functions.h"
#include "query/promql/labels.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct checker {
    struct promql_error *e;
    int r;
};

__attribute__((format(printf, 3, 4))) static int bad(struct promql_error *e, const struct node *n,
                                                     const char *format, ...) {
    va_list args;

    e->kind = PROMQL_BAD_QUERY;
    e->start = n->start;
    e->end = n->end;
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    return -EINVAL;
}

static int expect(struct promql_error *e, const struct node *n, enum promql_type want,
                  const char *context) {
    if (n->type == want)
        return 0;
    return bad(e, n, "expected type %s in %s, got %s", promql_type_name(want), context,
               promql_type_name(n->type));
}

static int check_selector(struct node *n, struct promql_error *e) {
    const struct selector *s = &n->selector;
    bool restricts = false;

    for (size_t i = 0; i < s->n_matchers; i++) {
        const struct promql_matcher *m = &s->matchers[i];

        if (i > 0 && s->name.size && slice_equal(m->name, PROMQL_METRIC_NAME) &&
            m->type == PROMQL_EQUAL && slice_equal(s->matchers[0].name, PROMQL_METRIC_NAME) &&
            n->selector.matchers[0].value.data == s->name.data)
            return bad(e, n, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                       SLICE_ARG(s->name), SLICE_ARG(m->value));
        if (promql_matcher_test(m, SLICE_EMPTY) != 1)
            restricts = true;
    }
    if (!restricts)
        return bad(e, n, "vector selector must contain at least one non-empty matcher");
    return 0;
}

static int check_call(struct node *n, struct promql_error *e) {
    const struct function *f = n->call.function;
    size_t declared = 0, n_args = n->call.n_args;
    char context[100];

    while (declared < FUNCTION_ARGS_MAX && f->args[declared])
        declared++;
    size_t least = f->variadic > 0 ? declared - (size_t) f->variadic : declared;
    if (f->variadic < 0)
        least = declared - 1;
    if (f->variadic == 0 && n_args != declared)
        return bad(e, n, "expected %zu argument(s) in call to \"%s\", got %zu", declared, f->name,
                   n_args);
    if (n_args < least)
        return bad(e, n, "expected at least %zu argument(s) in call to \"%s\", got %zu", least,
                   f->name, n_args);
    if (f->variadic >= 0 && n_args > declared)
        return bad(e, n, "expected at most %zu argument(s) in call to \"%s\", got %zu", declared,
                   f->name, n_args);
    snprintf(context, sizeof(context), "call to function \"%s\"", f->name);
    for (size_t i = 0; i < n_args; i++) {
        const struct node *arg = n->call.args[i];
        int r = expect(e, arg, f->args[i < declared ? i : declared - 1], context);

        if (r < 0)
            return r;
        if (f->args[i < declared ? i : declared - 1] == PROMQL_STRING &&
            node_strip(arg)->kind != NODE_STRING)
            return bad(e, arg, "expected a string literal in %s", context);
    }
    if (slice_is(slice_from(f->name), "info") && n_args == 2) {
        const struct node *s = n->call.args[1];

        if (s->kind != NODE_SELECTOR || s->selector.name.size)
            return bad(e, s, "expected label selectors only, got vector selector instead");
    }
    n->type = f->result;
    return 0;
}

static int check_aggregate(struct node *n, struct promql_error *e) {
    enum aggregate_op op = n->aggregate.op;
    int r = expect(e, n->aggregate.expr, PROMQL_VECTOR, "aggregation expression");

    if (r == 0 && n->aggregate.param)
        r = expect(e, n->aggregate.param, op == AGG_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
                   "aggregation parameter");
    if (r == 0 && op == AGG_COUNT_VALUES) {
        const struct node *label = node_strip(n->aggregate.param);

        if (label->kind != NODE_STRING || !label->string.size || !slice_is_utf8(label->string))
            r = bad(e, n->aggregate.param, "invalid label name \"%.*s\"", SLICE_ARG(label->string));
    }
    n->type = PROMQL_VECTOR;
    return r;
}

static bool listed(struct slice s, const struct slice *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (slice_equal(s, list[i]))
            return true;
    return false;
}

static int check_matching(struct node *n, struct promql_error *e) {
    const struct matching *m = &n->binary.matching;
    bool vectors = n->binary.lhs->type == PROMQL_VECTOR && n->binary.rhs->type == PROMQL_VECTOR;

    if (!vectors) {
        if (m->given && (m->n_labels || m->on || m->card != CARD_ONE_TO_ONE))
            return bad(e, n, "vector matching only allowed between instant vectors");
        if (m->fill_left || m->fill_right)
            return bad(e, n, "filling in missing series only allowed between instant vectors");
        return 0;
    }
    if (op_is_set(n->binary.op)) {
        if (m->card != CARD_MANY_TO_MANY)
            return bad(e, n, "no grouping allowed for \"%s\" operation",
                       binary_op_names[n->binary.op]);
        if (m->fill_left || m->fill_right)
            return bad(e, n, "filling in missing series not allowed for set operators");
    }
    if (m->on)
        for (size_t i = 0; i < m->n_labels; i++)
            if (listed(m->labels[i], m->include, m->n_include))
                return bad(e, n, "label \"%.*s\" must not occur in ON and GROUP clause at once",
                           SLICE_ARG(m->labels[i]));
    return 0;
}

static int check_binary(struct node *n, struct promql_error *e) {
    enum promql_type l = n->binary.lhs->type, r = n->binary.rhs->type;
    enum binary_op op = n->binary.op;

    if (n->binary.return_bool && !op_is_comparison(op))
        return bad(e, n, "bool modifier can only be used on comparison operators");
    if (op_is_comparison(op) && !n->binary.return_bool && l == PROMQL_SCALAR && r == PROMQL_SCALAR)
        return bad(e, n, "comparisons between scalars must use BOOL modifier");
    if (l != PROMQL_SCALAR && l != PROMQL_VECTOR)
        return bad(e, n->binary.lhs,
                   "binary expression must contain only scalar and instant vector types");
    if (r != PROMQL_SCALAR && r != PROMQL_VECTOR)
        return bad(e, n->binary.rhs,
                   "binary expression must contain only scalar and instant vector types");
    if (op_is_set(op) && (l == PROMQL_SCALAR || r == PROMQL_SCALAR))
        return bad(e, n, "set operator \"%s\" not allowed in binary scalar expression",
                   binary_op_names[op]);
    if (op_is_trim(op) && l == PROMQL_SCALAR && r == PROMQL_SCALAR)
        return bad(e, n, "operator \"%s\" is for histograms, not for scalars", binary_op_names[op]);
    n->type = l == PROMQL_SCALAR && r == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
    return check_matching(n, e);
}

static int check_node(struct node *n, struct promql_error *e) {
    switch (n->kind) {
    case NODE_NUMBER: n->type = PROMQL_SCALAR; return 0;
    case NODE_STRING: n->type = PROMQL_STRING; return 0;
    case NODE_SELECTOR: n->type = PROMQL_VECTOR; return check_selector(n, e);
    case NODE_MATRIX: n->type = PROMQL_MATRIX; return 0;
    case NODE_SUBQUERY:
        n->type = PROMQL_MATRIX;
        if (n->subquery.expr->type != PROMQL_VECTOR && n->subquery.expr->type != PROMQL_SCALAR)
            return bad(e, n, "subquery is only allowed on instant vector, got %s instead",
                       promql_type_name(n->subquery.expr->type));
        return 0;
    case NODE_CALL: return check_call(n, e);
    case NODE_AGGREGATE: return check_aggregate(n, e);
    case NODE_BINARY: return check_binary(n, e);
    case NODE_UNARY:
        n->type = n->unary.expr->type;
        if (n->type != PROMQL_SCALAR && n->type != PROMQL_VECTOR)
            return bad(e, n,
                       "unary expression only allowed on expressions of type scalar or "
                       "instant vector, got \"%s\"",
                       promql_type_name(n->type));
        return 0;
    case NODE_PAREN: n->type = n->paren->type; return 0;
    }
    return 0;
}

static void check_child(void *ctx, struct node *child) {
    struct checker *c = ctx;

    if (c->r == 0)
        c->r = check_types(child, c->e);
}

int check_types(struct node *n, struct promql_error *e) {
    struct checker c = {e, 0};
    struct node *labels = NULL;

    /* The second argument of info() is a list of matchers, which may match everything. */
    if (n->kind == NODE_CALL && slice_is(slice_from(n->call.function->name), "info") &&
        n->call.n_args == 2 && n->call.args[1]->kind == NODE_SELECTOR) {
        labels = n->call.args[1];
        labels->type = PROMQL_VECTOR;
        check_child(&c, n->call.args[0]);
    } else {
        node_children(n, check_child, &c);
    }
    return c.r < 0 ? c.r : check_node(n, e);
}
