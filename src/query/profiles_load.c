/*
 * Loading profiles: values by stack, then the stacks themselves. Long ranges are read from the
 * table of ten-minute steps; its edges, and whatever names a trace or a process, from the samples.
 */
#include "query/profiles.h"

#define STEP_NS (600 * NS_PER_S)
#define SAMPLES_RANGE_NS_MAX (2 * 3600 * NS_PER_S)
#define SERIES_STEPS 60u
#define SERIES_STEP_NS (30 * NS_PER_S)
#define TEXT_BYTES_MAX ((size_t) 128 << 20)

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

static void add_part(struct sql *s, const struct profile_selection *p, const char *columns,
                     const char *table, int64_t from_ns, int64_t to_ns) {
    sql_addf(s, "SELECT %s FROM %s WHERE ts >= ", columns, table);
    sql_seconds(s, from_ns);
    sql_add(s, " AND ts < ");
    sql_seconds(s, to_ns);
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

void sql_profile_samples(struct sql *s, const struct profile_selection *p, const char *columns) {
    /* A window's samples carry its beginning; rounded up, the last second is in. */
    add_part(s, p, columns, "profile_samples", p->from_ns, p->to_ns + NS_PER_S - 1);
}

void sql_profile_rows(struct sql *s, const struct profile_selection *p, const char *columns) {
    int64_t from = (p->from_ns + STEP_NS - 1) / STEP_NS * STEP_NS,
            to = p->to_ns / STEP_NS * STEP_NS;

    if (p->has_process || p->has_trace || p->n_spans || to - from < 3 * STEP_NS) {
        sql_profile_samples(s, p, columns);
        return;
    }
    add_part(s, p, columns, "profile_steps", from, to);
    sql_add(s, " UNION ALL ");
    add_part(s, p, columns, "profile_samples", p->from_ns, from);
    sql_add(s, " UNION ALL ");
    add_part(s, p, columns, "profile_samples", to, p->to_ns + NS_PER_S - 1);
}

/* Windows are ten seconds long: shorter steps would show where they begin, not what was. */
struct steps profile_steps_of(const struct profile_selection *p, bool *ret_samples) {
    bool is_long = p->to_ns - p->from_ns > SAMPLES_RANGE_NS_MAX;

    *ret_samples = !is_long;
    return steps_of(p->from_ns, p->to_ns, SERIES_STEPS, is_long ? STEP_NS : SERIES_STEP_NS);
}

/* ---- Values by stack ---- */

struct values {
    struct map by_id; /* stack's id → index */
    VECTOR(struct profile_stack) stacks;
};

static int load_values(struct query *q, const struct profile_selection *p, unsigned side,
                       struct values *v, struct profile_set *set) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT stack_id, sum(value) AS v, any(unit), sum(v) OVER () FROM (");
    sql_profile_rows(&s, p, "stack_id, value, unit");
    sql_addf(&s, ") GROUP BY stack_id ORDER BY v DESC, stack_id LIMIT %u", PROFILE_STACKS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    uint64_t kept = 0;
    for (size_t i = 0; i < rows.n && r == 0; i++) {
        uint64_t id = row_u64(&rows, i, 0), value = row_u64(&rows, i, 1);
        bool is_new;
        struct map_entry *e = map_put(&v->by_id, slice_new(&id, sizeof(id)), &is_new);
        struct profile_stack stack = {0};
        if (!e) {
            r = -ENOMEM;
            break;
        }
        if (is_new) {
            e->number = v->stacks.n;
            r = vector_push(&v->stacks, stack, 2 * PROFILE_STACKS_MAX);
        }
        if (r == 0)
            v->stacks.items[e->number].value[side] += value;
        kept += value;
        if (i == 0) {
            set->unit = query_dup(q, row_text(&rows, i, 2));
            set->total[side] = row_u64(&rows, i, 3);
        }
    }
    set->left_out[side] = set->total[side] - kept;
    rows_done(&rows);
    return r;
}

/* ---- Stacks ---- */

/* A dictionary's text has one address in an answer, so most functions are found by addresses. */
static int64_t function_id(struct query *q, struct profile_set *set, struct slice name,
                           struct slice file) {
    const void *pointers[] = {name.data, file.data};
    bool is_new;
    struct map_entry *near =
            map_put(&set->by_pointer, slice_new(pointers, sizeof(pointers)), &is_new);

    if (!near)
        return -ENOMEM;
    if (!is_new)
        return (int64_t) near->number;
    struct buffer key;
    buffer_init(&key, 1 << 20);
    buffer_append_slice(&key, name);
    buffer_append_u8(&key, 0xff);
    buffer_append_slice(&key, file);
    struct map_entry *e = map_put(&set->by_text, buffer_slice(&key), &is_new);
    buffer_done(&key);
    if (e && is_new) {
        struct profile_function f = {query_dup(q, name), query_dup(q, file), profile_kind_of(file)};
        e->number = set->functions.n;
        if (vector_push(&set->functions, f, PROFILE_FUNCTIONS_MAX) < 0)
            return -ENOMEM;
    }
    if (!e)
        return -ENOMEM;
    near->number = e->number;
    return (int64_t) e->number;
}

static int take_stack(struct query *q, struct profile_set *set, const struct rows *rows, size_t row,
                      struct profile_stack *ret) {
    size_t n = native_reader_length(rows->reader, row, 1);
    struct profile_place *places = arena_array(q->arena, struct profile_place, n);

    if (!places)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int64_t id = function_id(q, set, native_reader_item(rows->reader, row, 1, i).text,
                                 native_reader_item(rows->reader, row, 2, i).text);
        if (id < 0)
            return (int) id;
        places[i] = (struct profile_place){
                (uint32_t) id, (uint32_t) native_reader_item(rows->reader, row, 3, i).u64};
    }
    ret->places = places;
    ret->n = (uint32_t) n;
    return 0;
}

static void add_ids(struct sql *s, const struct profile_selection *p) {
    sql_add(s, "SELECT stack_id FROM (");
    sql_profile_rows(s, p, "stack_id, value");
    sql_addf(s, ") GROUP BY stack_id ORDER BY sum(value) DESC, stack_id LIMIT %u",
             PROFILE_STACKS_MAX);
}

static int load_stacks(struct query *q, const struct profile_selection *p, struct values *v,
                       struct profile_set *set) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT id, functions, files, lines FROM stacks WHERE day >= toDate(");
    sql_seconds(&s, p->from_ns);
    sql_add(&s, ") AND day <= toDate(");
    sql_seconds(&s, p->to_ns);
    sql_add(&s, ") AND id IN (");
    add_ids(&s, p);
    sql_add(&s, ") LIMIT 1 BY id");
    int r = query_run_limit(q, &s, PROFILE_STACKS_MAX, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n && r == 0; i++) {
        uint64_t id = row_u64(&rows, i, 0);
        struct map_entry *e = map_get(&v->by_id, slice_new(&id, sizeof(id)));
        if (e && !v->stacks.items[e->number].places)
            r = take_stack(q, set, &rows, i, &v->stacks.items[e->number]);
    }
    map_clear(&set->by_pointer); /* the answer's addresses go with it */
    rows_done(&rows);
    return r;
}

/* Those whose stack was found, in the arena. */
static int keep_found(struct query *q, struct values *v, struct profile_set *set) {
    set->stacks = arena_array(q->arena, struct profile_stack, v->stacks.n);
    if (!set->stacks)
        return -ENOMEM;
    vector_each(&v->stacks, x) {
        if (x->places) {
            set->stacks[set->n++] = *x;
            continue;
        }
        set->left_out[0] += x->value[0];
        set->left_out[1] += x->value[1];
    }
    return 0;
}

int profile_set_load(struct query *q, const struct profile_selection *selection,
                     const struct profile_selection *base, struct profile_set *ret) {
    const struct profile_selection *sides[] = {selection, base};
    struct profile_set set = {0};
    struct values v = {0};
    int r = 0;

    map_init(&v.by_id, 2 * PROFILE_STACKS_MAX, TEXT_BYTES_MAX);
    map_init(&set.by_pointer, PROFILE_FUNCTIONS_MAX, TEXT_BYTES_MAX);
    map_init(&set.by_text, PROFILE_FUNCTIONS_MAX, TEXT_BYTES_MAX);
    for (unsigned side = 0; side < 2 && r == 0; side++)
        if (sides[side])
            r = load_values(q, sides[side], side, &v, &set);
    for (unsigned side = 0; side < 2 && r == 0; side++)
        if (sides[side])
            r = load_stacks(q, sides[side], &v, &set);
    if (r == 0)
        r = keep_found(q, &v, &set);
    map_done(&v.by_id);
    vector_done(&v.stacks);
    if (r < 0)
        profile_set_done(&set);
    else
        *ret = set;
    return r;
}

void profile_set_done(struct profile_set *s) {
    vector_done(&s->functions);
    map_done(&s->by_pointer);
    map_done(&s->by_text);
}

void json_profile_head(struct query *q, const struct profile_selection *p,
                       const struct profile_set *set, bool compared) {
    struct json_writer *w = q->json;

    json_field_string(w, "type", p->type);
    json_field_string(w, "unit", set->unit);
    json_field_uint(w, "total", set->total[0]);
    json_field_uint(w, "left_out", set->left_out[0]);
    if (compared) {
        json_field_uint(w, "base_total", set->total[1]);
        json_field_uint(w, "base_left_out", set->left_out[1]);
    }
}
