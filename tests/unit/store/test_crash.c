/*
 * Killed in the middle of commits (SIGKILL), with fsync on: after opening again every acknowledged
 * row is there, and no request is there in part. The program runs itself as the process that is
 * killed.
 */
#include "fixture.h"

#include "base/clock.h"
#include "signal/columns.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 5
#define ROWS 50u

static const char *self;

struct sent {
    uint64_t first;
    int fd;
};

static void on_done(void *ctx, int result) {
    struct sent *s = ctx;

    if (result == 0 && write(s->fd, &s->first, 8) != 8)
        _exit(3);
    free(s);
}

/* Commits for ever; each acknowledged request's first number goes to standard output. */
static int child_main(const char *dir, uint64_t first) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;
    struct store *s;

    o.data_dir = dir;
    o.durable = true;
    if (store_open(&o, &s, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    for (;; first += ROWS) {
        struct store_batch *b;
        struct sent *sent = malloc(sizeof(*sent));
        while (store_batch_acquire(s, 100000, &b) == -EAGAIN)
            sched_yield();
        *sent = (struct sent){first, STDOUT_FILENO};
        for (uint64_t i = 0; i < ROWS; i++) {
            fixture_span(store_batch_block(b, TABLE_SPANS), first + i, clock_now_ns(), "crash",
                         "GET /");
            fixture_log(store_batch_block(b, TABLE_LOGS), first + i, clock_now_ns(), "crash");
        }
        store_batch_commit(b, on_done, sent);
    }
}

/* Runs the child until it acknowledged a random number of requests, kills it; appends what it said.
 */
static void kill_one(const char *dir, uint64_t first, unsigned until, uint64_t *acknowledged,
                     size_t *n, size_t max) {
    int out[2];
    char number[32];
    unsigned heard = 0;

    assert_int_equal(pipe(out), 0);
    snprintf(number, sizeof(number), "%llu", (unsigned long long) first);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl(self, self, dir, number, (char *) NULL);
        _exit(127);
    }
    close(out[1]);
    for (uint64_t id; read(out[0], &id, 8) == 8;) {
        if (*n < max)
            acknowledged[(*n)++] = id;
        if (++heard == until)
            kill(pid, SIGKILL); /* what is still in the pipe was acknowledged too */
    }
    close(out[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(heard >= until);
}

static void test_acknowledged_rows_survive(void **state) {
    static uint64_t acknowledged[1 << 18];
    struct store_options o = fixture_options();
    size_t n = 0;
    unsigned seed = (unsigned) clock_now_ns();

    for (unsigned i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245 + 12345;
        kill_one(fixture_dir(), (uint64_t) (i + 1) * 1000000000, 1 + (seed >> 16) % 300,
                 acknowledged, &n, sizeof(acknowledged) / 8);
    }
    struct store *s = fixture_open(&o);
    assert_true(fixture_number(s, "SELECT count() FROM spans") >= n * ROWS);
    assert_int_equal(fixture_number(s, "SELECT count() - uniqExact(span_id) FROM spans"), 0);
    for (size_t i = 0; i < n; i += 1 + n / 200) { /* a sample one by one, all by the sum below */
        char sql[200];
        snprintf(sql, sizeof(sql),
                 "SELECT (SELECT count() FROM spans WHERE duration_ns >= %llu AND duration_ns < "
                 "%llu) + "
                 "(SELECT count() FROM logs WHERE seq >= %llu AND seq < %llu)",
                 (unsigned long long) acknowledged[i] + 1000,
                 (unsigned long long) acknowledged[i] + 1000 + ROWS,
                 (unsigned long long) acknowledged[i], (unsigned long long) acknowledged[i] + ROWS);
        assert_int_equal(fixture_number(s, sql), 2 * ROWS);
    }
    /* Whole requests only: groups of ROWS. */
    assert_int_equal(
            fixture_number(s, "SELECT count() FROM (SELECT intDiv(duration_ns - 1000, 50) AS g, "
                              "count() AS c FROM spans GROUP BY g HAVING c != 50)"),
            0);
    print_message("%d kills, %zu requests of %u spans and lines acknowledged, all there\n", ROUNDS,
                  n, ROWS);
    store_close(s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_acknowledged_rows_survive)};

    self = argv[0];
    if (argc == 3)
        return child_main(argv[1], strtoull(argv[2], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
