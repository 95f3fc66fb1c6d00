/* See trace_tree.h. */
#include "query/trace_tree.h"

#include "base/clock.h"
#include "base/map.h"
#include "signal/signal.h"

#define PATH_DEPTH_MAX 1000u /* deeper spans count as their ancestor's own time */
#define SKEW_NS NS_PER_MS
#define REPEATS_MIN 5u       /* of a statement under one parent */
#define REPEATS_CALL_MIN 10u /* of a call that is no statement */
#define REPEATS_MANY 20u     /* worth telling however short */
#define REPEATS_NS_MIN (50 * NS_PER_MS)

const char *const time_category_names[TIME_CATEGORIES] = {[TIME_OWN] = "own",
                                                          [TIME_DATABASE] = "database",
                                                          [TIME_NETWORK] = "network",
                                                          [TIME_MESSAGING] = "messaging"};

enum time_category trace_category(const struct trace_span *s) {
    if (s->db_system.size || s->statement.size)
        return TIME_DATABASE;
    if (s->kind == SPAN_PRODUCER)
        return TIME_MESSAGING;
    return s->kind == SPAN_CLIENT ? TIME_NETWORK : TIME_OWN;
}

/* ---- The tree ---- */

static struct slice id_slice(const uint8_t *id) {
    return slice_new(id, SPAN_ID_SIZE);
}

static int find_parents(struct trace_span *spans, size_t n) {
    static const uint8_t zeros[SPAN_ID_SIZE];
    struct map ids;
    int r = 0;

    map_init(&ids, n + 1, n * 32 + 4096);
    for (size_t i = 0; i < n && r == 0; i++) {
        bool is_new;
        struct map_entry *m = map_put(&ids, id_slice(spans[i].span_id), &is_new);
        if (!m)
            r = -ENOMEM;
        else if (is_new)
            m->number = i;
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        struct map_entry *m = memcmp(spans[i].parent_id, zeros, SPAN_ID_SIZE) == 0
                                      ? NULL
                                      : map_get(&ids, id_slice(spans[i].parent_id));
        spans[i].parent = m && m->number != i ? (uint32_t) m->number : NO_SPAN;
    }
    map_done(&ids);
    return r;
}

/* Follows every chain of parents once; one that comes back to itself is cut. */
static int cut_cycles(struct arena *a, struct trace_span *spans, size_t n) {
    uint32_t *mark = arena_array(a, uint32_t, n); /* 0: new, else the walk that came by */

    if (!mark)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t walk = i + 1, at = i;
        while (mark[at] == 0) {
            mark[at] = walk;
            if (spans[at].parent == NO_SPAN)
                break;
            if (mark[spans[at].parent] == walk) {
                spans[at].parent = NO_SPAN;
                break;
            }
            at = spans[at].parent;
        }
    }
    return 0;
}

struct ending {
    int64_t end_ns;
    uint32_t span;
};

static int by_end(const void *a, const void *b) {
    const struct ending *x = a, *y = b;

    if (x->end_ns != y->end_ns)
        return x->end_ns < y->end_ns ? 1 : -1;
    return x->span < y->span ? -1 : x->span > y->span;
}

static int find_children(struct arena *a, struct trace_span *spans, size_t n) {
    struct ending *order = arena_array(a, struct ending, n);
    uint32_t *all = arena_array(a, uint32_t, n);
    size_t at = 0;

    if (!order || !all)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = (struct ending){spans[i].end_ns, i};
        if (spans[i].parent != NO_SPAN)
            spans[spans[i].parent].n_children++;
    }
    for (size_t i = 0; i < n; i++) {
        spans[i].children = all + at;
        at += spans[i].n_children;
        spans[i].n_children = 0;
    }
    qsort(order, n, sizeof(*order), by_end);
    for (size_t i = 0; i < n; i++) {
        uint32_t parent = spans[order[i].span].parent;
        if (parent != NO_SPAN)
            spans[parent].children[spans[parent].n_children++] = order[i].span;
    }
    return 0;
}

/* Duration without the time in which any child ran. Children come latest end first. */
static void find_self(struct trace_span *spans, struct trace_span *s) {
    int64_t covered = 0, until = s->end_ns; /* all before `until` is still free */

    for (uint32_t i = 0; i < s->n_children; i++) {
        const struct trace_span *c = &spans[s->children[i]];
        int64_t end = c->end_ns < until ? c->end_ns : until;
        int64_t start = c->start_ns > s->start_ns ? c->start_ns : s->start_ns;
        if (end > start) {
            covered += end - start;
            until = start;
        }
    }
    s->self_ns = s->end_ns - s->start_ns - covered;
}

