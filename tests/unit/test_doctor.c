/* gatehouse doctor: what it sends in the place of a proxy, what it takes for passing, and how it is called. What it
 * finds of a real proxy is in tests/e2e/proxy_doctor.sh. */
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/commands/commands.h"
#include "server/commands/doctor_report.h"
#include "server/commands/doctor_spoof.h"
#include "server/crypto/digest.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/run_command.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static struct arena arena;
static char folder[] = "/tmp/gatehouse-doctor.XXXXXX";
static struct bytes der;

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void start(void) {
    arena_init(&arena, 1 << 20);
    (void)snprintf(folder, sizeof folder, "/tmp/gatehouse-doctor.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct cert_spec spec = cert_leaf("device", 2, "access", 0);
    der = cert_make(&spec);
    ck_assert_int_eq(file_create(in_folder("good.pem"), 0600, cert_pem(&arena, &der, 1), NULL),
                     STATUS_OK);
    ck_assert_int_eq(file_create(in_folder("empty.pem"), 0600, bytes_of_text("none\n"), NULL),
                     STATUS_OK);
}

static void stop(void) {
    (void)unlink(in_folder("good.pem"));
    (void)unlink(in_folder("empty.pem"));
    (void)rmdir(folder);
    arena_free(&arena);
}

static void made(struct spoof spoofs[static NUM_SPOOFS]) {
    struct detail detail = {0};
    ck_assert_msg(spoofs_make(spoofs, &arena, in_folder("good.pem"), &detail) == STATUS_OK, "%s",
                  detail.text);
}

static size_t count(const char *const *headers) {
    size_t num = 0;
    while (headers[num] != NULL) {
        num++;
    }
    return num;
}

START_TEST(each_dialect_is_spoofed_with_this_very_certificate) {
    struct spoof spoofs[NUM_SPOOFS];
    uint8_t hash[32];
    char hex[65];
    made(spoofs);
    digest_compute(HASH_SHA256, der, hash);
    hex_encode(hex, bytes_of(hash, 32));
    const char *base64 = base64_encode_arena(&arena, der);
    ck_assert_ptr_nonnull(base64);
    static const char *const names[] = {"X-SSL-Client-Cert",
                                        "X-Forwarded-Client-Cert",
                                        "X-Forwarded-Tls-Client-Cert",
                                        "X-Client-Cert",
                                        "Client-Cert",
                                        "X-Client-Cert-Sha256"};
    for (size_t i = 0; i < 6; i++) {
        ck_assert_str_eq(spoofs[i].name, names[i]);
        ck_assert_int_eq(strncmp(spoofs[i].headers[0], names[i], strlen(names[i])), 0);
    }
    ck_assert_ptr_nonnull(strstr(spoofs[0].headers[0], ": -----BEGIN%20CERTIFICATE-----%0AMI"));
    ck_assert_str_eq(spoofs[0].headers[1], "X-SSL-Client-Verify: SUCCESS");
    ck_assert_ptr_nonnull(strstr(spoofs[1].headers[0], hex));
    ck_assert_str_eq(spoofs[2].headers[0] + strlen(names[2]) + 2, base64);
    ck_assert_str_eq(spoofs[3].headers[0] + strlen(names[3]) + 2, base64);
    ck_assert_str_eq(spoofs[4].headers[0] + strlen(names[4]) + 2,
                     arena_printf(&arena, ":%s:", base64));
    ck_assert_str_eq(spoofs[5].headers[0] + strlen(names[5]) + 2, hex);
}
END_TEST

START_TEST(all_are_sent_at_once_too_and_with_underscores) {
    struct spoof spoofs[NUM_SPOOFS];
    made(spoofs);
    ck_assert_uint_eq(count(spoofs[7].headers), 7);
    ck_assert_uint_eq(count(spoofs[6].headers), 7);
    for (size_t i = 0; i < 7; i++) {
        const char *plain = spoofs[7].headers[i], *under = spoofs[6].headers[i];
        size_t name = strcspn(plain, ":");
        ck_assert_ptr_null(memchr(under, '-', name));
        ck_assert_str_eq(plain + name, under + name);
    }
}
END_TEST

START_TEST(no_header_that_is_sent_breaks_its_line) {
    struct spoof spoofs[NUM_SPOOFS];
    made(spoofs);
    for (size_t i = 0; i < NUM_SPOOFS; i++) {
        for (size_t k = 0; spoofs[i].headers[k] != NULL; k++) {
            ck_assert_ptr_null(strpbrk(spoofs[i].headers[k], "\r\n"));
        }
    }
}
END_TEST

START_TEST(the_clients_own_headers_come_in_every_spelling) {
    const char *const *device = spoof_device_headers(&arena, "m");
    const char *const *certificate = spoof_certificate_headers(&arena, "m");
    ck_assert_uint_eq(count(device), 18);
    ck_assert_uint_eq(count(certificate), 27);
    ck_assert_str_eq(device[0], "X-Device-Id: m");
    ck_assert_str_eq(device[1], "X_Device_Id: m");
    ck_assert_str_eq(device[2], "X-Device_Id: m");
    struct arena small;
    arena_init(&small, 256);
    ck_assert_ptr_null(spoof_device_headers(&small, "m"));
    arena_free(&small);
}
END_TEST

START_TEST(a_file_without_a_certificate_is_refused) {
    struct spoof spoofs[NUM_SPOOFS];
    struct detail detail = {0};
    ck_assert_int_ne(spoofs_make(spoofs, &arena, in_folder("empty.pem"), &detail), STATUS_OK);
    ck_assert_str_ne(detail.text, "");
    ck_assert_int_eq(spoofs_make(spoofs, &arena, in_folder("nothing.pem"), &detail),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(an_answer_of_the_application_is_passing_and_nothing_else) {
    static const long passes[] = {200, 204, 301, 302, 404, 405, 429};
    static const long refuses[] = {400, 401, 403, 421, 495, 496, 500, 502, 503, 504};
    struct probe_answer answer = {.end = PROBE_ANSWERED};
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        answer.status = passes[i];
        ck_assert_msg(probe_passed(&answer), "%ld", passes[i]);
    }
    for (size_t i = 0; i < sizeof refuses / sizeof refuses[0]; i++) {
        answer.status = refuses[i];
        ck_assert_msg(!probe_passed(&answer), "%ld", refuses[i]);
    }
    answer = (struct probe_answer){.end = PROBE_CLOSED, .status = 200};
    ck_assert(!probe_passed(&answer));
}
END_TEST

START_TEST(a_kind_is_one_of_five) {
    static const char *const names[] = {"nginx", "haproxy", "caddy", "envoy", "traefik"};
    enum proxy_kind kind = PROXY_ANY;
    for (size_t i = 0; i < 5; i++) {
        ck_assert(proxy_kind_read(&kind, names[i]));
        ck_assert_uint_eq(kind, PROXY_NGINX + i);
    }
    ck_assert(!proxy_kind_read(&kind, ""));
    ck_assert(!proxy_kind_read(&kind, "NGINX"));
}
END_TEST

/* Nothing is reported of a proxy that is not there. */
START_TEST(what_cannot_be_probed_ends_with_one) {
    const char *const all[][10] = {
        {"doctor", "--proxy", "https://127.0.0.1:1/", NULL},
        {"doctor", "--proxy", "https://nowhere.invalid/", "--connect", "127.0.0.1:1", NULL},
        {"doctor", "--proxy", "http://127.0.0.1:1/", NULL},
        {"doctor", "--proxy", "https://127.0.0.1:1/ x", NULL},
        {"doctor", "--proxy", "https://127.0.0.1:1/", "--kind", "apache", NULL},
        {"doctor", "--proxy", "https://127.0.0.1:1/", "--echo", "x", NULL},
        {"doctor", "--proxy", "https://127.0.0.1:1/", "--gateway-stopped", NULL},
        {"doctor", "--proxy", "https://127.0.0.1:1/", "--cert", "/nowhere", "--key", "/nowhere",
         NULL},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct command_run run;
        run_command(&run, command_doctor, all[i], NULL);
        ck_assert_msg(run.status == 1, "%zu: %d", i, run.status);
        ck_assert_str_eq(run.out, "");
        ck_assert_int_eq(strncmp(run.err, "gatehouse doctor: ", 18), 0);
        command_run_free(&run);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("doctor");
    TCase *tcase = tcase_create("doctor");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, each_dialect_is_spoofed_with_this_very_certificate);
    tcase_add_test(tcase, all_are_sent_at_once_too_and_with_underscores);
    tcase_add_test(tcase, no_header_that_is_sent_breaks_its_line);
    tcase_add_test(tcase, the_clients_own_headers_come_in_every_spelling);
    tcase_add_test(tcase, a_file_without_a_certificate_is_refused);
    tcase_add_test(tcase, an_answer_of_the_application_is_passing_and_nothing_else);
    tcase_add_test(tcase, a_kind_is_one_of_five);
    tcase_add_test(tcase, what_cannot_be_probed_ends_with_one);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
