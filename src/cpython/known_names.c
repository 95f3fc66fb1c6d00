/* threading.Thread's names of the threads that a walk has met: kept, and looked for now and then.
 */
#include "base/clock.h"
#include "base/hot.h"
#include "cpython/state.h"

#include <stdio.h>

/* Names of threads: how often they are looked for while one is missing, and otherwise. */
#define NAMES_MISSING_NS NS_PER_S
#define NAMES_AGAIN_NS (30 * NS_PER_S)

static bool wants_name(void *ctx, uint64_t thread_id) {
    const struct cpython *c = ctx;

    vector_each(&c->known, k) if ((*k)->thread_id == thread_id) return !(*k)->python_name[0] ||
            c->names_ns == 0;
    return false;
}

static void take_name(void *ctx, uint64_t thread_id, const char *name) {
    struct cpython *c = ctx;

    vector_each(&c->known, k) if ((*k)->thread_id == thread_id)
            snprintf((*k)->python_name, sizeof((*k)->python_name), "%s", name);
}

void known_names_read(struct cpython *c, uint64_t interpreter) {
    struct inspector in = {&c->memory, &c->runtime.offsets, &c->scratch};

    thread_names_each(&in, interpreter, wants_name, take_name, c);
    arena_clear(&c->scratch);
}

HOT bool known_names_due(struct cpython *c, int64_t now_ns) {
    bool missing = false;

    if (!(c->want & CPYTHON_THREAD_NAMES))
        return false;
    vector_each(&c->known, k) missing |= !(*k)->python_name[0];
    if (c->names_ns && now_ns - c->names_ns < (missing ? NAMES_MISSING_NS : NAMES_AGAIN_NS))
        return false;
    if (c->names_ns && now_ns - c->names_ns >= NAMES_AGAIN_NS)
        c->names_ns = 0; /* all of them */
    return true;
}
