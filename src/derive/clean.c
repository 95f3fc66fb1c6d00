/*
 * From what was sent to what is stored: scrubbed, as text, cut, counted. The memo makes the common
 * case short: a value that came before is known to be free of secrets and has its text already.
 *
 * One thread at a time; what is built lives in the state's scratch memory until the record ends.
 */
#include "base/clock.h"
#include "derive/private.h"
#include "signal/value.h"
#include "wire/utf8.h"

#include <errno.h>

#define CUT_MARK "…[cut]"

int clean_cut(struct ingest_txn *t, struct slice text, struct slice *ret) {
    *ret = text;
    if (text.size <= VALUE_BYTES_MAX)
        return 0;
    struct slice head = utf8_cut(text, VALUE_BYTES_MAX - strlen(CUT_MARK));
    uint8_t *copy = arena_alloc(&t->state->scratch, head.size + strlen(CUT_MARK));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, head.data, head.size);
    memcpy(copy + head.size, CUT_MARK, strlen(CUT_MARK));
    *ret = slice_new(copy, head.size + strlen(CUT_MARK));
    return 0;
}

int clean_value(struct ingest_txn *t, enum scrub_verdict verdict, const struct value *v,
                struct value *ret) {
    const struct scrub *scrub = t->ingest->scrub;

    if (!scrub) {
        *ret = *v;
        return 0;
    }
    return scrub_value(scrub, &t->state->scrub_memo, verdict, v, &t->state->scratch, ret,
                       &t->scrubbed);
}

int clean_text(struct ingest_txn *t, struct slice text, struct slice *ret) {
    struct value v = {.type = VALUE_STRING, .text = text}, clean;
    int r = clean_cut(t, v.text, &v.text);

    if (r == 0)
        r = clean_value(t, SCRUB_KEEP, &v, &clean);
    if (r == 0)
        *ret = clean.text;
    return r;
}

static void note_fact(struct facts *facts, const struct key *k, struct slice text) {
    if (!facts || !k || k->role == ROLE_NONE || k->role == ROLE_DB_STATEMENT)
        return;
    facts->seen |= 1u << k->role;
    facts->texts[k->role] = text;
}

/* A statement keeps its own text until the whole span, and with it the dialect, is known. */
static void note_statement(struct facts *facts, const struct attribute *a) {
    facts->seen |= 1u << ROLE_DB_STATEMENT;
    facts->texts[ROLE_DB_STATEMENT] = a->value.text;
}

/* The text of a number or bool without memory of its own; false for the other types. */
static bool short_text(const struct value *v, char *room, struct slice *ret) {
    switch (v->type) {
    case VALUE_INT: *ret = slice_new(room, int_to_text(v->integer, room)); return true;
    case VALUE_BOOL: *ret = v->boolean ? SLICE("true") : SLICE("false"); return true;
    case VALUE_DOUBLE: *ret = slice_new(room, double_to_text(v->number, room)); return true;
    case VALUE_EMPTY: *ret = slice_new("", 0); return true;
    default: return false;
    }
}

/* The long way: scrub, build the text, cut, count. */
static int clean_slowly(struct ingest_txn *t, enum rollup_signal signal, struct key *k,
                        const struct attribute *a, struct attribute_text *ret, struct error *e) {
    struct state *s = t->state;
    struct value v;
    int r;

    struct value sent = a->value;
    if (sent.type == VALUE_STRING || sent.type == VALUE_BYTES) {
        r = clean_cut(t, sent.text, &sent.text);
        if (r < 0)
            return r;
    }
    enum scrub_verdict verdict = k                  ? k->verdict
                                 : t->ingest->scrub ? scrub_key(t->ingest->scrub, a->key)
                                                    : SCRUB_KEEP;
    r = clean_value(t, verdict, &sent, &v);
    if (r == 0)
        r = value_text(&v, &s->build, &s->scratch, &ret->text);
    if (r == -EINVAL)
        return error_set(e, r, "attribute \"%.*s\" is nested too deeply",
                         SLICE_ARG(slice_take(a->key, 100)));
    if (r < 0)
        return r;
    ret->type = v.type;
    if (ret->text.size > VALUE_BYTES_MAX) {
        ret->type = VALUE_STRING; /* no longer what it was */
        r = clean_cut(t, ret->text, &ret->text);
        if (r < 0)
            return r;
    }
    if (!k)
        return 0;
    struct slice counted = utf8_cut(ret->text, VALUE_COUNTED_BYTES_MAX);
    struct counted *known = state_value(s, signal, k, ret->type, counted);
    if (!known)
        known = state_value_add(s, signal, k, ret->type, counted);
    return known ? state_count(s, known) : 0;
}

int clean_attribute(struct ingest_txn *t, enum rollup_signal signal, const struct attribute *a,
                    struct facts *facts, struct attribute_text *ret, struct error *e) {
    struct key *k = state_key(t->state, a->key);
    char room[NUMBER_TEXT_MAX];
    struct slice text = a->value.text;
    int r;

    ret->key = slice_take(a->key, NAME_BYTES_MAX);
    if (facts && k && k->role == ROLE_DB_STATEMENT && a->value.type == VALUE_STRING) {
        note_statement(facts, a);
        ret->type = VALUE_STRING;
        ret->text = text; /* replaced by span.c */
        return 0;
    }
    if (k && k->verdict == SCRUB_KEEP &&
        (a->value.type == VALUE_STRING || short_text(&a->value, room, &text))) {
        struct counted *known = state_value(t->state, signal, k, a->value.type, text);
        if (known) {
            ret->text = known->text;
            ret->type = a->value.type;
            note_fact(facts, k, known->text);
            return state_count(t->state, known);
        }
    }
    r = clean_slowly(t, signal, k, a, ret, e);
    if (r == 0)
        note_fact(facts, k, ret->text);
    return r;
}

int clean_attributes(struct ingest_txn *t, enum rollup_signal signal, const struct attributes *a,
                     struct facts *facts, struct attribute_texts *ret, uint32_t *ret_dropped,
                     struct error *e) {
    size_t n = a->n < ATTRIBUTES_MAX ? a->n : ATTRIBUTES_MAX;

    for (size_t i = 0; i < n; i++) {
        int r = clean_attribute(t, signal, &a->items[i], facts, &t->state->attributes[i], e);
        if (r < 0)
            return r;
    }
    *ret = (struct attribute_texts){t->state->attributes, n};
    *ret_dropped = (uint32_t) (a->n - n);
    return 0;
}
