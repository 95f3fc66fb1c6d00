/*
 * A snapshot of a target's pages: frames lie close together, so one read of a page spares many
 * small ones, and what one page holds was true at one moment. One owner at a time; internal to
 * cpython/.
 */
#ifndef VARAN_CPYTHON_PAGES_H
#define VARAN_CPYTHON_PAGES_H

#include "cpython/reader.h"

#define PAGE_BYTES 4096u
#define PAGES_KEPT 64u     /* of one stack */
#define PAGES_SHARED 1024u /* of many stacks; both are powers of two */
#define PAGES_FIRST_MAX 8u /* parts of a read before the pages, and after them */
#define PAGES_HINTED 16u   /* pages that one stack wanted, to be read ahead the next time */

/* What a walk wanted of a page: bytes `from` … `to`. */
struct page_hint {
    uint64_t address;
    uint16_t from, to;
};

struct page_hints {
    struct page_hint items[PAGES_HINTED];
    struct page_hint before[PAGES_HINTED]; /* what was planned the last time */
    unsigned n, n_before;
};

struct page_place {
    uint64_t address;  /* 0: free */
    uint16_t at;       /* in `data` */
    uint16_t from, to; /* the bytes that are held */
    bool later;        /* it was read by itself */
};

struct pages {
    struct memory_reader *memory;
    unsigned kept, n; /* most of them; how many are held */
    bool shared;      /* what does not fit is read and not held; else all are forgotten for it */
    struct page_place *places;   /* 2 * kept, by the address' hash */
    uint32_t *used;              /* those of `places` that are not free, in the order of `data` */
    uint8_t (*data)[PAGE_BYTES]; /* filled from the beginning on: the rest costs no memory */
    bool whole;                  /* pages are always read from end to end */
    uint64_t last;               /* the page that was looked for last, 0: none */
    uint16_t last_from, last_to; /* of which these bytes are held */
    const uint8_t *last_data;
    uint64_t
            later; /* how often a page was used that was read after those that were read together */
};

/* `kept`: PAGES_KEPT or PAGES_SHARED. 0 or -ENOMEM. */
int pages_init(struct pages *p, struct memory_reader *memory, unsigned kept);
void pages_done(struct pages *p);
/* Forgets everything that was read. */
void pages_clear(struct pages *p);
/* For a call that reads other things too: fills in the parts to be read for the hinted pages that
 * are not held (at most PAGES_HINTED; neighbours are one part), their number; then tells of the
 * last `n` of them that they could not be read. Of a page that is read what the last walks wanted
 * of it, and a little around (all of it when `whole`): copying it would be the greater part of the
 * work. */
size_t pages_plan(struct pages *p, struct page_hints *hints, bool whole, struct memory_part *parts);
/* What was planned is of no use: it is to be planned once more. */
void pages_plan_again(struct page_hints *hints);
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
