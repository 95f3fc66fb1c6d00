/* An open-addressed table by page. Pages that are planned together lie in one row in `data`, so
 * that neighbours can be read as one part. A page that could not be read keeps its place, under an
 * address that no page has. */
#include "cpython/pages.h"
#include "base/hot.h"

#include <errno.h>
#include <stdlib.h>

#define NO_PAGE 1u  /* an address of no page */
#define AROUND 128u /* bytes on both sides of what is wanted: a stack grows and shrinks */

int pages_init(struct pages *p, struct memory_reader *memory, unsigned kept) {
    *p = (struct pages){.memory = memory,
                        .kept = kept,
                        .shared = kept > PAGES_KEPT,
                        .places = calloc((size_t) 2 * kept, sizeof(*p->places)),
                        .used = calloc(kept, sizeof(*p->used)),
                        .data = malloc((size_t) kept * PAGE_BYTES)};
    return p->places && p->used && p->data ? 0 : -ENOMEM;
}

void pages_done(struct pages *p) {
    free(p->places);
    free(p->used);
    free(p->data);
    *p = (struct pages){0};
}

HOT void pages_clear(struct pages *p) {
    for (unsigned i = 0; i < p->n; i++)
        p->places[p->used[i]].address = 0;
    p->n = 0;
    p->last = 0;
}

