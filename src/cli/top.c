/* `varan top PID`: a live table of where a Python program spends its time. Single-threaded; the
 * terminal's settings are put back at the end, and on SIGINT and SIGTERM. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_process.h"
#include "cli/query.h"
#include "profile/sampler.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN_BYTES_MAX ((size_t) 1 << 20)
#define HEAD_LINES 5u
#define ROWS_PLAIN 20u /* when standard output is no terminal */

struct top_settings {
    uint64_t rate, count;
    int64_t interval_ns;
    bool gil, idle, subprocesses, lines;
};

#define AT(field) offsetof(struct top_settings, field)

static const struct option_def rows[] = {
        {"rate", NULL, NULL, OPTION_NUMBER, AT(rate), "100", "HZ", "Samples a second, 1 to 10000."},
        {"interval", NULL, NULL, OPTION_DURATION, AT(interval_ns), "1s", "TIME",
         "Draw the table this often."},
        {"count", NULL, NULL, OPTION_NUMBER, AT(count), "0", "N",
         "End after so many tables; 0: with q or Ctrl-C."},
        {"lines", NULL, NULL, OPTION_FLAG, AT(lines), "false", NULL,
         "Tell the lines of a function apart."},
        {"gil", NULL, NULL, OPTION_FLAG, AT(gil), "false", NULL,
         "Only threads that hold the interpreter's lock."},
        {"idle", NULL, NULL, OPTION_FLAG, AT(idle), "false", NULL, "Threads that wait, too."},
        {"subprocesses", NULL, NULL, OPTION_FLAG, AT(subprocesses), "false", NULL,
         "Child processes, too."},
};

static const struct usage usage = {
        "varan top [OPTION]... PID",
        "Shows where a running Python program (CPython 3.8 to 3.14) spends its time, without "
        "pausing it. 100 % is one thread that always runs.",
        "Keys: 1 own %, 2 total %, 3 own time, 4 total time: sort; l lines or functions; r start "
        "over; q quit.\n",
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = 1;
}

enum sort { SORT_OWN = 1, SORT_TOTAL, SORT_OWN_TIME, SORT_TOTAL_TIME };

struct row {
    uint32_t id;
    uint64_t own, total;         /* in the last interval */
    uint64_t all_own, all_total; /* since the start */
};

struct top {
    const struct top_settings *settings;
    struct profile profile;
    struct profile_stats before;
    struct profile_total *totals; /* of the last table, by id */
    size_t n_totals;
    struct sampler *sampler;
    pid_t pid;
    uint64_t gil, gil_before;
    enum sort sort;
    bool lines, terminal, quit;
};

static void count_stack(void *ctx, pid_t pid, const struct cpython_thread *t) {
    struct top *top = ctx;

    top->gil += t->holds_gil;
    profile_add_stack(&top->profile, pid, t); /* what does not fit is counted as dropped */
}

static _Thread_local enum sort sort_by;

static uint64_t sort_value(const struct row *r) {
    return sort_by == SORT_OWN        ? r->own
           : sort_by == SORT_TOTAL    ? r->total
           : sort_by == SORT_OWN_TIME ? r->all_own
                                      : r->all_total;
}

