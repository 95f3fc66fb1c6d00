/* `varan dump` as text: threads with their stacks, and the tree of asyncio's tasks. */
#include "cli/dump.h"
#include "cli/profile_process.h"

#define LOCALS_BYTES_MAX ((size_t) 16 << 20)
#define TREE_DEPTH_MAX 64u

const char *dump_state_text(enum cpython_state state) {
    return state == CPYTHON_RUNNING ? "running" : state == CPYTHON_SLEEPING ? "idle" : "unknown";
}

void dump_put_clean(struct buffer *out, const char *text) {
    for (; *text; text++)
        buffer_append_u8(out,
                         (unsigned char) *text < 0x20 || *text == 0x7f ? '?' : (uint8_t) *text);
}

void dump_put_frame(struct buffer *out, const struct cpython_frame *f) {
    dump_put_clean(out, f->code->name);
    buffer_append_text(out, " (");
    dump_put_clean(out, f->code->file);
    if (f->line)
        buffer_printf(out, ":%d", f->line);
    buffer_append_text(out, ")\n");
}

static void put_indent(struct buffer *out, unsigned depth) {
    for (unsigned i = 0; i < depth; i++)
        buffer_append_text(out, "    ");
}

static void put_locals(struct buffer *out, const struct dump_report *report,
                       const struct cpython_frame *f, unsigned depth) {
    struct cpython_variable *rows;
    struct arena texts;
    size_t n;

    arena_init(&texts, LOCALS_BYTES_MAX);
    if (cpython_locals(report->target, f, &texts, &rows, &n) < 0) {
        put_indent(out, depth);
        buffer_append_text(out, "        (the frame has gone on meanwhile)\n");
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        put_indent(out, depth);
        buffer_append_text(out, "        ");
        dump_put_clean(out, rows[i].name);
        buffer_append_text(out, " = ");
        dump_put_clean(out, rows[i].value);
        buffer_append_u8(out, '\n');
    }
    arena_done(&texts);
}

/* ---- Locks ---- */

static void put_thread_name(struct buffer *out, const struct dump_report *report,
                            const struct cpython_thread *t) {
    if (t->native_id)
        buffer_printf(out, "%d", (int) t->native_id);
    else
        buffer_printf(out, "0x%llx", (unsigned long long) t->thread_id);
    buffer_append_text(out, " (");
    dump_put_clean(out, thread_title(report->pid, t));
    buffer_append_text(out, ")");
}

static void put_lock_name(struct buffer *out, const struct cpython_lock *lock) {
    buffer_append_text(out, lock->reentrant ? "RLock " : "Lock ");
    if (lock->name)
        dump_put_clean(out, lock->name);
    else
        buffer_printf(out, "0x%llx", (unsigned long long) lock->address);
}

static void put_lock(struct buffer *out, const struct dump_report *report,
                     const struct cpython_lock *lock) {
    put_lock_name(out, lock);
    if (lock->holder == SIZE_MAX) {
        buffer_append_text(out, lock->locked ? ", held by a thread that does not tell\n"
                                             : ", which is free\n");
        return;
    }
    const struct cpython_thread *t = &report->sample->threads[lock->holder];
    buffer_append_text(out, ", held by thread ");
    put_thread_name(out, report, t);
    if (lock->frame_known) {
        buffer_append_text(out, " in ");
        dump_put_frame(out, &t->frames[lock->frame]); /* with the line's end */
    } else {
        buffer_append_text(out, "\n");
    }
}

/* What the thread waits for and what it holds. */
static void put_locks(struct buffer *out, const struct dump_report *report, size_t thread) {
    const struct cpython_wait *wait = &report->locks->waits[thread];

    if (wait->thread != SIZE_MAX) {
        buffer_append_text(out, "    * waits for the end of thread ");
        put_thread_name(out, report, &report->sample->threads[wait->thread]);
        buffer_append_text(out, "\n");
    } else if (wait->notification) {
        buffer_append_text(out, "    * waits to be notified (threading.Condition)\n");
    } else if (wait->lock != SIZE_MAX) {
        buffer_append_text(out, "    * waits for ");
        put_lock(out, report, &report->locks->items[wait->lock]);
    } else if (wait->futex && report->sample->threads[thread].n_frames) {
        buffer_printf(out, "    * waits in the kernel (futex 0x%llx)\n",
                      (unsigned long long) wait->futex);
    }
    for (size_t i = 0; i < report->locks->n; i++) {
        const struct cpython_lock *lock = &report->locks->items[i];
        if (lock->holder != thread)
            continue;
        buffer_append_text(out, "    * holds ");
        put_lock_name(out, lock);
        buffer_append_text(out, "\n");
    }
}

static void put_deadlocks(struct buffer *out, const struct dump_report *report) {
    size_t circle[DUMP_CIRCLE_MAX];

    for (size_t i = 0; i < report->sample->n_threads; i++) {
        size_t n = dump_deadlock(report, i, circle, DUMP_CIRCLE_MAX);
        if (!n)
            continue;
        buffer_append_text(out, "\nDEADLOCK: these threads wait for each other\n");
        for (size_t k = 0; k < n; k++) {
            const struct cpython_wait *wait = &report->locks->waits[circle[k]];
            buffer_append_text(out, "    thread ");
            put_thread_name(out, report, &report->sample->threads[circle[k]]);
            buffer_append_text(out, " waits for ");
            if (wait->thread == SIZE_MAX) {
                put_lock(out, report, &report->locks->items[wait->lock]);
                continue;
            }
            buffer_append_text(out, "the end of thread ");
            put_thread_name(out, report, &report->sample->threads[wait->thread]);
            buffer_append_text(out, "\n");
        }
    }
}

