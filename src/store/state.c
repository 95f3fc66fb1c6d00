/* Control-plane state: SQLite in the data folder, one connection behind a lock. See store.h. */
#include "store/private.h"

#include <sqlite3.h>

static int state_run(struct store *s, const char *sql, struct error *e) {
    char *text = NULL;

    if (sqlite3_exec(s->state, sql, NULL, NULL, &text) == SQLITE_OK)
        return 0;
    int r = error_set(e, -EIO, "state.db: %s", text ? text : sqlite3_errmsg(s->state));
    sqlite3_free(text);
    return r;
}

int state_open(struct store *s, const char *path, struct error *e) {
    int r = sqlite3_open_v2(path, &s->state,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                            NULL);

    if (r != SQLITE_OK) {
        r = error_set(e, -EIO, "%s: %s", path, s->state ? sqlite3_errmsg(s->state) : "no memory");
        state_close(s);
        return r;
    }
    sqlite3_busy_timeout(s->state, 5000);
    /* A lost user or rule is worse than a slow write: FULL. The table names each owner's
     * migrations: whoever keeps state here numbers their own statements. */
    r = state_run(
            s,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "CREATE TABLE IF NOT EXISTS migrations (owner TEXT NOT NULL, version INTEGER NOT "
            "NULL, applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (owner, version))",
            e);
    if (r < 0)
        state_close(s);
    return r;
}

void state_close(struct store *s) {
    sqlite3_close(s->state);
    s->state = NULL;
}

struct sqlite3 *store_state_lock(struct store *s) {
    pthread_mutex_lock(&s->state_lock);
    return s->state;
}

void store_state_unlock(struct store *s) {
    pthread_mutex_unlock(&s->state_lock);
}

/* The highest version of `owner` that is applied; negative errno. */
static int state_version(struct store *s, const char *owner) {
    sqlite3_stmt *q = NULL;
    int r = -EIO;

    if (sqlite3_prepare_v2(s->state,
                           "SELECT coalesce(max(version), 0) FROM migrations WHERE owner = ?", -1,
                           &q, NULL) == SQLITE_OK &&
        sqlite3_bind_text(q, 1, owner, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        r = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return r;
}

static int state_apply(struct store *s, const char *owner, int version, const char *sql,
                       struct error *e) {
    char *note = sqlite3_mprintf("INSERT INTO migrations (owner, version) VALUES (%Q, %d)", owner,
                                 version);
    int r = note ? state_run(s, "BEGIN IMMEDIATE", e) : -ENOMEM;

    if (r == 0) {
        r = state_run(s, sql, e);
        if (r == 0)
            r = state_run(s, note, e);
        if (r == 0)
            r = state_run(s, "COMMIT", e);
        if (r < 0) {
            sqlite3_exec(s->state, "ROLLBACK", NULL, NULL, NULL);
            error_prefix(e, "Migration %d of %s: ", version, owner);
        }
    }
    sqlite3_free(note);
    return r;
}

int store_state_migrate(struct store *s, const char *owner, const char *const *sql, size_t n,
                        struct error *e) {
    store_state_lock(s);
    int version = state_version(s, owner), r = version < 0 ? version : 0;
    if (r < 0)
        error_set(e, r, "state.db: %s", sqlite3_errmsg(s->state));
    else if ((size_t) version > n)
        r = error_set(
                e, -EPROTONOSUPPORT,
                "state.db was written by a newer Varan (%s is at version %d; this one knows up "
                "to %zu).",
                owner, version, n);
    for (size_t i = (size_t) version; r == 0 && i < n; i++)
        r = state_apply(s, owner, (int) i + 1, sql[i], e);
    store_state_unlock(s);
    return r;
}
