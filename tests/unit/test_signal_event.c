/* What changes in trust say to receivers. */
#include "server/appraisal/appraisal.h"
#include "server/fleet/signal_event.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static const struct stream_row push = {.id = "0123456789abcdef0123456789abcdef",
                                       .method = STREAM_PUSH,
                                       .audience = "https://receiver.example",
                                       .events = SIGNAL_SSF};
static const struct stream_row webhook = {
    .id = "0123456789abcdef0123456789abcdef", .method = STREAM_WEBHOOK, .events = SIGNAL_ALL};
static const struct trust_change_row untrusted = {.seq = 7,
                                                  .time_ms = 1790000000123,
                                                  .change = TRUST_DEVICE,
                                                  .device_id = "dddddddddddddddddddddddddddddddd",
                                                  .model = "edge",
                                                  .state = DEVICE_ENROLLED,
                                                  .was_state = DEVICE_ENROLLED,
                                                  .verdict = VERDICT_UNTRUSTED,
                                                  .was_verdict = VERDICT_TRUSTED,
                                                  .tier = TIER_NONE,
                                                  .was_tier = TIER_MEASURED};
static const struct trust_change_row revoked = {.seq = 8,
                                                .time_ms = 1790000001000,
                                                .change = TRUST_REVOCATION,
                                                .device_id = "dddddddddddddddddddddddddddddddd",
                                                .model = "edge",
                                                .state = DEVICE_ENROLLED,
                                                .verdict = VERDICT_TRUSTED,
                                                .tier = TIER_MEASURED,
                                                .serial = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
                                                .sha256 = {0xab},
                                                .segment = "prod",
                                                .not_before = 1790000000,
                                                .not_after = 1790003600,
                                                .reason = "stolen \"today\""};

static void start(void) {
    arena_init(&arena, 1 << 20);
}

static void stop(void) {
    arena_free(&arena);
}

static void is_text(struct bytes found, const char *wanted) {
    ck_assert_msg(bytes_equal(found, bytes_of_text(wanted)), "found:  %.*s\nwanted: %s",
                  (int)found.len, (const char *)found.data, wanted);
}

START_TEST(a_device_that_ceases_to_be_compliant_is_told_as_caep_says) {
    is_text(signal_claims(&arena, "https://g.example", &push, &untrusted, 1790000005),
            "{\"iss\":\"https://g.example\","
            "\"jti\":\"0123456789abcdef0123456789abcdef.7\",\"iat\":1790000005,"
            "\"aud\":\"https://receiver.example\",\"sub_id\":{\"format\":\"complex\",\"device\":"
            "{\"format\":\"opaque\",\"id\":\"dddddddddddddddddddddddddddddddd\"}},"
            "\"events\":{\"https://schemas.openid.net/secevent/caep/event-type/"
            "device-compliance-change\":{\"previous_status\":\"compliant\","
            "\"current_status\":\"not-compliant\",\"initiating_entity\":\"policy\","
            "\"reason_admin\":{\"en\":\"the device's verdict is untrusted, and was trusted\"},"
            "\"event_timestamp\":1790000000}}}");
}
END_TEST

START_TEST(a_revocation_is_told_as_caep_says) {
    is_text(signal_claims(&arena, "https://g.example", &push, &revoked, 1790000005),
            "{\"iss\":\"https://g.example\","
            "\"jti\":\"0123456789abcdef0123456789abcdef.8\",\"iat\":1790000005,"
            "\"aud\":\"https://receiver.example\",\"sub_id\":{\"format\":\"complex\",\"device\":"
            "{\"format\":\"opaque\",\"id\":\"dddddddddddddddddddddddddddddddd\"}},"
            "\"events\":{\"https://schemas.openid.net/secevent/caep/event-type/"
            "credential-change\":{\"credential_type\":\"x509\",\"change_type\":\"revoke\","
            "\"x509_serial\":\"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\",\"x509_sha256\":"
            "\"ab00000000000000000000000000000000000000000000000000000000000000\","
            "\"reason_admin\":{\"en\":\"stolen \\\"today\\\"\"},\"event_timestamp\":1790000001}}}");
}
END_TEST

START_TEST(what_an_operator_did_to_a_device_is_told_as_theirs) {
    struct trust_change_row change = untrusted;
    change.verdict = VERDICT_TRUSTED;
    change.state = DEVICE_QUARANTINED;
    struct bytes claims = signal_claims(&arena, "i", &push, &change, 1);
    ck_assert_ptr_nonnull(memmem(claims.data, claims.len, "\"admin\"", 7));
    ck_assert_ptr_nonnull(memmem(claims.data, claims.len, "is quarantined, and was enrolled", 32));
    change.state = 0;
    claims = signal_claims(&arena, "i", &push, &change, 1);
    ck_assert_ptr_nonnull(memmem(claims.data, claims.len, "is unknown, and was enrolled", 28));
}
END_TEST

