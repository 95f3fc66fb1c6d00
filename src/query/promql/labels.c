/* Label sets. Memory: the arena given. One owner at a time. */
#include "query/promql/labels.h"

#include "query/promql/ast.h"

#include <errno.h>
#include <xxhash.h>

const struct promql_labels promql_no_labels = {0};

uint64_t promql_labels_hash(const struct promql_label *items, uint32_t n) {
    uint64_t h = 0x9e3779b97f4a7c15u + n;

    if (n == 0)
        return 0; /* as promql_no_labels has it */
    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ slice_hash(items[i].name)) * UINT64_C(0xff51afd7ed558ccd);
        h = (h ^ (h >> 32) ^ slice_hash(items[i].value)) * UINT64_C(0xc4ceb9fe1a85ec53);
    }
    return h ^ (h >> 29);
}

static const struct promql_labels *labels_finish(struct arena *a, struct promql_label *items,
                                                 uint32_t n) {
    struct promql_labels *l = arena_new(a, struct promql_labels);

    if (!l)
        return NULL;
    *l = (struct promql_labels){n, promql_labels_hash(items, n), items};
    return l;
}

const struct promql_labels *labels_make(struct arena *a, const struct promql_label *items,
                                        uint32_t n) {
    struct promql_label *copy = arena_array(a, struct promql_label, n);
    uint32_t m = 0;

    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, items, n * sizeof(*items));
    /* Mostly sorted already; an insertion sort is stable, which the rule for equal names needs. */
    for (uint32_t i = 1; i < n; i++) {
        struct promql_label x = copy[i];
        uint32_t j = i;

        for (; j > 0 && slice_compare(copy[j - 1].name, x.name) > 0; j--)
            copy[j] = copy[j - 1];
        copy[j] = x;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 < n && slice_equal(copy[i].name, copy[i + 1].name))
            continue;
        if (copy[i].value.size)
            copy[m++] = copy[i];
    }
    return labels_finish(a, copy, m);
}

struct slice promql_labels_get(const struct promql_labels *l, struct slice name) {
    for (uint32_t i = 0; i < l->n; i++)
        if (slice_equal(l->items[i].name, name))
            return l->items[i].value;
    return SLICE_EMPTY;
}

const struct promql_labels *labels_set(struct arena *a, const struct promql_labels *l,
                                       struct slice name, struct slice value) {
    struct promql_label *items = arena_array(a, struct promql_label, l->n + 1u);
    uint32_t n = 0, i = 0;

    if (!items)
        return NULL;
    while (i < l->n && slice_compare(l->items[i].name, name) < 0)
        items[n++] = l->items[i++];
    if (value.size)
        items[n++] = (struct promql_label){name, value};
    if (i < l->n && slice_equal(l->items[i].name, name))
        i++;
    while (i < l->n)
        items[n++] = l->items[i++];
    return labels_finish(a, items, n);
}

static bool named(struct slice name, const struct slice *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (slice_equal(names[i], name))
            return true;
    return false;
}

const struct promql_labels *labels_select(struct arena *a, const struct promql_labels *l,
                                          const struct slice *names, size_t n_names, bool keep) {
    struct promql_label *items = arena_array(a, struct promql_label, l->n);
    uint32_t n = 0;

    if (!items)
        return NULL;
    for (uint32_t i = 0; i < l->n; i++)
        if (named(l->items[i].name, names, n_names) == keep)
            items[n++] = l->items[i];
    return labels_finish(a, items, n);
}

const struct promql_labels *labels_copy(struct arena *a, const struct promql_labels *l) {
    struct promql_labels *copy = arena_new(a, struct promql_labels);
    struct promql_label *items = arena_array(a, struct promql_label, l->n);

    if (!copy || !items)
        return NULL;
    for (uint32_t i = 0; i < l->n; i++) {
        items[i].name = arena_dup(a, l->items[i].name);
        items[i].value = arena_dup(a, l->items[i].value);
        if (!items[i].name.data || !items[i].value.data)
            return NULL;
    }
    *copy = (struct promql_labels){l->n, l->hash, items};
    return copy;
}

const struct promql_labels *labels_drop_name(struct arena *a, const struct promql_labels *l) {
    static const struct slice metadata[] = {
            {(const uint8_t *) "__name__", 8},
            {(const uint8_t *) "__type__", 8},
            {(const uint8_t *) "__unit__", 8},
    };

    for (uint32_t i = 0; i < l->n; i++)
        if (named(l->items[i].name, metadata, 3))
            return labels_select(a, l, metadata, 3, false);
    return l;
}

