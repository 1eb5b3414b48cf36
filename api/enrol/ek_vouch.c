#include "api/enrol/ek_vouch.h"

enum problem_kind ek_vouch(struct request *r, struct bytes *out_der, const char *model,
                           struct bytes certificate, const struct tpm_public *ek, int64_t now,
                           struct detail *detail) {
    struct policy_holder *holder = r->api->options.policy;
    struct ek_trust *trust = r->api->options.ek_trust;
    const struct policy_model *own = policy_model(policy_read_begin(holder), model);
    bool has_own = own != NULL && own->ek_bundle != NULL;
    enum status status = STATUS_OK;
    if (has_own) {
        status = ek_certificate_check(out_der, certificate, ek, own->ek_bundle, now, detail);
    }
    policy_read_end(holder);
    if (!has_own && trust == NULL) {
        return PROBLEM_NO_EK_ANCHORS;
    }
    if (!has_own) {
        status = ek_trust_check(trust, out_der, certificate, ek, now, detail);
    }
    return status == STATUS_OK ? NUM_PROBLEMS : PROBLEM_EK_CERTIFICATE_UNTRUSTED;
}
