/* `varan convert IN OUT`: a profile from one format into another. Single-threaded. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_file.h"
#include "cli/query.h"

struct convert_settings {
    const char *format, *include, *exclude, *thread;
    bool function, threads;
};

#define AT(field) offsetof(struct convert_settings, field)

static const struct option_def rows[] = {
        {"format", NULL, NULL, OPTION_TEXT, AT(format), NULL, "FORMAT",
         "html, speedscope, chrome, pprof, svg, pstats or collapsed. Default: by OUT's name."},
        {"include", NULL, NULL, OPTION_TEXT, AT(include), NULL, "REGEX",
         "Only stacks with a function or file that matches."},
        {"exclude", NULL, NULL, OPTION_TEXT, AT(exclude), NULL, "REGEX",
         "Without stacks that have one."},
        {"thread", NULL, NULL, OPTION_TEXT, AT(thread), NULL, "REGEX",
         "Only threads whose name matches, or that have this id."},
        {"function", NULL, NULL, OPTION_FLAG, AT(function), "false", NULL,
         "Do not tell the lines of a function apart."},
        {"threads", NULL, NULL, OPTION_FLAG, AT(threads), "false", NULL,
         "Let every stack begin with its thread."},
};

static const struct usage usage = {
        "varan convert [OPTION]... IN OUT",
        "Writes a profile in another format. What IN is in is found out: pprof, speedscope, Chrome "
        "trace events, pstats, varan's HTML, or collapsed stacks; - is standard input or output.",
        "Examples: varan convert profile.pb.gz profile.html\n"
        "          varan convert --include 'myapp/' profile.html hot.svg\n",
};

static int convert(const struct convert_settings *s, const char *from, const char *to) {
    const struct format *format = profile_choose_format("convert", s->format, to);
    const struct profile_filter filter = {s->include, s->exclude, s->thread};
    struct profile in, out;
    size_t size;

    if (!format)
        return EXIT_USAGE;
    int status = profile_load("convert", from, &in) < 0 ? EXIT_FAILED : EXIT_OK;
    int r = profile_init(&out);
    out.functions_only = s->function;
    out.threads_as_roots = s->threads;
    if (status == EXIT_OK)
        status = profile_apply_filter("convert", &in, &filter);
    if (status == EXIT_OK && r == 0 && (r = profile_merge(&out, &in, false)) < 0) {
        fprintf(stderr, "varan convert: %s: %s\n", from, error_name(r));
        status = EXIT_FAILED;
    }
    out.start_ns = in.start_ns;
    out.duration_ns = in.duration_ns;
    memcpy(out.title, in.title, sizeof(out.title));
    if (status == EXIT_OK && (r < 0 || profile_save("convert", &out, format, to, &size) < 0))
        status = EXIT_FAILED;
    if (status == EXIT_OK && strcmp(to, "-") != 0)
        fprintf(stderr, "wrote %s (%s, %zu bytes, %llu samples)\n", to, format->name, size,
                (unsigned long long) out.stats.samples);
    profile_done(&in);
    profile_done(&out);
    return status;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct convert_settings settings = {0};
    struct options_result result;
    int r = options_begin(table, &usage, argc, argv, arena, &settings, &result);

    if (r >= 0)
        return r;
    if (result.rest + 2 != argc) {
        fprintf(stderr, "varan convert: give two files, as in: varan convert profile.pb.gz "
                        "profile.html\n");
        return EXIT_USAGE;
    }
    return convert(&settings, argv[result.rest], argv[result.rest + 1]);
}

int cmd_convert(int argc, char **argv) {
    static const char *const flags[] = {"function",   "no-function", "threads",
                                        "no-threads", "help",        NULL};

    return run_options_first(argc, argv, flags, run);
}
