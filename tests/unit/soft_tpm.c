#include <wolfssl/options.h>

#include "tests/unit/soft_tpm.h"

#include "server/crypto/cipher.h"
#include "server/crypto/der.h"
#include "server/crypto/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>

enum {
    ALG_RSA = 0x0001,
    ALG_AES = 0x0006,
    ALG_NULL = 0x0010,
    ALG_RSASSA = 0x0014,
    ALG_ECDSA = 0x0018,
    ALG_ECC = 0x0023,
    ALG_CFB = 0x0043,
    CURVE_P256 = 3,
    CURVE_P384 = 4
};
enum { PUBLIC_MAX = 1024, SIGNATURE_MAX = 600, AK_NAME = 34 };

struct soft_ek {
    ecc_key key;
    RsaKey rsa; /* in its place, when it was given one */
    bool is_rsa;
    WC_RNG rng;
};

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "soft_tpm: %s\n", what);
        abort();
    }
}

void soft_tpm_reset(struct soft_tpm *tpm) {
    for (unsigned i = 0; i < SOFT_PCRS; i++) {
        memset(tpm->pcr[i], i >= 17 && i <= 22 ? 0xFF : 0, sizeof tpm->pcr[i]);
    }
    tpm->reset_count++;
}

void soft_tpm_init(struct soft_tpm *tpm, enum key_kind ak) {
    *tpm = (struct soft_tpm){.clock = 1000,
                             .firmware_version = 0x2019102300163636,
                             .ak_attributes = 0x00050072,
                             .ek_attributes = 0x000300B2};
    soft_tpm_reset(tpm);
    require(private_key_generate(&tpm->ak, ak) == STATUS_OK, "no AK");
    private_key_public(tpm->ak, &tpm->ak_public);
    tpm->ek = calloc(1, sizeof *tpm->ek);
    require(tpm->ek != NULL && wc_InitRng(&tpm->ek->rng) == 0 && wc_ecc_init(&tpm->ek->key) == 0 &&
                wc_ecc_set_rng(&tpm->ek->key, &tpm->ek->rng) == 0 &&
                wc_ecc_make_key_ex(&tpm->ek->rng, 32, &tpm->ek->key, ECC_SECP256R1) == 0,
            "no EK");
    word32 x_len = 32, y_len = 32;
    tpm->ek_public = (struct public_key){.kind = KEY_EC_P256, .bits = 256};
    require(wc_ecc_export_public_raw(&tpm->ek->key, tpm->ek_public.x, &x_len, tpm->ek_public.y,
                                     &y_len) == 0,
            "no public EK");
}

void soft_tpm_take_rsa_ek(struct soft_tpm *tpm, struct bytes der) {
    struct public_key *out = &tpm->ek_public;
    RsaKey *rsa = &tpm->ek->rsa;
    word32 at = 0, e_len = 4, n_len = KEY_RSA_MAX;
    uint8_t e[4];
    *out = (struct public_key){.kind = KEY_RSA};
    require(wc_InitRsaKey(rsa, NULL) == 0 &&
                wc_RsaPrivateKeyDecode(der.data, &at, rsa, (word32)der.len) == 0 &&
                wc_RsaSetRNG(rsa, &tpm->ek->rng) == 0 &&
                wc_RsaFlattenPublicKey(rsa, e, &e_len, out->n, &n_len) == 0 && n_len == 256,
            "no RSA EK");
    tpm->ek->is_rsa = true;
    out->bits = 2048;
    out->n_len = n_len;
    out->e = 65537;
}

void soft_tpm_cleanup(struct soft_tpm *tpm) {
    private_key_free(tpm->ak);
    if (tpm->ek != NULL) {
        (void)wc_ecc_free(&tpm->ek->key);
        if (tpm->ek->is_rsa) {
            (void)wc_FreeRsaKey(&tpm->ek->rsa);
        }
        (void)wc_FreeRng(&tpm->ek->rng);
        free(tpm->ek);
    }
    *tpm = (struct soft_tpm){0};
}

/* --- structures --------------------------------------------------------------------------------
 */

static void write_2b(struct writer *out, struct bytes in) {
    write_u16be(out, (uint16_t)in.len);
    write_bytes(out, in);
}

static void write_point(struct writer *out, const struct public_key *key) {
    size_t len = key_curve_len(key->kind);
    write_2b(out, bytes_of(key->x, len));
    write_2b(out, bytes_of(key->y, len));
}

static uint16_t curve_of(enum key_kind kind) {
    return kind == KEY_EC_P384 ? CURVE_P384 : CURVE_P256;
}

static uint16_t hash_of(const struct soft_tpm *tpm) {
    return tpm->ak_public.kind == KEY_EC_P384 ? HASH_SHA384 : HASH_SHA256;
}

