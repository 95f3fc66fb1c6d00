/* Keys of `varan top`. */
#include "cli/top.h"

#include <poll.h>
#include <unistd.h>

#define KEYS_MAX 64u      /* bytes that are taken at once */
#define KEY_REST_MAX 16u  /* of these kept for the rest of a key */
#define ESCAPE_WAIT_MS 25 /* for the rest of a key: after it, Escape was pressed alone */

const char top_help[] = "\n"
                        "  f functions   l lines   t threads   p processes   g flame graph\n"
                        "\n"
                        "  1 own %   2 total %   3 own time   4 total time   5 GIL %: sort\n"
                        "  / filter by function, file or thread; Escape takes it away\n"
                        "  up, down, Page Up, Page Down (j, k): move\n"
                        "  Enter on a thread or process: only that; Escape: all again\n"
                        "  flame graph: arrows move, Enter zooms in, Escape zooms out\n"
                        "  space holds the screen   r starts over   q quits\n"
                        "\n"
                        "  own%: stacks that end in the function; total%: that hold it; GIL%: of "
                        "these, holding the\n"
                        "  interpreter's lock. 100 % is one thread that always runs.\n";

/* What is left of a key that begins with Escape: 'u', 'd', 'l', 'r', 'U', 'D', or 0 for Escape
 * itself and for keys that mean nothing here. */
static char take_escape(const char *keys, size_t n, size_t *at) {
    static const struct {
        const char *rest;
        char means;
    } known[] = {{"[A", 'u'}, {"[B", 'd'}, {"[C", 'r'}, {"[D", 'l'},  {"OA", 'u'},
                 {"OB", 'd'}, {"OC", 'r'}, {"OD", 'l'}, {"[5~", 'U'}, {"[6~", 'D'}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t size = strlen(known[i].rest);
        if (*at + size <= n && memcmp(keys + *at, known[i].rest, size) == 0) {
            *at += size;
            return known[i].means;
        }
    }
    if (*at < n && (keys[*at] == '[' || keys[*at] == 'O')) { /* another one: to its final letter */
        for (++*at; *at < n && (unsigned char) keys[*at] < 0x40;)
            ++*at;
        *at += *at < n;
        return 'x';
    }
    return 0;
}

static void type(struct top *t, char key) {
    size_t n = strlen(t->filter);

    if (key == '\r' || key == '\n') {
        t->typing = false;
    } else if (key == 127 || key == 8) {
        while (n && (t->filter[n - 1] & 0xc0) == 0x80)
            n--; /* the rest of a character of several bytes */
        t->filter[n ? n - 1 : 0] = 0;
    } else if ((unsigned char) key >= 0x20 && n + 1 < TOP_FILTER_MAX) {
        t->filter[n] = key;
        t->filter[n + 1] = 0;
    }
    t->cursor = t->first = 0;
}

static void move(struct top *t, char step) {
    size_t page = 20;

    if (t->view == VIEW_FLAME) {
        top_flame_move(t, step);
        return;
    }
    if (step == 'u' && t->cursor)
        t->cursor--;
    else if (step == 'd')
        t->cursor++;
    else if (step == 'U')
        t->cursor -= t->cursor < page ? t->cursor : page;
    else if (step == 'D')
        t->cursor += page;
}

/* Enter: narrows to what is marked. */
static void narrow(struct top *t) {
    if (t->view == VIEW_FLAME) {
        t->zoom = t->n_path;
    } else if (t->view == VIEW_THREADS && t->marked_pid) {
        t->only_pid = t->marked_pid;
        t->only_id = t->marked_thread;
        t->view = VIEW_FUNCTIONS;
    } else if (t->view == VIEW_PROCESSES && t->marked_pid) {
        t->only_pid = t->marked_pid;
        t->view = VIEW_THREADS;
    }
    t->cursor = t->first = 0;
}

/* Escape: the last narrowing goes first. */
static void widen(struct top *t) {
    if (t->help)
        t->help = false;
    else if (t->view == VIEW_FLAME && t->zoom)
        t->zoom--;
    else if (t->filter[0])
        t->filter[0] = 0;
    else if (t->only_id)
        t->only_id = 0;
    else
        t->only_pid = 0;
}

static void escape(struct top *t) {
    if (t->typing) {
        t->typing = false;
        t->filter[0] = 0;
    } else {
        widen(t);
    }
}

static void change_view(struct top *t, enum top_view view) {
    t->view = view;
    t->help = false;
    t->cursor = t->first = 0;
}

static void take_key(struct top *t, char key) {
    static const char views[] = "fltpg"; /* in the order of enum top_view */
    const char *view = strchr(views, key);

    if (key && view)
        change_view(t, (enum top_view)(view - views));
    else if (key == 'q' || key == 3 || key == 4)
        t->quit = true;
    else if (key >= '1' && key <= '5')
        t->sort = (enum top_sort)(key - '0');
    else if (key == '/')
        t->typing = true;
    else if (key == '?' || key == 'h')
        t->help = !t->help;
    else if (key == ' ')
        t->paused = !t->paused;
    else if (key == 'j' || key == 'k')
        move(t, key == 'j' ? 'd' : 'u');
    else if (key == '\r' || key == '\n')
        narrow(t);
    else if (key == 'r' && top_start_over(t) < 0)
        t->quit = true;
}

/* Whether a key that begins with Escape is not whole yet: a read ends anywhere. */
static bool ends_within_key(const char *keys, size_t n) {
    size_t at = n;

    while (at > 0 && keys[at - 1] != 27)
        at--;
    if (at == 0 || at == n)
        return at > 0;
    if (keys[at] != '[' && keys[at] != 'O')
        return false;
    for (at++; at < n; at++)
        if ((unsigned char) keys[at] >= 0x40)
            return false;
    return true;
}

static ssize_t read_keys(char keys[KEYS_MAX]) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n = read(STDIN_FILENO, keys, KEYS_MAX - KEY_REST_MAX);

    while (n > 0 && (size_t) n < KEYS_MAX && ends_within_key(keys, (size_t) n) &&
           poll(&p, 1, ESCAPE_WAIT_MS) == 1) {
        ssize_t more = read(STDIN_FILENO, keys + n, 1);
        if (more <= 0)
            break; /* the next read tells why */
        n += more;
    }
    return n;
}

bool top_take_keys(struct top *t) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char keys[KEYS_MAX];

    if (!t->terminal || poll(&p, 1, 0) != 1)
        return false;
    ssize_t n = read_keys(keys);
    if (n <= 0) {
        t->quit = true; /* the terminal is gone */
        return true;
    }
    for (size_t at = 0; at < (size_t) n && !t->quit;) {
        char key = keys[at++];
        if (key == 27) {
            char step = take_escape(keys, (size_t) n, &at);
            if (step && !t->typing)
                move(t, step);
            else if (!step)
                escape(t);
        } else if (t->typing) {
            type(t, key);
        } else {
            take_key(t, key);
        }
    }
    return true;
}
