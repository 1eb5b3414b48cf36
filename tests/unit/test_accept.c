/* Which form of an answer Accept asks for. */
#include "api/accept.h"

#include <check.h>
#include <stdlib.h>

static const struct media_offer offers[] = {
    {.type = "application/json"},
    {.type = "application/eat+jwt", .parameter = "eat_profile", .value = "tag:x"}};
enum { JSON, JWT, NONE };

static const struct {
    const char *accept;
    size_t chosen;
} cases[] = {
    {NULL, JSON},
    {"*/*", JSON},
    {"application/*", JSON},
    {"application/json", JSON},
    {"APPLICATION/JSON", JSON},
    {"application/eat+jwt", JWT},
    {"Application/EAT+jwt", JWT},
    {" application/eat+jwt ; q=0.5 ", JWT},
    {"application/eat+jwt;q=0.001", JWT},
    {"application/eat+jwt, */*", JSON},
    {"application/eat+jwt, */*;q=0.9", JWT},
    {"application/eat+jwt;q=0.9, */*", JSON},
    {"application/eat+jwt;q=0.5,application/json;q=0.4", JWT},
    {"application/eat+jwt;q=0.4,application/json;q=0.5", JSON},
    {"application/eat+jwt;q=0.4,application/json;q=0.4", JSON},
    {"application/json;q=0,*/*", JWT},
    {"application/json;q=0.0,application/*;q=0.1", JWT},
    {"text/html, application/xhtml+xml, application/eat+jwt;q=0.2", JWT},
    {"application/eat+jwt;eat_profile=\"tag:x\"", JWT},
    {"application/eat+jwt;eat_profile=\"tag:x\";q=0.3, application/json;q=0.2", JWT},
    {"application/eat+jwt;q=0.1, application/eat+jwt;eat_profile=\"tag:x\", application/json;q=0.5",
     JWT},
    {",,application/eat+jwt,,", JWT},
    {"nonsense, application/eat+jwt", JWT},
    {"a/b;c=\"x,application/json\", application/eat+jwt", JWT},
    /* none */
    {"", NONE},
    {",", NONE},
    {"text/html", NONE},
    {"text/*", NONE},
    {"application", NONE},
    {"application/", NONE},
    {"/json", NONE},
    {"*", NONE},
    {"*/json", NONE},
    {"application/jsonx", NONE},
    {"application/jso", NONE},
    {"application/eat", NONE},
    {"application/json;q=0", NONE},
    {"*/*;q=0", NONE},
    {"*/*;q=0.000", NONE},
    {"application/json;q=1.1", NONE},
    {"application/json;q=1.001", NONE},
    {"application/json;q=0.0001", NONE},
    {"application/json;q=2", NONE},
    {"application/json;q=-1", NONE},
    {"application/json;q=.5", NONE},
    {"application/json;q=0,5", NONE},
    {"application/json;q=", NONE},
    {"application/json;q", NONE},
    {"application/json;q=x", NONE},
    {"application/json;version=2", NONE},
    {"application/json application/json", NONE},
    {"application/eat+jwt;eat_profile=\"tag:y\"", NONE},
    {"application/eat+jwt;eat_profile=\"tag:x\";other=1", NONE},
    {"application/eat+jwt;eat_profile=\"tag:x", NONE},
    {"*/*;eat_profile=\"tag:x\"", NONE},
    {"application/json;q=0.5\x80", NONE},
};

START_TEST(accept_chooses) {
    ck_assert_msg(accept_choose(cases[_i].accept, offers, 2) == cases[_i].chosen, "%s",
                  cases[_i].accept == NULL ? "(none)" : cases[_i].accept);
}
END_TEST

START_TEST(what_is_not_offered_is_not_chosen) {
    ck_assert_uint_eq(accept_choose("application/eat+jwt", offers, 1), 1);
    ck_assert_uint_eq(accept_choose("application/eat+jwt, */*;q=0.1", offers, 1), 0);
    ck_assert_uint_eq(accept_choose(NULL, offers, 0), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("accept");
    tcase_add_loop_test(tests, accept_chooses, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tests, what_is_not_offered_is_not_chosen);
    Suite *suite = suite_create("accept");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
