/* Each kind of change leaves exactly one audit entry, by whom and about what; a refused one leaves none. */
/* concurrent */
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static char document[4096], baseline[33], serial[33];

static void start(void) {
    gateway_start(&g);
    device_init(&device, "edge");
    device_baseline_body(&device, document, "fw 1");
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

/* --- the newest entry --- */

struct entry {
    int64_t seq;
    char actor[96], action[64], object[160];
};

/* Of what operators and devices did: re-appraisals leave entries of their own, when they come to it. */
static bool is_reappraisal(const json_t *entry) {
    const char *action = json_string_value(json_object_get(entry, "action"));
    return strncmp(action, "reappraisal.", 12) == 0 || strcmp(action, "device.reappraise") == 0;
}

/* `seq` counts those entries. */
static void newest(struct entry *out) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?order=desc&limit=1000", NULL);
    expect_status(reply, 200);
    const json_t *items = json_object_get(reply.json, "items"), *entry;
    size_t i;
    *out = (struct entry){0};
    json_array_foreach(items, i, entry) {
        if (is_reappraisal(entry) || out->seq++ > 0) {
            continue;
        }
        (void)snprintf(out->actor, sizeof out->actor, "%s",
                       json_string_value(json_object_get(entry, "actor")));
        (void)snprintf(out->action, sizeof out->action, "%s",
                       json_string_value(json_object_get(entry, "action")));
        (void)snprintf(out->object, sizeof out->object, "%s",
                       json_string_value(json_object_get(entry, "object")));
    }
    reply_free(&reply);
}

/* Exactly one entry since `before`, which says this. */
static void left_one(const struct entry *before, const char *actor, const char *action,
                     const char *object) {
    struct entry now;
    newest(&now);
    ck_assert_msg(now.seq == before->seq + 1, "%s: %lld entries", action,
                  (long long)(now.seq - before->seq));
    ck_assert_str_eq(now.actor, actor);
    ck_assert_str_eq(now.action, action);
    ck_assert_str_eq(now.object, object);
}

/* "@" stands for the baseline, "#" for the device, "$" for the serial, "%" for the document. */
static void fill(char *out, size_t size, const char *pattern) {
    size_t len = 0;
    for (const char *c = pattern; *c != '\0'; c++) {
        const char *text = *c == '@'   ? baseline
                           : *c == '#' ? device.id
                           : *c == '$' ? serial
                           : *c == '%' ? document
                                       : NULL;
        len += (size_t)snprintf(out + len, size - len, "%.*s", text == NULL ? 1 : (int)strlen(text),
                                text == NULL ? c : text);
        ck_assert_uint_lt(len, size);
    }
}

/* --- administration --- */

static const struct step {
    const char *role, *method, *target, *body;
    unsigned status;
    const char *action, *object; /* NULL: it is refused, and leaves nothing */
} before_device[] =
    {
        {"author", "POST", "/v1/models", "{\"name\":\"edge\"}", 201, "model.create", "model:edge"},
        {"author", "POST", "/v1/models", "{\"name\":\"edge\"}", 409, NULL, NULL},
        {"author", "POST", "/v1/models", "{\"name\":\"other\"}", 201, "model.create",
         "model:other"},
        {"author", "PUT", "/v1/models/other", "{\"description\":\"x\"}", 200, "model.update",
         "model:other"},
        {"author", "PUT", "/v1/models/nobody", "{\"description\":\"x\"}", 404, NULL, NULL},
        {"admin", "DELETE", "/v1/models/other", NULL, 204, "model.delete", "model:other"},
        {"admin", "DELETE", "/v1/models/other", NULL, 404, NULL, NULL},
        {"admin", "POST", "/v1/access-policies", "{\"name\":\"lab\"}", 201, "access_policy.create",
         "access_policy:lab"},
        {"admin", "POST", "/v1/access-policies", "{\"name\":\"lab\"}", 409, NULL, NULL},
        {"admin", "PUT", "/v1/access-policies/lab", "{\"minimum_tier\":\"measured\"}", 200,
         "access_policy.update", "access_policy:lab"},
        {"admin", "DELETE", "/v1/access-policies/lab", NULL, 204, "access_policy.delete",
         "access_policy:lab"},
        {"admin", "DELETE", "/v1/access-policies/lab", NULL, 404, NULL, NULL},
        {"admin", "POST", "/v1/proxies",
         "{\"name\":\"one\",\"dialect\":\"none\",\"certificate_sha256\":"
         "\"0000000000000000000000000000000000000000000000000000000000000001\"}",
         201, "proxy.create", "proxy:one"},
        {"admin", "PUT", "/v1/proxies/one", "{\"disabled\":true}", 200, "proxy.update",
         "proxy:one"},
        {"admin", "DELETE", "/v1/proxies/one", NULL, 204, "proxy.delete", "proxy:one"},
        {"admin", "DELETE", "/v1/proxies/one", NULL, 404, NULL, NULL},
        {"admin", "PUT", "/v1/operators/viewer", "{\"role\":\"viewer\"}", 200, "operator.update",
         "operator:viewer"},
        {"author", "PUT", "/v1/baselines/@", "%", 200, "baseline.update", "baseline:@"},
        {"author", "POST", "/v1/baselines/@/submit", "{}", 200, "baseline.submit", "baseline:@"},
        {"author", "POST", "/v1/baselines/@/withdraw", "{}", 200, "baseline.withdraw",
         "baseline:@"},
        {"author", "POST", "/v1/baselines/@/submit", "{}", 200, "baseline.submit", "baseline:@"},
        {"approver", "POST", "/v1/baselines/@/reject", "{\"reason\":\"why\"}", 200,
         "baseline.reject", "baseline:@"},
        {"author", "POST", "/v1/baselines/@/submit", "{}", 200, "baseline.submit", "baseline:@"},
        {"approver", "POST", "/v1/baselines/@/approve", "{}", 200, "baseline.approve",
         "baseline:@"},
        {"approver", "POST", "/v1/baselines/@/approve", "{}", 409, NULL, NULL},
        {"approver", "POST", "/v1/baselines/@/activate", "{}", 200, "baseline.activate",
         "baseline:@"},
        {"approver", "POST", "/v1/baselines/@/activate", "{}", 409, NULL, NULL},
        {"admin", "DELETE", "/v1/baselines/@", NULL, 409, NULL, NULL},
        {"admin", "POST", "/v1/audit/prune", "{\"through_seq\":1}", 409, NULL, NULL},
},
  after_device[] = {
      {"operator", "PATCH", "/v1/devices/#", "{\"note\":\"rack 7\"}", 200, "device.note",
       "device:#"},
      {"operator", "POST", "/v1/credentials/$/revoke", "{\"reason\":\"lost\"}", 200,
       "credential.revoke", "credential:$"},
      {"operator", "POST", "/v1/credentials/$/revoke", "{\"reason\":\"lost\"}", 409, NULL, NULL},
      {"operator", "POST", "/v1/devices/#/release", "{}", 409, NULL, NULL},
      {"operator", "POST", "/v1/devices/#/quarantine", "{\"reason\":\"odd\"}", 200,
       "device.quarantine", "device:#"},
      {"operator", "POST", "/v1/devices/#/release", "{}", 200, "device.release", "device:#"},
      {"operator", "POST", "/v1/devices/#/retire", "{\"reason\":\"old\"}", 200, "device.retire",
       "device:#"},
      {"approver", "POST", "/v1/baselines/@/retire", "{}", 200, "baseline.retire", "baseline:@"},
};

