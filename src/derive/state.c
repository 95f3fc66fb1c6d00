/* The memo of one store batch. One thread at a time; memory is the state's. */
#include "derive/state.h"
#include "base/clock.h"
#include "derive/private.h"

#include <errno.h>

#define SCRATCH_BYTES_MAX (256u << 20) /* of one record's copies; its body is smaller */
#define BUILD_BYTES_MAX (128u << 20)
#define COUNTED_MAX (64u << 20)
#define KEPT_MAX (1u << 17) /* items that a state keeps room for */

int state_new(struct ingest *g, struct state **ret) {
    struct state *s = memory_alloc(sizeof(*s));
    struct attribute_text *attributes = memory_alloc(ATTRIBUTES_MAX * sizeof(*attributes));

    if (!s || !attributes) {
        free(s);
        free(attributes);
        return -ENOMEM;
    }
    *s = (struct state){.ingest = g, .attributes = attributes};
    arena_init(&s->memo, MEMO_BYTES_MAX);
    map_init(&s->keys, KEYS_MAX, MEMO_BYTES_MAX / 4);
    map_init(&s->texts, TEXTS_MAX, MEMO_BYTES_MAX / 2);
    map_init(&s->statements, STATEMENTS_MAX, MEMO_BYTES_MAX / 2);
    map_init(&s->resources, TEXTS_MAX, MEMO_BYTES_MAX / 4);
    map_init(&s->stacks, STACKS_MAX, MEMO_BYTES_MAX);
    arena_init(&s->window, WINDOW_BYTES_MAX);
    map_init(&s->red, RED_ROWS_MAX, WINDOW_BYTES_MAX);
    map_init(&s->edges, EDGE_ROWS_MAX, WINDOW_BYTES_MAX);
    map_init(&s->traces, TRACES_MAX, WINDOW_BYTES_MAX);
    arena_init(&s->scratch, SCRATCH_BYTES_MAX);
    buffer_init(&s->build, BUILD_BYTES_MAX);
    *ret = s;
    return 0;
}

void state_free(struct state *s) {
    if (!s)
        return;
    map_done(&s->keys);
    map_done(&s->texts);
    map_done(&s->statements);
    map_done(&s->resources);
    map_done(&s->stacks);
    free(s->values.slots);
    arena_done(&s->memo);
    map_done(&s->red);
    map_done(&s->edges);
    map_done(&s->traces);
    arena_done(&s->window);
    arena_done(&s->scratch);
    buffer_done(&s->build);
    free(s->attributes);
    vector_done(&s->counted);
    vector_done(&s->notes);
    vector_done(&s->red_notes);
    vector_done(&s->emitted);
    vector_done(&s->late_hours);
    free(s);
}

void state_shrink(struct state *s) {
    if (s->counted.allocated > KEPT_MAX)
        vector_done(&s->counted);
    if (s->notes.allocated > KEPT_MAX)
        vector_done(&s->notes);
    if (s->traces.slots > KEPT_MAX) {
        map_done(&s->traces);
        map_init(&s->traces, TRACES_MAX, WINDOW_BYTES_MAX);
    }
    if (s->build.allocated > KEPT_MAX * 8)
        buffer_done(&s->build);
}

void state_forget(struct state *s) {
    map_clear(&s->keys);
    map_clear(&s->texts);
    map_clear(&s->statements);
    s->key_before = NULL;
    s->text_before = NULL;
    s->other = NULL;
    s->dirty = NULL;
    s->values.n = 0;
    if (s->values.slots)
        memset(s->values.slots, 0, s->values.slots_n * sizeof(*s->values.slots));
    arena_clear(&s->memo);
    s->full = false;
}

struct key *state_key(struct state *s, struct slice key) {
    struct key *guess = s->key_before ? s->key_before->next : NULL;
    bool added;

