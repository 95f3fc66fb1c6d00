/* Finding, adding and evicting series: see series.h. */
#include "base/clock.h"
#include "derive/series_private.h"

#include <errno.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NAMES_BYTES_MAX (64u << 20)
#define OTHERS_MAX 1000000u
#define FIRST_STEP_S 3600u /* first_s goes back in steps: a row is written for each */

/* ---- Life ---- */

int series_index_new(size_t series_max, size_t instance_max, struct series_index **ret) {
    struct series_index *x = memory_alloc(sizeof(*x));

    if (!x)
        return -ENOMEM;
    *x = (struct series_index){.series_max = series_max ? series_max : SERIES_MAX_DEFAULT,
                               .instance_max = instance_max};
    if (x->series_max > UINT32_MAX / 2)
        x->series_max = UINT32_MAX / 2;
    pthread_rwlock_init(&x->lock, NULL);
    if (getrandom(&x->key, sizeof(x->key), 0) != sizeof(x->key))
        x->key = (uint64_t) clock_now_ns();
    map_init(&x->name_numbers, SERIES_LABEL_NAMES_MAX, NAMES_BYTES_MAX);
    arena_init(&x->labels_arena, SIZE_MAX);
    *ret = x;
    return 0;
}

void series_index_free(struct series_index *x) {
    if (!x)
        return;
    for (uint32_t i = 0; i < x->n_pairs; i++) {
        if (x->pairs[i].value && x->pairs[i].allocated)
            free(x->pairs[i].refs);
        free(x->pairs[i].value);
    }
    free(x->pairs);
    vector_each(&x->names, n) {
        vector_done(&n->pairs);
    }
    vector_done(&x->names);
    for (size_t i = 0; i < x->n_chunks; i++)
        free(x->chunks[i]);
    free(x->chunks);
    free(x->by_labels.items);
    free(x->by_id.items);
    free(x->pair_slots.items);
    vector_done(&x->free_series);
    vector_done(&x->free_pairs);
    vector_done(&x->others);
    map_done(&x->name_numbers);
    arena_done(&x->labels_arena);
    pthread_rwlock_destroy(&x->lock);
    free(x);
}

/* ---- Hashes and ids ---- */

static size_t labels_bytes(const struct label *labels, size_t n) {
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        if (labels[i].name.size > SERIES_LABELS_BYTES_MAX ||
            labels[i].value.size > SERIES_LABELS_BYTES_MAX)
            return SIZE_MAX;
        bytes += labels[i].name.size + labels[i].value.size + 2;
    }
    return bytes;
}

/* The labels one after the other; 0xff is in no UTF-8 text. */
static struct slice labels_text(const struct label *labels, size_t n, uint8_t *room) {
    uint8_t *p = room;

    for (size_t i = 0; i < n; i++) {
        if (labels[i].name.size)
            memcpy(p, labels[i].name.data, labels[i].name.size);
        p += labels[i].name.size;
        *p++ = 0xff;
        if (labels[i].value.size)
            memcpy(p, labels[i].value.data, labels[i].value.size);
        p += labels[i].value.size;
        *p++ = 0xff;
    }
    return slice_new(room, (size_t) (p - room));
}

static struct slice label_of(const struct label *labels, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (slice_is(labels[i].name, name))
            return labels[i].value;
    return SLICE_EMPTY;
}

/*
 * Where the samples of a series lie is decided by its id, the first column of the tables' order:
 * series of one metric lie together, within them those of one target, whose samples have the same
 * times. 16 bits of the metric, 10 of job and instance, 38 of all labels; where two meet, the later
 * one takes the next free id.
 */
static uint64_t natural_id(const struct label *labels, size_t n, struct slice text) {
    uint64_t metric = slice_hash(label_of(labels, n, "__name__"));
    uint64_t target = slice_hash(label_of(labels, n, "job")) * 31 +
                      slice_hash(label_of(labels, n, "instance"));

    return metric >> 48 << 48 | (target * UINT64_C(0x9e3779b97f4a7c15)) >> 54 << 38 |
           slice_hash(text) >> 26;
}

