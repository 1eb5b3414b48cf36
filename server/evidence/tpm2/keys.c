/* Entries of signature databases and what admitted images, as keys. UEFI 2.10, 32.4.1. */
#include "server/crypto/x509.h"
#include "server/evidence/tpm2/derive.h"

#include <string.h>

enum { KEYS_MAX = 16384, SHA256_LEN = 32 };

/* A SEQUENCE that is as long as the data: what a certificate looks like. */
static bool is_der(struct bytes data) {
    size_t len = 0;
    return data.len > 2 && data.data[0] == 0x30 && der_element_len(&len, data) == STATUS_OK &&
           len == data.len;
}

static void take_certificate(struct arena *arena, struct fact_key *out, struct bytes der) {
    char subject[X509_NAME_TEXT];
    out->kind = FACT_KEY_CERTIFICATE;
    out->der = der;
    digest_compute(HASH_SHA256, der, out->sha256);
    out->subject = certificate_subject(subject, der) ? arena_text(arena, subject) : NULL;
}

static void take_entry(struct arena *arena, struct fact_key *out,
                       const struct efi_signature_list *list, struct bytes owner,
                       struct bytes signature) {
    memcpy(out->owner, owner.data, sizeof out->owner);
    if (efi_signature_list_is_x509(list)) {
        take_certificate(arena, out, signature);
    } else if (efi_signature_list_is_sha256(list) && signature.len == SHA256_LEN) {
        out->kind = FACT_KEY_HASH;
        memcpy(out->sha256, signature.data, SHA256_LEN);
    } else {
        out->kind = FACT_KEY_OTHER;
        digest_compute(HASH_SHA256, signature, out->sha256);
    }
}

static bool count_entries(size_t *num, struct bytes data) {
    struct efi_signature_list list;
    enum status status;
    *num = 0;
    while ((status = efi_signature_list_next(&data, &list)) == STATUS_OK) {
        *num += list.entries.len / list.entry_len;
    }
    return status == STATUS_END && *num <= KEYS_MAX;
}

enum status signature_database(struct arena *arena, struct fact_key **out, size_t *num, bool *known,
                               struct bytes data) {
    struct efi_signature_list list;
    struct bytes owner, signature;
    size_t count = 0, filled = 0;
    *known = false;
    if (!count_entries(&count, data)) {
        return STATUS_OK;
    }
    struct fact_key *key = arena_array(arena, count, sizeof *key);
    if (key == NULL) {
        return STATUS_MEMORY;
    }
    while (efi_signature_list_next(&data, &list) == STATUS_OK) {
        while (filled < count && efi_signature_next(&list, &owner, &signature) == STATUS_OK) {
            take_entry(arena, &key[filled++], &list, owner, signature);
        }
    }
    *out = key;
    *num = filled;
    *known = true;
    return STATUS_OK;
}

bool is_authority_data(struct bytes data) {
    struct bytes owner, signature = data;
    return is_der(data) ||
           (bytes_take(&signature, EFI_GUID_LEN, &owner) == STATUS_OK && is_der(signature));
}

void authority_key(struct arena *arena, struct fact_key *out, struct bytes data) {
    struct bytes owner = {0}, signature = data;
    bool has_owner = bytes_take(&signature, EFI_GUID_LEN, &owner) == STATUS_OK;
    *out = (struct fact_key){.kind = FACT_KEY_OTHER};
    if (is_der(data)) {
        take_certificate(arena, out, data);
    } else if (has_owner && (is_der(signature) || signature.len == SHA256_LEN)) {
        memcpy(out->owner, owner.data, sizeof out->owner);
        if (is_der(signature)) {
            take_certificate(arena, out, signature);
        } else {
            out->kind = FACT_KEY_HASH;
            memcpy(out->sha256, signature.data, SHA256_LEN);
        }
    } else {
        digest_compute(HASH_SHA256, data, out->sha256);
    }
}
