#include "api/routes.h"
#include "tests/unit/role_matrix.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static enum http_next handler(struct request *r) {
    (void)r;
    return HTTP_ANSWER;
}

static const struct route good = {.plane = PLANE_ADMIN,
                                  .method = HTTP_GET,
                                  .pattern = "/v1/things/{id}",
                                  .roles = ROLES_READ,
                                  .handle = handler};

static enum status check_table(const struct route *routes, size_t num, struct detail *detail) {
    const struct route_table table = {routes, num};
    return routes_check(&table, detail);
}

START_TEST(the_table_holds) {
    struct detail detail = {0};
    ck_assert_msg(routes_check(routes_all(), &detail) == STATUS_OK, "%s", detail.text);
    ck_assert_uint_gt(routes_all()->num, 40);
}
END_TEST

START_TEST(a_route_without_a_role_does_not_start) {
    struct route route = good;
    struct detail detail = {0};
    route.roles = 0;
    ck_assert(check_table(&route, 1, &detail) == STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "no role"));
}
END_TEST

static const struct {
    enum config_plane plane;
    unsigned roles;
} strangers[] = {{PLANE_ADMIN, ROLE_ANYONE | ROLE_ADMIN},
                 {PLANE_ADMIN, ROLE_DEVICE | ROLE_ADMIN},
                 {PLANE_ADMIN, ROLE_PROXY | ROLE_ADMIN},
                 {PLANE_DEVICE, ROLE_ANYONE},
                 {PLANE_DEVICE, ROLE_DEVICE | ROLE_ADMIN},
                 {PLANE_PROXY, ROLE_DEVICE},
                 {PLANE_PROXY, ROLE_ANYONE},
                 {PLANE_ENROL, ROLE_DEVICE},
                 {PLANE_PUBLIC, ROLE_ADMIN},
                 {PLANE_ADMIN, 1u << 20 | ROLE_ADMIN}};

