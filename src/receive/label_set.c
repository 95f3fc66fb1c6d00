/* Label sets. See label_set.h; memory is the arena's. */
#include "receive/label_set.h"

#include <errno.h>

void label_set_init(struct label_set *s, struct arena *a) {
    *s = (struct label_set){.arena = a};
}

/* Where the name is, or would be put. */
static size_t place(const struct label_set *s, struct slice name, bool *ret_found) {
    size_t i = 0;
    int order = 1;

    while (i < s->n && (order = slice_compare(s->items[i].name, name)) < 0)
        i++;
    *ret_found = i < s->n && order == 0;
    return i;
}

struct slice label_set_get(const struct label_set *s, struct slice name) {
    for (size_t i = 0; i < s->n; i++)
        if (slice_equal(s->items[i].name, name))
            return s->items[i].value;
    return SLICE_EMPTY;
}

static int grow(struct label_set *s) {
    size_t room = s->room ? s->room * 2 : 32;

    struct label *items = arena_alloc(s->arena, room * sizeof(*items));
    if (!items)
        return -ENOMEM;
    if (s->n)
        memcpy(items, s->items, s->n * sizeof(*items));
    s->items = items;
    s->room = room;
    return 0;
}

void label_set_remove(struct label_set *s, struct slice name) {
    bool found;
    size_t i = place(s, name, &found);

    if (!found)
        return;
    s->n--;
    memmove(s->items + i, s->items + i + 1, (s->n - i) * sizeof(*s->items));
}

void label_set_put(struct label_set *s, struct slice name, struct slice value) {
    bool found;
    size_t i = place(s, name, &found);

    if (!value.size) {
        if (found)
            label_set_remove(s, name);
        return;
    }
    if (found) {
        s->items[i].value = value;
        return;
    }
    if (s->n == s->room || s->n >= LABEL_SET_MAX) {
        int r = s->n >= LABEL_SET_MAX ? -ENOBUFS : grow(s);
        if (r < 0) {
            s->failed = r;
            return;
        }
    }
    memmove(s->items + i + 1, s->items + i, (s->n - i) * sizeof(*s->items));
    s->items[i] = (struct label){name, value};
    s->n++;
}

void label_items_print(const struct label *items, size_t n, struct buffer *to) {
    bool first = true;

    for (size_t i = 0; i < n; i++)
        if (slice_is(items[i].name, "__name__"))
            buffer_append_slice(to, items[i].value);
    buffer_append_u8(to, '{');
    for (size_t i = 0; i < n; i++) {
        if (slice_is(items[i].name, "__name__"))
            continue;
        buffer_printf(to, "%s%.*s=\"%.*s\"", first ? "" : ", ", SLICE_ARG(items[i].name),
                      SLICE_ARG(items[i].value));
        first = false;
    }
    buffer_append_u8(to, '}');
}

uint64_t label_items_hash(const struct label *items, size_t n) {
    uint64_t h = 0x9e3779b97f4a7c15;

    for (size_t i = 0; i < n; i++) {
        h = (h ^ slice_hash(items[i].name)) * 0xff51afd7ed558ccd;
        h = ((h ^ (h >> 32)) + slice_hash(items[i].value)) * 0xc4ceb9fe1a85ec53;
        h ^= h >> 29;
    }
    return h;
}

struct label *label_items_copy(const struct label *items, size_t n, struct arena *a) {
    struct label *copy = arena_alloc(a, n * sizeof(*copy));

    for (size_t i = 0; copy && i < n; i++) {
        copy[i].name = arena_dup(a, items[i].name);
        copy[i].value = arena_dup(a, items[i].value);
        if (!copy[i].name.data || !copy[i].value.data)
            return NULL;
    }
    return copy;
}

bool label_items_equal(const struct label *a, size_t n_a, const struct label *b, size_t n_b) {
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!slice_equal(a[i].name, b[i].name) || !slice_equal(a[i].value, b[i].value))
            return false;
    return true;
}

static bool is_name(struct slice name, bool colon) {
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!((c | 32) >= 'a' && (c | 32) <= 'z') && c != '_' && !(colon && c == ':') &&
            !(i && c >= '0' && c <= '9'))
            return false;
    }
    return name.size > 0;
}

bool label_name_is_legacy(struct slice name) {
    return is_name(name, false);
}

bool metric_name_is_legacy(struct slice name) {
    return is_name(name, true);
}
