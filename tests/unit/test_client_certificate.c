/* The certificate of a proxy's client, in each dialect. */
#include "api/proxy/client_certificate.h"
#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/dialect_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct bytes der;
static uint8_t sha256[32];
static char digest[65];
static struct client_certificate out;

static void start(void) {
    arena_init(&arena, 64 << 20);
    struct cert_spec spec = cert_leaf("device", 1, "access", 0);
    der = arena_bytes(&arena, cert_make(&spec));
    digest_compute(HASH_SHA256, der, sha256);
    hex_encode(digest, bytes_of(sha256, sizeof sha256));
}

static void stop(void) {
    arena_free(&arena);
}

/* Of a copy that ends where the value ends, so that whoever reads on is seen. */
static enum client_certificate_outcome decode(enum dialect dialect, const char *value, size_t len) {
    char *copy = malloc(len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, value, len);
    copy[len] = '\0';
    enum client_certificate_outcome outcome = client_certificate_decode(&out, dialect, copy);
    free(copy);
    return outcome;
}

static enum client_certificate_outcome read_text(enum dialect dialect, const char *value) {
    return decode(dialect, value, strlen(value));
}

static void check_read(enum dialect dialect, const char *value) {
    ck_assert_msg(read_text(dialect, value) == CLIENT_CERTIFICATE_READ, "%s", value);
    ck_assert_mem_eq(out.sha256, sha256, sizeof sha256);
    if (out.der_len != 0) {
        ck_assert(bytes_equal(bytes_of(out.der, out.der_len), der));
    }
}

static void check_malformed(enum dialect dialect, const char *value) {
    ck_assert_msg(read_text(dialect, value) == CLIENT_CERTIFICATE_MALFORMED, "%s: %s",
                  dialect_names[dialect], value);
}

START_TEST(each_dialect_is_read_in_its_documented_form) {
    check_read((enum dialect)_i, dialect_value(&arena, (enum dialect)_i, der));
    ck_assert_int_eq(out.der_len == 0, (enum dialect)_i == DIALECT_FINGERPRINT);
}
END_TEST

/* Whole elements of Envoy's header are a header, too; of Traefik's chain likewise. */
static bool is_shorter_form(enum dialect dialect, const char *value, size_t len) {
    return (dialect == DIALECT_ENVOY_XFCC && len > strlen("By=spiffe://cluster.local/ns/edge/sa/"
                                                          "front;Hash=") +
                                                       63) ||
           (dialect == DIALECT_TRAEFIK && len >= strcspn(value, ","));
}

START_TEST(no_prefix_of_a_header_names_another_certificate) {
    enum dialect dialect = (enum dialect)_i;
    const char *value = dialect_value(&arena, dialect, der);
    size_t len = strlen(value), num = 0;
    for (size_t i = 0; i < len; i++) {
        enum client_certificate_outcome outcome = decode(dialect, value, i);
        if (outcome != CLIENT_CERTIFICATE_READ) {
            ck_assert_int_eq(outcome,
                             i == 0 ? CLIENT_CERTIFICATE_ABSENT : CLIENT_CERTIFICATE_MALFORMED);
            continue;
        }
        num++;
        /* A whole number of base64 groups is base64, of something that nobody signed. */
        bool same = memcmp(out.sha256, sha256, sizeof sha256) == 0;
        ck_assert_msg(same == is_shorter_form(dialect, value, i) || dialect == DIALECT_NGINX,
                      "%s at %zu of %zu", dialect_names[dialect], i, len);
    }
    ck_assert(num == 0 || dialect != DIALECT_FINGERPRINT);
    ck_assert(num == 0 || dialect != DIALECT_RFC9440);
    ck_assert(num <= 1 || dialect != DIALECT_NGINX); /* without the last line's end */
}
END_TEST

START_TEST(whatever_stands_after_a_header_is_refused) {
    static const char *const tails[] = {" ", "x", "%", "%0", "%0G", ":", "\"", "=", "%00", "-"};
    enum dialect dialect = (enum dialect)_i;
    const char *value = dialect_value(&arena, dialect, der);
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        if (dialect == DIALECT_ENVOY_XFCC || dialect == DIALECT_TRAEFIK) {
            break; /* the end of theirs is not looked at: below */
        }
        check_malformed(dialect, arena_printf(&arena, "%s%s", value, tails[i]));
    }
}
END_TEST

