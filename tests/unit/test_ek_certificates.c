/* EK certificates as they are met: what stands around them in NV areas, and what vendors do
 * differently in them. Nothing of it makes another TPM's certificate fit. */
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/identity/enrolment.h"
#include "tests/unit/cert_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)
#define TPM_SAN                                                                                    \
    "\xA4\x43\x30\x41\x31\x16\x30\x14\x06\x05\x67\x81\x05\x02\x01\x0C\x0B"                         \
    "id:49424D00"                                                                                  \
    "\x31\x0F\x30\x0D\x06\x05\x67\x81\x05\x02\x02\x0C\x04"                                         \
    "vTPM"                                                                                         \
    "\x31\x16\x30\x14\x06\x05\x67\x81\x05\x02\x03\x0C\x0B"                                         \
    "id:00010002"

enum { AREA_MAX = 8192 };

static struct cert_spec ek_spec(void) {
    struct cert_spec spec = cert_leaf(NULL, CERT_KEY_RSA, "vendor", 0);
    spec.key_usage = 0x20;
    spec.subject_alt_name = LITERAL(TPM_SAN);
    spec.subject_alt_name_critical = true;
    spec.extended_key_usage = LITERAL(OID_TCG_KP_EK);
    return spec;
}

static enum status check(struct bytes area, size_t key, struct bytes *der, struct detail *detail) {
    struct cert_spec root = cert_ca("vendor", 0, "vendor", 0);
    struct trust_certificate anchor = {.der = cert_make(&root)};
    struct trust_bundle *bundle;
    struct tpm_public ek = {0};
    private_key_public(cert_key(key), &ek.key);
    ck_assert_int_eq(trust_bundle_of(&bundle, &anchor, 1, NULL), STATUS_OK);
    enum status status = ek_certificate_check(der, area, &ek, bundle, CERT_NOW, detail);
    trust_bundle_free(bundle);
    return status;
}

/* --- what vendors do ---------------------------------------------------------------------------- */

/* Hashes and mask generation with SHA-256 and the label "TCPA", as SLB 9655 and kin have them. */
#define OAEP_PARAMETERS                                                                            \
    "\x30\x45\xA0\x0F\x30\x0D\x06\x09" OID_SHA256 "\x05\x00"                                       \
    "\xA1\x1C\x30\x1A\x06\x09" OID_MGF1 "\x30\x0D\x06\x09" OID_SHA256 "\x05\x00"                   \
    "\xA2\x14\x30\x12\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x09\x04\x05"                         \
    "TCPA\0"

static struct bytes oaep_parameters(int which) {
    static const struct bytes all[] = {
        {NULL, 0},
        {(const uint8_t *)"\x05\x00", 2},
        {(const uint8_t *)"\x30\x00", 2},
        {(const uint8_t *)OAEP_PARAMETERS, sizeof OAEP_PARAMETERS - 1}};
    return all[which];
}

enum { QUIRKS = 8 };

static struct cert_spec with_quirk(int which) {
    struct cert_spec spec = ek_spec();
    if (which < 4) {
        spec.spki = cert_oaep_spki(CERT_KEY_RSA, oaep_parameters(which));
    } else if (which == 4) {
        spec.serial = LITERAL("\xFE\xDC\xBA");
    } else if (which == 5) {
        spec.subject_name = cert_name_of_two("TPM", "vendor", false);
    } else if (which == 6) {
        spec.not_after = 253402300799;
    } else {
        spec.serial = LITERAL("\x00\x01");
    }
    return spec;
}

START_TEST(ek_certificate_with_a_vendors_quirk_is_taken) {
    struct cert_spec spec = with_quirk(_i);
    struct detail detail = {0};
    ck_assert_msg(check(cert_make(&spec), CERT_KEY_RSA, NULL, &detail) == STATUS_OK, "%d: %s", _i,
                  detail.text);
}
END_TEST

START_TEST(ek_certificate_with_a_quirk_never_fits_another_ek) {
    struct cert_spec spec = with_quirk(_i);
    struct detail detail = {0};
    for (size_t key = 0; key < CERT_KEY_RSA; key++) {
        ck_assert_int_eq(check(cert_make(&spec), key, NULL, &detail), STATUS_INVALID);
        ck_assert_str_eq(detail.text, "EK certificate: its key is not the EK");
    }
}
END_TEST