bool labels_equal(const struct promql_labels *a, const struct promql_labels *b) {
    if (a == b)
        return true;
    if (a->hash != b->hash || a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!slice_equal(a->items[i].name, b->items[i].name) ||
            !slice_equal(a->items[i].value, b->items[i].value))
            return false;
    return true;
}

int labels_compare(const struct promql_labels *a, const struct promql_labels *b) {
    uint32_t n = a->n < b->n ? a->n : b->n;

    for (uint32_t i = 0; i < n; i++) {
        int c = slice_compare(a->items[i].name, b->items[i].name);

        if (c == 0)
            c = slice_compare(a->items[i].value, b->items[i].value);
        if (c)
            return c;
    }
    return (a->n > b->n) - (a->n < b->n);
}

/* A length as Prometheus packs label strings: one byte, or 255 and three bytes. */
static uint8_t *put_size(uint8_t *p, size_t size) {
    if (size < 255) {
        *p++ = (uint8_t) size;
        return p;
    }
    *p++ = 255;
    *p++ = (uint8_t) size;
    *p++ = (uint8_t) (size >> 8);
    *p++ = (uint8_t) (size >> 16);
    return p;
}

uint64_t labels_prometheus_hash(struct arena *scratch, const struct promql_labels *l) {
    size_t size = 0;

    for (uint32_t i = 0; i < l->n; i++)
        size += l->items[i].name.size + l->items[i].value.size + 8;
    uint8_t *data = arena_alloc(scratch, size), *p = data;
    if (!data)
        return l->hash;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct slice parts[2] = {l->items[i].name, l->items[i].value};

        for (int k = 0; k < 2; k++) {
            p = put_size(p, parts[k].size);
            if (parts[k].size)
                memcpy(p, parts[k].data, parts[k].size);
            p += parts[k].size;
        }
    }
    return XXH64(data, (size_t) (p - data), 0);
}

/* ---- Printing. ---- */

void promql_labels_print(const struct promql_labels *l, struct buffer *out) {
    struct slice name = promql_labels_get(l, PROMQL_METRIC_NAME);
    bool plain = print_is_plain_name(name, true), first = true;

    if (plain)
        buffer_append_slice(out, name);
    if (l->n == 1 && plain)
        return;
    buffer_append_u8(out, '{');
    if (name.size && !plain) {
        print_quoted_string(name, out);
        first = false;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        if (slice_equal(l->items[i].name, PROMQL_METRIC_NAME))
            continue;
        if (!first)
            buffer_append_text(out, ", ");
        first = false;
        if (print_is_plain_name(l->items[i].name, false))
            buffer_append_slice(out, l->items[i].name);
        else
            print_quoted_string(l->items[i].name, out);
        buffer_append_u8(out, '=');
        print_quoted_string(l->items[i].value, out);
    }
    buffer_append_u8(out, '}');
}

/* ---- Table. ---- */

void labels_table_init(struct labels_table *t, struct arena *a) {
    *t = (struct labels_table){.arena = a};
}

static uint32_t *find_slot(const struct labels_table *t, const struct promql_labels *l) {
    size_t i = l->hash & (t->n_slots - 1);

    while (t->slots[i] && !labels_equal(t->sets[t->slots[i] - 1], l))
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

static int table_grow(struct labels_table *t) {
    size_t n_slots = t->n_slots ? t->n_slots * 2 : 64;
    uint32_t *slots = arena_array(t->arena, uint32_t, n_slots);
    const struct promql_labels **sets = arena_alloc(t->arena, n_slots / 2 * sizeof(*sets));

    if (!slots || !sets)
        return -ENOMEM;
    if (t->n)
        memcpy(sets, t->sets, t->n * sizeof(*sets));
    t->slots = slots;
    t->n_slots = n_slots;
    t->sets = sets;
    t->allocated = n_slots / 2;
    for (size_t i = 0; i < t->n; i++)
        *find_slot(t, sets[i]) = (uint32_t) i + 1;
    return 0;
}

int64_t labels_table_put(struct labels_table *t, const struct promql_labels *l) {
    if (t->n == t->allocated) {
        int r = t->n < UINT32_MAX / 4 ? table_grow(t) : -ENOMEM;

        if (r < 0)
            return r;
    }
    uint32_t *slot = find_slot(t, l);
    if (!*slot) {
        t->sets[t->n++] = l;
        *slot = (uint32_t) t->n;
    }
    return *slot - 1;
}

int64_t labels_table_get(const struct labels_table *t, const struct promql_labels *l) {
    return t->n_slots ? (int64_t) *find_slot(t, l) - 1 : -1;
}