START_TEST(percent_signs_have_two_digits_of_either_case) {
    char *value = dialect_value(&arena, DIALECT_NGINX, der);
    for (char *at = value; *at != '\0'; at++) {
        if (at > value + 1 && (at[-1] == '%' || at[-2] == '%') && *at >= 'A' && *at <= 'F') {
            *at = (char)(*at - 'A' + 'a');
        }
    }
    check_read(DIALECT_NGINX, value);
    char *mark = strstr(value, "%0a");
    mark[2] = 'g';
    check_malformed(DIALECT_NGINX, value);
    mark[1] = '%';
    check_malformed(DIALECT_NGINX, value);
}
END_TEST

static const char *const wrong_pem[] = {
    "",
    "\n",
    "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n\n",
    "\n-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n\n%s\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n%s\n\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----%s\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\r\n%s\r\n-----END CERTIFICATE-----\r\n",
    "-----BEGIN TRUSTED CERTIFICATE-----\n%s\n-----END TRUSTED CERTIFICATE-----\n",
    "-----BEGIN X509 CERTIFICATE-----\n%s\n-----END X509 CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n %s\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n",
    "subject=CN = device\n-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n",
    ("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n%s\n"
     "-----END CERTIFICATE-----\n")};

/* The text with every %s replaced. */
static const char *fill(const char *form, const char *base64) {
    const char *at = strstr(form, "%s");
    const char *text = arena_text(&arena, form);
    while (at != NULL) {
        text = arena_printf(&arena, "%.*s%s%s", (int)(at - form), form, base64, at + 2);
        form = text;
        at = strstr(form, "%s");
    }
    return text;
}

START_TEST(pem_of_another_shape_is_refused) {
    const char *text = fill(wrong_pem[_i], base64_encode_arena(&arena, der));
    if (text[0] != '\0') {
        check_malformed(DIALECT_NGINX, dialect_escape(&arena, text));
    }
    check_malformed(DIALECT_ENVOY_XFCC,
                    arena_printf(&arena, "Cert=\"%s\"", dialect_escape(&arena, text)));
    check_malformed(DIALECT_ENVOY_XFCC, arena_printf(&arena, "Hash=%s;Cert=\"%s\"", digest,
                                                     dialect_escape(&arena, text)));
}
END_TEST

START_TEST(a_certificate_of_one_long_line_is_read) {
    const char *text = fill("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----",
                            base64_encode_arena(&arena, der));
    check_read(DIALECT_NGINX, dialect_escape(&arena, text));
}
END_TEST

/* --- Envoy --- */

START_TEST(envoys_hash_alone_is_enough) {
    check_read(DIALECT_ENVOY_XFCC, arena_printf(&arena, "Hash=%s", digest));
    ck_assert_uint_eq(out.der_len, 0);
    check_read(DIALECT_ENVOY_XFCC, arena_printf(&arena, "hAsH=\"%s\";URI=", digest));
    check_read(DIALECT_ENVOY_XFCC,
               arena_printf(&arena, "By=x;By=y;Subject=\"a,b;Hash=c\\\\\";hash=%s;URI=spiffe://a",
                            digest));
}
END_TEST

START_TEST(envoys_certificate_alone_is_enough) {
    const char *cert = dialect_value(&arena, DIALECT_NGINX, der);
    check_read(DIALECT_ENVOY_XFCC, arena_printf(&arena, "Cert=\"%s\"", cert));
    ck_assert_uint_eq(out.der_len, der.len);
    check_read(DIALECT_ENVOY_XFCC, arena_printf(&arena, "Cert=%s;DNS=", cert));
}
END_TEST

START_TEST(a_hash_that_is_not_the_certificates_is_refused) {
    const char *cert = dialect_value(&arena, DIALECT_NGINX, der);
    char other[65];
    memcpy(other, digest, sizeof other);
    other[63] = other[63] == '0' ? '1' : '0';
    check_malformed(DIALECT_ENVOY_XFCC, arena_printf(&arena, "Hash=%s;Cert=\"%s\"", other, cert));
    check_malformed(DIALECT_ENVOY_XFCC, arena_printf(&arena, "Cert=\"%s\";Hash=%s", cert, other));
}
END_TEST

