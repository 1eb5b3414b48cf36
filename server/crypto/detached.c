#include <wolfssl/options.h>

#include "server/crypto/detached.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/wolf.h"

#include <string.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/lms.h>
#include <wolfssl/wolfcrypt/wc_lms.h>

static const struct {
    const char *name;
    enum key_kind kind; /* KEY_NONE: HSS */
    enum hash_alg hash;
    enum signature_scheme scheme;
} algorithms[] = {
    [DETACHED_NONE] = {"none", KEY_NONE, HASH_NONE, SIGNATURE_NONE},
    [DETACHED_ECDSA_P256_SHA256] = {"ecdsa-p256-sha256", KEY_EC_P256, HASH_SHA256, SIGNATURE_ECDSA},
    [DETACHED_ECDSA_P384_SHA384] = {"ecdsa-p384-sha384", KEY_EC_P384, HASH_SHA384, SIGNATURE_ECDSA},
    [DETACHED_ED25519] = {"ed25519", KEY_ED25519, HASH_NONE, SIGNATURE_ED25519},
    [DETACHED_RSA_PSS_SHA256] = {"rsa-pss-sha256", KEY_RSA, HASH_SHA256, SIGNATURE_RSAPSS},
    [DETACHED_RSA_PSS_SHA384] = {"rsa-pss-sha384", KEY_RSA, HASH_SHA384, SIGNATURE_RSAPSS},
    [DETACHED_RSA_PSS_SHA512] = {"rsa-pss-sha512", KEY_RSA, HASH_SHA512, SIGNATURE_RSAPSS},
    [DETACHED_HSS_LMS_SHA256] = {"hss-lms-sha256", KEY_NONE, HASH_SHA256, SIGNATURE_NONE},
};
enum { NUM_ALGORITHMS = sizeof algorithms / sizeof *algorithms };

const char *detached_algorithm_name(enum detached_algorithm algorithm) {
    return algorithms[algorithm].name;
}

enum detached_algorithm detached_algorithm_from_name(const char *name) {
    for (int i = DETACHED_NONE + 1; i < NUM_ALGORITHMS; i++) {
        if (strcmp(algorithms[i].name, name) == 0) {
            return (enum detached_algorithm)i;
        }
    }
    return DETACHED_NONE;
}

/* --- HSS/LMS --- */

/* RFC 8554, 6.1 and the registries of its section 8: the level count, the typecodes of the first
 * level, which we want of all. SP 800-208's variants with shorter hashes and SHAKE are not among
 * them. */
struct hss_parameters {
    uint32_t levels, lms_type, ots_type;
    int height, width;
    size_t ots_len; /* of an LM-OTS signature behind its typecode: C and p chains */
};

static bool hss_parameters(struct bytes hss, struct hss_parameters *out) {
    static const int heights[] = {[5] = 5, [6] = 10, [7] = 15, [8] = 20};
    static const int widths[] = {[1] = 1, [2] = 2, [3] = 4, [4] = 8};
    static const size_t chains[] = {[1] = 265, [2] = 133, [3] = 67, [4] = 34};
    if (bytes_u32be(&hss, &out->levels) != STATUS_OK ||
        bytes_u32be(&hss, &out->lms_type) != STATUS_OK ||
        bytes_u32be(&hss, &out->ots_type) != STATUS_OK || out->levels < 1 || out->levels > 4 ||
        out->lms_type < 5 || out->lms_type > 8 || out->ots_type < 1 || out->ots_type > 4) {
        return false;
    }
    out->height = heights[out->lms_type];
    out->width = widths[out->ots_type];
    out->ots_len = 32 * (1 + chains[out->ots_type]);
    return true;
}

static bool take_number(struct bytes *in, uint32_t wanted) {
    uint32_t found;
    return bytes_u32be(in, &found) == STATUS_OK && found == wanted;
}

/* 6.2: every typecode of the signature is the key's. wolfSSL does not look at all of them. */
static bool hss_is_framed(struct bytes signature, const struct hss_parameters *p) {
    struct bytes skipped;
    uint32_t leaf;
    bool good = take_number(&signature, p->levels - 1);
    for (uint32_t level = 0; level < p->levels && good; level++) {
        good = (level == 0 ||
                (take_number(&signature, p->lms_type) && take_number(&signature, p->ots_type) &&
                 bytes_take(&signature, 16 + 32, &skipped) == STATUS_OK)) &&
               bytes_u32be(&signature, &leaf) == STATUS_OK &&
               take_number(&signature, p->ots_type) &&
               bytes_take(&signature, p->ots_len, &skipped) == STATUS_OK &&
               take_number(&signature, p->lms_type) &&
               bytes_take(&signature, (size_t)p->height * 32, &skipped) == STATUS_OK;
    }
    return good && signature.len == 0;
}

static int hss_open(LmsKey *out, const uint8_t hss[static HSS_PUBLIC_LEN]) {
    struct hss_parameters p;
    if (!hss_parameters(bytes_of(hss, HSS_PUBLIC_LEN), &p)) {
        return BAD_FUNC_ARG;
    }
    int result = wc_LmsKey_Init(out, NULL, INVALID_DEVID);
    if (result == 0) {
        result = wc_LmsKey_SetParameters(out, (int)p.levels, p.height, p.width);
        if (result == 0) {
            result = wc_LmsKey_ImportPubRaw(out, hss, HSS_PUBLIC_LEN);
        }
        if (result != 0) {
            wc_LmsKey_Free(out);
        }
    }
    return result;
}

