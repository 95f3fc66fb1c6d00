/*
 * Reading answers in ClickHouse's Native format (as printed without a protocol revision). The bytes
 * stay the caller's; an index into them is kept in an arena that is bounded by their size.
 * Everything is checked once, in native_reader_new(); the accessors only look up. After that a
 * reader may be used by several threads.
 *
 * Source of the format: ClickHouse's NativeReader and Serialization* classes, as measured against
 * the engine in tests/unit/store.
 */
#include "wire/native.h"
#include "wire/native_type.h"

#include <assert.h>
#include <errno.h>

#define COLUMNS_MAX 1024u
#define ARENA_SLACK (64u << 10)
#define ARENA_FACTOR 64u /* a block of one row and short columns has more index than bytes */
#define NEEDS_GLOBAL_DICTIONARY 0x100u
#define HAS_ADDITIONAL_KEYS 0x200u

/* Values of one scalar type: of a column, or of the entries of its arrays or maps. */
struct leaf {
    const struct native_parsed *type;
    const uint8_t *nulls; /* one byte each, or NULL */
    const uint8_t *fixed; /* width bytes each */
    const struct slice *texts;
    const uint8_t *indexes; /* low cardinality: into fixed/texts */
    uint8_t index_width;
    size_t n; /* values; of the dictionary when there is one */
};

struct column {
    struct native_parsed type;
    const uint8_t *offsets; /* arrays and maps: u64, the end of each row's entries */
    struct leaf leaf, key;
};

struct block {
    size_t first, rows;
    struct column *columns;
    struct block *next;
};

struct native_reader {
    struct arena arena;
    struct slice rest;
    size_t rows, n;
    struct slice *names;
    struct block *head, *tail;
    const struct block **blocks; /* by position, for finding a row */
    size_t n_blocks;
};

/* ---- Taking bytes ---- */

static int take(struct native_reader *r, size_t n, const uint8_t **ret) {
    if (n > r->rest.size)
        return -EBADMSG;
    *ret = r->rest.data;
    r->rest = slice_skip(r->rest, n);
    return 0;
}

static int take_array(struct native_reader *r, size_t n, size_t width, const uint8_t **ret) {
    size_t bytes;

    if (__builtin_mul_overflow(n, width, &bytes))
        return -EBADMSG;
    return take(r, bytes, ret);
}

static int take_u64(struct native_reader *r, uint64_t *ret) {
    const uint8_t *p;
    int e = take(r, 8, &p);

    if (e == 0)
        memcpy(ret, p, 8);
    return e;
}

static int take_leb128(struct native_reader *r, uint64_t *ret) {
    uint64_t v = 0;

    for (unsigned i = 0; i < 10; i++) {
        if (i >= r->rest.size)
            return -EBADMSG;
        uint8_t byte = r->rest.data[i];
        if (i == 9 && byte > 1)
            return -EBADMSG;
        v |= (uint64_t) (byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            r->rest = slice_skip(r->rest, i + 1);
            *ret = v;
            return 0;
        }
    }
    return -EBADMSG;
}

static int take_text(struct native_reader *r, struct slice *ret) {
    const uint8_t *p;
    uint64_t size;
    int e = take_leb128(r, &size);

    if (e == 0)
        e = take(r, size, &p);
    if (e == 0)
        *ret = slice_new(p, size);
    return e;
}

/* ---- Columns ---- */

/* `n` values of the leaf's plain type. */
static int read_values(struct native_reader *r, struct leaf *l, size_t n) {
    l->n = n;
    if (l->type->kind != KIND_TEXT)
        return take_array(r, n, l->type->width, &l->fixed);
    if (n > r->rest.size) /* each has at least its length */
        return -EBADMSG;
    struct slice *texts = arena_array(&r->arena, struct slice, n);
    if (!texts)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int e = take_text(r, &texts[i]);
        if (e < 0)
            return e;
    }
    l->texts = texts;
    return 0;
}

static uint64_t index_at(const struct leaf *l, size_t i) {
    uint64_t v = 0;

    memcpy(&v, l->indexes + i * l->index_width, l->index_width);
    return v;
}

static int read_dictionary(struct native_reader *r, struct leaf *l, size_t n) {
    uint64_t flags, size, rows;
    int e = take_u64(r, &flags);

    if (e < 0)
        return e;
    if ((flags & 0xff) > 3 || (flags & NEEDS_GLOBAL_DICTIONARY) || !(flags & HAS_ADDITIONAL_KEYS))
        return -EBADMSG;
    l->index_width = (uint8_t) (1u << (flags & 0xff));
    e = take_u64(r, &size);
    if (e < 0)
        return e;
    e = read_values(r, l, size);
    if (e < 0)
        return e;
    e = take_u64(r, &rows);
    if (e < 0)
        return e;
    if (rows != n)
        return -EBADMSG;
    e = take_array(r, n, l->index_width, &l->indexes);
    for (size_t i = 0; e == 0 && i < n; i++)
        if (index_at(l, i) >= size)
            e = -EBADMSG;
    return e;
}

