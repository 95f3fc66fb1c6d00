/* Protects: where an option's value comes from and which source wins, and messages that name the
 * option, the variable or file:line and what was probably meant. */
#include "../unit.h"

#include "base/clock.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct values {
    const char *config, *name, *other;
    uint64_t count, bytes;
    int64_t wait_ns;
    bool flag;
};

#define AT(field) offsetof(struct values, field)

static const struct option_def rows[] = {
        {"config", "TEST_CONFIG", NULL, OPTION_TEXT, AT(config), NULL, "FILE", ""},
        {"name", "TEST_NAME", "name", OPTION_TEXT, AT(name), "default", "NAME", ""},
        {"other", NULL, "group.other", OPTION_TEXT, AT(other), NULL, "X", ""},
        {"count", "TEST_COUNT", "group.count", OPTION_NUMBER, AT(count), "7", "N", ""},
        {"bytes", NULL, "bytes", OPTION_BYTES, AT(bytes), "1KiB", "SIZE", ""},
        {"wait", NULL, "wait", OPTION_DURATION, AT(wait_ns), "1s", "TIME", ""},
        {"flag", "TEST_FLAG", "flag", OPTION_FLAG, AT(flag), "true", NULL, ""},
};
static const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};

static struct arena arena;
static struct values v;
static struct options_result result;
static struct error e;

static int set_up(void **state) {
    unsetenv("TEST_CONFIG");
    unsetenv("TEST_NAME");
    unsetenv("TEST_COUNT");
    unsetenv("TEST_FLAG");
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    arena_done(&arena);
    return 0;
}

/* Reads the words (ended by NULL) after the command's name. */
static int read_words(const char *const *words) {
    char *argv[20] = {(char *) (uintptr_t) "test"};
    int argc = 1;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *) (uintptr_t) words[argc - 1];
    v = (struct values){0};
    e = ERROR_NONE;
    return options_read(table, argc, argv, &arena, &v, &result, &e);
}

#define READ(...) read_words((const char *const[]){__VA_ARGS__, NULL})
#define READ_NOTHING() read_words((const char *const[]){NULL})

static void takes_defaults(void **state) {
    assert_int_equal(READ_NOTHING(), 0);
    assert_string_equal(v.name, "default");
    assert_null(v.other);
    assert_int_equal(v.count, 7);
    assert_int_equal(v.bytes, 1024);
    assert_int_equal(v.wait_ns, NS_PER_S);
    assert_true(v.flag);
    assert_int_equal(result.rest, 1);
}

static void reads_the_command_line(void **state) {
    assert_int_equal(READ("--name", "a", "--count=9", "--no-flag", "--bytes", "2MB", "--wait=5m",
                          "--", "--name", "z"),
                     0);
    assert_string_equal(v.name, "a");
    assert_int_equal(v.count, 9);
    assert_false(v.flag);
    assert_int_equal(v.bytes, 2000000);
    assert_int_equal(v.wait_ns, 300 * NS_PER_S);
    assert_int_equal(result.rest, 9);
    assert_int_equal(READ("--flag=false", "word", "--name", "x"), 0);
    assert_false(v.flag);
    assert_int_equal(result.rest, 2);
    assert_string_equal(v.name, "default"); /* options end at the first word */
    assert_int_equal(READ("--name="), 0);
    assert_string_equal(v.name, "");
    assert_int_equal(READ("--nonsense", "--help") < 0, 1);
    assert_int_equal(READ("--count", "x", "--help"),
                     0); /* help is given though the rest is wrong */
    assert_true(result.help);
}

