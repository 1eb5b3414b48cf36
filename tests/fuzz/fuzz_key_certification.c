/* Certifications of keys: two bytes of length and the TPMS_ATTEST, the same of the TPM2B_PUBLIC, the rest is the TPMT_SIGNATURE.
 * First as it is: under an AK of which nobody has the private half nothing is ever proven. Then with a signature that we make over
 * the attestation, so that everything behind it is reached: what is proven has the nonce, the name and the attributes that it must
 * have, as they are read here from the specification. */
#include "server/crypto/der.h"
#include "server/identity/key_certification.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

/* Points with small x, found by counting: whoever knew their logarithms would have broken the curves. */
static const struct public_key p256 = {.kind = KEY_EC_P256,
                                       .bits = 256,
                                       .x = {[31] = 5},
                                       .y = {0x45, 0x92, 0x43, 0xb9, 0xaa, 0x58, 0x18, 0x06,
                                             0xfe, 0x91, 0x3b, 0xce, 0x99, 0x81, 0x7a, 0xde,
                                             0x11, 0xca, 0x50, 0x3c, 0x64, 0xd9, 0xa3, 0xc5,
                                             0x33, 0x41, 0x5c, 0x08, 0x32, 0x48, 0xfb, 0xcc}};

static const struct private_key *signing_key(void) {
    static struct private_key *key;
    hold(key != NULL || private_key_generate(&key, KEY_EC_P256) == STATUS_OK);
    return key;
}

static void sign(struct writer *out, struct bytes attest) {
    uint8_t buffer[128];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct bytes pair, r = {0}, s = {0};
    hold(private_key_sign(signing_key(), &w, attest) == STATUS_OK);
    struct bytes der = writer_bytes(&w);
    hold(der_take(&der, DER_SEQUENCE, &pair) == STATUS_OK &&
         der_take_unsigned(&pair, &r) == STATUS_OK && der_take_unsigned(&pair, &s) == STATUS_OK);
    write_u16be(out, 0x0018);
    write_u16be(out, HASH_SHA256);
    write_u16be(out, (uint16_t)r.len);
    write_bytes(out, r);
    write_u16be(out, (uint16_t)s.len);
    write_bytes(out, s);
}

/* TPM2B_PUBLIC: size, type, nameAlg, objectAttributes. TPMS_ATTEST: magic, type, qualifiedSigner, extraData, clockInfo (17 bytes),
 * firmwareVersion, name. */
static void check_proven(const struct key_certification *in, struct bytes nonce) {
    struct bytes area = in->key_public, attest = in->certify_info, part, name;
    uint16_t size = 0, type = 0, name_alg = 0, attest_type = 0;
    uint32_t attributes = 0, magic = 0;
    uint8_t digest[DIGEST_MAX];
    hold(bytes_u16be(&area, &size) == STATUS_OK && area.len == size);
    struct bytes public = area;
    hold(bytes_u16be(&area, &type) == STATUS_OK && bytes_u16be(&area, &name_alg) == STATUS_OK &&
         bytes_u32be(&area, &attributes) == STATUS_OK);
    hold((attributes & 0x00070032) == 0x00040032);
    hold(bytes_u32be(&attest, &magic) == STATUS_OK && magic == 0xff544347);
    hold(bytes_u16be(&attest, &attest_type) == STATUS_OK && attest_type == 0x8017);
    hold(bytes_u16be_prefixed(&attest, &part) == STATUS_OK);
    hold(bytes_u16be_prefixed(&attest, &part) == STATUS_OK && bytes_equal(part, nonce));
    hold(bytes_take(&attest, 25, &part) == STATUS_OK);
    hold(bytes_u16be_prefixed(&attest, &name) == STATUS_OK);
    hold(name_alg >= HASH_SHA256 && name_alg <= HASH_SHA512);
    digest_compute((enum hash_alg)name_alg, public, digest);
    hold(name.len == 2 + digest_len((enum hash_alg)name_alg) && name.data[0] == 0 &&
         name.data[1] == name_alg);
    hold(memcmp(name.data + 2, digest, name.len - 2) == 0);
}

static void check(const struct key_certification *in, const struct tpm_public *ak, bool signable) {
    struct detail detail = {0};
    struct bytes nonce = bytes_of_text("nonce");
    if (key_certification_check(in, ak, nonce, &p256, &detail) == STATUS_OK) {
        hold(signable);
        check_proven(in, nonce);
    } else {
        hold(detail.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = bytes_of(data, size);
    struct key_certification sent;
    uint8_t signature[256];
    struct writer w = writer_of(signature, sizeof signature);
    if (bytes_u16be_prefixed(&in, &sent.certify_info) != STATUS_OK ||
        bytes_u16be_prefixed(&in, &sent.key_public) != STATUS_OK) {
        return 0;
    }
    sent.signature = in;
    struct tpm_public ak = {.key = p256};
    check(&sent, &ak, false);
    private_key_public(signing_key(), &ak.key);
    ak.scheme = SIGNATURE_ECDSA;
    ak.scheme_hash = HASH_SHA256;
    sign(&w, sent.certify_info);
    sent.signature = writer_bytes(&w);
    check(&sent, &ak, true);
    return 0;
}
