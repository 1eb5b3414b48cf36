/* What devices booted is kept with the evidence that shows it, and told to administrators. */
/* concurrent */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static char body[BODY_SIZE], baseline[33];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

/* One more event than the baseline knows, told apart by `what`. */
static void boot_more(struct soft_device *d, const char *what) {
    struct writer log = writer_of(d->log, sizeof d->log);
    log.len = d->log_len;
    soft_tpm_event(&d->tpm, &log, 4, 0x0d, bytes_of_text(what), bytes_of_text(what));
    ck_assert(!log.overflow);
    d->log_len = log.len;
}

/* Attests; the appraisal's id. */
static void prove(struct soft_device *d, unsigned status, char appraisal[static 33]) {
    struct reply reply = device_prove(&g, d);
    expect_status(reply, status);
    (void)snprintf(appraisal, 33, "%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
}

static struct reply show(const char *format, const char *id) {
    char target[96];
    (void)snprintf(target, sizeof target, format, id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    return reply;
}

static enum status boot_of(const struct soft_device *d, struct device_boot_row *out) {
    struct store_reader *reader;
    ck_assert_int_eq(store_reader_new(&reader, g.store, NULL), STATUS_OK);
    enum status status = store_device_boot_get(reader, out, d->id);
    store_reader_free(reader);
    return status;
}

static bool is_zeros(const uint8_t sha256[static 32]) {
    return bytes_all(bytes_of(sha256, 32), 0);
}

static void run_sql(const char *sql) {
    char path[96];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/gatehouse.db", g.folder);
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* --- what is kept --- */

START_TEST(evidence_that_verifies_keeps_its_boot_state_and_log) {
    char appraisal[33];
    struct device_boot_row row;
    uint8_t sha256[32];
    ck_assert_int_eq(boot_of(&device, &row), STATUS_NOT_FOUND);
    int64_t now = clock_unix();
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &row), STATUS_OK);
    ck_assert_int_ge(row.since, now);
    ck_assert(is_zeros(row.trusted));
    digest_compute(HASH_SHA256, bytes_of(device.log, device.log_len), sha256);
    ck_assert_mem_eq(row.log_sha256, sha256, sizeof sha256);
}
END_TEST

START_TEST(the_same_boot_again_is_the_same_boot_state_since_the_first_time) {
    char appraisal[33];
    struct device_boot_row first, again;
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &first), STATUS_OK);
    device_boot(&device); /* a reset: another clock, the same boot */
    prove(&device, 201, appraisal);
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &again), STATUS_OK);
    ck_assert_mem_eq(&first, &again, sizeof first);
}
END_TEST

START_TEST(two_devices_that_booted_the_same_share_a_boot_state) {
    struct soft_device other;
    struct device_boot_row one, two;
    char appraisal[33];
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    prove(&device, 201, appraisal);
    prove(&other, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &one), STATUS_OK);
    ck_assert_int_eq(boot_of(&other, &two), STATUS_OK);
    ck_assert_mem_eq(one.boot_state, two.boot_state, 32);
    device_cleanup(&other);
}
END_TEST

START_TEST(a_trusted_boot_state_is_remembered_while_the_device_is_in_others) {
    char appraisal[33];
    struct device_boot_row good, bad, worse, back;
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &good), STATUS_OK);
    boot_more(&device, "unknown loader");
    prove(&device, 403, appraisal);
    ck_assert_int_eq(boot_of(&device, &bad), STATUS_OK);
    ck_assert_mem_ne(bad.boot_state, good.boot_state, 32);
    ck_assert_mem_eq(bad.trusted, good.boot_state, 32);
    boot_more(&device, "another one");
    prove(&device, 403, appraisal);
    ck_assert_int_eq(boot_of(&device, &worse), STATUS_OK);
    ck_assert_mem_ne(worse.boot_state, bad.boot_state, 32);
    ck_assert_mem_eq(worse.trusted, good.boot_state, 32); /* what it left was not trusted */
    device_boot(&device);
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &back), STATUS_OK);
    ck_assert_mem_eq(back.boot_state, good.boot_state, 32);
    ck_assert(is_zeros(back.trusted)); /* no other one was */
}
END_TEST

START_TEST(evidence_that_does_not_verify_leaves_what_is_known_of_the_boot) {
    char appraisal[33];
    struct device_boot_row before, after;
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &before), STATUS_OK);
    char nonce[48];
    boot_more(&device, "measured");
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    char *signature = strstr(body, "\"signature\":\"") + 40;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 422, "quote_signature_invalid");
    struct reply shown = show("/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    ck_assert(json_is_null(json_object_get(shown.json, "facts")));
    reply_free(&shown);
    reply_free(&reply);
    ck_assert_int_eq(boot_of(&device, &after), STATUS_OK);
    ck_assert_mem_eq(&before, &after, sizeof before);
}
END_TEST

