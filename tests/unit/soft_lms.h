/* An HSS signer, written from RFC 8554 for tests: SHA-256/M32, height 5, Winternitz width 8. Fast
 * enough for a test, careless with its state: each call says which leaf it uses. */
#ifndef GATEHOUSE_TESTS_SOFT_LMS_H
#define GATEHOUSE_TESTS_SOFT_LMS_H

#include "server/crypto/digest.h"

enum { SOFT_LMS_LEAVES = 32, SOFT_HSS_PUBLIC = 60, SOFT_HSS_SIGNATURE_MAX = 4096 };
struct soft_hss {
    unsigned levels;   /* 1 or 2 */
    uint8_t id[2][16]; /* I of each level's tree */
    uint8_t seed[2][32];
    uint8_t node[2][2 * SOFT_LMS_LEAVES][32]; /* T[r], 1 is the root */
};
void soft_hss_make(struct soft_hss *out, unsigned levels, uint8_t fill);
void soft_hss_public(const struct soft_hss *hss, uint8_t out[static SOFT_HSS_PUBLIC]);
/* With leaf q of the lowest tree, which leaf 0 of the one above has signed. Returns the length. */
size_t soft_hss_sign(const struct soft_hss *hss, uint32_t q, struct bytes message,
                     uint8_t out[static SOFT_HSS_SIGNATURE_MAX]);

#endif
