/* The TPM vendors in force: one bundle of their certificates, replaced as a whole while enrolments go on. Thread-safe; a
 * reader waits for a replacement only while two pointers change places. */
#ifndef GATEHOUSE_IDENTITY_EK_TRUST_H
#define GATEHOUSE_IDENTITY_EK_TRUST_H

#include "server/identity/enrolment.h"

struct ek_trust;

/* From PEM text, as trust_bundle_new; MALFORMED, LIMIT, MEMORY, ... with a detail. */
MUST_USE enum status ek_trust_new(struct ek_trust **out, struct bytes pem, struct detail *detail);
/* On any status but OK the certificates before stay in force. */
MUST_USE enum status ek_trust_replace(struct ek_trust *trust, struct bytes pem,
                                      struct detail *detail);
/* ek_certificate_check against what is in force. */
MUST_USE enum status ek_trust_check(struct ek_trust *trust, struct bytes *out_der,
                                    struct bytes certificate, const struct tpm_public *ek,
                                    int64_t now, struct detail *detail);
void ek_trust_free(struct ek_trust *trust); /* NULL is allowed */

#endif
