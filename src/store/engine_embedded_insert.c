/* Statements that change data, and inserts: one of each at a time. Thread-safe. */
#include "store/engine_embedded.h"

int embedded_execute(struct engine *engine, const char *sql, struct buffer *ret, struct error *e) {
    struct embedded *g = (struct embedded *) engine;

    pthread_mutex_lock(&g->statement_lock);
    int r = embedded_take(g, embedded_ask(g, &g->statements, sql, "TSV"), ENGINE_EXECUTE_BYTES_MAX,
                          ret, e);
    pthread_mutex_unlock(&g->statement_lock);
    return r;
}

struct append {
    struct embedded *g;
    struct chdb_insert *stream;
    struct buffer *gathered;
};

static int append_flush(struct append *a) {
    int r = 0;

    if (a->gathered->size)
        r = a->g->lib->stream_append(a->stream, a->gathered->data, a->gathered->size) ? -EIO : 0;
    buffer_clear(a->gathered);
    return r;
}

static int append_piece(void *ctx, const void *data, size_t size) {
    struct append *a = ctx;

    if (a->gathered->size + size <= APPEND_BYTES)
        return buffer_append(a->gathered, data, size);
    int r = append_flush(a);
    if (r < 0)
        return r;
    if (size < APPEND_BYTES / 4)
        return buffer_append(a->gathered, data, size);
    return a->g->lib->stream_append(a->stream, data, size) ? -EIO : 0;
}

static int insert_on(struct embedded *g, const char *sql, const struct native_block *const *blocks,
                     size_t n, struct error *e) {
    struct chdb_insert *s =
            g->lib->stream_insert_n(*g->inserts.handle, sql, strlen(sql), "Native", 6);
    struct append a = {.g = g, .stream = s, .gathered = &g->gathered};
    const char *text = g->lib->stream_insert_error(s);
    int r = text ? engine_error(text, e) : 0;

    buffer_clear(a.gathered);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = native_block_send(blocks[i], append_piece, &a);
        if (r == 0)
            r = append_flush(&a);
        if (r < 0) {
            text = g->lib->stream_insert_error(s);
            r = text ? engine_error(text, e)
                     : error_set(e, r, "The rows could not be handed over.");
            g->lib->stream_cancel_insert(s);
        }
    }
    if (r == 0)
        r = embedded_take(g, g->lib->stream_done(s), 0, NULL, e);
    g->lib->destroy_insert_stream(s);
    return r;
}

int embedded_insert(struct engine *engine, const char *sql,
                    const struct native_block *const *blocks, size_t n, struct error *e) {
    struct embedded *g = (struct embedded *) engine;

    pthread_mutex_lock(&g->insert_lock);
    int r = insert_on(g, sql, blocks, n, e);
    pthread_mutex_unlock(&g->insert_lock);
    return r;
}
