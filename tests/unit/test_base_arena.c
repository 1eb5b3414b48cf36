#include "server/base/arena.h"

#include <check.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* A sanitized malloc that refuses returns NULL as the plain one does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "allocator_may_return_null=1";
}

static struct arena arena;

static void open_arena(void) {
    arena_init(&arena, 1U << 20);
}

static void close_arena(void) {
    arena_free(&arena);
}

START_TEST(pieces_are_zeroed_aligned_and_apart) {
    uint8_t *before = NULL;
    for (size_t len = 0; len < 300; len++) {
        uint8_t *piece = arena_alloc(&arena, len);
        ck_assert_ptr_nonnull(piece);
        ck_assert_uint_eq((uintptr_t)piece % alignof(max_align_t), 0);
        ck_assert(bytes_all(bytes_of(piece, len), 0));
        ck_assert_ptr_ne(piece, before);
        memset(piece, 0xee, len);
        before = piece;
    }
}
END_TEST

START_TEST(a_large_piece_leaves_the_block_in_use_in_use) {
    char *first = arena_text(&arena, "first");
    uint8_t *large = arena_alloc(&arena, 100000);
    char *second = arena_text(&arena, "second");
    ck_assert(first != NULL && large != NULL && second != NULL);
    memset(large, 1, 100000);
    ck_assert_str_eq(first, "first");
    ck_assert_str_eq(second, "second");
    ck_assert_ptr_eq(second, first + alignof(max_align_t));
}
END_TEST

START_TEST(the_cap_is_exact_and_overflow_is_sticky) {
    arena_init(&arena, 4096);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 4096 - 16));
    ck_assert_ptr_nonnull(arena_alloc(&arena, 16));
    ck_assert(!arena.overflow);
    ck_assert_ptr_null(arena_alloc(&arena, 1));
    ck_assert(arena.overflow);
    ck_assert_ptr_null(arena_alloc(&arena, 0));
    ck_assert_ptr_null(arena_text(&arena, ""));
    ck_assert_ptr_null(arena_printf(&arena, "%d", 1));
    ck_assert_ptr_null(arena_bytes(&arena, bytes_of("x", 1)).data);
}
END_TEST

START_TEST(a_piece_over_the_cap_is_refused_though_smaller_ones_would_fit) {
    arena_init(&arena, 100);
    ck_assert_ptr_null(arena_alloc(&arena, 101));
    ck_assert_ptr_null(arena_alloc(&arena, 1));
    ck_assert(arena.overflow && arena.blocks == NULL);
}
END_TEST

START_TEST(tiny_pieces_count_for_what_they_take) {
    arena_init(&arena, 1600);
    unsigned given = 0;
    while (given < 10000 && arena_alloc(&arena, 0) != NULL) {
        given++;
    }
    ck_assert_uint_le(given, 100);
    ck_assert(arena.overflow);
}
END_TEST

START_TEST(lengths_that_would_wrap_are_refused) {
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 40,
                                     SIZE_MAX / 2 + 1};
    arena_init(&arena, SIZE_MAX);
    ck_assert_ptr_null(arena_alloc(&arena, lengths[_i]));
    ck_assert(arena.overflow);
}
END_TEST

START_TEST(arrays_that_would_wrap_are_refused) {
    arena_init(&arena, SIZE_MAX);
    ck_assert_ptr_null(arena_array(&arena, SIZE_MAX / 8 + 1, 8));
    ck_assert(arena.overflow);
}
END_TEST

START_TEST(text_of_the_largest_length_is_refused) {
    ck_assert_ptr_null(arena_text_n(&arena, "x", SIZE_MAX));
    ck_assert(arena.overflow);
}
END_TEST

START_TEST(a_refusing_malloc_overflows) {
    arena_init(&arena, SIZE_MAX);
    ck_assert_ptr_null(arena_alloc(&arena, (size_t)1 << 60));
    ck_assert(arena.overflow);
    ck_assert_ptr_null(arena_alloc(&arena, 1));
}
END_TEST

START_TEST(freeing_starts_anew_with_the_same_cap) {
    arena_init(&arena, 64);
    ck_assert_ptr_null(arena_alloc(&arena, 65));
    arena_free(&arena);
    ck_assert(!arena.overflow && arena.used == 0 && arena.cap == 64);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 64));
    arena_free(NULL);
}
END_TEST

START_TEST(copies_are_terminated_and_their_own) {
    char text[] = "abcdef";
    char *copy = arena_text_n(&arena, text, 3);
    struct bytes view = arena_bytes(&arena, bytes_of(text, 6));
    text[0] = 'X';
    ck_assert_str_eq(copy, "abc");
    ck_assert(bytes_equal(view, bytes_of("abcdef", 6)));
    ck_assert_ptr_null(arena_text(&arena, NULL));
    ck_assert(!arena.overflow);
    ck_assert_str_eq(arena_printf(&arena, "%s-%05d", "n", 42), "n-00042");
    ck_assert_uint_eq(arena_bytes(&arena, (struct bytes){NULL, 0}).len, 0);
}
END_TEST

START_TEST(formatted_text_longer_than_a_block_is_whole) {
    char *text = arena_printf(&arena, "%9000d", 1);
    ck_assert_uint_eq(strlen(text), 9000);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("arena");
    tcase_add_checked_fixture(tests, open_arena, close_arena);
    tcase_add_test(tests, pieces_are_zeroed_aligned_and_apart);
    tcase_add_test(tests, a_large_piece_leaves_the_block_in_use_in_use);
    tcase_add_test(tests, the_cap_is_exact_and_overflow_is_sticky);
    tcase_add_test(tests, a_piece_over_the_cap_is_refused_though_smaller_ones_would_fit);
    tcase_add_test(tests, tiny_pieces_count_for_what_they_take);
    tcase_add_loop_test(tests, lengths_that_would_wrap_are_refused, 0, 5);
    tcase_add_test(tests, arrays_that_would_wrap_are_refused);
    tcase_add_test(tests, text_of_the_largest_length_is_refused);
    tcase_add_test(tests, a_refusing_malloc_overflows);
    tcase_add_test(tests, freeing_starts_anew_with_the_same_cap);
    tcase_add_test(tests, copies_are_terminated_and_their_own);
    tcase_add_test(tests, formatted_text_longer_than_a_block_is_whole);
    Suite *suite = suite_create("base: arena");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