START_TEST(evidence_whose_record_is_not_durable_keeps_nothing) {
    struct device_boot_row row;
    char nonce[48];
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    gateway_break_store(&g, true);
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 503, "storage_unavailable");
    reply_free(&reply);
    gateway_break_store(&g, false);
    ck_assert_int_eq(boot_of(&device, &row), STATUS_NOT_FOUND);
}
END_TEST

/* --- a log that is only named --- */

static void sha256_of_log(char hex[static 65], const struct soft_device *d) {
    uint8_t sha256[32];
    digest_compute(HASH_SHA256, bytes_of(d->log, d->log_len), sha256);
    hex_encode(hex, bytes_of(sha256, sizeof sha256));
}

/* Evidence over this nonce, with `hex` in place of the log. */
static void name_log(struct soft_device *d, const char *nonce, const char *hex) {
    static const char field[] = "\"tcg_event_log\":\"";
    static char rest[BODY_SIZE];
    device_evidence_body(d, body, nonce);
    char *at = strstr(body, field);
    ck_assert_ptr_nonnull(at);
    char *end = strchr(at + sizeof field - 1, '"');
    ck_assert_ptr_nonnull(end);
    (void)strcpy(rest, end);
    (void)strcpy(at, "\"tcg_event_log_sha256\":\"");
    (void)strcat(at, hex);
    (void)strcat(at, rest);
}

static void send(struct soft_device *d, unsigned status, const char *code) {
    struct reply reply = device_send(&g, d, body);
    check_code(&reply, status, code);
    reply_free(&reply);
}

START_TEST(a_log_that_the_gateway_holds_need_only_be_named) {
    char appraisal[33], nonce[48], hex[65];
    prove(&device, 201, appraisal);
    sha256_of_log(hex, &device);
    for (int i = 0; i < 3; i++) {
        device_challenge(&g, &device, nonce);
        name_log(&device, nonce, hex);
        struct reply reply = device_send(&g, &device, body);
        expect_status(reply, 201);
        (void)snprintf(appraisal, sizeof appraisal, "%s", reply_text(&reply, "appraisal_id"));
        reply_free(&reply);
    }
    struct reply reply = show("/v1/appraisals/%s", appraisal);
    const json_t *facts = json_object_get(reply.json, "facts");
    ck_assert_int_gt(json_integer_value(json_object_get(facts, "events")), 10);
    reply_free(&reply);
}
END_TEST

static void check_challenge(struct soft_device *d, const char *held) {
    struct reply reply = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                                 .caller = &d->caller,
                                                 .method = "POST",
                                                 .target = "/v1/challenges"});
    expect_status(reply, 201);
    const json_t *told = json_object_get(reply.json, "tcg_event_log_sha256");
    if (held == NULL) {
        ck_assert(json_is_null(told));
    } else {
        ck_assert_str_eq(json_string_value(told), held);
    }
    reply_free(&reply);
}

START_TEST(a_challenge_tells_which_log_the_gateway_holds) {
    char appraisal[33], hex[65];
    check_challenge(&device, NULL);
    prove(&device, 201, appraisal);
    sha256_of_log(hex, &device);
    check_challenge(&device, hex);
    boot_more(&device, "unknown loader");
    check_challenge(&device, hex);
    prove(&device, 403, appraisal); /* untrusted: verified all the same */
    sha256_of_log(hex, &device);
    check_challenge(&device, hex);
}
END_TEST

START_TEST(a_log_that_the_gateway_lacks_is_wanted_and_the_nonce_stays_good_for_it) {
    char nonce[48], hex[65];
    sha256_of_log(hex, &device);
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    send(&device, 409, "log_wanted");
    send(&device, 409, "log_wanted");
    device_evidence_body(&device, body, nonce);
    send(&device, 201, NULL);
    send(&device, 409, "nonce_used");
    name_log(&device, nonce, hex); /* held by now, and no reason to take the nonce twice */
    send(&device, 409, "nonce_used");
}
END_TEST

START_TEST(a_nonce_with_which_a_log_was_wanted_is_still_nobody_elses) {
    char nonce[48], hex[65];
    struct soft_device other;
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    sha256_of_log(hex, &device);
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    send(&device, 409, "log_wanted");
    device_evidence_body(&other, body, nonce);
    send(&other, 409, "nonce_unknown");
    device_cleanup(&other);
}
END_TEST

START_TEST(another_devices_log_is_wanted_like_any_other) {
    char appraisal[33], nonce[48], hex[65];
    struct soft_device other;
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    prove(&other, 201, appraisal);
    sha256_of_log(hex, &other); /* the same as this device's, which never sent it */
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    send(&device, 409, "log_wanted");
    device_cleanup(&other);
}
END_TEST

