/* Who may call what on the admin plane, as the design states it: viewers read; operators handle
 * devices and revoke; authors write models and baselines; approvers put baselines in force; admins do
 * all of it, and operators and proxies. Written out here, and not taken from the table of routes:
 * the two are held against each other. */
#ifndef GATEHOUSE_TESTS_ROLE_MATRIX_H
#define GATEHOUSE_TESTS_ROLE_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

/* Roles by letter: viewer, operator, author (w: writes), approver (p), admin (a). */
struct role_matrix_row {
    const char *method, *pattern, *who;
    bool own; /* but for admins only on what is their own */
};

static const struct role_matrix_row role_matrix[] = {
    {"GET", "/v1/models", "vowpa", false},
    {"POST", "/v1/models", "wa", false},
    {"GET", "/v1/models/{model}", "vowpa", false},
    {"PUT", "/v1/models/{model}", "wa", false},
    {"DELETE", "/v1/models/{model}", "a", false},
    {"GET", "/v1/models/{model}/ek-trust", "vowpa", false},
    {"POST", "/v1/models/{model}/ek-trust", "a", false},
    {"DELETE", "/v1/models/{model}/ek-trust/{sha256}", "a", false},
    {"GET", "/v1/models/{model}/idevid-trust", "vowpa", false},
    {"POST", "/v1/models/{model}/idevid-trust", "a", false},
    {"DELETE", "/v1/models/{model}/idevid-trust/{sha256}", "a", false},
    {"GET", "/v1/models/{model}/baseline-signers", "vowpa", false},
    {"POST", "/v1/models/{model}/baseline-signers", "a", false},
    {"DELETE", "/v1/models/{model}/baseline-signers/{sha256}", "a", false},
    {"GET", "/v1/models/{model}/baselines", "vowpa", false},
    {"POST", "/v1/models/{model}/baselines", "wa", false},
    {"POST", "/v1/models/{model}/proposals", "wa", false},
    {"GET", "/v1/models/{model}/drift", "vowpa", false},
    {"GET", "/v1/devices/{id}/drift", "vowpa", false},
    {"GET", "/v1/devices/{id}/facts", "vowpa", false},
    {"GET", "/v1/baselines/{id}", "vowpa", false},
    {"PUT", "/v1/baselines/{id}", "wa", false},
    {"DELETE", "/v1/baselines/{id}", "wa", false},
    {"GET", "/v1/baselines/{id}/signatures", "vowpa", false},
    {"POST", "/v1/baselines/{id}/signatures", "wa", false},
    {"POST", "/v1/baselines/{id}/submit", "wa", false},
    {"POST", "/v1/baselines/{id}/withdraw", "wa", false},
    {"POST", "/v1/baselines/{id}/approve", "pa", false},
    {"POST", "/v1/baselines/{id}/reject", "pa", false},
    {"POST", "/v1/baselines/{id}/activate", "pa", false},
    {"POST", "/v1/baselines/{id}/rollout", "pa", false},
    {"POST", "/v1/baselines/{id}/unschedule", "pa", false},
    {"POST", "/v1/baselines/{id}/deprecate", "pa", false},
    {"POST", "/v1/baselines/{id}/retire", "pa", false},
    {"POST", "/v1/baselines/{id}/revoke", "opa", false},
    {"GET", "/v1/leaked-keys", "vowpa", false},
    {"POST", "/v1/leaked-keys", "a", false},
    {"DELETE", "/v1/leaked-keys/{sha256}", "a", false},
    {"GET", "/v1/devices", "vowpa", false},
    {"POST", "/v1/devices", "oa", false},
    {"GET", "/v1/devices/{id}", "vowpa", false},
    {"DELETE", "/v1/devices/{id}", "oa", false},
    {"PATCH", "/v1/devices/{id}", "oa", false},
    {"POST", "/v1/devices/{id}/approve", "oa", false},
    {"POST", "/v1/devices/{id}/quarantine", "oa", false},
    {"POST", "/v1/devices/{id}/release", "oa", false},
    {"POST", "/v1/devices/{id}/retire", "oa", false},
    {"GET", "/v1/devices/{id}/appraisals", "vowpa", false},
    {"GET", "/v1/appraisals/{id}", "vowpa", false},
    {"GET", "/v1/exceptions", "vowpa", false},
    {"POST", "/v1/exceptions", "oa", false},
    {"GET", "/v1/exceptions/{id}", "vowpa", false},
    {"DELETE", "/v1/exceptions/{id}", "opa", false},
    {"POST", "/v1/exceptions/{id}/approve", "opa", false},
    {"GET", "/v1/credentials", "vowpa", false},
    {"GET", "/v1/credentials/{serial}", "vowpa", false},
    {"POST", "/v1/credentials/{serial}/revoke", "oa", false},
    {"POST", "/v1/credentials/revoke", "oa", false},
    {"GET", "/v1/approvals", "vowpa", false},
    {"GET", "/v1/approvals/{id}", "vowpa", false},
    {"POST", "/v1/approvals/{id}/approve", "owpa", false},
    {"POST", "/v1/approvals/{id}/reject", "owpa", false},
    {"POST", "/v1/baselines/{id}/preview", "vowpa", false},
    {"GET", "/v1/reappraisals", "vowpa", false},
    {"POST", "/v1/reappraisals", "oa", false},
    {"GET", "/v1/reappraisals/{id}", "vowpa", false},
    {"POST", "/v1/reappraisals/{id}/cancel", "oa", false},
    {"GET", "/v1/operators", "vowpa", false},
    {"POST", "/v1/operators", "a", false},
    {"GET", "/v1/operators/{name}", "vowpa", false},
    {"PUT", "/v1/operators/{name}", "a", false},
    {"DELETE", "/v1/operators/{name}", "a", false},
    {"POST", "/v1/operators/{name}/certificates", "vowpa", true},
    {"DELETE", "/v1/operators/{name}/certificates/{sha256}", "vowpa", true},
    {"GET", "/v1/proxies", "vowpa", false},
    {"POST", "/v1/proxies", "a", false},
    {"GET", "/v1/proxies/{name}", "vowpa", false},
    {"PUT", "/v1/proxies/{name}", "a", false},
    {"DELETE", "/v1/proxies/{name}", "a", false},
    {"GET", "/v1/audit", "vowpa", false},
    {"GET", "/v1/audit/checkpoints", "vowpa", false},
    {"POST", "/v1/audit/prune", "a", false},
    {"GET", "/v1/fleet", "vowpa", false},
    {"GET", "/metrics", "vowpa", false},
};
enum { ROLE_MATRIX_ROWS = sizeof role_matrix / sizeof role_matrix[0] };

#endif
