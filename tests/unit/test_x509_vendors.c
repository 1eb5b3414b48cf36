/* What TPM vendors publish, and EK certificates of real TPMs: read in place, never copied. Every
 * test passes at once, saying so, where the data is absent. */
#include "server/base/file.h"
#include "server/crypto/x509.h"
#include "server/identity/enrolment.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 1024, PEM_MAX = 4 << 20, ALL_MAX = 1024 };
static const int64_t now = 1790000000; /* 2026-09-21 */

static uint8_t *pem_of(const char *first, const char *second, size_t *len) {
    uint8_t *a, *b;
    size_t a_len, b_len;
    struct detail detail = {0};
    ck_assert_msg(file_read(&a, &a_len, first, PEM_MAX, &detail) == STATUS_OK, "%s", detail.text);
    ck_assert_msg(file_read(&b, &b_len, second, PEM_MAX, &detail) == STATUS_OK, "%s", detail.text);
    uint8_t *all = malloc(a_len + b_len + 1);
    ck_assert_ptr_nonnull(all);
    memcpy(all, a, a_len);
    memcpy(all + a_len, b, b_len);
    free(a);
    free(b);
    *len = a_len + b_len;
    return all;
}

static uint8_t *vendors(const char *data, size_t *len) {
    char roots[PATH_SIZE], intermediates[PATH_SIZE];
    (void)snprintf(roots, sizeof roots, "%s/ek/vendor-roots.pem", data);
    (void)snprintf(intermediates, sizeof intermediates, "%s/ek/vendor-intermediates.pem", data);
    return pem_of(roots, intermediates, len);
}

START_TEST(every_certificate_that_vendors_publish_is_read) {
    const char *data = lab_data();
    struct trust_bundle *bundle;
    struct detail detail = {0};
    size_t len;
    if (data == NULL) {
        return;
    }
    uint8_t *pem = vendors(data, &len);
    ck_assert_msg(trust_bundle_new(&bundle, bytes_of(pem, len), &detail) == STATUS_OK, "%s",
                  detail.text);
    ck_assert_uint_ge(trust_bundle_count(bundle), 100);
    trust_bundle_free(bundle);
    free(pem);
}
END_TEST

/* Roots that are not published with what they signed. */
static bool is_known_orphan(const char *reason) {
    return strstr(reason, "no trusted issuer") != NULL &&
           (strstr(reason, "CN=AMD Root CA R4'") != NULL ||
            strstr(reason, "CN=STM TPM ECC Root CA 01'") != NULL);
}

/* Nuvoton's roots of four series: an EK's chain overlooks the order, other chains do not. */
static bool is_known_departure(const struct certificate *c, const char *reason) {
    struct trust_certificate given = {.der = c->der};
    bool is_anchor = false;
    return strstr(reason, "a SET in a name is not sorted") != NULL &&
           strstr(c->subject, "CN=Nuvoton TPM Root CA ") == c->subject &&
           trust_certificate_check(&is_anchor, &given, CHAIN_TPM_EK, NULL) == STATUS_OK &&
           is_anchor;
}

/* Each of them as if it were the end of a chain: all but those whose root is not published with
 * them. */
