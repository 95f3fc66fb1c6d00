/*
 * What ingest remembers with one store batch: a memo of keys, values, names and statements that
 * have been seen (so that nothing is looked at twice), and the derived rows that gather until the
 * batch is written. Private to derive/.
 *
 * A state belongs to the thread that holds its batch. The memo lives until it is full; the window
 * (derived rows) until the batch is written.
 */
#ifndef VARAN_DERIVE_STATE_H
#define VARAN_DERIVE_STATE_H

#include "base/map.h"
#include "base/vector.h"
#include "derive/scrub.h"
#include "derive/semantics.h"
#include "derive/sketch.h"
#include "derive/sql.h"
#include "signal/rows.h"

#define ATTRIBUTES_MAX 1024u         /* of one record; more are dropped and counted */
#define VALUE_BYTES_MAX (1u << 20)   /* of one text; longer ones are cut */
#define NAME_BYTES_MAX 1024u         /* of names and other low-cardinality texts */
#define VALUE_COUNTED_BYTES_MAX 256u /* of a value in the attribute rollup */
#define KEYS_MAX 20000u              /* in a memo */
#define VALUES_MAX 100000u
#define STATEMENTS_MAX 4096u
#define STATEMENT_BYTES_MAX 16384u /* longer statements are not remembered */
#define TEXTS_MAX 50000u
#define STACKS_MAX 200000u
#define MEMO_BYTES_MAX (24u << 20)
#define WINDOW_BYTES_MAX (64u << 20)
#define RED_ROWS_MAX 50000u  /* of one batch; then operations are counted as "(other)" */
#define RED_ROWS_OTHER 1000u /* of them kept for those */
#define EDGE_ROWS_MAX 20000u
#define TRACES_MAX 2000000u
#define TRACE_SERVICES_MAX 64u
#define NOTES_MAX (8u << 20) /* spans of one transaction */
#define DAYS_PER_BATCH 90    /* partitions that one insert may touch */
#define WINDOW_S 10          /* of RED statistics and edges */

enum rollup_signal { ROLLUP_SPAN, ROLLUP_LOG, ROLLUP_RESOURCE, ROLLUP_SIGNALS };

/* One text that is kept once: names, services, peers, systems. */
struct text {
    struct slice text;
    uint32_t id;
    struct text *next; /* the one that came after it last time: a guess that is mostly right */
};

struct key {
    struct slice key;
    uint32_t id;
    enum role role;
    enum scrub_verdict verdict;
    struct key *next;            /* as in struct text */
    struct counted *last;        /* the value it had last time */
    bool capped[ROLLUP_SIGNALS]; /* no further values today */
};

/* A value of a key, and how often it came since the batch was last written. Its text is free of
 * secrets. */
struct counted {
    const struct key *key;
    struct slice text;
    uint64_t hash;
    uint64_t count;
    uint8_t signal, type;
    struct counted *dirty; /* next one with a count */
    bool is_dirty;
};

struct statement {
    enum sql_dialect dialect;
    struct slice fingerprint, sanitised;
    bool clean; /* the key, a sanitised text, was sent as it stands: it holds no literal */
};

struct red {
    struct text *service, *operation;
    uint32_t ts_s;
    uint8_t kind, status, entry;
    uint64_t count, sum_ns, max_ns;
    struct sketch sketch;
};

struct edge {
    struct slice client, server, system;
    const char *server_type;
    uint32_t ts_s;
    uint64_t count, errors, sum_ns, max_ns;
    struct sketch sketch;
};

struct trace_service {
    struct text *service;
    struct trace_service *next;
};

struct trace {
    uint8_t trace_id[16];
    int64_t start_ns, end_ns;
    uint64_t spans, errors;
    struct text *root_service, *root_name;
    uint64_t root_duration_ns;
    uint8_t root_kind, root_status;
    unsigned n_services;
    struct trace_service *services;
};

/* What is counted about a span once its transaction commits. */
struct span_note {
    uint8_t trace_id[16], span_id[8], parent_span_id[8];
    int64_t start_ns;
    uint64_t duration_ns;
    struct text *service, *name, *peer, *system; /* peer, system: NULL when none */
    uint8_t kind, status, entry, call;
    bool root;
    bool counted; /* by its process: see struct red_note */
};

