/* Long reads beside the workers' loops: a thread for each, few at a time, with a store reader of its
 * own. The threads are none of the fleet's until they say so (fleet_thread_enter). Thread-safe. */
#ifndef GATEHOUSE_API_BACKGROUND_H
#define GATEHOUSE_API_BACKGROUND_H

#include "api/request.h"

struct background;
enum { BACKGROUND_MAX = 2 }; /* tasks at a time; more are told to come again */

/* MEMORY. */
MUST_USE enum status background_new(struct background **out, struct store *store);
/* Returns once no task is left; NULL is allowed. */
void background_free(struct background *background);
/* The same wait, without the end: nobody starts a task meanwhile. */
void background_drain(struct background *background);

/* Runs work(r, reader) on another thread, and resumes the exchange; finish(r) is then called on the
 * worker, with r->pending as it was left. Only `work` touches the request meanwhile. Its status is
 * in r->worked. HTTP_WAIT, or the answer that says that too much is under way. */
typedef enum status background_work(struct request *r, struct store_reader *reader,
                                    struct detail *detail);
enum http_next background_start(struct request *r, background_work *work,
                                enum http_next (*finish)(struct request *r));

#endif
