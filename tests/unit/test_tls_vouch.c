/* Client certificates that lead to no anchor of the plane, and that its service vouches for: what
 * its word can do, and what it cannot. */
#include "tests/unit/transport_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n"

static struct fixture f;
static struct transport_plane planes[3];
static _Atomic int asked;
static _Atomic bool answers;     /* yes to everyone */
static char only[32];            /* "": by `answers` */
static _Atomic size_t num_shown; /* certificates at the last question */

/* Whether a chain is that of the file, from its leaf on. */
static bool is_leaf_of(struct bytes leaf, const char *name) {
    uint8_t *der;
    size_t len = pki_der(&der, name);
    bool same = bytes_equal(leaf, bytes_of(der, len));
    free(der);
    return same;
}

static bool vouch(void *context, void *worker, const struct bytes *chain, size_t num) {
    (void)context;
    (void)worker;
    asked++;
    num_shown = num;
    return only[0] == '\0' ? answers : is_leaf_of(chain[0], only);
}

static void start_with(bool (*function)(void *, void *, const struct bytes *, size_t)) {
    asked = 0;
    answers = true;
    only[0] = '\0';
    fixture_planes(&f, planes, NULL);
    f.service.vouch = function;
    fixture_start_planes(&f, 1, planes);
}

static void start(void) {
    start_with(vouch);
}

static void stop(void) {
    fixture_stop(&f);
}

static bool gets_in(const char *certificate) {
    struct client_options options = {.certificate = certificate};
    struct client *c = client_connect(f.mutual, &options);
    struct answer answer;
    ck_assert_ptr_nonnull(c);
    bool in = client_handshake(c);
    if (in) {
        client_print(c, "%s", PEER);
        in = client_read_answer(c, &answer, false);
        if (in) {
            ck_assert_uint_eq(answer.status, 200);
            ck_assert_int_eq(strncmp((const char *)answer.body, "1 0 ", 4), 0);
            answer_free(&answer);
        }
    }
    client_free(c);
    return in;
}

START_TEST(certificate_that_the_service_vouches_for_is_taken) {
    ck_assert(gets_in("alone"));
    ck_assert_int_eq(asked, 1);
    ck_assert_uint_eq(num_shown, 1);
    ck_assert(gets_in("foreign"));
}
END_TEST

START_TEST(chain_reaches_the_service_as_the_peer_sent_it_in_one_question) {
    ck_assert(gets_in("idevid"));
    ck_assert_int_eq(asked, 1);
    ck_assert_uint_eq(num_shown, 2);
    ck_assert(gets_in("idevid2"));
    ck_assert_int_eq(asked, 2);
    ck_assert_uint_eq(num_shown, 3);
}
END_TEST

START_TEST(certificate_that_the_service_does_not_vouch_for_is_refused) {
    static const char *const names[] = {"alone", "foreign", "idevid", "idevid2"};
    answers = false;
    for (size_t i = 0; i < 4; i++) {
        ck_assert(!gets_in(names[i]));
        ck_assert_int_eq(asked, (int)i + 1);
    }
}
END_TEST

START_TEST(service_is_not_asked_about_clients_of_the_planes_anchors) {
    answers = false;
    ck_assert(gets_in("client"));
    ck_assert(gets_in("client-chain"));
    ck_assert(gets_in("client-rsa"));
    ck_assert_int_eq(asked, 0);
}
END_TEST

/* wolfSSL remembers intermediates that it accepts. */
START_TEST(intermediate_that_was_vouched_for_vouches_for_nobody) {
    static const char *const certificates[] = {"idevid", "idevid2"};
    for (size_t i = 0; i < 2; i++) {
        (void)strcpy(only, certificates[i]);
        for (int round = 0; round < 3; round++) {
            ck_assert(gets_in(certificates[i]));
        }
    }
    (void)strcpy(only, "idevid");
    ck_assert(!gets_in("idevid2"));
    ck_assert(!gets_in("alone"));
    ck_assert(!gets_in("foreign"));
    answers = false;
    only[0] = '\0';
    int before = asked;
    ck_assert(!gets_in("idevid"));
    ck_assert(!gets_in("alone"));
    ck_assert_int_eq(asked, before + 2); /* so nothing leads to an anchor */
    ck_assert(gets_in("client"));
}
END_TEST

