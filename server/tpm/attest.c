#include "server/tpm/attest.h"
#include "server/tpm/mu.h"

#include <string.h>
#include <tss2/tss2_mu.h>

enum { ATTEST_MAX = 1024 };

static enum status take_selection(struct pcr_selection *out, const TPML_PCR_SELECTION *in,
                                  struct detail *detail) {
    struct pcr_selection selection = {0};
    for (uint32_t i = 0; i < in->count; i++) {
        const TPMS_PCR_SELECTION *from = &in->pcrSelections[i];
        uint32_t mask = 0;
        if (from->sizeofSelect == 0 || from->sizeofSelect > sizeof from->pcrSelect) {
            return status_fail(detail, STATUS_UNSUPPORTED, "pcrSelect: %u bytes in bank 0x%04x",
                               from->sizeofSelect, from->hash);
        }
        for (uint32_t n = 0; n < from->sizeofSelect; n++) {
            mask |= (uint32_t)from->pcrSelect[n] << (8 * n);
        }
        for (uint32_t n = 0; n < i; n++) {
            if (in->pcrSelections[n].hash == from->hash) {
                return status_fail(detail, STATUS_MALFORMED, "pcrSelect: bank 0x%04x stands twice",
                                   from->hash);
            }
        }
        if (mask == 0) {
            continue;
        }
        if (tpm_hash(from->hash) == HASH_NONE || mask >> PCR_COUNT != 0 ||
            selection.num_banks == PCR_MAX_BANKS) {
            return status_fail(detail, STATUS_UNSUPPORTED, "pcrSelect: bank 0x%04x, PCRs 0x%08x",
                               from->hash, (unsigned)mask);
        }
        selection.bank[selection.num_banks++] =
            (struct pcr_bank_selection){.bank = tpm_hash(from->hash), .mask = mask};
    }
    *out = selection;
    return STATUS_OK;
}

static enum status take_quote(struct tpm_quote_info *out, const TPMS_QUOTE_INFO *in,
                              struct detail *detail) {
    if (in->pcrDigest.size > sizeof out->pcr_digest) {
        return status_fail(detail, STATUS_MALFORMED, "pcrDigest of %u bytes", in->pcrDigest.size);
    }
    memcpy(out->pcr_digest, in->pcrDigest.buffer, in->pcrDigest.size);
    out->pcr_digest_len = in->pcrDigest.size;
    return take_selection(&out->selection, &in->pcrSelect, detail);
}

static enum status take_certify(struct tpm_certify_info *out, const TPMS_CERTIFY_INFO *in,
                                struct detail *detail) {
    if (in->name.size > sizeof out->name || in->qualifiedName.size > sizeof out->qualified_name) {
        return status_fail(detail, STATUS_UNSUPPORTED, "name of %u bytes, qualifiedName of %u",
                           in->name.size, in->qualifiedName.size);
    }
    memcpy(out->name, in->name.name, in->name.size);
    out->name_len = in->name.size;
    memcpy(out->qualified_name, in->qualifiedName.name, in->qualifiedName.size);
    out->qualified_name_len = in->qualifiedName.size;
    return STATUS_OK;
}

/* One TPMS_ATTEST, the whole input, in the only spelling it has. Some releases of tss2-mu refuse a
 * magic that is not the TPM's, others do not: all are shown the right one, and ours is kept. */
static enum status unmarshal(TPMS_ATTEST *out, struct bytes in, struct detail *detail) {
    uint8_t shown[ATTEST_MAX], again[ATTEST_MAX];
    uint32_t magic;
    struct bytes rest = in;
    size_t used = 0, written = 0;
    if (in.len > ATTEST_MAX || bytes_u32be(&rest, &magic) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "no TPMS_ATTEST in %zu bytes", in.len);
    }
    struct writer w = writer_of(shown, sizeof shown);
    write_u32be(&w, TPM2_GENERATED_VALUE);
    write_bytes(&w, rest);
    struct bytes seen = writer_bytes(&w);
    if (Tss2_MU_TPMS_ATTEST_Unmarshal(seen.data, seen.len, &used, out) != TSS2_RC_SUCCESS) {
        return status_fail(detail, STATUS_MALFORMED, "no TPMS_ATTEST in %zu bytes", in.len);
    }
    if (used != seen.len) {
        return status_fail(detail, STATUS_MALFORMED, "%zu bytes after the TPMS_ATTEST",
                           seen.len - used);
    }
    if (Tss2_MU_TPMS_ATTEST_Marshal(out, again, sizeof again, &written) != TSS2_RC_SUCCESS ||
        !bytes_equal(seen, bytes_of(again, written)) || out->clockInfo.safe > 1) {
        return status_fail(detail, STATUS_MALFORMED, "the TPMS_ATTEST is not canonical");
    }
    out->magic = magic;
    return STATUS_OK;
}