START_TEST(ek_certificate_with_a_quirk_by_another_authority_is_refused) {
    struct cert_spec spec = with_quirk(_i);
    struct detail detail = {0};
    spec.signer = 1;
    ck_assert_int_eq(check(cert_make(&spec), CERT_KEY_RSA, NULL, &detail), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "signature by 'CN=vendor'"));
}
END_TEST

START_TEST(ek_certificate_with_malformed_oaep_parameters_is_refused) {
    static const struct bytes wrong[] = {
        {(const uint8_t *)"\x30\x02\xA3\x00", 4},         /* [3] */
        {(const uint8_t *)"\x30\x04\xA1\x00\xA0\x00", 6}, /* out of order */
        {(const uint8_t *)"\x30\x04\xA0\x00\xA0\x00", 6}, /* twice */
        {(const uint8_t *)"\x30\x00\x30\x00", 4},         {(const uint8_t *)"\x04\x00", 2},
        {(const uint8_t *)"\x30\x02\x04\x00", 4},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cert_spec spec = ek_spec();
        struct detail detail = {0};
        spec.spki = cert_oaep_spki(CERT_KEY_RSA, wrong[i]);
        ck_assert_int_eq(check(cert_make(&spec), CERT_KEY_RSA, NULL, &detail), STATUS_INVALID);
        ck_assert_msg(strstr(detail.text, "OAEP") != NULL, "%zu: %s", i, detail.text);
    }
}
END_TEST

/* --- what stands around them --------------------------------------------------------------------- */

enum wrapping { PLAIN, HEADER, HEADER_WITHOUT_INNER_TAG, OCTETS, HEADER_AND_OCTETS, WRAPPINGS };

static uint8_t area_bytes[AREA_MAX];

static void octets(struct writer *w, struct bytes der, size_t padding, uint8_t pad) {
    uint8_t inner[4096];
    struct writer content = writer_of(inner, sizeof inner);
    write_bytes(&content, der);
    for (size_t i = 0; i < padding; i++) {
        write_u8(&content, pad);
    }
    der_write(w, DER_OCTET_STRING, writer_bytes(&content));
}

/* Padding goes inside of each wrapping, and behind all. */
static struct bytes wrap(struct bytes der, enum wrapping how, size_t padding, uint8_t pad) {
    uint8_t inner[6000];
    struct writer content = writer_of(inner, sizeof inner),
                  w = writer_of(area_bytes, sizeof area_bytes);
    bool header = how == HEADER || how == HEADER_WITHOUT_INNER_TAG || how == HEADER_AND_OCTETS;
    if (how == HEADER || how == HEADER_AND_OCTETS) {
        write_u16be(&content, 0x1002);
    }
    if (how == OCTETS || how == HEADER_AND_OCTETS) {
        octets(&content, der, padding, pad);
    } else {
        write_bytes(&content, der);
    }
    for (size_t i = 0; i < padding; i++) {
        write_u8(&content, pad);
    }
    if (header) {
        write_u16be(&w, 0x1001);
        write_u8(&w, 0);
        write_u16be(&w, (uint16_t)content.len);
    }
    write_bytes(&w, writer_bytes(&content));
    for (size_t i = 0; i < padding; i++) {
        write_u8(&w, pad);
    }
    ck_assert(!w.overflow && !content.overflow);
    return writer_bytes(&w);
}

START_TEST(ek_certificate_is_found_in_what_an_nv_area_holds) {
    static const size_t paddings[] = {0, 1, 3, 700};
    struct cert_spec spec = ek_spec();
    struct bytes der = cert_make(&spec), found;
    struct detail detail = {0};
    for (size_t i = 0; i < 4; i++) {
        for (unsigned pad = 0; pad <= 0xFF; pad += 0xFF) {
            struct bytes area = cert_exact(wrap(der, (enum wrapping)_i, paddings[i], (uint8_t)pad));
            enum status status = check(area, CERT_KEY_RSA, &found, &detail);
            ck_assert_msg(status == STATUS_OK, "%d %zu %u: %s", _i, i, pad, detail.text);
            ck_assert(bytes_equal(found, der));
            ck_assert_int_eq(check(area, 3, NULL, &detail), STATUS_INVALID);
            cert_drop(area);
        }
    }
}
END_TEST

START_TEST(nv_area_cut_anywhere_is_refused) {
    struct cert_spec spec = ek_spec();
    struct bytes area = wrap(cert_make(&spec), (enum wrapping)_i, 0, 0), der;
    for (size_t len = 0; len < area.len; len++) {
        struct bytes cut = cert_exact(bytes_of(area.data, len));
        struct detail detail = {0};
        ck_assert_int_eq(ek_certificate_unwrap(&der, cut, &detail), STATUS_INVALID);
        ck_assert_uint_gt(strlen(detail.text), 0);
        cert_drop(cut);
    }
}
END_TEST