/* TPMT_PUBLIC; its digest makes the name. */
static void write_ak(const struct soft_tpm *tpm, struct writer *out) {
    const struct public_key *key = &tpm->ak_public;
    bool rsa = key->kind == KEY_RSA;
    write_u16be(out, rsa ? ALG_RSA : ALG_ECC);
    write_u16be(out, HASH_SHA256);
    write_u32be(out, tpm->ak_attributes);
    write_u16be(out, 0);
    write_u16be(out, ALG_NULL);
    write_u16be(out, rsa ? ALG_RSASSA : ALG_ECDSA);
    write_u16be(out, hash_of(tpm));
    if (rsa) {
        write_u16be(out, key->bits);
        write_u32be(out, 0);
        write_2b(out, bytes_of(key->n, key->n_len));
    } else {
        write_u16be(out, curve_of(key->kind));
        write_u16be(out, ALG_NULL);
        write_point(out, key);
    }
}

void soft_tpm_ak(const struct soft_tpm *tpm, struct writer *out) {
    uint8_t area[PUBLIC_MAX];
    struct writer w = writer_of(area, sizeof area);
    write_ak(tpm, &w);
    write_2b(out, writer_bytes(&w));
}

void soft_tpm_ak_name(const struct soft_tpm *tpm, uint8_t out[static AK_NAME]) {
    uint8_t area[PUBLIC_MAX];
    struct writer w = writer_of(area, sizeof area);
    write_ak(tpm, &w);
    out[0] = 0;
    out[1] = HASH_SHA256;
    digest_compute(HASH_SHA256, writer_bytes(&w), out + 2);
}

/* TCG EK Credential Profile, templates L-1 and L-2. */
void soft_tpm_ek(const struct soft_tpm *tpm, struct writer *out) {
    static const uint8_t policy[32] = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8,
                                       0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24,
                                       0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64,
                                       0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA};
    uint8_t area[PUBLIC_MAX];
    struct writer w = writer_of(area, sizeof area);
    write_u16be(&w, tpm->ek->is_rsa ? ALG_RSA : ALG_ECC);
    write_u16be(&w, HASH_SHA256);
    write_u32be(&w, tpm->ek_attributes);
    write_2b(&w, bytes_of(policy, sizeof policy));
    write_u16be(&w, ALG_AES);
    write_u16be(&w, 128);
    write_u16be(&w, ALG_CFB);
    write_u16be(&w, ALG_NULL);
    if (tpm->ek->is_rsa) {
        write_u16be(&w, tpm->ek_public.bits);
        write_u32be(&w, 0);
        write_2b(&w, bytes_of(tpm->ek_public.n, tpm->ek_public.n_len));
    } else {
        write_u16be(&w, CURVE_P256);
        write_u16be(&w, ALG_NULL);
        write_point(&w, &tpm->ek_public);
    }
    write_2b(out, writer_bytes(&w));
}

/* --- activation --------------------------------------------------------------------------------
 */

/* OAEP with the label of the specification, its end included (Part 1, B.4). */
static bool rsa_seed(const struct soft_tpm *tpm, uint8_t seed[static 32], struct bytes encrypted) {
    static byte label[] = "IDENTITY";
    struct bytes in;
    byte plain[KEY_RSA_MAX];
    if (bytes_u16be_prefixed(&encrypted, &in) != STATUS_OK || encrypted.len != 0) {
        return false;
    }
    int len = wc_RsaPrivateDecrypt_ex(in.data, (word32)in.len, plain, sizeof plain, &tpm->ek->rsa,
                                      WC_RSA_OAEP_PAD, WC_HASH_TYPE_SHA256, WC_MGF1SHA256, label,
                                      sizeof label);
    if (len != 32) {
        return false;
    }
    memcpy(seed, plain, 32);
    return true;
}

static bool shared_seed(const struct soft_tpm *tpm, uint8_t seed[static 32],
                        struct bytes encrypted) {
    if (tpm->ek->is_rsa) {
        return rsa_seed(tpm, seed, encrypted);
    }
    struct bytes point, x, y;
    uint8_t z[32];
    word32 z_len = sizeof z;
    if (bytes_u16be_prefixed(&encrypted, &point) != STATUS_OK || encrypted.len != 0 ||
        bytes_u16be_prefixed(&point, &x) != STATUS_OK ||
        bytes_u16be_prefixed(&point, &y) != STATUS_OK || point.len != 0 || x.len != 32 ||
        y.len != 32) {
        return false;
    }
    struct public_key peer = {.kind = KEY_EC_P256, .bits = 256};
    memcpy(peer.x, x.data, 32);
    memcpy(peer.y, y.data, 32);
    ecc_key theirs;
    require(wc_ecc_init(&theirs) == 0, "no memory");
    bool holds = public_key_check(&peer, NULL) == STATUS_OK &&
                 wc_ecc_import_unsigned(&theirs, peer.x, peer.y, NULL, ECC_SECP256R1) == 0 &&
                 wc_ecc_shared_secret(&tpm->ek->key, &theirs, z, &z_len) == 0 && z_len == sizeof z;
    (void)wc_ecc_free(&theirs);
    if (holds) {
        kdfe(HASH_SHA256, bytes_of(z, sizeof z), "IDENTITY", x, bytes_of(tpm->ek_public.x, 32), 256,
             seed);
    }
    return holds;
}

