/*
 * Load for receivers of Prometheus' remote write 1.0: sends the series of a file, a step of time
 * after another, over several connections, as fast as they are acknowledged, and prints what was
 * acknowledged as one line of JSON.
 *
 *     remote_write_load HOST:PORT PATH FILE COPIES ROWS CONNECTIONS START_MS STEP_MS STEPS SECONDS
 * [BATCH]
 *
 * A line of FILE is a series, its parts separated by tabs: kind, first value, change per second,
 * then names and values of labels in order. The value `@` becomes the number of the copy, so that
 * COPIES hosts send the same metrics. Kinds: `k` never changes, `c` counts whole things, `f` counts
 * parts (seconds of CPU, in hundredths), `g` is a level of whole things, `h` any level.
 *
 * A request holds one sample of each of ROWS series, as Prometheus sends them, or BATCH of each,
 * for histories that only have to be there. A series belongs to one connection, so that its samples
 * arrive in order; no connection runs far ahead of the others, for Prometheus refuses what is much
 * older than its newest sample. One thread per connection; each owns its requests, which are built
 * once: a step only writes values and times into them.
 */
#include "load_http.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64u
#define LABELS_MAX 32u
#define LATENCIES_MAX 100000u
#define AHEAD_MAX 20u /* steps */
#define RETRY_US 20000u

struct line {
    char kind;
    double value, change;
    unsigned n_labels;
    struct slice labels[2 * LABELS_MAX];
};

/* One series within a request. */
struct place {
    size_t at; /* of the eight bytes of the first value; those of its time follow */
    char kind;
    double value, change;
    int64_t offset_ms; /* hosts are not scraped at the same moment */
};

struct request {
    struct buffer bytes;
    struct place *places;
    size_t n;
};

static struct {
    char host[128], port[16];
    const char *path;
    struct line *lines;
    size_t n_lines, copies, rows, connections, steps, batch;
    int64_t start_ms, step_ms, seconds_ns;
} options;

static pthread_barrier_t built;
static _Atomic int64_t begin_ns;
static _Atomic uint64_t rows_acknowledged, bytes_sent, refused, failed;
static _Atomic size_t steps_done[CONNECTIONS_MAX];
static pthread_mutex_t latencies_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t latencies[LATENCIES_MAX];
static size_t n_latencies;

static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static double next_unit(uint64_t *state) {
    return (double) (next_random(state) >> 11) * 0x1p-53;
}

static size_t put_varint(char *to, uint64_t v) {
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        to[n++] = (char) (v | 0x80);
    to[n++] = (char) v;
    return n;
}

static void add_varint(struct buffer *b, uint64_t v) {
    char text[10];
    buffer_append(b, text, put_varint(text, v));
}

static void add_field(struct buffer *b, unsigned number, struct slice body) {
    add_varint(b, number << 3 | 2);
    add_varint(b, body.size);
    buffer_append(b, body.data, body.size);
}

/* The widths of times do not change within a run: 42 bits until the year 2109. */
#define TIME_BYTES 6u
#define SAMPLE_BYTES (9u + 1 + TIME_BYTES)
#define SAMPLE_HEAD_BYTES 2u

static void add_series(struct request *r, const struct line *line, size_t copy) {
    struct buffer series, label;
    char host[32];

    buffer_init(&series, 1u << 20);
    buffer_init(&label, 1u << 20);
    snprintf(host, sizeof(host), "host-%06zu:9100", copy);
    for (unsigned i = 0; i < line->n_labels; i++) {
        struct slice value = line->labels[2 * i + 1];
        if (value.size == 1 && value.data[0] == '@')
            value = slice_from(host);
        label.size = 0;
        add_field(&label, 1, line->labels[2 * i]);
        add_field(&label, 2, value);
        add_field(&series, 1, buffer_slice(&label));
    }
    add_varint(&r->bytes, 1 << 3 | 2);
    add_varint(&r->bytes, series.size + options.batch * (SAMPLE_HEAD_BYTES + SAMPLE_BYTES));
    buffer_append(&r->bytes, series.data, series.size);
    r->places[r->n++] = (struct place){
            .at = r->bytes.size + SAMPLE_HEAD_BYTES + 1,
            .kind = line->kind,
            .value = line->value,
            .change = line->change,
            .offset_ms = (int64_t) (copy * 7919 % (uint64_t) options.step_ms),
    };
    for (size_t i = 0; i < options.batch; i++) {
        add_varint(&r->bytes, 2 << 3 | 2);
        add_varint(&r->bytes, SAMPLE_BYTES);
        add_varint(&r->bytes, 1 << 3 | 1);
        buffer_append(&r->bytes, "\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0", 9 + TIME_BYTES);
    }
    buffer_done(&series);
    buffer_done(&label);
}

