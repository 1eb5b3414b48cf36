#include <wolfssl/options.h>

#include "server/crypto/key.h"
#include "server/crypto/random.h"
#include "server/crypto/wolf.h"

#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>

/* wolfCrypt's generator would open /dev/urandom after a million requests; long before that it is
 * reseeded from getrandom, so that the signer needs no file. */
enum { RESEED_INTERVAL = 4096, SEED_LEN = 48 };
enum { RSA_GENERATE_BITS = 2048, PRIVATE_DER_MAX = 4096, PRIVATE_PEM_MAX = 6144 };

/* What signing changes; the caller's const key points to it. */
struct engine {
    WC_RNG rng;
    unsigned num_signatures;
    union {
        ecc_key ec;
        RsaKey rsa;
        ed25519_key ed;
    };
};

struct private_key {
    struct public_key public;
    struct engine *engine;        /* NULL: it is held elsewhere */
    private_key_signer *external; /* there */
    void *context;
};

static bool engine_init(struct engine *engine, enum key_kind kind) {
    if (wc_InitRng(&engine->rng) != 0) {
        return false;
    }
    if (kind == KEY_RSA) {
        wolf_require(wc_InitRsaKey(&engine->rsa, NULL));
        wolf_require(wc_RsaSetRNG(&engine->rsa, &engine->rng));
    } else if (kind == KEY_ED25519) {
        wolf_require(wc_ed25519_init(&engine->ed));
    } else {
        wolf_require(wc_ecc_init(&engine->ec));
        wolf_require(wc_ecc_set_rng(&engine->ec, &engine->rng));
    }
    return true;
}

static void engine_free(struct engine *engine, enum key_kind kind) {
    if (kind == KEY_RSA) {
        (void)wc_FreeRsaKey(&engine->rsa);
    } else if (kind == KEY_ED25519) {
        wc_ed25519_free(&engine->ed);
    } else {
        (void)wc_ecc_free(&engine->ec);
    }
    (void)wc_FreeRng(&engine->rng);
    bytes_wipe(engine, sizeof *engine);
    free(engine);
}

void private_key_free(struct private_key *key) {
    if (key == NULL) {
        return;
    }
    if (key->engine != NULL) {
        engine_free(key->engine, key->public.kind);
    }
    free(key);
}

enum status private_key_external(struct private_key **out, const struct public_key *public,
                                 private_key_signer *sign, void *context) {
    if (public->kind != KEY_EC_P256 && public->kind != KEY_EC_P384 && public->kind != KEY_RSA) {
        return STATUS_UNSUPPORTED;
    }
    struct private_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        return STATUS_MEMORY;
    }
    *key = (struct private_key){.public = *public, .external = sign, .context = context};
    *out = key;
    return STATUS_OK;
}

static struct private_key *new_empty(enum key_kind kind) {
    struct private_key *key = calloc(1, sizeof *key);
    struct engine *engine = calloc(1, sizeof *engine);
    if (key == NULL || engine == NULL || !engine_init(engine, kind)) {
        free(key);
        free(engine);
        return NULL;
    }
    key->engine = engine;
    key->public.kind = kind;
    return key;
}

/* The public half, from what wolfCrypt holds. */
static enum status export_public(struct private_key *key) {
    struct engine *engine = key->engine;
    struct public_key found = {.kind = key->public.kind};
    word32 e_len, n_len = KEY_RSA_MAX, x_len = ED25519_PUB_KEY_SIZE;
    uint8_t e[KEY_RSA_MAX];
    e_len = sizeof e;
    if (found.kind == KEY_RSA) {
        if (wc_RsaFlattenPublicKey(&engine->rsa, e, &e_len, found.n, &n_len) != 0) {
            return STATUS_INVALID;
        }
        for (word32 i = 0; i < e_len; i++) {
            found.e = found.e << 8 | e[i];
        }
        found.n_len = n_len;
        found.bits = (uint16_t)(n_len * 8);
    } else if (found.kind == KEY_ED25519) {
        if (wc_ed25519_export_public(&engine->ed, found.x, &x_len) != 0) {
            return STATUS_INVALID;
        }
        found.bits = 256;
    } else if (wolf_ecc_export(&found, &engine->ec, found.kind) != STATUS_OK) {
        return STATUS_INVALID;
    }
    key->public = found;
    return STATUS_OK;
}

static bool decode_ec(struct engine *engine, const uint8_t *der, word32 len, enum key_kind kind) {
    word32 at = 0;
    if (wc_EccPrivateKeyDecode(der, &at, &engine->ec, len) != 0 || at > len ||
        wc_ecc_get_curve_id(engine->ec.idx) != wolf_curve(kind)) {
        return false;
    }
    return engine->ec.type != ECC_PRIVATEKEY_ONLY || wc_ecc_make_pub(&engine->ec, NULL) == 0;
}

