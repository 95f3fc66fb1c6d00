/* Resources of an answer: fetched once per question, written once per id. One owner. */
#include "query/internal.h"

#define RESOURCES_PER_ANSWER 500u

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

/* Sorted, without repetition. */
static size_t distinct(uint64_t *ids, size_t n) {
    size_t kept = 0;

    if (n)
        qsort(ids, n, sizeof(*ids), by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            ids[kept++] = ids[i];
    return kept < RESOURCES_PER_ANSWER ? kept : RESOURCES_PER_ANSWER;
}

static void write_resource(struct json_writer *w, const struct rows *r, size_t row) {
    char id[32];
    size_t n = native_reader_length(r->reader, row, 1);

    snprintf(id, sizeof(id), "%llu", (unsigned long long) row_u64(r, row, 0));
    json_put_key(w, id);
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key_slice(w, native_reader_key(r->reader, row, 1, i).text);
        json_put_string(w, native_reader_item(r->reader, row, 1, i).text);
    }
    json_end_object(w);
}

int json_resources(struct query *q, const uint64_t *ids, size_t n) {
    uint64_t *sorted = arena_array(q->arena, uint64_t, n);
    struct rows rows = {0};
    struct sql s;
    int r = 0;

    if (!sorted)
        return -ENOMEM;
    if (n)
        memcpy(sorted, ids, n * sizeof(*ids));
    n = distinct(sorted, n);
    if (n) {
        sql_init(&s, q->arena);
        sql_add(&s, "SELECT id, any(attributes) FROM resources WHERE id IN (");
        for (size_t i = 0; i < n; i++)
            sql_addf(&s, i ? ", %llu" : "%llu", (unsigned long long) sorted[i]);
        sql_add(&s, ") GROUP BY id ORDER BY id");
        r = query_run(q, &s, &rows);
        sql_done(&s);
    }
    if (r < 0)
        return r;
    json_put_key(q->json, "resources");
    json_begin_object(q->json);
    for (size_t i = 0; i < rows.n; i++)
        write_resource(q->json, &rows, i);
    json_end_object(q->json);
    if (n)
        rows_done(&rows);
    return 0;
}
