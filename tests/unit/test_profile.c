#include "server/credential/profile.h"
#include "server/crypto/random.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

static const char device_id[] = "0123456789abcdef0123456789abcdef";
static const char identity_uri[] = "spiffe://example.org/identity/0123456789abcdef0123456789abcdef";
static const char access_uri[] = "spiffe://example.org/device/0123456789abcdef0123456789abcdef";

static int64_t now;
/* An authority of each kind of key, made in main. */
enum { CA_P256, CA_P384, NUM_CAS };
static const size_t ca_keys[NUM_CAS] = {0, CERT_KEY_P384};
static uint8_t ca_der[NUM_CAS][CERTIFICATE_DER_MAX];
static size_t ca_len[NUM_CAS];
/* SPKIs of what is certified. */
enum {
    SUBJECT_P256,
    SUBJECT_P384,
    SUBJECT_RSA,
    SUBJECT_ED25519,
    SUBJECT_P521,
    SUBJECT_RSA1024,
    NUM_SUBJECTS
};
static uint8_t spki[NUM_SUBJECTS][KEY_SPKI_MAX];
static size_t spki_len[NUM_SUBJECTS];

static struct bytes spki_of_key(const struct private_key *key, uint8_t out[static KEY_SPKI_MAX]) {
    struct public_key public;
    struct writer w = writer_of(out, KEY_SPKI_MAX);
    private_key_public(key, &public);
    if (public_key_to_spki(&w, &public) != STATUS_OK) {
        exit(1);
    }
    return writer_bytes(&w);
}

