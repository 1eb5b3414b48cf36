/* concurrent */
/* The OCSP responder: answers are those of the fleet table at the time, from the cache or not. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/fleet/ocsp_cache.h"
#include "server/fleet/ocsp_responder.h"
#include "tests/unit/ocsp_fixture.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALIDITY_S = 600 };

static struct signer *signer;
static struct fleet_table *table;
static struct ocsp_responder *responder;
static char folder[32];
static int64_t now;

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

static void start_responder(void) {
    const struct ocsp_responder_options options = {
        .signer = signer, .table = table, .validity_s = VALIDITY_S};
    struct detail detail = {0};
    ck_assert_msg(ocsp_responder_start(&responder, &options, &detail) == STATUS_OK, "%s",
                  detail.text);
}

static void start(void) {
    (void)strcpy(folder, "/tmp/gatehouse-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    signer = signer_fixture_start(folder);
    now = clock_unix();
    fleet_thread_enter();
    ck_assert_int_eq(fleet_table_new(&table), STATUS_OK);
    start_responder();
}

static void stop(void) {
    char command[64];
    ocsp_responder_stop(responder);
    ocsp_responder_free(responder);
    fleet_table_free(table);
    fleet_thread_leave();
    signer_free(signer);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The n-th credential of the n-th device. */
static struct credential_row row_of(unsigned n) {
    struct credential_row row = sample_credential(n, n);
    row.serial[0] = '4';
    row.not_before = now - 100;
    row.not_after = now + 3600;
    memcpy(row.authority, authority_of(PROFILE_ACCESS)->id, sizeof row.authority);
    return row;
}

static void put(const struct credential_row *row) {
    ck_assert_int_eq(fleet_put_device(table, row->device_id, "edge", DEVICE_ENROLLED,
                                      VERDICT_TRUSTED, TIER_MEASURED),
                     STATUS_OK);
    ck_assert_int_eq(fleet_put_credential(table, row), STATUS_OK);
}

struct waiting {
    struct ocsp_query query; /* first: done casts */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool answered, waited;
};

