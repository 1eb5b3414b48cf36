#include "api/limiter.h"

#include "server/crypto/random.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 8192, WAYS = 8, MINUTE_MS = 60000 };

struct bucket {
    uint64_t key;   /* 0: free */
    int64_t filled; /* when it was looked at last */
    int64_t level;  /* tokens, times MINUTE_MS */
};

struct limiter {
    pthread_mutex_t lock;
    unsigned per_minute;
    uint64_t seed; /* nobody can choose addresses that meet in one set */
    struct bucket bucket[BUCKETS];
};

enum status limiter_new(struct limiter **out, unsigned per_minute) {
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (limiter == NULL) {
        return STATUS_MEMORY;
    }
    if (pthread_mutex_init(&limiter->lock, NULL) != 0) {
        free(limiter);
        return STATUS_MEMORY;
    }
    limiter->per_minute = per_minute;
    random_bytes(&limiter->seed, sizeof limiter->seed);
    *out = limiter;
    return STATUS_OK;
}

void limiter_free(struct limiter *limiter) {
    if (limiter != NULL) {
        pthread_mutex_destroy(&limiter->lock);
        free(limiter);
    }
}

/* splitmix64: any change of the input changes every bit of the output alike. */
static uint64_t mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static uint64_t key_of(const struct limiter *limiter, const char *address) {
    struct in6_addr six;
    uint64_t value = limiter->seed;
    const uint8_t *data = (const uint8_t *)address;
    size_t len = strlen(address);
    if (inet_pton(AF_INET6, address, &six) == 1 && !IN6_IS_ADDR_V4MAPPED(&six)) {
        data = six.s6_addr;
        len = 8;
    }
    for (size_t i = 0; i < len; i++) {
        value = mix(value ^ data[i]);
    }
    return value == 0 ? 1 : value;
}

static struct bucket *find(struct limiter *limiter, uint64_t key, int64_t now_ms) {
    struct bucket *set = &limiter->bucket[key % (BUCKETS / WAYS) * WAYS];
    struct bucket *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        oldest = set[i].filled < oldest->filled ? &set[i] : oldest;
    }
    *oldest = (struct bucket){key, now_ms, (int64_t)limiter->per_minute * MINUTE_MS};
    return oldest;
}

bool limiter_take(struct limiter *limiter, const char *address, int64_t now_ms) {
    if (limiter->per_minute == 0) {
        return true;
    }
    uint64_t key = key_of(limiter, address);
    (void)pthread_mutex_lock(&limiter->lock);
    struct bucket *b = find(limiter, key, now_ms);
    int64_t passed = now_ms > b->filled ? now_ms - b->filled : 0;
    int64_t full = (int64_t)limiter->per_minute * MINUTE_MS;
    b->level += (passed < MINUTE_MS ? passed : MINUTE_MS) * (int64_t)limiter->per_minute;
    b->level = b->level < full ? b->level : full;
    b->filled = now_ms > b->filled ? now_ms : b->filled;
    bool allowed = b->level >= MINUTE_MS;
    b->level -= allowed ? MINUTE_MS : 0;
    (void)pthread_mutex_unlock(&limiter->lock);
    return allowed;
}
