/* The contract and the program say the same. */
#include "api/problem.h"
#include "api/routes.h"
#include "server/appraisal/rule.h"
#include "tests/unit/openapi_reader.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct openapi *doc;

static void start(void) {
    doc = openapi_load("api/openapi.yaml");
    ck_assert_msg(doc != NULL, "run from the root of the source");
}

static void stop(void) {
    openapi_free(doc);
}

/* The operation of a route; 0: none. */
static size_t operation_of(const struct route *route) {
    char method[16];
    (void)snprintf(method, sizeof method, "%s", http_method_name(route->method));
    for (char *c = method; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return openapi_path(doc, 0, "paths", route->pattern, method, NULL);
}

static void complain(const struct route *route, const char *why, const char *what) {
    ck_abort_msg("%s %s: %s %s", http_method_name(route->method), route->pattern, why, what);
}

/* "#/components/..." of the node, and what it leads to. */
static size_t follow(size_t node) {
    char reference[OPENAPI_TEXT];
    size_t ref = openapi_member(doc, node, "$ref");
    if (ref == 0) {
        return node;
    }
    openapi_value(doc, ref, reference);
    size_t target = openapi_resolve(doc, reference);
    ck_assert_msg(target != 0, "%s leads nowhere", reference);
    return target;
}

START_TEST(every_route_is_in_the_document) {
    const struct route_table *all = routes_all();
    char plane[OPENAPI_TEXT];
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        size_t operation = operation_of(route);
        if (operation == 0) {
            complain(route, "is not in the document", "");
        }
        openapi_value(doc, openapi_member(doc, operation, "x-plane"), plane);
        ck_assert_str_eq(plane, config_plane_name(route->plane));
        ck_assert_uint_ne(openapi_member(doc, operation, "summary"), 0);
        ck_assert_uint_ne(openapi_member(doc, operation, "operationId"), 0);
        ck_assert_uint_ne(openapi_path(doc, operation, "responses", "default", NULL), 0);
    }
}
END_TEST

START_TEST(every_operation_is_a_route) {
    const struct route_table *all = routes_all();
    size_t paths = openapi_member(doc, 0, "paths"), num = 0;
    char key[OPENAPI_TEXT];
    for (size_t p = openapi_next(doc, paths, 0); p != 0; p = openapi_next(doc, paths, p)) {
        for (size_t m = openapi_next(doc, p, 0); m != 0; m = openapi_next(doc, p, m)) {
            openapi_key(doc, m, key);
            num += strcmp(key, "parameters") != 0;
        }
    }
    ck_assert_uint_eq(num, all->num); /* and each route is in it: see above */
}
END_TEST

START_TEST(the_roles_are_those_of_the_table) {
    const struct route_table *all = routes_all();
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        size_t roles = openapi_member(doc, operation_of(route), "x-roles"), num = 0;
        for (unsigned role = ROLE_ANYONE; role <= ROLE_ADMIN; role <<= 1) {
            bool may = (route->roles & role) != 0;
            num += may;
            if (openapi_lists(doc, roles, role_name(role)) != may) {
                complain(route, "differs about", role_name(role));
            }
        }
        ck_assert_uint_eq(openapi_list_size(doc, roles), num);
    }
}
END_TEST

START_TEST(what_takes_two_people_is_that_of_the_table) {
    const struct route_table *all = routes_all();
    char name[OPENAPI_TEXT];
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        size_t rule = openapi_member(doc, operation_of(route), "x-two-person");
        if ((rule != 0) != (route->two_person != 0)) {
            complain(route, "differs about", "taking two people");
        }
        if (rule != 0) {
            openapi_value(doc, rule, name);
            ck_assert_str_eq(name, config_two_person_name((enum two_person)route->two_person));
            ck_assert_uint_ne(openapi_path(doc, operation_of(route), "responses", "202", NULL), 0);
        }
    }
}
END_TEST

START_TEST(the_security_is_that_of_the_plane) {
    static const char *const schemes[NUM_PLANES] = {
        [PLANE_DEVICE] = "identity", [PLANE_PROXY] = "proxy", [PLANE_ADMIN] = "operator"};
    const struct route_table *all = routes_all();
    char name[OPENAPI_TEXT];
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        size_t security = openapi_member(doc, operation_of(route), "security");
        size_t first = openapi_next(doc, security, 0);
        if (schemes[route->plane] == NULL) {
            openapi_value(doc, security, name);
            ck_assert_str_eq(name, "[]");
            continue;
        }
        ck_assert_uint_ne(first, 0);
        openapi_key(doc, first, name);
        ck_assert_str_eq(name, schemes[route->plane]);
        ck_assert_uint_eq(openapi_next(doc, security, first), 0);
    }
}
END_TEST

