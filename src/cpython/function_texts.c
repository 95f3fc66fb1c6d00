/* See function_text.h: which texts are due, and reading files. */
#include "base/clock.h"
#include "base/map.h"
#include "cpython/function_text.h"
#include "signal/profile_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGAIN_NS (3600 * NS_PER_S)
#define MINUTE_NS (60 * NS_PER_S)

struct function_texts {
    function_file_open open;
    void *ctx;
    int64_t began_ns;
    int64_t cleared_ns, filled_ns; /* monotonic: of `sent`, of `allowance` */
    uint64_t allowance;            /* bytes that may be sent now */
    struct map sent;               /* file, name, first line → the last line that was sent */
    struct arena texts;            /* of the last choice */
};

static int open_own(void *ctx, const char *path) {
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int function_texts_new(int64_t began_ns, function_file_open open_file, void *ctx,
                       struct function_texts **ret) {
    struct function_texts *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->open = open_file ? open_file : open_own;
    t->ctx = ctx;
    t->began_ns = began_ns;
    t->cleared_ns = t->filled_ns = clock_monotonic_ns();
    t->allowance = FUNCTION_TEXTS_BYTES_A_MINUTE;
    map_init(&t->sent, FUNCTION_TEXTS_MAX, (size_t) FUNCTION_TEXTS_MAX * 2 * PATH_MAX);
    arena_init(&t->texts, (size_t) FUNCTION_TEXTS_AT_ONCE_MAX * 2 * FUNCTION_TEXT_BYTES_MAX);
    *ret = t;
    return 0;
}

void function_texts_free(struct function_texts *t) {
    if (!t)
        return;
    map_done(&t->sent);
    arena_done(&t->texts);
    free(t);
}

/* ---- Files ---- */

/* Whether the file is of a size that is read, and has not changed since. */
static bool is_suitable(const struct stat *st, int64_t since_ns) {
    return S_ISREG(st->st_mode) && st->st_size > 0 && st->st_size <= FUNCTION_FILE_BYTES_MAX &&
           st->st_mtim.tv_sec <= since_ns / NS_PER_S &&
           st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec <= since_ns;
}

struct slice function_file_read(int fd, int64_t unchanged_since_ns) {
    struct slice bytes = SLICE_EMPTY;
    struct stat st;

    if (fd < 0)
        return SLICE_EMPTY;
    if (fstat(fd, &st) == 0 && is_suitable(&st, unchanged_since_ns)) {
        uint8_t *data = malloc((size_t) st.st_size);
        ssize_t n = data ? read(fd, data, (size_t) st.st_size) : -1;
        if (n > 0)
            bytes = slice_new(data, (size_t) n);
        else
            free(data);
    }
    close(fd);
    return bytes;
}

/* The file's bytes (malloc'd), data NULL when they are none for us. */
static struct slice read_file(const struct function_texts *t, struct slice path) {
    char name[PATH_MAX];

    if (path.size >= sizeof(name) || memchr(path.data, 0, path.size))
        return SLICE_EMPTY;
    memcpy(name, path.data, path.size);
    name[path.size] = '\0';
    return function_file_read(t->open(t->ctx, name), t->began_ns);
}

/* ---- Which functions ---- */

static int by_cost(const void *a, const void *b) {
    const struct function_wish *x = a, *y = b;

    return x->cost < y->cost ? 1 : x->cost > y->cost ? -1 : (x->number > y->number) * 2 - 1;
}

/* Where it is noted up to which line the function was sent; NULL when there are too many. */
static struct map_entry *memory_of(struct function_texts *t, const struct function_place *p) {
    uint8_t key[2 * PATH_MAX];

    if (p->file.size + p->name.size + sizeof(p->first) + 1 > sizeof(key))
        return NULL;
    memcpy(key, p->file.data, p->file.size);
    key[p->file.size] = 0;
    if (p->name.size)
        memcpy(key + p->file.size + 1, p->name.data, p->name.size);
    memcpy(key + p->file.size + 1 + p->name.size, &p->first, sizeof(p->first));
    return map_put(&t->sent, slice_new(key, p->file.size + 1 + p->name.size + sizeof(p->first)),
                   NULL);
}

static bool is_wanted(const struct function_wish *w) {
    const struct function_place *p = &w->place;

    return w->cost && p->first >= 1 && p->file.size && p->file.data[0] != '<' &&
           profile_kind_of(p->file) == PROFILE_APP;
}

/* 1: read a file; 0: nothing to do; -ENOBUFS: no more now. */
static int give_text(struct function_texts *t, struct function_wish *w) {
    struct map_entry *e = is_wanted(w) ? memory_of(t, &w->place) : NULL;
    int last = 0;

    if (!e || (e->number && (int64_t) e->number >= w->place.seen))
        return 0;
    struct slice whole = read_file(t, w->place.file);
    struct slice text = whole.data ? function_text(whole, &w->place, &last) : SLICE_EMPTY;
    bool fits = text.size <= t->allowance;
    if (fits) {
        /* What could not be read now is not tried with each window. */
        e->number = text.size && last >= w->place.seen ? (uint64_t) last : INT64_MAX;
        w->text = text.size ? arena_dup(&t->texts, text) : SLICE_EMPTY;
        t->allowance -= text.size;
    }
    free((void *) whole.data);
    return fits ? 1 : -ENOBUFS;
}

void function_texts_choose(struct function_texts *t, struct function_wish *wishes, size_t n) {
    int64_t now = clock_monotonic_ns();
    unsigned files = 0;

    arena_clear(&t->texts);
    if (now - t->cleared_ns > AGAIN_NS) {
        map_clear(&t->sent);
        t->cleared_ns = now;
    }
    t->allowance +=
            (uint64_t) (now - t->filled_ns) * FUNCTION_TEXTS_BYTES_A_MINUTE / (uint64_t) MINUTE_NS;
    if (t->allowance > FUNCTION_TEXTS_BYTES_A_MINUTE)
        t->allowance = FUNCTION_TEXTS_BYTES_A_MINUTE;
    t->filled_ns = now;
    for (size_t i = 0; i < n; i++)
        wishes[i].text = SLICE_EMPTY;
    if (n)
        qsort(wishes, n, sizeof(*wishes), by_cost);
    for (size_t i = 0; i < n && files < FUNCTION_TEXTS_AT_ONCE_MAX; i++) {
        int r = give_text(t, &wishes[i]);
        if (r < 0)
            break;
        files += (unsigned) r;
    }
}