START_TEST(certificates_that_vendors_publish_chain_to_their_roots) {
    const char *data = lab_data();
    struct trust_bundle *bundle;
    struct arena arena;
    struct bytes der[ALL_MAX];
    size_t len, num, held = 0, unsorted = 0, orphans = 0;
    if (data == NULL) {
        return;
    }
    uint8_t *pem = vendors(data, &len);
    arena_init(&arena, 8 << 20);
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(pem, len), NULL), STATUS_OK);
    ck_assert_int_eq(pem_certificates(&arena, der, &num, ALL_MAX, bytes_of(pem, len), NULL),
                     STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        struct certificate c;
        struct detail detail = {0};
        ck_assert_int_eq(certificate_parse_as_met(&c, der[i], NULL), STATUS_OK);
        ck_assert_msg(c.key.kind != KEY_NONE, "%s", c.subject);
        ck_assert(c.is_ca);
        enum status status = trust_bundle_verify(bundle, der[i], NULL, 0, now, CHAIN_ANY, &detail);
        bool orphan = is_known_orphan(detail.text);
        bool departs = is_known_departure(&c, detail.text);
        ck_assert_msg(status == STATUS_OK || orphan || departs, "%s: %s", c.subject, detail.text);
        held += status == STATUS_OK;
        orphans += orphan;
        unsorted += departs;
        if (status != STATUS_OK) {
            (void)printf("# %s: %s\n", c.subject, detail.text);
        }
    }
    (void)printf(
        "# of %zu: %zu chain to a root, %zu roots with an unsorted SET are anchors for EKs "
        "only, %zu lack their root\n",
        num, held, unsorted, orphans);
    ck_assert_uint_ge((held + unsorted) * 10, num * 9);
    arena_free(&arena);
    trust_bundle_free(bundle);
    free(pem);
}
END_TEST

/* Those without their root, once who puts them into the bundle says that they are anchors. */
START_TEST(certificates_without_their_root_chain_when_their_issuers_are_named_anchors) {
    const char *data = lab_data();
    struct trust_bundle *bundle;
    struct arena arena;
    static struct trust_certificate all[ALL_MAX];
    size_t len, num, named = 0;
    if (data == NULL) {
        return;
    }
    uint8_t *pem = vendors(data, &len);
    arena_init(&arena, 8 << 20);
    ck_assert_int_eq(pem_trust_certificates(&arena, all, &num, ALL_MAX, bytes_of(pem, len), NULL),
                     STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        struct certificate c;
        ck_assert_int_eq(certificate_parse_as_met(&c, all[i].der, NULL), STATUS_OK);
        all[i].anchor = strstr(c.issuer, "CN=AMD Root CA R4") != NULL ||
                        strstr(c.issuer, "CN=STM TPM ECC Root CA 01") != NULL;
        named += all[i].anchor;
    }
    ck_assert_int_eq(trust_bundle_of(&bundle, all, num, NULL), STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        struct detail detail = {0};
        enum status status =
            trust_bundle_verify(bundle, all[i].der, NULL, 0, now, CHAIN_ANY, &detail);
        ck_assert_msg(status == STATUS_OK || strstr(detail.text, "not sorted") != NULL, "%s",
                      detail.text);
    }
    (void)printf("# %zu named as anchors: no certificate lacks its root\n", named);
    trust_bundle_free(bundle);
    arena_free(&arena);
    free(pem);
}
END_TEST

START_TEST(certificate_published_by_a_vendor_with_a_flipped_bit_does_not_chain) {
    const char *data = lab_data();
    struct trust_bundle *bundle;
    struct arena arena;
    struct bytes der[ALL_MAX];
    size_t len, num;
    if (data == NULL) {
        return;
    }
    uint8_t *pem = vendors(data, &len);
    arena_init(&arena, 8 << 20);
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(pem, len), NULL), STATUS_OK);
    ck_assert_int_eq(pem_certificates(&arena, der, &num, ALL_MAX, bytes_of(pem, len), NULL),
                     STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        uint8_t copy[4096];
        ck_assert_uint_le(der[i].len, sizeof copy);
        for (size_t k = 0; k < 16; k++) {
            size_t bit = (k * 2654435761u + i * 40503u) % (der[i].len * 8);
            memcpy(copy, der[i].data, der[i].len);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_int_ne(trust_bundle_verify(bundle, bytes_of(copy, der[i].len), NULL, 0, now,
                                                 CHAIN_ANY, NULL),
                             STATUS_OK);
        }
    }
    arena_free(&arena);
    trust_bundle_free(bundle);
    free(pem);
}
END_TEST

