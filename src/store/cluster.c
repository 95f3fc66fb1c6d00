/* See cluster.h. */
#include "store/cluster.h"

#include <errno.h>

/* Rows of one trace lie on one shard; rows that merge lie together. Tables not named: by rand(). */
static const struct {
    const char *table, *sharding;
} shardings[] = {
        {"spans", "cityHash64(trace_id)"},
        {"traces", "cityHash64(trace_id)"},
        {"logs", "if(trace_id = toFixedString('', 16), rand(), cityHash64(trace_id))"},
        {"resources", "id"},
        {"series", "id"},
        {"samples", "id"},
        {"samples_5m", "id"},
        {"samples_1h", "id"},
        {"sample_starts", "id"},
        {"histograms", "id"},
        {"exemplars", "id"},
        {"metric_metadata", "cityHash64(metric)"},
        {"stacks", "id"},
        {"profile_samples", "stack_id"},
        {"profile_steps", "stack_id"},
        {"profile_sources", "hash"},
        {"red", "cityHash64(service, operation)"},
        {"edges", "cityHash64(client, server)"},
        {"attributes", "cityHash64(signal, key)"},
};

bool cluster_name_is_valid(const char *cluster) {
    size_t n = strlen(cluster);

    if (n == 0 || n > CLUSTER_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", cluster[i]))
            return false;
    return true;
}

static const char *sharding_of(struct slice table) {
    for (size_t i = 0; i < sizeof(shardings) / sizeof(*shardings); i++)
        if (slice_is(table, shardings[i].table))
            return shardings[i].sharding;
    return "rand()";
}

static void write_distributed(const char *verb, struct slice name, const char *cluster,
                              struct buffer *to) {
    buffer_printf(to,
                  "%s %.*s ON CLUSTER '%s' AS %.*s_local ENGINE = Distributed('%s', "
                  "currentDatabase(), '%.*s_local', %s)",
                  verb, SLICE_ARG(name), cluster, SLICE_ARG(name), cluster, SLICE_ARG(name),
                  sharding_of(name));
    buffer_append_u8(to, 0);
}

/* Whether all of the statements had room. */
static int written(const struct buffer *local, const struct buffer *distributed) {
    return local->failed ? local->failed : distributed->failed;
}

/* "DROP TABLE name": both of its tables, on all nodes. */
static int rewrite_drop(struct slice name, const char *cluster, struct buffer *local,
                        struct buffer *distributed) {
    name = slice_trim(name);
    buffer_printf(local, "DROP TABLE IF EXISTS %.*s_local ON CLUSTER '%s' SYNC", SLICE_ARG(name),
                  cluster);
    buffer_append_u8(local, 0);
    buffer_printf(distributed, "DROP TABLE IF EXISTS %.*s ON CLUSTER '%s' SYNC", SLICE_ARG(name),
                  cluster);
    buffer_append_u8(distributed, 0);
    return written(local, distributed);
}

/* "RENAME TABLE from TO to": both; the one that distributes must know the new name. */
static int rewrite_rename(struct slice rest, const char *cluster, struct buffer *local,
                          struct buffer *distributed) {
    const struct slice to_word = SLICE(" TO ");
    ptrdiff_t at = slice_find(rest, to_word);

    if (at < 0)
        return -EINVAL;
    struct slice from = slice_trim(slice_take(rest, (size_t) at));
    struct slice to = slice_trim(slice_skip(rest, (size_t) at + to_word.size));
    buffer_printf(local, "RENAME TABLE %.*s_local TO %.*s_local, %.*s TO %.*s ON CLUSTER '%s'",
                  SLICE_ARG(from), SLICE_ARG(to), SLICE_ARG(from), SLICE_ARG(to), cluster);
    buffer_append_u8(local, 0);
    write_distributed("CREATE OR REPLACE TABLE", to, cluster, distributed);
    return written(local, distributed);
}

int cluster_rewrite(const char *statement, const char *cluster, struct buffer *local,
                    struct buffer *distributed) {
    const struct slice create = SLICE("CREATE TABLE IF NOT EXISTS "), engine = SLICE("\nENGINE = ");
    const struct slice alter = SLICE("ALTER TABLE "); /* then the name, a newline, what */
    const struct slice drop = SLICE("DROP TABLE "), rename = SLICE("RENAME TABLE "),
                       insert = SLICE("INSERT INTO ");
    struct slice rest = slice_from(statement);

    if (slice_starts(rest, alter)) { /* how rows are kept: a matter of the local tables */
        rest = slice_skip(rest, alter.size);
        struct slice table = slice_trim(slice_cut(&rest, '\n'));
        buffer_printf(local, "%.*s%.*s_local ON CLUSTER '%s'\n%.*s", SLICE_ARG(alter),
                      SLICE_ARG(table), cluster, SLICE_ARG(rest));
        return buffer_append_u8(local, 0);
    }
    if (slice_starts(rest, insert)) { /* the rows are there before their source goes */
        buffer_append_slice(local, rest);
        buffer_append_u8(local, 0);
        rest = slice_skip(rest, insert.size);
        struct slice table = slice_cut(&rest, ' ');
        buffer_printf(distributed, "SYSTEM FLUSH DISTRIBUTED %.*s", SLICE_ARG(table));
        buffer_append_u8(distributed, 0);
        return written(local, distributed);
    }
    if (slice_starts(rest, drop))
        return rewrite_drop(slice_skip(rest, drop.size), cluster, local, distributed);
    if (slice_starts(rest, rename))
        return rewrite_rename(slice_skip(rest, rename.size), cluster, local, distributed);
    if (!slice_starts(rest, create)) {
        buffer_append_slice(local, rest);
        return buffer_append_u8(local, 0);
    }
    rest = slice_skip(rest, create.size);
    struct slice name = slice_trim(slice_cut(&rest, '\n'));
    ptrdiff_t at = slice_find(rest, engine);
    if (at < 0 || name.size == 0)
        return -EINVAL;
    struct slice columns = slice_take(rest, (size_t) at);
    rest = slice_skip(rest, (size_t) at + engine.size);
    struct slice version = slice_trim(slice_cut(&rest, '\n'));
    struct slice kind = slice_cut(&version, '('); /* ReplacingMergeTree(count) */
    version = slice_cut(&version, ')');
    if (!slice_ends(kind, SLICE("MergeTree")))
        return -EINVAL;
    buffer_printf(local,
                  "CREATE TABLE IF NOT EXISTS %.*s_local ON CLUSTER '%s'\n%.*s\nENGINE = "
                  "Replicated%.*s('/clickhouse/tables/{shard}/{database}/%.*s_local', "
                  "'{replica}'%s%.*s)\n%.*s",
                  SLICE_ARG(name), cluster, SLICE_ARG(columns), SLICE_ARG(kind), SLICE_ARG(name),
                  version.size ? ", " : "", SLICE_ARG(version), SLICE_ARG(rest));
    buffer_append_u8(local, 0);
    write_distributed("CREATE TABLE IF NOT EXISTS", name, cluster, distributed);
    return written(local, distributed);
}
