#include "server/fleet/challenge.h"

#include "server/base/encoding.h"
#include "server/crypto/random.h"
#include "server/fleet/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Each shard has its own lock, a chained hash table of nonces by device, and a list of the same by
 * age: all live equally long, so the oldest expires first. A nonce that was used or has expired is
 * remembered for one lifetime more, to tell a late device from a lying one. */

enum { SHARDS = 64, RAW_ID = 16, FIRST_BUCKETS = 16 };

struct challenge {
    struct challenge *next;          /* in its bucket, newest first */
    struct challenge *older, *newer; /* in its shard, a ring */
    uint8_t device[RAW_ID], nonce[CHALLENGE_LEN], context[32];
    int64_t expires_ms;
    bool used;
};

struct shard {
    pthread_mutex_t lock;
    struct challenge **bucket;
    size_t num_buckets, num;
    struct challenge ring; /* its newer is the oldest of all, its older the newest */
};

struct challenges {
    struct shard shard[SHARDS];
    int64_t lifetime_ms;
    uint64_t seed;
    unsigned max;
    _Atomic unsigned devices; /* that have any */
};

static uint64_t hash_of(const struct challenges *c, const uint8_t device[RAW_ID]) {
    return hash_key(device, c->seed);
}

static struct shard *shard_of(struct challenges *c, uint64_t hash) {
    return &c->shard[hash % SHARDS];
}

static struct challenge **bucket_of(struct shard *shard, uint64_t hash) {
    return &shard->bucket[hash / SHARDS % shard->num_buckets];
}

static bool is_of(const struct challenge *challenge, const uint8_t device[RAW_ID]) {
    return memcmp(challenge->device, device, RAW_ID) == 0;
}

/* How many the device has; *oldest is the one that was given first. */
static unsigned count_of(struct shard *shard, uint64_t hash, const uint8_t device[RAW_ID],
                         struct challenge **oldest) {
    unsigned num = 0;
    for (struct challenge *at = *bucket_of(shard, hash); at != NULL; at = at->next) {
        if (is_of(at, device)) {
            num++;
            *oldest = at;
        }
    }
    return num;
}

/* Moves everything into `num` buckets. Without memory it stays as it is, only slower. */
static void resize(struct challenges *c, struct shard *shard, size_t num) {
    struct challenge **bucket = calloc(num, sizeof(struct challenge *));
    if (bucket == NULL) {
        return;
    }
    free(shard->bucket);
    shard->bucket = bucket;
    shard->num_buckets = num;
    for (struct challenge *at = shard->ring.newer; at != &shard->ring; at = at->newer) {
        struct challenge **head = bucket_of(shard, hash_of(c, at->device));
        at->next = *head;
        *head = at;
    }
}

static void fit(struct challenges *c, struct shard *shard) {
    if (shard->num > shard->num_buckets) {
        resize(c, shard, 2 * shard->num_buckets);
    } else if (shard->num_buckets > FIRST_BUCKETS && shard->num < shard->num_buckets / 8) {
        resize(c, shard, shard->num_buckets / 2);
    }
}

static void forget(struct challenges *c, struct shard *shard, struct challenge *challenge) {
    uint64_t hash = hash_of(c, challenge->device);
    struct challenge **link = bucket_of(shard, hash);
    while (*link != challenge) {
        link = &(*link)->next;
    }
    *link = challenge->next;
    challenge->older->newer = challenge->newer;
    challenge->newer->older = challenge->older;
    shard->num--;
    struct challenge *other = NULL;
    if (count_of(shard, hash, challenge->device, &other) == 0) {
        atomic_fetch_sub(&c->devices, 1);
    }
    bytes_wipe(challenge, sizeof *challenge);
    free(challenge);
}

/* Forgets what expired before `before_ms`. */
static void forget_old(struct challenges *c, struct shard *shard, int64_t before_ms) {
    struct challenge *newer;
    for (struct challenge *at = shard->ring.newer;
         at != &shard->ring && at->expires_ms <= before_ms; at = newer) {
        newer = at->newer;
        forget(c, shard, at);
        fit(c, shard);
    }
}

/* At the cap, whatever has expired makes room, in every shard. */
static void make_room(struct challenges *c, int64_t now_ms) {
    for (size_t i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_lock(&c->shard[i].lock);
        forget_old(c, &c->shard[i], now_ms);
        (void)pthread_mutex_unlock(&c->shard[i].lock);
    }
}

/* Counts a device in, unless there are too many. */
static bool reserve(struct challenges *c) {
    unsigned num = atomic_load(&c->devices);
    while (num < c->max) {
        if (atomic_compare_exchange_weak(&c->devices, &num, num + 1)) {
            return true;
        }
    }
    return false;
}

static void add(struct challenges *c, struct shard *shard, uint64_t hash,
                struct challenge *challenge) {
    struct challenge **head = bucket_of(shard, hash);
    challenge->next = *head;
    *head = challenge;
    challenge->older = shard->ring.older;
    challenge->newer = &shard->ring;
    challenge->older->newer = challenge;
    shard->ring.older = challenge;
    shard->num++;
    fit(c, shard);
}