static double advance(struct place *p, double seconds, uint64_t *random) {
    double moved = p->change * seconds * 2 * next_unit(random);

    switch (p->kind) {
    case 'c': p->value += floor(moved + next_unit(random)); break;
    case 'f': p->value = round((p->value + moved) * 100) / 100; break;
    case 'g':
        /* Half of the time a level of whole things stays where it is. */
        if (next_random(random) & 1)
            p->value = fmax(0, p->value + round(moved - p->change * seconds));
        break;
    case 'h': p->value += moved - p->change * seconds; break;
    default: break;
    }
    return p->value;
}

static void write_sample(struct request *r, struct place *p, size_t step, size_t nth,
                         uint64_t *random) {
    uint8_t *at = r->bytes.data + p->at + nth * (SAMPLE_HEAD_BYTES + SAMPLE_BYTES);
    double value = step ? advance(p, (double) options.step_ms / 1e3, random) : p->value;
    int64_t ms = options.start_ms + (int64_t) step * options.step_ms + p->offset_ms;
    char time[10];

    if (put_varint(time, (uint64_t) ms) != TIME_BYTES)
        abort();
    memcpy(at, &value, sizeof(value));
    memcpy(at + 9, time, TIME_BYTES);
}

/* Steps [step, step + batch). */
static void write_steps(struct request *r, size_t step, uint64_t *random) {
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < options.batch; k++)
            write_sample(r, &r->places[i], step + k, k, random);
}

/* Sends until it is taken; false when it never will be. */
static bool send_request(int fd, const struct request *r, char *packed, size_t room) {
    char head[512];
    size_t size = room;

    if (snappy_compress((const char *) r->bytes.data, r->bytes.size, packed, &size) != SNAPPY_OK)
        return false;
    int n = snprintf(head, sizeof(head),
                     "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Encoding: snappy\r\n"
                     "Content-Type: application/x-protobuf\r\n"
                     "X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: %zu\r\n\r\n",
                     options.path, options.host, options.port, size);
    for (;;) {
        int64_t begin = clock_monotonic_ns();
        int r1 = load_send(fd, head, (size_t) n);
        int status = r1 < 0 || load_send(fd, packed, size) < 0 ? -EIO : load_read_answer(fd);
        if (status == 200 || status == 204) {
            atomic_fetch_add(&rows_acknowledged, r->n * options.batch);
            atomic_fetch_add(&bytes_sent, size);
            pthread_mutex_lock(&latencies_lock);
            if (n_latencies < LATENCIES_MAX)
                latencies[n_latencies++] = clock_monotonic_ns() - begin;
            pthread_mutex_unlock(&latencies_lock);
            return true;
        }
        if (status != 429 && status != 503) {
            fprintf(stderr, "refused with status %d\n", status);
            return false;
        }
        atomic_fetch_add(&refused, 1);
        usleep(RETRY_US);
    }
}

static size_t slowest(void) {
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < options.connections; i++) {
        size_t done = atomic_load(&steps_done[i]);
        if (done < least)
            least = done;
    }
    return least;
}

/* Requests of every series that belongs to a connection. */
static struct request *build(size_t connection, size_t *ret_n) {
    size_t all = options.n_lines * options.copies, from = all * connection / options.connections;
    size_t to = all * (connection + 1) / options.connections;
    size_t n = (to - from + options.rows - 1) / options.rows;
    struct request *made = calloc(n ? n : 1, sizeof(*made));

    for (size_t i = 0; made && i < n; i++) {
        buffer_init(&made[i].bytes, 1u << 30);
        made[i].places = calloc(options.rows, sizeof(*made[i].places));
        if (!made[i].places)
            abort();
        for (size_t s = from + i * options.rows; s < to && made[i].n < options.rows; s++)
            add_series(&made[i], &options.lines[s % options.n_lines], s / options.n_lines);
        if (made[i].bytes.failed)
            abort();
    }
    *ret_n = made ? n : 0;
    return made;
}

static void run_steps(size_t id, int fd, struct request *requests, size_t n) {
    int64_t end_ns = atomic_load(&begin_ns) + options.seconds_ns;
    uint64_t random = 0x9E3779B97F4A7C15u * (id + 1);
    size_t room = 0;

    for (size_t i = 0; i < n; i++) {
        size_t most = snappy_max_compressed_length(requests[i].bytes.size);
        room = most > room ? most : room;
    }
    char *packed = malloc(room ? room : 1);
    for (size_t step = 0; packed && step < options.steps && clock_monotonic_ns() < end_ns;
         step += options.batch) {
        while (step > slowest() + AHEAD_MAX + options.batch && clock_monotonic_ns() < end_ns)
            usleep(100);
        for (size_t i = 0; i < n; i++) {
            write_steps(&requests[i], step, &random);
            if (!send_request(fd, &requests[i], packed, room)) {
                atomic_fetch_add(&failed, 1);
                free(packed);
                return;
            }
        }
        atomic_store(&steps_done[id], step + options.batch);
    }
    free(packed);
}

