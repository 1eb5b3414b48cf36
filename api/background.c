#include "api/background.h"

#include <pthread.h>
#include <stdlib.h>

struct background {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned running;
};

struct task {
    struct background *background;
    struct request *r;
    background_work *work;
};

enum status background_new(struct background **out, struct store *store) {
    struct background *background = calloc(1, sizeof *background);
    if (background == NULL) {
        return STATUS_MEMORY;
    }
    background->store = store;
    (void)pthread_mutex_init(&background->lock, NULL);
    (void)pthread_cond_init(&background->idle, NULL);
    *out = background;
    return STATUS_OK;
}

void background_drain(struct background *background) {
    (void)pthread_mutex_lock(&background->lock);
    while (background->running > 0) {
        (void)pthread_cond_wait(&background->idle, &background->lock);
    }
    (void)pthread_mutex_unlock(&background->lock);
}

void background_free(struct background *background) {
    if (background == NULL) {
        return;
    }
    background_drain(background);
    (void)pthread_cond_destroy(&background->idle);
    (void)pthread_mutex_destroy(&background->lock);
    free(background);
}

static bool enter(struct background *background) {
    (void)pthread_mutex_lock(&background->lock);
    bool room = background->running < BACKGROUND_MAX;
    background->running += room ? 1 : 0;
    (void)pthread_mutex_unlock(&background->lock);
    return room;
}

static void leave(struct background *background) {
    (void)pthread_mutex_lock(&background->lock);
    background->running--;
    (void)pthread_cond_broadcast(&background->idle);
    (void)pthread_mutex_unlock(&background->lock);
}

static void *run(void *context) {
    struct task *task = context;
    struct background *background = task->background;
    struct request *r = task->r;
    struct store_reader *reader = NULL;
    r->worked = store_reader_new(&reader, background->store, &r->worked_detail);
    if (r->worked == STATUS_OK) {
        r->worked = task->work(r, reader, &r->worked_detail);
    }
    store_reader_free(reader);
    free(task);
    r->x->resume(r->x); /* from here on the request is the worker's again */
    leave(background);
    return NULL;
}

static enum status start(struct background *background, struct request *r, background_work *work) {
    pthread_t thread;
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        return STATUS_MEMORY;
    }
    *task = (struct task){background, r, work};
    if (!enter(background)) {
        free(task);
        return STATUS_BUSY;
    }
    if (pthread_create(&thread, NULL, run, task) != 0) {
        leave(background);
        free(task);
        return STATUS_BUSY;
    }
    (void)pthread_detach(thread);
    return STATUS_OK;
}

enum http_next background_start(struct request *r, background_work *work,
                                enum http_next (*finish)(struct request *r)) {
    r->finish = finish;
    enum status status = start(r->api->background, r, work);
    return status == STATUS_OK ? HTTP_WAIT : answer_status(r, status, NULL);
}
