/* Applying migrations: see migrate.h. */
#include "store/migrate.h"

#define STATEMENT_MAX 256u

static int apply(struct engine *g, const struct migration *m, struct error *e) {
    char sql[STATEMENT_MAX];
    int r = 0;

    for (unsigned i = 0; i < m->n && r == 0; i++)
        r = g->ops->execute(g, m->statements[i], NULL, e);
    if (r == 0) {
        snprintf(sql, sizeof(sql), "INSERT INTO schema_version VALUES (%u, '%s', now())",
                 m->version, m->name);
        r = g->ops->execute(g, sql, NULL, e);
    }
    if (r < 0)
        error_prefix(e, "Migration %03u_%s failed: ", m->version, m->name);
    return r;
}

int migrate(struct engine *g, unsigned to, struct error *e) {
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
            r = apply(g, &migrations[i], e);
    return r;
}