START_TEST(word_of_the_service_does_not_cure_an_expired_certificate_of_an_anchor) {
    ck_assert(!gets_in("expired"));
    ck_assert_int_eq(asked, 0);
}
END_TEST

START_TEST(word_of_the_service_does_not_cure_a_certificate_that_is_not_for_clients) {
    ck_assert(!gets_in("serverauth"));
    ck_assert(!gets_in("foreign-server"));
}
END_TEST

START_TEST(word_of_the_service_does_not_cure_a_forged_signature_of_an_anchor) {
    /* A bit of the signature, which ends the DER. */
    uint8_t *der;
    size_t len = pki_der(&der, "client");
    der[len - 1] ^= 1;
    char command[256];
    FILE *out = fopen(pki_file("forged.der"), "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(der, 1, len, out), len);
    ck_assert_int_eq(fclose(out), 0);
    free(der);
    (void)snprintf(command, sizeof command, "openssl x509 -inform der -in %s -out %s",
                   pki_file("forged.der"), pki_file("forged.pem"));
    ck_assert_int_eq(system(command), 0);
    pki_copy("client.key", "forged.key");
    ck_assert(!gets_in("forged"));
    ck_assert_int_eq(asked, 0);
}
END_TEST

/* A certificate is no secret: who has it, but not its key, does not get in. */
START_TEST(word_of_the_service_does_not_stand_in_for_the_key) {
    static const char *const names[][2] = {
        {"alone", "client"}, {"idevid", "client"}, {"client", "idevid"}};
    for (size_t i = 0; i < 3; i++) {
        char file[32];
        (void)snprintf(file, sizeof file, "%s.pem", names[i][0]);
        pki_copy(file, "stolen.pem");
        (void)snprintf(file, sizeof file, "%s.key", names[i][1]);
        pki_copy(file, "stolen.key");
        ck_assert(!gets_in("stolen"));
    }
    ck_assert_int_eq(asked, 2); /* so the certificates themselves would have done */
}
END_TEST

START_TEST(client_without_a_certificate_is_refused_unasked) {
    ck_assert(!gets_in(NULL));
    ck_assert_int_eq(asked, 0);
}
END_TEST

START_TEST(plane_whose_service_vouches_for_nobody_refuses_them_all) {
    stop();
    start_with(NULL);
    static const char *const names[] = {"alone", "foreign", "idevid", "idevid2"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert(!gets_in(names[i]));
    }
    ck_assert(gets_in("client"));
}
END_TEST

START_TEST(vouching_goes_on_after_a_reload) {
    struct detail detail = {0};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(transport_reload(f.transport, &detail), STATUS_OK);
        ck_assert(gets_in("idevid"));
        ck_assert(gets_in("client"));
    }
}
END_TEST

int main(void) {
    pki_make();
    TCase *t = tcase_create("vouching");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, certificate_that_the_service_vouches_for_is_taken);
    tcase_add_test(t, chain_reaches_the_service_as_the_peer_sent_it_in_one_question);
    tcase_add_test(t, certificate_that_the_service_does_not_vouch_for_is_refused);
    tcase_add_test(t, service_is_not_asked_about_clients_of_the_planes_anchors);
    tcase_add_test(t, intermediate_that_was_vouched_for_vouches_for_nobody);
    tcase_add_test(t, word_of_the_service_does_not_cure_an_expired_certificate_of_an_anchor);
    tcase_add_test(t, word_of_the_service_does_not_cure_a_certificate_that_is_not_for_clients);
    tcase_add_test(t, word_of_the_service_does_not_cure_a_forged_signature_of_an_anchor);
    tcase_add_test(t, word_of_the_service_does_not_stand_in_for_the_key);
    tcase_add_test(t, client_without_a_certificate_is_refused_unasked);
    tcase_add_test(t, plane_whose_service_vouches_for_nobody_refuses_them_all);
    tcase_add_test(t, vouching_goes_on_after_a_reload);
    Suite *suite = suite_create("tls: vouching");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
