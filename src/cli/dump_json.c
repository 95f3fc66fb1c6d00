/* `varan dump --json`: one object. */
#include "cli/dump.h"
#include "cli/profile_process.h"
#include "wire/json.h"

#define LOCALS_BYTES_MAX ((size_t) 16 << 20)

static void put_locals(struct json_writer *w, const struct dump_report *report,
                       const struct cpython_frame *f) {
    struct cpython_variable *rows;
    struct arena texts;
    size_t n;

    arena_init(&texts, LOCALS_BYTES_MAX);
    json_put_key(w, "locals");
    if (cpython_locals(report->target, f, &texts, &rows, &n) < 0) {
        json_put_null(w); /* the frame has gone on meanwhile */
    } else {
        json_begin_object(w);
        for (size_t i = 0; i < n; i++)
            json_field_text(w, rows[i].name, rows[i].value);
        json_end_object(w);
    }
    arena_done(&texts);
}

static void put_frames(struct json_writer *w, const struct dump_report *report,
                       const struct cpython_frame *frames, size_t n) {
    json_put_key(w, "frames");
    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        const struct cpython_frame *f = &frames[i];
        json_begin_object(w);
        json_field_text(w, "function", f->code->name);
        json_field_text(w, "file", f->code->file);
        json_put_key(w, "line");
        if (f->line)
            json_put_int(w, f->line);
        else
            json_put_null(w);
        if (report->locals && f->address)
            put_locals(w, report, f);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_id(struct json_writer *w, const char *key, pid_t id) {
    json_put_key(w, key);
    if (id)
        json_put_int(w, id);
    else
        json_put_null(w);
}

/* ---- Locks ---- */

static void put_lock(struct json_writer *w, const struct dump_report *report,
                     const struct cpython_lock *lock) {
    char id[24];

    snprintf(id, sizeof(id), "0x%llx", (unsigned long long) lock->address);
    json_field_text(w, "lock", id);
    json_field_text(w, "type", lock->reentrant ? "RLock" : "Lock");
    json_put_key(w, "name");
    if (lock->name)
        json_put_text(w, lock->name);
    else
        json_put_null(w);
    put_id(w, "held_by",
           lock->holder == SIZE_MAX ? 0 : report->sample->threads[lock->holder].native_id);
    json_put_key(w, "held_in");
    if (lock->frame_known) {
        const struct cpython_frame *f = &report->sample->threads[lock->holder].frames[lock->frame];
        json_begin_object(w);
        json_field_text(w, "function", f->code->name);
        json_field_text(w, "file", f->code->file);
        json_field_int(w, "line", f->line);
        json_end_object(w);
    } else {
        json_put_null(w);
    }
}

static void put_locks(struct json_writer *w, const struct dump_report *report, size_t thread) {
    const struct cpython_wait *wait = &report->locks->waits[thread];

    json_put_key(w, "waits_for");
    if (wait->thread != SIZE_MAX || wait->lock != SIZE_MAX || wait->futex) {
        json_begin_object(w);
        if (wait->thread != SIZE_MAX)
            put_id(w, "end_of", report->sample->threads[wait->thread].native_id);
        else if (wait->notification)
            json_field_bool(w, "notification", true);
        else if (wait->lock != SIZE_MAX)
            put_lock(w, report, &report->locks->items[wait->lock]);
        if (wait->futex) {
            char address[24];
            snprintf(address, sizeof(address), "0x%llx", (unsigned long long) wait->futex);
            json_field_text(w, "futex", address);
        }
        json_end_object(w);
    } else {
        json_put_null(w);
    }
    json_put_key(w, "holds");
    json_begin_array(w);
    for (size_t i = 0; i < report->locks->n; i++) {
        if (report->locks->items[i].holder != thread)
            continue;
        json_begin_object(w);
        put_lock(w, report, &report->locks->items[i]);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_deadlocks(struct json_writer *w, const struct dump_report *report) {
    size_t circle[DUMP_CIRCLE_MAX];

    json_put_key(w, "deadlocks");
    json_begin_array(w);
    for (size_t i = 0; i < report->sample->n_threads; i++) {
        size_t n = dump_deadlock(report, i, circle, DUMP_CIRCLE_MAX);
        if (n)
            json_begin_array(w);
        for (size_t k = 0; k < n; k++)
            json_put_int(w, report->sample->threads[circle[k]].native_id);
        if (n)
            json_end_array(w);
    }
    json_end_array(w);
}

/* ---- Threads ---- */

static void put_thread(struct json_writer *w, const struct dump_report *report, size_t thread) {
    const struct cpython_thread *t = &report->shown[thread];

    json_begin_object(w);
    json_field_text(w, "name", thread_title(report->pid, t));
    json_field_uint(w, "thread_id", t->thread_id);
    put_id(w, "native_id", t->native_id);
    json_field_int(w, "interpreter", t->interpreter);
    json_field_text(w, "state", dump_state_text(t->state));
    json_field_bool(w, "holds_gil", t->holds_gil);
    json_field_bool(w, "waits_gil", t->waits_gil);
    json_field_bool(w, "torn", t->torn);
    json_field_bool(w, "cut", t->cut);
    put_locks(w, report, thread);
    put_frames(w, report, t->frames, t->n_frames);
    json_end_object(w);
}

static void put_task(struct json_writer *w, const struct dump_report *report,
                     const struct cpython_task *task) {
    char id[24];

    json_begin_object(w);
    snprintf(id, sizeof(id), "0x%llx", (unsigned long long) task->address);
    json_field_text(w, "id", id);
    json_field_text(w, "name", task->name);
    put_id(w, "running_in", task->native_id);
    json_put_key(w, "waits_for");
    if (task->waits_for)
        json_put_text(w, task->waits_for);
    else
        json_put_null(w);
    json_put_key(w, "awaited_by");
    json_begin_array(w);
    for (size_t i = 0; i < task->n_awaiters; i++) {
        snprintf(id, sizeof(id), "0x%llx",
                 (unsigned long long) report->tasks->items[task->awaiters[i]].address);
        json_put_text(w, id);
    }
    json_end_array(w);
    put_frames(w, report, task->frames, task->n_frames);
    json_end_object(w);
}

static void put_greenlets(struct json_writer *w, const struct dump_report *report) {
    char id[24];

    json_put_key(w, "greenlets");
    json_begin_array(w);
    for (size_t i = 0; i < report->greenlets->n; i++) {
        const struct cpython_greenlet *g = &report->greenlets->items[i];
        json_begin_object(w);
        snprintf(id, sizeof(id), "0x%llx", (unsigned long long) g->address);
        json_field_text(w, "id", id);
        json_field_text(w, "type", g->type);
        put_frames(w, report, g->frames, g->n_frames);
        json_end_object(w);
    }
    json_end_array(w);
}

void dump_put_json(struct buffer *out, const struct dump_report *report) {
    struct json_writer w = json_writer(out);
    pid_t ended_in;
    int number;

    json_begin_object(&w);
    json_field_int(&w, "pid", report->pid);
    json_field_text(&w, "version", cpython_version(report->target));
    json_field_bool(&w, "free_threaded", cpython_free_threaded(report->target));
    json_field_text(&w, "path", cpython_path(report->target));
    if (cpython_core_end(report->target, &number, &ended_in)) {
        json_field_int(&w, "signal", number);
        json_field_int(&w, "ended_in", ended_in);
    }
    json_put_key(&w, "threads");
    json_begin_array(&w);
    for (size_t i = 0; i < report->sample->n_threads; i++)
        put_thread(&w, report, i);
    json_end_array(&w);
    put_deadlocks(&w, report);
    put_greenlets(&w, report);
    if (report->tasks) {
        json_put_key(&w, "tasks");
        json_begin_array(&w);
        for (size_t i = 0; i < report->tasks->n; i++)
            put_task(&w, report, &report->tasks->items[i]);
        json_end_array(&w);
    }
    json_end_object(&w);
    buffer_append_u8(out, '\n');
}
