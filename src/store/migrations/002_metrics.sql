-- Metrics: native histograms, exemplars, metadata; samples that are kept once.

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

-- Bytes a sample, merged, of tests/bench/bench_samples (60 targets of 500 series, an hour at 15 s): 1.07.
-- The order (id, ts) with ids that put a metric's and a target's series together makes ids and times free.
-- Delta over the bits of Float64 beats Gorilla: whole numbers and sums differ in few bytes. Over a day of
-- 400 series with jitter: Delta 0.93, ZSTD alone 1.10, Gorilla 1.13, FPC 1.13 (all with ZSTD), Gorilla alone
-- 1.91; times DoubleDelta 0.16, Delta 0.17, T64 0.93, ZSTD alone 2.35.
CREATE TABLE IF NOT EXISTS samples_replacing
(
    id UInt64 CODEC(ZSTD),                            -- 0.04
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD), -- 0.03
    value Float64 CODEC(Delta, ZSTD)                  -- 0.99
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