bool soft_tpm_activate(const struct soft_tpm *tpm, uint8_t secret[static SOFT_SECRET_MAX],
                       size_t *secret_len, struct bytes credential_blob,
                       struct bytes encrypted_secret) {
    static const uint8_t zero_iv[AES_BLOCK_SIZE];
    uint8_t seed[32], key[32], mac[32], name[AK_NAME], plain[2 + SOFT_SECRET_MAX];
    struct bytes object, integrity, inner, none = {0};
    if (!shared_seed(tpm, seed, encrypted_secret) ||
        bytes_u16be_prefixed(&credential_blob, &object) != STATUS_OK || credential_blob.len != 0 ||
        bytes_u16be_prefixed(&object, &integrity) != STATUS_OK || integrity.len != sizeof mac ||
        object.len > sizeof plain) {
        return false;
    }
    soft_tpm_ak_name(tpm, name);
    uint8_t checked[sizeof plain + sizeof name];
    struct writer w = writer_of(checked, sizeof checked);
    write_bytes(&w, object);
    write_bytes(&w, bytes_of(name, sizeof name));
    kdfa(HASH_SHA256, bytes_of(seed, sizeof seed), "INTEGRITY", none, none, 256, key);
    hmac_compute(HASH_SHA256, bytes_of(key, sizeof key), writer_bytes(&w), mac);
    if (!bytes_equal(bytes_of(mac, sizeof mac), integrity)) {
        return false;
    }
    kdfa(HASH_SHA256, bytes_of(seed, sizeof seed), "STORAGE", bytes_of(name, sizeof name), none,
         128, key);
    Aes aes;
    require(wc_AesInit(&aes, NULL, INVALID_DEVID) == 0 &&
                wc_AesSetKey(&aes, key, 16, zero_iv, AES_ENCRYPTION) == 0 &&
                wc_AesCfbDecrypt(&aes, plain, object.data, (word32)object.len) == 0,
            "AES");
    wc_AesFree(&aes);
    struct bytes rest = bytes_of(plain, object.len);
    if (bytes_u16be_prefixed(&rest, &inner) != STATUS_OK || rest.len != 0 ||
        inner.len > SOFT_SECRET_MAX) {
        return false;
    }
    if (inner.len > 0) {
        memcpy(secret, inner.data, inner.len);
    }
    *secret_len = inner.len;
    return true;
}

/* --- PCRs and quotes ---------------------------------------------------------------------------
 */

void soft_tpm_extend(struct soft_tpm *tpm, unsigned pcr, const uint8_t digest[static 32]) {
    require(pcr < SOFT_PCRS, "no such PCR");
    uint8_t value[32];
    digest_compute2(HASH_SHA256, bytes_of(tpm->pcr[pcr], 32), bytes_of(digest, 32), value);
    memcpy(tpm->pcr[pcr], value, sizeof value);
}

static void pcr_digest(const struct soft_tpm *tpm, uint32_t mask, enum hash_alg alg, uint8_t *out) {
    uint8_t values[SOFT_PCRS * 32];
    struct writer w = writer_of(values, sizeof values);
    for (unsigned i = 0; i < SOFT_PCRS; i++) {
        if (mask >> i & 1) {
            write_bytes(&w, bytes_of(tpm->pcr[i], 32));
        }
    }
    digest_compute(alg, writer_bytes(&w), out);
}

