/* Which TPM vendors count for a model: its own EK anchors and none else, or those of the
 * configuration when it has none (db/store.h). */
#ifndef GATEHOUSE_API_EK_VOUCH_H
#define GATEHOUSE_API_EK_VOUCH_H

#include "api/request.h"
#include "server/identity/enrolment.h"

/* NUM_PROBLEMS: the certificate (as ek_certificate_check takes it) chains to one of them at `now`
 * and is the EK's; *out_der is as there. NO_EK_ANCHORS: nobody is trusted for this model;
 * EK_CERTIFICATE_UNTRUSTED. */
enum problem_kind ek_vouch(struct request *r, struct bytes *out_der, const char *model,
                           struct bytes certificate, const struct tpm_public *ek, int64_t now,
                           struct detail *detail);

#endif
