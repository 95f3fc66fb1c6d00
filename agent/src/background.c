/* See background.h. */
#include "background.h"

#include <pthread.h>
#include <signal.h>

int background_start(void *(*run)(void *), size_t stack_bytes) {
    sigset_t all, before;
    pthread_attr_t a;
    pthread_t id;
    int r;

    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, stack_bytes);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&id, &a, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return -r;
}
