/* The thread state that runtime.c keeps in the agent. */
#include "runtime.h"

uint32_t process_generation = 1;
__thread struct thread_state thread_state_self;

void thread_renew(struct thread_state *t) {
    t->generation = process_generation;
    t->slot = NULL;
    t->slot_refused = false;
}
