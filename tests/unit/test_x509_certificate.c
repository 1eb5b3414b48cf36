#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)

static enum status parse(struct certificate *out, const struct cert_spec *spec,
                         struct detail *detail) {
    struct bytes der = cert_exact(cert_make(spec));
    enum status status = certificate_parse(out, der, detail);
    if (status == STATUS_OK) {
        ck_assert_ptr_eq(out->der.data, der.data);
    }
    cert_drop(der);
    return status;
}

static enum status parse_as_met(struct certificate *out, const struct cert_spec *spec) {
    struct bytes der = cert_exact(cert_make(spec));
    enum status status = certificate_parse_as_met(out, der, NULL);
    cert_drop(der);
    return status;
}

static struct cert_spec leaf(void) {
    return cert_leaf("leaf", 1, "root", 0);
}

static void assert_refused(const struct cert_spec *spec, enum status status, const char *reason) {
    struct certificate certificate = {.serial_len = 77};
    struct detail detail = {0};
    ck_assert_msg(parse(&certificate, spec, &detail) == status, "%s", detail.text);
    ck_assert_msg(strstr(detail.text, reason) != NULL, "'%s' does not say '%s'", detail.text,
                  reason);
    ck_assert_uint_eq(certificate.serial_len, 77);
}

/* --- what is read
 * ---------------------------------------------------------------------------------- */

START_TEST(certificate_of_openssl_is_read_in_full) {
    struct certificate c;
    struct detail detail = {0};
    lab_run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout k.key "
        "-outform DER "
        "-out c.der -days 30 -set_serial 0x00c0ffee -subj '/C=DE/O=Example, "
        "Inc./OU=a\\+b/CN=Gerät' "
        "-addext subjectAltName=DNS:a.example,URI:spiffe://example.org/device/x,URI:http://second "
        "-utf8");
    lab_run("openssl x509 -inform DER -in c.der -noout -ext subjectKeyIdentifier | tail -1 | tr -d "
            "' :\\n' >ski; "
            "date -u -d \"$(openssl x509 -inform DER -in c.der -noout -enddate | cut -d= -f2)\" "
            "+%%s | tr -d '\\n' >end; "
            "sha256sum c.der | cut -c1-64 | tr -d '\\n' >sha256");
    struct bytes der = lab_read("c.der");
    ck_assert_msg(certificate_parse(&c, der, &detail) == STATUS_OK, "%s", detail.text);
    ck_assert_str_eq(c.subject, "C=DE, O=Example\\, Inc., OU=a\\+b, CN=Ger??t");
    ck_assert_str_eq(c.issuer, c.subject);
    ck_assert_int_eq(c.key.kind, KEY_EC_P384);
    ck_assert(c.is_ca);
    ck_assert_str_eq(c.san_uri, "spiffe://example.org/device/x");
    ck_assert(bytes_equal(bytes_of(c.serial, c.serial_len), LITERAL("\xC0\xFF\xEE")));
    ck_assert_int_eq(c.not_after, strtoll((const char *)lab_read("end").data, NULL, 10));
    ck_assert_int_eq(c.not_after - c.not_before, 30 * 86400);
    char hex[2 * 32 + 1];
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", c.sha256[i]);
    }
    ck_assert_str_eq(hex, (const char *)lab_read("sha256").data);
    ck_assert_uint_eq(c.subject_key_id_len, 20);
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02X", c.subject_key_id[i]);
    }
    ck_assert_str_eq(hex, (const char *)lab_read("ski").data);
}
END_TEST

START_TEST(certificate_without_anything_optional_is_read) {
    struct cert_spec spec = leaf();
    struct certificate c;
    spec.no_extensions = true; /* version 1 */
    spec.subject = NULL;
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_str_eq(c.subject, "");
    ck_assert_str_eq(c.issuer, "CN=root");
    ck_assert_str_eq(c.san_uri, "");
    ck_assert_uint_eq(c.subject_key_id_len, 0);
    ck_assert(!c.is_ca);
}
END_TEST

