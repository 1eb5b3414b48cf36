/* Threads that work beside the one that started them. */
#ifndef GATEHOUSE_BASE_THREAD_H
#define GATEHOUSE_BASE_THREAD_H

#include "server/base/status.h"

#include <pthread.h>
#include <stdbool.h>

/* Runs `run` on a thread that takes no signals, which are the main thread's; `name` is at most 15
 * bytes. False: the system gives no thread. */
MUST_USE bool thread_start(pthread_t *out, const char *name, void *(*run)(void *context),
                           void *context);
/* A condition whose timed waits go by CLOCK_MONOTONIC. False: no memory. */
MUST_USE bool thread_condition_init(pthread_cond_t *out);

#endif
