#include <wolfssl/options.h>

#include "server/crypto/der.h"
#include "server/crypto/key.h"
#include "server/crypto/oid.h"
#include "server/crypto/wolf.h"

#include <string.h>
#include <wolfssl/wolfcrypt/asn_public.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, RSA_EXPONENT_MIN = 65537, ED25519_LEN = 32 };
enum { POINT_UNCOMPRESSED = 4 };

struct curve {
    enum key_kind kind;
    int wolf;
    uint16_t bits;
    size_t len;
    const char *oid;
    size_t oid_len;
};

static const struct curve curves[] = {
    {KEY_EC_P256, ECC_SECP256R1, 256, 32, OID_P256, sizeof OID_P256 - 1},
    {KEY_EC_P384, ECC_SECP384R1, 384, 48, OID_P384, sizeof OID_P384 - 1},
    {KEY_EC_P521, ECC_SECP521R1, 521, 66, OID_P521, sizeof OID_P521 - 1},
};
enum { NUM_CURVES = sizeof curves / sizeof curves[0] };

static const struct curve *curve_of(enum key_kind kind) {
    for (size_t i = 0; i < NUM_CURVES; i++) {
        if (curves[i].kind == kind) {
            return &curves[i];
        }
    }
    return NULL;
}

const char *key_kind_name(enum key_kind kind) {
    switch (kind) {
    case KEY_RSA:
        return "rsa";
    case KEY_EC_P256:
        return "ec-p256";
    case KEY_EC_P384:
        return "ec-p384";
    case KEY_EC_P521:
        return "ec-p521";
    case KEY_ED25519:
        return "ed25519";
    case KEY_NONE:
        break;
    }
    return "none";
}

size_t key_curve_len(enum key_kind kind) {
    const struct curve *curve = curve_of(kind);
    return curve == NULL ? 0 : curve->len;
}

int wolf_curve(enum key_kind kind) {
    const struct curve *curve = curve_of(kind);
    return curve == NULL ? ECC_CURVE_INVALID : curve->wolf;
}

int wolf_ecc_public(ecc_key *out, const struct public_key *key) {
    wolf_require(wc_ecc_init(out));
    int result = wc_ecc_import_unsigned(out, key->x, key->y, NULL, wolf_curve(key->kind));
    if (result != 0) {
        wc_ecc_free(out);
    }
    return result;
}

int wolf_rsa_public(RsaKey *out, const struct public_key *key) {
    uint8_t e[4];
    struct writer w = writer_of(e, sizeof e);
    write_u32be(&w, key->e);
    wolf_require(wc_InitRsaKey(out, NULL));
    int result = wc_RsaPublicKeyDecodeRaw(key->n, wolf_len(key->n_len), e, sizeof e, out);
    if (result != 0) {
        wc_FreeRsaKey(out);
    }
    return result;
}

int wolf_ed25519_public(ed25519_key *out, const struct public_key *key) {
    wolf_require(wc_ed25519_init(out));
    int result = wc_ed25519_import_public_ex(key->x, ED25519_LEN, out, 1);
    if (result != 0) {
        wc_ed25519_free(out);
    }
    return result;
}

enum status wolf_ecc_export(struct public_key *out, ecc_key *key, enum key_kind kind) {
    const struct curve *curve = curve_of(kind);
    struct public_key found = {.kind = kind, .bits = curve->bits};
    word32 x_len = wolf_len(curve->len), y_len = x_len;
    if (wc_ecc_export_public_raw(key, found.x, &x_len, found.y, &y_len) != 0 ||
        x_len != curve->len || y_len != curve->len) {
        return STATUS_INTERNAL;
    }
    *out = found;
    return STATUS_OK;
}

static enum status check_rsa(const struct public_key *key, struct detail *detail) {
    if (key->n_len == 0 || key->n_len > KEY_RSA_MAX || key->n[0] == 0) {
        return status_fail(detail, STATUS_INVALID,
                           "RSA modulus of %zu bytes is not in its shortest form", key->n_len);
    }
    if (key->bits < RSA_BITS_MIN || key->bits > RSA_BITS_MAX) {
        return status_fail(detail, STATUS_UNSUPPORTED, "RSA key of %u bits: 2048 to 4096 are taken",
                           key->bits);
    }
    if ((key->n[key->n_len - 1] & 1) == 0) {
        return status_fail(detail, STATUS_INVALID, "RSA modulus is even");
    }
    if (key->e < RSA_EXPONENT_MIN || (key->e & 1) == 0) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "RSA exponent %u: odd ones from 65537 are taken", (unsigned)key->e);
    }
    return STATUS_OK;
}

