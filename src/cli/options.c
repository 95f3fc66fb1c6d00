/* Options from tables: values, environment, command line. Text lives in the caller's arena. */
#include "cli/options.h"
#include "base/clock.h"
#include "cli/command.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define NAME_MAX_COMPARED 40

/* ---- Values ---- */

int bytes_parse(struct slice text, uint64_t *ret) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {
            {"", 1},      {"b", 1},       {"kb", 1e3},      {"mb", 1e6},      {"gb", 1e9},
            {"tb", 1e12}, {"kib", 1024},  {"mib", 1048576}, {"gib", 1 << 30}, {"tib", 1LL << 40},
            {"k", 1024},  {"m", 1048576}, {"g", 1 << 30},
    };
    size_t digits = 0;
    double n;

    while (digits < text.size &&
           ((text.data[digits] >= '0' && text.data[digits] <= '9') || text.data[digits] == '.'))
        digits++;
    if (slice_to_double(slice_take(text, digits), &n) < 0 || !(n >= 0))
        return -EINVAL;
    struct slice unit = slice_trim(slice_skip(text, digits));
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (slice_equal_nocase(unit, slice_from(units[i].unit))) {
            if (n * units[i].factor >= 9e18)
                return -ERANGE;
            *ret = (uint64_t) (n * units[i].factor);
            return 0;
        }
    return -EINVAL;
}

static int flag_parse(struct slice text, bool *ret) {
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < 4; i++) {
        if (slice_equal_nocase(text, slice_from(yes[i])) ||
            slice_equal_nocase(text, slice_from(no[i]))) {
            *ret = slice_equal_nocase(text, slice_from(yes[i]));
            return 0;
        }
    }
    return -EINVAL;
}

int option_set(const struct option_def *d, struct slice text, const char *where,
               struct arena *arena, void *target, struct error *e) {
    static const char *const wanted[] = {
            [OPTION_TEXT] = "text",
            [OPTION_FLAG] = "true or false",
            [OPTION_NUMBER] = "a whole number",
            [OPTION_BYTES] = "a size such as 512MiB",
            [OPTION_DURATION] = "a duration such as 30s or 5m",
    };
    void *to = (char *) target + d->offset;
    int r = -EINVAL;

    switch (d->type) {
    case OPTION_TEXT: {
        struct slice copy = slice_find_byte(text, 0) >= 0 ? SLICE_EMPTY : arena_dup(arena, text);
        *(const char **) to = (const char *) copy.data;
        r = copy.data ? 0 : -EINVAL;
        break;
    }
    case OPTION_FLAG: r = flag_parse(text, to); break;
    case OPTION_NUMBER: r = slice_to_u64(text, to); break;
    case OPTION_BYTES: r = bytes_parse(text, to); break;
    case OPTION_DURATION: r = duration_parse(text, to); break;
    }
    if (r < 0)
        return error_set(e, r, "%s: \"%.*s\" is not %s", where, SLICE_ARG(slice_take(text, 200)),
                         wanted[d->type]);
    return 0;
}

/* ---- "Did you mean" ---- */

/* Edit distance with transpositions, on short names. */
static unsigned distance(struct slice a, struct slice b) {
    unsigned rows[3][NAME_MAX_COMPARED + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.size; j++)
        last[j] = (unsigned) j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = (unsigned) i;
        for (size_t j = 1; j <= b.size; j++) {
            unsigned same = a.data[i - 1] == b.data[j - 1] ? 0 : 1;
            unsigned best = last[j - 1] + same;
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b.size];
}

const char *closest_name(struct slice given, const char *(*name_at)(const void *ctx, size_t i),
                         const void *ctx, size_t n) {
    const char *best = NULL;
    unsigned best_distance = 0;

    if (given.size > NAME_MAX_COMPARED)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *name = name_at(ctx, i);
        struct slice s = slice_from(name);
        if (!name || s.size > NAME_MAX_COMPARED)
            continue;
        unsigned d = distance(given, s);
        bool begins = given.size >= 3 && slice_starts(s, given);
        if (d > 2 && d > s.size / 3 && !begins)
            continue;
        if (begins)
            d = 1;
        if (!best || d < best_distance) {
            best = name;
            best_distance = d;
        }
    }
    return best;
}

static const char *option_name_at(const void *ctx, size_t i) {
    return ((const struct option_table *) ctx)->items[i].name;
}

/* ---- Sources ---- */

static const struct option_def *find_option(struct option_table t, struct slice name) {
    for (size_t i = 0; i < t.n; i++)
        if (slice_is(name, t.items[i].name))
            return &t.items[i];
    return NULL;
}

static int set_defaults(struct option_table t, struct arena *arena, void *target, struct error *e) {
    for (size_t i = 0; i < t.n; i++)
        if (t.items[i].fallback) {
            int r = option_set(&t.items[i], slice_from(t.items[i].fallback), t.items[i].name, arena,
                               target, e);
            if (r < 0)
                return r;
        }
    return 0;
}