/* ---- Critical path ---- */

struct path {
    struct trace_tree *t;
    struct trace_segment *items; /* latest first */
    size_t n, room;
};

static void add_segment(struct path *p, uint32_t span, int64_t from_ns, int64_t to_ns) {
    if (to_ns > from_ns && p->n < p->room)
        p->items[p->n++] = (struct trace_segment){span, from_ns, to_ns};
}

/* What the end of `span` waited for, from `to` back to `from`: the child that ended last, then the
 * one that ended before that one began, and so on; what remains is the span's own. */
static void walk_path(struct path *p, uint32_t span, int64_t from_ns, int64_t to_ns,
                      unsigned depth) {
    const struct trace_span *s = &p->t->spans[span];

    if (s->start_ns > from_ns)
        from_ns = s->start_ns;
    for (uint32_t i = 0; depth < PATH_DEPTH_MAX && i < s->n_children && to_ns > from_ns; i++) {
        const struct trace_span *c = &p->t->spans[s->children[i]];
        int64_t end = c->end_ns < to_ns ? c->end_ns : to_ns;
        int64_t start = c->start_ns > from_ns ? c->start_ns : from_ns;
        if (end <= start)
            continue;
        add_segment(p, span, end, to_ns);
        walk_path(p, s->children[i], start, end, depth + 1);
        to_ns = start;
    }
    add_segment(p, span, from_ns, to_ns);
}

static int find_path(struct arena *a, struct trace_tree *t) {
    const struct trace_span *root = &t->spans[t->root];
    struct path p = {.t = t, .room = 2 * t->n + 1};

    p.items = arena_array(a, struct trace_segment, p.room);
    if (!p.items)
        return -ENOMEM;
    walk_path(&p, t->root, root->start_ns, root->end_ns, 0);
    for (size_t i = 0; i < p.n / 2; i++) {
        struct trace_segment x = p.items[i];
        p.items[i] = p.items[p.n - 1 - i];
        p.items[p.n - 1 - i] = x;
    }
    t->path = p.items;
    t->n_path = p.n;
    return 0;
}

static int by_time(const void *a, const void *b) {
    const struct trace_time *x = a, *y = b;

    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : slice_compare(x->service, y->service);
}

static int find_times(struct arena *a, struct trace_tree *t) {
    struct map index;
    int r = 0;

    t->times = arena_array(a, struct trace_time, t->n_path);
    if (!t->times)
        return -ENOMEM;
    map_init(&index, t->n_path + 1, (size_t) 16 << 20);
    for (size_t i = 0; i < t->n_path && r == 0; i++) {
        const struct trace_span *s = &t->spans[t->path[i].span];
        enum time_category category = trace_category(s);
        char *key = arena_printf(a, "%d%.*s", category, SLICE_ARG(s->service));
        bool is_new;
        struct map_entry *m = key ? map_put(&index, slice_from(key), &is_new) : NULL;
        if (!m) {
            r = -ENOMEM;
            break;
        }
        if (is_new) {
            m->number = t->n_times++;
            t->times[m->number] = (struct trace_time){category, s->service, 0};
        }
        t->times[m->number].ns += t->path[i].to_ns - t->path[i].from_ns;
    }
    map_done(&index);
    if (r == 0 && t->n_times)
        qsort(t->times, t->n_times, sizeof(*t->times), by_time);
    return r;
}

/* ---- Repetition ---- */

struct repeat {
    uint32_t first, last; /* spans, chained through `next` */
    size_t count;
    int64_t ns;
};

static struct slice what_of(const struct trace_span *s) {
    return s->statement.size ? s->statement : s->name;
}

/* Same parent, same statement (or the same call of the same peer), wherever among the siblings:
 * asynchronous code mixes them. */