/* ---- Threads ---- */

static void put_thread(struct buffer *out, const struct dump_report *report, size_t thread) {
    const struct cpython_thread *t = &report->shown[thread];

    buffer_append_text(out, "\nThread ");
    put_thread_name(out, report, t);
    buffer_printf(out, ": %s%s", dump_state_text(t->state),
                  t->holds_gil   ? ", holds the GIL"
                  : t->waits_gil ? ", waits for the GIL"
                                 : "");
    if (t->interpreter)
        buffer_printf(out, ", interpreter %lld", (long long) t->interpreter);
    buffer_append_text(out, t->torn ? ", torn: the stack changed while it was read\n" : "\n");
    put_locks(out, report, thread);
    for (size_t i = 0; i < t->n_frames; i++) {
        buffer_append_text(out, "    ");
        dump_put_frame(out, &t->frames[i]);
        if (report->locals && t->frames[i].address)
            put_locals(out, report, &t->frames[i], 0);
    }
    if (t->n_frames == 0)
        buffer_append_text(out, "    (no Python frames)\n");
    if (t->cut)
        buffer_append_text(out, "    ... (deeper frames are left out)\n");
}

static void put_greenlets(struct buffer *out, const struct dump_report *report) {
    const struct cpython_greenlets *g = report->greenlets;

    if (g->n)
        buffer_printf(out, "\n%zu suspended greenlet%s\n", g->n, g->n == 1 ? "" : "s");
    for (size_t i = 0; i < g->n; i++) {
        buffer_append_text(out, "\n");
        dump_put_clean(out, g->items[i].type);
        buffer_printf(out, " 0x%llx\n", (unsigned long long) g->items[i].address);
        for (size_t k = 0; k < g->items[i].n_frames; k++) {
            buffer_append_text(out, "    ");
            dump_put_frame(out, &g->items[i].frames[k]);
            if (report->locals)
                put_locals(out, report, &g->items[i].frames[k], 0);
        }
    }
}

void dump_put_text(struct buffer *out, const struct dump_report *report) {
    pid_t ended_in;
    int number;

    buffer_printf(out, "Process %d: Python %s%s (", (int) report->pid,
                  cpython_version(report->target),
                  cpython_free_threaded(report->target) ? " free-threaded" : "");
    dump_put_clean(out, cpython_path(report->target));
    buffer_append_text(out, ")\n");
    if (cpython_core_end(report->target, &number, &ended_in))
        buffer_printf(out, "Core file: ended by SIG%s (%s) in thread %d\n",
                      sigabbrev_np(number) ? sigabbrev_np(number) : "?", strsignal(number),
                      (int) ended_in);
    for (size_t i = 0; i < report->sample->n_threads; i++)
        put_thread(out, report, i);
    put_deadlocks(out, report);
    put_greenlets(out, report);
}

/* ---- Tasks ---- */

static void put_task(struct buffer *out, const struct dump_report *report, uint32_t at,
                     unsigned depth, bool *printed) {
    const struct cpython_task *task = &report->tasks->items[at];

    put_indent(out, depth);
    buffer_append_text(out, "Task ");
    dump_put_clean(out, task->name[0] ? task->name : "(no name)");
    if (task->native_id)
        buffer_printf(out, ": runs in thread %d", (int) task->native_id);
    else if (task->waits_for) {
        buffer_append_text(out, ": waits for a ");
        dump_put_clean(out, task->waits_for);
    }
    if (printed[at] || depth >= TREE_DEPTH_MAX) {
        buffer_append_text(out, printed[at] ? " (shown above)\n" : " (...)\n");
        return;
    }
    printed[at] = true;
    buffer_append_text(out, task->n_frames ? "\n" : " (has ended or not begun)\n");
    for (size_t i = 0; i < task->n_frames; i++) {
        put_indent(out, depth);
        buffer_append_text(out, "  ");
        dump_put_frame(out, &task->frames[i]);
        if (report->locals)
            put_locals(out, report, &task->frames[i], depth);
    }
    for (uint32_t i = 0; i < report->tasks->n; i++)
        for (size_t k = 0; k < report->tasks->items[i].n_awaiters; k++)
            if (report->tasks->items[i].awaiters[k] == at)
                put_task(out, report, i, depth + 1, printed);
}

void dump_put_task_tree(struct buffer *out, const struct dump_report *report) {
    size_t n = report->tasks->n;
    bool *printed = calloc(n + 1, sizeof(*printed));

    buffer_printf(out, "\n%zu asyncio %s%s\n", n, n == 1 ? "task" : "tasks",
                  n ? "; below each the tasks that it waits for" : "");
    if (!printed)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (report->tasks->items[i].n_awaiters == 0)
            put_task(out, report, i, 0, printed);
    for (uint32_t i = 0; i < n; i++) /* those that wait for each other in a circle */
        if (!printed[i])
            put_task(out, report, i, 0, printed);
    free(printed);
}
