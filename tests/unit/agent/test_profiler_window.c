/* What a window holds is what the server reads out of the bytes: stacks, costs, threads, spans,
 * endpoints, the text of functions. CPU time that was measured is whole, whatever was sampled; what
 * is beyond a limit is counted. */
#include "../unit.h"

#include "base/clock.h"
#include "memory_store.h"
#include "profiler_fixture.h"
#include "profiler_operation.h"
#include "profiler_rows.h"
#include "profiler_source.h"
#include "receive/otlp_decode.h"
#include "signal/columns.h"
#include "wire/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct store *store;
static struct ingest *ingest;
static struct profiler_window *w;

static int setup(void **state) {
    struct ingest_options o = {.scrub = true};
    struct error e;

    o.store = store = memory_store_new();
    return window_new(&w) == 0 ? ingest_new(&o, &ingest, &e) : -1;
}

static int teardown(void **state) {
    ingest_stop(ingest);
    ingest_free(ingest);
    memory_store_free(store);
    window_free(w);
    return 0;
}

static void done(void *ctx, int result) {
}

/* Settles, encodes, and gives it to the server. */
static void send(void) {
    /* KeyValue service.name = shop, as a Resource. */
    static const char resource[] = "\x0a\x16\x0a\x0cservice.name\x12\x06\x0a\x04shop";
    struct otlp_decoder d;
    struct ingest_txn *t;
    unsigned retry_s;
    char *body;
    size_t n;

    window_settle(w);
    assert_int_equal(window_encode(w, resource, sizeof(resource) - 1, clock_now_ns(), 10 * NS_PER_S,
                                   &body, &n),
                     0);
    assert_int_equal(ingest_begin(ingest, n, &t, &retry_s), 0);
    otlp_decoder_init(&d, t);
    assert_int_equal(otlp_decode_protobuf(&d, OTLP_PROFILES, slice_new(body, n)), 0);
    assert_int_equal(d.rejected, 0);
    otlp_decoder_done(&d);
    ingest_commit(t, done, NULL);
    free(body);
}

/* The sum of the samples that are so. */
static uint64_t sum_of(const char *type, const char *thread, const char *endpoint, bool traced) {
    struct native_reader *r = memory_store_read(store, TABLE_PROFILE_SAMPLES);
    static const uint8_t none[16];
    uint64_t sum = 0;

    for (size_t i = 0; i < native_reader_rows(r); i++) {
        bool has_trace = !slice_equal(native_reader_cell(r, i, PROFILE_SAMPLES_TRACE_ID).text,
                                      slice_new(none, 16));
        assert_slice(native_reader_cell(r, i, PROFILE_SAMPLES_SERVICE).text, "shop");
        assert_slice(native_reader_cell(r, i, PROFILE_SAMPLES_UNIT).text, "nanoseconds");
        if (slice_is(native_reader_cell(r, i, PROFILE_SAMPLES_TYPE).text, type) &&
            (!thread || slice_is(native_reader_cell(r, i, PROFILE_SAMPLES_THREAD).text, thread)) &&
            (!endpoint ||
             slice_is(native_reader_cell(r, i, PROFILE_SAMPLES_ENDPOINT).text, endpoint)) &&
            (!traced || has_trace))
            sum += native_reader_cell(r, i, PROFILE_SAMPLES_VALUE).u64;
    }
    native_reader_free(r);
    return sum;
}

static int64_t add(const struct cpython_frame *frames, const char *thread,
                   const struct window_span *span, uint64_t cpu, uint64_t wall, uint64_t gil,
                   uint64_t seen) {
    static const struct window_span none;
    struct cpython_thread t = thread_at(7, frames, 2);
    const uint64_t costs[COSTS] = {cpu, wall, gil};

    return window_add(w, &t, window_label(w, thread), span ? span : &none, costs, seen);
}

