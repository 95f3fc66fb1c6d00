/* A span's way in. See ingest.h; one thread per transaction. */
#include "base/clock.h"
#include "derive/private.h"
#include "signal/value.h"
#include "wire/utf8.h"

#include <errno.h>

#define EVENTS_MAX 1024u
#define LINKS_MAX 1024u
#define FLAG_HAS_IS_REMOTE 0x100u
#define FLAG_IS_REMOTE 0x200u

static bool is_zero(const uint8_t *bytes, size_t n) {
    uint8_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= bytes[i];
    return bits == 0;
}

/* What cannot be stored is said; what can be mended is. */
static int check(struct ingest_txn *t, struct span *s, struct error *e) {
    if (is_zero(s->trace_id, 16))
        return error_set(e, -EINVAL, "span \"%.*s\": the trace id is empty",
                         SLICE_ARG(slice_take(s->name, 100)));
    if (is_zero(s->span_id, 8))
        return error_set(e, -EINVAL, "span \"%.*s\": the span id is empty",
                         SLICE_ARG(slice_take(s->name, 100)));
    if (s->start_ns == 0)
        s->start_ns = s->end_ns;
    if (s->end_ns < s->start_ns)
        s->end_ns = s->start_ns; /* a clock was set back; the duration is not known */
    if ((unsigned) s->kind > SPAN_CONSUMER)
        s->kind = SPAN_UNSPECIFIED;
    if ((unsigned) s->status > STATUS_ERROR)
        s->status = STATUS_UNSET;
    return txn_time(t, s->start_ns, e);
}

/* Attributes scrubbed one by one, as they stand in events and links. */
static int put_attributes(struct ingest_txn *t, struct json_writer *w, const struct attributes *a) {
    size_t n = a->n < ATTRIBUTES_MAX ? a->n : ATTRIBUTES_MAX;

    json_put_key(w, "attributes");
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        struct key *k = state_key(t->state, a->items[i].key);
        struct value sent = a->items[i].value, clean;
        int r = 0;
        if (sent.type == VALUE_STRING)
            r = clean_cut(t, sent.text, &sent.text);
        if (r == 0)
            r = clean_value(t, k ? k->verdict : SCRUB_KEEP, &sent, &clean);
        if (r < 0)
            return r;
        json_put_key_slice(w, a->items[i].key);
        r = value_put_json(w, &clean);
        if (r < 0)
            return r;
    }
    json_end_object(w);
    return 0;
}

static int events_json(struct ingest_txn *t, const struct span *s, struct slice *ret) {
    struct buffer *b = &t->state->build;
    struct json_writer w = json_writer(b);
    size_t n = s->n_events < EVENTS_MAX ? s->n_events : EVENTS_MAX;

    buffer_clear(b);
    json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        const struct span_event *v = &s->events[i];
        json_begin_object(&w);
        json_put_key(&w, "time_ns");
        json_put_int_text(&w, v->time_ns);
        json_field_string(&w, "name", slice_take(v->name, NAME_BYTES_MAX));
        int r = put_attributes(t, &w, &v->attributes);
        if (r < 0)
            return r;
        json_field_uint(&w, "dropped", v->attributes.dropped);
        json_end_object(&w);
    }
    json_end_array(&w);
    if (b->failed)
        return b->failed;
    *ret = arena_dup(&t->state->scratch, buffer_slice(b));
    return ret->data ? 0 : -ENOMEM;
}

static int links_json(struct ingest_txn *t, const struct span *s, struct slice *ret) {
    struct buffer *b = &t->state->build;
    struct json_writer w = json_writer(b);
    size_t n = s->n_links < LINKS_MAX ? s->n_links : LINKS_MAX;

    buffer_clear(b);
    json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        const struct span_link *l = &s->links[i];
        json_begin_object(&w);
        json_put_key(&w, "trace_id");
        json_put_hex(&w, slice_new(l->trace_id, 16));
        json_put_key(&w, "span_id");
        json_put_hex(&w, slice_new(l->span_id, 8));
        json_field_string(&w, "trace_state", l->trace_state);
        json_field_uint(&w, "flags", l->flags);
        int r = put_attributes(t, &w, &l->attributes);
        if (r < 0)
            return r;
        json_end_object(&w);
    }
    json_end_array(&w);
    if (b->failed)
        return b->failed;
    *ret = arena_dup(&t->state->scratch, buffer_slice(b));
    return ret->data ? 0 : -ENOMEM;
}

static struct slice exception_type(const struct span *s) {
    for (size_t i = s->n_events; i-- > 0;)
        if (slice_is(s->events[i].name, "exception"))
            return utf8_cut(attributes_text(&s->events[i].attributes, "exception.type"),
                            NAME_BYTES_MAX);
    return SLICE_EMPTY;
}

/* The statement's fingerprint, and its sanitised text in place of what was sent. */
static int statements(struct ingest_txn *t, const struct facts *facts, struct span_row *row) {
    struct statement statement;
    struct slice text = fact(facts, ROLE_DB_STATEMENT);

    if (text.size == 0)
        return 0;
    int r = state_statement(t->state, sql_dialect_of(fact(facts, ROLE_DB_SYSTEM)), text,
                            &statement);
    if (r < 0)
        return r;
    row->db_statement = statement.fingerprint;
    for (size_t i = 0; i < row->attributes.n; i++) {
        struct attribute_text *a = &t->state->attributes[i];
        if (a->text.data != text.data || a->text.size != text.size)
            continue;
        if (t->ingest->scrub)
            a->text = statement.sanitised;
        r = clean_cut(t, a->text, &a->text);
        struct key *k = r == 0 ? state_key(t->state, a->key) : NULL;
        if (!k)
            return r;
        struct slice counted = utf8_cut(a->text, VALUE_COUNTED_BYTES_MAX);
        struct counted *v = state_value(t->state, ROLLUP_SPAN, k, VALUE_STRING, counted);
        if (!v)
            v = state_value_add(t->state, ROLLUP_SPAN, k, VALUE_STRING, counted);
        return v ? state_count(t->state, v) : 0;
    }
    return 0;
}

