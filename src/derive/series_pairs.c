/* Label pairs and their series, and the hash tables of the index: see series_private.h. */
#include "derive/series_private.h"

#include <errno.h>

#define DEAD UINT32_MAX

/* ---- Hash tables ---- */

static size_t slot_of(const struct slots *s, uint64_t hash) {
    return hash & (s->n - 1);
}

static void slots_insert(struct slots *s, uint64_t item_hash, uint64_t item) {
    size_t i = slot_of(s, item_hash);

    while (s->items[i])
        i = (i + 1) & (s->n - 1);
    s->items[i] = item;
}

/* The table keeps 32 bits of each hash: enough to rehash up to 2^32 slots. */
static int slots_grow(struct slots *s) {
    size_t n = s->n ? s->n : 64;

    while ((s->used - s->dead + 1) * 2 > n)
        n *= 2;
    uint64_t *old = s->items, *items = memory_alloc(n * sizeof(*items));
    if (!items)
        return -ENOMEM;
    memset(items, 0, n * sizeof(*items));
    size_t old_n = s->n;
    *s = (struct slots){items, n, s->used - s->dead, 0};
    for (size_t i = 0; i < old_n; i++)
        if ((uint32_t) old[i] && (uint32_t) old[i] != DEAD)
            slots_insert(s, old[i] >> 32, old[i]);
    free(old);
    return 0;
}

static uint64_t slot_item(uint64_t hash, uint32_t v) {
    return hash << 32 | (v + 1);
}

int slots_put(struct slots *s, uint64_t hash, uint32_t v) {
    if ((s->used + 1) * 4 > s->n * 3) {
        int r = slots_grow(s);
        if (r < 0)
            return r;
    }
    slots_insert(s, (uint32_t) hash, slot_item(hash, v));
    s->used++;
    return 0;
}

void slots_remove(struct slots *s, uint64_t hash, uint32_t v) {
    if (!s->n)
        return;
    for (size_t i = slot_of(s, (uint32_t) hash); s->items[i]; i = (i + 1) & (s->n - 1))
        if (s->items[i] == slot_item(hash, v)) {
            s->items[i] = DEAD;
            s->dead++;
            return;
        }
}

bool slots_next(const struct slots *s, uint64_t hash, size_t *at, uint32_t *ret) {
    if (!s->n)
        return false;
    for (;; ++*at) {
        uint64_t item = s->items[(slot_of(s, (uint32_t) hash) + *at) & (s->n - 1)];
        if (!item || *at == s->n)
            return false;
        if (item >> 32 != (uint32_t) hash || (uint32_t) item == DEAD)
            continue;
        *ret = (uint32_t) item - 1;
        ++*at;
        return true;
    }
}

/* ---- Names ---- */

uint32_t name_find(const struct series_index *x, struct slice name) {
    const struct map_entry *m = map_get(&x->name_numbers, name);

    return m ? (uint32_t) m->number : UINT32_MAX;
}

static int name_put(struct series_index *x, struct slice name, uint32_t *ret) {
    struct label_name n = {.name = name};
    bool added;

    *ret = name_find(x, name);
    if (*ret != UINT32_MAX)
        return 0;
    int r = vector_push(&x->names, n, SERIES_LABEL_NAMES_MAX);
    if (r < 0)
        return r == -ENOBUFS ? -ENOSPC : r;
    struct map_entry *m = map_put(&x->name_numbers, name, &added);
    if (!m) {
        x->names.n--;
        return x->name_numbers.n >= SERIES_LABEL_NAMES_MAX ? -ENOSPC : -ENOMEM;
    }
    m->number = *ret = (uint32_t) x->names.n - 1;
    x->names.items[*ret].name = m->key;
    x->bytes += sizeof(n) + name.size + 64;
    return 0;
}

/* ---- Pairs ---- */

