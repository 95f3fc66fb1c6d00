/* The written tables: see tables.h. */
#include "store/tables.h"
#include "signal/columns.h"

#define TABLE(name_, expires_)                                                                     \
    {                                                                                              \
        .name = #name_, .columns = name_##_columns,                                                \
        .n = sizeof(name_##_columns) / sizeof(*name_##_columns), .expires = expires_,              \
    }

const struct table tables[TABLE_COUNT] = {
        [TABLE_SPANS] = TABLE(spans, "toDate(ts)"),
        [TABLE_LOGS] = TABLE(logs, "toDate(ts)"),
        [TABLE_RESOURCES] = TABLE(resources, "toDate(last_seen)"),
        [TABLE_RED] = TABLE(red, "toDate(ts)"),
        [TABLE_EDGES] = TABLE(edges, "toDate(ts)"),
        [TABLE_TRACES] = TABLE(traces, "day"),
        [TABLE_ATTRIBUTES] = TABLE(attributes, "day"),
        [TABLE_SERIES] = TABLE(series, "toDate(last_seen)"),
        [TABLE_SAMPLES] = TABLE(samples, "toDate(ts)"),
        [TABLE_SAMPLE_STARTS] = TABLE(sample_starts, "toDate(ts)"),
        [TABLE_HISTOGRAMS] = TABLE(histograms, "toDate(ts)"),
        [TABLE_EXEMPLARS] = TABLE(exemplars, "toDate(ts)"),
        [TABLE_METRIC_METADATA] = TABLE(metric_metadata, "toDate(last_seen)"),
        [TABLE_STACKS] = TABLE(stacks, "day"),
        [TABLE_PROFILE_SAMPLES] = TABLE(profile_samples, "toDate(ts)"),
        [TABLE_PROFILE_STEPS] = TABLE(profile_steps, "toDate(ts)"),
};

int table_insert_sql(enum store_table t, struct buffer *ret) {
    buffer_printf(ret, "INSERT INTO %s (", tables[t].name);
    for (size_t i = 0; i < tables[t].n; i++)
        buffer_printf(ret, "%s%s", i ? ", " : "", tables[t].columns[i].name);
    return buffer_append(ret, ")", 2); /* with its NUL */
}
