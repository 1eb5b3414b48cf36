#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct problem_entry table[NUM_PROBLEMS] = {
    [PROBLEM_MALFORMED_JSON] = {"malformed_json", 400, "The body is not the JSON expected", 0},
    [PROBLEM_UNKNOWN_FIELD] = {"unknown_field", 400, "The body has a field that is not known", 0},
    [PROBLEM_MISSING_FIELD] = {"missing_field", 400, "The body lacks a field", 0},
    [PROBLEM_INVALID_FIELD] = {"invalid_field", 400, "A field's value is not acceptable", 0},
    [PROBLEM_MALFORMED_BASE64] = {"malformed_base64", 400, "A field is not base64", 0},
    [PROBLEM_UNKNOWN_PARAMETER] = {"unknown_parameter", 400, "A query parameter is not known", 0},
    [PROBLEM_INVALID_PARAMETER] = {"invalid_parameter", 400, "A query parameter is not acceptable",
                                   0},
    [PROBLEM_UNEXPECTED_BODY] = {"unexpected_body", 400, "This request takes no body", 0},
    [PROBLEM_BAD_REQUEST] = {"bad_request", 400, "The request is not acceptable HTTP", 0},
    [PROBLEM_LENGTH_REQUIRED] = {"length_required", 411, "The request must state its length", 0},
    [PROBLEM_BODY_TOO_LARGE] = {"body_too_large", 413, "The body is too large", 0},
    [PROBLEM_HEADERS_TOO_LARGE] = {"headers_too_large", 431, "The headers are too large", 0},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {"unsupported_media_type", 415,
                                        "The body is of a type that is not taken here", 0},
    [PROBLEM_NOT_ACCEPTABLE] = {"not_acceptable", 406, "There is no such form of the answer", 0},
    [PROBLEM_RESULTS_NOT_CONFIGURED] = {"results_not_configured", 406,
                                        "The gateway has no key to sign results with", 0},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"method_not_allowed", 405, "The method is not allowed here", 0},
    [PROBLEM_NOT_FOUND] = {"not_found", 404, "There is no such resource", 0},
    [PROBLEM_FORBIDDEN] = {"forbidden", 403, "This is not allowed to the one who asks", 0},
    [PROBLEM_RATE_LIMITED] = {"rate_limited", 429, "Too many requests", 60},
    [PROBLEM_TOO_MANY_PENDING] = {"too_many_pending", 429,
                                  "Too many enrolments wait for activation", 60},
    [PROBLEM_UNKNOWN_MODEL] = {"unknown_model", 422, "No such model is known", 0},
    [PROBLEM_ENROLMENT_CLOSED] = {"enrolment_closed", 403, "The model takes no new devices", 0},
    [PROBLEM_EK_CERTIFICATE_REQUIRED] = {"ek_certificate_required", 422,
                                         "An endorsement key certificate is required", 0},
    [PROBLEM_EK_CERTIFICATE_UNTRUSTED] = {"ek_certificate_untrusted", 422,
                                          "The endorsement key certificate does not verify", 0},
    [PROBLEM_NO_EK_ANCHORS] = {"no_ek_anchors", 403, "No TPM vendor is trusted for the model", 0},
    [PROBLEM_IDEVID_UNTRUSTED] = {"idevid_untrusted", 422,
                                  "The factory certificate does not verify", 0},
    [PROBLEM_EK_UNACCEPTABLE] = {"ek_unacceptable", 422, "The endorsement key is not acceptable",
                                 0},
    [PROBLEM_AK_UNACCEPTABLE] = {"ak_unacceptable", 422, "The attestation key is not acceptable",
                                 0},
    [PROBLEM_CSR_INVALID] = {"csr_invalid", 422, "The certificate request is not acceptable", 0},
    [PROBLEM_ACTIVATION_FAILED] = {"activation_failed", 403, "The secret is not the right one", 0},
    [PROBLEM_ENROLLMENT_EXPIRED] = {"enrollment_expired", 410, "The enrolment has expired", 0},
    [PROBLEM_ENROLLMENT_SUPERSEDED] = {"enrollment_superseded", 409,
                                       "The device has enrolled again since", 0},
    [PROBLEM_DEVICE_MODEL_MISMATCH] = {"device_model_mismatch", 409,
                                       "The device belongs to another model", 0},
    [PROBLEM_AK_IN_USE] = {"ak_in_use", 409, "The attestation key is not this device's alone", 0},
    [PROBLEM_AK_REVOKED] = {"ak_revoked", 409, "The device gave this attestation key up", 0},
    [PROBLEM_KEY_CERTIFICATION_REQUIRED] = {"key_certification_required", 422,
                                            "The model wants proof that the key is in the TPM", 0},
    [PROBLEM_KEY_CERTIFICATION_INVALID] = {"key_certification_invalid", 422,
                                           "The key's certification does not verify", 0},
    [PROBLEM_DEVICE_QUARANTINED] = {"device_quarantined", 403, "The device is quarantined", 0},
    [PROBLEM_DEVICE_RETIRED] = {"device_retired", 403, "The device is retired", 0},
    [PROBLEM_NONCE_USED] = {"nonce_used", 409, "The nonce was used before", 0},
    [PROBLEM_NONCE_EXPIRED] = {"nonce_expired", 409, "The nonce has expired", 0},
    [PROBLEM_NONCE_UNKNOWN] = {"nonce_unknown", 409, "The nonce was not given to this device", 0},
    [PROBLEM_IMA_START_WANTED] = {"ima_log_from_start_wanted", 409,
                                  "The gateway does not have the start of this boot's IMA log", 0},
    [PROBLEM_CHALLENGE_OUTDATED] = {"challenge_outdated", 409,
                                    "The model now asks for other PCRs than the challenge did", 0},
    [PROBLEM_LOG_WANTED] = {"log_wanted", 409,
                            "The gateway does not hold this log: send it, the nonce is still good",
                            0},
    [PROBLEM_POLICY_CHANGED] =
        {"policy_changed", 409,
         "The model or its baselines changed while the evidence was appraised", 0},
    [PROBLEM_EVIDENCE_MALFORMED] = {"evidence_malformed", 400, "The evidence is malformed", 0},
    [PROBLEM_EVIDENCE_REFUSED] = {"evidence_refused", 422, "The evidence does not verify", 0},
    [PROBLEM_CLOCK_WENT_BACK] = {"clock_went_back", 422,
                                 "The quote is not newer than the one before", 0},
    [PROBLEM_IDENTITY_KEY_UNPROVEN] =
        {"identity_key_unproven", 422,
         "The model wants an identity whose key is in the TPM: enrol again with a certified key",
         0},
    [PROBLEM_TIER_TOO_LOW] = {"tier_too_low", 403,
                              "The evidence is trusted, and proves less than the model asks for",
                              0},
    [PROBLEM_UNTRUSTED] = {"untrusted", 403, "The evidence meets no active baseline", 0},
    [PROBLEM_ALREADY_EXISTS] = {"already_exists", 409, "The name is taken", 0},
    [PROBLEM_CERTIFICATE_IN_USE] = {"certificate_in_use", 409, "The certificate is registered", 0},
    [PROBLEM_CERTIFICATE_UNTRUSTED] = {"certificate_untrusted", 422,
                                       "The certificate does not chain to the plane's anchors", 0},
    [PROBLEM_TOO_MANY_CERTIFICATES] = {"too_many_certificates", 409,
                                       "The operator has as many certificates as it may", 0},
    [PROBLEM_LAST_CERTIFICATE] = {"last_certificate", 409,
                                  "It is the operator's only one: disable or delete the operator",
                                  0},
    [PROBLEM_OWN_CERTIFICATE] = {"own_certificate", 409,
                                 "Nobody removes the certificate that they are using", 0},
    [PROBLEM_IN_USE] = {"in_use", 409, "Something depends on this", 0},
    [PROBLEM_WRONG_STATE] = {"wrong_state", 409, "The state does not allow this", 0},
    [PROBLEM_VERSION_MISMATCH] = {"version_mismatch", 412, "Someone else changed it meanwhile", 0},
    [PROBLEM_INVALID_BASELINE] = {"invalid_baseline", 422, "The baseline is not valid", 0},
    [PROBLEM_MODEL_MISMATCH] = {"model_mismatch", 422, "The baseline is for another model", 0},
    [PROBLEM_NO_FACTS] = {"no_facts", 409, "The device has not shown yet what it booted", 0},
    [PROBLEM_CANNOT_LEARN] = {"cannot_learn", 409, "No baseline fits what these devices booted", 0},
    [PROBLEM_OWN_BASELINE] = {"own_baseline", 403, "Nobody approves a baseline of their own", 0},
    [PROBLEM_BASELINE_UNSIGNED] = {"baseline_unsigned", 403, "The model wants its baselines signed",
                                   0},
    [PROBLEM_BASELINE_SIGNATURE_INVALID] = {"baseline_signature_invalid", 422,
                                            "The signature does not hold", 0},
    [PROBLEM_TOO_MANY_SIGNERS] = {"too_many_signers", 409, "The model has as many as it may", 0},
    [PROBLEM_OWN_REGISTRATION] = {"own_registration", 403,
                                  "Nobody changes or removes their own registration", 0},
    [PROBLEM_LAST_ADMIN] = {"last_admin", 409, "One administrator must remain", 0},
    [PROBLEM_NOT_A_CHECKPOINT] = {"not_a_checkpoint", 409,
                                  "The audit log is pruned up to a checkpoint only", 0},
    [PROBLEM_ALREADY_PRUNED] = {"already_pruned", 409, "These entries were pruned already", 0},
    [PROBLEM_ALREADY_REVOKED] = {"already_revoked", 409, "The credential is revoked already", 0},
    [PROBLEM_OWN_PROPOSAL] = {"own_proposal", 403, "Nobody approves a proposal of their own", 0},
    [PROBLEM_ALREADY_DECIDED] = {"already_decided", 409,
                                 "The proposal is approved, rejected or expired already", 0},
    [PROBLEM_PROPOSER_GONE] = {"proposer_gone", 409, "Who proposed it may not do this any more", 0},
    [PROBLEM_TOO_MANY_PROPOSALS] = {"too_many_proposals", 409, "As many proposals wait as may", 0},
    [PROBLEM_TOO_MANY_BASELINES] = {"too_many_baselines", 409,
                                    "The model has as many active baselines as it may", 0},
    [PROBLEM_NOT_EXCEPTABLE] = {"not_exceptable", 422, "No exception can be made from this", 0},
    [PROBLEM_TOO_MANY_EXCEPTIONS] = {"too_many_exceptions", 409,
                                     "The device has as many exceptions as one may have", 0},
    [PROBLEM_SIGNALS_OFF] = {"signals_off", 404, "The gateway has no key that signs events", 0},
    [PROBLEM_RECEIVER_REFUSED] = {"receiver_refused", 422,
                                  "Events may not be sent to this receiver", 0},
    [PROBLEM_TOO_MANY_STREAMS] = {"too_many_streams", 409, "There are as many streams as may be",
                                  0},
    [PROBLEM_TOO_MANY_VERIFICATIONS] = {"too_many_verifications", 429,
                                        "The stream was verified a moment ago", 60},
    [PROBLEM_TOO_MANY_ANCHORS] = {"too_many_anchors", 409,
                                  "The model has as many trusted certificates as it may", 0},
    [PROBLEM_MALFORMED_ROW] = {"malformed_row", 400, "A row cannot be read", 0},
    [PROBLEM_ROW_TOO_LONG] = {"row_too_long", 413, "A row is too long", 0},
    [PROBLEM_EK_CERTIFICATE_INVALID] = {"ek_certificate_invalid", 422,
                                        "This is no endorsement key certificate", 0},
    [PROBLEM_INVALID_HEADER] = {"invalid_header", 400, "The upload has no header that is known", 0},
    [PROBLEM_TOO_MANY_ROWS] = {"too_many_rows", 413, "The upload has too many rows", 0},
    [PROBLEM_ROWS_REFUSED] = {"rows_refused", 422, "Rows are refused, so nothing was kept", 0},
    [PROBLEM_CERTIFICATE_REQUIRED] = {"certificate_required", 401,
                                      "The client presented no certificate", 0},
    [PROBLEM_NO_DIALECT] = {"no_dialect", 403, "The proxy is bound to no certificate dialect", 0},
    [PROBLEM_POLICY_NOT_ALLOWED] = {"policy_not_allowed", 403,
                                    "The proxy may not ask for this policy", 0},
    [PROBLEM_DUPLICATE_CERTIFICATE_HEADER] = {"duplicate_certificate_header", 403,
                                              "A header with the certificate stands twice", 0},
    [PROBLEM_CERTIFICATE_HEADER_INVALID] =
        {"certificate_header_invalid", 403,
         "The header is not what the proxy's dialect makes of a certificate", 0},
    [PROBLEM_CERTIFICATE_NOT_VERIFIED] = {"certificate_not_verified", 403,
                                          "The proxy did not verify the certificate", 0},
    [PROBLEM_NOT_A_CREDENTIAL] = {"not_a_credential", 403,
                                  "The certificate is no access credential of this gateway", 0},
    [PROBLEM_DENIED] = {"denied", 403, "The device may not pass", 0},
    [PROBLEM_UNKNOWN_POLICY] = {"unknown_policy", 422, "No such access policy is known", 0},
    [PROBLEM_STORAGE_UNAVAILABLE] = {"storage_unavailable", 503, "The store cannot be reached", 5},
    [PROBLEM_OVERLOADED] = {"overloaded", 503, "The gateway is overloaded", 2},
    [PROBLEM_CRL_UNAVAILABLE] = {"crl_unavailable", 503,
                                 "There is no current list of what is revoked", 5},
    [PROBLEM_INTERNAL] = {"internal", 500, "The gateway failed", 0},
};

