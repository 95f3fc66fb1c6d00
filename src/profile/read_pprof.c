/* pprof, through wire/pprof.h. Of several values the first whose unit is "count" is taken, else the
 * first that is a time; threads are told by the usual labels. */
#include "profile/format.h"

#include "wire/pprof.h"

#include <stdio.h>

#define TEXT_MAX 4096u

static void copy(char to[TEXT_MAX], struct slice s) {
    snprintf(to, TEXT_MAX, "%.*s", SLICE_ARG(s));
}

static size_t choose_value(const struct pprof_head *h, bool *ret_time) {
    for (size_t i = 0; i < h->n_types; i++)
        if (slice_is(h->types[i].unit, "count")) {
            *ret_time = false;
            return i;
        }
    for (size_t i = 0; i < h->n_types; i++)
        if (slice_is(h->types[i].unit, "nanoseconds")) {
            *ret_time = true;
            return i;
        }
    *ret_time = false;
    return 0;
}

static int64_t thread_of(struct profile *p, const struct pprof_sample *s) {
    char name[TEXT_MAX] = "all";
    int64_t pid = 0, tid = 0;

    for (size_t i = 0; i < s->n_labels; i++) {
        const struct pprof_label *l = &s->labels[i];
        if (slice_is(l->key, "process_id"))
            pid = l->number;
        else if (slice_is(l->key, "thread_id") || slice_is(l->key, "thread id"))
            tid = l->number;
        else if (slice_is(l->key, "thread_name") || slice_is(l->key, "thread name"))
            copy(name, l->text);
    }
    return profile_name_thread(p, (pid_t) pid, tid > 0 && tid <= INT32_MAX ? (pid_t) tid : 0, name);
}

static int add_sample(struct profile *p, const struct pprof_sample *s, uint64_t samples) {
    char name[TEXT_MAX], file[TEXT_MAX];
    int64_t thread = thread_of(p, s), node = thread < 0 ? thread : 0;

    for (size_t i = s->n_frames; node >= 0 && i > 0; i--) {
        const struct pprof_frame *f = &s->frames[i - 1];
        copy(name, f->function);
        copy(file, f->file);
        int first = f->start_line > 0 && f->start_line <= INT32_MAX ? (int) f->start_line : 0;
        int line = f->line > 0 && f->line <= INT32_MAX ? (int) f->line : 0;
        int64_t id = profile_add_function(p, name, file, first);
        if (id >= 0)
            id = profile_add_frame(p, (uint32_t) id, line);
        node = id < 0 ? id : profile_add_node(p, (uint32_t) node, (uint32_t) id);
    }
    return node < 0 ? (int) node
                    : profile_add_samples(p, (uint32_t) node, (uint32_t) thread, samples);
}

int read_pprof(struct slice bytes, struct profile *p, struct error *e) {
    struct pprof_sample s;
    struct pprof *message;
    bool time;
    int r = pprof_read(bytes, &message, e);

    if (r < 0)
        return r;
    const struct pprof_head *head = pprof_head(message);
    size_t value = choose_value(head, &time);
    p->period_ns = slice_is(head->period_type.unit, "nanoseconds") && head->period > 0
                           ? head->period
                           : 10000000;
    p->start_ns = head->time_ns;
    p->duration_ns = head->duration_ns > 0 ? head->duration_ns : 0;
    while ((r = pprof_next(message, &s, e)) > 0) {
        int64_t n = value < s.n_values ? s.values[value] : 0;
        if (time)
            n = (n + p->period_ns / 2) / p->period_ns;
        if (n <= 0)
            continue;
        int added = add_sample(p, &s, (uint64_t) n);
        if (added < 0) {
            r = error_set(e, added, "%s", error_name(added));
            break;
        }
    }
    pprof_free(message);
    return r;
}
