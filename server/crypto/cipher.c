#include <wolfssl/options.h>

#include "server/crypto/cipher.h"
#include "server/crypto/wolf.h"

#include <assert.h>
#include <string.h>
#include <wolfssl/wolfcrypt/aes.h>

enum { KDF_BITS_MAX = 1024, OAEP_LABEL_MAX = 32 };

static void hmac_update(Hmac *hmac, struct bytes in) {
    if (in.len > 0) {
        wolf_require(wc_HmacUpdate(hmac, in.data, wolf_len(in.len)));
    }
}

static void hmac_update_u32(Hmac *hmac, uint32_t value) {
    uint8_t digits[4];
    struct writer w = writer_of(digits, sizeof digits);
    write_u32be(&w, value);
    hmac_update(hmac, writer_bytes(&w));
}

void kdfa(enum hash_alg alg, struct bytes key, const char *label, struct bytes context_u,
          struct bytes context_v, unsigned bits, uint8_t *out) {
    uint8_t block[DIGEST_MAX];
    struct writer w = writer_of(out, bits / 8);
    assert(bits % 8 == 0 && bits <= KDF_BITS_MAX);
    Hmac hmac;
    wolf_require(wc_HmacInit(&hmac, NULL, INVALID_DEVID));
    wolf_require(wc_HmacSetKey(&hmac, (int)wolf_hash(alg), key.data, wolf_len(key.len)));
    for (uint32_t counter = 1; w.len < w.cap; counter++) {
        hmac_update_u32(&hmac, counter);
        hmac_update(&hmac, bytes_of(label, strlen(label) + 1));
        hmac_update(&hmac, context_u);
        hmac_update(&hmac, context_v);
        hmac_update_u32(&hmac, bits);
        wolf_require(wc_HmacFinal(&hmac, block));
        size_t left = w.cap - w.len, len = digest_len(alg);
        write_bytes(&w, bytes_of(block, len < left ? len : left));
    }
    wc_HmacFree(&hmac);
    bytes_wipe(block, sizeof block);
}

static void hash_update(wc_HashAlg *hash, enum wc_HashType type, struct bytes in) {
    if (in.len > 0) {
        wolf_require(wc_HashUpdate(hash, type, in.data, wolf_len(in.len)));
    }
}

void kdfe(enum hash_alg alg, struct bytes z, const char *label, struct bytes party_u,
          struct bytes party_v, unsigned bits, uint8_t *out) {
    enum wc_HashType type = wolf_hash(alg);
    uint8_t block[DIGEST_MAX], digits[4];
    struct writer w = writer_of(out, bits / 8);
    assert(bits % 8 == 0 && bits <= KDF_BITS_MAX);
    for (uint32_t counter = 1; w.len < w.cap; counter++) {
        struct writer number = writer_of(digits, sizeof digits);
        write_u32be(&number, counter);
        wc_HashAlg hash;
        wolf_require(wc_HashInit(&hash, type));
        hash_update(&hash, type, writer_bytes(&number));
        hash_update(&hash, type, z);
        hash_update(&hash, type, bytes_of(label, strlen(label) + 1));
        hash_update(&hash, type, party_u);
        hash_update(&hash, type, party_v);
        wolf_require(wc_HashFinal(&hash, type, block));
        (void)wc_HashFree(&hash, type);
        size_t left = w.cap - w.len, len = digest_len(alg);
        write_bytes(&w, bytes_of(block, len < left ? len : left));
    }
    bytes_wipe(block, sizeof block);
}

enum status aes_cfb_encrypt(struct bytes key, struct bytes in, uint8_t *out) {
    static const uint8_t zero_iv[AES_BLOCK_SIZE];
    Aes aes;
    if (key.len != 16 && key.len != 24 && key.len != 32) {
        return STATUS_UNSUPPORTED;
    }
    wolf_require(wc_AesInit(&aes, NULL, INVALID_DEVID));
    wolf_require(wc_AesSetKey(&aes, key.data, wolf_len(key.len), zero_iv, AES_ENCRYPTION));
    if (in.len > 0) {
        wolf_require(wc_AesCfbEncrypt(&aes, out, in.data, wolf_len(in.len)));
    }
    wc_AesFree(&aes);
    bytes_wipe(&aes, sizeof aes);
    return STATUS_OK;
}

enum status rsa_oaep_encrypt(const struct public_key *key, enum hash_alg alg, const char *label,
                             struct bytes in, uint8_t *out) {
    uint8_t label_copy[OAEP_LABEL_MAX]; /* wolfCrypt wants it writable */
    size_t label_len = strlen(label) + 1;
    enum wc_HashType hash = wolf_hash(alg);
    WC_RNG rng;
    RsaKey rsa;
    if (key->kind != KEY_RSA || digest_len(alg) == 0 || label_len > sizeof label_copy) {
        return STATUS_UNSUPPORTED;
    }
    if (in.len + 2 * digest_len(alg) + 2 > key->n_len) {
        return STATUS_LIMIT;
    }
    if (wc_InitRng(&rng) != 0) {
        return STATUS_INTERNAL;
    }
    if (wolf_rsa_public(&rsa, key) != 0) {
        (void)wc_FreeRng(&rng);
        return STATUS_INVALID;
    }
    memcpy(label_copy, label, label_len);
    int len = wc_RsaPublicEncrypt_ex(in.data, wolf_len(in.len), out, wolf_len(key->n_len), &rsa,
                                     &rng, WC_RSA_OAEP_PAD, hash, wc_hash2mgf(hash), label_copy,
                                     wolf_len(label_len));
    (void)wc_FreeRsaKey(&rsa);
    (void)wc_FreeRng(&rng);
    return len > 0 && (size_t)len == key->n_len ? STATUS_OK : STATUS_INTERNAL;
}

/* The generator and both keys are the caller's. */
static enum status agree(WC_RNG *rng, ecc_key *own, ecc_key *peer, enum key_kind kind,
                         struct public_key *ephemeral, uint8_t *z) {
    uint8_t shared[KEY_EC_MAX];
    word32 len = sizeof shared;
    struct public_key made;
    size_t curve_len = key_curve_len(kind);
    if (wc_ecc_make_key_ex(rng, (int)curve_len, own, wolf_curve(kind)) != 0 ||
        wc_ecc_shared_secret(own, peer, shared, &len) != 0 || len != curve_len ||
        wolf_ecc_export(&made, own, kind) != STATUS_OK) {
        return STATUS_INTERNAL;
    }
    memcpy(z, shared, curve_len);
    bytes_wipe(shared, sizeof shared);
    *ephemeral = made;
    return STATUS_OK;
}

enum status ecdh_ephemeral(const struct public_key *peer, struct public_key *ephemeral,
                           uint8_t *z) {
    WC_RNG rng;
    ecc_key own, other;
    if (key_curve_len(peer->kind) == 0) {
        return STATUS_UNSUPPORTED;
    }
    if (public_key_check(peer, NULL) != STATUS_OK || wolf_ecc_public(&other, peer) != 0) {
        return STATUS_INVALID;
    }
    if (wc_InitRng(&rng) != 0) {
        wc_ecc_free(&other);
        return STATUS_INTERNAL;
    }
    wolf_require(wc_ecc_init(&own));
    wolf_require(wc_ecc_set_rng(&own, &rng));
    enum status status = agree(&rng, &own, &other, peer->kind, ephemeral, z);
    wc_ecc_free(&own);
    wc_ecc_free(&other);
    (void)wc_FreeRng(&rng);
    return status;
}
