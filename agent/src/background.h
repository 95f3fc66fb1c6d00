/* The agent's own threads. They never hold the GIL. */
#ifndef VARAN_AGENT_BACKGROUND_H
#define VARAN_AGENT_BACKGROUND_H

#include <stddef.h>

/* Starts a thread that nobody joins, and that no signal of the application's goes to. Returns 0 or
 * a negative error. */
int background_start(void *(*run)(void *), size_t stack_bytes);

#endif
