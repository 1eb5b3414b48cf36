#include "server/commands/authority.h"

#include "server/crypto/random.h"

static const int64_t AUTHORITY_S = (int64_t)3652 * 86400;

enum status authority_issue(struct authority *out, const struct authority *issuer,
                            struct certificate_request *request, struct detail *detail) {
    uint8_t spki[KEY_SPKI_MAX];
    struct writer spki_writer = writer_of(spki, sizeof spki);
    struct writer der = writer_of(out->der, sizeof out->der);
    struct public_key public_key;
    enum status status =
        out->key == NULL ? private_key_generate(&out->key, KEY_EC_P256) : STATUS_OK;
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot make a key");
    }
    private_key_public(out->key, &public_key);
    status = public_key_to_spki(&spki_writer, &public_key);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot write a public key");
    }
    request->spki = writer_bytes(&spki_writer);
    random_bytes(request->serial, sizeof request->serial);
    const struct issuer by = {.key = issuer == NULL ? out->key : issuer->key,
                              .certificate = issuer == NULL
                                                 ? (struct bytes){NULL, 0}
                                                 : bytes_of(issuer->der, issuer->der_len)};
    status = profile_issue(&der, &by, request, detail);
    out->der_len = der.len;
    return status;
}

enum status authority_new(struct authority *out, const char *title, int64_t now,
                          struct detail *detail) {
    struct certificate_request request = {.profile = PROFILE_CA,
                                          .common_name = title,
                                          .not_before = now - AUTHORITY_BACKDATED_S,
                                          .not_after = now + AUTHORITY_S};
    return authority_issue(out, NULL, &request, detail);
}

void authority_free(struct authority *authority) {
    private_key_free(authority->key);
    authority->key = NULL;
}
