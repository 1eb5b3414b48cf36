/* concurrent */
/* Challenges: good once, for one device, for a while. */
#include "server/fleet/challenge.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LIFETIME = 1000, MAX = 5000 };
static struct challenges *c;
static const uint8_t context_a[32] = {1, 2, 3}, context_b[32] = {9};

static void open_challenges(void) {
    ck_assert_int_eq(challenges_new(&c, MAX, LIFETIME), STATUS_OK);
}

static void close_challenges(void) {
    challenges_free(c);
}

struct nonce {
    uint8_t data[CHALLENGE_LEN];
};

static enum status ask(struct nonce *out, unsigned n, int64_t now_ms) {
    char id[STORE_ID];
    sample_id(id, 'd', n);
    return challenge_new(c, out->data, id, context_a, now_ms);
}

static enum status take(const struct nonce *nonce, unsigned n, int64_t now_ms) {
    char id[STORE_ID];
    uint8_t context[32] = {0};
    sample_id(id, 'd', n);
    enum status status =
        challenge_take(c, bytes_of(nonce->data, CHALLENGE_LEN), id, context, now_ms);
    ck_assert(status != STATUS_OK || memcmp(context, context_a, 32) == 0);
    ck_assert(status == STATUS_OK || bytes_all(bytes_of(context, 32), 0));
    return status;
}

START_TEST(a_nonce_is_good_once) {
    struct nonce nonce;
    ck_assert_int_eq(ask(&nonce, 1, 0), STATUS_OK);
    ck_assert_int_eq(take(&nonce, 1, 10), STATUS_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take(&nonce, 1, 11 + i), STATUS_CONFLICT);
    }
}
END_TEST

START_TEST(a_nonce_of_one_device_is_refused_from_another) {
    struct nonce nonce, other;
    ck_assert_int_eq(ask(&nonce, 1, 0), STATUS_OK);
    ck_assert_int_eq(ask(&other, 2, 0), STATUS_OK);
    ck_assert_int_eq(take(&nonce, 2, 10), STATUS_NOT_FOUND);
    ck_assert_int_eq(take(&other, 1, 10), STATUS_NOT_FOUND);
    ck_assert_int_eq(take(&nonce, 3, 10), STATUS_NOT_FOUND);
    ck_assert_int_eq(take(&nonce, 1, 10), STATUS_OK); /* the attempt did not use it up */
}
END_TEST

START_TEST(a_nonce_expires_to_the_millisecond) {
    struct nonce nonce;
    ck_assert_int_eq(ask(&nonce, 1, 0), STATUS_OK);
    ck_assert_int_eq(take(&nonce, 1, LIFETIME), STATUS_EXPIRED);
    ck_assert_int_eq(take(&nonce, 1, LIFETIME + 1), STATUS_EXPIRED);
    ck_assert_int_eq(take(&nonce, 1, LIFETIME - 1), STATUS_OK);
}
END_TEST

START_TEST(a_nonce_that_was_never_given_is_refused) {
    struct nonce nonce, invented = {{0}};
    ck_assert_int_eq(take(&invented, 1, 0), STATUS_NOT_FOUND);
    ck_assert_int_eq(ask(&nonce, 1, 0), STATUS_OK);
    ck_assert_int_eq(take(&invented, 1, 0), STATUS_NOT_FOUND);
    for (size_t bit = 0; bit < 8 * (size_t)CHALLENGE_LEN; bit++) {
        invented = nonce;
        invented.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_int_eq(take(&invented, 1, 0), STATUS_NOT_FOUND);
    }
}
END_TEST