static bool decode_rsa(struct engine *engine, const uint8_t *der, word32 len) {
    word32 at = 0;
    return wc_RsaPrivateKeyDecode(der, &at, &engine->rsa, len) == 0;
}

static bool decode_ed25519(struct engine *engine, const uint8_t *der, word32 len) {
    word32 at = 0;
    return wc_Ed25519PrivateKeyDecode(der, &at, &engine->ed, len) == 0 &&
           wc_ed25519_make_public(&engine->ed, engine->ed.p, sizeof engine->ed.p) == 0;
}

/* Both halves belong together when what one signs holds under the other. */
static bool halves_match(const struct private_key *key) {
    static const uint8_t probe[] = "probe";
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct bytes message = bytes_of(probe, sizeof probe);
    return private_key_sign(key, &w, message) == STATUS_OK &&
           signature_verify_der(&key->public, private_key_hash(key), writer_bytes(&w), message,
                                NULL) == STATUS_OK;
}

static enum status decode(struct private_key **out, const uint8_t *der, word32 len,
                          struct detail *detail) {
    static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_RSA};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct private_key *key = new_empty(kinds[i]);
        if (key == NULL) {
            return status_fail(detail, STATUS_MEMORY, "out of memory");
        }
        bool found = kinds[i] == KEY_RSA       ? decode_rsa(key->engine, der, len)
                     : kinds[i] == KEY_ED25519 ? decode_ed25519(key->engine, der, len)
                                               : decode_ec(key->engine, der, len, kinds[i]);
        if (!found) {
            private_key_free(key);
            continue;
        }
        enum status status = export_public(key);
        if (status == STATUS_OK) {
            status = public_key_check(&key->public, detail);
        }
        if (status == STATUS_OK && !halves_match(key)) {
            status = status_fail(detail, STATUS_INVALID,
                                 "the private key does not belong to its public half");
        }
        if (status != STATUS_OK) {
            private_key_free(key);
            return status;
        }
        *out = key;
        return STATUS_OK;
    }
    return status_fail(detail, STATUS_UNSUPPORTED,
                       "not a private key of P-256, P-384, Ed25519 or RSA");
}

enum status private_key_from_pem(struct private_key **out, struct bytes pem,
                                 struct detail *detail) {
    uint8_t der[PRIVATE_DER_MAX];
    if (pem.len == 0 || pem.len > PRIVATE_PEM_MAX) {
        return status_fail(detail, STATUS_MALFORMED, "not a PEM private key");
    }
    int len = wc_KeyPemToDer(pem.data, (int)pem.len, der, sizeof der, NULL);
    enum status status =
        len <= 0 ? status_fail(detail, STATUS_MALFORMED, "not an unencrypted PEM private key")
                 : decode(out, der, (word32)len, detail);
    bytes_wipe(der, sizeof der);
    return status;
}

enum status private_key_generate(struct private_key **out, enum key_kind kind) {
    int result = BAD_FUNC_ARG;
    if (kind == KEY_NONE || kind == KEY_EC_P521) {
        return STATUS_UNSUPPORTED;
    }
    struct private_key *key = new_empty(kind);
    if (key == NULL) {
        return STATUS_MEMORY;
    }
    struct engine *engine = key->engine;
    if (kind == KEY_RSA) {
        result = wc_MakeRsaKey(&engine->rsa, RSA_GENERATE_BITS, WC_RSA_EXPONENT, &engine->rng);
    } else if (kind == KEY_ED25519) {
        result = wc_ed25519_make_key(&engine->rng, ED25519_KEY_SIZE, &engine->ed);
    } else {
        result = wc_ecc_make_key_ex(&engine->rng, (int)key_curve_len(kind), &engine->ec,
                                    wolf_curve(kind));
    }
    if (result != 0 || export_public(key) != STATUS_OK) {
        private_key_free(key);
        return STATUS_INTERNAL;
    }
    *out = key;
    return STATUS_OK;
}

/* PKCS#8 DER; its length, or not positive. */
static int to_pkcs8(const struct private_key *key, uint8_t *out, word32 cap) {
    struct engine *engine = key->engine;
    uint8_t bare[PRIVATE_DER_MAX];
    word32 len = cap;
    if (key->public.kind == KEY_ED25519) {
        return wc_Ed25519PrivateKeyToDer(&engine->ed, out, cap);
    }
    if (key->public.kind != KEY_RSA) {
        return wc_EccKeyToPKCS8(&engine->ec, out, &len);
    }
    int bare_len = wc_RsaKeyToDer(&engine->rsa, bare, sizeof bare);
    int result = bare_len <= 0
                     ? bare_len
                     : wc_CreatePKCS8Key(out, &len, bare, (word32)bare_len, RSAk, NULL, 0);
    bytes_wipe(bare, sizeof bare);
    return result;
}