void soft_tpm_sign(const struct soft_tpm *tpm, struct writer *out, struct bytes message) {
    uint8_t buffer[SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    require(private_key_sign(tpm->ak, &w, message) == STATUS_OK, "cannot sign");
    struct bytes der = writer_bytes(&w), pair, r = {0}, s = {0};
    bool rsa = tpm->ak_public.kind == KEY_RSA;
    write_u16be(out, rsa ? ALG_RSASSA : ALG_ECDSA);
    write_u16be(out, hash_of(tpm));
    if (rsa) {
        write_2b(out, der);
        return;
    }
    require(der_take(&der, DER_SEQUENCE, &pair) == STATUS_OK &&
                der_take_unsigned(&pair, &r) == STATUS_OK &&
                der_take_unsigned(&pair, &s) == STATUS_OK,
            "not a signature");
    write_2b(out, r);
    write_2b(out, s);
}

static void write_attest_head(struct soft_tpm *tpm, struct writer *out, uint16_t type,
                              struct bytes nonce) {
    uint8_t name[AK_NAME];
    soft_tpm_ak_name(tpm, name);
    tpm->clock++;
    write_u32be(out, 0xFF544347);
    write_u16be(out, type);
    write_2b(out, bytes_of(name, sizeof name));
    write_2b(out, nonce);
    write_u64be(out, tpm->clock);
    write_u32be(out, tpm->reset_count);
    write_u32be(out, tpm->restart_count);
    write_u8(out, 1);
    write_u64be(out, tpm->firmware_version);
}

void soft_tpm_quote(struct soft_tpm *tpm, struct writer *attest, struct writer *signature,
                    struct bytes nonce, uint32_t mask) {
    uint8_t digest[DIGEST_MAX];
    size_t start = attest->len;
    write_attest_head(tpm, attest, 0x8018, nonce);
    write_u32be(attest, 1);
    write_u16be(attest, HASH_SHA256);
    write_u8(attest, 3);
    for (unsigned i = 0; i < 3; i++) {
        write_u8(attest, (uint8_t)(mask >> (8 * i)));
    }
    pcr_digest(tpm, mask, (enum hash_alg)hash_of(tpm), digest);
    write_2b(attest, bytes_of(digest, digest_len((enum hash_alg)hash_of(tpm))));
    require(!attest->overflow, "no room for the quote");
    soft_tpm_sign(tpm, signature, bytes_of(attest->data + start, attest->len - start));
}

/* --- keys beside the AK ------------------------------------------------------------------------
 */

void soft_tpm_key(struct writer *out, const struct public_key *key, uint32_t attributes,
                  enum hash_alg name_alg) {
    uint8_t area[PUBLIC_MAX];
    struct writer w = writer_of(area, sizeof area);
    write_u16be(&w, key->kind == KEY_RSA ? ALG_RSA : ALG_ECC);
    write_u16be(&w, (uint16_t)name_alg);
    write_u32be(&w, attributes);
    write_u16be(&w, 0);
    write_u16be(&w, ALG_NULL);
    write_u16be(&w, ALG_NULL);
    if (key->kind == KEY_RSA) {
        write_u16be(&w, key->bits);
        write_u32be(&w, 0);
        write_2b(&w, bytes_of(key->n, key->n_len));
    } else {
        write_u16be(&w, curve_of(key->kind));
        write_u16be(&w, ALG_NULL);
        write_point(&w, key);
    }
    write_2b(out, writer_bytes(&w));
}

void soft_tpm_certify(struct soft_tpm *tpm, struct writer *attest, struct writer *signature,
                      struct bytes nonce, struct bytes key_public) {
    uint8_t name[2 + DIGEST_MAX], qualified[2 + DIGEST_MAX];
    size_t start = attest->len;
    require(key_public.len > 6, "no public area");
    enum hash_alg alg = (enum hash_alg)(key_public.data[4] << 8 | key_public.data[5]);
    size_t name_len = 2 + digest_len(alg);
    memcpy(name, key_public.data + 4, 2);
    digest_compute(alg, bytes_of(key_public.data + 2, key_public.len - 2), name + 2);
    /* Of a key right under the owner's seed: nameAlg || H(TPM_RH_OWNER || name). */
    memcpy(qualified, name, 2);
    digest_compute2(alg, bytes_of("\x40\x00\x00\x01", 4), bytes_of(name, name_len), qualified + 2);
    write_attest_head(tpm, attest, 0x8017, nonce);
    write_2b(attest, bytes_of(name, name_len));
    write_2b(attest, bytes_of(qualified, name_len));
    require(!attest->overflow, "no room for the certification");
    soft_tpm_sign(tpm, signature, bytes_of(attest->data + start, attest->len - start));
}

/* --- the event log -----------------------------------------------------------------------------
 */

enum {
    EV_NO_ACTION = 0x3,
    EV_SEPARATOR = 0x4,
    EV_S_CRTM_VERSION = 0x8,
    EV_IPL = 0xD,
    EV_EFI_VARIABLE_DRIVER_CONFIG = (int)0x80000001,
    EV_EFI_VARIABLE_BOOT = (int)0x80000002,
    EV_EFI_BOOT_SERVICES_APPLICATION = (int)0x80000003,
    EV_EFI_ACTION = (int)0x80000007,
    EV_EFI_PLATFORM_FIRMWARE_BLOB = (int)0x80000008,
    EV_EFI_VARIABLE_AUTHORITY = (int)0x800000E0
};
enum { VARIABLE_MAX = 256 * 1024 };
static const enum hash_alg log_bank[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384};
enum { NUM_LOG_BANKS = sizeof log_bank / sizeof log_bank[0] };

static void write_u64le(struct writer *w, uint64_t value) {
    write_u32le(w, (uint32_t)value);
    write_u32le(w, (uint32_t)(value >> 32));
}

static void write_text(struct writer *w, const char *text) {
    write_bytes(w, bytes_of_text(text));
}

static void write_utf16(struct writer *w, const char *text) {
    for (; *text != '\0'; text++) {
        write_u16le(w, (uint8_t)*text);
    }
}

void soft_log_start(struct writer *log) {
    static const uint8_t zeros[20];
    uint8_t data[64];
    struct writer w = writer_of(data, sizeof data);
    write_bytes(&w, bytes_of("Spec ID Event03", 16));
    write_u32le(&w, 0);
    write_bytes(&w, bytes_of("\x00\x02\x00\x02", 4));
    write_u32le(&w, NUM_LOG_BANKS);
    for (size_t i = 0; i < NUM_LOG_BANKS; i++) {
        write_u16le(&w, (uint16_t)log_bank[i]);
        write_u16le(&w, (uint16_t)digest_len(log_bank[i]));
    }
    write_u8(&w, 0);
    write_u32le(log, 0);
    write_u32le(log, EV_NO_ACTION);
    write_bytes(log, bytes_of(zeros, sizeof zeros));
    write_u32le(log, (uint32_t)w.len);
    write_bytes(log, writer_bytes(&w));
}

void soft_tpm_event(struct soft_tpm *tpm, struct writer *log, unsigned pcr, uint32_t type,
                    struct bytes data, struct bytes measured) {
    write_u32le(log, pcr);
    write_u32le(log, type);
    write_u32le(log, NUM_LOG_BANKS);
    for (size_t i = 0; i < NUM_LOG_BANKS; i++) {
        uint8_t digest[DIGEST_MAX] = {0};
        if (type != EV_NO_ACTION) {
            digest_compute(log_bank[i], measured, digest);
        }
        write_u16le(log, (uint16_t)log_bank[i]);
        write_bytes(log, bytes_of(digest, digest_len(log_bank[i])));
        if (log_bank[i] == HASH_SHA256 && type != EV_NO_ACTION) {
            soft_tpm_extend(tpm, pcr, digest);
        }
    }
    write_u32le(log, (uint32_t)data.len);
    write_bytes(log, data);
}

static void event(struct soft_tpm *tpm, struct writer *log, unsigned pcr, int type,
                  struct bytes data) {
    soft_tpm_event(tpm, log, pcr, (uint32_t)type, data, data);
}

/* Bytes that follow from the name. */
static void write_filling(struct writer *w, const char *name, size_t len) {
    uint8_t seed[32];
    digest_compute(HASH_SHA256, bytes_of_text(name), seed);
    for (size_t i = 0; i < len; i++) {
        if (i % 32 == 0 && i > 0) {
            digest_compute(HASH_SHA256, bytes_of(seed, sizeof seed), seed);
        }
        write_u8(w, seed[i % 32]);
    }
}

enum { LIST_HEAD = 28, OWNER = 16, HASH_ENTRY = OWNER + 32 };
/* EFI_CERT_X509_GUID and EFI_CERT_SHA256_GUID. */
static const char x509_list[] = "\xA1\x59\xC0\xA5\xE4\x94\xA7\x4A\x87\xB5\xAB\x15\x5C\x2B\xF0\x72";
static const char sha256_list[] =
    "\x26\x16\xC4\xC1\x4C\x50\x92\x40\xAC\xA9\x41\xF9\x36\x93\x43\x28";

/* EFI_SIGNATURE_DATA: an owner, and what has the frame of a certificate and nothing of it inside. */
static void write_entry(struct writer *w, const char *name, size_t len) {
    enum { FRAME = 4 };
    write_filling(w, "owner", OWNER);
    write_u16be(w, 0x3082);
    write_u16be(w, (uint16_t)(len - OWNER - FRAME));
    write_filling(w, name, len - OWNER - FRAME);
}

/* EFI_SIGNATURE_LIST, its head: entries of this size follow. */
static void write_list(struct writer *w, const char *type, size_t entry_len, size_t num) {
    write_bytes(w, bytes_of(type, 16));
    write_u32le(w, (uint32_t)(LIST_HEAD + entry_len * num));
    write_u32le(w, 0);
    write_u32le(w, (uint32_t)entry_len);
}

enum contents { PLAIN, FLAG, CERTIFICATE, CERTIFICATES, HASHES, LEVELS };
static const struct variable {
    const char *name, *guid;
    enum contents contents;
} variables[] = {
#define GLOBAL   "\x61\xDF\xE4\x8B\xCA\x93\xD2\x11\xAA\x0D\x00\xE0\x98\x03\x2B\x8C"
#define SECURITY "\xCB\xB2\x19\xD7\x3A\x3D\x96\x45\xA3\xBC\xDA\xD0\x0E\x67\x65\x6F"
#define SHIM     "\x50\xAB\x5D\x60\x46\xE0\x00\x43\xAB\xB6\x3D\xD8\x10\xDD\x8B\x23"
    {"SecureBoot", GLOBAL, FLAG},   {"PK", GLOBAL, CERTIFICATE},  {"KEK", GLOBAL, CERTIFICATES},
    {"db", SECURITY, CERTIFICATES}, {"dbx", SECURITY, HASHES},    {"SbatLevel", SHIM, LEVELS},
    {"Shim", SHIM, PLAIN},          {"BootOrder", GLOBAL, PLAIN}, {"Boot0000", GLOBAL, PLAIN},
};

/* About `len` bytes of a variable's value. */
static void write_value(struct writer *w, const struct variable *variable, size_t len) {
    switch (variable->contents) {
    case FLAG:
        write_u8(w, 1);
        break;
    case CERTIFICATE:
        write_list(w, x509_list, len - LIST_HEAD, 1);
        write_entry(w, variable->name, len - LIST_HEAD);
        break;
    case CERTIFICATES: /* two */
        write_list(w, x509_list, len / 2 - LIST_HEAD, 1);
        write_entry(w, variable->name, len / 2 - LIST_HEAD);
        write_list(w, x509_list, len / 2 - LIST_HEAD, 1);
        write_entry(w, "another", len / 2 - LIST_HEAD);
        break;
    case HASHES:
        write_list(w, sha256_list, HASH_ENTRY, (len - LIST_HEAD) / HASH_ENTRY);
        write_filling(w, variable->name, (len - LIST_HEAD) / HASH_ENTRY * HASH_ENTRY);
        break;
    case LEVELS:
        write_text(w, "sbat,1,2024010900\nshim,4\ngrub,3\n");
        break;
    case PLAIN:
        write_filling(w, variable->name, len);
        break;
    }
}

/* UEFI_VARIABLE_DATA; of an authority, a part of the variable: an owner and a certificate. */
static void variable(struct soft_tpm *tpm, struct writer *log, int type, const char *name,
                     size_t len) {
    uint8_t *data = malloc(2 * VARIABLE_MAX), *value = data + VARIABLE_MAX;
    const struct variable *of = variables;
    require(data != NULL && len < VARIABLE_MAX - 256, "variable");
    while (strcmp(of->name, name) != 0) {
        of++;
    }
    struct writer v = writer_of(value, VARIABLE_MAX), w = writer_of(data, VARIABLE_MAX);
    if (type == EV_EFI_VARIABLE_AUTHORITY && of->contents != LEVELS) {
        write_entry(&v, name, len);
    } else {
        write_value(&v, of, len);
    }
    write_bytes(&w, bytes_of(of->guid, 16));
    write_u64le(&w, strlen(name));
    write_u64le(&w, v.len);
    write_utf16(&w, name);
    write_bytes(&w, writer_bytes(&v));
    event(tpm, log, type == EV_EFI_VARIABLE_BOOT ? 1 : 7, type, writer_bytes(&w));
    free(data);
}

static void image(struct soft_tpm *tpm, struct writer *log, const char *path) {
    uint8_t data[512];
    struct writer w = writer_of(data, sizeof data);
    size_t name_len = 2 * (strlen(path) + 1);
    write_u64le(&w, 0x7E00000);
    write_u64le(&w, 0x100000);
    write_u64le(&w, 0);
    write_u64le(&w, name_len + 8);
    write_u16le(&w, 0x0404);
    write_u16le(&w, (uint16_t)(name_len + 4));
    write_utf16(&w, path);
    write_u16le(&w, 0);
    write_bytes(&w, bytes_of("\x7F\xFF\x04\x00", 4));
    soft_tpm_event(tpm, log, 4, (uint32_t)EV_EFI_BOOT_SERVICES_APPLICATION, writer_bytes(&w),
                   bytes_of_text(path));
}

/* As GRUB logs: the event says what kind it is, the digest covers the rest. */
static void ipl(struct soft_tpm *tpm, struct writer *log, unsigned pcr, const char *kind,
                const char *text) {
    uint8_t data[512];
    struct writer w = writer_of(data, sizeof data);
    write_text(&w, kind);
    write_text(&w, text);
    write_u8(&w, 0);
    soft_tpm_event(tpm, log, pcr, EV_IPL, writer_bytes(&w), bytes_of_text(text));
}

static void firmware(struct soft_tpm *tpm, struct writer *log) {
    static const uint8_t locality[] = "StartupLocality\0", blob[16] = {0, 0, 0, 0xFF};
    event(tpm, log, 0, EV_NO_ACTION, bytes_of(locality, sizeof locality));
    event(tpm, log, 0, EV_S_CRTM_VERSION, bytes_of("1\0.\0004\0002\0\0", 10));
    for (unsigned i = 0; i < 4; i++) {
        soft_tpm_event(tpm, log, i == 3 ? 2 : 0, (uint32_t)EV_EFI_PLATFORM_FIRMWARE_BLOB,
                       bytes_of(blob, sizeof blob), bytes_of(&i, sizeof i));
    }
}

void soft_tpm_boot(struct soft_tpm *tpm, struct writer *log, size_t size) {
    enum { REST_OF_LOG = 16600 }; /* what a log with an empty dbx takes */
    static const char *const commands[] = {
        "search.fs_uuid 5a1e0b52-6e0f-4a7e-9f3c-1d2b3c4d5e6f root hd0,gpt2",
        "set prefix=(hd0,gpt2)/boot/grub",
        "configfile (hd0,gpt2)/boot/grub/grub.cfg",
        "set default=0",
        "set timeout=0",
        "insmod gzio",
        "insmod part_gpt",
        "insmod ext2",
        "set root=hd0,gpt2",
        "load_video",
        "setparams Debian GNU/Linux",
        "linux /vmlinuz-6.1.0-28-amd64 root=UUID=5a1e0b52-6e0f-4a7e-9f3c-1d2b3c4d5e6f ro quiet"};
    soft_log_start(log);
    firmware(tpm, log);
    variable(tpm, log, EV_EFI_VARIABLE_DRIVER_CONFIG, "SecureBoot", 1);
    variable(tpm, log, EV_EFI_VARIABLE_DRIVER_CONFIG, "PK", 980);
    variable(tpm, log, EV_EFI_VARIABLE_DRIVER_CONFIG, "KEK", 2600);
    variable(tpm, log, EV_EFI_VARIABLE_DRIVER_CONFIG, "db", 3100);
    variable(tpm, log, EV_EFI_VARIABLE_DRIVER_CONFIG, "dbx",
             size > REST_OF_LOG ? size - REST_OF_LOG : 76);
    variable(tpm, log, EV_EFI_VARIABLE_BOOT, "BootOrder", 6);
    variable(tpm, log, EV_EFI_VARIABLE_BOOT, "Boot0000", 120);
    for (unsigned pcr = 0; pcr < 8; pcr++) {
        event(tpm, log, pcr, EV_SEPARATOR, bytes_of("\0\0\0", 4));
    }
    event(tpm, log, 4, EV_EFI_ACTION, bytes_of_text("Calling EFI Application from Boot Option"));
    variable(tpm, log, EV_EFI_VARIABLE_AUTHORITY, "db", 1522);
    image(tpm, log, "\\EFI\\BOOT\\BOOTX64.EFI");
    ipl(tpm, log, 14, "", "MokList");
    variable(tpm, log, EV_EFI_VARIABLE_AUTHORITY, "SbatLevel", 0);
    variable(tpm, log, EV_EFI_VARIABLE_AUTHORITY, "Shim", 930);
    image(tpm, log, "\\EFI\\BOOT\\grubx64.efi");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        ipl(tpm, log, 8, "grub_cmd: ", commands[i]);
    }
    ipl(tpm, log, 9, "", "(hd0,gpt2)/boot/grub/grub.cfg");
    ipl(tpm, log, 9, "", "(hd0,gpt2)/vmlinuz-6.1.0-28-amd64");
    image(tpm, log, "\\vmlinuz-6.1.0-28-amd64");
    ipl(tpm, log, 8, "kernel_cmdline: ", commands[sizeof commands / sizeof commands[0] - 1] + 6);
    ipl(tpm, log, 9, "", "(hd0,gpt2)/initrd.img-6.1.0-28-amd64");
    event(tpm, log, 5, EV_EFI_ACTION, bytes_of_text("Exit Boot Services Invocation"));
    event(tpm, log, 5, EV_EFI_ACTION, bytes_of_text("Exit Boot Services Returned with Success"));
    require(!log->overflow, "no room for the log");
}

