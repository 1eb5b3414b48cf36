#include "server/fleet/ocsp_responder.h"

#include "server/base/clock.h"
#include "server/base/thread.h"
#include "server/crypto/x509.h"
#include "server/fleet/ocsp_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_SETS = 2048 };

struct known { /* an access authority */
    char id[AUTHORITY_ID_SIZE];
    struct ocsp_issuer issuer;
    int64_t not_after;
};

struct ocsp_responder {
    struct ocsp_responder_options options;
    struct ocsp_cache *cache;
    pthread_t thread;
    bool joined;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct ocsp_query *first, **last;
    unsigned queued;
    bool stopping;
    const struct signer_authority *seen; /* what signer_authorities gave last */
    struct known known[SIGNER_AUTHORITIES_MAX];
    size_t num_known;

    _Atomic uint64_t cached, signed_anew, errors;
};

/* --- what is known -------------------------------------------------------------------------- */

/* Takes over who the authorities are, when the signer has others; the lock is held. */
static void learn_authorities(struct ocsp_responder *responder) {
    const struct signer_authority *authority;
    size_t num = signer_authorities(responder->options.signer, &authority);
    if (authority == responder->seen) {
        return;
    }
    responder->num_known = 0;
    for (size_t i = 0; i < num && i < SIGNER_AUTHORITIES_MAX; i++) {
        struct known *known = &responder->known[responder->num_known];
        struct certificate parsed;
        if (authority[i].profile != PROFILE_ACCESS ||
            certificate_parse(&parsed, authority[i].certificate, NULL) != STATUS_OK ||
            ocsp_issuer_of(&known->issuer, authority[i].certificate, NULL) != STATUS_OK) {
            continue;
        }
        memcpy(known->id, authority[i].id, sizeof known->id);
        known->not_after = parsed.not_after;
        responder->num_known++;
    }
    responder->seen = authority;
}

/* The one authority whose certificates are all meant; false: there is none. */
static bool find_authority(struct ocsp_responder *responder, struct known *out,
                           const struct ocsp_request *request) {
    bool found = false;
    (void)pthread_mutex_lock(&responder->lock);
    learn_authorities(responder);
    for (size_t i = 0; i < responder->num_known && !found; i++) {
        found = true;
        for (size_t k = 0; k < request->num_certs && found; k++) {
            found = ocsp_issuer_is_meant(&responder->known[i].issuer, &request->cert[k]);
        }
        if (found) {
            *out = responder->known[i];
        }
    }
    (void)pthread_mutex_unlock(&responder->lock);
    return found;
}

/* What the table says now of a certificate whose hash, serial number and authority are set. */
static void take_status(const struct ocsp_responder *responder, const struct ocsp_job *job,
                        struct ocsp_answer *answer, int64_t authority_not_after, int64_t now) {
    struct credential_standing standing;
    int64_t end = authority_not_after;
    answer->status = OCSP_UNKNOWN;
    answer->revoked_at = 0;
    answer->reason = 0;
    if (answer->serial_len == PROFILE_SERIAL_LEN &&
        fleet_credential_standing(responder->options.table, &standing, answer->serial) &&
        (standing.authority[0] == '\0' || strcmp(standing.authority, job->authority) == 0)) {
        if (standing.revoked) {
            answer->status = OCSP_REVOKED;
            answer->reason = (uint8_t)standing.reason;
            answer->revoked_at = standing.revoked_at < now ? standing.revoked_at : now;
        } else if (now < standing.not_after) {
            answer->status = OCSP_GOOD;
            end = standing.not_after < end ? standing.not_after : end;
        }
    }
    int64_t usual = now + responder->options.validity_s;
    answer->next_update = usual < end ? usual : end;
}

static void take_statuses(const struct ocsp_responder *responder, struct ocsp_query *query,
                          int64_t now) {
    for (size_t i = 0; i < query->job.num_answers; i++) {
        take_status(responder, &query->job, &query->job.answer[i], query->authority_not_after, now);
    }
}

/* --- answers -------------------------------------------------------------------------------- */

