-- The first schema. One statement ends with ";" at the end of a line.

CREATE TABLE IF NOT EXISTS spans
(
    ts DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    duration_ns UInt64 CODEC(ZSTD),
    trace_id FixedString(16) CODEC(NONE),
    span_id FixedString(8) CODEC(NONE),
    parent_span_id FixedString(8) CODEC(ZSTD),
    service LowCardinality(String),
    name LowCardinality(String),
    kind UInt8 CODEC(ZSTD),
    status UInt8 CODEC(ZSTD),
    status_message String CODEC(ZSTD),
    entry UInt8 CODEC(ZSTD),
    resource_id UInt64 CODEC(ZSTD),
    scope LowCardinality(String) CODEC(ZSTD),
    scope_version LowCardinality(String) CODEC(ZSTD),
    http_method LowCardinality(String) CODEC(ZSTD),
    http_route LowCardinality(String) CODEC(ZSTD),
    http_status UInt16 CODEC(ZSTD),
    db_system LowCardinality(String) CODEC(ZSTD),
    db_statement LowCardinality(String) CODEC(ZSTD),
    peer LowCardinality(String) CODEC(ZSTD),
    exception_type LowCardinality(String) CODEC(ZSTD),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD),
    attribute_types Array(UInt8) CODEC(ZSTD),
    events String CODEC(ZSTD),
    links String CODEC(ZSTD),
    trace_state String CODEC(ZSTD),
    flags UInt32 CODEC(ZSTD),
    dropped UInt32 CODEC(ZSTD),
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (toStartOfFiveMinutes(ts), service, name, ts);

CREATE TABLE IF NOT EXISTS logs
(
    ts DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    observed_ts DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    seq UInt64 CODEC(Delta, ZSTD),
    trace_id FixedString(16) CODEC(ZSTD),
    span_id FixedString(8) CODEC(ZSTD),
    severity UInt8 CODEC(ZSTD),
    severity_text LowCardinality(String) CODEC(ZSTD),
    service LowCardinality(String) CODEC(ZSTD),
    body String CODEC(ZSTD),
    body_type UInt8 CODEC(ZSTD),
    resource_id UInt64 CODEC(ZSTD),
    scope LowCardinality(String) CODEC(ZSTD),
    event_name LowCardinality(String) CODEC(ZSTD),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD),
    attribute_types Array(UInt8) CODEC(ZSTD),
    flags UInt32 CODEC(ZSTD),
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX body_text body TYPE text(tokenizer = 'splitByNonAlpha')
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (toStartOfFiveMinutes(ts), service, ts);

CREATE TABLE IF NOT EXISTS resources
(
    id UInt64,
    service LowCardinality(String),
    namespace LowCardinality(String),
    version LowCardinality(String),
    instance LowCardinality(String),
    environment LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD),
    attribute_types Array(UInt8) CODEC(ZSTD),
    first_seen SimpleAggregateFunction(min, DateTime('UTC')),
    last_seen SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(last_seen)
ORDER BY id
-- The other columns follow from the id, which is a hash over them.
SETTINGS allow_dimensions_outside_sorting_key = 1;

CREATE TABLE IF NOT EXISTS red
(
    ts DateTime('UTC') CODEC(Delta, ZSTD),
    service LowCardinality(String) CODEC(ZSTD),
    operation LowCardinality(String) CODEC(ZSTD),
    kind UInt8 CODEC(ZSTD),
    status UInt8 CODEC(ZSTD),
    entry UInt8 CODEC(ZSTD),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    sum_ns SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    max_ns SimpleAggregateFunction(max, UInt64) CODEC(ZSTD),
    sketch SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(ts)
ORDER BY (service, operation, kind, status, entry, ts);

CREATE TABLE IF NOT EXISTS edges
(
    ts DateTime('UTC') CODEC(Delta, ZSTD),
    client LowCardinality(String) CODEC(ZSTD),
    server LowCardinality(String) CODEC(ZSTD),
    server_type LowCardinality(String) CODEC(ZSTD),
    system LowCardinality(String) CODEC(ZSTD),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    sum_ns SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    max_ns SimpleAggregateFunction(max, UInt64) CODEC(ZSTD),
    sketch SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(ts)
ORDER BY (client, server, server_type, system, ts);

CREATE TABLE IF NOT EXISTS traces
(
    day Date CODEC(ZSTD),
    trace_id FixedString(16) CODEC(NONE),
    start SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(ZSTD),
    end SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(ZSTD),
    spans SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    root_service SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD),
    root_name SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD),
    root_kind SimpleAggregateFunction(max, UInt8) CODEC(ZSTD),
    root_duration_ns SimpleAggregateFunction(max, UInt64) CODEC(ZSTD),
    root_status SimpleAggregateFunction(max, UInt8) CODEC(ZSTD),
    services SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY trace_id;

CREATE TABLE IF NOT EXISTS attributes
(
    day Date CODEC(ZSTD),
    signal LowCardinality(String) CODEC(ZSTD),
    key LowCardinality(String) CODEC(ZSTD),
    type UInt8 CODEC(ZSTD),
    value String CODEC(ZSTD),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (signal, key, type, value);

CREATE TABLE IF NOT EXISTS series
(
    id UInt64 CODEC(NONE),
    metric LowCardinality(String) CODEC(ZSTD),
    labels Map(LowCardinality(String), String) CODEC(ZSTD),
    first_seen SimpleAggregateFunction(min, DateTime('UTC')) CODEC(ZSTD),
    last_seen SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(last_seen)
ORDER BY (metric, id)
SETTINGS allow_dimensions_outside_sorting_key = 1;

CREATE TABLE IF NOT EXISTS samples
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    value Float64 CODEC(Gorilla, ZSTD)
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts);
