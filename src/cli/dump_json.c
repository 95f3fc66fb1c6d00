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
        if (report->locals)
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

static void put_thread(struct json_writer *w, const struct dump_report *report,
                       const struct cpython_thread *t) {
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

void dump_put_json(struct buffer *out, const struct dump_report *report) {
    struct json_writer w = json_writer(out);
    pid_t ended_in;
    int number;

    json_begin_object(&w);
    json_field_int(&w, "pid", report->pid);
    json_field_text(&w, "version", cpython_version(report->target));
    json_field_text(&w, "path", cpython_path(report->target));
    if (cpython_core_end(report->target, &number, &ended_in)) {
        json_field_int(&w, "signal", number);
        json_field_int(&w, "ended_in", ended_in);
    }
    json_put_key(&w, "threads");
    json_begin_array(&w);
    for (size_t i = 0; i < report->sample->n_threads; i++)
        put_thread(&w, report, &report->sample->threads[i]);
    json_end_array(&w);
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