static void labels_hash(const struct series_index *x, struct slice text, uint64_t ret[2]) {
    XXH128_hash_t h = XXH3_128bits_withSeed(text.data, text.size, x->key);

    ret[0] = h.low64;
    ret[1] = h.high64;
}

static uint32_t find_labels(const struct series_index *x, const uint64_t hash[2]) {
    uint32_t v;

    for (size_t at = 0; slots_next(&x->by_labels, hash[0], &at, &v);) {
        const struct series *s = series_at(x, v);
        if (s->hash[0] == hash[0] && s->hash[1] == hash[1])
            return v;
    }
    return UINT32_MAX;
}

static uint32_t find_id(const struct series_index *x, uint64_t id) {
    uint32_t v;

    for (size_t at = 0; slots_next(&x->by_id, id_hash(id), &at, &v);)
        if (series_at(x, v)->id == id)
            return v;
    return UINT32_MAX;
}

/* ---- Adding ---- */

static int check_labels(const struct label *labels, size_t n, struct error *e) {
    struct slice metric = label_of(labels, n, "__name__");

    if (metric.size == 0)
        return error_set(e, -EINVAL, "a series without a name");
    if (n > SERIES_LABELS_MAX)
        return error_set(e, -EINVAL, "%.*s: a series with more than %u labels",
                         SLICE_ARG(slice_take(metric, 200)), SERIES_LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct slice name = slice_take(labels[i].name, 200);
        if (name.size == 0 || labels[i].value.size == 0)
            return error_set(e, -EINVAL, "%.*s: a label without a name or without a value",
                             SLICE_ARG(slice_take(metric, 200)));
        if (i && slice_compare(labels[i - 1].name, labels[i].name) >= 0)
            return error_set(e, -EINVAL, "%.*s: label %.*s is given twice, or not in order",
                             SLICE_ARG(slice_take(metric, 200)), SLICE_ARG(name));
        if (labels[i].name.size > SERIES_NAME_BYTES_MAX ||
            labels[i].value.size > SERIES_VALUE_BYTES_MAX)
            return error_set(e, -EINVAL,
                             "%.*s: label %.*s: the name is longer than %u bytes, or the value "
                             "than %u",
                             SLICE_ARG(slice_take(metric, 200)), SLICE_ARG(name),
                             SERIES_NAME_BYTES_MAX, SERIES_VALUE_BYTES_MAX);
        if (!slice_is_utf8(labels[i].name) || !slice_is_utf8(labels[i].value))
            return error_set(e, -EINVAL, "%.*s: label %.*s is not UTF-8",
                             SLICE_ARG(slice_take(metric, 200)), SLICE_ARG(name));
    }
    return 0;
}

static int place_new(struct series_index *x, uint32_t *ret) {
    if (x->free_series.n) {
        *ret = x->free_series.items[--x->free_series.n];
        return 0;
    }
    if (x->high == x->n_chunks * SERIES_CHUNK) {
        if (!x->chunks) {
            size_t n = x->series_max / SERIES_CHUNK + 2;
            x->chunks = memory_alloc(n * sizeof(*x->chunks)); /* never moves */
            if (!x->chunks)
                return -ENOMEM;
        }
        struct series *chunk = memory_alloc(SERIES_CHUNK * sizeof(*chunk));
        if (!chunk)
            return -ENOMEM;
        memset((void *) chunk, 0, SERIES_CHUNK * sizeof(*chunk));
        x->chunks[x->n_chunks++] = chunk;
        x->bytes += SERIES_CHUNK * sizeof(*chunk);
    }
    *ret = x->high++;
    return 0;
}

static uint32_t *labels_room(struct series_index *x, size_t n) {
    void *p = x->free_labels[n];

    if (p)
        memcpy(&x->free_labels[n], p, sizeof(void *));
    else
        p = arena_alloc(&x->labels_arena, n < 2 ? 8 : n * sizeof(uint32_t));
    return p;
}

