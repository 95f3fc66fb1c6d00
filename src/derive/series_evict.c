/* Forgetting series that nobody writes, other ids, and counting: see series.h. */
#include "base/clock.h"
#include "derive/series_private.h"

void series_labels_return(struct series_index *x, uint32_t *pairs, size_t n) {
    memcpy(pairs, &x->free_labels[n], sizeof(void *));
    x->free_labels[n] = pairs;
}

void series_count_hour(struct series_index *x, uint64_t *counter, uint64_t n) {
    uint64_t hour = (uint64_t) (clock_now_ns() / NS_PER_S / 3600);

    if (x->hour != hour) {
        x->added_before = x->hour + 1 == hour ? x->added_now : 0;
        x->gone_before = x->hour + 1 == hour ? x->gone_now : 0;
        x->added_now = x->gone_now = 0;
        x->hour = hour;
    }
    *counter += n;
}

void series_forget(struct series_index *x, uint32_t at) {
    struct series *s = series_at(x, at);

    slots_remove(&x->by_labels, s->hash[0], at);
    slots_remove(&x->by_id, id_hash(s->id), at);
    series_labels_return(x, s->pairs, s->n);
    s->id = 0;
    s->pairs = NULL;
    s->n = 0;
    atomic_store(&s->written_s, 0);
    x->n_series--;
}

/* ---- Evicting ---- */

size_t series_evict_locked(struct series_index *x, uint32_t now_s, uint32_t idle_s) {
    VECTOR(uint32_t) gone = {0};

    for (uint32_t at = 0; at < x->high; at++) {
        struct series *s = series_at(x, at);
        uint32_t written = atomic_load(&s->written_s), last = atomic_load(&s->last_s);
        if (!s->id || written <= 1 || (int32_t) (now_s - written) < (int32_t) idle_s)
            continue;
        if (vector_push(&gone, at, UINT32_MAX) < 0)
            break;
        series_forget(x, at);
        if (x->gap_s != UINT32_MAX && last >= x->gap_s)
            x->gap_s = last + 1;
    }
    if (gone.n)
        vector_each(&x->names, n) {
            size_t kept = 0;
            for (size_t i = 0; i < n->pairs.n; i++) {
                pair_sweep(x, n->pairs.items[i]);
                if (x->pairs[n->pairs.items[i]].n)
                    n->pairs.items[kept++] = n->pairs.items[i];
                else
                    pair_drop(x, n->pairs.items[i]);
            }
            n->pairs.n = kept;
        }
    vector_each(&gone, at) {
        vector_push(&x->free_series, *at, UINT32_MAX);
    }
    size_t others = 0;
    for (size_t i = 0; i < x->others.n; i++)
        if (series_at(x, x->others.items[i].at)->id)
            x->others.items[others++] = x->others.items[i];
    x->others.n = others;
    size_t n = gone.n;
    vector_done(&gone);
    x->evicted += n;
    series_count_hour(x, &x->gone_now, n);
    return n;
}

size_t series_evict(struct series_index *x, uint32_t now_s, uint32_t idle_s) {
    pthread_rwlock_wrlock(&x->lock);
    size_t n = series_evict_locked(x, now_s, idle_s);
    pthread_rwlock_unlock(&x->lock);
    return n;
}

size_t series_other_ids(struct series_index *x, uint64_t id, uint64_t *ret, size_t max) {
    size_t n = 0;

    pthread_rwlock_rdlock(&x->lock);
    vector_each(&x->others, o) {
        if (series_at(x, o->at)->id != id)
            continue;
        if (n < max)
            ret[n] = o->id;
        n++;
    }
    pthread_rwlock_unlock(&x->lock);
    return n;
}

bool series_has_other_ids(struct series_index *x) {
    pthread_rwlock_rdlock(&x->lock);
    bool has = x->others.n > 0;
    pthread_rwlock_unlock(&x->lock);
    return has;
}

void series_read_stats(struct series_index *x, struct series_stats *ret) {
    pthread_rwlock_wrlock(&x->lock);
    series_count_hour(x, &x->added_now, 0);
    *ret = (struct series_stats){
            .series = x->n_series,
            .series_max = x->series_max,
            .pairs = x->pairs_present,
            .names = x->names.n,
            .bytes = x->bytes + x->labels_arena.used +
                     (x->by_labels.n + x->by_id.n + x->pair_slots.n) * sizeof(uint64_t),
            .added = x->added,
            .evicted = x->evicted,
            .refused = atomic_load(&x->refused),
            .added_1h = x->added_now > x->added_before ? x->added_now : x->added_before,
            .gone_1h = x->gone_now > x->gone_before ? x->gone_now : x->gone_before};
    pthread_rwlock_unlock(&x->lock);
}
