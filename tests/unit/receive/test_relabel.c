/* Relabelling: all eleven actions, what is refused, label sets. */
#include "../unit.h"

#include "receive/relabel.h"

#include <stdio.h>

struct rule_text {
    const char *action, *source, *separator, *regex, *target, *replacement;
    uint64_t modulus;
};

static struct arena arena;

static int compile(const struct rule_text *t, bool utf8, struct relabel_rule *rule,
                   struct slice *sources, struct error *e) {
    struct slice rest = slice_from(t->source);
    size_t n = 0;

    *rule = (struct relabel_rule){.modulus = t->modulus};
    if (relabel_action_parse(slice_from(t->action), &rule->action) < 0)
        return -EINVAL;
    while (rest.size)
        sources[n++] = slice_cut(&rest, ',');
    rule->source_labels = sources;
    rule->n_source_labels = n;
    rule->target_label = slice_from(t->target);
    rule->separator = slice_from(t->separator);
    rule->has_separator = t->separator;
    rule->replacement = slice_from(t->replacement);
    rule->has_replacement = t->replacement;
    rule->regex_text = slice_from(t->regex);
    rule->has_regex = t->regex;
    return relabel_compile(rule, utf8, e);
}

/* "a=1,b=2" */
static void fill(struct label_set *set, const char *text) {
    struct slice rest = slice_from(text);

    label_set_init(set, &arena);
    while (rest.size) {
        struct slice value = slice_cut(&rest, ','), name = slice_cut(&value, '=');
        label_set_put(set, name, value);
    }
}

static void expect(const struct rule_text *t, const char *before, const char *after) {
    struct relabel_rule rule;
    struct relabel_rules rules = {&rule, 1};
    struct label_set set;
    struct slice sources[20];
    struct error e = ERROR_NONE;
    struct buffer out;

    arena_init(&arena, 1 << 20);
    if (compile(t, false, &rule, sources, &e) < 0)
        fail_msg("%s: %s", t->action, e.text);
    fill(&set, before);
    int kept = relabel_apply(&rules, false, &set);
    buffer_init(&out, 10000);
    if (kept == 1)
        label_items_print(set.items, set.n, &out);
    else
        buffer_printf(&out, "dropped %d", kept);
    buffer_append_u8(&out, 0);
    if (strcmp((const char *) out.data, after) != 0)
        fail_msg("%s on %s: %s, not %s", t->action, before, out.data, after);
    buffer_done(&out);
    relabel_rules_done(&rules);
    arena_done(&arena);
}

#define RULE(...) (&(const struct rule_text){__VA_ARGS__})

static void test_replace(void **state) {
    expect(RULE("replace", "a", .regex = "f(.*)", .target = "d", .replacement = "ch${1}-ch${1}"),
           "a=foo,b=bar", "{a=\"foo\", b=\"bar\", d=\"choo-choo\"}");
    expect(RULE("Replace", "a,b", .regex = "f(.*);(.*)r", .target = "a",
                .replacement = "b${1}${2}m"),
           "a=foo,b=bar", "{a=\"boobam\", b=\"bar\"}");
    expect(RULE("replace", "a", .regex = "no", .target = "d", .replacement = "x"), "a=foo",
           "{a=\"foo\"}");
    expect(RULE("replace", "a", .regex = "fo", .target = "d"), "a=foo", "{a=\"foo\"}");
    expect(RULE("replace", "a", .target = "b"), "a=foo", "{a=\"foo\", b=\"foo\"}");
    expect(RULE("replace", .target = "b", .replacement = "x"), "a=1", "{a=\"1\", b=\"x\"}");
    /* An empty result removes the label; an unknown group is empty. */
    expect(RULE("replace", "a", .regex = "(f).*", .target = "b", .replacement = "$2"),
           "a=foo,b=bar", "{a=\"foo\"}");
    expect(RULE("replace", "a", .regex = "(f).*", .target = "b", .replacement = "$1x"), "a=foo",
           "{a=\"foo\"}");
    expect(RULE("replace", "missing", .regex = "", .target = "b", .replacement = "here"), "a=1",
           "{a=\"1\", b=\"here\"}");
    /* A target made of the match; one that is no name does nothing. */
    expect(RULE("replace", "a", .regex = "some-([^-]+)-(.+)", .target = "${1}",
                .replacement = "$2"),
           "a=some-name-value", "{a=\"some-name-value\", name=\"value\"}");
    expect(RULE("replace", "a", .regex = "(.*)", .target = "${1}", .replacement = "x"), "a=b-c",
           "{a=\"b-c\"}");
    expect(RULE("replace", "a,b", .separator = "", .target = "c"), "a=1,b=2",
           "{a=\"1\", b=\"2\", c=\"12\"}");
    expect(RULE("replace", "a", .regex = "(?P<host>[^:]+)(:\\d+)?", .target = "h",
                .replacement = "${host}:9100"),
           "a=db:5432", "{a=\"db:5432\", h=\"db:9100\"}");
}

