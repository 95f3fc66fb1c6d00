/*
 * promqltest [-v] FILE…: runs conformance files of PromQL and prints a line for each. Exit 1 when a
 * case failed or a file could not be read.
 */
#include "base/error.h"
#include "query/promql/test_lang.h"

#include <errno.h>

struct failures {
    const char *file;
    bool verbose;
};

static void on_failure(void *ctx, size_t line, struct slice query, const char *message) {
    const struct failures *f = ctx;

    if (f->verbose)
        printf("%s:%zu: %.*s\n    %s\n", f->file, line, SLICE_ARG(query), message);
}

static int read_file(const char *name, struct buffer *out, struct error *e) {
    FILE *f = fopen(name, "rb");
    char chunk[65536];
    size_t n;
    int r = 0;

    if (!f)
        return error_set(e, -errno, "cannot open: %s", error_name(-errno));
    while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        r = buffer_append(out, chunk, n);
    if (r == 0 && ferror(f))
        r = -EIO;
    fclose(f);
    return r < 0 ? error_set(e, r, "cannot read: %s", error_name(r)) : 0;
}

static int run_file(const char *name, bool verbose) {
    struct failures f = {name, verbose};
    struct promql_test_report report = {.failure = on_failure, .ctx = &f};
    struct error e = ERROR_NONE;
    struct buffer text;
    int r;

    buffer_init(&text, TEST_FILE_BYTES_MAX);
    r = read_file(name, &text, &e);
    if (r == 0)
        r = promql_test_run(buffer_slice(&text), &report, &e);
    buffer_done(&text);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", name, e.text);
        report.failed++;
    }
    printf("%s: %zu passed, %zu failed\n", name, report.passed, report.failed);
    return report.failed ? 1 : 0;
}

int main(int argc, char **argv) {
    bool verbose = argc > 1 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--verbose") == 0);
    int status = 0;

    if (argc < 2 + verbose || strcmp(argv[1], "--help") == 0) {
        fprintf(stderr, "usage: promqltest [-v] FILE...\n"
                        "Runs PromQL conformance files; -v tells of each failure.\n");
        return 2;
    }
    for (int i = 1 + verbose; i < argc; i++)
        status |= run_file(argv[i], verbose);
    return status;
}
