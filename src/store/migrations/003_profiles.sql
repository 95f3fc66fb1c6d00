-- Profiles. Bytes are per row, compressed, of tests/bench/bench_profiles.
CREATE TABLE IF NOT EXISTS stacks
(
    -- Stacks are written once a day and batch memory, so that dropping a day loses nothing of another.
    day Date,
    id UInt64 CODEC(NONE),
    -- Innermost first; the three arrays are equally long.
    functions Array(LowCardinality(String)) CODEC(ZSTD),
    files Array(LowCardinality(String)) CODEC(ZSTD),
    lines Array(UInt32) CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY day
ORDER BY id
SETTINGS index_granularity = 1024;

CREATE TABLE IF NOT EXISTS profile_samples
(
    ts DateTime('UTC') CODEC(Delta, ZSTD),
    service LowCardinality(String) CODEC(ZSTD),
    version LowCardinality(String) CODEC(ZSTD),
    resource_id UInt64 CODEC(ZSTD),
    type LowCardinality(String) CODEC(ZSTD),
    unit LowCardinality(String) CODEC(ZSTD),
    thread LowCardinality(String) CODEC(ZSTD),
    endpoint LowCardinality(String) CODEC(ZSTD),
    trace_id FixedString(16) CODEC(ZSTD),
    span_id FixedString(8) CODEC(ZSTD),
    stack_id UInt64 CODEC(ZSTD),
    value UInt64 CODEC(ZSTD),
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
PRIMARY KEY (service, type, toStartOfTenMinutes(ts))
ORDER BY (service, type, toStartOfTenMinutes(ts), endpoint, trace_id, span_id, stack_id)
SETTINGS index_granularity = 4096;

-- The same in steps of ten minutes and without traces, processes: what long ranges are merged from.
CREATE TABLE IF NOT EXISTS profile_steps
(
    ts DateTime('UTC') CODEC(Delta, ZSTD),
    service LowCardinality(String) CODEC(ZSTD),
    version LowCardinality(String) CODEC(ZSTD),
    type LowCardinality(String) CODEC(ZSTD),
    unit LowCardinality(String) CODEC(ZSTD),
    thread LowCardinality(String) CODEC(ZSTD),
    endpoint LowCardinality(String) CODEC(ZSTD),
    stack_id UInt64 CODEC(ZSTD),
    value SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(ts)
ORDER BY (service, type, ts, version, endpoint, thread, unit, stack_id);
