/* Who may call what: every role on every route, out of the table itself. */
/* concurrent */
#include "api/routes.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/role_matrix.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static char baseline[33];

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

/* The pattern with its parameters filled in: with what exists, or with what does not. */
static void fill_path(char *out, size_t size, const struct route *route, bool existing) {
    size_t len = 0;
    const char *value = "ffffffffffffffffffffffffffffffff";
    if (existing && strstr(route->pattern, "/devices/") != NULL) {
        value = device.id;
    } else if (existing && strstr(route->pattern, "/decisions/") != NULL) {
        value = device.id;
    } else if (existing && strstr(route->pattern, "/baselines/") != NULL) {
        value = baseline;
    } else if (existing && strstr(route->pattern, "/models/") != NULL) {
        value = "acme-edge9";
    } else if (existing && strstr(route->pattern, "/operators/") != NULL) {
        value = "viewer";
    } else if (existing && strstr(route->pattern, "/proxies/") != NULL) {
        value = "edge";
    }
    for (const char *at = route->pattern; *at != '\0'; at++) {
        if (*at == '{') {
            len += (size_t)snprintf(out + len, size - len, "%s", value);
            at = strchr(at, '}');
        } else {
            out[len++] = *at;
        }
        ck_assert_uint_lt(len, size);
    }
    out[len] = '\0';
}

static struct reply try_route(const struct route *route, enum config_plane plane,
                              const struct caller *caller, bool existing) {
    char target[256];
    fill_path(target, sizeof target, route, existing);
    return call(&g, &(struct call){.plane = plane,
                                   .caller = caller,
                                   .method = http_method_name(route->method),
                                   .target = target,
                                   .until = "", /* a stream has no end */
                                   .body = route->body_rule == BODY_NONE ? NULL : "{}"});
}

static const char *const roles[] = {"viewer", "operator", "author", "approver", "admin"};

static const struct route *route_of(const struct role_matrix_row *row) {
    const struct route_table *all = routes_all();
    for (size_t i = 0; i < all->num; i++) {
        if (all->route[i].plane == PLANE_ADMIN &&
            strcmp(all->route[i].pattern, row->pattern) == 0 &&
            strcmp(http_method_name(all->route[i].method), row->method) == 0) {
            return &all->route[i];
        }
    }
    ck_abort_msg("there is no %s %s", row->method, row->pattern);
}

/* Every route of the matrix; that it has every route is held in test_routes.c. */
START_TEST(each_role_calls_its_routes_and_no_other) {
    static const char letters[] = "vowpa"; /* in the order of `roles` */
    struct caller caller = caller_operator(roles[_i]);
    for (size_t i = 0; i < ROLE_MATRIX_ROWS; i++) {
        const struct role_matrix_row *row = &role_matrix[i];
        bool may = strchr(row->who, letters[_i]) != NULL && (!row->own || letters[_i] == 'a');
        /* With what does not exist and is nobody's own, so that nothing is changed. */
        struct reply reply = try_route(route_of(row), PLANE_ADMIN, &caller, false);
        ck_assert_msg((reply.status == 403) == !may, "%s %s as %s: %u %s", row->method,
                      row->pattern, roles[_i], reply.status, reply.text);
        ck_assert(may || strcmp(reply_text(&reply, "code"), "forbidden") == 0);
        reply_free(&reply);
    }
}
END_TEST

/* Everything but the request's id, which differs anyway. */
static void check_same(const struct reply *a, const struct reply *b) {
    json_t *x = json_deep_copy(a->json), *y = json_deep_copy(b->json);
    (void)json_object_del(x, "request_id");
    (void)json_object_del(y, "request_id");
    ck_assert_uint_eq(a->status, b->status);
    ck_assert_str_eq(a->headers, b->headers);
    ck_assert(json_equal(x, y));
    json_decref(x);
    json_decref(y);
}

START_TEST(who_may_not_ask_gets_one_answer_whether_or_not_the_object_exists) {
    const struct route_table *all = routes_all();
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        if (route->plane == PLANE_ENROL || route->plane == PLANE_PUBLIC) {
            continue;
        }
        struct caller strangers[] = {caller_nobody(), caller_certificate("unknown"),
                                     caller_operator("viewer"), caller_proxy(), device.caller};
        for (size_t s = 0; s < sizeof strangers / sizeof strangers[0]; s++) {
            bool may = (route->plane == PLANE_ADMIN && s == 2 && (route->roles & ROLE_VIEWER)) ||
                       (route->plane == PLANE_PROXY && s == 3) ||
                       (route->plane == PLANE_DEVICE && s == 4);
            if (may) {
                continue;
            }
            struct reply with = try_route(route, route->plane, &strangers[s], true);
            struct reply without = try_route(route, route->plane, &strangers[s], false);
            check_code(&with, 403, "forbidden");
            check_same(&with, &without);
            reply_free(&with);
            reply_free(&without);
        }
    }
}
END_TEST

