/*
 * Looking after the tables of metrics, on a thread of its own: samples that a rule gives fewer days
 * than the general retention are deleted, once an hour at most, in whole days.
 */
#include "base/log.h"
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>

#define FIRST_NS (60 * NS_PER_S)
#define ROUND_NS (60 * NS_PER_S)
#define TRIM_NS (5 * NS_PER_S)
#define RULES_NS (3600 * NS_PER_S)
#define DAY_MS INT64_C(86400000)
#define RULE_BYTES_MAX ((size_t) 256 << 20) /* of the series that one rule finds */

/* ---- Rules ---- */

/* Cuts the text before the next ";" outside of quotes. */
static struct slice cut_rule(struct slice *rest) {
    uint8_t quote = 0;
    size_t i = 0;

    for (; i < rest->size; i++) {
        uint8_t c = rest->data[i];
        if (quote && c == '\\' && quote != '`')
            i++;
        else if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'' || c == '`')
            quote = c;
        else if (c == ';')
            break;
    }
    if (i > rest->size)
        i = rest->size;
    struct slice rule = slice_trim(slice_take(*rest, i));
    *rest = slice_skip(*rest, i + 1);
    return rule;
}

static int add_rule(struct metrics *m, struct slice text, struct error *e) {
    struct retention_rule rule = {0};
    struct promql_error pe = {0};
    size_t at = text.size;
    uint64_t days;

    while (at > 0 && text.data[at - 1] != ' ')
        at--;
    struct slice selector = slice_trim(slice_take(text, at)), number = slice_skip(text, at);
    if (slice_ends(number, SLICE("d")))
        number.size--;
    if (!selector.size || slice_to_u64(number, &days) < 0 || days == 0 || days > 36500)
        return error_set(e, -EINVAL,
                         "metrics-retention: \"%.*s\" is not \"SELECTOR DAYS\", as in "
                         "{job=\"x\"} 7",
                         SLICE_ARG(slice_take(text, 200)));
    rule.days = (unsigned) days;
    int r = promql_parse_selector(selector, &rule.query, &rule.matchers, &rule.n, &pe);
    if (r < 0)
        return error_set(e, r, "metrics-retention: \"%.*s\": %s",
                         SLICE_ARG(slice_take(selector, 200)), pe.text);
    r = vector_push(&m->rules, rule, METRICS_RULES_MAX);
    if (r < 0) {
        promql_query_free(rule.query);
        return error_set(e, r, "metrics-retention: more than %u rules", METRICS_RULES_MAX);
    }
    return 0;
}

int metrics_rules_read(struct metrics *m, const char *text, struct error *e) {
    struct slice rest = slice_from(text);
    int r = 0;

    while (rest.size && r == 0) {
        struct slice rule = cut_rule(&rest);
        if (rule.size)
            r = add_rule(m, rule, e);
    }
    return r;
}

static const char *const rule_tables[] = {"samples",    "samples_5m", "samples_1h",
                                          "histograms", "exemplars",  "sample_starts"};

/* Whether the table has rows of these series before `day`. */
static int has_rows(const struct metrics_turn *t, const char *table, int64_t before_ms,
                    const struct buffer *ids, bool *ret) {
    struct metrics_answer a;
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    buffer_printf(&sql, "SELECT 1 FROM %s WHERE ts < fromUnixTimestamp64Milli(%" PRId64 ")", table,
                  before_ms);
    buffer_append_slice(&sql, buffer_slice(ids));
    buffer_append_text(&sql, " LIMIT 1 SETTINGS max_query_size = 1048576");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = metrics_ask(t, (const char *) sql.data, NULL, 0, 1, &a);
    if (r == 0) {
        *ret = native_reader_rows(a.rows) > 0;
        metrics_answer_done(&a);
    }
    buffer_done(&sql);
    return r;
}

static int delete_rows(struct metrics *m, const char *table, int64_t before_ms,
                       const struct buffer *ids, struct error *e) {
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    buffer_printf(&sql, "ALTER TABLE %s DELETE WHERE ts < fromUnixTimestamp64Milli(%" PRId64 ")",
                  table, before_ms);
    buffer_append_slice(&sql, buffer_slice(ids));
    buffer_append_text(&sql, " SETTINGS max_query_size = 1048576");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = store_execute(m->store, (const char *) sql.data, e);
    if (m->cache)
        metrics_cache_clear(m->cache);
    buffer_done(&sql);
    return r;
}

static int apply_to_series(const struct metrics_turn *t, int64_t before_ms,
                           const struct buffer *ids) {
    int r = 0;

    for (size_t i = 0; i < sizeof(rule_tables) / sizeof(*rule_tables) && r == 0; i++) {
        bool any = false;
        r = has_rows(t, rule_tables[i], before_ms, ids, &any);
        if (r == 0 && any)
            r = delete_rows(t->metrics, rule_tables[i], before_ms, ids, t->error);
    }
    return r;
}

/* The series that no earlier rule has taken, in parts. */
static int apply_to_found(const struct metrics_turn *t, const struct finding *f, int64_t before_ms,
                          struct map *taken) {
    struct buffer ids;
    size_t n = 0;
    int r = 0;

    buffer_init(&ids, 1 << 20);
    for (size_t i = 0; i < f->series.n && r == 0; i++) {
        uint64_t id = f->series.items[i].id;
        bool added;
        if (!map_put(taken, slice_new(&id, sizeof(id)), &added))
            r = -ENOMEM;
        if (r == 0 && added)
            r = buffer_printf(&ids, "%s%" PRIu64, n++ ? "," : " AND id IN (", id);
        if (r == 0 && n && (n == METRICS_IDS_MAX || i + 1 == f->series.n)) {
            buffer_append_text(&ids, ")");
            r = apply_to_series(t, before_ms, &ids);
            buffer_clear(&ids);
            n = 0;
        }
    }
    buffer_done(&ids);
    return r;
}

