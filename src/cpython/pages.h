/*
 * A snapshot of a target's pages: frames lie close together, so one read of a page spares many
 * small ones, and what one page holds was true at one moment. One owner at a time; internal to
 * cpython/.
 */
#ifndef VARAN_CPYTHON_PAGES_H
#define VARAN_CPYTHON_PAGES_H

#include "cpython/reader.h"

#define PAGE_BYTES 4096u
#define PAGES_KEPT 64u     /* a power of two */
#define PAGES_FIRST_MAX 8u /* parts of a read before the pages, and after them */
#define PAGES_HINTED 16u   /* pages that one stack wanted, to be read ahead the next time */

struct page_hints {
    uint64_t addresses[PAGES_HINTED];
    unsigned n;
};

struct pages {
    struct memory_reader *memory;
    uint64_t addresses[PAGES_KEPT]; /* 0: free */
    uint8_t (*data)[PAGE_BYTES];
    uint64_t later; /* reads that were made one by one, after the pages that were read together */
};

/* 0 or -ENOMEM. */
int pages_init(struct pages *p, struct memory_reader *memory);
void pages_done(struct pages *p);
/* Forgets everything that was read. */
void pages_clear(struct pages *p);
/* The same in two steps, for a call that reads other things too: clears and fills in the parts to
 * be read for the hinted pages (at most PAGES_HINTED), their number; then tells of the last `n` of
 * them that they could not be read. */
size_t pages_plan(struct pages *p, struct page_hints *hints, struct memory_part *parts);
void pages_unread(struct pages *p, const struct memory_part *parts, size_t n);
/* Clears, then reads `first` parts, the hinted pages and `last` parts in one call and that order;
 * true when all `n_first` parts were read (pages that are gone do not matter). *ret_all: everything
 * was. */
bool pages_begin(struct pages *p, const struct memory_part *first, size_t n_first,
                 struct page_hints *hints, const struct memory_part *last, size_t n_last,
                 bool *ret_all);
/* As memory_read(), from the pages; notes the page in `hints`, which may be NULL. */
int pages_read(struct pages *p, uint64_t address, void *to, size_t size, struct page_hints *hints);

#endif