static uint16_t modulus_bits(const uint8_t *n, size_t n_len) {
    if (n_len == 0 || n_len > KEY_RSA_MAX) {
        return 0;
    }
    unsigned bits = (unsigned)n_len * 8;
    for (unsigned mask = 0x80; mask != 0 && (n[0] & mask) == 0; mask >>= 1) {
        bits--;
    }
    return (uint16_t)bits;
}

/* In range and on the curve: with a cofactor of 1 this is full validation (SP 800-56A 5.6.2.3.3),
 * at a twentieth of the price of wc_ecc_check_key, which multiplies by the order too. */
static bool on_curve(ecc_key *ec) {
    mp_int a, b, prime;
    return mp_init_multi(&a, &b, &prime, NULL, NULL, NULL) == MP_OKAY &&
           mp_read_radix(&a, ec->dp->Af, MP_RADIX_HEX) == MP_OKAY &&
           mp_read_radix(&b, ec->dp->Bf, MP_RADIX_HEX) == MP_OKAY &&
           mp_read_radix(&prime, ec->dp->prime, MP_RADIX_HEX) == MP_OKAY &&
           wc_ecc_is_point(&ec->pubkey, &a, &b, &prime) == MP_OKAY;
}

static enum status check_ec(const struct public_key *key, struct detail *detail) {
    ecc_key ec;
    bool holds = false;
    if (wolf_ecc_public(&ec, key) == 0) {
        holds = on_curve(&ec);
        wc_ecc_free(&ec);
    }
    if (!holds) {
        return status_fail(detail, STATUS_INVALID, "the point is not on the curve %s",
                           key_kind_name(key->kind));
    }
    return STATUS_OK;
}

static enum status check_ed25519(const struct public_key *key, struct detail *detail) {
    ed25519_key ed;
    int result = wolf_ed25519_public(&ed, key);
    if (result == 0) {
        result = wc_ed25519_check_key(&ed);
        wc_ed25519_free(&ed);
    }
    if (result != 0) {
        return status_fail(detail, STATUS_INVALID, "not an Ed25519 public key");
    }
    return STATUS_OK;
}

enum status public_key_check(const struct public_key *key, struct detail *detail) {
    const struct curve *curve = curve_of(key->kind);
    uint16_t bits = 0;
    if (key->kind == KEY_RSA) {
        bits = modulus_bits(key->n, key->n_len);
    } else if (key->kind == KEY_ED25519) {
        bits = 256;
    } else if (curve != NULL) {
        bits = curve->bits;
    } else {
        return status_fail(detail, STATUS_UNSUPPORTED, "no key of a kind that is taken");
    }
    if (bits != key->bits) {
        return status_fail(detail, STATUS_INVALID, "a %s key of %u bits says %u",
                           key_kind_name(key->kind), bits, key->bits);
    }
    if (key->kind == KEY_RSA) {
        return check_rsa(key, detail);
    }
    return key->kind == KEY_ED25519 ? check_ed25519(key, detail) : check_ec(key, detail);
}

/* RSAPublicKey (RFC 8017 A.1.1). */
static enum status read_rsa(struct public_key *out, struct bytes key, struct detail *detail) {
    struct bytes fields, n;
    uint32_t e;
    if (der_take(&key, DER_SEQUENCE, &fields) != STATUS_OK || key.len != 0 ||
        der_take_unsigned(&fields, &n) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "RSAPublicKey is malformed");
    }
    if (der_take_u32(&fields, &e) != STATUS_OK || fields.len != 0) {
        return status_fail(detail, STATUS_MALFORMED,
                           "RSAPublicKey's exponent is malformed or over 32 bits");
    }
    if (n.len > KEY_RSA_MAX) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "RSA modulus of %zu bytes: at most 4096 bits are taken", n.len);
    }
    out->kind = KEY_RSA;
    memcpy(out->n, n.data, n.len);
    out->n_len = n.len;
    out->e = e;
    out->bits = modulus_bits(out->n, out->n_len);
    return STATUS_OK;
}