static struct certificate_request request_of(enum profile profile) {
    struct certificate_request request = {
        .profile = profile,
        .spki = bytes_of(spki[SUBJECT_P256], spki_len[SUBJECT_P256]),
        .common_name = device_id,
        .not_before = now - MINUTE,
        .not_after = now + HOUR,
        .serial = {0x7F, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    if (profile == PROFILE_IDENTITY) {
        request.san_uri = identity_uri;
    } else if (profile == PROFILE_ACCESS) {
        request.san_uri = access_uri;
        request.tier = "measured";
    } else if (profile == PROFILE_SERVER) {
        request.san[0] = "gate.example.org";
        request.san[1] = "192.0.2.1";
        request.san[2] = "2001:db8::1";
        request.san[3] = "*.example.org";
    }
    return request;
}

static struct issuer issuer_of(size_t ca) {
    return (struct issuer){.key = cert_key(ca_keys[ca]),
                           .certificate = bytes_of(ca_der[ca], ca_len[ca])};
}

static void make_fixture(void) {
    lab_open();
    now = (int64_t)time(NULL);
    for (size_t i = 0; i < CERT_KEYS; i++) {
        (void)cert_key(i);
    }
    spki_len[SUBJECT_P256] = spki_of_key(cert_key(1), spki[SUBJECT_P256]).len;
    spki_len[SUBJECT_P384] = spki_of_key(cert_key(CERT_KEY_P384), spki[SUBJECT_P384]).len;
    spki_len[SUBJECT_RSA] = spki_of_key(cert_key(CERT_KEY_RSA), spki[SUBJECT_RSA]).len;
    static const char *makes[] = {"-algorithm ED25519",
                                  "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
                                  "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"};
    for (size_t i = 0; i < 3; i++) {
        lab_run("openssl genpkey %s | openssl pkey -pubout -outform DER -out k.spki", makes[i]);
        struct bytes der = lab_read("k.spki");
        memcpy(spki[SUBJECT_ED25519 + i], der.data, der.len);
        spki_len[SUBJECT_ED25519 + i] = der.len;
    }
    for (size_t i = 0; i < NUM_CAS; i++) {
        uint8_t own[KEY_SPKI_MAX];
        struct certificate_request request = request_of(PROFILE_CA);
        struct issuer issuer = {.key = cert_key(ca_keys[i])};
        struct writer w = writer_of(ca_der[i], sizeof ca_der[i]);
        request.common_name = i == CA_P256 ? "Gatehouse CA" : "Gatehouse CA P-384";
        request.spki = spki_of_key(issuer.key, own);
        request.not_after = now + 3650 * DAY;
        struct detail detail = {0};
        if (profile_issue(&w, &issuer, &request, &detail) != STATUS_OK) {
            (void)fprintf(stderr, "%s\n", detail.text);
            exit(1);
        }
        ca_len[i] = w.len;
        lab_write(i == CA_P256 ? "ca.der" : "ca384.der", writer_bytes(&w));
    }
    lab_run("openssl x509 -inform DER -in ca.der -out ca.pem; openssl x509 -inform DER -in "
            "ca384.der -out ca384.pem");
}

/* Issues and keeps the DER in static storage. */
static struct bytes issue(size_t ca, const struct certificate_request *request) {
    static uint8_t buffer[CERTIFICATE_DER_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct issuer issuer = issuer_of(ca);
    struct detail detail = {0};
    enum status status = profile_issue(&w, &issuer, request, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
    return writer_bytes(&w);
}

static void assert_refused_by(const struct issuer *issuer,
                              const struct certificate_request *request, const char *reason) {
    uint8_t buffer[CERTIFICATE_DER_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct detail detail = {0};
    enum status status = profile_issue(&w, issuer, request, &detail);
    ck_assert_msg(status == STATUS_INVALID, "%s: %s", status_name(status), detail.text);
    ck_assert_msg(strstr(detail.text, reason) != NULL, "'%s' does not say '%s'", detail.text,
                  reason);
    ck_assert_uint_eq(w.len, 0);
}

static void assert_refused(const struct certificate_request *request, const char *reason) {
    struct issuer issuer = issuer_of(CA_P256);
    assert_refused_by(&issuer, request, reason);
}

/* --- what is issued
 * --------------------------------------------------------------------------------- */

static const enum profile leaves[] = {PROFILE_IDENTITY, PROFILE_ACCESS, PROFILE_SERVER,
                                      PROFILE_CLIENT};
enum { NUM_LEAVES = 4, NUM_GOOD_SUBJECTS = 4 };

/* Loops over profile x key x authority. */
START_TEST(certificate_of_every_profile_and_key_is_strictly_valid_for_openssl) {
    size_t ca = (size_t)_i % NUM_CAS, subject = (size_t)_i / NUM_CAS % NUM_GOOD_SUBJECTS;
    enum profile profile = leaves[(size_t)_i / NUM_CAS / NUM_GOOD_SUBJECTS];
    struct certificate_request request = request_of(profile);
    request.spki = bytes_of(spki[subject], spki_len[subject]);
    lab_write("leaf.der", issue(ca, &request));
    lab_run("openssl x509 -inform DER -in leaf.der -out leaf.pem; "
            "openssl verify -x509_strict -check_ss_sig -purpose %s -CAfile %s leaf.pem",
            profile == PROFILE_SERVER ? "sslserver" : "sslclient",
            ca == CA_P256 ? "ca.pem" : "ca384.pem");
    ck_assert(lab_said("leaf.pem: OK"));
    /* And for nothing else. */
    ck_assert(!lab_try("openssl verify -x509_strict -purpose %s -CAfile %s leaf.pem",
                       profile == PROFILE_SERVER ? "sslclient" : "sslserver",
                       ca == CA_P256 ? "ca.pem" : "ca384.pem"));
    lab_write("spki", bytes_of(spki[subject], spki_len[subject]));
    lab_run(
        "openssl x509 -in leaf.pem -noout -pubkey | openssl pkey -pubin -outform DER | cmp - spki");
}
END_TEST

static const struct {
    enum profile profile;
    const char *text;
} shapes[] = {
    {PROFILE_IDENTITY, "X509v3 Key Usage: critical\n    Digital Signature\n"
                       "X509v3 Extended Key Usage: \n    TLS Web Client Authentication\n"
                       "X509v3 Subject Alternative Name: \n"
                       "    URI:spiffe://example.org/identity/0123456789abcdef0123456789abcdef\n"},
    {PROFILE_ACCESS, "X509v3 Key Usage: critical\n    Digital Signature\n"
                     "X509v3 Extended Key Usage: \n    TLS Web Client Authentication\n"
                     "X509v3 Subject Alternative Name: \n"
                     "    URI:spiffe://example.org/device/0123456789abcdef0123456789abcdef\n"},
    {PROFILE_SERVER,
     "X509v3 Key Usage: critical\n    Digital Signature\n"
     "X509v3 Extended Key Usage: \n    TLS Web Server Authentication\n"
     "X509v3 Subject Alternative Name: \n"
     "    DNS:gate.example.org, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, "
     "DNS:*.example.org\n"},
    {PROFILE_OCSP, "X509v3 Key Usage: critical\n    Digital Signature\n"
                   "X509v3 Extended Key Usage: \n    OCSP Signing\n"
                   "    OCSP No Check: \n\n"},
    {PROFILE_CLIENT, "X509v3 Key Usage: critical\n    Digital Signature\n"
                     "X509v3 Extended Key Usage: \n    TLS Web Client Authentication\n"},
};

START_TEST(extensions_are_those_of_the_profile_and_no_more) {
    struct certificate_request request = request_of(shapes[_i].profile);
    char expected[1024];
    lab_write("leaf.der", issue(CA_P256, &request));
    lab_run("openssl x509 -inform DER -in leaf.der -noout -text -certopt "
            "ext_parse,no_header,no_version,no_serial,"
            "no_signame,no_validity,no_subject,no_issuer,no_pubkey,no_sigdump,no_aux | grep -v "
            "'X509v3 extensions' "
            "| sed 's/^        //; s/^    \\(X509\\)/\\1/; s/^        /    /' >all; "
            "sed -n '/Subject Key Identifier/,$p' all >ids; sed '/Subject Key Identifier/,$d' all "
            ">ext");
    (void)snprintf(expected, sizeof expected, "%s", shapes[_i].text);
    ck_assert_str_eq((const char *)lab_read("ext").data, expected);
    /* noRevAvail, which openssl may know no name of, is all that comes behind them. */
    lab_run("test $(grep -c ': *$' ids) -eq %d && grep -q 'Subject Key' ids && grep -q 'Authority "
            "Key' ids",
            shapes[_i].profile == PROFILE_ACCESS ? 3 : 2);
}
END_TEST

/* The ids of the two authorities, as the URLs have them. */
static const char *ca_id(size_t ca) {
    static char hex[17];
    struct public_key key;
    uint8_t sha256[32];
    private_key_public(cert_key(ca_keys[ca]), &key);
    ck_assert_int_eq(public_key_spki_sha256(sha256, &key), STATUS_OK);
    for (size_t i = 0; i < 8; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    }
    return hex;
}

START_TEST(credential_says_where_its_revocation_is_told) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    char expected[1024];
    request.public_url = "http://pki.example:8480/gate";
    lab_write("leaf.der", issue((size_t)_i, &request));
    lab_run("openssl x509 -inform DER -in leaf.der -noout -ext "
            "crlDistributionPoints,authorityInfoAccess | sed 's/^ *//' >ext; "
            "openssl x509 -inform DER -in leaf.der -out leaf.pem; "
            "openssl verify -x509_strict -purpose sslclient -CAfile %s leaf.pem; "
            "! openssl asn1parse -inform DER -in leaf.der | grep -i -e 2.5.29.56 -e 'No Rev'",
            _i == CA_P256 ? "ca.pem" : "ca384.pem");
    (void)snprintf(expected, sizeof expected,
                   "X509v3 CRL Distribution Points: \n"
                   "Full Name:\n"
                   "URI:http://pki.example:8480/gate/v1/crl/%s.crl\n"
                   "Authority Information Access: \n"
                   "OCSP - URI:http://pki.example:8480/gate/v1/ocsp\n",
                   ca_id((size_t)_i));
    (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
                   "CA Issuers - URI:http://pki.example:8480/gate/v1/ca/access/%s.cer\n",
                   ca_id((size_t)_i));
    ck_assert_str_eq((const char *)lab_read("ext").data, expected);
}
END_TEST

START_TEST(credential_without_a_url_says_that_nothing_tells_and_asks_nobody) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    /* Extension { 2.5.29.56, not critical, NULL } (RFC 9608 2) */
    static const uint8_t wanted[] = {0x30, 0x09, 0x06, 0x03, 0x55, 0x1d, 0x38, 0x04, 0x02, 0x05, 0};
    struct bytes der = issue(CA_P256, &request);
    ck_assert_ptr_nonnull(memmem(der.data, der.len, wanted, sizeof wanted));
    lab_write("leaf.der", der);
    lab_run("! openssl x509 -inform DER -in leaf.der -noout -text | grep -i -e 'URI:http' -e OCSP");
}
END_TEST

START_TEST(the_longest_url_fits_beside_the_largest_of_everything) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    char url[PROFILE_URL_MAX + 1], domain[129], uri[X509_SAN_URI_MAX], segment[SEGMENT_MAX + 1];
    memset(url, 'a', sizeof url - 1);
    memcpy(url, "http://", 7);
    memset(domain, 'd', sizeof domain - 1);
    memset(segment, 's', sizeof segment - 1);
    url[sizeof url - 1] = domain[sizeof domain - 1] = segment[sizeof segment - 1] = '\0';
    ck_assert_int_eq(profile_san_uri(uri, PROFILE_ACCESS, domain, device_id, NULL), STATUS_OK);
    lab_run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 | "
            "openssl pkey -pubout -outform DER -out rsa4096.spki");
    request.spki = lab_read("rsa4096.spki");
    request.san_uri = uri;
    request.segment = segment;
    request.tier = "verified_boot";
    request.public_url = url;
    ck_assert_uint_gt(issue(CA_P384, &request).len, 1500);
}
END_TEST

static const struct {
    enum profile profile;
    const char *url;
} wrong_urls[] = {
    {PROFILE_IDENTITY, "http://pki.example"},
    {PROFILE_SERVER, "http://pki.example"},
    {PROFILE_CLIENT, "http://pki.example"},
    {PROFILE_ACCESS, ""},
    {PROFILE_ACCESS, "pki.example"},
    {PROFILE_ACCESS, "ftp://pki.example"},
    {PROFILE_ACCESS, "http://pki.example/?a=b"},
    {PROFILE_ACCESS, "http://pki.example/#a"},
    {PROFILE_ACCESS, "http://pki example"},
    {PROFILE_ACCESS, "http://p\xc3\xa4.example"},
    {PROFILE_ACCESS, "http://"
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, /* 121 bytes */
};

START_TEST(url_that_is_none_or_of_another_profile_is_refused) {
    struct certificate_request request = request_of(wrong_urls[_i].profile);
    request.public_url = wrong_urls[_i].url;
    assert_refused(&request, "the public URL is not for it, or none");
}
END_TEST

START_TEST(ca_is_critical_limited_to_leaves_and_signs_certificates_and_crls_only) {
    lab_run("openssl x509 -in %s -noout -ext basicConstraints,keyUsage >ext; openssl verify "
            "-x509_strict -check_ss_sig "
            "-CAfile %s %s",
            _i == 0 ? "ca.pem" : "ca384.pem", _i == 0 ? "ca.pem" : "ca384.pem",
            _i == 0 ? "ca.pem" : "ca384.pem");
    ck_assert_str_eq((const char *)lab_read("ext").data, "X509v3 Basic Constraints: critical\n"
                                                         "    CA:TRUE, pathlen:0\n"
                                                         "X509v3 Key Usage: critical\n"
                                                         "    Certificate Sign, CRL Sign\n");
}
END_TEST

START_TEST(identifiers_serial_validity_and_names_are_as_asked) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    struct certificate leaf, ca;
    struct bytes der = issue(CA_P256, &request);
    ck_assert_int_eq(certificate_parse(&leaf, der, NULL), STATUS_OK);
    ck_assert_int_eq(certificate_parse(&ca, bytes_of(ca_der[0], ca_len[0]), NULL), STATUS_OK);
    ck_assert_int_eq(leaf.not_before, request.not_before);
    ck_assert_int_eq(leaf.not_after, request.not_after);
    ck_assert_str_eq(leaf.subject, "OU=measured, CN=0123456789abcdef0123456789abcdef");
    ck_assert_str_eq(leaf.issuer, ca.subject);
    ck_assert_str_eq(leaf.san_uri, access_uri);
    ck_assert(!leaf.is_ca && ca.is_ca);
    ck_assert(bytes_equal(bytes_of(leaf.serial, leaf.serial_len), bytes_of(request.serial, 16)));
    lab_write("leaf.der", der);
    lab_run("openssl x509 -inform DER -in leaf.der -noout -ext authorityKeyIdentifier | tail -1 | "
            "tr -d ' ' >a; "
            "openssl x509 -in ca.pem -noout -ext subjectKeyIdentifier | tail -1 | tr -d ' ' >b; "
            "cmp a b");
    /* RFC 7093 2 (1): the first 160 bits of SHA-256 over the key's bits. */
    lab_run("openssl x509 -inform DER -in leaf.der -noout -ext subjectKeyIdentifier | tail -1 | tr "
            "-d ' :\\n' >a; "
            "openssl x509 -inform DER -in leaf.der -noout -pubkey | openssl pkey -pubin -outform "
            "DER | tail -c 65 | "
            "sha256sum | cut -c1-40 | tr -d '\\n' | tr a-f A-F >b; cmp a b");
}
END_TEST

/* As proxies see it that take a subject apart by text (RFC 2253, as nginx has it). */
START_TEST(access_credential_says_its_tier_and_its_segment) {
    static const char longest[] = "a23456789.123456789-123456789_123456789.123456789-123456789_123";
    static const struct {
        const char *tier, *segment, *subject;
    } cases[] = {
        {"measured", "corp", "CN=0123456789abcdef0123456789abcdef,OU=measured,O=corp"},
        {"verified_boot", "net.7-b_c",
         "CN=0123456789abcdef0123456789abcdef,OU=verified_boot,O=net.7-b_c"},
        {"identified", NULL, "CN=0123456789abcdef0123456789abcdef,OU=identified"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct certificate_request request = request_of(PROFILE_ACCESS);
        request.tier = cases[i].tier;
        request.segment = cases[i].segment;
        lab_write("leaf.der", issue(CA_P256, &request));
        lab_run("openssl x509 -inform DER -in leaf.der -noout -subject -nameopt RFC2253 | "
                "sed 's/^subject=//' | tr -d '\\n' >subject");
        ck_assert_str_eq((const char *)lab_read("subject").data, cases[i].subject);
    }
    struct certificate_request request = request_of(PROFILE_ACCESS);
    struct certificate c;
    request.segment = longest;
    ck_assert_uint_eq(strlen(longest), SEGMENT_MAX);
    ck_assert_int_eq(certificate_parse(&c, issue(CA_P256, &request), NULL), STATUS_OK);
    ck_assert(strstr(c.subject, longest) != NULL);
}
END_TEST

START_TEST(serials_top_bit_is_cleared_and_short_ones_are_written_short) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    struct certificate c;
    memset(request.serial, 0xFF, sizeof request.serial);
    ck_assert_int_eq(certificate_parse(&c, issue(CA_P256, &request), NULL), STATUS_OK);
    ck_assert_uint_eq(c.serial_len, 16);
    ck_assert_uint_eq(c.serial[0], 0x7F);
    memset(request.serial, 0, sizeof request.serial);
    request.serial[15] = 0x80;
    ck_assert_int_eq(certificate_parse(&c, issue(CA_P256, &request), NULL), STATUS_OK);
    ck_assert_uint_eq(c.serial_len, 1);
    ck_assert_uint_eq(c.serial[0], 0x80);
}
END_TEST

START_TEST(utf8_common_names_are_taken) {
    static const char *names[] = {
        "Gerät", "日本", "\xF0\x9F\x94\x92", "x",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct certificate_request request = request_of(PROFILE_CLIENT);
        request.common_name = names[i];
        lab_write("leaf.der", issue(CA_P256, &request));
        lab_run("openssl x509 -inform DER -in leaf.der -noout -subject -nameopt "
                "utf8,sname,sep_comma_plus");
        ck_assert_msg(lab_said(names[i]), "%s", names[i]);
    }
}
END_TEST

/* --- what is not
 * --------------------------------------------------------------------------------------- */

static const struct {
    enum profile profile;
    int64_t lifetime_s;
    bool taken;
} lifetimes[] = {
    {PROFILE_IDENTITY, 400LL * DAY, true},
    {PROFILE_IDENTITY, 400LL * DAY + 1, false},
    {PROFILE_IDENTITY, 5 * MINUTE, true},
    {PROFILE_IDENTITY, 5 * MINUTE - 1, false},
    {PROFILE_ACCESS, 24 * HOUR, true},
    {PROFILE_ACCESS, 24 * HOUR + 1, false},
    {PROFILE_ACCESS, 5 * MINUTE, true},
    {PROFILE_ACCESS, 5 * MINUTE - 1, false},
    {PROFILE_ACCESS, 0, false},
    {PROFILE_ACCESS, -HOUR, false},
    {PROFILE_SERVER, 825LL * DAY, true},
    {PROFILE_SERVER, 825LL * DAY + 1, false},
    {PROFILE_OCSP, 8LL * DAY, true},
    {PROFILE_OCSP, 8LL * DAY + 1, false},
    {PROFILE_OCSP, MINUTE - 1, false},
    {PROFILE_CLIENT, 825LL * DAY, true},
    {PROFILE_CLIENT, 825LL * DAY + 1, false},
    {PROFILE_CLIENT, INT64_MAX / 2, false},
};

START_TEST(lifetime_is_held_to_the_limits_of_its_profile) {
    struct certificate_request request = request_of(lifetimes[_i].profile);
    request.not_after = request.not_before + lifetimes[_i].lifetime_s;
    if (lifetimes[_i].taken) {
        (void)issue(CA_P256, &request);
    } else {
        assert_refused(&request,
                       lifetimes[_i].lifetime_s > 0 && lifetimes[_i].lifetime_s < INT64_MAX / 2
                           ? "lifetime"
                           : "interval");
    }
}
END_TEST

/* A key that says of itself that it encrypts gets no certificate to sign with. */
START_TEST(key_given_as_rsaes_oaep_is_refused) {
    struct certificate_request request = request_of(PROFILE_CLIENT);
    uint8_t copy[KEY_SPKI_MAX];
    memcpy(copy, spki[SUBJECT_RSA], spki_len[SUBJECT_RSA]);
    uint8_t *oid = memmem(copy, sizeof copy, "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01", 9);
    ck_assert_ptr_nonnull(oid);
    oid[8] = 7;
    request.spki = bytes_of(copy, spki_len[SUBJECT_RSA]);
    assert_refused(&request, "is not taken");
}
END_TEST

START_TEST(times_outside_of_our_calendar_are_refused) {
    static const int64_t times[][2] = {{-1, 1000},
                                       {INT64_MIN, INT64_MAX},
                                       {INT64_MAX - 1000, INT64_MAX},
                                       {253402300799, 253402300799 + 1000},
                                       {INT64_MIN, 0}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct certificate_request request = request_of(PROFILE_ACCESS);
        request.not_before = times[i][0];
        request.not_after = times[i][1];
        assert_refused(&request, "interval");
    }
}
END_TEST

START_TEST(ca_of_more_than_twenty_years_is_refused) {
    uint8_t own[KEY_SPKI_MAX];
    struct certificate_request request = request_of(PROFILE_CA);
    struct issuer issuer = {.key = cert_key(0)};
    request.spki = spki_of_key(issuer.key, own);
    request.not_after = request.not_before + 20LL * 366 * DAY + 1;
    assert_refused_by(&issuer, &request, "lifetime");
}
END_TEST

START_TEST(certificate_never_outlives_its_issuer) {
    struct certificate_request ca = request_of(PROFILE_CA), request = request_of(PROFILE_ACCESS);
    uint8_t own[KEY_SPKI_MAX], der[CERTIFICATE_DER_MAX];
    struct writer w = writer_of(der, sizeof der);
    struct issuer issuer = {.key = cert_key(0)};
    ca.spki = spki_of_key(issuer.key, own);
    ca.not_after = now + 2 * HOUR;
    ck_assert_int_eq(profile_issue(&w, &issuer, &ca, NULL), STATUS_OK);
    issuer.certificate = writer_bytes(&w);
    request.not_after = ca.not_after + 1;
    assert_refused_by(&issuer, &request, "outlive");
    request.not_after = ca.not_after;
    uint8_t out[CERTIFICATE_DER_MAX];
    struct writer leaf = writer_of(out, sizeof out);
    ck_assert_int_eq(profile_issue(&leaf, &issuer, &request, NULL), STATUS_OK);
}
END_TEST

static const struct {
    enum profile profile;
    const char *uri;
} wrong_uris[] = {
    {PROFILE_IDENTITY, NULL},
    {PROFILE_IDENTITY, ""},
    {PROFILE_IDENTITY, "spiffe://example.org/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://example.org/identity/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "http://example.org/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "SPIFFE://example.org/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe:///device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://Example.org/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://a@b/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://a:1/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://a/b/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://example.org/device/0123456789ABCDEF0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://example.org/device/0123456789abcdef0123456789abcde"},
    {PROFILE_ACCESS, "spiffe://example.org/device/0123456789abcdef0123456789abcdef0"},
    {PROFILE_ACCESS, "spiffe://example.org/device/0123456789abcdef0123456789abcdef/"},
    {PROFILE_ACCESS, "spiffe://example.org/device/0123456789abcdef0123456789abcdef?x"},
    {PROFILE_ACCESS, "spiffe://example.org/device/../identity/0123456789abcdef0123456789ab"},
    {PROFILE_ACCESS, "spiffe://example.org//device/0123456789abcdef0123456789abcdef"},
    {PROFILE_ACCESS, "spiffe://example.org/device/"},
    {PROFILE_CLIENT, "spiffe://example.org/device/0123456789abcdef0123456789abcdef"},
    {PROFILE_SERVER, "spiffe://example.org/device/0123456789abcdef0123456789abcdef"},
};

START_TEST(san_uri_of_any_other_shape_is_refused) {
    struct certificate_request request = request_of(wrong_uris[_i].profile);
    request.san_uri = wrong_uris[_i].uri;
    struct issuer issuer = issuer_of(CA_P256);
    uint8_t buffer[CERTIFICATE_DER_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    ck_assert_msg(profile_issue(&w, &issuer, &request, NULL) == STATUS_INVALID, "%s",
                  wrong_uris[_i].uri);
}
END_TEST

START_TEST(san_uri_of_a_long_trust_domain_is_refused) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    char uri[512], domain[130], out[X509_SAN_URI_MAX];
    memset(domain, 'd', sizeof domain);
    domain[129] = '\0';
    (void)snprintf(uri, sizeof uri, "spiffe://%s/device/%s", domain, device_id);
    request.san_uri = uri;
    assert_refused(&request, "SAN URI");
    ck_assert_int_eq(profile_san_uri(out, PROFILE_ACCESS, domain, device_id, NULL), STATUS_INVALID);
    domain[128] = '\0';
    ck_assert_int_eq(profile_san_uri(out, PROFILE_ACCESS, domain, device_id, NULL), STATUS_OK);
    request.san_uri = out;
    (void)issue(CA_P256, &request);
}
END_TEST

START_TEST(san_uri_is_made_for_devices_only_and_of_good_parts_only) {
    static const char *domains[] = {"", "Example.org", "a b", "a/b", "a:1", "\xC3\xA4", "a%41"};
    static const char *ids[] = {"", "0123", "0123456789abcdef0123456789abcdeg",
                                "0123456789ABCDEF0123456789ABCDEF",
                                "0123456789abcdef0123456789abcdef0"};
    char out[X509_SAN_URI_MAX] = "untouched";
    struct detail detail = {0};
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        ck_assert_int_eq(profile_san_uri(out, PROFILE_ACCESS, domains[i], device_id, &detail),
                         STATUS_INVALID);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        ck_assert_int_eq(profile_san_uri(out, PROFILE_IDENTITY, "example.org", ids[i], &detail),
                         STATUS_INVALID);
    }
    static const int profiles[] = {PROFILE_CA, PROFILE_SERVER, PROFILE_CLIENT, 5, -1};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(
            profile_san_uri(out, (enum profile)profiles[i], "example.org", device_id, &detail),
            STATUS_INVALID);
    }
    ck_assert_str_eq(out, "untouched");
    ck_assert_int_eq(profile_san_uri(out, PROFILE_IDENTITY, "example.org", device_id, &detail),
                     STATUS_OK);
    ck_assert_str_eq(out, identity_uri);
}
END_TEST

