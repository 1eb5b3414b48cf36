/* Problem details (RFC 9457): every refusal of the API, worded from one table. A problem's `code`
 * is stable; its detail says what the request broke, and never what the gateway knows. */
#ifndef GATEHOUSE_API_PROBLEM_H
#define GATEHOUSE_API_PROBLEM_H

#include "api/http.h"
#include "server/base/json_out.h"

enum problem_kind {
    /* The request itself. */
    PROBLEM_MALFORMED_JSON,
    PROBLEM_UNKNOWN_FIELD,
    PROBLEM_MISSING_FIELD,
    PROBLEM_INVALID_FIELD,
    PROBLEM_MALFORMED_BASE64,
    PROBLEM_UNKNOWN_PARAMETER,
    PROBLEM_INVALID_PARAMETER,
    PROBLEM_UNEXPECTED_BODY,
    PROBLEM_BAD_REQUEST,
    PROBLEM_LENGTH_REQUIRED,
    PROBLEM_BODY_TOO_LARGE,
    PROBLEM_HEADERS_TOO_LARGE,
    PROBLEM_UNSUPPORTED_MEDIA_TYPE,
    PROBLEM_NOT_ACCEPTABLE,
    PROBLEM_RESULTS_NOT_CONFIGURED,
    PROBLEM_METHOD_NOT_ALLOWED,
    PROBLEM_NOT_FOUND,
    PROBLEM_FORBIDDEN,
    PROBLEM_RATE_LIMITED,
    /* Enrolment. */
    PROBLEM_TOO_MANY_PENDING,
    PROBLEM_UNKNOWN_MODEL,
    PROBLEM_ENROLMENT_CLOSED,
    PROBLEM_EK_CERTIFICATE_REQUIRED,
    PROBLEM_EK_CERTIFICATE_UNTRUSTED,
    PROBLEM_NO_EK_ANCHORS,
    PROBLEM_IDEVID_UNTRUSTED,
    PROBLEM_EK_UNACCEPTABLE,
    PROBLEM_AK_UNACCEPTABLE,
    PROBLEM_CSR_INVALID,
    PROBLEM_ACTIVATION_FAILED,
    PROBLEM_ENROLLMENT_EXPIRED,
    PROBLEM_ENROLLMENT_SUPERSEDED,
    PROBLEM_DEVICE_MODEL_MISMATCH,
    PROBLEM_AK_IN_USE,
    PROBLEM_AK_REVOKED,
    PROBLEM_KEY_CERTIFICATION_REQUIRED,
    PROBLEM_KEY_CERTIFICATION_INVALID,
    /* Devices. */
    PROBLEM_DEVICE_QUARANTINED,
    PROBLEM_DEVICE_RETIRED,
    PROBLEM_NONCE_USED,
    PROBLEM_NONCE_EXPIRED,
    PROBLEM_NONCE_UNKNOWN,
    PROBLEM_IMA_START_WANTED,
    PROBLEM_CHALLENGE_OUTDATED,
    PROBLEM_LOG_WANTED,
    PROBLEM_POLICY_CHANGED,
    PROBLEM_EVIDENCE_MALFORMED,
    PROBLEM_EVIDENCE_REFUSED, /* its code says why; see problem_coded */
    PROBLEM_CLOCK_WENT_BACK,
    PROBLEM_IDENTITY_KEY_UNPROVEN,
    PROBLEM_UNTRUSTED,
    PROBLEM_TIER_TOO_LOW,
    /* Administration. */
    PROBLEM_ALREADY_EXISTS,
    PROBLEM_CERTIFICATE_IN_USE,
    PROBLEM_CERTIFICATE_UNTRUSTED,
    PROBLEM_TOO_MANY_CERTIFICATES,
    PROBLEM_LAST_CERTIFICATE,
    PROBLEM_OWN_CERTIFICATE,
    PROBLEM_IN_USE,
    PROBLEM_WRONG_STATE,
    PROBLEM_VERSION_MISMATCH,
    PROBLEM_INVALID_BASELINE,
    PROBLEM_MODEL_MISMATCH,
    PROBLEM_NO_FACTS,
    PROBLEM_CANNOT_LEARN,
    PROBLEM_OWN_BASELINE,
    PROBLEM_BASELINE_UNSIGNED,
    PROBLEM_BASELINE_SIGNATURE_INVALID,
    PROBLEM_TOO_MANY_SIGNERS,
    PROBLEM_OWN_REGISTRATION,
    PROBLEM_LAST_ADMIN,
    PROBLEM_NOT_A_CHECKPOINT,
    PROBLEM_ALREADY_PRUNED,
    PROBLEM_ALREADY_REVOKED,
    PROBLEM_OWN_PROPOSAL,
    PROBLEM_ALREADY_DECIDED,
    PROBLEM_PROPOSER_GONE,
    PROBLEM_TOO_MANY_PROPOSALS,
    PROBLEM_TOO_MANY_BASELINES,
    PROBLEM_TOO_MANY_ANCHORS,
    PROBLEM_NOT_EXCEPTABLE,
    PROBLEM_TOO_MANY_EXCEPTIONS,
    PROBLEM_SIGNALS_OFF,
    PROBLEM_RECEIVER_REFUSED,
    PROBLEM_TOO_MANY_STREAMS,
    PROBLEM_TOO_MANY_VERIFICATIONS,
    /* Uploads: of a row, then of the whole. */
    PROBLEM_MALFORMED_ROW,
    PROBLEM_ROW_TOO_LONG,
    PROBLEM_EK_CERTIFICATE_INVALID,
    PROBLEM_INVALID_HEADER,
    PROBLEM_TOO_MANY_ROWS,
    PROBLEM_ROWS_REFUSED,
    /* Forward authentication. */
    PROBLEM_CERTIFICATE_REQUIRED,
    PROBLEM_NO_DIALECT,
    PROBLEM_POLICY_NOT_ALLOWED,
    PROBLEM_DUPLICATE_CERTIFICATE_HEADER,
    PROBLEM_CERTIFICATE_HEADER_INVALID,
    PROBLEM_CERTIFICATE_NOT_VERIFIED,
    PROBLEM_NOT_A_CREDENTIAL,
    PROBLEM_DENIED,
    PROBLEM_UNKNOWN_POLICY,
    /* The gateway. */
    PROBLEM_STORAGE_UNAVAILABLE,
    PROBLEM_OVERLOADED,
    PROBLEM_CRL_UNAVAILABLE,
    PROBLEM_INTERNAL,
    NUM_PROBLEMS
};

