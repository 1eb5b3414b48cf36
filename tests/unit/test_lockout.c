/* Lock-out: of whom, when, and for how long. */
/* concurrent */
#include "api/lockout.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct lockout *lockout;
static const int64_t S = 1000000, NOW = 5000000;

static void start(void) {
    ck_assert_int_eq(lockout_new(&lockout), STATUS_OK);
}

static void stop(void) {
    lockout_free(lockout);
}

static const uint8_t *certificate(unsigned n) {
    static _Thread_local uint8_t sha256[4][32];
    static _Thread_local unsigned at;
    uint8_t *out = sha256[at++ % 4];
    memset(out, (int)(n >> 8), 32);
    out[n % 16] = (uint8_t)n;
    memcpy(out + 16, &n, sizeof n);
    memcpy(out, &n, sizeof n);
    return out;
}

/* `num` refusals, `apart` microseconds each from `from`; how many of them began a lock-out. */
static unsigned refuse(unsigned n, unsigned num, int64_t from, int64_t apart) {
    unsigned begun = 0;
    for (unsigned i = 0; i < num; i++) {
        begun += lockout_refused(lockout, certificate(n), from + (int64_t)i * apart);
    }
    return begun;
}

START_TEST(nine_refusals_lock_nobody_out) {
    ck_assert_uint_eq(refuse(1, LOCKOUT_REFUSALS - 1, NOW, 1), 0);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + 9), 0);
}
END_TEST

START_TEST(the_tenth_locks_out_for_a_minute) {
    ck_assert_uint_eq(refuse(1, LOCKOUT_REFUSALS, NOW, 0), 1);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW), 60);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + S / 2), 60);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + 59 * S), 1);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + 60 * S - 1), 1);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + 60 * S), 0);
}
END_TEST

START_TEST(nobody_else_is_locked_out_with_it) {
    ck_assert_uint_eq(refuse(1, LOCKOUT_REFUSALS, NOW, 0), 1);
    for (unsigned n = 2; n < 1000; n++) {
        ck_assert_uint_eq(lockout_wait_s(lockout, certificate(n), NOW), 0);
    }
}
END_TEST

START_TEST(refusals_that_are_far_apart_lock_nobody_out) {
    ck_assert_uint_eq(refuse(1, 100, NOW, 7 * S), 0);
    ck_assert_uint_eq(refuse(2, LOCKOUT_REFUSALS - 1, NOW, 0), 0);
    ck_assert_uint_eq(refuse(2, LOCKOUT_REFUSALS - 1, NOW + LOCKOUT_WINDOW_S * S, 0), 0);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(2), NOW + LOCKOUT_WINDOW_S * S), 0);
}
END_TEST

START_TEST(after_a_lock_out_the_count_begins_anew) {
    ck_assert_uint_eq(refuse(1, LOCKOUT_REFUSALS, NOW, 0), 1);
    ck_assert_uint_eq(refuse(1, LOCKOUT_REFUSALS - 1, NOW + LOCKOUT_S * S, 0), 0);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + LOCKOUT_S * S), 0);
    ck_assert_uint_eq(refuse(1, 1, NOW + LOCKOUT_S * S + 1, 0), 1);
    ck_assert_uint_eq(lockout_wait_s(lockout, certificate(1), NOW + LOCKOUT_S * S + 1), 60);
}
END_TEST

START_TEST(a_flood_of_others_stays_within_the_table) {
    for (unsigned n = 10; n < 100000; n++) {
        ck_assert_uint_eq(refuse(n, 1, NOW + n, 0), 0);
    }
    ck_assert_uint_eq(refuse(1, LOCKOUT_REFUSALS, NOW + 200000, 0), 1);
    ck_assert_uint_gt(lockout_wait_s(lockout, certificate(1), NOW + 200001), 0);
}
END_TEST

enum { THREADS = 4, EACH = 250 };

static void *hammer(void *context) {
    unsigned *begun = context;
    for (unsigned i = 0; i < EACH; i++) {
        *begun += lockout_refused(lockout, certificate(1), NOW);
        (void)lockout_wait_s(lockout, certificate(1), NOW);
        (void)lockout_wait_s(lockout, certificate(i), NOW);
    }
    return NULL;
}

START_TEST(refusals_of_all_threads_are_counted_once) {
    pthread_t thread[THREADS];
    unsigned begun[THREADS] = {0}, sum = 0;
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, hammer, &begun[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        sum += begun[i];
    }
    ck_assert_uint_eq(sum, THREADS * EACH / LOCKOUT_REFUSALS);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lockout");
    TCase *t = tcase_create("lockout");
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, nine_refusals_lock_nobody_out);
    tcase_add_test(t, the_tenth_locks_out_for_a_minute);
    tcase_add_test(t, nobody_else_is_locked_out_with_it);
    tcase_add_test(t, refusals_that_are_far_apart_lock_nobody_out);
    tcase_add_test(t, after_a_lock_out_the_count_begins_anew);
    tcase_add_test(t, a_flood_of_others_stays_within_the_table);
    tcase_add_test(t, refusals_of_all_threads_are_counted_once);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
