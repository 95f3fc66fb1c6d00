/* A transaction of ingest on the real store, begun and waited for; either fails the test. */
#ifndef VARAN_TESTS_INGEST_TXN_H
#define VARAN_TESTS_INGEST_TXN_H

#include "derive/ingest.h"
#include "store/fixture.h"
#include "unit.h"

/* `bytes`: what the request is charged for. */
static inline struct ingest_txn *txn_begin(struct ingest *ingest, size_t bytes) {
    struct ingest_txn *t;
    unsigned retry_s;

    assert_int_equal(ingest_begin(ingest, bytes, &t, &retry_s), 0);
    return t;
}

/* Returns when the rows are written. */
static inline void txn_commit(struct ingest_txn *t) {
    struct fixture_wait *w = fixture_wait_new();

    ingest_commit(t, fixture_done, w);
    assert_int_equal(fixture_wait(w), 0);
}

#endif