static int add_pairs(struct series_index *x, uint32_t at, const struct label *labels, size_t n,
                     uint32_t *pairs) {
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = pair_put(x, labels[i], &pairs[i]);
    for (size_t i = 0; i < n && r == 0; i++)
        r = pair_add_series(x, pairs[i], at);
    return r;
}

/* The lock is held for writing. `id` 0: choose. */
static int add(struct series_index *x, const struct label *labels, size_t n, struct slice text,
               const uint64_t hash[2], uint64_t id, uint32_t *ret) {
    uint32_t *pairs = labels_room(x, n), at;

    if (!pairs)
        return -ENOMEM;
    int r = place_new(x, &at);
    if (r < 0) {
        series_labels_return(x, pairs, n);
        return r;
    }
    if (!id)
        for (id = natural_id(labels, n, text); id == 0 || find_id(x, id) != UINT32_MAX;)
            id++;
    struct series *s = series_at(x, at);
    s->id = id;
    s->hash[0] = hash[0];
    s->hash[1] = hash[1];
    s->pairs = pairs;
    s->n = (uint32_t) n;
    atomic_store(&s->start_ms, 0);
    atomic_store(&s->first_s, UINT32_MAX);
    atomic_store(&s->last_s, 0);
    atomic_store(&s->row_last_s, 0);
    atomic_store(&s->written_s, 0);
    atomic_store(&s->token, 0);
    x->n_series++;
    r = slots_put(&x->by_labels, hash[0], at);
    if (r == 0)
        r = slots_put(&x->by_id, id_hash(id), at);
    if (r == 0)
        r = add_pairs(x, at, labels, n, pairs);
    if (r < 0) {
        uint32_t copy[SERIES_LABELS_MAX];
        size_t known = 0;
        for (size_t i = 0; i < n; i++) {
            uint32_t name = name_find(x, labels[i].name);
            uint32_t p = name == UINT32_MAX ? UINT32_MAX : pair_find(x, name, labels[i].value);
            if (p != UINT32_MAX)
                copy[known++] = p;
        }
        series_forget(x, at);
        for (size_t i = 0; i < known; i++)
            pair_sweep(x, copy[i]);
        vector_push(&x->free_series, at, UINT32_MAX);
        return r;
    }
    x->added++;
    series_count_hour(x, &x->added_now, 1);
    *ret = at;
    return 0;
}

/* Whether the instance that the labels name has as many series as it may. */
static bool instance_is_full(const struct series_index *x, const struct label *labels, size_t n) {
    struct slice instance = label_of(labels, n, "instance");
    uint32_t name = name_find(x, SLICE("instance"));

    if (!x->instance_max || !instance.size || name == UINT32_MAX)
        return false;
    uint32_t pair = pair_find(x, name, instance);
    return pair != UINT32_MAX && x->pairs[pair].n >= x->instance_max;
}

static int room_for_one(struct series_index *x, const struct label *labels, size_t n,
                        struct error *e) {
    if (instance_is_full(x, labels, n)) {
        atomic_fetch_add(&x->refused, 1);
        return error_set(e, -ENOSPC,
                         "instance %.*s has %zu series, the limit of one "
                         "(metrics-instance-series-max)",
                         SLICE_ARG(slice_take(label_of(labels, n, "instance"), 200)),
                         x->instance_max);
    }
    if (x->n_series < x->series_max)
        return 0;
    uint32_t now_s = (uint32_t) (clock_now_ns() / NS_PER_S);
    /* Sweeping looks at every series: not for each one that is refused. */
    if (atomic_load(&x->refused) % 4096 == 0)
        series_evict_locked(x, now_s, SERIES_EMIT_S + SERIES_IDLE_FULL_S);
    if (x->n_series < x->series_max)
        return 0;
    atomic_fetch_add(&x->refused, 1);
    return error_set(e, -ENOSPC,
                     "there are %zu series in use, the limit (metrics-series-max): a new one is "
                     "refused",
                     x->series_max);
}

