/* An open-addressed table by page. Pages that are planned together lie in one row in `data`, so
 * that neighbours can be read as one part. A page that could not be read keeps its place, under an
 * address that no page has. */
#include "cpython/pages.h"

#include <errno.h>
#include <stdlib.h>

#define NO_PAGE 1u /* an address of no page */

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

void pages_clear(struct pages *p) {
    for (unsigned i = 0; i < p->n; i++)
        p->places[p->used[i]].address = 0;
    p->n = 0;
    p->last = 0;
}

/* Where the page is, or would be: Fibonacci hashing, then the next free place. */
static uint32_t place_of(const struct pages *p, uint64_t page) {
    uint32_t mask = 2 * p->kept - 1;
    uint32_t at = (uint32_t) ((page / PAGE_BYTES * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & mask;

    while (p->places[at].address && p->places[at].address != page)
        at = (at + 1) & mask;
    return at;
}

/* Takes a place that is free: the page's data; NULL when there is no room. */
static uint8_t *take(struct pages *p, uint32_t place, uint64_t page) {
    if (p->n == p->kept)
        return NULL;
    p->places[place] = (struct page_place){page, p->n};
    p->used[p->n] = place;
    return p->data[p->n++];
}

static void note(struct page_hints *hints, uint64_t page) {
    for (unsigned i = 0; i < hints->n; i++)
        if (hints->addresses[i] == page)
            return;
    if (hints->n < PAGES_HINTED)
        hints->addresses[hints->n++] = page;
}

static void sort(struct page_hints *hints) {
    for (unsigned i = 1; i < hints->n; i++) {
        uint64_t one = hints->addresses[i];
        unsigned k = i;
        for (; k > 0 && hints->addresses[k - 1] > one; k--)
            hints->addresses[k] = hints->addresses[k - 1];
        hints->addresses[k] = one;
    }
}

size_t pages_plan(struct pages *p, struct page_hints *hints, struct memory_part *parts) {
    size_t n = 0;

    sort(hints);
    for (unsigned i = 0; i < hints->n; i++) {
        uint64_t page = hints->addresses[i];
        uint32_t place = place_of(p, page);
        uint8_t *data = p->places[place].address ? NULL : take(p, place, page);
        if (!data)
            continue;
        if (n && parts[n - 1].address + parts[n - 1].size == page)
            parts[n - 1].size += PAGE_BYTES; /* `data` lies behind the last one, too */
        else
            parts[n++] = (struct memory_part){page, data, PAGE_BYTES};
    }
    hints->n = 0; /* filled anew by what this walk really wants */
    return n;
}

void pages_unread(struct pages *p, const struct memory_part *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < parts[i].size; at += PAGE_BYTES)
            p->places[place_of(p, parts[i].address + at)].address = NO_PAGE;
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
    size_t n_pages = pages_plan(p, hints, parts + n);
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

/* The page's data; NULL: it cannot be read, or not be kept. */
static const uint8_t *find(struct pages *p, uint64_t page) {
    if (p->last == page)
        return p->last_data;
    uint32_t place = place_of(p, page);
    if (p->places[place].address) {
        p->last = page;
        return p->last_data = p->data[p->places[place].at];
    }
    p->later++;
    if (p->n == p->kept && !p->shared) {
        pages_clear(p);
        place = place_of(p, page);
    }
    uint8_t *data = take(p, place, page);
    if (!data)
        return NULL;
    if (memory_read(p->memory, page, data, PAGE_BYTES) < 0) {
        p->places[place].address = 0;
        p->n--;
        return NULL;
    }
    p->last = page;
    return p->last_data = data;
}

int pages_read(struct pages *p, uint64_t address, void *to, size_t size, struct page_hints *hints) {
    uint64_t page = address & ~(uint64_t) (PAGE_BYTES - 1);
    size_t within = (size_t) (address - page), here = PAGE_BYTES - within;

    if (!page || address + size < address)
        return -EFAULT;
    const uint8_t *data = find(p, page);
    if (!data)
        return memory_read(p->memory, address, to, size); /* a reader of smaller pieces */
    if (hints)
        note(hints, page);
    if (here > size)
        here = size;
    memcpy(to, data + within, here);
    return here == size
                   ? 0
                   : pages_read(p, page + PAGE_BYTES, (uint8_t *) to + here, size - here, hints);
}
