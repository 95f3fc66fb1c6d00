-- Metrics: native histograms, exemplars, metadata, downsampled tables; samples that are kept once.

-- `samples` becomes a table in which the last row of one series and time replaces those before. Each
-- statement may run again after a crash at any point: the first one stands in for the table that the
-- fourth dropped.
CREATE TABLE IF NOT EXISTS samples
(
    id UInt64,
    ts DateTime64(3, 'UTC'),
    value Float64
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts);

CREATE TABLE IF NOT EXISTS samples_replacing
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    value Float64 CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts);

INSERT INTO samples_replacing (id, ts, value) SELECT id, ts, value FROM samples
SETTINGS max_partitions_per_insert_block = 0;

DROP TABLE samples;

RENAME TABLE samples_replacing TO samples;

-- Since when a series' values count: a row where that changes, valid for its samples from ts on.
CREATE TABLE IF NOT EXISTS sample_starts
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    start DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts);

CREATE TABLE IF NOT EXISTS histograms
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    start DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD), -- 1970: not known
    schema Int16 CODEC(ZSTD),
    hint UInt8 CODEC(ZSTD),
    count Float64 CODEC(Delta, ZSTD),
    sum Float64 CODEC(Delta, ZSTD),
    zero_count Float64 CODEC(Delta, ZSTD),
    zero_threshold Float64 CODEC(Delta, ZSTD),
    buckets String CODEC(ZSTD) -- both signs and custom bounds: src/signal/histogram.h
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts)
SETTINGS index_granularity = 2048;

CREATE TABLE IF NOT EXISTS exemplars
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    value Float64 CODEC(ZSTD),
    labels Map(LowCardinality(String), String) CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts)
SETTINGS index_granularity = 2048;

CREATE TABLE IF NOT EXISTS metric_metadata
(
    metric LowCardinality(String) CODEC(ZSTD),
    type UInt8 CODEC(ZSTD), -- enum metric_type
    unit LowCardinality(String) CODEC(ZSTD),
    help String CODEC(ZSTD),
    last_seen SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(last_seen)
ORDER BY (metric, type, unit, help)
SETTINGS allow_dimensions_outside_sorting_key = 1;

-- A row stands for the samples in (ts - 5 min, ts], as a PromQL window of that length that ends at ts has
-- them. `increase`: of a counter, resets counted, between the first and the last of them. Stale markers
-- count in last and last_ts alone. A row written anew (late samples) replaces the one before.
CREATE TABLE IF NOT EXISTS samples_5m
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    count UInt32 CODEC(ZSTD),
    min Float64 CODEC(Delta, ZSTD),
    max Float64 CODEC(Delta, ZSTD),
    sum Float64 CODEC(Delta, ZSTD),
    first Float64 CODEC(Delta, ZSTD),
    last Float64 CODEC(Delta, ZSTD),
    increase Float64 CODEC(Delta, ZSTD),
    first_ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    last_ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    stale UInt8 CODEC(ZSTD) -- 1: the last sample is a stale marker, at last_ts
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts);

CREATE TABLE IF NOT EXISTS samples_1h
(
    id UInt64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    count UInt32 CODEC(ZSTD),
    min Float64 CODEC(Delta, ZSTD),
    max Float64 CODEC(Delta, ZSTD),
    sum Float64 CODEC(Delta, ZSTD),
    first Float64 CODEC(Delta, ZSTD),
    last Float64 CODEC(Delta, ZSTD),
    increase Float64 CODEC(Delta, ZSTD),
    first_ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    last_ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    stale UInt8 CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (id, ts);