START_TEST(no_route_is_reached_on_another_plane) {
    const struct route_table *all = routes_all();
    struct caller callers[NUM_PLANES] = {[PLANE_ENROL] = caller_nobody(),
                                         [PLANE_DEVICE] = device.caller,
                                         [PLANE_PROXY] = caller_proxy(),
                                         [PLANE_ADMIN] = caller_operator("admin"),
                                         [PLANE_PUBLIC] = caller_nobody()};
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
            if (plane != route->plane) {
                struct reply reply = try_route(route, plane, &callers[plane], true);
                check_code(&reply, 404, "not_found");
                reply_free(&reply);
            }
        }
    }
}
END_TEST

START_TEST(every_route_answers_its_own_caller) {
    const struct route_table *all = routes_all();
    struct caller callers[NUM_PLANES] = {[PLANE_ENROL] = caller_nobody(),
                                         [PLANE_DEVICE] = device.caller,
                                         [PLANE_PROXY] = caller_proxy(),
                                         [PLANE_ADMIN] = caller_operator("admin"),
                                         [PLANE_PUBLIC] = caller_nobody()};
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        struct reply reply = try_route(route, route->plane, &callers[route->plane], false);
        /* Forward authentication says nothing else; this proxy is bound to no dialect. */
        bool answers = route->any ? strcmp(reply_text(&reply, "code"), "no_dialect") == 0
                                  : reply.status != 403;
        ck_assert_msg(reply.status < 500 && answers && reply.status != 405, "%s %s: %u %s",
                      http_method_name(route->method), route->pattern, reply.status, reply.text);
        reply_free(&reply);
    }
}
END_TEST

START_TEST(an_unknown_path_is_not_found) {
    static const char *const paths[] = {"/",
                                        "",
                                        "/v1",
                                        "/v1/",
                                        "/v1/devices/",
                                        "/v1/devices//",
                                        "/v1/devices/a/b",
                                        "/v1/devices/%61",
                                        "/v1/../v1/devices",
                                        "/V1/devices",
                                        "/v1/devices/a b",
                                        "//v1/devices",
                                        "/v1/models/a/baselines/"};
    struct reply reply = admin(&g, "admin", "GET", paths[_i], NULL);
    check_code(&reply, 404, "not_found");
    reply_free(&reply);
}
END_TEST

START_TEST(an_unknown_path_is_not_told_to_strangers) {
    struct caller stranger = caller_certificate("unknown");
    expect(&g,
           &(struct call){.plane = PLANE_ADMIN,
                          .caller = &stranger,
                          .method = "GET",
                          .target = "/v1/no-such-thing"},
           403, "forbidden");
}
END_TEST

START_TEST(another_method_is_told_which_are_allowed) {
    struct reply reply = admin(&g, "admin", "DELETE", "/v1/models", NULL);
    check_code(&reply, 405, "method_not_allowed");
    ck_assert_str_eq(reply_header(&reply, "Allow"), "GET, HEAD, POST");
    reply_free(&reply);
    reply = admin(&g, "admin", "TRACE", "/v1/fleet", NULL);
    check_code(&reply, 405, "method_not_allowed");
    ck_assert_str_eq(reply_header(&reply, "Allow"), "GET, HEAD");
    reply_free(&reply);
}
END_TEST

START_TEST(head_is_answered_as_get) {
    expect_admin(&g, "viewer", "HEAD", "/v1/models", NULL, 200, NULL);
}
END_TEST

static const char *const types[] = {"",
                                    "text/plain",
                                    "application/x-www-form-urlencoded",
                                    "application/jsonp",
                                    "application/json; charset=latin1",
                                    "application/json, text/plain"};

START_TEST(a_body_of_another_type_is_refused) {
    struct caller caller = caller_operator("admin");
    expect(&g,
           &(struct call){.plane = PLANE_ADMIN,
                          .caller = &caller,
                          .method = "POST",
                          .target = "/v1/models",
                          .body = "{\"name\":\"x\"}",
                          .content_type = types[_i]},
           415, "unsupported_media_type");
}
END_TEST

START_TEST(a_body_with_no_type_is_refused_where_it_may_be_left_out) {
    expect(&g,
           &(struct call){.plane = PLANE_DEVICE,
                          .caller = &device.caller,
                          .method = "POST",
                          .target = "/v1/challenges",
                          .body = "{}",
                          .content_type = ""},
           415, "unsupported_media_type");
}
END_TEST

