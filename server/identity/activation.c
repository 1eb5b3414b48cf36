#include "server/crypto/cipher.h"
#include "server/crypto/random.h"
#include "server/identity/enrolment.h"

#include <string.h>

/* TPM2_MakeCredential (TPM 2.0 Library Part 3, 12.6; Part 1, 24), its parts in the order of use. */

enum { SECRET_MAX = 2 + ACTIVATION_SECRET_LEN };

/* B.10.4: a random seed, encrypted with OAEP under nameAlg and the label "IDENTITY". */
static enum status share_by_rsa(struct writer *out, uint8_t *seed, const struct tpm_public *ek) {
    uint8_t encrypted[KEY_RSA_MAX];
    size_t len = digest_len(ek->name_alg);
    random_bytes(seed, len);
    enum status status =
        rsa_oaep_encrypt(&ek->key, ek->name_alg, "IDENTITY", bytes_of(seed, len), encrypted);
    if (status == STATUS_OK) {
        write_u16be(out, (uint16_t)ek->key.n_len);
        write_bytes(out, bytes_of(encrypted, ek->key.n_len));
    }
    return status;
}

/* C.6.1: one-pass Diffie-Hellman; what is sent is our ephemeral point, a TPMS_ECC_POINT. */
static enum status share_by_ecdh(struct writer *out, uint8_t *seed, const struct tpm_public *ek) {
    struct public_key ephemeral;
    uint8_t z[KEY_EC_MAX];
    size_t len = ek->key.bits / 8u;
    enum status status = ecdh_ephemeral(&ek->key, &ephemeral, z);
    if (status == STATUS_OK) {
        kdfe(ek->name_alg, bytes_of(z, len), "IDENTITY", bytes_of(ephemeral.x, len),
             bytes_of(ek->key.x, len), 8 * (unsigned)digest_len(ek->name_alg), seed);
        write_u16be(out, (uint16_t)(2 * (2 + len)));
        write_u16be(out, (uint16_t)len);
        write_bytes(out, bytes_of(ephemeral.x, len));
        write_u16be(out, (uint16_t)len);
        write_bytes(out, bytes_of(ephemeral.y, len));
    }
    bytes_wipe(z, sizeof z);
    return status;
}

/* Part 1, 24.4 and 24.5: encIdentity under KDFa(seed, "STORAGE", name), and outerHMAC under KDFa(seed,
 * "INTEGRITY") over encIdentity and name. */
static enum status wrap(struct writer *out, struct bytes seed, const struct tpm_public *ek,
                        struct bytes ak_name, struct bytes secret) {
    uint8_t plain[SECRET_MAX], key[DIGEST_MAX], covered[SECRET_MAX + TPM_NAME_MAX],
        hmac[DIGEST_MAX];
    size_t hmac_len = digest_len(ek->name_alg);
    struct bytes none = bytes_of(NULL, 0);
    struct writer identity = writer_of(plain, sizeof plain),
                  body = writer_of(covered, sizeof covered);
    write_u16be(&identity, (uint16_t)secret.len);
    write_bytes(&identity, secret);
    kdfa(ek->name_alg, seed, "STORAGE", ak_name, none, ek->symmetric_bits, key);
    enum status status =
        aes_cfb_encrypt(bytes_of(key, ek->symmetric_bits / 8u), writer_bytes(&identity), covered);
    if (status == STATUS_OK) {
        body.len = identity.len;
        write_bytes(&body, ak_name);
        kdfa(ek->name_alg, seed, "INTEGRITY", none, none, 8 * (unsigned)hmac_len, key);
        hmac_compute(ek->name_alg, bytes_of(key, hmac_len), writer_bytes(&body), hmac);
        write_u16be(out, (uint16_t)(2 + hmac_len + identity.len));
        write_u16be(out, (uint16_t)hmac_len);
        write_bytes(out, bytes_of(hmac, hmac_len));
        write_bytes(out, bytes_of(covered, identity.len));
    }
    bytes_wipe(plain, sizeof plain);
    bytes_wipe(key, sizeof key);
    return status;
}

enum status activation_make(struct writer *credential_blob, struct writer *encrypted_secret,
                            const struct tpm_public *ek, struct bytes ak_name,
                            const uint8_t secret[static ACTIVATION_SECRET_LEN],
                            struct detail *detail) {
    uint8_t seed[DIGEST_MAX], blob_store[ACTIVATION_BLOB_MAX], shared_store[ACTIVATION_SECRET_MAX];
    struct writer blob = writer_of(blob_store, sizeof blob_store),
                  shared = writer_of(shared_store, sizeof shared_store);
    if (ek->symmetric_bits == 0 || digest_len(ek->name_alg) < ACTIVATION_SECRET_LEN ||
        ak_name.len == 0 || ak_name.len > TPM_NAME_MAX) {
        return status_fail(detail, STATUS_UNSUPPORTED, "the EK cannot protect a credential");
    }
    enum status status = ek->key.kind == KEY_RSA ? share_by_rsa(&shared, seed, ek)
                                                 : share_by_ecdh(&shared, seed, ek);
    if (status == STATUS_OK) {
        status = wrap(&blob, bytes_of(seed, digest_len(ek->name_alg)), ek, ak_name,
                      bytes_of(secret, ACTIVATION_SECRET_LEN));
    }
    bytes_wipe(seed, sizeof seed);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "the EK's key takes no secret");
    }
    if (blob.overflow || shared.overflow || credential_blob->overflow ||
        encrypted_secret->overflow || credential_blob->cap - credential_blob->len < blob.len ||
        encrypted_secret->cap - encrypted_secret->len < shared.len) {
        return status_fail(detail, STATUS_LIMIT, "no room for the credential");
    }
    write_bytes(credential_blob, writer_bytes(&blob));
    write_bytes(encrypted_secret, writer_bytes(&shared));
    return STATUS_OK;
}