START_TEST(a_nonce_of_another_length_is_refused) {
    struct nonce nonce;
    uint8_t context[32], longer[CHALLENGE_LEN + 1] = {0};
    char id[STORE_ID];
    sample_id(id, 'd', 1);
    ck_assert_int_eq(ask(&nonce, 1, 0), STATUS_OK);
    memcpy(longer, nonce.data, sizeof nonce.data);
    for (size_t len = 0; len <= sizeof longer; len++) {
        if (len != CHALLENGE_LEN) {
            ck_assert_int_eq(challenge_take(c, bytes_of(longer, len), id, context, 0),
                             STATUS_NOT_FOUND);
        }
    }
    ck_assert_int_eq(challenge_take(c, (struct bytes){NULL, 0}, id, context, 0), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(who_is_no_device_gets_no_nonce) {
    struct nonce nonce;
    uint8_t context[32];
    static const char *const ids[] = {"", "x", "0000006400000001646464646464646G"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(challenge_new(c, nonce.data, ids[i], context_a, 0), STATUS_MALFORMED);
        ck_assert_int_eq(challenge_take(c, bytes_of(nonce.data, 32), ids[i], context, 0),
                         STATUS_NOT_FOUND);
    }
}
END_TEST

START_TEST(nonces_do_not_repeat) {
    enum { NUM = 4000 };
    static struct nonce nonce[NUM];
    for (unsigned n = 0; n < NUM; n++) {
        ck_assert_int_eq(ask(&nonce[n], n, 0), STATUS_OK);
        ck_assert(!bytes_all(bytes_of(nonce[n].data, 32), 0));
    }
    for (unsigned i = 0; i < NUM; i += 97) {
        for (unsigned j = 0; j < i; j++) {
            ck_assert_mem_ne(nonce[i].data, nonce[j].data, CHALLENGE_LEN);
        }
    }
}
END_TEST

START_TEST(a_device_holds_four_and_its_oldest_gives_way) {
    struct nonce nonce[CHALLENGES_PER_DEVICE + 2], other;
    ck_assert_int_eq(ask(&other, 2, 0), STATUS_OK);
    for (unsigned i = 0; i < CHALLENGES_PER_DEVICE + 2; i++) {
        ck_assert_int_eq(ask(&nonce[i], 1, i), STATUS_OK);
    }
    ck_assert_int_eq(take(&nonce[0], 1, 10), STATUS_NOT_FOUND);
    ck_assert_int_eq(take(&nonce[1], 1, 10), STATUS_NOT_FOUND);
    for (unsigned i = 2; i < CHALLENGES_PER_DEVICE + 2; i++) {
        ck_assert_int_eq(take(&nonce[i], 1, 10), STATUS_OK);
    }
    ck_assert_int_eq(take(&other, 2, 10), STATUS_OK);
    ck_assert_uint_eq(challenges_devices(c), 2);
}
END_TEST

START_TEST(a_used_nonce_stays_refused_after_others_pushed_it_out) {
    struct nonce used, nonce;
    ck_assert_int_eq(ask(&used, 1, 0), STATUS_OK);
    ck_assert_int_eq(take(&used, 1, 1), STATUS_OK);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(ask(&nonce, 1, 2 + i), STATUS_OK);
        ck_assert_int_ne(take(&used, 1, 3 + i), STATUS_OK);
    }
}
END_TEST

START_TEST(the_context_comes_back_with_its_own_nonce) {
    uint8_t first[CHALLENGE_LEN], second[CHALLENGE_LEN], context[32];
    char id[STORE_ID];
    sample_id(id, 'd', 1);
    ck_assert_int_eq(challenge_new(c, first, id, context_a, 0), STATUS_OK);
    ck_assert_int_eq(challenge_new(c, second, id, context_b, 0), STATUS_OK);
    ck_assert_int_eq(challenge_take(c, bytes_of(second, 32), id, context, 1), STATUS_OK);
    ck_assert_mem_eq(context, context_b, 32);
    ck_assert_int_eq(challenge_take(c, bytes_of(first, 32), id, context, 1), STATUS_OK);
    ck_assert_mem_eq(context, context_a, 32);
}
END_TEST

START_TEST(too_many_devices_are_told_to_wait_and_live_nonces_stay) {
    struct nonce first, nonce;
    ck_assert_int_eq(ask(&first, 0, 0), STATUS_OK);
    for (unsigned n = 1; n < MAX; n++) {
        ck_assert_int_eq(ask(&nonce, n, 0), STATUS_OK);
    }
    ck_assert_int_eq(ask(&nonce, MAX, 0), STATUS_BUSY);
    ck_assert_int_eq(ask(&nonce, MAX + 1, LIFETIME - 1), STATUS_BUSY);
    ck_assert_int_eq(ask(&nonce, 7, LIFETIME - 1), STATUS_OK); /* has its place already */
    ck_assert_int_eq(take(&first, 0, LIFETIME - 1), STATUS_OK);
    ck_assert_int_eq(ask(&nonce, MAX, LIFETIME), STATUS_OK); /* the others have expired */
    ck_assert_uint_le(challenges_devices(c), MAX);
    ck_assert_int_eq(take(&nonce, MAX, LIFETIME), STATUS_OK);
}
END_TEST

START_TEST(what_is_forgotten_is_not_found) {
    struct nonce nonce, other;
    ck_assert_int_eq(ask(&nonce, 1, 0), STATUS_OK);
    for (unsigned n = 2; n < 600; n++) { /* somebody in each shard looks around */
        ck_assert_int_eq(ask(&other, n, 2 * LIFETIME), STATUS_OK);
    }
    ck_assert_int_eq(take(&nonce, 1, 2 * LIFETIME), STATUS_NOT_FOUND);
    ck_assert_uint_eq(challenges_devices(c), 598);
}
END_TEST

START_TEST(memory_follows_what_is_live) {
    struct nonce nonce;
    size_t before = mallinfo2().uordblks;
    for (int64_t round = 0; round < 20; round++) {
        for (unsigned n = 0; n < MAX; n++) {
            ck_assert_int_eq(ask(&nonce, n + (unsigned)round * MAX, round * 3 * LIFETIME),
                             STATUS_OK);
        }
    }
    for (unsigned n = 0; n < 600; n++) {
        ck_assert_int_eq(ask(&nonce, n, 100 * LIFETIME), STATUS_OK);
    }
    ck_assert_uint_eq(challenges_devices(c), 600);
    size_t after = mallinfo2().uordblks;
    ck_assert_uint_le(after, before + 256 * 1024);
}
END_TEST

enum { THREADS = 4, NUM_SHARED = 2000 };
static struct nonce shared[NUM_SHARED];
static _Atomic unsigned taken[NUM_SHARED];

static void *grab(void *context) {
    unsigned first = *(unsigned *)context;
    for (unsigned i = 0; i < NUM_SHARED; i++) {
        unsigned n = (i + first) % NUM_SHARED;
        struct nonce other;
        ck_assert_int_eq(ask(&other, NUM_SHARED + n % 3 + first, 1), STATUS_OK);
        if (take(&shared[n], n, 2) == STATUS_OK) {
            atomic_fetch_add(&taken[n], 1);
        }
    }
    return NULL;
}

START_TEST(of_many_who_take_a_nonce_one_gets_it) {
    pthread_t thread[THREADS];
    unsigned first[THREADS];
    for (unsigned n = 0; n < NUM_SHARED; n++) {
        ck_assert_int_eq(ask(&shared[n], n, 0), STATUS_OK);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        first[i] = i * 5;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, grab, &first[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    for (unsigned n = 0; n < NUM_SHARED; n++) {
        ck_assert_uint_eq(atomic_load(&taken[n]), 1);
    }
}
END_TEST

static void *crowd(void *context) {
    unsigned base = *(unsigned *)context;
    struct nonce nonce;
    for (unsigned n = 0; n < MAX; n++) {
        enum status status = ask(&nonce, base + n, 0);
        ck_assert(status == STATUS_OK || status == STATUS_BUSY);
        ck_assert_uint_le(challenges_devices(c), MAX);
    }
    return NULL;
}

START_TEST(a_crowd_does_not_pass_the_limit) {
    pthread_t thread[THREADS];
    unsigned base[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        base[i] = i * MAX;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, crowd, &base[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    ck_assert_uint_eq(challenges_devices(c), MAX);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("challenges");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_challenges, close_challenges);
    tcase_add_test(tests, a_nonce_is_good_once);
    tcase_add_test(tests, a_nonce_of_one_device_is_refused_from_another);
    tcase_add_test(tests, a_nonce_expires_to_the_millisecond);
    tcase_add_test(tests, a_nonce_that_was_never_given_is_refused);
    tcase_add_test(tests, a_nonce_of_another_length_is_refused);
    tcase_add_test(tests, who_is_no_device_gets_no_nonce);
    tcase_add_test(tests, nonces_do_not_repeat);
    tcase_add_test(tests, a_device_holds_four_and_its_oldest_gives_way);
    tcase_add_test(tests, a_used_nonce_stays_refused_after_others_pushed_it_out);
    tcase_add_test(tests, the_context_comes_back_with_its_own_nonce);
    tcase_add_test(tests, too_many_devices_are_told_to_wait_and_live_nonces_stay);
    tcase_add_test(tests, what_is_forgotten_is_not_found);
    tcase_add_test(tests, memory_follows_what_is_live);
    tcase_add_test(tests, of_many_who_take_a_nonce_one_gets_it);
    tcase_add_test(tests, a_crowd_does_not_pass_the_limit);
    Suite *suite = suite_create("fleet: challenges");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
