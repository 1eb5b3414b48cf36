/* What POST /v1/devices may say of a factory certificate (IEEE 802.1AR). */
#ifndef GATEHOUSE_API_ADMIN_IDEVID_REGISTRATION_H
#define GATEHOUSE_API_ADMIN_IDEVID_REGISTRATION_H

#include "api/request.h"

struct idevid_registration {
    const char *certificate; /* PEM; further ones are its intermediates. NULL: none */
    const char *ak_public;   /* base64 TPM2B_PUBLIC; with a certificate that stands for the device
                                alone. NULL: none */
};

/* Does the certificate tell who the device is? Then there is no EK, and with an AK the device is
 * enrolled at once. Writes the SHA-256 of its key's SubjectPublicKeyInfo as hex, out of which the
 * device id follows. False: answered. */
MUST_USE bool idevid_registration_key(struct request *r, char out[static 65],
                                      const struct idevid_registration *in);
/* Adds what was given to the row, whose model and id are known: the certificate has to lead to the
 * model's anchors now. `alone`: as above. False: answered. */
MUST_USE bool idevid_registration_fill(struct request *r, struct device_row *row,
                                       const struct idevid_registration *in, bool alone);

#endif
