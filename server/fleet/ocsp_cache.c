#include "server/fleet/ocsp_cache.h"

#include "server/crypto/random.h"
#include "server/fleet/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, LOCKS = 64, RAW_SERIAL = PROFILE_SERIAL_LEN };

struct entry { /* der_len 0: free */
    char authority[AUTHORITY_ID_SIZE];
    struct ocsp_answer answer;
    int64_t produced_at;
    size_t der_len;
    uint8_t der[OCSP_CACHED_MAX];
};

struct ocsp_cache {
    pthread_mutex_t lock[LOCKS]; /* of the sets with this number modulo LOCKS */
    uint64_t seed;
    size_t num_sets;
    struct entry *entry; /* WAYS for each set; pages that stay untouched cost nothing */
};

enum status ocsp_cache_new(struct ocsp_cache **out, size_t num_sets) {
    struct ocsp_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return STATUS_MEMORY;
    }
    cache->entry = calloc(num_sets * WAYS, sizeof *cache->entry);
    if (cache->entry == NULL) {
        free(cache);
        return STATUS_MEMORY;
    }
    cache->num_sets = num_sets;
    random_bytes(&cache->seed, sizeof cache->seed);
    for (size_t i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&cache->lock[i], NULL);
    }
    *out = cache;
    return STATUS_OK;
}

void ocsp_cache_free(struct ocsp_cache *cache) {
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_destroy(&cache->lock[i]);
    }
    free(cache->entry);
    free(cache);
}

static bool has_our_shape(const struct ocsp_job *job) {
    return job->num_answers == 1 && job->nonce_len == 0 && job->answer[0].serial_len == RAW_SERIAL;
}

static size_t set_of(const struct ocsp_cache *cache, const struct ocsp_job *job) {
    return (size_t)(hash_key(job->answer[0].serial, cache->seed) % cache->num_sets);
}

static bool is_of(const struct entry *entry, const struct ocsp_job *job) {
    const struct ocsp_answer *a = &entry->answer, *b = &job->answer[0];
    return entry->der_len > 0 && a->alg == b->alg &&
           memcmp(a->serial, b->serial, RAW_SERIAL) == 0 &&
           strcmp(entry->authority, job->authority) == 0;
}

static bool says_the_same(const struct ocsp_answer *a, const struct ocsp_answer *b) {
    return a->status == b->status && a->revoked_at == b->revoked_at && a->reason == b->reason;
}

static bool take(const struct entry *entry, struct ocsp_job *job, int64_t now) {
    int64_t lifetime = entry->answer.next_update - entry->produced_at;
    if (!is_of(entry, job) || !says_the_same(&entry->answer, &job->answer[0]) ||
        now < entry->produced_at || now - entry->produced_at >= lifetime / 2) {
        return false;
    }
    job->answer[0].next_update = entry->answer.next_update;
    job->produced_at = entry->produced_at;
    memcpy(job->der, entry->der, entry->der_len);
    job->der_len = entry->der_len;
    return true;
}

bool ocsp_cache_find(struct ocsp_cache *cache, struct ocsp_job *job, int64_t now) {
    if (!has_our_shape(job)) {
        return false;
    }
    size_t set = set_of(cache, job);
    bool found = false;
    (void)pthread_mutex_lock(&cache->lock[set % LOCKS]);
    for (size_t i = 0; i < WAYS && !found; i++) {
        found = take(&cache->entry[set * WAYS + i], job, now);
    }
    (void)pthread_mutex_unlock(&cache->lock[set % LOCKS]);
    return found;
}

/* Its own old one, a free one, or the one that ends first. */
static struct entry *place_in(struct entry *set, const struct ocsp_job *job) {
    struct entry *place = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (is_of(&set[i], job)) {
            return &set[i];
        }
        if (place->der_len > 0 &&
            (set[i].der_len == 0 || set[i].answer.next_update < place->answer.next_update)) {
            place = &set[i];
        }
    }
    return place;
}

void ocsp_cache_put(struct ocsp_cache *cache, const struct ocsp_job *job) {
    if (!has_our_shape(job) || job->der_len == 0 || job->der_len > OCSP_CACHED_MAX) {
        return;
    }
    size_t set = set_of(cache, job);
    (void)pthread_mutex_lock(&cache->lock[set % LOCKS]);
    struct entry *entry = place_in(&cache->entry[set * WAYS], job);
    memcpy(entry->authority, job->authority, sizeof entry->authority);
    entry->answer = job->answer[0];
    entry->produced_at = job->produced_at;
    memcpy(entry->der, job->der, job->der_len);
    entry->der_len = job->der_len;
    (void)pthread_mutex_unlock(&cache->lock[set % LOCKS]);
}