struct problem_entry {
    const char *code;
    unsigned status; /* of HTTP */
    const char *title;
    unsigned retry_after_s; /* 0: no Retry-After */
};
const struct problem_entry *problem_entry(enum problem_kind kind);

/* A problem that is being written; more members may follow before problem_end. */
struct problem {
    struct http_exchange *x;
    const struct problem_entry *entry;
    unsigned retry_after_s; /* the entry's; may be set anew before problem_end */
    struct json_out out;
};
/* `code` NULL: the table's. `detail` NULL: the title. */
void problem_begin(struct problem *p, struct http_exchange *x, enum problem_kind kind,
                   const char *code, const char *detail);
/* Fills the answer. When the arena is full the answer is a fixed 500. */
void problem_end(struct problem *p);

/* All at once; HTTP_ANSWER, so that a handler may return it. Formats may not print secrets. */
enum http_next problem(struct http_exchange *x, enum problem_kind kind);
enum http_next problem_detail(struct http_exchange *x, enum problem_kind kind, const char *format,
                              ...) PRINTF_LIKE(3, 4);
enum http_next problem_coded(struct http_exchange *x, enum problem_kind kind, const char *code,
                             const char *detail);
/* The kind that has this code; PROBLEM_INTERNAL when none has. */
enum problem_kind problem_of_code(const char *code);
/* What a status of a lower floor means over HTTP when the handler has nothing better to say. */
enum problem_kind problem_of_status(enum status status);

#endif