    if (guess && slice_equal(guess->key, key)) {
        s->key_before = guess;
        return guess;
    }
    if (key.size > NAME_BYTES_MAX)
        return NULL;
    struct map_entry *e = map_put(&s->keys, key, &added);
    if (e && added) {
        struct key *k = arena_new(&s->memo, struct key);
        if (k) {
            k->key = e->key;
            k->id = (uint32_t) s->keys.n;
            k->role = role_of_key(key);
            k->verdict = s->ingest->scrub ? scrub_key(s->ingest->scrub, key) : SCRUB_KEEP;
        }
        e->pointer = k;
    }
    if (!e || !e->pointer) {
        s->full = true;
        return NULL;
    }
    if (s->key_before)
        s->key_before->next = e->pointer;
    s->key_before = e->pointer;
    return e->pointer;
}

struct text *state_text(struct state *s, struct slice text) {
    struct text *guess = s->text_before ? s->text_before->next : NULL;
    bool added;

    if (guess && slice_equal(guess->text, text)) {
        s->text_before = guess;
        return guess;
    }
    struct map_entry *e = map_put(&s->texts, text, &added);
    if (e && added) {
        struct text *t = arena_new(&s->memo, struct text);
        if (t) {
            t->text = e->key;
            t->id = (uint32_t) s->texts.n;
        }
        e->pointer = t;
    }
    if (!e || !e->pointer) {
        s->full = true;
        return NULL;
    }
    if (s->text_before)
        s->text_before->next = e->pointer;
    s->text_before = e->pointer;
    return e->pointer;
}