enum status private_key_to_pem(char **out, const struct private_key *key) {
    uint8_t der[PRIVATE_DER_MAX];
    char *text = key->engine == NULL ? NULL : calloc(1, PRIVATE_PEM_MAX);
    if (key->engine == NULL) {
        return STATUS_UNSUPPORTED;
    }
    if (text == NULL) {
        return STATUS_MEMORY;
    }
    int len = to_pkcs8(key, der, sizeof der);
    if (len > 0) {
        len = wc_DerToPem(der, (word32)len, (uint8_t *)text, PRIVATE_PEM_MAX - 1,
                          PKCS8_PRIVATEKEY_TYPE);
    }
    bytes_wipe(der, sizeof der);
    if (len <= 0) {
        bytes_wipe(text, PRIVATE_PEM_MAX);
        free(text);
        return STATUS_INTERNAL;
    }
    *out = text;
    return STATUS_OK;
}

void private_key_public(const struct private_key *key, struct public_key *out) {
    *out = key->public;
}

enum hash_alg private_key_hash(const struct private_key *key) {
    switch (key->public.kind) {
    case KEY_EC_P384:
        return HASH_SHA384;
    case KEY_ED25519:
        return HASH_NONE;
    default:
        return HASH_SHA256;
    }
}

static void reseed(struct engine *engine) {
    uint8_t seed[SEED_LEN];
    if (engine->num_signatures++ % RESEED_INTERVAL != 0) {
        return;
    }
    random_bytes(seed, sizeof seed);
    wolf_require(wc_RNG_DRBG_Reseed(&engine->rng, seed, sizeof seed));
    bytes_wipe(seed, sizeof seed);
}

static int sign_rsa(struct engine *engine, struct bytes digest, int hash_oid, uint8_t *out,
                    word32 cap) {
    uint8_t info[DIGEST_MAX + DIGEST_INFO_EXTRA];
    word32 info_len = wc_EncodeSignature(info, digest.data, wolf_len(digest.len), hash_oid);
    return wc_RsaSSL_Sign(info, info_len, out, cap, &engine->rsa, &engine->rng);
}

static enum status put_signature(struct writer *out, int result, const uint8_t *signature,
                                 size_t len) {
    if (result != 0) {
        return STATUS_INTERNAL;
    }
    write_bytes(out, bytes_of(signature, len));
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}

/* Whatever is at the other end may fail in ways of its own: a wrong signature never leaves. */
static enum status sign_elsewhere(const struct private_key *key, struct writer *out,
                                  struct bytes digest) {
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    if (key->external(key->context, digest, &w) != STATUS_OK ||
        signature_verify_digest(&key->public, private_key_hash(key), writer_bytes(&w), digest,
                                NULL) != STATUS_OK) {
        return STATUS_INTERNAL;
    }
    return put_signature(out, 0, w.data, w.len);
}

enum status private_key_sign_digest(const struct private_key *key, struct writer *out,
                                    struct bytes digest) {
    struct engine *engine = key->engine;
    enum hash_alg alg = private_key_hash(key);
    uint8_t signature[KEY_SIGNATURE_MAX];
    word32 len = sizeof signature;
    int result;
    if (alg == HASH_NONE) {
        return STATUS_UNSUPPORTED;
    }
    if (digest.len != digest_len(alg)) {
        return STATUS_INTERNAL;
    }
    if (engine == NULL) {
        return sign_elsewhere(key, out, digest);
    }
    reseed(engine);
    if (key->public.kind == KEY_RSA) {
        result =
            sign_rsa(engine, digest, wc_HashGetOID(wolf_hash(alg)), signature, sizeof signature);
        len = result > 0 ? (word32)result : 0;
        result = result > 0 ? 0 : result;
    } else {
        result = wc_ecc_sign_hash(digest.data, wolf_len(digest.len), signature, &len, &engine->rng,
                                  &engine->ec);
    }
    return put_signature(out, result, signature, len);
}

enum status private_key_sign(const struct private_key *key, struct writer *out,
                             struct bytes message) {
    enum hash_alg alg = private_key_hash(key);
    if (alg == HASH_NONE) {
        uint8_t signature[KEY_SIGNATURE_MAX];
        word32 len = sizeof signature;
        reseed(key->engine);
        int result = wc_ed25519_sign_msg(message.data, wolf_len(message.len), signature, &len,
                                         &key->engine->ed);
        return put_signature(out, result, signature, len);
    }
    uint8_t digest[DIGEST_MAX];
    digest_compute(alg, message, digest);
    return private_key_sign_digest(key, out, bytes_of(digest, digest_len(alg)));
}
