/* Counting connections by address. */
/* concurrent */
#include "server/transport/internal.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct address address_of(const char *text) {
    struct sockaddr_storage at = {0};
    struct address key;
    char back[HTTP_ADDRESS_SIZE];
    if (strchr(text, ':') != NULL) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&at, &in6, sizeof in6);
    } else {
        struct sockaddr_in in4 = {.sin_family = AF_INET};
        ck_assert_int_eq(inet_pton(AF_INET, text, &in4.sin_addr), 1);
        memcpy(&at, &in4, sizeof in4);
    }
    address_read(&key, back, &at);
    ck_assert_uint_ne(strlen(back), 0);
    return key;
}

START_TEST(caps_count_up_to_the_limit_and_give_places_back) {
    struct address_counts *counts = address_counts_new();
    struct address a = address_of("192.0.2.1");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            ck_assert(address_counts_add(counts, &a, 5));
        }
        ck_assert(!address_counts_add(counts, &a, 5));
        for (int i = 0; i < 5; i++) {
            address_counts_drop(counts, &a);
        }
        address_counts_drop(counts, &a); /* one too many is nothing */
    }
    address_counts_free(counts);
    address_counts_free(NULL);
}
END_TEST

START_TEST(caps_tell_ipv4_addresses_apart) {
    struct address_counts *counts = address_counts_new();
    struct address a = address_of("192.0.2.1"), b = address_of("192.0.2.2");
    ck_assert(address_counts_add(counts, &a, 1));
    ck_assert(address_counts_add(counts, &b, 1));
    ck_assert(!address_counts_add(counts, &a, 1));
    address_counts_free(counts);
}
END_TEST

START_TEST(caps_take_an_ipv6_64_for_one_address) {
    struct address_counts *counts = address_counts_new();
    struct address a = address_of("2001:db8:0:1::1"), b = address_of("2001:db8:0:1:ffff::2"),
                   c = address_of("2001:db8:0:2::1");
    ck_assert(address_counts_add(counts, &a, 1));
    ck_assert(!address_counts_add(counts, &b, 1));
    ck_assert(address_counts_add(counts, &c, 1));
    address_counts_free(counts);
}
END_TEST

START_TEST(caps_take_a_mapped_ipv4_address_for_itself) {
    struct address a = address_of("192.0.2.1"), b = address_of("::ffff:192.0.2.1"),
                   c = address_of("::ffff:192.0.2.2");
    ck_assert_int_eq(memcmp(&a, &b, sizeof a), 0);
    ck_assert_int_ne(memcmp(&b, &c, sizeof b), 0);
}
END_TEST

START_TEST(caps_agree_with_a_plain_count_after_many_steps) {
    enum { ADDRESSES = 700, STEPS = 200000, MAX = 3 };
    static unsigned model[ADDRESSES];
    memset(model, 0, sizeof model);
    struct address_counts *counts = address_counts_new();
    uint32_t v = 7;
    for (int i = 0; i < STEPS; i++) {
        v = v * 1664525u + 1013904223u;
        unsigned which = (v >> 8) % ADDRESSES;
        struct address a = {0};
        memcpy(a.bytes, &which, sizeof which);
        bool same;
        if ((v >> 30) % 2 == 0) {
            same = address_counts_add(counts, &a, MAX) == (model[which] < MAX);
            model[which] += model[which] < MAX;
        } else {
            address_counts_drop(counts, &a);
            model[which] -= model[which] > 0;
            same = true;
        }
        if (!same) {
            ck_abort_msg("step %d differs", i);
        }
    }
    address_counts_free(counts);
}
END_TEST

static void *add_and_drop(void *counts) {
    for (unsigned i = 0; i < 20000; i++) {
        struct address a = {.bytes = {(uint8_t)(i % 100)}};
        if (address_counts_add(counts, &a, 2)) {
            address_counts_drop(counts, &a);
        }
    }
    return NULL;
}

START_TEST(caps_are_exact_with_many_threads) {
    struct address_counts *counts = address_counts_new();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_and_drop, counts), 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct address a = {.bytes = {(uint8_t)i}};
        ck_assert(address_counts_add(counts, &a, 1)); /* nothing is left from the threads */
    }
    address_counts_free(counts);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("transport_caps");
    TCase *tests = tcase_create("transport_caps");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, caps_count_up_to_the_limit_and_give_places_back);
    tcase_add_test(tests, caps_tell_ipv4_addresses_apart);
    tcase_add_test(tests, caps_take_an_ipv6_64_for_one_address);
    tcase_add_test(tests, caps_take_a_mapped_ipv4_address_for_itself);
    tcase_add_test(tests, caps_agree_with_a_plain_count_after_many_steps);
    tcase_add_test(tests, caps_are_exact_with_many_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
