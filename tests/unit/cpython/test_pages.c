/* The snapshot of pages: one read per page, reads across pages, readers of smaller pieces. */
#include "../unit.h"

#include "cpython/pages.h"

#include <errno.h>

#define BASE 0x10000u

struct image {
    uint8_t bytes[3 * PAGE_BYTES];
    size_t size;
    unsigned reads;
};

static int read_image(void *ctx, uint64_t address, void *to, size_t size) {
    struct image *m = ctx;

    m->reads++;
    if (address < BASE || address - BASE >= m->size || size > m->size - (address - BASE))
        return -EFAULT;
    memcpy(to, m->bytes + (address - BASE), size);
    return 0;
}

static void snapshot(void **state) {
    static struct image m = {.size = 3 * PAGE_BYTES};
    struct memory_reader reader = {.read = read_image, .ctx = &m};
    struct page_hints hints = {0};
    bool all;
    struct pages p;
    uint8_t got[16];

    for (size_t i = 0; i < m.size; i++)
        m.bytes[i] = (uint8_t) (i * 7);
    assert_int_equal(pages_init(&p, &reader, PAGES_KEPT), 0);
    assert_int_equal(pages_read(&p, BASE + 100, got, 8, &hints), 0);
    assert_int_equal(pages_read(&p, BASE + 3000, got, 8, &hints), 0);
    assert_int_equal(m.reads, 1);
    assert_int_equal(pages_read(&p, BASE + PAGE_BYTES - 3, got, 16, &hints), 0); /* across */
    assert_memory_equal(got, m.bytes + PAGE_BYTES - 3, 16);
    assert_int_equal(m.reads, 2);
    assert_int_equal(hints.n, 2);

    m.bytes[100] = 41; /* the target goes on: only a new beginning sees it */
    assert_int_equal(pages_read(&p, BASE + 100, got, 1, NULL), 0);
    assert_int_not_equal(got[0], 41);
    assert_true(pages_begin(&p, NULL, 0, &hints, NULL, 0, &all));
    assert_int_equal(hints.n, 0);
    pages_plan_again(&hints); /* it was read too early */
    m.bytes[100] = 42;
    assert_true(pages_begin(&p, NULL, 0, &hints, NULL, 0, &all));
    unsigned before = m.reads;
    assert_int_equal(pages_read(&p, BASE + 100, got, 1, NULL), 0);
    assert_int_equal(got[0], 42);
    assert_int_equal(m.reads, before); /* it was read ahead */
    pages_done(&p);
}

/* Neighbours are read as one part; what does not fit is read, but not held. */
static void together(void **state) {
    static struct image m = {.size = 3 * PAGE_BYTES};
    struct memory_reader reader = {.read = read_image, .ctx = &m};
    struct page_hints hints = {.items = {{BASE + 2 * PAGE_BYTES, 0, PAGE_BYTES},
                                         {BASE, 0, PAGE_BYTES},
                                         {BASE + PAGE_BYTES, 0, PAGE_BYTES}},
                               .n = 3};
    struct memory_part parts[PAGES_HINTED];
    struct pages p;
    uint8_t got[4];

    for (size_t i = 0; i < m.size; i++)
        m.bytes[i] = (uint8_t) (i * 13);
    assert_int_equal(pages_init(&p, &reader, PAGES_SHARED), 0);
    assert_int_equal(pages_plan(&p, &hints, true, parts), 1);
    assert_int_equal(parts[0].address, BASE);
    assert_int_equal(parts[0].size, 3 * PAGE_BYTES);
    assert_int_equal(hints.n, 0);
    assert_int_equal(memory_read_many(&reader, parts, 1), 1);
    unsigned before = m.reads;
    assert_int_equal(pages_read(&p, BASE + 2 * PAGE_BYTES - 2, got, 4, &hints), 0);
    assert_memory_equal(got, m.bytes + 2 * PAGE_BYTES - 2, 4);
    assert_int_equal(m.reads, before);
    assert_int_equal(hints.n, 2);
    assert_int_equal(pages_plan(&p, &hints, true, parts), 0); /* held already */

    pages_unread(&p, &(struct memory_part){BASE, NULL, 2 * PAGE_BYTES}, 1);
    assert_int_equal(pages_read(&p, BASE + PAGE_BYTES, got, 4, NULL), 0); /* read anew */
    assert_int_equal(m.reads, before + 1);
    assert_int_equal(p.later, 1);
    pages_clear(&p);
    p.n = p.kept; /* full */
    assert_int_equal(pages_read(&p, BASE + 8, got, 4, NULL), 0);
    assert_int_equal(pages_read(&p, BASE + 8, got, 4, NULL), 0);
    assert_memory_equal(got, m.bytes + 8, 4);
    assert_int_equal(m.reads, before + 3);
    p.n = 0;
    pages_done(&p);
}

/* Of a page that is planned what was wanted of it is read, and a little around; the rest when it is
 * needed after all, which counts as later. What is not wanted any more fades. */
