/* What dump, record and top have in common: the process that is looked into. Single-threaded. */
#ifndef VARAN_CLI_PROFILE_PROCESS_H
#define VARAN_CLI_PROFILE_PROCESS_H

#include "cpython/cpython.h"

/* "123" → 123: 0, or -EINVAL with a sentence. */
int process_id_parse(const char *text, pid_t *ret, struct error *e);
/* What an error of cpython_open() ends a command with, after printing it. */
int process_open_failed(const char *command, const struct error *e);
/* What to call a thread in lists: its name in Python, "main", the kernel's name, or "thread". */
const char *thread_title(pid_t pid, const struct cpython_thread *t);

/* Prints a text of the target's without its control characters. */
void print_clean(FILE *to, const char *text);

#endif
