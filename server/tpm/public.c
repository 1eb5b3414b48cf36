#include "server/tpm/public.h"
#include "server/tpm/mu.h"

#include <string.h>
#include <tss2/tss2_mu.h>

static enum status take_symmetric(struct tpm_public *out, const TPMT_SYM_DEF_OBJECT *in,
                                  struct detail *detail) {
    if (in->algorithm == TPM2_ALG_NULL) {
        return STATUS_OK;
    }
    if (in->algorithm != TPM2_ALG_AES || in->mode.aes != TPM2_ALG_CFB ||
        (in->keyBits.aes != 128 && in->keyBits.aes != 256)) {
        return status_fail(detail, STATUS_UNSUPPORTED, "symmetric algorithm 0x%04x, %u bits",
                           in->algorithm, in->keyBits.sym);
    }
    out->symmetric_bits = in->keyBits.aes;
    return STATUS_OK;
}

static enum status take_scheme(struct tpm_public *out, uint16_t scheme, uint16_t hash,
                               struct detail *detail) {
    switch (scheme) {
    case TPM2_ALG_NULL:
        return STATUS_OK;
    case TPM2_ALG_ECDSA:
        out->scheme = SIGNATURE_ECDSA;
        break;
    case TPM2_ALG_RSASSA:
        out->scheme = SIGNATURE_RSASSA;
        break;
    case TPM2_ALG_RSAPSS:
        out->scheme = SIGNATURE_RSAPSS;
        break;
    default:
        return status_fail(detail, STATUS_UNSUPPORTED, "key scheme 0x%04x", scheme);
    }
    out->scheme_hash = tpm_hash(hash);
    if (out->scheme_hash == HASH_NONE) {
        return status_fail(detail, STATUS_UNSUPPORTED, "key scheme with hash 0x%04x", hash);
    }
    return STATUS_OK;
}

/* The schemes that a kind of key can have. */
static enum status check_scheme(const struct tpm_public *key, struct detail *detail) {
    bool ecdsa = key->scheme == SIGNATURE_ECDSA;
    if (key->scheme != SIGNATURE_NONE && ecdsa != (key->key.kind != KEY_RSA)) {
        return status_fail(detail, STATUS_MALFORMED, "a scheme that is not for a key of kind %s",
                           key_kind_name(key->key.kind));
    }
    return STATUS_OK;
}

static enum status take_rsa(struct tpm_public *out, const TPMT_PUBLIC *in, struct detail *detail) {
    const TPMS_RSA_PARMS *parms = &in->parameters.rsaDetail;
    const TPM2B_PUBLIC_KEY_RSA *n = &in->unique.rsa;
    if (n->size == 0 || n->size > KEY_RSA_MAX || n->size * 8u != parms->keyBits ||
        n->buffer[0] == 0) {
        return status_fail(detail, STATUS_MALFORMED, "RSA modulus of %u bytes in a key of %u bits",
                           n->size, parms->keyBits);
    }
    out->key.kind = KEY_RSA;
    out->key.bits = parms->keyBits;
    memcpy(out->key.n, n->buffer, n->size);
    out->key.n_len = n->size;
    out->key.e = parms->exponent == 0 ? 65537 : parms->exponent;
    enum status status = take_symmetric(out, &parms->symmetric, detail);
    if (status != STATUS_OK) {
        return status;
    }
    return take_scheme(out, parms->scheme.scheme, parms->scheme.details.anySig.hashAlg, detail);
}

/* TPMs may leave out leading zeros: right-aligned into the field's size. */
static bool take_coordinate(uint8_t out[static KEY_EC_MAX], size_t len,
                            const TPM2B_ECC_PARAMETER *in) {
    if (in->size == 0 || in->size > len) {
        return false;
    }
    memcpy(out + (len - in->size), in->buffer, in->size);
    return true;
}

