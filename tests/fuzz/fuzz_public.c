/* Public areas of a TPM's keys. A key that is taken has a name, is sound, is an EK or an AK and never both, and as an EK protects a
 * credential. */
#include "server/identity/enrolment.h"
#include "server/tpm/public.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void check_ek(const struct tpm_public *ek) {
    static const uint8_t secret[ACTIVATION_SECRET_LEN] = {1};
    uint8_t blob_bytes[ACTIVATION_BLOB_MAX], shared_bytes[ACTIVATION_SECRET_MAX];
    struct writer blob = writer_of(blob_bytes, sizeof blob_bytes),
                  shared = writer_of(shared_bytes, sizeof shared_bytes);
    hold(activation_make(&blob, &shared, ek, bytes_of(ek->name, ek->name_len), secret, NULL) ==
         STATUS_OK);
    hold(!blob.overflow && !shared.overflow && blob.len > 34 && shared.len > 34);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tpm_public public;
    struct detail detail = {0};
    char id[DEVICE_ID_SIZE];
    if (tpm_public_parse(&public, bytes_of(data, size), &detail) != STATUS_OK) {
        hold(detail.text[0] != '\0');
        return 0;
    }
    hold(public.name_len == 2 + digest_len(public.name_alg));
    hold(public_key_check(&public.key, NULL) == STATUS_OK);
    hold(device_id_from_key(id, &public.key) == STATUS_OK && device_id_is_valid(id));
    bool ek = ek_check(&public, &detail) == STATUS_OK, ak = ak_check(&public, &detail) == STATUS_OK;
    hold(!(ek && ak));
    if (ak) {
        hold(public.scheme != SIGNATURE_NONE && public.scheme_hash != HASH_SHA1);
    }
    if (ek) {
        check_ek(&public);
    }
    return 0;
}
