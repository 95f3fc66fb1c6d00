/*
 * Resources of an answer, written once per id. What an id stands for never changes (it is a hash
 * over the attributes), so those that were read are kept, as JSON, for all later answers: one
 * SELECT less a trace. The cache is shared by all threads and starts over when it is full.
 */
#include "query/internal.h"

#include "base/map.h"

#include <pthread.h>

#define RESOURCES_PER_ANSWER 500u
#define CACHED_RESOURCES_MAX 8192u
#define CACHED_BYTES_MAX ((size_t) 8 << 20)
#define RESOURCE_BYTES_MAX ((size_t) 1 << 20)

static struct {
    pthread_mutex_t lock;
    bool ready;
    struct map ids; /* id → struct slice *, JSON in `texts` */
    struct arena texts;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

/* Sorted, without repetition. */
static size_t distinct(uint64_t *ids, size_t n) {
    size_t kept = 0;

    if (n)
        qsort(ids, n, sizeof(*ids), by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            ids[kept++] = ids[i];
    return kept < RESOURCES_PER_ANSWER ? kept : RESOURCES_PER_ANSWER;
}

static void put_resource(struct json_writer *w, uint64_t id, struct slice json) {
    char text[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long) id);
    json_put_key(w, text);
    json_put_raw(w, json);
}

/* Keeps a copy when there is room; without memory it is read again next time. */
static void cache_put(uint64_t id, struct slice json) {
    pthread_mutex_lock(&cache.lock);
    if (!cache.ready) {
        map_init(&cache.ids, CACHED_RESOURCES_MAX, CACHED_RESOURCES_MAX * 64);
        arena_init(&cache.texts, CACHED_BYTES_MAX);
        cache.ready = true;
    }
    struct slice *kept = arena_new(&cache.texts, struct slice);
    if (kept)
        *kept = arena_dup(&cache.texts, json);
    struct map_entry *e =
            kept && kept->data ? map_put(&cache.ids, slice_new(&id, sizeof(id)), NULL) : NULL;
    if (e) {
        e->pointer = kept;
    } else {
        map_clear(&cache.ids);
        arena_clear(&cache.texts);
    }
    pthread_mutex_unlock(&cache.lock);
}

/* Writes the resources that are known and leaves the ids of the others; returns how many. */
static size_t write_known(struct json_writer *w, uint64_t *ids, size_t n) {
    size_t left = 0;

    pthread_mutex_lock(&cache.lock);
    for (size_t i = 0; i < n; i++) {
        struct map_entry *e =
                cache.ready ? map_get(&cache.ids, slice_new(&ids[i], sizeof(ids[i]))) : NULL;
        if (e)
            put_resource(w, ids[i], *(const struct slice *) e->pointer);
        else
            ids[left++] = ids[i];
    }
    pthread_mutex_unlock(&cache.lock);
    return left;
}

static int write_row(struct json_writer *w, const struct rows *r, size_t row, struct buffer *json) {
    struct json_writer one = json_writer(json);
    size_t n = native_reader_length(r->reader, row, 1);

    buffer_clear(json);
    json_begin_object(&one);
    for (size_t i = 0; i < n; i++) {
        json_put_key_slice(&one, native_reader_key(r->reader, row, 1, i).text);
        json_put_string(&one, native_reader_item(r->reader, row, 1, i).text);
    }
    json_end_object(&one);
    if (json->failed)
        return json->failed;
    put_resource(w, row_u64(r, row, 0), buffer_slice(json));
    cache_put(row_u64(r, row, 0), buffer_slice(json));
    return 0;
}

static int write_fetched(struct query *q, const uint64_t *ids, size_t n) {
    struct rows rows = {0};
    struct buffer json;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT id, any(attributes) FROM resources WHERE id IN (");
    for (size_t i = 0; i < n; i++)
        sql_addf(&s, i ? ", %llu" : "%llu", (unsigned long long) ids[i]);
    sql_add(&s, ") GROUP BY id ORDER BY id");
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    buffer_init(&json, RESOURCE_BYTES_MAX);
    for (size_t i = 0; i < rows.n && r == 0; i++)
        r = write_row(q->json, &rows, i, &json);
    buffer_done(&json);
    rows_done(&rows);
    return r;
}

int json_resources(struct query *q, const uint64_t *ids, size_t n) {
    uint64_t *sorted = arena_array(q->arena, uint64_t, n);
    int r = 0;

    if (!sorted)
        return -ENOMEM;
    if (n)
        memcpy(sorted, ids, n * sizeof(*ids));
    n = distinct(sorted, n);
    json_put_key(q->json, "resources");
    json_begin_object(q->json);
    n = write_known(q->json, sorted, n);
    if (n)
        r = write_fetched(q, sorted, n);
    json_end_object(q->json);
    return r;
}
