/* What is known about a target's series, by their text. One owner at a time. */
#include "receive/scrape_private.h"

static void place(struct scrape_cache *c, uint32_t index) {
    size_t mask = c->n_slots - 1, at = c->series.items[index].hash & mask;

    while (c->slots[at])
        at = (at + 1) & mask;
    c->slots[at] = index + 1;
}

static int rehash(struct scrape_cache *c, size_t n_slots) {
    uint32_t *slots = calloc(n_slots, sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    free(c->slots);
    c->slots = slots;
    c->n_slots = n_slots;
    for (size_t i = 0; i < c->series.n; i++)
        place(c, (uint32_t) i);
    return 0;
}

struct scrape_series *scrape_cache_get(struct scrape_cache *c, struct slice text, uint64_t hash) {
    size_t mask = c->n_slots - 1;

    if (!c->n_slots)
        return NULL;
    for (size_t at = hash & mask; c->slots[at]; at = (at + 1) & mask) {
        struct scrape_series *s = &c->series.items[c->slots[at] - 1];
        if (s->hash == hash && slice_equal(s->text, text))
            return s;
    }
    return NULL;
}

/* One block: text, labels, their texts. */
static bool copy_all(struct scrape_series *s, struct slice text, const struct label *labels,
                     size_t n) {
    size_t head = (text.size + 7) & ~(size_t) 7, size = head + n * sizeof(*labels);

    for (size_t i = 0; i < n; i++)
        size += labels[i].name.size + labels[i].value.size;
    uint8_t *block = malloc(size + 1);
    if (!block)
        return false;
    struct label *to = (struct label *) (void *) (block + head);
    uint8_t *at = block + head + n * sizeof(*to);
    memcpy(block, text.data, text.size);
    for (size_t i = 0; i < n; i++) {
        memcpy(at, labels[i].name.data, labels[i].name.size);
        to[i].name = slice_new(at, labels[i].name.size);
        at += labels[i].name.size;
        memcpy(at, labels[i].value.data, labels[i].value.size);
        to[i].value = slice_new(at, labels[i].value.size);
        at += labels[i].value.size;
    }
    s->text = slice_new(block, text.size);
    s->labels = n ? to : NULL;
    s->n_labels = (uint32_t) n;
    return true;
}

struct scrape_series *scrape_cache_add(struct scrape_cache *c, struct slice text, uint64_t hash,
                                       const struct label *labels, size_t n_labels) {
    struct scrape_series s = {.hash = hash, .next = (uint32_t) c->series.n + 1};

    if ((c->series.n + 1) * 2 > c->n_slots && rehash(c, c->n_slots ? c->n_slots * 2 : 64) < 0)
        return NULL;
    if (!copy_all(&s, text, labels, n_labels))
        return NULL;
    if (vector_push(&c->series, s, SCRAPE_SERIES_MAX) < 0) {
        free((void *) s.text.data);
        return NULL;
    }
    place(c, (uint32_t) c->series.n - 1);
    return &c->series.items[c->series.n - 1];
}

void scrape_cache_sweep(struct scrape_cache *c) {
    size_t n = 0;

    if (c->seen == c->series.n)
        return;
    for (size_t i = 0; i < c->series.n; i++) {
        struct scrape_series *s = &c->series.items[i];
        if (s->seen != c->scrape) {
            free((void *) s->text.data);
            continue;
        }
        c->series.items[n] = *s;
        c->series.items[n].next = (uint32_t) n + 1;
        n++;
    }
    c->series.n = n;
    memset(c->slots, 0, c->n_slots * sizeof(*c->slots));
    for (size_t i = 0; i < n; i++)
        place(c, (uint32_t) i);
}

void scrape_cache_done(struct scrape_cache *c) {
    vector_each(&c->series, s) free((void *) s->text.data);
    vector_done(&c->series);
    free(c->slots);
    *c = (struct scrape_cache){.scrape = c->scrape};
}
