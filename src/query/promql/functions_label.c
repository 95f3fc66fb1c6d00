/* Functions of labels: label_replace, label_join, and the sorting of instant vectors. */
#include "query/promql/functions_impl.h"

#include "base/error.h"
#include "base/regex.h"

#include <errno.h>

#define LABEL_BYTES_MAX (1u << 20)

static bool valid_label(struct slice name) {
    return name.size > 0 && slice_is_utf8(name);
}

static int set_label(struct eval *e, struct series *s, struct slice name, struct slice value) {
    struct slice copy = arena_dup(&e->arena, value);

    if (!copy.data)
        return eval_memory(e);
    s->labels = labels_set(&e->arena, s->labels, name, copy);
    if (!s->labels)
        return eval_memory(e);
    if (slice_equal(name, PROMQL_METRIC_NAME))
        s->drop_name = false;
    return 0;
}

VALUES_FUNCTION(values_label_replace) {
    struct slice name = args[1].string, with = args[2].string, from = args[3].string;
    struct error why = ERROR_NONE;
    struct regex *regex;
    struct buffer out;
    int r = regex_compile(args[4].string, &regex, &why);

    if (r < 0)
        return eval_fail(e, PROMQL_EXECUTION, "invalid regular expression in label_replace(): %.*s",
                         SLICE_ARG(args[4].string));
    if (!valid_label(name)) {
        regex_unref(regex);
        return eval_fail(e, PROMQL_EXECUTION,
                         "invalid destination label name in label_replace(): %.*s",
                         SLICE_ARG(name));
    }
    buffer_init(&out, LABEL_BYTES_MAX);
    *ret = args[0];
    for (size_t i = 0; r == 0 && i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        buffer_clear(&out);
        r = regex_expand(regex, promql_labels_get(s->labels, from), with, &out);
        if (r == 1)
            r = set_label(e, s, name, buffer_slice(&out));
        else if (r < 0)
            eval_fail(e, PROMQL_LIMIT, "label_replace(): the expression takes too long to match");
        if (r == 0)
            r = eval_tick(e, 100);
    }
    buffer_done(&out);
    regex_unref(regex);
    return r < 0 ? r : vector_merge(e, &ret->vector, g);
}

VALUES_FUNCTION(values_label_join) {
    struct slice name = args[1].string;
    struct buffer out;
    int r = 0;

    for (size_t i = 3; i < n_args; i++)
        if (!valid_label(args[i].string))
            return eval_fail(e, PROMQL_EXECUTION, "invalid source label name in label_join(): %.*s",
                             SLICE_ARG(args[i].string));
    if (!valid_label(name))
        return eval_fail(e, PROMQL_EXECUTION,
                         "invalid destination label name in label_join(): %.*s", SLICE_ARG(name));
    buffer_init(&out, LABEL_BYTES_MAX);
    *ret = args[0];
    for (size_t i = 0; r == 0 && i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        buffer_clear(&out);
        for (size_t k = 3; k < n_args; k++) {
            if (k > 3)
                buffer_append_slice(&out, args[2].string);
            buffer_append_slice(&out, promql_labels_get(s->labels, args[k].string));
        }
        r = out.failed ? eval_memory(e) : set_label(e, s, name, buffer_slice(&out));
        if (r == 0)
            r = eval_tick(e, 100);
    }
    buffer_done(&out);
    return r < 0 ? r : vector_merge(e, &ret->vector, g);
}

/* ---- Sorting; only an instant vector has an order. ---- */

struct sort_key {
    struct series *series;
    const struct slice *names;
    size_t n_names;
    bool descending;
    size_t position;
};

static int compare_by_value(const void *a, const void *b) {
    const struct sort_key *x = a, *y = b;
    double v = x->series->v[0], w = y->series->v[0];

    if (isnan(v) || isnan(w)) /* NaN last either way */
        return isnan(v) - isnan(w) ? isnan(v) - isnan(w)
                                   : (x->position > y->position) - (x->position < y->position);
    if (v == w)
        return (x->position > y->position) - (x->position < y->position);
    return (v > w) != x->descending ? 1 : -1;
}

/* Runs of digits compare as numbers: 4m5 before 4m600. */
static int compare_natural(struct slice a, struct slice b) {
    size_t i = 0, k = 0;

    while (i < a.size && k < b.size) {
        uint8_t x = a.data[i], y = b.data[k];

        if (x >= '0' && x <= '9' && y >= '0' && y <= '9') {
            size_t n = 0, m = 0;

            while (i < a.size && a.data[i] == '0')
                i++;
            while (k < b.size && b.data[k] == '0')
                k++;
            while (i + n < a.size && a.data[i + n] >= '0' && a.data[i + n] <= '9')
                n++;
            while (k + m < b.size && b.data[k + m] >= '0' && b.data[k + m] <= '9')
                m++;
            int c = n != m ? (n > m) - (n < m)
                           : slice_compare(slice_new(a.data + i, n), slice_new(b.data + k, m));
            if (c)
                return c;
            i += n;
            k += m;
            continue;
        }
        if (x != y)
            return x < y ? -1 : 1;
        i++;
        k++;
    }
    if (i < a.size || k < b.size)
        return i < a.size ? 1 : -1;
    return slice_compare(a, b);
}

static int compare_by_label(const void *a, const void *b) {
    const struct sort_key *x = a, *y = b;
    int c = 0;

    for (size_t i = 0; c == 0 && i < x->n_names; i++)
        c = compare_natural(promql_labels_get(x->series->labels, x->names[i]),
                            promql_labels_get(y->series->labels, x->names[i]));
    if (c == 0)
        c = labels_compare(x->series->labels, y->series->labels);
    return x->descending ? -c : c;
}

static int sort_vector(struct eval *e, struct vector *v, const struct slice *names, size_t n_names,
                       bool descending, int (*compare)(const void *, const void *)) {
    struct sort_key *keys = arena_alloc(&e->scratch, v->n * sizeof(*keys));
    struct series *sorted = arena_alloc(&e->arena, v->n * sizeof(*sorted));

    if (!keys || !sorted)
        return eval_memory(e);
    for (size_t i = 0; i < v->n; i++)
        keys[i] = (struct sort_key){&v->items[i], names, n_names, descending, i};
    qsort(keys, v->n, sizeof(*keys), compare);
    for (size_t i = 0; i < v->n; i++)
        sorted[i] = *keys[i].series;
    v->items = sorted;
    v->allocated = v->n;
    arena_clear(&e->scratch);
    return eval_tick(e, v->n * 20);
}

VALUES_FUNCTION(values_sort) {
    *ret = args[0];
    for (size_t i = 0; i < ret->vector.n; i++)
        ret->vector.items[i].h = NULL;
    vector_prune(&ret->vector, g);
    if (g->n != 1)
        return 0;
    return sort_vector(e, &ret->vector, NULL, 0,
                       strcmp(call->call.function->name, "sort_desc") == 0, compare_by_value);
}

VALUES_FUNCTION(values_sort_by_label) {
    struct slice *names = arena_array(&e->arena, struct slice, n_args);

    if (!names)
        return eval_memory(e);
    for (size_t i = 1; i < n_args; i++)
        names[i - 1] = args[i].string;
    *ret = args[0];
    if (g->n != 1)
        return 0;
    return sort_vector(e, &ret->vector, names, n_args - 1,
                       strcmp(call->call.function->name, "sort_by_label_desc") == 0,
                       compare_by_label);
}