START_TEST(common_name_that_is_empty_long_or_not_printable_utf8_is_refused) {
    static const char *names[] = {
        NULL,
        "",
        "01234567890123456789012345678901234567890123456789012345678901234",
        "a\nb",
        "a\x7F",
        "\x01",
        "\xC3",
        "\xC3(",
        "\xC0\xAF",
        "\xE0\x80\xAF",
        "\xED\xA0\x80",
        "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFF",
        "\x80",
        "\xC2\x85",
        "\xE2\x82",
        "\xF0\x9F\x94"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct certificate_request request = request_of(PROFILE_CLIENT);
        request.common_name = names[i];
        assert_refused(&request, "common name");
    }
}
END_TEST

START_TEST(host_name_that_is_none_is_refused) {
    static const char *names[] = {
        "",
        " ",
        "a..b",
        ".a",
        "a.",
        "-a",
        "a-",
        "a_b",
        "a b",
        "*",
        "a.*.b",
        "*a.b",
        "a/24",
        "1.2.3.4/24",
        "[::1]",
        "fe80::1%eth0",
        "a\nb",
        "\xC3\xA4.example",
        "a123456789012345678901234567890123456789012345678901234567890123.b",
        "http://a"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct certificate_request request = request_of(PROFILE_SERVER);
        request.san[1] = names[i];
        assert_refused(&request, "neither a DNS name nor an address");
    }
    char name[256];
    for (size_t i = 0; i < 254; i++) {
        name[i] = i % 2 == 0 ? 'a' : '.';
    }
    name[254] = 'a';
    name[255] = '\0';
    struct certificate_request request = request_of(PROFILE_SERVER);
    request.san[0] = name;
    assert_refused(&request, "neither a DNS name nor an address");
}
END_TEST

