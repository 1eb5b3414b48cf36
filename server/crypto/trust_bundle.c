#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509.h"
#include "server/crypto/x509_fields.h"

#include <stdlib.h>
#include <string.h>

enum { BUNDLE_CERTIFICATES_MAX = 1024, BUNDLE_BYTES_MAX = 16 << 20 };
/* How many signatures one verification may cost, however the candidates are named. */
enum { SIGNATURES_MAX = 32 };

struct authority {
    struct x509_fields fields;
    struct public_key key; /* kind KEY_NONE when it is of a kind that we do not take */
    bool is_anchor;
};

struct trust_bundle {
    struct arena arena;
    struct authority *authorities;
    size_t num;
};

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

static enum status read_authority(struct authority *out, struct bytes der, struct detail *detail) {
    enum status status = x509_read(&out->fields, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = public_key_from_spki(&out->key, out->fields.spki, detail);
    return status == STATUS_UNSUPPORTED ? STATUS_OK : status;
}

static enum status load(struct trust_bundle *bundle, struct bytes pem, struct detail *detail) {
    struct arena *arena = &bundle->arena;
    struct bytes *der = arena_array(arena, BUNDLE_CERTIFICATES_MAX, sizeof *der);
    if (der == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status =
        pem_certificates(arena, der, &bundle->num, BUNDLE_CERTIFICATES_MAX, pem, detail);
    if (status != STATUS_OK) {
        return status;
    }
    bundle->authorities = arena_array(arena, bundle->num, sizeof *bundle->authorities);
    if (bundle->authorities == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < bundle->num; i++) {
        struct authority *a = &bundle->authorities[i];
        status = read_authority(a, der[i], detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "certificate %zu", i + 1);
            return status;
        }
        a->is_anchor = is_self_signed(a);
    }
    return STATUS_OK;
}

enum status trust_bundle_new(struct trust_bundle **out, struct bytes pem, struct detail *detail) {
    struct trust_bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    arena_init(&bundle->arena, BUNDLE_BYTES_MAX);
    enum status status = load(bundle, pem, detail);
    if (status != STATUS_OK) {
        trust_bundle_free(bundle);
        return status;
    }
    *out = bundle;
    return STATUS_OK;
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

/* One verification. `path` is what hangs together so far, the leaf first. */
struct search {
    const struct trust_bundle *bundle;
    const struct authority *extra;
    size_t num_extra;
    int64_t now;
    const struct x509_fields *path[X509_CHAIN_MAX];
    unsigned num_signatures;
    size_t reason_depth; /* how far the path went whose failure `reason` tells */
    struct detail reason;
};

/* Keeps the reason of the path that came furthest, and there the last. */
static void note(struct search *s, size_t depth, const struct detail *reason) {
    if (depth >= s->reason_depth) {
        s->reason_depth = depth;
        s->reason = *reason;
    }
}

static void name_of(char out[static X509_NAME_TEXT], const struct x509_fields *f) {
    x509_name_text(out, X509_NAME_TEXT, f->subject);
}

static enum status check_validity(const struct x509_fields *f, int64_t now, struct detail *detail) {
    if (now < f->not_before) {
        return status_fail(detail, STATUS_INVALID, "it is not valid yet");
    }
    if (now > f->not_after) {
        return status_fail(detail, STATUS_INVALID, "it has expired");
    }
    return STATUS_OK;
}

static enum status check_critical(const struct x509_fields *f, struct detail *detail) {
    if (f->unknown_critical.len > 0) {
        char oid[64];
        der_oid_text(oid, sizeof oid, f->unknown_critical);
        return status_fail(detail, STATUS_INVALID, "its critical extension %s is not known", oid);
    }
    return STATUS_OK;
}

/* Certificates between `issuer` and the leaf that count against a path length: those not
 * self-issued. */
static uint32_t intermediates_below(const struct search *s, size_t depth) {
    uint32_t num = 0;
    for (size_t i = 1; i < depth; i++) {
        num += bytes_equal(s->path[i]->subject, s->path[i]->issuer) ? 0 : 1;
    }
    return num;
}

/* RFC 5280 6.1.4 k to n: may it stand above the `depth` certificates of the path? */
static enum status check_issuer(const struct search *s, const struct authority *issuer,
                                size_t depth, struct detail *detail) {
    const struct x509_fields *f = &issuer->fields;
    if (!f->is_ca) {
        return status_fail(detail, STATUS_INVALID, "it is no CA (basicConstraints)");
    }
    if (f->has_key_usage && !f->may_sign_certificates) {
        return status_fail(detail, STATUS_INVALID, "its keyUsage lacks keyCertSign");
    }
    if (f->has_path_len && intermediates_below(s, depth) > f->path_len) {
        return status_fail(detail, STATUS_INVALID, "its pathLenConstraint of %u is exceeded",
                           (unsigned)f->path_len);
    }
    if (f->has_name_constraints) {
        return status_fail(detail, STATUS_INVALID,
                           "authorities with nameConstraints are not taken");
    }
    enum status status = check_critical(f, detail);
    return status == STATUS_OK ? check_validity(f, s->now, detail) : status;
}

static bool may_have_issued(const struct x509_fields *issuer, const struct x509_fields *child) {
    return bytes_equal(issuer->subject, child->issuer) &&
           (issuer->subject_key_id.len == 0 || child->authority_key_id.len == 0 ||
            bytes_equal(issuer->subject_key_id, child->authority_key_id));
}

static bool is_in_path(const struct search *s, const struct x509_fields *f, size_t depth) {
    for (size_t i = 0; i < depth; i++) {
        if (bytes_equal(s->path[i]->der, f->der)) {
            return true;
        }
    }
    return false;
}

static bool extend(struct search *s, size_t depth);

/* Tries `issuer` above the path's last certificate; true when the path then reaches an anchor. */
static bool try_issuer(struct search *s, const struct authority *issuer, size_t depth) {
    const struct x509_fields *child = s->path[depth - 1];
    struct detail detail = {0};
    if (!may_have_issued(&issuer->fields, child) || is_in_path(s, &issuer->fields, depth)) {
        return false;
    }
    char name[X509_NAME_TEXT];
    name_of(name, &issuer->fields);
    enum status status = check_issuer(s, issuer, depth, &detail);
    if (status != STATUS_OK) {
        detail_prefix(&detail, "issuer '%.80s'", name);
        note(s, depth, &detail);
        return false;
    }
    if (s->num_signatures++ >= SIGNATURES_MAX) {
        detail_set(&detail, "more than %d signatures to try", SIGNATURES_MAX);
        note(s, X509_CHAIN_MAX, &detail);
        return false;
    }
    status = x509_verify_signature(&issuer->key, child->signature_algorithm, child->signature,
                                   child->tbs, &detail);
    if (status != STATUS_OK) {
        detail_prefix(&detail, "signature by '%.80s'", name);
        note(s, depth, &detail);
        return false;
    }
    if (issuer->is_anchor) {
        return true;
    }
    s->path[depth] = &issuer->fields;
    return extend(s, depth + 1);
}

/* Depth first; at most X509_CHAIN_MAX deep, and num_signatures bounds the whole search. */
static bool extend(struct search *s, size_t depth) {
    struct detail detail = {0};
    char issuer[X509_NAME_TEXT];
    x509_name_text(issuer, sizeof issuer, s->path[depth - 1]->issuer);
    if (depth == X509_CHAIN_MAX) {
        detail_set(&detail, "a chain of more than %d certificates", X509_CHAIN_MAX);
        note(s, depth, &detail);
        return false;
    }
    detail_set(&detail, "no trusted issuer '%.160s'", issuer);
    note(s, depth, &detail);
    for (size_t i = 0; i < s->bundle->num; i++) {
        if (try_issuer(s, &s->bundle->authorities[i], depth)) {
            return true;
        }
    }
    for (size_t i = 0; i < s->num_extra; i++) {
        if (try_issuer(s, &s->extra[i], depth)) {
            return true;
        }
    }
    return false;
}

static bool holds_oid(struct bytes oids, struct bytes wanted) {
    struct bytes oid;
    while (oids.len > 0 && der_take(&oids, DER_OID, &oid) == STATUS_OK) {
        if (bytes_equal(oid, wanted)) {
            return true;
        }
    }
    return false;
}

/* A Name's attribute types. */
static bool name_holds(struct bytes name, struct bytes wanted) {
    struct bytes sets, set, pair, oid;
    if (der_take(&name, DER_SEQUENCE, &sets) != STATUS_OK) {
        return false;
    }
    while (sets.len > 0 && der_take(&sets, DER_SET, &set) == STATUS_OK) {
        while (set.len > 0 && der_take(&set, DER_SEQUENCE, &pair) == STATUS_OK) {
            if (der_take(&pair, DER_OID, &oid) == STATUS_OK && bytes_equal(oid, wanted)) {
                return true;
            }
        }
    }
    return false;
}

/* TCG EK Credential Profile 3.2.9: a directoryName of TPM manufacturer, model and version. */
static bool has_tpm_name(struct bytes names) {
    struct bytes name;
    unsigned tag;
    while (names.len > 0 && der_any(&names, &tag, &name) == STATUS_OK) {
        if (tag == (DER_CONTEXT_CONSTRUCTED | 4) &&
            name_holds(name, DER_OID_OF(OID_TPM_MANUFACTURER)) &&
            name_holds(name, DER_OID_OF(OID_TPM_MODEL)) &&
            name_holds(name, DER_OID_OF(OID_TPM_VERSION))) {
            return true;
        }
    }
    return false;
}

static enum status check_leaf(const struct x509_fields *f, int64_t now, enum chain_purpose purpose,
                              struct detail *detail) {
    enum status status = check_validity(f, now, detail);
    if (status == STATUS_OK) {
        status = check_critical(f, detail);
    }
    if (status != STATUS_OK || purpose != CHAIN_TPM_EK) {
        return status;
    }
    if (f->is_ca) {
        return status_fail(detail, STATUS_INVALID, "an EK certificate is no CA");
    }
    if (f->extended_key_usage.len > 0 &&
        !holds_oid(f->extended_key_usage, DER_OID_OF(OID_TCG_KP_EK))) {
        return status_fail(detail, STATUS_INVALID, "its extKeyUsage lacks tcg-kp-EKCertificate");
    }
    if (f->subject_alt_name_critical && !has_tpm_name(f->subject_alt_name)) {
        return status_fail(detail, STATUS_INVALID,
                           "its critical subjectAltName does not describe a TPM");
    }
    return STATUS_OK;
}

static bool is_anchor(const struct trust_bundle *bundle, const struct x509_fields *leaf) {
    for (size_t i = 0; i < bundle->num; i++) {
        const struct authority *a = &bundle->authorities[i];
        if (a->is_anchor && bytes_equal(a->fields.der, leaf->der)) {
            return true;
        }
    }
    return false;
}

enum status trust_bundle_verify(const struct trust_bundle *bundle, struct bytes leaf_der,
                                const struct bytes *extra, size_t num_extra, int64_t now,
                                enum chain_purpose purpose, struct detail *detail) {
    struct x509_fields leaf;
    struct authority extras[X509_CHAIN_MAX] = {0};
    struct search search = {
        .bundle = bundle, .extra = extras, .num_extra = num_extra, .now = now, .path = {&leaf}};
    enum status status = x509_read(&leaf, leaf_der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (num_extra > X509_CHAIN_MAX) {
        return status_fail(detail, STATUS_LIMIT, "%zu intermediates", num_extra);
    }
    for (size_t i = 0; i < num_extra; i++) {
        status = read_authority(&extras[i], extra[i], detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "intermediate %zu", i + 1);
            return status;
        }
    }
    status = check_leaf(&leaf, now, purpose, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (purpose == CHAIN_ANY && is_anchor(bundle, &leaf)) {
        return STATUS_OK;
    }
    return extend(&search, 1) ? STATUS_OK
                              : status_fail(detail, STATUS_INVALID, "%s", search.reason.text);
}