static void run(const struct step *step) {
    char target[256], body[8192] = "", object[160] = "", actor[96];
    struct entry before, after;
    fill(target, sizeof target, step->target);
    fill(body, sizeof body, step->body == NULL ? "" : step->body);
    newest(&before);
    struct reply reply =
        admin(&g, step->role, step->method, target, step->body == NULL ? NULL : body);
    ck_assert_msg(reply.status == step->status, "%s %s: %u %s", step->method, target, reply.status,
                  reply.text);
    reply_free(&reply);
    if (step->action == NULL) {
        newest(&after);
        ck_assert_msg(after.seq == before.seq, "%s %s: refused, and it left an entry: %s",
                      step->method, target, after.action);
        return;
    }
    fill(object, sizeof object, step->object);
    (void)snprintf(actor, sizeof actor, "operator:%s", step->role);
    left_one(&before, actor, step->action, object);
}

static void make_baseline(void) {
    struct reply reply = admin(&g, "author", "POST", "/v1/models/edge/baselines", document);
    expect_status(reply, 201);
    (void)snprintf(baseline, sizeof baseline, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
}

START_TEST(each_change_leaves_one_entry_and_a_refusal_none) {
    struct entry before;
    char object[64];
    for (size_t i = 0; i < sizeof before_device / sizeof before_device[0]; i++) {
        if (strchr(before_device[i].target, '@') != NULL && baseline[0] == '\0') {
            newest(&before);
            make_baseline();
            (void)snprintf(object, sizeof object, "baseline:%s", baseline);
            left_one(&before, "operator:author", "baseline.create", object);
        }
        run(&before_device[i]);
    }
    newest(&before); /* to begin an enrolment changes nothing; to end it does */
    device_join(&g, &device);
    (void)snprintf(object, sizeof object, "device:%s", device.id);
    left_one(&before, object, "device.enrol", object);
    newest(&before);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    (void)snprintf(
        serial, sizeof serial, "%s",
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial")));
    reply_free(&reply);
    left_one(&before, object, "device.appraise", object);
    for (size_t i = 0; i < sizeof after_device / sizeof after_device[0]; i++) {
        run(&after_device[i]);
    }
}
END_TEST

/* --- what an entry tells --- */

static json_t *after_of_newest(void) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?order=desc&limit=1", NULL);
    json_t *after = json_incref(
        json_object_get(json_array_get(json_object_get(reply.json, "items"), 0), "after"));
    reply_free(&reply);
    return after;
}

START_TEST(an_entry_says_which_credential_was_issued_and_how_many_were_revoked) {
    for (size_t i = 0; i < sizeof before_device / sizeof before_device[0]; i++) {
        if (strchr(before_device[i].target, '@') != NULL && baseline[0] == '\0') {
            make_baseline();
        }
        run(&before_device[i]);
    }
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    json_t *after = after_of_newest();
    ck_assert_str_eq(
        json_string_value(json_object_get(after, "serial")),
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial")));
    ck_assert_int_eq(json_integer_value(json_object_get(after, "credentials_revoked")), 0);
    json_decref(after);
    reply_free(&reply);
    reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"odd\"}", 200, NULL);
    after = after_of_newest();
    ck_assert_int_eq(json_integer_value(json_object_get(after, "credentials_revoked")), 2);
    ck_assert_str_eq(json_string_value(json_object_get(after, "note")), "odd");
    json_decref(after);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("api_audit_kinds");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_change_leaves_one_entry_and_a_refusal_none);
    tcase_add_test(tests, an_entry_says_which_credential_was_issued_and_how_many_were_revoked);
    Suite *suite = suite_create("api_audit_kinds");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
