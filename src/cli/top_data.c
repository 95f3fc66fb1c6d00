/* What `varan top` has seen: stacks in a profile, and the threads, those that wait too. Intervals
 * are differences between two states of the profile's counts. */
#include "base/clock.h"
#include "cli/profile_process.h"
#include "cli/top.h"

#include <ctype.h>
#include <errno.h>

#define TEXTS_MAX ((size_t) 64 << 20)
#define HOLDS_GIL (UINT64_C(1) << 63) /* in a thread's id in the profile */

int top_data_init(struct top *t) {
    map_init(&t->thread_ids, TOP_THREADS_MAX, (size_t) TOP_THREADS_MAX * 16);
    arena_init(&t->texts, TEXTS_MAX);
    int r = profile_init(&t->profile);
    t->profile.period_ns = NS_PER_S / (int64_t) t->settings->rate;
    return r;
}

void top_data_done(struct top *t) {
    profile_done(&t->profile);
    vector_done(&t->counted);
    vector_done(&t->counted_last);
    vector_done(&t->threads);
    map_done(&t->thread_ids);
    arena_done(&t->texts);
}

static struct top_thread *thread_of(struct top *t, pid_t pid, const struct cpython_thread *of) {
    uint64_t key[2] = {(uint64_t) pid, of->thread_id};
    struct map_entry *e = map_get(&t->thread_ids, slice_new(key, sizeof(key)));

    if (e)
        return &t->threads.items[e->number];
    struct top_thread row = {
            .pid = pid,
            .native_id = of->native_id,
            .thread_id = of->thread_id,
            .name = (const char *) arena_dup(&t->texts, slice_from(thread_title(pid, of))).data};
    if (!row.name || vector_push(&t->threads, row, TOP_THREADS_MAX) < 0)
        return NULL;
    e = map_put(&t->thread_ids, slice_new(key, sizeof(key)), NULL);
    if (!e) {
        t->threads.n--;
        return NULL;
    }
    e->number = t->threads.n - 1;
    return &t->threads.items[t->threads.n - 1];
}

static bool is_active(const struct cpython_thread *t) {
    return t->holds_gil || t->state != CPYTHON_SLEEPING;
}

void top_count(void *ctx, pid_t pid, const struct cpython_thread *t) {
    struct top *top = ctx;
    struct top_thread *row = thread_of(top, pid, t);
    bool active = is_active(t),
         counts = top->settings->gil ? t->holds_gil : top->settings->idle || active;

    if (row) {
        row->now.walks++;
        row->now.active += active;
        row->all_active += active;
        row->now.gil += t->holds_gil;
        row->now.gil_wait += t->waits_gil;
        row->seen = true;
    }
    if (!counts)
        return;
    struct cpython_thread counted = *t;
    if (t->holds_gil)
        counted.thread_id |= HOLDS_GIL;
    /* what does not fit is counted as dropped */
    if (profile_add_stack(&top->profile, pid, &counted) == 0 && row && t->n_frames && !t->torn) {
        const struct cpython_frame *f = &t->frames[0];
        int64_t id = profile_add_function(&top->profile, f->code->name, f->code->file,
                                          f->code->first_line);
        row->function = id < 0 ? 0 : (uint32_t) id + 1;
    }
}

/* ---- Intervals ---- */

static bool is_young(const struct top *t) {
    return t->walks < t->walks_last / 2;
}

uint64_t top_walks(const struct top *t) {
    return t->walks + (is_young(t) ? t->walks_last : 0);
}

struct top_tally top_tally(const struct top *t, const struct top_thread *thread) {
    struct top_tally sum = thread->now;

    if (is_young(t)) {
        sum.walks += thread->last.walks;
        sum.active += thread->last.active;
        sum.gil += thread->last.gil;
        sum.gil_wait += thread->last.gil_wait;
    }
    return sum;
}

/* ---- Filters ---- */

