/* A certificate is refused, or what is told of it is printable and within bounds, and it goes to
 * PEM and back. And none chains to an authority whose key has signed nothing, whatever it says
 * of its issuer, and whatever it brings along. */
#include "server/credential/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { NOW = 1790000000, ARENA_MAX = 1 << 22 };

static struct trust_bundle *bundle; /* "CN=Fuzz Root", as the seeds name their issuer */

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void free_bundle(void) {
    trust_bundle_free(bundle);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as libFuzzer declares it */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    struct private_key *key;
    struct public_key public;
    uint8_t spki[KEY_SPKI_MAX], der[CERTIFICATE_DER_MAX];
    struct writer spki_writer = writer_of(spki, sizeof spki), w = writer_of(der, sizeof der);
    struct arena arena;
    (void)argc;
    (void)argv;
    require(private_key_generate(&key, KEY_EC_P256) == STATUS_OK);
    private_key_public(key, &public);
    require(public_key_to_spki(&spki_writer, &public) == STATUS_OK);
    struct issuer self = {.key = key};
    struct certificate_request request = {.profile = PROFILE_CA,
                                          .spki = writer_bytes(&spki_writer),
                                          .common_name = "Fuzz Root",
                                          .not_before = NOW - 86400,
                                          .not_after = NOW + 86400,
                                          .serial = {1}};
    require(profile_issue(&w, &self, &request, NULL) == STATUS_OK);
    private_key_free(key);
    arena_init(&arena, ARENA_MAX);
    char *pem = certificate_to_pem(&arena, writer_bytes(&w));
    require(pem != NULL && trust_bundle_new(&bundle, bytes_of_text(pem), NULL) == STATUS_OK);
    arena_free(&arena);
    return atexit(free_bundle);
}

static void require_printable(const char *text, size_t cap) {
    size_t len = strnlen(text, cap);
    require(len < cap);
    for (size_t i = 0; i < len; i++) {
        require(text[i] >= 0x20 && text[i] <= 0x7E);
    }
}

static void check_certificate(const struct certificate *c, struct bytes in) {
    size_t len = 0;
    require(der_element_len(&len, in) == STATUS_OK && len == in.len);
    require(c->der.data == in.data && c->der.len == in.len);
    require_printable(c->subject, sizeof c->subject);
    require_printable(c->issuer, sizeof c->issuer);
    require_printable(c->san_uri, sizeof c->san_uri);
    require(c->serial_len >= 1 && c->serial_len <= X509_SERIAL_MAX);
    require(c->subject_key_id_len <= sizeof c->subject_key_id);
    require(c->key.kind == KEY_NONE || public_key_check(&c->key, NULL) == STATUS_OK);
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < c->subject_name.len; i++) {
        sum = (uint8_t)(sum + c->subject_name.data[i]);
    }
}

static void check_pem(struct bytes in) {
    struct arena arena;
    struct bytes back;
    size_t num = 0;
    arena_init(&arena, ARENA_MAX);
    char *pem = certificate_to_pem(&arena, in);
    require(pem != NULL &&
            pem_certificates(&arena, &back, &num, 1, bytes_of_text(pem), NULL) == STATUS_OK);
    require(num == 1 && bytes_equal(back, in));
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct certificate certificate = {.serial_len = 77};
    struct detail detail = {0};
    struct bytes in = bytes_of(data, size);
    if (certificate_parse(&certificate, in, &detail) == STATUS_OK) {
        check_certificate(&certificate, in);
        check_pem(in);
    } else {
        require(detail.text[0] != '\0' && certificate.serial_len == 77);
    }
    for (int purpose = CHAIN_ANY; purpose <= CHAIN_TPM_EK; purpose++) {
        require(trust_bundle_verify(bundle, in, NULL, 0, NOW, (enum chain_purpose)purpose,
                                    &detail) != STATUS_OK);
        require(trust_bundle_verify(bundle, in, &in, 1, NOW, (enum chain_purpose)purpose,
                                    &detail) != STATUS_OK);
        require_printable(detail.text, sizeof detail.text);
    }
    return 0;
}
