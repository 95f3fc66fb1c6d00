/* Opening and closing the store, and its small public calls. See store.h. */
#include "store/store.h"
#include "base/clock.h"
#include "store/cluster.h"
#include "store/migrate.h"
#include "store/private.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void store_options_default(struct store_options *o) {
    *o = (struct store_options){.durable = true};
}

static void options_fill(struct store_options *o) {
    if (!o->retention_days)
        o->retention_days = 30;
    if (o->retention_days > STORE_DAYS_MAX)
        o->retention_days = STORE_DAYS_MAX;
    for (enum store_signal i = 0; i < SIGNAL_COUNT; i++)
        if (o->signal_days[i] > STORE_DAYS_MAX)
            o->signal_days[i] = STORE_DAYS_MAX;
    if (!o->free_bytes_min)
        o->free_bytes_min = (uint64_t) 2 << 30;
    if (!o->queue_bytes_max)
        o->queue_bytes_max = (size_t) 128 << 20;
    if (!o->commit_ns_max)
        o->commit_ns_max = NS_PER_S;
    if (!o->commit_bytes_max)
        o->commit_bytes_max = (size_t) 32 << 20;
}

/* ---- The data folder ---- */

static int make_dirs(const char *path, struct error *e) {
    char part[PATH_MAX];

    if (strlen(path) >= sizeof(part) - 32) /* room for the names inside */
        return error_set(e, -ENAMETOOLONG, "The data folder's path is too long.");
    for (size_t i = 1;; i++) {
        if (path[i] && path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return error_set(e, -errno, "The data folder %s cannot be made: %s", part,
                             error_name(-errno));
        if (!path[i])
            return 0;
    }
}

/* One process per data folder: the lock goes when the process does, however it ends. */
static int lock_dir(struct store *s, struct error *e) {
    char path[PATH_MAX], pid[32] = "";

    snprintf(path, sizeof(path), "%s/lock", s->data_dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return error_set(e, -errno, "%s cannot be opened: %s", path, error_name(-errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        int r = -errno;
        ssize_t n = pread(s->lock_fd, pid, sizeof(pid) - 1, 0);
        struct slice who = slice_trim(slice_new(pid, n > 0 ? (size_t) n : 0));
        if (r != -EWOULDBLOCK)
            return error_set(e, r, "%s cannot be locked: %s", path, error_name(r));
        return error_set(e, -EBUSY,
                         "The data folder %s is in use by process %.*s. Stop it, or give another "
                         "--data-dir.",
                         s->data_dir, SLICE_ARG(who.size ? who : SLICE("(unknown)")));
    }
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long) getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t) n, 0) != n)
        return error_set(e, -errno, "%s cannot be written: %s", path, error_name(-errno));
    return 0;
}

/* ---- Open and close ---- */

static int prepare_inserts(struct store *s) {
    for (enum store_table t = 0; t < TABLE_COUNT; t++) {
        struct buffer sql;
        buffer_init(&sql, 64 << 10);
        int r = table_insert_sql(t, &sql);
        if (r < 0) {
            buffer_done(&sql);
            return r;
        }
        s->insert_sql[t] = (char *) sql.data;
    }
    return 0;
}

static int open_engine(struct store *s, struct error *e) {
    const char *cluster = s->options.clickhouse_cluster;
    char path[PATH_MAX];

    if (cluster && !s->options.clickhouse_url)
        return error_set(e, -EINVAL, "A cluster needs a ClickHouse server (--clickhouse).");
    if (cluster && !cluster_name_is_valid(cluster))
        return error_set(e, -EINVAL,
                         "The ClickHouse cluster's name may have letters, digits, _ and - "
                         "only.");
    if (cluster && !(s->cluster = strdup(cluster)))
        return error_set(e, -ENOMEM, "No memory to open the store.");
    if (s->options.clickhouse_url)
        return engine_http_open(s->options.clickhouse_url, s->database, &s->engine, e);
    snprintf(path, sizeof(path), "%s/engine", s->data_dir);
    return engine_embedded_open(s->options.engine_lib, path, &s->engine, e);
}

static int open_parts(struct store *s, struct error *e) {
    char path[PATH_MAX];
    int r = make_dirs(s->data_dir, e);

    if (r == 0)
        r = lock_dir(s, e);
    snprintf(path, sizeof(path), "%s/state.db", s->data_dir);
    if (r == 0)
        r = state_open(s, path, e);
    if (r == 0)
        r = open_engine(s, e);
    if (r == 0)
        r = migrate(s->engine, s->cluster, 0, e);
    if (r == 0)
        r = table_settings_apply(s, e);
    if (r == 0 && (r = prepare_inserts(s)) < 0)
        error_set(e, r, "No memory to open the store.");
    if (r == 0)
        r = writer_start(s, e);
    if (r == 0)
        r = keeper_start(s, e);
    return r;
}