/* {state, verdict} before and after; whether a token says so. */
static const struct {
    enum device_state was_state, state;
    int was_verdict, verdict;
    bool told;
} transitions[] = {
    {DEVICE_ENROLLED, DEVICE_ENROLLED, VERDICT_TRUSTED, VERDICT_UNTRUSTED, true},
    {DEVICE_ENROLLED, DEVICE_ENROLLED, VERDICT_UNTRUSTED, VERDICT_TRUSTED, true},
    {DEVICE_ENROLLED, DEVICE_ENROLLED, VERDICT_TRUSTED, VERDICT_EXPIRED, true},
    {DEVICE_ENROLLED, DEVICE_QUARANTINED, VERDICT_TRUSTED, VERDICT_TRUSTED, true},
    {DEVICE_QUARANTINED, DEVICE_ENROLLED, VERDICT_TRUSTED, VERDICT_TRUSTED, true},
    {DEVICE_ENROLLED, 0, VERDICT_TRUSTED, VERDICT_UNKNOWN, true},
    {0, DEVICE_ENROLLED, VERDICT_UNKNOWN, VERDICT_UNKNOWN, false},
    {DEVICE_ENROLLED, DEVICE_ENROLLED, VERDICT_TRUSTED, VERDICT_TRUSTED, false}, /* the tier */
    {DEVICE_ENROLLED, DEVICE_ENROLLED, VERDICT_UNKNOWN, VERDICT_UNTRUSTED, false},
    {DEVICE_QUARANTINED, DEVICE_RETIRED, VERDICT_TRUSTED, VERDICT_TRUSTED, false},
    {DEVICE_ENROLLED, 0, VERDICT_UNTRUSTED, VERDICT_UNKNOWN, false},
};

START_TEST(a_token_tells_that_compliance_changed_and_nothing_else) {
    struct trust_change_row change = untrusted;
    change.was_state = transitions[_i].was_state;
    change.state = transitions[_i].state;
    change.was_verdict = transitions[_i].was_verdict;
    change.verdict = transitions[_i].verdict;
    ck_assert_int_eq(signal_concerns(&push, &change), transitions[_i].told);
    ck_assert(signal_concerns(&webhook, &change));
}
END_TEST

START_TEST(a_stream_is_told_of_the_kinds_that_it_asked_for) {
    struct stream_row stream = push;
    struct trust_change_row model = {.change = TRUST_MODEL, .model = "edge"};
    ck_assert(signal_concerns(&stream, &untrusted) && signal_concerns(&stream, &revoked));
    ck_assert(!signal_concerns(&stream, &model));
    stream.events = SIGNAL_COMPLIANCE;
    ck_assert(signal_concerns(&stream, &untrusted) && !signal_concerns(&stream, &revoked));
    stream.events = SIGNAL_CREDENTIAL;
    ck_assert(!signal_concerns(&stream, &untrusted) && signal_concerns(&stream, &revoked));
    stream.events = 0;
    ck_assert(!signal_concerns(&stream, &untrusted) && !signal_concerns(&stream, &revoked));
    stream = webhook;
    ck_assert(signal_concerns(&stream, &model));
    stream.events = SIGNAL_SSF;
    ck_assert(!signal_concerns(&stream, &model));
}
END_TEST

START_TEST(notices_are_about_the_stream) {
    struct notice_row notice = {
        .num = 3, .kind = NOTICE_VERIFICATION, .text = "nonce", .created = 1790000000};
    is_text(signal_notice_claims(&arena, "i", &push, &notice, 5),
            "{\"iss\":\"i\",\"jti\":\"0123456789abcdef0123456789abcdef.n3\",\"iat\":5,"
            "\"aud\":\"https://receiver.example\",\"sub_id\":{\"format\":\"opaque\","
            "\"id\":\"0123456789abcdef0123456789abcdef\"},\"events\":{\"https://schemas.openid.net/"
            "secevent/ssf/event-type/verification\":{\"state\":\"nonce\"}}}");
    notice = (struct notice_row){
        .num = 4, .kind = NOTICE_UPDATED, .status = STREAM_PAUSED, .text = "why"};
    struct bytes claims = signal_notice_claims(&arena, "i", &push, &notice, 5);
    const char wanted[] =
        "ssf/event-type/stream-updated\":{\"status\":\"paused\",\"reason\":\"why\"}}}";
    ck_assert_ptr_nonnull(memmem(claims.data, claims.len, wanted, sizeof wanted - 1));
    notice.created = 1790000000;
    is_text(signal_notice_webhook(&arena, &webhook, &notice),
            "{\"id\":\"0123456789abcdef0123456789abcdef.n4\",\"type\":\"stream.updated\","
            "\"time\":\"2026-09-21T14:13:20.000Z\",\"stream\":\"0123456789abcdef0123456789abcdef\","
            "\"status\":\"paused\",\"reason\":\"why\"}");
}
END_TEST