static void server_reads_what_was_seen(void **state) {
    static const uint64_t nothing[2];

    assert_int_equal(add(at_work, "one", NULL, 0, 100, 0, 5), 0);
    add(at_work, "one", NULL, 0, 11, 0, 5);
    add(waiting, "two", NULL, 0, 1000, 30, 0);
    window_charge(w, nothing, window_label(w, "one"), 700);
    send();
    assert_int_equal(sum_of("cpu", "one", "", false), 700);
    assert_int_equal(sum_of("cpu", NULL, NULL, false), 700);
    assert_int_equal(sum_of("wall", "one", NULL, false), 111);
    assert_int_equal(sum_of("wall", "two", NULL, false), 1000);
    assert_int_equal(sum_of("gil_wait", "two", NULL, false), 30);
    struct native_reader *r = memory_store_read(store, TABLE_STACKS);
    assert_int_equal(native_reader_rows(r), 2);
    for (size_t i = 0; i < 2; i++) { /* innermost first */
        bool work = slice_is(native_reader_item(r, i, STACKS_FUNCTIONS, 0).text, "work");
        assert_int_equal(native_reader_length(r, i, STACKS_FUNCTIONS), 2);
        assert_slice(native_reader_item(r, i, STACKS_FILES, 0).text,
                     work ? "/app/work.py" : "/usr/lib/python3.11/threading.py");
        assert_int_equal(native_reader_item(r, i, STACKS_LINES, 0).u64, work ? 12 : 6);
        assert_slice(native_reader_item(r, i, STACKS_FUNCTIONS, 1).text, "main");
    }
    native_reader_free(r);
}

static void measured_time_is_whole(void **state) {
    const uint64_t trace[2] = {0x1122, 0x33}, other[2] = {0x44, 0x55}, never[2] = {0x66, 0x77};
    const struct window_span span = {{trace[0], trace[1]}, 9};

    profiler_operation_set((const uint8_t *) trace, "GET /a", 6, true);
    profiler_operation_set((const uint8_t *) other, "GET /b", 6, false);
    profiler_operation_set((const uint8_t *) never, "GET /c", 6, true);
    add(at_work, "one", &span, 50, 0, 0, 3); /* measured of this span: 50 of the 400 */
    add(waiting, "one", &span, 0, 0, 0, 1);
    window_charge(w, trace, window_label(w, "one"), 400);
    window_charge(w, trace, window_label(w, "two"), 40); /* of a thread that was never seen */
    const struct window_span second = {{other[0], other[1]}, 10};
    add(at_work, "two", &second, 0, 0, 0, 1);
    window_charge(w, other, window_label(w, "two"), 30);
    window_charge(w, never, window_label(w, "one"), 5000);
    send();
    assert_int_equal(sum_of("cpu", NULL, "GET /a", false), 440);
    assert_int_equal(sum_of("cpu", NULL, "GET /a", true), 50);
    assert_int_equal(sum_of("cpu", "one", "GET /a", false), 400);
    assert_int_equal(sum_of("cpu", NULL, "GET /b", false), 30);
    assert_int_equal(sum_of("cpu", NULL, "GET /c", false), 0);
    window_reset(w);
    /* It waited for a window in which its endpoint was seen. */
    const struct window_span third = {{never[0], never[1]}, 11};
    add(at_work, "one", &third, 0, 0, 0, 1);
    send();
    assert_int_equal(sum_of("cpu", "", "GET /c", false) + sum_of("cpu", "one", "GET /c", false),
                     5000);
    assert_int_equal(window_dropped(w), 0);
}

