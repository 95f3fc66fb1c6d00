/*
 * What stands behind the listeners of `varan serve`: storage, ingest, receivers, API, page. Opened
 * and closed by the main thread.
 */
#include "api/page.h"
#include "base/log.h"
#include "cli/serve.h"
#include "store/store.h"

#define ROUTE_TABLES_MAX 8

static int open_store(struct serve *s, struct error *e) {
    const struct settings *settings = s->settings;
    struct store_options o;
    struct store *store;

    store_options_default(&o);
    o.data_dir = settings->data_dir;
    o.engine_lib = settings->engine_lib;
    o.clickhouse_url = settings->clickhouse;
    o.clickhouse_database = settings->clickhouse_database;
    o.retention_days = settings->retention_days > UINT32_MAX ? UINT32_MAX
                                                             : (unsigned) settings->retention_days;
    o.retention_bytes = settings->retention_bytes;
    o.free_bytes_min = settings->free_bytes_min;
    o.queue_bytes_max = (size_t) settings->queue_bytes;
    o.commit_ns_max = settings->commit_interval_ns;
    o.durable = settings->durable;
    int r = store_open(&o, &store, e);
    if (r == 0)
        atomic_store(&s->store, store);
    return r;
}

static int set_routes(struct serve *s, struct error *e) {
    struct http_routes tables[ROUTE_TABLES_MAX];
    size_t n = 0;

    tables[n++] = serve_operation_routes(s);
    tables[n++] = page_routes();
    int r = http_server_set_routes(s->page, tables, n);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

int serve_open_parts(struct serve *s, struct error *e) {
    int r = open_store(s, e);

    return r < 0 ? r : set_routes(s, e);
}

void serve_close_parts(struct serve *s) {
    store_close(atomic_load(&s->store));
}
