/* The body of POST /v1/evidence (api/openapi.yaml), which `gatehouse appraise` reads from a file:
 * JSON in, decoded evidence out. Strict: what it does not know, or knows twice, is refused.
 * Thread-safe.
 * {"nonce":b64,"tpm2":{"quote":b64,"signature":b64,"pcrs":{"sha256":{"0":hex,...}}?},
 *  "tcg_event_log":b64?|"tcg_event_log_sha256":hex?,"ima_log":b64?,"ima_log_from":number?,"csr":b64?,
 *  "key_certification":{"certify_info":b64,"signature":b64,"public":b64}?} */
#ifndef GATEHOUSE_API_DEVICE_EVIDENCE_BODY_H
#define GATEHOUSE_API_DEVICE_EVIDENCE_BODY_H

#include "server/evidence/tpm2/tpm2.h"
#include "server/identity/key_certification.h"

enum { EVIDENCE_BODY_MAX_BYTES = 16 * 1024 * 1024, EVIDENCE_NONCE_MAX = 64 };

struct evidence_body {         /* every view lives in the arena */
    struct bytes nonce;        /* 1..EVIDENCE_NONCE_MAX bytes */
    struct tpm2_evidence tpm2; /* quote and signature not empty; logs empty when absent */
    bool has_log_sha256;       /* in place of tpm2.tcg_event_log, which is empty then: */
    uint8_t log_sha256[32];    /* of the log that the gateway holds already */
    struct bytes csr;          /* empty: none was sent */
    struct key_certification key_certification; /* of the CSR's key; all or none of it is given */
};

/* What a device may send whose identity is all there is: as below, and nothing but nonce and csr is
 * evidence, too; the quote is empty then. */
MUST_USE enum status evidence_body_parse_any(struct evidence_body *out, struct arena *arena,
                                             struct bytes json, const char **code,
                                             struct detail *detail);
/* OK, or MALFORMED, LIMIT (over EVIDENCE_BODY_MAX_BYTES) with *out untouched, *code one of
 * "malformed_json", "unknown_field", "missing_field", "invalid_field", "malformed_base64", and the
 * detail beginning with the field's path, such as "tpm2.quote: ..." (base64: with the offset).
 * Duplicate keys are "malformed_json". MEMORY when the arena is full. `code` may be NULL. */
MUST_USE enum status evidence_body_parse(struct evidence_body *out, struct arena *arena,
                                         struct bytes json, const char **code,
                                         struct detail *detail);

#endif