static enum status take_ecc(struct tpm_public *out, const TPMT_PUBLIC *in, struct detail *detail) {
    const TPMS_ECC_PARMS *parms = &in->parameters.eccDetail;
    switch (parms->curveID) {
    case TPM2_ECC_NIST_P256:
        out->key.kind = KEY_EC_P256;
        out->key.bits = 256;
        break;
    case TPM2_ECC_NIST_P384:
        out->key.kind = KEY_EC_P384;
        out->key.bits = 384;
        break;
    default:
        return status_fail(detail, STATUS_UNSUPPORTED, "curve 0x%04x", parms->curveID);
    }
    size_t len = out->key.bits / 8u;
    if (!take_coordinate(out->key.x, len, &in->unique.ecc.x) ||
        !take_coordinate(out->key.y, len, &in->unique.ecc.y)) {
        return status_fail(detail, STATUS_MALFORMED, "coordinates of %u and %u bytes",
                           in->unique.ecc.x.size, in->unique.ecc.y.size);
    }
    enum status status = take_symmetric(out, &parms->symmetric, detail);
    if (status != STATUS_OK) {
        return status;
    }
    return take_scheme(out, parms->scheme.scheme, parms->scheme.details.anySig.hashAlg, detail);
}

/* One TPM2B_PUBLIC, the whole input, in the only spelling it has. */
static enum status unmarshal(TPM2B_PUBLIC *out, struct bytes in, struct detail *detail) {
    uint8_t again[TPM_PUBLIC_MAX];
    size_t used = 0, written = 0;
    if (in.len == 0 || in.len > TPM_PUBLIC_MAX ||
        Tss2_MU_TPM2B_PUBLIC_Unmarshal(in.data, in.len, &used, out) != TSS2_RC_SUCCESS) {
        return status_fail(detail, STATUS_MALFORMED, "no TPM2B_PUBLIC in %zu bytes", in.len);
    }
    if (used != in.len) {
        return status_fail(detail, STATUS_MALFORMED, "%zu bytes after the TPM2B_PUBLIC",
                           in.len - used);
    }
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(out, again, sizeof again, &written) != TSS2_RC_SUCCESS ||
        !bytes_equal(in, bytes_of(again, written))) {
        return status_fail(detail, STATUS_MALFORMED, "the TPM2B_PUBLIC is not canonical");
    }
    return STATUS_OK;
}

static enum status take_name(struct tpm_public *out, uint16_t alg, struct bytes tpm2b,
                             struct detail *detail) {
    struct bytes area = tpm2b;
    struct writer name = writer_of(out->name, sizeof out->name);
    uint16_t size;
    out->name_alg = tpm_hash(alg);
    if (out->name_alg == HASH_NONE || bytes_u16be(&area, &size) != STATUS_OK) {
        return status_fail(detail, STATUS_UNSUPPORTED, "nameAlg 0x%04x", alg);
    }
    write_u16be(&name, alg);
    digest_compute(out->name_alg, area, out->name + name.len);
    out->name_len = name.len + digest_len(out->name_alg);
    return STATUS_OK;
}

enum status tpm_public_parse(struct tpm_public *out, struct bytes tpm2b, struct detail *detail) {
    TPM2B_PUBLIC wire = {0};
    struct tpm_public result = {0};
    enum status status = unmarshal(&wire, tpm2b, detail);
    if (status != STATUS_OK) {
        return status;
    }
    const TPMT_PUBLIC *area = &wire.publicArea;
    switch (area->type) {
    case TPM2_ALG_RSA:
        status = take_rsa(&result, area, detail);
        break;
    case TPM2_ALG_ECC:
        status = take_ecc(&result, area, detail);
        break;
    default:
        status = status_fail(detail, STATUS_UNSUPPORTED, "key type 0x%04x", area->type);
        break;
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = check_scheme(&result, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = public_key_check(&result.key, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = take_name(&result, area->nameAlg, tpm2b, detail);
    if (status != STATUS_OK) {
        return status;
    }
    result.attributes = area->objectAttributes;
    *out = result;
    return STATUS_OK;
}
