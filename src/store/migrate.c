/* Applying migrations: see migrate.h. */
#include "store/migrate.h"
#include "store/cluster.h"

#define STATEMENT_MAX 256u

#define CLUSTER_STATEMENT_MAX ((size_t) 1 << 20)

static int run(struct engine *g, const char *statement, const char *cluster, struct error *e) {
    struct buffer local, distributed;

    if (!cluster)
        return g->ops->execute(g, statement, NULL, e);
    buffer_init(&local, CLUSTER_STATEMENT_MAX);
    buffer_init(&distributed, CLUSTER_STATEMENT_MAX);
    int r = cluster_rewrite(statement, cluster, &local, &distributed);
    if (r < 0)
        error_set(e, r, "The statement cannot be written for a cluster.");
    if (r == 0)
        r = g->ops->execute(g, (const char *) local.data, NULL, e);
    if (r == 0 && distributed.size)
        r = g->ops->execute(g, (const char *) distributed.data, NULL, e);
    buffer_done(&local);
    buffer_done(&distributed);
    return r;
}

static int apply(struct engine *g, const char *cluster, const struct migration *m,
                 struct error *e) {
    char sql[STATEMENT_MAX];
    int r = 0;

    for (unsigned i = 0; i < m->n && r == 0; i++)
        r = run(g, m->statements[i], cluster, e);
    if (r == 0) {
        snprintf(sql, sizeof(sql), "INSERT INTO schema_version VALUES (%u, '%s', now())",
                 m->version, m->name);
        r = g->ops->execute(g, sql, NULL, e);
    }
    if (r < 0)
        error_prefix(e, "Migration %03u_%s failed: ", m->version, m->name);
    return r;
}

int migrate(struct engine *g, const char *cluster, unsigned to, struct error *e) {
    uint64_t version;
    int r = g->ops->execute(
            g,
            "CREATE TABLE IF NOT EXISTS schema_version (version UInt32, name String, "
            "applied DateTime('UTC')) ENGINE = MergeTree ORDER BY version "
            "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1",
            NULL, e);

    if (r == 0)
        r = engine_number(g, "SELECT max(version) FROM schema_version", &version, e);
    if (r < 0)
        return r;
    if (version > migrations_n)
        return error_set(
                e, -EPROTONOSUPPORT,
                "The data folder was written by a newer Varan (schema version %u; this one "
                "knows up to %u). Start that version, or use another --data-dir.",
                (unsigned) version, migrations_n);
    for (unsigned i = 0; i < migrations_n && r == 0; i++)
        if (migrations[i].version > version && (to == 0 || migrations[i].version <= to))
            r = apply(g, cluster, &migrations[i], e);
    return r;
}