static int set_from_environment(struct option_table t, struct arena *arena, void *target,
                                struct error *e) {
    for (size_t i = 0; i < t.n; i++) {
        const char *value = t.items[i].variable ? getenv(t.items[i].variable) : NULL;
        if (!value || !*value) /* an empty variable is as good as none */
            continue;
        int r = option_set(&t.items[i], slice_from(value), t.items[i].variable, arena, target, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int unknown_option(struct option_table t, struct slice name, struct error *e) {
    const char *meant = closest_name(name, option_name_at, &t, t.n);

    if (meant)
        return error_set(e, -EINVAL, "there is no option --%.*s; did you mean --%s?",
                         SLICE_ARG(slice_take(name, 100)), meant);
    return error_set(e, -EINVAL, "there is no option --%.*s; --help lists them",
                     SLICE_ARG(slice_take(name, 100)));
}

/* One option at argv[*at]; moves *at behind it. `target` NULL: only looks at its form. */
static int take_option(struct option_table t, int argc, char *const *argv, int *at,
                       struct arena *arena, void *target, const struct option_def **ret,
                       struct slice *ret_value, struct error *e) {
    struct slice value = slice_from(argv[*at] + 2);
    bool inlined = slice_find_byte(value, '=') >= 0;
    struct slice name = slice_cut(&value, '=');
    const struct option_def *d = find_option(t, name);
    char where[128];

    if (!d && !inlined && slice_starts(name, SLICE("no-"))) {
        d = find_option(t, slice_skip(name, 3));
        if (d && d->type != OPTION_FLAG)
            d = NULL;
        value = SLICE("false");
        inlined = true;
    }
    if (!d)
        return unknown_option(t, name, e);
    ++*at;
    if (!inlined && d->type == OPTION_FLAG) {
        value = SLICE("true");
    } else if (!inlined) {
        if (*at >= argc)
            return error_set(e, -EINVAL, "--%s needs a value: --%s %s", d->name, d->name,
                             d->metavar);
        value = slice_from(argv[(*at)++]);
    }
    *ret = d;
    *ret_value = value;
    if (!target)
        return 0;
    snprintf(where, sizeof(where), "--%s", d->name);
    return option_set(d, value, where, arena, target, e);
}

/* Goes over the command line. With `target` it sets values; without it finds --help and --config.
 */
static int walk_arguments(struct option_table t, int argc, char *const *argv, struct arena *arena,
                          void *target, struct options_result *ret, struct slice *ret_config,
                          struct error *e) {
    int at = 1;

    while (at < argc) {
        const char *arg = argv[at];
        if (strcmp(arg, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            ret->help = true;
            return 0;
        }
        if (arg[0] != '-' || arg[1] == 0)
            break;
        if (arg[1] != '-')
            return error_set(e, -EINVAL,
                             "there is no option %s; options are long, --help lists them", arg);
        const struct option_def *d = NULL;
        struct slice value = SLICE_EMPTY;
        int r = take_option(t, argc, argv, &at, arena, target, &d, &value, e);
        if (r < 0)
            return r;
        if (strcmp(d->name, "config") == 0)
            *ret_config = value;
    }
    ret->rest = at;
    return 0;
}

static int read_file(const char *path, struct buffer *ret, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

    if (fd < 0)
        return error_set(e, -errno, "%s: %s", path, error_name(-errno));
    for (;;) {
        uint8_t *to = buffer_reserve(ret, 4096);
        ssize_t n = to ? read(fd, to, 4096) : 0;
        if (!to)
            r = error_set(e, ret->failed, "%s: larger than %zu bytes", path, ret->cap);
        else if (n < 0)
            r = error_set(e, -errno, "%s: %s", path, error_name(-errno));
        if (!to || n <= 0)
            break;
        ret->size += (size_t) n;
    }
    close(fd);
    return r;
}

static int set_from_file(struct option_table t, const char *path, struct arena *arena, void *target,
                         struct error *e) {
    struct buffer text;

    buffer_init(&text, OPTIONS_FILE_BYTES_MAX);
    int r = read_file(path, &text, e);
    if (r == 0)
        r = options_read_yaml(t, path, buffer_slice(&text), arena, target, e);
    buffer_done(&text);
    return r;
}

int options_read(struct option_table table, int argc, char *const *argv, struct arena *arena,
                 void *target, struct options_result *ret, struct error *e) {
    const struct option_def *config = find_option(table, SLICE("config"));
    struct slice file = SLICE_EMPTY;

    *ret = (struct options_result){0};
    int r = walk_arguments(table, argc, argv, arena, NULL, ret, &file, e);
    if (r < 0 || ret->help)
        return r;
    if (config && !file.data && config->variable)
        file = slice_from(getenv(config->variable));
    r = set_defaults(table, arena, target, e);
    if (r == 0 && file.size) /* arguments and variables end with a NUL */
        r = set_from_file(table, (const char *) file.data, arena, target, e);
    if (r == 0)
        r = set_from_environment(table, arena, target, e);
    if (r == 0)
        r = walk_arguments(table, argc, argv, arena, target, ret, &file, e);
    return r;
}

int options_begin(struct option_table table, const struct usage *usage, int argc, char *const *argv,
                  struct arena *arena, void *target, struct options_result *ret) {
    struct error e = ERROR_NONE;
    int r = options_read(table, argc, argv, arena, target, ret, &e);

    if (r < 0) {
        fprintf(stderr, "varan %s: %s\n", argv[0], e.text);
        return EXIT_USAGE;
    }
    if (!ret->help)
        return -1;
    options_print_help(table, usage);
    return EXIT_OK;
}
