/* Protects what a trace's spans mean together: tree, self time, critical path, repetition. */
#include "../unit.h"

#include "base/clock.h"
#include "query/trace_tree.h"
#include "signal/signal.h"

#define SPANS_MAX 12000

static struct arena arena;
static struct trace_span spans[SPANS_MAX];
static size_t n;

static int setup(void **state) {
    arena_init(&arena, (size_t) 256 << 20);
    memset(spans, 0, sizeof(spans));
    n = 0;
    return 0;
}

static int teardown(void **state) {
    arena_done(&arena);
    return 0;
}

static void put_id(uint8_t *id, uint64_t v) {
    for (int i = 0; i < 8; i++)
        id[i] = (uint8_t) (v >> (8 * (7 - i)));
}

/* Milliseconds. */
static struct trace_span *add(uint64_t id, uint64_t parent, int64_t start, int64_t end) {
    struct trace_span *s = &spans[n++];

    put_id(s->span_id, id);
    put_id(s->parent_id, parent);
    s->start_ns = start * NS_PER_MS;
    s->end_ns = end * NS_PER_MS;
    s->service = SLICE("a");
    s->name = SLICE("x");
    s->kind = SPAN_INTERNAL;
    return s;
}

static struct trace_tree build(void) {
    struct trace_tree t;

    assert_int_equal(trace_tree_build(&arena, spans, n, &t), 0);
    return t;
}

/* Segments of the path follow each other without gap or overlap, from root's begin to its end. */
static void check_path(const struct trace_tree *t) {
    int64_t at = t->spans[t->root].start_ns;

    for (size_t i = 0; i < t->n_path; i++) {
        assert_int_equal(t->path[i].from_ns, at);
        assert_true(t->path[i].to_ns > at);
        at = t->path[i].to_ns;
    }
    assert_int_equal(at, t->spans[t->root].end_ns);
}

static void counts_parallel_children_once(void **state) {
    add(1, 0, 0, 100);
    add(2, 1, 10, 50);
    add(3, 1, 20, 60);  /* beside the other */
    add(4, 1, 30, 40);  /* within both */
    add(5, 1, 90, 130); /* goes on after its parent */
    struct trace_tree t = build();
    assert_int_equal(spans[0].self_ns, (10 + 30) * NS_PER_MS);
    assert_int_equal(t.root, 0);
    assert_int_equal(t.end_ns, 130 * NS_PER_MS);
    check_path(&t);
}

static void follows_the_critical_path(void **state) {
    add(1, 0, 0, 100);
    add(2, 1, 10, 40);
    struct trace_span *db = add(3, 1, 30, 80);
    db->db_system = SLICE("sqlite");
    struct trace_tree t = build();
    /* own 0-10, 2 until 3 begins, 3, own */
    assert_int_equal(t.n_path, 4);
    assert_int_equal(t.path[1].span, 1);
    assert_int_equal(t.path[1].to_ns, 30 * NS_PER_MS);
    assert_int_equal(t.path[2].span, 2);
    check_path(&t);
    assert_int_equal(t.n_times, 2);
    assert_int_equal(t.times[0].ns + t.times[1].ns, 100 * NS_PER_MS);
    assert_int_equal(t.times[0].ns, 50 * NS_PER_MS);
}

static void survives_odd_parents(void **state) {
    add(1, 2, 0, 10); /* a circle */
    add(2, 3, 0, 20);
    add(3, 1, 0, 30);
    add(4, 4, 0, 5);  /* its own parent */
    add(5, 99, 0, 7); /* a parent that is not there */
    add(1, 5, 0, 8);  /* the same id again */
    struct trace_tree t = build();
    assert_true(t.root < n);
    check_path(&t);
    unsigned roots = 0;
    for (size_t i = 0; i < n; i++)
        roots += spans[i].parent == NO_SPAN;
    assert_true(roots >= 3);
}

static void survives_deep_and_wide_traces(void **state) {
    for (uint64_t i = 1; i <= 10000; i++)
        add(i, i - 1, (int64_t) i, 20001 - (int64_t) i);
    struct trace_tree t = build();
    check_path(&t);
    teardown(NULL);
    setup(NULL);
    add(1, 0, 0, 10000);
    for (uint64_t i = 2; i <= 10000; i++)
        add(i, 1, (int64_t) i - 1, (int64_t) i);
    t = build();
    check_path(&t);
    assert_int_equal(spans[0].self_ns, NS_PER_MS);
}

static void finds_repetition_that_is_not_contiguous(void **state) {
    add(1, 0, 0, 1000);
    for (uint64_t i = 0; i < 20; i++) {
        struct trace_span *s = add(10 + i, 1, (int64_t) i * 20, (int64_t) i * 20 + 10);
        s->statement = i % 2 ? SLICE("SELECT 1") : SLICE("SELECT 2");
        s->kind = SPAN_CLIENT;
    }
    add(50, 2, 0, 1)->statement = SLICE("SELECT 1"); /* another parent */
    struct trace_tree t = build();
    assert_int_equal(t.n_findings, 2);
    assert_int_equal(t.findings[0].count, 10);
    assert_int_equal(t.findings[0].ns, 100 * NS_PER_MS);
    assert_true(t.findings[0].database);
}

static void keeps_quiet_about_few_or_short_ones(void **state) {
    add(1, 0, 0, 1000);
    for (uint64_t i = 0; i < 4; i++)
        add(10 + i, 1, (int64_t) i * 200, (int64_t) i * 200 + 100)->statement = SLICE("SELECT 1");
    for (uint64_t i = 0; i < 6; i++)
        add(20 + i, 1, (int64_t) i, (int64_t) i + 1)->statement = SLICE("SELECT 2");
    assert_int_equal(build().n_findings, 0);
}

static void sees_skewed_clocks(void **state) {
    add(1, 0, 100, 200);
    struct trace_span *s = add(2, 1, 50, 80);
    s->service = SLICE("b");
    s->kind = SPAN_SERVER;
    assert_true(build().skewed);
}

static void fails_without_memory(void **state) {
    struct trace_tree t;

    add(1, 0, 0, 100);
    add(2, 1, 10, 40)->statement = SLICE("SELECT 1");
    for (unsigned i = 1; i < 12; i++) {
        arena_done(&arena);
        memory_fail_at(i);
        int r = trace_tree_build(&arena, spans, n, &t);
        memory_fail_at(0);
        assert_true(r == 0 || r == -ENOMEM);
        for (size_t k = 0; k < n; k++)
            spans[k].n_children = 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(counts_parallel_children_once, setup, teardown),
            cmocka_unit_test_setup_teardown(follows_the_critical_path, setup, teardown),
            cmocka_unit_test_setup_teardown(survives_odd_parents, setup, teardown),
            cmocka_unit_test_setup_teardown(survives_deep_and_wide_traces, setup, teardown),
            cmocka_unit_test_setup_teardown(finds_repetition_that_is_not_contiguous, setup,
                                            teardown),
            cmocka_unit_test_setup_teardown(keeps_quiet_about_few_or_short_ones, setup, teardown),
            cmocka_unit_test_setup_teardown(sees_skewed_clocks, setup, teardown),
            cmocka_unit_test_setup_teardown(fails_without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
