#include "server/base/thread.h"

#include <signal.h>
#include <time.h>

bool thread_start(pthread_t *out, const char *name, void *(*run)(void *context), void *context) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(out, NULL, run, context) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        (void)pthread_setname_np(*out, name);
    }
    return started;
}

bool thread_condition_init(pthread_cond_t *out) {
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    bool made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(out, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return made;
}