START_TEST(serial_is_kept_without_leading_zero_and_negative_ones_as_they_are) {
    static const struct {
        const char *content;
        size_t content_len, skipped;
    } serials[] = {
        {"\x00", 1, 0},
        {"\x00\x80", 2, 1},
        {"\x80", 1, 0},
        {"\xFF\x01", 2, 0},
        {"\x00\xFF\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11\x12\x13\x14", 21,
         1}};
    for (size_t i = 0; i < sizeof serials / sizeof serials[0]; i++) {
        struct cert_spec spec = leaf();
        struct certificate c;
        spec.serial = bytes_of(serials[i].content, serials[i].content_len);
        ck_assert_int_eq(parse_as_met(&c, &spec), STATUS_OK);
        ck_assert(bytes_equal(bytes_of(c.serial, c.serial_len),
                              bytes_of(serials[i].content + serials[i].skipped,
                                       serials[i].content_len - serials[i].skipped)));
    }
}
END_TEST

START_TEST(serial_that_is_negative_or_not_in_its_shortest_form_is_refused_but_as_met) {
    static const struct {
        struct bytes content;
        const char *reason;
    } serials[] = {{{(const uint8_t *)"\x80", 1}, "negative"},
                   {{(const uint8_t *)"\xFF\x01", 2}, "negative"},
                   {{(const uint8_t *)"\x00\x01", 2}, "shortest"},
                   {{(const uint8_t *)"\x00\x00", 2}, "shortest"}};
    for (size_t i = 0; i < sizeof serials / sizeof serials[0]; i++) {
        struct cert_spec spec = leaf();
        struct certificate c;
        spec.serial = serials[i].content;
        assert_refused(&spec, STATUS_MALFORMED, serials[i].reason);
        ck_assert_int_eq(parse_as_met(&c, &spec), STATUS_OK);
    }
}
END_TEST

START_TEST(validity_of_two_digit_years_and_of_year_9999_is_read) {
    struct cert_spec spec = leaf();
    struct certificate c;
    spec.not_before = -631152000; /* 1950 */
    spec.not_after = 253402300799;
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    size_t mark = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_UTC_TIME, bytes_of_text("500101000000Z"));
    der_write(&w, DER_GENERALIZED_TIME, bytes_of_text("99991231235959Z"));
    der_close(&w, mark);
    spec.validity = writer_bytes(&w);
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_int_eq(c.not_before, spec.not_before);
    ck_assert_int_eq(c.not_after, spec.not_after);
}
END_TEST

/* DER sorts a SET; vendors do not, and the name means the same. */
START_TEST(name_with_an_unsorted_set_is_refused_but_as_met) {
    static const char *const texts[] = {"O=y + CN=x", "CN=x + O=y"};
    for (int sorted = 0; sorted < 2; sorted++) {
        struct cert_spec spec = leaf();
        struct certificate c;
        spec.subject_name = cert_name_of_two("x", "y", sorted == 1);
        ck_assert_int_eq(parse_as_met(&c, &spec), STATUS_OK);
        ck_assert_str_eq(c.subject, texts[sorted]);
        if (sorted == 1) {
            ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
        } else {
            assert_refused(&spec, STATUS_MALFORMED, "not sorted");
        }
        spec = leaf();
        spec.issuer_name = cert_name_of_two("x", "y", sorted == 1);
        ck_assert_int_eq(parse(&c, &spec, NULL), sorted == 1 ? STATUS_OK : STATUS_MALFORMED);
    }
}
END_TEST

START_TEST(name_that_is_too_long_is_cut) {
    struct cert_spec spec = leaf();
    struct certificate c;
    char name[400];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    spec.subject = name;
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_uint_eq(strlen(c.subject), X509_NAME_TEXT - 1);
}
END_TEST

START_TEST(name_cannot_pass_for_another) {
    struct cert_spec spec = leaf();
    struct certificate c;
    spec.subject = "x, O=Vendor\n\x01\x7F\\";
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_str_eq(c.subject, "CN=x\\, O\\=Vendor???\\\\");
}
END_TEST

START_TEST(key_of_a_kind_that_we_do_not_take_leaves_the_certificate_readable) {
    struct certificate c;
    lab_run(
        "openssl req -x509 -newkey ed448 -nodes -keyout k.key -outform DER -out c.der -subj /CN=x");
    struct bytes der = cert_exact(lab_read("c.der"));
    ck_assert_int_eq(certificate_parse(&c, der, NULL), STATUS_OK);
    ck_assert_int_eq(c.key.kind, KEY_NONE);
    cert_drop(der);
}
END_TEST