static int compare_rows(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    uint64_t vx = sort_value(x), vy = sort_value(y);

    if (vx != vy)
        return vx < vy ? 1 : -1;
    if (x->all_total != y->all_total)
        return x->all_total < y->all_total ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The rows of the next table, and what the one after it will be compared with. */
static int take_rows(struct top *t, struct row **ret, size_t *ret_n) {
    struct profile_total *now;
    size_t n;
    int r = profile_totals(&t->profile, t->lines, &now, &n);

    if (r < 0)
        return r;
    struct row *all = calloc(n + 1, sizeof(*all));
    if (!all) {
        free(now);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t own = i < t->n_totals ? t->totals[i].own : 0,
                 total = i < t->n_totals ? t->totals[i].total : 0;
        all[i] = (struct row){now[i].id, now[i].own - own, now[i].total - total, now[i].own,
                              now[i].total};
    }
    sort_by = t->sort;
    qsort(all, n, sizeof(*all), compare_rows);
    free(t->totals);
    t->totals = now;
    t->n_totals = n;
    *ret = all;
    *ret_n = n;
    return 0;
}

static void put_clean(struct buffer *out, const char *text, size_t most) {
    for (size_t i = 0; text[i] && i < most; i++)
        buffer_append_u8(
                out, (unsigned char) text[i] < 0x20 || text[i] == 0x7f ? '?' : (uint8_t) text[i]);
}

static void put_row(const struct top *t, struct buffer *out, const struct row *r, double ticks,
                    size_t columns) {
    const struct profile *p = &t->profile;
    const struct profile_frame *frame = t->lines ? &p->frames.items[r->id] : NULL;
    const struct profile_function *f = &p->functions.items[frame ? frame->function : r->id];
    double period_s = (double) p->period_ns / 1e9;
    char text[1024];

    snprintf(text, sizeof(text), "%s (%s:%d)", f->name, f->file,
             frame ? frame->line : f->first_line);
    buffer_printf(out, "%6.1f%% %6.1f%% %8.2fs %8.2fs  ", 100.0 * (double) r->own / ticks,
                  100.0 * (double) r->total / ticks, (double) r->all_own * period_s,
                  (double) r->all_total * period_s);
    size_t used = 38;
    put_clean(out, text, columns > used ? columns - used : 20);
    buffer_append_text(out, t->terminal ? "\033[K\r\n" : "\n");
}

static void put_head(const struct top *t, struct buffer *out, double ticks) {
    const struct profile_stats *s = &t->profile.stats, *b = &t->before;
    const char *end = t->terminal ? "\033[K\r\n" : "\n";
    char about[256];

    sampler_describe(t->sampler, about, sizeof(about));
    buffer_printf(out, "%s; %zu processes, %zu threads seen%s", about[0] ? about : "ended",
                  sampler_processes(t->sampler), t->profile.threads.n, end);
    buffer_printf(
            out,
            "GIL %.0f%%, active threads %.1f, %llu samples (%llu torn, %llu late, %llu missed)%s",
            100.0 * (double) (t->gil - t->gil_before) / ticks,
            (double) (s->samples - b->samples) / ticks,
            (unsigned long long) (s->samples - b->samples),
            (unsigned long long) (s->torn - b->torn), (unsigned long long) (s->late - b->late),
            (unsigned long long) (s->missed - b->missed), end);
    if (t->terminal)
        buffer_printf(out,
                      "sort: 1 own %%  2 total %%  3 own time  4 total time (now %d)   l %s   r "
                      "start over   q quit\033[K\r\n",
                      (int) t->sort, t->lines ? "functions" : "lines");
    buffer_printf(out, "%s%s%s%s", end, t->terminal ? "\033[7m" : "",
                  "   own%  total%       own     total  function (file:line)",
                  t->terminal ? "\033[0m\033[K\r\n" : "\n");
}

static int draw(struct top *t) {
    struct winsize size = {.ws_row = ROWS_PLAIN + HEAD_LINES, .ws_col = 160};
    uint64_t walks =
            t->profile.stats.ticks - t->before.ticks - (t->profile.stats.missed - t->before.missed);
    double ticks = walks ? (double) walks : 1;
    struct buffer out;
    struct row *all;
    size_t n;

    struct winsize terminal;
    if (t->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal) == 0 && terminal.ws_row &&
        terminal.ws_col)
        size = terminal;
    int r = take_rows(t, &all, &n);
    if (r < 0)
        return r;
    buffer_init(&out, SCREEN_BYTES_MAX);
    buffer_append_text(&out, t->terminal ? "\033[H" : "");
    put_head(t, &out, ticks);
    for (size_t i = 0; i < n && i + HEAD_LINES + 1 < size.ws_row; i++)
        if (all[i].total || t->sort >= SORT_OWN_TIME)
            put_row(t, &out, &all[i], ticks, size.ws_col);
    buffer_append_text(&out, t->terminal ? "\033[J" : "\n");
    fwrite(out.data, 1, out.size, stdout);
    r = fflush(stdout) == 0 ? out.failed : -EIO;
    buffer_done(&out);
    free(all);
    t->before = t->profile.stats;
    t->gil_before = t->gil;
    return r;
}

/* Forgets what was counted; the schedule and the processes stay. */
static int start_over(struct top *t) {
    int64_t period_ns = t->profile.period_ns;

    profile_done(&t->profile);
    free(t->totals);
    t->totals = NULL;
    t->n_totals = 0;
    t->before = (struct profile_stats){0};
    t->gil = t->gil_before = 0;
    int r = profile_init(&t->profile);
    t->profile.period_ns = period_ns;
    return r;
}

