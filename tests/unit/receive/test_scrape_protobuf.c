/* Protects: what a body in Prometheus' protobuf format becomes, entry by entry, and that no
 * beginning of one, nor one with a byte changed, does anything but end or err. */
#include "../unit.h"

#include "receive/scrape_protobuf.h"
#include "signal/histogram.h"

#include <math.h>
#include <stdio.h>

/* ---- Writing ---- */

static void put_text(struct buffer *b, uint32_t number, const char *text) {
    pb_put_bytes(b, number, slice_from(text));
}

static void put_label(struct buffer *b, const char *name, const char *value) {
    size_t begin = pb_begin(b, 1);
    put_text(b, 1, name);
    put_text(b, 2, value);
    pb_end(b, begin);
}

static void put_span(struct buffer *b, uint32_t number, int32_t offset, uint32_t length) {
    size_t begin = pb_begin(b, number);
    pb_put_varint(b, 1, ((uint32_t) offset << 1) ^ (uint32_t) (offset >> 31));
    pb_put_varint(b, 2, length);
    pb_end(b, begin);
}

/* Two positive buckets (4 and 6 observations) of schema 3, and three classic ones. */
static void put_histogram(struct buffer *b) {
    size_t begin = pb_begin(b, 7), bucket;
    pb_put_varint(b, 1, 13);
    pb_put_double(b, 2, 2.5);
    for (int i = 0; i < 2; i++) {
        bucket = pb_begin(b, 3);
        pb_put_varint(b, 1, 5 * (uint64_t) i);
        pb_put_double(b, 2, i + 0.5);
        pb_end(b, bucket);
    }
    pb_put_varint(b, 5, 6);
    pb_put_double(b, 6, 0.001);
    pb_put_varint(b, 7, 3);
    put_span(b, 12, 3, 2);
    pb_put_varint(b, 13, 8); /* 4 */
    pb_put_varint(b, 13, 4); /* 4 + 2 */
    bucket = pb_begin(b, 16);
    put_label(b, "trace_id", "t");
    pb_put_double(b, 2, 0.25);
    size_t time = pb_begin(b, 3);
    pb_put_varint(b, 1, 12);
    pb_put_varint(b, 2, 345000000);
    pb_end(b, time);
    pb_end(b, bucket);
    pb_end(b, begin);
}

static void put_family(struct buffer *body, const char *name, uint64_t type,
                       void (*value)(struct buffer *b)) {
    struct buffer b;

    buffer_init(&b, 1 << 16);
    put_text(&b, 1, name);
    put_text(&b, 2, "Help.");
    pb_put_varint(&b, 3, type);
    size_t metric = pb_begin(&b, 4);
    put_label(&b, "path", "a\"\\\n");
    value(&b);
    pb_put_varint(&b, 6, 1234);
    pb_end(&b, metric);
    put_text(&b, 5, "seconds");
    pb_put_raw_varint(body, b.size);
    buffer_append_slice(body, buffer_slice(&b));
    buffer_done(&b);
}

static void put_counter(struct buffer *b) {
    size_t begin = pb_begin(b, 3), exemplar;
    pb_put_double(b, 1, 7);
    exemplar = pb_begin(b, 2);
    put_label(b, "trace_id", "t");
    pb_put_double(b, 2, 0.5);
    pb_end(b, exemplar);
    pb_end(b, begin);
}

static void put_summary(struct buffer *b) {
    size_t begin = pb_begin(b, 4), quantile;
    pb_put_varint(b, 1, 2);
    pb_put_double(b, 2, 1.5);
    quantile = pb_begin(b, 3);
    pb_put_double(b, 1, 0.5);
    pb_put_double(b, 2, NAN);
    pb_end(b, quantile);
    pb_end(b, begin);
}

static void put_body(struct buffer *body) {
    buffer_init(body, 1 << 16);
    put_family(body, "c_total", 0, put_counter);
    put_family(body, "s", 2, put_summary);
    put_family(body, "h", 4, put_histogram);
    put_family(body, "a.b", 5, put_histogram);
}

/* ---- Reading ---- */

static void put_buckets(struct buffer *out, const struct histogram_buckets *b) {
    for (size_t i = 0; i < b->n; i++)
        buffer_printf(out, " %d:%g", b->index[i], b->count[i]);
}

static int on_entry(void *ctx, const struct prometheus_entry *x, const struct histogram *h) {
    struct buffer *out = ctx;

    if (x->kind == PROMETHEUS_SAMPLE && h) {
        buffer_printf(out, "%.*s schema %d count %g sum %g zero %g hint %d", SLICE_ARG(x->series),
                      h->schema, h->count, h->sum, h->zero_count, h->hint);
        put_buckets(out, &h->positive);
    } else if (x->kind == PROMETHEUS_SAMPLE) {
        buffer_printf(out, "%.*s %g @%d", SLICE_ARG(x->series), x->value, (int) x->time_ms);
    } else {
        buffer_printf(out, "%s %.*s %.*s%d",
                      x->kind == PROMETHEUS_TYPE   ? "TYPE"
                      : x->kind == PROMETHEUS_HELP ? "HELP"
                                                   : "UNIT",
                      SLICE_ARG(x->metric), SLICE_ARG(x->text), x->type);
    }
    if (x->has_exemplar)
        buffer_printf(out, " # %.*s %g", SLICE_ARG(x->exemplar), x->exemplar_value);
    buffer_append_u8(out, '\n');
    return 0;
}

