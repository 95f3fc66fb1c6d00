/* Protects: addresses as people write them, messages that say what to do, and the check of Host
 * headers against DNS rebinding. */
#include "../unit.h"

#include "net/listen.h"

#include <errno.h>
#include <stdio.h>

static void parses_addresses(void **state) {
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {
            {"127.0.0.1:8272", "127.0.0.1", 8272},
            {"[::1]:80", "::1", 80},
            {":0", "127.0.0.1", 0},
            {"9000", "127.0.0.1", 9000},
            {"0.0.0.0:65535", "0.0.0.0", 65535},
            {"host.example:1", "host.example", 1},
    };
    static const char *const bad[] = {"",      ":",     "host",    "host:", "host:x",
                                      "1:2:3", "[::1]", "a:65536", "a:-1",  "[::1:80"};
    char host[LISTEN_HOST_MAX];
    struct error e;
    int port;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(listen_parse(good[i].text, host, &port, &e), 0);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(listen_parse(bad[i], host, &port, &e), -EINVAL);
}

static void says_what_is_wrong(void **state) {
    struct listener first, second;
    struct error e = ERROR_NONE;
    char address[64];

    assert_int_equal(listen_open("127.0.0.1:0", &first, &e), 0);
    assert_true(first.port > 0);
    assert_true(first.loopback);
    snprintf(address, sizeof(address), "127.0.0.1:%d", first.port);
    assert_int_equal(listen_open(address, &second, &e), -EADDRINUSE);
    assert_non_null(strstr(e.text, address));
    assert_non_null(strstr(e.text, "in use"));
    assert_int_equal(listen_open("192.0.2.1:0", &second, &e), -EADDRNOTAVAIL);
    assert_int_equal(listen_open("nonsense", &second, &e), -EINVAL);
    assert_non_null(strstr(e.text, "nonsense"));
    listen_close(&first);
}

static void checks_hosts(void **state) {
    struct listener l = {.fd = -1, .loopback = true, .host = "127.0.0.1"};
    static const char *const good[] = {"localhost",   "LOCALHOST:8272", "127.0.0.1",
                                       "127.9.9.9:1", "[::1]",          "[::1]:8272"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "127.0.0.1.evil.example",
                                      "localhost.evil.com",
                                      "128.0.0.1",
                                      "[::2]",
                                      "[",
                                      "[::1",
                                      "127.1.evil:80",
                                      "0x7f.1"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(listen_allows_host(&l, slice_from(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(listen_allows_host(&l, slice_from(bad[i])));
    snprintf(l.host, sizeof(l.host), "my-machine");
    assert_true(listen_allows_host(&l, SLICE("My-Machine:80")));
    l.loopback = false; /* open to the network: any name may lead here */
    assert_true(listen_allows_host(&l, SLICE("evil.example")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(parses_addresses),
            cmocka_unit_test(says_what_is_wrong),
            cmocka_unit_test(checks_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
