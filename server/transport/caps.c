#include "server/transport/internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Open addressing, linear probing; an empty slot has count 0. */
struct slot {
    struct address address;
    unsigned count;
};

struct address_counts {
    pthread_mutex_t lock;
    struct slot *slots;
    size_t num, cap; /* used slots; slots, a power of two */
    uint64_t seed;   /* peers cannot choose who shares a slot */
};

enum { FIRST_CAP = 64 };

struct address_counts *address_counts_new(void) {
    struct address_counts *counts = calloc(1, sizeof *counts);
    if (counts == NULL) {
        return NULL;
    }
    counts->cap = FIRST_CAP;
    counts->slots = calloc(counts->cap, sizeof *counts->slots);
    if (counts->slots == NULL ||
        getrandom(&counts->seed, sizeof counts->seed, 0) != (ssize_t)sizeof counts->seed) {
        free(counts->slots);
        free(counts);
        return NULL;
    }
    (void)pthread_mutex_init(&counts->lock, NULL);
    return counts;
}

void address_counts_free(struct address_counts *counts) {
    if (counts == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&counts->lock);
    free(counts->slots);
    free(counts);
}

static uint64_t mix(uint64_t v) {
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    return v ^ (v >> 31);
}

static size_t home(const struct address_counts *counts, const struct address *address) {
    uint64_t half[2];
    memcpy(half, address->bytes, sizeof half);
    return (size_t)mix(mix(half[0] ^ counts->seed) ^ half[1]) & (counts->cap - 1);
}

/* The slot that holds the address, or the empty one where it belongs. */
static size_t find(const struct address_counts *counts, const struct address *address) {
    size_t i = home(counts, address);
    while (counts->slots[i].count != 0 &&
           memcmp(&counts->slots[i].address, address, sizeof *address) != 0) {
        i = (i + 1) & (counts->cap - 1);
    }
    return i;
}

static bool grow(struct address_counts *counts) {
    struct slot *old = counts->slots;
    size_t old_cap = counts->cap;
    struct slot *slots = calloc(old_cap * 2, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    counts->slots = slots;
    counts->cap = old_cap * 2;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].count != 0) {
            slots[find(counts, &old[i].address)] = old[i];
        }
    }
    free(old);
    return true;
}

bool address_counts_add(struct address_counts *counts, const struct address *address,
                        unsigned max) {
    (void)pthread_mutex_lock(&counts->lock);
    size_t i = find(counts, address);
    struct slot *slot = &counts->slots[i];
    bool good = slot->count < max;
    if (good && slot->count == 0 && 4 * (counts->num + 1) > 3 * counts->cap) {
        good = grow(counts);
        slot = &counts->slots[find(counts, address)];
    }
    if (good) {
        if (slot->count++ == 0) {
            slot->address = *address;
            counts->num++;
        }
    }
    (void)pthread_mutex_unlock(&counts->lock);
    return good;
}

/* Empties a slot, and moves up those that were pushed past it. */
static void vacate(struct address_counts *counts, size_t hole) {
    size_t mask = counts->cap - 1;
    counts->num--;
    for (size_t i = (hole + 1) & mask; counts->slots[i].count != 0; i = (i + 1) & mask) {
        size_t wants = home(counts, &counts->slots[i].address);
        if (((i - wants) & mask) >= ((i - hole) & mask)) {
            counts->slots[hole] = counts->slots[i];
            hole = i;
        }
    }
    counts->slots[hole].count = 0;
}

void address_counts_drop(struct address_counts *counts, const struct address *address) {
    (void)pthread_mutex_lock(&counts->lock);
    size_t i = find(counts, address);
    if (counts->slots[i].count != 0 && --counts->slots[i].count == 0) {
        counts->slots[i].count = 1; /* vacate() walks over used slots */
        vacate(counts, i);
    }
    (void)pthread_mutex_unlock(&counts->lock);
}

void address_read(struct address *key, char text[static HTTP_ADDRESS_SIZE],
                  const struct sockaddr_storage *from) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memset(key, 0, sizeof *key);
    text[0] = '\0';
    if (from->ss_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, from, sizeof in4);
        memcpy(key->bytes, mapped, sizeof mapped);
        memcpy(key->bytes + sizeof mapped, &in4.sin_addr, 4);
        (void)inet_ntop(AF_INET, &in4.sin_addr, text, HTTP_ADDRESS_SIZE);
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        if (memcmp(in6.sin6_addr.s6_addr, mapped, sizeof mapped) == 0) {
            memcpy(key->bytes, in6.sin6_addr.s6_addr, 16);
            (void)inet_ntop(AF_INET, in6.sin6_addr.s6_addr + sizeof mapped, text,
                            HTTP_ADDRESS_SIZE);
        } else {
            memcpy(key->bytes, in6.sin6_addr.s6_addr, 8);
            (void)inet_ntop(AF_INET6, &in6.sin6_addr, text, HTTP_ADDRESS_SIZE);
        }
    }
}