static uint64_t value_hash(enum rollup_signal signal, const struct key *key, enum value_type type,
                           struct slice text) {
    return slice_hash(text) ^
           ((uint64_t) key->id << 8 | (uint64_t) signal << 4 | type) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool value_is(const struct counted *v, enum rollup_signal signal, const struct key *key,
                     enum value_type type, struct slice text) {
    return v->key == key && v->signal == signal && v->type == type && slice_equal(v->text, text);
}

static struct value_slot *value_slot(struct state *s, uint64_t hash, enum rollup_signal signal,
                                     const struct key *key, enum value_type type,
                                     struct slice text) {
    for (size_t i = hash & (s->values.slots_n - 1);; i = (i + 1) & (s->values.slots_n - 1)) {
        struct value_slot *slot = &s->values.slots[i];
        if (!slot->value || (slot->hash == hash && value_is(slot->value, signal, key, type, text)))
            return slot;
    }
}

struct counted *state_value(struct state *s, enum rollup_signal signal, struct key *key,
                            enum value_type type, struct slice text) {
    if (key->last && value_is(key->last, signal, key, type, text))
        return key->last;
    if (text.size > VALUE_COUNTED_BYTES_MAX || s->values.n == 0)
        return NULL;
    uint64_t hash = value_hash(signal, key, type, text);
    struct counted *v = value_slot(s, hash, signal, key, type, text)->value;
    if (v)
        key->last = v;
    return v;
}

static int values_grow(struct state *s) {
    size_t n = s->values.slots_n ? s->values.slots_n * 2 : 256;
    struct value_slot *slots = memory_alloc(n * sizeof(*slots)), *old = s->values.slots;

    if (!slots)
        return -ENOMEM;
    memset(slots, 0, n * sizeof(*slots));
    for (size_t i = 0; i < s->values.slots_n; i++) {
        if (!old[i].value)
            continue;
        size_t at = old[i].hash & (n - 1);
        while (slots[at].value)
            at = (at + 1) & (n - 1);
        slots[at] = old[i];
    }
    free(old);
    s->values.slots = slots;
    s->values.slots_n = n;
    return 0;
}

struct counted *state_value_add(struct state *s, enum rollup_signal signal, struct key *key,
                                enum value_type type, struct slice text) {
    if (text.size > VALUE_COUNTED_BYTES_MAX || key->capped[signal])
        text = slice_new("", 0);
    if (text.size && !rollup_admit(s->ingest, signal, key->key, text)) {
        key->capped[signal] = true;
        text = slice_new("", 0);
    }
    if ((s->values.n + 1) * 4 > s->values.slots_n * 3 && values_grow(s) < 0)
        return NULL;
    uint64_t hash = value_hash(signal, key, type, text);
    struct value_slot *slot = value_slot(s, hash, signal, key, type, text);
    if (slot->value)
        return slot->value;
    struct counted *v = s->values.n < VALUES_MAX ? arena_new(&s->memo, struct counted) : NULL;
    struct slice copy = v ? arena_dup(&s->memo, text) : SLICE_EMPTY;
    if (!v || !copy.data) {
        s->full = true;
        return NULL;
    }
    *v = (struct counted){.key = key,
                          .text = copy,
                          .hash = hash,
                          .signal = (uint8_t) signal,
                          .type = (uint8_t) type};
    *slot = (struct value_slot){hash, v};
    s->values.n++;
    return v;
}

int state_count(struct state *s, struct counted *v) {
    int r = vector_push(&s->counted, v, COUNTED_MAX);

    if (r == 0)
        v->count++;
    return r;
}

/* The fingerprint of a sanitised text. Statements with literals are rarely sent twice, but what is
 * left of them is: only that is remembered. */
static int fingerprint_of(struct state *s, enum sql_dialect dialect, struct slice sanitised,
                          struct statement *ret) {
    bool added = false, short_enough = sanitised.size <= STATEMENT_BYTES_MAX;
    struct map_entry *e = short_enough ? map_put(&s->statements, sanitised, &added) : NULL;
    struct statement *kept = e ? e->pointer : NULL;

    if (kept && !added && kept->dialect == dialect) {
        *ret = *kept;
        return 0;
    }
    buffer_clear(&s->build);
    int r = sql_fingerprint(dialect, sanitised, &s->build);
    if (r < 0)
        return r;
    kept = added ? arena_new(&s->memo, struct statement) : NULL;
    struct arena *a = kept ? &s->memo : &s->scratch;
    ret->dialect = dialect;
    ret->fingerprint = arena_dup(a, buffer_slice(&s->build));
    ret->sanitised = kept ? e->key : sanitised;
    if (added)
        e->pointer = kept;
    if (kept)
        *kept = *ret;
    s->full = s->full || (short_enough && !e);
    return ret->fingerprint.data ? 0 : -ENOMEM;
}

int state_statement(struct state *s, enum sql_dialect dialect, struct slice text,
                    struct statement *ret) {
    struct map_entry *e = map_get(&s->statements, text);
    struct statement *kept = e ? e->pointer : NULL;

    if (kept && kept->dialect == dialect && kept->clean) {
        *ret = *kept;
        return 0;
    }
    buffer_clear(&s->build);
    int r = sql_sanitise(dialect, text, &s->build);
    if (r < 0)
        return r;
    struct slice sanitised = arena_dup(&s->scratch, buffer_slice(&s->build));
    if (!sanitised.data)
        return -ENOMEM;
    r = fingerprint_of(s, dialect, sanitised, ret);
    if (r == 0 && slice_equal(sanitised, text)) {
        e = map_get(&s->statements, text);
        if (e && e->pointer)
            ((struct statement *) e->pointer)->clean = true;
    }
    return r;
}

void state_uncount(struct state *s, size_t n) {
    while (s->counted.n > n)
        s->counted.items[--s->counted.n]->count--;
}

static void forget_transaction(struct state *s) {
    s->counted.n = s->notes.n = s->red_notes.n = s->emitted.n = 0;
    arena_clear(&s->scratch);
}

int state_apply(struct state *s) {
    int r = 0;

    vector_each(&s->counted, v) {
        if ((*v)->is_dirty)
            continue;
        (*v)->is_dirty = true;
        (*v)->dirty = s->dirty;
        s->dirty = *v;
    }
    vector_each(&s->notes, n) {
        if (r == 0)
            r = window_add_span(s, n);
    }
    vector_each(&s->red_notes, n) {
        if (r == 0)
            r = window_add_red(s, n);
    }
    if (r == 0)
        r = edges_apply(s);
    if (r == 0)
        forget_transaction(s);
    return r;
}

void state_undo(struct state *s) {
    state_uncount(s, 0);
    vector_each(&s->emitted, e) {
        struct slice id = slice_new(&e->id, sizeof(e->id));
        struct map_entry *m = map_get(&s->resources, id);
        if (m)
            m->number = e->before;
    }
    forget_transaction(s);
}