static enum status read_ec(struct public_key *out, struct bytes parameters, struct bytes point,
                           struct detail *detail) {
    struct bytes oid, x, y;
    uint8_t form;
    if (der_take(&parameters, DER_OID, &oid) != STATUS_OK || parameters.len != 0) {
        return status_fail(detail, STATUS_UNSUPPORTED, "an EC key without a named curve");
    }
    const struct curve *curve = NULL;
    for (size_t i = 0; i < NUM_CURVES; i++) {
        if (bytes_equal(oid, bytes_of(curves[i].oid, curves[i].oid_len))) {
            curve = &curves[i];
        }
    }
    if (curve == NULL) {
        char text[64];
        der_oid_text(text, sizeof text, oid);
        return status_fail(detail, STATUS_UNSUPPORTED, "curve %s is not taken", text);
    }
    if (bytes_u8(&point, &form) != STATUS_OK || form != POINT_UNCOMPRESSED ||
        bytes_take(&point, curve->len, &x) != STATUS_OK ||
        bytes_take(&point, curve->len, &y) != STATUS_OK || point.len != 0) {
        return status_fail(detail, STATUS_MALFORMED, "not an uncompressed point of %s",
                           key_kind_name(curve->kind));
    }
    out->kind = curve->kind;
    out->bits = curve->bits;
    memcpy(out->x, x.data, x.len);
    memcpy(out->y, y.data, y.len);
    return STATUS_OK;
}

static bool is_null_or_empty(struct bytes parameters) {
    struct bytes content;
    return parameters.len == 0 || (der_take(&parameters, DER_NULL, &content) == STATUS_OK &&
                                   content.len == 0 && parameters.len == 0);
}

/* RSAES-OAEP-params (RFC 4055 4.1): hash, mask generation and label, each optional, in this order. */
static bool is_oaep_parameters(struct bytes parameters) {
    struct bytes fields, ignored;
    bool present;
    if (is_null_or_empty(parameters)) {
        return true;
    }
    if (der_take(&parameters, DER_SEQUENCE, &fields) != STATUS_OK || parameters.len != 0) {
        return false;
    }
    for (unsigned number = 0; number < 3; number++) {
        if (der_take_optional(&fields, DER_CONTEXT_CONSTRUCTED | number, &present, &ignored) !=
            STATUS_OK) {
            return false;
        }
    }
    return fields.len == 0;
}

static enum status read_spki(struct public_key *out, struct bytes spki, bool may_be_oaep,
                             struct detail *detail) {
    struct bytes fields, algorithm, oid, key;
    if (der_take(&spki, DER_SEQUENCE, &fields) != STATUS_OK || spki.len != 0 ||
        der_take(&fields, DER_SEQUENCE, &algorithm) != STATUS_OK ||
        der_take(&algorithm, DER_OID, &oid) != STATUS_OK ||
        der_take_bits(&fields, &key) != STATUS_OK || fields.len != 0) {
        return status_fail(detail, STATUS_MALFORMED, "SubjectPublicKeyInfo is malformed");
    }
    if (bytes_equal(oid, DER_OID_OF(OID_RSA)) && is_null_or_empty(algorithm)) {
        return read_rsa(out, key, detail);
    }
    if (bytes_equal(oid, DER_OID_OF(OID_RSA_PSS))) {
        return read_rsa(out, key, detail); /* the parameters restrict use; the key is the same */
    }
    if (may_be_oaep && bytes_equal(oid, DER_OID_OF(OID_RSA_OAEP))) {
        return is_oaep_parameters(algorithm)
                   ? read_rsa(out, key, detail)
                   : status_fail(detail, STATUS_MALFORMED, "RSAES-OAEP-params are malformed");
    }
    if (bytes_equal(oid, DER_OID_OF(OID_EC))) {
        return read_ec(out, algorithm, key, detail);
    }
    if (bytes_equal(oid, DER_OID_OF(OID_ED25519)) && algorithm.len == 0 && key.len == ED25519_LEN) {
        out->kind = KEY_ED25519;
        out->bits = 256;
        memcpy(out->x, key.data, key.len);
        return STATUS_OK;
    }
    char text[64];
    der_oid_text(text, sizeof text, oid);
    return status_fail(detail, STATUS_UNSUPPORTED, "key algorithm %s is not taken", text);
}