int metrics_rules_apply(struct metrics *m, int64_t now_ms, struct error *e) {
    struct map taken;
    int r = 0;

    map_init(&taken, METRICS_TABLE_SERIES_MAX, RULE_BYTES_MAX);
    vector_each(&m->rules, rule) {
        struct metrics_turn t = {m, clock_monotonic_ns() + 600 * NS_PER_S, &m->keeper_stops, e};
        int64_t before_ms = now_ms / DAY_MS * DAY_MS - (int64_t) rule->days * DAY_MS;
        struct finding f = {0};
        struct arena arena;
        if (r < 0)
            break;
        arena_init(&arena, RULE_BYTES_MAX);
        /* All series, for the sake of rules that stand before others. */
        r = metrics_find(&t, rule->matchers, rule->n, 0, now_ms, false, &arena, &f);
        if (r == 0)
            r = apply_to_found(&t, &f, before_ms, &taken);
        finding_done(&f);
        arena_done(&arena);
    }
    map_done(&taken);
    return r;
}

/* ---- The thread ---- */

void metrics_keeper_trim(struct metrics *m) {
    if (atomic_exchange(&m->trim, true))
        return;
    pthread_mutex_lock(&m->keeper_lock);
    pthread_cond_signal(&m->keeper_wake);
    pthread_mutex_unlock(&m->keeper_lock);
}

/* What large answers left to the two allocators. */
static void give_back(struct metrics *m) {
    malloc_trim(0);
    if (store_writes_alone(m->store))
        store_execute(m->store, "SYSTEM JEMALLOC PURGE", NULL);
}

static void *keeper_main(void *arg) {
    struct metrics *m = arg;
    int64_t next_ns = clock_monotonic_ns() + FIRST_NS, rules_ns = next_ns, trim_ns = INT64_MAX;

    struct error looked = ERROR_NONE;

    if (metrics_look_at_tiers(m, &looked) < 0)
        log_warn("metrics", "what the tables of samples hold is not known: %s", looked.text);
    pthread_mutex_lock(&m->keeper_lock);
    while (!atomic_load(&m->keeper_stops)) {
        int64_t due_ns = trim_ns < next_ns ? trim_ns : next_ns;
        struct timespec until = {due_ns / NS_PER_S, due_ns % NS_PER_S};
        struct error e = ERROR_NONE;
        pthread_cond_timedwait(&m->keeper_wake, &m->keeper_lock, &until);
        int64_t now = clock_monotonic_ns();
        if (trim_ns == INT64_MAX && atomic_load(&m->trim))
            trim_ns = now + TRIM_NS;
        if (now < (trim_ns < next_ns ? trim_ns : next_ns) || atomic_load(&m->keeper_stops))
            continue;
        pthread_mutex_unlock(&m->keeper_lock);
        if (now >= trim_ns) {
            trim_ns = INT64_MAX;
            atomic_store(&m->trim, false);
            give_back(m);
        }
        if (now < next_ns) {
            pthread_mutex_lock(&m->keeper_lock);
            continue;
        }
        next_ns = now + ROUND_NS;
        if (now >= rules_ns && m->rules.n) {
            rules_ns = now + RULES_NS;
            if (metrics_rules_apply(m, clock_now_ns() / NS_PER_MS, &e) < 0 && e.code != -ECANCELED)
                log_warn("metrics", "metrics-retention: %s", e.text);
        }
        if (metrics_downsample(m, clock_now_ns() / NS_PER_MS, true, &e) < 0 && e.code != -ECANCELED)
            log_warn("metrics", "downsampling: %s", e.text);
        pthread_mutex_lock(&m->keeper_lock);
    }
    pthread_mutex_unlock(&m->keeper_lock);
    return NULL;
}

bool metrics_keeper_wait(struct metrics *m, int64_t ns) {
    int64_t until_ns = clock_monotonic_ns() + ns;
    struct timespec until = {until_ns / NS_PER_S, until_ns % NS_PER_S};

    pthread_mutex_lock(&m->keeper_lock);
    while (!atomic_load(&m->keeper_stops) && clock_monotonic_ns() < until_ns)
        pthread_cond_timedwait(&m->keeper_wake, &m->keeper_lock, &until);
    pthread_mutex_unlock(&m->keeper_lock);
    return !atomic_load(&m->keeper_stops);
}

int metrics_keeper_start(struct metrics *m) {
    pthread_condattr_t attr;

    pthread_mutex_init(&m->keeper_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->keeper_wake, &attr);
    pthread_condattr_destroy(&attr);
    int r = pthread_create(&m->keeper, NULL, keeper_main, m);
    m->keeper_runs = r == 0;
    return -r;
}

void metrics_keeper_stop(struct metrics *m) {
    if (m->keeper_runs) {
        pthread_mutex_lock(&m->keeper_lock);
        atomic_store(&m->keeper_stops, true);
        pthread_cond_signal(&m->keeper_wake);
        pthread_mutex_unlock(&m->keeper_lock);
        pthread_join(m->keeper, NULL);
        pthread_mutex_destroy(&m->keeper_lock);
        pthread_cond_destroy(&m->keeper_wake);
    }
    vector_each(&m->rules, rule) {
        promql_query_free(rule->query);
    }
    vector_done(&m->rules);
}
