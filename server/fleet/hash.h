/* Where a key of 16 bytes or more goes in a hash table: its first half, mixed with a seed that
 * nobody outside knows, so that nobody can choose keys that meet (MurmurHash3's finaliser). */
#ifndef GATEHOUSE_FLEET_HASH_H
#define GATEHOUSE_FLEET_HASH_H

#include <stdint.h>
#include <string.h>

static inline uint64_t hash_key(const uint8_t *key, uint64_t seed) {
    uint64_t x;
    memcpy(&x, key, sizeof x);
    x ^= seed;
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdU;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53U;
    return x ^ x >> 33;
}

#endif
