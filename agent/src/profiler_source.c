/* See profiler_source.h. */
#include "profiler_source.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler_rows.h"
#include "signal/profile_kind.h"

#define FILE_BYTES_MAX (4 << 20)
#define FUNCTIONS_A_WINDOW_MAX 20u
#define AGAIN_NS (3600 * NS_PER_S)
#define MINUTE_NS (60 * NS_PER_S)

struct profiler_sources {
    int64_t since_ns;
    int64_t began_ns, filled_ns; /* monotonic: of `sent`, of `allowance` */
    uint64_t allowance;          /* bytes that may be sent now */
    struct map sent;             /* file, name, first line → the last line that was sent */
    struct arena texts;          /* of the last window */
};

int sources_new(int64_t since_ns, struct profiler_sources **ret) {
    struct profiler_sources *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->since_ns = since_ns;
    s->began_ns = s->filled_ns = clock_monotonic_ns();
    s->allowance = SOURCE_BYTES_A_MINUTE;
    map_init(&s->sent, SOURCE_FUNCTIONS_MAX, (size_t) SOURCE_FUNCTIONS_MAX * 2 * PATH_MAX);
    arena_init(&s->texts, (size_t) FUNCTIONS_A_WINDOW_MAX * 2 * SOURCE_FUNCTION_BYTES_MAX);
    *ret = s;
    return 0;
}

void sources_free(struct profiler_sources *s) {
    if (!s)
        return;
    map_done(&s->sent);
    arena_done(&s->texts);
    free(s);
}

/* ---- The lines of a function ---- */

/* Without its indentation, whose width is returned. */
static size_t indentation(struct slice *line) {
    size_t n = 0;

    while (n < line->size && (line->data[n] == ' ' || line->data[n] == '\t'))
        n++;
    *line = slice_skip(*line, n);
    return n;
}

static bool is_word(uint8_t c) {
    return c == '_' || c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Whether a line (without its indentation) begins the definition of that name. */
static bool defines(struct slice line, struct slice name) {
    static const char *const words[] = {"def ", "async def ", "class "};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (!slice_starts(line, slice_from(words[i])))
            continue;
        struct slice rest = slice_skip(line, strlen(words[i]));
        indentation(&rest);
        return slice_starts(rest, name) &&
               (rest.size == name.size || !is_word(rest.data[name.size]));
    }
    return false;
}

static struct slice bare_name(struct slice name) {
    for (size_t i = name.size; i > 0; i--)
        if (name.data[i - 1] == '.')
            return slice_skip(name, i);
    return name;
}

static bool is_blank(struct slice line) {
    return line.size == 0 || line.data[0] == '\r';
}

struct slice source_block(struct slice file, struct slice name, int first, int last,
                          int *ret_last) {
    struct slice bare = bare_name(name), rest = file;
    /* A lambda, a comprehension, a module: nothing names them in the text. */
    bool defined = bare.size == 0 || bare.data[0] == '<';
    size_t base = 0, end = 0;

    for (int i = 1; i < first && rest.size; i++)
        slice_cut(&rest, '\n');
    struct slice begin = rest;
    *ret_last = 0;
    for (int line = first; rest.size && line - first < SOURCE_FUNCTION_LINES_MAX; line++) {
        struct slice text = slice_cut(&rest, '\n');
        size_t indent = indentation(&text);
        if (line == first)
            base = indent;
        bool goes_on = line == first || line <= last || !defined || indent > base ||
                       (text.size && strchr(")]}", text.data[0]));
        if (!is_blank(text) && !goes_on)
            break;
        if (begin.size - rest.size > SOURCE_FUNCTION_BYTES_MAX)
            break;
        defined = defined || (indent == base && defines(text, bare));
        if (!is_blank(text)) {
            end = (size_t) (text.data + text.size - begin.data);
            *ret_last = line;
        }
    }
    return defined ? slice_take(begin, end) : SLICE_EMPTY;
}

/* ---- Files ---- */

/* The file's bytes (malloc'd), data NULL when it is not what the process began with. */
static struct slice read_file(const struct profiler_sources *s, struct slice path) {
    char name[PATH_MAX];
    struct stat st;

    if (path.size >= sizeof(name) || memchr(path.data, 0, path.size))
        return SLICE_EMPTY;
    memcpy(name, path.data, path.size);
    name[path.size] = '\0';
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return SLICE_EMPTY;
    struct slice bytes = SLICE_EMPTY;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_BYTES_MAX &&
        st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec <= s->since_ns) {
        uint8_t *data = malloc((size_t) st.st_size + 1);
        ssize_t n = data ? read(fd, data, (size_t) st.st_size) : -1;
        if (n > 0)
            bytes = slice_new(data, (size_t) n);
        else
            free(data);
    }
    close(fd);
    return bytes;
}

