/* pprof: what is written is read back; what hostile senders write is refused. */
#include "../unit.h"

#include "wire/compress.h"
#include "wire/pprof.h"
#include "wire/protobuf.h"

static const struct pprof_value_type types[] = {{SLICE("samples"), SLICE("count")},
                                                {SLICE("cpu"), SLICE("nanoseconds")}};

static void write_sample(struct pprof_writer *w, const struct pprof_frame *frames, size_t n,
                         int64_t a, int64_t b) {
    const int64_t values[] = {a, b};
    const struct pprof_label labels[] = {{.key = SLICE("thread"), .text = SLICE("main")},
                                         {.key = SLICE("pid"), .number = 7, .unit = SLICE("id")}};

    pprof_write_sample(w, &(struct pprof_sample){.frames = frames,
                                                 .n_frames = n,
                                                 .values = values,
                                                 .n_values = 2,
                                                 .labels = labels,
                                                 .n_labels = 2});
}

static void write_two(struct buffer *out) {
    const struct pprof_frame frames[] = {
            {.function = SLICE("leaf"), .file = SLICE("a.py"), .line = 12, .start_line = 10},
            {.function = SLICE("main"), .file = SLICE("b.py"), .line = 3, .start_line = 1}};
    struct pprof_writer w;

    pprof_writer_init(&w, types, 2, 1 << 20);
    write_sample(&w, frames, 2, 5, 50);
    write_sample(&w, frames + 1, 1, 1, 10);
    assert_int_equal(pprof_write_end(&w, 1000, 2000, &types[1], 10, out), 0);
    pprof_writer_done(&w);
}

static void round_trip(void **state) {
    struct buffer out;
    struct pprof *p;
    struct pprof_sample s;
    struct error e;

    buffer_init(&out, 1 << 20);
    write_two(&out);
    assert_int_equal(pprof_read(buffer_slice(&out), &p, &e), 0);
    const struct pprof_head *h = pprof_head(p);
    assert_int_equal(h->n_types, 2);
    assert_slice(h->types[1].type, "cpu");
    assert_slice(h->types[1].unit, "nanoseconds");
    assert_int_equal(h->n_samples, 2);
    assert_true(h->time_ns == 1000 && h->duration_ns == 2000 && h->period == 10);
    assert_slice(h->period_type.type, "cpu");
    for (int again = 0; again < 2; again++) {
        assert_int_equal(pprof_next(p, &s, &e), 1);
        assert_int_equal(s.n_frames, 2);
        assert_slice(s.frames[0].function, "leaf");
        assert_slice(s.frames[1].file, "b.py");
        assert_true(s.frames[0].line == 12 && s.frames[0].start_line == 10);
        assert_true(s.values[0] == 5 && s.values[1] == 50);
        assert_int_equal(s.n_labels, 2);
        assert_slice(s.labels[0].text, "main");
        assert_true(s.labels[1].number == 7);
        assert_slice(s.labels[1].unit, "id");
        assert_int_equal(pprof_next(p, &s, &e), 1);
        assert_int_equal(s.n_frames, 1);
        assert_int_equal(pprof_next(p, &s, &e), 0);
        pprof_rewind(p);
    }
    pprof_free(p);
    buffer_done(&out);
}

/* Builds a message piece by piece. */
static void put_message(struct buffer *b, uint32_t field, const char *bytes, size_t n) {
    pb_put_bytes(b, field, slice_new(bytes, n));
}

static int read_plain(struct buffer *b, struct error *e) {
    struct pprof *p;
    struct pprof_sample s;
    int r = pprof_read(buffer_slice(b), &p, e), more = 0;

    if (r < 0)
        return r;
    while ((more = pprof_next(p, &s, e)) > 0)
        ;
    pprof_free(p);
    return more;
}

/* Tables behind the samples, numbers that are no positions, a location without symbols, several
 * lines in one location, unpacked numbers. */
static void other_writers(void **state) {
    struct pprof_sample s;
    struct pprof *p;
    struct buffer b;
    struct error e;

    buffer_init(&b, 1 << 20);
    put_message(&b, 2, "\x08\x63\x08\x05\x10\x07", 6); /* locations 99, 5 */
    put_message(&b, 1, "\x08\x01\x10\x02", 4);         /* type */
    put_message(&b, 4, "\x08\x63\x22\x04\x08\x2a\x10\x09\x22\x02\x08\x2b", 12); /* 99: two lines */
    put_message(&b, 4, "\x08\x05\x10\x08\x18\xb4\x24", 7); /* 5: address 0x1234 */
    put_message(&b, 3, "\x08\x08\x28\x05", 4);             /* mapping 8 */
    put_message(&b, 5, "\x08\x2a\x10\x03", 4);             /* function 42 */
    put_message(&b, 5, "\x08\x2b\x18\x04", 4);             /* function 43 with a system name only */
    for (int i = 0; i < 6; i++) {
        static const char *const texts[] = {"", "cpu", "ns", "inlined", "outer", "libx.so"};
        pb_put_bytes(&b, 6, slice_from(texts[i]));
    }
    assert_int_equal(pprof_read(buffer_slice(&b), &p, &e), 0);
    assert_int_equal(pprof_next(p, &s, &e), 1);
    assert_int_equal(s.n_frames, 3);
    assert_slice(s.frames[0].function, "inlined");
    assert_true(s.frames[0].line == 9);
    assert_slice(s.frames[1].function, "outer");
    assert_slice(s.frames[2].function, "0x1234");
    assert_slice(s.frames[2].file, "libx.so");
    assert_true(s.values[0] == 7);
    pprof_free(p);
    buffer_done(&b);
}

