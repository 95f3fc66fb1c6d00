/* Putting a program under the agent: finding the agent's folder and the environment.
 * Single-threaded. */
#ifndef VARAN_CLI_AGENT_H
#define VARAN_CLI_AGENT_H

#include "base/error.h"
#include "base/memory.h"

/* The folder with the agent's sitecustomize.py: VARAN_AGENT_DIR, beside the binary, or of the
 * package installed for the Python that `program` is or that is on PATH. -ENOENT with what to do in
 * `e`. */
int agent_find(const char *program, struct arena *arena, const char **ret, struct error *e);
/* Sets PYTHONPATH (the folder first, the user's own behind), VARAN_ENDPOINT and VARAN_SERVICE where
 * they are not NULL. 0 or -ENOMEM. */
int agent_set_environment(const char *folder, const char *endpoint, const char *service,
                          struct arena *arena);
/* Replaces this process; returns only on failure, with the exit status a shell would give (127 or
 * 126), after printing why. */
int agent_exec(const char *command, char **argv);

#endif
