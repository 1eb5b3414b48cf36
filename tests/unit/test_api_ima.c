/* IMA logs on a device's way: judged, kept, and sent from where they were confirmed. */
/* concurrent */
#include "server/base/encoding.h"
#include "server/fleet/ima_state.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/ima_builder.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MASK = 0x47FF };

static struct gateway g;
static struct soft_device device;
static struct ima_builder made;
static char body[BODY_SIZE], baseline[33];

static void boot(struct soft_device *d, struct ima_builder *log) {
    ima_free(log);
    ima_aggregate(log, (const uint8_t(*)[32])d->tpm.pcr);
}

/* A file is used; the digest that its path has in a listing, or another. */
static void use(struct ima_builder *log, const char *path, bool tampered) {
    uint8_t other[32] = {0xBA, 0xD0};
    if (tampered) {
        ima_file(log, path, other, bytes_of(NULL, 0));
    } else {
        ima_sample(log, path);
    }
}

static void activate(const char *files, char id[static 33]) {
    char text[8192];
    device_baseline_body(&device, text, "with files");
    size_t len = strlen(text) - 1; /* its last brace */
    (void)snprintf(text + len, sizeof text - len, ",\"ima\":{\"mode\":\"enforce\",\"files\":{%s}}}",
                   files);
    struct reply reply = admin(&g, "author", "POST", "/v1/models/acme-edge9/baselines", text);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    gateway_put_in_force(&g, id);
}

static const char *listed(const char *path, bool comma) {
    static char text[4][256];
    static unsigned next;
    char *out = text[next++ % 4], hex[65];
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of_text(path), digest);
    hex_encode(hex, bytes_of(digest, 32));
    (void)snprintf(out, sizeof text[0], "%s\"%s\":[\"sha256:%s\"]", comma ? "," : "", path, hex);
    return out;
}

static void activate_usual(void) {
    char files[2048] = "";
    for (unsigned i = 0; i < 8; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/bin/%u", i);
        (void)strcat(files, listed(path, i > 0));
    }
    activate(files, baseline);
}

static void start(void) {
    gateway_start(&g);
    expect_admin(&g, "author", "POST", "/v1/models",
                 "{\"name\":\"acme-edge9\",\"pcr_selection\":\"sha256:0-10,14\"}", 201, NULL);
    device_init(&device, "acme-edge9");
    activate_usual();
    device_join(&g, &device);
    ima_start(&made);
    boot(&device, &made);
}

static void stop(void) {
    ima_free(&made);
    device_cleanup(&device);
    gateway_stop(&g);
}

/* What the challenge says of `ima`, -1: null. */
static int64_t challenge(struct soft_device *d, char nonce[static 48], int64_t *bytes) {
    const struct call what = {.plane = PLANE_DEVICE,
                              .caller = &d->caller,
                              .method = "POST",
                              .target = "/v1/challenges",
                              .body = "{}"};
    struct reply reply = call(&g, &what);
    expect_status(reply, 201);
    (void)snprintf(nonce, 48, "%s", reply_text(&reply, "nonce"));
    json_t *ima = json_object_get(reply.json, "ima");
    int64_t entries = json_is_null(ima) ? -1 : json_integer_value(json_object_get(ima, "entries"));
    *bytes = json_integer_value(json_object_get(ima, "bytes"));
    reply_free(&reply);
    return entries;
}

static void add_base64(const char *name, struct bytes value) {
    size_t len = strlen(body);
    len += (size_t)snprintf(body + len, sizeof body - len, "\"%s\":\"", name);
    ck_assert_uint_lt(len + base64_encoded_size(value.len) + 2, sizeof body);
    base64_encode(body + len, value);
    (void)strcat(body, "\",");
}

