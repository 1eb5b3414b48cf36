#include <wolfssl/options.h>

#include "server/transport/internal.h"

#include "server/base/file.h"
#include "server/crypto/x509.h"

#include <wolfssl/ssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ciphers_tls13[] =
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256";
static const char ciphers_tls12[] =
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static enum status fail(struct detail *detail, const char *what, const char *file, int error) {
    char text[WOLFSSL_MAX_ERROR_SZ];
    wolfSSL_ERR_error_string_n((unsigned long)error, text, sizeof text);
    return status_fail(detail, STATUS_INVALID, "%s %s: %s", what, file, text);
}

static enum status load_files(WOLFSSL_CTX *context, const struct transport_plane *plane,
                              struct detail *detail) {
    int error = wolfSSL_CTX_use_certificate_chain_file(context, plane->certificate_file);
    if (error != WOLFSSL_SUCCESS) {
        return fail(detail, "certificate", plane->certificate_file, error);
    }
    error = wolfSSL_CTX_use_PrivateKey_file(context, plane->key_file, WOLFSSL_FILETYPE_PEM);
    if (error != WOLFSSL_SUCCESS) {
        return fail(detail, "key", plane->key_file, error);
    }
    error = wolfSSL_CTX_check_private_key(context);
    if (error != WOLFSSL_SUCCESS) {
        return status_fail(detail, STATUS_INVALID, "key %s does not belong to certificate %s",
                           plane->key_file, plane->certificate_file);
    }
    if (plane->security == TRANSPORT_TLS_MUTUAL) {
        error = wolfSSL_CTX_load_verify_locations(context, plane->anchors_file, NULL);
        if (error != WOLFSSL_SUCCESS) {
            return fail(detail, "anchors", plane->anchors_file, error);
        }
        wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                               tls_verify_peer);
    } else {
        wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
    }
    return STATUS_OK;
}

static enum status configure(WOLFSSL_CTX *context, const struct transport_plane *plane,
                             struct detail *detail) {
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
    if (wolfSSL_CTX_SetMinVersion(context, plane->tls12 ? WOLFSSL_TLSV1_2 : WOLFSSL_TLSV1_3) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(context, plane->tls12 ? ciphers_tls12 : ciphers_tls13) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(context, groups, (int)(sizeof groups / sizeof *groups)) !=
            WOLFSSL_SUCCESS) {
        return status_fail(detail, STATUS_INTERNAL,
                           "this wolfSSL lacks a cipher, group or version");
    }
    /* A flight of the handshake is one write. */
    if (wolfSSL_CTX_set_group_messages(context) != WOLFSSL_SUCCESS) {
        return status_fail(detail, STATUS_INTERNAL, "handshake messages cannot be grouped");
    }
    /* Every connection proves itself: nothing is resumed. (A wolfSSL built without a way to resume
     * lacks these functions too.) */
#ifndef NO_SESSION_CACHE
    (void)wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
#endif
#ifdef HAVE_SESSION_TICKET
    (void)wolfSSL_CTX_no_ticket_TLSv13(context);
    (void)wolfSSL_CTX_NoTicketTLSv12(context);
#endif
    return load_files(context, plane, detail);
}

/* The first certificate of the file. */
static enum status read_anchor(struct anchor *out, const char *file, struct detail *detail) {
    enum { FILE_MAX = 4 << 20, ANCHORS_MAX = 1024 };
    __attribute__((cleanup(arena_free))) struct arena arena;
    uint8_t *pem = NULL;
    size_t len = 0, num = 0;
    arena_init(&arena, (size_t)4 * FILE_MAX);
    struct bytes *der = arena_array(&arena, ANCHORS_MAX, sizeof *der);
    enum status status =
        der == NULL ? STATUS_MEMORY : file_read(&pem, &len, file, FILE_MAX, detail);
    if (status == STATUS_OK) {
        status = pem_certificates(&arena, der, &num, ANCHORS_MAX, bytes_of(pem, len), detail);
    }
    free(pem);
    uint8_t *copy = status == STATUS_OK ? malloc(der[0].len) : NULL;
    if (copy == NULL) {
        detail_prefix(detail, "anchors %s", file);
        return status == STATUS_OK ? STATUS_MEMORY : status;
    }
    memcpy(copy, der[0].data, der[0].len);
    *out = (struct anchor){copy, der[0].len};
    return STATUS_OK;
}

enum status tls_context_new(struct WOLFSSL_CTX **out, struct anchor *anchor,
                            const struct transport_plane *plane, struct detail *detail) {
    bool vouches = plane->security == TRANSPORT_TLS_MUTUAL && plane->service != NULL &&
                   plane->service->vouch != NULL;
    if (plane->certificate_file == NULL || plane->key_file == NULL ||
        (plane->security == TRANSPORT_TLS_MUTUAL && plane->anchors_file == NULL)) {
        return status_fail(detail, STATUS_INVALID, "certificate, key or anchors not given");
    }
    WOLFSSL_CTX *context =
        wolfSSL_CTX_new(plane->tls12 ? wolfTLS_server_method() : wolfTLSv1_3_server_method());
    if (context == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no TLS context");
    }
    *anchor = (struct anchor){0};
    enum status status = configure(context, plane, detail);
    if (status == STATUS_OK && vouches) {
        status = read_anchor(anchor, plane->anchors_file, detail);
    }
    if (status != STATUS_OK) {
        wolfSSL_CTX_free(context);
        return status;
    }
    tls_session_configure(context);
    *out = context;
    return STATUS_OK;
}

void tls_context_free(struct WOLFSSL_CTX *context) {
    wolfSSL_CTX_free(context); /* takes NULL */
}

struct WOLFSSL_CTX *plane_context(struct plane *plane) {
    (void)pthread_mutex_lock(&plane->context_lock);
    WOLFSSL_CTX *context = plane->context;
    if (context != NULL) {
        (void)wolfSSL_CTX_up_ref(context);
    }
    (void)pthread_mutex_unlock(&plane->context_lock);
    return context;
}

void plane_context_drop(struct plane *plane, struct WOLFSSL_CTX *context) {
    (void)pthread_mutex_lock(&plane->context_lock);
    wolfSSL_CTX_free(context);
    (void)pthread_mutex_unlock(&plane->context_lock);
}