/* Where the page is, or would be: Fibonacci hashing, then the next free place. */
static HOT uint32_t place_of(const struct pages *p, uint64_t page) {
    uint32_t mask = 2 * p->kept - 1;
    uint32_t at = (uint32_t) ((page / PAGE_BYTES * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & mask;

    while (p->places[at].address && p->places[at].address != page)
        at = (at + 1) & mask;
    return at;
}

/* Takes a place that is free: the page's data; NULL when there is no room. */
static HOT uint8_t *take(struct pages *p, uint32_t place, uint64_t page) {
    if (p->n == p->kept)
        return NULL;
    p->places[place] = (struct page_place){page, (uint16_t) p->n, 0, PAGE_BYTES, false};
    p->used[p->n] = place;
    return p->data[p->n++];
}

static HOT void note(struct page_hints *hints, uint64_t page, size_t within, size_t size) {
    struct page_hint *h = hints->items, *end = h + hints->n;
    uint16_t from = (uint16_t) within, to = (uint16_t) (within + size);

    while (h < end && h->address != page)
        h++;
    if (h < end) {
        h->from = from < h->from ? from : h->from;
        h->to = to > h->to ? to : h->to;
    } else if (hints->n < PAGES_HINTED) {
        hints->items[hints->n++] = (struct page_hint){page, from, to};
    }
}

static HOT void sort(struct page_hints *hints) {
    for (unsigned i = 1; i < hints->n; i++) {
        struct page_hint one = hints->items[i];
        unsigned k = i;
        for (; k > 0 && hints->items[k - 1].address > one.address; k--)
            hints->items[k] = hints->items[k - 1];
        hints->items[k] = one;
    }
}

/* What is wanted of a page now or was lately. What is not wanted any more fades by a byte in each
 * walk: a thread that sleeps near the bottom of its stack will work further up again. */
static HOT void widen(const struct page_hints *hints, struct page_hint *h) {
    for (unsigned i = 0; i < hints->n_before; i++) {
        const struct page_hint *b = &hints->before[i];
        if (b->address != h->address)
            continue;
        if (b->from < h->from)
            h->from = (uint16_t) (b->from + 1);
        if (b->to > h->to)
            h->to = (uint16_t) (b->to - 1);
        return;
    }
}

static HOT struct page_hint around(struct page_hint h) {
    h.from = h.from > AROUND ? (uint16_t) (h.from - AROUND) : 0;
    h.to = h.to + AROUND < PAGE_BYTES ? (uint16_t) (h.to + AROUND) : PAGE_BYTES;
    return h;
}

HOT size_t pages_plan(struct pages *p, struct page_hints *hints, bool whole,
                      struct memory_part *parts) {
    size_t n = 0;

    sort(hints);
    for (unsigned i = 0; i < hints->n; i++)
        widen(hints, &hints->items[i]);
    for (unsigned i = 0; i < hints->n; i++) {
        uint64_t page = hints->items[i].address;
        uint32_t at = place_of(p, page);
        uint8_t *data = p->places[at].address ? NULL : take(p, at, page);
        if (!data)
            continue;
        struct page_hint wanted = around(hints->items[i]);
        if (!whole && !p->whole) {
            p->places[at].from = wanted.from;
            p->places[at].to = wanted.to;
        }
        uint64_t from = page + p->places[at].from, size = p->places[at].to - p->places[at].from;
        if (n && parts[n - 1].address + parts[n - 1].size == from)
            parts[n - 1].size += size; /* `data` lies behind the last one, too */
        else
            parts[n++] = (struct memory_part){from, data + p->places[at].from, size};
    }
    memcpy(hints->before, hints->items, sizeof(hints->before));
    hints->n_before = hints->n;
    hints->n = 0; /* filled anew by what this walk really wants */
    return n;
}

void pages_plan_again(struct page_hints *hints) {
    memcpy(hints->items, hints->before, sizeof(hints->items));
    hints->n = hints->n_before;
}

void pages_unread(struct pages *p, const struct memory_part *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (uint64_t page = parts[i].address & ~(uint64_t) (PAGE_BYTES - 1);
             page < parts[i].address + parts[i].size; page += PAGE_BYTES)
            p->places[place_of(p, page)].address = NO_PAGE;
    p->last = 0;
}

static size_t put_parts(struct memory_part *to, const struct memory_part *parts, size_t n) {
    n = n < PAGES_FIRST_MAX ? n : PAGES_FIRST_MAX;
    if (n)
        memcpy(to, parts, n * sizeof(*parts));
    return n;
}

bool pages_begin(struct pages *p, const struct memory_part *first, size_t n_first,
                 struct page_hints *hints, const struct memory_part *last, size_t n_last,
                 bool *ret_all) {
    struct memory_part parts[2 * PAGES_FIRST_MAX + PAGES_HINTED];
    size_t n = n_first = put_parts(parts, first, n_first);

    pages_clear(p);
    size_t n_pages = pages_plan(p, hints, true, parts + n);
    n += n_pages;
    n += put_parts(parts + n, last, n_last);
    size_t done = memory_read_many(p->memory, parts, n), good = done < n_first ? n_first
                                                                : done < n_first + n_pages
                                                                        ? done
                                                                        : n_first + n_pages;
    if (good < n_first + n_pages)
        pages_unread(p, parts + good, n_first + n_pages - good);
    *ret_all = done == n;
    return done >= n_first;
}

static HOT const uint8_t *found(struct pages *p, const struct page_place *place) {
    p->later += place->later;
    p->last = place->address;
    p->last_from = place->from;
    p->last_to = place->to;
    return p->last_data = p->data[place->at];
}

/* The page's data, in which those bytes are; NULL: it cannot be read, or not be kept. */
static HOT const uint8_t *find(struct pages *p, uint64_t page, size_t within, size_t size) {
    if (p->last == page && within >= p->last_from && within + size <= p->last_to)
        return p->last_data;
    struct page_place *place = &p->places[place_of(p, page)];
    bool held = place->address == page;
    if (held && within >= place->from && within + size <= place->to)
        return found(p, place);
    p->last = 0;
    if (!held && p->n == p->kept && !p->shared) {
        pages_clear(p);
        place = &p->places[place_of(p, page)];
    }
    uint8_t *data = held ? p->data[place->at] : take(p, (uint32_t) (place - p->places), page);
    if (!data) {
        p->later++;
        return NULL;
    }
    if (memory_read(p->memory, page, data, PAGE_BYTES) < 0) {
        place->address = held ? NO_PAGE : 0;
        p->n -= !held;
        p->later++;
        return NULL;
    }
    place->from = 0;
    place->to = PAGE_BYTES;
    place->later = true;
    return found(p, place);
}

HOT int pages_read(struct pages *p, uint64_t address, void *to, size_t size,
                   struct page_hints *hints) {
    uint64_t page = address & ~(uint64_t) (PAGE_BYTES - 1);
    size_t within = (size_t) (address - page), here = PAGE_BYTES - within;

    if (!page || address + size < address)
        return -EFAULT;
    if (here > size)
        here = size;
    const uint8_t *data = find(p, page, within, here);
    if (!data)
        return memory_read(p->memory, address, to, size); /* a reader of smaller pieces */
    if (hints)
        note(hints, page, within, here);
    memcpy(to, data + within, here);
    return here == size
                   ? 0
                   : pages_read(p, page + PAGE_BYTES, (uint8_t *) to + here, size - here, hints);
}
