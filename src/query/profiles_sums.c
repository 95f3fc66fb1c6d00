/*
 * Where sums of profiles are read from. Ten-minute steps hold everything but processes and traces:
 * long ranges are read from them, their edges, and whatever names a trace or a process, from the
 * samples. The engine keeps sums of both (migration 007), which it takes by itself when a part of
 * the statement groups by their columns and asks for whole hours (stacks) or whole steps
 * (processes): hence a GROUP BY in each part.
 */
#include "query/profiles.h"

#define STEP_NS (600 * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)
#define PARTS_MIN 3 /* a part of the range is worth a question of its own from so many steps on */
#define SAMPLES_RANGE_NS_MAX (2 * 3600 * NS_PER_S)
#define SERIES_STEPS 60u
#define SERIES_STEP_NS (30 * NS_PER_S)

/* ---- Rows ---- */

static void add_equal(struct sql *s, const char *column, struct slice value) {
    if (!value.data)
        return;
    sql_addf(s, " AND %s = ", column);
    sql_string(s, value);
}

static void add_spans(struct sql *s, const struct profile_selection *p) {
    char hex[2 * SPAN_ID_SIZE];

    if (p->n_spans == 0)
        return;
    sql_add(s, " AND span_id IN (");
    for (size_t i = 0; i < p->n_spans; i++) {
        slice_to_hex(slice_new(p->span_ids + i * SPAN_ID_SIZE, SPAN_ID_SIZE), hex);
        sql_addf(s, "%stoFixedString(unhex('%.*s'), 8)", i ? ", " : "", (int) sizeof(hex), hex);
    }
    sql_add(s, ")");
}

static void add_filter(struct sql *s, const struct profile_selection *p) {
    add_equal(s, "service", p->service);
    add_equal(s, "type", p->type);
    add_equal(s, "version", p->version);
    add_equal(s, "endpoint", p->endpoint);
    add_equal(s, "thread", p->thread);
    if (p->has_process) {
        sql_add(s, " AND resource_id = ");
        sql_u64(s, p->process);
    }
    if (p->has_trace) {
        sql_add(s, " AND trace_id = ");
        sql_bytes(s, slice_new(p->trace_id, TRACE_ID_SIZE));
    }
    add_spans(s, p);
}

/* A part of a range: which rows, and what of their time is compared. */
struct source {
    const char *table, *time;
};

static const struct source samples = {"profile_samples", "ts"}, steps = {"profile_steps", "ts"},
                           hours = {"profile_steps", "toStartOfHour(ts)"},
                           samples_by_step = {"profile_samples", "toStartOfTenMinutes(ts)"};

/* A statement of several such parts; those without any time are left away. */
struct parts {
    struct sql *s;
    const struct profile_selection *p;
    const char *keys, *sums;
    bool any;
};

static void add_part(struct parts *w, const struct source *from, int64_t from_ns, int64_t to_ns) {
    struct sql *s = w->s;

    if (from_ns >= to_ns)
        return;
    sql_addf(s, "%sSELECT %s, %s FROM %s WHERE %s >= ", w->any ? " UNION ALL " : "", w->keys,
             w->sums, from->table, from->time);
    sql_seconds(s, from_ns);
    sql_addf(s, " AND %s < ", from->time);
    sql_seconds(s, to_ns);
    add_filter(s, w->p);
    sql_addf(s, " GROUP BY %s", w->keys);
    w->any = true;
}

/* A window's samples carry its beginning; rounded up, the last second is in. */
static int64_t last_second(const struct profile_selection *p) {
    return p->to_ns + NS_PER_S - 1;
}

/* What of a range is whole steps of that length. */
struct range {
    int64_t from, to;
};

static struct range whole(const struct profile_selection *p, int64_t step_ns) {
    struct range r = {(p->from_ns + step_ns - 1) / step_ns * step_ns, p->to_ns / step_ns * step_ns};

    return r;
}

void sql_profile_samples(struct sql *s, const struct profile_selection *p, const char *keys) {
    struct parts w = {s, p, keys, "sum(value) AS value", false};

    add_part(&w, &samples, p->from_ns, last_second(p));
}

static bool has_steps(const struct profile_selection *p) {
    struct range step = whole(p, STEP_NS);

    return !p->has_process && !p->has_trace && !p->n_spans &&
           step.to - step.from >= PARTS_MIN * STEP_NS;
}

void sql_profile_sums(struct sql *s, const struct profile_selection *p, const char *keys) {
    struct parts w = {s, p, keys, "sum(value) AS value", false};
    struct range step = whole(p, STEP_NS), hour = whole(p, HOUR_NS);
    bool by_hours = strstr(keys, "stack_id") && !p->thread.data &&
                    hour.to - hour.from >= PARTS_MIN * HOUR_NS;

    if (!has_steps(p)) {
        sql_profile_samples(s, p, keys);
        return;
    }
    add_part(&w, &samples, p->from_ns, step.from);
    if (by_hours) {
        add_part(&w, &steps, step.from, hour.from);
        add_part(&w, &hours, hour.from, hour.to);
        add_part(&w, &steps, hour.to, step.to);
    } else {
        add_part(&w, &steps, step.from, step.to);
    }
    add_part(&w, &samples, step.to, last_second(p));
}

/* What is selected beside service and type has no unit of its own: the steps say it at once. */
void sql_profile_unit(struct sql *s, const struct profile_selection *p) {
    sql_add(s, "SELECT unit FROM profile_steps WHERE ts >= ");
    sql_seconds(s, p->from_ns / STEP_NS * STEP_NS);
    sql_add(s, " AND ts < ");
    sql_seconds(s, last_second(p));
    add_equal(s, "service", p->service);
    add_equal(s, "type", p->type);
    sql_add(s, " LIMIT 1");
}

void sql_profile_processes(struct sql *s, const struct profile_selection *p) {
    struct parts w = {s, p, "resource_id, version",
                      "sum(value) AS value, min(ts) AS first, max(ts) AS last", false};
    struct range step = whole(p, STEP_NS);

    if (step.from >= step.to)
        step.from = step.to = p->from_ns;
    add_part(&w, &samples, p->from_ns, step.from);
    add_part(&w, &samples_by_step, step.from, step.to);
    add_part(&w, &samples, step.to, last_second(p));
}

/* Windows are ten seconds long: shorter steps would show where they begin, not what was. */
struct steps profile_steps_of(const struct profile_selection *p, bool *ret_samples) {
    bool is_long = p->to_ns - p->from_ns > SAMPLES_RANGE_NS_MAX;

    *ret_samples = !is_long;
    return steps_of(p->from_ns, p->to_ns, SERIES_STEPS, is_long ? STEP_NS : SERIES_STEP_NS);
}
