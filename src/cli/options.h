/*
 * Options of commands, declared in tables: a row has the option's name on the command line, its
 * VARAN_… variable, its key in the YAML file, its type, default and help. The command line wins
 * over the environment, that over the file, that over the default. Single-threaded.
 */
#ifndef VARAN_CLI_OPTIONS_H
#define VARAN_CLI_OPTIONS_H

#include "base/error.h"
#include "base/memory.h"

enum option_type {
    OPTION_TEXT,     /* const char *, NULL when not given and without default */
    OPTION_FLAG,     /* bool: --x, --no-x, --x=true|false */
    OPTION_NUMBER,   /* uint64_t */
    OPTION_BYTES,    /* uint64_t: "512MiB", "2GB", "1024" */
    OPTION_DURATION, /* int64_t nanoseconds: "30s", "5m" */
};

struct option_def {
    const char *name;     /* "data-dir"; "--" is not part of it */
    const char *variable; /* "VARAN_DATA_DIR", or NULL */
    const char *key; /* in the YAML file, with dots between levels: "retention.days"; or NULL */
    enum option_type type;
    size_t offset;        /* of the value in the command's structure */
    const char *fallback; /* the default as text, or NULL */
    const char *metavar;  /* "DIR"; NULL for flags */
    const char *help;
};

struct option_table {
    const struct option_def *items;
    size_t n;
};

/* What a command says about itself in --help. */
struct usage {
    const char *line;  /* "varan serve [OPTION…]" */
    const char *about; /* sentences after it */
    const char *more;  /* after the options; may be NULL */
};

#define OPTIONS_TEXT_BYTES_MAX ((size_t) 1 << 20)
#define OPTIONS_FILE_BYTES_MAX ((size_t) 1 << 20)

struct options_result {
    int rest;  /* index in argv of the first argument that is no option ("--" skipped) */
    bool help; /* --help was asked for; nothing else was looked at */
};

/*
 * Fills `target` (cleared by the caller) from the defaults, the file named by the option "config"
 * (when the table has one), the environment and argv[1…]. Text lives in `arena`. Options end at
 * "--" or at the first argument without a dash. -EINVAL and the like with a sentence that names the
 * option, the variable or file:line, and what was probably meant.
 */
int options_read(struct option_table table, int argc, char *const *argv, struct arena *arena,
                 void *target, struct options_result *ret, struct error *e);
/* The usual opening of a command: reads, prints help or the error. Returns -1 to go on, else the
 * exit status. */
int options_begin(struct option_table table, const struct usage *usage, int argc, char *const *argv,
                  struct arena *arena, void *target, struct options_result *ret);
void options_print_help(struct option_table table, const struct usage *usage);

/* ---- The parts, for tests ---- */

/* Converts `text` by the row's type and stores it in `target`. `where` names the source in errors.
 */
int option_set(const struct option_def *d, struct slice text, const char *where,
               struct arena *arena, void *target, struct error *e);
/* The name that was probably meant, or NULL. */
const char *closest_name(struct slice given, const char *(*name_at)(const void *ctx, size_t i),
                         const void *ctx, size_t n);
/* Reads YAML text; `file` is for messages. */
int options_read_yaml(struct option_table table, const char *file, struct slice text,
                      struct arena *arena, void *target, struct error *e);
/* "10MiB" → bytes: 0, -EINVAL or -ERANGE. */
int bytes_parse(struct slice text, uint64_t *ret);

#endif
