/*
 * The columns of the tables that ingest writes, by number and by name, in the order of
 * docs/internals/storage.md. A block made of `spans_columns` takes its values by SPANS_TS,
 * SPANS_NAME, … Read-only data: any thread.
 */
#ifndef VARAN_SIGNAL_COLUMNS_H
#define VARAN_SIGNAL_COLUMNS_H

#include "wire/native.h"

enum spans_column {
    SPANS_TS,
    SPANS_DURATION_NS,
    SPANS_TRACE_ID,
    SPANS_SPAN_ID,
    SPANS_PARENT_SPAN_ID,
    SPANS_SERVICE,
    SPANS_NAME,
    SPANS_KIND,
    SPANS_STATUS,
    SPANS_STATUS_MESSAGE,
    SPANS_ENTRY,
    SPANS_RESOURCE_ID,
    SPANS_SCOPE,
    SPANS_SCOPE_VERSION,
    SPANS_HTTP_METHOD,
    SPANS_HTTP_ROUTE,
    SPANS_HTTP_STATUS,
    SPANS_DB_SYSTEM,
    SPANS_DB_STATEMENT,
    SPANS_PEER,
    SPANS_EXCEPTION_TYPE,
    SPANS_ATTRIBUTES,
    SPANS_ATTRIBUTE_TYPES,
    SPANS_EVENTS,
    SPANS_LINKS,
    SPANS_TRACE_STATE,
    SPANS_FLAGS,
    SPANS_DROPPED,
    SPANS_COLUMNS,
};

enum logs_column {
    LOGS_TS,
    LOGS_OBSERVED_TS,
    LOGS_SEQ,
    LOGS_TRACE_ID,
    LOGS_SPAN_ID,
    LOGS_SEVERITY,
    LOGS_SEVERITY_TEXT,
    LOGS_SERVICE,
    LOGS_BODY,
    LOGS_BODY_TYPE,
    LOGS_RESOURCE_ID,
    LOGS_SCOPE,
    LOGS_EVENT_NAME,
    LOGS_ATTRIBUTES,
    LOGS_ATTRIBUTE_TYPES,
    LOGS_FLAGS,
    LOGS_COLUMNS,
};

enum resources_column {
    RESOURCES_ID,
    RESOURCES_SERVICE,
    RESOURCES_NAMESPACE,
    RESOURCES_VERSION,
    RESOURCES_INSTANCE,
    RESOURCES_ENVIRONMENT,
    RESOURCES_ATTRIBUTES,
    RESOURCES_ATTRIBUTE_TYPES,
    RESOURCES_FIRST_SEEN,
    RESOURCES_LAST_SEEN,
    RESOURCES_COLUMNS,
};

enum red_column {
    RED_TS,
    RED_SERVICE,
    RED_OPERATION,
    RED_KIND,
    RED_STATUS,
    RED_ENTRY,
    RED_COUNT,
    RED_SUM_NS,
    RED_MAX_NS,
    RED_SKETCH,
    RED_COLUMNS,
};

enum edges_column {
    EDGES_TS,
    EDGES_CLIENT,
    EDGES_SERVER,
    EDGES_SERVER_TYPE,
    EDGES_SYSTEM,
    EDGES_COUNT,
    EDGES_ERRORS,
    EDGES_SUM_NS,
    EDGES_MAX_NS,
    EDGES_SKETCH,
    EDGES_COLUMNS,
};

enum traces_column {
    TRACES_DAY,
    TRACES_TRACE_ID,
    TRACES_START,
    TRACES_END,
    TRACES_SPANS,
    TRACES_ERRORS,
    TRACES_ROOT_SERVICE,
    TRACES_ROOT_NAME,
    TRACES_ROOT_KIND,
    TRACES_ROOT_DURATION_NS,
    TRACES_ROOT_STATUS,
    TRACES_SERVICES, /* native_array_text() × n, native_close() */
    TRACES_COLUMNS,
};

enum attributes_column {
    ATTRIBUTES_DAY,
    ATTRIBUTES_SIGNAL,
    ATTRIBUTES_KEY,
    ATTRIBUTES_TYPE,
    ATTRIBUTES_VALUE,
    ATTRIBUTES_COUNT,
    ATTRIBUTES_COLUMNS,
};

enum series_column {
    SERIES_ID,
    SERIES_METRIC,
    SERIES_LABELS,
    SERIES_FIRST_SEEN,
    SERIES_LAST_SEEN,
    SERIES_COLUMNS,
};

enum samples_column {
    SAMPLES_ID,
    SAMPLES_TS,
    SAMPLES_VALUE,
    SAMPLES_COLUMNS,
};

