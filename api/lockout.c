#include "api/lockout.h"

#include "server/crypto/random.h"
#include "server/fleet/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SETS = 1024, WAYS = 8 };
static const int64_t SECOND_US = 1000000;

struct entry {
    _Atomic uint64_t key;     /* 0: free */
    _Atomic int64_t until_us; /* locked out until then */
    /* Under the lock: */
    int64_t began_us, last_us; /* the first refusal of this window, and the latest */
    unsigned refusals;
};

struct lockout {
    uint64_t seed[2];          /* nobody can choose certificates that meet */
    _Atomic int64_t latest_us; /* the end of the latest lock-out of all */
    pthread_mutex_t lock;      /* of who writes */
    struct entry set[SETS][WAYS];
};

enum status lockout_new(struct lockout **out) {
    struct lockout *lockout = calloc(1, sizeof *lockout);
    if (lockout == NULL) {
        return STATUS_MEMORY;
    }
    if (pthread_mutex_init(&lockout->lock, NULL) != 0) {
        free(lockout);
        return STATUS_MEMORY;
    }
    random_bytes(lockout->seed, sizeof lockout->seed);
    *out = lockout;
    return STATUS_OK;
}

void lockout_free(struct lockout *lockout) {
    if (lockout != NULL) {
        (void)pthread_mutex_destroy(&lockout->lock);
        free(lockout);
    }
}

static uint64_t key_of(const struct lockout *lockout, const uint8_t sha256[static 32]) {
    uint64_t key = hash_key(sha256, lockout->seed[0]) ^ hash_key(sha256 + 8, lockout->seed[1]);
    return key == 0 ? 1 : key;
}

/* The key is looked at again: the entry may have become another's in between. */
static int64_t until_of(const struct entry *entry, uint64_t key) {
    if (atomic_load_explicit(&entry->key, memory_order_acquire) != key) {
        return 0;
    }
    int64_t until_us = atomic_load_explicit(&entry->until_us, memory_order_acquire);
    return atomic_load_explicit(&entry->key, memory_order_acquire) == key ? until_us : 0;
}

unsigned lockout_wait_s(const struct lockout *lockout, const uint8_t sha256[static 32],
                        int64_t now_us) {
    if (atomic_load_explicit(&lockout->latest_us, memory_order_relaxed) <= now_us) {
        return 0;
    }
    uint64_t key = key_of(lockout, sha256);
    for (size_t i = 0; i < WAYS; i++) {
        int64_t left_us = until_of(&lockout->set[key % SETS][i], key) - now_us;
        if (left_us > 0) {
            return (unsigned)((left_us + SECOND_US - 1) / SECOND_US);
        }
    }
    return 0;
}

/* The entry of the key: its own, or the one whose latest refusal is longest ago, made its own. */
static struct entry *entry_of(struct lockout *lockout, uint64_t key, int64_t now_us) {
    struct entry *set = lockout->set[key % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) {
            return &set[i];
        }
        oldest = set[i].last_us < oldest->last_us ? &set[i] : oldest;
    }
    atomic_store(&oldest->key, 0);
    atomic_store(&oldest->until_us, 0);
    atomic_store(&oldest->key, key);
    oldest->began_us = now_us;
    oldest->refusals = 0;
    return oldest;
}

bool lockout_refused(struct lockout *lockout, const uint8_t sha256[static 32], int64_t now_us) {
    uint64_t key = key_of(lockout, sha256);
    (void)pthread_mutex_lock(&lockout->lock);
    struct entry *entry = entry_of(lockout, key, now_us);
    if (now_us - entry->began_us >= LOCKOUT_WINDOW_S * SECOND_US) {
        entry->began_us = now_us;
        entry->refusals = 0;
    }
    entry->last_us = now_us;
    bool begins = ++entry->refusals == LOCKOUT_REFUSALS;
    if (begins) {
        int64_t until_us = now_us + LOCKOUT_S * SECOND_US;
        entry->refusals = 0;
        entry->began_us = until_us; /* what was under way counts for nothing */
        atomic_store(&entry->until_us, until_us);
        if (until_us > atomic_load(&lockout->latest_us)) {
            atomic_store(&lockout->latest_us, until_us);
        }
    }
    (void)pthread_mutex_unlock(&lockout->lock);
    return begins;
}