static enum status hss_verify(const struct detached_key *key, struct bytes signature,
                              struct bytes message, struct detail *detail) {
    struct hss_parameters p;
    LmsKey lms;
    if (!hss_parameters(bytes_of(key->hss, HSS_PUBLIC_LEN), &p) || !hss_is_framed(signature, &p)) {
        return status_fail(detail, STATUS_MALFORMED, "no signature of this key's parameters");
    }
    if (hss_open(&lms, key->hss) != 0) {
        return status_fail(detail, STATUS_UNSUPPORTED, "an HSS key that cannot be used");
    }
    bool holds = wc_LmsKey_Verify(&lms, signature.data, wolf_len(signature.len), message.data,
                                  (int)wolf_len(message.len)) == 0;
    wc_LmsKey_Free(&lms);
    return holds ? STATUS_OK : status_fail(detail, STATUS_INVALID, "the signature does not hold");
}

/* Of id-alg-hss-lms-hashsig; false: another algorithm. */
static bool read_hss(struct bytes spki, struct bytes *out) {
    struct bytes fields, algorithm, oid, key, inner;
    if (der_take(&spki, DER_SEQUENCE, &fields) != STATUS_OK || spki.len != 0 ||
        der_take(&fields, DER_SEQUENCE, &algorithm) != STATUS_OK ||
        der_take(&algorithm, DER_OID, &oid) != STATUS_OK ||
        !bytes_equal(oid, DER_OID_OF(OID_HSS_LMS)) || algorithm.len != 0 ||
        der_take_bits(&fields, &key) != STATUS_OK || fields.len != 0) {
        return false;
    }
    struct bytes wrapped = key;
    bool is_wrapped = der_take(&wrapped, DER_OCTET_STRING, &inner) == STATUS_OK && wrapped.len == 0;
    *out = is_wrapped ? inner : key;
    return true;
}

static enum status take_hss(struct detached_key *out, struct bytes hss, struct detail *detail) {
    LmsKey lms;
    if (hss.len != HSS_PUBLIC_LEN) {
        return status_fail(detail, STATUS_UNSUPPORTED, "an HSS key of %zu bytes, not %d", hss.len,
                           HSS_PUBLIC_LEN);
    }
    memcpy(out->hss, hss.data, hss.len);
    if (hss_open(&lms, out->hss) != 0) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "an HSS key with parameters that are not supported");
    }
    wc_LmsKey_Free(&lms);
    out->algorithm = DETACHED_HSS_LMS_SHA256;
    return STATUS_OK;
}

/* --- keys --- */

static bool fits(enum detached_algorithm algorithm, const struct detached_key *key) {
    bool hss = algorithm == DETACHED_HSS_LMS_SHA256;
    return key->algorithm == DETACHED_HSS_LMS_SHA256
               ? hss
               : !hss && algorithm != DETACHED_NONE && algorithms[algorithm].kind == key->key.kind;
}

enum status detached_key_from_spki(struct detached_key *out, struct bytes spki,
                                   enum detached_algorithm algorithm, struct detail *detail) {
    struct detached_key key = {0};
    struct bytes hss;
    enum status status = read_hss(spki, &hss) ? take_hss(&key, hss, detail)
                                              : public_key_from_spki(&key.key, spki, detail);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = DETACHED_NONE + 1; i < NUM_ALGORITHMS && algorithm == DETACHED_NONE; i++) {
        algorithm = fits((enum detached_algorithm)i, &key) ? (enum detached_algorithm)i : algorithm;
    }
    if (!fits(algorithm, &key)) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "no algorithm of ours fits the key, or the "
                           "one that is named does not");
    }
    key.algorithm = algorithm;
    *out = key;
    return STATUS_OK;
}

enum status detached_spki_from_pem(struct bytes *out, struct arena *arena, const char *pem) {
    DerBuffer *der = NULL;
    int result = wc_PemToDer((const uint8_t *)pem, (long)wolf_len(strlen(pem)), PUBLICKEY_TYPE,
                             &der, NULL, NULL, NULL);
    if (result != 0) {
        wc_FreeDer(&der);
        return STATUS_MALFORMED;
    }
    *out = arena_bytes(arena, bytes_of(der->buffer, der->length));
    wc_FreeDer(&der);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* --- signatures --- */

enum status detached_verify(const struct detached_key *key, struct bytes signature,
                            struct bytes message, struct detail *detail) {
    const struct signature block = {
        .scheme = algorithms[key->algorithm].scheme,
        .hash = algorithms[key->algorithm].hash,
        .r = signature,
    };
    switch (block.scheme) {
    case SIGNATURE_NONE:
        return key->algorithm == DETACHED_HSS_LMS_SHA256
                   ? hss_verify(key, signature, message, detail)
                   : status_fail(detail, STATUS_UNSUPPORTED, "no algorithm");
    case SIGNATURE_ECDSA:
        return signature_verify_der(&key->key, block.hash, signature, message, detail);
    default:
        return signature_verify(&key->key, &block, message, detail);
    }
}
