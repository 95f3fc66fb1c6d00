-- Downsampled samples: what long ranges are read from, and what stays when `samples` of a day are dropped.

-- A row is a bucket (ts - 5 min, ts] of a series. Of two rows of one bucket the one made of more samples counts:
-- a bucket that is made anew when its samples are partly dropped already changes nothing.
-- Bytes a row, merged, of tests/bench/bench_samples --targets 20 --series 100 --hours 6 --downsample: 6.9 here (83 an
-- hour and series, where the samples themselves take 197), 13.2 in samples_1h.
CREATE TABLE IF NOT EXISTS samples_5m
(
    id UInt64 CODEC(ZSTD),
    ts DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    count UInt32 CODEC(ZSTD),
    min Float64 CODEC(Delta, ZSTD),
    max Float64 CODEC(Delta, ZSTD),
    sum Float64 CODEC(Delta, ZSTD),
    first Float64 CODEC(Delta, ZSTD),
    last Float64 CODEC(Delta, ZSTD),
    dropped Float64 CODEC(ZSTD),       -- of a counter: the sum of its values before each reset
    first_ago UInt32 CODEC(ZSTD), -- milliseconds from the first and the last sample to ts
    last_ago UInt32 CODEC(ZSTD),
    stale UInt8 CODEC(ZSTD) -- 1: a stale marker came after the last sample
)
ENGINE = ReplacingMergeTree(count)
PARTITION BY toDate(ts)
ORDER BY (id, ts);

CREATE TABLE IF NOT EXISTS samples_1h
(
    id UInt64 CODEC(ZSTD),
    ts DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    count UInt32 CODEC(ZSTD),
    min Float64 CODEC(Delta, ZSTD),
    max Float64 CODEC(Delta, ZSTD),
    sum Float64 CODEC(Delta, ZSTD),
    first Float64 CODEC(Delta, ZSTD),
    last Float64 CODEC(Delta, ZSTD),
    dropped Float64 CODEC(ZSTD),
    first_ago UInt32 CODEC(ZSTD),
    last_ago UInt32 CODEC(ZSTD),
    stale UInt8 CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(count)
PARTITION BY toYYYYMM(ts)
ORDER BY (id, ts);
