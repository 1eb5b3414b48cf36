/* What wolfSSL asks of us while it verifies a client's certificates (ProcessPeerCerts): this callback
 * comes for each certificate of the chain that it refuses, from the far end, and for the leaf in
 * any case. Nothing here turns a refusal into an acceptance but the service's word, and that is
 * asked for one kind of refusal alone: that a chain leads to no anchor. A leaf that is malformed,
 * out of its time below an anchor, not for clients, or badly signed by an anchor stays refused; and
 * that the peer has the leaf's key is still to be proved (CertificateVerify), which no callback can
 * let pass.
 *
 * wolfSSL adds an intermediate that it accepts to the authorities of the whole context, for all
 * connections and for ever. So one that stands only by the service's word is exchanged, in wolfSSL's
 * list of this handshake's certificates, for an authority that the context has already: nothing is
 * added then. */
#include <wolfssl/options.h>

#include "server/transport/internal.h"

#include "server/crypto/digest.h"

#include <wolfssl/ssl.h>

#include <stdlib.h>
#include <string.h>

/* As the peer sent it, before anything is exchanged. */
static bool keep_chain(struct connection *c, const WOLFSSL_X509_STORE_CTX *store) {
    if (c->peer.num_chain != 0) {
        return true;
    }
    if (store->totalCerts < 1 || store->totalCerts > HTTP_MAX_CHAIN) {
        return false;
    }
    size_t num = (size_t)store->totalCerts, len = 0;
    for (size_t i = 0; i < num; i++) {
        len += store->certs[i].length;
    }
    c->chain = malloc(len);
    if (c->chain == NULL) {
        return false;
    }
    uint8_t *at = c->chain;
    for (size_t i = 0; i < num; i++) {
        memcpy(at, store->certs[i].buffer, store->certs[i].length);
        c->peer.chain[i] = bytes_of(at, store->certs[i].length);
        at += store->certs[i].length;
    }
    c->peer.num_chain = num;
    digest_compute(HASH_SHA256, c->peer.chain[0], c->peer.leaf_sha256);
    return true;
}

static bool leads_nowhere(const WOLFSSL_X509_STORE_CTX *store) {
    return store->error == ASN_NO_SIGNER_E ||
           (store->error == ASN_SELF_SIGNED_E && store->error_depth > 0);
}

/* Asks once in a handshake. */
static bool is_vouched_for(struct connection *c, const WOLFSSL_X509_STORE_CTX *store) {
    const struct http_service *service = c->lane->plane->conf.service;
    if (service->vouch == NULL || !leads_nowhere(store) || !keep_chain(c, store)) {
        return false;
    }
    if (c->vouching == VOUCHING_UNASKED) {
        bool yes = service->vouch(service->context, c->lane->service_worker, c->peer.chain,
                                  c->peer.num_chain);
        c->vouching = yes ? VOUCHING_YES : VOUCHING_NO;
    }
    return c->vouching == VOUCHING_YES;
}

/* An authority of the context takes the intermediate's place. False when the context was replaced
 * meanwhile: the peer may come again. */
static bool exchange(struct connection *c, WOLFSSL_BUFFER_INFO *intermediate) {
    struct plane *plane = c->lane->plane;
    (void)pthread_mutex_lock(&plane->context_lock);
    bool same = plane->context == c->context && plane->anchor.len > 0;
    size_t len = same ? plane->anchor.len : 0;
    if (same && c->stand_in == NULL) {
        c->stand_in = malloc(len);
        if (c->stand_in != NULL) {
            memcpy(c->stand_in, plane->anchor.der, len);
        }
    }
    (void)pthread_mutex_unlock(&plane->context_lock);
    if (!same || c->stand_in == NULL) {
        return false;
    }
    *intermediate = (WOLFSSL_BUFFER_INFO){.buffer = c->stand_in, .length = (unsigned)len};
    return true;
}

int tls_verify_peer(int good, WOLFSSL_X509_STORE_CTX *store) {
    struct connection *c = store->userCtx;
    int depth = store->error_depth;
    if (c == NULL || depth < 0 || depth >= store->totalCerts) {
        return 0;
    }
    if (!good) {
        if (!is_vouched_for(c, store)) {
            return 0;
        }
        c->peer.vouched = depth == 0;
        return depth == 0 || exchange(c, &store->certs[depth]);
    }
    /* What the service vouched for in part must not count as the anchors' in whole. */
    return depth != 0 || (c->vouching == VOUCHING_UNASKED && keep_chain(c, store));
}
