/* The trie: equal stacks are one node, counts are by thread, recursion counts once in totals. */
#include "../unit.h"

#include "base/memory.h"
#include "profile/profile.h"

static const struct cpython_code codes[] = {
        {.file = "a.py", .name = "main", .first_line = 1},
        {.file = "a.py", .name = "work", .first_line = 10},
        {.file = "b.py", .name = "work", .first_line = 10},
};

static void add(struct profile *p, pid_t tid, const struct cpython_frame *frames, size_t n) {
    struct cpython_thread t = {.native_id = tid, .frames = frames, .n_frames = n, .name = "w"};

    p->stats.ticks++;
    assert_int_equal(profile_add_stack(p, 7, &t), 0);
}

static void counts(void **state) {
    const struct cpython_frame one[] = {{&codes[1], 12}, {&codes[0], 2}},
                               other[] = {{&codes[2], 12}, {&codes[0], 2}},
                               recursive[] = {{&codes[1], 12}, {&codes[1], 13}, {&codes[0], 2}};
    struct profile_total *rows;
    struct profile p;
    size_t n;

    assert_int_equal(profile_init(&p), 0);
    for (unsigned i = 0; i < 3; i++)
        add(&p, 7, one, 2);
    add(&p, 8, one, 2);
    add(&p, 8, other, 2);
    add(&p, 8, recursive, 3);
    assert_int_equal(p.functions.n, 3);
    assert_int_equal(p.threads.n, 2);
    assert_string_equal(p.threads.items[0].name, "main");
    assert_string_equal(p.threads.items[1].name, "w");
    assert_int_equal(p.counts.n, 4);
    assert_int_equal(p.nodes.n, 6); /* root, main:2, work:12, b.work:12, work:13, work:12 */
    assert_int_equal(p.stats.samples, 6);
    assert_int_equal(profile_totals(&p, false, &rows, &n), 0);
    profile_sort_totals(rows, n);
    assert_int_equal(n, 3);
    assert_string_equal(p.functions.items[rows[0].id].file, "a.py");
    assert_int_equal(rows[0].own, 5);
    assert_int_equal(rows[0].total, 5); /* not 6: twice in one stack */
    assert_int_equal(rows[1].own, 1);
    assert_int_equal(rows[2].own, 0);
    assert_int_equal(rows[2].total, 6);
    free(rows);
    profile_done(&p);
}

#define DEPTH_MAX 6u

/* Stacks of three threads, by chance, most of which share their outer calls with the last one; two
 * of the code objects are the same function. `told`: with what lets a stack be compared with the
 * thread's last one: else all of it is looked up. */
static void add_chance_stacks(struct profile *p, bool told) {
    struct cpython_code known[4];
    struct cpython_frame frames[3][DEPTH_MAX] = {0};
    size_t depths[3] = {0};
    uint32_t chance = 1;

    for (size_t i = 0; i < 4; i++) {
        known[i] = codes[i % 3];
        known[i].serial = told ? i + 1 : 0;
    }
    for (unsigned n = 0; n < 2000; n++) {
        chance = chance * 1664525 + 1013904223;
        size_t which = n % 3, keep = depths[which] ? (chance >> 8) % (depths[which] + 1) : 0,
               depth = keep + (chance >> 16) % (DEPTH_MAX - keep + 1);
        struct cpython_frame now[DEPTH_MAX] = {0};
        for (size_t i = 0; i < depth; i++) { /* i: calls from the outermost */
            uint32_t one = chance >> (3 * i + 4);
            now[depth - 1 - i] = i < keep ? frames[which][depths[which] - 1 - i]
                                          : (struct cpython_frame){.code = &known[one % 4],
                                                                   .line = (int) (one / 4 % 3)};
        }
        memcpy(frames[which], now, sizeof(now));
        depths[which] = depth;
        struct cpython_thread t = {.thread_id = told ? which + 1 : 0,
                                   .native_id = (pid_t) which + 1,
                                   .frames = now,
                                   .n_frames = depth};
        assert_int_equal(profile_add_stack(p, 7, &t), 0);
    }
}

static void last_stacks_are_followed(void **state) {
    for (unsigned functions_only = 0; functions_only < 2; functions_only++) {
        struct profile followed, looked_up;

        for (unsigned i = 0; i < 2; i++) {
            struct profile *p = i ? &looked_up : &followed;
            assert_int_equal(profile_init(p), 0);
            p->functions_only = functions_only;
            add_chance_stacks(p, i == 0);
        }
        assert_int_equal(followed.threads.n, 3);
        assert_int_equal(followed.nodes.n, looked_up.nodes.n);
        assert_memory_equal(followed.nodes.items, looked_up.nodes.items,
                            followed.nodes.n * sizeof(*followed.nodes.items));
        assert_int_equal(followed.counts.n, looked_up.counts.n);
        assert_memory_equal(followed.counts.items, looked_up.counts.items,
                            followed.counts.n * sizeof(*followed.counts.items));
        profile_done(&followed);
        profile_done(&looked_up);
    }
}

static void torn_is_not_counted(void **state) {
    const struct cpython_frame frame = {&codes[0], 1};
    struct cpython_thread t = {.torn = true, .frames = &frame, .n_frames = 1};
    struct profile p;

    assert_int_equal(profile_init(&p), 0);
    assert_int_equal(profile_add_stack(&p, 1, &t), 0);
    assert_int_equal(p.stats.torn, 1);
    assert_int_equal(p.stats.samples, 0);
    assert_int_equal(p.counts.n, 0);
    profile_done(&p);
}

static void spans(void **state) {
    const struct cpython_frame a = {&codes[0], 1}, b = {&codes[1], 2};
    struct profile p;

    assert_int_equal(profile_init(&p), 0);
    p.timeline = true;
    add(&p, 1, &a, 1);
    add(&p, 1, &a, 1);
    add(&p, 1, &b, 1);
    p.stats.ticks++; /* a tick without the thread */
    add(&p, 1, &b, 1);
    assert_int_equal(p.spans.n, 3);
    assert_int_equal(p.spans.items[0].last_tick, 2);
    assert_int_equal(p.spans.items[2].first_tick, 5);
    profile_done(&p);
}

/* Every allocation fails once: nothing is corrupted, and a later sample is counted again. */
static void without_memory(void **state) {
    const struct cpython_frame frames[] = {{&codes[1], 12}, {&codes[0], 2}};
    struct cpython_thread t = {.native_id = 1, .frames = frames, .n_frames = 2};

    for (unsigned fail = 1; fail < 40; fail++) {
        struct profile p;
        memory_fail_at(fail);
        int r = profile_init(&p);
        if (r == 0)
            profile_add_stack(&p, 1, &t);
        memory_fail_at(0);
        if (r == 0) {
            uint64_t before = p.stats.samples;
            assert_int_equal(profile_add_stack(&p, 1, &t), 0);
            assert_int_equal(p.stats.samples, before + 1);
            assert_int_equal(p.counts.items[0].samples, p.stats.samples);
            assert_int_equal(p.functions.n, 2);
        }
        profile_done(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(counts),
            cmocka_unit_test(last_stacks_are_followed),
            cmocka_unit_test(torn_is_not_counted),
            cmocka_unit_test(spans),
            cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