START_TEST(host_names_are_for_servers_and_servers_need_one) {
    struct certificate_request server = request_of(PROFILE_SERVER);
    server.san[0] = NULL;
    assert_refused(&server, "needs a DNS name");
    static const enum profile others[] = {PROFILE_IDENTITY, PROFILE_ACCESS, PROFILE_CLIENT};
    for (size_t i = 0; i < 3; i++) {
        struct certificate_request request = request_of(others[i]);
        request.san[0] = "a.example";
        assert_refused(&request, "host names are not for it");
    }
}
END_TEST

START_TEST(key_that_is_weak_odd_or_of_another_kind_is_refused) {
    static const size_t wrong[] = {SUBJECT_P521, SUBJECT_RSA1024};
    for (size_t i = 0; i < 2; i++) {
        struct certificate_request request = request_of(PROFILE_ACCESS);
        request.spki = bytes_of(spki[wrong[i]], spki_len[wrong[i]]);
        assert_refused(&request, "key");
    }
    struct certificate_request request = request_of(PROFILE_ACCESS);
    request.spki.len--;
    assert_refused(&request, "key");
    request.spki = bytes_of(NULL, 0);
    assert_refused(&request, "key");
    uint8_t off_curve[KEY_SPKI_MAX];
    memcpy(off_curve, spki[SUBJECT_P256], spki_len[SUBJECT_P256]);
    off_curve[spki_len[SUBJECT_P256] - 1] ^= 1;
    request.spki = bytes_of(off_curve, spki_len[SUBJECT_P256]);
    assert_refused(&request, "curve");
}
END_TEST

