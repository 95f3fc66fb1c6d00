/* OTLP to the real engine: what was sent is read back with SQL, derived tables included. */
#include "../ingest_txn.h"

#include "receive/otlp_decode.h"
#include "request.h"

static struct store *store;
static struct ingest *ingest;

static void send(enum otlp_signal signal, struct slice bytes) {
    struct ingest_txn *t = txn_begin(ingest, bytes.size);
    struct otlp_decoder d;

    otlp_decoder_init(&d, t);
    assert_int_equal(otlp_decode_protobuf(&d, signal, bytes), 0);
    otlp_decoder_done(&d);
    txn_commit(t);
}

static void all_tables(void **state) {
    struct buffer b;

    buffer_init(&b, 1 << 20);
    build_traces(&b, true);
    send(OTLP_TRACES, buffer_slice(&b));
    buffer_clear(&b);
    build_logs(&b, SLICE("could not charge, password=hunter2"));
    send(OTLP_LOGS, buffer_slice(&b));
    buffer_clear(&b);
    build_metrics(&b);
    send(OTLP_METRICS, buffer_slice(&b));
    buffer_done(&b);

    assert_int_equal(fixture_number(store, "SELECT count() FROM spans"), 2);
    assert_string_equal(fixture_text(store,
                                     "SELECT service, name, attributes['nested'], http_route, "
                                     "exception_type FROM spans WHERE name = 'good'"),
                        "shop\tgood\t[1,\"a\",{\"k\":true},2.5,{\"$bytes\":\"/wE=\"}]\t/x\tE\n");
    assert_string_equal(fixture_text(store, "SELECT body, severity FROM logs"),
                        "could not charge, password=[scrubbed]\t17\n");
    assert_int_equal(fixture_number(store, "SELECT sum(count) FROM red"), 2);
    assert_int_equal(fixture_number(store, "SELECT sum(spans) FROM traces"), 2);
    assert_int_equal(fixture_number(store, "SELECT uniqExact(id) FROM resources"), 1);
    assert_int_equal(fixture_number(store,
                                    "SELECT sum(count) FROM attributes WHERE signal = 'span' AND "
                                    "key = 'http.route' AND value = '/x'"),
                     2);
    assert_string_equal(fixture_text(store,
                                     "SELECT value FROM samples JOIN (SELECT DISTINCT id, metric "
                                     "FROM series) s USING (id) WHERE metric = "
                                     "'http_requests_total'"),
                        "42\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_tables)};
    struct store_options o = fixture_options();
    struct ingest_options options = {.scrub = true};
    struct error e;

    options.store = store = fixture_open(&o);
    if (ingest_new(&options, &ingest, &e) < 0)
        return 1;
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    ingest_stop(ingest);
    store_close(store);
    ingest_free(ingest);
    return r;
}
