#include "api/proxy/verified.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 4096, WAYS = 4, DEVICE_ID = 32 };

struct entry {
    uint8_t sha256[32];
    int64_t not_before, not_after; /* not_after 0: free */
};

struct verified {
    const struct signer *signer;
    struct trust_bundle *bundle; /* of `authority`; NULL: none is there yet */
    const struct signer_authority *authority;
    size_t num_authorities;
    unsigned turn; /* which entry of a full set gives way */
    struct entry entry[SETS][WAYS];
};

enum status verified_new(struct verified **out, const struct signer *signer) {
    struct verified *verified = calloc(1, sizeof *verified);
    if (verified == NULL) {
        return STATUS_MEMORY;
    }
    verified->signer = signer;
    *out = verified;
    return STATUS_OK;
}

void verified_free(struct verified *verified) {
    if (verified != NULL) {
        trust_bundle_free(verified->bundle);
        free(verified);
    }
}

/* Brings the anchors up to date. What was verified under others is forgotten. */
static enum status follow_authorities(struct verified *v) {
    const struct signer_authority *authority;
    size_t num = signer_authorities(v->signer, &authority);
    if (v->bundle != NULL && v->authority == authority && v->num_authorities == num) {
        return STATUS_OK;
    }
    struct trust_certificate anchor[SIGNER_AUTHORITIES_MAX];
    size_t num_anchors = 0;
    for (size_t i = 0; i < num && num_anchors < SIGNER_AUTHORITIES_MAX; i++) {
        if (authority[i].profile == PROFILE_ACCESS) {
            anchor[num_anchors++] = (struct trust_certificate){authority[i].certificate, true};
        }
    }
    struct trust_bundle *bundle;
    enum status status = trust_bundle_of(&bundle, anchor, num_anchors, NULL);
    if (status != STATUS_OK) {
        return STATUS_MEMORY; /* they are authorities' certificates, read before */
    }
    trust_bundle_free(v->bundle);
    v->bundle = bundle;
    v->authority = authority;
    v->num_authorities = num;
    memset(v->entry, 0, sizeof v->entry);
    return STATUS_OK;
}

static struct entry *set_of(struct verified *v, const uint8_t sha256[static 32]) {
    return v->entry[((size_t)sha256[0] << 8 | sha256[1]) % SETS];
}

static const struct entry *find(struct verified *v, const uint8_t sha256[static 32]) {
    const struct entry *set = set_of(v, sha256);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].not_after != 0 && memcmp(set[i].sha256, sha256, 32) == 0) {
            return &set[i];
        }
    }
    return NULL;
}

static enum status check_time(int64_t not_before, int64_t not_after, int64_t now) {
    return now > not_after ? STATUS_EXPIRED : now < not_before ? STATUS_CONFLICT : STATUS_OK;
}

static void keep(struct verified *v, const struct certificate *certificate, int64_t now) {
    struct entry *set = set_of(v, certificate->sha256);
    size_t at = 0;
    while (at < WAYS && set[at].not_after != 0 && set[at].not_after >= now) {
        at++;
    }
    at = at < WAYS ? at : v->turn++ % WAYS;
    set[at].not_before = certificate->not_before;
    set[at].not_after = certificate->not_after;
    memcpy(set[at].sha256, certificate->sha256, sizeof set[at].sha256);
}

/* The name is that of an access credential: spiffe://<trust domain>/device/<device id>. */
static bool is_credential_name(const struct verified *v, const char *uri) {
    char wanted[X509_SAN_URI_MAX];
    size_t len = strlen(uri);
    return len > DEVICE_ID &&
           profile_san_uri(wanted, PROFILE_ACCESS, signer_trust_domain(v->signer),
                           uri + len - DEVICE_ID, NULL) == STATUS_OK &&
           strcmp(wanted, uri) == 0;
}

static enum status verify(struct verified *v, const struct client_certificate *in, int64_t now) {
    struct certificate certificate;
    struct bytes der = bytes_of(in->der, in->der_len);
    if (certificate_parse(&certificate, der, NULL) != STATUS_OK) {
        return STATUS_INVALID;
    }
    enum status status = check_time(certificate.not_before, certificate.not_after, now);
    if (status != STATUS_OK) {
        return status;
    }
    status = trust_bundle_verify(v->bundle, der, NULL, 0, now, CHAIN_TLS_CLIENT, NULL);
    if (status == STATUS_MEMORY) {
        return status;
    }
    if (status != STATUS_OK || !is_credential_name(v, certificate.san_uri)) {
        return STATUS_INVALID;
    }
    keep(v, &certificate, now);
    return STATUS_OK;
}

enum status verified_check(struct verified *v, const struct client_certificate *certificate,
                           int64_t now) {
    enum status status = follow_authorities(v);
    if (status != STATUS_OK) {
        return status;
    }
    const struct entry *known = find(v, certificate->sha256);
    return known != NULL ? check_time(known->not_before, known->not_after, now)
                         : verify(v, certificate, now);
}