static void *connection(void *arg) {
    size_t id = (size_t) (uintptr_t) arg, n;
    struct request *requests = build(id, &n);
    int fd = load_connect(options.host, options.port);

    pthread_barrier_wait(&built);
    if (id == 0)
        atomic_store(&begin_ns, clock_monotonic_ns());
    pthread_barrier_wait(&built);
    if (fd >= 0)
        run_steps(id, fd, requests, n);
    else
        atomic_fetch_add(&failed, 1);
    /* The others need not wait for one that is done. */
    atomic_store(&steps_done[id], SIZE_MAX / 2);
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < n; i++) {
        buffer_done(&requests[i].bytes);
        free(requests[i].places);
    }
    free(requests);
    return NULL;
}

/* The field's number; what follows the field in the text ends it. */
static double number(struct slice field) {
    return strtod((const char *) field.data, NULL);
}

/* The lines point into the file's text, which stays. */
static bool read_series(const char *path) {
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;

    if (!f)
        return false;
    if (getdelim(&text, &room, '\0', f) < 0)
        text = NULL;
    fclose(f);
    struct slice rest = slice_from(text);
    options.lines = calloc(rest.size / 4 + 1, sizeof(*options.lines));
    while (options.lines && rest.size) {
        struct slice line = slice_cut(&rest, '\n');
        struct line *l = &options.lines[options.n_lines];
        if (!line.size)
            continue;
        l->kind = slice_cut(&line, '\t').data[0];
        l->value = number(slice_cut(&line, '\t'));
        l->change = number(slice_cut(&line, '\t'));
        while (line.size && l->n_labels < LABELS_MAX) {
            l->labels[2 * l->n_labels] = slice_cut(&line, '\t');
            l->labels[2 * l->n_labels + 1] = slice_cut(&line, '\t');
            l->n_labels++;
        }
        options.n_lines++;
    }
    return options.n_lines > 0;
}

static bool read_options(int argc, char **argv) {
    if (!load_split_address(argv[1], options.host, sizeof(options.host), options.port,
                            sizeof(options.port)))
        return false;
    options.path = argv[2];
    options.copies = strtoul(argv[4], NULL, 10);
    options.rows = strtoul(argv[5], NULL, 10);
    options.connections = strtoul(argv[6], NULL, 10);
    options.start_ms = strtoll(argv[7], NULL, 10);
    options.step_ms = strtoll(argv[8], NULL, 10);
    options.steps = strtoul(argv[9], NULL, 10);
    options.seconds_ns = (int64_t) (strtod(argv[10], NULL) * 1e9);
    options.batch = argc > 11 ? strtoul(argv[11], NULL, 10) : 1;
    if (options.batch == 0 || (options.steps % options.batch != 0))
        return false; /* a request is built for whole batches */
    return options.copies && options.rows && options.connections && options.step_ms > 0 &&
           options.connections <= CONNECTIONS_MAX && read_series(argv[3]);
}

int main(int argc, char **argv) {
    pthread_t threads[CONNECTIONS_MAX];

    if (argc < 11 || argc > 12 || !read_options(argc, argv)) {
        fprintf(stderr, "usage: remote_write_load HOST:PORT PATH FILE COPIES ROWS CONNECTIONS "
                        "START_MS STEP_MS STEPS SECONDS [BATCH]\n"
                        "STEPS is a multiple of BATCH.\n");
        return 2;
    }
    if (pthread_barrier_init(&built, NULL, (unsigned) options.connections) != 0)
        return 1;
    for (size_t i = 0; i < options.connections; i++)
        if (pthread_create(&threads[i], NULL, connection, (void *) (uintptr_t) i) != 0)
            return 1;
    for (size_t i = 0; i < options.connections; i++)
        pthread_join(threads[i], NULL);
    double seconds = (double) (clock_monotonic_ns() - atomic_load(&begin_ns)) / 1e9;
    qsort(latencies, n_latencies, sizeof(latencies[0]), load_by_value);
    printf("{\"rows\": %lu, \"bytes\": %lu, \"refused\": %lu, \"failed\": %lu, \"seconds\": %.3f, "
           "\"ack_p50_ms\": %.2f, \"ack_p99_ms\": %.2f}\n",
           (unsigned long) rows_acknowledged, (unsigned long) bytes_sent, (unsigned long) refused,
           (unsigned long) failed, seconds,
           n_latencies ? (double) latencies[n_latencies / 2] / 1e6 : 0,
           n_latencies ? (double) latencies[n_latencies * 99 / 100] / 1e6 : 0);
    return failed ? 1 : 0;
}