int series_put(struct series_index *x, const struct label *labels, size_t n, struct series_ref *ret,
               struct error *e) {
    uint8_t room[2048], *big = NULL;
    size_t bytes = labels_bytes(labels, n);
    uint64_t hash[2];
    int r = 0;

    if (bytes > SERIES_LABELS_BYTES_MAX)
        return error_set(e, -EINVAL, "the labels of a series are longer than %u bytes",
                         SERIES_LABELS_BYTES_MAX);
    if (bytes > sizeof(room) && !(big = memory_alloc(bytes)))
        return -ENOMEM;
    struct slice text = labels_text(labels, n, big ? big : room);
    labels_hash(x, text, hash);
    pthread_rwlock_rdlock(&x->lock);
    uint32_t at = find_labels(x, hash);
    if (at != UINT32_MAX)
        *ret = (struct series_ref){series_at(x, at)->id, at};
    pthread_rwlock_unlock(&x->lock);
    if (at == UINT32_MAX) {
        r = check_labels(labels, n, e);
        if (r == 0) {
            pthread_rwlock_wrlock(&x->lock);
            at = find_labels(x, hash);
            if (at == UINT32_MAX) {
                r = room_for_one(x, labels, n, e);
                if (r == 0)
                    r = add(x, labels, n, text, hash, 0, &at);
                if (r == -ENOSPC && e && !e->code)
                    error_set(e, r, "there are more than %u label names", SERIES_LABEL_NAMES_MAX);
            }
            if (r == 0)
                *ret = (struct series_ref){series_at(x, at)->id, at};
            pthread_rwlock_unlock(&x->lock);
        }
    }
    free(big);
    return r;
}

static int load(struct series_index *x, const struct series_row *row, struct slice text) {
    uint64_t hash[2];
    uint32_t at;
    int r = 0;

    labels_hash(x, text, hash);
    at = find_labels(x, hash);
    if (at != UINT32_MAX && series_at(x, at)->id != row->id) {
        struct other_id o = {at, row->id};
        r = vector_push(&x->others, o, OTHERS_MAX);
        return r < 0 ? r : -EEXIST;
    }
    if (at == UINT32_MAX) {
        if (x->n_series >= x->series_max || find_id(x, row->id) != UINT32_MAX)
            return -ENOSPC;
        r = add(x, row->labels, row->n, text, hash, row->id, &at);
        x->added -= r == 0;
        x->added_now -= r == 0;
    }
    if (r < 0)
        return r;
    struct series *s = series_at(x, at);
    if (row->first_s < atomic_load(&s->first_s))
        atomic_store(&s->first_s, row->first_s);
    /* The row may be that much behind. */
    uint32_t last_s =
            row->last_s < UINT32_MAX - SERIES_EMIT_S ? row->last_s + SERIES_EMIT_S : UINT32_MAX;
    if (last_s > atomic_load(&s->last_s))
        atomic_store(&s->last_s, last_s);
    atomic_store(&s->row_last_s, row->last_s);
    if (!atomic_load(&s->written_s)) /* due with its next sample */
        atomic_store(&s->written_s, row->last_s ? row->last_s : 1);
    return 0;
}

int series_load(struct series_index *x, const struct series_row *row) {
    size_t bytes = labels_bytes(row->labels, row->n);
    int r = check_labels(row->labels, row->n, NULL);

    if (r < 0 || bytes > SERIES_LABELS_BYTES_MAX || row->id == 0)
        return -EINVAL;
    uint8_t *room = memory_alloc(bytes);
    if (!room)
        return -ENOMEM;
    struct slice text = labels_text(row->labels, row->n, room);
    pthread_rwlock_wrlock(&x->lock);
    r = load(x, row, text);
    pthread_rwlock_unlock(&x->lock);
    free(room);
    return r;
}

/* ---- Times ---- */

/* Places are never given back to the system: one that another series took, or none, is seen by its
 * id. */
static struct series *of_ref(struct series_index *x, struct series_ref s) {
    struct series *p = series_at(x, s.at);

    return p->id == s.id ? p : NULL;
}

