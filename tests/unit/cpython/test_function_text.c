/* Where functions end in their files, and which texts are sent: files and places that are not what
 * they claim to be give nothing, and everything is bounded. */
#include "../unit.h"

#include "base/clock.h"
#include "cpython/function_text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Texts ---- */

static const char shapes[] = "import os\n"                     /* 1 */
                             "\n"                              /* 2 */
                             "@wrapped\n"                      /* 3 */
                             "@other(\n"                       /* 4 */
                             "    1)\n"                        /* 5 */
                             "def decorated(\n"                /* 6 */
                             "    a,\n"                        /* 7 */
                             "):\n"                            /* 8 */
                             "    text = '''\n"                /* 9 */
                             "at the margin\n"                 /* 10 */
                             "def nobody(): pass\n"            /* 11 */
                             "'''\n"                           /* 12 */
                             "# A word at the margin.\n"       /* 13 */
                             "    return spin(a,\n"            /* 14 */
                             "                text)\n"         /* 15 */
                             "    # Behind it.\n"              /* 16 */
                             "\n"                              /* 17 */
                             "# Of the next.\n"                /* 18 */
                             "class Cart:\n"                   /* 19 */
                             "    def total(self): return [\n" /* 20 */
                             "        1,\n"                    /* 21 */
                             "    ]\n"                         /* 22 */
                             "    key = lambda self: (\n"      /* 23 */
                             "        2)\n"                    /* 24 */
                             "    def last(self):\n"           /* 25 */
                             "        return '''one\n"         /* 26 */
                             "two'''\n"                        /* 27 */
                             "x = 1\r\n"                       /* 28 */
                             "async def loop():\r\n"           /* 29 */
                             "    await x\r\n"                 /* 30 */
                             "\r\n"                            /* 31 */
                             "end = 1";                        /* 32 */

static void ends_at(const char *name, int first, int seen, int last, int want) {
    struct slice file = slice_from(shapes), all = file;
    const struct function_place place = {slice_from("app.py"), slice_from(name), first, seen, last};
    int got;
    struct slice text = function_text(file, &place, &got);

    assert_int_equal(got, want);
    for (int i = 1; i < first; i++)
        slice_cut(&all, '\n');
    assert_ptr_equal(text.data, all.data);
    struct slice rest = slice_skip(all, text.size);
    assert_true(rest.size == 0 || rest.data[0] == '\n' || rest.data[0] == '\r');
}

static void functions_end_where_they_end(void **state) {
    ends_at("decorated", 3, 9, 15, 16);
    ends_at("decorated", 3, 15, 14, 16); /* a table that tells no ends of statements */
    ends_at("decorated", 3, 14, 0, 16);  /* no table */
    ends_at("decorated", 3, 9, 0, 9);    /* ... seen in front of what stands further left */
    ends_at("Cart.total", 20, 20, 20, 22);
    ends_at("Cart", 19, 19, 25, 26);
    ends_at("Cart.last", 25, 26, 27, 27);
    ends_at("Cart.<lambda>", 23, 23, 24, 24);
    ends_at("loop", 29, 30, 30, 30);
    ends_at("<module>", 1, 2, 32, 1);
    ends_at("<module>", 1, 32, 32, 32);
}

static void what_is_not_defined_there_has_no_text(void **state) {
    static const struct function_place places[] = {
            {{NULL, 0}, SLICE("other"), 3, 15, 15},
            {{NULL, 0}, SLICE("decorate"), 3, 15, 15},
            {{NULL, 0}, SLICE("nobody"), 14, 14, 14},
            {{NULL, 0}, SLICE("decorated"), 33, 40, 40},
            {{NULL, 0}, SLICE("decorated"), INT_MAX, INT_MAX, INT_MAX},
    };
    int last;

    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        assert_int_equal(function_text(slice_from(shapes), &places[i], &last).size, 0);
    assert_int_equal(function_text(SLICE_EMPTY, &places[0], &last).size, 0);
}

