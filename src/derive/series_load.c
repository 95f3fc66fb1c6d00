/*
 * At the start: reads the series that were in use lately out of storage into the index, a part of
 * them at a time, on a thread of its own, so that the server is ready at once. Until it ends,
 * queries ask the table (series_gap()).
 */
#include "base/clock.h"
#include "base/log.h"
#include "derive/private.h"
#include "store/store.h"
#include "wire/native.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>

#define PART_SERIES 5000u
#define PARTS_MAX 512u
#define PART_BYTES_MAX ((size_t) 256 << 20)

enum { COLUMN_ID, COLUMN_METRIC, COLUMN_LABELS, COLUMN_FIRST, COLUMN_LAST };

static int order_labels(const void *a, const void *b) {
    return slice_compare(((const struct label *) a)->name, ((const struct label *) b)->name);
}

static int load_row(struct ingest *g, const struct native_reader *rows, size_t row) {
    struct label labels[SERIES_LABELS_MAX + 1];
    size_t n = native_reader_length(rows, row, COLUMN_LABELS);

    if (n > SERIES_LABELS_MAX - 1)
        return 0;
    for (size_t i = 0; i < n; i++)
        labels[i] = (struct label){native_reader_key(rows, row, COLUMN_LABELS, i).text,
                                   native_reader_item(rows, row, COLUMN_LABELS, i).text};
    labels[n++] =
            (struct label){SLICE("__name__"), native_reader_cell(rows, row, COLUMN_METRIC).text};
    qsort(labels, n, sizeof(*labels), order_labels);
    struct series_row s = {.id = native_reader_cell(rows, row, COLUMN_ID).u64,
                           .labels = labels,
                           .n = n,
                           .first_s = (uint32_t) native_reader_cell(rows, row, COLUMN_FIRST).u64,
                           .last_s = (uint32_t) native_reader_cell(rows, row, COLUMN_LAST).u64};
    return series_load(g->series, &s);
}

static int load_part(struct ingest *g, uint32_t since_s, unsigned part, unsigned parts) {
    struct store_limits limits = {.timeout_ns = 60 * NS_PER_S,
                                  .rows_max = SERIES_MAX_DEFAULT * 10,
                                  .result_bytes_max = PART_BYTES_MAX};
    struct native_reader *rows = NULL;
    struct buffer answer;
    char sql[600];
    int r;

    snprintf(sql, sizeof(sql),
             "SELECT id, any(metric) AS m, any(labels) AS l, min(first_seen) AS f, max(last_seen) "
             "AS s FROM series WHERE last_seen >= toDateTime(%" PRIu32
             ", 'UTC') AND id %% %u = %u GROUP BY id SETTINGS max_threads = 1",
             since_s, parts, part);
    buffer_init(&answer, PART_BYTES_MAX);
    r = store_query(g->store, sql, NULL, 0, "Native", &limits, &answer, NULL);
    if (r == 0)
        r = native_reader_new(buffer_slice(&answer), &rows);
    for (size_t i = 0; r == 0 && i < native_reader_rows(rows); i++) {
        int loaded = load_row(g, rows, i);
        if (loaded == -ENOMEM || loaded == -ENOSPC)
            r = loaded;
        if (atomic_load(&g->loader_stops))
            r = -ECANCELED;
    }
    native_reader_free(rows);
    buffer_done(&answer);
    return r;
}

static int count_series(struct ingest *g, uint32_t since_s, uint64_t *ret, struct error *e) {
    struct native_reader *rows = NULL;
    struct buffer answer;
    char sql[200];

    snprintf(sql, sizeof(sql),
             "SELECT count() FROM series WHERE last_seen >= toDateTime(%" PRIu32 ", 'UTC')",
             since_s);
    buffer_init(&answer, 65536);
    int r = store_query(g->store, sql, NULL, 0, "Native", NULL, &answer, e);
    if (r == 0)
        r = native_reader_new(buffer_slice(&answer), &rows);
    *ret = r == 0 && native_reader_rows(rows) ? native_reader_cell(rows, 0, 0).u64 : 0;
    native_reader_free(rows);
    buffer_done(&answer);
    return r;
}

static void *loader_main(void *arg) {
    struct ingest *g = arg;
    /* The table's last_seen is at most SERIES_EMIT_S behind. */
    uint32_t since_s = (uint32_t) (clock_now_ns() / NS_PER_S) - SERIES_IDLE_S - SERIES_EMIT_S;
    struct error e = ERROR_NONE;
    uint64_t n;
    int r = count_series(g, since_s, &n, &e);
    uint64_t parts = n / PART_SERIES + 1;

    if (parts > PARTS_MAX)
        parts = PARTS_MAX;
    for (unsigned i = 0; i < parts && r == 0 && !atomic_load(&g->loader_stops); i++)
        r = load_part(g, since_s, i, (unsigned) parts);
    if (atomic_load(&g->loader_stops))
        return NULL;
    malloc_trim(0); /* the answers' memory */
    if (r == 0)
        series_set_gap(g->series, since_s + SERIES_EMIT_S);
    else /* queries go on to ask the table as well */
        log_warn("ingest", "the series in storage could not be read: %s",
                 *e.text ? e.text : error_name(r));
    return NULL;
}

int series_loader_start(struct ingest *g) {
    series_set_gap(g->series, UINT32_MAX);
    int r = pthread_create(&g->loader, NULL, loader_main, g);
    g->loader_runs = r == 0;
    return -r;
}

void series_loader_stop(struct ingest *g) {
    if (!g->loader_runs)
        return;
    atomic_store(&g->loader_stops, true);
    pthread_join(g->loader, NULL);
    g->loader_runs = false;
}