static void done(struct ocsp_query *query) {
    struct waiting *waiting = (struct waiting *)query;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->answered = true;
    (void)pthread_cond_signal(&waiting->woken);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static void begin(struct waiting *waiting, struct bytes request, int64_t at) {
    *waiting = (struct waiting){.query = {.request = request, .done = done},
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .woken = PTHREAD_COND_INITIALIZER};
    waiting->waited = !ocsp_responder_ask(responder, &waiting->query, at);
}

static void end(struct waiting *waiting) {
    (void)pthread_mutex_lock(&waiting->lock);
    while (waiting->waited && !waiting->answered) {
        (void)pthread_cond_wait(&waiting->woken, &waiting->lock);
    }
    (void)pthread_mutex_unlock(&waiting->lock);
}

static struct waiting asked; /* the latest */
static struct ocsp_seen seen;

/* True: it was in the cache. */
static bool ask_at(struct bytes request, int64_t at) {
    begin(&asked, request, at);
    end(&asked);
    ocsp_see(&seen, asked.query.answer);
    return !asked.waited;
}

static struct bytes request_of(const struct credential_row *row, enum hash_alg alg,
                               const char *nonce) {
    static uint8_t serial[16][16];
    static size_t at;
    uint8_t *raw = serial[at++ % 16];
    ck_assert_int_eq(hex_decode(raw, 16, row->serial), STATUS_OK);
    struct ocsp_ask ask = {.issuer = authority_of(PROFILE_ACCESS)->certificate,
                           .alg = alg,
                           .serial = {bytes_of(raw, 16)},
                           .num = 1,
                           .nonce = bytes_of_text(nonce)};
    return ocsp_ask_write(&ask);
}

static bool ask(const struct credential_row *row) {
    return ask_at(request_of(row, HASH_SHA1, ""), clock_unix());
}

static void said(enum ocsp_status status) {
    ck_assert_int_eq(seen.response_status, 0);
    ck_assert_uint_eq(seen.num, 1);
    ck_assert_int_eq(seen.answer[0].status, status);
}

/* --- statuses ------------------------------------------------------------------------------- */

START_TEST(a_credential_is_good_until_it_is_revoked) {
    struct credential_row row = row_of(1);
    put(&row);
    (void)ask(&row);
    said(OCSP_GOOD);
    fleet_revoke_credential(table, row.serial);
    int64_t revoked = clock_unix();
    (void)ask(&row);
    said(OCSP_REVOKED);
    ck_assert_int_eq(seen.answer[0].reason, -1);
    ck_assert(seen.answer[0].revoked_at >= now && seen.answer[0].revoked_at <= revoked);
}
END_TEST

static void deny(const struct credential_row *row) {
    fleet_deny_device(table, row->device_id);
}
static void revoke_device(const struct credential_row *row) {
    fleet_revoke_device(table, row->device_id);
}
static void revoke_model(const struct credential_row *row) {
    (void)row;
    fleet_revoke_model(table, "edge");
}
static void revoke_above(const struct credential_row *row) {
    fleet_revoke_above(table, row->device_id, TIER_NONE);
}
static void (*const denials[])(const struct credential_row *) = {deny, revoke_device, revoke_model,
                                                                 revoke_above};

START_TEST(whatever_denies_early_is_in_the_next_answer_though_a_good_one_is_cached) {
    struct credential_row row = row_of(1);
    put(&row);
    (void)ask(&row);
    ck_assert_msg(ask(&row), "it is not cached");
    said(OCSP_GOOD);
    denials[_i](&row);
    ck_assert_msg(!ask(&row), "a cached answer after the denial");
    said(OCSP_REVOKED);
    ck_assert_msg(ask(&row), "the new one is not cached");
    said(OCSP_REVOKED);
}
END_TEST

START_TEST(what_was_revoked_before_the_start_has_the_time_of_the_store) {
    struct credential_row row = row_of(1);
    row.revoked = now - 50;
    put(&row);
    (void)ask(&row);
    said(OCSP_REVOKED);
    ck_assert_int_eq(seen.answer[0].revoked_at, now - 50);
    fleet_revoke_credential(table, row.serial);
    (void)ask(&row);
    ck_assert_int_eq(seen.answer[0].revoked_at, now - 50); /* the first time counts */
}
END_TEST

START_TEST(a_reason_is_said_once_it_is_durable_though_an_answer_without_is_cached) {
    struct credential_row row = row_of(1), known = row_of(2);
    known.revoked = now - 50;
    (void)strcpy(known.reason, "retired");
    put(&row);
    put(&known);
    fleet_note_reason(table, row.serial, CRL_SUPERSEDED); /* of what is not revoked: nothing */
    fleet_revoke_credential(table, row.serial);
    (void)ask(&row);
    ck_assert_int_eq(seen.answer[0].reason, -1);
    ck_assert(ask(&row));
    fleet_note_reason(table, row.serial, CRL_KEY_COMPROMISE);
    ck_assert(!ask(&row));
    said(OCSP_REVOKED);
    ck_assert_int_eq(seen.answer[0].reason, CRL_KEY_COMPROMISE);
    (void)ask(&known);
    ck_assert_int_eq(seen.answer[0].reason, CRL_CESSATION_OF_OPERATION);
}
END_TEST

START_TEST(a_revocation_of_the_future_is_of_now) {
    struct credential_row row = row_of(1);
    row.revoked = now + 5000; /* the clock went back */
    put(&row);
    (void)ask(&row);
    said(OCSP_REVOKED);
    ck_assert_int_le(seen.answer[0].revoked_at, seen.produced_at);
}
END_TEST

START_TEST(what_was_never_issued_is_unknown_and_not_cached) {
    struct credential_row row = row_of(1), other = row_of(2);
    put(&row);
    for (int i = 0; i < 2; i++) {
        ck_assert(!ask(&other));
        said(OCSP_UNKNOWN);
    }
}
END_TEST

START_TEST(what_is_over_is_unknown_and_what_was_revoked_stays_so) {
    struct credential_row over = row_of(1), revoked = row_of(2);
    over.not_after = revoked.not_after = now - 1;
    revoked.revoked = now - 50;
    put(&over);
    put(&revoked);
    (void)ask(&over);
    said(OCSP_UNKNOWN);
    (void)ask(&revoked);
    said(OCSP_REVOKED);
}
END_TEST

START_TEST(a_serial_number_of_another_length_is_unknown) {
    struct credential_row row = row_of(1);
    put(&row);
    static const uint8_t longer[20] = {1}, shorter[] = {7};
    struct bytes serials[] = {bytes_of(longer, sizeof longer), bytes_of(shorter, 1)};
    for (size_t i = 0; i < 2; i++) {
        struct ocsp_ask odd = {.issuer = authority_of(PROFILE_ACCESS)->certificate,
                               .alg = HASH_SHA256,
                               .serial = {serials[i]},
                               .num = 1};
        (void)ask_at(ocsp_ask_write(&odd), clock_unix());
        said(OCSP_UNKNOWN);
        ck_assert(bytes_equal(seen.answer[0].serial, serials[i]));
    }
}
END_TEST

START_TEST(a_credential_of_another_epoch_is_unknown_and_of_none_is_ours) {
    struct credential_row other = row_of(1), old = row_of(2);
    (void)strcpy(other.authority, "0123456789abcdef");
    old.authority[0] = '\0';
    put(&other);
    put(&old);
    (void)ask(&other);
    said(OCSP_UNKNOWN);
    (void)ask(&old);
    said(OCSP_GOOD);
}
END_TEST

START_TEST(an_issuer_that_is_not_ours_is_unauthorized) {
    struct credential_row row = row_of(1);
    put(&row);
    static const uint8_t serial[16] = {0x40};
    struct ocsp_ask identity = {.issuer = authority_of(PROFILE_IDENTITY)->certificate,
                                .alg = HASH_SHA1,
                                .serial = {bytes_of(serial, 16)},
                                .num = 1};
    ck_assert(ask_at(ocsp_ask_write(&identity), clock_unix()));
    ck_assert_int_eq(seen.response_status, OCSP_UNAUTHORIZED);
    ck_assert_int_eq(asked.query.next_update, 0);
}
END_TEST

START_TEST(what_is_no_request_is_malformed) {
    struct credential_row row = row_of(1);
    struct bytes request = request_of(&row, HASH_SHA1, "");
    ck_assert(ask_at(bytes_of(request.data, request.len - 1), clock_unix()));
    ck_assert_int_eq(seen.response_status, OCSP_MALFORMED_REQUEST);
    ck_assert(ask_at(bytes_of(NULL, 0), clock_unix()));
    ck_assert_int_eq(seen.response_status, OCSP_MALFORMED_REQUEST);
}
END_TEST

START_TEST(several_certificates_are_answered_in_their_order) {
    struct credential_row good = row_of(1), revoked = row_of(2);
    uint8_t raw[2][16];
    static const uint8_t stranger[16] = {0x41};
    revoked.revoked = now - 9;
    put(&good);
    put(&revoked);
    ck_assert_int_eq(hex_decode(raw[0], 16, good.serial), STATUS_OK);
    ck_assert_int_eq(hex_decode(raw[1], 16, revoked.serial), STATUS_OK);
    struct ocsp_ask three = {
        .issuer = authority_of(PROFILE_ACCESS)->certificate,
        .alg = HASH_SHA256,
        .serial = {bytes_of(raw[1], 16), bytes_of(stranger, 16), bytes_of(raw[0], 16)},
        .num = 3};
    for (int i = 0; i < 2; i++) {
        ck_assert(!ask_at(ocsp_ask_write(&three), clock_unix()));
        ck_assert_uint_eq(seen.num, 3);
        ck_assert_int_eq(seen.answer[0].status, OCSP_REVOKED);
        ck_assert_int_eq(seen.answer[1].status, OCSP_UNKNOWN);
        ck_assert_int_eq(seen.answer[2].status, OCSP_GOOD);
    }
}
END_TEST

/* --- times and the cache -------------------------------------------------------------------- */

START_TEST(an_answer_holds_for_its_time_and_never_beyond_the_credential) {
    struct credential_row row = row_of(1), brief = row_of(2);
    brief.not_after = now + 100;
    put(&row);
    put(&brief);
    (void)ask(&row);
    ck_assert_int_le(seen.answer[0].next_update, seen.produced_at + VALIDITY_S);
    ck_assert_int_gt(seen.answer[0].next_update, now + VALIDITY_S - 1);
    ck_assert_int_eq(asked.query.next_update, seen.answer[0].next_update);
    ck_assert_int_eq(asked.query.this_update, seen.produced_at);
    (void)ask(&brief);
    ck_assert_int_eq(seen.answer[0].next_update, now + 100);
}
END_TEST

START_TEST(a_cached_answer_is_the_very_same_one_for_half_of_its_time) {
    struct credential_row row = row_of(1);
    uint8_t first[OCSP_RESPONSE_MAX];
    put(&row);
    ck_assert(!ask(&row));
    struct bytes answer = asked.query.answer;
    memcpy(first, answer.data, answer.len);
    int64_t made = seen.produced_at;
    struct bytes request = request_of(&row, HASH_SHA1, "");
    ck_assert(ask_at(request, made));
    ck_assert(bytes_equal(asked.query.answer, bytes_of(first, answer.len)));
    ck_assert(ask_at(request, made + VALIDITY_S / 2 - 2));
    ck_assert(!ask_at(request, made + VALIDITY_S / 2 + 2)); /* signed by the clock: now, again */
    ck_assert(!ask_at(request, made - 1000));               /* the clock went back */
}
END_TEST

START_TEST(each_hash_has_an_answer_of_its_own) {
    struct credential_row row = row_of(1);
    put(&row);
    ck_assert(!ask_at(request_of(&row, HASH_SHA1, ""), now));
    ck_assert(!ask_at(request_of(&row, HASH_SHA256, ""), clock_unix()));
    ck_assert_int_eq(seen.answer[0].alg, HASH_SHA256);
    ck_assert(ask_at(request_of(&row, HASH_SHA1, ""), clock_unix()));
    ck_assert_int_eq(seen.answer[0].alg, HASH_SHA1);
}
END_TEST

START_TEST(a_nonce_is_answered_anew_each_time) {
    struct credential_row row = row_of(1);
    put(&row);
    (void)ask(&row);
    for (int i = 0; i < 2; i++) {
        ck_assert(!ask_at(request_of(&row, HASH_SHA1, "nonce"), clock_unix()));
        ck_assert(bytes_equal(seen.nonce, bytes_of_text("nonce")));
        ck_assert_int_eq(asked.query.next_update, 0); /* nobody keeps it */
    }
    ck_assert(ask(&row));
    ck_assert_uint_eq(seen.nonce.len, 0);
}
END_TEST

static struct ocsp_job cached_job(uint8_t n, int64_t next_update) {
    return (struct ocsp_job){.authority = "0123456789abcdef",
                             .answer = {{.alg = HASH_SHA1,
                                         .serial = {1, [15] = n},
                                         .serial_len = 16,
                                         .status = OCSP_GOOD,
                                         .next_update = next_update}},
                             .num_answers = 1,
                             .produced_at = 1000,
                             .der = {n},
                             .der_len = 1};
}

START_TEST(a_full_set_lets_the_answer_go_that_ends_first) {
    struct ocsp_cache *cache;
    static const int64_t ends[] = {1400, 1300, 1500, 1600, 1700};
    ck_assert_int_eq(ocsp_cache_new(&cache, 1), STATUS_OK);
    for (uint8_t n = 0; n < 5; n++) {
        struct ocsp_job job = cached_job(n, ends[n]);
        ocsp_cache_put(cache, &job);
    }
    for (uint8_t n = 0; n < 5; n++) {
        struct ocsp_job job = cached_job(n, 1);
        job.der[0] = 99;
        ck_assert_int_eq(ocsp_cache_find(cache, &job, 1001), n != 1);
        ck_assert_int_eq(job.der[0], n != 1 ? n : 99);
        ck_assert_int_eq(job.answer[0].next_update, n != 1 ? ends[n] : 1);
    }
    ocsp_cache_free(cache);
}
END_TEST

static void differ(struct ocsp_job *job, int how) {
    switch (how) {
    case 0:
        job->answer[0].status = OCSP_REVOKED;
        break;
    case 1:
        job->answer[0].revoked_at = 5;
        break;
    case 2:
        job->answer[0].reason = 9;
        break;
    case 3:
        job->answer[0].alg = HASH_SHA256;
        break;
    case 4:
        job->answer[0].serial[0] ^= 1;
        break;
    case 5:
        job->authority[0] = 'f';
        break;
    case 6:
        job->nonce_len = 1;
        break;
    case 7:
        job->num_answers = 2;
        break;
    case 8:
        job->answer[0].serial_len = 15;
        break;
    default:
        ck_abort();
    }
}
enum { NUM_DIFFERENCES = 9 };

START_TEST(what_differs_in_anything_is_not_answered_from_the_cache) {
    struct ocsp_cache *cache;
    struct ocsp_job job = cached_job(1, 2000), same = job, different = job;
    ck_assert_int_eq(ocsp_cache_new(&cache, 1), STATUS_OK);
    ocsp_cache_put(cache, &job);
    ck_assert(ocsp_cache_find(cache, &same, 1000));
    differ(&different, _i);
    ck_assert(!ocsp_cache_find(cache, &different, 1000));
    ocsp_cache_free(cache);
}
END_TEST

START_TEST(what_is_too_long_or_nothing_is_not_kept) {
    struct ocsp_cache *cache;
    struct ocsp_job job = cached_job(1, 2000);
    ck_assert_int_eq(ocsp_cache_new(&cache, 1), STATUS_OK);
    job.der_len = OCSP_CACHED_MAX + 1;
    ocsp_cache_put(cache, &job);
    ck_assert(!ocsp_cache_find(cache, &job, 1000));
    job.der_len = 0;
    ocsp_cache_put(cache, &job);
    ck_assert(!ocsp_cache_find(cache, &job, 1000));
    ocsp_cache_free(cache);
}
END_TEST

/* --- many at once, and the end -------------------------------------------------------------- */

START_TEST(all_who_wait_are_answered_each_with_its_own) {
    enum { MANY = 300 };
    static struct waiting many[MANY];
    static uint8_t request[MANY][160];
    struct credential_row row = row_of(1);
    put(&row);
    for (size_t i = 0; i < MANY; i++) {
        char nonce[8];
        (void)snprintf(nonce, sizeof nonce, "%zu", i);
        struct bytes asks = request_of(&row, HASH_SHA1, nonce);
        ck_assert_uint_le(asks.len, sizeof request[i]);
        memcpy(request[i], asks.data, asks.len);
        begin(&many[i], bytes_of(request[i], asks.len), clock_unix());
        ck_assert(many[i].waited);
    }
    for (size_t i = 0; i < MANY; i++) {
        char nonce[8];
        (void)snprintf(nonce, sizeof nonce, "%zu", i);
        end(&many[i]);
        ocsp_see(&seen, many[i].query.answer);
        said(OCSP_GOOD);
        ck_assert(bytes_equal(seen.nonce, bytes_of_text(nonce)));
    }
    ck_assert_uint_eq(ocsp_responder_count(responder).signed_anew, MANY);
}
END_TEST

START_TEST(who_finds_the_queue_full_is_told_to_try_later_and_nobody_else) {
    enum { MANY = OCSP_QUEUE_MAX + SIGNER_OCSP_MAX + 1 };
    static struct waiting many[MANY];
    struct credential_row row = row_of(1);
    struct bytes request = request_of(&row, HASH_SHA1, "nonce");
    size_t num = 0;
    put(&row);
    ck_assert_int_eq(kill(signer_pid(signer), SIGSTOP), 0); /* one batch is with it at most */
    do {
        ck_assert_uint_lt(num, MANY);
        begin(&many[num], request, clock_unix());
    } while (many[num++].waited);
    ck_assert_uint_gt(num, OCSP_QUEUE_MAX);
    ocsp_see(&seen, many[num - 1].query.answer);
    ck_assert_int_eq(seen.response_status, OCSP_TRY_LATER);
    ck_assert_int_eq(kill(signer_pid(signer), SIGCONT), 0);
    for (size_t i = 0; i + 1 < num; i++) {
        end(&many[i]);
        ocsp_see(&seen, many[i].query.answer);
        said(OCSP_GOOD);
    }
}
END_TEST

START_TEST(a_responder_that_stops_says_try_later) {
    struct credential_row row = row_of(1);
    put(&row);
    (void)ask(&row);
    ocsp_responder_stop(responder);
    ck_assert(ask(&row)); /* what is cached needs nobody */
    said(OCSP_GOOD);
    ck_assert(ask_at(request_of(&row, HASH_SHA1, "nonce"), clock_unix()));
    ck_assert_int_eq(seen.response_status, OCSP_TRY_LATER);
}
END_TEST

static _Atomic int num_fatal;

static void note_fatal(void *context) {
    (void)context;
    num_fatal++;
}

START_TEST(without_its_signer_it_says_internal_error_and_tells) {
    struct credential_row row = row_of(1);
    ocsp_responder_stop(responder);
    ocsp_responder_free(responder);
    const struct ocsp_responder_options options = {.signer = signer,
                                                   .table = table,

                                                   .validity_s = VALIDITY_S,
                                                   .fatal = note_fatal};
    ck_assert_int_eq(ocsp_responder_start(&responder, &options, NULL), STATUS_OK);
    put(&row);
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    (void)ask(&row);
    ck_assert_int_eq(seen.response_status, OCSP_INTERNAL_ERROR);
    ocsp_responder_stop(responder);
    ck_assert_int_eq(num_fatal, 1);
}
END_TEST

int main(void) {
    TCase *statuses = tcase_create("statuses"), *cache = tcase_create("cache"),
          *many = tcase_create("many");
    tcase_add_checked_fixture(statuses, start, stop);
    tcase_add_test(statuses, a_credential_is_good_until_it_is_revoked);
    tcase_add_loop_test(statuses,
                        whatever_denies_early_is_in_the_next_answer_though_a_good_one_is_cached, 0,
                        sizeof denials / sizeof denials[0]);
    tcase_add_test(statuses, what_was_revoked_before_the_start_has_the_time_of_the_store);
    tcase_add_test(statuses,
                   a_reason_is_said_once_it_is_durable_though_an_answer_without_is_cached);
    tcase_add_test(statuses, a_revocation_of_the_future_is_of_now);
    tcase_add_test(statuses, what_was_never_issued_is_unknown_and_not_cached);
    tcase_add_test(statuses, what_is_over_is_unknown_and_what_was_revoked_stays_so);
    tcase_add_test(statuses, a_serial_number_of_another_length_is_unknown);
    tcase_add_test(statuses, a_credential_of_another_epoch_is_unknown_and_of_none_is_ours);
    tcase_add_test(statuses, an_issuer_that_is_not_ours_is_unauthorized);
    tcase_add_test(statuses, what_is_no_request_is_malformed);
    tcase_add_test(statuses, several_certificates_are_answered_in_their_order);
    tcase_add_checked_fixture(cache, start, stop);
    tcase_add_test(cache, an_answer_holds_for_its_time_and_never_beyond_the_credential);
    tcase_add_test(cache, a_cached_answer_is_the_very_same_one_for_half_of_its_time);
    tcase_add_test(cache, each_hash_has_an_answer_of_its_own);
    tcase_add_test(cache, a_nonce_is_answered_anew_each_time);
    tcase_add_test(cache, a_full_set_lets_the_answer_go_that_ends_first);
    tcase_add_loop_test(cache, what_differs_in_anything_is_not_answered_from_the_cache, 0,
                        NUM_DIFFERENCES);
    tcase_add_test(cache, what_is_too_long_or_nothing_is_not_kept);
    tcase_add_checked_fixture(many, start, stop);
    tcase_add_test(many, all_who_wait_are_answered_each_with_its_own);
    tcase_add_test(many, who_finds_the_queue_full_is_told_to_try_later_and_nobody_else);
    tcase_add_test(many, a_responder_that_stops_says_try_later);
    tcase_add_test(many, without_its_signer_it_says_internal_error_and_tells);
    Suite *suite = suite_create("OCSP: responder");
    suite_add_tcase(suite, statuses);
    suite_add_tcase(suite, cache);
    suite_add_tcase(suite, many);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