static void texts_are_bounded(void **state) {
    size_t size = 1000 * 100;
    char *file = malloc(size), *wide = malloc(size);
    struct function_place place = {SLICE("a.py"), SLICE("f"), 1, 1000, INT_MAX};
    int last;

    for (int i = 0; i < 1000; i++)
        memcpy(file + i * 10, i ? "    x = 1\n" : "def f(): \n", 10);
    struct slice text = function_text(slice_new(file, 10000), &place, &last);
    assert_int_equal(last, FUNCTION_TEXT_LINES_MAX);
    assert_int_equal(text.size, 10 * FUNCTION_TEXT_LINES_MAX - 1);
    memset(wide, ' ', size);
    memcpy(wide, "def f():\n    x = 1\n    y", 24);
    text = function_text(slice_new(wide, size), &place, &last);
    assert_int_equal(last, 2);
    assert_slice(text, "def f():\n    x = 1");
    /* Cut anywhere, and bytes that are no text. */
    for (size_t n = 0; n < sizeof(shapes); n++)
        for (int first = 1; first < 33; first += 4) {
            place = (struct function_place){SLICE("a.py"), SLICE("<lambda>"), first, first, 40};
            assert_in_range(function_text(slice_take(slice_from(shapes), n), &place, &last).size, 0,
                            n);
        }
    memset(file, 0xff, size);
    assert_true(function_text(slice_new(file, size), &place, &last).size <=
                FUNCTION_TEXT_BYTES_MAX);
    free(file);
    free(wide);
}

/* ---- Files ---- */

static char folder[] = "/tmp/varan-text-XXXXXX";

static const char *path_of(const char *name) {
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text, size_t size) {
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    fclose(f);
}

static int make_files(void **state) {
    static char many[300 * 40];
    size_t n = 0;

    if (!mkdtemp(folder))
        return -1;
    write_file("app.py", shapes, sizeof(shapes) - 1);
    for (int i = 0; i < 300; i++)
        n += (size_t) snprintf(many + n, sizeof(many) - n, "def f%d():\n    return 1\n", i);
    write_file("many.py", many, n);
    return 0;
}