/* Under the lock of the shard. BUSY; the challenge is taken only when OK. */
static enum status admit(struct challenges *c, uint64_t hash, struct challenge *challenge,
                         int64_t now_ms) {
    struct shard *shard = shard_of(c, hash);
    forget_old(c, shard, now_ms - c->lifetime_ms);
    struct challenge *oldest = NULL;
    unsigned num = count_of(shard, hash, challenge->device, &oldest);
    if (num == 0 && !reserve(c)) {
        return STATUS_BUSY;
    }
    add(c, shard, hash, challenge);
    if (num >= CHALLENGES_PER_DEVICE) {
        forget(c, shard, oldest);
    }
    return STATUS_OK;
}

enum status challenge_new(struct challenges *c, uint8_t nonce[static CHALLENGE_LEN],
                          const char *device_id, const uint8_t context[static 32], int64_t now_ms) {
    struct challenge *challenge = calloc(1, sizeof *challenge);
    if (challenge == NULL) {
        return STATUS_MEMORY;
    }
    if (hex_decode(challenge->device, RAW_ID, device_id) != STATUS_OK) {
        free(challenge);
        return STATUS_MALFORMED;
    }
    memcpy(challenge->context, context, sizeof challenge->context);
    random_bytes(challenge->nonce, sizeof challenge->nonce);
    challenge->expires_ms = now_ms + c->lifetime_ms;
    uint8_t fresh[CHALLENGE_LEN]; /* another thread may forget the challenge before we return */
    memcpy(fresh, challenge->nonce, sizeof fresh);

    uint64_t hash = hash_of(c, challenge->device);
    struct shard *shard = shard_of(c, hash);
    enum status status = STATUS_BUSY;
    for (int attempt = 0; attempt < 2 && status == STATUS_BUSY; attempt++) {
        if (attempt > 0) {
            make_room(c, now_ms);
        }
        (void)pthread_mutex_lock(&shard->lock);
        status = admit(c, hash, challenge, now_ms);
        (void)pthread_mutex_unlock(&shard->lock);
    }
    if (status != STATUS_OK) {
        free(challenge);
        return status;
    }
    memcpy(nonce, fresh, sizeof fresh);
    return STATUS_OK;
}

static struct challenge *find(struct shard *shard, uint64_t hash, const uint8_t device[RAW_ID],
                              struct bytes nonce) {
    for (struct challenge *at = *bucket_of(shard, hash); at != NULL; at = at->next) {
        if (is_of(at, device) &&
            bytes_equal_constant_time(bytes_of(at->nonce, sizeof at->nonce), nonce)) {
            return at;
        }
    }
    return NULL;
}

enum status challenge_take(struct challenges *c, struct bytes nonce, const char *device_id,
                           uint8_t context[static 32], int64_t now_ms) {
    uint8_t device[RAW_ID];
    if (nonce.len != CHALLENGE_LEN || hex_decode(device, sizeof device, device_id) != STATUS_OK) {
        return STATUS_NOT_FOUND;
    }
    uint64_t hash = hash_of(c, device);
    struct shard *shard = shard_of(c, hash);
    (void)pthread_mutex_lock(&shard->lock);
    struct challenge *found = find(shard, hash, device, nonce);
    enum status status = found == NULL                 ? STATUS_NOT_FOUND
                         : found->used                 ? STATUS_CONFLICT
                         : now_ms >= found->expires_ms ? STATUS_EXPIRED
                                                       : STATUS_OK;
    if (status == STATUS_OK) {
        found->used = true;
        memcpy(context, found->context, sizeof found->context);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return status;
}

unsigned challenges_devices(const struct challenges *c) {
    return atomic_load(&c->devices);
}

enum status challenges_new(struct challenges **out, unsigned max, int64_t lifetime_ms) {
    struct challenges *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return STATUS_MEMORY;
    }
    c->max = max;
    c->lifetime_ms = lifetime_ms;
    random_bytes(&c->seed, sizeof c->seed);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < SHARDS; i++) {
        c->shard[i].bucket = calloc(FIRST_BUCKETS, sizeof(struct challenge *));
        c->shard[i].num_buckets = FIRST_BUCKETS;
        c->shard[i].ring.older = c->shard[i].ring.newer = &c->shard[i].ring;
        if (c->shard[i].bucket == NULL || pthread_mutex_init(&c->shard[i].lock, NULL) != 0) {
            status = STATUS_MEMORY;
        }
    }
    if (status != STATUS_OK) {
        challenges_free(c);
        return status;
    }
    *out = c;
    return STATUS_OK;
}

void challenges_free(struct challenges *c) {
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &c->shard[i];
        forget_old(c, shard, INT64_MAX);
        free(shard->bucket);
        (void)pthread_mutex_destroy(&shard->lock);
    }
    free(c);
}
