/* The filter language: no text may crash it; what parses prints to what parses to the same tree,
 * and its SQL holds nothing but our own words. */
#include "query/filter.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_sql(struct arena *a, const struct filter *f, enum filter_target target) {
    struct sql s;

    sql_init(&s, a);
    int r = filter_compile(f, target, &s);
    if (r == 0 && sql_text(&s)) {
        /* Quotes only where our own texts have them: an even number, and none of them escaped. */
        unsigned quotes = 0;
        for (size_t i = 0; i < s.text.size; i++) {
            uint8_t c = s.text.data[i];
            quotes += c == '\'';
            CHECK(c >= ' ' && c < 127 && c != '"' && c != '\\' && c != ';' && c != '`' && c != '#');
        }
        CHECK(quotes % 2 == 0);
    } else {
        CHECK(r == 0 || r == -EOPNOTSUPP || s.failed == -ENOBUFS);
    }
    if (target == TARGET_RED)
        CHECK((r == -EOPNOTSUPP) == !filter_fits_red(f) || s.failed);
    sql_done(&s);
}

static void check_print(struct arena *a, enum filter_signal signal, const struct filter *f) {
    struct filter_error e;
    struct filter *again = NULL;
    struct buffer text, second;

    buffer_init(&text, 1 << 20);
    buffer_init(&second, 1 << 20);
    CHECK(filter_print(f, &text) == 0);
    if (text.size <= FILTER_BYTES_MAX) {
        CHECK(filter_parse(a, signal, buffer_slice(&text), &again, &e) == 0);
        CHECK(filter_equal(f, again));
        CHECK(filter_print(again, &second) == 0);
        CHECK(slice_equal(buffer_slice(&text), buffer_slice(&second)));
    }
    buffer_done(&text);
    buffer_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = slice_new(data, size);
    struct filter_key key;
    struct arena a;

    arena_init(&a, 16 << 20);
    for (int signal = FILTER_SPANS; signal <= FILTER_LOGS; signal++) {
        struct filter_error e = {0};
        struct filter *f = NULL;
        int r = filter_parse(&a, (enum filter_signal) signal, text, &f, &e);
        if (r == 0) {
            check_print(&a, (enum filter_signal) signal, f);
            check_sql(&a, f, signal == FILTER_SPANS ? TARGET_SPANS : TARGET_LOGS);
            if (signal == FILTER_SPANS)
                check_sql(&a, f, TARGET_RED);
        } else {
            CHECK(r == -EINVAL && e.code && e.column >= 1 && e.length >= 1 && *e.message);
            CHECK(e.column <= size + 1);
        }
        filter_parse_key(&a, (enum filter_signal) signal, text, &key, &e);
    }
    arena_done(&a);
    return 0;
}
