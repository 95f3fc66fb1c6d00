/* Profiles out of others: merging, leaving things out. Any thread; one owner at a time. */
#include "profile/profile.h"

#include <regex.h>

/* Is it what profile_thread_root() wrote? "name (process 12, thread 34)"; in collapsed stacks what
 * stands in brackets is the file. */
static bool is_thread(const struct profile_function *f) {
    static const char process[] = "process ";
    const char *open = strrchr(f->name, '('), *ids = f->file[0] ? f->file : open ? open + 1 : "";

    return strncmp(ids, process, strlen(process)) == 0 && strstr(ids, ", thread ");
}

static bool is_thread_root(const struct profile *p, const struct profile_node *n) {
    return n->parent == 0 && is_thread(&p->functions.items[p->frames.items[n->frame].function]);
}

bool profile_has_thread_roots(const struct profile *p) {
    for (size_t i = 1; i < p->nodes.n; i++)
        if (p->nodes.items[i].parent == 0 && !is_thread_root(p, &p->nodes.items[i]))
            return false;
    return p->nodes.n > 1;
}

/* Nodes of `into` for the nodes of `from`. Parents come before their children. */
static int map_nodes(struct profile *into, const struct profile *from, uint32_t *nodes) {
    for (uint32_t i = 1; i < from->nodes.n; i++) {
        const struct profile_node *n = &from->nodes.items[i];
        const struct profile_frame *frame = &from->frames.items[n->frame];
        const struct profile_function *f = &from->functions.items[frame->function];
        if (into->no_thread_roots && is_thread_root(from, n)) {
            nodes[i] = 0;
            continue;
        }
        int64_t id = profile_add_function(into, f->name, f->file, f->first_line);
        if (id >= 0)
            id = profile_add_frame(into, (uint32_t) id, frame->line);
        if (id >= 0)
            id = profile_add_node(into, nodes[n->parent], (uint32_t) id);
        if (id < 0)
            return (int) id;
        nodes[i] = (uint32_t) id;
    }
    return 0;
}

static int map_threads(struct profile *into, const struct profile *from, uint32_t *threads) {
    for (uint32_t i = 0; i < from->threads.n; i++) {
        const struct profile_thread *t = &from->threads.items[i];
        int64_t id = profile_name_thread(into, t->pid, t->native_id, t->name);
        if (id < 0)
            return (int) id;
        threads[i] = (uint32_t) id;
    }
    return 0;
}

/* The stack `node` below the thread's own root. */
static int64_t rooted(struct profile *p, uint32_t node, uint32_t thread) {
    uint32_t frames[2 * CPYTHON_FRAMES_MAX];
    size_t n = profile_stack(p, node, frames, 2 * CPYTHON_FRAMES_MAX);
    int64_t at = profile_thread_root(p, thread);

    for (size_t i = 0; at >= 0 && i < n; i++)
        at = profile_add_node(p, (uint32_t) at, frames[i]);
    return at;
}

int profile_merge(struct profile *into, const struct profile *from, bool as_base) {
    uint32_t *nodes = calloc(from->nodes.n + 1, sizeof(*nodes));
    uint32_t *threads = calloc(from->threads.n + 1, sizeof(*threads));
    int r = nodes && threads ? map_nodes(into, from, nodes) : -ENOMEM;

    if (r == 0)
        r = map_threads(into, from, threads);
    for (size_t i = 0; r == 0 && i < from->counts.n; i++) {
        const struct profile_count *c = &from->counts.items[i];
        struct profile_count moved = {nodes[c->node], threads[c->thread], c->samples};
        int64_t node = into->threads_as_roots ? rooted(into, moved.node, moved.thread) : moved.node;
        if (node < 0) {
            r = (int) node;
            break;
        }
        moved.node = (uint32_t) node;
        if (as_base)
            r = vector_push(&into->base, moved, PROFILE_NODES_MAX);
        else if (c->samples)
            r = profile_add_samples(into, moved.node, moved.thread, moved.samples);
    }
    free(nodes);
    free(threads);
    if (r == 0 && !into->period_ns)
        into->period_ns = from->period_ns;
    return r;
}

