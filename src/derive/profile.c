/*
 * A profile sample's way in: its stack is stored once a day under a hash over its frames, the
 * sample beside it, and the same in steps of ten minutes for long ranges; functions' texts once a
 * day. See ingest.h; one thread per transaction.
 */
#include "base/clock.h"
#include "derive/private.h"
#include "signal/columns.h"
#include "store/store.h"
#include "wire/utf8.h"

#include <errno.h>

#define STEP_S 600
#define DAY_S 86400

/* What a stack is known by. Neither names nor paths hold the separator: no UTF-8 text does. */
static int stack_key(struct buffer *b, const struct profile_sample *s, size_t n, uint64_t *ret) {
    buffer_clear(b);
    for (size_t i = 0; i < n; i++) {
        const struct stack_frame *f = &s->frames[i];
        buffer_append_slice(b, slice_take(f->function, NAME_BYTES_MAX));
        buffer_append_u8(b, 0xff);
        buffer_append_slice(b, slice_take(f->file, NAME_BYTES_MAX));
        buffer_append_u8(b, 0xff);
        buffer_append_u32(b, f->line);
    }
    if (b->failed)
        return b->failed;
    *ret = slice_hash(buffer_slice(b));
    return 0;
}

static int stack_row(struct native_block *b, uint64_t day, uint64_t id,
                     const struct profile_sample *s, size_t n) {
    int r = native_put_u64(b, STACKS_DAY, day);

    r |= native_put_u64(b, STACKS_ID, id);
    for (size_t i = 0; i < n; i++) {
        const struct stack_frame *f = &s->frames[i];
        r |= native_array_text(b, STACKS_FUNCTIONS, utf8_cut(f->function, NAME_BYTES_MAX));
        r |= native_array_text(b, STACKS_FILES, utf8_cut(f->file, NAME_BYTES_MAX));
        r |= native_array_item(b, STACKS_LINES, f->line);
    }
    r |= native_close(b, STACKS_FUNCTIONS);
    r |= native_close(b, STACKS_FILES);
    r |= native_close(b, STACKS_LINES);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

/* Writes the stack unless this batch's memory has written it on that day. */
static int put_stack(struct ingest_txn *t, const struct profile_sample *s, uint64_t day,
                     uint64_t *ret_id) {
    struct state *state = t->state;
    size_t n = s->n_frames < PROFILE_STACK_FRAMES_MAX ? s->n_frames : PROFILE_STACK_FRAMES_MAX;
    int r = stack_key(&state->build, s, n, ret_id);

    buffer_clear(&state->build);
    if (r < 0)
        return r;
    uint64_t key[] = {*ret_id, day};
    struct slice bytes = slice_new(key, sizeof(key));
    if (map_get(&state->stacks, bytes))
        return 0;
    r = stack_row(store_batch_block(t->batch, TABLE_STACKS), day, *ret_id, s, n);
    if (r < 0)
        return r;
    t->stacks_written = true;
    if (!map_put(&state->stacks, bytes, NULL)) { /* full: begin anew, at the cost of some rows */
        map_clear(&state->stacks);
        map_put(&state->stacks, bytes, NULL);
    }
    return 0;
}

static int sample_row(struct native_block *b, const struct profile_sample *s, uint64_t stack) {
    int r = native_put_u64(b, PROFILE_SAMPLES_TS, (uint64_t) (s->time_ns / NS_PER_S));

    r |= native_put_string(b, PROFILE_SAMPLES_SERVICE, s->resource->service);
    r |= native_put_string(b, PROFILE_SAMPLES_VERSION, s->resource->version);
    r |= native_put_u64(b, PROFILE_SAMPLES_RESOURCE_ID, s->resource->id);
    r |= native_put_string(b, PROFILE_SAMPLES_TYPE, s->type);
    r |= native_put_string(b, PROFILE_SAMPLES_UNIT, s->unit);
    r |= native_put_string(b, PROFILE_SAMPLES_THREAD, s->thread);
    r |= native_put_string(b, PROFILE_SAMPLES_ENDPOINT, s->endpoint);
    r |= native_put_fixed(b, PROFILE_SAMPLES_TRACE_ID, s->trace_id);
    r |= native_put_fixed(b, PROFILE_SAMPLES_SPAN_ID, s->span_id);
    r |= native_put_u64(b, PROFILE_SAMPLES_STACK_ID, stack);
    r |= native_put_u64(b, PROFILE_SAMPLES_VALUE, s->value);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

static int step_row(struct native_block *b, const struct profile_sample *s, uint64_t stack) {
    int64_t ts_s = s->time_ns / NS_PER_S;
    int r = native_put_u64(b, PROFILE_STEPS_TS, (uint64_t) (ts_s - ts_s % STEP_S));

    r |= native_put_string(b, PROFILE_STEPS_SERVICE, s->resource->service);
    r |= native_put_string(b, PROFILE_STEPS_VERSION, s->resource->version);
    r |= native_put_string(b, PROFILE_STEPS_TYPE, s->type);
    r |= native_put_string(b, PROFILE_STEPS_UNIT, s->unit);
    r |= native_put_string(b, PROFILE_STEPS_THREAD, s->thread);
    r |= native_put_string(b, PROFILE_STEPS_ENDPOINT, s->endpoint);
    r |= native_put_u64(b, PROFILE_STEPS_STACK_ID, stack);
    r |= native_put_u64(b, PROFILE_STEPS_VALUE, s->value);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

static int add(struct ingest_txn *t, const struct profile_sample *sent, struct error *e) {
    struct profile_sample s = *sent;
    struct resource resource = *sent->resource;
    uint64_t stack = 0;

    if (s.n_frames == 0)
        return error_set(e, -EINVAL, "a profile sample without a stack");
    if (s.type.size == 0)
        return error_set(e, -EINVAL, "a profile sample without a type");
    int r = txn_time(t, s.time_ns, e);
    if (r == 0)
        r = txn_resource(t, sent->resource, e);
    if (r == 0)
        r = put_stack(t, &s, (uint64_t) (s.time_ns / NS_PER_S / DAY_S), &stack);
    if (r < 0)
        return r;
    resource.service = utf8_cut(resource.service, NAME_BYTES_MAX);
    resource.version = utf8_cut(resource.version, NAME_BYTES_MAX);
    s.resource = &resource;
    s.type = utf8_cut(s.type, NAME_BYTES_MAX);
    s.unit = utf8_cut(s.unit, NAME_BYTES_MAX);
    s.thread = utf8_cut(s.thread, NAME_BYTES_MAX);
    s.endpoint = utf8_cut(s.endpoint, NAME_BYTES_MAX);
    r = sample_row(store_batch_block(t->batch, TABLE_PROFILE_SAMPLES), &s, stack);
    return r < 0 ? r : step_row(store_batch_block(t->batch, TABLE_PROFILE_STEPS), &s, stack);
}

int ingest_profile(struct ingest_txn *t, const struct profile_sample *s, struct error *e) {
    int r = s->value ? add(t, s, e) : 0; /* nothing was spent: nothing to keep */

    if (r == 0)
        t->profile_samples += s->value != 0;
    else if (r == -EINVAL)
        t->rejected_profiles++;
    return r;
}

/* ---- Source text ---- */

static int source_row(struct native_block *b, uint64_t day, uint64_t hash,
                      const struct profile_source *s) {
    int r = native_put_u64(b, PROFILE_SOURCES_DAY, day);

    r |= native_put_string(b, PROFILE_SOURCES_SERVICE,
                           utf8_cut(s->resource->service, NAME_BYTES_MAX));
    r |= native_put_string(b, PROFILE_SOURCES_VERSION,
                           utf8_cut(s->resource->version, NAME_BYTES_MAX));
    r |= native_put_string(b, PROFILE_SOURCES_PATH, utf8_cut(s->file, NAME_BYTES_MAX));
    r |= native_put_string(b, PROFILE_SOURCES_FUNCTION, utf8_cut(s->function, NAME_BYTES_MAX));
    r |= native_put_u64(b, PROFILE_SOURCES_FIRST_LINE, s->first_line);
    r |= native_put_u64(b, PROFILE_SOURCES_HASH, hash);
    r |= native_put_u64(b, PROFILE_SOURCES_SEEN, (uint64_t) (s->time_ns / NS_PER_S));
    r |= native_put_string(b, PROFILE_SOURCES_TEXT, s->text);
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

/* What a text is known by within a day: whose it is, where it stands, and its hash. */
static uint64_t source_key(const struct profile_source *s, uint64_t hash) {
    const uint64_t parts[] = {slice_hash(s->resource->service),
                              slice_hash(s->resource->version),
                              slice_hash(s->file),
                              slice_hash(s->function),
                              s->first_line,
                              hash};

    return slice_hash(slice_new(parts, sizeof(parts)));
}

int ingest_profile_source(struct ingest_txn *t, const struct profile_source *s, struct error *e) {
    struct state *state = t->state;
    uint64_t day = (uint64_t) (s->time_ns / NS_PER_S / DAY_S);

    if (s->text.size == 0 || s->text.size > PROFILE_SOURCE_BYTES_MAX || s->file.size == 0)
        return 0;
    int r = txn_time(t, s->time_ns, e);
    if (r == 0)
        r = txn_resource(t, s->resource, e);
    if (r < 0)
        return r;
    uint64_t hash = slice_hash(s->text);
    const uint64_t key[] = {source_key(s, hash), day};
    struct slice bytes = slice_new(key, sizeof(key));
    if (map_get(&state->stacks, bytes))
        return 0;
    r = source_row(store_batch_block(t->batch, TABLE_PROFILE_SOURCES), day, hash, s);
    if (r < 0)
        return r;
    t->stacks_written = true;
    map_put(&state->stacks, bytes, NULL); /* full: it is written again, to no harm */
    return 0;
}