int series_touch(struct series_index *x, struct series_ref ref, int64_t time_ms, uint32_t now_s,
                 uint32_t token) {
    struct series *s = of_ref(x, ref);
    uint32_t t = (uint32_t) (time_ms / 1000);

    if (!s)
        return -ESTALE;
    uint32_t written = atomic_load_explicit(&s->written_s, memory_order_relaxed);
    if (t > atomic_load_explicit(&s->last_s, memory_order_relaxed))
        atomic_store_explicit(&s->last_s, t, memory_order_relaxed);
    uint32_t first = atomic_load_explicit(&s->first_s, memory_order_relaxed);
    if (t < first) {
        /* After the first sample in whole hours, so that old samples that come backwards do not
         * write a row each. */
        atomic_store_explicit(&s->first_s,
                              first == UINT32_MAX ? t : t / FIRST_STEP_S * FIRST_STEP_S,
                              memory_order_relaxed);
        if (first != UINT32_MAX && written > 1)
            written = 1;
        atomic_store_explicit(&s->written_s, written, memory_order_relaxed);
    }
    int32_t age = (int32_t) (now_s - written); /* negative: the clock went back */
    /* By the clock, and by the samples' own time, which may go faster (old samples that are sent
     * now). Not all at once: a part of them each second. */
    int32_t due = (int32_t) (SERIES_EMIT_S - ref.at % 600);
    bool ahead = t > atomic_load_explicit(&s->row_last_s, memory_order_relaxed) + (uint32_t) due;
    if (written > 1 && age < due && age > -SERIES_EMIT_S && !ahead)
        return 0;
    if (atomic_load_explicit(&s->token, memory_order_relaxed) == token)
        return 0;
    atomic_store_explicit(&s->token, token, memory_order_relaxed);
    atomic_store_explicit(&s->row_last_s, atomic_load(&s->last_s), memory_order_relaxed);
    return 1;
}

void series_written(struct series_index *x, struct series_ref ref, uint32_t now_s) {
    struct series *s = of_ref(x, ref);

    if (s)
        atomic_store_explicit(&s->written_s, now_s, memory_order_relaxed);
}

void series_unwritten(struct series_index *x, struct series_ref ref) {
    struct series *s = of_ref(x, ref);

    if (s && atomic_load(&s->written_s) > 1)
        atomic_store(&s->written_s, 1);
}

bool series_start_changed(struct series_index *x, struct series_ref ref, int64_t start_ms) {
    struct series *s = of_ref(x, ref);

    return s && atomic_exchange_explicit(&s->start_ms, start_ms, memory_order_relaxed) != start_ms;
}

void series_start_forget(struct series_index *x, struct series_ref ref) {
    struct series *s = of_ref(x, ref);

    if (s)
        atomic_store_explicit(&s->start_ms, 0, memory_order_relaxed);
}

uint32_t series_gap(struct series_index *x) {
    pthread_rwlock_rdlock(&x->lock);
    uint32_t gap = x->gap_s;
    pthread_rwlock_unlock(&x->lock);
    return gap;
}

void series_set_gap(struct series_index *x, uint32_t gap_s) {
    pthread_rwlock_wrlock(&x->lock);
    x->gap_s = gap_s;
    pthread_rwlock_unlock(&x->lock);
}

uint64_t series_id_of(struct series_index *x, const struct label *labels, size_t n) {
    size_t bytes = labels_bytes(labels, n);
    uint8_t *room = bytes <= SERIES_LABELS_BYTES_MAX ? memory_alloc(bytes) : NULL;
    uint64_t hash[2];

    if (!room)
        return 0;
    struct slice text = labels_text(labels, n, room);
    labels_hash(x, text, hash);
    pthread_rwlock_rdlock(&x->lock);
    uint32_t at = find_labels(x, hash);
    uint64_t id = at == UINT32_MAX ? natural_id(labels, n, text) : series_at(x, at)->id;
    pthread_rwlock_unlock(&x->lock);
    free(room);
    return id;
}