static void refuses(void **state) {
    static const struct {
        uint32_t field;
        const char *bytes;
        size_t n;
    } wrong[] = {
            {2, "\x0a\x01\x09\x12\x01\x01", 6},     /* a location that is not there */
            {2, "\x12\x02\x01\x02", 4},             /* two values of one type */
            {2, "", 0},                             /* no value */
            {5, "\x08\x01\x10\x09", 4},             /* a string that is not there */
            {4, "\x08\x01\x22\x02\x08\x07", 6},     /* a function that is not there */
            {4, "\x08\x01\x10\x07", 4},             /* a mapping that is not there */
            {2, "\x12\x01\x01\x1a\x02\x08\x09", 7}, /* a label's string */
            {4, "\x08", 1},                         /* cut off */
    };
    struct buffer b;
    struct error e;

    buffer_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        buffer_clear(&b);
        put_message(&b, 1, "", 0);
        put_message(&b, 6, "", 0);
        assert_int_equal(read_plain(&b, &e), 0);
        put_message(&b, wrong[i].field, wrong[i].bytes, wrong[i].n);
        assert_int_equal(read_plain(&b, &e), -EBADMSG);
        assert_non_null(strstr(e.text, "pprof"));
    }
    buffer_clear(&b);
    assert_int_equal(read_plain(&b, &e), -EBADMSG); /* nothing at all */
    buffer_append_text(&b, "\x1f\x8b nonsense");
    assert_int_equal(read_plain(&b, &e), -EBADMSG);
    buffer_done(&b);
}

/* Each prefix of a good profile is read or refused, never more. */
static void cut_off(void **state) {
    struct buffer out, plain, part;
    struct error e;

    buffer_init(&out, 1 << 20);
    buffer_init(&plain, 1 << 20);
    buffer_init(&part, 1 << 20);
    write_two(&out);
    assert_int_equal(decompress(COMPRESSION_GZIP, buffer_slice(&out), &plain), 0);
    for (size_t n = 0; n < plain.size; n++) {
        buffer_clear(&part);
        buffer_append(&part, plain.data, n);
        int r = read_plain(&part, &e);
        assert_true(r == 0 || r == -EBADMSG);
    }
    buffer_done(&out);
    buffer_done(&plain);
    buffer_done(&part);
}

/* A stack beyond the limit keeps its innermost frames; too many strings are refused. */
static void limits(void **state) {
    struct pprof_sample s;
    struct pprof *p;
    struct buffer b;
    struct error e;

    buffer_init(&b, 16 << 20);
    put_message(&b, 1, "", 0);
    put_message(&b, 6, "", 0);
    put_message(&b, 4, "\x08\x01", 2);
    size_t sample = pb_begin(&b, 2), packed = pb_begin(&b, 1);
    for (unsigned i = 0; i < PPROF_FRAMES_MAX + 5; i++)
        pb_put_raw_varint(&b, 1);
    pb_end(&b, packed);
    pb_put_varint(&b, 2, 1);
    pb_end(&b, sample);
    assert_int_equal(pprof_read(buffer_slice(&b), &p, &e), 0);
    assert_int_equal(pprof_next(p, &s, &e), 1);
    assert_int_equal(s.n_frames, PPROF_FRAMES_MAX);
    assert_true(s.cut);
    pprof_free(p);
    buffer_clear(&b);
    for (unsigned i = 0; i <= PPROF_STRINGS_MAX; i++)
        pb_put_bytes(&b, 6, SLICE_EMPTY);
    assert_int_equal(read_plain(&b, &e), -E2BIG);
    buffer_done(&b);
}

static void without_memory(void **state) {
    struct buffer out;
    struct pprof *p;
    struct error e;
    int r = -1;

    buffer_init(&out, 1 << 20);
    write_two(&out);
    for (unsigned n = 1; n < 100 && r != 0; n++) {
        memory_fail_at(n);
        r = pprof_read(buffer_slice(&out), &p, &e);
        memory_fail_at(0);
        assert_true(r == 0 || r == -ENOMEM);
    }
    assert_int_equal(r, 0);
    pprof_free(p);
    buffer_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(round_trip), cmocka_unit_test(other_writers),
            cmocka_unit_test(refuses),    cmocka_unit_test(cut_off),
            cmocka_unit_test(limits),     cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
