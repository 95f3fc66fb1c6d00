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

    m.bytes[100] = 42; /* the target goes on: only a new beginning sees it */
    assert_int_equal(pages_read(&p, BASE + 100, got, 1, NULL), 0);
    assert_int_not_equal(got[0], 42);
    assert_true(pages_begin(&p, NULL, 0, &hints, NULL, 0, &all));
    unsigned before = m.reads;
    assert_int_equal(pages_read(&p, BASE + 100, got, 1, NULL), 0);
    assert_int_equal(got[0], 42);
    assert_int_equal(m.reads, before); /* it was read ahead */
    pages_done(&p);
}

static void edges(void **state) {
    bool all;
    static struct image m = {.size = 100};
    struct memory_reader reader = {.read = read_image, .ctx = &m};
    struct page_hints hints = {.addresses = {0xdead000}, .n = 1};
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(snapshot), cmocka_unit_test(edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
