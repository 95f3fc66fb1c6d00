/* See late.h. The marks are a sorted array in memory and rows in state.db. */
#include "derive/late.h"
#include "base/log.h"
#include "base/vector.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>

struct mark {
    uint32_t hour;
    uint64_t number;  /* of the last batch with samples of it */
    uint64_t commits; /* that were done when that batch was about to be written */
};

struct late_hours {
    struct store *store;
    pthread_mutex_t lock;
    _Atomic uint32_t until;
    uint64_t number;
    VECTOR(struct mark) marks; /* ascending by hour */
};

static const char *const versions[] = {
        "CREATE TABLE downsampled (id INTEGER PRIMARY KEY CHECK (id = 1), until INTEGER NOT NULL);"
        "CREATE TABLE downsample_again (hour INTEGER PRIMARY KEY)",
};

static void run(struct late_hours *x, const char *sql) {
    struct sqlite3 *db = store_state_lock(x->store);

    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        log_warn("metrics", "downsampling: state.db: %s", sqlite3_errmsg(db));
    store_state_unlock(x->store);
}

/* The place of the hour among the marks, or where it belongs. */
static size_t place_of(const struct late_hours *x, uint32_t hour) {
    size_t low = 0, high = x->marks.n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (x->marks.items[mid].hour < hour)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct mark *mark_of(struct late_hours *x, uint32_t hour, bool *ret_new) {
    size_t at = place_of(x, hour);
    struct mark m = {.hour = hour};

    *ret_new = false;
    if (at < x->marks.n && x->marks.items[at].hour == hour)
        return &x->marks.items[at];
    if (vector_push(&x->marks, m, LATE_HOURS_MAX) < 0)
        return NULL;
    memmove(&x->marks.items[at + 1], &x->marks.items[at],
            (x->marks.n - 1 - at) * sizeof(*x->marks.items));
    x->marks.items[at] = m;
    *ret_new = true;
    return &x->marks.items[at];
}

static int load(struct late_hours *x, struct error *e) {
    struct sqlite3 *db = store_state_lock(x->store);
    sqlite3_stmt *q = NULL;
    int r = 0;

    if (sqlite3_prepare_v2(db,
                           "SELECT until, 1 FROM downsampled UNION ALL "
                           "SELECT hour, 0 FROM downsample_again",
                           -1, &q, NULL) != SQLITE_OK)
        r = error_set(e, -EIO, "state.db: %s", sqlite3_errmsg(db));
    while (r == 0 && sqlite3_step(q) == SQLITE_ROW) {
        uint32_t hour = (uint32_t) sqlite3_column_int64(q, 0);
        bool added;
        if (sqlite3_column_int(q, 1))
            atomic_store(&x->until, hour);
        else if (!mark_of(x, hour, &added))
            r = error_set(e, -ENOMEM, "out of memory");
    }
    sqlite3_finalize(q);
    store_state_unlock(x->store);
    return r;
}

int late_hours_new(struct store *store, struct late_hours **ret, struct error *e) {
    struct late_hours *x = memory_alloc(sizeof(*x));

    if (!x)
        return error_set(e, -ENOMEM, "out of memory");
    *x = (struct late_hours){.store = store};
    pthread_mutex_init(&x->lock, NULL);
    int r = store_state_migrate(store, "downsampling", versions,
                                sizeof(versions) / sizeof(*versions), e);
    if (r == 0)
        r = load(x, e);
    if (r < 0) {
        late_hours_free(x);
        return r;
    }
    *ret = x;
    return 0;
}

void late_hours_free(struct late_hours *x) {
    if (!x)
        return;
    vector_done(&x->marks);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

uint32_t late_hours_until(const struct late_hours *x) {
    return atomic_load_explicit(&x->until, memory_order_relaxed);
}

void late_hours_set_until(struct late_hours *x, uint32_t hour, bool durable) {
    char sql[120];

    pthread_mutex_lock(&x->lock);
    if (hour > atomic_load(&x->until))
        atomic_store(&x->until, hour);
    if (durable) {
        snprintf(sql, sizeof(sql),
                 "INSERT INTO downsampled VALUES (1, %u) ON CONFLICT (id) DO UPDATE SET until = %u",
                 hour, hour);
        run(x, sql);
    }
    pthread_mutex_unlock(&x->lock);
}

void late_hours_mark(struct late_hours *x, const uint32_t *hours, size_t n, uint64_t commits) {
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    pthread_mutex_lock(&x->lock);
    x->number++;
    for (size_t i = 0; i < n; i++) {
        bool added;
        struct mark *m = hours[i] < atomic_load(&x->until) ? mark_of(x, hours[i], &added) : NULL;
        if (!m)
            continue;
        m->number = x->number;
        m->commits = commits;
        if (added)
            buffer_printf(&sql, "%s(%u)",
                          sql.size ? ", " : "INSERT OR IGNORE INTO downsample_again VALUES ",
                          hours[i]);
    }
    if (sql.size && buffer_append_u8(&sql, 0) == 0)
        run(x, (const char *) sql.data);
    pthread_mutex_unlock(&x->lock);
    buffer_done(&sql);
}

bool late_hours_next(struct late_hours *x, uint64_t commits, uint32_t *hour, uint64_t *ret_number) {
    bool found = false;

    pthread_mutex_lock(&x->lock);
    for (size_t i = place_of(x, *hour); i < x->marks.n && !found; i++) {
        const struct mark *m = &x->marks.items[i];
        found = m->number == 0 || commits > m->commits; /* 0: of an earlier life */
        *hour = m->hour;
        *ret_number = m->number;
    }
    pthread_mutex_unlock(&x->lock);
    return found;
}

void late_hours_end(struct late_hours *x, uint32_t hour, uint64_t number) {
    char sql[80];

    pthread_mutex_lock(&x->lock);
    size_t at = place_of(x, hour);
    if (at < x->marks.n && x->marks.items[at].hour == hour && x->marks.items[at].number == number) {
        x->marks.n--;
        memmove(&x->marks.items[at], &x->marks.items[at + 1],
                (x->marks.n - at) * sizeof(*x->marks.items));
        snprintf(sql, sizeof(sql), "DELETE FROM downsample_again WHERE hour = %u", hour);
        run(x, sql);
    }
    pthread_mutex_unlock(&x->lock);
}

size_t late_hours_count(struct late_hours *x) {
    pthread_mutex_lock(&x->lock);
    size_t n = x->marks.n;
    pthread_mutex_unlock(&x->lock);
    return n;
}