/* --- what is refused
 * ------------------------------------------------------------------------------- */

START_TEST(certificate_refuses_every_prefix) {
    struct cert_spec spec = leaf();
    struct bytes der = cert_make(&spec);
    for (size_t len = 0; len < der.len; len++) {
        struct certificate c;
        struct bytes in = cert_exact(bytes_of(der.data, len));
        ck_assert_msg(certificate_parse(&c, in, NULL) != STATUS_OK, "%zu of %zu", len, der.len);
        cert_drop(in);
    }
}
END_TEST

START_TEST(certificate_with_any_flipped_bit_is_read_safely_and_never_as_the_same) {
    struct cert_spec spec = leaf();
    spec.key_id = "id";
    spec.subject_alt_name = LITERAL("\x86\x03x:y");
    struct bytes der = cert_make(&spec);
    struct certificate original, c;
    ck_assert_int_eq(certificate_parse(&original, der, NULL), STATUS_OK);
    for (size_t bit = 0; bit < der.len * 8; bit++) {
        struct bytes in = cert_exact(der);
        cert_writable(in)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (certificate_parse(&c, in, NULL) == STATUS_OK) {
            ck_assert_mem_ne(c.sha256, original.sha256, 32);
            ck_assert_uint_lt(strlen(c.subject) + strlen(c.issuer) + strlen(c.san_uri),
                              2 * X509_NAME_TEXT + X509_SAN_URI_MAX);
        }
        cert_drop(in);
    }
}
END_TEST

START_TEST(certificate_with_trailing_bytes_is_refused_and_its_length_told) {
    struct cert_spec spec = leaf();
    struct certificate c;
    struct detail detail = {0};
    struct bytes der = cert_make(&spec);
    uint8_t padded[2048] = {0};
    size_t len = 0;
    memcpy(padded, der.data, der.len);
    ck_assert_int_eq(certificate_parse(&c, bytes_of(padded, der.len + 1), &detail),
                     STATUS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(detail.text, "1 bytes follow"));
    ck_assert_int_eq(der_element_len(&len, bytes_of(padded, sizeof padded)), STATUS_OK);
    ck_assert_uint_eq(len, der.len);
    len = 7;
    ck_assert_int_eq(der_element_len(&len, bytes_of(padded, der.len - 1)), STATUS_TRUNCATED);
    ck_assert_int_eq(der_element_len(&len, LITERAL("\x04\x01\x00")), STATUS_MALFORMED);
    ck_assert_int_eq(der_element_len(&len, bytes_of(NULL, 0)), STATUS_TRUNCATED);
    ck_assert_uint_eq(len, 7);
}
END_TEST

START_TEST(algorithms_inside_and_outside_must_agree) {
    struct cert_spec spec = leaf();
    spec.outer_algorithm = LITERAL("\x30\x0A\x06\x08" OID_ECDSA_SHA384);
    assert_refused(&spec, STATUS_MALFORMED, "algorithms differ");
}
END_TEST

START_TEST(serial_of_no_bytes_or_too_many_is_refused) {
    struct cert_spec spec = leaf();
    static const uint8_t long_serial[22] = {0x01}, negative[21] = {0xFF};
    spec.serial = bytes_of(long_serial, sizeof long_serial);
    assert_refused(&spec, STATUS_MALFORMED, "serial");
    spec.serial = bytes_of(negative, sizeof negative);
    assert_refused(&spec, STATUS_LIMIT, "serial");
    spec.serial = bytes_of(long_serial, 21); /* positive, 21 bytes */
    assert_refused(&spec, STATUS_LIMIT, "serial");
}
END_TEST

static const struct {
    const char *what;
    struct bytes validity;
} validities[] = {
#define VALIDITY(what, data) {what, {(const uint8_t *)("" data), sizeof(data) - 1}}
    VALIDITY("one time", "\x30\x0F\x17\x0D"
                         "260101000000Z"),
    VALIDITY("three times", "\x30\x2D\x17\x0D"
                            "260101000000Z"
                            "\x17\x0D"
                            "260101000000Z"
                            "\x17\x0D"
                            "260101000000Z"),
    VALIDITY("no seconds", "\x30\x1C\x17\x0B"
                           "2601010000Z"
                           "\x17\x0D"
                           "270101000000Z"),
    VALIDITY("an offset", "\x30\x22\x17\x11"
                          "260101000000+0000"
                          "\x17\x0D"
                          "270101000000Z"),
    VALIDITY("month 13", "\x30\x1E\x17\x0D"
                         "261301000000Z"
                         "\x17\x0D"
                         "270101000000Z"),
    VALIDITY("text", "\x30\x1E\x13\x0D"
                     "260101000000Z"
                     "\x17\x0D"
                     "270101000000Z"),
};

