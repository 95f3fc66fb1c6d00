/*
 * Load for the OTLP/HTTP receiver: sends realistic requests over several connections, each with new
 * ids and times, as fast as they are acknowledged, and prints what was acknowledged as one line of
 * JSON.
 *
 *     otlp_load HOST:PORT traces|logs ROWS_PER_REQUEST CONNECTIONS SECONDS [ROWS_MAX]
 *
 * One thread per connection; each owns its requests.
 */
#include "load_http.h"
#include "realistic.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <unistd.h>

#define BODIES 4
#define LATENCIES_MAX 100000u

static struct {
    char host[128], port[16];
    bool logs;
    size_t rows, rows_max;
    int64_t seconds_ns;
} options;

/* All connections begin together, once every request is built. */
static pthread_barrier_t built;
static _Atomic int64_t begin_ns;

static _Atomic uint64_t rows_acknowledged, bytes_sent, refused, failed;
static pthread_mutex_t latencies_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t latencies[LATENCIES_MAX];
static size_t n_latencies;

struct body {
    struct buffer bytes;
    struct realistic_places places;
    size_t rows;
    int64_t built_ns;
    uint64_t mask;
};

static void build(struct body *b, unsigned seed) {
    buffer_init(&b->bytes, 1u << 30);
    b->rows = options.rows;
    if (options.logs)
        realistic_logs(&b->bytes, seed, options.rows);
    else
        realistic_traces(&b->bytes, seed, options.rows, &b->rows);
    b->built_ns = clock_now_ns();
    if (b->bytes.failed || realistic_find(buffer_slice(&b->bytes), options.logs, &b->places) < 0)
        abort();
}

static int send_one(int fd, struct body *b) {
    char head[256];
    uint64_t mask;
    int64_t now = clock_now_ns();

    if (getrandom(&mask, sizeof(mask), 0) != sizeof(mask))
        return -EIO;
    realistic_renew(b->bytes.data, &b->places, mask, now - b->built_ns);
    b->built_ns = now;
    int n = snprintf(head, sizeof(head),
                     "POST /v1/%s HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Type: application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                     options.logs ? "logs" : "traces", b->bytes.size);
    int r = load_send(fd, head, (size_t) n);
    return r < 0 ? r : load_send(fd, b->bytes.data, b->bytes.size);
}

static void *connection(void *arg) {
    unsigned seed = (unsigned) (uintptr_t) arg;
    struct body bodies[BODIES] = {0};
    int fd = load_connect(options.host, options.port);

    for (unsigned i = 0; i < BODIES; i++)
        build(&bodies[i], seed * 100 + i);
    pthread_barrier_wait(&built);
    if (seed == 1)
        atomic_store(&begin_ns, clock_monotonic_ns());
    pthread_barrier_wait(&built);
    int64_t end_ns = atomic_load(&begin_ns) + options.seconds_ns;
    for (size_t i = 0; fd >= 0 && clock_monotonic_ns() < end_ns; i++) {
        struct body *b = &bodies[i % BODIES];
        int64_t begin = clock_monotonic_ns();
        if (options.rows_max && atomic_load(&rows_acknowledged) >= options.rows_max)
            break;
        int status = send_one(fd, b) < 0 ? -EIO : load_read_answer(fd);
        if (status == 200) {
            atomic_fetch_add(&rows_acknowledged, b->rows);
            atomic_fetch_add(&bytes_sent, b->bytes.size);
            pthread_mutex_lock(&latencies_lock);
            if (n_latencies < LATENCIES_MAX)
                latencies[n_latencies++] = clock_monotonic_ns() - begin;
            pthread_mutex_unlock(&latencies_lock);
        } else if (status == 429 || status == 503) {
            atomic_fetch_add(&refused, 1);
            usleep(50000);
        } else {
            atomic_fetch_add(&failed, 1);
            break;
        }
    }
    if (fd >= 0)
        close(fd);
    else
        atomic_fetch_add(&failed, 1);
    for (unsigned i = 0; i < BODIES; i++) {
        buffer_done(&bodies[i].bytes);
        realistic_places_done(&bodies[i].places);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[64];

    if (argc < 6 || !load_split_address(argv[1], options.host, sizeof(options.host), options.port,
                                        sizeof(options.port))) {
        fprintf(stderr,
                "usage: otlp_load HOST:PORT traces|logs ROWS CONNECTIONS SECONDS [ROWS_MAX]\n");
        return 2;
    }
    options.logs = strcmp(argv[2], "logs") == 0;
    options.rows = strtoul(argv[3], NULL, 10);
    unsigned long n = strtoul(argv[4], NULL, 10);
    if (n > 64)
        n = 64;
    options.rows_max = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
    options.seconds_ns = (int64_t) (strtod(argv[5], NULL) * 1e9);
    if (n == 0 || pthread_barrier_init(&built, NULL, (unsigned) n) != 0)
        return 2;
    for (unsigned long i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, connection, (void *) (uintptr_t) (i + 1)) != 0)
            return 1;
    for (unsigned long i = 0; i < n; i++)
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