static void text_goes_along_once(void **state) {
    char path[] = "/tmp/varan-window-XXXXXX";
    struct cpython_code code = {.name = "work", .first_line = 2, .last_line = 4};
    const struct cpython_frame frames[] = {{.code = &code, .line = 3}, {.code = &code, .line = 4}};
    struct function_texts *texts;
    int fd = mkstemp(path);

    code.file = path;
    assert_true(fd >= 0 && write(fd, "x = 1\ndef work():\n    a\n    b\ny = 2\n", 35) == 35);
    close(fd);
    assert_int_equal(function_texts_new(clock_now_ns() + 60 * NS_PER_S, NULL, NULL, &texts), 0);
    for (int i = 0; i < 2; i++) {
        add(frames, "one", NULL, 0, 10, 0, 0);
        sources_choose(texts, w);
        send();
        struct native_reader *r = memory_store_read(store, TABLE_PROFILE_SOURCES);
        assert_int_equal(native_reader_rows(r), i == 0);
        if (i == 0) {
            assert_slice(native_reader_cell(r, 0, PROFILE_SOURCES_TEXT).text,
                         "def work():\n    a\n    b");
            assert_slice(native_reader_cell(r, 0, PROFILE_SOURCES_PATH).text, path);
            assert_int_equal(native_reader_cell(r, 0, PROFILE_SOURCES_FIRST_LINE).u64, 2);
        }
        native_reader_free(r);
        window_reset(w);
    }
    function_texts_free(texts);
    unlink(path);
}

static void limits_are_counted(void **state) {
    static struct cpython_frame deep[CPYTHON_FRAMES_MAX];
    struct cpython_thread t = thread_at(7, deep, CPYTHON_FRAMES_MAX);
    static const struct window_span none;
    const uint64_t costs[COSTS] = {0, 1, 0};
    uint64_t sent = 0;

    assert_int_equal(window_encode(w, "", 0, 1, 1, &(char *){NULL}, &(size_t){0}), -ENODATA);
    for (int i = 0; i < 100; i++) { /* a hundred stacks with nothing in common */
        for (size_t k = 0; k < CPYTHON_FRAMES_MAX; k++)
            deep[k] = (struct cpython_frame){.code = k % 2 ? &code_work : &code_main,
                                             .line = (int) (i * CPYTHON_FRAMES_MAX + k)};
        sent += window_add(w, &t, 0, &none, costs, 0) >= 0;
    }
    assert_in_range(sent, 20, WINDOW_NODES_MAX / CPYTHON_FRAMES_MAX);
    assert_int_equal(window_dropped(w), 100 - sent);
    /* More spans than rows: they count without their spans. */
    window_reset(w);
    for (uint64_t i = 1; i <= WINDOW_ROWS_MAX + 500; i++) {
        const struct window_span span = {{i, i}, i};
        add(waiting, "one", &span, 0, 1, 0, 0);
    }
    assert_int_equal(window_rows(w), WINDOW_TRACED_ROWS_MAX + 1);
    assert_int_equal(window_dropped(w), 0);
    send();
    assert_int_equal(sum_of("wall", NULL, NULL, true), WINDOW_TRACED_ROWS_MAX);
    assert_int_equal(sum_of("wall", NULL, NULL, false), WINDOW_ROWS_MAX + 500);
}

static void names_of_any_bytes(void **state) {
    char name[400];
    struct cpython_code code = {.file = "/app/\xff\xfe.py", .name = name, .first_line = -5};
    const struct cpython_frame frames[] = {{.code = &code, .line = -1}, {.code = &code, .line = 0}};
    const uint64_t trace[2] = {1, 2};
    const struct window_span span = {{1, 2}, 3};

    memset(name, 0xe2, sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    profiler_operation_set((const uint8_t *) trace, name, sizeof(name) - 1, true);
    add(frames, name, &span, 5, 1, 1, 1);
    window_charge(w, trace, window_label(w, name), 5);
    send();
    assert_int_equal(sum_of("cpu", NULL, NULL, true), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(server_reads_what_was_seen, setup, teardown),
            cmocka_unit_test_setup_teardown(measured_time_is_whole, setup, teardown),
            cmocka_unit_test_setup_teardown(text_goes_along_once, setup, teardown),
            cmocka_unit_test_setup_teardown(limits_are_counted, setup, teardown),
            cmocka_unit_test_setup_teardown(names_of_any_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
