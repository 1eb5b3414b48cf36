#include "api/routes.h"

#include "api/handlers.h"

#define ROUTE(on, verb, path, who, handler, ...)                                                   \
    {.plane = PLANE_##on,                                                                          \
     .method = HTTP_##verb,                                                                        \
     .pattern = (path),                                                                            \
     .roles = (who),                                                                               \
     .handle = (handler),                                                                          \
     __VA_ARGS__}
#define READS(shape) .body_rule = BODY_SHAPE, .body = &(shape)
#define TAKES(shape) .query = &(shape)

enum {
    AUTHORS = ROLE_AUTHOR | ROLE_ADMIN,
    APPROVERS = ROLE_APPROVER | ROLE_ADMIN,
    OPERATORS = ROLE_OPERATOR | ROLE_ADMIN,
    DECIDERS = ROLES_READ & ~(unsigned)ROLE_VIEWER /* and of the role that the proposal needs */
};

static const struct route table[] = {
    ROUTE(ENROL, POST, "/v1/enrollments", ROLE_ANYONE, enrollment_create, READS(enrollment_shape),
          .admit = enrollment_admit),
    ROUTE(ENROL, POST, "/v1/enrollments/{id}/activate", ROLE_ANYONE, enrollment_activate,
          READS(activation_shape), .admit = enrollment_admit),

    ROUTE(DEVICE, POST, "/v1/challenges", ROLE_DEVICE, challenge_create, READS(empty_shape)),
    ROUTE(DEVICE, POST, "/v1/evidence", ROLE_DEVICE, evidence_create, .body_rule = BODY_JSON),
    ROUTE(DEVICE, GET, "/v1/self", ROLE_DEVICE, self_show),

    ROUTE(PROXY, GET, "/v1/decisions/{device_id}", ROLE_PROXY, decision_show, .frequent = true),
    ROUTE(PROXY, POST, "/v1/decisions", ROLE_PROXY, decisions_batch, READS(decisions_shape),
          .frequent = true),

    ROUTE(ADMIN, GET, "/v1/models", ROLES_READ, model_list, TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/models", AUTHORS, model_create, READS(model_create_shape)),
    ROUTE(ADMIN, GET, "/v1/models/{model}", ROLES_READ, model_show),
    ROUTE(ADMIN, PUT, "/v1/models/{model}", AUTHORS, model_update, READS(model_update_shape)),
    ROUTE(ADMIN, DELETE, "/v1/models/{model}", ROLE_ADMIN, model_delete),
    ROUTE(ADMIN, GET, "/v1/models/{model}/ek-trust", ROLES_READ, ek_trust_list, TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/models/{model}/ek-trust", ROLE_ADMIN, ek_trust_add,
          READS(anchors_shape), .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, DELETE, "/v1/models/{model}/ek-trust/{sha256}", ROLE_ADMIN, ek_trust_remove,
          .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, GET, "/v1/models/{model}/idevid-trust", ROLES_READ, idevid_trust_list,
          TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/models/{model}/idevid-trust", ROLE_ADMIN, idevid_trust_add,
          READS(anchors_shape), .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, DELETE, "/v1/models/{model}/idevid-trust/{sha256}", ROLE_ADMIN,
          idevid_trust_remove, .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, GET, "/v1/models/{model}/baseline-signers", ROLES_READ, baseline_signer_list,
          TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/models/{model}/baseline-signers", ROLE_ADMIN, baseline_signer_add,
          READS(baseline_signer_shape), .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, DELETE, "/v1/models/{model}/baseline-signers/{sha256}", ROLE_ADMIN,
          baseline_signer_remove, .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, GET, "/v1/models/{model}/baselines", ROLES_READ, baseline_list, TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/models/{model}/baselines", AUTHORS, baseline_create,
          .body_rule = BODY_JSON),
    ROUTE(ADMIN, POST, "/v1/models/{model}/proposals", AUTHORS, proposal_create,
          READS(proposal_shape)),
    ROUTE(ADMIN, GET, "/v1/models/{model}/drift", ROLES_READ, model_drift, TAKES(page_shape)),
    ROUTE(ADMIN, GET, "/v1/baselines/{id}", ROLES_READ, baseline_show),
    ROUTE(ADMIN, PUT, "/v1/baselines/{id}", AUTHORS, baseline_update, .body_rule = BODY_JSON),
    ROUTE(ADMIN, DELETE, "/v1/baselines/{id}", AUTHORS, baseline_delete),
    ROUTE(ADMIN, GET, "/v1/baselines/{id}/signatures", ROLES_READ, baseline_signature_list),
    ROUTE(ADMIN, POST, "/v1/baselines/{id}/signatures", AUTHORS, baseline_signature_add,
          READS(baseline_signature_shape)),
    ROUTE(ADMIN, POST, "/v1/baselines/{id}/activate", APPROVERS, baseline_activate,
          READS(empty_shape)),
    ROUTE(ADMIN, POST, "/v1/baselines/{id}/retire", APPROVERS, baseline_retire, READS(empty_shape)),
    ROUTE(ADMIN, POST, "/v1/baselines/{id}/revoke", APPROVERS | ROLE_OPERATOR, baseline_revoke,
          READS(empty_shape)),
    ROUTE(ADMIN, GET, "/v1/leaked-keys", ROLES_READ, leaked_key_list,
          TAKES(leaked_key_query_shape)),
    ROUTE(ADMIN, POST, "/v1/leaked-keys", ROLE_ADMIN, leaked_key_add, READS(leaked_key_shape)),
    ROUTE(ADMIN, DELETE, "/v1/leaked-keys/{sha256}", ROLE_ADMIN, leaked_key_remove,
          .two_person = TWO_PERSON_TRUST_BUNDLE),
    ROUTE(ADMIN, POST, "/v1/baselines/{id}/preview", ROLES_READ, baseline_preview,
          READS(preview_shape)),
    ROUTE(ADMIN, GET, "/v1/devices", ROLES_READ, device_list, TAKES(device_query_shape)),
    ROUTE(ADMIN, POST, "/v1/devices", OPERATORS, device_register, .body_rule = BODY_ROWS,
          .body = &registration_shape, TAKES(upload_query_shape), .admit = device_register_admit),
    ROUTE(ADMIN, GET, "/v1/devices/{id}", ROLES_READ, device_show),
    ROUTE(ADMIN, DELETE, "/v1/devices/{id}", OPERATORS, device_delete),
    ROUTE(ADMIN, PATCH, "/v1/devices/{id}", OPERATORS, device_update, READS(device_update_shape)),
    ROUTE(ADMIN, POST, "/v1/devices/{id}/approve", OPERATORS, device_approve, READS(empty_shape)),
    ROUTE(ADMIN, POST, "/v1/devices/{id}/quarantine", OPERATORS, device_quarantine,
          READS(reason_shape)),
    ROUTE(ADMIN, POST, "/v1/devices/{id}/release", OPERATORS, device_release, READS(empty_shape)),
    ROUTE(ADMIN, POST, "/v1/devices/{id}/retire", OPERATORS, device_retire, READS(reason_shape)),
    ROUTE(ADMIN, GET, "/v1/devices/{id}/drift", ROLES_READ, device_drift),
    ROUTE(ADMIN, GET, "/v1/devices/{id}/appraisals", ROLES_READ, appraisal_list, TAKES(page_shape)),
    ROUTE(ADMIN, GET, "/v1/appraisals/{id}", ROLES_READ, appraisal_show),
    ROUTE(ADMIN, GET, "/v1/credentials", ROLES_READ, credential_list,
          TAKES(credential_query_shape)),
    ROUTE(ADMIN, GET, "/v1/credentials/{serial}", ROLES_READ, credential_show),
    ROUTE(ADMIN, POST, "/v1/credentials/{serial}/revoke", OPERATORS, credential_revoke,
          READS(reason_shape)),
    ROUTE(ADMIN, POST, "/v1/credentials/revoke", OPERATORS, credential_revoke_bulk,
          READS(bulk_revocation_shape), .two_person = TWO_PERSON_BULK_REVOKE),
    ROUTE(ADMIN, GET, "/v1/approvals", ROLES_READ, approval_list, TAKES(approval_query_shape)),
    ROUTE(ADMIN, GET, "/v1/approvals/{id}", ROLES_READ, approval_show),
    ROUTE(ADMIN, POST, "/v1/approvals/{id}/approve", DECIDERS, approval_approve,
          READS(empty_shape)),
    ROUTE(ADMIN, POST, "/v1/approvals/{id}/reject", DECIDERS, approval_reject, READS(reason_shape)),
    ROUTE(ADMIN, GET, "/v1/reappraisals", ROLES_READ, reappraisal_list,
          TAKES(reappraisal_query_shape)),
    ROUTE(ADMIN, POST, "/v1/reappraisals", OPERATORS, reappraisal_create,
          READS(reappraisal_create_shape), .two_person = TWO_PERSON_BULK_REVOKE),
    ROUTE(ADMIN, GET, "/v1/reappraisals/{id}", ROLES_READ, reappraisal_show),
    ROUTE(ADMIN, POST, "/v1/reappraisals/{id}/cancel", OPERATORS, reappraisal_cancel,
          READS(empty_shape)),
    ROUTE(ADMIN, GET, "/v1/operators", ROLES_READ, operator_list, TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/operators", ROLE_ADMIN, operator_create, READS(operator_create_shape)),
    ROUTE(ADMIN, GET, "/v1/operators/{name}", ROLES_READ, operator_show),
    ROUTE(ADMIN, PUT, "/v1/operators/{name}", ROLE_ADMIN, operator_update,
          READS(operator_update_shape)),
    ROUTE(ADMIN, DELETE, "/v1/operators/{name}", ROLE_ADMIN, operator_delete),
    ROUTE(ADMIN, POST, "/v1/operators/{name}/certificates", ROLES_READ, operator_certificate_add,
          READS(operator_certificate_shape)),
    ROUTE(ADMIN, DELETE, "/v1/operators/{name}/certificates/{sha256}", ROLES_READ,
          operator_certificate_remove),
    ROUTE(ADMIN, GET, "/v1/proxies", ROLES_READ, proxy_list, TAKES(page_shape)),
    ROUTE(ADMIN, POST, "/v1/proxies", ROLE_ADMIN, proxy_create, READS(proxy_create_shape)),
    ROUTE(ADMIN, GET, "/v1/proxies/{name}", ROLES_READ, proxy_show),
    ROUTE(ADMIN, PUT, "/v1/proxies/{name}", ROLE_ADMIN, proxy_update, READS(proxy_update_shape)),
    ROUTE(ADMIN, DELETE, "/v1/proxies/{name}", ROLE_ADMIN, proxy_delete),
    ROUTE(ADMIN, GET, "/v1/audit", ROLES_READ, audit_list, TAKES(audit_query_shape)),
    ROUTE(ADMIN, GET, "/v1/audit/checkpoints", ROLES_READ, audit_checkpoint_list,
          TAKES(audit_checkpoint_query_shape)),
    ROUTE(ADMIN, POST, "/v1/audit/prune", ROLE_ADMIN, audit_prune, READS(audit_prune_shape),
          .two_person = TWO_PERSON_AUDIT_PRUNE),
    ROUTE(ADMIN, GET, "/v1/fleet", ROLES_READ, fleet_show),
    ROUTE(ADMIN, GET, "/metrics", ROLES_READ, metrics_show, .frequent = true),

    ROUTE(PUBLIC, GET, "/healthz", ROLE_ANYONE, health_show, .frequent = true),
    ROUTE(PUBLIC, GET, "/readyz", ROLE_ANYONE, ready_show, .frequent = true),
    ROUTE(PUBLIC, GET, "/v1/ca/identity.pem", ROLE_ANYONE, ca_identity_show),
    ROUTE(PUBLIC, GET, "/v1/ca/access.pem", ROLE_ANYONE, ca_access_show),
};

const struct route_table *routes_all(void) {
    static const struct route_table all = {table, sizeof table / sizeof table[0]};
    return &all;
}
