#include "server/crypto/trust_bundle.h"

/* How many signatures one verification may cost, however the candidates are named. */
enum { SIGNATURES_MAX = 32 };

/* One verification. `path` is what hangs together so far, the leaf first. */
struct search {
    const struct trust_bundle *bundle;
    const struct authority *extra;
    size_t num_extra;
    int64_t now;
    enum chain_purpose purpose;
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
    enum status status = chain_check_authority(f, s->purpose, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (f->has_path_len && intermediates_below(s, depth) > f->path_len) {
        return status_fail(detail, STATUS_INVALID, "its pathLenConstraint of %u is exceeded",
                           (unsigned)f->path_len);
    }
    return chain_check_validity(f, s->now, detail);
}

static bool may_have_issued(const struct search *s, const struct x509_fields *issuer,
                            const struct x509_fields *child) {
    return x509_name_equal(issuer->subject, child->issuer, s->purpose == CHAIN_TPM_EK) &&
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
    if (!may_have_issued(s, &issuer->fields, child) || is_in_path(s, &issuer->fields, depth)) {
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
    struct search search = {.bundle = bundle,
                            .extra = extras,
                            .num_extra = num_extra,
                            .now = now,
                            .purpose = purpose,
                            .path = {&leaf}};
    enum status status = x509_read(&leaf, leaf_der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (num_extra > X509_CHAIN_MAX) {
        return status_fail(detail, STATUS_LIMIT, "%zu intermediates", num_extra);
    }
    for (size_t i = 0; i < num_extra; i++) {
        status = authority_read(&extras[i], extra[i], detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "intermediate %zu", i + 1);
            return status;
        }
    }
    status = chain_check_leaf(&leaf, now, purpose, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (purpose == CHAIN_ANY && is_anchor(bundle, &leaf)) {
        return STATUS_OK;
    }
    return extend(&search, 1) ? STATUS_OK
                              : status_fail(detail, STATUS_INVALID, "%s", search.reason.text);
}