static int remove_files(void **state) {
    static const char *const names[] = {"app.py", "many.py", "fifo.py",
                                        "big.py", "huge.py", "secret.py"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(path_of(names[i]));
    return rmdir(folder);
}

static struct function_texts *new_texts(int64_t began_ns) {
    struct function_texts *t;

    assert_int_equal(function_texts_new(began_ns, NULL, NULL, &t), 0);
    return t;
}

static int64_t soon(void) {
    return clock_now_ns() + 60 * NS_PER_S;
}

static struct slice text_of(struct function_texts *t, const char *path, const char *name,
                            int first) {
    struct function_wish w = {
            .place = {slice_from(path), slice_from(name), first, first, first + 1}, .cost = 1};

    function_texts_choose(t, &w, 1);
    return w.text;
}

static void each_text_is_sent_once(void **state) {
    struct function_texts *t = new_texts(soon());
    struct function_wish w[] = {
            {.place = {slice_from(path_of("app.py")), SLICE("Cart.last"), 25, 26, 27},
             .cost = 5,
             .number = 7},
            {.place = {w[0].place.file, SLICE("loop"), 29, 30, 30}, .cost = 9, .number = 8},
            {.place = {w[0].place.file, SLICE("decorated"), 3, 9, 15}, .number = 9}, /* no cost */
    };

    function_texts_choose(t, w, 3);
    assert_int_equal(w[0].number, 8); /* the most costly first */
    assert_slice(w[0].text, "async def loop():\r\n    await x");
    assert_slice(w[1].text, "    def last(self):\n        return '''one\ntwo'''");
    assert_int_equal(w[2].text.size, 0);
    function_texts_choose(t, w, 3);
    assert_int_equal(w[0].text.size + w[1].text.size, 0);
    w[1].place.seen = 28; /* at work behind what was sent */
    function_texts_choose(t, w, 3);
    assert_true(w[1].text.size > 0);
    function_texts_choose(t, w, 0);
    function_texts_free(t);
    function_texts_free(NULL);
}

static void what_is_no_source_is_not_read(void **state) {
    static const char *const others[] = {"/dev/zero",
                                         "/dev/tty",
                                         "/proc/self/mem",
                                         "/",
                                         "",
                                         "<string>",
                                         "app.py\0.py",
                                         "/usr/lib/python3.11/json/decoder.py",
                                         "/no/such/file.py"};
    struct function_texts *t = new_texts(soon()), *before = new_texts(clock_now_ns() / 2);
    char fifo[PATH_MAX], big[PATH_MAX], app[PATH_MAX], deep[2 * PATH_MAX];

    snprintf(fifo, sizeof(fifo), "%s", path_of("fifo.py"));
    snprintf(big, sizeof(big), "%s", path_of("big.py"));
    snprintf(app, sizeof(app), "%s", path_of("app.py"));
    memset(deep, '/', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(mkfifo(fifo, 0600), 0);
    write_file("big.py", shapes, sizeof(shapes) - 1);
    assert_int_equal(truncate(big, FUNCTION_FILE_BYTES_MAX + 1), 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_equal(text_of(t, others[i], "<lambda>", 1).size, 0);
    assert_int_equal(text_of(t, fifo, "<lambda>", 1).size, 0);
    assert_int_equal(text_of(t, big, "decorated", 3).size, 0);
    assert_int_equal(text_of(t, deep, "decorated", 3).size, 0);
    assert_int_equal(text_of(t, app, "decorated", 0).size, 0);
    assert_int_equal(text_of(t, app, "decorated", -5).size, 0);
    assert_int_equal(text_of(before, app, "loop", 29).size, 0); /* changed since */
    assert_true(text_of(t, app, "loop", 29).size > 0);
    function_texts_free(t);
    function_texts_free(before);
}

static void sending_is_bounded(void **state) {
    struct function_texts *t = new_texts(soon());
    char path[PATH_MAX], names[300][8];
    struct function_wish w[300];
    size_t sent = 0, all = 0;

    snprintf(path, sizeof(path), "%s", path_of("many.py"));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 300; i++) {
            snprintf(names[i], sizeof(names[i]), "f%d", i);
            w[i] = (struct function_wish){.place = {slice_from(path), slice_from(names[i]),
                                                    2 * i + 1, 2 * i + 2, 2 * i + 2},
                                          .cost = 300 - (uint64_t) i,
                                          .number = (uint32_t) i};
        }
        function_texts_choose(t, w, 300);
        for (int i = 0; i < 300; i++)
            sent += w[i].text.size > 0;
        assert_true(sent - all <= FUNCTION_TEXTS_AT_ONCE_MAX);
        all = sent;
    }
    assert_int_equal(sent, FUNCTION_TEXTS_MAX);
    function_texts_free(t);
}

static void bytes_a_minute_are_bounded(void **state) {
    struct function_texts *t = new_texts(soon());
    size_t size = FUNCTION_TEXT_BYTES_MAX - 100, sent = 0;
    char *text = malloc(size * 8), path[PATH_MAX];

    memset(text, 'x', size * 8);
    for (size_t i = 0; i < 8; i++) {
        memcpy(text + i * size, "def f():\n    ", 13);
        text[(i + 1) * size - 1] = '\n';
    }
    write_file("huge.py", text, size * 8);
    snprintf(path, sizeof(path), "%s", path_of("huge.py"));
    for (int i = 0; i < 8; i++)
        sent += text_of(t, path, "f", 2 * i + 1).size;
    assert_true(sent > 0 && sent <= FUNCTION_TEXTS_BYTES_A_MINUTE + 100);
    function_texts_free(t);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(functions_end_where_they_end),
            cmocka_unit_test(what_is_not_defined_there_has_no_text),
            cmocka_unit_test(texts_are_bounded),
            cmocka_unit_test(each_text_is_sent_once),
            cmocka_unit_test(what_is_no_source_is_not_read),
            cmocka_unit_test(sending_is_bounded),
            cmocka_unit_test(bytes_a_minute_are_bounded),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