const struct problem_entry *problem_entry(enum problem_kind kind) {
    return &table[kind < NUM_PROBLEMS ? kind : PROBLEM_INTERNAL];
}

void problem_begin(struct problem *p, struct http_exchange *x, enum problem_kind kind,
                   const char *code, const char *detail) {
    p->x = x;
    p->entry = problem_entry(kind);
    p->retry_after_s = p->entry->retry_after_s;
    json_out_init(&p->out, x->arena, 384);
    code = code != NULL ? code : p->entry->code;
    json_out_object(&p->out, NULL);
    json_out_text(&p->out, "type", arena_printf(x->arena, "urn:gatehouse:problem:%s", code));
    json_out_text(&p->out, "title", p->entry->title);
    json_out_int(&p->out, "status", p->entry->status);
    json_out_text(&p->out, "detail",
                  detail != NULL && detail[0] != '\0' ? detail : p->entry->title);
    json_out_text(&p->out, "code", code);
    json_out_text(&p->out, "request_id", x->request_id);
}

static bool add_headers(struct problem *p) {
    struct http_exchange *x = p->x;
    if (p->retry_after_s != 0) {
        const char *seconds = arena_printf(x->arena, "%u", p->retry_after_s);
        if (seconds == NULL || !http_add_header(x, "Retry-After", seconds)) {
            return false;
        }
    }
    return http_add_header(x, "Cache-Control", "no-store");
}

