/* What a walk reads before it begins. Internal to cpython/; one owner at a time. */
#ifndef VARAN_CPYTHON_AHEAD_H
#define VARAN_CPYTHON_AHEAD_H

#include "cpython/state.h"

/* Reads of what lies at the same place in every walk. */
int ahead_read_fixed(struct cpython *c, uint64_t address, void *to, size_t size);
/* The GIL of that interpreter, as of the walk's begin. */
struct gil ahead_read_gil(struct cpython *c, uint64_t interpreter);
/* Asks the kernel about the thread, once in a walk. True: it sleeps as it did in the last walk, and
 * has not run since. */
bool ahead_ask(struct cpython *c, struct known_thread *k);
/* With CPYTHON_CLOCKS, once the thread's stack was read: whether it runs, or sleeps, and whether
 * that is for the GIL (of `size` bytes). */
void ahead_tell_state(struct cpython *c, struct known_thread *k, struct gil gil, uint64_t size);
/* Reads what this walk will want, as far as the last one tells, and finds out which stacks still
 * are what they were. */
void ahead_read(struct cpython *c);

#endif
