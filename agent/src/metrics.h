/* Metric instruments and their values.
 *
 * An instrument has one cell for each set of attributes. Cells are written with the GIL held and
 * read by the export thread without it: numbers are single atomic words, distributions are guarded
 * by a sequence number that is odd while one is being written. Nothing is ever freed, so the reader
 * needs no lock; the number of instruments, the cells of each, and the bytes of all are capped. A
 * forked child sets all cells to zero and begins anew. */
#ifndef VARAN_AGENT_METRICS_H
#define VARAN_AGENT_METRICS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "buf.h"
#include "propagation.h"
#include "runtime.h"

#define INSTRUMENTS_MAX 4096
#define CELLS_MAX_DEFAULT 2000 /* of one instrument, the overflow cell included */
#define METRICS_BYTES_MAX (16u << 20)
#define METRIC_ATTRIBUTES_MAX 64
#define METRIC_BOUNDS_MAX 256
#define EXPONENTIAL_BUCKETS_MAX 160
#define EXPONENTIAL_SCALE_MAX 20
#define EXPONENTIAL_SCALE_MIN (-10)
#define EXEMPLARS_MAX 4 /* of one cell and interval */

enum instrument_kind {
    METRIC_COUNTER,
    METRIC_UP_DOWN,
    METRIC_HISTOGRAM,
    METRIC_GAUGE,
    /* Observed by callbacks: the value is set, not added to. */
    METRIC_OBSERVED_COUNTER,
    METRIC_OBSERVED_UP_DOWN,
    METRIC_OBSERVED_GAUGE,
    METRIC_KIND_N
};

enum exemplar_filter { EXEMPLARS_TRACE_BASED, EXEMPLARS_ALWAYS, EXEMPLARS_NEVER };
enum temporality { TEMPORALITY_CUMULATIVE, TEMPORALITY_DELTA, TEMPORALITY_LOW_MEMORY };

struct exemplar {
    uint64_t time_ns; /* 0: none */
    uint32_t epoch;
    bool has_span;
    uint8_t trace_id[16], span_id[8];
    double value;
};

/* Counts of an exponential histogram's buckets: bucket i of the array is (base^(first+i),
 * base^(first+i+1)], base = 2^(2^-scale). */
struct exponential_buckets {
    int32_t first;
    uint32_t n;
    uint64_t counts[EXPONENTIAL_BUCKETS_MAX];
};

struct distribution {
    uint64_t count;
    double sum, min, max; /* min, max: of the interval when temporality is delta */
    uint32_t epoch;       /* of min and max */
    int32_t scale;
    uint64_t zero_count;
    union {
        uint64_t counts[1];                    /* explicit: one more than bounds */
        struct exponential_buckets buckets[2]; /* of positive and negative values */
    };
};

struct cell {
    struct cell *_Atomic next; /* of the instrument, for the reader */
    struct cell *chain;        /* of the hash slot */
    uint64_t hash;
    uint64_t start_ns; /* wall clock */
    PyObject **pairs;  /* key, value, key, value, … */
    unsigned pairs_n;  /* pairs */
    char *attributes;  /* encoded, with the tag of the instrument's points */
    uint32_t attributes_n;
    _Atomic uint32_t sequence;
    _Atomic int64_t integer;
    _Atomic uint64_t real; /* bits of a double; the value is integer + real */
    _Atomic bool is_real, is_set;
    uint32_t round;       /* of observation */
    uint16_t patience;    /* updates to let pass before looking for an exemplar again */
    uint16_t exemplars_n; /* kept so far; readers look at their epoch */
    struct exemplar *exemplars;
    struct distribution *distribution;
    /* The reader's: what was sent before, for deltas. */
    int64_t sent_integer;
    double sent_real;
    struct distribution *sent;
    uint64_t sent_ns;
};

#define CELL_SLOTS_MIN 8
#define CELLS_RECENT 8     /* that are found again by the identity of their attributes */
#define RECENT_PAIRS_MAX 8 /* of such a cell */

