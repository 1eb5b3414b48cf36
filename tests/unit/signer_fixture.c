#include "tests/unit/signer_fixture.h"

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/crypto/random.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(enum status status, const struct detail *detail) {
    ck_assert_msg(status == STATUS_OK, "%s: %s", status_name(status), detail->text);
}

static void write_file(const char *folder, const char *name, const char *suffix, const char *text) {
    char path[160];
    struct detail detail = {0};
    (void)snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    must(file_create(path, 0600, bytes_of_text(text), &detail), &detail);
}

static size_t make_spki(uint8_t out[static KEY_SPKI_MAX], struct private_key **key) {
    struct public_key public_key;
    struct detail detail = {0};
    struct writer w = writer_of(out, KEY_SPKI_MAX);
    must(private_key_generate(key, KEY_EC_P256), &detail);
    private_key_public(*key, &public_key);
    must(public_key_to_spki(&w, &public_key), &detail);
    return w.len;
}

void signer_fixture_authority(const char *folder, const char *name) {
    struct private_key *key;
    struct detail detail = {0};
    uint8_t spki[KEY_SPKI_MAX], der[CERTIFICATE_DER_MAX];
    struct writer w = writer_of(der, sizeof der);
    struct certificate_request request = {.profile = PROFILE_CA,
                                          .common_name = name,
                                          .not_before = clock_unix() - 3600,
                                          .not_after = clock_unix() + (int64_t)3650 * 86400};
    request.spki = bytes_of(spki, make_spki(spki, &key));
    random_bytes(request.serial, sizeof request.serial);
    const struct issuer self = {.key = key};
    must(profile_issue(&w, &self, &request, &detail), &detail);
    struct arena arena;
    arena_init(&arena, 65536);
    write_file(folder, name, ".pem", certificate_to_pem(&arena, writer_bytes(&w)));
    arena_free(&arena);
    char *pem;
    must(private_key_to_pem(&pem, key), &detail);
    write_file(folder, name, ".key", pem);
    free(pem);
    private_key_free(key);
}

struct signer *signer_fixture_start(const char *folder) {
    static const char *const names[] = {"identity.key", "identity.pem", "access.key", "access.pem"};
    char path[4][160];
    signer_fixture_authority(folder, "identity");
    signer_fixture_authority(folder, "access");
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%s", folder, names[i]);
    }
    const struct signer_options options = {.trust_domain = "gatehouse.test",
                                           .identity_key_file = path[0],
                                           .identity_certificate_file = path[1],
                                           .access_key_file = path[2],
                                           .access_certificate_file = path[3]};
    struct signer *signer;
    struct detail detail = {0};
    must(signer_start(&signer, &options, &detail), &detail);
    return signer;
}

struct sign_job sample_job(unsigned n) {
    struct private_key *key;
    struct sign_job job = {.profile = PROFILE_ACCESS,
                           .tier = "measured",
                           .not_before = clock_unix() - 60,
                           .not_after = clock_unix() + 3600};
    job.spki_len = make_spki(job.spki, &key);
    private_key_free(key);
    sample_id(job.device_id, 'd', n);
    random_bytes(job.serial, sizeof job.serial);
    job.serial[0] &= 0x7f;
    return job;
}