START_TEST(tier_or_segment_that_is_none_is_refused) {
    static const char *tiers[] = {NULL, "", "none", "Measured", "measured ", "measure", "unknown"};
    static const char *segments[] = {
        "",
        "Corp",
        "a b",
        "a,OU=measured",
        "a=b",
        "a+b",
        "caf\xC3\xA9",
        "a\nb",
        "a\\,b",
        "a/b",
        "\"a\"",
        "a:b",
        "a\x7F",
        "a23456789.123456789-123456789_123456789.123456789-123456789_1234"};
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        struct certificate_request request = request_of(PROFILE_ACCESS);
        request.tier = tiers[i];
        assert_refused(&request, "its tier is none that earns it");
    }
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        struct certificate_request request = request_of(PROFILE_ACCESS);
        request.segment = segments[i];
        assert_refused(&request, "its segment is not of");
    }
}
END_TEST

START_TEST(tier_and_segment_are_for_access_credentials_alone) {
    static const enum profile others[] = {PROFILE_IDENTITY, PROFILE_SERVER, PROFILE_CLIENT};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct certificate_request request = request_of(others[i]);
        request.tier = "measured";
        assert_refused(&request, "tier and segment are not for it");
        request.tier = NULL;
        request.segment = "corp";
        assert_refused(&request, "tier and segment are not for it");
    }
}
END_TEST

