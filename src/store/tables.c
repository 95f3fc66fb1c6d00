/* The written tables: see tables.h. */
#include "store/tables.h"
#include "signal/columns.h"

#define TABLE(name_)                                                                               \
    {                                                                                              \
        .name = #name_, .columns = name_##_columns,                                                \
        .n = sizeof(name_##_columns) / sizeof(*name_##_columns),                                   \
    }

const struct table tables[TABLE_COUNT] = {
        [TABLE_SPANS] = TABLE(spans),
        [TABLE_LOGS] = TABLE(logs),
        [TABLE_RESOURCES] = TABLE(resources),
        [TABLE_RED] = TABLE(red),
        [TABLE_EDGES] = TABLE(edges),
        [TABLE_TRACES] = TABLE(traces),
        [TABLE_ATTRIBUTES] = TABLE(attributes),
        [TABLE_SERIES] = TABLE(series),
        [TABLE_SAMPLES] = TABLE(samples),
        [TABLE_SAMPLE_STARTS] = TABLE(sample_starts),
        [TABLE_HISTOGRAMS] = TABLE(histograms),
        [TABLE_EXEMPLARS] = TABLE(exemplars),
        [TABLE_METRIC_METADATA] = TABLE(metric_metadata),
        [TABLE_STACKS] = TABLE(stacks),
        [TABLE_PROFILE_SAMPLES] = TABLE(profile_samples),
        [TABLE_PROFILE_STEPS] = TABLE(profile_steps),
        [TABLE_PROFILE_SOURCES] = TABLE(profile_sources),
};

#define TRACES (1u << SIGNAL_TRACES)
#define LOGS (1u << SIGNAL_LOGS)
#define METRICS (1u << SIGNAL_METRICS)
#define PROFILES (1u << SIGNAL_PROFILES)
#define METRICS_5M (1u << SIGNAL_METRICS_5M)
#define METRICS_1H (1u << SIGNAL_METRICS_1H)

const struct kept_table kept_tables[] = {
        {"spans", TRACES},
        {"logs", LOGS},
        {"resources", TRACES | LOGS | PROFILES},
        {"red", TRACES},
        {"edges", TRACES},
        {"traces", TRACES},
        {"attributes", TRACES | LOGS},
        {"series", METRICS | METRICS_5M | METRICS_1H},
        {"samples", METRICS},
        {"samples_5m", METRICS_5M},
        {"samples_1h", METRICS_1H},
        {"sample_starts", METRICS},
        {"histograms", METRICS},
        {"exemplars", METRICS},
        {"metric_metadata", METRICS | METRICS_5M | METRICS_1H},
        {"stacks", PROFILES},
        {"profile_samples", PROFILES},
        {"profile_steps", PROFILES},
        {"profile_sources", PROFILES},
};
const size_t kept_tables_n = sizeof(kept_tables) / sizeof(*kept_tables);

int table_insert_sql(enum store_table t, struct buffer *ret) {
    buffer_printf(ret, "INSERT INTO %s (", tables[t].name);
    for (size_t i = 0; i < tables[t].n; i++)
        buffer_printf(ret, "%s%s", i ? ", " : "", tables[t].columns[i].name);
    return buffer_append(ret, ")", 2); /* with its NUL */
}
