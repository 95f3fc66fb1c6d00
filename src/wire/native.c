/*
 * Building native blocks: columns in memory exactly as ClickHouse's Native format has them. A block
 * owns its memory and belongs to one thread at a time.
 *
 * Rolling back needs the byte position of a row in columns of text. Storing it for each row would
 * cost every row; a checkpoint every CHECKPOINT_ROWS rows and a walk over the lengths costs only
 * those who roll back.
 */
#include "wire/native.h"
#include "base/vector.h"
#include "wire/native_dictionary.h"

#include <assert.h>
#include <errno.h>

#define CHECKPOINT_ROWS 1024u
#define BLOCK_BYTES_MAX (UINT32_C(1) << 30)
#define DICTIONARY_VERSION 1u   /* SharedDictionariesWithAdditionalKeys */
#define DICTIONARY_FLAGS 0x600u /* has additional keys, needs update; + width of an index */

struct column {
    enum native_type type;
    uint8_t width;        /* of one value in `data`; 0: text or none */
    struct buffer data;   /* fixed-width values, texts (LEB128 length, bytes), or a sketch's keys */
    struct buffer values; /* a sketch's counts */
    struct buffer offsets; /* arrays and maps: u64, entries up to and with this row */
    struct dictionary dictionary;
};

struct native_block {
    const struct native_column_def *defs;
    struct column *columns;
    size_t n, rows, bytes, cap;
    VECTOR(size_t) checkpoints; /* each: rows, then the size of `data` of each column */
};

static const struct {
    const char *name;
    uint8_t width;
} types[] = {
        [NATIVE_U8] = {"UInt8", 1},
        [NATIVE_U16] = {"UInt16", 2},
        [NATIVE_U32] = {"UInt32", 4},
        [NATIVE_U64] = {"UInt64", 8},
        [NATIVE_I16] = {"Int16", 2},
        [NATIVE_I64] = {"Int64", 8},
        [NATIVE_F64] = {"Float64", 8},
        [NATIVE_DATE] = {"Date", 2},
        [NATIVE_DATETIME] = {"DateTime('UTC')", 4},
        [NATIVE_DATETIME64_9] = {"DateTime64(9, 'UTC')", 8},
        [NATIVE_DATETIME64_3] = {"DateTime64(3, 'UTC')", 8},
        [NATIVE_FIXED8] = {"FixedString(8)", 8},
        [NATIVE_FIXED16] = {"FixedString(16)", 16},
        [NATIVE_STRING] = {"String", 0},
        [NATIVE_LC_STRING] = {"LowCardinality(String)", 0},
        [NATIVE_MAP_LC_STRING] = {"Map(LowCardinality(String), String)", 0},
        [NATIVE_ARRAY_U8] = {"Array(UInt8)", 1},
        [NATIVE_ARRAY_U32] = {"Array(UInt32)", 4},
        [NATIVE_ARRAY_LC_STRING] = {"Array(LowCardinality(String))", 0},
        [NATIVE_MAP_I16_U64] = {"Map(Int16, UInt64)", 2},
};

static bool has_dictionary(enum native_type t) {
    return t == NATIVE_LC_STRING || t == NATIVE_MAP_LC_STRING || t == NATIVE_ARRAY_LC_STRING;
}

static bool has_offsets(enum native_type t) {
    return t == NATIVE_MAP_LC_STRING || t == NATIVE_ARRAY_U8 || t == NATIVE_ARRAY_U32 ||
           t == NATIVE_ARRAY_LC_STRING || t == NATIVE_MAP_I16_U64;
}

static bool has_texts(enum native_type t) {
    return t == NATIVE_STRING || t == NATIVE_MAP_LC_STRING;
}

int native_block_new(const struct native_column_def *defs, size_t n, size_t bytes_cap,
                     struct native_block **ret) {
    struct native_block *b = memory_alloc(sizeof(*b));
    struct column *columns = memory_alloc(n * sizeof(*columns));

    if (!b || !columns) {
        free(b);
        free(columns);
        return -ENOMEM;
    }
    *b = (struct native_block){.defs = defs,
                               .columns = columns,
                               .n = n,
                               .cap = bytes_cap < BLOCK_BYTES_MAX ? bytes_cap : BLOCK_BYTES_MAX};
    for (size_t i = 0; i < n; i++) {
        struct column *c = &columns[i];
        *c = (struct column){.type = defs[i].type, .width = types[defs[i].type].width};
        buffer_init(&c->data, SIZE_MAX / 2);
        buffer_init(&c->values, SIZE_MAX / 2);
        buffer_init(&c->offsets, SIZE_MAX / 2);
        dictionary_init(&c->dictionary);
    }
    *ret = b;
    return 0;
}