START_TEST(serial_of_zero_is_refused) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    memset(request.serial, 0, sizeof request.serial);
    assert_refused(&request, "serial number is zero");
    request.serial[0] = 0x80;
    assert_refused(&request, "serial number is zero");
}
END_TEST

START_TEST(profile_of_no_number_is_refused) {
    static const int numbers[] = {6, 7, 255, -1};
    for (size_t i = 0; i < 4; i++) {
        struct certificate_request request = request_of(PROFILE_CLIENT);
        request.profile = (enum profile)numbers[i];
        assert_refused(&request, "no such profile");
        ck_assert_str_eq(profile_name(request.profile), "unknown");
    }
}
END_TEST

/* --- issuers
 * --------------------------------------------------------------------------------------------- */

START_TEST(issuer_whose_key_and_certificate_do_not_match_is_refused) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    struct issuer issuer = issuer_of(CA_P256);
    issuer.key = cert_key(2);
    assert_refused_by(&issuer, &request, "do not match");
    issuer = issuer_of(CA_P256);
    issuer.certificate = issuer_of(CA_P384).certificate;
    assert_refused_by(&issuer, &request, "do not match");
}
END_TEST

START_TEST(issuer_that_is_no_authority_is_refused) {
    struct certificate_request client = request_of(PROFILE_CLIENT),
                               request = request_of(PROFILE_ACCESS);
    struct bytes der = cert_exact(issue(CA_P256, &client));
    struct issuer leaf = {.key = cert_key(1), .certificate = der};
    assert_refused_by(&leaf, &request, "no authority");
    leaf.certificate = bytes_of(der.data, der.len - 1);
    assert_refused_by(&leaf, &request, "its issuer");
    leaf.certificate = bytes_of(NULL, 0);
    assert_refused_by(&leaf, &request, "its issuer");
    cert_drop(der);
    /* An authority without a subjectKeyIdentifier cannot be pointed at. */
    struct cert_spec bare = cert_ca("bare", 1, "bare", 1);
    leaf.certificate = cert_make(&bare);
    assert_refused_by(&leaf, &request, "no authority");
}
END_TEST

