/* fork(): the parent goes on; a child drops what it inherited, takes new identifiers and starts its
 * own export thread at its first finished record. The handlers also serve servers that fork in C
 * (uWSGI). */
#include <pthread.h>

#include "exporter.h"
#include "keep.h"
#include "metrics.h"
#include "profiler.h"
#include "resource.h"
#include "ring.h"
#include "runtime.h"

static bool reset_needed;

static void prepare(void) {
    exporter_fork_prepare();
}

static void parent(void) {
    exporter_fork_parent();
}

/* Between fork() and exec() as well: only what costs nothing. */
static void child(void) {
    exporter_fork_child();
    profiler_fork_child();
    process_generation++;
    reset_needed = true;
}

void fork_child_reset(void) {
    if (!reset_needed)
        return;
    reset_needed = false;
    ring_drop_all();
    for (int i = 0; i < COUNTER_N; i++)
        atomic_store(&counters[i], 0);
    keep_fork_reset();
    metrics_fork_reset();
    resource_renew();
    profiler_start_child(); /* where Python does not know of the fork (uWSGI's) */
}

int fork_handlers_install(void) {
    static bool installed;

    if (installed)
        return 0;
    installed = true;
    return -pthread_atfork(prepare, parent, child);
}