void native_block_shrink(struct native_block *b) {
    assert(b->rows == 0);
    for (size_t i = 0; i < b->n; i++) {
        buffer_done(&b->columns[i].data);
        buffer_done(&b->columns[i].values);
        buffer_done(&b->columns[i].offsets);
        dictionary_done(&b->columns[i].dictionary);
    }
    free(b->checkpoints.items);
    memset(&b->checkpoints, 0, sizeof(b->checkpoints));
    b->bytes = 0;
}

void native_block_free(struct native_block *b) {
    if (!b)
        return;
    b->rows = 0;
    native_block_shrink(b);
    free(b->columns);
    free(b);
}

void native_block_clear(struct native_block *b) {
    for (size_t i = 0; i < b->n; i++) {
        buffer_clear(&b->columns[i].data);
        buffer_clear(&b->columns[i].values);
        buffer_clear(&b->columns[i].offsets);
        dictionary_clear(&b->columns[i].dictionary);
    }
    b->checkpoints.n = 0;
    b->rows = b->bytes = 0;
}

const uint8_t *native_block_wide(const struct native_block *b, unsigned column) {
    assert(column < b->n && b->columns[column].width == 8);
    return b->columns[column].data.data;
}

size_t native_block_rows(const struct native_block *b) {
    return b->rows;
}

size_t native_block_bytes(const struct native_block *b) {
    return b->bytes;
}

/* ---- Values ---- */

/* Room for `n` bytes in `f`, counted into the block; NULL with *ret_r set. */
static inline uint8_t *take(struct native_block *b, struct buffer *f, size_t n, int *ret_r) {
    if (n > b->cap - b->bytes) {
        *ret_r = -ENOBUFS;
        return NULL;
    }
    uint8_t *p = native_room(f, n);
    if (!p) {
        *ret_r = -ENOMEM;
        return NULL;
    }
    f->size += n;
    b->bytes += n;
    return p;
}

int native_put_u64(struct native_block *b, unsigned c, uint64_t v) {
    int r = 0;

    assert(c < b->n && b->columns[c].type <= NATIVE_DATETIME64_3 &&
           b->columns[c].type != NATIVE_F64);
    struct column *col = &b->columns[c];
    uint8_t *p = take(b, &col->data, col->width, &r);
    if (!p)
        return r;
    switch (col->width) { /* little-endian */
    case 1: *p = (uint8_t) v; break;
    case 2: memcpy(p, &v, 2); break;
    case 4: memcpy(p, &v, 4); break;
    default: memcpy(p, &v, 8); break;
    }
    return 0;
}

int native_put_f64(struct native_block *b, unsigned c, double v) {
    int r = 0;

    assert(c < b->n && b->columns[c].type == NATIVE_F64);
    uint8_t *p = take(b, &b->columns[c].data, 8, &r);
    if (p)
        memcpy(p, &v, 8);
    return r;
}

int native_put_fixed(struct native_block *b, unsigned c, const uint8_t *bytes) {
    int r = 0;

    assert(c < b->n &&
           (b->columns[c].type == NATIVE_FIXED8 || b->columns[c].type == NATIVE_FIXED16));
    struct column *col = &b->columns[c];
    uint8_t *p = take(b, &col->data, col->width, &r);
    if (p)
        memcpy(p, bytes, col->width);
    return r;
}

static int put_text(struct native_block *b, struct buffer *f, struct slice s) {
    uint8_t head[NATIVE_LEB128_MAX];
    size_t n = native_leb128(head, s.size);
    int r = 0;

    if (s.size > BLOCK_BYTES_MAX)
        return -ENOBUFS;
    uint8_t *p = take(b, f, n + s.size, &r);
    if (!p)
        return r;
    memcpy(p, head, n);
    if (s.size)
        memcpy(p + n, s.data, s.size);
    return 0;
}

