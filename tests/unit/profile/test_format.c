/* What the formats hold, with names that would break a careless writer. */
#include "../unit.h"

#include "profile/format.h"
#include "wire/compress.h"
#include "wire/json.h"
#include "wire/protobuf.h"

#include <jansson.h>

static const struct cpython_code codes[] = {
        {.file = "a.py", .name = "main", .first_line = 1},
        {.file = "dir;x/</script>\n.py", .name = "<lambda>\"", .first_line = 10},
};

static void fill(struct profile *p) {
    const struct cpython_frame frames[] = {{&codes[1], 12}, {&codes[0], 2}};
    struct cpython_thread t = {.native_id = 5, .frames = frames, .n_frames = 2};

    assert_int_equal(profile_init(p), 0);
    p->period_ns = 10000000;
    p->timeline = true;
    for (unsigned i = 0; i < 4; i++) {
        t.frames = i < 3 ? frames : frames + 1;
        t.n_frames = i < 3 ? 2 : 1;
        p->stats.ticks++;
        assert_int_equal(profile_add_stack(p, 5, &t), 0);
    }
}

static struct buffer write_as(const char *name) {
    struct profile p;
    struct buffer out;

    fill(&p);
    buffer_init(&out, FORMAT_BYTES_MAX);
    assert_int_equal(format_by_name(name)->write(&p, &out), 0);
    profile_done(&p);
    return out;
}

static json_t *parse(struct slice text) {
    struct error e = ERROR_NONE;
    json_t *ret;

    assert_int_equal(json_parse(text, NULL, &ret, NULL, &e), 0);
    return ret;
}

static void collapsed(void **state) {
    struct buffer out = write_as("collapsed");

    assert_slice(buffer_slice(&out),
                 "main (a.py:2) 1\nmain (a.py:2);<lambda>\" (dir:x/</script> .py:12) 3\n");
    buffer_done(&out);
}

static void speedscope(void **state) {
    struct buffer out = write_as("speedscope");
    json_t *all = parse(buffer_slice(&out));
    json_t *one = json_array_get(json_object_get(all, "profiles"), 0);

    assert_int_equal(json_array_size(json_object_get(one, "samples")), 2);
    assert_int_equal(json_array_size(json_object_get(one, "weights")), 2);
    assert_int_equal(json_array_size(json_object_get(json_object_get(all, "shared"), "frames")), 2);
    json_decref(all);
    buffer_done(&out);
}

/* Every begin has its end, in order. */
static void chrome(void **state) {
    struct buffer out = write_as("chrome");
    json_t *all = parse(buffer_slice(&out)), *event;
    const char *open[8];
    double ends = 0;
    size_t i, depth = 0;

    json_array_foreach(json_object_get(all, "traceEvents"), i, event) {
        const char *name = json_string_value(json_object_get(event, "name"));
        if (strcmp(json_string_value(json_object_get(event, "ph")), "B") == 0)
            open[depth++] = name;
        else
            assert_string_equal(open[--depth], name);
        ends = json_number_value(json_object_get(event, "ts"));
    }
    assert_int_equal(depth, 0);
    assert_int_equal(i, 4);
    assert_true(ends == 50000.0); /* µs: four ticks of 10 ms, from the first on */
    json_decref(all);
    buffer_done(&out);
}

static void pprof(void **state) {
    struct buffer zipped = write_as("pprof"), out;
    unsigned seen[16] = {0};
    struct pb_field f;
    int r;

    buffer_init(&out, 1 << 20);
    assert_int_equal(decompress(COMPRESSION_GZIP, buffer_slice(&zipped), &out), 0);
    struct pb_reader reader = pb_reader(buffer_slice(&out));
    while ((r = pb_next(&reader, &f)) == 1) {
        if (f.number == 6 && seen[6] == 0)
            assert_int_equal(f.bytes.size, 0); /* the first string is empty */
        assert_in_range(f.number, 1, 15);
        seen[f.number]++;
    }
    assert_int_equal(r, 0);
    assert_int_equal(seen[1], 2);
    assert_int_equal(seen[2], 2);
    assert_int_equal(seen[4], 2);
    assert_int_equal(seen[5], 2);
    assert_int_equal(seen[12], 1);
    buffer_done(&zipped);
    buffer_done(&out);
}

static void html(void **state) {
    struct buffer out = write_as("html");
    struct slice page = buffer_slice(&out);
    static const char begin[] = "<script type=\"application/json\" id=\"data\">";
    ptrdiff_t at = slice_find(page, slice_from(begin));

    assert_true(at > 0);
    page = slice_skip(page, (size_t) at + strlen(begin));
    ptrdiff_t end = slice_find(page, SLICE("</script>"));
    json_t *all = parse(slice_take(page, (size_t) end)); /* the name did not end it early */
    assert_int_equal(json_array_size(json_object_get(all, "counts")), 2);
    assert_int_equal(json_array_size(json_object_get(all, "nodes")), 3);
    json_decref(all);
    buffer_done(&out);
}

static void names(void **state) {
    assert_string_equal(format_by_file("x.html")->name, "html");
    assert_string_equal(format_by_file("x.pb.gz")->name, "pprof");
    assert_string_equal(format_by_file("x.json")->name, "speedscope");
    assert_string_equal(format_by_file("x.trace.json")->name, "chrome");
    assert_null(format_by_file("x"));
    assert_null(format_by_name("png"));
}

/* A file that is too large for its cap is an error, never half a file. */
static void too_large(void **state) {
    struct profile p;
    struct buffer out;

    fill(&p);
    for (size_t i = 0; i < formats_n; i++) {
        buffer_init(&out, 10);
        assert_true(formats[i].write(&p, &out) < 0);
        buffer_done(&out);
    }
    profile_done(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(collapsed), cmocka_unit_test(speedscope), cmocka_unit_test(chrome),
            cmocka_unit_test(pprof),     cmocka_unit_test(html),       cmocka_unit_test(names),
            cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
