/*
 * What the page and the commands ask of the store. Each query_…() runs one or more SELECTs and
 * writes one JSON document (docs/internals/api.md) to the writer; on failure what it wrote is to be
 * thrown away.
 *
 * A `struct query` belongs to one thread; its arena owns all that a question needs. The store may
 * be shared.
 */
#ifndef VARAN_QUERY_QUERY_H
#define VARAN_QUERY_QUERY_H

#include "query/filter.h"
#include "store/store.h"
#include "wire/json.h"

#define QUERY_LIMIT_DEFAULT 50u
#define QUERY_LIMIT_MAX 1000u
#define QUERY_TIMEOUT_NS (10 * INT64_C(1000000000)) /* of one question */
#define QUERY_ARENA_BYTES ((size_t) 256 << 20)
#define QUERY_ANSWER_BYTES ((size_t) 64 << 20)
#define TRACE_SPANS_MAX 10000u
#define TRACE_ID_SIZE 16u
#define SPAN_ID_SIZE 8u

struct query {
    struct store *store;
    struct arena *arena;
    struct json_writer *json;
    int64_t from_ns, to_ns; /* to is exclusive */
    enum filter_signal signal;
    const struct filter *filter; /* NULL: everything */
    unsigned limit;
    struct slice cursor;       /* empty: from the beginning */
    int64_t deadline_ns;       /* clock_monotonic_ns(); no SELECT begins or lasts after it */
    const atomic_bool *cancel; /* set when the asker has left: what runs ends; may be NULL */
    struct error *error;
};

/* -ECANCELED: the asker left. -ETIMEDOUT, -ENOBUFS (a limit), -EINVAL (a bad cursor or parameter,
 * with a sentence in the error), -ENOENT (no such trace, line, service), -EIO, -ENOMEM. */

int query_services(struct query *q);
int query_service(struct query *q, struct slice service);

enum traces_sort { TRACES_RECENT, TRACES_SLOWEST };
int query_traces(struct query *q, enum traces_sort sort);
int query_traces_histogram(struct query *q);
/* Of spans or log lines (q->signal); `keys`: comma-separated, or empty for the usual ones. */
int query_facets(struct query *q, struct slice keys);

struct compare_box {
    int64_t from_ns, to_ns;
    uint64_t duration_min_ns, duration_max_ns;
};
int query_traces_compare(struct query *q, const struct compare_box *box);
int query_trace(struct query *q, const uint8_t trace_id[TRACE_ID_SIZE]);

int query_logs(struct query *q, bool ascending);
int query_logs_histogram(struct query *q);
/* `time_ns` 0: not known, slower. */
int query_logs_context(struct query *q, uint64_t seq, int64_t time_ns, unsigned before,
                       unsigned after);
int query_log(struct query *q, uint64_t seq, int64_t time_ns);

#define PROFILE_SPANS_MAX 500u          /* that are named */
#define PROFILE_SUBTREE_SPANS_MAX 2000u /* with those below them; deeper ones are left out */

/* Which profile: empty slices (data NULL) select everything; the empty text what has none. */
struct profile_selection {
    int64_t from_ns, to_ns;
    struct slice service, version, endpoint, thread;
    struct slice type; /* "cpu", "wall", "gil_wait", … */
    bool has_process, has_trace;
    uint64_t process; /* the id of its resource */
    uint8_t trace_id[TRACE_ID_SIZE];
    uint8_t *span_ids; /* n_spans × SPAN_ID_SIZE; none: all */
    size_t n_spans;
};

enum profile_format { PROFILE_COLLAPSED, PROFILE_PPROF, PROFILE_SPEEDSCOPE };

/* Completes a selection that names a trace: `whole_range`: the range becomes the trace's own;
 * `subtree`: spans below those named are added. */
int query_profile_of_trace(struct query *q, struct profile_selection *p, bool whole_range,
                           bool subtree);
/* What profiles there are. Of the selection its service and type count. */
int query_profile_summary(struct query *q, const struct profile_selection *p);

enum profile_by {
    PROFILE_BY_TYPE,
    PROFILE_BY_SERVICE,
    PROFILE_BY_VERSION,
    PROFILE_BY_ENDPOINT,
    PROFILE_BY_THREAD
};
/* Values per second over time, a line for each value of a column. */
int query_profile_series(struct query *q, const struct profile_selection *p, enum profile_by by);
/* What each span of a trace cost. */
int query_profile_trace(struct query *q, const struct profile_selection *p);

/* How a tree is written. */
struct profile_tree {
    size_t nodes_max; /* the heaviest; the rest is counted */
    bool lines;       /* the same function at another line is another node */
};
/* The merged tree of calls. `base` NULL: no comparison. */
int query_profile_flame(struct query *q, const struct profile_selection *p,
                        const struct profile_selection *base, const struct profile_tree *tree);
/* Callers and callees of a function; `file` data NULL: in whichever file. */
int query_profile_function(struct query *q, const struct profile_selection *p,
                           const struct profile_selection *base, struct slice function,
                           struct slice file, const struct profile_tree *tree);

struct profile_table {
    bool lines, by_total;
    struct slice search; /* part of a function's name or file; empty: all */
};
/* Own and total values by function or line, q->limit rows. */
int query_profile_table(struct query *q, const struct profile_selection *p,
                        const struct profile_selection *base, const struct profile_table *table);
/* The lines of one file; `function` data NULL: of all its functions. */
int query_profile_source(struct query *q, const struct profile_selection *p, struct slice file,
                         struct slice function);
int query_profile_export(struct query *q, const struct profile_selection *p,
                         enum profile_format format, struct buffer *out);

int query_attribute_keys(struct query *q, struct slice prefix);
int query_attribute_values(struct query *q, struct slice key, struct slice prefix);

/* Lines that came after the line numbered `seq` (see tail in api/): `each` is given the newest
 * `most`, oldest first, as JSON objects. `*ret_newest` is raised to the highest number seen. */
int query_logs_newer(struct query *q, uint64_t seq, unsigned most,
                     void (*each)(void *ctx, uint64_t seq, struct slice json), void *ctx,
                     uint64_t *ret_newest);
/* How many lines of q's range and filter have a number above `seq`, and the highest one. */
int query_logs_count_newer(struct query *q, uint64_t seq, uint64_t *ret_count,
                           uint64_t *ret_newest);

/* The numbers of /status that the store's tables know: whether there are spans, log lines, samples.
 */
int query_has_data(struct query *q, bool ret[3]);

/* Read-only SQL of a person: the answer in `format` is appended to `ret`. -EPERM when the statement
 * is not a plain SELECT over Varan's own tables. */
int query_sql(struct query *q, struct slice sql, const char *format, struct buffer *ret);

#endif