static int put_index(struct native_block *b, struct column *col, struct slice s) {
    if (b->cap - b->bytes < 4 + NATIVE_LEB128_MAX)
        return -ENOBUFS;
    ssize_t n = dictionary_put(&col->dictionary, s, b->cap - b->bytes - 4 - NATIVE_LEB128_MAX);
    if (n < 0)
        return (int) n;
    b->bytes += (size_t) n;
    return 0;
}

int native_put_string(struct native_block *b, unsigned c, struct slice s) {
    assert(c < b->n &&
           (b->columns[c].type == NATIVE_STRING || b->columns[c].type == NATIVE_LC_STRING));
    struct column *col = &b->columns[c];

    if (col->type == NATIVE_LC_STRING)
        return put_index(b, col, s);
    return put_text(b, &col->data, s);
}

int native_map_entry(struct native_block *b, unsigned c, struct slice key, struct slice value) {
    assert(c < b->n && b->columns[c].type == NATIVE_MAP_LC_STRING);
    struct column *col = &b->columns[c];
    int r = put_text(b, &col->data, value);

    return r < 0 ? r : put_index(b, col, key);
}

int native_array_item(struct native_block *b, unsigned c, uint32_t v) {
    int r = 0;

    assert(c < b->n &&
           (b->columns[c].type == NATIVE_ARRAY_U8 || b->columns[c].type == NATIVE_ARRAY_U32));
    uint8_t *p = take(b, &b->columns[c].data, b->columns[c].width, &r);
    if (p)
        memcpy(p, &v, b->columns[c].width); /* little-endian */
    return r;
}

int native_array_text(struct native_block *b, unsigned c, struct slice s) {
    assert(c < b->n && b->columns[c].type == NATIVE_ARRAY_LC_STRING);
    return put_index(b, &b->columns[c], s);
}

int native_sketch_entry(struct native_block *b, unsigned c, int16_t bucket, uint64_t count) {
    int r = 0;

    assert(c < b->n && b->columns[c].type == NATIVE_MAP_I16_U64);
    uint8_t *p = take(b, &b->columns[c].data, 2, &r);
    if (!p)
        return r;
    memcpy(p, &bucket, 2);
    p = take(b, &b->columns[c].values, 8, &r);
    if (p)
        memcpy(p, &count, 8);
    return r;
}

/* Entries of the arrays or maps of all rows so far. */
static uint64_t column_items(const struct column *col) {
    if (has_dictionary(col->type))
        return col->dictionary.items;
    return col->data.size / col->width;
}

int native_close(struct native_block *b, unsigned c) {
    int r = 0;

    assert(c < b->n && has_offsets(b->columns[c].type));
    uint64_t items = column_items(&b->columns[c]);
    uint8_t *p = take(b, &b->columns[c].offsets, 8, &r);
    if (p)
        memcpy(p, &items, 8);
    return r;
}

void native_block_end_row(struct native_block *b) {
    if (++b->rows % CHECKPOINT_ROWS)
        return;
    /* Without memory there is no checkpoint here, and a roll-back walks further. */
    size_t n = b->checkpoints.n;
    int r = vector_push(&b->checkpoints, b->rows, SIZE_MAX);
    for (size_t i = 0; i < b->n && r == 0; i++)
        r = vector_push(&b->checkpoints, b->columns[i].data.size, SIZE_MAX);
    if (r < 0)
        b->checkpoints.n = n;
}

/* ---- Rolling back ---- */

size_t native_block_mark(const struct native_block *b) {
    return b->rows;
}

static uint64_t items_at(const struct column *col, size_t row) {
    uint64_t items = 0;

    if (row)
        memcpy(&items, col->offsets.data + (row - 1) * 8, 8);
    return items;
}

/* Where the text `n` places after `at` begins. */
static size_t texts_skip(const struct buffer *f, size_t at, size_t n) {
    while (n-- > 0) {
        size_t size = 0;
        for (unsigned shift = 0;; shift += 7) {
            uint8_t byte = f->data[at++];
            size |= (size_t) (byte & 0x7f) << shift;
            if (!(byte & 0x80))
                break;
        }
        at += size;
    }
    assert(at <= f->size);
    return at;
}