static void answer_error(struct ocsp_responder *responder, struct ocsp_query *query,
                         enum ocsp_error error) {
    query->answer = ocsp_response_error(error);
    query->this_update = query->next_update = 0;
    atomic_fetch_add_explicit(&responder->errors, 1, memory_order_relaxed);
}

static void answer_signed(struct ocsp_query *query) {
    const struct ocsp_job *job = &query->job;
    query->answer = bytes_of(job->der, job->der_len);
    query->this_update = query->next_update = 0;
    if (job->nonce_len > 0) {
        return; /* for who asked, and nobody else */
    }
    query->this_update = job->produced_at;
    query->next_update = job->answer[0].next_update;
    for (size_t i = 1; i < job->num_answers; i++) {
        if (job->answer[i].next_update < query->next_update) {
            query->next_update = job->answer[i].next_update;
        }
    }
}

static void fill_job(struct ocsp_query *query, const struct ocsp_request *request,
                     const struct known *known) {
    struct ocsp_job *job = &query->job;
    memcpy(job->authority, known->id, sizeof job->authority);
    query->authority_not_after = known->not_after;
    job->num_answers = request->num_certs;
    for (size_t i = 0; i < request->num_certs; i++) {
        const struct ocsp_cert_id *cert = &request->cert[i];
        job->answer[i] =
            (struct ocsp_answer){.alg = cert->alg, .serial_len = (uint8_t)cert->serial.len};
        memcpy(job->answer[i].serial, cert->serial.data, cert->serial.len);
    }
    job->nonce_len = request->nonce.len;
    if (request->nonce.len > 0) {
        memcpy(job->nonce, request->nonce.data, request->nonce.len);
    }
}

/* False: no room, or stopping. */
static bool enqueue(struct ocsp_responder *responder, struct ocsp_query *query) {
    (void)pthread_mutex_lock(&responder->lock);
    bool room = !responder->stopping && responder->queued < OCSP_QUEUE_MAX;
    if (room) {
        query->next = NULL;
        *responder->last = query;
        responder->last = &query->next;
        responder->queued++;
        (void)pthread_cond_signal(&responder->wake);
    }
    (void)pthread_mutex_unlock(&responder->lock);
    return room;
}

bool ocsp_responder_ask(struct ocsp_responder *responder, struct ocsp_query *query, int64_t now) {
    struct ocsp_request request;
    struct known known;
    if (ocsp_request_read(&request, query->request, NULL) != STATUS_OK) {
        answer_error(responder, query, OCSP_MALFORMED_REQUEST);
        return true;
    }
    if (!find_authority(responder, &known, &request)) {
        answer_error(responder, query, OCSP_UNAUTHORIZED);
        return true;
    }
    fill_job(query, &request, &known);
    take_statuses(responder, query, now);
    if (ocsp_cache_find(responder->cache, &query->job, now)) {
        answer_signed(query);
        atomic_fetch_add_explicit(&responder->cached, 1, memory_order_relaxed);
        return true;
    }
    if (enqueue(responder, query)) {
        return false;
    }
    answer_error(responder, query, OCSP_TRY_LATER);
    return true;
}

/* --- the thread ----------------------------------------------------------------------------- */

/* Takes what waits, at most SIGNER_OCSP_MAX; 0: it is time to stop. */
static size_t dequeue(struct ocsp_responder *responder, struct ocsp_query *batch[SIGNER_OCSP_MAX]) {
    size_t num = 0;
    (void)pthread_mutex_lock(&responder->lock);
    while (responder->first == NULL && !responder->stopping) {
        (void)pthread_cond_wait(&responder->wake, &responder->lock);
    }
    while (!responder->stopping && num < SIGNER_OCSP_MAX && responder->first != NULL) {
        batch[num++] = responder->first;
        responder->first = responder->first->next;
        responder->queued--;
    }
    if (responder->first == NULL) {
        responder->last = &responder->first;
    }
    (void)pthread_mutex_unlock(&responder->lock);
    return num;
}

