/* concurrent */
/* From the first boot to a credential, and everything that must not lead there. */
#include "tests/unit/api_fixture.h"

#include "server/base/clock.h"

#include <check.h>
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

START_TEST(evidence_that_meets_a_baseline_earns_a_credential) {
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    const json_t *credential = json_object_get(reply.json, "credential");
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(credential, "serial"))), 32);
    check_decision(&g, device.id, "allow", "trusted");
    reply_free(&reply);
}
END_TEST

Suite *suite(void);
Suite *suite(void) {
    Suite *s = suite_create("api_evidence");
    TCase *t = tcase_create("evidence");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, evidence_that_meets_a_baseline_earns_a_credential);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
