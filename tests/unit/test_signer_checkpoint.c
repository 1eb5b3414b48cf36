/* Checkpoints of the audit log: their text, and how the signer signs them. */
#include "server/base/clock.h"
#include "server/credential/checkpoint.h"
#include "server/credential/signer.h"
#include "server/credential/signer_wire.h"
#include "server/crypto/x509.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static struct signer *signer;
static struct detail detail;

static void start(void) {
    store_fixture_folder(&f);
    signer = signer_fixture_start(f.folder);
}

static void stop(void) {
    signer_free(signer);
    store_fixture_remove(&f);
}

static struct checkpoint_job job_of(int64_t seq, uint8_t hash) {
    struct checkpoint_job job = {.seq = seq};
    memset(job.hash, hash, sizeof job.hash);
    return job;
}

static enum status sign(struct checkpoint_job *job) {
    detail = (struct detail){0};
    ck_assert_int_eq(signer_checkpoint(signer, job, &detail), STATUS_OK);
    return job->status;
}

/* --- text --- */

static const char known[] = "gatehouse audit checkpoint 1\n"
                            "gatehouse.test\n"
                            "7\n"
                            "abababababababababababababababababababababababababababababababab\n"
                            "2026-11-23T13:00:00Z\n";

static struct checkpoint sample(void) {
    struct checkpoint c = {.trust_domain = "gatehouse.test", .seq = 7, .time = 1795438800};
    memset(c.hash, 0xab, sizeof c.hash);
    return c;
}

START_TEST(text_is_as_written_down) {
    struct checkpoint c = sample();
    uint8_t text[CHECKPOINT_TEXT_MAX];
    struct writer w = writer_of(text, sizeof text);
    ck_assert_int_eq(checkpoint_text(&w, &c), STATUS_OK);
    ck_assert_uint_eq(w.len, sizeof known - 1);
    ck_assert_mem_eq(text, known, w.len);
}
END_TEST

/* What X.509 has signed is a SEQUENCE. */
START_TEST(text_is_nothing_that_a_certificate_authority_signs_otherwise) {
    size_t len = 0;
    ck_assert_int_ne(known[0], 0x30);
    ck_assert_int_ne(der_element_len(&len, bytes_of(known, sizeof known - 1)), STATUS_OK);
}
END_TEST

START_TEST(what_would_make_two_texts_one_is_refused) {
    uint8_t text[CHECKPOINT_TEXT_MAX];
    struct writer w = writer_of(text, sizeof text), small = writer_of(text, sizeof known - 2);
    struct checkpoint c = sample();
    ck_assert_int_eq(checkpoint_text(&small, &c), STATUS_LIMIT);
    c.trust_domain = "a\n7";
    ck_assert_int_eq(checkpoint_text(&w, &c), STATUS_INVALID);
    c.trust_domain = "";
    ck_assert_int_eq(checkpoint_text(&w, &c), STATUS_INVALID);
    c = sample();
    c.seq = 0;
    ck_assert_int_eq(checkpoint_text(&w, &c), STATUS_INVALID);
    c = sample();
    c.time = -1;
    ck_assert_int_eq(checkpoint_text(&w, &c), STATUS_INVALID);
}
END_TEST

/* --- the signer --- */

static enum status verify(const struct checkpoint_job *job, const char *domain, int64_t seq,
                          uint8_t hash, int64_t time, enum profile authority) {
    struct certificate certificate;
    struct checkpoint c = {.trust_domain = domain, .seq = seq, .time = time};
    memset(c.hash, hash, sizeof c.hash);
    ck_assert_int_eq(certificate_parse(&certificate, signer_authority(signer, authority), &detail),
                     STATUS_OK);
    return checkpoint_verify(&c, &certificate.key, bytes_of(job->signature, job->signature_len),
                             &detail);
}

START_TEST(signer_signs_a_checkpoint_and_nothing_else_with_it) {
    struct checkpoint_job job = job_of(7, 0xab);
    const char *domain = signer_trust_domain(signer);
    int64_t before = clock_unix();
    ck_assert_int_eq(sign(&job), STATUS_OK);
    ck_assert_int_ge(job.time, before);
    ck_assert_int_le(job.time, clock_unix());
    ck_assert_int_eq(verify(&job, domain, 7, 0xab, job.time, PROFILE_IDENTITY), STATUS_OK);
    ck_assert_int_ne(verify(&job, domain, 8, 0xab, job.time, PROFILE_IDENTITY), STATUS_OK);
    ck_assert_int_ne(verify(&job, domain, 7, 0xaa, job.time, PROFILE_IDENTITY), STATUS_OK);
    ck_assert_int_ne(verify(&job, domain, 7, 0xab, job.time + 1, PROFILE_IDENTITY), STATUS_OK);
    ck_assert_int_ne(verify(&job, "other.test", 7, 0xab, job.time, PROFILE_IDENTITY), STATUS_OK);
    ck_assert_int_ne(verify(&job, domain, 7, 0xab, job.time, PROFILE_ACCESS), STATUS_OK);
    for (size_t i = 0; i < job.signature_len; i++) {
        job.signature[i] ^= 1;
        ck_assert_int_ne(verify(&job, domain, 7, 0xab, job.time, PROFILE_IDENTITY), STATUS_OK);
        job.signature[i] ^= 1;
    }
}
END_TEST

START_TEST(signer_never_goes_back) {
    struct checkpoint_job job = job_of(7, 1), same = job_of(7, 1), next = job_of(8, 2);
    ck_assert_int_eq(sign(&job), STATUS_OK);
    ck_assert_int_eq(sign(&same), STATUS_OK); /* what was signed may not have been stored */
    ck_assert_int_eq(sign(&next), STATUS_OK);
    ck_assert_int_eq(sign(&same), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "entry 7 after entry 8"));
    ck_assert_uint_eq(same.signature_len, 0);
    struct checkpoint_job other = job_of(8, 3);
    ck_assert_int_eq(sign(&other), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "another hash"));
    other = job_of(9, 3);
    ck_assert_int_eq(sign(&other), STATUS_OK);
}
END_TEST