START_TEST(a_log_that_nobody_has_is_wanted) {
    char appraisal[33], nonce[48];
    static const char none[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const char ones[] = "1111111111111111111111111111111111111111111111111111111111111111";
    prove(&device, 201, appraisal);
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, none);
    send(&device, 409, "log_wanted");
    name_log(&device, nonce, ones);
    send(&device, 409, "log_wanted");
}
END_TEST

START_TEST(the_log_of_a_boot_before_is_wanted_again) {
    char appraisal[33], nonce[48], hex[65];
    prove(&device, 201, appraisal);
    sha256_of_log(hex, &device);
    boot_more(&device, "unknown loader");
    prove(&device, 403, appraisal);
    device_boot(&device);
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    send(&device, 409, "log_wanted");
    device_evidence_body(&device, body, nonce);
    send(&device, 201, NULL);
}
END_TEST

START_TEST(a_log_that_grew_and_is_named_by_its_old_digest_does_not_replay) {
    char appraisal[33], nonce[48], hex[65];
    struct device_boot_row before, after;
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &before), STATUS_OK);
    sha256_of_log(hex, &device);
    boot_more(&device, "unknown loader");
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    send(&device, 422, "log_does_not_replay");
    name_log(&device, nonce, hex);
    send(&device, 409, "nonce_used");
    ck_assert_int_eq(boot_of(&device, &after), STATUS_OK);
    ck_assert_mem_eq(&before, &after, sizeof before);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(a_log_that_is_named_wrongly_or_twice_is_refused_and_the_nonce_stays_good) {
    char appraisal[33], nonce[48], hex[65], field[100];
    prove(&device, 201, appraisal);
    sha256_of_log(hex, &device);
    device_challenge(&g, &device, nonce);
    hex[0] = 'A';
    name_log(&device, nonce, hex);
    send(&device, 400, "invalid_field");
    sha256_of_log(hex, &device);
    hex[63] = '\0';
    name_log(&device, nonce, hex);
    send(&device, 400, "invalid_field");
    sha256_of_log(hex, &device);
    device_evidence_body(&device, body, nonce);
    size_t len = strlen(body);
    (void)snprintf(field, sizeof field, ",\"tcg_event_log_sha256\":\"%s\"}", hex);
    (void)strcpy(body + len - 1, field);
    send(&device, 400, "invalid_field");
    name_log(&device, nonce, hex);
    send(&device, 201, NULL);
}
END_TEST

START_TEST(a_kept_log_that_is_damaged_is_wanted_anew_and_told_to_the_log) {
    char appraisal[33], nonce[48], hex[65];
    prove(&device, 201, appraisal);
    run_sql("UPDATE log_piece SET data = zeroblob(length(data)) WHERE num = 3");
    sha256_of_log(hex, &device);
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    send(&device, 409, "log_wanted");
    device_evidence_body(&device, body, nonce);
    send(&device, 201, NULL);
    char *log = gateway_log(&g);
    ck_assert_ptr_nonnull(strstr(log, "kept_log_unreadable"));
    free(log);
}
END_TEST

START_TEST(a_retired_device_is_told_nothing_of_logs) {
    char appraisal[33], nonce[48], hex[65], target[96];
    prove(&device, 201, appraisal);
    sha256_of_log(hex, &device);
    device_challenge(&g, &device, nonce);
    name_log(&device, nonce, hex);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/retire", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"sold\"}", 200, NULL);
    send(&device, 403, "device_retired");
}
END_TEST

/* --- what is shown --- */

static void check_facts(const char *appraisal, const struct soft_device *d, json_int_t clock) {
    struct reply reply = show("/v1/appraisals/%s", appraisal);
    const json_t *facts = json_object_get(reply.json, "facts");
    const json_t *tpm = json_object_get(facts, "tpm");
    const json_t *sha256 = json_object_get(json_object_get(facts, "pcrs"), "sha256");
    ck_assert_uint_eq(json_object_size(facts), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(tpm, "clock")), clock);
    ck_assert_int_eq(json_integer_value(json_object_get(tpm, "reset_count")), d->tpm.reset_count);
    ck_assert_str_ne(json_string_value(json_object_get(tpm, "firmware_version")), "");
    ck_assert_uint_eq(json_object_size(sha256), 11);
    char hex[65];
    hex_encode(hex, bytes_of(d->tpm.pcr[7], 32));
    ck_assert_str_eq(json_string_value(json_object_get(sha256, "7")), hex);
    ck_assert_int_gt(json_integer_value(json_object_get(facts, "events")), 10);
    reply_free(&reply);
}

START_TEST(an_appraisals_facts_are_whole_though_its_boot_state_is_shared) {
    char first[33], second[33];
    prove(&device, 201, first);
    json_int_t clock = (json_int_t)device.tpm.clock;
    check_facts(first, &device, clock);
    prove(&device, 201, second);
    check_facts(second, &device, (json_int_t)device.tpm.clock);
    check_facts(first, &device, clock);
}
END_TEST

