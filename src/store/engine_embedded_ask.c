/* Statements of the embedded engine, and their answers. See engine_embedded.h. */
#include "store/engine_embedded.h"

struct chdb_answer *embedded_ask(struct embedded *g, struct connection *c, const char *sql,
                                 const char *format) {
    return g->lib->query_n(*c->handle, sql, strlen(sql), format, strlen(format));
}

int embedded_take(struct embedded *g, struct chdb_answer *a, size_t bytes_max, struct buffer *ret,
                  struct error *e) {
    int r = 0;

    if (!a)
        return error_set(e, -ENOMEM, "The engine gave no answer.");
    const char *text = g->lib->result_error(a);
    if (text) {
        r = engine_error(text, e);
    } else if (ret) {
        size_t size = g->lib->result_length(a);
        if (size > bytes_max)
            r = error_set(e, -ENOBUFS, "The answer has %zu bytes, more than the limit of %zu.",
                          size, bytes_max);
        else
            r = buffer_append(ret, g->lib->result_buffer(a), size);
        if (r < 0 && r != -ENOBUFS)
            error_set(e, r, "No memory for an answer of %zu bytes.", size);
    }
    g->lib->destroy_query_result(a);
    return r;
}

int embedded_stream(struct embedded *g, struct connection *c, const char *sql, const char *format,
                    size_t bytes_max, struct buffer *ret, struct error *e) {
    const struct engine_library *lib = g->lib;
    struct chdb_answer *query =
            lib->stream_query_n(*c->handle, sql, strlen(sql), format, strlen(format));
    const char *text = query ? lib->result_error(query) : NULL;
    size_t before = ret->size, size = 1;
    int r = 0;

    if (!query)
        return error_set(e, -ENOMEM, "The engine gave no answer.");
    if (text)
        r = engine_error(text, e);
    while (r == 0 && size) {
        struct chdb_answer *piece = lib->stream_fetch_result(*c->handle, query);
        size = piece && !lib->result_error(piece) ? lib->result_length(piece) : 0;
        r = embedded_take(g, piece, bytes_max - (ret->size - before), ret, e);
    }
    if (r < 0 && !text)
        lib->stream_cancel_query(*c->handle, query);
    lib->destroy_query_result(query);
    return r;
}

int embedded_run(struct embedded *g, struct connection *c, const char *sql, struct error *e) {
    return embedded_take(g, embedded_ask(g, c, sql, "TSV"), 0, NULL, e);
}
