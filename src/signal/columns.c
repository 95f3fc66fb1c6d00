/*
 * The tables' columns as native blocks take them. Aggregating columns
 * ("SimpleAggregateFunction(…)") are sent as the plain type beneath, which is the same on the wire.
 */
#include "signal/columns.h"

const struct native_column_def spans_columns[SPANS_COLUMNS] = {
        [SPANS_TS] = {"ts", NATIVE_DATETIME64_9, NULL},
        [SPANS_DURATION_NS] = {"duration_ns", NATIVE_U64, NULL},
        [SPANS_TRACE_ID] = {"trace_id", NATIVE_FIXED16, NULL},
        [SPANS_SPAN_ID] = {"span_id", NATIVE_FIXED8, NULL},
        [SPANS_PARENT_SPAN_ID] = {"parent_span_id", NATIVE_FIXED8, NULL},
        [SPANS_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [SPANS_NAME] = {"name", NATIVE_LC_STRING, NULL},
        [SPANS_KIND] = {"kind", NATIVE_U8, NULL},
        [SPANS_STATUS] = {"status", NATIVE_U8, NULL},
        [SPANS_STATUS_MESSAGE] = {"status_message", NATIVE_STRING, NULL},
        [SPANS_ENTRY] = {"entry", NATIVE_U8, NULL},
        [SPANS_RESOURCE_ID] = {"resource_id", NATIVE_U64, NULL},
        [SPANS_SCOPE] = {"scope", NATIVE_LC_STRING, NULL},
        [SPANS_SCOPE_VERSION] = {"scope_version", NATIVE_LC_STRING, NULL},
        [SPANS_HTTP_METHOD] = {"http_method", NATIVE_LC_STRING, NULL},
        [SPANS_HTTP_ROUTE] = {"http_route", NATIVE_LC_STRING, NULL},
        [SPANS_HTTP_STATUS] = {"http_status", NATIVE_U16, NULL},
        [SPANS_DB_SYSTEM] = {"db_system", NATIVE_LC_STRING, NULL},
        [SPANS_DB_STATEMENT] = {"db_statement", NATIVE_LC_STRING, NULL},
        [SPANS_PEER] = {"peer", NATIVE_LC_STRING, NULL},
        [SPANS_EXCEPTION_TYPE] = {"exception_type", NATIVE_LC_STRING, NULL},
        [SPANS_ATTRIBUTES] = {"attributes", NATIVE_MAP_LC_STRING, NULL},
        [SPANS_ATTRIBUTE_TYPES] = {"attribute_types", NATIVE_ARRAY_U8, NULL},
        [SPANS_EVENTS] = {"events", NATIVE_STRING, NULL},
        [SPANS_LINKS] = {"links", NATIVE_STRING, NULL},
        [SPANS_TRACE_STATE] = {"trace_state", NATIVE_STRING, NULL},
        [SPANS_FLAGS] = {"flags", NATIVE_U32, NULL},
        [SPANS_DROPPED] = {"dropped", NATIVE_U32, NULL},
};

const struct native_column_def logs_columns[LOGS_COLUMNS] = {
        [LOGS_TS] = {"ts", NATIVE_DATETIME64_9, NULL},
        [LOGS_OBSERVED_TS] = {"observed_ts", NATIVE_DATETIME64_9, NULL},
        [LOGS_SEQ] = {"seq", NATIVE_U64, NULL},
        [LOGS_TRACE_ID] = {"trace_id", NATIVE_FIXED16, NULL},
        [LOGS_SPAN_ID] = {"span_id", NATIVE_FIXED8, NULL},
        [LOGS_SEVERITY] = {"severity", NATIVE_U8, NULL},
        [LOGS_SEVERITY_TEXT] = {"severity_text", NATIVE_LC_STRING, NULL},
        [LOGS_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [LOGS_BODY] = {"body", NATIVE_STRING, NULL},
        [LOGS_BODY_TYPE] = {"body_type", NATIVE_U8, NULL},
        [LOGS_RESOURCE_ID] = {"resource_id", NATIVE_U64, NULL},
        [LOGS_SCOPE] = {"scope", NATIVE_LC_STRING, NULL},
        [LOGS_EVENT_NAME] = {"event_name", NATIVE_LC_STRING, NULL},
        [LOGS_ATTRIBUTES] = {"attributes", NATIVE_MAP_LC_STRING, NULL},
        [LOGS_ATTRIBUTE_TYPES] = {"attribute_types", NATIVE_ARRAY_U8, NULL},
        [LOGS_FLAGS] = {"flags", NATIVE_U32, NULL},
};

const struct native_column_def resources_columns[RESOURCES_COLUMNS] = {
        [RESOURCES_ID] = {"id", NATIVE_U64, NULL},
        [RESOURCES_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [RESOURCES_NAMESPACE] = {"namespace", NATIVE_LC_STRING, NULL},
        [RESOURCES_VERSION] = {"version", NATIVE_LC_STRING, NULL},
        [RESOURCES_INSTANCE] = {"instance", NATIVE_LC_STRING, NULL},
        [RESOURCES_ENVIRONMENT] = {"environment", NATIVE_LC_STRING, NULL},
        [RESOURCES_ATTRIBUTES] = {"attributes", NATIVE_MAP_LC_STRING, NULL},
        [RESOURCES_ATTRIBUTE_TYPES] = {"attribute_types", NATIVE_ARRAY_U8, NULL},
        [RESOURCES_FIRST_SEEN] = {"first_seen", NATIVE_DATETIME, NULL},
        [RESOURCES_LAST_SEEN] = {"last_seen", NATIVE_DATETIME, NULL},
};

const struct native_column_def red_columns[RED_COLUMNS] = {
        [RED_TS] = {"ts", NATIVE_DATETIME, NULL},
        [RED_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [RED_OPERATION] = {"operation", NATIVE_LC_STRING, NULL},
        [RED_KIND] = {"kind", NATIVE_U8, NULL},
        [RED_STATUS] = {"status", NATIVE_U8, NULL},
        [RED_ENTRY] = {"entry", NATIVE_U8, NULL},
        [RED_COUNT] = {"count", NATIVE_U64, NULL},
        [RED_SUM_NS] = {"sum_ns", NATIVE_U64, NULL},
        [RED_MAX_NS] = {"max_ns", NATIVE_U64, NULL},
        [RED_SKETCH] = {"sketch", NATIVE_MAP_I16_U64, NULL},
};

const struct native_column_def edges_columns[EDGES_COLUMNS] = {
        [EDGES_TS] = {"ts", NATIVE_DATETIME, NULL},
        [EDGES_CLIENT] = {"client", NATIVE_LC_STRING, NULL},
        [EDGES_SERVER] = {"server", NATIVE_LC_STRING, NULL},
        [EDGES_SERVER_TYPE] = {"server_type", NATIVE_LC_STRING, NULL},
        [EDGES_SYSTEM] = {"system", NATIVE_LC_STRING, NULL},
        [EDGES_COUNT] = {"count", NATIVE_U64, NULL},
        [EDGES_ERRORS] = {"errors", NATIVE_U64, NULL},
        [EDGES_SUM_NS] = {"sum_ns", NATIVE_U64, NULL},
        [EDGES_MAX_NS] = {"max_ns", NATIVE_U64, NULL},
        [EDGES_SKETCH] = {"sketch", NATIVE_MAP_I16_U64, NULL},
};

const struct native_column_def traces_columns[TRACES_COLUMNS] = {
        [TRACES_DAY] = {"day", NATIVE_DATE, NULL},
        [TRACES_TRACE_ID] = {"trace_id", NATIVE_FIXED16, NULL},
        [TRACES_START] = {"start", NATIVE_DATETIME64_9, NULL},
        [TRACES_END] = {"end", NATIVE_DATETIME64_9, NULL},
        [TRACES_SPANS] = {"spans", NATIVE_U64, NULL},
        [TRACES_ERRORS] = {"errors", NATIVE_U64, NULL},
        [TRACES_ROOT_SERVICE] = {"root_service", NATIVE_LC_STRING, NULL},
        [TRACES_ROOT_NAME] = {"root_name", NATIVE_LC_STRING, NULL},
        [TRACES_ROOT_KIND] = {"root_kind", NATIVE_U8, NULL},
        [TRACES_ROOT_DURATION_NS] = {"root_duration_ns", NATIVE_U64, NULL},
        [TRACES_ROOT_STATUS] = {"root_status", NATIVE_U8, NULL},
        [TRACES_SERVICES] = {"services", NATIVE_ARRAY_LC_STRING, NULL},
};

const struct native_column_def attributes_columns[ATTRIBUTES_COLUMNS] = {
        [ATTRIBUTES_DAY] = {"day", NATIVE_DATE, NULL},
        [ATTRIBUTES_SIGNAL] = {"signal", NATIVE_LC_STRING, NULL},
        [ATTRIBUTES_KEY] = {"key", NATIVE_LC_STRING, NULL},
        [ATTRIBUTES_TYPE] = {"type", NATIVE_U8, NULL},
        [ATTRIBUTES_VALUE] = {"value", NATIVE_STRING, NULL},
        [ATTRIBUTES_COUNT] = {"count", NATIVE_U64, NULL},
};

const struct native_column_def series_columns[SERIES_COLUMNS] = {
        [SERIES_ID] = {"id", NATIVE_U64, NULL},
        [SERIES_METRIC] = {"metric", NATIVE_LC_STRING, NULL},
        [SERIES_LABELS] = {"labels", NATIVE_MAP_LC_STRING, NULL},
        [SERIES_FIRST_SEEN] = {"first_seen", NATIVE_DATETIME, NULL},
        [SERIES_LAST_SEEN] = {"last_seen", NATIVE_DATETIME, NULL},
};

const struct native_column_def samples_columns[SAMPLES_COLUMNS] = {
        [SAMPLES_ID] = {"id", NATIVE_U64, NULL},
        [SAMPLES_TS] = {"ts", NATIVE_DATETIME64_3, NULL},
        [SAMPLES_VALUE] = {"value", NATIVE_F64, NULL},
};

const struct native_column_def sample_starts_columns[SAMPLE_STARTS_COLUMNS] = {
        [SAMPLE_STARTS_ID] = {"id", NATIVE_U64, NULL},
        [SAMPLE_STARTS_TS] = {"ts", NATIVE_DATETIME64_3, NULL},
        [SAMPLE_STARTS_START] = {"start", NATIVE_DATETIME64_3, NULL},
};

const struct native_column_def histograms_columns[HISTOGRAMS_COLUMNS] = {
        [HISTOGRAMS_ID] = {"id", NATIVE_U64, NULL},
        [HISTOGRAMS_TS] = {"ts", NATIVE_DATETIME64_3, NULL},
        [HISTOGRAMS_START] = {"start", NATIVE_DATETIME64_3, NULL},
        [HISTOGRAMS_SCHEMA] = {"schema", NATIVE_I16, NULL},
        [HISTOGRAMS_HINT] = {"hint", NATIVE_U8, NULL},
        [HISTOGRAMS_COUNT] = {"count", NATIVE_F64, NULL},
        [HISTOGRAMS_SUM] = {"sum", NATIVE_F64, NULL},
        [HISTOGRAMS_ZERO_COUNT] = {"zero_count", NATIVE_F64, NULL},
        [HISTOGRAMS_ZERO_THRESHOLD] = {"zero_threshold", NATIVE_F64, NULL},
        [HISTOGRAMS_BUCKETS] = {"buckets", NATIVE_STRING, NULL},
};

const struct native_column_def exemplars_columns[EXEMPLARS_COLUMNS] = {
        [EXEMPLARS_ID] = {"id", NATIVE_U64, NULL},
        [EXEMPLARS_TS] = {"ts", NATIVE_DATETIME64_3, NULL},
        [EXEMPLARS_VALUE] = {"value", NATIVE_F64, NULL},
        [EXEMPLARS_LABELS] = {"labels", NATIVE_MAP_LC_STRING, NULL},
};

const struct native_column_def metric_metadata_columns[METRIC_METADATA_COLUMNS] = {
        [METRIC_METADATA_METRIC] = {"metric", NATIVE_LC_STRING, NULL},
        [METRIC_METADATA_TYPE] = {"type", NATIVE_U8, NULL},
        [METRIC_METADATA_UNIT] = {"unit", NATIVE_LC_STRING, NULL},
        [METRIC_METADATA_HELP] = {"help", NATIVE_STRING, NULL},
        [METRIC_METADATA_LAST_SEEN] = {"last_seen", NATIVE_DATETIME, NULL},
};

const struct native_column_def stacks_columns[STACKS_COLUMNS] = {
        [STACKS_DAY] = {"day", NATIVE_DATE, NULL},
        [STACKS_ID] = {"id", NATIVE_U64, NULL},
        [STACKS_FUNCTIONS] = {"functions", NATIVE_ARRAY_LC_STRING, NULL},
        [STACKS_FILES] = {"files", NATIVE_ARRAY_LC_STRING, NULL},
        [STACKS_LINES] = {"lines", NATIVE_ARRAY_U32, NULL},
};

const struct native_column_def profile_samples_columns[PROFILE_SAMPLES_COLUMNS] = {
        [PROFILE_SAMPLES_TS] = {"ts", NATIVE_DATETIME, NULL},
        [PROFILE_SAMPLES_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [PROFILE_SAMPLES_VERSION] = {"version", NATIVE_LC_STRING, NULL},
        [PROFILE_SAMPLES_RESOURCE_ID] = {"resource_id", NATIVE_U64, NULL},
        [PROFILE_SAMPLES_TYPE] = {"type", NATIVE_LC_STRING, NULL},
        [PROFILE_SAMPLES_UNIT] = {"unit", NATIVE_LC_STRING, NULL},
        [PROFILE_SAMPLES_THREAD] = {"thread", NATIVE_LC_STRING, NULL},
        [PROFILE_SAMPLES_ENDPOINT] = {"endpoint", NATIVE_LC_STRING, NULL},
        [PROFILE_SAMPLES_TRACE_ID] = {"trace_id", NATIVE_FIXED16, NULL},
        [PROFILE_SAMPLES_SPAN_ID] = {"span_id", NATIVE_FIXED8, NULL},
        [PROFILE_SAMPLES_STACK_ID] = {"stack_id", NATIVE_U64, NULL},
        [PROFILE_SAMPLES_VALUE] = {"value", NATIVE_U64, NULL},
};

const struct native_column_def profile_steps_columns[PROFILE_STEPS_COLUMNS] = {
        [PROFILE_STEPS_TS] = {"ts", NATIVE_DATETIME, NULL},
        [PROFILE_STEPS_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [PROFILE_STEPS_VERSION] = {"version", NATIVE_LC_STRING, NULL},
        [PROFILE_STEPS_TYPE] = {"type", NATIVE_LC_STRING, NULL},
        [PROFILE_STEPS_UNIT] = {"unit", NATIVE_LC_STRING, NULL},
        [PROFILE_STEPS_THREAD] = {"thread", NATIVE_LC_STRING, NULL},
        [PROFILE_STEPS_ENDPOINT] = {"endpoint", NATIVE_LC_STRING, NULL},
        [PROFILE_STEPS_STACK_ID] = {"stack_id", NATIVE_U64, NULL},
        [PROFILE_STEPS_VALUE] = {"value", NATIVE_U64, NULL},
};

const struct native_column_def profile_sources_columns[PROFILE_SOURCES_COLUMNS] = {
        [PROFILE_SOURCES_DAY] = {"day", NATIVE_DATE, NULL},
        [PROFILE_SOURCES_SERVICE] = {"service", NATIVE_LC_STRING, NULL},
        [PROFILE_SOURCES_VERSION] = {"version", NATIVE_LC_STRING, NULL},
        [PROFILE_SOURCES_PATH] = {"path", NATIVE_LC_STRING, NULL},
        [PROFILE_SOURCES_FUNCTION] = {"function", NATIVE_LC_STRING, NULL},
        [PROFILE_SOURCES_FIRST_LINE] = {"first_line", NATIVE_U32, NULL},
        [PROFILE_SOURCES_HASH] = {"hash", NATIVE_U64, NULL},
        [PROFILE_SOURCES_SEEN] = {"seen", NATIVE_DATETIME, NULL},
        [PROFILE_SOURCES_TEXT] = {"text", NATIVE_STRING, NULL},
};
