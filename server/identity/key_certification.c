#include "server/identity/key_certification.h"

bool key_certification_given(const struct key_certification *certification) {
    return certification->certify_info.len > 0 || certification->signature.len > 0 ||
           certification->key_public.len > 0;
}

/* A certification, read. */
struct parts {
    struct tpm_attest attest;
    struct tpm_signature signature;
    struct tpm_public key;
};

static enum status read_parts(struct parts *out, const struct key_certification *in,
                              struct detail *detail) {
    enum status status = tpm_attest_parse(&out->attest, in->certify_info, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "certify_info");
        return status;
    }
    status = tpm_signature_parse(&out->signature, in->signature, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "signature");
        return status;
    }
    status = tpm_public_parse(&out->key, in->key_public, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "public");
    }
    return status;
}

static enum status check_kind(const struct tpm_attest *attest, struct detail *detail) {
    if (attest->magic != TPM_ATTEST_MAGIC) {
        return status_fail(detail, STATUS_INVALID,
                           "certify_info: magic is not TPM_GENERATED_VALUE");
    }
    if (attest->type != TPM_ATTEST_CERTIFY) {
        return status_fail(detail, STATUS_INVALID,
                           "certify_info: type is not TPM_ST_ATTEST_CERTIFY");
    }
    return STATUS_OK;
}

static enum status check_binding(const struct parts *parts, struct bytes nonce,
                                 struct detail *detail) {
    const struct tpm_attest *attest = &parts->attest;
    const struct tpm_public *key = &parts->key;
    if (nonce.len == 0 ||
        !bytes_equal(nonce, bytes_of(attest->extra_data, attest->extra_data_len))) {
        return status_fail(detail, STATUS_INVALID, "certify_info: extraData is not the nonce");
    }
    if (!bytes_equal(bytes_of(key->name, key->name_len),
                     bytes_of(attest->certify.name, attest->certify.name_len))) {
        return status_fail(detail, STATUS_INVALID,
                           "certify_info: the certified name is not that of \"public\"");
    }
    if (key->name_alg != HASH_SHA256 && key->name_alg != HASH_SHA384 &&
        key->name_alg != HASH_SHA512) {
        return status_fail(detail, STATUS_UNSUPPORTED, "public: nameAlg is %s",
                           hash_name(key->name_alg));
    }
    return STATUS_OK;
}

/* Part 2, 8.3.2: made in the TPM, tied to it, and free to sign what it is given (a restricted key
 * could not do TLS). */
static enum status check_attributes(const struct tpm_public *key, struct detail *detail) {
    static const struct {
        uint32_t attribute;
        const char *name;
        bool set;
    } rules[] = {
        {TPM_FIXED_TPM, "fixedTPM", true},
        {TPM_FIXED_PARENT, "fixedParent", true},
        {TPM_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin", true},
        {TPM_SIGN, "sign", true},
        {TPM_DECRYPT, "decrypt", false},
        {TPM_RESTRICTED, "restricted", false},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (((key->attributes & rules[i].attribute) != 0) != rules[i].set) {
            return status_fail(detail, STATUS_INVALID, "public: %s is %s", rules[i].name,
                               rules[i].set ? "not set" : "set");
        }
    }
    return STATUS_OK;
}

enum status key_certification_check(const struct key_certification *certification,
                                    const struct tpm_public *ak, struct bytes nonce,
                                    const struct public_key *key, struct detail *detail) {
    struct parts parts = {0};
    struct tpm_signer signer = {&ak->key, ak->scheme, ak->scheme_hash};
    enum status status = read_parts(&parts, certification, detail);
    if (status == STATUS_OK) {
        status = check_kind(&parts.attest, detail);
    }
    if (status == STATUS_OK) {
        status =
            tpm_signature_check(&parts.signature, &signer, certification->certify_info, detail);
    }
    if (status == STATUS_OK) {
        status = check_binding(&parts, nonce, detail);
    }
    if (status == STATUS_OK) {
        status = check_attributes(&parts.key, detail);
    }
    if (status == STATUS_OK && !public_key_equal(&parts.key.key, key)) {
        status = status_fail(detail, STATUS_INVALID, "public: its key is not that of the request");
    }
    return status;
}