START_TEST(validity_that_is_malformed_is_refused) {
    struct cert_spec spec = leaf();
    spec.validity = validities[_i].validity;
    assert_refused(&spec, STATUS_MALFORMED, "validity");
}
END_TEST

static const struct {
    const char *what, *oid;
    size_t oid_len;
    struct bytes value;
    const char *reason;
} extensions[] = {
#define EXTENSION(oid, what, value, reason)                                                        \
    {what, oid, sizeof(oid) - 1, {(const uint8_t *)("" value), sizeof(value) - 1}, reason}
    EXTENSION(OID_BASIC_CONSTRAINTS, "no sequence", "\x05\x00", "basicConstraints"),
    EXTENSION(OID_BASIC_CONSTRAINTS, "trailing bytes", "\x30\x00\x00", "basicConstraints"),
    EXTENSION(OID_BASIC_CONSTRAINTS, "cA of 1", "\x30\x03\x01\x01\x01", "basicConstraints"),
    EXTENSION(OID_BASIC_CONSTRAINTS, "negative pathlen", "\x30\x06\x01\x01\xFF\x02\x01\xFF",
              "basicConstraints"),
    EXTENSION(OID_BASIC_CONSTRAINTS, "a third field",
              "\x30\x09\x01\x01\xFF\x02\x01\x00\x02\x01\x00", "basicConstraints"),
    EXTENSION(OID_BASIC_CONSTRAINTS, "empty", "", "basicConstraints"),
    EXTENSION(OID_KEY_USAGE, "no bits", "\x03\x01\x00", "keyUsage"),
    EXTENSION(OID_KEY_USAGE, "8 unused bits", "\x03\x02\x08\x80", "keyUsage"),
    EXTENSION(OID_KEY_USAGE, "an octet string", "\x04\x02\x00\x80", "keyUsage"),
    EXTENSION(OID_EXTENDED_KEY_USAGE, "an empty sequence", "\x30\x00", "extKeyUsage"),
    EXTENSION(OID_EXTENDED_KEY_USAGE, "an integer", "\x30\x03\x02\x01\x01", "extKeyUsage"),
    EXTENSION(OID_EXTENDED_KEY_USAGE, "a cut identifier", "\x30\x03\x06\x03\x55", "extKeyUsage"),
    EXTENSION(OID_SUBJECT_ALT_NAME, "an empty sequence", "\x30\x00", "subjectAltName"),
    EXTENSION(OID_SUBJECT_ALT_NAME, "a cut name", "\x30\x03\x86\x05x", "subjectAltName"),
    EXTENSION(OID_SUBJECT_KEY_ID, "a sequence", "\x30\x00", "subjectKeyIdentifier"),
    EXTENSION(OID_SUBJECT_KEY_ID, "trailing bytes", "\x04\x01x\x00", "subjectKeyIdentifier"),
    EXTENSION(OID_AUTHORITY_KEY_ID, "an octet string", "\x04\x01x", "authorityKeyIdentifier"),
    EXTENSION(OID_CERTIFICATE_POLICIES, "an integer", "\x02\x01\x00", "certificatePolicies"),
};

START_TEST(extension_that_is_malformed_is_refused_by_name) {
    struct cert_spec spec = leaf();
    spec.key_usage = -1;
    spec.extra[0] = cert_extension(bytes_of(extensions[_i].oid, extensions[_i].oid_len), false,
                                   extensions[_i].value);
    assert_refused(&spec, STATUS_MALFORMED, extensions[_i].reason);
}
END_TEST

START_TEST(extension_that_occurs_twice_is_refused) {
    struct cert_spec spec = leaf();
    struct bytes unknown = cert_extension(LITERAL("\x2A\x03"), false, LITERAL("\x05\x00"));
    spec.extra[0] = unknown;
    spec.extra[2] = unknown;
    assert_refused(&spec, STATUS_MALFORMED, "twice");
    spec = leaf();
    spec.extra[0] = cert_extension(DER_OID_OF(OID_KEY_USAGE), true, LITERAL("\x03\x02\x00\x04"));
    assert_refused(&spec, STATUS_MALFORMED, "twice");
}
END_TEST

