/* `varan run -- CMD…`: becomes CMD, with the agent on its PYTHONPATH. */
#include "cli/agent.h"
#include "cli/command.h"
#include "cli/options.h"

#include <stdio.h>

struct run_settings {
    const char *service, *endpoint;
};

static const struct option_def rows[] = {
        {"service", "VARAN_SERVICE", NULL, OPTION_TEXT, offsetof(struct run_settings, service),
         NULL, "NAME", "What the program is called on the page."},
        {"endpoint", "VARAN_ENDPOINT", NULL, OPTION_TEXT, offsetof(struct run_settings, endpoint),
         NULL, "URL",
         "The server that the program's telemetry goes to; without it OTEL_EXPORTER_OTLP_ENDPOINT, "
         "without that http://127.0.0.1:4318."},
};

static const struct usage usage = {
        "varan run [OPTION]... -- PROGRAM [ARGUMENT]...",
        "Runs a Python program under the agent, without a change to it: varan run -- python "
        "app.py, "
        "varan run --service shop -- gunicorn shop:app.",
        "The agent is found by VARAN_AGENT_DIR, beside this binary, or as the installed package.\n",
};

int command_run(int argc, char **argv) {
    struct run_settings s = {0};
    struct options_result result;
    struct error e = ERROR_NONE;
    struct arena arena;
    const char *folder;

    arena_init(&arena, OPTIONS_TEXT_BYTES_MAX);
    int r = options_begin((struct option_table){rows, 2}, &usage, argc, argv, &arena, &s, &result);
    if (r < 0 && result.rest >= argc) {
        fprintf(stderr,
                "varan run: name the program after --, as in: varan run -- python app.py\n");
        r = EXIT_USAGE;
    }
    if (r < 0 && agent_find(argv[result.rest], &arena, &folder, &e) < 0) {
        fprintf(stderr, "varan run: %s\n", e.text);
        r = EXIT_FAILED;
    }
    if (r < 0 && agent_set_environment(folder, s.endpoint, s.service, &arena) < 0) {
        fprintf(stderr, "varan run: out of memory\n");
        r = EXIT_FAILED;
    }
    if (r < 0)
        r = agent_exec("run", argv + result.rest);
    arena_done(&arena);
    return r;
}
