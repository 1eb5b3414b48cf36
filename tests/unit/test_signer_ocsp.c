/* OCSP answers out of the signer: what openssl says of them, and what the child does not sign. */
#include "server/base/clock.h"
#include "server/credential/crl.h"
#include "server/credential/signer_child.h"
#include "server/credential/signer_ocsp.h"
#include "server/crypto/random.h"
#include "tests/unit/lab.h"
#include "tests/unit/ocsp_fixture.h"
#include "tests/unit/signer_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct signer *signer;
static char folder[] = "/tmp/gatehouse-test-XXXXXX";
static struct ocsp_job job; /* a good one, and what came of it */

static const struct signer_authority *authority_of(enum profile profile) {
    const struct signer_authority *all;
    size_t num = signer_authorities(signer, &all);
    for (size_t i = 0; i < num; i++) {
        if (all[i].profile == profile) {
            return &all[i];
        }
    }
    ck_abort_msg("no such authority");
}

static void start(void) {
    (void)strcpy(folder, "/tmp/gatehouse-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    signer = signer_fixture_start(folder);
    memset(&job, 0, sizeof job);
    memcpy(job.authority, authority_of(PROFILE_ACCESS)->id, sizeof job.authority);
    job.num_answers = 1;
    job.answer[0] = (struct ocsp_answer){.alg = HASH_SHA1,
                                         .serial = {0x41, 2, 3},
                                         .serial_len = 16,
                                         .status = OCSP_GOOD,
                                         .next_update = clock_unix() + 600};
}

static void stop(void) {
    char command[64];
    signer_free(signer);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static enum status ask(struct detail *detail) {
    struct ocsp_job *jobs[] = {&job};
    return signer_ocsp(signer, jobs, 1, detail);
}

static void see(struct ocsp_seen *seen) {
    struct detail detail = {0};
    ck_assert_int_eq(ask(&detail), STATUS_OK);
    ck_assert_msg(job.status == STATUS_OK, "%s", detail.text);
    ocsp_see(seen, bytes_of(job.der, job.der_len));
    ck_assert_int_eq(seen->response_status, 0);
    ck_assert_uint_eq(seen->num, job.num_answers);
}

static void refused(enum status status, const char *why) {
    struct detail detail = {0};
    struct ocsp_job good = job;
    ck_assert_int_eq(ask(&detail), STATUS_OK);
    ck_assert_msg(job.status == status, "%s: %s", status_name(job.status), detail.text);
    ck_assert_msg(strstr(detail.text, why) != NULL, "'%s' does not say '%s'", detail.text, why);
    ck_assert_uint_eq(job.der_len, 0);
    job = good;
}

/* --- what is signed ------------------------------------------------------------------------- */

static const enum hash_alg algs[] = {HASH_SHA1, HASH_SHA256};

START_TEST(an_answer_says_what_was_asked_about_and_nothing_else) {
    struct ocsp_seen seen;
    struct ocsp_issuer issuer;
    int64_t before = clock_unix();
    job.answer[0].alg = algs[_i];
    see(&seen);
    ck_assert_int_eq(ocsp_issuer_of(&issuer, authority_of(PROFILE_ACCESS)->certificate, NULL),
                     STATUS_OK);
    ck_assert_int_eq(seen.answer[0].alg, algs[_i]);
    ck_assert(bytes_equal(seen.answer[0].name_hash, ocsp_issuer_name_hash(&issuer, algs[_i])));
    ck_assert(bytes_equal(seen.answer[0].key_hash, ocsp_issuer_key_hash(&issuer, algs[_i])));
    ck_assert(bytes_equal(seen.answer[0].serial, bytes_of(job.answer[0].serial, 16)));
    ck_assert_int_eq(seen.answer[0].status, OCSP_GOOD);
    ck_assert(seen.produced_at >= before && seen.produced_at <= clock_unix());
    ck_assert_int_eq(job.produced_at, seen.produced_at);
    ck_assert_int_eq(seen.answer[0].this_update, seen.produced_at);
    ck_assert_int_eq(seen.answer[0].next_update, job.answer[0].next_update);
    ck_assert_uint_eq(seen.nonce.len, 0);
}
END_TEST

START_TEST(a_revocation_comes_with_its_time_and_reason) {
    struct ocsp_seen seen;
    job.answer[0].status = OCSP_REVOKED;
    job.answer[0].revoked_at = clock_unix() - 100;
    see(&seen);
    ck_assert_int_eq(seen.answer[0].status, OCSP_REVOKED);
    ck_assert_int_eq(seen.answer[0].revoked_at, job.answer[0].revoked_at);
    ck_assert_int_eq(seen.answer[0].reason, -1);
    job.answer[0].reason = CRL_PRIVILEGE_WITHDRAWN;
    see(&seen);
    ck_assert_int_eq(seen.answer[0].reason, CRL_PRIVILEGE_WITHDRAWN);
}
END_TEST

START_TEST(a_nonce_is_echoed_whatever_its_size) {
    struct ocsp_seen seen;
    for (size_t len = 1; len <= OCSP_NONCE_MAX; len += 127) {
        random_bytes(job.nonce, len);
        job.nonce_len = len;
        see(&seen);
        ck_assert(bytes_equal(seen.nonce, bytes_of(job.nonce, len)));
    }
}
END_TEST

START_TEST(the_largest_answer_fits) {
    struct ocsp_seen seen;
    for (size_t i = 0; i < OCSP_CERTS_MAX; i++) {
        job.answer[i] = job.answer[0];
        job.answer[i].alg = HASH_SHA256;
        memset(job.answer[i].serial, 0xFF, OCSP_SERIAL_MAX);
        job.answer[i].serial_len = OCSP_SERIAL_MAX;
        job.answer[i].status = OCSP_REVOKED;
        job.answer[i].reason = 9;
        job.answer[i].revoked_at = clock_unix();
    }
    job.num_answers = OCSP_CERTS_MAX;
    job.nonce_len = OCSP_NONCE_MAX;
    see(&seen);
    ck_assert_int_eq(seen.answer[OCSP_CERTS_MAX - 1].status, OCSP_REVOKED);
}
END_TEST

START_TEST(the_responder_is_delegated_by_the_authority_for_a_few_days) {
    struct ocsp_seen seen;
    struct certificate authority;
    int64_t now = clock_unix();
    see(&seen);
    ck_assert_int_eq(certificate_parse(&authority, authority_of(PROFILE_ACCESS)->certificate, NULL),
                     STATUS_OK);
    ck_assert(!public_key_equal(&seen.responder.key, &authority.key));
    ck_assert_str_eq(seen.responder.issuer, authority.subject);
    ck_assert(!seen.responder.is_ca);
    ck_assert(seen.responder.not_before <= now && seen.responder.not_before >= now - 7200);
    ck_assert(seen.responder.not_after > now + 86400 &&
              seen.responder.not_after <= now + 8 * 86400);
    lab_write("responder.der", seen.certificate);
    lab_write("authority.der", authority_of(PROFILE_ACCESS)->certificate);
    lab_run(
        "for c in responder authority; do openssl x509 -inform DER -in $c.der -out $c.pem; done; "
        "openssl verify -x509_strict -purpose ocsphelper -CAfile authority.pem responder.pem; "
        "openssl x509 -in responder.pem -noout -text");
    ck_assert(lab_said("OCSP No Check"));
    ck_assert(lab_said("OCSP Signing"));
    ck_assert(!lab_said("TLS Web"));
}
END_TEST

START_TEST(its_certificate_stays_the_same_from_answer_to_answer) {
    struct ocsp_seen first, second;
    uint8_t sha256[32];
    see(&first);
    memcpy(sha256, first.responder.sha256, sizeof sha256);
    see(&second);
    ck_assert_mem_eq(sha256, second.responder.sha256, sizeof sha256);
}
END_TEST

/* status, what openssl says of the certificate 0x4102...; -VAfile is absent: the responder is
 * believed for its delegation alone. */
static const struct {
    enum ocsp_status status;
    const char *said;
} verdicts[] = {{OCSP_GOOD, "leaf.pem: good"},
                {OCSP_REVOKED, "leaf.pem: revoked"},
                {OCSP_UNKNOWN, "leaf.pem: unknown"}};

START_TEST(openssl_believes_the_answer) {
    struct ocsp_seen seen;
    struct sign_job leaf = sample_job(1);
    struct sign_job *leaves[] = {&leaf};
    struct ocsp_request request;
    ck_assert_int_eq(signer_sign(signer, leaves, 1, NULL), STATUS_OK);
    lab_write("leaf.der", bytes_of(leaf.der, leaf.der_len));
    lab_write("authority.der", authority_of(PROFILE_ACCESS)->certificate);
    lab_run("for c in leaf authority; do openssl x509 -inform DER -in $c.der -out $c.pem; done; "
            "openssl ocsp -%s -issuer authority.pem -cert leaf.pem -reqout request",
            _i % 2 == 0 ? "sha1" : "sha256");
    ck_assert_int_eq(ocsp_request_read(&request, lab_read("request"), NULL), STATUS_OK);
    job.answer[0].alg = request.cert[0].alg;
    job.answer[0].serial_len = (uint8_t)request.cert[0].serial.len;
    memcpy(job.answer[0].serial, request.cert[0].serial.data, request.cert[0].serial.len);
    memcpy(job.nonce, request.nonce.data, request.nonce.len);
    job.nonce_len = request.nonce.len;
    job.answer[0].status = verdicts[_i / 2].status;
    if (job.answer[0].status == OCSP_REVOKED) {
        job.answer[0].revoked_at = clock_unix() - 5;
        job.answer[0].reason = CRL_PRIVILEGE_WITHDRAWN;
    }
    see(&seen);
    lab_write("response", bytes_of(job.der, job.der_len));
    lab_run("openssl ocsp -issuer authority.pem -reqin request -respin response -CAfile "
            "authority.pem");
    ck_assert(lab_said("Response verify OK"));
    ck_assert(!lab_said("WARNING"));
    lab_run("openssl ocsp -no_nonce -%s -issuer authority.pem -cert leaf.pem -respin response "
            "-CAfile authority.pem",
            _i % 2 == 0 ? "sha1" : "sha256");
    ck_assert(lab_said(verdicts[_i / 2].said));
}
END_TEST

/* --- what is not ---------------------------------------------------------------------------- */

START_TEST(only_access_authorities_are_answered_for) {
    memcpy(job.authority, authority_of(PROFILE_IDENTITY)->id, sizeof job.authority);
    refused(STATUS_NOT_FOUND, "no access authority");
    (void)strcpy(job.authority, "0123456789abcdef");
    refused(STATUS_NOT_FOUND, "no access authority");
    (void)strcpy(job.authority, "x");
    refused(STATUS_NOT_FOUND, "no access authority");
}
END_TEST

START_TEST(an_answer_holds_for_a_day_at_most_and_not_for_nothing) {
    int64_t now = clock_unix();
    struct ocsp_seen seen;
    job.answer[0].next_update = now;
    refused(STATUS_INVALID, "over when it begins");
    job.answer[0].next_update = -1;
    refused(STATUS_INVALID, "over when it begins");
    job.answer[0].next_update = now + SIGNER_OCSP_VALIDITY_MAX_S + 100;
    refused(STATUS_INVALID, "too long");
    job.answer[0].next_update = INT64_MAX;
    refused(STATUS_INVALID, "too long");
    job.answer[0].next_update = now + SIGNER_OCSP_VALIDITY_MAX_S;
    see(&seen);
}
END_TEST

static void change(struct ocsp_answer *answer, int what) {
    switch (what) {
    case 0: /* a revocation that is to come */
        answer->status = OCSP_REVOKED;
        answer->revoked_at = clock_unix() + 3600;
        break;
    case 1: /* at no time */
        answer->status = OCSP_REVOKED;
        break;
    case 2: /* for no reason that there is */
        answer->status = OCSP_REVOKED;
        answer->revoked_at = clock_unix();
        answer->reason = 11;
        break;
    case 3: /* good, and revoked */
        answer->revoked_at = clock_unix();
        break;
    case 4: /* good, and a reason */
        answer->reason = 1;
        break;
    case 5: /* a status that is none */
        answer->status = (enum ocsp_status)3;
        break;
    case 6:
        answer->alg = HASH_SHA384;
        break;
    case 7:
        answer->serial_len = 0;
        break;
    case 8: /* a zero before the serial number */
        answer->serial[0] = 0;
        break;
    default:
        ck_abort();
    }
}
enum { NUM_CHANGES = 9 };

START_TEST(an_answer_that_is_none_is_refused_first_or_last) {
    for (size_t at = 0; at < 2; at++) {
        struct ocsp_job good = job;
        job.answer[1] = job.answer[0];
        job.num_answers = 2;
        change(&job.answer[at], _i);
        refused(STATUS_INVALID, "OCSP: no certificate's");
        job = good;
    }
}
END_TEST

START_TEST(a_response_without_answers_is_refused) {
    job.num_answers = 0;
    refused(STATUS_INVALID, "0 answers");
}
END_TEST

START_TEST(one_that_is_refused_does_not_take_the_others_with_it) {
    static struct ocsp_job several[3];
    struct ocsp_job *jobs[] = {&several[0], &several[1], &several[2]};
    struct detail detail = {0};
    for (size_t i = 0; i < 3; i++) {
        several[i] = job;
    }
    several[1].answer[0].next_update = 1;
    ck_assert_int_eq(signer_ocsp(signer, jobs, 3, &detail), STATUS_OK);
    ck_assert_int_eq(several[0].status, STATUS_OK);
    ck_assert_int_eq(several[1].status, STATUS_INVALID);
    ck_assert_int_eq(several[2].status, STATUS_OK);
    ck_assert_ptr_nonnull(strstr(detail.text, "response 1"));
}
END_TEST

START_TEST(a_full_batch_is_signed_and_a_fuller_one_is_a_limit) {
    static struct ocsp_job many[SIGNER_OCSP_MAX + 1];
    struct ocsp_job *jobs[SIGNER_OCSP_MAX + 1];
    for (size_t i = 0; i <= SIGNER_OCSP_MAX; i++) {
        many[i] = job;
        jobs[i] = &many[i];
    }
    ck_assert_int_eq(signer_ocsp(signer, jobs, SIGNER_OCSP_MAX + 1, NULL), STATUS_LIMIT);
    ck_assert_int_eq(signer_ocsp(signer, jobs, 0, NULL), STATUS_LIMIT);
    ck_assert_int_eq(signer_ocsp(signer, jobs, SIGNER_OCSP_MAX, NULL), STATUS_OK);
    for (size_t i = 0; i < SIGNER_OCSP_MAX; i++) {
        ck_assert_int_eq(many[i].status, STATUS_OK);
    }
    job.num_answers = OCSP_CERTS_MAX + 1;
    ck_assert_int_eq(signer_ocsp(signer, &(struct ocsp_job *){&job}, 1, NULL), STATUS_LIMIT);
    job.num_answers = 1;
    job.nonce_len = OCSP_NONCE_MAX + 1;
    ck_assert_int_eq(signer_ocsp(signer, &(struct ocsp_job *){&job}, 1, NULL), STATUS_LIMIT);
}
END_TEST

/* --- the child by itself, at times of its own --------------------------------------------------- */

enum { DAY = 86400 };

static struct child child; /* with one authority, of ten days */
static int64_t begins;

static void make_child(void) {
    struct public_key key;
    struct detail detail = {0};
    uint8_t spki[KEY_SPKI_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    struct authority *authority = &child.authority[0];
    struct writer der = writer_of(authority->der, sizeof authority->der);
    begins = clock_unix();
    child = (struct child){.trust_domain = "gatehouse.test", .num_authorities = 1, .now = begins};
    *authority = (struct authority){.profile = PROFILE_ACCESS, .id = {1, 2, 3}};
    ck_assert_int_eq(private_key_generate(&authority->key, KEY_EC_P384), STATUS_OK);
    private_key_public(authority->key, &key);
    ck_assert_int_eq(public_key_to_spki(&w, &key), STATUS_OK);
    struct certificate_request request = {.profile = PROFILE_CA,
                                          .spki = writer_bytes(&w),
                                          .common_name = "epoch",
                                          .not_before = begins,
                                          .not_after = begins + 10 * DAY,
                                          .serial = {1}};
    const struct issuer self = {.key = authority->key};
    ck_assert_msg(profile_issue(&der, &self, &request, &detail) == STATUS_OK, "%s", detail.text);
    authority->der_len = der.len;
    ck_assert_int_eq(child_ocsp_new(&child.ocsp, &detail), STATUS_OK);
}

/* A request for one answer, as signer_ocsp writes it. */
static struct bytes asked_of_child(uint8_t authority, int64_t next_update) {
    static uint8_t buffer[128];
    static const uint8_t serial[16] = {0x40};
    const uint8_t id[AUTHORITY_RAW_ID] = {authority, 2, 3};
    struct writer w = writer_of(buffer, sizeof buffer);
    write_u16be(&w, 1);
    write_bytes(&w, bytes_of(id, sizeof id));
    write_u8(&w, 2);
    write_bytes(&w, bytes_of("no", 2));
    write_u8(&w, 1);
    write_u8(&w, 1); /* SHA-1 */
    write_u8(&w, OCSP_GOOD);
    write_u64be(&w, 0);
    write_u8(&w, 0);
    write_u64be(&w, (uint64_t)next_update);
    write_u8(&w, sizeof serial);
    write_bytes(&w, bytes_of(serial, sizeof serial));
    ck_assert(!w.overflow);
    return writer_bytes(&w);
}

/* What it says to that at `now`: its status, and then the response or why not. */
static enum status child_says(struct bytes *content, int64_t now, int64_t next_update) {
    static uint8_t buffer[16384];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct bytes asked = asked_of_child(1, next_update);
    uint64_t produced_at;
    uint16_t num;
    uint8_t status;
    child.now = now;
    ck_assert_int_eq(child_ocsp_answer(&child, asked, &w), STATUS_OK);
    struct bytes reply = writer_bytes(&w);
    ck_assert_int_eq(bytes_u64be(&reply, &produced_at), STATUS_OK);
    ck_assert_int_eq((int64_t)produced_at, now);
    ck_assert(bytes_u16be(&reply, &num) == STATUS_OK && num == 1);
    ck_assert_int_eq(bytes_u8(&reply, &status), STATUS_OK);
    ck_assert_int_eq(bytes_u16be_prefixed(&reply, content), STATUS_OK);
    ck_assert_uint_eq(reply.len, 0);
    return (enum status)status;
}

static void see_at(struct ocsp_seen *seen, int64_t now) {
    struct bytes content;
    ck_assert_int_eq(child_says(&content, now, now + 60), STATUS_OK);
    ocsp_see(seen, content);
    ck_assert(seen->responder.not_before <= now && now < seen->responder.not_after);
    ck_assert_int_ge(seen->responder.not_before, begins);
    ck_assert_int_le(seen->responder.not_after, begins + 10 * DAY);
}

START_TEST(the_responder_is_certified_anew_half_way_and_not_before) {
    struct ocsp_seen seen;
    uint8_t first[32];
    see_at(&seen, begins + DAY);
    ck_assert_int_eq(seen.responder.not_after, begins + 4 * DAY);
    memcpy(first, seen.responder.sha256, sizeof first);
    see_at(&seen, begins + DAY + 3 * DAY / 2 - 1);
    ck_assert_mem_eq(seen.responder.sha256, first, sizeof first);
    see_at(&seen, begins + DAY + 3 * DAY / 2);
    ck_assert_mem_ne(seen.responder.sha256, first, sizeof first);
    ck_assert_int_eq(seen.responder.not_after, begins + DAY + 3 * DAY / 2 + 3 * DAY);
    see_at(&seen, begins + 1); /* the clock went back */
}
END_TEST

START_TEST(the_responder_ends_with_its_authority_and_so_do_its_answers) {
    struct ocsp_seen seen;
    struct bytes content;
    int64_t end = begins + 10 * DAY;
    see_at(&seen, end - 100);
    ck_assert_int_eq(seen.responder.not_after, end);
    ck_assert_int_eq(child_says(&content, end - 100, end), STATUS_OK);
    ck_assert_int_eq(child_says(&content, end - 100, end + 1), STATUS_INVALID);
    ck_assert_int_eq(child_says(&content, end, end + 60), STATUS_INVALID);
    ck_assert_int_eq(child_says(&content, begins - 1, begins + 60), STATUS_INVALID);
}
END_TEST

START_TEST(an_authority_that_has_retired_is_answered_for_no_more) {
    struct ocsp_seen seen;
    struct bytes content;
    child.authority[0].retires = begins + DAY;
    see_at(&seen, begins + DAY - 1);
    ck_assert_int_eq(child_says(&content, begins + DAY, begins + DAY + 60), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_frame_that_is_cut_or_too_long_is_no_request) {
    static uint8_t reply[16384];
    struct bytes asked = asked_of_child(1, begins + 60);
    for (size_t len = 0; len < asked.len; len++) {
        struct writer w = writer_of(reply, sizeof reply);
        uint8_t *exact = malloc(len == 0 ? 1 : len);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, asked.data, len);
        ck_assert_int_eq(child_ocsp_answer(&child, bytes_of(exact, len), &w), STATUS_MALFORMED);
        free(exact);
    }
    uint8_t longer[128] = {0};
    memcpy(longer, asked.data, asked.len);
    struct writer w = writer_of(reply, sizeof reply);
    ck_assert_int_eq(child_ocsp_answer(&child, bytes_of(longer, asked.len + 1), &w),
                     STATUS_MALFORMED);
    longer[1] = 0; /* no responses at all */
    ck_assert_int_eq(child_ocsp_answer(&child, bytes_of(longer, 2), &w), STATUS_MALFORMED);
    longer[1] = SIGNER_OCSP_MAX + 1;
    ck_assert_int_eq(child_ocsp_answer(&child, bytes_of(longer, asked.len), &w), STATUS_MALFORMED);
}
END_TEST

int main(void) {
    TCase *alone = tcase_create("child");
    TCase *good = tcase_create("signed"), *bad = tcase_create("refused");
    lab_open();
    tcase_add_checked_fixture(good, start, stop);
    tcase_add_checked_fixture(bad, start, stop);
    tcase_add_loop_test(good, an_answer_says_what_was_asked_about_and_nothing_else, 0, 2);
    tcase_add_test(good, a_revocation_comes_with_its_time_and_reason);
    tcase_add_test(good, a_nonce_is_echoed_whatever_its_size);
    tcase_add_test(good, the_largest_answer_fits);
    tcase_add_test(good, the_responder_is_delegated_by_the_authority_for_a_few_days);
    tcase_add_test(good, its_certificate_stays_the_same_from_answer_to_answer);
    tcase_add_loop_test(good, openssl_believes_the_answer, 0, 6);
    tcase_add_test(bad, only_access_authorities_are_answered_for);
    tcase_add_test(bad, an_answer_holds_for_a_day_at_most_and_not_for_nothing);
    tcase_add_loop_test(bad, an_answer_that_is_none_is_refused_first_or_last, 0, NUM_CHANGES);
    tcase_add_test(bad, a_response_without_answers_is_refused);
    tcase_add_test(bad, one_that_is_refused_does_not_take_the_others_with_it);
    tcase_add_test(bad, a_full_batch_is_signed_and_a_fuller_one_is_a_limit);
    tcase_add_checked_fixture(alone, make_child, NULL);
    tcase_add_test(alone, the_responder_is_certified_anew_half_way_and_not_before);
    tcase_add_test(alone, the_responder_ends_with_its_authority_and_so_do_its_answers);
    tcase_add_test(alone, an_authority_that_has_retired_is_answered_for_no_more);
    tcase_add_test(alone, a_frame_that_is_cut_or_too_long_is_no_request);
    Suite *suite = suite_create("signer: OCSP");
    suite_add_tcase(suite, alone);
    suite_add_tcase(suite, good);
    suite_add_tcase(suite, bad);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