START_TEST(issuer_of_another_kind_of_key_is_refused) {
    struct certificate_request request = request_of(PROFILE_ACCESS);
    struct issuer issuer = issuer_of(CA_P256);
    issuer.key = cert_key(CERT_KEY_RSA);
    assert_refused_by(&issuer, &request, "of kind rsa");
}
END_TEST

START_TEST(ca_is_signed_by_nothing_but_itself) {
    struct certificate_request request = request_of(PROFILE_CA);
    struct issuer issuer = issuer_of(CA_P256);
    assert_refused_by(&issuer, &request, "signed by itself only"); /* by another CA */
    issuer.certificate = bytes_of(NULL, 0);
    assert_refused_by(&issuer, &request, "signed by itself only"); /* for another key */
    uint8_t own[KEY_SPKI_MAX];
    request.spki = spki_of_key(issuer.key, own);
    request.spki = bytes_of(spki[SUBJECT_RSA], spki_len[SUBJECT_RSA]);
    issuer.key = cert_key(CERT_KEY_RSA);
    assert_refused_by(&issuer, &request, "of kind rsa");
}
END_TEST

START_TEST(certificate_that_does_not_fit_is_a_limit_and_writes_nothing) {
    struct certificate_request request = request_of(PROFILE_SERVER);
    struct issuer issuer = issuer_of(CA_P256);
    uint8_t buffer[CERTIFICATE_DER_MAX];
    struct writer w = writer_of(buffer, 100);
    ck_assert_int_eq(profile_issue(&w, &issuer, &request, NULL), STATUS_LIMIT);
    char names[PROFILE_MAX_SANS][254];
    for (size_t n = 0; n < PROFILE_MAX_SANS; n++) {
        for (size_t i = 0; i < 253; i++) {
            names[n][i] = i % 2 == 0 ? 'a' : '.';
        }
        names[n][253] = '\0';
        request.san[n] = names[n];
    }
    w = writer_of(buffer, sizeof buffer);
    ck_assert_int_eq(profile_issue(&w, &issuer, &request, NULL), STATUS_LIMIT);
    ck_assert_uint_eq(w.len, 0);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    make_fixture();
    TCase *issued = tcase_create("issued");
    tcase_set_timeout(issued, 60);
    tcase_add_loop_test(issued, certificate_of_every_profile_and_key_is_strictly_valid_for_openssl,
                        0, NUM_LEAVES * NUM_GOOD_SUBJECTS * NUM_CAS);
    tcase_add_loop_test(issued, extensions_are_those_of_the_profile_and_no_more, 0, COUNT(shapes));
    tcase_add_loop_test(issued, credential_says_where_its_revocation_is_told, 0, NUM_CAS);
    tcase_add_test(issued, credential_without_a_url_says_that_nothing_tells_and_asks_nobody);
    tcase_add_test(issued, the_longest_url_fits_beside_the_largest_of_everything);
    tcase_add_loop_test(
        issued, ca_is_critical_limited_to_leaves_and_signs_certificates_and_crls_only, 0, NUM_CAS);
    tcase_add_test(issued, identifiers_serial_validity_and_names_are_as_asked);
    tcase_add_test(issued, access_credential_says_its_tier_and_its_segment);
    tcase_add_test(issued, serials_top_bit_is_cleared_and_short_ones_are_written_short);
    tcase_add_test(issued, utf8_common_names_are_taken);
    TCase *refused = tcase_create("refused");
    tcase_add_loop_test(refused, lifetime_is_held_to_the_limits_of_its_profile, 0,
                        COUNT(lifetimes));
    tcase_add_test(refused, times_outside_of_our_calendar_are_refused);
    tcase_add_test(refused, ca_of_more_than_twenty_years_is_refused);
    tcase_add_test(refused, certificate_never_outlives_its_issuer);
    tcase_add_loop_test(refused, san_uri_of_any_other_shape_is_refused, 0, COUNT(wrong_uris));
    tcase_add_test(refused, san_uri_of_a_long_trust_domain_is_refused);
    tcase_add_test(refused, san_uri_is_made_for_devices_only_and_of_good_parts_only);
    tcase_add_test(refused, common_name_that_is_empty_long_or_not_printable_utf8_is_refused);
    tcase_add_test(refused, host_name_that_is_none_is_refused);
    tcase_add_test(refused, host_names_are_for_servers_and_servers_need_one);
    tcase_add_test(refused, key_that_is_weak_odd_or_of_another_kind_is_refused);
    tcase_add_test(refused, key_given_as_rsaes_oaep_is_refused);
    tcase_add_test(refused, tier_or_segment_that_is_none_is_refused);
    tcase_add_test(refused, tier_and_segment_are_for_access_credentials_alone);
    tcase_add_loop_test(refused, url_that_is_none_or_of_another_profile_is_refused, 0,
                        COUNT(wrong_urls));
    tcase_add_test(refused, serial_of_zero_is_refused);
    tcase_add_test(refused, profile_of_no_number_is_refused);
    TCase *issuers = tcase_create("issuers");
    tcase_add_test(issuers, issuer_whose_key_and_certificate_do_not_match_is_refused);
    tcase_add_test(issuers, issuer_that_is_no_authority_is_refused);
    tcase_add_test(issuers, issuer_of_another_kind_of_key_is_refused);
    tcase_add_test(issuers, ca_is_signed_by_nothing_but_itself);
    tcase_add_test(issuers, certificate_that_does_not_fit_is_a_limit_and_writes_nothing);
    Suite *suite = suite_create("credential: profiles");
    suite_add_tcase(suite, issued);
    suite_add_tcase(suite, refused);
    suite_add_tcase(suite, issuers);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