static int group_repeats(struct arena *a, const struct trace_tree *t, uint32_t *next,
                         struct repeat *repeats, size_t *ret_n) {
    struct map index;
    int r = 0;

    map_init(&index, t->n + 1, (size_t) 32 << 20);
    for (uint32_t i = 0; i < t->n && r == 0; i++) {
        const struct trace_span *s = &t->spans[i];
        bool is_new;
        if (s->parent == NO_SPAN || (!s->statement.size && s->kind != SPAN_CLIENT))
            continue;
        struct slice what = slice_take(what_of(s), 2000);
        char *key = arena_printf(a, "%u|%d|%.*s|%.*s", s->parent, s->statement.size > 0,
                                 SLICE_ARG(slice_take(s->peer, 200)), SLICE_ARG(what));
        struct map_entry *m = key ? map_put(&index, slice_from(key), &is_new) : NULL;
        if (!m) {
            r = -ENOMEM;
            break;
        }
        next[i] = NO_SPAN;
        if (is_new) {
            m->number = *ret_n;
            repeats[(*ret_n)++] = (struct repeat){i, i, 0, 0};
        }
        struct repeat *x = &repeats[m->number];
        if (!is_new) {
            next[x->last] = i;
            x->last = i;
        }
        x->count++;
        x->ns += s->end_ns - s->start_ns;
    }
    map_done(&index);
    return r;
}

static bool is_telling(const struct trace_tree *t, const struct repeat *x) {
    bool database = t->spans[x->first].statement.size > 0;

    if (x->count < (database ? REPEATS_MIN : REPEATS_CALL_MIN))
        return false;
    return x->count >= REPEATS_MANY || x->ns >= REPEATS_NS_MIN ||
           x->ns >= (t->end_ns - t->start_ns) / 20;
}

static int by_ns(const void *a, const void *b) {
    const struct repeat *x = a, *y = b;

    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

static int find_repeats(struct arena *a, struct trace_tree *t) {
    uint32_t *next = arena_array(a, uint32_t, t->n);
    struct repeat *repeats = arena_array(a, struct repeat, t->n);
    size_t n = 0;

    if (!next || !repeats)
        return -ENOMEM;
    int r = group_repeats(a, t, next, repeats, &n);
    if (r < 0)
        return r;
    if (n)
        qsort(repeats, n, sizeof(*repeats), by_ns);
    for (size_t i = 0; i < n && t->n_findings < FINDINGS_MAX; i++) {
        if (!is_telling(t, &repeats[i]))
            continue;
        struct trace_finding *f = &t->findings[t->n_findings++];
        *f = (struct trace_finding){.count = repeats[i].count, .ns = repeats[i].ns};
        f->what = what_of(&t->spans[repeats[i].first]);
        f->database = t->spans[repeats[i].first].statement.size > 0;
        f->spans = arena_array(a, uint32_t, FINDING_SPANS_MAX);
        if (!f->spans)
            return -ENOMEM;
        for (uint32_t s = repeats[i].first; s != NO_SPAN && f->n_spans < FINDING_SPANS_MAX;
             s = next[s])
            f->spans[f->n_spans++] = s;
    }
    return 0;
}

/* ---- All of it ---- */

static void find_range(struct trace_tree *t) {
    t->start_ns = INT64_MAX;
    t->end_ns = INT64_MIN;
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_span *s = &t->spans[i];
        if (s->start_ns < t->start_ns)
            t->start_ns = s->start_ns;
        if (s->end_ns > t->end_ns)
            t->end_ns = s->end_ns;
        if (s->parent == NO_SPAN) {
            const struct trace_span *root = t->root == NO_SPAN ? NULL : &t->spans[t->root];
            if (!root || s->end_ns - s->start_ns > root->end_ns - root->start_ns)
                t->root = (uint32_t) i;
        } else {
            const struct trace_span *p = &t->spans[s->parent];
            if (!slice_equal(p->service, s->service) &&
                (s->start_ns < p->start_ns - SKEW_NS ||
                 (s->kind == SPAN_SERVER && s->start_ns > p->end_ns + SKEW_NS)))
                t->skewed = true;
        }
    }
}

int trace_tree_build(struct arena *a, struct trace_span *spans, size_t n, struct trace_tree *ret) {
    *ret = (struct trace_tree){.spans = spans, .n = n, .root = NO_SPAN};
    int r = find_parents(spans, n);
    if (r == 0)
        r = cut_cycles(a, spans, n);
    if (r == 0)
        r = find_children(a, spans, n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        find_self(spans, &spans[i]);
    find_range(ret);
    r = find_path(a, ret);
    if (r == 0)
        r = find_times(a, ret);
    return r < 0 ? r : find_repeats(a, ret);
}
