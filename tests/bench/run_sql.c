/*
 * Runs statements in a data folder, so that a benchmark fills tables faster than by sending. Each
 * statement of the standard input ends with ";" at the end of a line.
 *
 *     run_sql DIR <statements
 *
 * The engine's library comes from $VARAN_ENGINE_LIB or the usual places.
 */
#include "base/slice.h"
#include "store/store.h"

#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t) 16 << 20)

static void fail(const char *what, const char *why) {
    fprintf(stderr, "run_sql: %s: %s\n", what, why);
    _exit(1); /* the engine's threads are at work */
}

static void read_input(struct buffer *to) {
    char bytes[65536];
    size_t n;

    while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
        if (buffer_append(to, bytes, n) < 0)
            fail("the input", "too large");
}

static void run(struct store *store, struct slice statement) {
    struct error e = ERROR_NONE;
    struct buffer text;

    buffer_init(&text, INPUT_BYTES_MAX);
    buffer_append_slice(&text, statement);
    buffer_append_u8(&text, 0);
    if (text.failed || store_execute(store, (const char *) text.data, &e) < 0)
        fail((const char *) text.data, e.text);
    buffer_done(&text);
}

int main(int argc, char **argv) {
    struct error e = ERROR_NONE;
    struct store_options o;
    struct store *store;
    struct buffer input;

    if (argc != 2) {
        fprintf(stderr, "usage: run_sql DIR <statements\n");
        return 2;
    }
    buffer_init(&input, INPUT_BYTES_MAX);
    read_input(&input);
    store_options_default(&o);
    o.data_dir = argv[1];
    if (store_open(&o, &store, &e) < 0)
        fail(argv[1], e.text);
    for (struct slice rest = buffer_slice(&input); rest.size;) {
        ptrdiff_t end = slice_find(rest, SLICE(";\n"));
        struct slice one = end < 0 ? rest : slice_take(rest, (size_t) end);
        rest = slice_skip(rest, end < 0 ? rest.size : (size_t) end + 2);
        one = slice_trim(one);
        if (one.size)
            run(store, one);
    }
    store_close(store);
    buffer_done(&input);
    return 0;
}