START_TEST(ek_certificate_of_a_real_tpm_chains_to_its_vendor) {
    const char *data = lab_data();
    struct trust_bundle *bundle;
    struct detail detail = {0};
    char path[PATH_SIZE];
    size_t len, ek_len, exact;
    uint8_t *ek;
    if (data == NULL) {
        return;
    }
    uint8_t *pem = vendors(data, &len);
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(pem, len), NULL), STATUS_OK);
    (void)snprintf(path, sizeof path, "%s/ek/certs/infineon_optiga_rsa_mfg007_ek.der", data);
    ck_assert_int_eq(file_read(&ek, &ek_len, path, 1 << 16, &detail), STATUS_OK);
    ck_assert_int_eq(der_element_len(&exact, bytes_of(ek, ek_len)), STATUS_OK);
    enum status status =
        trust_bundle_verify(bundle, bytes_of(ek, exact), NULL, 0, now, CHAIN_TPM_EK, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
    /* A software TPM's does not. */
    free(ek);
    (void)snprintf(path, sizeof path, "%s/ek/certs/swtpm_fedora33_ek.der", data);
    ck_assert_int_eq(file_read(&ek, &ek_len, path, 1 << 16, &detail), STATUS_OK);
    ck_assert_int_eq(der_element_len(&exact, bytes_of(ek, ek_len)), STATUS_OK);
    ck_assert_int_eq(
        trust_bundle_verify(bundle, bytes_of(ek, exact), NULL, 0, now, CHAIN_TPM_EK, &detail),
        STATUS_INVALID);
    free(ek);
    trust_bundle_free(bundle);
    free(pem);
}
END_TEST

static void check_booted(const char *folder) {
    static const char *names[] = {"ek_cert_rsa2048.der", "ek_cert_ecc_p384.der"};
    struct trust_bundle *bundle;
    char root[2 * PATH_SIZE], issuer[2 * PATH_SIZE], path[2 * PATH_SIZE];
    size_t len;
    (void)snprintf(root, sizeof root, "%s/ca/root.pem", folder);
    (void)snprintf(issuer, sizeof issuer, "%s/ca/issuer.pem", folder);
    uint8_t *pem = pem_of(root, issuer, &len);
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(pem, len), NULL), STATUS_OK);
    for (size_t i = 0; i < 2; i++) {
        struct detail detail = {0};
        struct certificate c;
        uint8_t *ek;
        size_t ek_len, exact;
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        ck_assert_int_eq(file_read(&ek, &ek_len, path, 1 << 16, &detail), STATUS_OK);
        ck_assert_int_eq(der_element_len(&exact, bytes_of(ek, ek_len)), STATUS_OK);
        ck_assert_int_eq(certificate_parse(&c, bytes_of(ek, exact), &detail), STATUS_OK);
        ck_assert_int_eq(c.key.kind, i == 0 ? KEY_RSA : KEY_EC_P384);
        enum status status = trust_bundle_verify(bundle, bytes_of(ek, exact), NULL, 0, c.not_before,
                                                 CHAIN_TPM_EK, &detail);
        ck_assert_msg(status == STATUS_OK, "%s: %s", path, detail.text);
        free(ek);
    }
    trust_bundle_free(bundle);
    free(pem);
}

static struct bytes der_of(const char *data, const char *name, struct arena *arena) {
    char path[PATH_SIZE];
    uint8_t *content;
    size_t len;
    struct bytes der;
    (void)snprintf(path, sizeof path, "%s/%s", data, name);
    ck_assert_int_eq(file_read(&content, &len, path, 1 << 16, NULL), STATUS_OK);
    struct bytes in = bytes_of(content, len);
    size_t num = 0;
    if (pem_certificates(arena, &der, &num, 1, in, NULL) != STATUS_OK) {
        der = arena_bytes(arena, in);
    }
    free(content);
    return der;
}

/* Published beside quotes and EKs: which chain to a vendor or to the root beside them, and what
 * stands against the others. */