START_TEST(more_than_32_extensions_are_refused) {
    struct cert_spec spec = leaf();
    uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    for (uint8_t i = 0; i < 40; i++) {
        uint8_t oid[] = {0x2A, i};
        write_bytes(&w, cert_extension(bytes_of(oid, 2), false, LITERAL("\x05\x00")));
    }
    spec.extra[0] = writer_bytes(&w);
    assert_refused(&spec, STATUS_LIMIT, "32 extensions");
}
END_TEST

START_TEST(extension_frame_that_is_malformed_is_refused) {
    static const struct bytes frames[] = {
        {(const uint8_t *)"\x30\x00", 2},                                      /* nothing in it */
        {(const uint8_t *)"\x30\x04\x06\x02\x2A\x03", 6},                      /* no value */
        {(const uint8_t *)"\x30\x09\x06\x02\x2A\x03\x01\x01\x01\x04\x00", 11}, /* critical 1 */
        {(const uint8_t *)"\x30\x08\x06\x02\x2A\x03\x04\x00\x05\x00", 10},     /* more behind */
        {(const uint8_t *)"\x31\x06\x06\x02\x2A\x03\x04\x00", 8},              /* a set */
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct cert_spec spec = leaf();
        spec.extra[1] = frames[i];
        assert_refused(&spec, STATUS_MALFORMED, "extension");
    }
}
END_TEST

START_TEST(key_that_is_off_its_curve_is_refused) {
    struct cert_spec spec = leaf();
    struct public_key key;
    uint8_t spki[KEY_SPKI_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    private_key_public(cert_key(1), &key);
    key.y[3] ^= 1;
    ck_assert_int_eq(public_key_to_spki(&w, &key), STATUS_OK);
    spec.spki = writer_bytes(&w);
    assert_refused(&spec, STATUS_INVALID, "curve");
    spec.spki = LITERAL("\x30\x00");
    assert_refused(&spec, STATUS_MALFORMED, "SubjectPublicKeyInfo");
}
END_TEST

START_TEST(san_uri_with_odd_bytes_or_of_odd_length_is_refused) {
    struct cert_spec spec = leaf();
    uint8_t buffer[512], text[300];
    memset(text, 'u', sizeof text);
    spec.subject_alt_name = LITERAL("\x86\x05x:\x00yz");
    assert_refused(&spec, STATUS_MALFORMED, "0x00");
    spec.subject_alt_name = LITERAL("\x86\x04x:y ");
    assert_refused(&spec, STATUS_MALFORMED, "0x20");
    spec.subject_alt_name = LITERAL("\x86\x04x:\xC3\xA4");
    assert_refused(&spec, STATUS_MALFORMED, "0xC3");
    spec.subject_alt_name = LITERAL("\x86\x00");
    assert_refused(&spec, STATUS_LIMIT, "0 bytes");
    struct writer w = writer_of(buffer, sizeof buffer);
    der_write(&w, DER_CONTEXT | 6, bytes_of(text, X509_SAN_URI_MAX));
    spec.subject_alt_name = writer_bytes(&w);
    assert_refused(&spec, STATUS_LIMIT, "256 bytes");
    w = writer_of(buffer, sizeof buffer);
    der_write(&w, DER_CONTEXT | 6, bytes_of(text, X509_SAN_URI_MAX - 1));
    spec.subject_alt_name = writer_bytes(&w);
    struct certificate c;
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_uint_eq(strlen(c.san_uri), X509_SAN_URI_MAX - 1);
}
END_TEST

START_TEST(san_uri_is_the_first_uri_and_no_other_name) {
    struct cert_spec spec = leaf();
    struct certificate c;
    spec.subject_alt_name = LITERAL("\x82\x01"
                                    "d\x86\x01"
                                    "1\x86\x01"
                                    "2");
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_str_eq(c.san_uri, "1");
    spec.subject_alt_name = LITERAL("\x82\x05spiff\xA6\x01x");
    ck_assert_int_eq(parse(&c, &spec, NULL), STATUS_OK);
    ck_assert_str_eq(c.san_uri, "");
}
END_TEST

/* --- PEM
 * -------------------------------------------------------------------------------------------- */

enum { MANY = 5 };

static struct bytes some_pem(struct arena *arena, struct bytes der[MANY]) {
    for (size_t i = 0; i < MANY; i++) {
        struct cert_spec spec = leaf();
        spec.subject = i % 2 == 0 ? "even" : "odd";
        spec.not_after += (int64_t)i;
        der[i] = cert_make(&spec);
    }
    return cert_pem(arena, der, MANY);
}

START_TEST(pem_blocks_come_back_in_order_with_text_between_them) {
    struct arena arena;
    struct bytes der[MANY], out[MANY];
    size_t num = 0;
    arena_init(&arena, 1 << 20);
    struct bytes pem = some_pem(&arena, der);
    char *text = arena_printf(&arena, "# a comment\r\n%s\nsubject=x\n", (const char *)pem.data);
    struct bytes in = cert_exact(bytes_of_text(text));
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY, in, NULL), STATUS_OK);
    ck_assert_uint_eq(num, MANY);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert(bytes_equal(out[i], der[i]));
    }
    cert_drop(in);
    arena_free(&arena);
}
END_TEST

