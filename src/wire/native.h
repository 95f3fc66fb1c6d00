/*
 * ClickHouse's Native format: columns laid out as the engine wants them, so that a block is written
 * by copying. Rows are appended value by value, column by column; a block is a set of columns of
 * equal length. Encoding facts: docs/internals/storage.md.
 *
 * A block belongs to one thread at a time. Every append may fail with -ENOBUFS or -ENOMEM; the
 * caller then rolls back to a mark.
 */
#ifndef VARAN_WIRE_NATIVE_H
#define VARAN_WIRE_NATIVE_H

#include "base/memory.h"

enum native_type {
    NATIVE_U8,
    NATIVE_U16,
    NATIVE_U32,
    NATIVE_U64,
    NATIVE_I16,
    NATIVE_I64,
    NATIVE_F64,
    NATIVE_DATE,         /* u16 days */
    NATIVE_DATETIME,     /* u32 seconds, "DateTime('UTC')" */
    NATIVE_DATETIME64_9, /* i64 nanoseconds, "DateTime64(9, 'UTC')" */
    NATIVE_DATETIME64_3, /* i64 milliseconds */
    NATIVE_FIXED8,       /* FixedString(8) */
    NATIVE_FIXED16,      /* FixedString(16) */
    NATIVE_STRING,
    NATIVE_LC_STRING,     /* LowCardinality(String) */
    NATIVE_MAP_LC_STRING, /* Map(LowCardinality(String), String) */
    NATIVE_ARRAY_U8,
    NATIVE_ARRAY_U32,
    NATIVE_ARRAY_LC_STRING, /* Array(LowCardinality(String)) */
    NATIVE_MAP_I16_U64,     /* Map(Int16, UInt64): sketches */
};

struct native_column_def {
    const char *name;
    enum native_type type;
    const char *type_name; /* NULL: the type's usual name; else e.g. "SimpleAggregateFunction(max,
                              UInt64)" */
};

struct native_block; /* opaque: columns of one table */

/* Columns as defined (array lives as long as the block); at most `bytes_cap` bytes in all. */
int native_block_new(const struct native_column_def *defs, size_t n, size_t bytes_cap,
                     struct native_block **ret);
void native_block_free(struct native_block *b);
/* Zero rows again, memory kept. */
void native_block_clear(struct native_block *b);
/* Gives the memory of an empty block back; it may be used again. */
void native_block_shrink(struct native_block *b);
size_t native_block_rows(const struct native_block *b);
/* The values of a column whose type is 8 bytes wide; NULL without rows. */
const uint8_t *native_block_wide(const struct native_block *b, unsigned column);
size_t native_block_bytes(const struct native_block *b);

/* One value to column `c`. After a full row (one value per column) call native_block_end_row(). */
int native_put_u64(struct native_block *b, unsigned c,
                   uint64_t v); /* U8…U64, I16, I64, dates, times */
int native_put_f64(struct native_block *b, unsigned c, double v);
int native_put_fixed(struct native_block *b, unsigned c, const uint8_t *bytes);
int native_put_string(struct native_block *b, unsigned c, struct slice s); /* STRING, LC_STRING */
/* Maps and arrays: n × entry or item (none for an empty one), then native_close(). */
int native_map_entry(struct native_block *b, unsigned c, struct slice key, struct slice value);
int native_array_item(struct native_block *b, unsigned c, uint32_t v);     /* ARRAY_U8, ARRAY_U32 */
int native_array_text(struct native_block *b, unsigned c, struct slice s); /* ARRAY_LC_STRING */
int native_sketch_entry(struct native_block *b, unsigned c, int16_t bucket, uint64_t count);
/* Ends the row's map or array of column `c`. */
int native_close(struct native_block *b, unsigned c);
void native_block_end_row(struct native_block *b);

/* Marks and rolls back: everything after the mark is forgotten (dictionary entries may stay). */
size_t native_block_mark(const struct native_block *b);
void native_block_rollback(struct native_block *b, size_t mark);

/* Hands the block in Native format to `sink`, piece by piece, without copying the columns; stops at
 * the sink's first negative result and returns it. -EINVAL when a column lacks values (a caller's
 * mistake). */
typedef int (*native_sink)(void *ctx, const void *data, size_t size);
int native_block_send(const struct native_block *b, native_sink sink, void *ctx);
/* Writes the block in Native format to `out` (appends). */
int native_block_write(const struct native_block *b, struct buffer *out);

/* ---- Reading ---- */

struct native_reader; /* over one answer's bytes; walks blocks and columns with bounds checks */
struct native_cell {
    struct slice text; /* strings, fixed strings, low-cardinality strings */
    uint64_t u64;      /* integers, dates, times (signed ones: cast) */
    double f64;
};
/* `bytes` must stay valid. -EBADMSG for malformed input. */
int native_reader_new(struct slice bytes, struct native_reader **ret);
void native_reader_free(struct native_reader *r);
size_t native_reader_rows(const struct native_reader *r); /* all blocks together */
size_t native_reader_columns(const struct native_reader *r);
struct slice native_reader_name(const struct native_reader *r, unsigned column);
/* For those who take whole columns: the answer's blocks, one after the other (empty ones too). */
size_t native_reader_blocks(const struct native_reader *r);
/* The rows of block `b`, and the values of its columns as they lie in the answer, 8 bytes each
 * (UInt64, Int64, Float64, DateTime64; not aligned). NULL when a column is of another width, or
 * nullable. */
const uint8_t *native_reader_wide(const struct native_reader *r, size_t b, unsigned column,
                                  size_t *ret_rows);
/* Scalars (any of the scalar types above, Nullable taken as empty/0). */
struct native_cell native_reader_cell(const struct native_reader *r, size_t row, unsigned column);
/* Arrays and maps: the number of entries, then each (key for maps only). */
size_t native_reader_length(const struct native_reader *r, size_t row, unsigned column);
struct native_cell native_reader_item(const struct native_reader *r, size_t row, unsigned column,
                                      size_t i);
struct native_cell native_reader_key(const struct native_reader *r, size_t row, unsigned column,
                                     size_t i);

#endif
