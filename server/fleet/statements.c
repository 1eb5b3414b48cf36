#include "server/fleet/statements.h"

#include "server/base/encoding.h"
#include "server/base/json_out.h"
#include "server/base/thread.h"
#include "server/credential/jwk.h"

#include <stdio.h>
#include <stdlib.h>

enum { QUEUE_MAX = 4096, KEYS_ARENA = 256 << 10, TAG_BYTES = 16 };

struct statements {
    struct statements_options options;
    pthread_t thread;
    bool joined;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct statement *first, **last;
    unsigned queued;
    bool stopping;
    size_t num_keys[NUM_JWS_PURPOSES];
    struct arena arena; /* of the keys */
    struct bytes keys;
    char tag[STATEMENTS_TAG_SIZE];
};

/* --- keys ----------------------------------------------------------------------------------- */

static struct bytes keys_json(struct arena *arena, const struct jws_keys *keys) {
    struct json_out o;
    json_out_init(&o, arena, 2048);
    jwks_write(&o, keys);
    return json_out_end(&o);
}

static void tag_of(char out[static STATEMENTS_TAG_SIZE], struct bytes json) {
    uint8_t sha256[32];
    char hex[2 * TAG_BYTES + 1];
    digest_compute(HASH_SHA256, json, sha256);
    hex_encode(hex, bytes_of(sha256, TAG_BYTES));
    (void)snprintf(out, STATEMENTS_TAG_SIZE, "\"%s\"", hex);
}

enum status statements_reload(struct statements *s, struct detail *detail) {
    struct jws_keys *keys = calloc(1, sizeof *keys);
    struct arena arena;
    if (keys == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = signer_jws_keys(s->options.signer, keys, detail);
    if (status != STATUS_OK) {
        free(keys);
        return status;
    }
    arena_init(&arena, KEYS_ARENA);
    struct bytes json = keys_json(&arena, keys);
    if (json.len == 0) {
        arena_free(&arena);
        free(keys);
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    (void)pthread_mutex_lock(&s->lock);
    struct arena old = s->arena;
    s->arena = arena;
    s->keys = json;
    tag_of(s->tag, json);
    for (size_t i = 0; i < NUM_JWS_PURPOSES; i++) {
        s->num_keys[i] = keys->num[i];
    }
    (void)pthread_mutex_unlock(&s->lock);
    arena_free(&old);
    free(keys);
    return STATUS_OK;
}

const char *statements_issuer(const struct statements *s) {
    return s->options.issuer;
}

bool statements_has(struct statements *s, enum jws_purpose purpose) {
    (void)pthread_mutex_lock(&s->lock);
    bool has = s->num_keys[purpose] > 0;
    (void)pthread_mutex_unlock(&s->lock);
    return has;
}

struct bytes statements_keys(struct statements *s, struct arena *arena,
                             char tag[static STATEMENTS_TAG_SIZE]) {
    (void)pthread_mutex_lock(&s->lock);
    struct bytes copy = arena_bytes(arena, s->keys);
    (void)snprintf(tag, STATEMENTS_TAG_SIZE, "%s", s->tag);
    (void)pthread_mutex_unlock(&s->lock);
    return copy;
}

/* --- signing -------------------------------------------------------------------------------- */

/* What has queued up, at most a batch; 0: it is stopping, and nothing is left. */
static size_t take_batch(struct statements *s, struct statement *batch[static JWS_BATCH_MAX]) {
    size_t num = 0;
    (void)pthread_mutex_lock(&s->lock);
    while (s->first == NULL && !s->stopping) {
        (void)pthread_cond_wait(&s->wake, &s->lock);
    }
    while (s->first != NULL && num < JWS_BATCH_MAX) {
        batch[num] = s->first;
        s->first = batch[num++]->next;
    }
    if (s->first == NULL) {
        s->last = &s->first;
    }
    s->queued -= (unsigned)num;
    (void)pthread_mutex_unlock(&s->lock);
    return num;
}

static void *run(void *context) {
    struct statements *s = context;
    struct statement *batch[JWS_BATCH_MAX];
    struct jws_job *job[JWS_BATCH_MAX];
    for (size_t num = take_batch(s, batch); num > 0; num = take_batch(s, batch)) {
        struct detail detail = {0};
        for (size_t i = 0; i < num; i++) {
            job[i] = &batch[i]->job;
        }
        enum status status = signer_jws(s->options.signer, job, num, &detail);
        if (status != STATUS_OK || detail.text[0] != '\0') {
            log_event(s->options.log, LOG_ERROR, "statements_not_signed",
                      log_int("statements", num), log_str("detail", detail.text));
        }
        for (size_t i = 0; i < num; i++) {
            if (status != STATUS_OK) {
                batch[i]->job.status = status;
            }
            batch[i]->done(batch[i]); /* which may free it */
        }
    }
    return NULL;
}

enum status statements_submit(struct statements *s, struct statement *statement) {
    unsigned max = s->options.queue_max == 0 ? QUEUE_MAX : s->options.queue_max;
    enum status status = STATUS_BUSY;
    statement->next = NULL;
    (void)pthread_mutex_lock(&s->lock);
    if (!s->stopping && s->queued < max) {
        *s->last = statement;
        s->last = &statement->next;
        s->queued++;
        status = STATUS_OK;
        (void)pthread_cond_signal(&s->wake);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return status;
}

/* --- life ----------------------------------------------------------------------------------- */

static void free_parts(struct statements *s) {
    arena_free(&s->arena);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

enum status statements_start(struct statements **out, const struct statements_options *options,
                             struct detail *detail) {
    struct statements *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return status_fail(detail, STATUS_MEMORY, "statements: out of memory");
    }
    s->options = *options;
    s->last = &s->first;
    arena_init(&s->arena, KEYS_ARENA);
    (void)pthread_mutex_init(&s->lock, NULL); /* neither can fail on Linux */
    (void)pthread_cond_init(&s->wake, NULL);
    enum status status = statements_reload(s, detail);
    if (status == STATUS_OK && !thread_start(&s->thread, "statements", run, s)) {
        status = status_fail(detail, STATUS_MEMORY, "statements: no thread");
    }
    if (status != STATUS_OK) {
        free_parts(s);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

void statements_stop(struct statements *s) {
    if (s == NULL || s->joined) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    s->joined = true;
}

void statements_free(struct statements *s) {
    if (s != NULL) {
        statements_stop(s);
        free_parts(s);
    }
}
