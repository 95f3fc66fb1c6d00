/* The tables of `varan top`. The target's texts are cleaned of control characters. */
#include "cli/command.h"
#include "cli/top.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#define HEAD_LINES 3u
#define PROCESSES_DEPTH_MAX 16u
#define NAME_COLUMNS_MIN 16u /* less of a function's name says nothing: then its file goes */
/* Narrower screens leave out columns, so that names can be read. */
#define COLUMNS_FOR_TIMES 84u
#define COLUMNS_FOR_GIL 60u
#define COLUMNS_FOR_IDS 70u
#define COLUMNS_FOR_KEYS 112u

static const char *const view_names[] = {"functions", "lines", "threads", "processes", "flame"};

size_t top_put_text(struct buffer *out, const char *text, size_t most) {
    size_t columns = 0;

    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;
        if ((c & 0xc0) != 0x80 && columns++ == most)
            return most;
        buffer_append_u8(out, c < 0x20 || c == 0x7f ? '?' : c);
    }
    return columns;
}

/* ---- Names that fit ---- */

static size_t columns_of(const char *text) {
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char) *text & 0xc0) != 0x80;
    return n;
}

/* Where the column that follows `n` others begins. */
static const char *skip_columns(const char *text, size_t n) {
    for (; *text; text++)
        if (((unsigned char) *text & 0xc0) != 0x80 && n-- == 0)
            break;
    return text;
}

/* What tells a file from others: its path in the packages, else its last folder and its name. */
static const char *short_path(const char *path) {
    static const char packages[] = "-packages/";
    const char *inside = strstr(path, packages), *end = path + strlen(path), *at = end;

    if (inside)
        return inside + strlen(packages);
    for (int parts = 0; at > path; at--)
        if (at[-1] == '/' && ++parts == 2)
            return at;
    return path;
}

/* "function (file:line)" in `room` columns: the path is shortened first, then the name loses its
 * middle, so that both say something. */
static void write_place(char *ret, size_t size, const struct profile_function *f, int line,
                        size_t room) {
    char place[1024] = "", number[16] = "";
    size_t name = columns_of(f->name);

    if (line)
        snprintf(number, sizeof(number), ":%d", line);
    snprintf(place, sizeof(place), " (%s%s)", f->file, number);
    if (name + columns_of(place) > room)
        snprintf(place, sizeof(place), " (%s%s)", short_path(f->file), number);
    size_t left = room > columns_of(place) + NAME_COLUMNS_MIN ? room - columns_of(place) : room;
    if (name > left && left > 2) {
        size_t head = (left - 1) / 2, tail = left - 1 - head;
        snprintf(ret, size, "%.*s…%s%s", (int) (skip_columns(f->name, head) - f->name), f->name,
                 skip_columns(f->name, name - tail), left < room ? place : "");
    } else {
        snprintf(ret, size, "%s%s", f->name, place);
    }
}

static const char *line_end(const struct top *t) {
    return t->terminal ? "\033[K\r\n" : "\n";
}

static double share(uint64_t part, uint64_t walks) {
    return walks ? 100.0 * (double) part / (double) walks : 0;
}

/* ---- The head ---- */

static void put_facts(const struct top *t, struct buffer *out, size_t columns) {
    const struct profile_stats *s = &t->profile.stats, *b = &t->before;
    uint64_t gil = 0, active = 0, waits = 0;
    char about[256], text[512];
    size_t alive = 0;

    vector_each(&t->threads, row) {
        struct top_tally tally = top_tally(t, row);
        gil += tally.gil;
        active += tally.active;
        waits += tally.gil_wait;
        alive += row->seen;
    }
    sampler_describe(t->sampler, about, sizeof(about));
    snprintf(text, sizeof(text),
             "%s  %zu process%s  %zu threads: %.1f active, %.1f wait for the GIL  GIL %.0f%%",
             about[0] ? about : "ended", sampler_processes(t->sampler),
             sampler_processes(t->sampler) == 1 ? "" : "es", alive,
             share(active, top_walks(t)) / 100, share(waits, top_walks(t)) / 100,
             share(gil, top_walks(t)));
    top_put_text(out, text, columns);
    buffer_append_text(out, line_end(t));
    snprintf(text, sizeof(text), "%llu samples (%llu torn, %llu late, %llu missed)%s",
             (unsigned long long) (s->samples - b->samples),
             (unsigned long long) (s->torn - b->torn), (unsigned long long) (s->late - b->late),
             (unsigned long long) (s->missed - b->missed), t->paused ? "  PAUSED" : "");
    size_t used = top_put_text(out, text, columns);
    if (t->only_pid && columns > used)
        used += top_put_text(out, t->only_id ? "  one thread only" : "  one process only",
                             columns - used);
    if (t->filter[0] && columns > used) {
        snprintf(text, sizeof(text), "  filter: %s", t->filter);
        top_put_text(out, text, columns - used);
    }
    buffer_append_text(out, line_end(t));
}