enum status tpm_attest_parse(struct tpm_attest *out, struct bytes attest, struct detail *detail) {
    TPMS_ATTEST wire = {0};
    struct tpm_attest result = {0};
    enum status status = unmarshal(&wire, attest, detail);
    if (status != STATUS_OK) {
        return status;
    }
    result.magic = wire.magic;
    result.type = wire.type;
    result.clock = wire.clockInfo.clock;
    result.reset_count = wire.clockInfo.resetCount;
    result.restart_count = wire.clockInfo.restartCount;
    result.safe = wire.clockInfo.safe == 1;
    result.firmware_version = wire.firmwareVersion;
    if (wire.qualifiedSigner.size > sizeof result.qualified_signer ||
        wire.extraData.size > sizeof result.extra_data) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "qualifiedSigner of %u bytes, extraData of %u bytes",
                           wire.qualifiedSigner.size, wire.extraData.size);
    }
    memcpy(result.qualified_signer, wire.qualifiedSigner.name, wire.qualifiedSigner.size);
    result.qualified_signer_len = wire.qualifiedSigner.size;
    memcpy(result.extra_data, wire.extraData.buffer, wire.extraData.size);
    result.extra_data_len = wire.extraData.size;
    switch (wire.type) {
    case TPM_ATTEST_QUOTE:
        status = take_quote(&result.quote, &wire.attested.quote, detail);
        break;
    case TPM_ATTEST_CERTIFY:
        status = take_certify(&result.certify, &wire.attested.certify, detail);
        break;
    default:
        break;
    }
    if (status != STATUS_OK) {
        return status;
    }
    *out = result;
    return STATUS_OK;
}

static enum status take_hash(enum hash_alg *out, uint16_t alg, struct detail *detail) {
    *out = tpm_hash(alg);
    if (*out == HASH_NONE) {
        return status_fail(detail, STATUS_UNSUPPORTED, "signature with hash 0x%04x", alg);
    }
    return STATUS_OK;
}

static enum status take_ecdsa(struct tpm_signature *out, const TPMS_SIGNATURE_ECDSA *in,
                              struct detail *detail) {
    enum hash_alg hash;
    enum status status = take_hash(&hash, in->hash, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (in->signatureR.size > KEY_EC_MAX || in->signatureS.size > KEY_EC_MAX) {
        return status_fail(detail, STATUS_UNSUPPORTED, "ECDSA signature of %u and %u bytes",
                           in->signatureR.size, in->signatureS.size);
    }
    memcpy(out->store, in->signatureR.buffer, in->signatureR.size);
    memcpy(out->store + KEY_EC_MAX, in->signatureS.buffer, in->signatureS.size);
    out->signature = (struct signature){
        .scheme = SIGNATURE_ECDSA,
        .hash = hash,
        .r = bytes_of(out->store, in->signatureR.size),
        .s = bytes_of(out->store + KEY_EC_MAX, in->signatureS.size),
    };
    return STATUS_OK;
}

static enum status take_rsa(struct tpm_signature *out, enum signature_scheme scheme,
                            const TPMS_SIGNATURE_RSA *in, struct detail *detail) {
    enum hash_alg hash;
    enum status status = take_hash(&hash, in->hash, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (in->sig.size > KEY_SIGNATURE_MAX) {
        return status_fail(detail, STATUS_UNSUPPORTED, "RSA signature of %u bytes", in->sig.size);
    }
    memcpy(out->store, in->sig.buffer, in->sig.size);
    out->signature =
        (struct signature){.scheme = scheme, .hash = hash, .r = bytes_of(out->store, in->sig.size)};
    return STATUS_OK;
}

enum status tpm_signature_parse(struct tpm_signature *out, struct bytes signature,
                                struct detail *detail) {
    TPMT_SIGNATURE wire = {0};
    uint8_t again[sizeof wire];
    size_t used = 0, written = 0;
    if (signature.len == 0 || signature.len > sizeof again ||
        Tss2_MU_TPMT_SIGNATURE_Unmarshal(signature.data, signature.len, &used, &wire) !=
            TSS2_RC_SUCCESS) {
        return status_fail(detail, STATUS_MALFORMED, "no TPMT_SIGNATURE in %zu bytes",
                           signature.len);
    }
    if (used != signature.len) {
        return status_fail(detail, STATUS_MALFORMED, "%zu bytes after the TPMT_SIGNATURE",
                           signature.len - used);
    }
    if (Tss2_MU_TPMT_SIGNATURE_Marshal(&wire, again, sizeof again, &written) != TSS2_RC_SUCCESS ||
        !bytes_equal(signature, bytes_of(again, written))) {
        return status_fail(detail, STATUS_MALFORMED, "the TPMT_SIGNATURE is not canonical");
    }
    switch (wire.sigAlg) {
    case TPM2_ALG_ECDSA:
        return take_ecdsa(out, &wire.signature.ecdsa, detail);
    case TPM2_ALG_RSASSA:
        return take_rsa(out, SIGNATURE_RSASSA, &wire.signature.rsassa, detail);
    case TPM2_ALG_RSAPSS:
        return take_rsa(out, SIGNATURE_RSAPSS, &wire.signature.rsapss, detail);
    default:
        return status_fail(detail, STATUS_UNSUPPORTED, "signature scheme 0x%04x", wire.sigAlg);
    }
}

enum status tpm_signature_check(const struct tpm_signature *signature,
                                const struct tpm_signer *signer, struct bytes attest,
                                struct detail *detail) {
    const struct signature *made = &signature->signature;
    if (made->hash != HASH_SHA256 && made->hash != HASH_SHA384 && made->hash != HASH_SHA512) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "signature: its hash is none of SHA-256, SHA-384, SHA-512");
    }
    if ((signer->hash != HASH_NONE && signer->hash != made->hash) ||
        (signer->scheme != SIGNATURE_NONE && signer->scheme != made->scheme)) {
        return status_fail(detail, STATUS_UNSUPPORTED, "signature: not by the AK's own scheme");
    }
    switch (signature_verify(signer->key, made, attest, detail)) {
    case STATUS_OK:
        return STATUS_OK;
    case STATUS_UNSUPPORTED:
        detail_prefix(detail, "signature");
        return STATUS_UNSUPPORTED;
    default:
        return status_fail(detail, STATUS_INVALID, "signature: not the AK's over this attestation");
    }
}
