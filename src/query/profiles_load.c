/* Loading profiles: values by stack (profiles_sums.c says from where), then the stacks themselves
 * (profiles_stacks.c). */
#include "query/profiles.h"

#define TEXT_BYTES_MAX ((size_t) 128 << 20)

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
    sql_add(&s, "SELECT stack_id, sum(value) AS v, sum(v) OVER () FROM (");
    sql_profile_sums(&s, p, "stack_id");
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
        if (i == 0)
            set->total[side] = row_u64(&rows, i, 2);
    }
    set->left_out[side] = set->total[side] - kept;
    rows_done(&rows);
    return r;
}

static int load_unit(struct query *q, const struct profile_selection *p, struct profile_set *set) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_profile_unit(&s, p);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    if (rows.n)
        set->unit = query_dup(q, row_text(&rows, 0, 0));
    rows_done(&rows);
    return 0;
}

/* ---- Stacks ---- */

static int load_stacks(struct query *q, const struct profile_selection *p,
                       const struct profile_selection *base, struct values *v,
                       struct profile_set *set) {
    struct profile_want *wants = arena_array(q->arena, struct profile_want, v->stacks.n);
    size_t n = 0;

    if (!wants)
        return -ENOMEM;
    map_each(&v->by_id, e) {
        wants[n].stack = &v->stacks.items[e->number];
        memcpy(&wants[n++].id, e->key.data, sizeof(wants->id));
    }
    return profile_stacks_load(q, p, base, wants, n, set);
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
    if (r == 0)
        r = load_unit(q, selection, &set);
    if (r == 0 && v.stacks.n)
        r = load_stacks(q, selection, base, &v, &set);
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
    json_field_bool(w, "truncated", set->left_out[0] || set->left_out[1]);
}