/* What comes before a column's values: the version of a dictionary's encoding. */
static int read_prefix(struct native_reader *r, const struct native_parsed *type) {
    uint64_t version;

    if (!type->low_cardinality)
        return 0;
    int e = take_u64(r, &version);
    return e < 0 ? e : version == 1 ? 0 : -EBADMSG;
}

static int read_leaf(struct native_reader *r, struct leaf *l, size_t n) {
    if (l->type->low_cardinality)
        return n ? read_dictionary(r, l, n) : 0;
    if (l->type->nullable) {
        int e = take(r, n, &l->nulls);
        if (e < 0)
            return e;
    }
    return read_values(r, l, n);
}

/* The ends of the rows' entries; *ret_items is the last of them. */
static int read_offsets(struct native_reader *r, struct column *c, size_t rows, size_t *ret_items) {
    uint64_t before = 0;
    int e = take_array(r, rows, 8, &c->offsets);

    for (size_t i = 0; e == 0 && i < rows; i++) {
        uint64_t end;
        memcpy(&end, c->offsets + i * 8, 8);
        if (end < before)
            e = -EBADMSG;
        before = end;
    }
    if (e == 0)
        *ret_items = before;
    return e;
}

static int read_column(struct native_reader *r, struct column *c, size_t rows) {
    size_t items = rows;
    int e = 0;

    c->leaf.type = &c->type;
    if (rows == 0)
        return 0;
    if (c->type.kind == KIND_ARRAY || c->type.kind == KIND_MAP) {
        c->leaf.type = c->type.item;
        c->key.type = c->type.key;
        if (c->type.kind == KIND_MAP)
            e = read_prefix(r, c->key.type);
        if (e == 0)
            e = read_prefix(r, c->leaf.type);
        if (e == 0)
            e = read_offsets(r, c, rows, &items);
        if (e == 0 && c->type.kind == KIND_MAP)
            e = read_leaf(r, &c->key, items);
    } else {
        e = read_prefix(r, &c->type);
    }
    return e < 0 ? e : read_leaf(r, &c->leaf, items);
}

/* ---- Blocks ---- */

static int read_block_columns(struct native_reader *r, struct block *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct slice name, type;
        int e = take_text(r, &name);
        if (e == 0)
            e = take_text(r, &type);
        if (e == 0)
            e = native_type_parse(type, &r->arena, &b->columns[i].type);
        if (e < 0)
            return e;
        if (!r->head)
            r->names[i] = name;
        else if (!slice_equal(r->names[i], name) ||
                 r->head->columns[i].type.kind != b->columns[i].type.kind)
            return -EBADMSG;
        e = read_column(r, &b->columns[i], b->rows);
        if (e < 0)
            return e;
    }
    return 0;
}

static int read_block(struct native_reader *r) {
    uint64_t n, rows;
    int e = take_leb128(r, &n);

    if (e == 0)
        e = take_leb128(r, &rows);
    if (e < 0)
        return e;
    if (n > COLUMNS_MAX || rows > r->rest.size || (n == 0 && rows > 0) || (r->head && n != r->n))
        return -EBADMSG;
    struct block *b = arena_new(&r->arena, struct block);
    if (!b)
        return -ENOMEM;
    b->columns = arena_array(&r->arena, struct column, n);
    if (!r->head)
        r->names = arena_array(&r->arena, struct slice, n);
    if (!b->columns || !r->names)
        return -ENOMEM;
    b->first = r->rows;
    b->rows = rows;
    e = read_block_columns(r, b, n);
    if (e < 0)
        return e;
    if (r->tail)
        r->tail->next = b;
    else
        r->head = b;
    r->tail = b;
    r->n = n;
    r->rows += rows;
    r->n_blocks++;
    return 0;
}

static int read_all(struct native_reader *r) {
    while (r->rest.size) {
        int e = read_block(r);
        if (e < 0)
            return e;
    }
    r->blocks = arena_alloc(&r->arena, r->n_blocks * sizeof(*r->blocks));
    if (!r->blocks)
        return -ENOMEM;
    size_t i = 0;
    for (const struct block *b = r->head; b; b = b->next)
        r->blocks[i++] = b;
    return 0;
}