/* A quote over what the log leads to, and the log from `from` on. */
static struct reply send_from(struct soft_device *d, struct ima_builder *log, int64_t from,
                              size_t at) {
    uint8_t quote[1024], signature[600], csr[1024], raw[32];
    struct writer q = writer_of(quote, sizeof quote), s = writer_of(signature, sizeof signature),
                  c = writer_of(csr, sizeof csr);
    char nonce[48];
    int64_t bytes;
    struct arena arena;
    struct bytes decoded;
    (void)challenge(d, nonce, &bytes);
    arena_init(&arena, 4096);
    ck_assert(base64_decode_arena(&arena, &decoded, nonce, strlen(nonce), NULL) == STATUS_OK);
    memcpy(raw, decoded.data, 32);
    arena_free(&arena);
    memcpy(d->tpm.pcr[10], ima_pcr(log, HASH_SHA256), 32);
    soft_tpm_quote(&d->tpm, &q, &s, bytes_of(raw, 32), MASK);
    soft_csr(&c, d->key);
    (void)snprintf(body, sizeof body, "{\"nonce\":\"%s\",\"tpm2\":{", nonce);
    add_base64("quote", writer_bytes(&q));
    add_base64("signature", writer_bytes(&s));
    char hex[65];
    hex_encode(hex, bytes_of(d->tpm.pcr[10], 32));
    size_t len = strlen(body);
    (void)snprintf(body + len, sizeof body - len, "\"pcrs\":{\"sha256\":{\"10\":\"%s\"}}},", hex);
    add_base64("tcg_event_log", bytes_of(d->log, d->log_len));
    add_base64("ima_log", bytes_of(log->data + at, log->len - at));
    add_base64("csr", writer_bytes(&c));
    len = strlen(body);
    (void)snprintf(body + len - 1, sizeof body - len, ",\"ima_log_from\":%lld}", (long long)from);
    return device_send(&g, d, body);
}

static struct reply send_all(struct soft_device *d, struct ima_builder *log) {
    return send_from(d, log, 0, 0);
}

/* As a device does: what the challenge says that it may leave out, it leaves out. */
static struct reply send_new(struct soft_device *d, struct ima_builder *log) {
    char nonce[48];
    int64_t bytes, entries = challenge(d, nonce, &bytes);
    ck_assert_int_gt(entries, 0);
    return send_from(d, log, entries, (size_t)bytes);
}

static void expect_reply(struct reply reply, unsigned status, const char *code) {
    expect_status(reply, status);
    if (code != NULL) {
        ck_assert_str_eq(reply_text(&reply, "code"), code);
    }
    reply_free(&reply);
}

static json_t *findings(struct reply *reply) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(reply, "appraisal_id"));
    struct reply shown = admin(&g, "viewer", "GET", target, NULL);
    expect_status(shown, 200);
    json_t *list = json_deep_copy(json_object_get(shown.json, "findings"));
    reply_free(&shown);
    return list;
}