START_TEST(an_appraisal_from_before_boot_states_shows_its_facts_as_ever) {
    char appraisal[33];
    prove(&device, 201, appraisal);
    run_sql("UPDATE appraisal SET boot_state = NULL, facts = CAST('{\"tpm\":{\"clock\":7},\"pcrs\":"
            "{\"sha256\":{}},\"events\":3}' AS BLOB)");
    struct reply reply = show("/v1/appraisals/%s", appraisal);
    const json_t *facts = json_object_get(reply.json, "facts");
    ck_assert_int_eq(json_integer_value(json_object_get(facts, "events")), 3);
    ck_assert_uint_eq(json_object_size(facts), 3);
    reply_free(&reply);
}
END_TEST

static const char *const damages[] = {
    "DELETE FROM log_piece WHERE num = 3",
    "UPDATE log_piece SET data = zeroblob(length(data)) WHERE num = 3",
    "UPDATE boot_state SET form = x'ff'",
    "UPDATE boot_state SET form = x''",
    "UPDATE boot_state SET log = 99",
};

START_TEST(a_damaged_boot_state_is_storage_trouble_and_not_other_facts) {
    char appraisal[33], target[96];
    prove(&device, 201, appraisal);
    run_sql(damages[_i]);
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", appraisal);
    expect_admin(&g, "viewer", "GET", target, NULL, 503, "storage_unavailable");
}
END_TEST

START_TEST(a_device_shows_what_it_booted_and_since_when) {
    char appraisal[33], hex[65];
    struct device_boot_row row;
    struct reply reply = show("/v1/devices/%s", device.id);
    ck_assert(json_is_null(json_object_get(reply.json, "boot_state")));
    ck_assert(json_is_null(json_object_get(reply.json, "boot_state_since")));
    reply_free(&reply);
    prove(&device, 201, appraisal);
    ck_assert_int_eq(boot_of(&device, &row), STATUS_OK);
    hex_encode(hex, bytes_of(row.boot_state, 32));
    reply = show("/v1/devices/%s", device.id);
    const char *shown = reply_text(&reply, "boot_state");
    ck_assert_uint_eq(strlen(shown), 16);
    ck_assert_int_eq(strncmp(shown, hex, 16), 0);
    int64_t since;
    ck_assert_int_eq(rfc3339_parse(&since, reply_text(&reply, "boot_state_since")), STATUS_OK);
    ck_assert_int_eq(since, row.since);
    reply_free(&reply);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api: what devices booted");
    TCase *t = tcase_create("boot");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, evidence_that_verifies_keeps_its_boot_state_and_log);
    tcase_add_test(t, the_same_boot_again_is_the_same_boot_state_since_the_first_time);
    tcase_add_test(t, two_devices_that_booted_the_same_share_a_boot_state);
    tcase_add_test(t, a_trusted_boot_state_is_remembered_while_the_device_is_in_others);
    tcase_add_test(t, evidence_that_does_not_verify_leaves_what_is_known_of_the_boot);
    tcase_add_test(t, evidence_whose_record_is_not_durable_keeps_nothing);
    tcase_add_test(t, a_log_that_the_gateway_holds_need_only_be_named);
    tcase_add_test(t, a_challenge_tells_which_log_the_gateway_holds);
    tcase_add_test(t, a_log_that_the_gateway_lacks_is_wanted_and_the_nonce_stays_good_for_it);
    tcase_add_test(t, a_nonce_with_which_a_log_was_wanted_is_still_nobody_elses);
    tcase_add_test(t, another_devices_log_is_wanted_like_any_other);
    tcase_add_test(t, a_log_that_nobody_has_is_wanted);
    tcase_add_test(t, the_log_of_a_boot_before_is_wanted_again);
    tcase_add_test(t, a_log_that_grew_and_is_named_by_its_old_digest_does_not_replay);
    tcase_add_test(t, a_log_that_is_named_wrongly_or_twice_is_refused_and_the_nonce_stays_good);
    tcase_add_test(t, a_kept_log_that_is_damaged_is_wanted_anew_and_told_to_the_log);
    tcase_add_test(t, a_retired_device_is_told_nothing_of_logs);
    tcase_add_test(t, an_appraisals_facts_are_whole_though_its_boot_state_is_shared);
    tcase_add_test(t, an_appraisal_from_before_boot_states_shows_its_facts_as_ever);
    tcase_add_loop_test(t, a_damaged_boot_state_is_storage_trouble_and_not_other_facts, 0,
                        sizeof damages / sizeof damages[0]);
    tcase_add_test(t, a_device_shows_what_it_booted_and_since_when);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
