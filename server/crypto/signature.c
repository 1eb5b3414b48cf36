#include <wolfssl/options.h>

#include "server/crypto/der.h"
#include "server/crypto/key.h"
#include "server/crypto/wolf.h"

#include <string.h>
#include <wolfssl/wolfcrypt/asn_public.h>

static enum status verdict(bool holds, struct detail *detail) {
    return holds ? STATUS_OK : status_fail(detail, STATUS_INVALID, "the signature does not hold");
}

static bool read_number(mp_int *out, struct bytes digits, size_t curve_len) {
    uint8_t zero;
    while (digits.len > curve_len && digits.data[0] == 0 && bytes_u8(&digits, &zero) == STATUS_OK) {
    }
    return digits.len > 0 && digits.len <= curve_len && mp_init(out) == MP_OKAY &&
           mp_read_unsigned_bin(out, digits.data, wolf_len(digits.len)) == MP_OKAY;
}

static bool ecdsa_holds(const struct public_key *key, const struct signature *sig,
                        struct bytes digest) {
    size_t curve_len = key_curve_len(key->kind);
    ecc_key ec;
    mp_int r, s;
    int holds = 0;
    if (!read_number(&r, sig->r, curve_len) || !read_number(&s, sig->s, curve_len) ||
        wolf_ecc_public(&ec, key) != 0) {
        return false;
    }
    int result = wc_ecc_verify_hash_ex(&r, &s, digest.data, wolf_len(digest.len), &holds, &ec);
    wc_ecc_free(&ec);
    return result == 0 && holds == 1;
}

/* RFC 8017 8.2.2: the encoding that we expect is built and compared. */
static bool rsassa_holds(const struct public_key *key, const struct signature *sig,
                         struct bytes digest) {
    RsaKey rsa;
    uint8_t found[KEY_RSA_MAX], expected[DIGEST_MAX + DIGEST_INFO_EXTRA];
    if (sig->r.len != key->n_len || wolf_rsa_public(&rsa, key) != 0) {
        return false;
    }
    int len = wc_RsaSSL_Verify(sig->r.data, wolf_len(sig->r.len), found, sizeof found, &rsa);
    wc_FreeRsaKey(&rsa);
    word32 expected_len = wc_EncodeSignature(expected, digest.data, wolf_len(digest.len),
                                             wc_HashGetOID(wolf_hash(sig->hash)));
    return len > 0 && bytes_equal(bytes_of(found, (size_t)len), bytes_of(expected, expected_len));
}

static bool pss_holds_with(RsaKey *rsa, const struct public_key *key, const struct signature *sig,
                           struct bytes digest, int salt_len) {
    enum wc_HashType hash = wolf_hash(sig->hash);
    uint8_t block[KEY_RSA_MAX], found[KEY_RSA_MAX];
    memcpy(block, sig->r.data, sig->r.len); /* wolfCrypt wants it writable */
    int len = wc_RsaPSS_Verify_ex(block, wolf_len(sig->r.len), found, sizeof found, hash,
                                  wc_hash2mgf(hash), salt_len, rsa);
    return len > 0 && wc_RsaPSS_CheckPadding_ex2(digest.data, wolf_len(digest.len), found,
                                                 (word32)len, hash, salt_len, key->bits, NULL) == 0;
}

static bool rsapss_holds(const struct public_key *key, const struct signature *sig,
                         struct bytes digest) {
    RsaKey rsa;
    if (sig->r.len != key->n_len || wolf_rsa_public(&rsa, key) != 0) {
        return false;
    }
    int encoded_len = (key->bits - 1 + 7) / 8;
    int usual = (int)digest.len, longest = encoded_len - (int)digest.len - 2;
    bool holds = pss_holds_with(&rsa, key, sig, digest, usual) ||
                 pss_holds_with(&rsa, key, sig, digest, longest);
    wc_FreeRsaKey(&rsa);
    return holds;
}

static bool ed25519_holds(const struct public_key *key, const struct signature *sig,
                          struct bytes message) {
    ed25519_key ed;
    int holds = 0;
    if (sig->r.len != ED25519_SIG_SIZE || wolf_ed25519_public(&ed, key) != 0) {
        return false;
    }
    int result = wc_ed25519_verify_msg(sig->r.data, wolf_len(sig->r.len), message.data,
                                       wolf_len(message.len), &holds, &ed);
    wc_ed25519_free(&ed);
    return result == 0 && holds == 1;
}