enum sample_starts_column {
    SAMPLE_STARTS_ID,
    SAMPLE_STARTS_TS,
    SAMPLE_STARTS_START,
    SAMPLE_STARTS_COLUMNS,
};

enum histograms_column {
    HISTOGRAMS_ID,
    HISTOGRAMS_TS,
    HISTOGRAMS_START,
    HISTOGRAMS_SCHEMA,
    HISTOGRAMS_HINT,
    HISTOGRAMS_COUNT,
    HISTOGRAMS_SUM,
    HISTOGRAMS_ZERO_COUNT,
    HISTOGRAMS_ZERO_THRESHOLD,
    HISTOGRAMS_BUCKETS,
    HISTOGRAMS_COLUMNS,
};

enum exemplars_column {
    EXEMPLARS_ID,
    EXEMPLARS_TS,
    EXEMPLARS_VALUE,
    EXEMPLARS_LABELS,
    EXEMPLARS_COLUMNS,
};

enum metric_metadata_column {
    METRIC_METADATA_METRIC,
    METRIC_METADATA_TYPE,
    METRIC_METADATA_UNIT,
    METRIC_METADATA_HELP,
    METRIC_METADATA_LAST_SEEN,
    METRIC_METADATA_COLUMNS,
};

enum stacks_column {
    STACKS_DAY,
    STACKS_ID,
    STACKS_FUNCTIONS,
    STACKS_FILES,
    STACKS_LINES,
    STACKS_COLUMNS,
};

enum profile_samples_column {
    PROFILE_SAMPLES_TS,
    PROFILE_SAMPLES_SERVICE,
    PROFILE_SAMPLES_VERSION,
    PROFILE_SAMPLES_RESOURCE_ID,
    PROFILE_SAMPLES_TYPE,
    PROFILE_SAMPLES_UNIT,
    PROFILE_SAMPLES_THREAD,
    PROFILE_SAMPLES_ENDPOINT,
    PROFILE_SAMPLES_TRACE_ID,
    PROFILE_SAMPLES_SPAN_ID,
    PROFILE_SAMPLES_STACK_ID,
    PROFILE_SAMPLES_VALUE,
    PROFILE_SAMPLES_COLUMNS,
};

enum profile_steps_column {
    PROFILE_STEPS_TS,
    PROFILE_STEPS_SERVICE,
    PROFILE_STEPS_VERSION,
    PROFILE_STEPS_TYPE,
    PROFILE_STEPS_UNIT,
    PROFILE_STEPS_THREAD,
    PROFILE_STEPS_ENDPOINT,
    PROFILE_STEPS_STACK_ID,
    PROFILE_STEPS_VALUE,
    PROFILE_STEPS_COLUMNS,
};

enum profile_sources_column {
    PROFILE_SOURCES_DAY,
    PROFILE_SOURCES_SERVICE,
    PROFILE_SOURCES_VERSION,
    PROFILE_SOURCES_PATH,
    PROFILE_SOURCES_FUNCTION,
    PROFILE_SOURCES_FIRST_LINE,
    PROFILE_SOURCES_HASH,
    PROFILE_SOURCES_SEEN,
    PROFILE_SOURCES_TEXT,
    PROFILE_SOURCES_COLUMNS,
};

extern const struct native_column_def spans_columns[SPANS_COLUMNS];
extern const struct native_column_def logs_columns[LOGS_COLUMNS];
extern const struct native_column_def resources_columns[RESOURCES_COLUMNS];
extern const struct native_column_def red_columns[RED_COLUMNS];
extern const struct native_column_def edges_columns[EDGES_COLUMNS];
extern const struct native_column_def traces_columns[TRACES_COLUMNS];
extern const struct native_column_def attributes_columns[ATTRIBUTES_COLUMNS];
extern const struct native_column_def series_columns[SERIES_COLUMNS];
extern const struct native_column_def samples_columns[SAMPLES_COLUMNS];
extern const struct native_column_def sample_starts_columns[SAMPLE_STARTS_COLUMNS];
extern const struct native_column_def histograms_columns[HISTOGRAMS_COLUMNS];
extern const struct native_column_def exemplars_columns[EXEMPLARS_COLUMNS];
extern const struct native_column_def metric_metadata_columns[METRIC_METADATA_COLUMNS];
extern const struct native_column_def stacks_columns[STACKS_COLUMNS];
extern const struct native_column_def profile_samples_columns[PROFILE_SAMPLES_COLUMNS];
extern const struct native_column_def profile_steps_columns[PROFILE_STEPS_COLUMNS];
extern const struct native_column_def profile_sources_columns[PROFILE_SOURCES_COLUMNS];

#endif