/* # stands for a digest. */
static const char *const wrong_xfcc[] = {"Hash=#,Hash=#",
                                         "Hash=#,",
                                         ",Hash=#",
                                         "Hash=#;Hash=#",
                                         "Hash=#;hash=#",
                                         "Hash=\"#\",By=x",
                                         "Subject=\"x\",Hash=#",
                                         "URI=a,Hash=#",
                                         "Hash=#;",
                                         ";Hash=#",
                                         "Hash=#;;By=x",
                                         "Hash=#;By",
                                         "Hash=#;=x",
                                         "Hash=#;By =x",
                                         "Hash =#",
                                         " Hash=#",
                                         "Hash= #",
                                         "Hash=\"#",
                                         "Hash=#\"",
                                         "Hash=\"#\"x",
                                         "Hash=#;Subject=\"x\\\"",
                                         "Hash=#;Subject=\"x\\",
                                         "Hash=#;Subject=x\"y\"",
                                         "Hash=#a",
                                         "Hash=",
                                         "Hash=\"\"",
                                         "Hash",
                                         "=",
                                         "By=x;Subject=\"y\"",
                                         "Hash=#;Cert=",
                                         "Hash=#;Cert=\"\"",
                                         "Hash=#;Cert=\"x\";Cert=\"x\"",
                                         "Hash=#;AKeyThatIsMuchTooLong=x",
                                         "URI=x;Hash=#;DNS=\"a\";Hash=\"#\""};

START_TEST(envoys_header_of_another_shape_is_refused) {
    const char *form = wrong_xfcc[_i], *at;
    while ((at = strchr(form, '#')) != NULL) {
        form = arena_printf(&arena, "%.*s%s%s", (int)(at - form), form, digest, at + 1);
    }
    check_malformed(DIALECT_ENVOY_XFCC, form);
}
END_TEST

/* --- the others --- */

START_TEST(traefiks_chain_is_not_used) {
    const char *base64 = base64_encode_arena(&arena, der);
    check_read(DIALECT_TRAEFIK, base64);
    check_read(DIALECT_TRAEFIK, arena_printf(&arena, "%s,AAAA,BBBB", base64));
    check_read(DIALECT_TRAEFIK,
               arena_printf(&arena, "%s,AAAA,BBBB", dialect_escape(&arena, base64)));
    static const char *const tails[] = {",",      ",,AAAA", ",AAAA,",          ", AAAA",
                                        ",AA;AA", ";AAAA",  ",A,A,A,A,A,A,A,A"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        check_malformed(DIALECT_TRAEFIK, arena_printf(&arena, "%s%s", base64, tails[i]));
    }
    check_malformed(DIALECT_TRAEFIK, arena_printf(&arena, ",%s", base64));
}
END_TEST

START_TEST(a_byte_sequence_has_its_colons_and_no_parameters) {
    const char *base64 = base64_encode_arena(&arena, der);
    static const char *const forms[] = {
        "%s",         ":%s",   "%s:",   ":%s:;a=1", ": %s:", "\"%s\"",
        ":%s:, :%s:", "::%s:", ":%s::", ":",        ":=:"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        check_malformed(DIALECT_RFC9440, fill(forms[i], base64));
    }
    ck_assert_int_eq(read_text(DIALECT_RFC9440, "::"), CLIENT_CERTIFICATE_ABSENT);
}
END_TEST

START_TEST(a_fingerprint_has_64_digits_of_either_case) {
    char *upper = arena_text(&arena, digest);
    for (char *at = upper; *at != '\0'; at++) {
        *at = *at >= 'a' ? (char)(*at - 'a' + 'A') : *at;
    }
    check_read(DIALECT_FINGERPRINT, upper);
    check_malformed(DIALECT_FINGERPRINT, digest + 1);
    check_malformed(DIALECT_FINGERPRINT, arena_printf(&arena, "%s0", digest));
    check_malformed(DIALECT_FINGERPRINT, arena_printf(&arena, "%.63sg", digest));
    check_malformed(DIALECT_FINGERPRINT, arena_printf(&arena, "sha256:%s", digest));
    check_malformed(DIALECT_FINGERPRINT, arena_printf(&arena, "%.40s", digest)); /* SHA-1 */
}
END_TEST

START_TEST(base64_of_another_kind_is_refused) {
    static const enum dialect dialects[] = {DIALECT_CADDY, DIALECT_TRAEFIK, DIALECT_RFC9440};
    static const char *const texts[] = {
        "AAA", "AA-_", "AAAA AAAA", "AA=A", "AAB=", "====", "A", "AAAA%", "AAAA\tAAAA"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *value =
            dialects[_i] == DIALECT_RFC9440 ? arena_printf(&arena, ":%s:", texts[i]) : texts[i];
        check_malformed(dialects[_i], value);
    }
}
END_TEST

