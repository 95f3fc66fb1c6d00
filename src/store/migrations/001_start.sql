-- The first schema. One statement ends with ";" at the end of a line.

-- Bytes are per row, compressed, of 10 M merged spans of tests/bench/bench_store (45.9 in all, traces 4.6
-- a span more, red and edges 0.1). CODEC(NONE) where nothing compresses, ZSTD elsewhere: LZ4 costs 6 bytes
-- a span more and saves a quarter of an insert's CPU.
CREATE TABLE IF NOT EXISTS spans
(
    ts DateTime64(9, 'UTC') CODEC(Delta, ZSTD),             -- 2.96 (sorted within service and name)
    duration_ns UInt64 CODEC(ZSTD),                         -- 3.44
    trace_id FixedString(16) CODEC(NONE),                   -- 16.01: random
    span_id FixedString(8) CODEC(NONE),                     -- 8.01: random
    parent_span_id FixedString(8) CODEC(ZSTD),              -- 4.52: siblings share theirs, roots have zeros
    service LowCardinality(String),                         -- 0.01
    name LowCardinality(String),                            -- 0.01
    kind UInt8 CODEC(ZSTD),                                 -- 0.00
    status UInt8 CODEC(ZSTD),                               -- 0.01
    status_message String CODEC(ZSTD),                      -- 0.00: mostly empty
    entry UInt8 CODEC(ZSTD),                                -- 0.00
    resource_id UInt64 CODEC(ZSTD),                         -- 0.01
    scope LowCardinality(String) CODEC(ZSTD),               -- 0.00
    scope_version LowCardinality(String) CODEC(ZSTD),       -- 0.00
    http_method LowCardinality(String) CODEC(ZSTD),         -- 0.00
    http_route LowCardinality(String) CODEC(ZSTD),          -- 0.00
    http_status UInt16 CODEC(ZSTD),                         -- 0.01
    db_system LowCardinality(String) CODEC(ZSTD),           -- 0.00
    db_statement LowCardinality(String) CODEC(ZSTD),        -- 0.24
    peer LowCardinality(String) CODEC(ZSTD),                -- 0.00
    exception_type LowCardinality(String) CODEC(ZSTD),      -- 0.01
    attributes Map(LowCardinality(String), String) CODEC(ZSTD), -- 9.59: seven a span, mostly their values
    attribute_types Array(UInt8) CODEC(ZSTD),               -- 0.26
    events String CODEC(ZSTD),                              -- 0.01
    links String CODEC(ZSTD),                               -- 0.00
    trace_state String CODEC(ZSTD),                         -- 0.00
    flags UInt32 CODEC(ZSTD),                               -- 0.00
    dropped UInt32 CODEC(ZSTD),                             -- 0.00
    -- Before the bloom filter: within a service and name rows are sorted by time, so a trace's own window
    -- leaves a few granules of each, and only their filters are read. A thousandth of a byte a span.
    INDEX ts_minmax ts TYPE minmax GRANULARITY 1,
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1 -- 0.79
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
-- Five minutes first: a time range, and a trace by the window that `traces` knows, touch few granules (75
-- of 1,227 at 10 M spans). ts stays out of the primary key: with it, the engine prunes by it alone (366).
PRIMARY KEY (toStartOfFiveMinutes(ts), service, name)
ORDER BY (toStartOfFiveMinutes(ts), service, name, ts)
-- 2,048 rows a granule: a trace by id reads six granules of every column, 9.5 ms of CPU instead of 14.3 with
-- 8,192; costs 0.1 bytes a span.
SETTINGS index_granularity = 2048;

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
PRIMARY KEY (toStartOfFiveMinutes(ts), service)
ORDER BY (toStartOfFiveMinutes(ts), service, ts)
SETTINGS index_granularity = 4096;

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
    services SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD),
    -- Ids are random, so every part's primary key has a granule where the id could be: the filter spares
    -- reading it in all but one day.
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY trace_id
SETTINGS index_granularity = 2048;

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
