#include "tests/unit/soft_lms.h"

#include <string.h>

/* RFC 8554, 3.1, 4.1 and 5.1: LMS_SHA256_M32_H5, LMOTS_SHA256_N32_W8. */
enum { N = 32, P = 34, STEPS = 255, H = 5, LMS_TYPE = 5, OTS_TYPE = 4 };
enum { D_PBLC = 0x8080, D_MESG = 0x8181, D_LEAF = 0x8282, D_INTR = 0x8383 };

static struct writer tagged(uint8_t *room, size_t cap, const uint8_t id[static 16], uint32_t number,
                            uint16_t tag) {
    struct writer w = writer_of(room, cap);
    write_bytes(&w, bytes_of(id, 16));
    write_u32be(&w, number);
    write_u16be(&w, tag);
    return w;
}

static void hash(const struct writer *w, uint8_t out[static N]) {
    digest_compute(HASH_SHA256, writer_bytes(w), out);
}

/* 4.2 and appendix A: the start of chain i. */
static void chain_start(const struct soft_hss *hss, unsigned level, uint32_t q, uint16_t i,
                        uint8_t out[static N]) {
    uint8_t room[64];
    struct writer w = tagged(room, sizeof room, hss->id[level], q, i);
    write_u8(&w, 0xFF);
    write_bytes(&w, bytes_of(hss->seed[level], 32));
    hash(&w, out);
}

static void chain(const struct soft_hss *hss, unsigned level, uint32_t q, uint16_t i, unsigned from,
                  unsigned to, uint8_t value[static N]) {
    for (unsigned j = from; j < to; j++) {
        uint8_t room[64];
        struct writer w = tagged(room, sizeof room, hss->id[level], q, i);
        write_u8(&w, (uint8_t)j);
        write_bytes(&w, bytes_of(value, N));
        hash(&w, value);
    }
}

static void make_leaf(struct soft_hss *hss, unsigned level, uint32_t q) {
    uint8_t room[P * N + 64], key[N];
    struct writer w = tagged(room, sizeof room, hss->id[level], q, D_PBLC);
    for (uint16_t i = 0; i < P; i++) {
        uint8_t end[N];
        chain_start(hss, level, q, i, end);
        chain(hss, level, q, i, 0, STEPS, end);
        write_bytes(&w, bytes_of(end, N));
    }
    hash(&w, key);
    w = tagged(room, sizeof room, hss->id[level], SOFT_LMS_LEAVES + q, D_LEAF);
    write_bytes(&w, bytes_of(key, N));
    hash(&w, hss->node[level][SOFT_LMS_LEAVES + q]);
}

void soft_hss_make(struct soft_hss *out, unsigned levels, uint8_t fill) {
    memset(out, fill, sizeof *out);
    out->levels = levels;
    for (unsigned level = 0; level < levels; level++) {
        out->id[level][0] = (uint8_t)level;
        for (uint32_t q = 0; q < SOFT_LMS_LEAVES; q++) {
            make_leaf(out, level, q);
        }
        for (uint32_t r = SOFT_LMS_LEAVES - 1; r > 0; r--) {
            uint8_t room[128];
            struct writer w = tagged(room, sizeof room, out->id[level], r, D_INTR);
            write_bytes(&w, bytes_of(out->node[level][2 * r], N));
            write_bytes(&w, bytes_of(out->node[level][2 * r + 1], N));
            hash(&w, out->node[level][r]);
        }
    }
}

static void write_public(struct writer *w, const struct soft_hss *hss, unsigned level) {
    write_u32be(w, LMS_TYPE);
    write_u32be(w, OTS_TYPE);
    write_bytes(w, bytes_of(hss->id[level], 16));
    write_bytes(w, bytes_of(hss->node[level][1], N));
}

void soft_hss_public(const struct soft_hss *hss, uint8_t out[static SOFT_HSS_PUBLIC]) {
    struct writer w = writer_of(out, SOFT_HSS_PUBLIC);
    write_u32be(&w, hss->levels);
    write_public(&w, hss, 0);
}

/* 4.5 and 5.4.1 */
static void write_signature(struct writer *out, const struct soft_hss *hss, unsigned level,
                            uint32_t q, struct bytes message) {
    uint8_t room[4096], digit[P];
    const uint8_t *randomizer = hss->seed[level];
    unsigned sum = 0;
    struct writer w = tagged(room, sizeof room, hss->id[level], q, D_MESG);
    write_bytes(&w, bytes_of(randomizer, N));
    write_bytes(&w, message);
    hash(&w, digit);
    for (unsigned i = 0; i < N; i++) {
        sum += STEPS - digit[i];
    }
    digit[N] = (uint8_t)(sum >> 8);
    digit[N + 1] = (uint8_t)sum;
    write_u32be(out, q);
    write_u32be(out, OTS_TYPE);
    write_bytes(out, bytes_of(randomizer, N));
    for (uint16_t i = 0; i < P; i++) {
        uint8_t value[N];
        chain_start(hss, level, q, i, value);
        chain(hss, level, q, i, 0, digit[i], value);
        write_bytes(out, bytes_of(value, N));
    }
    write_u32be(out, LMS_TYPE);
    for (uint32_t r = SOFT_LMS_LEAVES + q; r > 1; r /= 2) {
        write_bytes(out, bytes_of(hss->node[level][r ^ 1u], N));
    }
}

/* 6.2 */
size_t soft_hss_sign(const struct soft_hss *hss, uint32_t q, struct bytes message,
                     uint8_t out[static SOFT_HSS_SIGNATURE_MAX]) {
    struct writer w = writer_of(out, SOFT_HSS_SIGNATURE_MAX);
    write_u32be(&w, hss->levels - 1);
    if (hss->levels == 2) {
        uint8_t lower[56];
        struct writer key = writer_of(lower, sizeof lower);
        write_public(&key, hss, 1);
        write_signature(&w, hss, 0, 0, bytes_of(lower, sizeof lower));
        write_bytes(&w, bytes_of(lower, sizeof lower));
    }
    write_signature(&w, hss, hss->levels - 1, q, message);
    return writer_bytes(&w).len;
}
