/* Which samples are wanted, and their order. Arrays are the caller's. */
#include "query/metrics_private.h"

#include <errno.h>

#define RUNS_MAX 4096u

/* ---- Windows ---- */

bool samples_have_gaps(const struct samples_range *r) {
    return r->window_ms && r->step_ms >= 2 * r->window_ms && r->to_ms - r->from_ms > r->step_ms;
}

bool samples_are_wanted(const struct samples_range *r, bool gaps, int64_t time) {
    return time >= r->from_ms && time <= r->to_ms &&
           (!gaps || (time - r->origin_ms) % r->step_ms < r->window_ms);
}

/* The first of ascending times [at, n) that is not before `time`; near `at`, mostly. */
static size_t first_from(const int64_t *times, size_t at, size_t n, int64_t time) {
    size_t step = 1, low = at, high;

    while (low + step < n && times[low + step] < time) {
        low += step;
        step *= 2;
    }
    high = low + step < n ? low + step : n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (times[mid] < time)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t samples_take_wanted(const struct samples_range *r, const int64_t *times,
                           const double *values, size_t n, struct floats *to) {
    bool gaps = samples_have_gaps(r);
    size_t i = first_from(times, 0, n, r->from_ms), wanted = 0;

    while (n > i && times[n - 1] > r->to_ms)
        n--;
    while (i < n) {
        size_t end = n;
        if (gaps) {
            int64_t window = times[i] - (times[i] - r->origin_ms) % r->step_ms;
            if (times[i] - window >= r->window_ms) {
                i = first_from(times, i, n, window + r->step_ms);
                continue;
            }
            end = first_from(times, i, n, window + r->window_ms);
        }
        if (to) {
            memcpy(to->times + to->n, times + i, (end - i) * sizeof(*times));
            memcpy(to->values + to->n, values + i, (end - i) * sizeof(*values));
            to->n += end - i;
        }
        wanted += end - i;
        i = end;
    }
    return wanted;
}

/* ---- Order ---- */

struct pair {
    int64_t time;
    double value;
};

/* Merges ascending runs pairwise until one is left. */
static void merge_runs(struct pair *a, struct pair *b, size_t n) {
    for (;;) {
        size_t out = 0, runs = 0;
        for (size_t i = 0; i < n;) {
            size_t mid = i + 1, end;
            while (mid < n && a[mid].time >= a[mid - 1].time)
                mid++;
            end = mid < n ? mid + 1 : n;
            while (end < n && a[end].time >= a[end - 1].time)
                end++;
            for (size_t x = i, y = mid; x < mid || y < end;)
                b[out++] = y >= end || (x < mid && a[x].time <= a[y].time) ? a[x++] : a[y++];
            i = end;
            runs++;
        }
        memcpy(a, b, n * sizeof(*a));
        if (runs <= 1)
            return;
    }
}

/* Of runs that lie among each other. */
static int merge_all(struct floats *s) {
    struct pair *a = memory_alloc(2 * s->n * sizeof(*a));
    size_t n = 0;

    if (!a)
        return -ENOMEM;
    for (size_t i = 0; i < s->n; i++)
        a[i] = (struct pair){s->times[i], s->values[i]};
    merge_runs(a, a + s->n, s->n);
    for (size_t i = 0; i < s->n; i++) {
        if (n && s->times[n - 1] == a[i].time) {
            s->twice |= memcmp(&s->values[n - 1], &a[i].value, sizeof(double)) != 0;
            continue;
        }
        s->times[n] = a[i].time;
        s->values[n++] = a[i].value;
    }
    s->n = n;
    s->unsorted = false;
    free(a);
    return 0;
}

struct run {
    size_t from, to;
    int64_t first;
};

static int order_runs(const void *a, const void *b) {
    const struct run *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* Strictly ascending runs, by their first time. 0: more than RUNS_MAX, or they lie among each
 * other. */
static size_t find_runs(const struct floats *s, struct run *runs) {
    size_t n = 0;

    for (size_t from = 0, to; from < s->n; from = to) {
        for (to = from + 1; to < s->n && s->times[to] > s->times[to - 1];)
            to++;
        if (n == RUNS_MAX)
            return 0;
        runs[n++] = (struct run){from, to, s->times[from]};
    }
    qsort(runs, n, sizeof(*runs), order_runs);
    for (size_t i = 1; i < n; i++)
        if (s->times[runs[i - 1].to - 1] >= runs[i].first)
            return 0;
    return n;
}

/* Days come in any order, each of them in one run: they are moved as they are. */
int floats_put_in_order(struct floats *s) {
    struct run *runs = memory_alloc(RUNS_MAX * sizeof(*runs));
    uint64_t *a = memory_alloc((s->n + 1) * sizeof(*a));
    size_t n = runs && a ? find_runs(s, runs) : 0;
    int r = runs && a ? 0 : -ENOMEM;

    for (unsigned part = 0; part < 2 && n; part++) {
        void *items = part ? (void *) s->values : (void *) s->times;
        size_t to = 0;
        for (size_t i = 0; i < n; to += runs[i].to - runs[i].from, i++)
            memcpy(a + to, (uint64_t *) items + runs[i].from, (runs[i].to - runs[i].from) * 8);
        memcpy(items, a, to * 8);
    }
    free(runs);
    free(a);
    if (n)
        s->unsorted = false;
    return r < 0 || n ? r : merge_all(s);
}