int native_reader_new(struct slice bytes, struct native_reader **ret) {
    struct native_reader *r = memory_alloc(sizeof(*r));

    if (!r)
        return -ENOMEM;
    *r = (struct native_reader){.rest = bytes};
    size_t cap;
    if (__builtin_mul_overflow(bytes.size, ARENA_FACTOR, &cap) ||
        __builtin_add_overflow(cap, ARENA_SLACK, &cap))
        cap = SIZE_MAX;
    arena_init(&r->arena, cap);
    int e = read_all(r);
    if (e < 0) {
        native_reader_free(r);
        return e;
    }
    *ret = r;
    return 0;
}

void native_reader_free(struct native_reader *r) {
    if (!r)
        return;
    arena_done(&r->arena);
    free(r);
}

size_t native_reader_rows(const struct native_reader *r) {
    return r->rows;
}

size_t native_reader_columns(const struct native_reader *r) {
    return r->n;
}

struct slice native_reader_name(const struct native_reader *r, unsigned column) {
    assert(column < r->n);
    return r->names[column];
}

/* ---- Access ---- */

/* The column's part that holds `*row`, which becomes the position in it. */
static const struct column *locate(const struct native_reader *r, size_t *row, unsigned column) {
    size_t low = 0, high = r->n_blocks;

    assert(*row < r->rows && column < r->n);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (r->blocks[middle]->first <= *row)
            low = middle;
        else
            high = middle;
    }
    *row -= r->blocks[low]->first;
    return &r->blocks[low]->columns[column];
}

static uint64_t widen(const uint8_t *p, uint32_t width, bool sign) {
    uint64_t v = 0;

    memcpy(&v, p, width);
    if (sign && width < 8) {
        unsigned shift = 64 - 8 * width;
        v = (uint64_t) ((int64_t) (v << shift) >> shift);
    }
    return v;
}

static struct native_cell leaf_cell(const struct leaf *l, size_t i) {
    struct native_cell cell = {0};

    if (l->nulls && l->nulls[i])
        return cell;
    if (l->indexes) {
        i = index_at(l, i);
        if (l->type->nullable && i == 0)
            return cell;
    }
    if (l->type->kind == KIND_TEXT) {
        cell.text = l->texts[i];
        return cell;
    }
    const uint8_t *p = l->fixed + i * l->type->width;
    switch (l->type->kind) {
    case KIND_BYTES: cell.text = slice_new(p, l->type->width); break;
    case KIND_FLOAT:
        if (l->type->width == 8) {
            memcpy(&cell.f64, p, 8);
        } else {
            float f;
            memcpy(&f, p, 4);
            cell.f64 = (double) f;
        }
        break;
    default: cell.u64 = widen(p, l->type->width, l->type->kind == KIND_SIGNED);
    }
    return cell;
}

struct native_cell native_reader_cell(const struct native_reader *r, size_t row, unsigned column) {
    const struct column *c = locate(r, &row, column);

    if (c->offsets)
        return (struct native_cell){0};
    return leaf_cell(&c->leaf, row);
}

size_t native_reader_blocks(const struct native_reader *r) {
    return r->n_blocks;
}

const uint8_t *native_reader_wide(const struct native_reader *r, size_t b, unsigned column,
                                  size_t *ret_rows) {
    assert(b < r->n_blocks && column < r->n);
    const struct leaf *l = &r->blocks[b]->columns[column].leaf;

    *ret_rows = r->blocks[b]->rows;
    if (r->blocks[b]->columns[column].offsets || !l->type || l->indexes || l->nulls || !l->fixed ||
        l->type->width != 8)
        return NULL;
    return l->fixed;
}

static size_t row_begin(const struct column *c, size_t row) {
    return row ? widen(c->offsets + (row - 1) * 8, 8, false) : 0;
}

size_t native_reader_length(const struct native_reader *r, size_t row, unsigned column) {
    const struct column *c = locate(r, &row, column);

    return c->offsets ? widen(c->offsets + row * 8, 8, false) - row_begin(c, row) : 0;
}

struct native_cell native_reader_item(const struct native_reader *r, size_t row, unsigned column,
                                      size_t i) {
    const struct column *c = locate(r, &row, column);

    assert(c->offsets && i < widen(c->offsets + row * 8, 8, false) - row_begin(c, row));
    return leaf_cell(&c->leaf, row_begin(c, row) + i);
}

struct native_cell native_reader_key(const struct native_reader *r, size_t row, unsigned column,
                                     size_t i) {
    const struct column *c = locate(r, &row, column);

    assert(c->offsets && c->key.type &&
           i < widen(c->offsets + row * 8, 8, false) - row_begin(c, row));
    return leaf_cell(&c->key, row_begin(c, row) + i);
}