static void test_keep_and_drop(void **state) {
    expect(RULE("drop", "a", .regex = ".*o.*"), "a=foo", "dropped 0");
    expect(RULE("drop", "a", .regex = "f|o"), "a=foo", "{a=\"foo\"}");
    expect(RULE("keep", "a", .regex = "f.*"), "a=foo", "{a=\"foo\"}");
    expect(RULE("keep", "a", .regex = "b"), "a=foo", "dropped 0");
    expect(RULE("keep", "none", .regex = ".+"), "a=foo", "dropped 0");
    expect(RULE("keepequal", "a", .target = "b"), "a=x,b=x", "{a=\"x\", b=\"x\"}");
    expect(RULE("keepequal", "a", .target = "b"), "a=x,b=y", "dropped 0");
    expect(RULE("dropequal", "a", .target = "b"), "a=x,b=x", "dropped 0");
    expect(RULE("dropequal", "a", .target = "b"), "a=x", "{a=\"x\"}");
}

static void test_hashmod(void **state) {
    /* MD5 of "foo": acbd18db4cc2f85c edef654fccc4a4d8. */
    char want[80];
    snprintf(want, sizeof(want), "{a=\"foo\", d=\"%llu\"}",
             (unsigned long long) (UINT64_C(0xedef654fccc4a4d8) % 1000));
    expect(RULE("hashmod", "a", .target = "d", .modulus = 1000), "a=foo", want);
}

static void test_names(void **state) {
    expect(RULE("labelmap", .regex = "__meta_(.+)"), "__meta_a=1,b=2",
           "{__meta_a=\"1\", a=\"1\", b=\"2\"}");
    expect(RULE("labelmap", .regex = "(b)(.*)", .replacement = "bar_${2}_$1"), "a=1,b1=2",
           "{a=\"1\", b1=\"2\", bar_1_b=\"2\"}");
    expect(RULE("labeldrop", .regex = "(b.*)"), "a=1,b1=2,b2=3", "{a=\"1\"}");
    expect(RULE("labelkeep", .regex = "(b.*)"), "a=1,b1=2,b2=3", "{b1=\"2\", b2=\"3\"}");
}

static void test_case(void **state) {
    expect(RULE("lowercase", "a", .target = "b"), "a=FoO-1", "{a=\"FoO-1\", b=\"foo-1\"}");
    expect(RULE("uppercase", "a,c", .target = "b"), "a=x,c=y", "{a=\"x\", b=\"X;Y\", c=\"y\"}");
}

static void refuse(const struct rule_text *t, const char *why) {
    struct relabel_rule rule;
    struct slice sources[20];
    struct error e = ERROR_NONE;

    if (compile(t, false, &rule, sources, &e) != -EINVAL)
        fail_msg("%s was accepted", t->action);
    if (!strstr(e.text, why))
        fail_msg("%s: %s", t->action, e.text);
}

static void test_refused(void **state) {
    refuse(RULE("replace"), "needs a target_label");
    refuse(RULE("replace", .target = "a-b"), "is no target_label");
    refuse(RULE("replace", .target = "a$"), "is no target_label");
    refuse(RULE("replace", .target = "a", .regex = "("), "parsing regexp");
    refuse(RULE("replace", .target = "a", .regex = "(?=x)"), "parsing regexp");
    refuse(RULE("hashmod", .target = "a"), "modulus");
    refuse(RULE("lowercase", .target = "${1}"), "is no target_label");
    refuse(RULE("uppercase", .target = "a", .replacement = "x"), "takes no replacement");
    refuse(RULE("labelmap", .replacement = "a-b"), "is no replacement");
    refuse(RULE("labeldrop", "a", .regex = "x"), "regex and nothing else");
    refuse(RULE("labelkeep", .regex = "x", .target = "y"), "regex and nothing else");
    refuse(RULE("keepequal", "a", .target = "b", .regex = "x"), "nothing else");
    refuse(RULE("dropequal", "a"), "needs a target_label");
}

static void test_label_set(void **state) {
    struct label_set set;

    arena_init(&arena, 1 << 20);
    fill(&set, "c=3,a=1,b=2,a=9");
    assert_int_equal(set.n, 3);
    assert_slice(set.items[0].value, "9");
    label_set_put(&set, SLICE("b"), SLICE(""));
    assert_int_equal(set.n, 2);
    assert_int_equal(label_set_get(&set, SLICE("b")).size, 0);
    for (unsigned i = 0; i < LABEL_SET_MAX + 10; i++)
        label_set_put(&set, slice_from(arena_printf(&arena, "n%u", i)), SLICE("v"));
    assert_int_equal(set.failed, -ENOBUFS);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_replace),   cmocka_unit_test(test_keep_and_drop),
            cmocka_unit_test(test_hashmod),   cmocka_unit_test(test_names),
            cmocka_unit_test(test_case),      cmocka_unit_test(test_refused),
            cmocka_unit_test(test_label_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
