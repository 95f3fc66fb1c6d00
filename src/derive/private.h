/* What derive/'s files share and others must not see: the ingest itself and its shared tables. */
#ifndef VARAN_DERIVE_PRIVATE_H
#define VARAN_DERIVE_PRIVATE_H

#include "base/map.h"
#include "derive/ingest.h"
#include "derive/late.h"
#include "derive/series.h"
#include "derive/state.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROLLUP_VALUES_PER_KEY_MAX 1000u /* a day */
#define ROLLUP_VALUES_MAX 200000u       /* of all keys, a day */
#define ROLLUP_BYTES_MAX (32u << 20)
#define METADATA_MEMO_MAX 200000u
#define METADATA_EMIT_S 86400 /* its row is written anew after this long */
#define TXN_SERIES_MAX (8u << 20)
/* Hours are downsampled ten minutes after no sample of them can come that is not noted as late. */
#define LATE_MS (30 * 60 * INT64_C(1000))
#define EMIT_AGAIN_S 300 /* a resource's or series' row is written anew after this long */
#define EDGE_WINDOW_S 60 /* a client span waits so long for its server span */
#define EDGE_PENDING_MAX 65536u
#define EDGE_NAMES_MAX 20000u
#define EDGE_NAMES_BYTES_MAX (4u << 20)
#define EDGE_SWEEP_S 5
#define TAILS_MAX 64u
#define TAIL_RECORDS_MAX 10000u /* of one transaction */

/* Which values of which keys are counted by themselves today. */
struct rollup {
    pthread_mutex_t lock;
    uint64_t day;
    struct map keys;   /* signal and key → number of values */
    struct map values; /* 64-bit hashes */
};

/* One side of a call between services that waits for the other. Names are indexes into `names`. */
struct pending {
    uint64_t key; /* hash of trace id and the client's span id */
    int64_t expires_ns;
    int64_t start_ns;
    uint64_t duration_ns;
    uint32_t service, peer, system; /* peer, system: of a client */
    bool client, error, matched;
};

struct edges {
    pthread_mutex_t lock;
    struct pending *ring; /* oldest at `first` */
    size_t first, n, allocated;
    uint32_t *slots; /* hash index: ring position + 1 */
    size_t slots_n;
    struct map names;
    VECTOR(struct slice) texts;
};

/* Metadata whose row is in storage: a hash of it → when it was written. */
struct metadata_memo {
    pthread_mutex_t lock;
    struct map written;
};

struct ingest {
    struct store *store;
    struct series_index *series;
    struct late_hours *late;
    struct metadata_memo metadata;
    _Atomic uint32_t token; /* numbers transactions, see series_touch() */
    pthread_t loader;
    bool loader_runs;
    atomic_bool loader_stops;
    struct scrub *scrub; /* NULL: off */
    struct rollup rollup;
    struct edges edges;
    pthread_mutex_t states_lock;
    struct state *states;
    _Atomic uint64_t generation; /* grows when a commit failed: rows thought written may be gone */
    _Atomic uint64_t seq;
    _Atomic uint64_t spans, logs, samples, rejected_spans, rejected_logs, rejected_samples,
            refused_pressure, scrubbed_values, exemplars, metadata_rows, profile_samples,
            rejected_profiles;
    pthread_mutex_t tails_lock;
    struct ingest_tail *tails;
    _Atomic unsigned n_tails;
    pthread_t sweeper;
    pthread_mutex_t sweeper_lock;
    pthread_cond_t sweeper_wake;
    bool sweeper_runs, sweeper_stops;
};

struct ingest_txn {
    struct ingest *ingest;
    struct store_batch *batch;
    struct state *state;
    struct native_block *spans_block, *logs_block, *samples_block;
    const struct resource *resource; /* the last one seen, its row is there */
    struct text *service;            /* of that resource */
    bool red_counted;                /* that resource counts its spans itself */
    uint32_t token;
    VECTOR(struct series_ref) series; /* whose row is in this transaction */
    VECTOR(struct series_ref) starts; /* whose start is */
    VECTOR(uint64_t) metadata;
    uint64_t exemplars, spans, logs, samples, rejected_spans, rejected_logs, rejected_samples,
            scrubbed;
    uint64_t profile_samples, rejected_profiles;
    bool stacks_written;  /* in this transaction */
    int64_t now_ns;       /* when it began */
    int64_t late_ms;      /* samples before this time are late: their hours are noted */
    unsigned days_before; /* state->n_days then */
    bool patient;         /* nobody waits for its end */
    ingest_done done;
    void *done_ctx;
    struct arena tail_arena; /* copies for live tails */
    VECTOR(struct log_record) tail;
};

/* ---- rollup.c ---- */
void rollup_init(struct rollup *r);
void rollup_done(struct rollup *r);
/* Whether this value of this key is counted by itself today. */
bool rollup_admit(struct ingest *g, enum rollup_signal signal, struct slice key,
                  struct slice value);

/* ---- edges.c ---- */
void edges_init(struct edges *e);
void edges_done(struct edges *e);
/* Counts the transaction's calls: databases and brokers at once, services when both sides are
 * known. */
int edges_apply(struct state *s);
/* Counts clients whose servers never showed up. */
int edges_sweep(struct state *s, int64_t now_ns);
/* Whether a sweep would find something. */
bool edges_due(struct edges *e, int64_t now_ns);

/* ---- clean.c: from what was sent to what is stored ---- */
/* One attribute of `signal`, scrubbed, as text, and counted. A fact is noted when `facts` is not
 * NULL. 0; -EINVAL with `e` (nested too deeply); -ENOMEM. */
int clean_attribute(struct ingest_txn *t, enum rollup_signal signal, const struct attribute *a,
                    struct facts *facts, struct attribute_text *ret, struct error *e);
/* All of them, into the state's array. *ret_dropped: those beyond ATTRIBUTES_MAX. */
int clean_attributes(struct ingest_txn *t, enum rollup_signal signal, const struct attributes *a,
                     struct facts *facts, struct attribute_texts *ret, uint32_t *ret_dropped,
                     struct error *e);
/* Free text: scrubbed and cut. */
int clean_text(struct ingest_txn *t, struct slice text, struct slice *ret);
int clean_value(struct ingest_txn *t, enum scrub_verdict verdict, const struct value *v,
                struct value *ret);
/* `text` cut to VALUE_BYTES_MAX with a mark. */
int clean_cut(struct ingest_txn *t, struct slice text, struct slice *ret);

/* ---- ingest.c ---- */
/* The resource's row, when it is due, and its service. */
int txn_resource(struct ingest_txn *t, const struct resource *r, struct error *e);
/* Whether a row may be stored under that time: 0 or -EINVAL with a reason. */
int txn_time(struct ingest_txn *t, int64_t ns, struct error *e);

/* As ingest_commit(), even without rows. `done` may be NULL. */
void txn_commit_always(struct ingest_txn *t, ingest_done done, void *ctx);

/* ---- metric.c ---- */
/* The rows of its series. 0, -ENOBUFS, -ENOMEM. */
int metric_apply(struct ingest_txn *t);
/* The transaction ends: 0 durable, else its rows are gone. */
void metric_committed(struct ingest_txn *t, int result);

/* ---- series_load.c ---- */
int series_loader_start(struct ingest *g);
void series_loader_stop(struct ingest *g);

/* ---- tail.c ---- */
int tail_gather(struct ingest_txn *t, const struct log_record *l, const struct value *body);
void tail_deliver(struct ingest_txn *t);

#endif
