/* Direct-mapped by page number: a page that collides is simply read again. */
#include "cpython/pages.h"

#include <errno.h>
#include <stdlib.h>

int pages_init(struct pages *p, struct memory_reader *memory) {
    *p = (struct pages){.memory = memory, .data = malloc((size_t) PAGES_KEPT * PAGE_BYTES)};
    return p->data ? 0 : -ENOMEM;
}

void pages_done(struct pages *p) {
    free(p->data);
    p->data = NULL;
}

void pages_clear(struct pages *p) {
    memset(p->addresses, 0, sizeof(p->addresses));
}

static unsigned slot_of(uint64_t page) {
    return (unsigned) (page / PAGE_BYTES) & (PAGES_KEPT - 1);
}

static void note(struct page_hints *hints, uint64_t page) {
    for (unsigned i = 0; i < hints->n; i++)
        if (hints->addresses[i] == page)
            return;
    if (hints->n < PAGES_HINTED)
        hints->addresses[hints->n++] = page;
}

size_t pages_plan(struct pages *p, struct page_hints *hints, struct memory_part *parts) {
    size_t n = 0;

    pages_clear(p);
    for (unsigned i = 0; i < hints->n; i++) {
        unsigned slot = slot_of(hints->addresses[i]);
        if (!p->addresses[slot]) {
            p->addresses[slot] = hints->addresses[i];
            parts[n++] = (struct memory_part){hints->addresses[i], p->data[slot], PAGE_BYTES};
        }
    }
    hints->n = 0; /* filled anew by what this walk really wants */
    return n;
}

void pages_unread(struct pages *p, const struct memory_part *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        p->addresses[slot_of(parts[i].address)] = 0;
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

    n += pages_plan(p, hints, parts + n);
    size_t n_pages = n - n_first;
    n += put_parts(parts + n, last, n_last);
    size_t done = memory_read_many(p->memory, parts, n), good = done < n_first ? n_first : done;
    if (good < n_first + n_pages)
        pages_unread(p, parts + good, n_first + n_pages - good);
    *ret_all = done == n;
    return done >= n_first;
}

int pages_read(struct pages *p, uint64_t address, void *to, size_t size, struct page_hints *hints) {
    uint64_t page = address & ~(uint64_t) (PAGE_BYTES - 1);
    size_t within = (size_t) (address - page), here = PAGE_BYTES - within;
    unsigned slot = slot_of(page);

    if (!page || address + size < address)
        return -EFAULT;
    if (p->addresses[slot] != page) {
        p->addresses[slot] = 0;
        p->later++;
        if (memory_read(p->memory, page, p->data[slot], PAGE_BYTES) < 0)
            return memory_read(p->memory, address, to, size); /* a reader of smaller pieces */
        p->addresses[slot] = page;
    }
    if (hints)
        note(hints, page);
    if (here > size)
        here = size;
    memcpy(to, p->data[slot] + within, here);
    return here == size
                   ? 0
                   : pages_read(p, page + PAGE_BYTES, (uint8_t *) to + here, size - here, hints);
}
