/* Targets out of DNS answers: addresses, SRV with its port, names, and packets that lie. */
#include "../unit.h"

#include "receive/scrape_private.h"

/* A header with one answer, and that answer's name (the root). */
#define HEADER "\0\1\x81\x80\0\0\0\1\0\0\0\0\0"

static struct scrape_found found;

static int read_answer(enum scrape_dns dns, const char *packet, size_t size) {
    struct scrape_provider p = {.kind = SCRAPE_SD_DNS, .dns = dns, .port = 9100};

    vector_done(&found.list);
    arena_done(&found.arena);
    arena_init(&found.arena, 1 << 20);
    return scrape_dns_read(&p, SLICE("x.example"), slice_new(packet, size), &found);
}

#define READ(dns, packet) read_answer(dns, packet, sizeof(packet) - 1)

static struct slice label(const char *name) {
    for (size_t i = 0; i < found.list.items[0].n_labels; i++)
        if (slice_is(found.list.items[0].labels[i].name, name))
            return found.list.items[0].labels[i].value;
    return SLICE_EMPTY;
}

static void test_addresses(void **state) {
    assert_int_equal(READ(SCRAPE_DNS_A, HEADER "\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1"), 0);
    assert_int_equal(found.list.n, 1);
    assert_slice(label("__address__"), "127.0.0.1:9100");
    assert_slice(label("__meta_dns_name"), "x.example");
    assert_int_equal(READ(SCRAPE_DNS_AAAA, HEADER "\0\x1c\0\1\0\0\0\1\0\x10"
                                                  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"),
                     0);
    assert_slice(label("__address__"), "[::1]:9100");
    /* Another kind of record than the one that was asked for. */
    assert_int_equal(READ(SCRAPE_DNS_AAAA, HEADER "\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1"), 0);
    assert_int_equal(found.list.n, 0);
}

static void test_names(void **state) {
    assert_int_equal(READ(SCRAPE_DNS_SRV, HEADER "\0\x21\0\1\0\0\0\1\0\xb"
                                                 "\0\1\0\1\x1f\x90\1a\1b\0"),
                     0);
    assert_slice(label("__address__"), "a.b:8080");
    assert_slice(label("__meta_dns_srv_record_target"), "a.b.");
    assert_slice(label("__meta_dns_srv_record_port"), "8080");
    assert_int_equal(READ(SCRAPE_DNS_MX, HEADER "\0\xf\0\1\0\0\0\1\0\7\0\1\1a\1b\0"), 0);
    assert_slice(label("__address__"), "a.b:9100");
    assert_slice(label("__meta_dns_mx_record_target"), "a.b.");
    assert_int_equal(READ(SCRAPE_DNS_NS, HEADER "\0\2\0\1\0\0\0\1\0\5\1a\1b\0"), 0);
    assert_slice(label("__meta_dns_ns_record_target"), "a.b.");
}

static void test_lies(void **state) {
    assert_int_equal(READ(SCRAPE_DNS_A, "\0\1"), -EBADMSG);
    assert_int_equal(READ(SCRAPE_DNS_A, HEADER "\0\1\0\1\0\0\0\1\0\x40\x7f\0\0\1"), -EBADMSG);
    /* A name that points at itself, a record too short for its kind, the root as a target. */
    assert_int_equal(READ(SCRAPE_DNS_NS, HEADER "\0\2\0\1\0\0\0\1\0\2\xc0\x17"), 0);
    assert_int_equal(found.list.n, 0);
    assert_int_equal(READ(SCRAPE_DNS_SRV, HEADER "\0\x21\0\1\0\0\0\1\0\2\0\1"), 0);
    assert_int_equal(READ(SCRAPE_DNS_NS, HEADER "\0\2\0\1\0\0\0\1\0\1\0"), 0);
    vector_done(&found.list);
    arena_done(&found.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_addresses),
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