static enum status verify_hashed(const struct public_key *key, const struct signature *sig,
                                 struct bytes digest, struct detail *detail) {
    if (sig->scheme == SIGNATURE_ECDSA && key_curve_len(key->kind) != 0) {
        return verdict(ecdsa_holds(key, sig, digest), detail);
    }
    if (sig->scheme == SIGNATURE_RSASSA && key->kind == KEY_RSA) {
        return verdict(rsassa_holds(key, sig, digest), detail);
    }
    if (sig->scheme == SIGNATURE_RSAPSS && key->kind == KEY_RSA) {
        return verdict(rsapss_holds(key, sig, digest), detail);
    }
    return status_fail(detail, STATUS_UNSUPPORTED,
                       "the signature scheme does not fit a key of kind %s",
                       key_kind_name(key->kind));
}

static enum status check_hash(enum hash_alg alg, struct detail *detail) {
    return alg == HASH_SHA256 || alg == HASH_SHA384 || alg == HASH_SHA512
               ? STATUS_OK
               : status_fail(detail, STATUS_UNSUPPORTED,
                             "signatures with the hash %s are not taken", hash_name(alg));
}

enum status signature_verify(const struct public_key *key, const struct signature *sig,
                             struct bytes message, struct detail *detail) {
    uint8_t hashed[DIGEST_MAX];
    if (sig->scheme == SIGNATURE_ED25519 && key->kind == KEY_ED25519) {
        return verdict(ed25519_holds(key, sig, message), detail);
    }
    enum status status = check_hash(sig->hash, detail);
    if (status != STATUS_OK) {
        return status;
    }
    digest_compute(sig->hash, message, hashed);
    return verify_hashed(key, sig, bytes_of(hashed, digest_len(sig->hash)), detail);
}

enum signature_scheme signature_scheme_of(enum key_kind kind) {
    switch (kind) {
    case KEY_RSA:
        return SIGNATURE_RSASSA;
    case KEY_EC_P256:
    case KEY_EC_P384:
    case KEY_EC_P521:
        return SIGNATURE_ECDSA;
    case KEY_ED25519:
        return SIGNATURE_ED25519;
    case KEY_NONE:
        break;
    }
    return SIGNATURE_NONE;
}

static enum status read_der(struct signature *out, const struct public_key *key, enum hash_alg alg,
                            struct bytes signature, struct detail *detail) {
    struct signature sig = {.scheme = signature_scheme_of(key->kind), .hash = alg, .r = signature};
    struct bytes fields;
    if (sig.scheme == SIGNATURE_ECDSA &&
        (der_take(&signature, DER_SEQUENCE, &fields) != STATUS_OK || signature.len != 0 ||
         der_take_unsigned(&fields, &sig.r) != STATUS_OK ||
         der_take_unsigned(&fields, &sig.s) != STATUS_OK || fields.len != 0)) {
        return status_fail(detail, STATUS_MALFORMED, "ECDSA-Sig-Value is malformed");
    }
    *out = sig;
    return STATUS_OK;
}

enum status signature_verify_der(const struct public_key *key, enum hash_alg alg,
                                 struct bytes signature, struct bytes message,
                                 struct detail *detail) {
    struct signature sig;
    enum status status = read_der(&sig, key, alg, signature, detail);
    return status == STATUS_OK ? signature_verify(key, &sig, message, detail) : status;
}

enum status signature_verify_digest(const struct public_key *key, enum hash_alg alg,
                                    struct bytes signature, struct bytes digest,
                                    struct detail *detail) {
    struct signature sig;
    enum status status = check_hash(alg, detail);
    if (status == STATUS_OK && digest.len != digest_len(alg)) {
        status = status_fail(detail, STATUS_INVALID, "the digest is not of %s", hash_name(alg));
    }
    if (status == STATUS_OK) {
        status = read_der(&sig, key, alg, signature, detail);
    }
    return status == STATUS_OK ? verify_hashed(key, &sig, digest, detail) : status;
}
