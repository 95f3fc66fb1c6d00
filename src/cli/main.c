/* The `varan` binary: the table of its commands. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/query.h"

#include <signal.h>
#include <stdio.h>

static int command_help(int argc, char **argv);

static const struct command commands[] = {
        {"serve", command_serve, "run the server"},
        {"dev", command_dev, "start a local server when none runs, and a command under the agent"},
        {"run", command_run, "run a command under the agent"},
        {"doctor", command_doctor, "say what the agent would see of a command, and what not"},
        {"query", cmd_query, "ask a server for services, traces, log lines, PromQL, profiles"},
        {"sql", cmd_sql, "read-only SQL over a server's tables"},
        {"metrics", cmd_metrics, "check what an application exposes to Prometheus"},
        {"record", cmd_record, "profile a Python program: flame graph, pprof, speedscope"},
        {"profile", cmd_profile, "profile running programs all the time, into a server"},
        {"convert", cmd_convert, "a profile in another format"},
        {"diff", cmd_diff, "compare two profiles"},
        {"top", cmd_top, "where a running Python program spends its time, live"},
        {"dump", cmd_dump, "print the stacks of a running Python program"},
        {"version", command_version, "print the version"},
        {"help", command_help, "print this list"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_commands(FILE *to) {
    fprintf(to, "Usage: varan COMMAND [OPTION]... [-- PROGRAM...]\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(to,
            "\n`varan COMMAND --help` explains a command. To begin: varan dev -- python app.py\n");
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const char *command_name_at(const void *ctx, size_t i) {
    return commands[i].name;
}

static int unknown_command(const char *name) {
    const char *meant = closest_name(slice_from(name), command_name_at, NULL, N_COMMANDS);

    if (meant)
        fprintf(stderr, "varan: there is no command \"%s\"; did you mean \"%s\"?\n", name, meant);
    else
        fprintf(stderr, "varan: there is no command \"%s\"; `varan help` lists them\n", name);
    return EXIT_USAGE;
}

static int command_help(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-') {
        print_commands(stdout);
        return EXIT_OK;
    }
    const struct command *c = find_command(argv[1]);
    char help[] = "--help";
    char *words[] = {argv[1], help, NULL};
    return c ? c->run(2, words) : unknown_command(argv[1]);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    const struct command *c = find_command(name);
    return c ? c->run(argc - 1, argv + 1) : unknown_command(name);
}