START_TEST(signer_refuses_what_is_no_entry_and_goes_on) {
    static const int64_t seqs[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        struct checkpoint_job job = job_of(seqs[i], 0);
        ck_assert_int_eq(sign(&job), STATUS_INVALID);
    }
    struct checkpoint_job job = job_of(1, 0);
    ck_assert_int_eq(sign(&job), STATUS_OK);
    struct sign_job certificate = sample_job(1), *jobs[] = {&certificate};
    ck_assert_int_eq(signer_sign(signer, jobs, 1, &detail), STATUS_OK);
    ck_assert_int_eq(certificate.status, STATUS_OK);
}
END_TEST

START_TEST(a_signer_that_is_gone_signs_no_checkpoint) {
    struct checkpoint_job job = job_of(1, 0);
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    ck_assert_int_eq(signer_checkpoint(signer, &job, &detail), STATUS_INTERNAL);
    ck_assert_int_eq(signer_checkpoint(signer, &job, &detail), STATUS_INTERNAL);
    ck_assert_int_eq(job.status, STATUS_INTERNAL);
}
END_TEST

/* --- the wire --- */

START_TEST(checkpoint_goes_over_the_wire_unchanged_and_no_prefix_of_it_does) {
    struct checkpoint_job job = job_of(0x0102030405060708, 5), back = {0};
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    signer_checkpoint_write(&w, &job);
    ck_assert_int_eq(signer_checkpoint_read(writer_bytes(&w), &back), STATUS_OK);
    ck_assert_mem_eq(&back, &job, sizeof job);
    for (size_t len = 0; len < w.len; len++) {
        struct bytes in = cert_exact(bytes_of(buffer, len));
        ck_assert_int_eq(signer_checkpoint_read(in, &back), STATUS_TRUNCATED);
        cert_drop(in);
    }
    write_u8(&w, 0);
    ck_assert_int_eq(signer_checkpoint_read(writer_bytes(&w), &back), STATUS_MALFORMED);
}
END_TEST

START_TEST(reply_goes_over_the_wire_unchanged_and_no_prefix_of_it_does) {
    struct checkpoint_job job = {
        .status = STATUS_OK, .time = 1795438800, .signature = {1, 2, 3}, .signature_len = 3};
    struct checkpoint_job back = {.status = STATUS_BUSY};
    struct bytes text;
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    signer_checkpoint_answer_write(&w, &job, "");
    for (size_t len = 0; len < w.len; len++) {
        struct bytes in = cert_exact(bytes_of(buffer, len));
        ck_assert_int_ne(signer_checkpoint_answer_read(in, &back, &text), STATUS_OK);
        ck_assert_int_eq(back.status, STATUS_BUSY);
        cert_drop(in);
    }
    ck_assert_int_eq(signer_checkpoint_answer_read(writer_bytes(&w), &back, &text), STATUS_OK);
    ck_assert_mem_eq(&back, &job, sizeof job);
    write_u8(&w, 0);
    back.status = STATUS_BUSY;
    ck_assert_int_eq(signer_checkpoint_answer_read(writer_bytes(&w), &back, &text),
                     STATUS_MALFORMED);
    ck_assert_int_eq(back.status, STATUS_BUSY);
}
END_TEST

static const struct {
    const char *what;
    struct bytes body;
} lies[] = {
    {"no signature", {(const uint8_t *)"\x00\x00\x08\0\0\0\0\0\0\0\1", 11}},
    {"a time before 1970", {(const uint8_t *)"\x00\x00\x09\xff\0\0\0\0\0\0\1s", 12}},
    {"half a time", {(const uint8_t *)"\x00\x00\x04\0\0\0\0", 7}},
    {"a status of its own", {(const uint8_t *)"\x07\x00\x00", 3}},
};

START_TEST(a_reply_that_is_none_is_refused) {
    struct checkpoint_job back = {.status = STATUS_BUSY};
    struct bytes text;
    ck_assert_msg(signer_checkpoint_answer_read(lies[_i].body, &back, &text) == STATUS_MALFORMED,
                  "%s", lies[_i].what);
    ck_assert_int_eq(back.status, STATUS_BUSY);
}
END_TEST

int main(void) {
    TCase *texts = tcase_create("text and wire"), *signers = tcase_create("signer");
    tcase_add_test(texts, text_is_as_written_down);
    tcase_add_test(texts, text_is_nothing_that_a_certificate_authority_signs_otherwise);
    tcase_add_test(texts, what_would_make_two_texts_one_is_refused);
    tcase_add_test(texts, checkpoint_goes_over_the_wire_unchanged_and_no_prefix_of_it_does);
    tcase_add_test(texts, reply_goes_over_the_wire_unchanged_and_no_prefix_of_it_does);
    tcase_add_loop_test(texts, a_reply_that_is_none_is_refused, 0,
                        (int)(sizeof lies / sizeof lies[0]));
    tcase_add_checked_fixture(signers, start, stop);
    tcase_add_test(signers, signer_signs_a_checkpoint_and_nothing_else_with_it);
    tcase_add_test(signers, signer_never_goes_back);
    tcase_add_test(signers, signer_refuses_what_is_no_entry_and_goes_on);
    tcase_add_test(signers, a_signer_that_is_gone_signs_no_checkpoint);
    Suite *suite = suite_create("signer: checkpoints");
    suite_add_tcase(suite, texts);
    suite_add_tcase(suite, signers);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
