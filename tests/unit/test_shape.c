/* Bodies against a table of fields: what no single route's tests say. */
#include "api/shape.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target {
    const char *name;
    struct key_certification certification;
};
static const struct field fields[] = {
    {"name", FIELD_TEXT, false, 1, 10, offsetof(struct target, name)},
    {"key_certification", FIELD_KEY_CERTIFICATION, false, 0, 0,
     offsetof(struct target, certification)},
};
static const struct field required_fields[] = {
    {"key_certification", FIELD_KEY_CERTIFICATION, true, 0, 0,
     offsetof(struct target, certification)},
};
static const struct shape optional = SHAPE(fields, struct target);
static const struct shape required = SHAPE(required_fields, struct target);

static struct arena arena;
static struct http_exchange x;

static const struct target *read(const struct shape *shape, const char *json) {
    x = (struct http_exchange){.arena = &arena,
                               .request_id = "0123456789abcdef0123456789abcdef",
                               .body = bytes_of_text(json)};
    return shape_read_body(&x, shape);
}

static void start(void) {
    arena_init(&arena, 1 << 20);
}

static void end(void) {
    arena_free(&arena);
}

#define CERTIFICATION(rest) "{\"key_certification\":{" rest "}}"
#define INFO                "\"certify_info\":\"aW5mbw==\""
#define SIGNATURE           "\"signature\":\"c2ln\""
#define PUBLIC              "\"public\":\"cHVi\""

START_TEST(key_certification_gives_each_part) {
    const struct target *target = read(&required, CERTIFICATION(PUBLIC "," INFO "," SIGNATURE));
    ck_assert_ptr_nonnull(target);
    ck_assert(bytes_equal(target->certification.certify_info, bytes_of_text("info")));
    ck_assert(bytes_equal(target->certification.signature, bytes_of_text("sig")));
    ck_assert(bytes_equal(target->certification.key_public, bytes_of_text("pub")));
}
END_TEST

START_TEST(key_certification_may_be_left_out_where_it_is_optional) {
    static const char *const bodies[] = {"{}", "{\"key_certification\":null}", "{\"name\":\"x\"}"};
    const struct target *target = read(&optional, bodies[_i]);
    ck_assert_ptr_nonnull(target);
    ck_assert(!key_certification_given(&target->certification));
}
END_TEST

static const struct {
    const char *json, *code, *detail;
} wrong[] = {
    {"{}", "missing_field", "key_certification"},
    {"{\"key_certification\":null}", "missing_field", "key_certification"},
    {"{\"key_certification\":\"aW5mbw==\"}", "invalid_field",
     "key_certification: must be an object"},
    {"{\"key_certification\":[]}", "invalid_field", "key_certification: must be an object"},
    {CERTIFICATION(""), "missing_field", "key_certification.certify_info"},
    {CERTIFICATION(INFO "," SIGNATURE), "missing_field", "key_certification.public"},
    {CERTIFICATION(INFO "," PUBLIC), "missing_field", "key_certification.signature"},
    {CERTIFICATION(INFO "," SIGNATURE ",\"public\":null"), "missing_field",
     "key_certification.public"},
    {CERTIFICATION(INFO "," SIGNATURE ",\"public\":\"\""), "invalid_field",
     "key_certification.public: empty"},
    {CERTIFICATION(INFO "," SIGNATURE ",\"public\":\"cHV\""), "malformed_base64",
     "key_certification.public"},
    {CERTIFICATION(INFO "," SIGNATURE ",\"public\":{}"), "invalid_field",
     "key_certification.public: must be a string"},
    {CERTIFICATION(INFO "," SIGNATURE "," PUBLIC ",\"name\":\"x\""), "unknown_field",
     "key_certification.name"},
    {CERTIFICATION(INFO "," SIGNATURE "," PUBLIC "," PUBLIC), "malformed_json", "twice"},
};

START_TEST(key_certification_of_any_other_shape_is_refused) {
    ck_assert_ptr_null(read(&required, wrong[_i].json));
    char *answer = strndup((const char *)x.answer.data, x.answer.len);
    ck_assert_ptr_nonnull(answer);
    ck_assert_int_eq(x.status, 400);
    ck_assert_msg(strstr(answer, wrong[_i].code) != NULL, "%s", answer);
    ck_assert_msg(strstr(answer, wrong[_i].detail) != NULL, "%s", answer);
    free(answer);
}
END_TEST

START_TEST(key_certification_has_no_oversized_part) {
    char json[4096], text[2048] = {0};
    memset(text, 'A', 4 * (KEY_CERTIFICATION_PART_MAX / 3 + 1));
    (void)snprintf(json, sizeof json, CERTIFICATION(INFO "," SIGNATURE ",\"public\":\"%s\""), text);
    ck_assert_ptr_null(read(&required, json));
    ck_assert_int_eq(x.status, 400);
    memcpy(text + 4 * (KEY_CERTIFICATION_PART_MAX / 3), "AA==", 4);
    (void)snprintf(json, sizeof json, CERTIFICATION(INFO "," SIGNATURE ",\"public\":\"%s\""), text);
    ck_assert_ptr_nonnull(read(&required, json));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("shape");
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, key_certification_gives_each_part);
    tcase_add_loop_test(tests, key_certification_may_be_left_out_where_it_is_optional, 0, 3);
    tcase_add_loop_test(tests, key_certification_of_any_other_shape_is_refused, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tests, key_certification_has_no_oversized_part);
    Suite *suite = suite_create("shape");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
