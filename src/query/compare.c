/* What is different about a box of the heat map: per key, which values are more (or less) frequent
 * among the entry spans inside it than among the others. One owner. */
#include "query/facets.h"

#include "base/map.h"

#include <math.h>

#define COMPARE_VALUES 5u
#define COMPARE_ENOUGH 200u /* with fewer inside the sample everything is read */
#define VALUES_MAX 100u

struct share {
    struct slice value;
    double inside, outside;
};

struct telling {
    const struct facet *facet;
    double score;
    struct share *shares;
    size_t n;
};

static int by_difference(const void *a, const void *b) {
    double x = fabs(((const struct share *) a)->inside - ((const struct share *) a)->outside);
    double y = fabs(((const struct share *) b)->inside - ((const struct share *) b)->outside);

    return x < y ? 1 : x > y ? -1 : 0;
}

static int by_score(const void *a, const void *b) {
    const struct telling *x = a, *y = b;

    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

/* Adds one side's values (columns: texts, counts) to the shares. */
static void add_side(const struct rows *r, unsigned column, double total, bool inside,
                     struct map *index, struct telling *t) {
    size_t n = native_reader_length(r->reader, 0, column);

    for (size_t i = 0; i < n && total > 0; i++) {
        struct slice value =
                facet_value(t->facet, native_reader_item(r->reader, 0, column, i).text);
        bool is_new;
        struct map_entry *m = value.size ? map_put(index, value, &is_new) : NULL;
        if (!m)
            continue;
        if (is_new) {
            m->number = t->n;
            t->shares[t->n++].value = value;
        }
        double share = (double) native_reader_item(r->reader, 0, column + 1, i).u64 / total;
        *(inside ? &t->shares[m->number].inside : &t->shares[m->number].outside) = share;
    }
}

static int tell(struct query *q, const struct rows *r, unsigned column, const struct facet *facet,
                struct telling *ret) {
    struct map index;

    *ret = (struct telling){.facet = facet};
    ret->shares = arena_array(q->arena, struct share, VALUES_MAX);
    if (!ret->shares)
        return -ENOMEM;
    map_init(&index, VALUES_MAX, 1 << 20);
    add_side(r, column, (double) row_u64(r, 0, 0), true, &index, ret);
    add_side(r, column + 2, (double) row_u64(r, 0, 1), false, &index, ret);
    map_done(&index);
    if (ret->n) {
        qsort(ret->shares, ret->n, sizeof(*ret->shares), by_difference);
        ret->score = fabs(ret->shares[0].inside - ret->shares[0].outside);
    }
    return 0;
}

static void write_telling(struct json_writer *w, const struct telling *t) {
    json_begin_object(w);
    json_field_string(w, "key", t->facet->label);
    json_put_key(w, "values");
    json_begin_array(w);
    for (size_t i = 0; i < t->n && i < COMPARE_VALUES; i++) {
        json_begin_object(w);
        json_field_string(w, "value", t->shares[i].value);
        json_field_double(w, "inside", t->shares[i].inside);
        json_field_double(w, "outside", t->shares[i].outside);
        json_end_object(w);
    }
    json_end_array(w);
    json_field_double(w, "score", t->score);
    json_end_object(w);
}

static int write_all(struct query *q, const struct facet_list *list, const struct rows rows[2]) {
    struct telling found[FACET_KEYS_MAX];
    unsigned column[2] = {2, 2};
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        int c = list->items[i].column;
        if (rows[c].n) {
            int r = tell(q, &rows[c], column[c], &list->items[i], &found[n]);
            if (r < 0)
                return r;
            n += found[n].n > 0;
        }
        column[c] += 4;
    }
    if (n)
        qsort(found, n, sizeof(found[0]), by_score);
    json_begin_object(q->json);
    json_put_key(q->json, "facets");
    json_begin_array(q->json);
    for (size_t i = 0; i < n; i++)
        write_telling(q->json, &found[i]);
    json_end_array(q->json);
    return 0;
}

int query_traces_compare(struct query *q, const struct compare_box *box) {
    struct facet_list list;
    struct facet_scan scans[2];
    struct rows rows[2];
    uint64_t total = 0;

    memset(rows, 0, sizeof(rows));
    q->signal = FILTER_SPANS;
    int r = facets_choose(q, SLICE_EMPTY, &list);
    if (r == 0)
        r = facets_count_rows(q, &total);
    for (int c = 0; c < 2; c++) {
        scans[c] = (struct facet_scan){
                .list = &list, .column = c == 1, .every = 1, .enough = COMPARE_ENOUGH, .box = box};
        if (r == 0)
            r = facets_scan_sampled(q, &scans[c], total, &rows[c]);
    }
    if (r == 0)
        r = write_all(q, &list, rows);
    if (r == 0) {
        json_field_uint(q->json, "inside",
                        rows[1].n ? row_u64(&rows[1], 0, 0) * scans[1].every : 0);
        json_field_uint(q->json, "outside",
                        rows[1].n ? row_u64(&rows[1], 0, 1) * scans[1].every : 0);
        json_end_object(q->json);
    }
    for (int c = 0; c < 2; c++)
        rows_done(&rows[c]);
    return r;
}
