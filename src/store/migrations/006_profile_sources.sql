-- The text of functions that profiles are of, as their processes had it.
CREATE TABLE IF NOT EXISTS profile_sources
(
    -- Written once a day and batch memory, as stacks are.
    day Date,
    service LowCardinality(String) CODEC(ZSTD),
    version LowCardinality(String) CODEC(ZSTD),
    path LowCardinality(String) CODEC(ZSTD),
    function LowCardinality(String) CODEC(ZSTD),
    first_line UInt32 CODEC(ZSTD),
    -- Of the text: many processes send the same.
    hash UInt64 CODEC(NONE),
    seen DateTime('UTC') CODEC(ZSTD),
    text String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(seen)
PARTITION BY day
ORDER BY (service, path, function, first_line, version, hash)
SETTINGS index_granularity = 1024;