/* Of 4096 bytes it is read, of one more it is not. */
START_TEST(a_certificate_longer_than_ours_may_be_is_refused) {
    enum dialect dialect = (enum dialect)_i;
    uint8_t *big = arena_alloc(&arena, CLIENT_CERTIFICATE_DER_MAX + 1);
    struct bytes at_most = bytes_of(big, CLIENT_CERTIFICATE_DER_MAX);
    struct bytes more = bytes_of(big, CLIENT_CERTIFICATE_DER_MAX + 1);
    ck_assert_int_eq(read_text(dialect, dialect_value(&arena, dialect, at_most)),
                     CLIENT_CERTIFICATE_READ);
    ck_assert_int_eq(read_text(dialect, dialect_value(&arena, dialect, more)),
                     dialect == DIALECT_FINGERPRINT ? CLIENT_CERTIFICATE_READ
                                                    : CLIENT_CERTIFICATE_MALFORMED);
}
END_TEST

START_TEST(a_header_of_a_megabyte_is_refused_and_does_no_harm) {
    static const char fills[] = "A%:;,\"\\=-\n0";
    char *value = arena_alloc(&arena, (1 << 20) + 1);
    for (size_t i = 0; fills[i] != '\0'; i++) {
        memset(value, fills[i], 1 << 20);
        check_malformed((enum dialect)_i, value);
    }
}
END_TEST

START_TEST(a_dialect_that_reads_nothing_says_so) {
    ck_assert_int_eq(read_text(DIALECT_NONE, digest), CLIENT_CERTIFICATE_ABSENT);
    ck_assert_str_eq(client_certificate_headers(DIALECT_NONE), "");
}
END_TEST

START_TEST(the_names_of_dialects_lead_back) {
    enum dialect dialect = NUM_DIALECTS;
    ck_assert(dialect_from_name(&dialect, dialect_names[_i]));
    ck_assert_int_eq(dialect, _i);
    ck_assert(!dialect_from_name(&dialect, "nginx2"));
    ck_assert(!dialect_from_name(&dialect, ""));
    ck_assert_int_eq(dialect, _i);
    ck_assert_uint_lt(strlen(dialect_names[_i]), DIALECT_NAME);
    ck_assert_ptr_null(dialect_names[NUM_DIALECTS]);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void) {
    Suite *suite = suite_create("client_certificate");
    TCase *t = tcase_create("dialects");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, each_dialect_is_read_in_its_documented_form, DIALECT_NGINX,
                        NUM_DIALECTS);
    tcase_add_loop_test(t, no_prefix_of_a_header_names_another_certificate, DIALECT_NGINX,
                        NUM_DIALECTS);
    tcase_add_loop_test(t, whatever_stands_after_a_header_is_refused, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_test(t, percent_signs_have_two_digits_of_either_case);
    tcase_add_loop_test(t, pem_of_another_shape_is_refused, 0, COUNT(wrong_pem));
    tcase_add_test(t, a_certificate_of_one_long_line_is_read);
    tcase_add_test(t, envoys_hash_alone_is_enough);
    tcase_add_test(t, envoys_certificate_alone_is_enough);
    tcase_add_test(t, a_hash_that_is_not_the_certificates_is_refused);
    tcase_add_loop_test(t, envoys_header_of_another_shape_is_refused, 0, COUNT(wrong_xfcc));
    tcase_add_test(t, traefiks_chain_is_not_used);
    tcase_add_test(t, a_byte_sequence_has_its_colons_and_no_parameters);
    tcase_add_test(t, a_fingerprint_has_64_digits_of_either_case);
    tcase_add_loop_test(t, base64_of_another_kind_is_refused, 0, 3);
    tcase_add_loop_test(t, a_certificate_longer_than_ours_may_be_is_refused, DIALECT_NGINX,
                        NUM_DIALECTS);
    tcase_add_loop_test(t, a_header_of_a_megabyte_is_refused_and_does_no_harm, DIALECT_NGINX,
                        NUM_DIALECTS);
    tcase_add_test(t, a_dialect_that_reads_nothing_says_so);
    tcase_add_loop_test(t, the_names_of_dialects_lead_back, 0, NUM_DIALECTS);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
