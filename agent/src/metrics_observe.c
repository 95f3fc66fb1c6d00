/* Runs the callbacks of observable instruments. They need the GIL, which the export thread never
 * takes; so a thread of their own does, made when it is first needed. A plain one: threads of a
 * patched threading module (gevent) would run in somebody's event loop. */
#include <pthread.h>

#include "background.h"
#include "exporter.h"
#include "metrics.h"
#include "module.h"

#define THREAD_STACK_BYTES (1u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool condition_ready, running;
static uint64_t wanted, finished;
static PyObject *observer; /* observe(): runs all callbacks; set once, with the GIL */
static _Atomic bool has_observer;

static bool is_finalizing(void) {
#if PY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

static void call_observer(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *result = PyObject_CallNoArgs(observer);

    if (!result)
        PyErr_Clear(); /* each callback's own failure is told by observe() */
    Py_XDECREF(result);
    PyGILState_Release(state);
}

static void *run(void *unused) {
    (void) unused;
    pthread_setname_np(pthread_self(), "varan-observe");
    pthread_mutex_lock(&lock);
    for (;;) {
        uint64_t ticket;

        while (wanted == finished)
            pthread_cond_wait(&changed, &lock);
        ticket = wanted;
        pthread_mutex_unlock(&lock);
        if (!is_finalizing())
            call_observer();
        pthread_mutex_lock(&lock);
        finished = ticket;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        exporter_wake(true);
        pthread_mutex_lock(&lock);
    }
    return NULL;
}

/* With the lock held. */
static bool start(void) {
    pthread_condattr_t condition;

    if (!condition_ready) {
        pthread_condattr_init(&condition);
        pthread_condattr_setclock(&condition, CLOCK_MONOTONIC);
        pthread_cond_init(&changed, &condition);
        pthread_condattr_destroy(&condition);
        condition_ready = true;
    }
    running = background_start(run, THREAD_STACK_BYTES) == 0;
    return running;
}

uint64_t observe_request(void) {
    uint64_t ticket = 0;

    if (!atomic_load(&has_observer) || is_finalizing())
        return 0;
    pthread_mutex_lock(&lock);
    if (running || start()) {
        ticket = ++wanted;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return ticket;
}

bool observe_done(uint64_t ticket) {
    bool r;

    pthread_mutex_lock(&lock);
    r = finished >= ticket;
    pthread_mutex_unlock(&lock);
    return r;
}

bool observe_wait(uint64_t ticket, uint64_t until_ns) {
    struct timespec until = {.tv_sec = (time_t) (until_ns / 1000000000u),
                             .tv_nsec = (long) (until_ns % 1000000000u)};
    bool r;

    pthread_mutex_lock(&lock);
    while (finished < ticket && pthread_cond_timedwait(&changed, &lock, &until) == 0)
        ;
    r = finished >= ticket;
    pthread_mutex_unlock(&lock);
    return r;
}

void observe_fork_prepare(void) {
    pthread_mutex_lock(&lock);
}

void observe_fork_parent(void) {
    pthread_mutex_unlock(&lock);
}

void observe_fork_child(void) {
    pthread_mutex_init(&lock, NULL);
    condition_ready = running = false;
    wanted = finished = 0;
}

PyObject *observe_set(PyObject *module, PyObject *callable) {
    Py_INCREF(callable);
    Py_XSETREF(observer, callable);
    atomic_store(&has_observer, true);
    Py_RETURN_NONE;
}
