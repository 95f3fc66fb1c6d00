/* Facets and comparisons share one scan: which values keys have, perhaps inside and outside of a
 * box. Private to query/; one owner. */
#ifndef VARAN_QUERY_FACETS_H
#define VARAN_QUERY_FACETS_H

#include "query/internal.h"

#define FACET_KEYS_MAX 30u

struct facet {
    struct slice label;
    struct filter_key key;
    bool column; /* cheap: not out of the map of attributes */
};

struct facet_list {
    struct facet items[FACET_KEYS_MAX];
    size_t n;
};

struct facet_scan {
    const struct facet_list *list;
    bool column;                   /* of the list, the keys with a column, or the others */
    uint64_t every;                /* one row (one granule) of so many */
    uint64_t enough;               /* with fewer matches in the sample everything is read */
    const struct compare_box *box; /* NULL: no box */
};

enum filter_target facets_target(const struct query *q);
const char *facets_table(const struct query *q);
/* Comma-separated keys; empty: the usual ones and the most frequent attributes. */
int facets_choose(struct query *q, struct slice keys, struct facet_list *ret);
/* Rows in the range, whatever the filter. */
int facets_count_rows(struct query *q, uint64_t *ret);
/* One row. Columns: matches, then per key values, counts, distinct; with a box: matches inside,
 * outside, then per key values and counts inside, values and counts outside. */
int facets_scan(struct query *q, const struct facet_scan *f, struct rows *ret);
/* Chooses f->every by the rows in the range. */
int facets_scan_sampled(struct query *q, struct facet_scan *f, uint64_t rows, struct rows *ret);
/* A counted value as the language writes it; empty: absent. */
struct slice facet_value(const struct facet *f, struct slice text);

#endif
