#include "server/identity/ek_trust.h"

#include <pthread.h>
#include <stdlib.h>

struct ek_trust {
    pthread_rwlock_t lock;
    struct trust_bundle *bundle;
};

/* A writer goes first, or a stream of enrolments could hold it off for ever. */
static bool lock_init(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attributes;
    if (pthread_rwlockattr_init(&attributes) != 0) {
        return false;
    }
    bool ready = pthread_rwlockattr_setkind_np(&attributes,
                                               PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0 &&
                 pthread_rwlock_init(lock, &attributes) == 0;
    (void)pthread_rwlockattr_destroy(&attributes);
    return ready;
}

enum status ek_trust_new(struct ek_trust **out, struct bytes pem, struct detail *detail) {
    struct ek_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL || !lock_init(&trust->lock)) {
        free(trust);
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = trust_bundle_new(&trust->bundle, pem, detail);
    if (status != STATUS_OK) {
        ek_trust_free(trust);
        return status;
    }
    *out = trust;
    return STATUS_OK;
}

enum status ek_trust_replace(struct ek_trust *trust, struct bytes pem, struct detail *detail) {
    struct trust_bundle *bundle = NULL;
    enum status status = trust_bundle_new(&bundle, pem, detail);
    if (status != STATUS_OK) {
        return status;
    }
    (void)pthread_rwlock_wrlock(&trust->lock);
    struct trust_bundle *old = trust->bundle;
    trust->bundle = bundle;
    (void)pthread_rwlock_unlock(&trust->lock);
    trust_bundle_free(old);
    return STATUS_OK;
}

enum status ek_trust_check(struct ek_trust *trust, struct bytes *out_der, struct bytes certificate,
                           const struct tpm_public *ek, int64_t now, struct detail *detail) {
    (void)pthread_rwlock_rdlock(&trust->lock);
    enum status status = ek_certificate_check(out_der, certificate, ek, trust->bundle, now, detail);
    (void)pthread_rwlock_unlock(&trust->lock);
    return status;
}

void ek_trust_free(struct ek_trust *trust) {
    if (trust == NULL) {
        return;
    }
    trust_bundle_free(trust->bundle);
    (void)pthread_rwlock_destroy(&trust->lock);
    free(trust);
}
