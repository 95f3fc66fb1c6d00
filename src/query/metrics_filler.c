/*
 * Filling the cache behind a query: of a long range that is asked in steps a query needs only the
 * windows, the cache all samples. Reading those takes several times as long, so a thread of its own
 * does it, one selection after another. The jobs are the thread's; queries only add some.
 */
#include "query/metrics_private.h"

#include <errno.h>

#define JOBS_MAX 256u              /* a large selection comes in parts */
#define JOB_NS_MAX (60 * NS_PER_S) /* of one */

struct job {
    struct finding missing;
    struct samples_range range;
    struct job *next;
};

struct filler {
    struct metrics *metrics;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, **last;
    size_t n;
    bool stops;
    atomic_bool cancel;
    pthread_t thread;
};

static void job_free(struct job *j) {
    finding_done(&j->missing);
    free(j);
}

static void work(struct filler *f, struct job *j) {
    struct error e = ERROR_NONE; /* nobody hears of it: the next one who asks tries again */
    struct metrics_turn t = {f->metrics, clock_monotonic_ns() + JOB_NS_MAX, &f->cancel, &e};
    struct metrics_source stats = {.metrics = f->metrics};
    struct arena none;

    arena_init(&none, 0); /* parts have arenas of their own */
    metrics_fill_cache(&t, &j->missing, &j->range, clock_now_ns() / NS_PER_MS, &none, NULL, &stats);
    arena_done(&none);
}

static void *filler_main(void *arg) {
    struct filler *f = arg;

    pthread_mutex_lock(&f->lock);
    while (!f->stops) {
        struct job *j = f->first;
        if (!j) {
            pthread_cond_wait(&f->wake, &f->lock);
            continue;
        }
        pthread_mutex_unlock(&f->lock);
        work(f, j);
        pthread_mutex_lock(&f->lock);
        /* Only now, so that nobody adds what is just being done. */
        f->first = j->next;
        if (!f->first)
            f->last = &f->first;
        f->n--;
        job_free(j);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

void metrics_filler_start(struct metrics *m) {
    struct filler *f = memory_alloc(sizeof(*f));

    if (!f)
        return; /* queries fill the cache themselves then */
    *f = (struct filler){.metrics = m};
    f->last = &f->first;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    if (pthread_create(&f->thread, NULL, filler_main, f)) {
        free(f);
        return;
    }
    m->filler = f;
}

void metrics_filler_stop(struct metrics *m) {
    struct filler *f = m->filler;

    if (!f)
        return;
    atomic_store(&f->cancel, true);
    pthread_mutex_lock(&f->lock);
    f->stops = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    for (struct job *j = f->first, *next; j; j = next) {
        next = j->next;
        job_free(j);
    }
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f);
    m->filler = NULL;
}

static bool is_same(const struct finding *a, const struct finding *b) {
    return a->series.n == b->series.n && a->series.items[0].id == b->series.items[0].id &&
           a->series.items[a->series.n - 1].id == b->series.items[b->series.n - 1].id;
}

/* Takes the job, when it is not there yet. */
static bool add(struct filler *f, struct job *j) {
    bool known = false, room;

    pthread_mutex_lock(&f->lock);
    for (struct job *x = f->first; x && !known; x = x->next)
        known = is_same(&x->missing, &j->missing);
    room = !known && f->n < JOBS_MAX;
    if (room) {
        *f->last = j;
        f->last = &j->next;
        f->n++;
        pthread_cond_signal(&f->wake);
    }
    pthread_mutex_unlock(&f->lock);
    if (!room)
        job_free(j);
    return known || room;
}

bool metrics_filler_add(struct metrics *m, const struct finding *missing,
                        const struct samples_range *range) {
    struct job *j = m->filler ? memory_alloc(sizeof(*j)) : NULL;

    if (!j)
        return false;
    *j = (struct job){.range = *range};
    j->missing.n_slots = missing->n_slots;
    j->missing.n_all = missing->n_all;
    j->missing.dense = missing->dense;
    for (size_t i = 0; i < missing->series.n; i++) {
        struct found one = {.id = missing->series.items[i].id};
        if (vector_push(&j->missing.series, one, UINT32_MAX) < 0) {
            job_free(j);
            return false;
        }
    }
    return add(m->filler, j);
}
