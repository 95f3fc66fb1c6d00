/* See fixture.h. */
#include "fixture.h"

#include "base/clock.h"
#include "signal/columns.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S_MAX 90

static char dir[256];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static void remove_dir(void) {
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_dir(void) {
    if (!*dir) {
        const char *base = getenv("TMPDIR");
        snprintf(dir, sizeof(dir), "%s/varan-store-XXXXXX", base ? base : "/tmp");
        assert_non_null(mkdtemp(dir));
        atexit(remove_dir);
    }
    return dir;
}

bool fixture_over_http(void) {
    return getenv("VARAN_TEST_CHHTTP") != NULL;
}

/* The engine behind HTTP: started once, ends with this process (its standard input closes). */
static const char *http_url(void) {
    static char url[64], data[300];
    int in[2], out[2], port = 0;

    if (*url)
        return url;
    snprintf(data, sizeof(data), "%s/clickhouse", fixture_dir());
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl(getenv("VARAN_TEST_CHHTTP"), "chhttp", data, "tester", "p@ss:word", (char *) NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    if (!f || fscanf(f, "port %d", &port) != 1)
        fail_msg("chhttp did not start");
    fclose(f);
    snprintf(url, sizeof(url), "http://tester:p%%40ss%%3Aword@127.0.0.1:%d", port);
    return url;
}

struct store_options fixture_options(void) {
    struct store_options o;
    const char *lib = getenv("VARAN_TEST_ENGINE_LIB");

    store_options_default(&o);
    o.data_dir = fixture_dir();
    o.engine_lib = lib && access(lib, R_OK) == 0 ? lib : NULL;
    o.durable = false;
    o.free_bytes_min = 1;
    if (fixture_over_http())
        o.clickhouse_url = http_url();
    return o;
}

struct store *fixture_open(const struct store_options *o) {
    struct error e = ERROR_NONE;
    struct store *s = NULL;

    if (store_open(o, &s, &e) < 0)
        fail_msg("store_open: %s", e.text);
    return s;
}

static void put_zeros(struct native_block *b, const struct native_column_def *defs, unsigned c) {
    static const uint8_t zeros[16];

    switch (defs[c].type) {
    case NATIVE_FIXED8:
    case NATIVE_FIXED16: assert_int_equal(native_put_fixed(b, c, zeros), 0); break;
    case NATIVE_STRING:
    case NATIVE_LC_STRING: assert_int_equal(native_put_string(b, c, SLICE_EMPTY), 0); break;
    case NATIVE_MAP_LC_STRING:
    case NATIVE_ARRAY_U8:
    case NATIVE_ARRAY_LC_STRING:
    case NATIVE_MAP_I16_U64: assert_int_equal(native_close(b, c), 0); break;
    case NATIVE_F64: assert_int_equal(native_put_f64(b, c, 0), 0); break;
    default: assert_int_equal(native_put_u64(b, c, 0), 0);
    }
}

void fixture_span(struct native_block *b, uint64_t n, int64_t ts_ns, const char *service,
                  const char *name) {
    uint8_t id[16] = {0xaa};

    memcpy(id + 8, &n, 8);
    for (unsigned c = 0; c < SPANS_COLUMNS; c++) {
        switch (c) {
        case SPANS_TS: native_put_u64(b, c, (uint64_t) ts_ns); break;
        case SPANS_DURATION_NS: native_put_u64(b, c, 1000 + n); break;
        case SPANS_TRACE_ID: native_put_fixed(b, c, id); break;
        case SPANS_SPAN_ID: native_put_fixed(b, c, id + 8); break;
        case SPANS_SERVICE: native_put_string(b, c, slice_from(service)); break;
        case SPANS_NAME: native_put_string(b, c, slice_from(name)); break;
        case SPANS_ATTRIBUTES:
            native_map_entry(b, c, SLICE("http.route"), slice_from(name));
            native_map_entry(b, c, SLICE("größe"), SLICE("\\ tab\t 'quote' \xe2\x82\xac"));
            native_close(b, c);
            break;
        case SPANS_ATTRIBUTE_TYPES:
            native_array_item(b, c, 1);
            native_array_item(b, c, 1);
            native_close(b, c);
            break;
        default: put_zeros(b, spans_columns, c);
        }
    }
    native_block_end_row(b);
}

void fixture_log(struct native_block *b, uint64_t n, int64_t ts_ns, const char *body) {
    for (unsigned c = 0; c < LOGS_COLUMNS; c++) {
        switch (c) {
        case LOGS_TS:
        case LOGS_OBSERVED_TS: native_put_u64(b, c, (uint64_t) ts_ns); break;
        case LOGS_SEQ: native_put_u64(b, c, n); break;
        case LOGS_SERVICE: native_put_string(b, c, SLICE("shop")); break;
        case LOGS_BODY: native_put_string(b, c, slice_from(body)); break;
        default: put_zeros(b, logs_columns, c);
        }
    }
    native_block_end_row(b);
}

struct fixture_wait {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool done;
    int result;
};

struct fixture_wait *fixture_wait_new(void) {
    struct fixture_wait *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->came, NULL);
    return w;
}

void fixture_done(void *ctx, int result) {
    struct fixture_wait *w = ctx;

    pthread_mutex_lock(&w->lock);
    w->done = true;
    w->result = result;
    pthread_cond_signal(&w->came);
    pthread_mutex_unlock(&w->lock);
}

int fixture_wait(struct fixture_wait *w) {
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S_MAX;
    pthread_mutex_lock(&w->lock);
    while (!w->done)
        if (pthread_cond_timedwait(&w->came, &w->lock, &until) != 0)
            fail_msg("no answer from the writer within %d s", WAIT_S_MAX);
    int r = w->result;
    pthread_mutex_unlock(&w->lock);
    free(w);
    return r;
}

const char *fixture_text(struct store *s, const char *sql) {
    static char text[65536];
    const struct store_limits limits = {.timeout_ns = WAIT_S_MAX * NS_PER_S};
    struct error e = ERROR_NONE;
    struct buffer answer;

    buffer_init(&answer, sizeof(text) - 1);
    if (store_query(s, sql, NULL, 0, "TSVRaw", &limits, &answer, &e) < 0)
        fail_msg("%s: %s", sql, e.text);
    if (answer.size)
        memcpy(text, answer.data, answer.size);
    text[answer.size] = 0;
    buffer_done(&answer);
    return text;
}

uint64_t fixture_number(struct store *s, const char *sql) {
    uint64_t n = 0;

    assert_int_equal(slice_to_u64(slice_trim(slice_from(fixture_text(s, sql))), &n), 0);
    return n;
}