/* Takes the keys that were pressed: true when the table must be drawn anew. */
static bool take_keys(struct top *t) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    bool changed = false;
    char key;

    while (t->terminal && poll(&p, 1, 0) == 1 && read(STDIN_FILENO, &key, 1) == 1) {
        changed = true;
        if (key == 'q' || key == 3 || key == 4)
            t->quit = true;
        else if (key >= '1' && key <= '4')
            t->sort = (enum sort)(key - '0');
        else if (key == 'l') {
            t->lines = !t->lines;
            free(t->totals); /* other ids: compare with nothing once */
            t->totals = NULL;
            t->n_totals = 0;
        } else if (key == 'r' && start_over(t) < 0)
            t->quit = true;
    }
    return changed;
}

static int loop(struct top *t) {
    int64_t drawn = clock_monotonic_ns();
    uint64_t tables = 0;

    while (!interrupted && !t->quit) {
        int waited = sampler_wait(t->sampler, NS_PER_S / 10, &t->profile.stats);
        bool alive =
                waited < 0 || sampler_tick(t->sampler, &t->profile.stats, count_stack, t) != -ESRCH;
        bool due = clock_monotonic_ns() - drawn >= t->settings->interval_ns;
        if (!take_keys(t) && !due && alive)
            continue;
        int r = t->quit ? 0 : draw(t);
        drawn = clock_monotonic_ns();
        if (r < 0)
            return r;
        if (!alive)
            return -ESRCH;
        if (t->settings->count && ++tables >= t->settings->count)
            break;
    }
    return 0;
}

static int show(struct top *t) {
    struct termios saved, raw;
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    t->terminal = isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &saved) == 0;
    if (t->terminal) {
        raw = saved;
        raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        fputs("\033[?1049h\033[?25l\033[2J", stdout);
    }
    int r = loop(t);
    if (t->terminal) {
        fputs("\033[?25h\033[?1049l", stdout);
        fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    }
    if (r == -ESRCH)
        fprintf(stderr, "varan top: process %d has ended\n", (int) t->pid);
    else if (r < 0)
        fprintf(stderr, "varan top: %s\n", error_name(r));
    return r < 0 && r != -ESRCH ? EXIT_FAILED : EXIT_OK;
}

static int top(const struct top_settings *settings, pid_t pid) {
    const struct sampler_options options = {.rate = (unsigned) settings->rate,
                                            .gil_only = settings->gil,
                                            .include_idle = settings->idle,
                                            .subprocesses = settings->subprocesses};
    struct top t = {.settings = settings, .pid = pid, .sort = SORT_OWN, .lines = settings->lines};
    struct error e = ERROR_NONE;
    int status = EXIT_FAILED;

    if (profile_init(&t.profile) == 0 && sampler_new(&options, &t.sampler) == 0) {
        t.profile.period_ns = NS_PER_S / (int64_t) settings->rate;
        status = sampler_add(t.sampler, pid, &e) < 0 ? process_open_failed("top", &e) : show(&t);
    }
    sampler_free(t.sampler);
    profile_done(&t.profile);
    free(t.totals);
    return status;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct top_settings settings = {0};
    struct options_result result;
    struct error e = ERROR_NONE;
    pid_t pid;

    int r = options_begin(table, &usage, argc, argv, arena, &settings, &result);
    if (r >= 0)
        return r;
    if (result.rest + 1 != argc)
        error_set(&e, -EINVAL, "give one process id, as in: varan top 1234");
    else if (settings.rate < 1 || settings.rate > SAMPLER_RATE_MAX)
        error_set(&e, -ERANGE, "--rate is 1 to %u", SAMPLER_RATE_MAX);
    else if (settings.interval_ns < NS_PER_S / 100)
        error_set(&e, -ERANGE, "--interval is at least 10ms");
    else
        process_id_parse(argv[result.rest], &pid, &e);
    if (e.code < 0) {
        fprintf(stderr, "varan top: %s\n", e.text);
        return EXIT_USAGE;
    }
    return top(&settings, pid);
}

int cmd_top(int argc, char **argv) {
    static const char *const flags[] = {
            "lines",   "no-lines",     "gil",  "no-gil",          "idle",
            "no-idle", "subprocesses", "help", "no-subprocesses", NULL};

    return run_options_first(argc, argv, flags, run);
}