/* Spans that their process has counted itself, whether or not it sent them: rows of RED. */
struct red_note {
    int64_t time_ns;
    struct text *service, *operation;
    uint8_t kind, status, entry;
    uint64_t count, sum_ns, max_ns;
    const uint64_t *durations_ns, *counts; /* the window's memory */
    size_t n;
};

/* A resource whose row was written in this transaction. */
struct emitted {
    uint64_t id;
    uint64_t before; /* when the row before it was written, or 0 */
};

struct state {
    struct ingest *ingest;
    struct state *next; /* of all states of the ingest */
    uint64_t generation, day;

    /* Memo. */
    struct arena memo;
    struct map keys, texts, statements, resources;
    struct map stacks; /* id and day of stacks whose row was written */
    struct key *key_before;
    struct text *text_before;
    struct text *other; /* "(other)": for what the memo has no room */
    struct {
        struct value_slot {
            uint64_t hash; /* here too, so that a probe that misses touches nothing else */
            struct counted *value;
        } * slots;
        size_t n, slots_n;
    } values;
    struct counted *dirty;
    struct scrub_memo scrub_memo;
    bool full; /* start the memo anew when the batch is written */

    /* Window. */
    struct arena window;
    struct map red, edges, traces;
    struct trace *trace_before;
    int64_t days[DAYS_PER_BATCH]; /* on which rows lie */
    unsigned n_days;
    VECTOR(uint32_t) late_hours; /* of samples that may be late */

    /* The transaction at work. */
    struct arena scratch;              /* of one record */
    struct buffer build;               /* of one text */
    struct attribute_text *attributes; /* ATTRIBUTES_MAX */
    VECTOR(struct counted *) counted;
    VECTOR(struct span_note) notes;
    VECTOR(struct red_note) red_notes;
    VECTOR(struct emitted) emitted; /* resources whose row is in this transaction */
};

int state_new(struct ingest *g, struct state **ret);
void state_free(struct state *s);
/* Gives back what one large request made it take. Not within a transaction. */
void state_shrink(struct state *s);
/* Forgets the memo. Not within a transaction. */
void state_forget(struct state *s);

/* NULL when the memo is full: go on without. */
struct key *state_key(struct state *s, struct slice key);
/* The one kept copy; NULL when the memo is full. */
struct text *state_text(struct state *s, struct slice text);
/* A value of that key; NULL when it was not seen. Texts beyond VALUE_COUNTED_BYTES_MAX are never
 * found. */
struct counted *state_value(struct state *s, enum rollup_signal signal, struct key *key,
                            enum value_type type, struct slice text);
/* Remembers one that is free of secrets; NULL when it is not to be counted by itself. */
struct counted *state_value_add(struct state *s, enum rollup_signal signal, struct key *key,
                                enum value_type type, struct slice text);
/* Counts it once in this transaction. 0 or -ENOMEM. */
int state_count(struct state *s, struct counted *v);
/* Takes counts back, down to the first `n` of this transaction. */
void state_uncount(struct state *s, size_t n);
/* The statement's fingerprint and sanitised text; slices live until the record ends. 0 or -ENOMEM.
 */
int state_statement(struct state *s, enum sql_dialect dialect, struct slice text,
                    struct statement *ret);

/* The transaction's derived counts: take them over, or undo them. */
int state_apply(struct state *s);
void state_undo(struct state *s);

/* ---- window.c: derived rows ---- */
int window_add_span(struct state *s, const struct span_note *n);
int window_add_red(struct state *s, const struct red_note *n);
int window_add_edge(struct state *s, struct slice client, struct slice server,
                    const char *server_type, struct slice system, int64_t start_ns,
                    uint64_t duration_ns, bool error);
/* Appends all of it to the batch's blocks and starts a new window. */
struct store_batch;
int window_write(struct state *s, struct store_batch *b);
void window_clear(struct state *s);

#endif