static void column_rollback(struct column *col, size_t mark, size_t from_row, size_t from_at) {
    uint64_t items = mark;

    if (has_offsets(col->type)) {
        items = items_at(col, mark);
        buffer_truncate(&col->offsets, mark * 8);
    }
    if (has_texts(col->type)) {
        uint64_t from = col->type == NATIVE_STRING ? from_row : items_at(col, from_row);
        buffer_truncate(&col->data, texts_skip(&col->data, from_at, items - from));
    } else {
        buffer_truncate(&col->data, items * col->width);
    }
    if (col->type == NATIVE_MAP_I16_U64)
        buffer_truncate(&col->values, items * 8);
    if (has_dictionary(col->type))
        dictionary_truncate(&col->dictionary, items);
}

void native_block_rollback(struct native_block *b, size_t mark) {
    size_t step = b->n + 1, k = b->checkpoints.n;

    assert(mark <= b->rows);
    while (k > 0 && b->checkpoints.items[k - step] > mark)
        k -= step;
    b->checkpoints.n = k;
    const size_t *from = k ? &b->checkpoints.items[k - step] : NULL;
    b->bytes = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct column *col = &b->columns[i];
        column_rollback(col, mark, from ? from[0] : 0, from ? from[1 + i] : 0);
        b->bytes += col->data.size + col->values.size + col->offsets.size +
                    dictionary_bytes(&col->dictionary);
    }
    b->rows = mark;
}

/* ---- Writing ---- */

struct sender {
    native_sink sink;
    void *ctx;
    int r;
};

static void emit(struct sender *s, const void *data, size_t size) {
    if (s->r == 0 && size)
        s->r = s->sink(s->ctx, data, size);
}

static void emit_text(struct sender *s, const char *text) {
    uint8_t head[NATIVE_LEB128_MAX];
    size_t size = strlen(text);

    emit(s, head, native_leb128(head, size));
    emit(s, text, size);
}

static void emit_u64(struct sender *s, uint64_t v) {
    emit(s, &v, 8);
}

static void emit_dictionary(struct sender *s, const struct dictionary *d) {
    if (d->items == 0)
        return; /* no items are no bytes */
    emit_u64(s, DICTIONARY_FLAGS | d->width_log2);
    emit_u64(s, d->n);
    emit(s, d->strings.data, d->strings.size);
    emit_u64(s, d->items);
    emit(s, d->indexes.data, d->indexes.size);
}

/* Whether the column has exactly one value for each of `rows` rows. */
static bool column_is_whole(const struct column *col, size_t rows) {
    if (has_offsets(col->type))
        return col->offsets.size == rows * 8 && items_at(col, rows) == column_items(col);
    if (col->type == NATIVE_LC_STRING)
        return col->dictionary.items == rows;
    return col->type == NATIVE_STRING || col->data.size == rows * col->width;
}

int native_block_send(const struct native_block *b, native_sink sink, void *ctx) {
    struct sender s = {.sink = sink, .ctx = ctx};
    uint8_t head[2 * NATIVE_LEB128_MAX];

    for (size_t i = 0; i < b->n; i++)
        if (!column_is_whole(&b->columns[i], b->rows))
            return -EINVAL;
    size_t n = native_leb128(head, b->n);
    n += native_leb128(head + n, b->rows);
    emit(&s, head, n);
    for (size_t i = 0; i < b->n; i++) {
        const struct column *col = &b->columns[i];
        emit_text(&s, b->defs[i].name);
        emit_text(&s, b->defs[i].type_name ? b->defs[i].type_name : types[col->type].name);
        if (b->rows == 0)
            continue;
        if (has_dictionary(col->type))
            emit_u64(&s, DICTIONARY_VERSION);
        emit(&s, col->offsets.data, col->offsets.size);
        if (has_dictionary(col->type))
            emit_dictionary(&s, &col->dictionary);
        emit(&s, col->data.data, col->data.size);
        emit(&s, col->values.data, col->values.size);
    }
    return s.r;
}

static int to_buffer(void *ctx, const void *data, size_t size) {
    return buffer_append(ctx, data, size);
}

int native_block_write(const struct native_block *b, struct buffer *out) {
    size_t before = out->size;
    int r = native_block_send(b, to_buffer, out);

    if (r < 0)
        buffer_truncate(out, before);
    return r;
}
