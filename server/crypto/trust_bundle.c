#include "server/crypto/trust_bundle.h"

#include "server/base/file.h"

#include <stdlib.h>

enum { BUNDLE_BYTES_MAX = 16 << 20, FILE_BYTES_MAX = 4 << 20 };

/* Signed by itself. A self-signature with a hash that we do not take (old roots have SHA-1) proves
 * nothing and need not: an anchor is trusted because it stands in the bundle. */
static bool is_self_signed(const struct authority *a) {
    const struct x509_fields *f = &a->fields;
    if (!bytes_equal(f->subject, f->issuer)) {
        return false;
    }
    if (f->authority_key_id.len > 0 && f->subject_key_id.len > 0 &&
        !bytes_equal(f->authority_key_id, f->subject_key_id)) {
        return false;
    }
    enum status status =
        x509_verify_signature(&a->key, f->signature_algorithm, f->signature, f->tbs, NULL);
    return status == STATUS_OK || status == STATUS_UNSUPPORTED;
}

enum status authority_read(struct authority *out, struct bytes der, struct detail *detail) {
    enum status status = x509_read(&out->fields, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = public_key_from_spki(&out->key, out->fields.spki, detail);
    return status == STATUS_UNSUPPORTED ? STATUS_OK : status;
}

/* `der` outlives the bundle's authority. */
static enum status load_one(struct authority *out, struct bytes der, bool named,
                            struct detail *detail) {
    enum status status = authority_read(out, der, detail);
    if (status == STATUS_OK && named && !out->fields.is_ca) {
        status = status_fail(detail, STATUS_INVALID, "it is marked as an anchor, but no CA");
    }
    if (status == STATUS_OK) {
        out->is_anchor = named || is_self_signed(out);
    }
    return status;
}

static enum status load(struct trust_bundle *bundle, const struct trust_certificate *certificates,
                        size_t num, struct detail *detail) {
    if (num == 0 || num > TRUST_BUNDLE_MAX) {
        return status_fail(detail, num == 0 ? STATUS_MALFORMED : STATUS_LIMIT, "%zu certificates",
                           num);
    }
    bundle->num = num;
    bundle->authorities = arena_array(&bundle->arena, num, sizeof *bundle->authorities);
    for (size_t i = 0; i < num; i++) {
        struct bytes der = arena_bytes(&bundle->arena, certificates[i].der);
        if (bundle->arena.overflow) {
            return status_fail(detail, STATUS_MEMORY, "out of memory");
        }
        enum status status = load_one(&bundle->authorities[i], der, certificates[i].anchor, detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "certificate %zu", i + 1);
            return status;
        }
    }
    return STATUS_OK;
}

enum status trust_bundle_of(struct trust_bundle **out, const struct trust_certificate *certificates,
                            size_t num, struct detail *detail) {
    struct trust_bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    arena_init(&bundle->arena, BUNDLE_BYTES_MAX);
    enum status status = load(bundle, certificates, num, detail);
    if (status != STATUS_OK) {
        trust_bundle_free(bundle);
        return status;
    }
    *out = bundle;
    return STATUS_OK;
}

enum status trust_bundle_new(struct trust_bundle **out, struct bytes pem, struct detail *detail) {
    struct arena arena;
    size_t num = 0;
    arena_init(&arena, BUNDLE_BYTES_MAX);
    struct trust_certificate *all = arena_array(&arena, TRUST_BUNDLE_MAX, sizeof *all);
    enum status status =
        all == NULL ? status_fail(detail, STATUS_MEMORY, "out of memory")
                    : pem_trust_certificates(&arena, all, &num, TRUST_BUNDLE_MAX, pem, detail);
    if (status == STATUS_OK) {
        status = trust_bundle_of(out, all, num, detail);
    }
    arena_free(&arena);
    return status;
}

enum status trust_bundle_read(struct trust_bundle **out, const char *file, struct detail *detail) {
    uint8_t *pem = NULL;
    size_t len = 0;
    enum status status = file_read(&pem, &len, file, FILE_BYTES_MAX, detail);
    if (status == STATUS_OK) {
        status = trust_bundle_new(out, bytes_of(pem, len), detail);
    }
    free(pem);
    return status;
}

enum status trust_certificate_check(bool *is_anchor, const struct trust_certificate *certificate,
                                    enum chain_purpose purpose, struct detail *detail) {
    struct authority found = {0};
    enum status status = load_one(&found, certificate->der, certificate->anchor, detail);
    if (status == STATUS_OK && found.key.kind == KEY_NONE) {
        status = status_fail(detail, STATUS_INVALID, "its key is of a kind that is not taken");
    }
    if (status == STATUS_OK) {
        status = chain_check_authority(&found.fields, purpose, detail);
    }
    if (status == STATUS_OK) {
        *is_anchor = found.is_anchor;
    }
    return status;
}

void trust_bundle_free(struct trust_bundle *bundle) {
    if (bundle == NULL) {
        return;
    }
    arena_free(&bundle->arena);
    free(bundle);
}

size_t trust_bundle_count(const struct trust_bundle *bundle) {
    return bundle->num;
}