START_TEST(pem_refuses_more_than_asked_for_none_and_broken_blocks) {
    struct arena arena;
    struct bytes der[MANY], out[MANY];
    size_t num = 77;
    struct detail detail = {0};
    arena_init(&arena, 1 << 20);
    struct bytes pem = some_pem(&arena, der);
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY - 1, pem, &detail), STATUS_LIMIT);
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY, bytes_of(NULL, 0), &detail),
                     STATUS_MALFORMED);
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY, bytes_of_text("no PEM"), &detail),
                     STATUS_MALFORMED);
    /* The last block loses its end. */
    struct bytes cut = cert_exact(bytes_of(pem.data, pem.len - 10));
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY, cut, &detail), STATUS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(detail.text, "certificate 5"));
    cert_drop(cut);
    /* A character that is not base64, in the second. */
    struct bytes odd = cert_exact(pem);
    uint8_t *second = memmem(cert_writable(odd) + 30, odd.len - 30, "BEGIN", 5);
    ck_assert_ptr_nonnull(second);
    second[60] = '!';
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY, odd, &detail), STATUS_MALFORMED);
    ck_assert_msg(strstr(detail.text, "certificate 2") != NULL, "%s", detail.text);
    cert_drop(odd);
    ck_assert_uint_eq(num, 77);
    arena_free(&arena);
}
END_TEST

START_TEST(pem_block_marked_as_trusted_is_read_for_bundles_and_refused_elsewhere) {
    struct arena arena;
    struct bytes der[MANY], out[MANY];
    struct trust_certificate trusted[2 * MANY];
    size_t num = 77;
    struct detail detail = {0};
    arena_init(&arena, 1 << 20);
    struct bytes plain = some_pem(&arena, der), marked = cert_trusted_pem(&arena, der, MANY);
    char *both = arena_printf(&arena, "%s%s", (const char *)plain.data, (const char *)marked.data);
    ck_assert_int_eq(pem_certificates(&arena, out, &num, MANY, marked, &detail),
                     STATUS_UNSUPPORTED);
    ck_assert_msg(strstr(detail.text, "marked as trusted") != NULL, "%s", detail.text);
    ck_assert_uint_eq(num, 77);
    ck_assert_int_eq(
        pem_trust_certificates(&arena, trusted, &num, 2 * MANY - 1, bytes_of_text(both), &detail),
        STATUS_LIMIT);
    ck_assert_int_eq(
        pem_trust_certificates(&arena, trusted, &num, 2 * MANY, bytes_of_text(both), &detail),
        STATUS_OK);
    ck_assert_uint_eq(num, 2 * MANY);
    for (size_t i = 0; i < num; i++) {
        ck_assert(bytes_equal(trusted[i].der, der[i % MANY]));
        ck_assert(trusted[i].anchor == (i >= MANY));
    }
    /* The end has to have the mark of its beginning. */
    char *end = strstr(both, "-----END CERTIFICATE");
    ck_assert_ptr_nonnull(end);
    char *mixed = arena_printf(&arena, "%.*s-----END TRUSTED%s", (int)(end - both), both, end + 8);
    ck_assert_int_eq(
        pem_trust_certificates(&arena, trusted, &num, 2 * MANY, bytes_of_text(mixed), &detail),
        STATUS_MALFORMED);
    arena_free(&arena);
}
END_TEST