static int on_exemplar(void *ctx, const struct prometheus_entry *x) {
    buffer_printf(ctx, "+ %.*s # %.*s %g @%d\n", SLICE_ARG(x->series), SLICE_ARG(x->exemplar),
                  x->exemplar_value, (int) x->exemplar_time_ms);
    return 0;
}

static int walk(struct slice body, const struct scrape_protobuf_options *o, struct buffer *out,
                struct error *e) {
    const struct scrape_protobuf_handler handler = {on_entry, on_exemplar, out};

    buffer_init(out, 1 << 20);
    *e = ERROR_NONE;
    return scrape_protobuf_walk(body, o, &handler, e);
}

static const char *text_of(struct buffer *b) {
    buffer_append_u8(b, 0);
    return (const char *) b->data;
}

#define PATH "path=\"a\\\"\\\\\\n\""
#define META(name, type)                                                                           \
    "TYPE " name " " type "\nHELP " name " Help." type "\nUNIT " name " seconds" type "\n"

static void entries_of_every_type(void **state) {
    static const struct scrape_protobuf_options options = {.native = true, .schema_max = 8};
    struct buffer body, out;
    struct error e;

    put_body(&body);
    assert_int_equal(walk(buffer_slice(&body), &options, &out, &e), 0);
    assert_string_equal(
            text_of(&out),
            META("c_total", "1") "c_total{" PATH "} 7 @1234 # {trace_id=\"t\"} 0.5\n" META(
                    "s", "5") "s{" PATH ",quantile=\"0.5\"} nan @1234\n"
                              "s_sum{" PATH "} 1.5 @1234\ns_count{" PATH "} 2 @1234\n" META(
                                      "h",
                                      "3") "h{" PATH
                                           "} schema 3 count 13 sum 2.5 zero 3 hint 0 3:4 4:6\n"
                                           "+ h{" PATH "} # {trace_id=\"t\"} 0.25 @12345\n" META(
                                                   "a.b",
                                                   "4") "{\"a.b\"," PATH
                                                        "} schema 3 count 13 sum 2.5 zero 3 hint 3 "
                                                        "3:4 4:6\n"
                                                        "+ {\"a.b\"," PATH
                                                        "} # {trace_id=\"t\"} 0.25 @12345\n");
    buffer_done(&out);
    buffer_done(&body);
}

static void histograms_as_the_options_want(void **state) {
    static const struct {
        struct scrape_protobuf_options options;
        const char *text;
    } rows[] = {
            {{.schema_max = 8},
             META("h", "3") "h_count{" PATH "} 13 @1234\nh_sum{" PATH "} 2.5 @1234\n"
                            "h_bucket{" PATH ",le=\"0.5\"} 0 @1234\nh_bucket{" PATH
                            ",le=\"1.5\"} 5 @1234\n"
                            "h_bucket{" PATH ",le=\"+Inf\"} 13 @1234\n"},
            {{.native = true, .schema_max = 2},
             META("h", "3") "h{" PATH "} schema 2 count 13 sum 2.5 zero 3 hint 0 2:10\n"
                            "+ h{" PATH "} # {trace_id=\"t\"} 0.25 @12345\n"},
            {{.native = true, .schema_max = 8, .bucket_limit = 1},
             META("h", "3") "h{" PATH "} schema 2 count 13 sum 2.5 zero 3 hint 0 2:10\n"
                            "+ h{" PATH "} # {trace_id=\"t\"} 0.25 @12345\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer body, out;
        struct error e;
        buffer_init(&body, 1 << 16);
        put_family(&body, "h", 4, put_histogram);
        assert_int_equal(walk(buffer_slice(&body), &rows[i].options, &out, &e), 0);
        assert_string_equal(text_of(&out), rows[i].text);
        buffer_done(&out);
        buffer_done(&body);
    }
}

/* Every beginning, and every byte turned over: an end or an error that names the family. */
static void damaged_bodies(void **state) {
    static const struct scrape_protobuf_options options = {
            .native = true, .classic_too = true, .schema_max = 4, .bucket_limit = 1};
    struct buffer body, out;
    struct error e;

    put_body(&body);
    for (size_t n = 0; n < body.size; n++) {
        int r = walk(slice_take(buffer_slice(&body), n), &options, &out, &e);
        assert_true(r == 0 || (r == -EBADMSG && strncmp(e.text, "family ", 7) == 0));
        buffer_done(&out);
    }
    for (size_t n = 0; n < body.size * 8; n++) {
        body.data[n / 8] ^= (uint8_t) (1u << n % 8);
        int r = walk(buffer_slice(&body), &options, &out, &e);
        assert_true(r == 0 || (r == -EBADMSG && strncmp(e.text, "family ", 7) == 0));
        body.data[n / 8] ^= (uint8_t) (1u << n % 8);
        buffer_done(&out);
    }
    buffer_done(&body);
}

static void schemas_of_factors(void **state) {
    assert_int_equal(scrape_schema_of_factor(0), 8);
    assert_int_equal(scrape_schema_of_factor(1), 8);
    assert_int_equal(scrape_schema_of_factor(1.1), 3);
    assert_int_equal(scrape_schema_of_factor(2), 0);
    assert_int_equal(scrape_schema_of_factor(4), -1);
    assert_int_equal(scrape_schema_of_factor(1e300), -4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(entries_of_every_type),
            cmocka_unit_test(histograms_as_the_options_want),
            cmocka_unit_test(damaged_bodies),
            cmocka_unit_test(schemas_of_factors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