/* --- certificates ------------------------------------------------------------------------------
 */

#define OID_ECDSA_SHA256 DER_OID_OF("\x2A\x86\x48\xCE\x3D\x04\x03\x02")
#define OID_COMMON_NAME  DER_OID_OF("\x55\x04\x03")

static void write_algorithm(struct writer *w) {
    size_t mark = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, OID_ECDSA_SHA256);
    der_close(w, mark);
}

static void write_name(struct writer *w, const char *common_name) {
    size_t name = der_open(w, DER_SEQUENCE);
    if (common_name[0] != '\0') {
        size_t set = der_open(w, DER_SET), pair = der_open(w, DER_SEQUENCE);
        der_write(w, DER_OID, OID_COMMON_NAME);
        der_write(w, DER_UTF8_STRING, bytes_of_text(common_name));
        der_close(w, pair);
        der_close(w, set);
    }
    der_close(w, name);
}

static void write_extension(struct writer *w, struct bytes oid, bool critical, struct bytes value) {
    size_t mark = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, oid);
    if (critical) {
        der_write(w, DER_BOOLEAN, bytes_of("\xFF", 1));
    }
    der_write(w, DER_OCTET_STRING, value);
    der_close(w, mark);
}

static void write_extensions(struct writer *w, bool ca) {
    size_t outer = der_open(w, DER_CONTEXT_CONSTRUCTED | 3), list = der_open(w, DER_SEQUENCE);
    write_extension(w, DER_OID_OF("\x55\x1D\x13"), true,
                    ca ? bytes_of("\x30\x03\x01\x01\xFF", 5) : bytes_of("\x30\x00", 2));
    /* keyUsage: keyCertSign and cRLSign, or keyAgreement */
    write_extension(w, DER_OID_OF("\x55\x1D\x0F"), true,
                    ca ? bytes_of("\x03\x02\x01\x06", 4) : bytes_of("\x03\x02\x03\x08", 4));
    if (!ca) { /* tcg-kp-EKCertificate */
        write_extension(w, DER_OID_OF("\x55\x1D\x25"), false,
                        bytes_of("\x30\x07\x06\x05\x67\x81\x05\x08\x01", 9));
    }
    der_close(w, list);
    der_close(w, outer);
}

