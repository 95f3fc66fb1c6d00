/* `varan top PID`: where a Python program spends its time, live. Single-threaded; the
 * terminal's settings are put back at the end, and on SIGINT and SIGTERM. */
#include "cli/top.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_process.h"
#include "cli/query.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN_BYTES_MAX ((size_t) 1 << 20)
#define ROWS_PLAIN 24u /* when standard output is no terminal */

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
        {"view", NULL, NULL, OPTION_TEXT, AT(view), "functions", "VIEW",
         "What to show first: functions, lines, threads, processes or flame."},
        {"filter", NULL, NULL, OPTION_TEXT, AT(filter), NULL, "TEXT",
         "Only functions, files or threads with this in their name."},
};

static const struct usage usage = {
        "varan top [OPTION]... PID",
        "Shows where a running Python program (CPython 3.8 to 3.14) spends its time, without "
        "pausing it. 100 % is one thread that always runs.",
        "Keys: f functions, l lines, t threads, p processes, g flame graph; 1 own %, 2 total %, 3 "
        "own "
        "time, 4 total time, 5 GIL %: sort; / filter; Enter narrows to a thread or process, or "
        "zooms "
        "the flame graph; Escape back; space holds the screen; r starts over; ? help; q quit.\n",
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = 1;
}

static int draw(struct top *t) {
    struct winsize size = {.ws_row = ROWS_PLAIN, .ws_col = 160}, terminal;
    struct buffer out;

    if (t->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal) == 0 && terminal.ws_row &&
        terminal.ws_col)
        size = terminal;
    buffer_init(&out, SCREEN_BYTES_MAX);
    int r = top_draw(t, &out, size.ws_row, size.ws_col);
    fwrite(out.data, 1, out.size, stdout);
    if (fflush(stdout) != 0 && r == 0)
        r = -EIO;
    buffer_done(&out);
    return r;
}

/* One wait and one walk: false when the processes have ended. */
static bool step(struct top *t) {
    if (sampler_wait(t->sampler, clock_monotonic_ns(), NS_PER_S / 10, &t->profile.stats) < 0)
        return true;
    t->walks++;
    return sampler_tick(t->sampler, &t->profile.stats, top_count, t) != -ESRCH;
}

static int loop(struct top *t) {
    int64_t begun = clock_monotonic_ns();
    uint64_t tables = 0;

    while (!interrupted && !t->quit) {
        bool alive = step(t), due = clock_monotonic_ns() - begun >= t->settings->interval_ns;
        bool keys = top_take_keys(t);
        if (!keys && !due && alive)
            continue;
        int r = t->quit || (t->paused && !keys) ? 0 : draw(t);
        if (r == 0 && (due || !alive) && !t->paused) {
            r = top_next(t);
            begun = clock_monotonic_ns();
        }
        if (r < 0)
            return r;
        if (!alive)
            return -ESRCH;
        if (t->settings->count && due && ++tables >= t->settings->count)
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

static int top(const struct top_settings *settings, enum top_view view, pid_t pid) {
    /* threads that wait are looked at in any case: the threads' table shows them */
    const struct sampler_options options = {.rate = (unsigned) settings->rate,
                                            .include_idle = true,
                                            .gil_wait = true,
                                            .subprocesses = settings->subprocesses};
    struct top t = {.settings = settings, .pid = pid, .sort = SORT_OWN, .view = view};
    struct error e = ERROR_NONE;
    int status = EXIT_FAILED;

    snprintf(t.filter, sizeof(t.filter), "%s", settings->filter ? settings->filter : "");
    if (top_data_init(&t) == 0 && sampler_new(&options, &t.sampler) == 0)
        status = sampler_add(t.sampler, pid, &e) < 0 ? process_open_failed("top", &e) : show(&t);
    sampler_free(t.sampler);
    top_data_done(&t);
    return status;
}

static int choose_view(const struct top_settings *settings, enum top_view *ret, struct error *e) {
    static const char *const names[] = {"functions", "lines", "threads", "processes", "flame"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(settings->view, names[i]) != 0)
            continue;
        *ret = i == VIEW_FUNCTIONS && settings->lines ? VIEW_LINES : (enum top_view) i;
        return 0;
    }
    return error_set(e, -EINVAL, "--view is functions, lines, threads, processes or flame");
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct top_settings settings = {0};
    struct options_result result;
    struct error e = ERROR_NONE;
    enum top_view view = VIEW_FUNCTIONS;
    pid_t pid = 0;

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
        choose_view(&settings, &view, &e);
    if (e.code == 0)
        process_id_parse(argv[result.rest], &pid, &e);
    if (e.code < 0) {
        fprintf(stderr, "varan top: %s\n", e.text);
        return EXIT_USAGE;
    }
    return top(&settings, view, pid);
}

int cmd_top(int argc, char **argv) {
    static const char *const flags[] = {
            "lines",   "no-lines",     "gil",  "no-gil",          "idle",
            "no-idle", "subprocesses", "help", "no-subprocesses", NULL};

    return run_options_first(argc, argv, flags, run);
}