static struct text *text_or_other(struct state *s, struct slice text) {
    struct text *t = state_text(s, text);

    return t ? t : s->other;
}

static int note(struct ingest_txn *t, const struct span *s, const struct span_row *row,
                enum call call, struct slice system) {
    struct span_note n = {
            .start_ns = s->start_ns,
            .duration_ns = row->duration_ns,
            .service = t->service,
            .name = text_or_other(t->state, s->name),
            .peer = row->peer.size ? text_or_other(t->state, row->peer) : NULL,
            .system = system.size ? text_or_other(t->state, system) : NULL,
            .kind = (uint8_t) s->kind,
            .status = (uint8_t) s->status,
            .entry = row->entry,
            .call = (uint8_t) call,
            .root = is_zero(s->parent_span_id, 8),
            .counted = t->red_counted,
    };
    memcpy(n.trace_id, s->trace_id, 16);
    memcpy(n.span_id, s->span_id, 8);
    memcpy(n.parent_span_id, s->parent_span_id, 8);
    return vector_push(&t->state->notes, n, NOTES_MAX);
}

static bool is_entry(const struct span *s) {
    return s->kind == SPAN_SERVER || s->kind == SPAN_CONSUMER || is_zero(s->parent_span_id, 8) ||
           (s->flags & (FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE)) ==
                   (FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE);
}

static uint32_t dropped(const struct span *s, uint32_t attributes) {
    uint64_t n =
            (uint64_t) s->attributes.dropped + attributes + s->dropped_events + s->dropped_links;

    n += s->n_events > EVENTS_MAX ? s->n_events - EVENTS_MAX : 0;
    n += s->n_links > LINKS_MAX ? s->n_links - LINKS_MAX : 0;
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t) n;
}

static int fill(struct ingest_txn *t, const struct span *s, struct span_row *row,
                enum call *ret_call, struct slice *ret_system, struct error *e) {
    struct facts facts;
    uint32_t beyond;
    uint64_t status;
    char *peer = arena_alloc(&t->state->scratch, PEER_BYTES_MAX);

    if (!peer)
        return -ENOMEM;
    facts.seen = 0;
    int r = clean_attributes(t, ROLLUP_SPAN, &s->attributes, &facts, &row->attributes, &beyond, e);
    if (r == 0)
        r = statements(t, &facts, row);
    if (r == 0 && s->status_message.size)
        r = clean_text(t, s->status_message, &row->status_message);
    if (r == 0 && s->n_events)
        r = events_json(t, s, &row->events);
    if (r == 0 && s->n_links)
        r = links_json(t, s, &row->links);
    if (r == -EINVAL && e && !e->code)
        error_set(e, r, "an event or a link of span \"%.*s\" is nested too deeply",
                  SLICE_ARG(slice_take(s->name, 100)));
    if (r < 0)
        return r;
    row->http_method = utf8_cut(fact(&facts, ROLE_HTTP_METHOD), NAME_BYTES_MAX);
    row->http_route = utf8_cut(fact(&facts, ROLE_HTTP_ROUTE), NAME_BYTES_MAX);
    if (slice_to_u64(fact(&facts, ROLE_HTTP_STATUS), &status) == 0 && status <= UINT16_MAX)
        row->http_status = (uint16_t) status;
    row->db_system = utf8_cut(fact(&facts, ROLE_DB_SYSTEM), NAME_BYTES_MAX);
    *ret_call = semantics_call(&facts, s->kind, peer, &row->peer, ret_system);
    row->peer = utf8_cut(row->peer, PEER_BYTES_MAX);
    row->exception_type = s->n_events ? exception_type(s) : SLICE_EMPTY;
    row->duration_ns = (uint64_t) (s->end_ns - s->start_ns);
    row->dropped = dropped(s, beyond);
    row->entry = is_entry(s);
    return 0;
}

static int add(struct ingest_txn *t, struct span *s, struct error *e) {
    struct span_row row = {0};
    enum call call;
    struct slice system;

    int r = check(t, s, e);
    if (r == 0)
        r = txn_resource(t, s->resource, e);
    if (r == 0)
        r = fill(t, s, &row, &call, &system, e);
    if (r == 0)
        r = span_row_append(t->spans_block, s, &row);
    if (r == 0)
        r = note(t, s, &row, call, system);
    return r;
}

int ingest_span(struct ingest_txn *t, const struct span *sent, struct error *e) {
    struct span s = *sent;
    size_t counted = t->state->counted.n;

    s.name = utf8_cut(s.name, NAME_BYTES_MAX);
    s.trace_state = utf8_cut(s.trace_state, NAME_BYTES_MAX);
    int r = add(t, &s, e);
    arena_clear(&t->state->scratch);
    if (r == 0) {
        t->spans++;
        return 0;
    }
    if (r == -EINVAL) {
        t->rejected_spans++;
        state_uncount(t->state, counted);
    }
    return r;
}
