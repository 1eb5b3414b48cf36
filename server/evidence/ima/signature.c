#include "server/evidence/ima/signature.h"

#include "server/crypto/der.h"
#include "server/evidence/ima/decode.h"

#include <string.h>

enum { OF_DIGEST = 3, OF_VERITY = 6, VERSION_2 = 2, VERSION_3 = 3 };

enum status ima_signature_read(struct ima_signature *out, struct bytes xattr) {
    struct ima_signature read = {0};
    uint8_t alg;
    uint16_t len;
    if (bytes_u8(&xattr, &read.type) != STATUS_OK || bytes_u8(&xattr, &read.version) != STATUS_OK ||
        bytes_u8(&xattr, &alg) != STATUS_OK || bytes_u32be(&xattr, &read.key_id) != STATUS_OK ||
        bytes_u16be(&xattr, &len) != STATUS_OK || xattr.len != len || len == 0) {
        return STATUS_MALFORMED;
    }
    read.alg = ima_hash_of_kernel(alg);
    read.raw = xattr;
    bool known = (read.type == OF_DIGEST && read.version == VERSION_2) ||
                 ((read.type == OF_DIGEST || read.type == OF_VERITY) && read.version == VERSION_3);
    if (!known || read.alg == HASH_NONE || read.alg == HASH_SHA1) {
        return STATUS_UNSUPPORTED;
    }
    *out = read;
    return STATUS_OK;
}

enum status ima_signature_verify(const struct ima_signature *signature,
                                 const struct public_key *key, const struct fact_ima_entry *entry) {
    uint8_t signs[2 + DIGEST_MAX], hashed[DIGEST_MAX];
    struct bytes digest = entry->digest;
    if (!entry->readable || entry->violation || entry->alg != signature->alg ||
        entry->verity != (signature->type == OF_VERITY)) {
        return STATUS_INVALID;
    }
    if (signature->version == VERSION_3) {
        struct writer w = writer_of(signs, sizeof signs);
        write_u8(&w, signature->type);
        write_u8(&w, ima_kernel_hash(signature->alg));
        write_bytes(&w, entry->digest);
        digest_compute(signature->alg, writer_bytes(&w), hashed);
        digest = bytes_of(hashed, digest_len(signature->alg));
    }
    return signature_verify_digest(key, signature->alg, signature->raw, digest, NULL);
}

uint32_t ima_key_id(const struct public_key *key) {
    uint8_t spki[KEY_SPKI_MAX], sha1[DIGEST_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    struct bytes fields, skipped, bits, whole, id = bytes_of(sha1 + 16, 4);
    uint32_t number = 0;
    if (public_key_to_spki(&w, key) != STATUS_OK) {
        return 0;
    }
    whole = writer_bytes(&w);
    if (der_take(&whole, DER_SEQUENCE, &fields) != STATUS_OK ||
        der_take(&fields, DER_SEQUENCE, &skipped) != STATUS_OK ||
        der_take_bits(&fields, &bits) != STATUS_OK) {
        return 0;
    }
    digest_compute(HASH_SHA1, bits, sha1);
    return bytes_u32be(&id, &number) == STATUS_OK ? number : 0;
}