static void conclude(struct ocsp_responder *responder, struct ocsp_query *query, bool gone) {
    if (gone) {
        answer_error(responder, query, OCSP_INTERNAL_ERROR);
    } else if (query->job.status != STATUS_OK) {
        answer_error(responder, query, OCSP_TRY_LATER);
    } else {
        if (query->job.answer[0].status != OCSP_UNKNOWN) {
            ocsp_cache_put(responder->cache, &query->job);
        }
        answer_signed(query);
        atomic_fetch_add_explicit(&responder->signed_anew, 1, memory_order_relaxed);
    }
    query->done(query);
}

static void sign(struct ocsp_responder *responder, struct ocsp_query *const *batch, size_t num) {
    struct ocsp_job *job[SIGNER_OCSP_MAX];
    struct detail detail = {0};
    int64_t now = clock_unix();
    for (size_t i = 0; i < num; i++) {
        take_statuses(responder, batch[i], now); /* it may have changed while it waited */
        job[i] = &batch[i]->job;
    }
    bool gone = signer_ocsp(responder->options.signer, job, num, &detail) != STATUS_OK;
    if (detail.text[0] != '\0') {
        log_event(responder->options.log, gone ? LOG_ERROR : LOG_WARNING, "ocsp_not_signed",
                  log_str("detail", detail.text));
    }
    for (size_t i = 0; i < num; i++) {
        conclude(responder, batch[i], gone);
    }
    if (gone && responder->options.fatal != NULL) {
        responder->options.fatal(responder->options.fatal_context);
    }
}

static void *run(void *context) {
    struct ocsp_responder *responder = context;
    struct ocsp_query *batch[SIGNER_OCSP_MAX];
    fleet_thread_enter();
    for (;;) {
        size_t num = dequeue(responder, batch);
        if (num == 0) {
            break;
        }
        sign(responder, batch, num);
    }
    fleet_thread_leave();
    return NULL;
}

enum status ocsp_responder_start(struct ocsp_responder **out,
                                 const struct ocsp_responder_options *options,
                                 struct detail *detail) {
    struct ocsp_responder *responder = calloc(1, sizeof *responder);
    if (responder == NULL || ocsp_cache_new(&responder->cache, CACHE_SETS) != STATUS_OK) {
        free(responder);
        return status_fail(detail, STATUS_MEMORY, "OCSP responder: out of memory");
    }
    responder->options = *options;
    responder->last = &responder->first;
    (void)pthread_mutex_init(&responder->lock, NULL);
    (void)pthread_cond_init(&responder->wake, NULL);
    if (!thread_start(&responder->thread, "ocsp", run, responder)) {
        ocsp_responder_free(responder);
        return status_fail(detail, STATUS_INTERNAL, "OCSP responder: no thread");
    }
    *out = responder;
    return STATUS_OK;
}

void ocsp_responder_stop(struct ocsp_responder *responder) {
    if (responder == NULL || responder->joined) {
        return;
    }
    (void)pthread_mutex_lock(&responder->lock);
    responder->stopping = true;
    (void)pthread_cond_broadcast(&responder->wake);
    (void)pthread_mutex_unlock(&responder->lock);
    (void)pthread_join(responder->thread, NULL);
    responder->joined = true;
    for (struct ocsp_query *query = responder->first, *next; query != NULL; query = next) {
        next = query->next; /* the query may be gone once it is answered */
        answer_error(responder, query, OCSP_TRY_LATER);
        query->done(query);
    }
    responder->first = NULL;
}

void ocsp_responder_free(struct ocsp_responder *responder) {
    if (responder == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&responder->lock);
    (void)pthread_cond_destroy(&responder->wake);
    ocsp_cache_free(responder->cache);
    free(responder);
}

struct ocsp_counts ocsp_responder_count(const struct ocsp_responder *responder) {
    return (struct ocsp_counts){
        .cached = atomic_load_explicit(&responder->cached, memory_order_relaxed),
        .signed_anew = atomic_load_explicit(&responder->signed_anew, memory_order_relaxed),
        .errors = atomic_load_explicit(&responder->errors, memory_order_relaxed),
    };
}