bool top_matches(const struct top *t, const char *text) {
    size_t n = strlen(t->filter);

    if (!n)
        return true;
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] &&
               tolower((unsigned char) text[i]) == tolower((unsigned char) t->filter[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static bool passes(const struct top *t, const struct profile_thread *thread) {
    return (!t->only_pid || thread->pid == t->only_pid) &&
           (!t->only_id || (thread->thread_id & ~HOLDS_GIL) == t->only_id);
}

int top_weights(const struct top *t, bool all, uint64_t **ret) {
    const struct profile *p = &t->profile;
    uint64_t *weights = calloc(p->counts.n + 1, sizeof(*weights));

    if (!weights)
        return -ENOMEM;
    const uint64_t *before = is_young(t) ? t->counted_last.items : t->counted.items;
    size_t n_before = all ? 0 : is_young(t) ? t->counted_last.n : t->counted.n;
    for (size_t i = 0; i < p->counts.n; i++)
        if (passes(t, &p->threads.items[p->counts.items[i].thread]))
            weights[i] = p->counts.items[i].samples - (i < n_before ? before[i] : 0);
    *ret = weights;
    return 0;
}

/* ---- Rows ---- */

static uint64_t sort_value(const struct top_row *r, enum top_sort sort) {
    return sort == SORT_OWN        ? r->own
           : sort == SORT_TOTAL    ? r->total
           : sort == SORT_OWN_TIME ? r->all_own
           : sort == SORT_GIL      ? r->gil
                                   : r->all_total;
}

static int compare_rows(const void *a, const void *b, void *ctx) {
    const struct top *t = ctx;
    const struct top_row *x = a, *y = b;
    uint64_t vx = sort_value(x, t->sort), vy = sort_value(y, t->sort);

    if (vx != vy)
        return vx < vy ? 1 : -1;
    if (x->all_total != y->all_total)
        return x->all_total < y->all_total ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Adds one count to the functions (or frames) of its stack, each once. */
static void add_count(const struct top *t, size_t number, bool lines, uint64_t all, uint64_t recent,
                      struct top_row *rows, uint32_t *seen) {
    const struct profile *p = &t->profile;
    const struct profile_count *c = &p->counts.items[number];
    bool gil = p->threads.items[c->thread].thread_id & HOLDS_GIL;

    for (uint32_t at = c->node; at; at = p->nodes.items[at].parent) {
        uint32_t frame = p->nodes.items[at].frame;
        uint32_t id = lines ? frame : p->frames.items[frame].function;
        struct top_row *row = &rows[id];
        if (at == c->node) {
            row->own += recent;
            row->all_own += all;
        }
        if (seen[id] == number + 1)
            continue; /* a recursive function counts once per stack */
        seen[id] = (uint32_t) number + 1;
        row->total += recent;
        row->all_total += all;
        row->gil += gil ? recent : 0;
    }
}

static bool row_matches(const struct top *t, bool lines, uint32_t id) {
    const struct profile *p = &t->profile;
    const struct profile_function *f =
            &p->functions.items[lines ? p->frames.items[id].function : id];

    return top_matches(t, f->name) || top_matches(t, f->file);
}

int top_rows(const struct top *t, bool lines, struct top_row **ret, size_t *ret_n) {
    size_t n = lines ? t->profile.frames.n : t->profile.functions.n, kept = 0;
    struct top_row *rows = calloc(n + 1, sizeof(*rows));
    uint32_t *seen = calloc(n + 1, sizeof(*seen));
    uint64_t *all = NULL, *recent = NULL;

    if (!rows || !seen || top_weights(t, true, &all) < 0 || top_weights(t, false, &recent) < 0) {
        free(rows);
        free(seen);
        free(all);
        return -ENOMEM;
    }
    for (size_t i = 0; i < t->profile.counts.n; i++)
        if (all[i])
            add_count(t, i, lines, all[i], recent[i], rows, seen);
    bool over_all = t->sort == SORT_OWN_TIME || t->sort == SORT_TOTAL_TIME;
    for (uint32_t i = 0; i < n; i++) {
        rows[i].id = i;
        if ((over_all ? rows[i].all_total : rows[i].total) && row_matches(t, lines, i))
            rows[kept++] = rows[i];
    }
    qsort_r(rows, kept, sizeof(*rows), compare_rows, (void *) (uintptr_t) t);
    free(seen);
    free(all);
    free(recent);
    *ret = rows;
    *ret_n = kept;
    return 0;
}

/* ---- The next interval ---- */

int top_next(struct top *t) {
    t->counted_last.n = 0;
    for (size_t i = 0; i < t->counted.n; i++)
        if (vector_push(&t->counted_last, t->counted.items[i], PROFILE_NODES_MAX) < 0)
            return -ENOMEM;
    t->counted.n = 0;
    for (size_t i = 0; i < t->profile.counts.n; i++)
        if (vector_push(&t->counted, t->profile.counts.items[i].samples, PROFILE_NODES_MAX) < 0)
            return -ENOMEM;
    vector_each(&t->threads, row) {
        row->seen = row->now.walks != 0;
        row->last = row->now;
        row->now = (struct top_tally){0};
    }
    t->before = t->profile.stats;
    t->walks_last = t->walks;
    t->walks = 0;
    return 0;
}

int top_start_over(struct top *t) {
    top_data_done(t);
    t->before = (struct profile_stats){0};
    t->walks = t->walks_last = 0;
    t->n_path = t->zoom = t->cursor = t->first = 0;
    return top_data_init(t);
}