START_TEST(a_webhook_says_all_there_is_to_say) {
    struct bytes body = signal_webhook(&arena, &webhook, &revoked);
    is_text(body,
            "{\"id\":\"0123456789abcdef0123456789abcdef.8\",\"type\":\"credential.revoked\","
            "\"time\":\"2026-09-21T14:13:21.000Z\",\"stream\":\"0123456789abcdef0123456789abcdef\","
            "\"seq\":8,\"model\":\"edge\",\"device_id\":\"dddddddddddddddddddddddddddddddd\","
            "\"state\":\"enrolled\",\"verdict\":\"trusted\",\"tier\":\"measured\","
            "\"compliant\":true,\"serial\":\"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\","
            "\"certificate_sha256\":"
            "\"ab00000000000000000000000000000000000000000000000000000000000000\","
            "\"segment\":\"prod\",\"not_before\":\"2026-09-21T14:13:20Z\","
            "\"not_after\":\"2026-09-21T15:13:20Z\",\"reason\":\"stolen \\\"today\\\"\"}");
}
END_TEST

START_TEST(the_signature_of_a_webhook_is_the_hmac_of_time_and_body) {
    /* printf '1790000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_00 */
    ck_assert_str_eq(
        signal_webhook_signature(&arena, "whsec_00", 1790000000, bytes_of_text("{\"a\":1}")),
        "t=1790000000,v1="
        "d7518439dd74a6f128cc2074681188c6a9d737891f8a80c62fc2ba03d8ece2b6");
}
END_TEST

START_TEST(a_name_is_read_as_it_was_written) {
    char jti[SIGNAL_JTI];
    bool is_notice;
    int64_t number = 0;
    signal_jti(jti, push.id, 123456789012345678);
    ck_assert(signal_jti_read(jti, push.id, &is_notice, &number));
    ck_assert(!is_notice && number == 123456789012345678);
    signal_notice_jti(jti, push.id, 9);
    ck_assert(signal_jti_read(jti, push.id, &is_notice, &number));
    ck_assert(is_notice && number == 9);
}
END_TEST

static const char *const bad_names[] = {
    "",
    "0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef.",
    "0123456789abcdef0123456789abcdef.n",
    "0123456789abcdef0123456789abcdef.x1",
    "0123456789abcdef0123456789abcdef.0",
    "0123456789abcdef0123456789abcdef.01",
    "0123456789abcdef0123456789abcdef.1x",
    "0123456789abcdef0123456789abcdef.-1",
    "0123456789abcdef0123456789abcdef.1234567890123456789",
    "f123456789abcdef0123456789abcdef.1",
    "0123456789abcdef0123456789abcde.1",
};

START_TEST(a_name_of_another_stream_or_of_none_is_not_taken) {
    bool is_notice;
    int64_t number;
    ck_assert_msg(!signal_jti_read(bad_names[_i], push.id, &is_notice, &number), "%s",
                  bad_names[_i]);
}
END_TEST

START_TEST(kinds_have_their_names) {
    ck_assert_uint_eq(signal_event_from_uri(signal_event_uri(SIGNAL_COMPLIANCE)),
                      SIGNAL_COMPLIANCE);
    ck_assert_uint_eq(signal_event_from_uri(signal_event_uri(SIGNAL_CREDENTIAL)),
                      SIGNAL_CREDENTIAL);
    ck_assert_uint_eq(signal_event_from_uri(""), 0);
    ck_assert_uint_eq(signal_event_from_uri("https://schemas.openid.net/secevent/caep/event-type/"
                                            "session-revoked"),
                      0);
    for (unsigned event = 1; event <= SIGNAL_MODEL; event <<= 1) {
        ck_assert_uint_eq(signal_event_from_name(signal_event_name((enum signal_event)event)),
                          event);
    }
    ck_assert_uint_eq(signal_event_from_name("Device"), 0);
}
END_TEST

START_TEST(a_full_arena_gives_nothing) {
    struct arena small;
    arena_init(&small, 64);
    ck_assert_uint_eq(signal_claims(&small, "i", &push, &untrusted, 1).len, 0);
    ck_assert_uint_eq(signal_webhook(&small, &webhook, &untrusted).len, 0);
    ck_assert_ptr_null(signal_webhook_signature(&small, "s", 1, bytes_of_text("body")));
    arena_free(&small);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("events");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, a_device_that_ceases_to_be_compliant_is_told_as_caep_says);
    tcase_add_test(tcase, a_revocation_is_told_as_caep_says);
    tcase_add_test(tcase, what_an_operator_did_to_a_device_is_told_as_theirs);
    tcase_add_loop_test(tcase, a_token_tells_that_compliance_changed_and_nothing_else, 0,
                        sizeof transitions / sizeof transitions[0]);
    tcase_add_test(tcase, a_stream_is_told_of_the_kinds_that_it_asked_for);
    tcase_add_test(tcase, notices_are_about_the_stream);
    tcase_add_test(tcase, a_webhook_says_all_there_is_to_say);
    tcase_add_test(tcase, the_signature_of_a_webhook_is_the_hmac_of_time_and_body);
    tcase_add_test(tcase, a_name_is_read_as_it_was_written);
    tcase_add_loop_test(tcase, a_name_of_another_stream_or_of_none_is_not_taken, 0,
                        sizeof bad_names / sizeof bad_names[0]);
    tcase_add_test(tcase, kinds_have_their_names);
    tcase_add_test(tcase, a_full_arena_gives_nothing);
    Suite *suite = suite_create("signal_event");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