/* ---- Which functions ---- */

struct candidate {
    uint32_t function;
    int last; /* line */
    uint64_t cost;
};

static int by_cost(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;

    return x->cost < y->cost ? 1 : x->cost > y->cost ? -1 : (x->function > y->function) * 2 - 1;
}

/* What was spent in each function and below it. A node's parent stands before it. */
static struct candidate *weigh(const struct profiler_window *w) {
    struct candidate *found = calloc(w->functions.n + 1, sizeof(*found));
    uint64_t *nodes = calloc(w->nodes.n + 1, sizeof(*nodes));

    if (found && nodes) {
        for (uint32_t i = 0; i < w->functions.n; i++)
            found[i].function = i;
        vector_each(&w->rows, r) for (int c = 0; c < COSTS; c++) nodes[r->node] += r->costs[c];
        for (size_t i = w->nodes.n; i-- > 1;) {
            const struct node *n = &w->nodes.items[i];
            nodes[n->parent] += nodes[i];
            found[w->frames.items[n->frame].function].cost += nodes[i];
        }
        vector_each(&w->frames, f) if (f->line > found[f->function].last) found[f->function].last =
                f->line;
        qsort(found, w->functions.n, sizeof(*found), by_cost);
    } else {
        free(found);
        found = NULL;
    }
    free(nodes);
    return found;
}

/* The last line of it that was sent, under which the next one is noted; NULL when there are too
 * many functions. */
static struct map_entry *memory_of(struct profiler_sources *s, struct slice file, struct slice name,
                                   int first) {
    uint8_t key[2 * PATH_MAX];

    if (file.size + name.size + sizeof(first) + 1 > sizeof(key))
        return NULL;
    memcpy(key, file.data, file.size);
    key[file.size] = 0;
    memcpy(key + file.size + 1, name.data, name.size);
    memcpy(key + file.size + 1 + name.size, &first, sizeof(first));
    return map_put(&s->sent, slice_new(key, file.size + 1 + name.size + sizeof(first)), NULL);
}

/* 1: read a file; 0: nothing to do; -ENOBUFS: no more now. */
static int give_text(struct profiler_sources *s, struct profiler_window *w,
                     const struct candidate *c) {
    struct function *f = &w->functions.items[c->function];
    struct slice file = w->strings.items[f->file], name = w->strings.items[f->name];
    int last = 0;

    if (c->cost == 0 || f->first_line < 1 || file.size == 0 || file.data[0] == '<' ||
        profile_kind_of(file) != PROFILE_APP)
        return 0;
    struct map_entry *e = memory_of(s, file, name, f->first_line);
    if (!e || (e->number && e->number >= (uint64_t) c->last))
        return 0;
    struct slice whole = read_file(s, file);
    struct slice text =
            whole.data ? source_block(whole, name, f->first_line, c->last, &last) : SLICE_EMPTY;
    bool fits = text.size <= s->allowance;
    if (fits) {
        /* What could not be read now is not tried with each window. */
        e->number = text.size && last >= c->last ? (uint64_t) last : UINT64_MAX;
        f->text = text.size ? arena_dup(&s->texts, text) : SLICE_EMPTY;
        s->allowance -= text.size;
    }
    free((void *) whole.data);
    return fits ? 1 : -ENOBUFS;
}

void sources_choose(struct profiler_sources *s, struct profiler_window *w) {
    int64_t now = clock_monotonic_ns();
    unsigned n = 0;

    arena_clear(&s->texts);
    if (now - s->began_ns > AGAIN_NS) {
        map_clear(&s->sent);
        s->began_ns = now;
    }
    s->allowance += (uint64_t) (now - s->filled_ns) * SOURCE_BYTES_A_MINUTE / MINUTE_NS;
    if (s->allowance > SOURCE_BYTES_A_MINUTE)
        s->allowance = SOURCE_BYTES_A_MINUTE;
    s->filled_ns = now;
    struct candidate *found = weigh(w);
    for (size_t i = 0; found && i < w->functions.n && n < FUNCTIONS_A_WINDOW_MAX; i++) {
        int r = give_text(s, w, &found[i]);
        if (r < 0)
            break;
        n += (unsigned) r;
    }
    free(found);
}