START_TEST(a_route_with_a_role_of_another_plane_does_not_start) {
    struct route route = good;
    route.plane = strangers[_i].plane;
    route.roles = strangers[_i].roles;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

START_TEST(an_admin_route_that_admins_may_not_call_does_not_start) {
    struct route route = good;
    route.roles = ROLE_VIEWER;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

START_TEST(a_route_without_a_handler_does_not_start) {
    struct route route = good;
    route.handle = NULL;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

START_TEST(a_route_that_changes_nothing_does_not_take_two_people) {
    struct route route = good;
    route.two_person = TWO_PERSON_BULK_REVOKE;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
    route.method = HTTP_POST;
    ck_assert(check_table(&route, 1, NULL) == STATUS_OK);
    route.plane = PLANE_DEVICE;
    route.roles = ROLE_DEVICE;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

START_TEST(a_method_is_found_by_its_name) {
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
        ck_assert_int_eq(http_method_from_name(http_method_name(m)), m);
    }
    ck_assert_int_eq(http_method_from_name("get"), HTTP_OTHER);
    ck_assert_int_eq(http_method_from_name(""), HTTP_OTHER);
}
END_TEST

START_TEST(a_route_whose_body_has_no_shape_does_not_start) {
    struct route route = good;
    route.body_rule = BODY_SHAPE;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

static const char *const bad_patterns[] = {NULL,        "",          "v1/x",        "/v1/{id",
                                           "/v1/a{id}", "/v1/{id}b", "/{a}/{b}/{c}"};

START_TEST(a_pattern_that_is_none_does_not_start) {
    struct route route = good;
    route.pattern = bad_patterns[_i];
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

static const struct {
    const char *a, *b;
    bool same;
} pairs[] = {{"/v1/things/{id}", "/v1/things/{id}", true},
             {"/v1/things/{id}", "/v1/things/{name}", true},
             {"/v1/things/{id}", "/v1/things/all", true},
             {"/v1/{a}/x", "/v1/b/{c}", true},
             {"/v1/things/{id}", "/v1/things", false},
             {"/v1/things/{id}", "/v1/things/{id}/x", false},
             {"/v1/{a}/x", "/v1/{a}/y", false}};

START_TEST(two_routes_for_one_request_do_not_start) {
    struct route routes[2] = {good, good};
    routes[0].pattern = pairs[_i].a;
    routes[1].pattern = pairs[_i].b;
    ck_assert_int_eq(check_table(routes, 2, NULL) == STATUS_INVALID, pairs[_i].same);
    routes[1].method = HTTP_PUT;
    ck_assert(check_table(routes, 2, NULL) == STATUS_OK);
    routes[1].method = HTTP_GET;
    routes[1].plane = PLANE_DEVICE;
    routes[1].roles = ROLE_DEVICE;
    ck_assert(check_table(routes, 2, NULL) == STATUS_OK);
}
END_TEST

static const struct {
    const char *path;
    bool found;
} paths[] = {{"/v1/things/a", true},
             {"/v1/things/A.b_c-9", true},
             {"/v1/things/..", true}, /* a name like any other: nothing is normalised */
             {"/v1/things/", false},
             {"/v1/things", false},
             {"/v1/things/a/", false},
             {"/v1/things/a/b", false},
             {"/v1/things/%61", false},
             {"/v1/things/a;b", false},
             {"/v1/things/a\x80", false},
             {"/v1/Things/a", false},
             {"", false}};

START_TEST(a_path_matches_segment_by_segment) {
    const struct route_table table = {&good, 1};
    struct route_match match;
    routes_match(&match, &table, PLANE_ADMIN, HTTP_GET, paths[_i].path);
    ck_assert_int_eq(match.route != NULL, paths[_i].found);
    if (match.route != NULL) {
        ck_assert_uint_eq(match.num_params, 1);
        ck_assert_uint_eq(match.param_len[0], strlen(paths[_i].path) - strlen("/v1/things/"));
    }
    routes_match(&match, &table, PLANE_DEVICE, HTTP_GET, paths[_i].path);
    ck_assert_ptr_null(match.route);
    ck_assert_uint_eq(match.methods, 0);
}
END_TEST

static const struct {
    const char *path, *rest;
} suffixes[] = {{"/v1/things/a", "a"},
                {"/v1/things/", ""},
                {"/v1/things//", "/"},
                {"/v1/things/a/b/", "a/b/"},
                {"/v1/things/%2F+=;../", "%2F+=;../"},
                {"/v1/things", NULL},
                {"/v1/thing/a", NULL}};

START_TEST(a_suffix_takes_the_rest_of_the_path_as_it_came) {
    struct route route = good;
    route.suffix = true;
    const struct route_table table = {&route, 1};
    struct route_match match;
    routes_match(&match, &table, PLANE_ADMIN, HTTP_GET, suffixes[_i].path);
    ck_assert_int_eq(match.route != NULL, suffixes[_i].rest != NULL);
    if (match.route != NULL) {
        ck_assert_uint_eq(match.num_params, 1);
        ck_assert_uint_eq(match.param_len[0], strlen(suffixes[_i].rest));
        ck_assert_str_eq(match.param[0], suffixes[_i].rest);
    }
}
END_TEST

START_TEST(only_the_last_parameter_is_a_suffix) {
    struct route route = good;
    route.suffix = true;
    route.pattern = "/v1/{a}/x/{b}";
    const struct route_table table = {&route, 1};
    struct route_match match;
    routes_match(&match, &table, PLANE_ADMIN, HTTP_GET, "/v1/p/x/q/r");
    ck_assert_ptr_nonnull(match.route);
    ck_assert_uint_eq(match.param_len[0], 1);
    ck_assert_str_eq(match.param[1], "q/r");
    routes_match(&match, &table, PLANE_ADMIN, HTTP_GET, "/v1/p/o/x/q");
    ck_assert_ptr_null(match.route);
}
END_TEST

static const char *const under_a_suffix[] = {"/v1/things/{id}", "/v1/things/all", "/v1/things/",
                                             "/v1/things/{id}/x", "/v1/{a}/{b}"};

START_TEST(a_route_under_a_suffix_does_not_start) {
    struct route routes[2] = {good, good};
    routes[0].suffix = true;
    routes[1].pattern = under_a_suffix[_i];
    ck_assert(check_table(routes, 2, NULL) == STATUS_INVALID);
    struct route swapped[2] = {routes[1], routes[0]};
    ck_assert(check_table(swapped, 2, NULL) == STATUS_INVALID);
    routes[1].pattern = "/v1/things";
    ck_assert(check_table(routes, 2, NULL) == STATUS_OK);
}
END_TEST

START_TEST(a_suffix_without_a_last_parameter_does_not_start) {
    struct route route = good;
    route.suffix = true;
    ck_assert(check_table(&route, 1, NULL) == STATUS_OK);
    route.pattern = "/v1/{id}/x";
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
    route.pattern = "/v1/x";
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

START_TEST(a_route_whose_bytes_have_no_media_type_does_not_start) {
    struct route route = good;
    route.method = HTTP_POST;
    route.body_rule = BODY_BYTES;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
    route.media = "application/ocsp-request";
    ck_assert(check_table(&route, 1, NULL) == STATUS_OK);
    route.body_rule = BODY_NONE;
    ck_assert(check_table(&route, 1, NULL) == STATUS_INVALID);
}
END_TEST

START_TEST(a_parameter_has_a_largest_size) {
    const struct route_table table = {&good, 1};
    struct route_match match;
    char path[256] = "/v1/things/";
    memset(path + 11, 'a', ROUTE_MAX_PARAM);
    routes_match(&match, &table, PLANE_ADMIN, HTTP_GET, path);
    ck_assert_ptr_nonnull(match.route);
    path[11 + ROUTE_MAX_PARAM] = 'a';
    routes_match(&match, &table, PLANE_ADMIN, HTTP_GET, path);
    ck_assert_ptr_null(match.route);
}
END_TEST

START_TEST(head_finds_get_and_nothing_else) {
    const struct route_table table = {&good, 1};
    struct route_match match;
    routes_match(&match, &table, PLANE_ADMIN, HTTP_HEAD, "/v1/things/a");
    ck_assert_ptr_eq(match.route, &good);
    struct route post = good;
    post.method = HTTP_POST;
    const struct route_table posts = {&post, 1};
    routes_match(&match, &posts, PLANE_ADMIN, HTTP_HEAD, "/v1/things/a");
    ck_assert_ptr_null(match.route);
    ck_assert_uint_eq(match.methods, 1u << HTTP_POST);
}
END_TEST

static unsigned roles_of(const char *letters) {
    static const struct {
        char letter;
        unsigned role;
    } known[] = {{'v', ROLE_VIEWER},
                 {'o', ROLE_OPERATOR},
                 {'w', ROLE_AUTHOR},
                 {'p', ROLE_APPROVER},
                 {'a', ROLE_ADMIN}};
    unsigned roles = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        roles |= strchr(letters, known[i].letter) != NULL ? known[i].role : 0;
    }
    return roles;
}

static const struct role_matrix_row *row_of(const struct route *route) {
    for (size_t i = 0; i < ROLE_MATRIX_ROWS; i++) {
        if (strcmp(role_matrix[i].pattern, route->pattern) == 0 &&
            strcmp(role_matrix[i].method, http_method_name(route->method)) == 0) {
            return &role_matrix[i];
        }
    }
    return NULL;
}

START_TEST(the_admin_plane_has_the_roles_of_the_matrix) {
    const struct route_table *all = routes_all();
    size_t num = 0;
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        if (route->plane != PLANE_ADMIN) {
            continue;
        }
        const struct role_matrix_row *row = row_of(route);
        ck_assert_msg(row != NULL, "%s %s is not in tests/unit/role_matrix.h",
                      http_method_name(route->method), route->pattern);
        ck_assert_msg(route->roles == roles_of(row->who), "%s %s is for others than \"%s\"",
                      row->method, row->pattern, row->who);
        num++;
    }
    ck_assert_uint_eq(num, ROLE_MATRIX_ROWS); /* and none is gone */
}
END_TEST

START_TEST(only_operators_roles_have_names_to_give) {
    ck_assert_uint_eq(role_from_name("admin"), ROLE_ADMIN);
    ck_assert_uint_eq(role_from_name("viewer"), ROLE_VIEWER);
    ck_assert_uint_eq(role_from_name("anyone"), 0);
    ck_assert_uint_eq(role_from_name("device"), 0);
    ck_assert_uint_eq(role_from_name("Admin"), 0);
    ck_assert_uint_eq(role_from_name(""), 0);
    ck_assert_str_eq(role_name(ROLE_APPROVER), "approver");
    ck_assert_str_eq(role_name(0), "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("routes");
    TCase *t = tcase_create("routes");
    tcase_add_test(t, the_table_holds);
    tcase_add_test(t, a_route_without_a_role_does_not_start);
    tcase_add_loop_test(t, a_route_with_a_role_of_another_plane_does_not_start, 0,
                        sizeof strangers / sizeof strangers[0]);
    tcase_add_test(t, an_admin_route_that_admins_may_not_call_does_not_start);
    tcase_add_test(t, a_route_without_a_handler_does_not_start);
    tcase_add_test(t, a_route_that_changes_nothing_does_not_take_two_people);
    tcase_add_test(t, a_method_is_found_by_its_name);
    tcase_add_test(t, a_route_whose_body_has_no_shape_does_not_start);
    tcase_add_loop_test(t, a_pattern_that_is_none_does_not_start, 0,
                        sizeof bad_patterns / sizeof bad_patterns[0]);
    tcase_add_loop_test(t, two_routes_for_one_request_do_not_start, 0,
                        sizeof pairs / sizeof pairs[0]);
    tcase_add_loop_test(t, a_path_matches_segment_by_segment, 0, sizeof paths / sizeof paths[0]);
    tcase_add_test(t, a_parameter_has_a_largest_size);
    tcase_add_loop_test(t, a_suffix_takes_the_rest_of_the_path_as_it_came, 0,
                        sizeof suffixes / sizeof suffixes[0]);
    tcase_add_test(t, only_the_last_parameter_is_a_suffix);
    tcase_add_loop_test(t, a_route_under_a_suffix_does_not_start, 0,
                        sizeof under_a_suffix / sizeof under_a_suffix[0]);
    tcase_add_test(t, a_suffix_without_a_last_parameter_does_not_start);
    tcase_add_test(t, a_route_whose_bytes_have_no_media_type_does_not_start);
    tcase_add_test(t, head_finds_get_and_nothing_else);
    tcase_add_test(t, the_admin_plane_has_the_roles_of_the_matrix);
    tcase_add_test(t, only_operators_roles_have_names_to_give);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
