/* Code objects are believed for a while, and not longer: memory is reused. */
#include "../unit.h"

#include "base/memory.h"
#include "cpython/codes.h"

#include <errno.h>

#define CODE 0x200u
#define NAME_A 0x400u
#define NAME_B 0x500u
#define TABLE 0x600u

struct image {
    uint8_t bytes[4096];
    unsigned reads;
};

static int read_image(void *ctx, uint64_t address, void *to, size_t size) {
    struct image *m = ctx;

    m->reads++;
    if (address >= sizeof(m->bytes) || size > sizeof(m->bytes) - address)
        return -EFAULT;
    memcpy(to, m->bytes + address, size);
    return 0;
}

static void put(struct image *m, uint64_t at, uint64_t v) {
    memcpy(m->bytes + at, &v, 8);
}

static void put_text(struct image *m, uint64_t at, const char *text) {
    put(m, at + 16, strlen(text));
    m->bytes[at + 32] = 1 << 2 | 1 << 5 | 1 << 6; /* one byte each, compact, ASCII */
    memcpy(m->bytes + at + 40, text, strlen(text));
}

/* A code object of 3.12 named `name`. */
static void put_code(struct image *m, uint64_t name, uint32_t line) {
    const struct cpython_offsets *o = cpython_offsets_known(12);

    put(m, CODE + o->code.filename, NAME_A);
    put(m, CODE + o->code.name, name);
    put(m, CODE + o->code.qualname, name);
    put(m, CODE + o->code.line_table, TABLE);
    memcpy(m->bytes + CODE + o->code.first_line, &line, 4);
}

static void reuse(void **state) {
    struct image m = {0};
    struct memory_reader reader = {.read = read_image, .ctx = &m};
    const uint64_t addresses[] = {CODE, 0, CODE, 0xfff0, CODE};
    static struct codes c; /* large */

    put_text(&m, NAME_A, "first");
    put_text(&m, NAME_B, "second");
    put_code(&m, NAME_A, 3);
    codes_init(&c, &reader, cpython_offsets_known(12));
    codes_refresh(&c, addresses, 5, 1000);
    const struct cpython_code *first = codes_find(&c, CODE);
    assert_non_null(first);
    assert_string_equal(first->name, "first");
    assert_null(codes_find(&c, 0xfff0));

    unsigned before = m.reads;
    put_code(&m, NAME_B, 9);
    codes_refresh(&c, addresses, 1, 1000 + CODE_TRUST_NS - 1);
    assert_int_equal(m.reads, before); /* believed: nothing is read */
    assert_ptr_equal(codes_find(&c, CODE), first);
    codes_refresh(&c, addresses, 1, 1000 + CODE_TRUST_NS);
    assert_string_equal(codes_find(&c, CODE)->name, "second");
    assert_int_equal(codes_find(&c, CODE)->first_line, 9);
    assert_string_equal(first->name, "first"); /* samples point to it still */

    m.bytes[NAME_A + 32] = 0; /* no string any more */
    put_code(&m, NAME_A, 4);
    codes_refresh(&c, addresses, 1, 1000 + 3 * CODE_TRUST_NS);
    assert_null(codes_find(&c, CODE)); /* unknown rather than the old one */
    codes_done(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