static void ranks_sources(void **state) {
    char path[] = "/tmp/varan-test-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "name: file\ngroup:\n  count: 1\n  other: [a, b]\nbytes: 3GiB\n";

    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    setenv("TEST_CONFIG", path, 1);
    assert_int_equal(READ_NOTHING(), 0);
    assert_string_equal(v.name, "file");
    assert_int_equal(v.count, 1);
    assert_string_equal(v.other, "a,b");
    assert_int_equal(v.bytes, 3ll << 30);
    setenv("TEST_NAME", "environment", 1);
    setenv("TEST_COUNT", "", 1); /* empty: as if not set */
    assert_int_equal(READ("--config", path), 0);
    assert_string_equal(v.name, "environment");
    assert_int_equal(v.count, 1);
    assert_int_equal(READ("--name", "line"), 0);
    assert_string_equal(v.name, "line");
    assert_int_equal(READ("--config", "/nonexistent/x.yml"), -ENOENT);
    assert_non_null(strstr(e.text, "/nonexistent/x.yml"));
    unlink(path);
}

static void names_mistakes(void **state) {
    static const struct {
        const char *words[3];
        const char *says;
    } cases[] = {
            {{"--nmae", "x"}, "did you mean --name?"},
            {{"--cout=3"}, "did you mean --count?"},
            {{"--zzzzzzzz"}, "--help lists them"},
            {{"--no-name"}, "no option --no-name"},
            {{"--count", "-1"}, "--count: \"-1\" is not a whole number"},
            {{"--count"}, "--count needs a value"},
            {{"--bytes=12XB"}, "a size such as"},
            {{"--bytes=-1"}, "a size such as"},
            {{"--bytes=99999999TB"}, "a size such as"},
            {{"--wait=soon"}, "a duration such as"},
            {{"--flag=maybe"}, "true or false"},
            {{"-n"}, "no option -n"},
            {{"--="}, "no option"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(read_words(cases[i].words) < 0);
        if (!strstr(e.text, cases[i].says))
            fail_msg("\"%s\" is not in: %s", cases[i].says, e.text);
    }
    setenv("TEST_COUNT", "many", 1);
    assert_true(READ_NOTHING() < 0);
    assert_non_null(strstr(e.text, "TEST_COUNT: \"many\""));
}

static int read_yaml(const char *text) {
    v = (struct values){0};
    e = ERROR_NONE;
    return options_read_yaml(table, "f.yml", slice_from(text), &arena, &v, &e);
}

static void reads_yaml(void **state) {
    assert_int_equal(read_yaml(""), 0);
    assert_int_equal(read_yaml("# nothing\n---\n"), 0);
    assert_int_equal(read_yaml("name: \"quoted: text\"\nflag: no\nwait: 1h\nbytes: ~\n"), 0);
    assert_string_equal(v.name, "quoted: text");
    assert_int_equal(v.wait_ns, 3600 * NS_PER_S);
    static const struct {
        const char *text, *says;
    } bad[] = {
            {"name: a\nnaem: b\n", "f.yml:2: there is no key \"naem\"; did you mean \"name\"?"},
            {"group:\n  cuont: 1\n",
             "f.yml:2: there is no key \"group.cuont\"; did you mean \"group.count\""},
            {"group:\n  count: x\n", "f.yml:2: group.count: \"x\" is not a whole number"},
            {"name: [1, 2\n", "f.yml:"},
            {"name: a\n\tname: b\n", "f.yml:2"},
            {"name: a\nname: b\n", "f.yml:2: this key stands here twice"},
            {"- a\n- b\n", "f.yml:1: the file holds no"},
            {"just text\n", "f.yml:1: the file holds no"},
            {"name: {a: {b: {c: {d: 1}}}}\n", "too deep"},
            {"name: &x 1\nother: *x\n", "anchors"},
            {"name: [[a]]\n", "plain values"},
            {"? [a]\n: b\n", "a key is a plain word"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (read_yaml(bad[i].text) >= 0 || !strstr(e.text, bad[i].says))
            fail_msg("\"%s\" is not in: %s (%s)", bad[i].says, e.text, bad[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(takes_defaults, set_up, tear_down),
            cmocka_unit_test_setup_teardown(reads_the_command_line, set_up, tear_down),
            cmocka_unit_test_setup_teardown(ranks_sources, set_up, tear_down),
            cmocka_unit_test_setup_teardown(names_mistakes, set_up, tear_down),
            cmocka_unit_test_setup_teardown(reads_yaml, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
