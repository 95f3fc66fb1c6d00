/* The syntax tree: walking it, and what a query owns besides its arena. */
#include "query/promql/ast.h"

#include "base/regex.h"

#include <errno.h>

const struct node *node_strip(const struct node *n) {
    while (n->kind == NODE_PAREN)
        n = n->paren;
    return n;
}

void node_children(const struct node *n, void (*fn)(void *ctx, struct node *child), void *ctx) {
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_SELECTOR: return;
    case NODE_MATRIX: fn(ctx, n->matrix.selector); return;
    case NODE_SUBQUERY: fn(ctx, n->subquery.expr); return;
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++)
            fn(ctx, n->call.args[i]);
        return;
    case NODE_AGGREGATE:
        if (n->aggregate.param)
            fn(ctx, n->aggregate.param);
        fn(ctx, n->aggregate.expr);
        return;
    case NODE_BINARY:
        fn(ctx, n->binary.lhs);
        fn(ctx, n->binary.rhs);
        return;
    case NODE_UNARY: fn(ctx, n->unary.expr); return;
    case NODE_PAREN: fn(ctx, n->paren); return;
    }
}

struct selector_visit {
    void (*fn)(void *ctx, const struct promql_matcher *matchers, size_t n);
    void *ctx;
};

static void visit_selectors(void *ctx, struct node *n) {
    struct selector_visit *v = ctx;

    if (n->kind == NODE_SELECTOR)
        v->fn(v->ctx, n->selector.matchers, n->selector.n_matchers);
    else
        node_children(n, visit_selectors, v);
}

void promql_each_selector(const struct promql_query *q,
                          void (*fn)(void *ctx, const struct promql_matcher *matchers, size_t n),
                          void *ctx) {
    struct selector_visit v = {fn, ctx};

    visit_selectors(&v, q->root);
}

int query_own_regexes(struct promql_query *q, const struct promql_matcher *m, size_t n) {
    struct regex_link *links = arena_array(&q->arena, struct regex_link, n);

    if (!links)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!m[i].regex)
            continue;
        links[i] = (struct regex_link){q->regexes, (struct regex *) m[i].regex};
        q->regexes = &links[i];
    }
    return 0;
}

void promql_query_free(struct promql_query *q) {
    if (!q)
        return;
    for (struct regex_link *l = q->regexes; l; l = l->next)
        regex_unref(l->regex);
    arena_done(&q->arena);
    free(q);
}

const char *promql_type_name(enum promql_type type) {
    static const char *const names[] = {"none", "scalar", "instant vector", "range vector",
                                        "string"};

    return names[type];
}