static void init_locks(struct store *s) {
    pthread_condattr_t attr;

    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->written_lock, NULL);
    pthread_mutex_init(&s->state_lock, NULL);
    pthread_mutex_init(&s->stats_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &attr);
    pthread_cond_init(&s->keeper_wake, &attr);
    pthread_condattr_destroy(&attr);
}

int store_open(const struct store_options *o, struct store **ret, struct error *e) {
    struct store *s = calloc(1, sizeof(*s));

    if (!s)
        return error_set(e, -ENOMEM, "No memory to open the store.");
    s->lock_fd = -1;
    s->options = *o;
    options_fill(&s->options);
    init_locks(s);
    s->data_dir = strdup(o->data_dir ? o->data_dir : "");
    s->database = strdup(o->clickhouse_database ? o->clickhouse_database : "varan");
    int r = !s->data_dir || !s->database ? error_set(e, -ENOMEM, "No memory to open the store.")
            : !*s->data_dir              ? error_set(e, -EINVAL, "The store needs a data folder.")
                                         : open_parts(s, e);
    if (r < 0) {
        store_close(s);
        return r;
    }
    snprintf(s->stats.transport, sizeof(s->stats.transport), "%s",
             o->clickhouse_url ? "http" : "embedded");
    snprintf(s->stats.engine_version, sizeof(s->stats.engine_version), "%s", s->engine->version);
    *ret = s;
    return 0;
}

void store_close(struct store *s) {
    if (!s)
        return;
    writer_stop(s);
    keeper_stop(s);
    for (size_t i = 0; i < s->n_batches; i++)
        batch_free(s->batches[i]);
    if (s->engine)
        s->engine->ops->close(s->engine);
    state_close(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    for (size_t t = 0; t < TABLE_COUNT; t++)
        free(s->insert_sql[t]);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->keeper_wake);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->written_lock);
    pthread_mutex_destroy(&s->state_lock);
    pthread_mutex_destroy(&s->stats_lock);
    free(s->data_dir);
    free(s->database);
    free(s->cluster);
    free(s);
}

/* ---- Small calls ---- */

void store_set_flush_hook(struct store *s, store_flush_hook hook, void *ctx) {
    s->hook = hook;
    s->hook_ctx = ctx;
}

void store_set_written_hook(struct store *s, store_written_hook hook, void *ctx) {
    pthread_mutex_lock(&s->written_lock);
    s->written = hook;
    s->written_ctx = ctx;
    pthread_mutex_unlock(&s->written_lock);
}

bool store_writes_alone(const struct store *s) {
    return !s->options.clickhouse_url;
}

int store_query(struct store *s, const char *sql, const struct store_param *params, size_t n_params,
                const char *format, const struct store_limits *limits, struct buffer *ret,
                struct error *e) {
    struct store_limits l = limits ? *limits : (struct store_limits){0};

    if (l.timeout_ns <= 0)
        l.timeout_ns = 10 * NS_PER_S;
    if (!l.memory_bytes_max)
        l.memory_bytes_max = (size_t) 1 << 30;
    if (!l.rows_max)
        l.rows_max = 100000;
    if (!l.result_bytes_max)
        l.result_bytes_max = (size_t) 64 << 20;
    struct engine_query q = {sql, params, n_params, format, &l};
    return s->engine->ops->query(s->engine, &q, ret, e);
}

void store_time_bounds(const struct store *s, int64_t *ret_oldest_ns, int64_t *ret_newest_ns) {
    const int64_t day_ns = 86400 * NS_PER_S;
    int64_t now = clock_now_ns(), kept = (int64_t) s->options.retention_days * day_ns;

    *ret_oldest_ns = kept < now ? now - kept : 0;
    *ret_newest_ns = now + day_ns;
}

unsigned store_kept_days(const struct store *s, enum store_signal signal) {
    unsigned days = s->options.signal_days[signal];

    return days ? days : s->options.retention_days;
}

int store_execute(struct store *s, const char *sql, struct error *e) {
    return s->engine->ops->execute(s->engine, sql, NULL, e);
}

void store_read_stats(struct store *s, struct store_stats *ret) {
    pthread_mutex_lock(&s->lock);
    size_t queue = s->queue_bytes;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&s->stats_lock);
    *ret = s->stats;
    pthread_mutex_unlock(&s->stats_lock);
    ret->queue_bytes = queue;
}
