#include "server/identity/enrolment.h"

struct attribute_rule {
    uint32_t attribute;
    const char *name; /* Part 2, 8.3.2 */
};

static const struct attribute_rule bound_to_tpm[] = {
    {TPM_FIXED_TPM, "fixedTPM"},
    {TPM_FIXED_PARENT, "fixedParent"},
    {TPM_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin"},
    {TPM_RESTRICTED, "restricted"},
};
enum { NUM_BOUND = sizeof bound_to_tpm / sizeof *bound_to_tpm };

/* `use` must be set, `other` must not. */
static enum status check_attributes(const struct tpm_public *key, const char *what,
                                    struct attribute_rule use, struct attribute_rule other,
                                    struct detail *detail) {
    for (size_t i = 0; i < NUM_BOUND; i++) {
        if ((key->attributes & bound_to_tpm[i].attribute) == 0) {
            return status_fail(detail, STATUS_DENIED, "%s: %s is not set", what,
                               bound_to_tpm[i].name);
        }
    }
    if ((key->attributes & use.attribute) == 0) {
        return status_fail(detail, STATUS_DENIED, "%s: %s is not set", what, use.name);
    }
    if ((key->attributes & other.attribute) != 0) {
        return status_fail(detail, STATUS_DENIED, "%s: %s is set", what, other.name);
    }
    return STATUS_OK;
}

static bool hash_is_strong(enum hash_alg alg) {
    return alg == HASH_SHA256 || alg == HASH_SHA384 || alg == HASH_SHA512;
}

static const struct attribute_rule sign = {TPM_SIGN, "sign"}, decrypt = {TPM_DECRYPT, "decrypt"};

enum status ek_check(const struct tpm_public *ek, struct detail *detail) {
    enum status status = check_attributes(ek, "EK", decrypt, sign, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (ek->key.kind != KEY_RSA && ek->key.kind != KEY_EC_P256 && ek->key.kind != KEY_EC_P384) {
        return status_fail(detail, STATUS_DENIED, "EK: a key of kind %s",
                           key_kind_name(ek->key.kind));
    }
    if (ek->symmetric_bits == 0) {
        return status_fail(detail, STATUS_DENIED, "EK: no symmetric algorithm (AES-CFB)");
    }
    if (!hash_is_strong(ek->name_alg)) {
        return status_fail(detail, STATUS_DENIED, "EK: nameAlg is %s", hash_name(ek->name_alg));
    }
    return STATUS_OK;
}

static bool scheme_fits(const struct tpm_public *key) {
    switch (key->key.kind) {
    case KEY_EC_P256:
    case KEY_EC_P384:
        return key->scheme == SIGNATURE_ECDSA;
    case KEY_RSA:
        return key->scheme == SIGNATURE_RSASSA || key->scheme == SIGNATURE_RSAPSS;
    default:
        return false;
    }
}

enum status ak_check(const struct tpm_public *ak, struct detail *detail) {
    enum status status = check_attributes(ak, "AK", sign, decrypt, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (!scheme_fits(ak)) {
        return status_fail(detail, STATUS_DENIED,
                           "AK: it states none of ECDSA, RSASSA, RSAPSS for its kind, %s",
                           key_kind_name(ak->key.kind));
    }
    if (!hash_is_strong(ak->scheme_hash)) {
        return status_fail(detail, STATUS_DENIED, "AK: it signs with %s",
                           hash_name(ak->scheme_hash));
    }
    if (!hash_is_strong(ak->name_alg)) {
        return status_fail(detail, STATUS_DENIED, "AK: nameAlg is %s", hash_name(ak->name_alg));
    }
    return STATUS_OK;
}