/* The schema of a route's body; 0: it takes none. */
static size_t body_schema(const struct route *route) {
    const char *media = route->media != NULL ? route->media : "application/json";
    size_t schema =
        openapi_path(doc, operation_of(route), "requestBody", "content", media, "schema", NULL);
    return schema == 0 ? 0 : follow(schema);
}

static void check_body(const struct route *route) {
    size_t schema = body_schema(route), num = 0;
    size_t properties = openapi_member(doc, schema, "properties");
    size_t required = openapi_member(doc, schema, "required");
    char name[OPENAPI_TEXT];
    openapi_value(doc, openapi_member(doc, schema, "additionalProperties"), name);
    if (strcmp(name, "false") != 0) {
        complain(route, "its body", "may have more fields");
    }
    for (size_t i = 0; i < route->body->num; i++) {
        const struct field *field = &route->body->field[i];
        if (properties == 0 || openapi_member(doc, properties, field->name) == 0) {
            complain(route, "the document lacks", field->name);
        }
        if ((required != 0 && openapi_lists(doc, required, field->name)) != field->required) {
            complain(route, "it differs whether this is required:", field->name);
        }
    }
    for (size_t p = properties == 0 ? 0 : openapi_next(doc, properties, 0); p != 0;
         p = openapi_next(doc, properties, p)) {
        num++;
    }
    ck_assert_uint_eq(num, route->body->num);
}

START_TEST(bodies_have_the_fields_of_the_document) {
    const struct route_table *all = routes_all();
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        if ((body_schema(route) != 0) != (route->body_rule != BODY_NONE)) {
            complain(route, "differs about", "having a body");
        }
        if (route->body_rule == BODY_SHAPE || route->body_rule == BODY_ROWS) {
            check_body(route);
        }
    }
}
END_TEST

START_TEST(query_parameters_are_those_of_the_document) {
    const struct route_table *all = routes_all();
    char name[OPENAPI_TEXT];
    for (size_t i = 0; i < all->num; i++) {
        const struct route *route = &all->route[i];
        size_t list = openapi_member(doc, operation_of(route), "parameters"), num = 0;
        for (size_t p = list == 0 ? 0 : openapi_next(doc, list, 0); p != 0;
             p = openapi_next(doc, list, p)) {
            char reference[OPENAPI_TEXT];
            openapi_value(doc, p, reference);
            size_t target = openapi_resolve(doc, reference);
            ck_assert_msg(target != 0, "%s leads nowhere", reference);
            openapi_value(doc, openapi_member(doc, target, "in"), name);
            if (strcmp(name, "query") != 0) {
                continue;
            }
            openapi_value(doc, openapi_member(doc, target, "name"), name);
            bool found = false;
            for (size_t f = 0; route->query != NULL && f < route->query->num; f++) {
                found = found || strcmp(route->query->field[f].name, name) == 0;
            }
            if (!found) {
                complain(route, "does not know", name);
            }
            num++;
        }
        ck_assert_uint_eq(num, route->query == NULL ? 0 : route->query->num);
    }
}
END_TEST

START_TEST(every_problem_is_listed) {
    size_t examples = openapi_path(doc, 0, "components", "schemas", "Problem", "properties", "code",
                                   "examples", NULL);
    char code[OPENAPI_TEXT];
    size_t num = 0;
    ck_assert_uint_ne(examples, 0);
    for (size_t e = openapi_next(doc, examples, 0); e != 0; e = openapi_next(doc, examples, e)) {
        openapi_value(doc, e, code);
        enum problem_kind kind = problem_of_code(code);
        ck_assert_msg(strcmp(problem_entry(kind)->code, code) == 0, "no such code: %s", code);
        num++;
    }
    ck_assert_uint_eq(num, NUM_PROBLEMS);
}
END_TEST

