/*
 * `varan metrics check-config FILE…`: whether `varan serve --prometheus-config FILE` would take the
 * file, and what in it does nothing. Single-threaded.
 */
#include "cli/command.h"
#include "receive/scrape.h"

#include <stdio.h>

#define NOTES_BYTES_MAX ((size_t) 4 << 20)

static int check(const char *file) {
    struct scrape_config_notes notes;
    struct error e = ERROR_NONE;
    struct arena a;
    size_t jobs;

    arena_init(&a, NOTES_BYTES_MAX);
    int r = scrape_check_config(file, &a, &notes, &jobs, &e);
    if (r < 0)
        fprintf(stderr, "%s\n", e.text);
    for (size_t i = 0; r == 0 && i < notes.n; i++)
        printf("%.*s\n", SLICE_ARG(notes.lines[i]));
    if (r == 0)
        printf("%s: good, %zu scrape config%s\n", file, jobs, jobs == 1 ? "" : "s");
    arena_done(&a);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int metrics_check_config(int argc, char **argv) {
    int result = EXIT_OK;

    if (argc < 2 || argv[1][0] == '-') {
        bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
        fprintf(help ? stdout : stderr,
                "Usage: varan metrics check-config FILE...\n"
                "Reads each FILE as `varan serve --prometheus-config FILE` does: mistakes with "
                "their line, what is accepted and does nothing, and how many scrape configs there "
                "are.\n");
        return help ? EXIT_OK : EXIT_USAGE;
    }
    for (int i = 1; i < argc; i++) {
        int r = check(argv[i]);
        if (r != EXIT_OK)
            result = r;
    }
    return result;
}
