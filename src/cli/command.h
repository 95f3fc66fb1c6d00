/*
 * Commands of the `varan` binary: one file each, one row each in main.c. A command gets its own
 * name as argv[0] and returns the process' exit status.
 */
#ifndef VARAN_CLI_COMMAND_H
#define VARAN_CLI_COMMAND_H

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2 /* a wrong option or argument */

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* one line, for `varan help` */
};

int command_serve(int argc, char **argv);
int command_run(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_dev(int argc, char **argv);
int command_version(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_profile(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int metrics_check_config(int argc, char **argv); /* of `varan metrics` */
int cmd_convert(int argc, char **argv);
int cmd_diff(int argc, char **argv);

#endif