static void parts_of_pages(void **state) {
    static struct image m = {.size = 3 * PAGE_BYTES};
    struct memory_reader reader = {.read = read_image, .ctx = &m};
    struct page_hints hints = {.items = {{BASE, 1000, 1100}}, .n = 1};
    struct memory_part parts[PAGES_HINTED];
    struct pages p;
    uint8_t got[16];

    for (size_t i = 0; i < m.size; i++)
        m.bytes[i] = (uint8_t) (i * 11);
    assert_int_equal(pages_init(&p, &reader, PAGES_SHARED), 0);
    assert_int_equal(pages_plan(&p, &hints, false, parts), 1);
    assert_true(parts[0].address > BASE && parts[0].address <= BASE + 1000);
    assert_true(parts[0].address + parts[0].size >= BASE + 1100 && parts[0].size < 1000);
    assert_int_equal(memory_read_many(&reader, parts, 1), 1);
    unsigned before = m.reads;
    assert_int_equal(pages_read(&p, BASE + 1090, got, 10, &hints), 0);
    assert_memory_equal(got, m.bytes + 1090, 10);
    assert_int_equal(m.reads, before);
    assert_int_equal(p.later, 0);
    m.bytes[3000]++;
    assert_int_equal(pages_read(&p, BASE + 2995, got, 10, &hints), 0);
    assert_memory_equal(got, m.bytes + 2995, 10);
    assert_int_equal(m.reads, before + 1);
    assert_int_equal(p.later, 1);

    pages_clear(&p);
    assert_int_equal(pages_plan(&p, &hints, false, parts), 1);
    assert_true(parts[0].address <= BASE + 1090 && parts[0].size >= 3005 - 1090);
    size_t size = parts[0].size;
    for (unsigned i = 0; i < 3000; i++) {
        pages_clear(&p);
        hints.items[0] = (struct page_hint){BASE, 1000, 1100};
        hints.n = 1;
        assert_int_equal(pages_plan(&p, &hints, false, parts), 1);
        assert_true(parts[0].size <= size && parts[0].size >= 100);
        size = parts[0].size;
    }
    assert_true(size < 500);

    pages_clear(&p);
    p.whole = true;
    hints.n = 1;
    hints.items[0] = (struct page_hint){BASE, 1000, 1100};
    assert_int_equal(pages_plan(&p, &hints, false, parts), 1);
    assert_int_equal(parts[0].size, PAGE_BYTES);
    pages_done(&p);
}

/* Memory without an end: each page is full of its own number. */
static int read_endless(void *ctx, uint64_t address, void *to, size_t size) {
    if (address >= UINT32_MAX)
        return -EFAULT;
    memset(to, (int) (address / PAGE_BYTES), size);
    return 0;
}

/* More pages than a stack's own can hold: they are forgotten for others, and read again. */
static void many(void **state) {
    struct memory_reader reader = {.read = read_endless};
    struct pages p;
    uint8_t got[4];

    assert_int_equal(pages_init(&p, &reader, PAGES_KEPT), 0);
    for (uint64_t turn = 0; turn < 2; turn++)
        for (uint64_t page = 1; page <= 3 * PAGES_KEPT; page++) {
            assert_int_equal(pages_read(&p, page * PAGE_BYTES + 7, got, 4, NULL), 0);
            assert_int_equal(got[3], (uint8_t) page);
            assert_in_range(p.n, 1, PAGES_KEPT);
        }
    unsigned held = p.n;
    for (uint64_t i = 0; i < 3 * PAGES_KEPT; i++) /* gone: they take no room */
        assert_int_equal(pages_read(&p, UINT32_MAX + (1 + i) * PAGE_BYTES, got, 4, NULL), -EFAULT);
    assert_in_range(p.n, held == p.kept ? 0 : held, p.kept);
    pages_done(&p);
}

static void edges(void **state) {
    bool all;
    static struct image m = {.size = 100};
    struct memory_reader reader = {.read = read_image, .ctx = &m};
    struct page_hints hints = {.items = {{0xdead000, 0, 8}}, .n = 1};
    struct memory_part bad = {1, &(uint64_t){0}, 8};
    struct pages p;
    uint8_t got[16];

    assert_int_equal(pages_init(&p, &reader, PAGES_KEPT), 0);
    assert_int_equal(pages_read(&p, BASE + 50, got, 16, NULL), 0); /* less than a page there */
    assert_int_equal(pages_read(&p, BASE + 90, got, 16, NULL), -EFAULT);
    assert_int_equal(pages_read(&p, 8, got, 8, NULL), -EFAULT);
    assert_int_equal(pages_read(&p, UINT64_MAX - 4, got, 16, NULL), -EFAULT);
    assert_false(pages_begin(&p, &bad, 1, &hints, NULL, 0, &all));
    assert_int_equal(pages_read(&p, 0xdead000, got, 8, NULL), -EFAULT); /* not taken as read */
    pages_done(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(snapshot), cmocka_unit_test(together),
                                       cmocka_unit_test(parts_of_pages), cmocka_unit_test(many),
                                       cmocka_unit_test(edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
