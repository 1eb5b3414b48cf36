/* What attest.c and public.c share: tss2-mu (TPM 2.0 marshalling, TCG TSS 2.0 MUAPI). Private to
 * server/tpm, the one home of tss2's headers. */
#ifndef GATEHOUSE_TPM_MU_H
#define GATEHOUSE_TPM_MU_H

#include "server/crypto/key.h"

/* tss2 prints what it refuses on standard error unless told otherwise before its first call.
 * Whoever sends us a key or a quote must not write into our log. */
void tpm_mu_quiet(void);

/* The hash of a TPM_ALG_ID; HASH_NONE for one that we do not compute. */
enum hash_alg tpm_hash(uint16_t alg);

#endif