START_TEST(what_an_operation_refuses_has_a_code_that_exists) {
    const struct route_table *all = routes_all();
    for (size_t i = 0; i < all->num; i++) {
        size_t problems = openapi_member(doc, operation_of(&all->route[i]), "x-problems"), num = 0;
        for (enum problem_kind kind = 0; problems != 0 && kind < NUM_PROBLEMS; kind++) {
            num += openapi_lists(doc, problems, problem_entry(kind)->code);
        }
        if (problems != 0 && num != openapi_list_size(doc, problems)) {
            complain(&all->route[i], "lists a problem", "that does not exist");
        }
    }
}
END_TEST

START_TEST(every_reference_leads_somewhere) {
    char value[OPENAPI_TEXT];
    size_t num = 0;
    for (size_t i = 1; i < doc->num; i++) {
        if (strstr(doc->line[i].text, "$ref: ") != NULL) {
            openapi_value(doc, i, value);
            ck_assert_msg(openapi_resolve(doc, value) != 0, "%s leads nowhere", value);
            num++;
        }
    }
    ck_assert_uint_gt(num, 100);
}
END_TEST

START_TEST(every_component_is_used) {
    static const char *const kinds[] = {"schemas", "parameters", "responses", "headers"};
    size_t parent = openapi_path(doc, 0, "components", kinds[_i], NULL);
    for (size_t c = openapi_next(doc, parent, 0); c != 0; c = openapi_next(doc, parent, c)) {
        char key[OPENAPI_TEXT], reference[OPENAPI_TEXT + 32];
        bool used = false;
        openapi_key(doc, c, key);
        (void)snprintf(reference, sizeof reference, "'#/components/%s/%s'", kinds[_i], key);
        for (size_t i = 1; i < doc->num && !used; i++) {
            used = strstr(doc->line[i].text, reference) != NULL;
        }
        ck_assert_msg(used, "%s is used nowhere", reference);
    }
}
END_TEST

START_TEST(a_key_stands_once) {
    for (size_t node = 0; node < doc->num; node++) {
        for (size_t a = openapi_next(doc, node, 0); a != 0; a = openapi_next(doc, node, a)) {
            char first[OPENAPI_TEXT], second[OPENAPI_TEXT];
            size_t b = openapi_next(doc, node, a);
            if (b == 0 || doc->line[a].text[0] == '-') {
                break;
            }
            openapi_key(doc, a, first);
            for (; b != 0; b = openapi_next(doc, node, b)) {
                openapi_key(doc, b, second);
                ck_assert_msg(strcmp(first, second) != 0, "%s stands twice", first);
            }
        }
    }
}
END_TEST

START_TEST(finding_codes_are_listed) {
    size_t codes = openapi_path(doc, 0, "components", "schemas", "FindingCode", "examples", NULL);
    size_t num = 0;
    for (; finding_codes[num] != NULL; num++) {
        ck_assert_msg(openapi_lists(doc, codes, finding_codes[num]), "%s is not listed",
                      finding_codes[num]);
        ck_assert(num == 0 || strcmp(finding_codes[num - 1], finding_codes[num]) < 0);
    }
    ck_assert_uint_eq(openapi_list_size(doc, codes), num);
}
END_TEST

START_TEST(rule_families_are_members_of_the_baseline_document) {
    for (size_t i = 0; i < num_rule_families; i++) {
        ck_assert_msg(openapi_path(doc, 0, "components", "schemas", "BaselineDocument",
                                   "properties", rule_families[i]->name, NULL) != 0,
                      "%s is not", rule_families[i]->name);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("openapi");
    TCase *t = tcase_create("openapi");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, every_route_is_in_the_document);
    tcase_add_test(t, every_operation_is_a_route);
    tcase_add_test(t, the_roles_are_those_of_the_table);
    tcase_add_test(t, what_takes_two_people_is_that_of_the_table);
    tcase_add_test(t, the_security_is_that_of_the_plane);
    tcase_add_test(t, bodies_have_the_fields_of_the_document);
    tcase_add_test(t, query_parameters_are_those_of_the_document);
    tcase_add_test(t, every_problem_is_listed);
    tcase_add_test(t, what_an_operation_refuses_has_a_code_that_exists);
    tcase_add_test(t, every_reference_leads_somewhere);
    tcase_add_loop_test(t, every_component_is_used, 0, 4);
    tcase_add_test(t, a_key_stands_once);
    tcase_add_test(t, finding_codes_are_listed);
    tcase_add_test(t, rule_families_are_members_of_the_baseline_document);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
