/* `varan diff A B`: what takes more and what takes less of the time than before. Single-threaded.
 */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_file.h"
#include "cli/profile_process.h"
#include "cli/query.h"

#include <math.h>

struct diff_settings {
    const char *output, *include, *exclude;
    uint64_t rows;
};

#define AT(field) offsetof(struct diff_settings, field)

static const struct option_def rows[] = {
        {"output", NULL, NULL, OPTION_TEXT, AT(output), NULL, "FILE",
         "Write a differential flame graph (-o FILE), as HTML."},
        {"include", NULL, NULL, OPTION_TEXT, AT(include), NULL, "REGEX",
         "Only stacks with a function or file that matches."},
        {"exclude", NULL, NULL, OPTION_TEXT, AT(exclude), NULL, "REGEX",
         "Without stacks that have one."},
        {"rows", NULL, NULL, OPTION_NUMBER, AT(rows), "30", "N", "Rows of the table."},
};

static const struct usage usage = {
        "varan diff [OPTION]... BEFORE AFTER",
        "Compares two profiles in any format that `varan convert` reads: the share of the samples "
        "of each function, before and after. Shares are compared, so the two may be of different "
        "length. Threads that stacks begin with (--threads) are left out: they have other "
        "numbers in every run.",
        "Example: varan diff -o diff.html monday.pb.gz tuesday.pb.gz\n",
};

struct row {
    const struct profile_function *f;
    double own[2], total[2]; /* hundredths of all samples */
};

static int by_change(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    double dx = fabs(x->own[1] - x->own[0]), dy = fabs(y->own[1] - y->own[0]);

    if (dx != dy)
        return dx < dy ? 1 : -1;
    dx = fabs(x->total[1] - x->total[0]);
    dy = fabs(y->total[1] - y->total[0]);
    return dx < dy ? 1 : dx > dy ? -1 : 0;
}

/* Shares of one side into the rows of its functions; `map` is by name and file. */
static int add_side(const struct profile *p, int side, struct map *map, struct row *all,
                    size_t room, size_t *n) {
    struct profile_total *totals;
    char key[8192];
    size_t count;

    if (profile_totals(p, false, &totals, &count) < 0)
        return -ENOMEM;
    double whole = p->stats.samples ? (double) p->stats.samples : 1;
    for (size_t i = 0; i < count; i++) {
        const struct profile_function *f = &p->functions.items[totals[i].id];
        int size = snprintf(key, sizeof(key), "%s\n%s", f->name, f->file);
        bool is_new = false;
        struct map_entry *e = map_put(
                map, slice_new(key, size < (int) sizeof(key) ? (size_t) size : sizeof(key) - 1),
                &is_new);
        if (!e || (is_new && *n == room))
            continue;
        if (is_new) {
            all[*n].f = f;
            e->number = (*n)++;
        }
        all[e->number].own[side] += 100.0 * (double) totals[i].own / whole;
        all[e->number].total[side] += 100.0 * (double) totals[i].total / whole;
    }
    free(totals);
    return 0;
}

static void print_rows(const struct row *all, size_t n, uint64_t most) {
    printf("  own before  after   change   total before  after   change  function\n");
    for (size_t i = 0; i < n && i < most; i++) {
        const struct row *r = &all[i];
        if (r->total[0] == 0 && r->total[1] == 0)
            continue;
        printf("      %5.1f%% %5.1f%% %+7.1f%%         %5.1f%% %5.1f%% %+7.1f%%  ", r->own[0],
               r->own[1], r->own[1] - r->own[0], r->total[0], r->total[1],
               r->total[1] - r->total[0]);
        print_clean(stdout, r->f->name);
        if (r->f->file[0]) { /* a thread's frame lies in none */
            printf(" (");
            print_clean(stdout, r->f->file);
            printf(")");
        }
        printf("\n");
    }
}

static int print_table(const struct profile *before, const struct profile *after, uint64_t most) {
    size_t room = before->functions.n + after->functions.n, n = 0;
    struct row *all = calloc(room + 1, sizeof(*all));
    struct map map;

    if (!all)
        return -ENOMEM;
    map_init(&map, room + 1, PROFILE_BYTES_MAX);
    int r = add_side(before, 0, &map, all, room, &n);
    if (r == 0)
        r = add_side(after, 1, &map, all, room, &n);
    if (r == 0) {
        qsort(all, n, sizeof(*all), by_change);
        print_rows(all, n, most);
    }
    map_done(&map);
    free(all);
    return r;
}

static int write_graph(const struct diff_settings *s, const struct profile *before,
                       const struct profile *after) {
    const struct format *format = format_by_name("html");
    struct profile both;
    size_t size;
    int r = profile_init(&both);

    if (r == 0)
        r = profile_merge(&both, after, false);
    if (r == 0)
        r = profile_merge(&both, before, true);
    both.duration_ns = after->duration_ns;
    snprintf(both.title, sizeof(both.title), "%.110s, compared with %.110s", after->title,
             before->title);
    if (r < 0)
        fprintf(stderr, "varan diff: %s\n", error_name(r));
    else
        r = profile_save("diff", &both, format, s->output, &size);
    if (r == 0)
        fprintf(stderr, "wrote %s (%zu bytes)\n", s->output, size);
    profile_done(&both);
    return r;
}

/* Two runs have no threads in common, so every stack would be new that begins with one. */
static int leave_out_threads(const char *path, struct profile *p) {
    struct profile bare;

    if (!profile_has_thread_roots(p))
        return 0;
    int r = profile_init(&bare);
    bare.no_thread_roots = true;
    if (r == 0)
        r = profile_merge(&bare, p, false);
    bare.duration_ns = p->duration_ns;
    memcpy(bare.title, p->title, sizeof(bare.title));
    if (r < 0)
        profile_done(&bare);
    else {
        profile_done(p);
        *p = bare;
    }
    fprintf(stderr, "varan diff: %s%s\n", path,
            r < 0 ? ": out of memory" : " tells threads apart; they are compared together");
    return r;
}

static int diff(const struct diff_settings *s, char **paths) {
    const struct profile_filter filter = {s->include, s->exclude, NULL};
    struct profile sides[2] = {{0}, {0}};
    int status = EXIT_OK;

    for (int i = 0; i < 2 && status == EXIT_OK; i++) {
        if (profile_load("diff", paths[i], &sides[i]) < 0 ||
            leave_out_threads(paths[i], &sides[i]) < 0)
            status = EXIT_FAILED;
        else
            status = profile_apply_filter("diff", &sides[i], &filter);
    }
    if (status == EXIT_OK && print_table(&sides[0], &sides[1], s->rows) < 0)
        status = EXIT_FAILED;
    if (status == EXIT_OK && s->output && write_graph(s, &sides[0], &sides[1]) < 0)
        status = EXIT_FAILED;
    for (int i = 0; i < 2; i++)
        profile_done(&sides[i]);
    return status;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct diff_settings settings = {0};
    struct options_result result;
    int r = options_begin(table, &usage, argc, argv, arena, &settings, &result);

    if (r >= 0)
        return r;
    if (result.rest + 2 != argc) {
        fprintf(stderr, "varan diff: give two profiles, as in: varan diff before.pb.gz "
                        "after.pb.gz\n");
        return EXIT_USAGE;
    }
    return diff(&settings, argv + result.rest);
}

int cmd_diff(int argc, char **argv) {
    static const char *const flags[] = {"help", NULL};

    profile_long_output(argc, argv);
    return run_options_first(argc, argv, flags, run);
}