/* to-be-signed bytes -> SEQUENCE { them, algorithm, signature } */
static void write_signed(struct writer *out, struct bytes body, const struct private_key *key) {
    uint8_t buffer[SIGNATURE_MAX];
    struct writer signature = writer_of(buffer, sizeof buffer);
    require(private_key_sign(key, &signature, body) == STATUS_OK, "cannot sign");
    size_t mark = der_open(out, DER_SEQUENCE);
    write_bytes(out, body);
    write_algorithm(out);
    der_write_bits(out, writer_bytes(&signature));
    der_close(out, mark);
    require(!out->overflow, "no room for the certificate");
}

static void write_certificate(struct writer *out, const struct public_key *key, const char *subject,
                              const struct private_key *ca, int64_t now, bool is_ca) {
    uint8_t body[2048], serial[8];
    struct writer w = writer_of(body, sizeof body);
    random_bytes(serial, sizeof serial);
    serial[0] = 1;
    size_t mark = der_open(&w, DER_SEQUENCE), version = der_open(&w, DER_CONTEXT_CONSTRUCTED);
    der_write_u32(&w, 2);
    der_close(&w, version);
    der_write_unsigned(&w, bytes_of(serial, sizeof serial));
    write_algorithm(&w);
    write_name(&w, "Soft TPM CA");
    size_t validity = der_open(&w, DER_SEQUENCE);
    der_write_time(&w, now - 3600);
    der_write_time(&w, now + 10LL * 365 * 86400);
    der_close(&w, validity);
    write_name(&w, subject);
    require(public_key_to_spki(&w, key) == STATUS_OK, "no key");
    write_extensions(&w, is_ca);
    der_close(&w, mark);
    require(!w.overflow, "no room for the certificate");
    write_signed(out, writer_bytes(&w), ca);
}

void soft_ca(struct private_key **key, struct writer *certificate, int64_t now) {
    struct public_key public;
    require(private_key_generate(key, KEY_EC_P256) == STATUS_OK, "no CA");
    private_key_public(*key, &public);
    write_certificate(certificate, &public, "Soft TPM CA", *key, now, true);
}

void soft_tpm_ek_certificate(const struct soft_tpm *tpm, struct writer *out,
                             const struct private_key *ca, int64_t now) {
    write_certificate(out, &tpm->ek_public, "soft tpm", ca, now, false);
}

void soft_csr(struct writer *out, const struct private_key *key) {
    uint8_t body[1024];
    struct public_key public;
    struct writer w = writer_of(body, sizeof body);
    private_key_public(key, &public);
    size_t mark = der_open(&w, DER_SEQUENCE);
    der_write_u32(&w, 0);
    write_name(&w, "device");
    require(public_key_to_spki(&w, &public) == STATUS_OK, "no key");
    der_write(&w, DER_CONTEXT_CONSTRUCTED, bytes_of(NULL, 0));
    der_close(&w, mark);
    require(!w.overflow, "no room for the request");
    write_signed(out, writer_bytes(&w), key);
}
