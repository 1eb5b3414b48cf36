/* Boot states with logs of made-up pieces, for tests of the store. */
#ifndef GATEHOUSE_TESTS_BOOT_FIXTURE_H
#define GATEHOUSE_TESTS_BOOT_FIXTURE_H

#include "tests/unit/store_fixture.h"

enum { SAMPLE_PIECES = 12, SAMPLE_PIECE = 40 };

/* A log: `shared` is what its pieces have in common with those of other logs of the same `shared`,
 * `own` the seventh and the last piece. Its boot state's digests are made up from both. */
struct sample_boot {
    struct boot_state_row row;
    uint8_t text[SAMPLE_PIECES][SAMPLE_PIECE];
    struct bytes piece[SAMPLE_PIECES];
    uint8_t log[SAMPLE_PIECES * SAMPLE_PIECE];
    uint8_t form[64];
};

/* The views point into *out: it is not to be copied. */
void sample_boot(struct sample_boot *out, unsigned shared, unsigned own);
struct bytes sample_boot_log(const struct sample_boot *boot);
/* Puts it, and the device is in it from `since` on; `trusted` may be NULL. */
enum status sample_boot_put(struct store_writer *writer, const struct sample_boot *boot,
                            const char *device_id, const struct sample_boot *trusted,
                            int64_t since);

#endif
