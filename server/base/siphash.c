#include "server/base/siphash.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static void run_rounds(struct state *s, int num) {
    for (int i = 0; i < num; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void take_word(struct state *s, uint64_t word) {
    s->v3 ^= word;
    run_rounds(s, 2);
    s->v0 ^= word;
}

uint64_t siphash(const uint8_t key[static SIPHASH_KEY], struct bytes in) {
    struct bytes halves = bytes_of(key, SIPHASH_KEY);
    uint64_t k0 = 0, k1 = 0, word = 0, last = (uint64_t)in.len << 56;
    if (bytes_u64le(&halves, &k0) != STATUS_OK || bytes_u64le(&halves, &k1) != STATUS_OK) {
        return 0; /* it holds 16 bytes */
    }
    struct state s = {k0 ^ 0x736f6d6570736575U, k1 ^ 0x646f72616e646f6dU, k0 ^ 0x6c7967656e657261U,
                      k1 ^ 0x7465646279746573U};
    while (bytes_u64le(&in, &word) == STATUS_OK) {
        take_word(&s, word);
    }
    uint8_t byte;
    for (int bits = 0; bytes_u8(&in, &byte) == STATUS_OK; bits += 8) {
        last |= (uint64_t)byte << bits;
    }
    take_word(&s, last);
    s.v2 ^= 0xff;
    run_rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