/* Its first finding with this code, and `what` in what was found. */
static void check_finding(struct reply *reply, const char *code, const char *what, int event) {
    json_t *list = findings(reply);
    size_t i;
    json_t *at;
    bool seen = false;
    json_array_foreach(list, i, at) {
        const char *found = json_string_value(json_object_get(at, "found"));
        json_t *index = json_object_get(at, "event");
        if (strcmp(json_string_value(json_object_get(at, "code")), code) == 0 && found != NULL &&
            strstr(found, what) != NULL) {
            ck_assert_int_eq(json_is_null(index) ? -1 : (int)json_integer_value(index), event);
            seen = true;
        }
    }
    ck_assert_msg(seen, "%s: no finding about %s", code, what);
    json_decref(list);
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

/* --- what is judged ----------------------------------------------------------------------------- */

START_TEST(listed_files_are_trusted_and_kept) {
    char nonce[48];
    int64_t bytes;
    ck_assert_int_eq(challenge(&device, nonce, &bytes), -1);
    use(&made, "/bin/1", false);
    use(&made, "/bin/2", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    ck_assert_int_eq(challenge(&device, nonce, &bytes), 3);
    ck_assert_int_eq(bytes, (int64_t)made.len);
}
END_TEST

START_TEST(tampered_file_is_denied_by_its_name) {
    use(&made, "/bin/1", false);
    use(&made, "/bin/2", true);
    struct reply reply = send_all(&device, &made);
    check_code(&reply, 403, "untrusted");
    check_finding(&reply, "ima_digest_mismatch", "/bin/2 sha256:bad0", 2);
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "untrusted");
}
END_TEST

START_TEST(evidence_without_the_log_is_denied) {
    use(&made, "/bin/1", false);
    struct reply reply = send_from(&device, &made, 0, made.len);
    check_code(&reply, 403, "untrusted");
    reply_free(&reply);
}
END_TEST

/* --- what is new -------------------------------------------------------------------------------- */

START_TEST(only_what_is_new_is_sent_and_judged) {
    use(&made, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    for (unsigned i = 2; i < 5; i++) {
        char path[16];
        (void)snprintf(path, sizeof path, "/bin/%u", i);
        use(&made, path, false);
        expect_reply(send_new(&device, &made), 201, NULL);
    }
    expect_reply(send_new(&device, &made), 201, NULL); /* nothing new */
    use(&made, "/bin/5", true);
    struct reply reply = send_new(&device, &made);
    check_code(&reply, 403, "untrusted");
    check_finding(&reply, "ima_digest_mismatch", "/bin/5", 5);
    reply_free(&reply);
}
END_TEST

START_TEST(denied_entry_is_not_forgotten_when_only_new_ones_come) {
    use(&made, "/bin/1", true);
    expect_reply(send_all(&device, &made), 403, "untrusted");
    use(&made, "/bin/2", false);
    struct reply reply = send_new(&device, &made);
    check_code(&reply, 403, "untrusted");
    check_finding(&reply, "ima_digest_mismatch", "/bin/1", -1);
    reply_free(&reply);
}
END_TEST

START_TEST(new_baseline_judges_entries_that_came_before_it) {
    char second[33], target[96];
    use(&made, "/bin/1", false);
    use(&made, "/bin/2", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    /* It lists one of the two. */
    activate(listed("/bin/1", false), second);
    expect_reply(send_new(&device, &made), 201, NULL); /* the first one still does */
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/retire", baseline);
    expect_admin(&g, "approver", "POST", target, "{}", 200, NULL);
    struct reply reply = send_new(&device, &made);
    check_code(&reply, 403, "untrusted");
    check_finding(&reply, "ima_file_unlisted", "/bin/2", -1);
    reply_free(&reply);
    /* And one that lists both again lets the device in, with nothing new. */
    activate_usual();
    expect_reply(send_new(&device, &made), 201, NULL);
}
END_TEST

/* --- what does not go on ------------------------------------------------------------------------ */

static void check_unchanged(int64_t entries) {
    char nonce[48];
    int64_t bytes;
    ck_assert_int_eq(challenge(&device, nonce, &bytes), entries);
    check_decision(&g, device.id, "allow", "trusted");
}

START_TEST(number_of_entries_that_is_not_the_one_kept_wants_the_start) {
    static const int64_t wrong[] = {1, 2, 4, 4294967295};
    use(&made, "/bin/1", false);
    use(&made, "/bin/2", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    size_t at = made.len;
    use(&made, "/bin/3", false);
    expect_reply(send_from(&device, &made, wrong[_i], at), 409, "ima_log_from_start_wanted");
    check_unchanged(3);
    expect_reply(send_from(&device, &made, 3, at), 201, NULL);
}
END_TEST

START_TEST(entries_left_out_put_in_or_swapped_want_the_start) {
    use(&made, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    size_t at = made.len;
    use(&made, "/bin/2", false);
    size_t second = made.len;
    use(&made, "/bin/3", false);
    if (_i == 0) { /* the one after is left out */
        expect_reply(send_from(&device, &made, 2, second), 409, "ima_log_from_start_wanted");
    } else if (_i == 1) { /* all comes again */
        expect_reply(send_from(&device, &made, 2, 0), 409, "ima_log_from_start_wanted");
    } else { /* another file was used than the log says */
        made.data[second - 2] ^= 1;
        expect_reply(send_from(&device, &made, 2, at), 409, "ima_log_from_start_wanted");
    }
    check_unchanged(2);
}
END_TEST

START_TEST(another_boot_wants_the_start) {
    use(&made, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    if (_i == 0) {
        device.tpm.reset_count++;
    } else {
        device.tpm.restart_count++;
    }
    expect_reply(send_from(&device, &made, 2, made.len), 409, "ima_log_from_start_wanted");
    check_unchanged(2);
    expect_reply(send_all(&device, &made), 201, NULL);
    use(&made, "/bin/2", false);
    expect_reply(send_new(&device, &made), 201, NULL);
}
END_TEST

START_TEST(devices_have_their_own_logs) {
    struct soft_device other;
    struct ima_builder its;
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    ima_start(&its);
    boot(&other, &its);
    use(&made, "/bin/1", false);
    use(&its, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    expect_reply(send_from(&other, &its, 2, its.len), 409, "ima_log_from_start_wanted");
    use(&its, "/bin/2", false);
    expect_reply(send_all(&other, &its), 201, NULL);
    use(&made, "/bin/3", false);
    expect_reply(send_new(&device, &made), 201, NULL);
    expect_reply(send_new(&other, &its), 201, NULL);
    ima_free(&its);
    device_cleanup(&other);
}
END_TEST

static const char *const losses[] = {
    "DELETE FROM device_ima",
    "UPDATE device_ima SET position = x'00'",
    "UPDATE device_ima SET num_entries = 3",
};

START_TEST(state_that_is_lost_or_damaged_wants_the_start_and_passes_nothing) {
    use(&made, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    run_sql(losses[_i]);
    expect_reply(send_from(&device, &made, 2, made.len), 409, "ima_log_from_start_wanted");
    expect_reply(send_all(&device, &made), 201, NULL);
}
END_TEST

START_TEST(entries_that_are_lost_are_no_verdict) {
    char second[33], target[96];
    use(&made, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    run_sql("DELETE FROM log_piece WHERE instr(data, CAST('/bin/1' AS BLOB)) > 0");
    activate(listed("/bin/1", false), second);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/retire", baseline);
    expect_admin(&g, "approver", "POST", target, "{}", 200, NULL);
    expect_reply(send_new(&device, &made), 503, NULL);
    check_decision(&g, device.id, "allow", "trusted");
    expect_reply(send_all(&device, &made), 201, NULL);
}
END_TEST

START_TEST(store_that_fails_is_no_verdict) {
    use(&made, "/bin/1", false);
    expect_reply(send_all(&device, &made), 201, NULL);
    use(&made, "/bin/2", false);
    gateway_break_store(&g, true);
    expect_reply(send_from(&device, &made, 0, 0), 503, NULL);
    gateway_break_store(&g, false);
    expect_reply(send_new(&device, &made), 201, NULL);
}
END_TEST

START_TEST(count_that_is_none_is_refused) {
    static const char *const counts[] = {"-1", "1.5", "01", "4294967296", "\"1\"", "null", "1e2"};
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{\"nonce\":\"AAAA\",\"tpm2\":{\"quote\":\"AAAA\",\"signature\":\"AAAA\"},"
                   "\"csr\":\"AAAA\",\"ima_log_from\":%s}",
                   counts[_i]);
    expect_reply(device_send(&g, &device, text), 400, "invalid_field");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api: ima");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, listed_files_are_trusted_and_kept);
    tcase_add_test(tests, tampered_file_is_denied_by_its_name);
    tcase_add_test(tests, evidence_without_the_log_is_denied);
    tcase_add_test(tests, only_what_is_new_is_sent_and_judged);
    tcase_add_test(tests, denied_entry_is_not_forgotten_when_only_new_ones_come);
    tcase_add_test(tests, new_baseline_judges_entries_that_came_before_it);
    tcase_add_loop_test(tests, number_of_entries_that_is_not_the_one_kept_wants_the_start, 0, 4);
    tcase_add_loop_test(tests, entries_left_out_put_in_or_swapped_want_the_start, 0, 3);
    tcase_add_loop_test(tests, another_boot_wants_the_start, 0, 2);
    tcase_add_test(tests, devices_have_their_own_logs);
    tcase_add_loop_test(tests, state_that_is_lost_or_damaged_wants_the_start_and_passes_nothing, 0,
                        3);
    tcase_add_test(tests, entries_that_are_lost_are_no_verdict);
    tcase_add_test(tests, store_that_fails_is_no_verdict);
    tcase_add_loop_test(tests, count_that_is_none_is_refused, 0, 7);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
