/* `varan dump PID`: the stacks of all threads of a running Python program. Single-threaded. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_process.h"
#include "cli/query.h"
#include "wire/json.h"

#define DUMP_BYTES_MAX ((size_t) 256 << 20)
#define ATTEMPTS 5 /* a stack that moves under the walk is walked again this often */

struct dump_settings {
    bool json;
};

static const struct option_def rows[] = {
        {"json", NULL, NULL, OPTION_FLAG, offsetof(struct dump_settings, json), "false", NULL,
         "One JSON object instead of text."},
};

static const struct usage usage = {
        "varan dump [OPTION]... PID",
        "Prints the stack of every thread of a running Python program (CPython 3.8 to 3.14), "
        "innermost call first, without pausing it.",
        "The program needs no preparation. Reading another process needs its user's rights, or "
        "root's.\n",
};

static const char *state_text(enum cpython_state state) {
    return state == CPYTHON_RUNNING ? "running" : state == CPYTHON_SLEEPING ? "idle" : "unknown";
}

static void put_thread_json(struct json_writer *w, pid_t pid, const struct cpython_thread *t) {
    json_begin_object(w);
    json_field_text(w, "name", thread_title(pid, t));
    json_field_uint(w, "thread_id", t->thread_id);
    json_put_key(w, "native_id");
    if (t->native_id)
        json_put_int(w, t->native_id);
    else
        json_put_null(w);
    json_field_int(w, "interpreter", t->interpreter);
    json_field_text(w, "state", state_text(t->state));
    json_field_bool(w, "holds_gil", t->holds_gil);
    json_field_bool(w, "waits_gil", t->waits_gil);
    json_field_bool(w, "torn", t->torn);
    json_field_bool(w, "cut", t->cut);
    json_put_key(w, "frames");
    json_begin_array(w);
    for (size_t i = 0; i < t->n_frames; i++) {
        const struct cpython_frame *f = &t->frames[i];
        json_begin_object(w);
        json_field_text(w, "function", f->code->name);
        json_field_text(w, "file", f->code->file);
        json_put_key(w, "line");
        if (f->line)
            json_put_int(w, f->line);
        else
            json_put_null(w);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void put_json(struct buffer *out, pid_t pid, const struct cpython *c,
                     const struct cpython_sample *s) {
    struct json_writer w = json_writer(out);

    json_begin_object(&w);
    json_field_int(&w, "pid", pid);
    json_field_text(&w, "version", cpython_version(c));
    json_field_text(&w, "path", cpython_path(c));
    json_put_key(&w, "threads");
    json_begin_array(&w);
    for (size_t i = 0; i < s->n_threads; i++)
        put_thread_json(&w, pid, &s->threads[i]);
    json_end_array(&w);
    json_end_object(&w);
    buffer_append_u8(out, '\n');
}

/* File and function names are the target's: control characters must not reach the terminal. */
static void put_clean(struct buffer *out, const char *text) {
    for (; *text; text++)
        buffer_append_u8(out,
                         (unsigned char) *text < 0x20 || *text == 0x7f ? '?' : (uint8_t) *text);
}

static void put_thread_text(struct buffer *out, pid_t pid, const struct cpython_thread *t) {
    buffer_append_text(out, "\nThread ");
    if (t->native_id)
        buffer_printf(out, "%d", (int) t->native_id);
    else
        buffer_printf(out, "0x%llx", (unsigned long long) t->thread_id);
    buffer_append_text(out, " (");
    put_clean(out, thread_title(pid, t));
    buffer_printf(out, "): %s%s", state_text(t->state),
                  t->holds_gil   ? ", holds the GIL"
                  : t->waits_gil ? ", waits for the GIL"
                                 : "");
    if (t->interpreter)
        buffer_printf(out, ", interpreter %lld", (long long) t->interpreter);
    buffer_append_text(out, t->torn ? ", torn: the stack changed while it was read\n" : "\n");
    for (size_t i = 0; i < t->n_frames; i++) {
        buffer_append_text(out, "    ");
        put_clean(out, t->frames[i].code->name);
        buffer_append_text(out, " (");
        put_clean(out, t->frames[i].code->file);
        if (t->frames[i].line)
            buffer_printf(out, ":%d", t->frames[i].line);
        buffer_append_text(out, ")\n");
    }
    if (t->n_frames == 0)
        buffer_append_text(out, "    (no Python frames)\n");
    if (t->cut)
        buffer_append_text(out, "    ... (deeper frames are left out)\n");
}

static void put_text(struct buffer *out, pid_t pid, const struct cpython *c,
                     const struct cpython_sample *s) {
    buffer_printf(out, "Process %d: Python %s (", (int) pid, cpython_version(c));
    put_clean(out, cpython_path(c));
    buffer_append_text(out, ")\n");
    for (size_t i = 0; i < s->n_threads; i++)
        put_thread_text(out, pid, &s->threads[i]);
}

static bool any_torn(const struct cpython_sample *s) {
    for (size_t i = 0; i < s->n_threads; i++)
        if (s->threads[i].torn)
            return true;
    return false;
}

static int dump(const struct dump_settings *settings, pid_t pid) {
    struct error e = ERROR_NONE;
    struct cpython_sample s;
    struct cpython *c;
    struct buffer out;

    if (cpython_open(pid, &c, &e) < 0)
        return process_open_failed("dump", &e);
    cpython_sample_init(&s);
    cpython_want(c, CPYTHON_THREAD_NAMES | CPYTHON_GIL_WAIT);
    buffer_init(&out, DUMP_BYTES_MAX);
    int r = cpython_sample(c, &s);
    for (unsigned i = 1; i < ATTEMPTS && r == 0 && any_torn(&s); i++)
        r = cpython_sample(c, &s);
    if (r == 0 && settings->json)
        put_json(&out, pid, c, &s);
    else if (r == 0)
        put_text(&out, pid, c, &s);
    if (r == 0)
        r = out.failed;
    if (r < 0)
        fprintf(stderr, "varan dump: %s\n", r == -ESRCH ? "the process has ended" : error_name(r));
    else if (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)
        r = -EIO;
    buffer_done(&out);
    cpython_sample_done(&s);
    cpython_close(c);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct dump_settings settings = {0};
    struct options_result result;
    struct error e = ERROR_NONE;
    pid_t pid;

    int r = options_begin(table, &usage, argc, argv, arena, &settings, &result);
    if (r >= 0)
        return r;
    if (result.rest + 1 != argc) {
        fprintf(stderr, "varan dump: give one process id, as in: varan dump 1234\n");
        return EXIT_USAGE;
    }
    if (process_id_parse(argv[result.rest], &pid, &e) < 0) {
        fprintf(stderr, "varan dump: %s\n", e.text);
        return EXIT_USAGE;
    }
    return dump(&settings, pid);
}

int cmd_dump(int argc, char **argv) {
    static const char *const flags[] = {"json", "no-json", "help", NULL};

    return run_options_first(argc, argv, flags, run);
}