static uint64_t pair_hash(uint32_t name, struct slice value) {
    return slice_hash(value) ^ (uint64_t) (name + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

uint32_t pair_find(const struct series_index *x, uint32_t name, struct slice value) {
    uint64_t hash = pair_hash(name, value);
    uint32_t p;

    for (size_t at = 0; slots_next(&x->pair_slots, hash, &at, &p);)
        if (x->pairs[p].name == name && slice_equal(pair_value(&x->pairs[p]), value))
            return p;
    return UINT32_MAX;
}

static int pair_room(struct series_index *x, uint32_t *ret) {
    if (x->free_pairs.n) {
        *ret = x->free_pairs.items[--x->free_pairs.n];
        return 0;
    }
    if (x->n_pairs == x->pairs_allocated) {
        uint32_t want = x->pairs_allocated ? x->pairs_allocated + x->pairs_allocated / 2 : 1024;
        struct pair *p = memory_realloc(x->pairs, want * sizeof(*p));
        if (!p)
            return -ENOMEM;
        x->bytes += (want - x->pairs_allocated) * sizeof(*p);
        x->pairs = p;
        x->pairs_allocated = want;
    }
    *ret = x->n_pairs++;
    return 0;
}

int pair_put(struct series_index *x, struct label l, uint32_t *ret) {
    uint32_t name, at;
    int r = name_put(x, l.name, &name);

    if (r < 0)
        return r;
    *ret = pair_find(x, name, l.value);
    if (*ret != UINT32_MAX)
        return 0;
    uint8_t *value = memory_alloc(l.value.size + 1);
    r = value ? pair_room(x, &at) : -ENOMEM;
    if (r == 0) {
        x->pairs[at] = (struct pair){.value = value, .size = (uint32_t) l.value.size, .name = name};
        memcpy(value, l.value.data, l.value.size);
        r = slots_put(&x->pair_slots, pair_hash(name, l.value), at);
        if (r == 0)
            r = vector_push(&x->names.items[name].pairs, at, UINT32_MAX);
        if (r < 0) {
            slots_remove(&x->pair_slots, pair_hash(name, l.value), at);
            x->pairs[at].value = NULL;
            vector_push(&x->free_pairs, at, UINT32_MAX);
        }
    }
    if (r < 0) {
        free(value);
        return r;
    }
    x->bytes += (l.value.size + 1 + 23) / 16 * 16;
    x->pairs_present++;
    *ret = at;
    return 0;
}

int pair_add_series(struct series_index *x, uint32_t pair, uint32_t at) {
    struct pair *p = &x->pairs[pair];

    if (p->n == 0 && !p->allocated) {
        p->one = at;
        p->n = 1;
        return 0;
    }
    if (!p->allocated || p->n == p->allocated) {
        uint32_t want = p->allocated ? p->allocated + p->allocated / 2 : 4, one = p->one;
        uint32_t *refs = memory_realloc(p->allocated ? p->refs : NULL, want * sizeof(*refs));
        if (!refs)
            return -ENOMEM;
        if (!p->allocated)
            refs[0] = one;
        x->bytes += (want - p->allocated) * sizeof(*refs);
        p->refs = refs;
        p->allocated = want;
    }
    uint32_t i = p->n++; /* mostly the largest */
    for (; i > 0 && p->refs[i - 1] > at; i--)
        p->refs[i] = p->refs[i - 1];
    p->refs[i] = at;
    return 0;
}

void pair_drop(struct series_index *x, uint32_t pair) {
    struct pair *p = &x->pairs[pair];

    slots_remove(&x->pair_slots, pair_hash(p->name, pair_value(p)), pair);
    x->bytes -= (p->size + 1 + 23) / 16 * 16 + p->allocated * sizeof(uint32_t);
    free(p->value);
    if (p->allocated)
        free(p->refs);
    *p = (struct pair){0};
    x->pairs_present--;
    vector_push(&x->free_pairs, pair, UINT32_MAX); /* without memory the place stays unused */
}

void pair_sweep(struct series_index *x, uint32_t pair) {
    struct pair *p = &x->pairs[pair];
    uint32_t n = 0;

    if (!p->value)
        return;
    if (!p->allocated) {
        if (p->n && series_at(x, p->one)->id == 0)
            p->n = 0;
    } else {
        for (uint32_t i = 0; i < p->n; i++)
            if (series_at(x, p->refs[i])->id)
                p->refs[n++] = p->refs[i];
        p->n = n;
    }
}