static enum status read_and_check(struct public_key *out, struct bytes spki, bool may_be_oaep,
                                  struct detail *detail) {
    struct public_key key = {0};
    enum status status = read_spki(&key, spki, may_be_oaep, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = public_key_check(&key, detail);
    if (status == STATUS_OK) {
        *out = key;
    }
    return status;
}

enum status public_key_from_spki(struct public_key *out, struct bytes spki, struct detail *detail) {
    return read_and_check(out, spki, false, detail);
}

enum status public_key_from_ek_spki(struct public_key *out, struct bytes spki,
                                    struct detail *detail) {
    return read_and_check(out, spki, true, detail);
}

enum status public_key_from_pem(struct public_key *out, struct bytes pem, struct detail *detail) {
    DerBuffer *der = NULL;
    int result = pem.len == 0 ? BAD_FUNC_ARG
                              : wc_PemToDer(pem.data, (long)wolf_len(pem.len), PUBLICKEY_TYPE, &der,
                                            NULL, NULL, NULL);
    if (result != 0) {
        wc_FreeDer(&der); /* also when it fails it may have made one */
        return status_fail(detail, STATUS_MALFORMED, "not a PEM public key");
    }
    enum status status = public_key_from_spki(out, bytes_of(der->buffer, der->length), detail);
    wc_FreeDer(&der);
    return status;
}

static void write_rsa(struct writer *w, const struct public_key *key) {
    size_t algorithm = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, DER_OID_OF(OID_RSA));
    der_write(w, DER_NULL, bytes_of(NULL, 0));
    der_close(w, algorithm);
    size_t bits = der_open(w, DER_BIT_STRING);
    write_u8(w, 0);
    size_t fields = der_open(w, DER_SEQUENCE);
    der_write_unsigned(w, bytes_of(key->n, key->n_len));
    der_write_u32(w, key->e);
    der_close(w, fields);
    der_close(w, bits);
}

static void write_ec(struct writer *w, const struct public_key *key, const struct curve *curve) {
    size_t algorithm = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, DER_OID_OF(OID_EC));
    der_write(w, DER_OID, bytes_of(curve->oid, curve->oid_len));
    der_close(w, algorithm);
    size_t bits = der_open(w, DER_BIT_STRING);
    write_u8(w, 0);
    write_u8(w, POINT_UNCOMPRESSED);
    write_bytes(w, bytes_of(key->x, curve->len));
    write_bytes(w, bytes_of(key->y, curve->len));
    der_close(w, bits);
}

static void write_ed25519(struct writer *w, const struct public_key *key) {
    size_t algorithm = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, DER_OID_OF(OID_ED25519));
    der_close(w, algorithm);
    der_write_bits(w, bytes_of(key->x, ED25519_LEN));
}

enum status public_key_to_spki(struct writer *out, const struct public_key *key) {
    const struct curve *curve = curve_of(key->kind);
    size_t fields = der_open(out, DER_SEQUENCE);
    if (key->kind == KEY_RSA && key->n_len <= KEY_RSA_MAX) {
        write_rsa(out, key);
    } else if (key->kind == KEY_ED25519) {
        write_ed25519(out, key);
    } else if (curve != NULL) {
        write_ec(out, key, curve);
    } else {
        return STATUS_UNSUPPORTED;
    }
    der_close(out, fields);
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}

enum status public_key_spki_sha256(uint8_t out[static 32], const struct public_key *key) {
    uint8_t spki[KEY_SPKI_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    enum status status = public_key_to_spki(&w, key);
    if (status == STATUS_OK) {
        digest_compute(HASH_SHA256, writer_bytes(&w), out);
    }
    return status;
}

bool public_key_equal(const struct public_key *a, const struct public_key *b) {
    size_t curve_len = key_curve_len(a->kind);
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == KEY_RSA) {
        return a->n_len <= KEY_RSA_MAX && a->e == b->e &&
               bytes_equal(bytes_of(a->n, a->n_len), bytes_of(b->n, b->n_len));
    }
    if (a->kind == KEY_ED25519) {
        return memcmp(a->x, b->x, ED25519_LEN) == 0;
    }
    return curve_len != 0 && memcmp(a->x, b->x, curve_len) == 0 &&
           memcmp(a->y, b->y, curve_len) == 0;
}