static const struct {
    const char *leaf, *root, *reason; /* root NULL: the vendors; reason NULL: it chains */
    enum chain_purpose purpose;
} others[] = {
    {"ek/certs/infineon_optiga_rsa_mfg007_ek.der", NULL, NULL, CHAIN_TPM_EK},
    {"ek/certs/gcp-vtpm-ek.pem", NULL, "no trusted issuer 'C=US, ST=California", CHAIN_TPM_EK},
    {"ek/certs/swtpm_fedora33_ek.der", NULL, "no trusted issuer 'CN=swtpm-localca'", CHAIN_TPM_EK},
    {"quotes/verifier_tpm_test/validAk.cert.pem", "quotes/verifier_tpm_test/validCa.cert.pem", NULL,
     CHAIN_ANY},
    {"quotes/verifier_tpm_test/validAk.cert.pem", "quotes/verifier_tpm_test/invalidCaTpm.cert.pem",
     "no trusted issuer", CHAIN_ANY},
    {"quotes/verifier_azure_test/vtpm_ak.cert.der", NULL,
     "no trusted issuer 'CN=Global Virtual TPM CA - 03'", CHAIN_ANY},
    {"quotes/verifier_azure_test/vtpm_ak.cert.der", NULL, "lacks tcg-kp-EKCertificate",
     CHAIN_TPM_EK},
};

START_TEST(certificates_beside_quotes_chain_or_it_is_known_why_not) {
    const char *data = lab_data();
    struct trust_bundle *bundle;
    struct detail detail = {0};
    struct arena arena;
    if (data == NULL) {
        return;
    }
    arena_init(&arena, 1 << 20);
    if (others[_i].root == NULL) {
        size_t len;
        uint8_t *pem = vendors(data, &len);
        ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(pem, len), NULL), STATUS_OK);
        free(pem);
    } else {
        struct trust_certificate root = {.der = der_of(data, others[_i].root, &arena)};
        ck_assert_int_eq(trust_bundle_of(&bundle, &root, 1, NULL), STATUS_OK);
    }
    struct bytes area = der_of(data, others[_i].leaf, &arena), der;
    ck_assert_int_eq(ek_certificate_unwrap(&der, area, &detail), STATUS_OK);
    enum status status =
        trust_bundle_verify(bundle, der, NULL, 0, now, others[_i].purpose, &detail);
    (void)printf("# %s: %s\n", others[_i].leaf, status == STATUS_OK ? "chains" : detail.text);
    ck_assert_int_eq(status, others[_i].reason == NULL ? STATUS_OK : STATUS_INVALID);
    ck_assert(status == STATUS_OK || strstr(detail.text, others[_i].reason) != NULL);
    trust_bundle_free(bundle);
    arena_free(&arena);
}
END_TEST

START_TEST(ek_certificates_of_the_recorded_boots_chain_to_their_authority) {
    const char *data = lab_data();
    char folder[PATH_SIZE];
    unsigned checked = 0;
    if (data == NULL) {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%s/measured-boot", data);
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(folder, sizeof folder, "%s/measured-boot/%s", data, entry->d_name);
            check_booted(folder);
            checked++;
        }
    }
    (void)printf("# %u recorded boots: both EK certificates of each chain to their authority\n",
                 checked);
    (void)closedir(dir);
    ck_assert_uint_gt(checked, 0);
}
END_TEST

int main(void) {
    TCase *published = tcase_create("published");
    tcase_set_timeout(published, 60);
    tcase_add_test(published, every_certificate_that_vendors_publish_is_read);
    tcase_add_test(published, certificates_that_vendors_publish_chain_to_their_roots);
    tcase_add_test(published,
                   certificates_without_their_root_chain_when_their_issuers_are_named_anchors);
    tcase_add_test(published, certificate_published_by_a_vendor_with_a_flipped_bit_does_not_chain);
    tcase_add_test(published, ek_certificate_of_a_real_tpm_chains_to_its_vendor);
    tcase_add_test(published, ek_certificates_of_the_recorded_boots_chain_to_their_authority);
    tcase_add_loop_test(published, certificates_beside_quotes_chain_or_it_is_known_why_not, 0,
                        (int)(sizeof others / sizeof others[0]));
    Suite *suite = suite_create("x509: vendors");
    suite_add_tcase(suite, published);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
