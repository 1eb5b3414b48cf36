/* What single certificates of a chain have to be, by purpose. */
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/trust_bundle.h"

enum status chain_check_validity(const struct x509_fields *f, int64_t now, struct detail *detail) {
    if (now < f->not_before) {
        return status_fail(detail, STATUS_INVALID, "it is not valid yet");
    }
    if (now > f->not_after) {
        return status_fail(detail, STATUS_INVALID, "it has expired");
    }
    return STATUS_OK;
}

static enum status check_critical(const struct x509_fields *f, struct detail *detail) {
    if (f->unknown_critical.len > 0) {
        char oid[64];
        der_oid_text(oid, sizeof oid, f->unknown_critical);
        return status_fail(detail, STATUS_INVALID, "its critical extension %s is not known", oid);
    }
    return STATUS_OK;
}

/* Leaving DER is overlooked where TPM vendors are known for it, and nowhere else. */
static enum status check_form(const struct x509_fields *f, enum chain_purpose purpose,
                              struct detail *detail) {
    return f->departure == NULL || purpose == CHAIN_TPM_EK
               ? STATUS_OK
               : status_fail(detail, STATUS_INVALID, "%s", f->departure);
}

/* RFC 5280 6.1.4 k, n and o. */
enum status chain_check_authority(const struct x509_fields *f, enum chain_purpose purpose,
                                  struct detail *detail) {
    if (!f->is_ca) {
        return status_fail(detail, STATUS_INVALID, "it is no CA (basicConstraints)");
    }
    if (f->has_key_usage && !f->may_sign_certificates) {
        return status_fail(detail, STATUS_INVALID, "its keyUsage lacks keyCertSign");
    }
    if (f->has_name_constraints) {
        return status_fail(detail, STATUS_INVALID,
                           "authorities with nameConstraints are not taken");
    }
    enum status status = check_form(f, purpose, detail);
    return status == STATUS_OK ? check_critical(f, detail) : status;
}

static bool holds_oid(struct bytes oids, struct bytes wanted) {
    struct bytes oid;
    while (oids.len > 0 && der_take(&oids, DER_OID, &oid) == STATUS_OK) {
        if (bytes_equal(oid, wanted)) {
            return true;
        }
    }
    return false;
}

/* A Name's attribute types. */
static bool name_holds(struct bytes name, struct bytes wanted) {
    struct bytes sets, set, pair, oid;
    if (der_take(&name, DER_SEQUENCE, &sets) != STATUS_OK) {
        return false;
    }
    while (sets.len > 0 && der_take(&sets, DER_SET, &set) == STATUS_OK) {
        while (set.len > 0 && der_take(&set, DER_SEQUENCE, &pair) == STATUS_OK) {
            if (der_take(&pair, DER_OID, &oid) == STATUS_OK && bytes_equal(oid, wanted)) {
                return true;
            }
        }
    }
    return false;
}

/* TCG EK Credential Profile 3.2.9: a directoryName of TPM manufacturer, model and version. */
static bool has_tpm_name(struct bytes names) {
    struct bytes name;
    unsigned tag;
    while (names.len > 0 && der_any(&names, &tag, &name) == STATUS_OK) {
        if (tag == (DER_CONTEXT_CONSTRUCTED | 4) &&
            name_holds(name, DER_OID_OF(OID_TPM_MANUFACTURER)) &&
            name_holds(name, DER_OID_OF(OID_TPM_MODEL)) &&
            name_holds(name, DER_OID_OF(OID_TPM_VERSION))) {
            return true;
        }
    }
    return false;
}

static bool is_empty_name(struct bytes name) {
    struct bytes sets;
    return der_take(&name, DER_SEQUENCE, &sets) == STATUS_OK && sets.len == 0;
}

static enum status check_ek(const struct x509_fields *f, struct detail *detail) {
    if (f->is_ca) {
        return status_fail(detail, STATUS_INVALID, "an EK certificate is no CA");
    }
    if (f->extended_key_usage.len > 0 &&
        !holds_oid(f->extended_key_usage, DER_OID_OF(OID_TCG_KP_EK))) {
        return status_fail(detail, STATUS_INVALID, "its extKeyUsage lacks tcg-kp-EKCertificate");
    }
    if (has_tpm_name(f->subject_alt_name)) {
        return STATUS_OK;
    }
    if (f->subject_alt_name_critical) {
        return status_fail(detail, STATUS_INVALID,
                           "its critical subjectAltName does not describe a TPM");
    }
    if (is_empty_name(f->subject)) {
        return status_fail(detail, STATUS_INVALID,
                           "neither its subject nor its subjectAltName describes a TPM");
    }
    return STATUS_OK;
}

static enum status check_tls_client(const struct x509_fields *f, struct detail *detail) {
    struct bytes ekus = f->extended_key_usage;
    if (f->is_ca) {
        return status_fail(detail, STATUS_INVALID, "it is a CA's");
    }
    if (f->has_key_usage && !f->may_sign) {
        return status_fail(detail, STATUS_INVALID, "its keyUsage lacks digitalSignature");
    }
    if (ekus.len > 0 && !holds_oid(ekus, DER_OID_OF(OID_CLIENT_AUTH)) &&
        !holds_oid(ekus, DER_OID_OF(OID_ANY_EXTENDED_KEY_USAGE))) {
        return status_fail(detail, STATUS_INVALID, "its extKeyUsage lacks clientAuth");
    }
    return STATUS_OK;
}

enum status chain_check_leaf(const struct x509_fields *f, int64_t now, enum chain_purpose purpose,
                             struct detail *detail) {
    enum status status = chain_check_validity(f, now, detail);
    if (status == STATUS_OK) {
        status = check_critical(f, detail);
    }
    if (status == STATUS_OK) {
        status = check_form(f, purpose, detail);
    }
    if (status != STATUS_OK || purpose == CHAIN_ANY) {
        return status;
    }
    return purpose == CHAIN_TPM_EK ? check_ek(f, detail) : check_tls_client(f, detail);
}