void problem_end(struct problem *p) {
    static const char last_resort[] =
        "{\"type\":\"urn:gatehouse:problem:internal\",\"title\":\"The gateway failed\","
        "\"status\":500,\"code\":\"internal\"}";
    struct http_exchange *x = p->x;
    json_out_object_end(&p->out);
    bool headers = add_headers(p);
    struct bytes body = json_out_end(&p->out);
    bool whole = headers && body.len > 0 && !x->arena->overflow;
    x->status = whole ? p->entry->status : 500;
    x->content_type = "application/problem+json";
    x->answer = whole ? body : bytes_of_text(last_resort);
}

enum http_next problem_coded(struct http_exchange *x, enum problem_kind kind, const char *code,
                             const char *detail) {
    struct problem p;
    problem_begin(&p, x, kind, code, detail);
    problem_end(&p);
    return HTTP_ANSWER;
}

enum http_next problem(struct http_exchange *x, enum problem_kind kind) {
    return problem_coded(x, kind, NULL, NULL);
}

enum http_next problem_detail(struct http_exchange *x, enum problem_kind kind, const char *format,
                              ...) {
    char text[DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return problem_coded(x, kind, NULL, text);
}

enum problem_kind problem_of_code(const char *code) {
    for (enum problem_kind kind = 0; kind < NUM_PROBLEMS; kind++) {
        if (strcmp(table[kind].code, code) == 0) {
            return kind;
        }
    }
    return PROBLEM_INTERNAL;
}

enum problem_kind problem_of_status(enum status status) {
    switch (status) {
    case STATUS_TRUNCATED:
    case STATUS_MALFORMED:
    case STATUS_LIMIT:
    case STATUS_UNSUPPORTED:
    case STATUS_INVALID:
        return PROBLEM_INVALID_FIELD;
    case STATUS_NOT_FOUND:
        return PROBLEM_NOT_FOUND;
    case STATUS_CONFLICT:
    case STATUS_EXPIRED:
        return PROBLEM_WRONG_STATE;
    case STATUS_DENIED:
        return PROBLEM_FORBIDDEN;
    case STATUS_STORAGE:
        return PROBLEM_STORAGE_UNAVAILABLE;
    case STATUS_BUSY:
        return PROBLEM_OVERLOADED;
    case STATUS_OK:
    case STATUS_END:
    case STATUS_MEMORY:
    case STATUS_INTERNAL:
        break;
    }
    return PROBLEM_INTERNAL;
}
