/* Source lines of what was sampled, for showing where in a function the time goes. */
#include "cpython/function_text.h"
#include "profile/profile.h"
#include "profile/target_file.h"

#include <limits.h>
#include <stdlib.h>

#define FUNCTIONS_MAX 500u
#define FILES_BYTES_MAX ((size_t) FUNCTION_FILE_BYTES_MAX * 16)
#define LINES_MAX 400 /* of one function */
#define LINES_AFTER 3 /* behind the last one that was sampled */
#define TOTAL_BYTES_MAX ((size_t) 8 << 20)

struct range {
    uint32_t function;
    int last;
    uint64_t total;
};

/* A file's bytes, or data NULL. */
static struct slice read_file(pid_t pid, bool lives, const char *path, struct arena *to) {
    struct slice bytes =
            function_file_read(lives ? target_open(pid, path) : target_open_ended(path), INT64_MAX);
    struct slice kept = bytes.data ? arena_dup(to, bytes) : SLICE_EMPTY;

    free((void *) bytes.data);
    return kept;
}

/* Lines `first` … `last` of the file, without the last line break. */
static struct slice cut_lines(struct slice file, int first, int last) {
    int line = 1;
    size_t begin = 0, end;

    while (line < first && begin < file.size)
        line += file.data[begin++] == '\n';
    for (end = begin; end < file.size; end++)
        if (file.data[end] == '\n' && line++ == last)
            break;
    return slice_take(slice_skip(file, begin), end - begin);
}

static int by_total(const void *a, const void *b) {
    const struct range *x = a, *y = b;

    return x->total < y->total ? 1 : x->total > y->total ? -1 : x->function < y->function ? -1 : 1;
}

/* The functions with lines, most samples first. */
static size_t find_ranges(const struct profile *p, struct range *ranges) {
    for (uint32_t i = 0; i < p->functions.n; i++)
        ranges[i].function = i;
    vector_each(&p->frames, f) if (f->line > ranges[f->function].last) ranges[f->function].last =
            f->line;
    struct profile_total *totals;
    size_t n;
    if (profile_totals(p, false, &totals, &n) < 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        ranges[i].total = totals[i].total;
    free(totals);
    qsort(ranges, p->functions.n, sizeof(*ranges), by_total);
    return p->functions.n < FUNCTIONS_MAX ? p->functions.n : FUNCTIONS_MAX;
}

int profile_read_sources(struct profile *p, pid_t pid) {
    struct range *ranges = calloc(p->functions.n + 1, sizeof(*ranges));
    struct arena files;
    struct map by_name;
    bool lives = target_lives(pid);
    size_t bytes = 0;
    int r = ranges ? 0 : -ENOMEM;

    arena_init(&files, FILES_BYTES_MAX);
    map_init(&by_name, FUNCTIONS_MAX, (size_t) FUNCTIONS_MAX * PATH_MAX);
    size_t n = r == 0 ? find_ranges(p, ranges) : 0;
    for (size_t i = 0; i < n && r == 0 && bytes < TOTAL_BYTES_MAX; i++) {
        const struct profile_function *f = &p->functions.items[ranges[i].function];
        bool is_new = false;
        struct map_entry *e = map_put(&by_name, slice_from(f->file), &is_new);
        if (!e || f->first_line < 1 || !ranges[i].last || !ranges[i].total)
            continue;
        if (is_new) {
            struct slice *whole = arena_new(&files, struct slice);
            if (whole)
                *whole = read_file(pid, lives, f->file, &files);
            e->pointer = whole;
        }
        const struct slice *file = e->pointer;
        int last = ranges[i].last + LINES_AFTER;
        if (last - f->first_line >= LINES_MAX)
            last = f->first_line + LINES_MAX - 1;
        struct slice lines =
                file && file->data ? cut_lines(*file, f->first_line, last) : SLICE_EMPTY;
        if (!lines.size)
            continue;
        struct profile_source s = {ranges[i].function, f->first_line,
                                   (const char *) arena_dup(&p->texts, lines).data};
        bytes += lines.size;
        r = s.text ? vector_push(&p->sources, s, FUNCTIONS_MAX) : -ENOMEM;
    }
    free(ranges);
    arena_done(&files);
    map_done(&by_name);
    return r;
}