static void put_keys(const struct top *t, struct buffer *out, size_t columns) {
    char text[256];

    if (!t->terminal)
        return;
    if (t->typing)
        snprintf(text, sizeof(text), "filter: %s_   Enter keeps it, Escape takes it away",
                 t->filter);
    else
        snprintf(text, sizeof(text),
                 columns >= COLUMNS_FOR_KEYS
                         ? "[%s]  f functions  l lines  t threads  p processes  g flame   / filter"
                           "   1-5 sort   ? help   q quit"
                         : "[%s]  ? help  q quit  f l t p g views  / filter  1-5 sort",
                 view_names[t->view]);
    buffer_append_text(out, "\033[2m");
    top_put_text(out, text, columns);
    buffer_append_text(out, "\033[0m");
    buffer_append_text(out, line_end(t));
}

static void put_title(const struct top *t, struct buffer *out, const char *text, size_t columns) {
    buffer_append_text(out, t->terminal ? "\033[7m" : "");
    size_t used = top_put_text(out, text, columns);
    for (; t->terminal && used < columns; used++)
        buffer_append_u8(out, ' ');
    buffer_append_text(out, t->terminal ? "\033[0m\033[K\r\n" : "\n");
}

/* One row of a table, marked when the cursor stands on it. */
static void put_row(const struct top *t, struct buffer *out, size_t number, const char *text,
                    size_t columns) {
    bool marked = t->terminal && number == t->cursor;

    buffer_append_text(out, marked ? "\033[1;36m" : "");
    top_put_text(out, text, columns);
    buffer_append_text(out, marked ? "\033[0m" : "");
    buffer_append_text(out, line_end(t));
}

/* Keeps the cursor among `n` rows and in sight. */
static void keep_cursor(struct top *t, size_t n, size_t lines) {
    t->shown = n;
    if (t->cursor >= n)
        t->cursor = n ? n - 1 : 0;
    if (t->cursor < t->first)
        t->first = t->cursor;
    if (lines && t->cursor >= t->first + lines)
        t->first = t->cursor - lines + 1;
}

/* ---- Functions and lines ---- */

static int put_functions(struct top *t, struct buffer *out, size_t lines, size_t columns) {
    const struct profile *p = &t->profile;
    bool by_line = t->view == VIEW_LINES;
    double period_s = (double) p->period_ns / 1e9;
    struct top_row *rows;
    char text[2048];
    size_t n;
    int r = top_rows(t, by_line, &rows, &n);

    if (r < 0)
        return r;
    keep_cursor(t, n, lines - 1);
    bool by_time = t->sort == SORT_OWN_TIME || t->sort == SORT_TOTAL_TIME,
         times = columns >= COLUMNS_FOR_TIMES || by_time, gil = columns >= COLUMNS_FOR_GIL;
    snprintf(text, sizeof(text), "   own%%  total%%%s%s  function (file:line)",
             gil ? "    GIL%" : "", times ? "       own     total" : "");
    put_title(t, out, text, columns);
    for (size_t i = t->first; i < n && i < t->first + lines - 1; i++) {
        const struct profile_frame *frame = by_line ? &p->frames.items[rows[i].id] : NULL;
        const struct profile_function *f =
                &p->functions.items[frame ? frame->function : rows[i].id];
        int line = frame ? frame->line : f->first_line;
        size_t used = (size_t) snprintf(text, sizeof(text), "%6.1f%% %6.1f%%",
                                        share(rows[i].own, top_walks(t)),
                                        share(rows[i].total, top_walks(t)));
        if (gil)
            used += (size_t) snprintf(text + used, sizeof(text) - used, " %6.1f%%",
                                      share(rows[i].gil, top_walks(t)));
        if (times)
            used += (size_t) snprintf(text + used, sizeof(text) - used, " %8.2fs %8.2fs",
                                      (double) rows[i].all_own * period_s,
                                      (double) rows[i].all_total * period_s);
        used += (size_t) snprintf(text + used, sizeof(text) - used, "  ");
        write_place(text + used, sizeof(text) - used, f, line, columns > used ? columns - used : 0);
        put_row(t, out, i, text, columns);
    }
    free(rows);
    return 0;
}

