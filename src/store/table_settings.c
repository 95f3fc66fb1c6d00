/*
 * The tables' settings: durability as the options have it, and how parts are made and merged.
 * Brought in line at each start, so that a changed option or default holds for tables that are
 * there already.
 */
#include "store/private.h"

#define SETTING_BYTES_MAX 128u

struct setting {
    const char *name, *value; /* value NULL: as it is by default */
    bool newer; /* than the oldest server: left out where the engine does not know it */
};

/*
 * How many parts of one size make a merge. The engine counts each part as 5 MB at least, so that
 * many small ones are merged soon. A sample has a byte: what is 5 MB there are five million rows,
 * and with ten each commit's were merged seven times in half a minute.
 */
static const char *merge_base(const char *table) {
    return strcmp(table, "samples") == 0 ? "20" : "10";
}

/*
 * When nothing has come for that long, a day's parts become one, which is smaller and is read
 * faster; "0": never. Days that get late samples all the time are made anew that often at most.
 */
static const char *merge_whole_day_after_s(const char *table) {
    return strcmp(table, "samples") == 0 ? "7200" : "0";
}

/* Whether the engine keeps sums (projections) beside the rows: migration 007. */
static bool has_sums(const char *table) {
    return strcmp(table, "profile_samples") == 0 || strcmp(table, "profile_steps") == 0;
}

static bool knows(struct slice known, const char *name) {
    while (known.size)
        if (slice_is(slice_cut(&known, '\n'), name))
            return true;
    return false;
}

static int table_settings(const struct store *s, const char *table, struct slice known,
                          const char *engine_full, struct buffer *ret) {
    const char *durable = s->options.durable ? "1" : "0";
    const struct setting settings[] = {
            {"fsync_after_insert", durable},
            {"fsync_part_directory", durable},
            /* A merged part replaces durable ones: it must be durable before they go. */
            {"min_rows_to_fsync_after_merge", durable},
            {"old_parts_lifetime", "60"},
            /* A commit's part is one file instead of sixty (fewer pages cleared, fewer files
             * synced), and parts are merged ten at a time: with the defaults (10 MB, 5) 233 k
             * spans/s a core, with these 324 k (tests/bench/bench_store). */
            {"min_bytes_for_wide_part", "67108864"},
            {"merge_selector_base", merge_base(table)},
            {"min_age_to_force_merge_seconds", merge_whole_day_after_s(table)},
            {"min_age_to_force_merge_on_partition_only", "1"},
            /* The pool is small (two threads): the defaults would allow tiny merges only. */
            {"number_of_free_entries_in_pool_to_lower_max_size_of_merge", "1"},
            {"number_of_free_entries_in_pool_to_execute_mutation", "1"},
            {"number_of_free_entries_in_pool_to_execute_optimize_entire_partition", "1"},
            /* Sketches of each column that only joins would use: a tenth of inserting and merging.
             */
            {"auto_statistics_types", "\\'\\'", .newer = true},
            /* Sums are made of parts that are merged: a commit's own are small, and each sum of
             * it would be a part more to write and sync. */
            {"materialize_projections_on_insert", has_sums(table) ? "0" : NULL, .newer = true},
            {"materialize_projections_on_merge", has_sums(table) ? "1" : NULL, .newer = true},
    };
    char text[SETTING_BYTES_MAX];

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        if (!settings[i].value || (settings[i].newer && !knows(known, settings[i].name)))
            continue;
        snprintf(text, sizeof(text), "%s = %s", settings[i].name, settings[i].value);
        const char *at = strstr(engine_full, text);
        if (at && !(at[strlen(text)] >= '0' && at[strlen(text)] <= '9'))
            continue;
        buffer_printf(ret, "%s%s = ", ret->size ? ", " : "", settings[i].name);
        for (const char *c = settings[i].value; *c; c++)
            if (*c != '\\') /* quotes, as engine_full has them in TSV */
                buffer_append_u8(ret, (uint8_t) *c);
    }
    return ret->failed;
}

void table_name_write(const struct store *s, const char *table, struct buffer *sql) {
    if (s->cluster)
        buffer_printf(sql, "%s_local ON CLUSTER '%s'", table, s->cluster);
    else
        buffer_append_text(sql, table);
}

struct slice table_name_plain(const struct store *s, struct slice name) {
    const struct slice suffix = SLICE("_local");

    return s->cluster && slice_ends(name, suffix) ? slice_take(name, name.size - suffix.size)
                                                  : name;
}

static int apply_to_table(struct store *s, const char *table, struct slice known,
                          const char *engine_full, struct error *e) {
    struct buffer changes, sql;

    buffer_init(&changes, 4096);
    buffer_init(&sql, 8192);
    int r = table_settings(s, table, known, engine_full, &changes);
    if (r == 0 && changes.size) {
        buffer_append_text(&sql, "ALTER TABLE ");
        table_name_write(s, table, &sql);
        buffer_printf(&sql, " MODIFY SETTING %.*s", SLICE_ARG(buffer_slice(&changes)));
        r = buffer_append_u8(&sql, 0);
        if (r == 0)
            r = s->engine->ops->execute(s->engine, (char *) sql.data, NULL, e);
    }
    buffer_done(&changes);
    buffer_done(&sql);
    return r;
}

int table_settings_apply(struct store *s, struct error *e) {
    struct buffer answer, known;

    buffer_init(&answer, ENGINE_EXECUTE_BYTES_MAX);
    buffer_init(&known, ENGINE_EXECUTE_BYTES_MAX);
    int r = s->engine->ops->execute(s->engine, "SELECT name FROM system.merge_tree_settings",
                                    &known, e);
    if (r == 0)
        r = s->engine->ops->execute(s->engine,
                                    "SELECT name, engine_full FROM system.tables WHERE database = "
                                    "currentDatabase() AND engine LIKE '%MergeTree'",
                                    &answer, e);
    struct slice rest = buffer_slice(&answer);
    while (r == 0 && rest.size) {
        struct slice line = slice_cut(&rest, '\n'), name = slice_cut(&line, '\t');
        for (size_t t = 0; t < kept_tables_n && r == 0; t++)
            if (slice_is(table_name_plain(s, name), kept_tables[t].name)) {
                ((uint8_t *) line.data)[line.size] = 0; /* the newline, in our own buffer */
                r = apply_to_table(s, kept_tables[t].name, buffer_slice(&known),
                                   (const char *) line.data, e);
            }
    }
    buffer_done(&answer);
    buffer_done(&known);
    return r;
}