START_TEST(nv_area_with_anything_but_padding_behind_is_refused) {
    static const struct bytes behind[] = {{(const uint8_t *)"\x01", 1},
                                          {(const uint8_t *)"\x00\xFF", 2},
                                          {(const uint8_t *)"\xFF\x00", 2},
                                          {(const uint8_t *)"\x00\x00\x00\x01", 4}};
    struct cert_spec spec = ek_spec();
    struct bytes area = wrap(cert_make(&spec), (enum wrapping)_i, 0, 0), der;
    for (size_t i = 0; i < 4; i++) {
        memcpy(area_bytes + area.len, behind[i].data, behind[i].len);
        struct detail detail = {0};
        ck_assert_int_eq(
            ek_certificate_unwrap(&der, bytes_of(area_bytes, area.len + behind[i].len), &detail),
            STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(detail.text, "after it"));
    }
}
END_TEST

START_TEST(nv_header_of_another_kind_or_length_is_refused) {
    struct cert_spec spec = ek_spec();
    struct bytes der, area = wrap(cert_make(&spec), HEADER, 0, 0);
    /* A partial certificate; another tag; a shorter and a longer content; another inner tag. */
    static const struct {
        size_t at;
        uint8_t mask;
    } changes[] = {{2, 1}, {0, 1}, {1, 2}, {4, 1}, {3, 1}, {3, 0x80}, {6, 1}};
    ck_assert_int_eq(ek_certificate_unwrap(&der, area, NULL), STATUS_OK);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        area_bytes[changes[i].at] ^= changes[i].mask;
        ck_assert_msg(ek_certificate_unwrap(&der, area, NULL) == STATUS_INVALID, "%zu", i);
        area_bytes[changes[i].at] ^= changes[i].mask;
    }
}
END_TEST

START_TEST(wrapping_is_taken_off_once) {
    struct cert_spec spec = ek_spec();
    uint8_t copy[AREA_MAX];
    for (enum wrapping how = HEADER; how < WRAPPINGS; how++) {
        struct bytes der, area = wrap(cert_make(&spec), how, 0, 0);
        memcpy(copy, area.data, area.len);
        struct bytes again = wrap(bytes_of(copy, area.len), how, 0, 0);
        ck_assert_int_eq(ek_certificate_unwrap(&der, again, NULL), STATUS_INVALID);
    }
    /* A header inside an OCTET STRING is none that vendors write. */
    struct bytes der, area = wrap(cert_make(&spec), HEADER, 0, 0);
    memcpy(copy, area.data, area.len);
    area = wrap(bytes_of(copy, area.len), OCTETS, 0, 0);
    ck_assert_int_eq(ek_certificate_unwrap(&der, area, NULL), STATUS_INVALID);
}
END_TEST

int main(void) {
    TCase *quirks = tcase_create("quirks"), *areas = tcase_create("areas");
    tcase_set_timeout(quirks, 60);
    tcase_set_timeout(areas, 60);
    tcase_add_loop_test(quirks, ek_certificate_with_a_vendors_quirk_is_taken, 0, QUIRKS);
    tcase_add_loop_test(quirks, ek_certificate_with_a_quirk_never_fits_another_ek, 0, QUIRKS);
    tcase_add_loop_test(quirks, ek_certificate_with_a_quirk_by_another_authority_is_refused, 0,
                        QUIRKS);
    tcase_add_test(quirks, ek_certificate_with_malformed_oaep_parameters_is_refused);
    tcase_add_loop_test(areas, ek_certificate_is_found_in_what_an_nv_area_holds, 0, WRAPPINGS);
    tcase_add_loop_test(areas, nv_area_cut_anywhere_is_refused, 0, WRAPPINGS);
    tcase_add_loop_test(areas, nv_area_with_anything_but_padding_behind_is_refused, 0, WRAPPINGS);
    tcase_add_test(areas, nv_header_of_another_kind_or_length_is_refused);
    tcase_add_test(areas, wrapping_is_taken_off_once);
    for (size_t i = 0; i < CERT_KEYS; i++) {
        (void)cert_key(i);
    }
    Suite *suite = suite_create("EK certificates");
    suite_add_tcase(suite, quirks);
    suite_add_tcase(suite, areas);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