/* ---- Threads ---- */

static int compare_threads(const void *a, const void *b, void *ctx) {
    const struct top *t = ctx;
    const struct top_thread *x = *(const struct top_thread *const *) a,
                            *y = *(const struct top_thread *const *) b;
    uint64_t vx = t->sort == SORT_GIL ? top_tally(t, x).gil : top_tally(t, x).active,
             vy = t->sort == SORT_GIL ? top_tally(t, y).gil : top_tally(t, y).active;

    if (t->sort == SORT_OWN_TIME || t->sort == SORT_TOTAL_TIME) {
        vx = x->all_active;
        vy = y->all_active;
    }
    if (vx != vy)
        return vx < vy ? 1 : -1;
    return x->native_id < y->native_id ? -1 : x->native_id > y->native_id;
}

static int put_threads(struct top *t, struct buffer *out, size_t lines, size_t columns) {
    struct top_thread **rows = calloc(t->threads.n + 1, sizeof(struct top_thread *));
    char text[1024];
    size_t n = 0;

    if (!rows)
        return -ENOMEM;
    vector_each(&t->threads, row) {
        if (row->seen && (!t->only_pid || row->pid == t->only_pid) && top_matches(t, row->name))
            rows[n++] = row;
    }
    qsort_r(rows, n, sizeof(struct top_thread *), compare_threads, t);
    keep_cursor(t, n, lines - 1);
    t->marked_thread = n ? rows[t->cursor]->thread_id : 0;
    t->marked_pid = n ? rows[t->cursor]->pid : 0;
    bool ids = columns >= COLUMNS_FOR_IDS;
    put_title(t, out,
              ids ? "active%    GIL%   wait%    active     PID  thread  name: now in"
                  : "active%    GIL%   wait%  name: now in",
              columns);
    for (size_t i = t->first; i < n && i < t->first + lines - 1; i++) {
        const struct top_thread *row = rows[i];
        struct top_tally tally = top_tally(t, row);
        const struct profile_function *f =
                row->function ? &t->profile.functions.items[row->function - 1] : NULL;
        char about[64] = "";
        if (ids)
            snprintf(about, sizeof(about), " %8.2fs %7d %7d",
                     (double) row->all_active * (double) t->profile.period_ns / 1e9, (int) row->pid,
                     (int) row->native_id);
        snprintf(text, sizeof(text), "%6.1f%% %6.1f%% %6.1f%%%s  %s%s%s",
                 share(tally.active, tally.walks), share(tally.gil, tally.walks),
                 share(tally.gil_wait, tally.walks), about, row->name, f ? ": " : "",
                 f ? f->name : "");
        put_row(t, out, i, text, columns);
    }
    free(rows);
    return 0;
}

/* ---- Processes ---- */

struct process_row {
    pid_t pid, parent;
    uint64_t active, gil, walks;
    size_t threads;
    unsigned depth;
    bool placed;
};

typedef VECTOR(struct process_row) processes_vector;

static ssize_t read_file(pid_t pid, const char *name, char *to, size_t room) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, to, room - 1);
    close(fd);
    to[n > 0 ? n : 0] = 0;
    return n;
}

