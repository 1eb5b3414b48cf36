/* Which addresses may be receivers'. */
#include "server/fleet/outbound_address.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool allowed(const char *text, const struct network *allow, size_t num) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return outbound_address_allowed((struct sockaddr *)&in, sizeof in, allow, num);
    }
    ck_assert_msg(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1, "%s", text);
    return outbound_address_allowed((struct sockaddr *)&in6, sizeof in6, allow, num);
}

static const char *const refused[] = {
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
};
static const char *const public[] = {
    "1.1.1.1",        "8.8.8.8",          "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
    "100.128.0.0",    "126.255.255.255",  "128.0.0.1",       "169.253.255.255", "169.255.0.0",
    "172.15.255.255", "172.32.0.0",       "192.167.1.1",     "192.169.0.1",     "198.17.255.255",
    "198.20.0.0",     "223.255.255.255",  "2606:4700::1111", "2a00::1",         "2001:200::1",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2003::1",         "3ffe::1",
};
enum {
    NUM_REFUSED = sizeof refused / sizeof refused[0],
    NUM_PUBLIC = sizeof public / sizeof public[0]
};

START_TEST(an_address_that_is_not_public_is_refused) {
    ck_assert_msg(!allowed(refused[_i], NULL, 0), "%s", refused[_i]);
}
END_TEST

START_TEST(a_public_address_is_allowed) {
    ck_assert_msg(allowed(public[_i], NULL, 0), "%s", public[_i]);
}
END_TEST

START_TEST(a_named_network_is_allowed_and_its_neighbours_are_not) {
    struct network allow[2];
    ck_assert_int_eq(value_network(&allow[0], "10.1.0.0/20", NULL), STATUS_OK);
    ck_assert_int_eq(value_network(&allow[1], "fd00:1::/33", NULL), STATUS_OK);
    static const char *const in[] = {"10.1.0.0", "10.1.15.255", "::ffff:10.1.3.4", "fd00:1::1",
                                     "fd00:1:0:7fff::"};
    static const char *const out[] = {"10.1.16.0", "10.0.255.255",  "::ffff:10.1.16.0",
                                      "fd00:2::1", "fd00:1:8000::", "127.0.0.1",
                                      "::1"};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        ck_assert_msg(allowed(in[i], allow, 2), "%s", in[i]);
    }
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        ck_assert_msg(!allowed(out[i], allow, 2), "%s", out[i]);
    }
}
END_TEST

START_TEST(another_family_or_a_cut_address_is_refused) {
    struct network all4, all6;
    ck_assert_int_eq(value_network(&all4, "0.0.0.0/0", NULL), STATUS_OK);
    ck_assert_int_eq(value_network(&all6, "::/0", NULL), STATUS_OK);
    struct network allow[] = {all4, all6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    ck_assert(!outbound_address_allowed((struct sockaddr *)&un, sizeof un, allow, 2));
    ck_assert(!outbound_address_allowed((struct sockaddr *)&in, sizeof in - 1, allow, 2));
    ck_assert(outbound_address_allowed((struct sockaddr *)&in, sizeof in, allow, 2));
}
END_TEST

static const char *const bad_networks[] = {
    "",
    "10.0.0.0/33",
    "10.0.0.1/8",
    "fd00::/129",
    "fd00::1/8",
    "10.0.0.0/",
    "10.0.0.0/a",
    "10.0.0/8",
    "10.0.0.0/8 ",
    "localhost",
    "/8",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "[::1]",
    "::ffff:1.2.3.4",
    "::ffff:0:0/96",
    "1.2.3.4:80",
    "*",
    "2001:0db8:0000:0000:0000:0000:0000:0000:0000/32",
};

START_TEST(what_is_no_network_is_refused) {
    struct network out = {.bits = 7};
    struct detail detail = {0};
    ck_assert_msg(value_network(&out, bad_networks[_i], &detail) == STATUS_MALFORMED, "%s",
                  bad_networks[_i]);
    ck_assert_uint_eq(out.bits, 7);
    ck_assert_str_ne(detail.text, "");
}
END_TEST

START_TEST(one_address_is_a_network_of_itself) {
    struct network out;
    ck_assert_int_eq(value_network(&out, "127.0.0.1", NULL), STATUS_OK);
    ck_assert_uint_eq(out.bits, 32);
    ck_assert(allowed("127.0.0.1", &out, 1));
    ck_assert(!allowed("127.0.0.2", &out, 1));
    ck_assert_int_eq(value_network(&out, "::1", NULL), STATUS_OK);
    ck_assert_uint_eq(out.bits, 128);
    ck_assert(allowed("::1", &out, 1));
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("addresses");
    tcase_add_loop_test(tcase, an_address_that_is_not_public_is_refused, 0, NUM_REFUSED);
    tcase_add_loop_test(tcase, a_public_address_is_allowed, 0, NUM_PUBLIC);
    tcase_add_test(tcase, a_named_network_is_allowed_and_its_neighbours_are_not);
    tcase_add_test(tcase, another_family_or_a_cut_address_is_refused);
    tcase_add_loop_test(tcase, what_is_no_network_is_refused, 0,
                        sizeof bad_networks / sizeof bad_networks[0]);
    tcase_add_test(tcase, one_address_is_a_network_of_itself);
    Suite *suite = suite_create("outbound_address");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
