/* A device's factory certificate (IEEE 802.1AR-2018, 8: IDevID): who made it, and its serial
 * number. Pure, thread-safe. */
#ifndef GATEHOUSE_IDENTITY_IDEVID_H
#define GATEHOUSE_IDENTITY_IDEVID_H

#include "server/crypto/x509.h"

enum { IDEVID_SERIAL_SIZE = 65 };

struct idevid {
    uint8_t sha256[32];              /* of the DER */
    char serial[IDEVID_SERIAL_SIZE]; /* the subject's serialNumber (2.5.4.5) */
    struct public_key key;
    int64_t not_after; /* often 9999-12-31T23:59:59Z */
};

/* OK when the certificate chains to `bundle` at `now` as a TLS client's (CHAIN_TLS_CLIENT: DER, no
 * CA, fit for signing and client authentication), its key is of a kind that is taken, and its subject
 * has exactly one serialNumber, of 1 to 64 printable ASCII characters. Otherwise INVALID with the
 * reason. `extra` came with it, untrusted. */
MUST_USE enum status idevid_check(struct idevid *out, struct bytes der, const struct bytes *extra,
                                  size_t num_extra, const struct trust_bundle *bundle, int64_t now,
                                  struct detail *detail);

#endif