static pid_t parent_of(pid_t pid) {
    char text[512];
    int parent = 0;
    const char *end = read_file(pid, "stat", text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;

    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

static void command_of(pid_t pid, char *ret, size_t room) {
    ssize_t n = read_file(pid, "cmdline", ret, room);

    for (ssize_t i = 0; i + 1 < n; i++)
        if (!ret[i])
            ret[i] = ' ';
    if (n <= 0)
        snprintf(ret, room, "(ended)");
}

static int find_processes(const struct top *t, processes_vector *ret) {
    vector_each(&t->threads, thread) {
        struct process_row *row = NULL;
        if (!thread->seen)
            continue;
        vector_each(ret, p) row = p->pid == thread->pid ? p : row;
        if (!row) {
            struct process_row fresh = {.pid = thread->pid, .parent = parent_of(thread->pid)};
            if (vector_push(ret, fresh, SAMPLER_PROCESSES_MAX) < 0)
                return -ENOMEM;
            row = &ret->items[ret->n - 1];
        }
        struct top_tally tally = top_tally(t, thread);
        row->threads++;
        row->active += tally.active;
        row->gil += tally.gil;
        row->walks = tally.walks > row->walks ? tally.walks : row->walks;
    }
    return 0;
}

/* Puts a process and those below it in order. */
static int place(processes_vector *from, struct process_row *row, unsigned depth,
                 processes_vector *to) {
    row->placed = true;
    row->depth = depth;
    int r = vector_push(to, *row, SAMPLER_PROCESSES_MAX);
    for (size_t i = 0; r == 0 && depth < PROCESSES_DEPTH_MAX && i < from->n; i++)
        if (!from->items[i].placed && from->items[i].parent == row->pid)
            r = place(from, &from->items[i], depth + 1, to);
    return r;
}

static int order_processes(const struct top *t, processes_vector *found,
                           processes_vector *ordered) {
    int r = 0;

    vector_each(found, row) {
        if (r == 0 && row->pid == t->pid)
            r = place(found, row, 0, ordered);
    }
    vector_each(found, row) { /* whose parents are no Python */
        bool below = false;
        vector_each(found, other) below |= other->pid == row->parent;
        if (r == 0 && !row->placed && !below)
            r = place(found, row, 1, ordered);
    }
    return r;
}

static int put_processes(struct top *t, struct buffer *out, size_t lines, size_t columns) {
    processes_vector found = {0}, ordered = {0};
    char text[1024], command[512];
    int r = find_processes(t, &found);

    if (r == 0)
        r = order_processes(t, &found, &ordered);
    keep_cursor(t, ordered.n, lines - 1);
    t->marked_pid = ordered.n ? ordered.items[t->cursor].pid : 0;
    put_title(t, out, "active    GIL%  threads     PID  command", columns);
    for (size_t i = t->first; r == 0 && i < ordered.n && i < t->first + lines - 1; i++) {
        const struct process_row *row = &ordered.items[i];
        command_of(row->pid, command, sizeof(command));
        snprintf(text, sizeof(text), "%6.2f %6.1f%% %8zu %7d  %*s%s%s",
                 share(row->active, row->walks) / 100, share(row->gil, row->walks), row->threads,
                 (int) row->pid, 2 * (int) row->depth, "", row->depth ? "└ " : "", command);
        put_row(t, out, i, text, columns);
    }
    vector_done(&found);
    vector_done(&ordered);
    return r;
}

/* ---- The screen ---- */

static void put_help(const struct top *t, struct buffer *out, size_t lines, size_t columns) {
    struct slice rest = slice_from(top_help);
    char line[256];

    for (size_t i = 0; i < lines && rest.size; i++) {
        struct slice next = slice_cut(&rest, '\n');
        snprintf(line, sizeof(line), "%.*s", SLICE_ARG(next));
        top_put_text(out, line, columns);
        buffer_append_text(out, line_end(t));
    }
}

int top_draw(struct top *t, struct buffer *out, size_t lines, size_t columns) {
    size_t left = lines > HEAD_LINES + 2 ? lines - HEAD_LINES - 1 : 2;
    int r = 0;

    buffer_append_text(out, t->terminal ? "\033[H" : "");
    put_facts(t, out, columns);
    put_keys(t, out, columns);
    if (t->help)
        put_help(t, out, left, columns);
    else if (t->view == VIEW_FLAME)
        r = top_draw_flame(t, out, left, columns);
    else if (t->view == VIEW_THREADS)
        r = put_threads(t, out, left, columns);
    else if (t->view == VIEW_PROCESSES)
        r = put_processes(t, out, left, columns);
    else
        r = put_functions(t, out, left, columns);
    buffer_append_text(out, t->terminal ? "\033[J" : "\n");
    return r < 0 ? r : out->failed;
}