struct instrument {
    enum instrument_kind kind;
    uint16_t scope;
    bool exponential;
    uint16_t bounds_n;
    double *bounds;
    char *head; /* encoded name, description and unit of the OTLP Metric */
    uint32_t head_n;
    char *name, *unit;
    struct cell *_Atomic first; /* newest first */
    struct cell *plain, *overflow;
    struct cell *recent[CELLS_RECENT]; /* by the addresses of the values */
    struct cell **slots;
    uint32_t slots_n;
    uint32_t cells_n;
    uint32_t round;
};

struct metrics_config {
    bool enabled;
    bool exponential; /* histograms without advice */
    enum temporality temporality;
    enum exemplar_filter filter;
    uint32_t interval_ms, cells_max;
};

extern struct metrics_config metrics_config;
extern _Atomic uint32_t metrics_epoch; /* grows with each collection */
extern struct instrument *_Atomic instruments[INSTRUMENTS_MAX];
extern _Atomic unsigned instruments_n;

/* ---- metrics_cell.c; GIL held ---- */

/* The instrument of these properties, made when there is none. NULL when there is no room (updates
 * are then dropped) . `bounds` NULL: the default. */
struct instrument *instrument_get(enum instrument_kind kind, uint16_t scope, const char *name,
                                  const char *unit, const char *description, const double *bounds,
                                  unsigned bounds_n);
/* The cell of a set of attributes: a dict (or NULL), and `names` with their values, as vectorcall
 * gives them. May run user code. May be the overflow cell; NULL when all memory is used up. */
struct cell *cell_of(struct instrument *m, PyObject *dict, PyObject *names,
                     PyObject *const *values);
/* The cell of attributes that are encoded already, with the tag of the instrument's points. */
struct cell *cell_of_encoded(struct instrument *m, const char *attributes, size_t n);
/* In a forked child: all to zero. */
void metrics_fork_reset(void);
void *metrics_alloc(size_t n); /* zeroed, counted; NULL at the cap */

/* ---- metrics_update.c; GIL held ---- */
void cell_add_integer(struct instrument *m, struct cell *c, int64_t v);
void cell_add_real(struct instrument *m, struct cell *c, double v);
void cell_set(struct instrument *m, struct cell *c, bool is_real, int64_t integer, double real);
void cell_record(struct instrument *m, struct cell *c, double v);
/* The same for what a span measured, which becomes its exemplar. */
void cell_record_of(struct instrument *m, struct cell *c, double v, const struct trace_context *at);
/* Before an update: in a forked child begins anew and has the export thread run. */
void metrics_touch(void);

/* ---- metrics_histogram.c ---- */
size_t distribution_size(const struct instrument *m);
/* Returns the explicit bucket. */
unsigned distribution_record(const struct instrument *m, struct distribution *d, double v);
void distribution_clear(const struct instrument *m, struct distribution *d);
/* now - before, into `now`. Both are the caller's copies. */
void distribution_subtract(const struct instrument *m, struct distribution *now,
                           struct distribution *before);

/* ---- metrics_collect.c; export thread ---- */

/* Encodes all that is there: `take` gets each as a field of ScopeMetrics. */
struct batch;
typedef void (*metrics_take)(void *userdata, uint16_t scope, uint32_t points, const char *bytes,
                             size_t n);
void metrics_collect(metrics_take take, void *userdata);

/* ---- metrics_observe.c: callbacks ---- */

/* Asks for a run of the callbacks. Returns a ticket, 0 when there are none. Any thread. */
uint64_t observe_request(void);
/* Is it done? Any thread. */
bool observe_done(uint64_t ticket);
bool observe_wait(uint64_t ticket, uint64_t until_ns);
void observe_fork_prepare(void);
void observe_fork_parent(void);
void observe_fork_child(void);

/* ---- metrics_process.c: what the process uses, read from /proc without Python ---- */
void process_metrics_install(uint16_t scope);
void process_metrics_update(void); /* export thread */

#endif