static int compile(const char *pattern, regex_t *ret, struct error *e) {
    char why[200];
    int r = regcomp(ret, pattern, REG_EXTENDED | REG_NOSUB);

    if (r == 0)
        return 0;
    regerror(r, ret, why, sizeof(why));
    return error_set(e, -EINVAL, "\"%s\" is no regular expression: %s", pattern, why);
}

/* Sets the flag of every node whose stack has a function that matches. */
static int match_nodes(const struct profile *p, const char *pattern, bool *ret, struct error *e) {
    regex_t regex;
    int r = compile(pattern, &regex, e);

    if (r < 0)
        return r;
    bool *functions = calloc(p->functions.n + 1, sizeof(*functions));
    for (size_t i = 0; functions && i < p->functions.n; i++)
        functions[i] = regexec(&regex, p->functions.items[i].name, 0, NULL, 0) == 0 ||
                       regexec(&regex, p->functions.items[i].file, 0, NULL, 0) == 0;
    for (size_t i = 1; functions && i < p->nodes.n; i++)
        ret[i] = ret[p->nodes.items[i].parent] ||
                 functions[p->frames.items[p->nodes.items[i].frame].function];
    regfree(&regex);
    r = functions ? 0 : -ENOMEM;
    free(functions);
    return r;
}

static int match_threads(const struct profile *p, const char *pattern, bool *ret, struct error *e) {
    regex_t regex;
    char id[32];
    int r = compile(pattern, &regex, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < p->threads.n; i++) {
        snprintf(id, sizeof(id), "%d", (int) p->threads.items[i].native_id);
        ret[i] = regexec(&regex, p->threads.items[i].name, 0, NULL, 0) == 0 ||
                 strcmp(id, pattern) == 0;
    }
    regfree(&regex);
    return 0;
}

int profile_filter(struct profile *p, const struct profile_filter *f, struct error *e) {
    bool *included = calloc(p->nodes.n + 1, 1), *excluded = calloc(p->nodes.n + 1, 1),
         *threads = calloc(p->threads.n + 1, 1);
    int r = included && excluded && threads ? 0 : error_set(e, -ENOMEM, "out of memory");
    size_t kept = 0;

    if (r == 0 && f->include)
        r = match_nodes(p, f->include, included, e);
    if (r == 0 && f->exclude)
        r = match_nodes(p, f->exclude, excluded, e);
    if (r == 0 && f->thread)
        r = match_threads(p, f->thread, threads, e);
    vector_each(&p->counts, c) {
        if (r < 0)
            break;
        if ((!f->include || included[c->node]) && !excluded[c->node] &&
            (!f->thread || threads[c->thread])) {
            p->counts.items[kept++] = *c;
            continue;
        }
        p->stats.samples -= c->samples;
        p->threads.items[c->thread].samples -= c->samples;
    }
    size_t spans = 0;
    vector_each(&p->spans, s) if (r == 0 && (!f->include || included[s->node]) &&
                                  !excluded[s->node] && (!f->thread || threads[s->thread]))
            p->spans.items[spans++] = *s;
    if (r == 0) {
        p->counts.n = kept; /* the numbers of counts have changed: no stacks are added after this */
        p->spans.n = spans;
        map_clear(&p->count_ids);
        vector_each(&p->threads, t) t->version = 0;
    }
    free(included);
    free(excluded);
    free(threads);
    return r;
}

int profile_make_spans(struct profile *p) {
    uint64_t *ticks = calloc(p->threads.n + 1, sizeof(*ticks));
    int r = ticks ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < p->counts.n; i++) {
        const struct profile_count *c = &p->counts.items[i];
        if (!c->samples)
            continue;
        struct profile_span s = {c->node, c->thread, ticks[c->thread],
                                 ticks[c->thread] + c->samples - 1};
        ticks[c->thread] += c->samples;
        r = vector_push(&p->spans, s, PROFILE_SPANS_MAX);
    }
    free(ticks);
    return r;
}
