/* Senders that make up stacks without end: an answer is made of the most costly ones that fit, says
 * that it is truncated, and how much it leaves out. */
#include "../store/fixture.h"
#include "base/clock.h"
#include "query/profiles.h"

#define FEW 4u /* stacks that count more than all others together */
#define FEW_VALUE 1000000u

static struct store *store;
static int64_t at_s;

static void run(const char *sql) {
    struct error e = ERROR_NONE;

    if (store_execute(store, sql, &e) < 0)
        fail_msg("%s: %s", sql, e.text);
}

/* `n` stacks, each of `deep` functions; `functions`: an expression of i (the frame) and number. */
static void add_stacks(const char *service, unsigned n, unsigned deep, const char *functions) {
    char sql[1024];

    snprintf(sql, sizeof(sql),
             "INSERT INTO stacks SELECT toDate(toDateTime(%lld, 'UTC')), cityHash64('%s', number), "
             "arrayMap(i -> %s, range(%u)), arrayMap(i -> '/app.py', range(%u)), "
             "arrayMap(i -> 1, range(%u)) FROM numbers(%u) SETTINGS max_block_size = 500",
             (long long) at_s, service, functions, deep, deep, deep, n);
    run(sql);
    for (unsigned table = 0; table < 2; table++) {
        snprintf(sql, sizeof(sql),
                 "INSERT INTO profile_%s (ts, service, type, unit, stack_id, value) SELECT "
                 "toDateTime(%lld, 'UTC'), '%s', 'cpu', 'count', cityHash64('%s', number), "
                 "if(number < %u, %u, 1) FROM numbers(%u)",
                 table ? "steps" : "samples", (long long) at_s, service, service, FEW, FEW_VALUE,
                 n);
        run(sql);
    }
}

static int open_store(void **state) {
    struct store_options o = fixture_options();

    store = fixture_open(&o);
    at_s = (clock_now_ns() / NS_PER_S / 86400 - 1) * 86400 + 43200;
    return 0;
}

static int close_store(void **state) {
    store_close(store);
    return 0;
}

struct question {
    struct query q;
    struct arena arena;
    struct buffer body;
    struct json_writer json;
    struct error error;
};

static struct profile_selection begin(struct question *x, const char *service) {
    struct profile_selection p = {.from_ns = (at_s - 86400 / 2) * NS_PER_S,
                                  .to_ns = (at_s + 86400 / 2) * NS_PER_S,
                                  .service = slice_from(service),
                                  .type = SLICE("cpu")};

    *x = (struct question){.error = ERROR_NONE};
    arena_init(&x->arena, QUERY_ARENA_BYTES);
    buffer_init(&x->body, QUERY_ANSWER_BYTES);
    x->json = json_writer(&x->body);
    x->q = (struct query){.store = store,
                          .arena = &x->arena,
                          .json = &x->json,
                          .from_ns = p.from_ns,
                          .to_ns = p.to_ns,
                          .limit = 50,
                          .deadline_ns = clock_monotonic_ns() + 120 * NS_PER_S,
                          .error = &x->error};
    return p;
}

static bool says(const struct question *x, const char *text) {
    return slice_find(buffer_slice(&x->body), slice_from(text)) >= 0;
}

static void end(struct question *x) {
    buffer_done(&x->body);
    arena_done(&x->arena);
}

/* What is loaded is at least the few costly ones; the rest is accounted for. */
static void check(const char *service, uint64_t n, size_t loaded_max) {
    const struct profile_tree tree = {20000, false};
    struct profile_set set;
    struct question x;
    struct profile_selection p = begin(&x, service);
    uint64_t total = FEW * (uint64_t) FEW_VALUE + n - FEW;

    assert_int_equal(profile_set_load(&x.q, &p, NULL, &set), 0);
    assert_int_equal(set.total[0], total);
    assert_in_range(set.n, FEW, loaded_max);
    assert_int_equal(set.left_out[0], n - set.n);
    profile_set_done(&set);
    end(&x);
    begin(&x, service);
    assert_int_equal(query_profile_flame(&x.q, &p, NULL, &tree), 0);
    assert_true(says(&x, "\"truncated\":true"));
    end(&x);
}

static void many_stacks(void **state) {
    add_stacks("many", PROFILE_STACKS_MAX + 10000, 3,
               "concat('f', toString(number % 100), '_', toString(i))");
    check("many", PROFILE_STACKS_MAX + 10000, PROFILE_STACKS_MAX);
    const struct profile_table table = {0};
    struct question x;
    struct profile_selection p = begin(&x, "many");
    assert_int_equal(query_profile_table(&x.q, &p, NULL, &table), 0);
    assert_true(says(&x, "\"truncated\":true"));
    end(&x);
}

static void deep_stacks(void **state) {
    const unsigned n = PROFILE_PLACES_MAX / 2000 + 500;

    add_stacks("deep", n, 2000, "concat('f', toString((number * 7 + i) % 1000))");
    check("deep", n, PROFILE_PLACES_MAX / 2000);
}

/* Names that differ all: the engine's answer is limited in bytes. */
static void long_names(void **state) {
    const unsigned n = 500;

    add_stacks("names", n, 400, "concat(toString(number), '_', toString(i), repeat('n', 900))");
    check("names", n, n - 1);
}

static void few_stacks_are_whole(void **state) {
    const struct profile_tree tree = {20000, true};
    struct question x;

    add_stacks("few", 100, 30, "concat('f', toString(i))");
    struct profile_selection p = begin(&x, "few");
    assert_int_equal(query_profile_flame(&x.q, &p, NULL, &tree), 0);
    assert_true(says(&x, "\"truncated\":false"));
    assert_true(says(&x, "\"left_out\":0"));
    assert_true(says(&x, "\"unit\":\"count\""));
    assert_true(says(&x, "\"stacks\":100"));
    end(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(many_stacks),
            cmocka_unit_test(deep_stacks),
            cmocka_unit_test(long_names),
            cmocka_unit_test(few_stacks_are_whole),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