START_TEST(json_is_known_by_its_type_however_it_is_written) {
    struct caller caller = caller_operator("admin");
    static const char *const good[] = {"application/json", "Application/JSON",
                                       "application/json; charset=utf-8",
                                       "application/json;charset=\"UTF-8\""};
    char body[64];
    (void)snprintf(body, sizeof body, "{\"name\":\"model-%d\"}", _i);
    expect(&g,
           &(struct call){.plane = PLANE_ADMIN,
                          .caller = &caller,
                          .method = "POST",
                          .target = "/v1/models",
                          .body = body,
                          .content_type = good[_i]},
           201, NULL);
}
END_TEST

START_TEST(a_body_where_none_belongs_is_refused) {
    struct caller caller = caller_operator("admin");
    expect(&g,
           &(struct call){.plane = PLANE_ADMIN,
                          .caller = &caller,
                          .method = "GET",
                          .target = "/v1/models",
                          .body = "{}"},
           400, "unexpected_body");
}
END_TEST

static const struct {
    const char *target, *code;
} queries[] = {
    {"/v1/models?limits=5", "unknown_parameter"},
    {"/v1/models?limit=5&x", "unknown_parameter"},
    {"/v1/models/acme-edge9?limit=5", "unknown_parameter"},
    {"/v1/models?limit=0", "invalid_parameter"},
    {"/v1/models?limit=1001", "invalid_parameter"},
    {"/v1/models?limit=-1", "invalid_parameter"},
    {"/v1/models?limit=1e2", "invalid_parameter"},
    {"/v1/models?limit=", "invalid_parameter"},
    {"/v1/models?limit", "invalid_parameter"},
    {"/v1/models?limit=99999999999999999999", "invalid_parameter"},
    {"/v1/models?limit=5&limit=5", "invalid_parameter"},
    {"/v1/models?cursor=", "invalid_parameter"},
    {"/v1/models?cursor=%", "invalid_parameter"},
    {"/v1/models?cursor=%4", "invalid_parameter"},
    {"/v1/models?cursor=%00", "invalid_parameter"},
    {"/v1/models?cursor=%zz", "invalid_parameter"},
    {"/v1/devices?cursor=nonsense", "invalid_parameter"},
    {"/v1/devices?state=asleep", "invalid_parameter"},
    {"/v1/devices?verdict=maybe", "invalid_parameter"},
    {"/v1/devices?tier=9", "invalid_parameter"},
    {"/v1/credentials?valid=false", "invalid_parameter"},
    {"/v1/audit?after=-1", "invalid_parameter"},
    {"/v1/audit?cursor=1", "unknown_parameter"},
};

START_TEST(a_parameter_that_is_unknown_or_wrong_is_refused) {
    expect_admin(&g, "viewer", "GET", queries[_i].target, NULL, 400, queries[_i].code);
}
END_TEST

START_TEST(a_disabled_operator_is_nobody) {
    expect_admin(&g, "admin", "PUT", "/v1/operators/viewer",
                 "{\"role\":\"viewer\",\"disabled\":true}", 200, NULL);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 403, "forbidden");
}
END_TEST

START_TEST(a_disabled_proxy_is_nobody) {
    struct caller proxy = caller_proxy();
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"disabled\":true}", 200, NULL);
    expect(
        &g,
        &(struct call){
            .plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = "/v1/decisions/x"},
        403, "forbidden");
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_routes");
    TCase *t = tcase_create("routes");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, each_role_calls_its_routes_and_no_other, 0, 5);
    tcase_add_test(t, who_may_not_ask_gets_one_answer_whether_or_not_the_object_exists);
    tcase_add_test(t, no_route_is_reached_on_another_plane);
    tcase_add_test(t, every_route_answers_its_own_caller);
    tcase_add_loop_test(t, an_unknown_path_is_not_found, 0, 13);
    tcase_add_test(t, an_unknown_path_is_not_told_to_strangers);
    tcase_add_test(t, another_method_is_told_which_are_allowed);
    tcase_add_test(t, head_is_answered_as_get);
    tcase_add_loop_test(t, a_body_of_another_type_is_refused, 0, sizeof types / sizeof types[0]);
    tcase_add_test(t, a_body_with_no_type_is_refused_where_it_may_be_left_out);
    tcase_add_loop_test(t, json_is_known_by_its_type_however_it_is_written, 0, 4);
    tcase_add_test(t, a_body_where_none_belongs_is_refused);
    tcase_add_loop_test(t, a_parameter_that_is_unknown_or_wrong_is_refused, 0,
                        sizeof queries / sizeof queries[0]);
    tcase_add_test(t, a_disabled_operator_is_nobody);
    tcase_add_test(t, a_disabled_proxy_is_nobody);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