START_TEST(pem_refuses_an_arena_that_is_too_small) {
    struct arena large, small;
    struct bytes der[MANY], out[MANY];
    size_t num;
    arena_init(&large, 1 << 20);
    struct bytes pem = some_pem(&large, der);
    arena_init(&small, 900);
    ck_assert_int_eq(pem_certificates(&small, out, &num, MANY, pem, NULL), STATUS_MEMORY);
    ck_assert_ptr_null(certificate_to_pem(&small, der[0]));
    arena_free(&small);
    arena_free(&large);
}
END_TEST

START_TEST(pem_that_we_write_is_read_by_openssl) {
    struct arena arena;
    struct cert_spec spec = leaf();
    struct bytes der = cert_make(&spec);
    arena_init(&arena, 1 << 20);
    lab_write("our.pem", bytes_of_text(certificate_to_pem(&arena, der)));
    lab_run("openssl x509 -in our.pem -outform DER -out back.der");
    ck_assert(bytes_equal(lab_read("back.der"), der));
    arena_free(&arena);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    lab_open();
    (void)cert_key(0);
    (void)cert_key(1);
    TCase *reading = tcase_create("reading");
    tcase_add_test(reading, certificate_of_openssl_is_read_in_full);
    tcase_add_test(reading, certificate_without_anything_optional_is_read);
    tcase_add_test(reading, serial_is_kept_without_leading_zero_and_negative_ones_as_they_are);
    tcase_add_test(reading,
                   serial_that_is_negative_or_not_in_its_shortest_form_is_refused_but_as_met);
    tcase_add_test(reading, validity_of_two_digit_years_and_of_year_9999_is_read);
    tcase_add_test(reading, name_with_an_unsorted_set_is_refused_but_as_met);
    tcase_add_test(reading, name_that_is_too_long_is_cut);
    tcase_add_test(reading, name_cannot_pass_for_another);
    tcase_add_test(reading, key_of_a_kind_that_we_do_not_take_leaves_the_certificate_readable);
    tcase_add_test(reading, san_uri_is_the_first_uri_and_no_other_name);
    TCase *refusing = tcase_create("refusing");
    tcase_set_timeout(refusing, 60);
    tcase_add_test(refusing, certificate_refuses_every_prefix);
    tcase_add_test(refusing, certificate_with_any_flipped_bit_is_read_safely_and_never_as_the_same);
    tcase_add_test(refusing, certificate_with_trailing_bytes_is_refused_and_its_length_told);
    tcase_add_test(refusing, algorithms_inside_and_outside_must_agree);
    tcase_add_test(refusing, serial_of_no_bytes_or_too_many_is_refused);
    tcase_add_loop_test(refusing, validity_that_is_malformed_is_refused, 0, COUNT(validities));
    tcase_add_loop_test(refusing, extension_that_is_malformed_is_refused_by_name, 0,
                        COUNT(extensions));
    tcase_add_test(refusing, extension_that_occurs_twice_is_refused);
    tcase_add_test(refusing, more_than_32_extensions_are_refused);
    tcase_add_test(refusing, extension_frame_that_is_malformed_is_refused);
    tcase_add_test(refusing, key_that_is_off_its_curve_is_refused);
    tcase_add_test(refusing, san_uri_with_odd_bytes_or_of_odd_length_is_refused);
    TCase *pem = tcase_create("PEM");
    tcase_add_test(pem, pem_blocks_come_back_in_order_with_text_between_them);
    tcase_add_test(pem, pem_refuses_more_than_asked_for_none_and_broken_blocks);
    tcase_add_test(pem, pem_refuses_an_arena_that_is_too_small);
    tcase_add_test(pem, pem_block_marked_as_trusted_is_read_for_bundles_and_refused_elsewhere);
    tcase_add_test(pem, pem_that_we_write_is_read_by_openssl);
    Suite *suite = suite_create("x509: certificates");
    suite_add_tcase(suite, reading);
    suite_add_tcase(suite, refusing);
    suite_add_tcase(suite, pem);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
